"""The soft orthogonality of Ahmad et al. 2020, and its gradient.

With R = W W^T, whose entry R_ij is the product of the weight vectors that leave the input units i and j,

    penalty(W) = sum over i != j of R_ij^2          gradient(W) = 4 (R - diag R) W

It asks for orthogonal rows and leaves their norms free: W = D Q with D diagonal and Q orthogonal is a minimum.
"""

from plastic import xp

PRECISE_ABOVE = 1.0
"""Strengths lambda above this take R in float64.

At an orthogonal W rounding makes R - diag R noise of about 1e-8 in float32, hence a gradient of 4e-8 lambda; Adam's
eps is felt up to 1e-7. From lambda of about 3 on, every weight would take full steps along noise.
"""


def penalty(W):
    """Return the sum of the squared off-diagonal entries of W W^T, per replica: W (..., n, n) gives (...)."""
    return xp.sum(_off_diagonal_gram(W) ** 2, axis=(-2, -1))


def gradient(W):
    """Return 4 (R - diag R) W."""
    return 4 * _off_diagonal_gram(W) @ W


def add_gradient(layers, grads, strength):
    """Add strength * gradient(W) of each layer to its gradient, in place. Biases are not regularised.

    strength: lambda, a number or one per replica (..., 1, 1).
    """
    precise = xp.float64 if not hasattr(strength, "shape") and strength > PRECISE_ABOVE else None
    for layer, grad in zip(layers, grads, strict=True):
        R = _off_diagonal_gram(layer.W, precise)
        R *= 4 * strength
        grad.W += R.astype(layer.W.dtype, copy=False) @ layer.W


def _off_diagonal_gram(W, dtype=None):
    if dtype is not None:
        W = W.astype(dtype)
    R = W @ xp.swapaxes(W, -1, -2)  # BLAS sees one matrix and its transpose: a symmetric product, half the work
    n = W.shape[-1]
    R.reshape(*R.shape[:-2], n * n)[..., :: n + 1] = 0
    return R
