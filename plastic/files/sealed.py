"""HDF5 sealed by a checksum: a damaged file never reaches the library, a crafted one reads nothing else."""

import contextlib
import io
import os
import pathlib
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np

from plastic import interruption, system, xp
from plastic.errors import PlasticError
from plastic.files.whole import settle, system_errors, write
from plastic.system import Path
from plastic.types import Array

_SEAL_SIZE = 512  # the smallest user block of the HDF5 format
_PIECE = 1 << 20  # bytes read at a time
_BEGINNING = f"plastic: HDF5 after {_SEAL_SIZE} bytes, "
_HOLE = re.compile(_BEGINNING.encode() + rb"but for bytes (\d{1,15}) to (\d{1,15}) of (\d{1,15}), crc32 ")
_UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)  # of h5py


class UnusableError(PlasticError):
    """A sealed file is missing or damaged, or was not written by this module: it cannot be used.

    Args:
        path: the file.
        reason: what is wrong with it, as the rest of a sentence about the path: "is not there".
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{os.fspath(path)} {reason}")


def write_hdf5(path: Path, arrays: dict[str, Array], **attributes: Any) -> None:
    """Write arrays as a sealed HDF5 file. Equal content gives equal bytes.

    Args:
        path: the file.
        arrays: {"layers/0/W": host or device array}, the datasets.
        attributes: numbers and texts, the attributes of the root.

    Raises:
        PlasticError: as `write`.
    """
    image = io.BytesIO()  # in memory: a full disk then meets our own writing, not the HDF5 library's
    _fill(image, arrays, attributes)
    _write_seal(image)
    write(path, image.getvalue())


def read_hdf5(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what `write_hdf5` wrote.

    Args:
        path: the file.

    Returns:
        (arrays, attributes), both by name.

    Raises:
        UnusableError: if the file is missing or damaged, or holds what this module does not write.
        PlasticError: if it cannot be read.
    """
    with _opened(path) as file:
        system.require_memory(path, os.fstat(file.fileno()).st_size)
        image = io.BytesIO(file.read())
    _require_seal(image, path)
    return _content(image, path)


def stream_hdf5(
    path: Path, arrays: dict[str, Array], name: str, shape: tuple[int, int], rows: Iterable[Array], **attributes: Any
) -> None:
    """Write a sealed HDF5 file with one more dataset, int16, that takes its rows one by one, straight to the disk.

    The dataset lies in the file in one piece and is not compressed: row i begins at byte `start` + 2 i n, with the
    `start` that `read_around` returns. Equal content gives equal bytes.

    Args:
        path: the file. One process at a time may write it: what a killed one left behind is removed.
        arrays: {name: host or device array}, the other datasets.
        name: the name of the streamed dataset.
        shape: its shape (N, n).
        rows: N arrays (n,) of whole numbers of 16 bits.
        attributes: numbers and texts, the attributes of the root.

    Raises:
        PlasticError: if the folder is full or cannot be written; the old file is then untouched, as it is where `rows`
            raises something.
    """
    path = pathlib.Path(path)
    with system_errors(f"cannot write {path}"):
        for former in system.leftovers(path.parent, path.name):
            former.unlink(missing_ok=True)
        with system.temporary(path) as (part, file):
            start = _fill(part, arrays, attributes, name, shape)
            file.seek(start)
            for row in rows:
                file.write(np.ascontiguousarray(row, "<i2").data)
            if file.tell() != start + 2 * shape[0] * shape[1]:
                raise ValueError(f"the rows of {name} do not fill the shape {shape}")
            _write_seal(file, start, file.tell())
            file.close()
            settle(part, path)


def read_around(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], int]:
    """Return what `stream_hdf5` wrote, but for the streamed dataset, which stays on the disk.

    Args:
        path: the file.

    Returns:
        (arrays, attributes, start): two dicts by name, and the byte of the file where the streamed dataset begins.

    Raises:
        UnusableError: if the file is missing or damaged, or holds what this module does not write.
        PlasticError: if it cannot be read.
    """
    with _opened(path) as file:
        start = _require_seal(file, path)
        return *_content(file, path, but_at=start), start


def _fill(
    file: Any, arrays: dict[str, Array], attributes: dict[str, Any], name: str = "", shape: tuple[int, int] = (0, 0)
) -> int:
    """Write all but the seal, and all but the values of the streamed dataset; return where these begin."""
    import h5py

    with interruption.deferred(), h5py.File(file, "w", userblock_size=_SEAL_SIZE) as hdf5:
        for path, array in sorted(arrays.items()):  # their order in a dict is no content
            # not compressed: weights are noise to a compressor, and a checkpoint must not hold up the training
            hdf5[path] = array if isinstance(array, np.ndarray) else xp.asnumpy(array)
        hdf5.attrs.update(sorted(attributes.items()))
        if not name:
            return _SEAL_SIZE
        # HDF5 does not fill this one: what takes long, or may find the disk full, is then our own writing.
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        plan.set_obj_track_times(False)  # equal content gives equal bytes, whatever the time
        space = h5py.h5s.create_simple(shape)
        return h5py.h5d.create(hdf5.id, name.encode(), h5py.h5t.STD_I16LE, space, plan).get_offset()


def _content(file: IO[bytes], path: Path, but_at: int | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and attributes of a file whose seal is sound; not the dataset that begins at a byte."""
    import h5py

    size = file.seek(0, os.SEEK_END)
    try:
        with interruption.deferred(), h5py.File(file, "r") as hdf5:  # h5py may not hand on what a signal raises
            datasets = _datasets(hdf5, size)
            attributes = {name: _attribute(hdf5, name) for name in hdf5.attrs}
            return {
                name: np.asarray(item[()])
                for name, item in datasets.items()
                if but_at is None or item.id.get_offset() != but_at
            }, attributes
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk
        reason = str(error) or type(error).__name__
        raise UnusableError(path, f"is refused, since plastic wrote no such file: {reason}") from None


def _datasets(hdf5: Any, size: int) -> dict[str, Any]:
    """Return the datasets of a file by name, none of them read. Raises ValueError where one is not as we write them."""
    import h5py

    links: dict[bytes, int] = {}
    hdf5.id.links.visit(lambda name, info: links.__setitem__(name, info.type), info=True)  # it follows none
    for link, kind in links.items():
        if kind != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{link.decode(errors='backslashreplace')} is a link")
    items: dict[str, Any] = {}
    hdf5.visititems(items.__setitem__)
    if len(items) != len(links):
        raise ValueError("it holds an object under two names")
    datasets = {name: item for name, item in items.items() if not isinstance(item, h5py.Group)}
    for name, item in datasets.items():
        if fault := _foreign(item):
            raise ValueError(f"{name} {fault}")
        size -= item.nbytes
    if size < 0:
        raise ValueError("its datasets are larger than the file")
    return datasets


def _foreign(item: Any) -> str:
    """Return what a dataset has that those we write have not, "" if nothing: its values may lie in other files."""
    import h5py

    if not isinstance(item, h5py.Dataset):
        return "is no dataset"
    plan = item.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        return "lies in another file"
    if item.dtype.kind not in "biufS" or item.shape is None:
        return f"holds {item.dtype}, neither numbers nor text of fixed length"
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or item.id.get_storage_size() != item.nbytes:
        return "is not stored in one piece"
    return ""


def _attribute(hdf5: Any, name: str) -> Any:
    import h5py

    kind, shape = hdf5.attrs.get_id(name).dtype, hdf5.attrs.get_id(name).shape
    if shape != () or (kind.kind not in "biuf" and h5py.check_string_dtype(kind) is None):
        raise ValueError(f"the attribute {name} is neither a number nor a text")
    return hdf5.attrs[name]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with system_errors(f"cannot read {path}"):
        try:
            file = system.open_regular(path, buffering=0)  # all of it is then read in one piece, without a copy
        except (FileNotFoundError, NotADirectoryError):
            raise UnusableError(path, "is not there") from None
        with file:
            if not file.read(_SEAL_SIZE).startswith(_BEGINNING.encode()):
                raise _unsealed(path, file)
            file.seek(0)
            yield file


def _write_seal(file: IO[bytes], start: int = 0, stop: int = 0) -> None:
    seal = _seal(file, start, stop)
    file.seek(0)
    file.write(seal)


def _require_seal(file: IO[bytes], path: Path) -> int:
    """Return where the streamed dataset begins, 0 where there is none. Raises UnusableError for a damaged file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    seal = file.read(_SEAL_SIZE)
    hole = _HOLE.match(seal)
    start, stop, whole = map(int, hole.groups()) if hole else (0, 0, size)
    if (
        whole != size
        or not (start == stop == 0 or _SEAL_SIZE < start <= stop <= size)
        or seal != _seal(file, start, stop)
    ):
        raise _unsealed(path, file)
    return start


def _unsealed(path: Path, file: IO[bytes]) -> UnusableError:
    size = file.seek(0, os.SEEK_END)
    return UnusableError(
        path, f"is damaged or of another format: its content ({size:,} bytes) does not fit its checksum"
    )


def _seal(file: IO[bytes], start: int, stop: int) -> bytes:
    """Return the seal of a file: the CRC-32 of what comes after it, but for the bytes from `start` to `stop`."""
    size = file.seek(0, os.SEEK_END)
    checksum = 0
    for begin, end in ((_SEAL_SIZE, start), (stop, size)) if start else ((_SEAL_SIZE, size),):
        file.seek(begin)
        while begin < end and (piece := file.read(min(_PIECE, end - begin))):
            checksum = zlib.crc32(piece, checksum)
            begin += len(piece)
    hole = f"but for bytes {start} to {stop} of {size}, " if start else ""
    return f"{_BEGINNING}{hole}crc32 {checksum:08x}\n".encode().ljust(_SEAL_SIZE, b"\0")
