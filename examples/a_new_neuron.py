"""A neuron and a rule in time of your own: leaky rate units that learn by RFLO (Murray 2019), beside e-prop and BPTT.

Units leak, with a = 1 - 1 / tau, and sequences x (batch, T, n_0) drive them:

    u^t = x^t W_in + h^{t-1} W_rec + b          h^t = a h^{t-1} + (1 - a) tanh(u^t)          y^t = h^t W_out + b_out

Random feedback local online learning carries an eligibility trace forward at every synapse, as e-prop does, and sends
the error y^t - target to the units by a random matrix B. With q^t = (x^t, h^{t-1}, 1) and s = 1 - tanh(u)^2,

    p^t = a p^{t-1} + (1 - a) q^t s^t           dW = mean over t and batch of p^t [(y^t - target) B^T]

It is backpropagation through time without the path through W_rec, and with B in the place of W_out.

    python examples/a_new_neuron.py             # 10 epochs, or as many as are given; a minute
"""

import dataclasses
import sys
import tempfile

import numpy as np

from plastic import check, compare, data, initializers, xp
from plastic.parameters import Affine

A = 1 - 1 / 10  # tau is 10 steps


@dataclasses.dataclass
class Leaky:
    """cells: W (n_0 + n, n), the rows of W_in and then those of W_rec, and b; readout: W_out, b_out."""

    cells: Affine
    readout: Affine


def draw(sizes, generator):
    n_0, n, n_L = sizes

    def affine(n_in, n_out):
        W = xp.asarray(initializers.xavier_uniform(generator, n_in, n_out), dtype=xp.float_dtype)
        return Affine(W, xp.zeros((1, n_out), dtype=xp.float_dtype))

    return {"cells": affine(n_0 + n, n), "readout": affine(n, n_L)}


def simulate(net, x):
    """Return [(q, s, h) of every step], without the 1 in q: (batch, n_0 + n), (batch, n), (batch, n)."""
    h, steps = xp.zeros((len(x), net.cells.W.shape[-1]), dtype=x.dtype), []
    for t in range(x.shape[1]):
        q = xp.concatenate([x[:, t], h], axis=-1)
        rate = xp.tanh(q @ net.cells.W + net.cells.b)
        h = A * h + (1 - A) * rate
        steps.append((q, 1 - rate**2, h))
    return steps


def outputs(net, x):
    """Return y^t for all t, (T, batch, n_L)."""
    return xp.stack([h @ net.readout.W + net.readout.b for _, _, h in simulate(net, x)])


def mean_output(net, x):
    return xp.mean(outputs(net, x), axis=0)


def gradients(net, cells, steps, y):
    """Return (grads, mean output): the gradient of the readout is the same for both rules."""
    hs = xp.stack([h for _, _, h in steps])
    output = hs @ net.readout.W + net.readout.b
    err = (output - y) / (hs.shape[0] * hs.shape[1])
    readout = Affine(xp.einsum("tbi,tbj->ij", hs, err), err.sum(axis=(0, 1))[None])
    return {"layers": {"cells": cells(err), "readout": readout}}, xp.mean(output, axis=0)


def rflo(net, x, y, B):
    """By traces that go forward with time, one for each synapse and sample."""
    steps = simulate(net, x)

    def cells(err):
        W, b = xp.zeros_like(net.cells.W), xp.zeros_like(net.cells.b)
        p, p_b = xp.zeros((len(x), *W.shape), dtype=x.dtype), xp.zeros((len(x), W.shape[-1]), dtype=x.dtype)
        for (q, s, _), e in zip(steps, err, strict=True):
            p = A * p + (1 - A) * q[:, :, None] * s[:, None, :]
            p_b = A * p_b + (1 - A) * s
            signal = e @ B.T
            W += xp.einsum("bij,bj->ij", p, signal)
            b += (p_b * signal).sum(axis=0)
        return Affine(W, b)

    return gradients(net, cells, steps, y)


def bptt(net, x, y, *_):
    """Exact: errors lam = dL/dh go back in time, by the leak and through W_rec."""
    steps = simulate(net, x)

    def cells(err):
        W, b = xp.zeros_like(net.cells.W), xp.zeros_like(net.cells.b)
        lam = xp.zeros((len(x), W.shape[-1]), dtype=x.dtype)
        for (q, s, _), e in zip(steps[::-1], err[::-1], strict=True):
            lam = lam + e @ net.readout.W.T
            delta = (1 - A) * s * lam
            W += q.T @ delta
            b += delta.sum(axis=0)
            lam = A * lam + delta @ net.cells.W[x.shape[-1] :].T
        return Affine(W, b)

    return gradients(net, cells, steps, y)


def feedback(net, generator):
    return xp.asarray(generator.standard_normal(net.readout.W.shape) / 5, dtype=xp.float_dtype)


# Is the gradient right that others are compared with? Differences of its loss say so, in float64.
xp.use(dtype="float64")
rng = np.random.default_rng(1)
net, x, y = Leaky(**draw((3, 5, 2), rng)), rng.standard_normal((4, 6, 3)), rng.standard_normal((4, 2))
weights, grads = {"cells": net.cells, "readout": net.readout}, bptt(net, x, y)[0]["layers"]
errors = check.gradient(lambda _: ((outputs(net, x) - y) ** 2).sum() / (2 * 4 * 6), weights, grads)
print(f"BPTT against finite differences: largest relative error {max(errors.values()):.0e}")
xp.use(dtype="float32")

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
LEAKY = compare.Kind("leaky units", draw, lambda weights: Leaky(**weights), mean_output, bptt)
rules = [compare.Rule("RFLO", LEAKY, rflo, feedback), compare.Rule("BPTT, leaky", LEAKY, bptt), "eprop"]
glyphs = data.load("glyphs")  # a row of an image is a step: 28 steps of 28 numbers
arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*glyphs.train, *glyphs.test), strict=True))
arrays = {name: array[:1000] for name, array in arrays.items()}
with tempfile.TemporaryDirectory() as folder:  # give it another folder to keep tables, figure and page
    found = compare.compare(arrays, rules, sequences=True, sizes=(32,), rates=3, epochs=epochs, results=folder)
for row in found.rows:
    print(f"{row.name}: test accuracy {100 * row.accuracy['test'].mean:.1f} %")
