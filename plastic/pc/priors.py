"""Priors on the states of a predictive coding network: terms of the energy that see one layer each.

    F = sum over l of |eps_l|^2 / 2 + sum over l of E_l(x_l)

so that the states inferred are the likeliest ones where exp(-E_l) is what is known of x_l beforehand. A prior is any
function x -> (E, dE/dx), E a sum over units and batch, of the replica shape; two lines make one of your own:

    def cauchy(x):  # -log of 1 / (1 + x^2), up to a constant: sparse, and smooth
        return xp.sum(xp.log1p(x * x), axis=(-2, -1)), 2 * x / (1 + x * x)

One that has a kink may offer `prox(x, gamma)` too, the point of least E(z) + |z - x|^2 / (2 gamma); inference then goes
down the rest of the energy, and x <- prox(x, gamma) after each step. (Where an optimizer moves the states, and in
`plastic.pc.langevin`, the way is that of dE/dx.)
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

from plastic import require, xp
from plastic.types import Array

Prior: TypeAlias = Callable[[Array], tuple[Any, Array]]
"""prior(x) -> (E, dE/dx): of states (..., batch, n) their energy, a sum over units and batch, and its gradient."""


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """States that are normal around a mean.

        E(x) = weight |x - mean|^2 / 2,    dE/dx = weight (x - mean)

    Args:
        weight: one over their variance, above 0; a number, or an array (..., 1, 1) with one for each replica.
        mean: a number, or an array that broadcasts to (..., batch, n).

    Raises:
        PlasticError: if the weight is not above 0, or the mean is not finite.

    Example:
        >>> E, slope = Gaussian(2.0)(xp.asarray([[1.0, -3.0]]))
        >>> float(E), slope.tolist()
        (10.0, [[2.0, -6.0]])
    """

    weight: Any
    mean: Any = 0.0

    def __post_init__(self) -> None:
        require.number("weight", self.weight, above=0)
        require.number("mean", self.mean)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return (E, dE/dx) for states (..., batch, n)."""
        slope = self.weight * (x - self.mean)
        return 0.5 * _sum(slope * (x - self.mean)), slope


@dataclasses.dataclass(frozen=True)
class Laplace:
    """States of which most are exactly 0: sparse coding.

        E(x) = weight sum |x|,    dE/dx = weight sign(x),    prox(x, gamma) = sign(x) max(|x| - gamma weight, 0)

    Args:
        weight: above 0; a number, or an array (..., 1, 1) with one for each replica.

    Raises:
        PlasticError: if the weight is not above 0.

    Source: Olshausen and Field 1996 have such priors; the step by prox is that of Daubechies, Defrise and De Mol 2004.

    Example:
        >>> Laplace(2.0).prox(xp.asarray([[1.0, -3.0]]), 0.75).tolist()
        [[0.0, -1.5]]
    """

    weight: Any

    def __post_init__(self) -> None:
        require.number("weight", self.weight, above=0)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return (E, dE/dx) for states (..., batch, n); dE/dx is 0 where x is."""
        slope = self.weight * xp.sign(x)
        return _sum(slope * x), slope

    def prox(self, x: Array, gamma: Any) -> Array:
        """Return where a step of the prior alone leads, implicit and of the rate gamma: towards 0, and no further."""
        return xp.sign(x) * xp.maximum(xp.abs(x) - gamma * self.weight, 0)


def _sum(each: Array) -> Array:
    return xp.sum(each, axis=(-2, -1))
