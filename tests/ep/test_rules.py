"""Both rules against finite differences, theory, and the equations as they are written."""

import dataclasses
import functools
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, ep, functions, parameters, xp
from plastic.ep import Comparison, Relaxation, bptt, distances, eqprop
from plastic.errors import PlasticError
from plastic.functions import Activation

identity = Activation(
    "identity",
    lambda v, out=None: xp.multiply(v, 1, out=out),
    lambda v, rho, out=None: xp.equal(v, v, out=out),
    lambda v, rho: 0.0,
)

SIZES = (7, 6, 5, 3)
KINDS = {
    "energy": functools.partial(ep.energy, SIZES),
    "energy, unclamped": functools.partial(ep.energy, SIZES, clamp=False),
    "energy, consistent": functools.partial(ep.energy, SIZES, consistent=True),
    "one hidden layer": functools.partial(ep.energy, (7, 6, 3), dt=0.5),
    "toy": functools.partial(ep.toy, (7, 6, 3), clamp=False),
    "prototypical": functools.partial(ep.prototypical, SIZES),
    "leaky": functools.partial(ep.prototypical, SIZES, dt=0.3),
    "untied": functools.partial(ep.prototypical, SIZES, angle=60.0),
    "untied energy": functools.partial(ep.energy, SIZES, clamp=False, consistent=True, angle=60.0),
    "conv": functools.partial(ep.convolutional, (1, 2, 3), (3,), size=11, F=3),
    "conv, padded": functools.partial(ep.convolutional, (2, 3, 2), (4, 3), size=7, F=3, padding=1),
    "conv, rectangular": functools.partial(ep.convolutional, (3, 2, 2), (3,), size=(12, 10), F=3),
    "one conv": functools.partial(ep.convolutional, (1, 2), (3,), size=6, F=3),
}


def make(kind, activation="tanh", seed=0, batch=4, scale=1.0):
    """A network, a batch of inputs and one-hot targets, on the backend in use."""
    rng = np.random.default_rng(seed)
    activation = getattr(functions, activation) if isinstance(activation, str) else activation
    network = KINDS[kind](rng, phi=activation)
    parameters.map(lambda leaf: _multiply(leaf, scale), network.parameters)
    if isinstance(network.wiring, ep.Convolutional):
        shape = network.wiring.input_shape
    else:
        shape = (network.wiring.layers[0].W.shape[0],)
    x = xp.asarray(rng.random((batch, *shape)))
    y = xp.asarray(np.eye(3)[rng.integers(0, 3, batch)])
    return network, x, y


def _multiply(leaf, scale):
    leaf *= scale
    return leaf


def flat_gradient(tree):
    return np.concatenate([xp.asnumpy(leaf).ravel() for _, leaf in parameters.leaves(tree)])


def error(found, expected):
    """The distance of two updates, relative to the second."""
    found, expected = flat_gradient(found), flat_gradient(expected)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


# BPTT


@pytest.mark.parametrize("activation", ["sigm", "hardsigm", "tanh"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("T, steps", [(5, 5), (9, 4)])
def test_bptt_is_the_gradient_of_the_loss_after_a_truncated_relaxation(backend, kind, activation, T, steps):
    """The state before the last steps is a constant; with T = steps there is nothing before them."""
    network, x, y = make(kind, activation)
    w = Relaxation(network, x)
    w.run(T - steps)
    start = w.s.copy()

    def loss(tree):
        w = Relaxation(network, x)  # its parameters are those of `tree`, moved in place
        w.s[...] = start
        w.run(steps)
        return xp.sum((w.output - y) ** 2) / (2 * len(x))

    grads, output = bptt(network, x, y, T=T, steps=steps)
    entries = 40 if backend == "numpy" else 4  # the stand-in is slow
    check.gradient(loss, network.parameters, grads, max_entries=entries)
    w.run(steps)
    assert_allclose(xp.asnumpy(output), xp.asnumpy(w.output), rtol=1e-13)


def test_bptt_through_more_steps_than_there_are_takes_all():
    network, x, y = make("energy")
    assert error(bptt(network, x, y, T=6, steps=7)[0], bptt(network, x, y, T=6, steps=6)[0]) == 0


@pytest.mark.parametrize("clamp", [False, True])
def test_a_clamped_state_lets_no_gradient_through(clamp):
    """Strong inputs drive states out of [0, 1]: finite differences see the clamp, and so does BPTT."""
    xp.use(dtype="float64")
    network, x, y = make("energy", "sigm", scale=6.0)
    network = dataclasses.replace(network, clamp=clamp)

    def loss(tree):
        return np.sum((bptt(network, x, y, T=6, steps=6)[1] - y) ** 2) / (2 * len(x))

    w = Relaxation(network, x)
    w.run(5)
    assert np.any(w.s == 0) == clamp and np.any(w.s < 0) != clamp
    check.gradient(loss, network.parameters, bptt(network, x, y, T=6, steps=6)[0], max_entries=40)


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_a_state_exactly_at_a_bound_is_not_held_there(place):
    """The derivative of the clamp, as that of hardsigm, is 1 on the closed interval [0, 1]."""
    xp.use(dtype="float64")
    network, x, y = make("energy", "hardsigm")
    network = dataclasses.replace(network, dt=1.0)
    parameters.map(lambda leaf: _multiply(leaf, 0.0), network.parameters)
    network.wiring.layers[-1].b += place  # s_L = place at every step
    grads, output = bptt(network, x, y, T=3, steps=3)
    assert np.all(output == place)
    assert_allclose(grads["layers"][-1].b[0], (place - y).mean(axis=0))


# EP against BPTT


def at_rest(kind, activation):
    """A network whose free phase has come to rest within rounding."""
    xp.use(dtype="float64")
    network, x, y = make(kind, activation)
    w = Relaxation(network, x)
    w.run(3000)
    before = w.s.copy()
    w.run(1)
    assert np.abs(w.s - before).max() < 1e-14
    return network, x, y


CONSERVATIVE = [
    ("toy", "tanh"),
    ("toy", "sigm"),
    ("energy, consistent", "sigm"),
    ("energy, consistent", "tanh"),
    ("prototypical", identity),
    ("leaky", identity),
]


@pytest.mark.parametrize("kind, activation", CONSERVATIVE, ids=lambda part: getattr(part, "name", part))
def test_ep_tends_to_bptt(kind, activation):
    """In a gradient system at rest K nudged steps give BPTT through K steps, up to beta, or centered up to beta^2."""
    if activation is identity:
        network, x, y = make(kind, identity, scale=0.4)
    else:
        network, x, y = at_rest(kind, activation)
        if kind.startswith("energy"):
            network = dataclasses.replace(network, clamp=False)
    exact, _ = bptt(network, x, y, T=3000, steps=12)
    for centered, order in ((False, 1), (True, 2)):
        coarse, fine = (
            error(eqprop(network, x, y, T=3000, K=12, beta=beta, centered=centered)[0], exact) for beta in (0.04, 0.004)
        )
        assert fine < 0.05
        assert coarse / fine == pytest.approx(10**order, rel=0.15)


def test_the_published_output_layer_keeps_ep_away_from_bptt():
    """Without rho' in the output dynamics the field has no energy: the difference stays, whatever beta is."""
    xp.use(dtype="float64")
    network, x, y = make("energy, unclamped", "sigm")
    errors = [
        error(eqprop(net, x, y, T=3000, K=12, beta=1e-4, centered=True)[0], bptt(net, x, y, T=3000, steps=12)[0])
        for net in (network, dataclasses.replace(network, consistent=True))
    ]
    assert errors[0] > 0.05 and errors[1] < 1e-5


def test_the_consistent_field_is_minus_the_gradient_of_the_energy():
    """E = 1/2 |s|^2 - Phi(rho(s)) + beta/2 |y - s_L|^2, Phi = sum of r_{k-1} W_k r_k + b_k r_k, as written."""
    xp.use(dtype="float64")
    network, x, y = make("energy, consistent", "sigm")
    network = dataclasses.replace(network, clamp=False, dt=1e-3)
    beta, rng = 0.7, np.random.default_rng(1)
    w = Relaxation(network, x)
    w.s[...] = rng.random(w.s.shape)

    def rho(v):
        return 1 / (1 + np.exp(-4 * (v - 0.5)))

    def energy(s):
        layers = network.wiring.split(s)
        below, phi = rho(x), 0.0
        for layer, state in zip(network.wiring.layers, layers, strict=True):
            phi += np.sum((below @ layer.W + layer.b) * rho(state))
            below = rho(state)
        return np.array(0.5 * np.sum(s * s) - phi + 0.5 * beta * np.sum((y - layers[-1]) ** 2))

    s = w.s.copy()
    w.run(1, beta=beta, y=y)
    check.gradient(energy, s, (s - w.s) / network.dt, tolerance=1e-5)


@pytest.mark.parametrize("kind", ["toy", "energy, consistent"])
def test_the_curves_of_a_gradient_system_coincide(kind):
    xp.use(dtype="float64")
    network, x, y = make(kind, "tanh")
    network = dataclasses.replace(network, clamp=False)
    comparison = Comparison(network, x, y, T=3000, K=15, beta=1e-5)
    assert max(residual.max() for residual in comparison.residual) < 1e-15
    for n, d in zip(*comparison.neurons(), strict=True):
        assert distances(n, d).max() < 1e-2 and distances(n, d).mean() < 1e-3
    *_, (N, D) = comparison.synapses()
    assert error(D, N) < 1e-3


# the equations as they are written


def literal_ep(network, x, y, T, K, beta):
    """EP of a dense net as the paper writes it, one layer after another, with differences of products."""
    rho = network.phi.value
    is_energy = isinstance(network, ep.EnergyNetwork)
    send = rho if is_energy else (lambda s: s)
    layers, skip = network.wiring.layers, network.wiring.skip
    L = len(layers)
    s = [np.zeros((len(x), layer.W.shape[1])) for layer in layers]

    def step(s, beta):
        r, new = [send(x), *map(send, s)], []
        for k in range(L):
            a = r[k] @ layers[k].W + layers[k].b
            if k + 1 < L:
                a = a + r[k + 2] @ layers[k + 1].W.T
            elif skip is not None:
                a = a + r[0] @ skip.W + skip.b
            if not is_energy:
                g = rho(a) - s[k]
            elif k + 1 < L or network.consistent:
                g = network.phi.slope(s[k], rho(s[k])) * a - s[k]
            else:
                g = a - s[k]
            if k + 1 == L:
                g = g + beta * (y - s[k])
            v = s[k] + network.dt * g
            new.append(np.clip(v, 0, 1) if is_energy and network.clamp else v)
        return new

    for _ in range(T):
        s = step(s, 0.0)
    free = s
    for _ in range(K):
        s = step(s, beta)
    up, down = [send(x), *map(send, s)], [send(x), *map(send, free)]
    scale = -1 / (beta * len(x))
    pairs = [(k, k + 1) for k in range(L)] + ([(0, L)] if skip is not None else [])
    grads = []
    for low, high in pairs:
        W = scale * (up[low].T @ up[high] - down[low].T @ down[high])
        grads.append(parameters.Affine(W, scale * (up[high] - down[high]).sum(axis=0, keepdims=True)))
    return {"layers": grads[:L]} if skip is None else {"layers": grads[:L], "skip": grads[L]}


@hypothesis.given(
    seed=st.integers(0, 10_000),
    widths=st.lists(st.integers(1, 6), min_size=3, max_size=5),
    batch=st.integers(1, 5),
    kind=st.sampled_from(["energy", "consistent", "prototypical", "toy"]),
    activation=st.sampled_from(["sigm", "hardsigm", "tanh"]),
    clamp=st.booleans(),
    dt=st.sampled_from([0.2, 1.0]),
    beta=st.sampled_from([0.5, -0.3]),
)
def test_ep_is_what_the_paper_writes(seed, widths, batch, kind, activation, clamp, dt, beta):
    xp.use(dtype="float64")
    rng, activation = np.random.default_rng(seed), getattr(functions, activation)
    if kind == "toy":
        network = ep.toy(widths[:3], rng, phi=activation, dt=dt, clamp=clamp)
    elif kind == "prototypical":
        network = ep.prototypical(widths, rng, phi=activation, dt=dt)
    else:
        network = ep.energy(widths, rng, phi=activation, dt=dt, clamp=clamp, consistent=kind == "consistent")
    x = rng.standard_normal((batch, widths[0]))
    y = rng.random((batch, network.wiring.layers[-1].W.shape[1]))
    found, expected = eqprop(network, x, y, T=7, K=4, beta=beta)[0], literal_ep(network, x, y, 7, 4, beta)
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("replicas", [(), (2,)])
def test_what_layers_receive_does_not_depend_on_blocks(backend, replicas):
    """a_k = r_{k-1} W_k + r_{k+1} W_{k+1}^T, for layers of one block of columns, of three, and of none."""
    sizes, rng = (5, 64, 192, 96, 30), np.random.default_rng(0)
    generators = [np.random.default_rng(seed) for seed in range(*replicas)] if replicas else rng
    wiring = ep.prototypical(sizes, generators).wiring
    r = xp.asarray(rng.standard_normal((*replicas, 3, sum(sizes[1:]))))
    a = xp.empty_like(r)
    wiring.coupling(r, a, [])()
    sent, W = [xp.asnumpy(each) for each in wiring.split(r)], [xp.asnumpy(each) for each in wiring.weights]
    for k, received in enumerate(wiring.split(a)):
        below = sent[k - 1] @ W[k] if k > 0 else 0
        above = sent[k + 1] @ W[k + 1].swapaxes(-1, -2) if k + 1 < len(W) else 0
        assert_allclose(xp.asnumpy(received), below + above, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_coupling_has_its_adjoint_and_its_gradients_are_those_of_its_form(backend, kind):
    """<delta, coupling(r)> = <adjoint(delta), r> at fixed switches, and `gradients` is its derivative in weights."""
    network, x, _ = make(kind)
    wiring, rng = network.wiring, np.random.default_rng(3)
    zeros = wiring.zeros(x)
    r, delta = (xp.asarray(rng.standard_normal(zeros.shape)) for _ in range(2))
    switches = wiring.switches(len(x))
    drive, received = xp.empty_like(zeros), xp.empty_like(zeros)
    wiring.drive(x, drive, switches)
    wiring.coupling(r, received, switches)()
    back = xp.empty_like(zeros)
    wiring.adjoint_coupling(delta, back, switches)()
    assert_allclose(float(xp.asnumpy(xp.sum(delta * received))), float(xp.asnumpy(xp.sum(back * r))), rtol=1e-12)
    again = xp.empty_like(zeros)
    wiring.adjoint_coupling(r, again, switches)()
    is_symmetric = np.allclose(xp.asnumpy(again), xp.asnumpy(received), rtol=1e-12, atol=1e-14)
    assert is_symmetric == ("untied" not in kind)

    def form(tree):
        drive, received, found = xp.empty_like(zeros), xp.empty_like(zeros), wiring.switches(len(x))
        wiring.drive(x, drive, found)
        wiring.coupling(r, received, found)()
        return xp.sum(delta * (drive + received))

    grads = wiring.gradients(delta[None], r[None], x, [switch[None] for switch in switches])
    check.gradient(form, wiring.parameters, grads, max_entries=40 if backend == "numpy" else 4)


# replicas, precision, buffers


def stacked(kind, count, activation="tanh"):
    """`count` networks with the same data, and the one network that holds them as replicas."""
    each = [make(kind, activation, seed)[0] for seed in range(count)]
    tree = parameters.stack([network.parameters for network in each])
    return each, each[0].with_parameters(tree)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "conv" not in kind])
@pytest.mark.parametrize("centered", [False, True])
def test_replicas_equal_separate_runs(backend, kind, centered):
    """With as many replicas as samples and output units, where wrong broadcasting hides; a beta for each replica."""
    each, together = stacked(kind, 3)
    _, x, y = make(kind, batch=3)
    betas = [0.3, -0.2, 0.1]
    beta = xp.asarray(np.reshape(betas, (3, 1, 1)))
    for rule in (
        lambda network, b: eqprop(network, x, y, T=9, K=4, beta=b, centered=centered),
        lambda network, b: bptt(network, x, y, T=9, steps=4),
    ):
        grads, output = rule(together, beta)
        for index, network in enumerate(each):
            expected, expected_output = rule(network, betas[index])
            assert_allclose(xp.asnumpy(output[index]), xp.asnumpy(expected_output), rtol=1e-10, atol=1e-13)
            for (path, a), (_, b) in zip(parameters.leaves(grads), parameters.leaves(expected), strict=True):
                assert_allclose(xp.asnumpy(a[index]), xp.asnumpy(b), rtol=1e-9, atol=1e-12, err_msg=path)


def test_replicas_with_batches_of_their_own(backend):
    each, together = stacked("prototypical", 3)
    data = [make("prototypical", seed=seed, batch=3)[1:] for seed in range(3)]
    x, y = (xp.stack(arrays) for arrays in zip(*data, strict=True))
    grads, _ = eqprop(together, x, y, T=9, K=4, beta=0.3)
    for index, (network, batch) in enumerate(zip(each, data, strict=True)):
        expected, _ = eqprop(network, *batch, T=9, K=4, beta=0.3)
        for (path, a), (_, b) in zip(parameters.leaves(grads), parameters.leaves(expected), strict=True):
            assert_allclose(xp.asnumpy(a[index]), xp.asnumpy(b), rtol=1e-9, atol=1e-12, err_msg=path)


def test_curves_of_replicas(backend):
    each, together = stacked("energy", 3)
    _, x, y = make("energy", batch=3)
    found = Comparison(together, x, y, T=9, K=4, beta=0.3)
    last = list(found.synapses())[-1]
    for index, network in enumerate(each):
        expected = Comparison(network, x, y, T=9, K=4, beta=0.3)
        for curve, other in zip(found.neurons(), expected.neurons(), strict=True):
            for layer, other_layer in zip(curve, other, strict=True):
                assert_allclose(xp.asnumpy(layer[:, index]), xp.asnumpy(other_layer), rtol=1e-9, atol=1e-12)
        for residual, other in zip(found.residual, expected.residual, strict=True):
            assert_allclose(xp.asnumpy(residual[index]), xp.asnumpy(other), rtol=1e-9)
        for tree, other in zip(last, list(expected.synapses())[-1], strict=True):
            for (_, a), (_, b) in zip(parameters.leaves(tree), parameters.leaves(other), strict=True):
                assert_allclose(xp.asnumpy(a[index]), xp.asnumpy(b), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["ep", "centered", "bptt"])
def test_a_result_does_not_depend_on_what_the_buffers_held(precision, kind, rule):
    network, x, y = make(kind, "sigm")
    call = {
        "ep": lambda x, y, **buffers: eqprop(network, x, y, T=8, K=3, beta=0.4, **buffers),
        "centered": lambda x, y, **buffers: eqprop(network, x, y, T=8, K=3, beta=0.4, centered=True, **buffers),
        "bptt": lambda x, y, **buffers: bptt(network, x, y, T=8, steps=3, **buffers),
    }[rule]
    before = [xp.asnumpy(array).copy() for array in (x, y, *dict(parameters.leaves(network.parameters)).values())]
    expected, output = call(x, y)
    work, out = Relaxation(network, x), parameters.zeros_like(network.parameters)
    call(x + 1, 1 - y, work=work, out=out)
    found, again = call(x, y, work=work, out=out)
    assert_array_equal(xp.asnumpy(again), xp.asnumpy(output))
    for (path, a), (_, b), (_, c) in zip(*map(parameters.leaves, (found, expected, out)), strict=True):
        assert a.dtype == xp.float_dtype
        assert_array_equal(xp.asnumpy(a), xp.asnumpy(b), err_msg=path)
        assert_array_equal(xp.asnumpy(a), xp.asnumpy(c), err_msg=path)
    after = [xp.asnumpy(array) for array in (x, y, *dict(parameters.leaves(network.parameters)).values())]
    for a, b in zip(after, before, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_agrees_with_float64(kind):
    found = {}
    for dtype in ("float64", "float32"):
        xp.use(dtype=dtype)
        network, x, y = make(kind, "sigm")
        found[dtype] = eqprop(network, x, y, T=30, K=8, beta=0.3)[0], bptt(network, x, y, T=30, steps=8)[0]
    for single, double in zip(found["float32"], found["float64"], strict=True):
        assert error(single, double) < 1e-4


def test_small_differences_survive_float32():
    """At beta = 1e-3 products differ in their last digits only; the difference form keeps what the states keep."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    wiring = ep.energy((20, 30, 10), rng).wiring
    x = rng.random((20, 20))
    minus = rng.random((20, 40)).astype(np.float32)
    plus = (minus + 1e-4 * rng.standard_normal(minus.shape)).astype(np.float32)
    exact = wiring.contrast(plus.astype(float), minus.astype(float), x, ((), ()), -1e3)
    single = with_parameters_float32(wiring).contrast(plus, minus, x.astype(np.float32), ((), ()), -1e3)
    assert error(single, exact) < 1e-6


def with_parameters_float32(wiring):
    tree = parameters.map(lambda leaf: leaf.astype(np.float32), wiring.parameters)
    return dataclasses.replace(wiring, **tree)


# memory, wrong sizes


@pytest.mark.parametrize("kind", ["energy", "prototypical", "conv"])
@pytest.mark.parametrize("rule", ["ep", "bptt"])
def test_memory_does_not_grow_with_the_free_phase(kind, rule):
    network, x, y = make(kind)

    def peak(T):
        """The least of several calls: the first ones fill caches."""
        sizes = []
        for _ in range(4):
            tracemalloc.start()
            eqprop(network, x, y, T=T, K=5, beta=0.3) if rule == "ep" else bptt(network, x, y, T=T, steps=5)
            sizes.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        return min(sizes)

    assert peak(1000) < 1.05 * peak(10) + 2000


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda rng: ep.energy((7, 3), rng), "no hidden layer"),
        (lambda rng: ep.prototypical((7,), rng), "sizes"),
        (lambda rng: ep.toy((7, 5, 4, 3), rng), "toy model"),
        (lambda rng: ep.convolutional((1,), (3,), rng), "channels"),
        (lambda rng: ep.convolutional((1, 2), (), rng), "sizes"),
        (lambda rng: ep.convolutional((1, 2), (3,), rng, size=(9, 9, 1)), r"size is \(9, 9, 1\); .*rows, columns"),
        (lambda rng: ep.convolutional((1, 2, 3), (3,), rng, size=8), "nothing is left after convolution 2"),
        (lambda rng: ep.convolutional((1, 2), (3,), rng, size=5, F=5), "nothing is left after convolution 1"),
    ],
)
def test_networks_that_cannot_be(build, message):
    with pytest.raises(PlasticError, match=message):
        build(np.random.default_rng(0))


def test_initial_parameters_are_uniform_within_one_over_the_root_of_the_inputs():
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    tree = ep.convolutional((1, 32, 64), (50, 10), rng).parameters
    fan_in = {"convolutions/0": 25, "convolutions/1": 800, "classifier/0": 1024, "classifier/1": 50}
    tree |= ep.toy((300, 400, 200), rng).parameters
    fan_in |= {"layers/0": 300, "layers/1": 400, "skip": 300}
    for path, leaf in parameters.leaves(tree):
        bound = fan_in[path.rpartition("/")[0]] ** -0.5
        assert np.abs(leaf).max() <= bound
        assert leaf.std() == pytest.approx(bound / np.sqrt(3), rel=4 / np.sqrt(leaf.size))
        assert abs(leaf.mean()) < 4 * bound / np.sqrt(3 * leaf.size)


@pytest.mark.parametrize("make", [ep.energy, ep.prototypical])
def test_two_nudges_make_the_mean_of_one_to_each_side(make):
    """-(1 / 2 beta B) (Phi at s^beta, minus that at s^-beta) is half the sum of what beta and -beta give."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    net, x, y = make((4, 5, 3), rng), xp.asarray(rng.random((6, 4))), xp.asarray(rng.random((6, 3)))

    def grads(beta, **more):
        return dict(parameters.leaves(ep.eqprop(net, x, y, T=30, K=8, beta=beta, **more)[0]))

    both, plus, minus = grads(0.4, centered=True), grads(0.4), grads(-0.4)
    for path, gradient in both.items():
        assert_allclose(gradient, (plus[path] + minus[path]) / 2, atol=1e-12)
