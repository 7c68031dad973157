"""Claiming the folder of a run, its lock, and the moment at which a resumed run goes on."""

import contextlib
import itertools
import pathlib
from typing import Any

from plastic import files, system
from plastic.errors import PlasticError


class Resumption:
    """A run that was resumed; it waits until it goes on.

    waiting: whether it has not gone on yet.
    length: the bytes of metrics.csv that are kept when it goes on; what comes after them is done again. None for all.
    """

    def __init__(self) -> None:
        self.waiting = True
        self.length: int | None = None


def claimed(path: pathlib.Path) -> pathlib.Path:
    """Make a folder that nobody has, of this name or with a number after it; return it."""
    with files.system_errors(f"cannot make the run folder {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in itertools.chain([path], (path.with_name(f"{path.name}-{n}") for n in itertools.count(2))):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                break
    return folder


def acquired(folder: pathlib.Path) -> Any:
    """Take the lock of a run folder; return it. Raises PlasticError where another process has it."""
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    with files.system_errors(f"cannot lock {folder}"):
        try:
            system.acquire(lock, blocking=False)
        except filelock.Timeout:
            raise PlasticError(f"{folder} is in use: another process runs in it") from None
        except NotImplementedError:
            raise PlasticError(
                f"cannot lock {folder}: its file system has no locks; PLASTIC_RESULTS can name another folder"
            ) from None
    return lock
