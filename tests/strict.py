"""A strict stand-in for CuPy: computes with NumPy, and refuses what a GPU would refuse or would do at a hidden price.

`xp.use(strict.backend)` makes every array of the library a `StrictArray`, which holds a NumPy array and hides it.
Each of these raises TypeError:

- an implicit conversion to NumPy (`np.tanh(array)`, `np.asarray(array)`), and any mixing with a `numpy.ndarray`;
- a synchronisation: `float`, `int`, `bool`, `item`, `tolist`, formatting, shapes that depend on values (a boolean
  mask that selects, `nonzero`, `unique`), and `sliding_window_view`, which in CuPy asks the device whether the shape
  of the window is negative. `with synchronisation_allowed():` lets these pass;
- iteration, and use as an index of a host sequence;
- a floating NumPy scalar (`np.exp(-dt / tau)` turns float32 into float64 unseen), float32 with float64, integers that
  NumPy would promote away from the array's own type, and a float64 result of float32 inputs where no `dtype` asked;
- what CuPy does not have: functions, `where=` and `initial=` and keywords of some functions, `out=` of `einsum`, `@=`,
  most methods of ufuncs, sums and the like of host lists and numbers, `linalg.solve` of operands that broadcast.

Two things pass here that a GPU also allows but a reader may not expect: `len`, and `repr` (pytest needs it).
"""

import contextlib
import functools
import types

import numpy as np

from plastic import xp
from plastic.xp.on_numpy import numpy_backend

# public functions of NumPy 2 that CuPy 14 lacks
_NOT_IN_CUPY = frozenset(
    "asmatrix block bmat einsum_path errstate frompyfunc geomspace geterr histogram_bin_edges insert isnat longdouble "
    "matrix matvec memmap nanpercentile nanquantile ndenumerate nditer nested_iters polyder polydiv polyint recarray "
    "seterr spacing unstack vecdot vecmat".split()
)
_NOT_IN_CUPY_LINALG = frozenset(
    "diagonal matrix_norm multi_dot outer svdvals tensordot trace vecdot vector_norm".split()
)
_REFUSED_KEYWORDS = ("where", "initial")
_REFUSED_KEYWORDS_OF = {
    "argsort": ("order", "stable"), "clip": ("min", "max"), "count_nonzero": ("keepdims",), "lexsort": ("axis",),
    "quantile": ("weights",), "sort": ("order", "stable"), "std": ("correction", "mean"), "take": ("mode",),
    "var": ("correction", "mean"),
    # which would compare what has been cast
    **dict.fromkeys("equal greater greater_equal less less_equal not_equal".split(), ("dtype",)),
}  # fmt: skip
_UFUNCS_WITH = {
    "accumulate": ("add", "multiply"),
    "at": ("add", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum"),
    "reduce": ("add", "multiply"),
    "reduceat": ("add",),
}
_DEVICE_ARRAY_FIRST = frozenset(
    "all amax amin angle any argmax argmin argsort argwhere clip copy corrcoef count_nonzero cov cumprod cumsum "
    "diagflat ediff1d empty_like flatnonzero flip flipud histogram lexsort max mean median min nan_to_num nanargmax "
    "nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar nonzero ones_like "
    "prod ptp ravel sort squeeze std sum transpose trapezoid trim_zeros unique var where zeros_like".split()
)
_SHAPE_DEPENDS_ON_VALUES = frozenset("argwhere compress extract flatnonzero nonzero trim_zeros unique".split())
_HOST_BOOLEANS = frozenset("allclose array_equal array_equiv".split())  # a 0-d array in CuPy, a bool in NumPy

_synchronisation_is_allowed = False


@contextlib.contextmanager
def synchronisation_allowed():
    """Let `float(array)` and its like pass inside the block."""
    global _synchronisation_is_allowed
    before = _synchronisation_is_allowed
    _synchronisation_is_allowed = True
    try:
        yield
    finally:
        _synchronisation_is_allowed = before


def _synchronise(what):
    if not _synchronisation_is_allowed:
        raise TypeError(f"{what} waits for the device: keep the value there, or cross with xp.asnumpy")


class StrictArray:
    """An array of the stand-in's device. Only `asnumpy` and `get` give its numbers back."""

    __slots__ = ("_array",)
    __hash__ = None

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion of a device array to NumPy: cross with xp.asnumpy")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        raise TypeError(
            f"numpy.{ufunc.__name__} got a device array: use xp.{ufunc.__name__}, and no NumPy arrays or scalars"
        )

    def __array_function__(self, function, kinds, arguments, kwargs):
        raise TypeError(f"numpy.{function.__name__} got a device array: use xp.{function.__name__}")

    def __iter__(self):
        raise TypeError("iteration over a device array: one transfer or kernel per entry")

    def __contains__(self, value):
        raise TypeError("`in` on a device array: one transfer or kernel per entry")

    def __index__(self):
        raise TypeError("a device array cannot be a host index")

    def __float__(self):
        _synchronise("float(array)")
        return float(self._array)

    def __int__(self):
        _synchronise("int(array)")
        return int(self._array)

    def __bool__(self):
        _synchronise("bool(array)")
        return bool(self._array)

    def __format__(self, spec):
        _synchronise("formatting an array")
        return format(self._array[()], spec)

    def item(self, *index):
        _synchronise("array.item()")
        return self._array.item(*index)

    def tolist(self):
        _synchronise("array.tolist()")
        return self._array.tolist()

    def get(self):
        return self._array.copy()

    def __repr__(self):
        return f"Strict{self._array!r}"

    def __len__(self):
        return len(self._array)

    def __getitem__(self, index):
        key = _open_index(index)
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, np.ndarray) and part.dtype.kind == "b" for part in parts):
            _synchronise("selecting by a boolean mask")
        return _wrap(self._array[key])

    def __setitem__(self, index, value):
        inputs = [self._array]
        value = _open(value, inputs)
        if isinstance(value, (list, tuple)):
            raise TypeError("a host sequence assigned to a device array: bring it over with xp.asarray")
        _check_promotion(inputs)
        if np.result_type(*[a.dtype for a in inputs]) != self.dtype:
            raise TypeError(f"{inputs[-1].dtype} assigned to {self.dtype}: a silent cast")
        self._array[_open_index(index)] = value

    def __imatmul__(self, other):
        raise TypeError("CuPy has no @= in place: write xp.matmul(a, b, out=...)")

    @property
    def flags(self):
        flags = self._array.flags
        return types.SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata
        )

    T = property(lambda self: StrictArray(self._array.T))
    mT = property(lambda self: StrictArray(self._array.mT))
    real = property(lambda self: StrictArray(self._array.real))
    imag = property(lambda self: StrictArray(self._array.imag))
    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)
    itemsize = property(lambda self: self._array.itemsize)
    strides = property(lambda self: self._array.strides)


def _open(value, inputs):
    """Return `value` with strict arrays opened, also inside lists and tuples; gather the arrays in `inputs`."""
    if isinstance(value, StrictArray):
        inputs.append(value._array)
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError("a numpy.ndarray meets device arrays: bring it over with xp.asarray")
    if isinstance(value, np.inexact):
        raise TypeError(f"{value!r} is a NumPy scalar, which would decide the type of the result: use a Python float")
    if isinstance(value, (list, tuple)):
        opened = [_open(member, inputs) for member in value]
        return opened if isinstance(value, list) else tuple(opened)
    return value


def _open_index(index):
    if isinstance(index, tuple):
        return tuple(_open_index(part) for part in index)
    if isinstance(index, (np.ndarray, list)):
        raise TypeError("a host array as an index of a device array: bring it over with xp.asarray")
    return index._array if isinstance(index, StrictArray) else index


def _precision(dtype):
    return np.finfo(dtype).dtype.name if dtype.kind in "fc" else None


def _check_floats(inputs):
    """Refuse arrays of different precision; return the one precision, or None without floating arrays."""
    precisions = {_precision(a.dtype) for a in inputs} - {None}
    if len(precisions) > 1:
        raise TypeError(f"arrays of {' and '.join(sorted(precisions))} meet: a silent upcast")
    return precisions.pop() if precisions else None


def _check_promotion(inputs):
    """Refuse operands that do not keep the type of the floating ones, int64 against float32 for instance."""
    precision = _check_floats(inputs)
    result = np.result_type(*[a.dtype for a in inputs])
    if precision is not None and _precision(result) != precision:
        raise TypeError(f"{' and '.join(sorted({str(a.dtype) for a in inputs}))} meet: the result would be {result}")


def _wrap(result):
    if isinstance(result, (np.ndarray, np.generic)):
        return StrictArray(np.asarray(result))
    if isinstance(result, tuple) and any(isinstance(part, (np.ndarray, np.generic)) for part in result):
        return tuple(_wrap(part) for part in result)
    if isinstance(result, list):
        return [_wrap(part) for part in result]
    return result


def _write(results, out):
    """Write one result, or a tuple of them, into arrays of exactly their shape and type."""
    outs, results = (out, results) if isinstance(out, tuple) else ((out,), (results,))
    for target, result in zip(outs, results, strict=True):
        if not isinstance(target, StrictArray):
            raise TypeError(f"out= is a {type(target).__name__}, not a device array")
        if (target.dtype, target.shape) != (result.dtype, result.shape):
            raise TypeError(f"out= is {target.dtype}{target.shape}, the result {result.dtype}{result.shape}")
        target._array[...] = result._array if isinstance(result, StrictArray) else result
    return out


def _apply(function, name, args, kwargs):
    """Call a NumPy function on strict arrays, under all the rules."""
    for keyword in _REFUSED_KEYWORDS:
        if keyword in kwargs:
            raise TypeError(f"CuPy has no {keyword}= in {name}")
    if function is getattr(np, name, None):
        for keyword in set(kwargs) & set(_REFUSED_KEYWORDS_OF.get(name, ())):
            raise TypeError(f"CuPy has no {keyword}= in {name}")
        if name in _DEVICE_ARRAY_FIRST and args and not isinstance(args[0], StrictArray):
            raise TypeError(f"{name} takes a device array, not a {type(args[0]).__name__}")
    if function is np.linalg.solve and args[1].ndim > 1 and args[0].shape[:-1] != args[1].shape[:-1]:
        raise TypeError(f"CuPy solves no systems of {args[0].shape} with sides of {args[1].shape}")
    if name in _SHAPE_DEPENDS_ON_VALUES or (name == "where" and len(args) + len(kwargs) == 1):
        _synchronise(name)
    asked = name == "astype" or kwargs.get("dtype") is not None or any(isinstance(a, (type, np.dtype)) for a in args)
    out = kwargs.pop("out", None)
    if out is not None and name == "einsum":
        raise TypeError("CuPy's einsum has no out=")
    inputs = []
    opened = [_open(argument, inputs) for argument in args]
    keywords = {key: _open(value, inputs) for key, value in kwargs.items()}
    precision = _check_floats(inputs)
    if isinstance(function, np.ufunc):
        if any(isinstance(operand, (list, tuple)) for operand in opened):
            raise TypeError(f"{name} takes arrays, not host sequences")
        typed = [operand for operand in opened if isinstance(operand, (np.ndarray, np.generic))]
        if typed and not asked:
            _check_promotion(typed)
    results = function(*opened, **keywords)
    for result in results if isinstance(results, (tuple, list)) else (results,):
        found = _precision(result.dtype) if isinstance(result, (np.ndarray, np.generic)) else None
        if precision is not None and found not in (None, precision) and not asked:
            raise TypeError(f"{name} turns {precision} into {found}")
    if out is not None:
        return _write(results, out)
    return _wrap(np.asarray(results) if name in _HOST_BOOLEANS else results)


class _Function:
    """A NumPy function, or a ufunc with its methods (`add.at`, `add.reduce`), on strict arrays."""

    def __init__(self, function):
        self._function = function
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args, **kwargs):
        return _apply(self._function, self._function.__name__, args, kwargs)

    def __getattr__(self, name):
        if self._function.__name__ not in _UFUNCS_WITH.get(name, (self._function.__name__,)):
            raise AttributeError(f"CuPy has no {self._function.__name__}.{name}")
        return _Function(getattr(self._function, name))


class _Namespace:
    """A module of NumPy as CuPy would offer it."""

    ndarray = StrictArray

    def __init__(self, module, lacks=frozenset()):
        self._module, self._lacks = module, lacks

    def __getattr__(self, name):
        if name in self._lacks:
            raise AttributeError(f"CuPy has no {name}")
        value = getattr(self._module, name)
        if callable(value) and not isinstance(value, type):
            return _Function(value)
        if isinstance(value, np.ndarray):
            raise AttributeError(f"{name} is an array of the host")
        return value


def _as_strided(x, shape=None, strides=None):
    return _apply(np.lib.stride_tricks.as_strided, "as_strided", (x, shape, strides), {})


def _sliding_window_view(x, window_shape, axis=None):
    _synchronise("sliding_window_view")
    return _apply(np.lib.stride_tricks.sliding_window_view, "sliding_window_view", (x, window_shape, axis), {})


class _TopNamespace(_Namespace):
    linalg = _Namespace(np.linalg, _NOT_IN_CUPY_LINALG)
    fft = _Namespace(np.fft)
    lib = types.SimpleNamespace(
        stride_tricks=types.SimpleNamespace(as_strided=_as_strided, sliding_window_view=_sliding_window_view)
    )

    def asarray(self, values, dtype=None):
        """Bring host values over, always as a copy; a device array of the right type is returned as it is."""
        if isinstance(values, StrictArray):
            return values if dtype is None or np.dtype(dtype) == values.dtype else values.astype(dtype)
        return StrictArray(np.array(values, dtype=dtype))

    def array(self, values, dtype=None):
        if isinstance(values, StrictArray):
            return StrictArray(np.array(values._array, dtype=dtype))
        return self.asarray(values, dtype)


def _operator(name):
    function = getattr(np, name)
    return lambda self, *others: _apply(function, name, (self, *others), {})


def _reflected(name):
    function = getattr(np, name)
    return lambda self, other: _apply(function, name, (other, self), {})


def _in_place(name):
    function = getattr(np, name)
    return lambda self, other: _apply(function, name, (self, other), {"out": self})


def _method(name):
    function = getattr(np.ndarray, name)
    return lambda self, *args, **kwargs: _apply(function, name, (self, *args), kwargs)


for _symbol, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift", "matmul": "matmul",
}.items():  # fmt: skip
    setattr(StrictArray, f"__{_symbol}__", _operator(_name))
    setattr(StrictArray, f"__r{_symbol}__", _reflected(_name))
    if _symbol != "matmul":
        setattr(StrictArray, f"__i{_symbol}__", _in_place(_name))
for _symbol, _name in {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
    "neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert",
}.items():  # fmt: skip
    setattr(StrictArray, f"__{_symbol}__", _operator(_name))
for _name in (
    "all any argmax argmin argpartition argsort astype clip conj copy cumprod cumsum diagonal dot fill flatten max "
    "mean min nonzero partition prod ravel repeat reshape round sort squeeze std sum swapaxes take trace transpose var "
    "view"
).split():
    setattr(StrictArray, _name, _method(_name))


def _asnumpy(array):
    """Return the numbers on the host: a copy, as they come over a bus; host values pass."""
    return array.get() if isinstance(array, StrictArray) else np.asarray(array)


_host = numpy_backend()


def _lu_factor(A):
    return A.dtype, _host.lu_factor(A._array)


def _lu_solve(factor, B, transpose):
    dtype, host_factor = factor
    if B.dtype != dtype:
        raise TypeError(f"factors of {dtype} solve for {B.dtype}")
    return StrictArray(_host.lu_solve(host_factor, B._array, transpose))


def _fused(chain, arguments):
    if chain(*arguments) is not None:
        raise TypeError("a fused chain changes its arguments in place and returns nothing")


backend = xp.Backend(
    name="strict",
    namespace=_TopNamespace(np, _NOT_IN_CUPY | {"random", "load", "save"}),
    asnumpy=_asnumpy,
    lu_factor=_lu_factor,
    lu_solve=_lu_solve,
    fused=_fused,
)
