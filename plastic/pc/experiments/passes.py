"""Passes over a set of samples, each seed in an order of its own: a source of batches for `plastic.training.fit`."""

import numpy as np

from plastic import xp
from plastic.data.sources import generator_states, restore_generators, taken_in


class Passes:
    """Mini-batches (x, y) of all seeds, x (seeds, 1, batch, n_0) and y alike; the order is drawn anew for every pass.

    samples(number) -> (x, y) gives the samples of the pass `number` = 0, 1, ..: x (seeds, 1, n, n_0), or (1, 1, n, n_0)
    of one set for all; n is the same in every pass, and the last of its batches of batch_size may be smaller. The
    generators, one for each seed, draw the orders; `most` batches of a pass are taken, all by default.
    """

    def __init__(self, samples, batch_size, generators, most=None):
        self._samples, self.batch_size, self.generators, self._most = samples, batch_size, list(generators), most
        self.taken = 0
        self._begin(0)
        self.per_epoch = len(self._starts)

    def __repr__(self):
        return f"Passes of {self.per_epoch} batches of {self.batch_size}, {len(self.generators)} seeds"

    def next(self):
        """Return the next batch (x, y)."""
        if self.taken % self.per_epoch == 0 < self.taken:
            self._begin(self.taken // self.per_epoch)
        start = self._starts[self.taken % self.per_epoch]
        self.taken += 1
        chosen = xp.asarray(self._order[:, start : start + self.batch_size])
        seeds = xp.arange(len(self.generators))[:, None] if len(self._x) > 1 else 0
        return self._x[seeds, 0, chosen][:, None], self._y[seeds, 0, chosen][:, None]

    def state(self):
        """Return the batches taken, and the generators as they were when the pass began."""
        return {"taken": self.taken, "generators": self._at_start}

    def restore(self, state):
        """Go back to where `state` was taken."""
        restore_generators(self.generators, state["generators"])
        self.taken = taken_in(state)
        self._begin(max(0, self.taken - 1) // self.per_epoch)  # the pass of the last batch, as in `state`

    def _begin(self, number):
        self._x, self._y = self._samples(number)
        self._at_start = generator_states(self.generators)
        n = self._x.shape[-2]
        self._order = np.stack([generator.permutation(n) for generator in self.generators])
        self._starts = range(0, n, self.batch_size)[: self._most]
