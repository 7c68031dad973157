"""What the walk of tests/test_face.py has to be told of a network: how it is made, a batch for it, its rules."""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of a family.

    family: the package. network: its name in NETWORKS. sizes: what the constructor takes first. constants: by keyword.
    positional: what the constructor takes before the sizes, usually nothing: the channels of convolutions.
    rules: {name in RULES: constants of a call, or a function of the net that gives them}; all that fit this network.
    predict: constants of `predict`.
    batch: batch(rng, lead) -> host arrays (x, y), floats, x (*lead, [T,] B, n_0) with B >= 3, y as the rules take it.
    outputs: the number of units of the output layer. time: whether x has an axis of time.
    spikes: whether x may be boolean. replicas: whether the network may have replica axes.
    labels: whether y holds labels, as a loss of the family wants them, rather than rows.
    few: whether y may have fewer columns than the output layer.
    misuse: {what: function of (net, x, y) that must be refused}.
    steps: {name in STEPS: function of (net, x, y) that makes a state, steps once, and returns (grads, output)}.
    tolerance: relative, of one replica beside others against the same alone, in float64.
    """

    family: types.ModuleType
    network: str
    sizes: tuple[int, ...]
    batch: Callable[..., tuple[np.ndarray, np.ndarray]]
    rules: dict[str, Any]
    outputs: int
    constants: dict[str, Any] = dataclasses.field(default_factory=dict)
    predict: dict[str, Any] = dataclasses.field(default_factory=dict)
    misuse: dict[str, Callable] = dataclasses.field(default_factory=dict)
    steps: dict[str, Callable] = dataclasses.field(default_factory=dict)
    positional: tuple = ()
    time: bool = False
    spikes: bool = False
    replicas: bool = True
    labels: bool = False
    few: bool = False
    tolerance: float = 1e-9

    def __str__(self):
        return f"{self.family.__name__.removeprefix('plastic.')}-{self.network}"

    def make(self, generator):
        """Return a network."""
        return self.family.NETWORKS[self.network](*self.positional, self.sizes, generator, **self.constants)
