"""Rules that learn from sequences: e-prop beside BPTT on LSTM cells, GLE beside BPTT and the adjoint method.

A sequence (T, n_0) has its target y, a one-hot row, at every step, and its class is where the mean of the outputs over
the steps is largest. The loss is one of

    L = mean over t of 1/2 |output^t - y|^2                 dL/doutput^t = (output^t - y) / T             "squared"
    L = mean over t of -log of softmax(output^t) at y       dL/doutput^t = (softmax(output^t) - y) / T    "ce"

The rules need two kinds of network, each rule beside the exact gradient of its own: a layer of LSTM cells with a linear
readout, and layers of GLE neurons, tanh, of which a third has tau_m = tau_r, a third tau_m of 3 steps and a third of 6,
without a look ahead, with a linear output; of several hidden layers the first is linear, as published. Weights move
once for a batch: GLE's gradient is the mean of those of all steps, which its neurons have at hand at each of them.
"""

import functools
from collections.abc import Callable

import numpy as np

from plastic import eprop, gle, parameters, xp
from plastic.compare.rules import Kind, Rule
from plastic.functions import softmax
from plastic.parameters import Affine
from plastic.types import Array

DT = 0.2
FAST, SLOW = 0.6, 1.2
"""A step of GLE, and its time constants, in the unit of Ellenberger et al. 2024."""


def steps_first(x: Array) -> Array:
    """Return sequences (batch, T, n) as (T, batch, n)."""
    return xp.ascontiguousarray(xp.swapaxes(x, -2, -3))


def held(y: Array, steps: int) -> Array:
    """Return targets y (batch, classes) for every step, (T, batch, classes)."""
    return xp.ascontiguousarray(xp.broadcast_to(y, (steps, *y.shape)))


def _cells(sizes: tuple[int, ...], generator: np.random.Generator) -> dict[str, Affine]:
    net = eprop.lstm((sizes[0], sizes[1], sizes[-1]), generator)
    return {"kernel": net.kernel, "readout": net.readout}


def squared(output: Array, y: Array) -> Array:
    """Return the error of a step, output - y."""
    return output - y


def cross_entropy(output: Array, y: Array) -> Array:
    """Return the error of a step, softmax(output) - y."""
    return softmax(output) - y


ERRORS: dict[str, Callable[[Array, Array], Array]] = {"squared": squared, "ce": cross_entropy}
"""The errors T dL/doutput^t of a sample by the names of the losses on a command line."""


def _mean_of(error):
    """Return loss(output, y) -> (L, err), a mean over steps and batch; rules ask for err alone, and L is left out."""
    return lambda output, y: (None, error(output, y) / (output.shape[-3] * output.shape[-2]))


def _by_cells(rule, error):
    rule = functools.partial(rule, loss=_mean_of(error))

    def gradients(net, x, y, *_):
        grads, output = rule(net, steps_first(x), held(y, x.shape[-2]))
        return {"layers": {"kernel": grads["kernel"], "readout": grads["readout"]}}, xp.mean(output, axis=-3)

    return gradients


def _one_layer(sizes):
    return "" if len(sizes) == 3 else f"has one layer of cells, and sizes are {', '.join(map(str, sizes[1:-1]))}"


def _lstm(error):
    return Kind(
        "LSTM cells",
        _cells,
        lambda weights: eprop.LSTMNetwork(**weights),
        lambda net, x: xp.mean(eprop.predict(net, steps_first(x)), axis=-3),
        _by_cells(eprop.bptt, error),
        _one_layer,
    )


def _neurons(sizes: tuple[int, ...], generator: np.random.Generator) -> list[Affine]:
    net = gle.network(sizes, generator, phi="tanh", tau_m=SLOW, tau_r=SLOW, dt=DT)
    layers = parameters.copy(net.layers)
    if len(layers) > 2:  # U(-c, c) with c = 1 / sqrt(n) makes rates, and errors, smaller by sqrt(3) in each layer
        for layer in layers:
            layer.W *= 3**0.5
            layer.b[...] = 0
    return layers


def dynamics(layers: list[Affine]) -> gle.Network:
    """Return the network of GLE that has these weights, which it copies: they would have to lie in one vector."""
    widths = [layer.W.shape[-1] for layer in layers[:-1]]
    thirds = [np.repeat(np.arange(3), [n - 2 * (n // 3), n // 3, n // 3]) for n in widths]
    tau_m = [np.array([SLOW, FAST, SLOW])[third] for third in thirds]
    tau_r = [np.array([SLOW, DT, DT])[third] for third in thirds]
    first = "linear" if len(widths) > 1 else "tanh"
    phi = [first, *["tanh"] * (len(widths) - 1), "linear"]
    on_the_host = parameters.map(xp.asnumpy, layers)
    return gle.Network.from_layers(on_the_host, phi, [*tau_m, SLOW], [*tau_r, SLOW], DT, memoryless=True)


def _by_neurons(rule, error):
    rule = functools.partial(rule, loss=_mean_of(error))

    def gradients(layers, x, y, *_):
        grads, output = rule(dynamics(layers), steps_first(x), held(y, x.shape[-2]))
        return {"layers": grads.layers}, xp.mean(output, axis=-3)

    return gradients


def _gle_neurons(error):
    return Kind(
        "GLE neurons",
        _neurons,
        lambda layers: layers,
        lambda layers, x: xp.mean(gle.predict(dynamics(layers), steps_first(x)), axis=-3),
        _by_neurons(gle.bptt, error),
    )


def _online(error):
    """Return the rule of GLE: the mean over the steps of the gradients of each, with the weights held."""

    def gradients(layers, x, y, *_):
        net, x = dynamics(layers), steps_first(x)
        state, grads = gle.State(net, x.shape[-2]), parameters.zeros_like(net.parameters)
        total, outputs = parameters.zeros_like(net.parameters), []
        for t in range(len(x)):
            _, output = gle.step(net, state, x[t], error(state.output, y), out=grads)
            total.flat += grads.flat
            outputs.append(output)
        total.flat /= len(x)
        return {"layers": total.layers}, xp.mean(xp.stack(outputs), axis=-3)

    return gradients


def rules(loss: str = "squared") -> dict[str, Rule]:
    """Return the rules by their names on a command line, for a loss of `ERRORS`."""
    error = ERRORS[loss]
    cells, neurons = _lstm(error), _gle_neurons(error)
    return {
        "bptt": Rule("BPTT, LSTM", cells, cells.bp),
        "eprop": Rule("e-prop, LSTM", cells, _by_cells(eprop.eprop, error)),
        "gle_bptt": Rule("BPTT, GLE neurons", neurons, neurons.bp),
        "adjoint": Rule("adjoint, GLE neurons", neurons, _by_neurons(gle.adjoint, error)),
        "gle": Rule("GLE", neurons, _online(error)),
    }


RULES = rules()
"""Those of the squared error."""
LSTM, NEURONS = RULES["bptt"].kind, RULES["gle"].kind
