"""One HDF5 file per data set: written whole or not at all, checked when it is read, made by one process at a time."""

import contextlib
import hashlib
import io
import os
import sys
from importlib.metadata import version

from plastic import files
from plastic.errors import PlasticError

FORMAT = 2  # a file of another format is made again; count up when the layout below, or how glyphs are drawn, changes
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_HEAD = 512  # bytes before the HDF5 data, the "user block", which HDF5 leaves to us: the format and a checksum


class _UnusableError(ValueError):
    """The file is missing, or is damaged or of another format; the message says which."""


def arrays_of(path, make):
    """Return the arrays {"x_train": ..., "y_train", "x_test", "y_test"} of the HDF5 file at `path`.

    Where the file is missing, damaged (by its checksum) or of another format, make() supplies the arrays and the file
    is written. Other processes wait for the one that does this; a lock dies with the process that holds it.
    Raises PlasticError where the folder cannot be written, and what make() raises.
    """

    def write():
        arrays = make()
        files.write(path, _image(arrays))
        return arrays

    return made_once(path, _read, write)


def made_once(path, read, make):
    """Return read(path) or, where that raises ValueError, what make() returns, which also writes the file.

    The message of the ValueError goes on from the path: "is not there". One process at a time makes the file, and the
    others then read it. Raises PlasticError where the folder cannot be written, and what read and make raise.
    """
    with contextlib.suppress(ValueError):
        return read(path)
    with _only_one(path):
        try:
            return read(path)  # another process has made it in the meantime
        except ValueError as reason:
            note(f"{path} {reason}: making it")
        return make()


def note(text):
    """Tell the user, on stderr, something that is no error."""
    print(f"note: {text}", file=sys.stderr)


@contextlib.contextmanager
def writing(folder):
    """Turn an OSError of the block, or a lack of locks, into a PlasticError that names the folder."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise PlasticError(f"cannot write to {folder}: {reason}; PLASTIC_DATASETS can name another folder") from None
    except NotImplementedError:  # of filelock before 3.24; later it makes do with the existence of a file
        raise PlasticError(
            f"cannot lock {folder}: its file system has no locks; PLASTIC_DATASETS can name another folder"
        ) from None


def settle(part, path):
    """Flush the finished file `part` to the disk and give it its name."""
    with open(part, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


@contextlib.contextmanager
def _only_one(path):
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=2)
        except Timeout:
            note(f"waiting for another process that is making {path}")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _read(path):
    import h5py

    try:
        with open(path, "rb") as file:
            # Checked before HDF5 sees it: a damaged file can crash that library, and the whole process with it.
            head = file.read(_HEAD)
            if head != _head_for(hashlib.file_digest(file, "sha256").hexdigest()):
                raise _UnusableError("is damaged or of another format")
            with h5py.File(file, "r") as hdf5:
                return {name: hdf5[name][()] for name in ARRAYS}
    except (FileNotFoundError, NotADirectoryError):
        raise _UnusableError("is not there") from None
    except OSError as error:
        raise PlasticError(f"cannot read {path}: {error.strerror or error}") from None


def _image(arrays):
    """Return the bytes of the HDF5 file. Made in memory: a full disk then meets our own write, not HDF5's closing."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=_HEAD) as file:
        for name in ARRAYS:
            file[name] = arrays[name]
        file.attrs["versions"] = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "matplotlib"))
    image = buffer.getbuffer()
    image[:_HEAD] = _head_for(hashlib.sha256(image[_HEAD:]).hexdigest())
    return image


def _head_for(checksum):
    return f"plastic data set, format {FORMAT}, sha256 of all after byte {_HEAD}: {checksum}\n".encode().ljust(_HEAD)
