"""Activations with their derivatives and inverse, and losses with their gradient.

All functions take and return arrays of any shape, in their own precision. An `Activation` is a record: the function,
and what the learning rules need of it. Those with a name, as rho(v):

    sigm            1 / (1 + exp(-4 (v - 1/2))) = (1 + tanh(2 v - 1)) / 2
    hardsigm        min(max(v, 0), 1)       of slope 1 on [0, 1], the ends included
    tanh, linear    tanh(v), v
    relu            max(v, 0)               of slope 0 at 0
    hard_tanh       min(max(v, -1), 1)      of slope 1 on [-1, 1], the ends included
    leaky           max(v, v / 100)         of slope 1/100 at 0; others by `leaky_relu`, with an inverse
    sigmoid         1 / (1 + exp(-v))
    softplus        log(1 + exp(v))

One of your own is two lines, and works wherever a network takes `phi`, in ep, gle and pc:

    softsign = Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)
    net = pc.network((784, 64, 10), generator, phi=softsign)
"""

from plastic.functions.activations import (
    ACTIVATIONS,
    Activation,
    activation,
    hard_tanh,
    hardsigm,
    leaky,
    leaky_relu,
    linear,
    logistic,
    relu,
    sigm,
    sigmoid,
    sign_or_one,
    softplus,
    tanh,
)
from plastic.functions.losses import (
    accuracy,
    classification_error,
    confusion,
    log_softmax,
    mean_squared_error,
    one_hot,
    softmax,
    softmax_cross_entropy,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "accuracy",
    "activation",
    "classification_error",
    "confusion",
    "hard_tanh",
    "hardsigm",
    "leaky",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logistic",
    "mean_squared_error",
    "one_hot",
    "relu",
    "sigm",
    "sigmoid",
    "sign_or_one",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "tanh",
]


def __dir__() -> list[str]:
    return __all__
