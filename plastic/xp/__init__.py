"""The array namespace of the library: `from plastic import xp`, then `xp.tanh(u)` and `x @ W` on NumPy or CuPy.

This package is the only place that knows CuPy exists. A name that is not defined here (`xp.tanh`, `xp.einsum`, ...)
is looked up in the chosen backend on first use and kept as a global of this module, so that later uses cost what
`np.tanh` costs; `use` forgets these names again. Hence write `from plastic import xp` and `xp.tanh`, never `from
plastic.xp import tanh`: a name bound at import stays on the backend of that moment.
What both a backend and Python have, `max` for instance, is `builtins.max` in here.

Arrays cross between host and device in two places only: `asarray` on the way in, `asnumpy` on the way out.
What a backend lacks, or does badly, has one function here with a path per backend:

    lu_factor, lu_solve   LU in the working precision (NumPy's own `linalg` computes float32 input in float64)
    fuse                  an elementwise chain in one pass over memory
    order, zeros_in       how arrays of all layers side by side lie in memory
    short_sum             products of tiny matrices, one for each of many replicas
    number                the value of an array of no axes
    turns                 blocks of replicas whose arrays fit the cache
    spike_product, spike_multiplier   products with matrices that hold few spikes
    negative              NumPy 2.1 to 2.4 write wrong numbers of some strided arrays into others
    where_rows            whole rows of one array or of another
    synchronize           wait for the device
"""

import builtins
import functools
import inspect
import itertools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic.errors import PlasticError
from plastic.types import Array
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
_MODULES = ("fft", "linalg")
_NOT_LISTED = frozenset(  # names of a backend that are about files, text, dates, settings or the build, and not arrays
    "fromfile fromregex genfromtxt loadtxt memmap savetxt savez savez_compressed DataSource "
    "array2string array_repr array_str base_repr binary_repr format_float_positional format_float_scientific "
    "get_printoptions printoptions set_printoptions "
    "busday_count busday_offset busdaycalendar is_busday datetime_as_string datetime_data "
    "errstate geterr geterrcall getbufsize seterr seterrcall setbufsize "
    "get_include info show_config show_runtime test typename record recarray".split()
)
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
    own = [name for name, value in globals().items() if name[0] != "_" and _is_own(value)]
    return sorted({"float_dtype", *own, *filter(_is_listed, dir(_backend.namespace))})


def _is_own(value: Any) -> bool:
    return inspect.isfunction(value) and value.__module__ == __name__


def _is_listed(name: str) -> bool:
    if name.startswith("_") or name in _REFUSED or name in _NOT_LISTED:
        return False
    value = inspect.getattr_static(_backend.namespace, name, None)  # NumPy would import some modules at the asking
    return name in _MODULES or not ((value is None and name != "newaxis") or inspect.ismodule(value))


def use(backend: str | Backend = "numpy", device: int = 0, dtype: Any = None) -> None:
    """Choose the array backend, its device and the working precision for the whole process.

    Args:
        backend: "numpy", "cupy", or a `Backend` record (the tests bring one that refuses every implicit conversion).
        device: the number of the GPU; NumPy ignores it.
        dtype: "float32" or "float64"; None keeps the present one.

    Raises:
        PlasticError: if the backend or the precision is unknown, or if CuPy, its GPU or its CUDA libraries cannot be
            used.

    Example:
        >>> use("numpy", dtype="float64")
        >>> asarray([1.0]).dtype
        dtype('float64')
        >>> use("numpy", dtype="float32")
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


def backend() -> str:
    """Return the name of the backend in use: "numpy", "cupy" or the name of a `Backend` record."""
    return _backend.name


def asarray(values: Any, dtype: Any = None) -> Array:
    """Bring values to the backend's device: the one crossing in.

    Args:
        values: numbers, (nested) lists of them, an array of the host, or one that is there already.
        dtype: the type of the result. By default floating-point values take the working precision; integers, booleans
            and complex numbers keep their type.

    Returns:
        An array of the backend. On NumPy an array that needs no conversion is not copied: to change it in place
        changes the caller's.

    Raises:
        PlasticError: if the values are text or objects, rows of different lengths, or too large for the precision.

    Example:
        >>> asarray([1, 2]).dtype, asarray([1.0, 2.0]).dtype, asarray([1, 2], dtype=float_dtype).dtype
        (dtype('int64'), dtype('float32'), dtype('float32'))
    """
    if dtype is None:
        kind = values.dtype if hasattr(values, "dtype") else _dtype_of(values)
        if kind.kind not in "biufc":
            raise PlasticError(f"an array of numbers is needed, not of {kind}: {_shown(values)}")
        dtype = float_dtype if kind.kind == "f" else kind
    try:
        with np.errstate(under="ignore", over="raise"):
            return _backend.namespace.asarray(values, dtype=dtype)
    except FloatingPointError:
        raise PlasticError(f"numbers above {np.finfo(dtype).max:.2g} do not fit {np.dtype(dtype)}") from None


def _dtype_of(values: Any) -> np.dtype:
    try:
        return np.asarray(values).dtype
    except ValueError as error:
        raise PlasticError(f"an array has rows of one length: {error}") from None


def _shown(values: Any) -> str:
    return f"shape {values.shape}" if hasattr(values, "shape") else f"a {type(values).__name__}"


def asnumpy(array: Any) -> np.ndarray:
    """Bring an array of the backend to the host as a `numpy.ndarray`: the one crossing out. It waits for the device."""
    return _backend.asnumpy(array)


def synchronize() -> None:
    """Wait until the device has done all work given to it (nothing to wait for on NumPy)."""
    _backend.synchronize()


def number(array: Array) -> Any:
    """Return an array of no axes as a Python number; on a GPU, where that would wait for the device, as it is.

    Arithmetic with a Python number costs a tenth of that with an array.

    Args:
        array: of no axes.

    Example:
        >>> 2 ** number(asarray(3.0))
        8.0
    """
    return _backend.number(array)


def underflow_is_ordinary() -> np.errstate:
    """Return a decorator, or context, in which underflow raises and warns of nothing, whatever the caller has set.

    A slope of 1e-50 is 0 in float32, and that is right: the public functions of the library run under it.

    Example:
        >>> with np.errstate(all="raise"), underflow_is_ordinary():
        ...     float(np.exp(np.float32(-1000)))
        0.0
    """
    return np.errstate(under="ignore")


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
    return A.shape[:-2], [_backend.lu_factor(matrices[index]) for index in range(matrices.shape[0])]


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
        >>> X = lu_solve(lu_factor(asarray([[2.0, 1.0], [0.0, 1.0]])), asarray([[4.0], [2.0]]))
        >>> X.tolist()
        [[1.0], [2.0]]
    """
    leading, each = factors
    if B.ndim < 2 or B.shape[:-2] != leading:
        wanted = "".join(f"{length}, " for length in leading)
        raise PlasticError(f"B has shape {B.shape}; with the factors of these matrices it is ({wanted}n, m)")
    columns = B.reshape(-1, *B.shape[-2:])
    solutions = [_backend.lu_solve(factor, columns[index], transpose) for index, factor in enumerate(each)]
    return solutions[0] if leading == () else _backend.namespace.stack(solutions).reshape(B.shape)


def order(*matrices: Array) -> str:
    """Return the memory order that arrays (..., batch, units) of a network with these weights should have.

    Args:
        matrices: weights (..., n_in, n_out).

    Returns:
        "T": the batch is innermost, so that the columns of a layer, in an array of all layers side by side, are one
        piece of memory. "F": the replicas are, for many networks of a few units: all loops then run over replicas. "C",
        the usual one, where the backend is made for it.
    """
    if not _backend.any_order:
        return "C"
    many = builtins.all(W.ndim == 3 and len(W) >= _MANY and W.shape[-2] * W.shape[-1] <= _TINY for W in matrices)
    return "F" if many else "T"


def zeros_in(order: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros in one of the memory orders of `order`.

    Args:
        order: "C", "T" or "F".
        shape: (..., batch, units).
        dtype: their type.

    Returns:
        An array of that shape.
    """
    zeros = _backend.namespace.zeros
    if order == "T":
        return zeros((*shape[:-2], shape[-1], shape[-2]), dtype=dtype).swapaxes(-1, -2)
    return zeros(shape, dtype=dtype, order=order)


def short_sum(x: Array, W: Array, out: Array) -> None:
    """Write x W into `out`, as a sum of n_in terms.

    A product of matrices costs a call for each replica (20 ns and more); the sum runs over all of them at once, where
    all arrays have the order "F" (see `order`).

    Args:
        x: rows (..., batch, n_in).
        W: matrices (..., n_in, n_out).
        out: the buffer (..., batch, n_out) that is written into.
    """
    multiply = _backend.namespace.multiply
    multiply(x[..., :1], W[..., :1, :], out=out)
    for k in range(1, W.shape[-2]):
        out += x[..., k : k + 1] * W[..., k : k + 1, :]


def turns(replicas: int, bytes_of_one: int) -> list[slice]:
    """Return the blocks of replicas that take turns, so that what a block works on stays in the cache.

    Replicas side by side share the cost of calls, but wait for memory where what they work on leaves the cache. A block
    fills a quarter of the last cache at most: other processes need it too, and what is read once. It pays to take turns
    where each takes many steps; with one step at a time everything leaves the cache between two of them. A GPU takes
    all replicas at once.

    Args:
        replicas: how many there are.
        bytes_of_one: what a replica works on, over and over.

    Returns:
        Slices of the replicas, one for each turn.

    Example:
        >>> turns(3, 1), turns(3, 10**12)[-1]
        ([slice(0, 3, None)], slice(2, 3, None))
    """
    cache = _backend.cache()
    size = replicas if cache is None else builtins.max(1, cache // 4 // bytes_of_one)
    blocks = -(-replicas // size)
    ends = [replicas * k // blocks for k in range(blocks + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def choose(condition: Any, a: Any, b: Any, dtype: Any) -> Any:
    """Return a where a condition holds and b elsewhere; of one condition on NumPy, which an array makes slow, a number.

    Args:
        condition: booleans, an array of any shape, or a boolean of NumPy.
        a, b: numbers, or arrays of that shape.
        dtype: the type of the result where it is an array.

    Returns:
        An array of that shape; for a boolean of NumPy a or b as it is.
    """
    if isinstance(condition, np.bool):
        return a if condition else b
    return _backend.namespace.where(condition, a, b).astype(dtype)


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
        >>> z, M = asarray([[True, False], [True, True]]), asarray([[1.0], [10.0]])
        >>> spike_product(z, M).tolist(), spike_product(z, M, transpose=True).tolist()
        ([[1.0], [11.0]], [[11.0], [10.0]])
    """
    rows, leading = p.shape[-2 if transpose else -1], zip(M.shape[-3::-1], p.shape[-3::-1], strict=False)
    others = builtins.any(length not in (1, whole) for length, whole in leading)
    if not 2 <= M.ndim <= p.ndim or M.shape[-2] != rows or others:
        raise PlasticError(f"M has shape {M.shape}; with p {p.shape} it has {rows} rows, and no other leading axes")
    return _backend.spike_product(p, M, transpose)


def spike_multiplier(W: Array, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    """Return a function of spikes z to z W, for the steps of a loop; see `spike_product`.

    Args:
        W: (..., n, m), with the leading axes of z or fewer.
        shape: that of z (..., batch, n), which are booleans or numbers.

    Returns:
        The function. What it returns (..., batch, m) is valid until its next call.

    Example:
        >>> times = spike_multiplier(asarray([[1.0], [10.0]]), (1, 2))
        >>> times(asarray([[True, True]])).tolist()
        [[11.0]]
    """
    return _backend.spike_multiplier(W, shape)


def negative(x: Array, out: Array | None = None) -> Array:
    """Return -x, into `out` if it is given.

    From NumPy 2.1 to 2.4 at least, `negative` of arrays that step over exactly 4 float32 or 8 float64 numbers writes
    wrong numbers into another array with gaps. What `-x` makes has none, so it is right.

    Args:
        x: numbers of any shape.
        out: the buffer that is written into; it may be x.

    Returns:
        -x, which is `out` if it is given.

    Example:
        >>> x = asarray([1.0, 2.0])
        >>> negative(x, out=x).tolist()
        [-1.0, -2.0]
    """
    return -x if out is None else _backend.namespace.multiply(x, -1, out=out)


def where_rows(good: Array, new: Array, old: Array) -> Array:
    """Return the rows of one array where a condition holds, those of another elsewhere.

    Args:
        good: booleans (..., 1). On the host, where to look at them costs nothing, all may be true: then `new` is copied
            without a choice for each number, which takes ten times as long.
        new, old: arrays (..., n).

    Returns:
        An array (..., n) that shares nothing with either.

    Example:
        >>> where_rows(asarray([[True], [False]]), asarray([[1, 2], [3, 4]]), asarray([[5, 6], [7, 8]])).tolist()
        [[1, 2], [7, 8]]
    """
    if isinstance(good, np.ndarray) and good.all():
        return new.copy()
    return _backend.namespace.where(good, new, old)


def fuse(chain: Callable[..., None]) -> Callable[..., None]:
    """Make an in-place elementwise chain one pass over memory. Use as a decorator; call the result as the chain itself.

    Args:
        chain: a function of arrays of one shape, and of scalars or arrays that broadcast to them (a rate per replica),
            that changes some of its arguments by `x += ...` and the like, elementwise and without branches, and returns
            nothing.

    Returns:
        The chain as one kernel on CuPy; on NumPy it runs block by block, so that its temporaries stay in the cache.

    Example:
        >>> @fuse
        ... def decay(v, rate):
        ...     v *= 1 - rate
        >>> v = asarray([1.0, 2.0])
        >>> decay(v, 0.5)
        >>> v.tolist()
        [0.5, 1.0]
    """

    @functools.wraps(chain)
    def fused(*arguments: Any) -> None:
        _backend.fused(chain, arguments)

    return fused


def generator(seed: int) -> types.SimpleNamespace:
    """Return the random generators of one seed by purpose: init, data, shuffle, task, noise.

    Draws are made on the host and moved with `asarray`, so a seed means the same numbers on every backend. All
    generators are spawned here, once: a restored generator has forgotten how often it was spawned.

    Args:
        seed: a whole number from 0 on.

    Returns:
        A namespace of five `numpy.random.Generator`s.

    Raises:
        PlasticError: if the seed is no such number.

    Example:
        >>> generator(0).init.random() == generator(0).init.random() != generator(0).data.random()
        True
    """
    try:
        children = np.random.default_rng(seed).spawn(len(_PURPOSES))
    except (TypeError, ValueError):
        raise PlasticError(f"seed is {seed!r}; it must be a whole number from 0 on") from None
    return types.SimpleNamespace(**dict(zip(_PURPOSES, children, strict=True)))


_backend = _numpy_backend()
