"""The rules against each other, and against finite differences of networks whose spikes are smooth."""

import dataclasses
import itertools
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, parameters, xp
from plastic.eprop import (
    Neurons,
    SpikingNetwork,
    SpikingRecord,
    SpikingState,
    bptt_gradients,
    constant_gradients,
    eligibility_traces,
    eprop_gradients,
    factorised_gradients,
    ideal_learning_signals,
    online_gradients,
    signals,
    simulate,
    traces_after,
)
from plastic.eprop.spiking import simulation, sweep
from plastic.eprop.spiking.surrogates import SURROGATES
from plastic.errors import PlasticError

RULES = {"eprop": eprop_gradients, "online": online_gradients, "bptt": bptt_gradients}


def draw(rng, n_in=3, n=4, n_out=2, beta="each", gain="1 - alpha", decays="each", bias=True, **cell):
    """A network of host arrays that spikes now and then. decays: "each" neuron has its own, or "one" for all."""

    def constant(low, high):
        return rng.uniform(low, high, (1, n)) if decays == "each" else float(rng.uniform(low, high))

    alpha, rho, theta = constant(0.6, 0.95), constant(0.8, 0.99), constant(0.7, 1.3)
    own = {"each": rng.uniform(0.05, 0.4, (1, n)) * (np.arange(n) % 3 > 0), "one": 0.2, None: None}[beta]
    strength = 0.8 if gain == 1 else 4.0
    if cell.get("unmasked") or cell.get("surrogate", "piecewise_linear") != "piecewise_linear":
        cell["relative"] = False
    delay = cell.pop("delay", 1)
    neurons = Neurons(alpha, theta, rho, own, 0.45, 1.0 if gain == 1 else 1 - alpha, **({"n_ref": 3} | cell))
    W_in, W_rec, W_out = (rng.standard_normal(shape) for shape in ((n_in, n), (n, n), (n, n_out)))
    W_in, W_rec = (strength * (W + 0.4) / np.sqrt(len(W)) for W in (W_in, W_rec))
    kappa, g_out = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.1, 1))
    b_out = rng.standard_normal((1, n_out)) if bias else None
    return SpikingNetwork(W_in, W_rec, W_out, neurons, kappa, g_out, b_out, delay)


def draw_feedback(rng, network, kind="random"):
    """A matrix that learning signals come down by, or None for symmetric feedback."""
    return rng.standard_normal(network.W_out.shape) if kind == "random" else None


def draw_state(rng, network, batch):
    n, n_out = network.W_out.shape[-2:]
    v, a, y = rng.standard_normal((batch, n)), rng.random((batch, n)), rng.standard_normal((batch, n_out))
    z, s = ((rng.random((batch, n)) < 0.4).astype(float) for _ in range(2))
    late = (rng.random((network.delay - 1, batch, n)) < 0.4).astype(float) if network.delay > 1 else None
    return SpikingState(v, a, z, s if network.neurons.unmasked else z.copy(), np.zeros((batch, n)), y, late)


def draw_R(rng, kind, T, batch, n):
    """A regulariser's signal: none, constant over time and batch, or varying."""
    return {
        "none": None,
        "constant": rng.standard_normal((1, 1, n)),
        "varying": rng.standard_normal((T, batch, n)),
    }[kind]


def on_device(tree, dtype=None):
    """Dataclasses of host arrays, on the backend in use."""
    if isinstance(tree, np.ndarray):
        return xp.asarray(tree.copy(), dtype=dtype or tree.dtype)
    if dataclasses.is_dataclass(tree):
        fields = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
        return dataclasses.replace(tree, **{name: on_device(value, dtype) for name, value in fields.items()})
    return tree


def host(tree):
    return {path: xp.asnumpy(leaf) for path, leaf in parameters.leaves(tree)}


def compare(found, expected, tolerance=1e-12, but=()):
    """Compare two trees, each leaf relative to its largest entry."""
    found, expected = host(found), host(expected)
    assert found.keys() == expected.keys()
    for path in found.keys() - set(but):
        a, b = found[path], expected[path]
        assert a.shape == b.shape, path
        scale = np.abs(b).max() if b.size else 0.0
        assert_allclose(a, b, rtol=0, atol=tolerance * (scale or 1.0), err_msg=path)


SIZES = {"n_in": st.integers(1, 4), "n": st.integers(1, 5), "n_out": st.integers(1, 3)}
CELLS = {
    "beta": st.sampled_from(["each", "one", None]),
    "gain": st.sampled_from([1, "1 - alpha"]),
    "decays": st.sampled_from(["each", "one"]),
    "bias": st.booleans(),
    "unmasked": st.booleans(),
    "relative": st.booleans(),
    "surrogate": st.sampled_from(list(SURROGATES)),
    "sharpness": st.sampled_from([1.0, 0.6, 1.7]),
    "delay": st.sampled_from([1, 2, 5]),
}
TRIALS = {
    "feedback": st.sampled_from(["symmetric", "random"]),
    "T": st.integers(1, 12),
    "batch": st.integers(1, 3),
    "begun": st.booleans(),
    "resets": st.booleans(),
    "kind": st.sampled_from(["none", "constant", "varying"]),
}


# two derivations agree


@hypothesis.given(
    seed=st.integers(0, 10_000),
    cell=st.fixed_dictionaries(SIZES | CELLS | {"n_ref": st.integers(1, 4)}),
    trial=st.fixed_dictionaries(TRIALS),
)
def test_eprop_is_the_same_online_and_back_in_time_and_eq_1_is_bptt(seed, cell, trial):
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    network, T, batch = draw(rng, **cell), trial["T"], trial["batch"]
    x = rng.random((T, batch, cell["n_in"])) < 0.5
    state = draw_state(rng, network, batch) if trial["begun"] else None
    done = (rng.random((T, batch)) < 0.2).astype(float) if trial["resets"] and cell["delay"] == 1 else None
    record = simulate(network, x, state=state, done=done)
    err, R = rng.standard_normal(record.output.shape), draw_R(rng, trial["kind"], T, batch, cell["n"])
    B = draw_feedback(rng, network, trial["feedback"])
    compare(*(rule(network, record, err, R, feedback=B) for rule in (online_gradients, eprop_gradients)))
    bptt = bptt_gradients(network, record, err, R)
    total = ideal_learning_signals(network, record, err, R)
    found = factorised_gradients(network, record, total)
    compare(found, {name: bptt[name] for name in found})


def literal_eprop(network, x, record, err, R, B):
    """Eqs. 4, 23-28 for every synapse of every trial, with nothing rearranged; all constants per neuron."""
    n_in, n = network.W_in.shape
    neurons, (T, batch, _) = network.neurons, record.psi.shape
    alpha, rho, beta, gain = (
        np.broadcast_to(constant, (1, n))[0] for constant in (neurons.alpha, neurons.rho, neurons.beta, neurons.gain)
    )
    G = {"W_in": np.zeros((n_in, n)), "W_rec": np.zeros((n, n))}
    for b in range(batch):
        L = err[:, b] @ B.T
        for name in G:
            for i, j in np.ndindex(G[name].shape):
                if name == "W_rec" and i == j:
                    continue
                eps_v = eps_a = ebar = 0.0
                for t in range(T):
                    keep = 1.0 if record.done is None else 1 - record.done[t, b]
                    eps_v, eps_a = keep * eps_v, keep * eps_a
                    if name == "W_in":
                        p = x[t, b, i]
                    else:
                        p = keep * (record.z[t - 1, b, i] if t else record.z_before[b, i])
                    eps_v = alpha[j] * eps_v + gain[j] * p
                    slope = eps_v - beta[j] * eps_a
                    e = record.psi[t, b, j] * slope
                    drives = record.psi_unmasked[t, b, j] * slope if neurons.unmasked else e
                    eps_a = rho[j] * eps_a + drives
                    ebar = network.kappa * ebar + network.g_out * e
                    G[name][i, j] += L[t, j] * ebar + np.broadcast_to(R, record.psi.shape)[t, b, j] * e
    return G


@pytest.mark.parametrize("unmasked", [False, True])
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("kind", ["constant", "varying"])
def test_eprop_is_what_the_paper_writes(backend, unmasked, resets, kind):
    rng = np.random.default_rng(1)
    network = draw(rng, unmasked=unmasked)
    x, done = rng.random((12, 2, 3)) < 0.5, (rng.random((12, 2)) < 0.2).astype(float)
    err, R = rng.standard_normal((12, 2, 2)), draw_R(rng, kind, 12, 2, 4)
    state, B = draw_state(rng, network, 2), draw_feedback(rng, network)
    net, inputs = on_device(network), on_device(x)
    record = simulate(net, inputs, state=on_device(state), done=on_device(done) if resets else None)
    on_host = dataclasses.replace(record, state=None)
    on_host = dataclasses.replace(on_host, **{name: array for name, array in host(on_host).items()})
    expected = literal_eprop(network, x, on_host, err, R, B)
    assert all(np.abs(leaf).max() > 0.01 for leaf in expected.values())
    for name in ("eprop", "online"):
        grads = RULES[name](net, record, on_device(err), on_device(R), feedback=on_device(B))
        compare({part: grads[part] for part in expected}, expected)


# smooth networks


def bump(u):
    """The integral of max(0, 1 - |u|)."""
    u = np.clip(u, -1, 1)
    return np.where(u < 0, (1 + u) ** 2 / 2, 1 - (1 - u) ** 2 / 2)


def smooth_spike(neurons, d, scale):
    """A smooth spike S(d), d = v - A, and its derivative psi, the surrogate's formula written out.

    scale: theta, or A, which piecewise linear ones are in units of.
    """
    gamma, s = neurons.gamma, neurons.sharpness
    return {
        "piecewise_linear": (gamma / s * bump(s * d / scale), gamma / scale * np.maximum(0, 1 - s * np.abs(d / scale))),
        "exponential": (gamma / s * np.sign(d) * (1 - np.exp(-s * np.abs(d))), gamma * np.exp(-s * np.abs(d))),
        "fast_sigmoid": (gamma * d / (1 + s * np.abs(d)), gamma * (1 + s * np.abs(d)) ** -2.0),
        "arctan": (gamma / (np.pi**2 * s) * np.arctan(np.pi * s * d), gamma / np.pi / (1 + (np.pi * s * d) ** 2)),
    }[neurons.surrogate]


def smooth(network, x, state, done, free, sent=None, nudge=0.0):
    """Simulate the network with spikes free S(u), as real numbers; `free` (T, batch, n) stands for refractoriness.

    sent: in place of the spikes that arrive, and of z^{t-1} in resets, (T, 2, batch, n), so that nothing depends on
    spikes but the
    adaptation and the readout. nudge: what is added to z^t in all that others see of it, currents, resets and readout,
    but not in the neuron's own adaptation.
    """
    neurons, n = network.neurons, network.W_rec.shape[-1]
    beta = 0.0 if neurons.beta is None else neurons.beta
    W_rec = network.W_rec * (1 - np.eye(n))
    v, a, z, s, y = state.v, state.a, state.z, state.s, state.y
    on_the_way = [] if state.late is None else list(state.late)
    kept = {name: [] for name in ("z", "psi", "psi_unmasked", "y", "sent", "v_over_A", "v", "a")}
    for t in range(len(x)):
        if done is not None:
            v, a, z, s = (array * (1 - done[t, :, None]) for array in (v, a, z, s))
        on_the_way.append(z)
        arrived, before = (on_the_way[t], z) if sent is None else sent[t]
        a = neurons.rho * a + s
        v = neurons.alpha * v + neurons.gain * (x[t] @ network.W_in + arrived @ W_rec) - neurons.theta * before
        A = neurons.theta + beta * a
        S, psi = smooth_spike(neurons, v - A, A if neurons.relative else neurons.theta)
        s = S if neurons.unmasked else S * free[t]
        z = S * free[t] + (0.0 if isinstance(nudge, float) else nudge[t])
        y = network.kappa * y + network.g_out * z @ network.W_out
        filtered = y if network.b_out is None else y + network.b_out
        for name, value in zip(kept, (z, psi * free[t], psi, filtered, (arrived, before), v / A, v, a), strict=True):
            kept[name].append(value)
    z, psi, psi_unmasked, y, sent, v_over_A, v, a = (np.stack(values) for values in kept.values())
    more = {"psi_unmasked": psi_unmasked} if neurons.unmasked else {"v_over_A": v_over_A} if neurons.relative else {}
    more |= {"v_before": state.v, "a_before": state.a, "kept": {"v": v, "a": a}, "late_before": state.late}
    return SpikingRecord(x, z, psi, y, state.z, None, done=done, **more), sent


def draw_smooth(seed, cell, T, batch, resets):
    """Return (network, x, state, done, free, target) of a smooth network."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    network = draw(rng, **cell)
    n_in, n = network.W_in.shape
    x, state = rng.standard_normal((T, batch, n_in)), draw_state(rng, network, batch)
    state.z, state.s = rng.random((2, batch, n))
    done = (rng.random((T, batch)) < 0.2).astype(float) if resets and network.delay == 1 else None
    free = rng.random((T, batch, n)) < 0.8
    return network, x, state, done, free, rng.standard_normal((T, batch, network.W_out.shape[-1]))


def objective(record, target):
    """Return a loss of readouts and spikes, with err and R."""
    loss, err = signals.regression(record.output, target)
    first, R = signals.rate_penalty(record.z, 0.1, 20.0)
    second, R_running = signals.running_rate_penalty(record.z, 0.2, 1.0)
    return loss + first + second, err, R + R_running


SMOOTH = {
    "seed": st.integers(0, 10_000),
    "cell": st.fixed_dictionaries(SIZES | CELLS),
    "T": st.integers(1, 8),
    "batch": st.integers(1, 3),
    "resets": st.booleans(),
}


@hypothesis.settings(max_examples=30)
@hypothesis.given(**SMOOTH)
def test_bptt_is_the_gradient_of_a_smooth_network(seed, cell, T, batch, resets):
    """Through the recurrent weights, the reset by theta, the adaptation, the readout and the regularisers."""
    network, x, state, done, free, target = draw_smooth(seed, cell, T, batch, resets)

    def loss(tree):
        return objective(smooth(network, x, state, done, free)[0], target)[0]

    record, _ = smooth(network, x, state, done, free)
    _, err, R = objective(record, target)
    grads = bptt_gradients(network, record, err, R)
    check.gradient(loss, network.parameters, grads, max_entries=8)


@hypothesis.settings(max_examples=30)
@hypothesis.given(**SMOOTH)
def test_eprop_is_the_gradient_of_a_smooth_network_whose_recurrent_spikes_are_constants(seed, cell, T, batch, resets):
    """The learning signals B err are constants too; what is left of the paths through spikes is the adaptation."""
    network, x, state, done, free, target = draw_smooth(seed, cell, T, batch, resets)
    record, sent = smooth(network, x, state, done, free)
    _, err, R = objective(record, target)
    B = draw_feedback(np.random.default_rng(seed), network)
    down = dataclasses.replace(network, W_out=B)

    def loss(tree):
        held, _ = smooth(down, x, state, done, free, sent)
        return np.sum(err * held.output) + np.sum(R * held.z)

    assert_allclose(smooth(network, x, state, done, free, sent)[0].output, record.output, rtol=1e-14)
    grads = eprop_gradients(network, record, err, R, feedback=B)
    tree = {name: getattr(network, name) for name in ("W_in", "W_rec")}
    check.gradient(loss, tree, {name: grads[name] for name in tree}, max_entries=8)


def constants_of(network):
    """{name: (1, n)} of the neurons' constants, of those that adapt."""
    n, neurons = network.W_rec.shape[-1], network.neurons
    names = ("alpha",) if neurons.beta is None else ("alpha", "rho", "beta")
    return {name: np.broadcast_to(getattr(neurons, name), (1, n)).copy() for name in names}


def with_constants(network, constants):
    return dataclasses.replace(network, neurons=dataclasses.replace(network.neurons, **constants))


@hypothesis.settings(max_examples=30)
@hypothesis.given(**SMOOTH)
def test_the_gradients_of_constants_are_those_of_a_smooth_network(seed, cell, T, batch, resets):
    """By BPTT through all paths, by e-prop where recurrent spikes are held; where beta is 0 there is no adaptation."""
    network, x, state, done, free, target = draw_smooth(seed, cell, T, batch, resets)
    record, sent = smooth(network, x, state, done, free)
    _, err, R = objective(record, target)
    constants = constants_of(network)
    adaptive = constants.get("beta", np.zeros(1)) > 0

    def loss(tree, held=None):
        moved, _ = smooth(with_constants(network, tree), x, state, done, free, held)
        return objective(moved, target)[0] if held is None else np.sum(err * moved.output) + np.sum(R * moved.z)

    for total, of in ((True, loss), (False, lambda tree: loss(tree, sent))):
        found = constant_gradients(network, record, err, R, total=total)
        assert found.keys() == {"alpha", "rho", "beta"}
        for name in constants:
            if name == "alpha" or adaptive.all():
                rest = {each: value for each, value in constants.items() if each != name}
                check.gradient(lambda tree, rest=rest: of(rest | tree), {name: constants[name]}, {name: found[name]})  # noqa: B023
            else:
                assert not found[name][~np.broadcast_to(adaptive, found[name].shape)].any()


def test_constants_go_on_from_a_state_and_need_histories():
    """v and a before the first step count: a chunk that goes on has another gradient than one from rest."""
    xp.use(dtype="float64")
    network, x, err, R = setting()
    start = simulate(network, x[:5]).state
    record = simulate(network, x[5:], state=start, keep=("v", "a"))
    np.testing.assert_array_equal(record.v_before, start.v)
    np.testing.assert_array_equal(record.a_before, start.a)
    assert start.v.any() and start.a.any()
    with pytest.raises(PlasticError, match="histories"):
        constant_gradients(network, simulate(network, x), err, R)
    with pytest.raises(PlasticError, match="feedback"):
        constant_gradients(network, record, err[5:], feedback=network.W_out, total=True)


def test_gradients_of_constants_take_the_feedback_in_the_place_of_the_readout():
    xp.use(dtype="float64")
    network, x, err, R = setting()
    record = simulate(network, x, keep=("v", "a"))
    B = np.random.default_rng(5).standard_normal(network.W_out.shape)
    found = constant_gradients(network, record, err, R, feedback=B)
    expected = constant_gradients(dataclasses.replace(network, W_out=B), record, err, R)
    for name, gradient in expected.items():
        assert_allclose(found[name], gradient, rtol=1e-12)
        assert gradient.any() and not np.allclose(gradient, constant_gradients(network, record, err, R)[name])


@hypothesis.settings(max_examples=30)
@hypothesis.given(**SMOOTH)
def test_the_total_derivative_is_that_of_the_spikes_but_for_their_own_adaptation(seed, cell, T, batch, resets):
    network, x, state, done, free, target = draw_smooth(seed, cell, T, batch, resets)
    record, _ = smooth(network, x, state, done, free)
    _, err, R = objective(record, target)

    def loss(nudge):
        return objective(smooth(network, x, state, done, free, nudge=nudge)[0], target)[0]

    found = ideal_learning_signals(network, record, err, R)
    check.gradient(loss, np.zeros_like(record.psi), found, max_entries=12)


CHOICES = [
    {"relative": True},
    {"surrogate": "exponential"},
    {"surrogate": "fast_sigmoid", "sharpness": 1.7},
    {"surrogate": "arctan", "unmasked": True},
    {"delay": 2},
    {"delay": 5, "relative": True},
]
"""Cells other than the paper's that random draws would meet too rarely."""


@pytest.mark.parametrize("cell", CHOICES, ids=str)
def test_gradients_of_other_cells(cell):
    """BPTT by finite differences of a smooth network, e-prop by its two forms, whole and in chunks."""
    network, x, state, done, free, target = draw_smooth(3, {"beta": "one", **cell}, 8, 2, False)

    def loss(tree):
        return objective(smooth(network, x, state, done, free)[0], target)[0]

    record, _ = smooth(network, x, state, done, free)
    _, err, R = objective(record, target)
    check.gradient(loss, network.parameters, bptt_gradients(network, record, err, R), max_entries=12)
    rng = np.random.default_rng(4)
    spikes, start = rng.random((9, 2, 3)) < 0.5, draw_state(rng, network, 2)
    err, record = rng.standard_normal((9, 2, 2)), simulate(network, spikes, state=start)
    whole = online_gradients(network, record, err)
    compare(eprop_gradients(network, record, err), whole)
    compare(in_chunks(eprop_gradients, network, spikes, err, None, cut(9, [2, 3, 7]), None, start)[0], whole)
    other = dataclasses.replace(network, delay=1, neurons=Neurons(network.neurons.alpha, network.neurons.theta))
    plain = dataclasses.replace(start, late=None)
    assert differ(whole, online_gradients(other, simulate(other, spikes, state=plain), err)) > 0.01


@pytest.mark.parametrize("unmasked", [False, True])
@pytest.mark.parametrize("resets", [False, True])
def test_smooth_networks_have_every_path(unmasked, resets):
    """What the gradients above would miss without it: psi of 0 and above 0, masks, and differences of the rules."""
    network, x, state, done, free, target = draw_smooth(7, {"unmasked": unmasked}, 8, 3, resets)
    record, _ = smooth(network, x, state, done, free)
    _, err, R = objective(record, target)
    assert 0.3 < np.mean(record.psi > 0) < 0.95 and 0 < np.mean(free) < 1
    full = bptt_gradients(network, record, err, R)
    plain = dataclasses.replace(network, neurons=dataclasses.replace(network.neurons, beta=None))
    for other in (eprop_gradients(network, record, err, R), bptt_gradients(plain, record, err, R)):
        for name in ("W_in", "W_rec"):
            assert np.abs(other[name] - full[name]).max() > 0.01 * np.abs(full[name]).max()


@pytest.mark.parametrize("surrogate", list(SURROGATES))
@pytest.mark.parametrize("sharpness", [1.0, 1.7])
def test_a_smooth_spike_has_the_pseudo_derivative(backend, surrogate, sharpness):
    """psi of the simulation is dS/dv."""
    rng = np.random.default_rng(0)
    network = draw(rng, n_ref=1, beta=None, surrogate=surrogate, sharpness=sharpness)
    neurons = network.neurons
    record = simulate(on_device(network), on_device(rng.standard_normal((20, 2, 3))), keep=("v",))
    v, h = xp.asnumpy(record.kept["v"]), 1e-6
    above, below = (smooth_spike(neurons, v + step - neurons.theta, neurons.theta)[0] for step in (h, -h))
    assert_allclose(xp.asnumpy(record.psi), (above - below) / (2 * h), atol=2e-6)


def test_relative_neurons_differ_where_thresholds_adapt():
    """Without adaptation A is theta, and they are those of the paper; and a wrong slope of A would show."""
    xp.use(dtype="float64")
    network, x, err, R = setting()
    relative = dataclasses.replace(network, neurons=dataclasses.replace(network.neurons, relative=True))
    for beta, same in ((network.neurons.beta, False), (0.0, True)):
        first, second = (
            dataclasses.replace(net, neurons=dataclasses.replace(net.neurons, beta=beta)) for net in (network, relative)
        )
        records = [simulate(net, x) for net in (first, second)]
        assert_array_equal(records[0].z, records[1].z)  # [u > 0] is the same
        grads = [eprop_gradients(*pair, err, R) for pair in zip((first, second), records, strict=True)]
        assert (differ(*grads) < 1e-12) == same


# where theory says that e-prop is BPTT


def both(network, x, err, R=None, done=None, state=None):
    record = simulate(network, x, state=state, done=done)
    return eprop_gradients(network, record, err, R), bptt_gradients(network, record, err, R)


def setting(seed=0, T=15, **cell):
    """Return (network, x, err, R) on the host."""
    rng = np.random.default_rng(seed)
    network = draw(rng, **cell)
    return network, rng.random((T, 3, 3)) < 0.5, rng.standard_normal((T, 3, 2)), rng.standard_normal((T, 3, 4))


def differ(a, b):
    return max(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max() for name in ("W_in", "W_rec"))


def test_eprop_is_bptt_in_one_step():
    xp.use(dtype="float64")
    network, x, err, R = setting(T=1)
    state = draw_state(np.random.default_rng(0), network, 3)
    eprop, bptt = both(network, x, err, R, state=state)
    assert np.abs(eprop["W_rec"]).max() > 0
    compare(eprop, bptt)


def test_eprop_is_bptt_where_every_step_begins_anew():
    xp.use(dtype="float64")
    network, x, err, R = setting()
    compare(*both(network, x, err, R, done=np.ones((15, 3))))
    assert differ(*both(network, x, err, R)) > 0.01


def test_eprop_is_bptt_where_only_the_first_step_is_judged():
    """No spike after it matters, and the adaptation's path leads through later spikes too."""
    xp.use(dtype="float64")
    network, x, err, R = setting()
    assert differ(*both(network, x, err, R)) > 0.01
    err[1:], R[1:] = 0, 0
    compare(*both(network, x, err, R))


def test_eprop_is_bptt_where_spikes_of_earlier_steps_have_no_slope():
    """Far below the threshold psi is 0 until the last step: no path through earlier spikes."""
    xp.use(dtype="float64")
    network, _, err, R = setting(beta=None, decays="one")
    network.W_in[...] = np.abs(network.W_in)
    x = np.full((15, 3, 3), -0.1)
    x[-1] = 3.0
    record = simulate(network, x)
    assert not record.psi[:-1].any() and record.psi[-1].any()
    eprop, bptt = both(network, x, err, R)
    assert np.abs(eprop["W_in"]).max() > 0
    compare(eprop, bptt)


def test_eprop_is_the_whole_gradient_of_a_network_without_recurrent_weights_and_resets():
    """The adaptation and the readout are all the memory there is."""
    network, x, state, done, free, target = draw_smooth(4, {}, 8, 3, False)
    none = np.zeros((len(free), 2, *free.shape[1:]))
    record, _ = smooth(network, x, state, done, free, none)
    _, err, R = objective(record, target)

    def loss(tree):
        return objective(smooth(network, x, state, done, free, none)[0], target)[0]

    grads = eprop_gradients(network, record, err, R)
    tree = {name: getattr(network, name) for name in ("W_in", "W_out", "b_out")}
    check.gradient(loss, tree, {name: grads[name] for name in tree})
    assert differ(bptt_gradients(network, record, err, R), grads) > 0.01


# feedback, the diagonal, the readout


@pytest.mark.parametrize("name", ["eprop", "online"])
def test_symmetric_feedback_is_that_of_the_readout_weights(backend, name):
    network, x, err, R = map(on_device, setting())
    record = simulate(network, x)
    same = RULES[name](network, record, err, R, feedback=network.W_out.copy())
    compare(same, RULES[name](network, record, err, R), 0)


@pytest.mark.parametrize("name", ["eprop", "online"])
def test_feedback_changes_what_lies_below_the_readout_only(backend, name):
    network, x, err, R = map(on_device, setting())
    record = simulate(network, x)
    B = on_device(np.random.default_rng(0).standard_normal((4, 2)))
    found, expected = (host(RULES[name](network, record, err, R, feedback=each)) for each in (B, None))
    for part in ("W_out", "b_out"):
        assert_array_equal(found[part], expected[part])
    for part in ("W_in", "W_rec"):
        assert np.abs(found[part] - expected[part]).max() > 0.01 * np.abs(expected[part]).max()


@pytest.mark.parametrize("name", RULES)
def test_gradients_are_a_tree_like_the_parameters(backend, name):
    for bias in (True, False):
        network, x, err, R = map(on_device, setting(bias=bias))
        record = simulate(network, x)
        grads = RULES[name](network, record, err, R)
        assert (grads["b_out"] is None) == (not bias)
        tree = dict(parameters.leaves(network.parameters))
        assert {path: leaf.shape for path, leaf in parameters.leaves(grads)} == {
            path: leaf.shape for path, leaf in tree.items()
        }
        assert_array_equal(np.diag(xp.asnumpy(grads["W_rec"])), 0)
        assert np.count_nonzero(xp.asnumpy(grads["W_rec"])) > 6


@pytest.mark.parametrize("name", RULES)
def test_the_readout_learns_from_its_filtered_spikes(backend, name):
    network, x, err, R = setting()
    net = on_device(network)
    record = simulate(net, on_device(x))
    grads = RULES[name](net, record, *map(on_device, (err, R)))
    zbar, expected = 0.0, 0.0
    for spikes, wrong in zip(xp.asnumpy(record.z).astype(float), err, strict=True):
        zbar = network.kappa * zbar + network.g_out * spikes
        expected = expected + zbar.T @ wrong
    assert_allclose(xp.asnumpy(grads["W_out"]), expected, rtol=1e-11)
    assert_allclose(xp.asnumpy(grads["b_out"]), err.sum(axis=(0, 1))[None], rtol=1e-12)


def test_the_signal_of_a_regulariser_meets_unfiltered_traces():
    """In one synapse of one step, R e with no readout gain; over two steps no kappa."""
    xp.use(dtype="float64")
    network, x, err, _ = setting(T=2)
    record = simulate(network, x)
    R = np.ones((1, 1, 4))
    traces = [trace.e.copy() for trace in eligibility_traces(network, record)]
    expected = np.sum(traces, axis=(0, 1))
    for rule in (eprop_gradients, online_gradients):
        grads = rule(network, record, 0 * err, R)
        assert_allclose(np.concatenate([grads["W_in"], grads["W_rec"]]), expected, rtol=1e-12, atol=1e-14)
        for same in (np.full((2, 1, 4), 1.0), np.ones((2, 3, 4))):
            compare(rule(network, record, 0 * err, same), grads)


def test_traces_are_those_of_every_synapse(backend):
    network, x, *_ = map(on_device, setting())
    record = simulate(network, x)
    for t, trace in enumerate(eligibility_traces(network, record)):
        for name in ("eps_v", "eps_a", "e", "ebar"):
            array = xp.asnumpy(getattr(trace, name))
            assert array.shape == (3, 7, 4)
            assert not array[:, 3:][:, np.eye(4, dtype=bool)].any()
        if t == 0:
            assert not xp.asnumpy(trace.eps_a).any() and xp.asnumpy(trace.e).any()
    assert t == 14 and xp.asnumpy(trace.eps_a).any()


# replicas


def stack(networks):
    """One network of replicas: matrices (R, n, m), constants (R, 1, n) or, where a network has a number, (R, 1, 1)."""

    def together(values):
        if values[0] is None:
            return None
        return np.reshape(values, (-1, 1, 1)) if isinstance(values[0], float) else np.stack(values)

    first, names = networks[0], ("alpha", "theta", "rho", "beta", "gamma", "gain")
    constants = {name: together([getattr(net.neurons, name) for net in networks]) for name in names}
    names = ("W_in", "W_rec", "W_out", "b_out", "kappa", "g_out")
    arrays = {name: together([getattr(net, name) for net in networks]) for name in names}
    return dataclasses.replace(first, neurons=dataclasses.replace(first.neurons, **constants), **arrays)


def all_rules(network, record, err, R, B=None):
    """Every result of the rules, by name."""
    found = {name: RULES[name](network, record, err, R, feedback=B) for name in ("eprop", "online")}
    total = ideal_learning_signals(network, record, err, R)
    factorised = factorised_gradients(network, record, total)
    return found | {"bptt": bptt_gradients(network, record, err, R), "total": total, "factorised": factorised}


def replicas(T, decays, variant, kind, bias, own_readout):
    """Return (networks, the network of replicas, x, err, R, feedback, done)."""
    rng = np.random.default_rng(9)
    beta = "one" if decays == "one" else "each"
    sizes = {"n_in": 3, "n": 3, "n_out": 3, "decays": decays, "beta": beta, "unmasked": variant == "unmasked"}
    networks = [draw(rng, bias=bias, **sizes) for _ in range(3)]
    together = stack(networks)
    if not own_readout:
        networks = [dataclasses.replace(net, kappa=0.8, g_out=0.3) for net in networks]
        together = dataclasses.replace(together, kappa=0.8, g_out=0.3)
    done = on_device((rng.random((T, 3)) < 0.2).astype(float)) if variant == "done" else None
    x = rng.random((T, 3, 3)) < 0.5 if variant == "shared" else rng.random((3, T, 3, 3)) < 0.5
    err = rng.standard_normal((3, T, 3, 3))
    R = np.stack([draw_R(rng, kind, T, 3, 3) for _ in range(3)])
    B = np.stack([draw_feedback(rng, network) for network in networks])
    x, err, R, B = map(on_device, (x, err, R, B))
    return list(map(on_device, networks)), on_device(together), x, err, R, B, done


VARIANTS = ["plain", "unmasked", "done", "shared"]


@pytest.mark.parametrize("T", [3, 8])
@pytest.mark.parametrize("decays", ["one", "each"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("readout", ["common", "biased", "own"])
def test_replicas_equal_separate_runs(backend, T, decays, variant, readout):
    """As many replicas as trials, inputs, neurons and outputs, and as steps, where wrong broadcasting hides.

    Replicas have inputs of their own, or share them. Their readouts have decays and gains of their own, or in common.
    """
    kind = {3: "constant", 8: "varying"}[T]
    made = replicas(T, decays, variant, kind, readout == "biased", readout == "own")
    networks, together, x, err, R, B, done = made
    found = all_rules(together, simulate(together, x, done=done), err, R, B)
    for index, network in enumerate(networks):
        own = x if variant == "shared" else x[index]
        expected = all_rules(network, simulate(network, own, done=done), err[index], R[index], B[index])
        for name, tree in expected.items():
            compare(parameters.map(lambda leaf, index=index: leaf[index], found[name]), tree, 1e-11)


# chunks of a sequence


def cut(T, at):
    """Slices that cut T steps at some places."""
    edges = [0, *sorted({place for place in at if 0 < place < T}), T]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def in_chunks(rule, network, x, err, R, places, done=None, state=None, **more):
    """The sum of a rule's gradients over chunks, and the traces that the last one leaves."""
    total, traces = None, None
    for part in places:
        record = simulate(network, x[..., part, :, :], state=state, done=None if done is None else done[..., part, :])
        varies = R is not None and R.shape[-3] > 1
        signal = R[..., part, :, :] if varies else R
        grads = rule(network, record, err[..., part, :, :], signal, traces=traces, **more)
        total = grads if total is None else parameters.map(lambda a, b: a + b, total, grads)
        state, traces = record.state, traces_after(network, record, traces)
    return total, traces


@hypothesis.given(
    seed=st.integers(0, 10_000),
    cell=st.fixed_dictionaries(SIZES | CELLS | {"n_ref": st.integers(1, 4)}),
    trial=st.fixed_dictionaries(TRIALS),
    at=st.lists(st.integers(1, 11), max_size=4),
)
def test_gradients_of_chunks_add_up_to_that_of_the_whole(seed, cell, trial, at):
    """To 1e-12, by either form of e-prop, wherever the sequence is cut; and the traces do not depend on the cuts."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    network, T, batch = draw(rng, **cell), trial["T"], trial["batch"]
    x = rng.random((T, batch, cell["n_in"])) < 0.5
    state = draw_state(rng, network, batch) if trial["begun"] else None
    done = (rng.random((T, batch)) < 0.2).astype(float) if trial["resets"] and cell["delay"] == 1 else None
    record = simulate(network, x, state=state, done=done)
    err, R = rng.standard_normal(record.output.shape), draw_R(rng, trial["kind"], T, batch, cell["n"])
    B = draw_feedback(rng, network, trial["feedback"])
    whole, left = online_gradients(network, record, err, R, feedback=B), traces_after(network, record)
    for rule in (eprop_gradients, online_gradients):
        found, traces = in_chunks(rule, network, x, err, R, cut(T, at), done, state, feedback=B)
        compare(found, whole)
        compare(traces, left)


def test_the_traces_of_a_chunk_are_those_of_every_synapse(backend):
    """After each step, those that `eligibility_traces` carries forward; eps_a is moved on by one more step."""
    rng = np.random.default_rng(3)
    network = on_device(draw(rng, beta="one", decays="one"))
    x = on_device(rng.random((9, 2, 3)) < 0.6)
    record = simulate(network, x)
    e_so_far = 0.0
    for t, trace in enumerate(eligibility_traces(network, record)):
        found = traces_after(network, simulate(network, x[: t + 1]))
        eps_a = network.neurons.rho * trace.eps_a + trace.e
        compare([found.eps_v, found.eps_a, found.ebar], [trace.eps_v, eps_a, trace.ebar])
        e_so_far = e_so_far + np.abs(xp.asnumpy(trace.e)).sum()
    assert e_so_far > 0 and xp.asnumpy(found.eps_a).any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_chunks_of_replicas(variant):
    """Replicas with constants and readouts of their own."""
    xp.use(dtype="float64")
    networks, together, x, err, R, B, done = replicas(8, "each", variant, "varying", True, True)
    places = cut(8, [3, 5])
    found, traces = in_chunks(eprop_gradients, together, x, err, R, places, done, feedback=B)
    compare(found, in_chunks(online_gradients, together, x, err, R, places, done, feedback=B)[0], 1e-11)
    for index, network in enumerate(networks):
        own = x if variant == "shared" else x[index]
        expected, left = in_chunks(eprop_gradients, network, own, err[index], R[index], places, done, feedback=B[index])
        compare(parameters.map(lambda leaf, index=index: leaf[index], found), expected, 1e-11)
        compare(parameters.map(lambda leaf, index=index: leaf[index], traces), left, 1e-11)


def test_without_traces_a_chunk_forgets():
    xp.use(dtype="float64")
    network, x, err, _ = setting()
    whole = eprop_gradients(network, simulate(network, x), err)
    first = simulate(network, x[:8])
    second = simulate(network, x[8:], state=first.state)
    halves = eprop_gradients(network, first, err[:8]), eprop_gradients(network, second, err[8:])
    assert differ(parameters.map(lambda a, b: a + b, *halves), whole) > 0.01


def test_traces_are_of_this_network_and_batch():
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    network = draw(rng)
    record = simulate(network, rng.random((5, 2, 3)))
    traces = traces_after(network, record)
    assert repr(traces) == "SpikingTraces of 7 x 4 synapses, batch 2"
    of_three = traces_after(network, simulate(network, rng.random((5, 3, 3))))
    for wrong, message in ((of_three, "traces.zbar has shape"), (record.state, "traces is a SpikingState")):
        for call in (eprop_gradients, online_gradients):
            with pytest.raises(PlasticError, match=message):
                call(network, record, record.output, traces=wrong)
        with pytest.raises(PlasticError, match=message):
            traces_after(network, record, wrong)
    compare(traces, traces_after(network, record))  # nothing was changed


def test_memory_of_chunks_does_not_grow_with_the_stream():
    """A stream of 40 chunks takes the memory of one of 4, whose arrays are those of a chunk and of every synapse."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    network = draw(rng, n_in=30, n=30, beta="one", decays="one")
    x = rng.random((50, 4, 30)) < 0.1

    def peak(chunks):
        state = traces = None
        tracemalloc.start()
        for _ in range(chunks):
            record = simulate(network, x, state=state)
            eprop_gradients(network, record, record.output, traces=traces)
            state, traces = record.state, traces_after(network, record, traces)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(1)
    assert peak(40) < 1.2 * peak(4)


# lengths of stretches, backends, precision, memory


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("leading", [(), (3,)])
def test_products_do_not_depend_on_the_length_of_a_stretch(backend, resets, leading, monkeypatch):
    rng = np.random.default_rng(2)
    network = draw(rng)
    x, err = rng.random((*leading, 8, 3, 3)) < 0.5, rng.standard_normal((*leading, 8, 3, 2))
    done = on_device((rng.random((8, 3)) < 0.2).astype(float)) if resets else None
    network, x, err, state = map(on_device, (network, x, err, draw_state(rng, network, 3)))
    if leading:
        state = None
    record = simulate(network, x, state=state, done=done)
    whole = simulation.time_slices
    expected = {name: RULES[name](network, record, err) for name in ("eprop", "bptt")}
    for most in (1, 24, 36, 72, 90):
        monkeypatch.setattr(sweep, "time_slices", lambda z, most=most: whole(z, most))
        for name, tree in expected.items():
            compare(RULES[name](network, record, err), tree)


@pytest.mark.parametrize("beta", ["each", None])
@pytest.mark.parametrize("variant", ["plain", "unmasked", "done"])
def test_every_backend_finds_the_same(backend, beta, variant):
    rng = np.random.default_rng(6)
    network = draw(rng, beta=beta, unmasked=variant == "unmasked")
    x, done = rng.random((10, 3, 3)) < 0.5, (rng.random((10, 3)) < 0.2).astype(float)
    err, R, state = rng.standard_normal((10, 3, 2)), rng.standard_normal((1, 1, 4)), draw_state(rng, network, 3)
    found = []
    for use in (None, "numpy"):
        if use:
            xp.use(use, dtype="float64")
        net, inputs, flags = on_device(network), on_device(x), on_device(done) if variant == "done" else None
        record = simulate(net, inputs, state=on_device(state), done=flags)
        found.append(host(all_rules(net, record, on_device(err), on_device(R))))
    compare(*found)


@pytest.mark.parametrize("beta", ["each", "one", None])
@pytest.mark.parametrize("variant", ["plain", "unmasked", "done"])
@pytest.mark.parametrize("kind", ["none", "constant", "varying"])
def test_the_working_precision_stays_and_nothing_given_changes(precision, beta, variant, kind):
    rng = np.random.default_rng(7)
    network = draw(rng, beta=beta, unmasked=variant == "unmasked")
    x, err = on_device(rng.random((6, 3, 3)) < 0.5), on_device(rng.standard_normal((6, 3, 2)), precision)
    R, state = on_device(draw_R(rng, kind, 6, 3, 4), precision), on_device(draw_state(rng, network, 3), precision)
    done = on_device((rng.random((6, 3)) < 0.2).astype(precision)) if variant == "done" else None
    network = on_device(network, precision)
    record = simulate(network, x, state=state, done=done)
    given = {"network": network.parameters, "x": x, "record": record, "err": err, "R": R}
    before = {path: array.copy() for path, array in host(given).items()}
    found = all_rules(network, record, err, R)
    assert {path: leaf.dtype for path, leaf in parameters.leaves(found)} == {
        path: precision for path, _ in parameters.leaves(found)
    }
    for path, array in host(given).items():
        assert_array_equal(array, before[path], err_msg=path)


@pytest.mark.parametrize("unmasked", [False, True])
def test_float32_is_close_to_float64(unmasked):
    rng = np.random.default_rng(8)
    double = draw(rng, n=20, n_in=8, unmasked=unmasked)
    x, err, R = rng.random((60, 4, 8)) < 0.3, rng.standard_normal((60, 4, 2)), rng.standard_normal((1, 1, 20))
    found, spikes = [], []
    for dtype in ("float64", "float32"):
        xp.use(dtype=dtype)
        network = on_device(double, dtype)
        record = simulate(network, x)
        spikes.append(record.z)
        found.append(all_rules(network, record, err.astype(dtype), R.astype(dtype)))
    assert_array_equal(*spikes)
    assert 0.02 < spikes[0].mean() < 0.5
    compare(found[1], found[0], 1e-4)


@pytest.mark.parametrize("beta", ["each", None])
@pytest.mark.parametrize("name", ["eprop", "bptt"])
def test_memory_is_a_few_arrays_of_batch_times_steps_times_neurons(beta, name):
    """One of psi, an eighth of one of spikes, and what a stretch of time needs; no array of synapses times steps."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(9)
    T, batch, n = 4000, 8, 50
    network = draw(rng, n_in=10, n=n, beta=beta)
    x, err = rng.random((T, batch, 10)) < 0.1, rng.standard_normal((T, batch, 2))

    def peak():
        tracemalloc.start()
        RULES[name](network, simulate(network, x), err)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak()
    assert peak() < 2 * T * batch * n * 8


def test_memory_of_the_online_rule_does_not_grow_with_time():
    xp.use(dtype="float64")
    rng = np.random.default_rng(10)
    network = draw(rng, n_in=10, n=20)

    def peak(T):
        x, err = rng.random((T, 4, 10)) < 0.1, rng.standard_normal((T, 4, 2))
        record = simulate(network, x)
        tracemalloc.start()
        online_gradients(network, record, err)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(5)
    assert peak(200) < 1.05 * peak(5) + 2000
