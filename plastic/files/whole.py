"""Files that are whole or absent, and JSON with a checksum."""

import contextlib
import json
import os
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from plastic import system
from plastic.errors import PlasticError
from plastic.system import Path


def write(path: Path, data: Any) -> None:
    """Replace a file by new content, atomically and durably.

    Args:
        path: the file; its folder exists.
        data: the content, bytes or another buffer.

    Raises:
        PlasticError: if the folder is full or cannot be written; the old file is then untouched.
    """
    with system_errors(f"cannot write {path}"), system.temporary(path) as (part, file):
        file.write(data)
        file.close()
        settle(part, path)


def settle(part: Path, path: Path) -> None:
    """Flush a finished file to the disk and give it its name, in place of a file that had it.

    Args:
        part: the file as it was written, in the folder of `path`.
        path: its name from now on.

    Raises:
        OSError: if the disk is full or cannot be written.
    """
    with system.open_regular(part, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    _sync_folder(pathlib.Path(path).parent)


def remove_temporary(folder: Path, name: str | None = None) -> None:
    """Remove the half-written files that a killed process left behind in a folder.

    Args:
        folder: the folder.
        name: of the file that they were to become; by default any. No other process may write it at the time.

    Raises:
        PlasticError: if a file cannot be removed.
    """
    with system_errors(f"cannot clean up {folder}"):
        for each in system.leftovers(folder, name):
            each.unlink(missing_ok=True)


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a dict as JSON with a checksum of its content.

    Args:
        path: the file.
        record: the dict; NumPy scalars become numbers, tuples lists.

    Raises:
        PlasticError: as `write`.
    """
    record = json.loads(to_json(record))
    text = json.dumps(record | {"checksum": _json_checksum(record)}, indent=2)
    write(path, text.encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the dict that `write_json` wrote.

    Args:
        path: the file.

    Returns:
        The dict, without its checksum.

    Raises:
        PlasticError: if the file is missing, damaged or edited.
    """
    with system_errors(f"cannot read {path}"), system.open_regular(path) as file:
        system.require_memory(path, os.fstat(file.fileno()).st_size)
        data = file.read()
    try:
        record = json.loads(data)
        checksum = record.pop("checksum")
        sound = checksum == _json_checksum(record)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise PlasticError(f"{path} is damaged or was edited: its content does not fit its checksum")
    return record


def to_json(value: Any) -> str:
    """Return a value as JSON text; NumPy scalars are written as numbers.

    Example:
        >>> to_json({"rate": np.float32(0.5), "layers": (1, 2)})
        '{"rate": 0.5, "layers": [1, 2]}'
    """
    return json.dumps(value, default=_host_number)


@contextlib.contextmanager
def system_errors(what: str) -> Iterator[None]:
    """Turn an OSError of the block (full disk, read-only folder, missing file) into a PlasticError.

    Args:
        what: what failed: "cannot write results/a.png". The reason follows after a colon.

    Raises:
        PlasticError: in place of the OSError.
    """
    try:
        yield
    except OSError as error:
        raise PlasticError(f"{what}: {error.strerror or error}") from error


def _json_checksum(record: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(record, sort_keys=True).encode()):08x}"


def _host_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _sync_folder(folder: pathlib.Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder, and needs no flush of it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
