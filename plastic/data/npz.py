"""A user's own data: an .npz file with the arrays x_train, y_train, x_test and y_test.

The file is a zip archive of .npy files. It may come from anywhere: sizes are held against the bytes that are there and
against the memory before anything is read, and nothing in it is ever unpickled.
"""

import contextlib
import hashlib
import math
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from plastic import system
from plastic.data.store import ARRAYS, MOST_CLASSES
from plastic.errors import PlasticError

_PACKED = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}  # the most bytes that one byte in the file can stand for
_PIECE = 1 << 20  # bytes read at a time
_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, struct.error, OverflowError, zipfile.BadZipFile, zlib.error)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the four arrays of an .npz file.

    Args:
        path: the file.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: x (N, ...) of real numbers, y int64 (N,).

    Raises:
        PlasticError: if the file cannot be read or does not fit the memory; an array is missing, of objects, text or
            complex numbers, empty or not finite; x has fewer than two axes; lengths or sample shapes disagree; a label
            is no whole number from 0 on; a number below the largest label is none; or all training samples have the
            same label.
    """
    return checked(path, arrays(path, ARRAYS))


def checked(path: str | os.PathLike[str], found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return four arrays of numbers that are in memory as `read` does, under the same conditions.

    Args:
        path: what they are called in messages.
        found: the arrays by name.

    Returns:
        As `read`.

    Raises:
        PlasticError: as `read`.
    """
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise PlasticError(f"{path}: {name} has values that are not finite")
    for split in ("train", "test"):
        x, y = found[f"x_{split}"], found[f"y_{split}"]
        if x.ndim < 2 or x.size == 0:
            raise PlasticError(
                f"{path}: x_{split} has shape {x.shape}; two axes or more, (samples, ...), none of them empty, are "
                "needed"
            )
        if y.shape != x.shape[:1]:
            raise PlasticError(f"{path}: y_{split} has shape {y.shape}; {len(x)} samples need one label each")
        bad = y[(y < 0) | (y >= MOST_CLASSES) | (y != np.floor(y))] if y.dtype.kind != "b" else y[:0]
        if bad.size:
            raise PlasticError(
                f"{path}: y_{split} has the label {bad[0]}; labels are whole numbers from 0 to {MOST_CLASSES - 1}"
            )
        found[f"y_{split}"] = y.astype(np.int64)
    if found["x_train"].shape[1:] != found["x_test"].shape[1:]:
        shapes = " and ".join(str(found[name].shape) for name in ("x_train", "x_test"))
        raise PlasticError(f"{path}: x_train and x_test have shapes {shapes}; they may differ in the first axis only")
    if len(set(labels := found["y_train"].tolist())) == 1:
        raise PlasticError(f"{path}: y_train has no label but {labels[0]}; there is nothing to learn from one class")
    _require_no_gap(path, np.union1d(found["y_train"], found["y_test"]))
    return found


def _require_no_gap(path: str | os.PathLike[str], labels: np.ndarray) -> None:
    """Require that labels, all that there are, are 0, 1, 2, ..: a class of which nobody has a sample is a mistake."""
    gaps = np.setdiff1d(np.arange(labels[-1]), labels)
    if gaps.size:
        raise PlasticError(
            f"{path}: the labels of {len(labels)} classes run from {labels[0]} to {labels[-1]}, but no sample has "
            f"{gaps[0]}; number the classes from 0 to {len(labels) - 1}"
        )


def arrays(path: str | os.PathLike[str], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return arrays of real numbers of an .npz file by name.

    Args:
        path: the file.
        names: of the arrays it must have.

    Returns:
        {name: array}.

    Raises:
        PlasticError: if the file cannot be read or does not fit the memory, or an array is missing or of objects, text
            or complex numbers.
    """
    with _opened(path) as archive:
        members = {name: _member(archive, path, name, names) for name in names}
        # x is there as it is in the file and in the working precision
        system.require_memory(path, 2 * sum(each.file_size for each in members.values()))
        return {name: _array(archive, path, name, member) for name, member in members.items()}


def shape(path: str | os.PathLike[str], name: str) -> tuple[int, ...]:
    """Return the shape that an array of an .npz file says it has; no more than its head is read.

    Args:
        path: the file.
        name: of the array.

    Returns:
        The shape.

    Raises:
        PlasticError: if the file cannot be read, or there is no such array.
    """
    with _opened(path) as archive, archive.open(_member(archive, path, name, [name])) as file:
        return _header(file, name)[0]


def contents(path: str | os.PathLike[str]) -> str:
    """Return a hash of the check sums of the four arrays, which the archive has beside them; see `data.contents`."""
    with _opened(path) as archive:
        sums = [_member(archive, path, name, ARRAYS).CRC for name in ARRAYS]
    return hashlib.sha256(struct.pack("<4I", *sums)).hexdigest()[:8]


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """Yield the archive that a file is; what is wrong with it is a PlasticError."""
    try:
        with system.open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            yield archive
            return
    except MemoryError:
        reason = "it does not fit the memory"
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise PlasticError(f"{path} cannot be read as an .npz file of plain arrays: {reason}")


def _member(archive: zipfile.ZipFile, path: str | os.PathLike[str], name: str, names: Sequence[str]) -> zipfile.ZipInfo:
    """Return the member of the archive that holds an array. Raises ValueError where its size cannot be true."""
    member = archive.NameToInfo.get(f"{name}.npy") or archive.NameToInfo.get(name)
    if member is None:
        raise PlasticError(f"{path} has no array {name}; it needs {', '.join(names)}")
    if member.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if member.compress_type not in _PACKED:
        raise ValueError(f"{name} is compressed by method {member.compress_type}, as no .npz file is")
    if member.file_size > _PACKED[member.compress_type] * (member.compress_size + 1):
        raise ValueError(f"{name} claims {member.file_size:,} bytes, packed into {member.compress_size:,}")
    return member


def _array(archive: zipfile.ZipFile, path: str | os.PathLike[str], name: str, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        shape, fortran_order, dtype = _header(file, name)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, not numbers")
        if dtype.kind not in "biuf":
            raise PlasticError(f"{path}: {name} has type {dtype}; real numbers are needed")
        count, there = math.prod(shape), member.file_size - file.tell()
        if count * dtype.itemsize != there or min(shape, default=0) < 0:
            raise ValueError(f"{name} claims the shape {shape} of {dtype}, but {there:,} bytes are there")
        array = np.empty(count, dtype)
        left = array.view(np.uint8).data
        while left and (piece := file.read(min(_PIECE, len(left)))):
            left[: len(piece)] = piece
            left = left[len(piece) :]
        if left:
            raise EOFError(f"{name} ends too early")
    return array.reshape(shape, order="F" if fortran_order else "C")


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return (shape, whether the first axis varies fastest, type) from the beginning of an .npy file."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            return readers[np.lib.format.read_magic(file)](file)
    except zipfile.BadZipFile:
        raise
    except Exception:  # NumPy parses the header as Python, and damage can make anything of it
        raise ValueError(f"{name} is no array, or its header is damaged") from None
