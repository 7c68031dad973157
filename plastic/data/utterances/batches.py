"""Batches of utterances: shuffled anew each epoch, for training; in order, to be measured."""

from collections.abc import Iterator

import numpy as np

from plastic import require
from plastic.data.sources import Epochs
from plastic.data.utterances.sets import Batch, Utterances
from plastic.errors import PlasticError


class Shuffled(Epochs):
    """A source for `plastic.training.fit`: every utterance once in an epoch, in batches of `size` or one more.

    Args:
        utterances: the `Utterances`.
        size: utterances of a batch; where they do not divide, some batches have one more or a few more.
        generator: of the order, and of the windows.
        window: frames of a batch, from a random place of it; None is all.

    Raises:
        PlasticError: if there are fewer utterances than `size`, or a number is not a whole one from 1 on.

    Source: the batches of the published code for speech of Bellec, Scherr et al. 2020.
    """

    def __init__(
        self, utterances: Utterances, size: int, generator: np.random.Generator, window: int | None = None
    ) -> None:
        require.whole("size", size)
        if window is not None:
            require.whole("window", window)
        if size > len(utterances):
            raise PlasticError(f"a batch of {size} is not possible with {len(utterances)} training utterances")
        self.utterances, self.size, self.generators, self.window = utterances, size, [generator], window
        self.per_epoch = len(utterances) // size
        self._begin_epoch()

    def __repr__(self) -> str:
        window = "" if self.window is None else f", windows of {self.window} frames"
        return f"Shuffled batches of {self.size} of {len(self.utterances)} utterances{window}"

    def next(self) -> Batch:
        """Return the next batch."""
        position = self._advance()
        batch = self.utterances.batch(self._parts[position])
        if self.window is None:
            return batch
        start = int(self._places[position] * max(1, len(batch.x) - self.window + 1))
        return batch.window(start, self.window)

    def _draw(self) -> None:
        [generator] = self.generators
        self._parts = np.array_split(generator.permutation(len(self.utterances)), self.per_epoch)
        self._places = generator.random(self.per_epoch)


def in_order(utterances: Utterances, size: int) -> Iterator[Batch]:
    """Yield the utterances in their order, so many at a time; the last batch may be smaller.

    Args:
        utterances: the `Utterances`.
        size: utterances of a batch.

    Yields:
        `Batch` after `Batch`.
    """
    for start in range(0, len(utterances), size):
        yield utterances.batch(np.arange(start, min(start + size, len(utterances))))
