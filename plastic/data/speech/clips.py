"""The HDF5 file of a speech data set: clips of one second, read a few at a time.

It holds

    clips          int16 (N, rate), not compressed and in one piece, so that a clip is read straight from its place
    names          N strings, "yes/0a7c2a8d_nohash_0.wav"
    checksums      uint32 (N,), the CRC-32 of each clip, asked whenever the clip is read
    noise          int16, the recordings of background noise one after the other
    noise_lengths  int64, the samples of each

and, in the 512 bytes before it that HDF5 leaves to us, a checksum of everything but the clips.
"""

import dataclasses
import hashlib
import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np

from plastic.data import store
from plastic.errors import PlasticError

FORMAT = 1  # a file of another format is made again; count up when the layout above changes
_HEAD = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Clips:
    """N clips of one second in the file `path`, of which the first begins at byte `start`.

    rate: samples per second. names: N strings. checksums: uint32 (N,). noise: int16 arrays.
    """

    path: Path
    rate: int
    start: int
    names: tuple[str, ...]
    checksums: np.ndarray
    noise: tuple[np.ndarray, ...]

    def read(self, rows):
        """Return the clips with these numbers, int16 (len(rows), rate). Raises PlasticError if one is damaged."""
        out = np.empty((len(rows), self.rate), "<i2")
        try:
            with open(self.path, "rb", buffering=0) as file:
                for row, clip in zip(rows, out, strict=True):
                    file.seek(self.start + int(row) * clip.nbytes)
                    file.readinto(clip)
                    if checksum(clip) != self.checksums[row]:
                        place = f"{self.path} is damaged at {self.names[row]}"
                        raise PlasticError(f"{place}; delete it, and it is made again")
        except OSError as error:
            raise PlasticError(f"cannot read {self.path}: {error.strerror or error}") from None
        return out


def checksum(clip):
    """Return the CRC-32 of a clip."""
    return zlib.crc32(np.ascontiguousarray(clip, "<i2"))


def read(path):
    """Return the `Clips` of a file; the clips themselves are left on the disk.

    Raises ValueError that goes on from the path where the file is missing, damaged or of another format, and
    PlasticError where it cannot be read.
    """
    import h5py

    try:
        with open(path, "rb") as file:
            # Checked before HDF5 sees it: a damaged file can crash that library, and the whole process with it.
            head = file.read(_HEAD)
            places = re.search(rb"clips from byte (\d{1,15}) to (\d{1,15}) of (\d{1,15}),", head)
            start, stop, size = map(int, places.groups()) if places else (0, 0, 0)
            if not _HEAD < start <= stop <= size == os.path.getsize(path) or head != _head(file, start, stop, size):
                raise ValueError("is damaged or of another format")
            with h5py.File(file, "r") as hdf5:
                ends = np.cumsum(hdf5["noise_lengths"][()])
                return Clips(
                    path=Path(path),
                    rate=hdf5["clips"].shape[1],
                    start=start,
                    names=tuple(name.decode() for name in hdf5["names"][()]),
                    checksums=hdf5["checksums"][()],
                    noise=tuple(np.split(hdf5["noise"][()], ends)[:-1]),
                )
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError("is not there") from None
    except OSError as error:
        raise PlasticError(f"cannot read {path}: {error.strerror or error}") from None


def write(path, rate, names, checksums, noise, clips):
    """Write the file: whole, or not at all. Call it from one process at a time (`store.made_once` does).

    names: N strings of ASCII. checksums: N. noise: int16 arrays. clips: an iterable of N arrays int16 (rate,).
    Raises PlasticError where the folder cannot be written or has no room, and what the iterable raises.
    """
    part = path.with_name(f".{path.name}.part")  # a killed process may have left one, which is written over
    with store.writing(path.parent):
        try:
            _require_room(path.parent, 2 * rate * len(names) + sum(each.nbytes for each in noise))
            start = _write_all_but_clips(part, rate, names, checksums, noise)
            with open(part, "rb+") as file:
                file.seek(start)
                for _, clip in zip(names, clips, strict=True):
                    file.write(clip.astype("<i2", copy=False))
                stop, size = file.tell(), file.seek(0, os.SEEK_END)
                head = _head(file, start, stop, size)
                file.seek(0)
                file.write(head)
            store.settle(part, path)
        finally:
            part.unlink(missing_ok=True)


def _require_room(folder, needed):
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")


def _write_all_but_clips(part, rate, names, checksums, noise):
    """Write the HDF5 file with a hole for the clips, and return where that begins.

    HDF5 does not fill the hole: what takes long, or may find the disk full, is then our own writing.
    """
    import h5py

    with h5py.File(part, "w", userblock_size=_HEAD) as file:
        file["names"] = np.array(names, "S")
        file["checksums"] = np.array(checksums, np.uint32)
        file["noise"] = np.concatenate([np.empty(0, np.int16), *noise])
        file["noise_lengths"] = np.array([len(each) for each in noise], np.int64)
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        plan.set_obj_track_times(False)  # equal content gives equal bytes
        space = h5py.h5s.create_simple((len(names), rate))
        return h5py.h5d.create(file.id, b"clips", h5py.h5t.STD_I16LE, space, plan).get_offset()


def _head(file, start, stop, size):
    """Return the first 512 bytes of the file: its format, and the sha256 of what comes after but for the clips."""
    digest = hashlib.sha256()
    for begin, end in ((_HEAD, start), (stop, size)):
        file.seek(begin)
        digest.update(file.read(end - begin))
    clips = f"clips from byte {start} to {stop} of {size}"
    rest = f"sha256 of all else after byte {_HEAD}: {digest.hexdigest()}"
    return f"plastic speech data, format {FORMAT}, {clips}, {rest}\n".encode().ljust(_HEAD)
