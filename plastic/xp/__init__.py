"""The array namespace of the library: `from plastic import xp`, then `xp.tanh(u)` and `x @ W` on NumPy or CuPy.

This package is the only place that knows CuPy exists. A name that is not defined here (`xp.tanh`, `xp.einsum`, ...)
is looked up in the chosen backend on first use and kept as a global of this module, so that later uses cost what
`np.tanh` costs; `use` forgets these names again. Hence write `from plastic import xp` and `xp.tanh`, never `from
plastic.xp import tanh`: a name bound at import stays on the backend of that moment.
What both a backend and Python have, `max` for instance, would be the backend's in here once it has been used.

Arrays cross between host and device in two places only: `asarray` on the way in, `asnumpy` on the way out.
What a backend lacks, or does badly, has one function with a path per backend, in `products`, `memory`, `elementwise`:

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

import inspect
import types
from typing import Any

import numpy as np

from plastic.errors import PlasticError
from plastic.types import Array
from plastic.xp import current
from plastic.xp.elementwise import choose, fuse, negative, where_rows
from plastic.xp.memory import order, turns, zeros_in
from plastic.xp.on_cupy import cupy_backend as _cupy_backend
from plastic.xp.on_numpy import numpy_backend as _numpy_backend
from plastic.xp.products import lu_factor, lu_solve, short_sum, spike_multiplier, spike_product
from plastic.xp.record import Backend

__all__ = [
    "asarray",
    "asnumpy",
    "backend",
    "choose",
    "float_dtype",
    "fuse",
    "generator",
    "lu_factor",
    "lu_solve",
    "negative",
    "number",
    "order",
    "short_sum",
    "spike_multiplier",
    "spike_product",
    "synchronize",
    "turns",
    "underflow_is_ordinary",
    "use",
    "where_rows",
    "zeros_in",
]
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
_borrowed: set[str] = set()


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'plastic.xp' has no attribute {name!r}")
    if name in _REFUSED:
        raise AttributeError(f"xp.{name} is not part of the namespace: {_REFUSED[name]}")
    value = getattr(current.backend.namespace, name)
    globals()[name] = value
    _borrowed.add(name)
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *filter(_is_listed, dir(current.backend.namespace))})


def _is_listed(name: str) -> bool:
    if name.startswith("_") or name in _REFUSED or name in _NOT_LISTED:
        return False
    value = inspect.getattr_static(
        current.backend.namespace, name, None
    )  # NumPy would import some modules at the asking
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
    global float_dtype
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
    current.backend = backend
    if dtype is not None:
        float_dtype = np.dtype(dtype)


def backend() -> str:
    """Return the name of the backend in use: "numpy", "cupy" or the name of a `Backend` record."""
    return current.backend.name


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
            return current.backend.namespace.asarray(values, dtype=dtype)
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
    return current.backend.asnumpy(array)


def synchronize() -> None:
    """Wait until the device has done all work given to it (nothing to wait for on NumPy)."""
    current.backend.synchronize()


def number(array: Array) -> Any:
    """Return an array of no axes as a Python number; on a GPU, where that would wait for the device, as it is.

    Arithmetic with a Python number costs a tenth of that with an array.

    Args:
        array: of no axes.

    Example:
        >>> 2 ** number(asarray(3.0))
        8.0
    """
    return current.backend.number(array)


def underflow_is_ordinary() -> np.errstate:
    """Return a decorator, or context, in which underflow raises and warns of nothing, whatever the caller has set.

    A slope of 1e-50 is 0 in float32, and that is right: the public functions of the library run under it.

    Example:
        >>> with np.errstate(all="raise"), underflow_is_ordinary():
        ...     float(np.exp(np.float32(-1000)))
        0.0
    """
    return np.errstate(under="ignore")


def generator(seed: int) -> types.SimpleNamespace:
    """Return the random generators of one seed by purpose: init, data, shuffle, task, noise.

    Draws are made on the host and moved with `asarray`, so a seed means the same numbers on every backend. All
    generators are spawned here, once: a restored generator has forgotten how often it was spawned.

    Args:
        seed: a whole number from 0 on.

    Returns:
        A namespace of five `numpy.random.Generator`s.

    Raises:
        PlasticError: if the seed is something else.

    Example:
        >>> generator(0).init.random() == generator(0).init.random() != generator(0).data.random()
        True
    """
    if seed is True or seed is False or not isinstance(seed, int | np.integer) or seed < 0:
        raise PlasticError(f"seed is {seed!r}; it must be a whole number from 0 on")
    children = np.random.default_rng(seed).spawn(len(_PURPOSES))
    return types.SimpleNamespace(**dict(zip(_PURPOSES, children, strict=True)))
