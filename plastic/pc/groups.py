"""Neighbouring layers that have one activation: what is elementwise is then one pass over all of them."""

import itertools
from typing import Any

from plastic import xp
from plastic.functions import Activation
from plastic.pc.networks import Network


def groups(net: Network) -> list[tuple[Activation, slice]]:
    """Return [(activation, columns of the hidden units side by side)], neighbours of one activation taken together.

    What is elementwise is then one pass where all layers have the same.
    """
    ends = itertools.accumulate(net.sizes[1:-1], initial=0)
    found: list[tuple[Activation, slice]] = []
    for phi, (start, end) in zip(net.phi, itertools.pairwise(ends), strict=True):
        if found and found[-1][0] is phi:
            start = found.pop()[1].start
        found.append((phi, slice(start, end)))
    return found


class Group:
    """Neighbouring layers with one activation: their columns of the arrays of a state, and f' there, q."""

    def __init__(self, state: Any, phi: Activation, columns: slice) -> None:
        self.phi, self.columns = phi, columns
        views = (state.x, state.r, state.a, state.mu, state.back, state.eps, state.delta)
        self.x, self.r, self.a, self.mu, self.back, self.eps, self.delta = (each[..., columns] for each in views)
        self.argument, self.value = (self.a, self.mu) if state.r is state.x else (self.x, self.r)
        self.q: Any = None

    def take_slopes(self) -> None:
        """Compute f', as booleans where it is 0 or 1."""
        if self.q is not None:
            self.phi.slope(self.argument, self.value, out=self.q)
            return
        q = self.phi.slope(self.argument, self.value)
        self.q = xp.empty_like(self.x, dtype=bool if getattr(q, "dtype", self.x.dtype).kind == "b" else None)
        self.q[...] = q
