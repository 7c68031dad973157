"""The array namespace of the library: `from plastic import xp`, then `xp.tanh(u)` and `x @ W` on NumPy or CuPy.

This is the only file that knows CuPy exists. A name that is not defined here (`xp.tanh`, `xp.einsum`, ...) is looked up in the
chosen backend on first use and kept as a global of this module, so that later uses cost what `np.tanh` costs; `use` forgets
these names again. Hence write `from plastic import xp` and `xp.tanh`, never `from plastic.xp import tanh`: a name bound at import
stays on the backend of that moment.

Arrays cross between host and device in two places only: `asarray` on the way in, `asnumpy` on the way out.
What a backend lacks, or does badly, has one function here with a path per backend:

    lu_factor, lu_solve   LU in the working precision (NumPy's own `linalg` computes float32 input in float64)
    fuse                  an elementwise chain in one pass over memory
    synchronize           wait for the device
"""

import dataclasses
import functools
import types
from collections.abc import Callable

import numpy as np

from plastic.errors import PlasticError

float_dtype = np.dtype(np.float32)
"""The working precision; chosen by `use(dtype=...)`."""

_REFUSED = {
    "random": "draws come from the host: xp.generator(seed)",
    "load": "files belong to plastic.data and plastic.runs",
    "save": "files belong to plastic.data and plastic.runs",
}
_PURPOSES = ("init", "data", "shuffle", "task", "noise")
_borrowed: set[str] = set()


@dataclasses.dataclass(frozen=True)
class Backend:
    """What `xp` needs from an array library."""

    name: str
    namespace: types.ModuleType
    asnumpy: Callable
    lu_factor: Callable
    lu_solve: Callable
    fused: Callable  # fused(chain, arguments) runs an elementwise chain that changes some of its arguments in place
    synchronize: Callable = lambda: None


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(f"module 'plastic.xp' has no attribute {name!r}")
    if name in _REFUSED:
        raise AttributeError(f"xp.{name} is not part of the namespace: {_REFUSED[name]}")
    value = getattr(_backend.namespace, name)
    globals()[name] = value
    _borrowed.add(name)
    return value


def use(backend="numpy", device=0, dtype=None):
    """Choose the array backend, its device and the working precision for the whole process.

    backend: "numpy", "cupy", or a `Backend` record (the tests bring one that refuses every implicit conversion).
    device: the number of the GPU; NumPy ignores it.
    dtype: "float32" or "float64"; None keeps the present one.
    Raises PlasticError if the backend is unknown, or if CuPy, its GPU or its CUDA libraries cannot be used.
    """
    global _backend, float_dtype
    if dtype is not None and str(dtype) not in ("float32", "float64"):
        raise PlasticError(f"dtype {dtype!s} is not supported; take float32 or float64")
    if backend == "cupy":
        backend = _cupy_backend(device)
    elif backend == "numpy":
        backend = _numpy_backend()
    elif not isinstance(backend, Backend):
        raise PlasticError(f"unknown array backend {backend!r}; take numpy or cupy")
    for name in _borrowed:
        globals().pop(name, None)
    _borrowed.clear()
    _backend = backend
    if dtype is not None:
        float_dtype = np.dtype(dtype)


def backend():
    """Return the name of the backend in use: "numpy", "cupy" or the name of a `Backend` record."""
    return _backend.name


def asarray(values, dtype=None):
    """Bring host values (or an array already there) to the backend's device: the one crossing in.

    Floating-point values take the working precision unless `dtype` says otherwise; integers and booleans keep their type.
    """
    if dtype is None:
        kind = values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype
        dtype = float_dtype if np.issubdtype(kind, np.floating) else kind
    return _backend.namespace.asarray(values, dtype=dtype)


def asnumpy(array):
    """Bring an array of the backend to the host as a `numpy.ndarray`: the one crossing out. It waits for the device."""
    return _backend.asnumpy(array)


def synchronize():
    """Wait until the device has done all work given to it (nothing to wait for on NumPy)."""
    _backend.synchronize()


def lu_factor(A):
    """Factorise square matrices A (..., n, n) as P L U in their own precision; returns what `lu_solve` takes.

    A singular matrix raises nothing, which would cost the GPU a synchronisation: the solution is then not finite.
    """
    return _backend.lu_factor(A)


def lu_solve(factors, B, transpose=False):
    """Solve A X = B, or A^T X = B with `transpose`, for B (..., n, m), with `factors = lu_factor(A)`.

    The leading axes of A and B are the same.
    """
    return _backend.lu_solve(factors, B, transpose)


def fuse(chain):
    """Make an in-place elementwise chain one pass over memory. Use as a decorator; call the result as the chain itself.

    chain: a function of arrays of one shape, and of scalars or arrays that broadcast to them (a rate per replica), that changes
    some of its arguments by `x += ...` and the like, elementwise and without branches, and returns nothing.

    On CuPy the chain becomes one kernel. On NumPy it runs block by block, so that its temporaries stay in the cache.
    """

    @functools.wraps(chain)
    def fused(*arguments):
        _backend.fused(chain, arguments)

    return fused


def generator(seed):
    """Return the random generators of one seed by purpose: init, data, shuffle, task, noise.

    Draws are made on the host and moved with `asarray`, so a seed means the same numbers on every backend. All
    generators are spawned here, once: a restored generator has forgotten how often it was spawned.
    """
    children = np.random.default_rng(seed).spawn(len(_PURPOSES))
    return types.SimpleNamespace(**dict(zip(_PURPOSES, children, strict=True)))


# NumPy


_BLOCK = 1 << 16  # elements: the temporaries of float32 stay in the cache, and a call costs little beside its work


def _numpy_fused(chain, arguments):
    arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.size > 1]
    shape = max((a.shape for a in arrays), key=lambda shape: (len(shape), shape), default=())
    if all(a.shape == shape and a.flags.c_contiguous for a in arrays):
        size = arrays[0].size if arrays else 1
        flat = [a.reshape(-1) if isinstance(a, np.ndarray) and a.size == size else a for a in arguments]
        for start in range(0, size, _BLOCK):
            block = slice(start, start + _BLOCK)
            chain(*(a[block] if isinstance(a, np.ndarray) and a.size == size else a for a in flat))
    elif len(shape) > 2 and all(len(a) == shape[0] for a in arrays):
        for replica in range(shape[0]):  # a rate per replica (R, 1, 1) is one number within a replica
            _numpy_fused(chain, [a[replica] if isinstance(a, np.ndarray) and a.ndim else a for a in arguments])
    else:
        chain(*arguments)


@functools.cache
def _lapack(char):
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs(("getrf", "getrs"), dtype=np.dtype(char))


def _numpy_lu_factor(A):
    getrf, _ = _lapack(A.dtype.char)
    matrices = A.reshape(-1, *A.shape[-2:])
    # LAPACK is column-major: the transpose of a C-ordered matrix is free, so A^T is what gets factorised
    return A.shape[:-2], [getrf(matrix.T)[:2] for matrix in matrices]


def _numpy_lu_solve(factors, B, transpose):
    _, getrs = _lapack(B.dtype.char)
    leading, pairs = factors
    columns = B.reshape(-1, *B.shape[-2:])
    solutions = [getrs(lu, pivots, b, trans=not transpose)[0] for (lu, pivots), b in zip(pairs, columns, strict=True)]
    return solutions[0] if leading == () else np.stack(solutions).reshape(*leading, *B.shape[-2:])


def _numpy_backend():
    return Backend(
        name="numpy",
        namespace=np,
        asnumpy=np.asarray,
        lu_factor=_numpy_lu_factor,
        lu_solve=_numpy_lu_solve,
        fused=_numpy_fused,
    )


# CuPy


def _cupy_backend(device):
    try:
        import cupy
    except ImportError as error:
        raise PlasticError(
            f"the GPU needs CuPy, which is not installed ({error}); install it with: pip install 'plastic[gpu]'"
        ) from None
    try:
        cupy.cuda.Device(device).use()
        proof = cupy.ones((2, 2), dtype="float32")
        float((proof @ proof).sum())  # an allocation, a GEMM of cuBLAS, a kernel and a transfer: all that a run needs
    except Exception as error:  # CuPy raises RuntimeErrors of its own, ImportError and OSError for missing libraries
        raise PlasticError(_what_cupy_misses(cupy, device, error)) from None

    def lu_factor(A):
        from cupyx.scipy import linalg

        matrices = A.reshape(-1, *A.shape[-2:])
        return A.shape[:-2], [linalg.lu_factor(matrix, check_finite=False) for matrix in matrices]

    def lu_solve(factors, B, transpose):
        from cupyx.scipy import linalg

        leading, pairs = factors
        columns = B.reshape(-1, *B.shape[-2:])
        solutions = [linalg.lu_solve(pair, b, trans=int(transpose), check_finite=False) for pair, b in zip(pairs, columns, strict=True)]
        return solutions[0] if leading == () else cupy.stack(solutions).reshape(*leading, *B.shape[-2:])

    kernels = {}

    def fused(chain, arguments):
        if chain not in kernels:
            kernels[chain] = cupy.fuse(chain)
        kernels[chain](*arguments)

    return Backend(
        name="cupy",
        namespace=cupy,
        asnumpy=cupy.asnumpy,
        lu_factor=lu_factor,
        lu_solve=lu_solve,
        fused=fused,
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
    )


def _what_cupy_misses(cupy, device, error):
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception:
        return f"CuPy is installed but finds no GPU ({reason}); an NVIDIA GPU and its driver are needed, or --device=cpu"
    if device >= count:
        return f"device {device} does not exist: this machine has {count} GPU(s), numbered from 0"
    return f"the GPU does not work ({reason}); its CUDA libraries come with: pip install 'plastic[gpu]'"


_backend = _numpy_backend()
