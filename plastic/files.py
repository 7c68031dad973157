"""Files that are whole or absent: atomic replacement, and HDF5 sealed by a checksum.

A file is written to a temporary name in its own folder, flushed to the disk and renamed, so that a crash at any moment
leaves the old file or the new one. An HDF5 file carries a user block of 512 bytes in front (other HDF5 tools skip it)
with the CRC-32 of all that follows: a damaged file is refused before the HDF5 library sees it.
"""

import contextlib
import io
import json
import os
import pathlib
import zlib

import numpy as np

from plastic import xp
from plastic.errors import PlasticError

_SEAL_SIZE = 512  # the smallest user block of the HDF5 format


def write(path, data):
    """Replace the file `path` by `data` (bytes-like), atomically and durably.

    Raises PlasticError where the folder is full or cannot be written; the old file is then untouched.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with system_errors(f"cannot write {path}"):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def remove_temporary(folder):
    """Remove what a killed process left behind half written in a folder."""
    with system_errors(f"cannot clean up {folder}"):
        for temporary in pathlib.Path(folder).glob(".*.part"):
            temporary.unlink(missing_ok=True)


def write_json(path, record):
    """Write a dict as JSON with a checksum of its content. NumPy scalars become numbers, tuples lists."""
    record = json.loads(to_json(record))
    text = json.dumps(record | {"checksum": _json_checksum(record)}, indent=2)
    write(path, text.encode() + b"\n")


def read_json(path):
    """Return the dict that `write_json` wrote. Raises PlasticError where the file is missing, damaged or edited."""
    with system_errors(f"cannot read {path}"):
        data = pathlib.Path(path).read_bytes()
    try:
        record = json.loads(data)
        checksum = record.pop("checksum")
        sound = checksum == _json_checksum(record)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise PlasticError(f"{path} is damaged or was edited: its content does not fit its checksum")
    return record


def to_json(value):
    """Return `value` as JSON text; NumPy scalars are written as numbers."""
    return json.dumps(value, default=_host_number)


def write_hdf5(path, arrays, **attributes):
    """Write {"layers/0/W": host or device array} as the datasets of a sealed HDF5 file, and attributes of its root.

    Equal content gives equal bytes. Raises PlasticError as `write`.
    """
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=_SEAL_SIZE) as file:
        for name, array in arrays.items():
            # not compressed: weights are noise to a compressor, and a checkpoint must not hold up the training
            file[name] = array if isinstance(array, np.ndarray) else xp.asnumpy(array)
        file.attrs.update(attributes)
    with image.getbuffer() as data:
        data[:_SEAL_SIZE] = _seal(data[_SEAL_SIZE:])
        write(path, data)


def read_hdf5(path):
    """Return the arrays by path and the attributes of a file of `write_hdf5`, both as dicts.

    Raises PlasticError where the file is missing or damaged.
    """
    import h5py

    with system_errors(f"cannot read {path}"):
        data = pathlib.Path(path).read_bytes()
    if data[:_SEAL_SIZE] != _seal(memoryview(data)[_SEAL_SIZE:]):
        raise PlasticError(f"{path} is damaged: its content ({len(data)} bytes) does not fit its checksum")
    arrays = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item[()])

    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(collect)
        return arrays, dict(file.attrs)


@contextlib.contextmanager
def system_errors(what):
    """Turn an OSError (full disk, read-only folder, missing file) into the PlasticError "<what>: <reason>"."""
    try:
        yield
    except OSError as error:
        raise PlasticError(f"{what}: {error.strerror or error}") from error


def _seal(data):
    return f"plastic: HDF5 after {_SEAL_SIZE} bytes, crc32 {zlib.crc32(data):08x}\n".encode().ljust(_SEAL_SIZE, b"\0")


def _json_checksum(record):
    return f"{zlib.crc32(json.dumps(record, sort_keys=True).encode()):08x}"


def _host_number(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _sync_folder(folder):
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder, and needs no flush of it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
