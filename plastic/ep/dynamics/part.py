"""What a step moves: all layers of a relaxation, or half of them, which do not send to each other."""

import dataclasses
from collections.abc import Callable

from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class Part:
    """Layers of some samples.

    Args:
        s: their state, (..., batch, units). r: what they send. a: what they receive. drive: the constant part of it.
        slope, g: rho' and the change of s, buffers of the dynamics.
        last: how many of the units, at the end, are the last layer.
        couple: writes what these layers receive from others into a.

    Attributes:
        top, a_top, g_top: the columns of s, a and g that are the last layer, (..., batch, n_L).
    """

    s: Array
    r: Array
    a: Array
    drive: Array
    slope: Array
    g: Array
    last: int
    couple: Callable[[], None]

    def __post_init__(self) -> None:
        first = self.s.shape[-1] - self.last
        self.top, self.a_top, self.g_top = (each[..., first:] for each in (self.s, self.a, self.g))

    def __repr__(self) -> str:
        return f"Part of {self.s.shape[-1]} units"
