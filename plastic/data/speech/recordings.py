"""A speech data set in memory: labels, and where the waveforms are."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from plastic.data.speech.clips import Clips
from plastic.data.speech.source import SILENCE
from plastic.errors import PlasticError


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Recordings:
    """Labelled waveforms of one second, read from the disk when asked for.

    Attributes:
        labels: int64 (N,).
        rows: int64 (N,), the numbers of the clips, or SILENCE.
        clips: where the recordings are.
    """

    labels: np.ndarray
    rows: np.ndarray
    clips: Clips

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Recordings: {len(self):,} of {self.clips.path.name}, {len(np.unique(self.labels))} classes"

    def waves(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some of the waveforms.

        Zeros follow where a recording is shorter than a second; what is longer is cut at the end. Silence is the
        constant 1e-9.

        Args:
            indices: which, from 0 to N - 1.

        Returns:
            float32 (len(indices), rate), in [-1, 1).

        Raises:
            PlasticError: if an index is out of range, or the file of the clips cannot be read or is damaged.
        """
        chosen = np.asarray(indices, np.int64)
        if chosen.ndim != 1 or (chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self)):
            raise PlasticError(f"indices must be whole numbers (n,) from 0 to {len(self) - 1}")
        rows = self.rows[chosen]
        recorded = rows != SILENCE
        waves = np.full((len(rows), self.clips.rate), 1e-9, np.float32)
        waves[recorded] = as_float(self.clips.read(rows[recorded]))
        return waves


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Speech:
    """A speech data set.

    Attributes:
        name: what it is called.
        rate: samples per second.
        classes: the names of the labels 0, 1, ...
        train, validation, test: `Recordings`.
        noise: recordings of background noise, float32 (n,) in [-1, 1), of a second or longer; may be empty.
    """

    name: str
    rate: int
    classes: tuple[str, ...]
    train: Recordings
    validation: Recordings
    test: Recordings
    noise: list[np.ndarray]

    def __repr__(self) -> str:
        counts = f"{len(self.train):,} training, {len(self.validation):,} validation, {len(self.test):,} test"
        return f"Speech {self.name}: {counts} recordings at {self.rate:,} Hz, {len(self.classes)} classes"


def as_float(samples: np.ndarray) -> np.ndarray:
    """Return samples of 16 bits as float32 in [-1, 1).

    Example:
        >>> as_float(np.array([-(2**15), 2**14], np.int16)).tolist()
        [-1.0, 0.5]
    """
    return np.divide(samples, 2**15, dtype=np.float32)
