"""One HDF5 file per data set: written whole or not at all, checked when it is read, made by one process at a time."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from plastic import files, system, terminal
from plastic.errors import PlasticError

FORMAT = 2  # a file of another format is made again; count up when the layout below, or how glyphs are drawn, changes
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CLASSES = 1 << 16
"""A label beyond is a number of something else, and one-hot targets would not fit the memory."""

_Content = TypeVar("_Content")
_only_read = contextvars.ContextVar("_only_read", default=False)


class NotAtHandError(PlasticError):
    """A data set would have to be made, and none is to be now."""


@contextlib.contextmanager
def only_read() -> Iterator[None]:
    """Read the data sets that are on the disk; where one would be made, or fetched, NotAtHandError is raised."""
    before = _only_read.set(True)
    try:
        yield
    finally:
        _only_read.reset(before)


def arrays_of(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of a data set's HDF5 file; where there is no such file, make it.

    Other processes wait for the one that makes it; a lock dies with the process that holds it.

    Args:
        path: the file.
        make: a function that returns the arrays. It is called where the file is missing, damaged (by its checksum) or
            of another format, and the file is then written.

    Returns:
        {"x_train": ..., "y_train", "x_test", "y_test"}.

    Raises:
        PlasticError: if the file cannot be read, or the folder cannot be written; and what make() raises.
    """

    def write() -> dict[str, np.ndarray]:
        from importlib.metadata import version

        arrays = make()
        versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "matplotlib"))
        files.write_hdf5(path, {name: arrays[name] for name in ARRAYS}, format=FORMAT, versions=versions)
        return arrays

    return made_once(path, _read, write)


def made_once(path: Path, read: Callable[[Path], _Content], make: Callable[[], _Content]) -> _Content:
    """Return what a file holds; where it is unusable, make it, one process at a time.

    Args:
        path: the file.
        read: a function of the path that returns the content, or raises `files.UnusableError`.
        make: a function that writes the file and returns its content.

    Returns:
        What `read` or `make` returned.

    Raises:
        PlasticError: if the folder cannot be written; and what `read` and `make` raise.
        NotAtHandError: if the file is unusable, within `only_read`.
    """
    with contextlib.suppress(files.UnusableError):
        return read(path)
    if _only_read.get():
        raise NotAtHandError(f"{path} is not there, and is not to be made now")
    with _only_one(path):
        try:
            return read(path)  # another process has made it in the meantime
        except files.UnusableError as reason:
            note(f"{reason}; making it")
        files.remove_temporary(path.parent, path.name)
        return make()


def require_format(path: Path, found: object, wanted: int) -> None:
    """Require that a file has the format that this version writes.

    Args:
        path: the file.
        found: its attribute `format`, None where it has none.
        wanted: the number of the format.

    Raises:
        UnusableError: if the two differ.
    """
    if found != wanted:
        raise files.UnusableError(path, f"has another format, {found}, than the {wanted} of this version")


def note(text: str) -> None:
    """Tell the user, on stderr, something that is no error."""
    terminal.warn(f"note: {text}")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block, or a lack of locks, into a PlasticError.

    Args:
        folder: what cannot be written to, then.

    Raises:
        PlasticError: in place of the OSError; it names the folder and says how to take another.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise PlasticError(f"cannot write to {folder}: {reason}; PLASTIC_DATASETS can name another folder") from None
    except NotImplementedError:  # of `system.acquire`
        raise PlasticError(
            f"cannot lock {folder}: its file system has no locks; PLASTIC_DATASETS can name another folder"
        ) from None


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            system.acquire(lock, timeout=2)
        except Timeout:
            note(f"waiting for another process that is making {path}")
            system.acquire(lock)
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays, attributes = files.read_hdf5(path)
    require_format(path, attributes.get("format"), FORMAT)
    if (
        not arrays.keys() >= {*ARRAYS}
        or arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]
        or not all(_are_samples(arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test"))
    ):
        raise files.UnusableError(path, f"does not hold samples and labels in {', '.join(ARRAYS)}")
    return {name: arrays[name] for name in ARRAYS}


def _are_samples(x: np.ndarray, y: np.ndarray) -> bool:
    if x.ndim < 2 or x.size == 0 or x.shape[:1] != y.shape or x.dtype.kind not in "biuf" or y.dtype.kind not in "iu":
        return False
    return 0 <= y.min() <= y.max() < MOST_CLASSES and bool(x.dtype.kind != "f" or np.isfinite(x).all())
