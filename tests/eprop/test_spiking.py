"""The simulation against the module's equations, one neuron and one step at a time, and what they imply."""

import dataclasses
import math
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import parameters, xp
from plastic.eprop import Neurons, SpikingNetwork, SpikingState, decay, lif, lsnn, predict, simulate
from plastic.eprop.spiking import simulation
from plastic.eprop.spiking.simulation import at_rest, currents, readout, time_slices
from plastic.errors import PlasticError

KEPT = ("v", "a", "r", "u")


def draw(rng, n_in=3, n=4, n_out=2, beta="each", gain="1 - alpha", decays="each", bias=True, **cell):
    """A network of host arrays that spikes now and then. decays: "each" neuron has its own, or "one" for all."""

    def constant(low, high):
        return rng.uniform(low, high, (1, n)) if decays == "each" else float(rng.uniform(low, high))

    alpha, rho, theta = constant(0.6, 0.95), constant(0.8, 0.99), constant(0.7, 1.3)
    own = {"each": rng.uniform(0, 0.3, (1, n)) * (np.arange(n) % 3 > 0), "one": 0.2, None: None}[beta]
    strength = 1.0 if gain == 1 else 5.0
    if cell.get("unmasked") or cell.get("surrogate", "piecewise_linear") != "piecewise_linear":
        cell["relative"] = False
    delay = cell.pop("delay", 1)
    neurons = Neurons(alpha, theta, rho, own, 0.45, 1.0 if gain == 1 else 1 - alpha, **({"n_ref": 3} | cell))
    W_in, W_rec, W_out = (rng.standard_normal(shape) for shape in ((n_in, n), (n, n), (n, n_out)))
    W_in, W_rec = (strength * (W + 0.4) / np.sqrt(len(W)) for W in (W_in, W_rec))
    b_out = rng.standard_normal((1, n_out)) if bias else None
    return SpikingNetwork(
        W_in, W_rec, W_out, neurons, float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.1, 1)), b_out, delay
    )


def draw_state(rng, network, batch):
    """A state such as a simulation may end with."""
    n, n_out = network.W_out.shape[-2:]
    v, a, y = rng.standard_normal((batch, n)), rng.random((batch, n)), rng.standard_normal((batch, n_out))
    z = (rng.random((batch, n)) < 0.4).astype(float)
    r = rng.integers(0, network.neurons.n_ref, (batch, n)) * (1 - z) + z * (network.neurons.n_ref - 1)
    s = np.maximum(z, rng.random((batch, n)) < 0.3) if network.neurons.unmasked else z.copy()
    late = (rng.random((network.delay - 1, batch, n)) < 0.4).astype(float) if network.delay > 1 else None
    return SpikingState(v, a, z, s, r.astype(float), y, late)


def on_device(tree, dtype=None):
    """Dataclasses of host arrays, on the backend in use; sharing of arrays is kept out."""
    if isinstance(tree, np.ndarray):
        return xp.asarray(tree.copy(), dtype=dtype or tree.dtype)
    if dataclasses.is_dataclass(tree):
        fields = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
        return dataclasses.replace(tree, **{name: on_device(value, dtype) for name, value in fields.items()})
    return tree


def literal(network, x, state=None, done=None):
    """The equations of the module as they are written, in numbers; (T, batch, n) arrays by name, and the last state."""
    neurons, (T, batch, n_in) = network.neurons, x.shape
    n, n_out = network.W_out.shape

    def of(constant, j):
        return float(np.broadcast_to(0.0 if constant is None else constant, (1, n))[0, j])

    state = SpikingState(*np.zeros((5, batch, n)), np.zeros((batch, n_out))) if state is None else state
    v, a, z, s, r, y = (np.array(getattr(state, name)) for name in ("v", "a", "z", "s", "r", "y"))
    sent = [np.zeros((batch, n))] * (network.delay - 1) if state.late is None else list(state.late)
    sent = [*sent, np.array(state.z)]  # at the place t, the spikes that arrive in the step t
    names = [*KEPT, "z", "s", "psi", "psi_unmasked", "v_over_A"]
    found = {name: np.zeros((T, batch, n)) for name in names} | {"y": np.zeros((T, batch, n_out))}
    for t in range(T):
        sent.append(np.zeros((batch, n)))
        for b in range(batch):
            if done is not None and done[t, b]:
                v[b], a[b], z[b], s[b], r[b] = 0, 0, 0, 0, 0
                sent[t][b] = 0
            z_before = z[b].copy()
            for j in range(n):
                alpha, rho, theta = of(neurons.alpha, j), of(neurons.rho, j), of(neurons.theta, j)
                beta, gain = of(neurons.beta, j), of(neurons.gain, j)
                drive = sum(float(x[t, b, i]) * network.W_in[i, j] for i in range(n_in))
                drive += sum(sent[t][b, i] * network.W_rec[i, j] for i in range(n) if i != j)
                a[b, j] = rho * a[b, j] + s[b, j]
                v[b, j] = alpha * v[b, j] + gain * drive - theta * z_before[j]
                A = theta + beta * a[b, j]
                scale = A if neurons.relative else theta
                u, sharp = (v[b, j] - A) / scale, neurons.sharpness
                silent = r[b, j] > 0
                psi = (
                    neurons.gamma
                    * {
                        "piecewise_linear": max(0.0, 1 - sharp * abs(u)) / scale,
                        "exponential": math.exp(-sharp * abs(v[b, j] - A)),
                        "fast_sigmoid": (1 + sharp * abs(v[b, j] - A)) ** -2,
                        "arctan": 1 / math.pi / (1 + (sharp * math.pi * (v[b, j] - A)) ** 2),
                    }[neurons.surrogate]
                )
                found["v_over_A"][t, b, j] = v[b, j] / A
                for name, value in (("v", v[b, j]), ("a", a[b, j]), ("r", r[b, j]), ("u", u)):
                    found[name][t, b, j] = value
                z[b, j] = u > 0 and not silent
                s[b, j] = u > 0 if neurons.unmasked else z[b, j]
                r[b, j] = max(r[b, j] + neurons.n_ref * z[b, j] - 1, 0)
                found["psi_unmasked"][t, b, j], found["psi"][t, b, j] = psi, 0 if silent else psi
                found["z"][t, b, j], found["s"][t, b, j] = z[b, j], s[b, j]
                sent[-1][b, j] = z[b, j]
            y[b] = [
                network.kappa * y[b, k] + network.g_out * sum(z[b, j] * network.W_out[j, k] for j in range(n))
                for k in range(n_out)
            ]
            found["y"][t, b] = y[b] + (0 if network.b_out is None else network.b_out[0])
    late = np.stack(sent[T : T + network.delay - 1]) if network.delay > 1 else None
    return found, SpikingState(v, a, z, s, r, y, late)


def close(found, expected, name=""):
    found = xp.asnumpy(found)
    assert found.shape == expected.shape, name
    assert_allclose(found, expected, rtol=1e-11, atol=1e-12, err_msg=name)


def compare(network, x, state=None, done=None):
    """Compare a simulation with the literal one; the arguments are on the host."""
    expected, last = literal(network, x, state, done)
    flag = None if done is None else xp.asarray(done.astype(float))
    kept = [name for name in KEPT if name != "a" or network.neurons.beta is not None]
    record = simulate(on_device(network), on_device(x), state=on_device(state), done=flag, keep=kept)
    assert set(record.kept) == set(kept)
    assert record.z.dtype == bool
    assert_array_equal(xp.asnumpy(record.z), expected["z"] > 0)
    for name, found in (record.kept | {"psi": record.psi, "y": record.output}).items():
        close(found, expected[name], name)
    unused = {"a": network.neurons.beta is None, "r": network.neurons.n_ref == 1}
    for name in ("v", "a", "z", "s", "r", "y"):
        if unused.get(name):
            continue
        close(getattr(record.state, name), getattr(last, name), f"state.{name}")
    close(record.z_before, np.zeros_like(last.z) if state is None else state.z)
    if network.delay > 1:
        assert_array_equal(xp.asnumpy(record.state.late), last.late)
    if network.neurons.unmasked:
        close(record.psi_unmasked, expected["psi_unmasked"])
    else:
        assert record.psi_unmasked is None
    if network.neurons.relative:
        close(record.v_over_A, expected["v_over_A"])
    else:
        assert record.v_over_A is None
    assert (record.done is None) == (flag is None)
    return expected


SIZES = {"n_in": st.integers(1, 4), "n": st.integers(1, 5), "n_out": st.integers(1, 3)}
CELLS = {
    "beta": st.sampled_from(["each", "one", None]),
    "gain": st.sampled_from([1, "1 - alpha"]),
    "decays": st.sampled_from(["each", "one"]),
    "bias": st.booleans(),
    "n_ref": st.integers(1, 4),
    "unmasked": st.booleans(),
    "relative": st.booleans(),
    "surrogate": st.sampled_from(["piecewise_linear", "exponential", "fast_sigmoid", "arctan"]),
    "sharpness": st.sampled_from([1.0, 0.6, 1.7]),
    "delay": st.sampled_from([1, 2, 5]),
}


@hypothesis.given(
    seed=st.integers(0, 10_000),
    cell=st.fixed_dictionaries(SIZES | CELLS),
    T=st.integers(1, 12),
    batch=st.integers(1, 3),
    kind=st.sampled_from(["spikes", "currents"]),
    begun=st.booleans(),
    resets=st.booleans(),
)
def test_a_simulation_is_what_the_equations_say(seed, cell, T, batch, kind, begun, resets):
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    network = draw(rng, **cell)
    shape = (T, batch, cell["n_in"])
    x = rng.random(shape) < 0.5 if kind == "spikes" else rng.standard_normal(shape)
    state = draw_state(rng, network, batch) if begun else None
    compare(network, x, state, rng.random((T, batch)) < 0.2 if resets and network.delay == 1 else None)


@pytest.mark.parametrize("unmasked", [False, True])
@pytest.mark.parametrize("beta", ["each", None])
@pytest.mark.parametrize("resets", [False, True])
def test_a_long_simulation_on_every_backend(backend, unmasked, beta, resets):
    """All that the equations speak of happens in it: spikes, silence above the threshold, psi of 0 and above 0."""
    rng = np.random.default_rng(5)
    network = draw(rng, beta=beta, unmasked=unmasked)
    done = rng.random((40, 3)) < 0.1 if resets else None
    found = compare(network, rng.random((40, 3, 3)) < 0.5, draw_state(rng, network, 3), done)
    silenced = (found["u"] > 0) & (found["r"] > 0)
    assert found["z"].mean() > 0.05 and silenced.any() and (found["r"] == 2).any()
    assert 0.05 < np.mean(found["psi"] > 0) < 0.95 and np.any((found["psi"] == 0) & (found["psi_unmasked"] > 0))
    assert np.any(found["s"] != found["z"]) == unmasked


# what the equations imply


CHOICES = [
    {"relative": True},
    {"relative": True, "sharpness": 0.6},
    {"surrogate": "exponential"},
    {"surrogate": "fast_sigmoid", "sharpness": 1.7},
    {"surrogate": "arctan", "unmasked": True},
    {"delay": 2},
    {"delay": 5, "relative": True},
]
"""Cells other than the paper's that random draws would meet too rarely."""


@pytest.mark.parametrize("cell", CHOICES, ids=str)
def test_other_cells_are_what_the_equations_say(backend, cell):
    rng = np.random.default_rng(6)
    network = draw(rng, beta="one", **cell)
    found = compare(network, rng.random((40, 3, 3)) < 0.5, draw_state(rng, network, 3))
    assert found["z"].mean() > 0.05 and found["a"].max() > 1


def one_neuron(**constants):
    neurons = Neurons(**({"alpha": 0.0, "theta": 0.5} | constants))
    return SpikingNetwork(np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), neurons, 0.5, 1.0)


@pytest.mark.parametrize("n_ref", [1, 2, 3, 5])
@pytest.mark.parametrize("unmasked", [False, True])
def test_a_spike_silences_n_ref_minus_1_steps(n_ref, unmasked):
    xp.use(dtype="float64")
    network = one_neuron(n_ref=n_ref, unmasked=unmasked)
    record = simulate(network, np.full((20, 1, 1), 10.0))
    assert_array_equal(record.z[:, 0, 0], np.arange(20) % n_ref == 0)


def test_a_neuron_at_its_threshold_does_not_spike():
    """u = 0 is no spike, and psi is largest there: gamma / theta."""
    xp.use(dtype="float64")
    network = one_neuron(gamma=0.3)
    record = simulate(network, np.array([0.5, np.nextafter(0.5, 1)]).reshape(2, 1, 1))
    assert_array_equal(record.z.ravel(), [False, True])
    assert record.psi[0, 0, 0] == 0.3 / 0.5


def test_psi_falls_to_0_at_rest_and_at_twice_the_threshold():
    xp.use(dtype="float64")
    x = np.array([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 3.0])
    psi = [simulate(one_neuron(), np.full((1, 1, 1), value)).psi.item() for value in x]
    assert_allclose(psi, np.array([0, 0, 0.5, 1, 0.5, 0, 0]) * 0.6, rtol=1e-15)


def test_inputs_act_at_once_and_recurrent_spikes_one_step_later():
    """The first neuron hears the input, the second the first; each is reset by theta the step after its spike."""
    xp.use(dtype="float64")
    W_in, W_rec = np.array([[0.8, 0.0]]), np.array([[7.0, 0.7], [0.0, -9.0]])
    network = SpikingNetwork(W_in, W_rec, np.eye(2), Neurons(0.5, 0.5), 0.5, 1.0)
    x = np.zeros((5, 1, 1))
    x[1] = 1
    record = simulate(network, x, keep=("v",))
    assert_array_equal(record.z[:, 0].astype(int), [[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]])
    assert_allclose(
        record.kept["v"][:, 0], [[0, 0], [0.8, 0], [-0.1, 0.7], [-0.05, -0.15], [-0.025, -0.075]], atol=1e-15
    )
    assert_allclose(record.output[:, 0], [[0, 0], [1, 0], [0.5, 1], [0.25, 0.5], [0.125, 0.25]])


def test_adaptation_raises_the_threshold_one_step_after_the_spike():
    xp.use(dtype="float64")
    network = one_neuron(alpha=0.0, rho=0.5, beta=2.0)
    x = np.full((4, 1, 1), 2.0)
    record = simulate(network, x, keep=("a", "u"))
    assert_array_equal(record.z[:, 0, 0], [True, False, True, False])
    assert_allclose(record.kept["a"][:, 0, 0], [0, 1, 0.5, 1.25])
    assert_allclose(record.kept["u"][:, 0, 0], [3, (1.5 - 2.5) / 0.5, (2 - 1.5) / 0.5, (1.5 - 3) / 0.5])


def test_unmasked_adaptation_grows_while_the_neuron_is_silent():
    xp.use(dtype="float64")
    x = np.full((4, 1, 1), 9.0)
    for unmasked, expected in ((False, [0, 1, 0.5, 0.25]), (True, [0, 1, 1.5, 1.75])):
        network = one_neuron(rho=0.5, beta=0.1, n_ref=9, unmasked=unmasked)
        assert_array_equal(simulate(network, x, keep=("a",)).kept["a"][:, 0, 0], expected)


@pytest.mark.parametrize("begun", [False, True])
def test_a_reset_forgets_all_but_the_readout(begun):
    """After `done` a trial goes on as from rest; its neighbours in the batch do not notice."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(2)
    network = draw(rng)
    x, done = rng.random((16, 2, 3)) < 0.5, np.zeros((16, 2))
    state = draw_state(rng, network, 2) if begun else None
    done[7, 1] = 1
    record, plain = simulate(network, x, state=state, done=done), simulate(network, x, state=state)
    fresh = simulate(network, x[7:])
    assert_array_equal(record.z[:, 0], plain.z[:, 0])
    assert_array_equal(record.z[7:, 1], fresh.z[:, 1])
    assert plain.z[7:, 1].any() and np.any(plain.z[7:, 1] != fresh.z[:, 1])
    assert_allclose(record.output, readout(network, record.z, 0.0 if state is None else state.y) + network.b_out)


@pytest.mark.parametrize("gain", [1, "1 - alpha"])
def test_no_neuron_is_connected_to_itself(backend, gain):
    rng = np.random.default_rng(3)
    network = draw(rng, gain=gain)
    x = on_device(rng.random((20, 2, 3)) < 0.5)
    other = dataclasses.replace(network, W_rec=network.W_rec + np.diag([5.0, -7.0, 3.0, 1.0]))
    records = [simulate(on_device(net), x, keep=("v",)) for net in (network, other)]
    assert xp.asnumpy(records[0].z).any()
    for name in ("z", "psi", "output"):
        assert_array_equal(*(xp.asnumpy(getattr(record, name)) for record in records))
    theta, matrix = network.neurons.theta, xp.asnumpy(on_device(network).recurrence())
    assert_allclose(np.diag(matrix), -theta[0], rtol=1e-15)


@pytest.mark.parametrize("unmasked", [False, True])
@pytest.mark.parametrize("resets", [False, True])
def test_two_halves_are_one_run(backend, unmasked, resets):
    rng = np.random.default_rng(4)
    network = on_device(draw(rng, unmasked=unmasked))
    x, done = on_device(rng.random((30, 2, 3)) < 0.5), on_device((rng.random((30, 2)) < 0.1).astype(float))
    whole = simulate(network, x, done=done if resets else None, keep=KEPT)
    state, halves = None, []
    for part in (slice(0, 13), slice(13, 30)):
        halves.append(simulate(network, x[part], state=state, done=done[part] if resets else None, keep=KEPT))
        state = halves[-1].state
    first, second = halves
    close(second.z_before, xp.asnumpy(first.z[-1]).astype(float))
    for name in ("z", "psi", "output"):
        both = np.concatenate([xp.asnumpy(getattr(half, name)) for half in halves])
        close(getattr(whole, name), both, name)
    for name in KEPT:
        close(whole.kept[name], np.concatenate([xp.asnumpy(half.kept[name]) for half in halves]), name)
    for (name, a), (_, b) in zip(parameters.leaves(whole.state), parameters.leaves(second.state), strict=True):
        close(a, xp.asnumpy(b), name)
    assert xp.asnumpy(first.z).any() and xp.asnumpy(second.z).any()


@pytest.mark.parametrize("steps", [2, 7])
def test_a_state_is_of_a_network_with_such_refractory_steps(steps):
    """n_ref - 1 steps are the most that a neuron has before it."""
    xp.use(dtype="float64")
    network, x = draw(np.random.default_rng(14), n_ref=3), np.ones((4, 2, 3), bool)
    state = dataclasses.replace(at_rest(network, x), r=np.full((2, 4), float(steps)))
    if steps == 2:
        assert not simulate(network, x, state=state).z[:2].any()
        return
    for run in (simulate, predict):
        with pytest.raises(PlasticError, match=r"state.r holds 7; with n_ref 3 it is 2 at most"):
            run(network, x, state=state)


@pytest.mark.parametrize("unmasked", [False, True])
def test_a_record_may_be_written_over(backend, unmasked):
    """Its arrays hold the new spikes and slopes, whatever they held before; another batch or T takes new ones."""
    rng = np.random.default_rng(17)
    network = on_device(draw(rng, unmasked=unmasked))
    x, y = (on_device(rng.random((20, 2, 3)) < 0.5) for _ in range(2))
    expected, old = simulate(network, y), simulate(network, x)
    z, psi = old.z, old.psi
    assert xp.asnumpy(z != expected.z).any()
    found = simulate(network, y, out=old)
    assert found.z is z and found.psi is psi
    for name in ("z", "psi", "output"):
        assert_array_equal(*(xp.asnumpy(getattr(record, name)) for record in (found, expected)))
    for shorter in (x[:7], x[:, :1]):
        record = simulate(network, shorter, out=found)
        assert record.z is not z and record.psi is not psi
        close(record.output, xp.asnumpy(simulate(network, shorter).output))
    assert_array_equal(xp.asnumpy(found.psi), xp.asnumpy(expected.psi))


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("leading", [(), (3,)])
@pytest.mark.parametrize("beta", ["each", None])
def test_a_prediction_is_the_output_of_a_simulation(backend, begun, leading, beta):
    rng = np.random.default_rng(15)
    host = draw(rng, beta=beta)
    network, x = on_device(host), on_device(rng.random((*leading, 30, 2, 3)) < 0.5)
    state = on_device(draw_state(rng, host, 2)) if begun else None
    record = simulate(network, x, state=state)
    assert xp.asnumpy(record.z).any()
    close(predict(network, x, state=state), xp.asnumpy(record.output))


def test_a_prediction_keeps_no_history():
    network, x = draw(np.random.default_rng(16), n_in=5, n=50), np.zeros((4000, 8, 5), bool)
    x[::7] = True
    tracemalloc.start()
    predict(network, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * 4000 * 8 * 50 * 8  # of an array of all neurons and steps


@pytest.mark.parametrize("kind", [bool, "float64"])
def test_inputs_may_be_spikes_or_numbers(backend, kind):
    rng = np.random.default_rng(6)
    network, spikes = on_device(draw(rng)), rng.random((20, 2, 3)) < 0.5
    expected = simulate(network, on_device(spikes.astype(float)))
    found = simulate(network, on_device(spikes.astype(kind)))
    assert xp.asnumpy(found.z).any()
    for name in ("z", "psi", "output"):
        assert getattr(found, name).dtype == getattr(expected, name).dtype
        assert_array_equal(*(xp.asnumpy(getattr(record, name)) for record in (found, expected)))


@pytest.mark.parametrize("unmasked", [False, True])
def test_a_simulation_changes_nothing_that_it_was_given(backend, unmasked):
    rng = np.random.default_rng(7)
    host = draw(rng, unmasked=unmasked)
    network, state = on_device(host), on_device(draw_state(rng, host, 2))
    x, done = on_device(rng.standard_normal((10, 2, 3))), on_device((rng.random((10, 2)) < 0.3).astype(float))
    given = [network, state, x, done]

    def held():
        return [
            xp.asnumpy(leaf).copy() for tree in given for _, leaf in parameters.leaves(tree) if hasattr(leaf, "shape")
        ]

    before = held()
    first, second = (simulate(network, x, state=state, done=done) for _ in range(2))
    assert xp.asnumpy(first.z).any()
    for a, b in zip(held(), before, strict=True):
        assert_array_equal(a, b)
    for name in ("z", "psi", "output"):
        assert_array_equal(*(xp.asnumpy(getattr(record, name)) for record in (first, second)))


@pytest.mark.parametrize("bias", [False, True])
def test_the_last_state_shares_nothing_with_the_histories(backend, bias):
    rng = np.random.default_rng(5)
    record = simulate(on_device(draw(rng, bias=bias)), on_device(rng.random((20, 2, 3)) < 0.5), keep=KEPT)
    histories = {"y": record.output, "z": record.z, "psi": record.psi, "z_before": record.z_before} | record.kept
    before = {name: xp.asnumpy(array).copy() for name, array in histories.items()}
    assert before["y"][-1].any() and before["z"].any()
    for _, leaf in parameters.leaves(record.state):
        leaf[...] = 7
    for name, array in histories.items():
        assert_array_equal(xp.asnumpy(array), before[name], err_msg=name)


@pytest.mark.parametrize("unmasked", [False, True])
@pytest.mark.parametrize("beta", ["each", "one", None])
def test_the_working_precision_stays(precision, unmasked, beta):
    rng = np.random.default_rng(8)
    network = on_device(draw(rng, unmasked=unmasked, beta=beta), dtype=precision)
    x = rng.random((20, 2, 3)) < 0.5
    done = on_device((rng.random((20, 2)) < 0.1).astype(precision))
    record = simulate(network, on_device(x), done=done, keep=KEPT)
    assert all(leaf.dtype == precision for _, leaf in parameters.leaves(record.state))
    assert all(history.dtype == precision for history in record.kept.values())
    for array in (record.psi, record.output, record.z_before, *([record.psi_unmasked] if unmasked else [])):
        assert array.dtype == precision
    assert record.z.dtype == bool and xp.asnumpy(record.z).any()


# replicas


def stack(networks):
    """One network of replicas: matrices (R, n, m), constants (R, 1, n) or, where a network has a number, (R, 1, 1)."""
    first = networks[0]

    def together(values):
        if values[0] is None:
            return None
        if isinstance(values[0], float):
            return np.reshape(values, (-1, 1, 1))
        return np.stack(values)

    names = ("alpha", "theta", "rho", "beta", "gamma", "gain")
    constants = {name: together([getattr(net.neurons, name) for net in networks]) for name in names}
    names = ("W_in", "W_rec", "W_out", "b_out", "kappa", "g_out")
    arrays = {name: together([getattr(net, name) for net in networks]) for name in names}
    return dataclasses.replace(first, neurons=dataclasses.replace(first.neurons, **constants), **arrays)


@pytest.mark.parametrize("T", [3, 20])
@pytest.mark.parametrize("decays", ["one", "each"])
@pytest.mark.parametrize("variant", ["plain", "unmasked", "done"])
def test_replicas_equal_separate_runs(backend, T, decays, variant):
    """As many replicas as trials, inputs and neurons, and as steps, where wrong broadcasting hides."""
    rng = np.random.default_rng(9)
    beta = "one" if decays == "one" else "each"
    cell = {"n_in": 3, "n": 3, "n_out": 3, "decays": decays, "beta": beta, "unmasked": variant == "unmasked"}
    networks = [draw(rng, **cell) for _ in range(3)]
    states = [draw_state(rng, net, 3) for net in networks]
    state = SpikingState(
        *(np.stack([getattr(each, name) for each in states]) for name in ("v", "a", "z", "s", "r", "y"))
    )
    x = rng.random((3, T, 3, 3)) < 0.5
    done = on_device((rng.random((T, 3)) < 0.2).astype(float)) if variant == "done" else None
    together = on_device(stack(networks))
    own = simulate(together, on_device(x), state=on_device(state), done=done, keep=KEPT)
    shared = simulate(together, on_device(x[0]), done=done, keep=KEPT)
    assert xp.asnumpy(own.z).any()
    for index, network in enumerate(map(on_device, networks)):
        alone = simulate(network, on_device(x[index]), state=on_device(states[index]), done=done, keep=KEPT)
        at_first = simulate(network, on_device(x[0]), done=done, keep=KEPT)
        for found, expected in ((own, alone), (shared, at_first)):
            for (name, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
                a = a if name in ("done", "x") and a.shape == b.shape else a[index]
                assert a.shape == b.shape and a.dtype == b.dtype, name
                close(a, xp.asnumpy(b), name)


def test_replicas_of_one_network_with_inputs_of_their_own(backend):
    rng = np.random.default_rng(10)
    network, x = on_device(draw(rng)), on_device(rng.random((3, 12, 3, 3)) < 0.5)
    together = simulate(network, x)
    assert xp.asnumpy(together.z).any()
    for index in range(3):
        alone = simulate(network, x[index])
        for name in ("z", "psi", "output"):
            close(getattr(together, name)[index], xp.asnumpy(getattr(alone, name)), name)


# the parts


def test_at_rest_is_zero_in_the_precision_of_the_network():
    network = on_device(draw(np.random.default_rng(0)), dtype="float32")
    for leading, net, x in (
        ((), network, np.zeros((7, 2, 3))),
        ((5,), network, np.zeros((5, 7, 2, 3))),
        ((6,), on_device(stack([draw(np.random.default_rng(0))] * 6), "float32"), np.zeros((7, 2, 3))),
    ):
        state = at_rest(net, x)
        for name, leaf in parameters.leaves(state):
            assert leaf.shape == (*leading, 2, 2 if name == "y" else 4)
            assert leaf.dtype == np.float32 and not leaf.any()
        assert len({id(leaf) for _, leaf in parameters.leaves(state)}) == 6


def test_the_readout_is_a_leaky_sum(backend):
    rng = np.random.default_rng(11)
    network = draw(rng)
    z, y = rng.random((9, 2, 4)) < 0.4, rng.standard_normal((2, 2))
    for start in (np.zeros((2, 2)), y):
        expected, now = [], start
        for spikes in z.astype(float):
            now = network.kappa * now + network.g_out * (spikes @ network.W_out)
            expected.append(now)
        found = readout(on_device(network), on_device(z), *([on_device(start)] if start.any() else []))
        close(found, np.stack(expected))


@pytest.mark.parametrize("shape", [(10, 2, 3), (1, 1, 1), (4, 10, 2, 3), (7, 0, 3)])
@pytest.mark.parametrize("most", [1, 6, 13, 10_000])
def test_stretches_cover_all_of_time_in_order(shape, most):
    z, T = np.zeros(shape), shape[-3]
    parts = time_slices(shape, most)
    assert [t for part in parts for t in range(T)[part]] == list(range(T))
    for part in parts:
        size = z[..., part, :, :].size
        assert size <= most or part.stop - part.start == 1
    if len(parts) > 1:  # and no stretch could be a step longer
        step = z[..., :1, :, :].size
        assert (parts[0].stop + 1) * step > most
    assert all(isinstance(bound, int) for part in parts for bound in (part.start, part.stop))


def test_products_do_not_depend_on_the_length_of_a_stretch(backend, monkeypatch):
    rng = np.random.default_rng(12)
    network, x = on_device(draw(rng)), on_device(rng.random((10, 2, 3)) < 0.5)
    expected = simulate(network, x)
    assert xp.asnumpy(expected.z).any()
    spikes, W = on_device(rng.random((3, 10, 2, 3)) < 0.5), network.W_in
    product = np.einsum("rtbi,ij->rtbj", xp.asnumpy(spikes), xp.asnumpy(W))
    whole = time_slices
    for most in (1, 12, 18, 31):
        monkeypatch.setattr(simulation, "time_slices", lambda z, most=most: whole(z, most))
        found = simulate(network, x)
        for name in ("z", "psi", "output"):
            close(getattr(found, name), xp.asnumpy(getattr(expected, name)), name)
        close(currents(spikes, W), product)


def test_the_tree_of_parameters():
    network = draw(np.random.default_rng(0), bias=False)
    tree = network.parameters
    assert list(tree) == ["W_in", "W_rec", "W_out", "b_out"]
    assert all(tree[name] is getattr(network, name) for name in tree)


def test_a_decay_comes_from_a_time_constant():
    assert decay(20) == pytest.approx(math.exp(-0.05))
    assert isinstance(decay(20.0), float)


@pytest.mark.parametrize("tau", [0, -1.0, math.nan])
def test_a_time_constant_is_above_0(tau):
    with pytest.raises(PlasticError, match="tau_a is"):
        decay(tau, "tau_a")


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"surrogate": "triangle"}, "surrogate"),
        ({"sharpness": 0.0}, "sharpness"),
        ({"relative": 2}, "relative"),
        ({"relative": True, "unmasked": True}, "relative neurons"),
        ({"relative": True, "surrogate": "arctan"}, "relative neurons"),
    ],
    ids=str,
)
def test_a_surrogate_is_one_of_those_there_are(constants, message):
    with pytest.raises(PlasticError, match=message):
        Neurons(0.9, 1.0, **constants)


def test_a_delay_belongs_to_a_state_and_is_not_reset():
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    first, second = (dataclasses.replace(draw(rng), delay=delay) for delay in (1, 3))
    x = rng.random((6, 2, 3))
    state = simulate(second, x).state
    assert state.late.shape == (2, 2, 4)
    for net, other in ((first, state), (second, simulate(first, x).state)):
        with pytest.raises(PlasticError, match=rf"state\.late has shape .* with delay {net.delay}"):
            simulate(net, x, state=other)
    with pytest.raises(PlasticError, match="delay"):
        simulate(second, x, done=np.zeros((6, 2)))
    for delay in (0, 1.5):
        with pytest.raises(PlasticError, match="delay"):
            dataclasses.replace(first, delay=delay)


@pytest.mark.parametrize("delay", [1, 2, 4])
def test_a_spike_arrives_after_its_delay(delay):
    """The input drives one neuron, whose spike drives the other `delay` steps later; the reset comes at once."""
    xp.use(dtype="float64")
    neurons = Neurons(0.0, 1.0)
    net = SpikingNetwork(np.array([[2.0, 0.0]]), np.array([[0.0, 3.0], [0.0, 0.0]]), np.ones((2, 1)), neurons, 0.0, 1.0)
    x = np.zeros((8, 1, 1))
    x[1] = 1.0
    record = simulate(dataclasses.replace(net, delay=delay), x, keep=("v",))
    assert np.nonzero(record.z[:, 0, 0])[0].tolist() == [1] and np.nonzero(record.z[:, 0, 1])[0].tolist() == [1 + delay]
    assert record.kept["v"][2, 0, 0] == -1.0


def test_n_ref_is_1_or_more():
    Neurons(0.9, 1.0, n_ref=1)
    with pytest.raises(PlasticError, match="n_ref is 0"):
        Neurons(0.9, 1.0, n_ref=0)


@pytest.mark.parametrize("make", [lif, lsnn])
def test_an_input_that_is_no_number_is_seen_in_the_output_of_its_trial(make):
    """Though potentials that are NaN never spike."""
    net, x = make((2, 3, 1), np.random.default_rng(0)), np.ones((20, 3, 2), xp.float_dtype)
    x[4, 1, 0] = np.nan
    for output in (predict(net, xp.asarray(x)), simulate(net, xp.asarray(x)).output):
        assert np.isnan(xp.asnumpy(output)).any(axis=(0, 2)).tolist() == [False, True, False]
