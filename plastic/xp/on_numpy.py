"""The NumPy backend of `plastic.xp`."""

import contextlib
import functools
import math
import pathlib

import numpy as np

from plastic.xp import spikes
from plastic.xp.record import Backend

_BLOCK = 1 << 17  # elements: the temporaries of float32 stay in the cache, and a call costs little beside its work


def _fused(chain, arguments):
    shapes = {a.shape for a in arguments if isinstance(a, np.ndarray) and a.ndim > 0}
    if len(shapes) == 1 and math.prod(*shapes) <= _BLOCK:
        chain(*arguments)
        return
    arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.size > 1]
    if not arrays:  # NumPy's results of no axes are scalars, which nothing can be written into
        chain(*(a.reshape(1) if isinstance(a, np.ndarray) else a for a in arguments))
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
    # LAPACK is column-major: the transpose of a C-ordered matrix is free, so A^T is factorised
    return A, *getrf(A.T)[:2]


_PROBES = 4
_REFINE_ABOVE = 2.0  # 1 for an orthogonal matrix, 3 to 30 for random ones


def _lu_solve(factor, b, transpose):
    """Solve A x = b, or A^T x = b; in float32 refine, by a residual in float64, where rounding would be felt.

    Rounding in x grows by about |A| |A^{-1}|, as root mean squares over directions. What |A^{-1}| is, a few right-hand
    sides of +-1 tell that ride along with b.
    """
    A, lu, pivots = factor
    _, getrs = _lapack(b.dtype.char)
    n, m = b.shape
    if b.dtype != np.float32:
        return getrs(lu, pivots, b, trans=not transpose)[0]
    columns = np.empty((n, m + _PROBES), b.dtype, order="F")
    columns[:, :m], columns[:, m:] = b, _signs(n)
    solution, _ = getrs(lu, pivots, columns, trans=not transpose, overwrite_b=True)
    x, probes = solution[:, :m], solution[:, m:]
    if np.linalg.norm(A) * np.linalg.norm(probes) > _REFINE_ABOVE * n * np.sqrt(_PROBES):
        residual = b - (A.T if transpose else A).astype(np.float64) @ x.astype(np.float64)
        x += getrs(lu, pivots, residual.astype(b.dtype), trans=not transpose)[0]
    return x


@functools.cache
def _signs(n):
    return np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (n, _PROBES))


_CACHES, _COMMON = pathlib.Path("/sys/devices/system/cpu/cpu0/cache"), 32 << 20  # bytes


@functools.cache
def _cache():
    """Return the bytes of the last cache of the processor, as Linux tells them, and a common size elsewhere."""
    sizes = []
    for index in range(8):
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int((_CACHES / f"index{index}" / "size").read_text().strip().removesuffix("K")) << 10)
    return max(sizes, default=0) or _COMMON


def numpy_backend() -> Backend:
    """Return the NumPy backend."""
    return Backend(
        name="numpy",
        namespace=np,
        asnumpy=np.asarray,
        lu_factor=_lu_factor,
        lu_solve=_lu_solve,
        fused=_fused,
        number=lambda array: array.item(),
        cache=_cache,
        any_order=True,
        spike_product=spikes.product,
        spike_multiplier=spikes.multiplier,
    )
