"""What the families share of an affine map y = x W + b, over any leading axes.

Gradients are sums over rows; a rule that returns means divides the error first.
"""

from plastic import xp
from plastic.types import Array


def transposed(W: Array) -> Array:
    """Return the transpose (..., m, n) of each matrix W (..., n, m), as a view."""
    return xp.swapaxes(W, -1, -2)


def rows(sequence: Array) -> Array:
    """Return sequences (..., T, batch, n) as rows (..., T batch, n): one product then runs over all of them."""
    return sequence.reshape(*sequence.shape[:-3], -1, sequence.shape[-1])


def weight_gradient(x: Array, delta: Array, out: Array | None = None) -> Array:
    """Return dE/dW = x^T delta (..., n_in, n_out), for x (..., batch, n_in) and delta = dE/dy (..., batch, n_out)."""
    return xp.matmul(transposed(x), delta, out=out)


def bias_gradient(delta: Array, out: Array | None = None) -> Array:
    """Return dE/db, the sum of delta = dE/dy (..., batch, n_out) over the batch: (..., 1, n_out)."""
    return xp.sum(delta, axis=-2, keepdims=True, out=out)
