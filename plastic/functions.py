"""Activations with their derivative and inverse, and losses with their gradient.

Elementwise functions take and return arrays of any shape in their own precision. A derivative is given as a function of
what the learning rules have at hand, which the name says: `leaky_relu_slope(a)` takes the activity a = phi(z), not z.
An `Activation` is a function with its first and second derivative, for rules that need all three.
"""

import dataclasses
from collections.abc import Callable

from plastic import xp

LEAK = 0.1
"""Slope of the leaky rectifier below zero."""


def leaky_relu(z):
    """phi(z) = z where z >= 0, else 0.1 z."""
    return xp.maximum(z, LEAK * z)


def leaky_relu_inverse(a):
    """phi^{-1}(a) = a where a >= 0, else 10 a."""
    return xp.minimum(a, a * (1 / LEAK))


def leaky_relu_slope(a):
    """phi'(z) as a function of the activity a = phi(z): 1 where a >= 0 (a = 0 included), else 0.1."""
    return (a >= 0).astype(a.dtype) * (1 - LEAK) + LEAK


def sign_or_one(a):
    """+1 where a >= 0 (a = 0 included), -1 elsewhere."""
    return (a >= 0).astype(a.dtype) * 2 - 1


def logistic(v, out=None):
    """1 / (1 + exp(-v)), computed as (1 + tanh(v / 2)) / 2, which cannot overflow; into `out` where it is given."""
    value = xp.multiply(v, 0.5, out=out)
    value = xp.tanh(value, out=out)
    value *= 0.5
    value += 0.5
    return value


@dataclasses.dataclass(frozen=True)
class Activation:
    """A function rho of v with its derivatives, all elementwise and given rho(v), which is at hand by then.

    value(v, out=None): rho(v), written into `out` where it is given (v itself may be).
    slope(v, rho, out=None): rho'(v); of a function that has slopes 0 and 1 only, as booleans.
    curvature(v, rho): rho''(v), as a new array, or 0.0.
    """

    name: str
    value: Callable
    slope: Callable
    curvature: Callable


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


def _leaky_slope(v, rho, out=None):
    slope = xp.multiply((v > 0).astype(v.dtype), 0.99, out=out)
    return xp.add(slope, 0.01, out=out)


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

leaky = Activation(
    "leaky",
    lambda v, out=None: xp.maximum(v, 0.01 * v, out=out),
    _leaky_slope,
    lambda v, rho: 0.0,
)
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


def mean_squared_error(a, y):
    """Mean over batch and units of (a - y)^2, for a and y (..., batch, n); an array of the leading axes."""
    return xp.mean((a - y) ** 2, axis=(-2, -1))


def softmax_cross_entropy(a, labels):
    """Return the cross-entropy E of each softmax output, and dE/da, both per sample.

    E = -log pi_label,    dE/da_k = pi_k - [k = label],    pi_k = exp(a_k) / sum over l of exp(a_l)

    a: (..., n), finite. labels: whole numbers of a shape that broadcasts to the leading axes of a. E has these axes,
    dE/da the shape of a: for a mean or a weighted sum over samples, multiply both by the weights.
    """
    z = a - xp.max(a, axis=-1, keepdims=True)
    e = xp.exp(z)
    total = xp.sum(e, axis=-1, keepdims=True)
    chosen = labels[..., None] == xp.arange(a.shape[-1])
    e /= total
    return xp.log(total[..., 0]) - xp.sum(z * chosen, axis=-1), e - chosen


def softmax(a):
    """Return pi_k = exp(a_k) / sum over l of exp(a_l), for a (..., n)."""
    e = xp.exp(a - xp.max(a, axis=-1, keepdims=True))
    e /= xp.sum(e, axis=-1, keepdims=True)
    return e


def accuracy(a, labels):
    """Fraction of the samples whose largest output, a (..., batch, n), is at labels (batch,); of the leading axes."""
    return xp.mean(xp.argmax(a, axis=-1) == labels, axis=-1)


def one_hot(labels, classes):
    """Return the rows (batch, classes) of the working precision that are 1 at labels (batch,) and 0 elsewhere."""
    return (labels[:, None] == xp.arange(classes)).astype(xp.float_dtype)
