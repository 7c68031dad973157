"""Predictive coding against its floor and its twins in JAX, pcx and PyTorch: a batch of 64 with 128 steps of inference.

Beside it: what it takes to come to the update of the weights at rest, ten seeds, and tiny nets by the thousand.

The floor of a step is the products that predict each hidden and the output layer from the states below, those that send
errors back, the activation and its slope, and one read and write of the states. Per batch it has the first layer's
product and the gradients of all weights. Of 1,000 nets of 2-2-2 with 64 samples the floor is their elementwise
operations, one after another in buffers, with the replicas innermost in memory.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import timing
import twin_pc

from plastic import data, functions, parameters, pc
from plastic.optimizers import Adam
from plastic.parameters import Affine

T, SIZES = 128, [(784, 64, 64, 10), (784, 256, 256, 256, 10)]


def make(sizes, batch, replicas=()):
    rng = np.random.default_rng(0)
    layers = [
        Affine((rng.standard_normal((*replicas, a, b)) / np.sqrt(a)).astype(np.float32))
        for a, b in itertools.pairwise(sizes)
    ]
    x, y = (rng.random((*replicas, batch, n)).astype(np.float32) for n in (sizes[0], sizes[-1]))
    network = pc.Network(layers, functions.sigmoid)
    grads = parameters.zeros_like(network.parameters)
    return network, x, y, lambda: pc.pc(network, x, y, T=T, out=grads)


def make_peers(network, x, y, T=T):
    """Return the twins of `twin_pc` where they are installed: {"JAX": function, "pcx": function, ..}."""
    W, (jax, pcx, torch) = [layer.W for layer in network.layers], map(timing.peer, ("jax", "pcx", "torch"))
    peers = {} if jax is None else {"JAX": twin_pc.in_jax(jax, W, x, y, T)}
    peers |= {} if pcx is None else {"pcx": twin_pc.in_pcx(jax, W, x, y, T)}
    return peers if torch is None else peers | {"PyTorch": twin_pc.in_torch(torch, W, x, y, T)}


def make_floor(network, batch):
    sizes = network.sizes
    W = [layer.W for layer in network.layers]
    r = [np.ones((batch, n), np.float32) for n in sizes]
    e = [np.ones((batch, n), np.float32) for n in sizes]
    states = np.ones((batch, sum(sizes[1:-1])), np.float32)

    def floor():
        np.matmul(r[0], W[0], out=e[1])
        for _ in range(T - 1):
            for k in range(1, len(W)):
                np.matmul(r[k], W[k], out=e[k + 1])
                np.matmul(e[k + 1], W[k].T, out=e[k])
            np.tanh(states, out=states)  # what a sigmoid costs at least
            np.multiply(states, 0.9, out=states)
        for k in range(len(W)):
            r[k].T @ e[k + 1]

    return floor


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_batch(benchmark, sizes):
    network, x, y, path = make(sizes, 64)
    products = 2 * 64 * (2 * math.prod(sizes[:2]) + 2 * T * sum(map(math.prod, itertools.pairwise(sizes[1:]))))
    timing.compare(
        benchmark,
        f"PC, {sizes}, batch 64, T {T}",
        path,
        make_floor(network, 64),
        peers=make_peers(network, x, y),
        flops=products,
        rounds=9,
    )


def of_glyphs(sizes, epochs):
    """Return a network that has been trained on images of digits for so many epochs, and a batch of others."""
    images = data.load("glyphs")
    (x, labels), (x_test, labels_test) = ((a.reshape(len(a), -1), b) for a, b in (images.train, images.test))
    network, rng = pc.network(sizes, np.random.default_rng(0)), np.random.default_rng(1)
    optimizer = Adam(1e-3)
    moments = optimizer.init(network.parameters)
    for _ in range(epochs):
        for some in np.array_split(rng.permutation(len(x)), len(x) // 64):
            grads, _ = pc.pc(network, x[some], functions.one_hot(labels[some], 10), T=6, solver="layerwise")
            optimizer.step(network.parameters, grads, moments)
    return network, x_test[:64], functions.one_hot(labels_test[:64], 10)


def distance_from_rest(network, x, y):
    """Return distance(T, solver): that of the gradients from those at rest, relative to these, the largest of a layer.

    A distance of .045 is a cosine above .999, and a length within 4.5 %.
    """
    double = pc.Network([Affine(layer.W.astype(float)) for layer in network.layers], network.phi)
    exact, _ = pc.pc(double, x.astype(float), y.astype(float), T=1000, solver="layerwise")

    def distance(T, solver):
        found, _ = pc.pc(network, x, y, T=T, solver=solver)
        pairs = zip(found["layers"], exact["layers"], strict=True)
        return max(np.linalg.norm(a.W - b.W) / np.linalg.norm(b.W) for a, b in pairs)

    return distance


@pytest.mark.parametrize("epochs", [0, 5], ids=["fresh", "trained"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_to_the_update_at_rest(benchmark, sizes, epochs):
    """Ten batches in a row, as in training: sweeps up to a distance of .045, and all others until they are as near."""
    network, x, y = of_glyphs(sizes, epochs)
    distance = distance_from_rest(network, x, y)
    T = {"layerwise": next(T for T in itertools.count(2) if distance(T, "layerwise") < 0.045)}
    reached = distance(T["layerwise"], "layerwise")
    T |= {name: next(T for T in itertools.count(2) if distance(T, name) <= reached) for name in ("anderson", "steps")}
    out = parameters.zeros_like(network.parameters)
    kinds = {name: functools.partial(pc.pc, network, x, y, T=T[name], solver=name, out=out) for name in T}
    kinds |= make_peers(network, x, y, T["steps"])
    ours, *others = map(ten_times, kinds.values())
    words = ", ".join(f"T {count} {name}" for name, count in T.items())
    name = f"PC within {reached:.2g} of the update at rest, ten batches of {sizes}, {epochs} epochs, {words}"
    timing.compare(benchmark, name, ours, peers=dict(zip([*kinds][1:], others, strict=True)), rounds=9)


def ten_times(function):
    def repeated():
        for _ in range(10):
            function()

    return repeated


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_ten_seeds_against_ten_runs(benchmark, sizes):
    network, x, y, path = make(sizes, 64, (10,))
    each = [pc.Network([Affine(layer.W[r]) for layer in network.layers], network.phi) for r in range(10)]

    def loop():
        for r, one in enumerate(each):
            pc.pc(one, x[r], y[r], T=T)

    timing.compare(benchmark, f"PC, ten seeds of {sizes} against ten runs", path, loop, rounds=5)


@pytest.mark.parametrize("sizes", [(20, 9, 7, 4), (20, 9, 7, 8, 4)], ids=str)
def test_the_twins_find_the_same_gradients(sizes):
    network, x, y, path = make(sizes, 6)
    for name, twin in make_peers(network, x, y).items():
        for found, expected in zip(twin(), path()[0]["layers"], strict=True):
            np.testing.assert_allclose(np.asarray(found), expected.W, rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_thousand_tiny_nets_against_one(benchmark):
    *_, many = make((2, 2, 2), 1, (1000,))
    *_, one = make((2, 2, 2), 1)
    timing.compare(benchmark, "PC, 1,000 nets of 2-2-2 against one, batch 1", many, one, rounds=7)


def make_tiny_floor(batch, replicas):
    """One hidden layer of two, two outputs, in arrays (replicas, batch, 2) with the replicas innermost."""
    W, y = (np.ones((replicas, n, 2), np.float32, order="F") for n in (2, batch))
    x, mu, r, q, top, eps, back, term = (np.ones((replicas, batch, 2), np.float32, order="F") for _ in range(8))

    def product(a, out):
        np.multiply(a[..., :1], W[..., :1, :], out=out)
        np.multiply(a[..., 1:], W[..., 1:, :], out=term)
        np.add(out, term, out=out)

    def floor():
        for _ in range(T - 1):
            np.tanh(x, out=r)  # what a sigmoid costs at least
            product(r, top)
            np.subtract(x, mu, out=eps)
            np.subtract(y, top, out=top)
            np.einsum("rbn,rbn->r", eps, eps)
            np.einsum("rbn,rbn->r", top, top)
            product(top, back)
            np.subtract(1, r, out=q)
            np.multiply(q, r, out=q)
            np.multiply(back, q, out=back)
            np.subtract(eps, back, out=back)
            np.multiply(back, 0.1, out=back)
            np.subtract(x, back, out=x)

    return floor


def test_a_thousand_tiny_nets_with_batches(benchmark):
    *_, path = make((2, 2, 2), 64, (1000,))
    timing.compare(benchmark, "PC, 1,000 nets of 2-2-2, batch 64", path, make_tiny_floor(64, 1000), rounds=5)
