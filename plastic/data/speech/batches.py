"""Features for training, drawn and augmented anew for each batch, and those of a whole split."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.data.sources import generator_states, restore_generators, taken_in
from plastic.data.speech.augmentation import augment
from plastic.data.speech.features import seen
from plastic.data.speech.recordings import Recordings
from plastic.errors import PlasticError
from plastic.types import Array

_CHUNK = 256  # recordings read at a time


class Batches:
    """A source for `plastic.training.fit`: random batches of standardised features, and their labels.

    Every class that the recordings have is equally likely, and every recording of a class; a recording may come again.
    That is sampling with replacement, weighted by the inverse of the class frequencies. Each waveform is augmented.

    Args:
        recordings: `Recordings`.
        rate: their samples per second.
        batch_size: samples of a batch.
        n_mels: filters of the spectrogram.
        generators: one; or several for replicas, whose batches are then (replicas, batch, ...), each replica's the same
            as from a source with its generator alone.
        noise: recordings of background noise for the augmentation; none by default.
        kind: of the features, "mel" (log-mel spectrograms) or "mfcc".

    Attributes:
        per_epoch: batches that count as an epoch: recordings // batch_size. (The published experiment ends an epoch
            with a smaller batch of what is left over.) Since batches are independent draws, an epoch is nothing more.

    Raises:
        PlasticError: if the batch is larger than the set; and as `features.mel_filters`.
    """

    def __init__(
        self,
        recordings: Recordings,
        rate: int,
        batch_size: int,
        n_mels: int,
        generators: Iterable[np.random.Generator],
        noise: Iterable[np.ndarray] = (),
        kind: str = "mel",
    ) -> None:
        require.whole("batch_size", batch_size)
        if batch_size > len(recordings):
            raise PlasticError(f"batch_size {batch_size} is not possible with {len(recordings)} training recordings")
        self.recordings, self.rate, self.batch_size, self.n_mels = recordings, rate, batch_size, n_mels
        self.generators, self.noise, self.kind = list(generators), list(noise), kind
        self.per_epoch, self.taken = len(recordings) // batch_size, 0
        self._balanced = Balanced(recordings.labels)

    def __repr__(self) -> str:
        replicas = f"{len(self.generators)} replicas of " if len(self.generators) > 1 else ""
        drawn = f"{replicas}{self.batch_size} out of {len(self.recordings):,} recordings"
        return f"Batches of {drawn}, {self.n_mels} mel filters"

    def next(self) -> tuple[Array, Array]:
        """Return the next batch, arrays of the backend.

        Returns:
            (x, labels): features (batch, frames, n_mels) in the working precision and int64 (batch,), both with the
            replicas first where there are several generators.
        """
        self.taken += 1
        x, labels = zip(*map(self._draw, self.generators), strict=True)
        if len(self.generators) == 1:
            return xp.asarray(x[0]), xp.asarray(labels[0])
        return xp.asarray(np.stack(x)), xp.asarray(np.stack(labels))

    def state(self) -> dict[str, Any]:
        """Return the batches taken, and the generators as they are between two of them."""
        return {"taken": self.taken, "generators": generator_states(self.generators)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was asked for."""
        self.taken = taken_in(state)
        restore_generators(self.generators, state["generators"])

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._balanced.draw(rng, self.batch_size)
        waves = self.recordings.waves(chosen)
        augment(waves, self.rate, self.noise, rng)
        return seen(waves, self.rate, self.n_mels, self.kind), self.recordings.labels[chosen]


class Balanced:
    """Draws of samples with replacement in which every class is equally likely.

    Args:
        labels: of the samples, whole numbers (N,); a class that none of them has is never drawn.

    Example:
        >>> Balanced(np.array([0, 1, 1, 1])).draw(np.random.default_rng(0), 3).shape
        (3,)
    """

    def __init__(self, labels: np.ndarray) -> None:
        self._by_class = np.argsort(labels, kind="stable")
        _, self._first, self._count = np.unique(labels[self._by_class], return_index=True, return_counts=True)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return the indices of `count` samples: first a class each, then one of its samples."""
        classes = rng.integers(len(self._count), size=count)
        return self._by_class[self._first[classes] + rng.integers(self._count[classes])]


def fixed(recordings: Recordings, rate: int, n_mels: int, kind: str = "mel") -> Array:
    """Return the standardised features of all recordings in their order, as they are, not augmented.

    Args:
        recordings: `Recordings`, whose labels are `recordings.labels`.
        rate: their samples per second.
        n_mels: filters of the spectrogram.
        kind: of the features, "mel" (log-mel spectrograms) or "mfcc".

    Returns:
        (N, frames, n_mels), an array of the backend in the working precision.

    Raises:
        PlasticError: as `features.mel_filters`.
    """
    parts = [
        seen(recordings.waves(range(start, min(start + _CHUNK, len(recordings)))), rate, n_mels, kind)
        for start in range(0, len(recordings), _CHUNK)
    ]
    return xp.asarray(np.concatenate(parts))
