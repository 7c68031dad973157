"""Rules that learn from sequences: e-prop beside BPTT on LSTM cells, GLE beside BPTT and the adjoint method.

A sequence (T, n_0) has its target at every step, and its class is where the mean of the outputs over the steps is
largest:

    L = mean over t of 1/2 |output^t - y|^2

The rules need two kinds of network, each rule beside the exact gradient of its own: a layer of LSTM cells with a linear
readout, and layers of GLE neurons, tanh, of which a third has tau_m = tau_r, a third tau_m of 3 steps and a third of 6,
without a look ahead, with a linear output. Weights move once for a batch: GLE's gradient is the mean of those of all
steps, which its neurons have at hand at each of them.
"""

import numpy as np

from plastic import eprop, gle, parameters, xp
from plastic.compare.rules import Kind, Rule
from plastic.parameters import Affine
from plastic.types import Array, Tree

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


def _by_cells(rule):
    def gradients(net, x, y, *_):
        grads, output = rule(net, steps_first(x), held(y, x.shape[-2]))
        return {"layers": {"kernel": grads["kernel"], "readout": grads["readout"]}}, xp.mean(output, axis=-3)

    return gradients


def _one_layer(sizes):
    return "" if len(sizes) == 3 else f"has one layer of cells, and sizes are {', '.join(map(str, sizes[1:-1]))}"


LSTM = Kind(
    "LSTM cells",
    _cells,
    lambda weights: eprop.LSTMNetwork(**weights),
    lambda net, x: xp.mean(eprop.predict(net, steps_first(x)), axis=-3),
    _by_cells(eprop.bptt),
    _one_layer,
)


def _neurons(sizes: tuple[int, ...], generator: np.random.Generator) -> list[Affine]:
    net = gle.network(sizes, generator, phi="tanh", tau_m=SLOW, tau_r=SLOW, dt=DT)
    return parameters.copy(net.layers)


def dynamics(layers: list[Affine]) -> gle.Network:
    """Return the network of GLE that has these weights, which it copies: they would have to lie in one vector."""
    widths = [layer.W.shape[-1] for layer in layers[:-1]]
    thirds = [np.repeat(np.arange(3), [n - 2 * (n // 3), n // 3, n // 3]) for n in widths]
    tau_m = [np.array([SLOW, FAST, SLOW])[third] for third in thirds]
    tau_r = [np.array([SLOW, DT, DT])[third] for third in thirds]
    phi = [*["tanh"] * len(widths), "linear"]
    on_the_host = parameters.map(xp.asnumpy, layers)
    return gle.Network.from_layers(on_the_host, phi, [*tau_m, SLOW], [*tau_r, SLOW], DT, memoryless=True)


def _by_neurons(rule):
    def gradients(layers, x, y, *_):
        grads, output = rule(dynamics(layers), steps_first(x), held(y, x.shape[-2]))
        return {"layers": grads.layers}, xp.mean(output, axis=-3)

    return gradients


NEURONS = Kind(
    "GLE neurons",
    _neurons,
    lambda layers: layers,
    lambda layers, x: xp.mean(gle.predict(dynamics(layers), steps_first(x)), axis=-3),
    _by_neurons(gle.bptt),
)


def online(net: gle.Network, x: Array, y: Array) -> tuple[Tree, Array]:
    """Return the mean over the steps of the gradients of GLE, and the outputs (T, batch, n_L); weights are held."""
    state, grads = gle.State(net, x.shape[-2]), parameters.zeros_like(net.parameters)
    total, outputs = parameters.zeros_like(net.parameters), []
    for x_t, y_t in ((x[t], y[t]) for t in range(len(x))):
        _, output = gle.step(net, state, x_t, state.output - y_t, out=grads)
        total.flat += grads.flat
        outputs.append(output)
    total.flat /= len(x)
    return total, xp.stack(outputs)


RULES: dict[str, Rule] = {
    "bptt": Rule("BPTT, LSTM", LSTM, _by_cells(eprop.bptt)),
    "eprop": Rule("e-prop, LSTM", LSTM, _by_cells(eprop.eprop)),
    "gle_bptt": Rule("BPTT, GLE neurons", NEURONS, _by_neurons(gle.bptt)),
    "adjoint": Rule("adjoint, GLE neurons", NEURONS, _by_neurons(gle.adjoint)),
    "gle": Rule("GLE", NEURONS, _by_neurons(online)),
}
"""The rules by their names on a command line."""
