"""metrics.csv: rows in long format, appended as they come, with numbers that read back exactly."""

import contextlib
import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from plastic import files
from plastic.errors import PlasticError

_LEADING = ("step", "epoch", "replica", "seed")


def append(path: Path, rows: list[dict[str, Any]]) -> None:
    """Append rows, a list of dicts column -> number, text or None, to the file `path`; see `Run.log`."""
    if not rows:
        return
    columns = _header(path)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not columns:
        given = dict.fromkeys(name for row in rows for name in row)
        columns = [name for name in _LEADING if name in given] + [name for name in given if name not in _LEADING]
        writer.writerow(columns)
    for row in rows:
        if unknown := sorted(row.keys() - set(columns)):
            raise PlasticError(f"{path} has no column {unknown}; its first rows fixed the columns {columns}")
        writer.writerow([_cell(row.get(name)) for name in columns])
    with files.system_errors(f"cannot write {path}"), open(path, "ab", buffering=0) as file:
        start = file.tell()
        data = text.getvalue().encode()
        try:
            while data:  # a disk that is nearly full takes a part, and says why at the next call
                data = data[file.write(data) :]
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(start)
            raise


def read(path: Path) -> dict[str, list[Any]]:
    """Return the file as a dict column -> list of int, float, str or None (empty cell); {} where there is none."""
    if not path.exists():
        return {}
    with files.system_errors(f"cannot read {path}"):
        text = path.read_bytes().decode()
    whole = text[: text.rfind("\n") + 1]  # a process killed while it wrote leaves a part of a line
    header, *rows = list(csv.reader(io.StringIO(whole, newline=""))) or [[]]
    return {name: [_parse(row[index]) for row in rows] for index, name in enumerate(header)}


def length(path: Path) -> int:
    """Return the number of bytes of the file, 0 where there is none, after they have reached the disk."""
    if not path.exists():
        return 0
    with files.system_errors(f"cannot write {path}"), open(path, "ab") as file:
        os.fsync(file.fileno())
        return file.tell()


def cut(path: Path, length: int) -> None:
    """Cut the file back to `length` bytes."""
    if path.exists():
        with files.system_errors(f"cannot write {path}"), open(path, "r+b") as file:
            file.truncate(length)
            os.fsync(file.fileno())


def _header(path):
    if not path.exists():
        return []
    with files.system_errors(f"cannot read {path}"), open(path, newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _cell(value):
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value)  # True and False become 1 and 0
    if isinstance(value, float):
        return repr(value)
    raise TypeError(f"a {type(value).__name__} is no cell of metrics.csv; it takes numbers, text and None")


def _parse(cell):
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(cell)
    return cell or None
