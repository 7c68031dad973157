"""Sparse coding by predictive coding: a generator of images whose input, the code, is inferred and mostly 0.

The network leads from a code x_0 to a patch of an image, mu = x_0 W: one layer of weights, whose rows are features. For
each patch inference finds the code of least |y - x_0 W|^2 / 2 + weight |x_0|_1, by a Laplace prior on x_0; then the
weights follow, by the same rule as ever, and rows are kept of length 1 (Olshausen and Field 1996). With a normal prior
in its place nearly all units take part in each code.

    python examples/sparse_coding.py                        # 300 steps, ten seconds
    python examples/sparse_coding.py 100 features.png       # with a picture
"""

import sys

import numpy as np

from plastic import data, pc, plotting
from plastic.optimizers import SGD

SIDE, UNITS = 10, 100  # pixels of a patch across, features
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
images = data.load("glyphs").train[0]


def patches(rng, count):
    """Return patches of images, (count, SIDE^2), each with mean 0, of what is not empty; deviations are 1 in all."""
    which, rows, columns = (rng.integers(0, top, 4 * count) for top in (len(images), 28 - SIDE, 28 - SIDE))
    found = np.stack([images[i, r : r + SIDE, c : c + SIDE] for i, r, c in zip(which, rows, columns, strict=True)])
    found = found.reshape(len(found), -1)
    found -= found.mean(axis=1, keepdims=True)
    return found[found.std(axis=1) > 0.2][:count] / 0.4


def coded(net, y, prior):
    """Return the state with the likeliest codes of patches."""
    begin = np.zeros((len(y), UNITS), dtype=y.dtype)
    state = pc.FreeState(net, begin, y, priors={0: prior}, gamma=0.1)
    pc.infer(net, state, begin, 100, tolerance=1e-3)
    return state


def learned(prior):
    """Return a network that has learned the features of patches."""
    rng, sgd = np.random.default_rng(1), SGD(1.0)
    net = pc.network((UNITS, SIDE**2), rng)
    W = net.layers[0].W
    for _ in range(steps):
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        sgd.step(net.parameters, coded(net, patches(rng, 64), prior).weight_gradients(), {})
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    return net


test = patches(np.random.default_rng(2), 500)
for name, prior in (("normal", pc.Gaussian(0.3)), ("Laplace", pc.Laplace(0.5))):
    net = learned(prior)
    state = coded(net, test, prior)
    active = np.mean(np.abs(state.x_0) > 1e-2)
    unexplained = np.sum((test - state.top) ** 2) / np.sum(test**2)
    print(f"{name:8} prior: {100 * active:5.1f} % of the units active, {100 * unexplained:5.1f} % of the variance left")

if len(sys.argv) > 2:
    fig, axes = plotting.figure(columns=3, width=3.6, height=3.8)
    order = np.argsort(-np.mean(np.abs(state.x_0), axis=0))
    features = net.layers[0].W[order]
    pictures = {"features, the most used first": features, "patches": test[:100], "from their codes": state.top[:100]}
    for ax, (name, rows) in zip(axes, pictures.items(), strict=True):
        scaled = rows / np.abs(rows).max(axis=1, keepdims=True)
        framed = np.pad(scaled.reshape(10, 10, SIDE, SIDE), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
        ax.imshow(framed.transpose(0, 2, 1, 3).reshape(10 * (SIDE + 2), -1), cmap="gray", vmin=-1, vmax=1)
        ax.set(title=name, xticks=[], yticks=[])
        ax.grid(False)
    plotting.save(fig, sys.argv[2])
