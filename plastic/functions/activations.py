"""Activations as records: the function, its derivatives and its inverse."""

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError, told
from plastic.types import Array


def sign_or_one(a: Array) -> Array:
    """Return +1 where a >= 0 (a = 0 included), -1 elsewhere, in the precision of a."""
    return (a >= 0).astype(a.dtype) * 2 - 1


def logistic(v: Array, out: Array | None = None) -> Array:
    """Return 1 / (1 + exp(-v)), computed as (1 + tanh(v / 2)) / 2, which cannot overflow.

    Args:
        v: an array of any shape.
        out: the buffer that is written into and returned, which may be v itself.

    Returns:
        An array of the shape of v.

    Example:
        >>> logistic(xp.asarray([0.0, 1000.0])).tolist()
        [0.5, 1.0]
    """
    value = xp.multiply(v, 0.5, out=out)
    value = xp.tanh(value, out=out)
    value *= 0.5
    value += 0.5
    return value


class Activation:
    """A function rho of v with its derivatives, all elementwise. Its repr is its name.

    Args:
        name: what it is called in messages and files.
        value: value(v) or value(v, out=None) -> rho(v). `out` may be v itself; without that argument, the result is
            copied.
        slope: slope(v, rho) or slope(v, rho, out=None) -> rho'(v), given rho = rho(v), which is at hand by then. A
            function that has slopes 0 and 1 only may give booleans.
        curvature: curvature(v, rho) -> rho''(v), as a new array, or 0.0. Only BPTT through energy-based dynamics and
            GLE's truncated BPTT ask for it.
        inverse: inverse(rho) -> v.

    Raises:
        PlasticError: if the name is no text, or value or slope no function.

    Without a curvature or an inverse, a rule that needs it raises a PlasticError that says so.

    Source: the activations of this module are those of the published codes.

    Example:
        >>> cube = Activation("cube", lambda v: v**3, lambda v, rho: 3 * v**2)
        >>> v = xp.asarray([1.0, 2.0])
        >>> cube, cube.value(v).tolist(), cube.slope(v, cube.value(v)).tolist()
        (cube, [1.0, 8.0], [3.0, 12.0])
    """

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        slope: Callable[..., Any],
        curvature: Callable[..., Any] | None = None,
        inverse: Callable[..., Any] | None = None,
    ) -> None:
        for what, given in (("value", value), ("slope", slope)):
            if not callable(given):
                raise PlasticError(f"the {what} of the activation {name!r} is {given!r}; it must be a function")
        if not isinstance(name, str):
            raise PlasticError(f"the name of an activation is {name!r}; it must be text")
        self.name = name
        self.value, self.slope = _writing(value), _writing(slope)
        self.curvature = curvature or self._missing("curvature, rho''(v)")
        self.inverse = inverse or self._missing("inverse")
        self.known: set[Any] = set()  # the precisions in which value and slope are known to give arrays like v

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name  # a copy of a network shares its activations: layers that have the same lie side by side

    def _missing(self, what: str) -> Callable[..., Any]:
        def refuse(*arguments: Any) -> Any:
            raise PlasticError(f"the activation {self.name} has no {what}, which this rule needs; give it one")

        return refuse


def _writing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with an argument `out`, if it has none."""
    with contextlib.suppress(TypeError, ValueError):  # np.tanh shows no signature before NumPy 2.4
        if "out" in inspect.signature(function).parameters:
            return function

    @functools.wraps(function)
    def written(*arguments: Array, out: Array | None = None) -> Array:
        result = function(*arguments)
        if out is None:
            return result
        out[...] = result
        return out

    return written


def _sigm(v, out=None):
    rho = xp.multiply(v, 2, out=out)
    rho -= 1
    rho = xp.tanh(rho, out=out)  # as fast as a product: an exponential and a division would cost five times as much
    rho += 1
    rho *= 0.5
    return rho


def _sigm_slope(v, rho, out=None):
    slope = xp.subtract(1, rho, out=out)
    slope *= rho
    slope *= 4
    return slope


def _tanh_slope(v, rho, out=None):
    slope = xp.multiply(rho, rho, out=out)
    return xp.subtract(1, slope, out=out)


def _sigmoid_slope(v, rho, out=None):
    slope = xp.subtract(1, rho, out=out)
    slope *= rho
    return slope


def _softplus(v, out=None):
    """log(1 + exp(v)) = max(v, 0) + log(1 + exp(-|v|)): `logaddexp` takes one number at a time on NumPy."""
    above = xp.maximum(v, 0)
    rest = xp.abs(v, out=out)
    rest *= -1
    rest = xp.exp(rest, out=out)
    rest = xp.log1p(rest, out=out)
    rest += above
    return rest


def _softplus_slope(v, rho, out=None):
    slope = xp.expm1(xp.negative(rho, out=out), out=out)
    return xp.negative(slope, out=out)


sigm = Activation("sigm", _sigm, _sigm_slope, lambda v, rho: 16 * rho * (1 - rho) * (1 - 2 * rho))
"""rho(v) = 1 / (1 + exp(-4 (v - 1/2))) = (1 + tanh(2 v - 1)) / 2, the steeper, shifted logistic function."""

hardsigm = Activation(
    "hardsigm",
    lambda v, out=None: xp.clip(v, 0, 1, out=out),
    lambda v, rho, out=None: xp.equal(v, rho, out=out),
    lambda v, rho: 0.0,
)
"""rho(v) = min(max(v, 0), 1), with rho'(v) = 1 on the closed interval [0, 1] and 0 elsewhere."""

tanh = Activation(
    "tanh",
    lambda v, out=None: xp.tanh(v, out=out),
    _tanh_slope,
    lambda v, rho: -2 * rho * (1 - rho * rho),
)
"""rho(v) = tanh(v)."""


linear = Activation(
    "linear",
    lambda v, out=None: xp.multiply(v, 1, out=out),
    lambda v, rho, out=None: xp.equal(v, v, out=out),
    lambda v, rho: 0.0,
)
"""rho(v) = v."""

relu = Activation(
    "relu",
    lambda v, out=None: xp.maximum(v, 0, out=out),
    lambda v, rho, out=None: xp.greater(v, 0, out=out),
    lambda v, rho: 0.0,
)
"""rho(v) = max(v, 0), with rho'(0) = 0."""

hard_tanh = Activation(
    "hard_tanh",
    lambda v, out=None: xp.clip(v, -1, 1, out=out),
    lambda v, rho, out=None: xp.equal(v, rho, out=out),
    lambda v, rho: 0.0,
)
"""rho(v) = min(max(v, -1), 1), with rho'(v) = 1 on the closed interval [-1, 1] and 0 elsewhere."""


def leaky_relu(leak: float = 0.01, kink: float | None = None) -> Activation:
    """Return the leaky rectifier, rho(v) = v where v >= 0, else leak v, with its inverse.

    Args:
        leak: the slope below zero, above 0 and below 1.
        kink: the slope at v = 0, `leak` or 1; `leak` by default.

    Returns:
        The `Activation`. Its slope at rho(v) is that at v, as both have the same sign.

    Raises:
        PlasticError: if a constant is out of range.

    Source: Maas, Hannun and Ng 2013.

    Example:
        >>> rho = leaky_relu(0.5)
        >>> rho.value(xp.asarray([-1.0, 2.0])).tolist()
        [-0.5, 2.0]
    """
    require.number("leak", leak, above=0, below=1)
    kink = leak if kink is None else kink
    require.choice("kink", kink, (leak, 1.0))

    def slope(v: Array, rho: Array, out: Array | None = None) -> Array:
        steep = v > 0 if kink == leak else v >= 0
        result = xp.multiply(steep.astype(v.dtype), 1 - leak, out=out)
        return xp.add(result, leak, out=out)

    return Activation(
        "leaky" if leak == 0.01 else f"leaky {leak:g}",
        lambda v, out=None: xp.maximum(v, leak * v, out=out),
        slope,
        lambda v, rho: 0.0,
        lambda rho: xp.minimum(rho, rho * (1 / leak)),
    )


leaky = leaky_relu()
"""rho(v) = max(v, v / 100), with rho'(0) = 1/100."""

sigmoid = Activation("sigmoid", logistic, _sigmoid_slope, lambda v, rho: rho * (1 - rho) * (1 - 2 * rho))
"""rho(v) = 1 / (1 + exp(-v)), the logistic function."""

softplus = Activation(
    "softplus",
    _softplus,
    _softplus_slope,
    lambda v, rho: xp.exp(-rho) * (1 - xp.exp(-rho)),
)
"""rho(v) = log(1 + exp(v)), with rho'(v) = 1 / (1 + exp(-v)) = 1 - exp(-rho)."""


ACTIVATIONS = {each.name: each for each in (sigm, hardsigm, tanh, linear, relu, hard_tanh, leaky, sigmoid, softplus)}
"""The activations by name."""


def activation(phi: Activation | str) -> Activation:
    """Return an activation, given it or its name in `ACTIVATIONS`.

    Raises:
        PlasticError: if the name is unknown, it is a function, which has no slope, or value or slope give something
            else than arrays like v.

    Example:
        >>> activation("tanh")
        tanh
    """
    if isinstance(phi, Activation):
        _require_arrays(phi)
        return phi
    if callable(phi):
        raise PlasticError(
            f"the activation is {phi!r}, of which rules need the slope, too: take a name, {', '.join(ACTIVATIONS)}, or "
            "make a plastic.functions.Activation of your own"
        )
    require.choice("the activation", phi, ACTIVATIONS)
    return ACTIVATIONS[phi]


def _require_arrays(phi: Activation) -> None:
    """Require value and slope that give arrays like v, in its precision; they are looked at once in each."""
    if xp.float_dtype in phi.known:
        return
    v = xp.asarray([[0.25, 0.5]])
    try:
        with np.errstate(all="ignore"):
            rho = phi.value(v)
            given = {"value(v)": rho, "slope(v, rho)": phi.slope(v, rho)}
    except (TypeError, ValueError) as error:
        raise PlasticError(f"the activation {phi} fails on v of shape {v.shape}: {told(error)}") from error
    for what, found in given.items():
        dtype, axes = getattr(found, "dtype", None), getattr(found, "ndim", 0)
        if axes < v.ndim or dtype not in ((v.dtype,) if found is rho else (v.dtype, np.dtype(bool))):
            kind = f"{dtype} of {axes} axes" if dtype else f"a {type(found).__name__}"
            raise PlasticError(
                f"the activation {phi}: {what} gives {kind}, of v of {v.dtype} and {v.ndim} axes; it must be an array "
                "like v: xp.ones_like(v) times a constant, and factors that are numbers of Python"
            )
    phi.known.add(xp.float_dtype)
