"""Activations with their derivative and inverse, and losses with their gradient.

Elementwise functions take and return arrays of any shape in their own precision. A derivative is given as a function
of what the
learning rules have at hand, which the name says: `leaky_relu_slope(a)` takes the activity a = phi(z), not z.
"""

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


def mean_squared_error(a, y):
    """Mean over batch and units of (a - y)^2, for a and y (..., batch, n); an array of the leading axes."""
    return xp.mean((a - y) ** 2, axis=(-2, -1))


def accuracy(a, labels):
    """Fraction of the samples whose largest output, a (..., batch, n), is at labels (batch,); of the leading axes."""
    return xp.mean(xp.argmax(a, axis=-1) == labels, axis=-1)


def one_hot(labels, classes):
    """Return the rows (batch, classes) of the working precision that are 1 at labels (batch,) and 0 elsewhere."""
    return (labels[:, None] == xp.arange(classes)).astype(xp.float_dtype)
