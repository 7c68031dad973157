"""The soft orthogonality of Ahmad et al. 2020, and its gradient.

With R = W W^T, whose entry R_ij is the product of the weight vectors that leave the input units i and j,

    penalty(W) = sum over i != j of R_ij^2          gradient(W) = 4 (R - diag R) W

It asks for orthogonal rows and leaves their norms free: W = D Q with D diagonal and Q orthogonal is a minimum. Biases
have no penalty.

All functions take `net.parameters`, or any other tree of `Affine` records, or a single matrix W (..., n, n).
"""

import numbers

from plastic import parameters, require, xp
from plastic.affine import transposed
from plastic.errors import PlasticError
from plastic.types import Array, Tree

PRECISE_ABOVE = 1.0
"""Strengths lambda above this take R in float64.

At an orthogonal W rounding makes R - diag R noise of about 1e-8 in float32, hence a gradient of 4e-8 lambda; Adam's
eps is felt up to 1e-7. From lambda of about 3 on, every weight would take full steps along noise.
"""


@xp.underflow_is_ordinary()
def penalty(params: Tree) -> Array:
    """Return the sum over all weight matrices of sum over i != j of R_ij^2, R = W W^T.

    Args:
        params: the parameters, weights W (..., n, n).

    Returns:
        An array of the replica axes.

    Raises:
        PlasticError: if there is no weight matrix, or it is not square.

    Source: Ahmad et al. 2020.

    Example:
        >>> float(penalty(xp.asarray([[1.0, 0.0], [2.0, 1.0]])))  # rows at an angle: R_12 = R_21 = 2
        8.0
    """
    return sum(xp.sum(_off_diagonal_gram(W) ** 2, axis=(-2, -1)) for W in _matrices("params", params))


@xp.underflow_is_ordinary()
def gradient(params: Tree) -> Tree:
    """Return the gradient of `penalty`: 4 (R - diag R) W for each weight matrix, 0 for each bias.

    Args:
        params: the parameters, weights W (..., n, n).

    Returns:
        A tree like `params`.

    Raises:
        PlasticError: if there is no weight matrix, or it is not square.

    Source: Ahmad et al. 2020.

    Example:
        >>> gradient(xp.asarray([[1.0, 0.0], [2.0, 1.0]])).tolist()
        [[16.0, 8.0], [8.0, 0.0]]
    """
    grads = parameters.zeros_like(params)
    add_gradient(params, grads, 1.0)
    return grads


@xp.underflow_is_ordinary()
def add_gradient(params: Tree, grads: Tree, strength: float | Array) -> None:
    """Add lambda times the gradient of `penalty` to the gradients of a rule, in place.

    Args:
        params: the parameters, weights W (..., n, n).
        grads: gradients, a tree like `params`, which change.
        strength: lambda, at least 0; a number, or one for each replica (..., 1, 1). A number above `PRECISE_ABOVE` has
            R computed in float64.

    Raises:
        PlasticError: if there is no weight matrix, the trees differ, or strength is negative or of another shape.

    Source: Ahmad et al. 2020.

    Example:
        >>> W, grads = xp.asarray([[1.0, 0.0], [2.0, 1.0]]), xp.asarray([[1.0, 1.0], [1.0, 1.0]])
        >>> add_gradient(W, grads, 0.5)
        >>> grads.tolist()
        [[9.0, 5.0], [5.0, 1.0]]
    """
    matrices = _matrices("params", params)
    require.tree("grads", grads, params)
    require.number("strength", strength, least=0)
    for W in matrices:
        require.per_replica("strength", strength, W.shape[:-2])
    precise = xp.float64 if isinstance(strength, numbers.Real) and strength > PRECISE_ABOVE else None
    for W, grad in zip(matrices, _matrices("grads", grads), strict=True):
        R = _off_diagonal_gram(W, precise)
        R *= 4 * strength
        grad += R.astype(W.dtype, copy=False) @ W


def _matrices(name, tree):
    """Return the weight matrices of a tree: its leaves called W, or the tree itself where it is an array."""
    matrices = [leaf for path, leaf in parameters.leaves(tree) if path.split("/")[-1] in ("W", "")]
    if not matrices:
        raise PlasticError(f"{name} holds no weight matrix: give net.parameters, or a matrix W (..., n, n)")
    for W in matrices:
        require.array(f"a weight matrix of {name}", W)
        if W.ndim < 2 or W.shape[-1] != W.shape[-2]:
            raise PlasticError(f"{name} holds weights of shape {W.shape}; square matrices are needed")
    return matrices


def _off_diagonal_gram(W, dtype=None):
    if dtype is not None:
        W = W.astype(dtype)
    R = W @ transposed(W)  # BLAS sees one matrix and its transpose: a symmetric product, half the work
    n = W.shape[-1]
    R.reshape(*R.shape[:-2], n * n)[..., :: n + 1] = 0
    return R
