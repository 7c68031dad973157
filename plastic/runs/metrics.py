"""metrics.csv: rows in long format, appended as they come, with numbers that read back exactly.

A checkpoint holds the `Mark` of the rows that were there when it was saved: their bytes and checksum. Whoever goes on
from it knows by that whether the file is still what it was.
"""

import contextlib
import csv
import io
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plastic import files, system
from plastic.errors import PlasticError

_LEADING = ("step", "epoch", "replica", "seed")
_PIECE = 1 << 20  # bytes read at a time


class Mark(NamedTuple):
    """A place in the file: the bytes before it, and their CRC-32."""

    length: int = 0
    checksum: int = 0


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
    with files.system_errors(f"cannot write {path}"), _opened(path, "ab") as file:
        start = file.tell()
        data = text.getvalue().encode()
        try:
            while data:  # a disk that is nearly full takes a part, and says why at the next call
                data = data[file.write(data) :]
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(start)
            raise


def read(path: Path, length: int | None = None) -> dict[str, list[Any]]:
    """Return the file as a dict column -> list of int, float, str or None (empty cell); {} where there is none.

    length: how many of its bytes are read, all by default. Raises PlasticError where it is not what `append` writes.
    """
    if not os.path.lexists(path):
        return {}
    with files.system_errors(f"cannot read {path}"), _opened(path, "rb") as file:
        system.require_memory(path, os.fstat(file.fileno()).st_size)
        data = file.read(-1 if length is None else length)
    whole = data[: data.rfind(b"\n") + 1]  # a process killed while it wrote leaves a part of a line
    try:
        header, *rows = list(csv.reader(io.StringIO(whole.decode(), newline=""), strict=True)) or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from None
    if len(set(header)) < len(header) or "" in header or (rows and not header):
        raise _damaged(path, f"its columns are {header}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise _damaged(path, f"row {number} has {len(row)} cells, and there are {len(header)} columns")
    found = {name: [_parse(row[index]) for row in rows] for index, name in enumerate(header)}
    for name in _LEADING:
        if texts := [cell for cell in found.get(name, []) if isinstance(cell, str)]:
            raise _damaged(path, f"{name} is {texts[0]!r}, which is no number")
    return found


def mark(path: Path, known: Mark) -> Mark:
    """Return the mark of the end of the file, after its bytes have reached the disk; `Mark()` where there is no file.

    known: an earlier mark; what stands before it is not read again.
    """
    if not os.path.lexists(path):
        return Mark()
    with files.system_errors(f"cannot write {path}"), _opened(path, "rb+") as file:
        os.fsync(file.fileno())
        length = file.seek(0, os.SEEK_END)
        return _advance(file, known if known.length <= length else Mark(), length)


def require(path: Path, marks: list[Mark]) -> None:
    """Raise PlasticError unless the file begins with what it held at each of the marks; it is read once."""
    ordered = sorted(marks, key=lambda each: each.length)
    if not ordered or ordered[-1].length == 0:
        return
    last = ordered[-1].length
    if not os.path.lexists(path):
        raise _damaged(path, f"it is not there, and {last} bytes of it were")
    with files.system_errors(f"cannot read {path}"), _opened(path, "rb") as file:
        if file.seek(0, os.SEEK_END) < last:
            raise _damaged(path, f"it is shorter than the {last} bytes it had when the run was saved")
        found = Mark()
        for each in ordered:
            found = _advance(file, found, each.length)
            if each.checksum != found.checksum:
                raise _damaged(path, "it was edited: it does not begin with the rows it had when the run was saved")


def require_writable(path: Path) -> None:
    """Raise PlasticError where the file is there and cannot be written."""
    if os.path.lexists(path):
        with files.system_errors(f"cannot write {path}"):
            _opened(path, "rb+").close()


def cut(path: Path, length: int) -> None:
    """Cut the file back to `length` bytes."""
    if os.path.lexists(path):
        with files.system_errors(f"cannot write {path}"), _opened(path, "rb+") as file:
            file.truncate(length)
            os.fsync(file.fileno())


def _opened(path, mode):
    return system.open_regular(path, mode, buffering=0)


def _advance(file, mark, length):
    """Return the mark at `length` bytes, from an earlier one on."""
    file.seek(mark.length)
    left, checksum = length - mark.length, mark.checksum
    while left and (piece := file.read(min(_PIECE, left))):
        checksum = zlib.crc32(piece, checksum)
        left -= len(piece)
    return Mark(length - left, checksum)


def _damaged(path, reason):
    return PlasticError(f"{path} is damaged: {reason}")


def _header(path):
    if not os.path.lexists(path):
        return []
    with (
        files.system_errors(f"cannot read {path}"),
        system.open_regular(path, "r", newline="", encoding="utf-8") as file,
    ):
        try:
            return next(csv.reader(file, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise _damaged(path, str(error)) from None


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
