"""Products and solves that a backend lacks, or does badly."""

from collections.abc import Callable
from typing import Any

from plastic.errors import PlasticError
from plastic.types import Array
from plastic.xp import current


def lu_factor(A: Array) -> Any:
    """Factorise square matrices, A = P L U, in their own precision.

    Args:
        A: matrices (..., n, n).

    Returns:
        What `lu_solve` takes. A singular matrix raises nothing, which would cost the GPU a synchronisation: the
        solution is then not finite.

    Raises:
        PlasticError: if the matrices are not square.
    """
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise PlasticError(f"A has shape {A.shape}; square matrices (..., n, n) are needed")
    matrices = A.reshape(-1, *A.shape[-2:])
    return A.shape[:-2], [current.backend.lu_factor(matrices[index]) for index in range(matrices.shape[0])]


def lu_solve(factors: Any, B: Array, transpose: bool = False) -> Array:
    """Solve A X = B, or A^T X = B with `transpose`.

    Args:
        factors: of A (..., n, n), what `lu_factor` returned.
        B: right-hand sides (..., n, m), with the leading axes of A.
        transpose: whether the matrices are the transposes A^T.

    Returns:
        X (..., n, m).

    Raises:
        PlasticError: if B has no columns, or other leading axes than A.

    Example:
        >>> from plastic import xp
        >>> X = xp.lu_solve(xp.lu_factor(xp.asarray([[2.0, 1.0], [0.0, 1.0]])), xp.asarray([[4.0], [2.0]]))
        >>> X.tolist()
        [[1.0], [2.0]]
    """
    leading, each = factors
    if B.ndim < 2 or B.shape[:-2] != leading:
        wanted = "".join(f"{length}, " for length in leading)
        raise PlasticError(f"B has shape {B.shape}; with the factors of these matrices it is ({wanted}n, m)")
    columns = B.reshape(-1, *B.shape[-2:])
    solutions = [current.backend.lu_solve(factor, columns[index], transpose) for index, factor in enumerate(each)]
    return solutions[0] if leading == () else current.backend.namespace.stack(solutions).reshape(B.shape)


def short_sum(x: Array, W: Array, out: Array) -> None:
    """Write x W into `out`, as a sum of n_in terms.

    A product of matrices costs a call for each replica (20 ns and more); the sum runs over all of them at once, where
    all arrays have the order "F" (see `order`).

    Args:
        x: rows (..., batch, n_in).
        W: matrices (..., n_in, n_out).
        out: the buffer (..., batch, n_out) that is written into.
    """
    multiply = current.backend.namespace.multiply
    multiply(x[..., :1], W[..., :1, :], out=out)
    for k in range(1, W.shape[-2]):
        out += x[..., k : k + 1] * W[..., k : k + 1, :]


def spike_product(p: Array, M: Array, transpose: bool = False) -> Array:
    """Return p M, or p^T M with `transpose`: fast where p holds few spikes, and memory for a part of its numbers.

    NumPy takes a sparse product, from SciPy, where few entries of p are not 0. The order of its sum is another.

    Args:
        p: spikes (..., rows, n), booleans or numbers.
        M: numbers (..., n, m), or with `transpose` (..., rows, m), with the leading axes of p, or fewer.
        transpose: whether p^T is multiplied.

    Returns:
        (..., rows, m), or (..., n, m), in the precision of M.

    Raises:
        PlasticError: if the shapes do not fit.

    Example:
        >>> from plastic import xp
        >>> z, M = xp.asarray([[True, False], [True, True]]), xp.asarray([[1.0], [10.0]])
        >>> xp.spike_product(z, M).tolist(), xp.spike_product(z, M, transpose=True).tolist()
        ([[1.0], [11.0]], [[11.0], [10.0]])
    """
    rows, leading = p.shape[-2 if transpose else -1], zip(M.shape[-3::-1], p.shape[-3::-1], strict=False)
    others = any(length not in (1, whole) for length, whole in leading)
    if not 2 <= M.ndim <= p.ndim or M.shape[-2] != rows or others:
        raise PlasticError(f"M has shape {M.shape}; with p {p.shape} it has {rows} rows, and no other leading axes")
    return current.backend.spike_product(p, M, transpose)


def spike_multiplier(W: Array, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """Return a function of spikes z to z W, for the steps of a loop; see `spike_product`.

    Args:
        W: (..., n, m), with the leading axes of z or fewer.
        shape: that of z (..., batch, n), which are booleans or numbers.

    Returns:
        The function. What it returns (..., batch, m) is valid until its next call.

    Example:
        >>> from plastic import xp
        >>> times = xp.spike_multiplier(xp.asarray([[1.0], [10.0]]), (1, 2))
        >>> times(xp.asarray([[True, True]])).tolist()
        [[11.0]]
    """
    return current.backend.spike_multiplier(W, shape)
