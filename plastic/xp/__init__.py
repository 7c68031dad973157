"""The array namespace of the library: `from plastic import xp`, then `xp.tanh(u)` and `x @ W` on NumPy or CuPy.

This package is the only place that knows CuPy exists. A name that is not defined here (`xp.tanh`, `xp.einsum`, ...)
is looked up in the chosen backend on first use and kept as a global of this module, so that later uses cost what
`np.tanh` costs; `use` forgets these names again. Hence write `from plastic import xp` and `xp.tanh`, never `from
plastic.xp import tanh`: a name bound at import stays on the backend of that moment.

Arrays cross between host and device in two places only: `asarray` on the way in, `asnumpy` on the way out.
What a backend lacks, or does badly, has one function here with a path per backend:

    lu_factor, lu_solve   LU in the working precision (NumPy's own `linalg` computes float32 input in float64)
    fuse                  an elementwise chain in one pass over memory
    order, short_sum      products of tiny matrices, one for each of many replicas
    synchronize           wait for the device
"""

import contextlib
import functools
import types
from typing import Any

import numpy as np

from plastic.errors import PlasticError
from plastic.xp.on_cupy import cupy_backend as _cupy_backend
from plastic.xp.on_numpy import numpy_backend as _numpy_backend
from plastic.xp.record import Backend

float_dtype = np.dtype(np.float32)
"""The working precision; chosen by `use(dtype=...)`."""

_REFUSED = {
    "random": "draws come from the host: xp.generator(seed)",
    "load": "files belong to plastic.data and plastic.runs",
    "save": "files belong to plastic.data and plastic.runs",
}
_INSIDE = ("Any", "Backend", "PlasticError", "contextlib", "functools", "np", "types", "on_cupy", "on_numpy", "record")
_PURPOSES = ("init", "data", "shuffle", "task", "noise")
_MANY, _TINY = 64, 16  # replicas, and entries of a matrix, from and up to which sums are better written out
_borrowed: set[str] = set()


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'plastic.xp' has no attribute {name!r}")
    if name in _REFUSED:
        raise AttributeError(f"xp.{name} is not part of the namespace: {_REFUSED[name]}")
    value = getattr(_backend.namespace, name)
    globals()[name] = value
    _borrowed.add(name)
    return value


def __dir__() -> list[str]:
    own = [name for name in globals() if not name.startswith("_") and name not in _INSIDE]
    return sorted({*own, *(name for name in dir(_backend.namespace) if name[0] != "_" and name not in _REFUSED)})


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

    Floating-point values take the working precision unless `dtype` says otherwise; integers and booleans keep
    theirs. On NumPy an array that needs no conversion is not copied: to change it in place changes the caller's.
    """
    if dtype is None:
        kind = values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype
        dtype = float_dtype if np.issubdtype(kind, np.floating) else kind
    with np.errstate(under="ignore"):
        return _backend.namespace.asarray(values, dtype=dtype)


def asnumpy(array):
    """Bring an array of the backend to the host as a `numpy.ndarray`: the one crossing out. It waits for the device."""
    return _backend.asnumpy(array)


def synchronize():
    """Wait until the device has done all work given to it (nothing to wait for on NumPy)."""
    _backend.synchronize()


def underflow_is_ordinary() -> contextlib.ContextDecorator:
    """Return a decorator, or context, in which underflow raises and warns of nothing, whatever the caller has set.

    A slope of 1e-50 is 0 in float32, and that is right: the public functions of the library run under it.
    """
    return np.errstate(under="ignore")


def lu_factor(A):
    """Factorise square matrices A (..., n, n) as P L U in their own precision; returns what `lu_solve` takes.

    A singular matrix raises nothing, which would cost the GPU a synchronisation: the solution is then not finite.
    """
    matrices = A.reshape(-1, *A.shape[-2:])
    return A.shape[:-2], [_backend.lu_factor(matrices[index]) for index in range(matrices.shape[0])]


def lu_solve(factors, B, transpose=False):
    """Solve A X = B, or A^T X = B with `transpose`, for B (..., n, m), with `factors = lu_factor(A)`.

    The leading axes of A and B are the same.
    """
    leading, each = factors
    columns = B.reshape(-1, *B.shape[-2:])
    solutions = [_backend.lu_solve(factor, columns[index], transpose) for index, factor in enumerate(each)]
    return solutions[0] if leading == () else _backend.namespace.stack(solutions).reshape(B.shape)


def order(*matrices):
    """Return the memory order, "C" or "F", that arrays of a network with these weights (..., n_in, n_out) should have.

    "F" puts the replica axis innermost: for nets of a few units with many replicas, all loops then run over replicas.
    """
    many = all(W.ndim == 3 and len(W) >= _MANY and W.shape[-2] * W.shape[-1] <= _TINY for W in matrices)
    return "F" if many and _backend.short_sums else "C"


def short_sum(x, W, out):
    """Write x @ W into `out`, for x (..., batch, n_in), W (..., n_in, n_out), as a sum of n_in terms.

    A product of matrices costs a call for each replica (20 ns and more); the sum runs over all of them at once, where
    all arrays have the order "F" (see `order`).
    """
    multiply = _backend.namespace.multiply
    multiply(x[..., :1], W[..., :1, :], out=out)
    for k in range(1, W.shape[-2]):
        out += x[..., k : k + 1] * W[..., k : k + 1, :]


def fuse(chain):
    """Make an in-place elementwise chain one pass over memory. Use as a decorator; call the result as the chain itself.

    chain: a function of arrays of one shape, and of scalars or arrays that broadcast to them (a rate per replica),
    that changes some of its arguments by `x += ...` and the like, elementwise and without branches, and returns
    nothing.

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


_backend = _numpy_backend()
