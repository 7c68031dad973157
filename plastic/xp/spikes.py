"""Products with spikes on NumPy: where few of the entries are not 0, by the sparse matrices of SciPy.

Replicas are blocks of one large matrix: those of p (..., rows, n) stand below one another, each in columns of its own,
and meet the M (..., n, m), or with the transpose the M (..., rows, m), one below the other.

From which density on the dense product is faster was measured for float32 and 40 to 400 columns, by the kernels of
OpenBLAS for AVX2 and AVX-512; it decides about time only. Weights that are not finite take the dense product, whose 0
times infinity shows them.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

_DENSE = 1 / 8  # of the entries are not 0: the dense product is as fast
_NARROW = 8  # columns of M: looking for the spikes takes longer than so few products
_SMALL = 1 << 14  # entries of p: to make a sparse matrix takes longer than the dense product
_BLOCK = 1 << 18  # entries of p that become numbers at once, so that they stay in the cache
_OVERHEAD, _PER_SPIKE = 400_000, 8  # of a sparse product in a loop, in products of numbers that a dense one makes then


def product(p: np.ndarray, M: np.ndarray, transpose: bool) -> np.ndarray:
    """Return p M, or p^T M with `transpose`; see `xp.spike_product`."""
    large = p.size >= _SMALL and M.shape[-1] >= _NARROW
    if large and np.count_nonzero(p) <= _DENSE * p.size and (transpose or np.isfinite(M).all()):
        return _sparse(p, M, transpose)
    rows = max(1, p.shape[-2])
    length = rows if p.dtype == M.dtype else max(1, _BLOCK * rows // max(1, p.size))
    parts = [np.s_[..., start : start + length, :] for start in range(0, rows, length)]
    products = [_dense(p[part], M[part] if transpose else M, transpose) for part in parts]
    if len(parts) == 1:
        return products[0]
    return functools.reduce(np.add, products) if transpose else np.concatenate(products, axis=-2)


def _dense(p: np.ndarray, M: np.ndarray, transpose: bool) -> np.ndarray:
    p = p.astype(M.dtype, copy=False)
    return (np.swapaxes(p, -1, -2) if transpose else p) @ M


def _sparse(p: np.ndarray, M: np.ndarray, transpose: bool) -> np.ndarray:
    from scipy import sparse

    *leading, rows, n = p.shape
    m, replicas = M.shape[-1], math.prod(leading)
    flat = np.ascontiguousarray(p).reshape(-1)
    places = flat.nonzero()[0]
    row = places // n
    starts = np.zeros(replicas * rows + 1, np.int32)
    np.cumsum(np.bincount(row, minlength=replicas * rows), out=starts[1:])
    columns = places - n * (row - row // rows)
    by_row = flat[places].astype(M.dtype), columns.astype(np.int32), starts
    M = np.broadcast_to(M, (*leading, *M.shape[-2:])).reshape(-1, m)
    if transpose:
        return (sparse.csc_array(by_row, shape=(replicas * n, replicas * rows)) @ M).reshape(*leading, n, m)
    return (sparse.csr_array(by_row, shape=(replicas * rows, replicas * n)) @ M).reshape(*leading, rows, m)


def multiplier(W: np.ndarray, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of spikes z of a `shape` to z W; see `xp.spike_multiplier`."""
    *leading, batch, n = shape
    m, size = W.shape[-1], math.prod(shape)
    numbers, out = np.empty(shape, W.dtype), np.empty((*leading, batch, m), W.dtype)

    def dense(z: np.ndarray) -> np.ndarray:
        np.copyto(numbers, z)
        return np.matmul(numbers, W, out=out)

    few = (size * m - _OVERHEAD) / (_PER_SPIKE * m)
    if few <= 0 or not np.isfinite(W).all():
        return dense
    matrix, columns, starts = _refilled((math.prod(leading), batch, n), W.dtype)
    stacked, ones = np.broadcast_to(W, (*leading, n, m)).reshape(-1, m), np.ones(size, W.dtype)

    def product(z: np.ndarray) -> np.ndarray:
        if np.count_nonzero(z) > few:
            return dense(z)
        z = z.reshape(-1)
        places = z.nonzero()[0]
        matrix.data = ones[: places.size] if z.dtype == bool else z[places].astype(W.dtype)
        matrix.indices = columns[places]
        matrix.indptr = places.searchsorted(starts)
        return (matrix @ stacked).reshape(out.shape)

    return product


def _refilled(shape: tuple[int, int, int], dtype: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a sparse matrix to fill for spikes (replicas, batch, n), the column of each entry, and where rows start.

    A new matrix in each step would cost as much as a dense product.
    """
    from scipy import sparse

    replicas, batch, n = shape
    column = np.arange(n) + n * np.arange(replicas)[:, None, None]
    matrix = sparse.csr_array((replicas * batch, replicas * n), dtype=dtype)
    return matrix, np.broadcast_to(column, shape).reshape(-1), n * np.arange(replicas * batch + 1)
