"""What the families share of an affine map y = x W + b, over any leading axes.

Gradients are sums over rows; a rule that returns means divides the error first.
"""

from plastic import xp
from plastic.types import Array


def transposed(W: Array) -> Array:
    """Return the transpose (..., m, n) of each matrix W (..., n, m), as a view."""
    return W.swapaxes(-1, -2)


def rows(sequence: Array) -> Array:
    """Return sequences (..., T, batch, n) as rows (..., T batch, n): one product then runs over all of them."""
    *leading, T, batch, n = sequence.shape
    return sequence.reshape(*leading, T * batch, n)


def weight_gradient(x: Array, delta: Array, out: Array | None = None) -> Array:
    """Return the gradient of an error E in the weights, dE/dW = x^T delta.

    Args:
        x: inputs (..., batch, n_in).
        delta: dE/dy (..., batch, n_out).
        out: the buffer that is written into and returned.

    Returns:
        (..., n_in, n_out), the sum over the batch.
    """
    return xp.matmul(transposed(x), delta, out=out)


def bias_gradient(delta: Array, out: Array | None = None) -> Array:
    """Return the gradient of an error E in the bias, dE/db = sum over the batch of delta.

    Args:
        delta: dE/dy (..., batch, n_out).
        out: the buffer that is written into and returned.

    Returns:
        (..., 1, n_out).
    """
    return xp.sum(delta, axis=-2, keepdims=True, out=out)
