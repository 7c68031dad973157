"""Surrogate derivatives psi = dz/dv of spikes, by name, as NEST defines them.

With the distance d = v - A to the threshold A, the baseline theta, the height gamma and the sharpness s, which NEST
calls beta:

    piecewise_linear   (gamma / theta) max(0, 1 - s |d| / theta)     the published one, with s = 1
    exponential        gamma exp(-s |d|)
    fast_sigmoid       gamma / (1 + s |d|)^2
    arctan             (gamma / pi) / (1 + (pi s d)^2)

`relative` neurons (LightALIF) have A in place of theta in the first.
"""

import math
from typing import Any

from plastic import xp
from plastic.types import Array


def piecewise_linear(distance: Array, theta: Any, gamma: Any, sharpness: Any) -> Array:
    """Return (gamma / theta) max(0, 1 - sharpness |distance| / theta); all are arrays that broadcast, or numbers."""
    psi = 1 - xp.abs(distance) * (sharpness / theta)
    return xp.maximum(psi, xp.zeros_like(psi)) * (gamma / theta)


def exponential(distance: Array, theta: Any, gamma: Any, sharpness: Any) -> Array:
    """Return gamma exp(-sharpness |distance|); `theta` has no effect."""
    return gamma * xp.exp(-sharpness * xp.abs(distance))


def fast_sigmoid(distance: Array, theta: Any, gamma: Any, sharpness: Any) -> Array:
    """Return gamma / (1 + sharpness |distance|)^2; `theta` has no effect."""
    root = 1 + sharpness * xp.abs(distance)
    return gamma / (root * root)


def arctan(distance: Array, theta: Any, gamma: Any, sharpness: Any) -> Array:
    """Return (gamma / pi) / (1 + (pi sharpness distance)^2); `theta` has no effect."""
    angle = (math.pi * sharpness) * distance
    return gamma / math.pi / (1 + angle * angle)


SURROGATES = {
    "piecewise_linear": piecewise_linear,
    "exponential": exponential,
    "fast_sigmoid": fast_sigmoid,
    "arctan": arctan,
}
"""The surrogate derivatives by name: functions of (v - A, theta, gamma, sharpness)."""
