"""The HDF5 file of a speech data set: clips of one second, read a few at a time.

It holds

    clips          int16 (N, rate), not compressed and in one piece, so that a clip is read straight from its place
    names          N strings, "yes/0a7c2a8d_nohash_0.wav"
    checksums      uint32 (N,), the CRC-32 of each clip, checked whenever the clip is read
    noise          int16, the recordings of background noise one after the other
    noise_lengths  int64, the samples of each

and the attributes `format` and `rate`. It is sealed but for the clips, see `plastic.files`.
"""

import dataclasses
import shutil
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from plastic import files, system
from plastic.data import store
from plastic.errors import PlasticError

FORMAT = 2  # a file of another format is made again; count up when the layout above changes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Clips:
    """Clips of one second in a file, which are read when they are asked for.

    Attributes:
        path: the file.
        rate: samples per second.
        start: the byte of the file where the first clip begins.
        names: what the N clips are called, "yes/0a7c2a8d_nohash_0.wav".
        checksums: uint32 (N,), see `checksum`.
        noise: recordings of background noise, int16.
    """

    path: Path
    rate: int
    start: int
    names: tuple[str, ...]
    checksums: np.ndarray
    noise: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        return f"Clips of {self.path.name}: {len(self.names):,} at {self.rate:,} Hz"

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some of the clips.

        Args:
            rows: their numbers, from 0 to N - 1.

        Returns:
            int16 (len(rows), rate).

        Raises:
            PlasticError: if one is damaged, or the file cannot be read.
        """
        out = np.empty((len(rows), self.rate), "<i2")
        with files.system_errors(f"cannot read {self.path}"), system.open_regular(self.path, buffering=0) as file:
            for row, clip in zip(rows, out, strict=True):
                file.seek(self.start + int(row) * clip.nbytes)
                file.readinto(clip.data)
                if checksum(clip) != self.checksums[row]:
                    place = f"{self.path} is damaged at {self.names[row]}"
                    raise PlasticError(f"{place}; delete it, and it is made again")
        return out


def checksum(clip: np.ndarray) -> int:
    """Return the CRC-32 of a clip, int16 (rate,)."""
    return zlib.crc32(np.ascontiguousarray(clip, "<i2").data)


def read(path: Path) -> Clips:
    """Return the clips of a file; they stay on the disk.

    Args:
        path: the file.

    Returns:
        The `Clips`.

    Raises:
        UnusableError: if the file is missing, damaged or of another format.
        PlasticError: if it cannot be read.
    """
    arrays, attributes, start = files.read_around(path)
    store.require_format(path, attributes.get("format"), FORMAT)
    try:
        found = Clips(
            path=Path(path),
            rate=int(attributes["rate"]),
            start=start,
            names=tuple(name.decode() for name in arrays["names"]),
            checksums=arrays["checksums"],
            noise=tuple(np.split(arrays["noise"], np.cumsum(arrays["noise_lengths"]))[:-1]),
        )
        sound = _is_sound(found, arrays)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError):
        sound = False
    if not sound:
        raise files.UnusableError(path, "does not hold clips as this version lays them out")
    return found


def _is_sound(found: Clips, arrays: dict[str, np.ndarray]) -> bool:
    lengths, types = arrays["noise_lengths"], (found.checksums.dtype, arrays["noise"].dtype)
    return (
        found.rate > 0
        and 2 * found.rate * len(found.names) <= found.path.stat().st_size
        and found.checksums.shape == (len(found.names),)
        and types == (np.uint32, np.int16)
        and (lengths.min(initial=0), lengths.sum()) == (0, len(arrays["noise"]))
    )


def write(
    path: Path,
    rate: int,
    names: Sequence[str],
    checksums: Sequence[int],
    noise: Sequence[np.ndarray],
    clips: Iterable[np.ndarray],
) -> None:
    """Write the file: whole, or not at all. Call it from one process at a time (`store.made_once` does).

    Args:
        path: the file.
        rate: samples per second.
        names: N strings of ASCII.
        checksums: of the N clips.
        noise: recordings of background noise, int16.
        clips: N arrays, int16 (rate,); they are taken one by one and written at once.

    Raises:
        PlasticError: if the folder cannot be written or has no room; and what `clips` raises.
    """
    with store.writing(path.parent):
        _require_room(path.parent, 2 * rate * len(names) + sum(each.nbytes for each in noise))
    arrays = {
        "names": np.array(names, "S"),
        "checksums": np.array(checksums, np.uint32),
        "noise": np.concatenate([np.empty(0, np.int16), *noise]),
        "noise_lengths": np.array([len(each) for each in noise], np.int64),
    }
    files.stream_hdf5(path, arrays, "clips", (len(names), rate), clips, format=FORMAT, rate=rate)


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")
