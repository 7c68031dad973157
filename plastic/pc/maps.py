"""What leads from a layer of a predictive coding network to the next.

What is computed many times, from the same arrays into the same arrays, is bound to them once: `up` and `down` return
calls.
"""

import functools
from collections.abc import Callable
from typing import Any

from plastic import affine, xp
from plastic.parameters import Affine
from plastic.types import Array

Calls = list[Callable[[], Any]]
"""What is to be done, one after another."""


def perform(calls: Calls) -> None:
    """Make calls, one after another."""
    for call in calls:
        call()


class AffineMap:
    """What leads from a layer to the next: a = scale r W + b, its adjoint, and the gradient of its parameters.

    All arrays have the memory order `order`, see `xp.order`.
    """

    def __init__(self, layer: Affine, order: str = "C", scale: float = 1.0) -> None:
        W = layer.W if scale == 1 else scale * layer.W
        self.W, self.b, self.order = xp.asfortranarray(W) if order == "F" else W, layer.b, order
        self.scale = scale

    def linear(self, r: Array, out: Array) -> Calls:
        """Return the calls that write scale r W, of r (..., batch, n_in), into `out` (..., batch, n_out)."""
        return [product(r, self.W, out, self.order)]

    def up(self, r: Array, out: Array) -> Calls:
        """Return the calls that write scale r W + b, of r (..., batch, n_in), into `out` (..., batch, n_out)."""
        calls = self.linear(r, out)
        if self.b is not None:
            b = xp.zeros_in(self.order, out.shape, out.dtype)
            b += self.b  # for each sample: to add it is then one pass over memory
            calls.append(functools.partial(xp.add, out, b, out=out))
        return calls

    def down(self, delta: Array, out: Array) -> Calls:
        """Return the calls that write scale delta W^T, of delta (..., batch, n_out), into `out` (..., batch, n_in)."""
        return [product(delta, affine.transposed(self.W), out, self.order)]

    def gradient(self, r: Array, delta: Array, out: Affine) -> None:
        """Write -scale r^T delta / batch, and minus the mean of delta over the batch, into an `Affine`."""
        scale = -1 / r.shape[-2]
        affine.weight_gradient(r, delta, out=out.W)
        out.W *= scale * self.scale
        if out.b is not None:
            affine.bias_gradient(delta, out=out.b)
            out.b *= scale


def product(x: Array, W: Array, out: Array, order: str) -> Callable[[], Any]:
    """Return the call that writes x W into `out`; where the batch is innermost in memory, as (W^T x^T)^T."""
    if order == "T" and W.ndim == 2:
        return functools.partial(W.T.dot, x.T, out.T)
    return functools.partial(xp.short_sum if order == "F" else xp.matmul, x, W, out=out)
