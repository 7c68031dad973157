"""What makes a speech data set: where it comes from, which files of its archive count, and how they are split."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from plastic import terminal
from plastic.data import archive
from plastic.data.speech import clips, wav
from plastic.errors import PlasticError

SILENCE = -1  # in place of the number of a clip: a waveform without a recording


@dataclasses.dataclass(frozen=True, repr=False)
class Source:
    """What makes a speech data set.

    Attributes:
        name, rate, classes: as in `Speech`.
        about, licence: for people.
        megabytes: to download.
        fetch: a function of the folder for raw files that returns the path of the archive.
        pattern: what "folder/file" of a recording in the archive is like.
        noise: the folder of the archive that holds background noise; "" for none.
        split: a function (names of the clips, seed) that returns {"train", "validation", "test": (labels, clip
            numbers)}, all int64.
    """

    name: str
    about: str
    licence: str
    megabytes: int
    rate: int
    classes: tuple[str, ...]
    fetch: Callable[[Path], Path]
    pattern: re.Pattern[str]
    noise: str
    split: Callable[[Sequence[str], int], dict[str, tuple[np.ndarray, np.ndarray]]]

    @property
    def file(self) -> str:
        """The name of its HDF5 file."""
        return f"{self.name.lower()}.h5"

    def __repr__(self) -> str:
        return f"Source {self.name}, {self.about}: {len(self.classes)} classes at {self.rate:,} Hz"

    def make(self, raw: Path, path: Path) -> clips.Clips:
        """Fetch the archive and write its recordings to the HDF5 file.

        The archive is read twice: once to check all of it before anything is written, and to count.

        Args:
            raw: the folder for raw files.
            path: the HDF5 file.

        Returns:
            The clips of the file.

        Raises:
            PlasticError: if the archive cannot be had, is damaged or holds something unexpected; it names what.
        """
        place = self.fetch(raw)
        names: list[str] = []
        checksums: list[int] = []
        noise: list[np.ndarray] = []
        for name, samples in self._recordings(place, "checking"):
            if self._is_noise(name):
                noise.append(samples)
            else:
                names.append(name)
                checksums.append(clips.checksum(wav.one_second(samples, self.rate)))
        if not names:
            raise PlasticError(f"{place} holds no recordings")
        if any(len(each) < self.rate for each in noise):
            raise PlasticError(f"{place} has background noise that is shorter than a second")
        again = self._recordings(place, "writing")
        seconds = (wav.one_second(samples, self.rate) for name, samples in again if not self._is_noise(name))
        clips.write(path, self.rate, names, checksums, noise, seconds)
        return clips.read(path)

    def _is_noise(self, name: str) -> bool:
        return name.startswith(f"{self.noise}/")

    def _recordings(self, place: Path, what: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ("folder/file", samples int16) of each recording in the archive at `place`."""

        def short(path: PurePosixPath) -> str:
            return "/".join(path.parts[-2:])

        files = archive.files(place, lambda path: self.pattern.fullmatch(short(path)))
        for path, data in terminal.progress(iterable=files, desc=f"{what} {self.name}", unit=" clips"):
            yield short(path), wav.samples(data, self.rate, f"{place}: {path}")


def as_arrays(entries: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return (labels, clip numbers), both int64, of a list of such pairs.

    Example:
        >>> [each.tolist() for each in as_arrays([(0, 7), (1, 8)])]
        [[0, 1], [7, 8]]
    """
    pairs = np.array(entries, np.int64).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
