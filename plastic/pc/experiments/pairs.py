"""A pair of input and target, and nets without biases that learn it, W <- W - rate dF/dW.

F is a sum over the batch, as published. Replicas, the first axis, are seeds, rates, or both.
"""

import functools
import itertools

import numpy as np

from plastic import parameters, runs, xp
from plastic.errors import Diverged, PlasticError
from plastic.initializers import orthogonal, xavier_normal, xavier_uniform
from plastic.parameters import Affine
from plastic.pc.networks import Network

experiment = functools.partial(runs.experiment, "pc", seed=0, dtype="float64", resume=False)
"""The decorator of the small experiments, over in minutes: what counts is the whole path, and none is resumed."""
RULES = {"pc": "PC", "bp": "BP", "tp": "TP", "gr": "GeneRec", "ap": "Almeida-Pineda"}
"""What the rules are called."""
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": 2**0.5, "leaky": 0.9999000099990001}
"""Gains of the initial weights by activation, as published (that of leaky is not the usual 2^(1/2))."""
INITS = {
    "xavier-uniform": xavier_uniform,
    "xavier-normal": xavier_normal,
    "orthogonal": lambda generator, n, _, gain: gain * orthogonal(generator, n),
}


def draw(seeds, width, layers, init, gain, count=1):
    """Return (weights [W_1, .., W_L], x, y): square nets, and `count` pairs N(0, 1); the seeds are replicas."""
    generators, initial = [xp.generator(seed) for seed in seeds], INITS[init]
    x, y = (_stacked([each.data.standard_normal((count, width)) for each in generators]) for _ in range(2))
    return [_stacked([initial(each.init, width, width, gain) for each in generators]) for _ in range(layers)], x, y


def _stacked(draws):
    return xp.asarray(np.stack(draws))


def column(rates):
    """Return rates as an array (replicas, 1, 1) that broadcasts to weights."""
    return xp.asarray(np.array(rates, dtype=float).reshape(-1, 1, 1))


def rows(rule, seeds, rates, **measured):
    """Return the rows of a rule in metrics.csv; measured: {column: values (seeds, rates)}."""
    return [
        {"replica": s * len(rates) + r, "seed": seed, "rule": rule, "rate": rate}
        | {name: values[s, r] for name, values in measured.items()}
        for (s, seed), (r, rate) in itertools.product(enumerate(seeds), enumerate(rates))
    ]


@np.errstate(all="ignore")  # what overflows is told
def require_sound(rule, names, reached, measured, *options, power=4):
    """Require that learning has led every replica somewhere: to finite numbers, and away from where it began.

    names: of the replicas, "rate 0.1". reached: arrays (replicas, ...) of weights, outputs or losses, of which this
    power is finite: most measures multiply squared lengths. measured: (replicas, ...), a NaN where a way of length 0
    has no direction. options: those at fault, beside gamma in predictive coding. Raises Diverged, or PlasticError where
    nothing has moved.
    """

    def first(bad):
        return names[int(np.argmax(np.asarray(bad).reshape(len(names), -1).any(axis=1)))]

    who, at_fault = RULES[rule], " or ".join((*options, "gamma") if rule == "pc" else options)
    for values in map(xp.asnumpy, reached):
        if (bad := ~np.isfinite(values**power)).any():
            raise Diverged(f"{who} diverged at {first(bad)}: try a smaller value of {at_fault}")
    if (bad := np.isnan(xp.asnumpy(measured))).any():
        how = f"moves nothing at {first(bad)}, as far as {xp.float_dtype} can tell"
        raise PlasticError(f"{who} {how}: try a larger value of {at_fault}")


def network(W, phi):
    """Return the net of weights [W_1, .., W_L] without biases; phi: its activation, or the name of one."""
    return Network([Affine(each) for each in W], phi)


def moved(net, grads, rate):
    """Return the net after one update, W - rate dF/dW, from one pair."""
    return network([a.W - rate * g.W for a, g in zip(net.layers, grads["layers"], strict=True)], net.phi)


def learn(net, x, y, rule, rate, grads, trained=slice(None)):
    """Learn a batch, in place, in the `trained` layers; rate: a number or (replicas, 1, 1), grads: a buffer."""
    rule(net, x, y, out=grads)
    for layer, grad in zip(net.layers[trained], grads["layers"][trained], strict=True):
        layer.W -= rate * x.shape[-2] * grad.W


def learning(net, x, y, rule, rate, iterations, trained=slice(None)):
    """Yield a net before it learns the pair (x, y) by `learn`, and after each iteration, always the same one."""
    net = network([layer.W.copy() for layer in net.layers], net.phi)
    grads = parameters.zeros_like(net.parameters)
    yield net
    for _ in range(iterations):
        learn(net, x, y, rule, rate, grads, trained)
        yield net
