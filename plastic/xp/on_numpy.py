"""The NumPy backend of `plastic.xp`."""

import functools

import numpy as np

from plastic.xp.record import Backend

_BLOCK = 1 << 16  # elements: the temporaries of float32 stay in the cache, and a call costs little beside its work


def _fused(chain, arguments):
    arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.size > 1]
    if not arrays:
        chain(*arguments)
        return
    arguments = [a.reshape(()) if isinstance(a, np.ndarray) and a.size == 1 else a for a in arguments]
    shape = max((a.shape for a in arrays), key=lambda shape: (len(shape), shape))
    is_full = [isinstance(a, np.ndarray) and a.ndim > 0 for a in arguments]
    if all(a.shape == shape and a.flags.c_contiguous for a in arrays):
        flat = [a.reshape(-1) if full else a for a, full in zip(arguments, is_full, strict=True)]
        for start in range(0, arrays[0].size, _BLOCK):
            block = slice(start, start + _BLOCK)
            chain(*(a[block] if full else a for a, full in zip(flat, is_full, strict=True)))
    elif len(shape) > 2 and all(a.ndim == len(shape) and len(a) == shape[0] for a in arrays):
        for replica in range(shape[0]):  # a rate per replica (R, 1, 1) is one number within a replica
            _fused(chain, [a[replica] if full else a for a, full in zip(arguments, is_full, strict=True)])
    else:
        chain(*arguments)


@functools.cache
def _lapack(char):
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs(("getrf", "getrs"), dtype=np.dtype(char))


def _lu_factor(A):
    getrf, _ = _lapack(A.dtype.char)
    matrices = A.reshape(-1, *A.shape[-2:])
    # LAPACK is column-major: the transpose of a C-ordered matrix is free, so A^T is what gets factorised
    return A.shape[:-2], [getrf(matrix.T)[:2] for matrix in matrices]


def _lu_solve(factors, B, transpose):
    _, getrs = _lapack(B.dtype.char)
    leading, pairs = factors
    columns = B.reshape(-1, *B.shape[-2:])
    solutions = [getrs(lu, pivots, b, trans=not transpose)[0] for (lu, pivots), b in zip(pairs, columns, strict=True)]
    return solutions[0] if leading == () else np.stack(solutions).reshape(*leading, *B.shape[-2:])


def numpy_backend():
    """Return the NumPy backend."""
    return Backend(
        name="numpy",
        namespace=np,
        asnumpy=np.asarray,
        lu_factor=_lu_factor,
        lu_solve=_lu_solve,
        fused=_fused,
    )
