"""Read the IDX files of the MNIST family: gzip around a magic number, the sizes of the axes, and unsigned bytes.

A few kilobytes of gzip can stand for gigabytes: no more is unpacked than the header says, and that is held against the
size of the file and the memory first.
"""

import gzip
import math
import os
import struct
import zlib

import numpy as np

from plastic import system
from plastic.errors import PlasticError

_UNSIGNED_BYTE = 0x08
_PACKED = 1032  # the most bytes that one byte of gzip can stand for
_PIECE = 1 << 20  # bytes unpacked at a time


def read(path: str | os.PathLike[str], ndim: int) -> np.ndarray:
    """Return the array of a gzip-compressed IDX file.

    Args:
        path: the file.
        ndim: how many axes it has.

    Returns:
        An array, uint8.

    Raises:
        PlasticError: if the file is missing or truncated, is no IDX file of bytes with `ndim` axes, or holds more or
            fewer bytes than its header says, or more than fit the memory; it names the file.
    """
    try:
        with system.open_regular(path) as packed, gzip.open(packed) as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim:
                raise PlasticError(f"{path} ends within its header")
            if header[:4] != bytes((0, 0, _UNSIGNED_BYTE, ndim)):
                start = header[:4].hex(" ")
                raise PlasticError(f"{path} starts with {start}; an IDX file of this kind starts with 00 00 08 0{ndim}")
            shape = struct.unpack(f">{ndim}I", header[4:])
            claimed = f"{path} says it holds {' x '.join(map(str, shape))} bytes, but"
            if (size := math.prod(shape)) > (most := _PACKED * os.fstat(packed.fileno()).st_size):
                raise PlasticError(f"{claimed} there are {most:,} at most")
            system.require_memory(path, size)
            values = np.empty(size, np.uint8)
            found = _fill(file, values.data)
            if found == size:
                found += len(file.read(_PIECE))  # there is nothing left, and the checksum at the end is checked
    except FileNotFoundError:
        raise PlasticError(f"{path} is missing") from None
    except (OSError, EOFError, zlib.error) as error:
        raise PlasticError(f"{path} is not a whole gzip file: {error}") from None
    if found != size:
        raise PlasticError(f"{claimed} there are {found:,}{' or more' if found == size + _PIECE else ''}")
    return values.reshape(shape)


def _fill(file: gzip.GzipFile, values: memoryview) -> int:
    """Read as many values as there are places, and return how many there were."""
    found = 0
    while found < len(values) and (piece := file.read(min(_PIECE, len(values) - found))):
        values[found : found + len(piece)] = piece
        found += len(piece)
    return found
