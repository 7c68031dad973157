"""Spectrograms for training, drawn and augmented anew for each batch, and those of a whole split."""

import numpy as np

from plastic import xp
from plastic.data.speech.augmentation import augment
from plastic.data.speech.features import log_mel, standardise
from plastic.errors import PlasticError

_CHUNK = 256  # recordings read at a time


class Batches:
    """A source for `plastic.training.fit`: random batches of standardised log-mel spectrograms and their labels.

    Every class that the recordings have is equally likely, and every recording of a class; a recording may come again.
    That is sampling with replacement, weighted by the inverse of the class frequencies. Each waveform is augmented.

    recordings: `Recordings`. rate: their samples per second. n_mels: filters of the spectrogram.
    generators: one; or several for replicas, whose batches are then (replicas, batch, ...), each replica's the same as
        from a source with its generator alone.
    noise: recordings of background noise for the augmentation; none by default.
    per_epoch: batches that count as an epoch: recordings // batch_size. (The published experiment ends an epoch with
        a smaller batch of what is left over.) Since batches are independent draws, an epoch is nothing more.

    Raises PlasticError if the batch is larger than the set, and as `features.mel_filters` does.
    """

    def __init__(self, recordings, rate, batch_size, n_mels, generators, noise=()):
        if not 1 <= batch_size <= len(recordings):
            raise PlasticError(f"batch_size {batch_size} is not possible with {len(recordings)} training recordings")
        self.recordings, self.rate, self.batch_size, self.n_mels = recordings, rate, batch_size, n_mels
        self.generators, self.noise = list(generators), list(noise)
        self.per_epoch = len(recordings) // batch_size
        labels = recordings.labels
        self._by_class = np.argsort(labels, kind="stable")
        _, self._first, self._count = np.unique(labels[self._by_class], return_index=True, return_counts=True)

    def next(self):
        """Return the next batch (x, labels), arrays of the backend.

        x: (batch, frames, n_mels) in the working precision. labels: int64 (batch,). Both with the replicas first where
        there are several generators.
        """
        x, labels = zip(*map(self._draw, self.generators), strict=True)
        if len(self.generators) == 1:
            return xp.asarray(x[0]), xp.asarray(labels[0])
        return xp.asarray(np.stack(x)), xp.asarray(np.stack(labels))

    def state(self):
        """Return the generators as they are between two batches."""
        return {"generators": [generator.bit_generator.state for generator in self.generators]}

    def restore(self, state):
        """Go back to where `state` was asked for."""
        for generator, bits in zip(self.generators, state["generators"], strict=True):
            generator.bit_generator.state = bits

    def _draw(self, rng):
        chosen = self._sample(rng)
        waves = self.recordings.waves(chosen)
        augment(waves, self.rate, self.noise, rng)
        return standardise(log_mel(waves, self.rate, self.n_mels)), self.recordings.labels[chosen]

    def _sample(self, rng):
        """Return the indices of a batch of recordings: first a class each, then one of its recordings."""
        classes = rng.integers(len(self._count), size=self.batch_size)
        return self._by_class[self._first[classes] + rng.integers(self._count[classes])]


def fixed(recordings, rate, n_mels):
    """Return the standardised log-mel spectrograms of all recordings in their order, as they are, not augmented.

    (N, frames, n_mels), an array of the backend in the working precision; labels are `recordings.labels`.
    Raises PlasticError as `features.mel_filters` does.
    """
    parts = [
        standardise(log_mel(recordings.waves(range(start, min(start + _CHUNK, len(recordings)))), rate, n_mels))
        for start in range(0, len(recordings), _CHUNK)
    ]
    return xp.asarray(np.concatenate(parts))
