"""What the small experiments share: the options of a grid, learning from one pair, and the run."""

import functools

import numpy as np

from plastic import functions, parameters, xp
from plastic.errors import PlasticError
from plastic.initializers import orthogonal, xavier_normal, xavier_uniform
from plastic.parameters import Affine
from plastic.pc.networks import Network
from plastic.pc.rules import bp, pc
from plastic.pc.toys import figures
from plastic.runs.command import run_task
from plastic.runs.options import check_above_zero, check_at_least_one, check_between, check_seeds

ACTIVATIONS = {name: getattr(functions, name) for name in ("linear", "sigmoid", "tanh", "relu", "leaky")}
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": 2**0.5, "leaky": 0.9999000099990001}
"""Gains of the initial weights by activation, as published (that of leaky is not the usual 2^(1/2))."""
INITS = {
    "xavier-uniform": xavier_uniform,
    "xavier-normal": xavier_normal,
    "orthogonal": lambda generator, n, _, gain: gain * orthogonal(generator, n),
}

_COUNTS = ("T", "iterations", "small_iterations", "width", "points", "batch_size", "steps_gr", "steps_ap", "few_seeds")
_POSITIVE = ("gamma", "discount", "gain", "rate", "rate_pc", "rate_bp", "small_rate", "gamma_ap", "gamma_gr")


def completed(options, grids):
    """Return the options, those that are None being what the grid says.

    grids: {grid: {option: value}}; of `seeds` the number, counted from the option `seed` on.
    """
    chosen = dict(grids[options["grid"]])
    if "seeds" in chosen:
        chosen["seeds"] = tuple(range(options["seed"], options["seed"] + chosen["seeds"]))
    return options | {name: value for name, value in chosen.items() if options[name] is None}


def check(options, *rates):
    """Raise PlasticError where an option that these experiments share is out of range; rates: names of tuples."""
    if "seeds" in options:
        check_seeds(options)
    check_at_least_one(options, *(name for name in _COUNTS if name in options))
    check_above_zero(options, *(name for name in _POSITIVE if options.get(name) is not None))
    check_between(options, "discount", 0, 1)
    for name in rates:
        check_values(options, name)


def check_values(options, name, kind="rates above 0"):
    """Raise PlasticError unless a tuple has numbers, all above 0 and different."""
    values = options[name]
    if not values or min(values) <= 0 or len(set(values)) < len(values):
        raise PlasticError(f"{name} is {values}; it must hold different {kind}")


def seeds_text(options):
    """Return the seeds for the name of a run folder."""
    first, *others = options["seeds"]
    return f"seed{first}" if not others else f"{1 + len(others)}seeds-from-{first}"


def measured(name, options, readable, measure, report):
    """Run measure(options) -> (rows of metrics.csv, arrays of arrays.h5) into a run folder, draw, report(run, arrays).

    It is over in a minute or two, so no run is ever resumed.
    """
    return run_task(
        "pc",
        name,
        options | {"resume": None},
        readable,
        lambda: _Task(measure, options),
        report,
        lambda task: task.arrays,
        figures.draw,
    )


class _Task:
    def __init__(self, measure, options):
        self.measure, self.options = measure, options

    def train(self, run):
        with np.errstate(all="ignore"):  # a replica that diverges says so by its numbers
            rows, self.arrays = self.measure(self.options)
        run.log(rows)
        return self.arrays


def rules_of(options):
    """Return {"pc": rule, "bp": rule}, each a function (network, x, y) -> (grads, output), with the options given."""
    inference = {name: options[name] for name in ("T", "gamma", "discount")}
    return {"pc": functools.partial(pc, **inference), "bp": bp}


def draw(seeds, width, layers, init, gain):
    """Return (weights [W_1, .., W_L], x, y), square nets and a pair N(0, 1), with the seeds as replicas."""
    generators, initial = [xp.generator(seed) for seed in seeds], INITS[init]
    x, y = (_stacked([each.data.standard_normal((1, width)) for each in generators]) for _ in range(2))
    return [_stacked([initial(each.init, width, width, gain) for each in generators]) for _ in range(layers)], x, y


def _stacked(draws):
    return xp.asarray(np.stack(draws))


def column(rates):
    """Return rates as an array (replicas, 1, 1) that broadcasts to weights."""
    return xp.asarray(np.array(rates, dtype=float).reshape(-1, 1, 1))


def network(W, phi):
    """Return the net of weights [W_1, .., W_L] without biases."""
    return Network([Affine(each) for each in W], phi)


def moved(net, grads, rate):
    """Return the net after one update, W - rate dF/dW, from one pair."""
    return network([a.W - rate * g.W for a, g in zip(net.layers, grads["layers"], strict=True)], net.phi)


def learn(net, x, y, rule, rate, grads, trained=slice(None)):
    """Learn a batch, in place: W <- W - rate dF/dW, F being a sum over the batch, as published, and `grads` a buffer.

    rate: a number or (replicas, 1, 1). trained: which layers learn.
    """
    rule(net, x, y, out=grads)
    for layer, grad in zip(net.layers[trained], grads["layers"][trained], strict=True):
        layer.W -= rate * x.shape[-2] * grad.W


def learning(net, x, y, rule, rate, iterations, trained=slice(None)):
    """Yield a net before it learns the pair (x, y), and after each iteration, always the same one, in place.

    rate: a number or (replicas, 1, 1). trained: which layers learn.
    """
    net = network([layer.W.copy() for layer in net.layers], net.phi)
    grads = parameters.zeros_like(net.parameters)
    yield net
    for _ in range(iterations):
        learn(net, x, y, rule, rate, grads, trained)
        yield net
