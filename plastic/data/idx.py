"""Read the IDX files of the MNIST family: gzip around a magic number, the sizes of the axes, and unsigned bytes."""

import gzip
import math
import os
import struct
import zlib

import numpy as np

from plastic.errors import PlasticError

_UNSIGNED_BYTE = 0x08


def read(path: str | os.PathLike[str], ndim: int) -> np.ndarray:
    """Return the array of a gzip-compressed IDX file.

    Args:
        path: the file.
        ndim: how many axes it has.

    Returns:
        An array, uint8.

    Raises:
        PlasticError: if the file is missing or truncated, is no IDX file of bytes with `ndim` axes, or holds more or
            fewer bytes than its header says; it names the file.
    """
    try:
        with gzip.open(path) as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim:
                raise PlasticError(f"{path} ends within its header")
            if header[:4] != bytes((0, 0, _UNSIGNED_BYTE, ndim)):
                found = header[:4].hex(" ")
                raise PlasticError(f"{path} starts with {found}; an IDX file of this kind starts with 00 00 08 0{ndim}")
            shape = struct.unpack(f">{ndim}I", header[4:])
            values = file.read()
    except FileNotFoundError:
        raise PlasticError(f"{path} is missing") from None
    except (OSError, EOFError, zlib.error) as error:
        raise PlasticError(f"{path} is not a whole gzip file: {error}") from None
    if len(values) != math.prod(shape):
        raise PlasticError(f"{path} says it holds {' x '.join(map(str, shape))} bytes, but there are {len(values):,}")
    return np.frombuffer(values, np.uint8).reshape(shape)
