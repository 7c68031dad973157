"""Where the runs are: every run folder below a folder, at any depth, and what tells that one has changed."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

from plastic import system

_MARKS = ("config.json", "metrics.csv", "arrays.h5", "checkpoint.h5")  # one of them makes a run folder
_READ = ("config.json", "metrics.csv")  # what a report reads, beside the figures


@dataclasses.dataclass(frozen=True)
class Place:
    """A run folder, or one that cannot be listed.

    path: the folder. name: its path below the folder of the report. stamp: what is another once a file has changed that
    a report reads. figures: the names of its .png files. written: when one of the files changed last, seconds since
    1970. error: why it cannot be listed; "" if it can.
    """

    path: pathlib.Path
    name: str
    stamp: tuple = ()
    figures: tuple[str, ...] = ()
    written: float = 0.0
    error: str = ""


def places(root: system.Path) -> list[Place]:
    """Return the run folders below a folder, itself included, by name. Links to folders are not followed.

    Args:
        root: the folder.
    """
    return sorted(_below(pathlib.Path(root)), key=lambda place: place.name)


def _below(root: pathlib.Path) -> Iterator[Place]:
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        name = folder.relative_to(root).as_posix()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
            waiting += [pathlib.Path(each.path) for each in found if each.is_dir(follow_symlinks=False)]
            files = {each.name: each for each in found if not each.is_dir(follow_symlinks=False)}
            if not any(mark in files for mark in _MARKS):
                continue
            figures = tuple(sorted(each for each in files if each.endswith(".png") and not each.startswith(".")))
            states = [(each, files[each].stat(follow_symlinks=False)) for each in (*_READ, *figures) if each in files]
        except OSError as error:  # no right to list it; or it went away meanwhile
            yield Place(folder, name, error=f"cannot be read: {error.strerror or error}")
            continue
        stamp = tuple((each, state.st_mtime_ns, state.st_size, state.st_ino) for each, state in states)
        written = max((state.st_mtime for _, state in states), default=0.0)
        yield Place(folder, name, stamp, figures, written)
