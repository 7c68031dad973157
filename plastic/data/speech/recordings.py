"""A speech data set in memory: labels, and where the waveforms are."""

import dataclasses

import numpy as np

from plastic.data.speech.clips import Clips
from plastic.data.speech.source import SILENCE


@dataclasses.dataclass(frozen=True, eq=False)
class Recordings:
    """N labelled waveforms of one second, read from the disk when asked for.

    labels: int64 (N,). clips: where the recordings are. rows: int64 (N,), the numbers of the clips, or SILENCE.
    """

    labels: np.ndarray
    rows: np.ndarray
    clips: Clips

    def __len__(self):
        return len(self.labels)

    def waves(self, indices):
        """Return the waveforms, float32 (len(indices), rate), in [-1, 1).

        Zeros follow where a recording is shorter than a second; what is longer is cut at the end. Silence is the
        constant 1e-9. Raises PlasticError where the file of the clips cannot be read or is damaged.
        """
        rows = self.rows[np.asarray(indices, np.int64)]
        recorded = rows != SILENCE
        waves = np.full((len(rows), self.clips.rate), 1e-9, np.float32)
        waves[recorded] = as_float(self.clips.read(rows[recorded]))
        return waves


@dataclasses.dataclass(frozen=True, eq=False)
class Speech:
    """A speech data set.

    rate: samples per second. classes: the names of the labels 0, 1, ... train, validation, test: `Recordings`.
    noise: recordings of background noise, float32 (n,) in [-1, 1), of a second or longer; may be empty.
    """

    name: str
    rate: int
    classes: tuple[str, ...]
    train: Recordings
    validation: Recordings
    test: Recordings
    noise: list[np.ndarray]


def as_float(samples):
    """Return samples of 16 bits as float32 in [-1, 1)."""
    return np.divide(samples, 2**15, dtype=np.float32)
