"""Activations with their derivatives and inverse, and losses with their gradient.

All functions take and return arrays of any shape, in their own precision. An `Activation` is a record: the function,
and what the learning rules need of it. One of your own is two lines, and works in every family:

    softsign = Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)
    net = pc.network((784, 64, 10), generator, phi=softsign)
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
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
        self.name = name
        self.value, self.slope = _writing(value), _writing(slope)
        self.curvature = curvature or self._missing("curvature, rho''(v)")
        self.inverse = inverse or self._missing("inverse")

    def __repr__(self) -> str:
        return self.name

    def _missing(self, what: str) -> Callable[..., Any]:
        def refuse(*arguments: Any) -> Any:
            raise PlasticError(f"the activation {self.name} has no {what}, which this rule needs; give it one")

        return refuse


def _writing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with an argument `out`, if it has none."""
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


def _softplus_slope(v, rho, out=None):
    slope = xp.multiply(rho, -1, out=out)  # NumPy 2.4's negative writes wrong numbers into columns of a wider array
    slope = xp.expm1(slope, out=out)
    return xp.multiply(slope, -1, out=out)


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
    lambda v, out=None: xp.logaddexp(v, 0, out=out),
    _softplus_slope,
    lambda v, rho: xp.exp(-rho) * (1 - xp.exp(-rho)),
)
"""rho(v) = log(1 + exp(v)), with rho'(v) = 1 / (1 + exp(-v)) = 1 - exp(-rho)."""


ACTIVATIONS = {each.name: each for each in (sigm, hardsigm, tanh, linear, relu, hard_tanh, leaky, sigmoid, softplus)}
"""The activations by name."""


def activation(phi: Activation | str) -> Activation:
    """Return an activation, given it or its name in `ACTIVATIONS`.

    Raises:
        PlasticError: if the name is unknown.

    Example:
        >>> activation("tanh")
        tanh
    """
    if isinstance(phi, Activation):
        return phi
    require.choice("the activation", phi, ACTIVATIONS)
    return ACTIVATIONS[phi]


def mean_squared_error(a: Array, y: Array) -> Array:
    """Return the mean over batch and units of (a - y)^2.

    Args:
        a, y: outputs and targets, both (..., batch, n).

    Returns:
        An array of the replica axes.

    Raises:
        PlasticError: if the two have different numbers of rows or columns.

    Example:
        >>> float(mean_squared_error(xp.asarray([[1.0, 2.0]]), xp.asarray([[1.0, 0.0]])))
        2.0
    """
    if a.shape[-2:] != y.shape[-2:] or a.ndim < 2:
        raise PlasticError(f"outputs of shape {a.shape} and targets of shape {y.shape} do not belong together")
    return xp.mean((a - y) ** 2, axis=(-2, -1))


def softmax_cross_entropy(a: Array, labels: Array) -> tuple[Array, Array]:
    """Return the cross-entropy E of each softmax output, and dE/da, both per sample.

        E = -log pi_label,    dE/da_k = pi_k - [k = label],    pi_k = exp(a_k) / sum over l of exp(a_l)

    Args:
        a: logits (..., n), finite.
        labels: whole numbers from 0 to n - 1, of a shape that broadcasts to the leading axes of a.

    Returns:
        (E, dE/da), E of the leading axes of a, dE/da of the shape of a: for a mean or a weighted sum over samples,
        multiply both by the weights.

    Raises:
        PlasticError: if labels are not such numbers.

    Example:
        >>> E, err = softmax_cross_entropy(xp.asarray([[0.0, 0.0]]), xp.asarray([1]))
        >>> err.tolist()
        [[0.5, -0.5]]
    """
    _require_labels(labels, a.shape[-1])
    if labels.ndim > a.ndim - 1 or any(
        found not in (1, wanted) for found, wanted in zip(labels.shape[::-1], a.shape[-2::-1], strict=False)
    ):
        raise PlasticError(f"labels have shape {labels.shape}; one for each row of logits {a.shape} is needed")
    z = a - xp.max(a, axis=-1, keepdims=True)
    with xp.underflow_is_ordinary():
        e = xp.exp(z)
        total = xp.sum(e, axis=-1, keepdims=True)
        chosen = labels[..., None] == xp.arange(a.shape[-1])
        e /= total
    return xp.log(total[..., 0]) - xp.sum(z * chosen, axis=-1), e - chosen


def softmax(a: Array) -> Array:
    """Return pi_k = exp(a_k) / sum over l of exp(a_l), for a (..., n).

    Example:
        >>> softmax(xp.asarray([1000.0, 1000.0])).tolist()
        [0.5, 0.5]
    """
    with xp.underflow_is_ordinary():
        e = xp.exp(a - xp.max(a, axis=-1, keepdims=True))
        e /= xp.sum(e, axis=-1, keepdims=True)
    return e


def accuracy(a: Array, labels: Array) -> Array:
    """Return the fraction of samples whose largest output is at their label.

    Args:
        a: outputs (..., batch, n).
        labels: whole numbers from 0 to n - 1, (batch,), or (..., batch) with replica axes.

    Returns:
        An array of the replica axes; 1 is all right.

    Raises:
        PlasticError: if labels are a column, one-hot rows, of another number, or out of range.

    Example:
        >>> float(accuracy(xp.asarray([[0.1, 0.9], [0.8, 0.2]]), xp.asarray([1, 1])))
        0.5
    """
    _require_labels(labels, a.shape[-1])
    if labels.ndim == 0 or labels.ndim > a.ndim - 1 or labels.shape[-1] != a.shape[-2]:
        raise PlasticError(f"labels have shape {labels.shape}; outputs {a.shape} need ({a.shape[-2]},)")
    return xp.mean(xp.argmax(a, axis=-1) == labels, axis=-1)


def classification_error(a: Array, y: Array) -> Array:
    """Return the fraction of rows whose largest output is not where that of the one-hot target is.

    A tie for the largest output is an error, and so is an output that is not a number (as published by Song et al.
    2024).

    Args:
        a: outputs (..., batch, n).
        y: one-hot rows (..., batch, n).

    Returns:
        An array of the replica axes.

    Raises:
        PlasticError: if the two have different numbers of rows or columns.

    Example:
        >>> float(classification_error(xp.asarray([[0.1, 0.9], [0.5, 0.5]]), xp.asarray([[0.0, 1.0], [0.0, 1.0]])))
        0.5
    """
    if a.shape[-2:] != y.shape[-2:] or a.ndim < 2:
        raise PlasticError(f"outputs of shape {a.shape} and targets of shape {y.shape} do not belong together")
    largest = a == xp.max(a, axis=-1, keepdims=True)
    return xp.mean(xp.any(largest != (y == xp.max(y, axis=-1, keepdims=True)), axis=-1), axis=-1)


def one_hot(labels: Array, classes: int) -> Array:
    """Return rows that are 1 at the label and 0 elsewhere, in the working precision.

    Args:
        labels: whole numbers from 0 to classes - 1, (batch,) or (..., batch).
        classes: how many there are.

    Returns:
        An array (..., batch, classes).

    Raises:
        PlasticError: if labels are not whole numbers, or are out of range.

    Example:
        >>> one_hot(xp.asarray([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    require.whole("classes", classes)
    _require_labels(labels, classes)
    return (labels[..., None] == xp.arange(classes)).astype(xp.float_dtype)


def _require_labels(labels: Any, classes: int) -> None:
    require.array("labels", labels)
    if labels.dtype.kind not in "iu":
        raise PlasticError(f"labels are {labels.dtype}; whole numbers from 0 to {classes - 1} are needed")
    if isinstance(labels, np.ndarray) and labels.size and not (0 <= labels.min() and labels.max() < classes):
        raise PlasticError(
            f"labels run from {labels.min()} to {labels.max()}; with {classes} classes they are 0 to {classes - 1}"
        )
