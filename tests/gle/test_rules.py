"""Backpropagation through time against finite differences; the adjoint method and GLE against it."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, functions, parameters, xp
from plastic.errors import PlasticError
from plastic.gle.dynamics import predict, step
from plastic.gle.networks import Network, network
from plastic.gle.rules import adjoint, bptt, squared_error
from plastic.gle.state import State

SOFTSIGN = functions.Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)
PHI = [functions.tanh, functions.linear, functions.softplus, functions.sigmoid, SOFTSIGN]
RULES = pytest.mark.parametrize("rule", [bptt, adjoint], ids=lambda rule: rule.__name__)


def draw(rng, sizes=(2, 3, 2), T=6, batch=3, lead=(), equal=False, **options):
    """A network with weights of both signs and time constants of 2 to 10 steps, and sequences for it."""
    generators = [np.random.default_rng(seed) for seed in rng.integers(1000, size=int(np.prod(lead)))]
    n = sum(sizes[1:])
    tau_m, tau_r = (rng.uniform(0.2, 1, (*lead, 1, n)) for _ in range(2))
    constants = {"phi": [PHI[k] for k in rng.integers(0, len(PHI), len(sizes) - 1)], "tau_m": tau_m, "dt": 0.1}
    if equal == "leaky":  # tau_r is tau_m in some neurons, and dt in the others
        tau_r = np.where(rng.random(tau_m.shape) < 0.5, tau_m, 0.1)
    constants |= {"tau_r": tau_m if equal is True else tau_r}
    net = network(sizes, generators if lead else generators[0], **constants | options)
    net.parameters.flat[..., : sum(a * b for a, b in itertools.pairwise(sizes))] *= 2
    x, y = (xp.asarray(rng.standard_normal((*lead, T, batch, k))) for k in (sizes[0], sizes[-1]))
    return net, x, y


def loss(net, x, y):
    """The mean over steps and batch of |output - y|^2 / 2."""
    return xp.mean(xp.sum((predict(net, x) - y) ** 2, axis=-1)) / 2


@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    T=st.integers(1, 12),
    batch=st.integers(1, 3),
    bias=st.booleans(),
    learn_tau=st.booleans(),
    gamma=st.sampled_from([0.0, 0.7]),
    prospective=st.booleans(),
)
def test_bptt_is_the_gradient_of_the_loss_of_all_outputs(
    backend, seed, sizes, T, batch, bias, learn_tau, gamma, prospective
):
    options = {"bias": bias, "learn_tau": learn_tau, "gamma": gamma, "prospective": prospective}
    net, x, y = draw(np.random.default_rng(seed), sizes, T, batch, **options)
    grads, output = bptt(net, x, y)
    assert_array_equal(xp.asnumpy(output), xp.asnumpy(predict(net, x)))
    check.gradient(lambda _: loss(net, x, y), net.parameters, grads, tolerance=1e-5)


@pytest.mark.parametrize("learn_tau", [False, True])
def test_bptt_of_a_long_sequence(learn_tau):
    """Through which everything that a network can do comes to its outputs."""
    xp.use(dtype="float64")
    net, x, y = draw(np.random.default_rng(0), (2, 4, 3, 2), 100, 2, learn_tau=learn_tau)
    grads, _ = bptt(net, x, y)
    check.gradient(lambda _: loss(net, x, y), net.parameters, grads, tolerance=1e-5)
    assert all(np.all(leaf) for _, leaf in parameters.leaves(grads))


@pytest.mark.parametrize("phi", [*PHI, functions.relu, functions.leaky, functions.hard_tanh], ids=str)
def test_bptt_with_each_activation(phi):
    xp.use(dtype="float64")
    net, x, y = draw(np.random.default_rng(1), T=20, phi=phi, learn_tau=True)
    check.gradient(lambda _: loss(net, x, y), net.parameters, bptt(net, x, y)[0])


def cross_entropy_of_late_steps(output, labels):
    """Summed over the last steps and the batch, and its gradient."""
    each, gradient = functions.softmax_cross_entropy(output, labels[..., None, :])
    late = xp.asarray(np.arange(output.shape[-3]) >= 4, dtype=output.dtype)[:, None]
    return xp.sum(each * late, axis=(-2, -1)), gradient * late[..., None]


@pytest.mark.parametrize("learn_tau", [False, True])
def test_bptt_of_a_loss_of_ones_own(learn_tau):
    xp.use(dtype="float64")
    net, x, _ = draw(np.random.default_rng(7), (2, 3, 3), T=12, learn_tau=learn_tau)
    labels = xp.asarray([0, 2, 1])
    grads, output = bptt(net, x, labels, loss=cross_entropy_of_late_steps)
    check.gradient(
        lambda _: cross_entropy_of_late_steps(predict(net, x), labels)[0], net.parameters, grads, tolerance=1e-5
    )
    assert output.shape == (12, 3, 3)


@RULES
def test_gradients_are_linear_in_the_error_of_the_loss(backend, rule):
    """Targets that make the same error give the same gradient; the sum over steps and batch is as many means."""
    net, x, _ = draw(np.random.default_rng(8), (2, 3, 3))
    labels = xp.asarray([0, 2, 1])
    output = predict(net, x)
    err = cross_entropy_of_late_steps(output, labels)[1]
    found, _ = rule(net, x, labels, loss=cross_entropy_of_late_steps)
    expected, _ = rule(net, x, output - err)
    atol = 1e-5 * float(abs(xp.asnumpy(found.flat)).max())
    assert_allclose(xp.asnumpy(found.flat), 6 * 3 * xp.asnumpy(expected.flat), rtol=0, atol=atol)


def test_the_squared_error_is_what_it_says():
    xp.use(dtype="float64")
    rng = np.random.default_rng(9)
    output, y = rng.standard_normal((2, 2, 5, 3, 4))
    L, err = squared_error(output, y)
    assert_allclose(L, [np.mean(np.sum((output[k] - y[k]) ** 2, axis=-1)) / 2 for k in range(2)])
    check.gradient(lambda moved: squared_error(moved, y)[0].sum(), output, err)
    shared, _ = squared_error(output, y[0])
    assert_allclose(shared[0], L[0])


@RULES
@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (0.5, "loss is a float; it must be a function"),
        (lambda output, y: output - y, r"must return \(L, err\)"),
        (lambda output, y: (0.0, (output - y)[-1]), r"err = dL/doutput float64 of \(6, 3, 2\)"),
        (lambda output, y: (0.0, (output - y).astype("float32")), "float64"),
    ],
)
def test_a_loss_must_return_what_it_is_for(rule, loss, message):
    xp.use(dtype="float64")
    net, x, y = draw(np.random.default_rng(10))
    with pytest.raises(PlasticError, match=message):
        rule(net, x, y, loss=loss)


@pytest.mark.parametrize("equal", [True, "leaky"])
@RULES
def test_memoryless_networks_give_the_same(backend, rule, equal):
    rng = np.random.default_rng(2)
    net, x, y = draw(rng, equal=equal)
    layers = [parameters.Affine(xp.asnumpy(each.W), xp.asnumpy(each.b)) for each in net.layers]
    taus = xp.asnumpy(net.tau_m), xp.asnumpy(net.tau_r)
    short = Network.from_layers(layers, net.phi, *taus, net.dt, memoryless=True)
    assert short.memory == ("none" if equal is True else "leaky")
    found, expected = (xp.asnumpy(rule(each, x, y)[0].flat) for each in (short, net))
    assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def wave(T, dt):
    """Input and target (steps, 2, ..) of two samples that vary slowly, and begin at rest."""
    t = (np.arange(round(T / dt)) * dt)[:, None, None]
    x = np.sin(t * np.array([[2.0, 3.0], [1.0, 2.5]]))
    return xp.asarray(x), xp.asarray(np.sin(1.5 * t) * np.array([[1.0, 0.4], [0.7, -1.0]]))


def distance(a, b):
    """Relative, of all leaves of two trees together."""
    return float(np.linalg.norm(a.flat - b.flat) / np.linalg.norm(b.flat))


def test_the_adjoint_method_tends_to_bptt_as_steps_get_small():
    """The error of all leaves, time constants too, falls with the step, to first order."""
    xp.use(dtype="float64")
    distances = []
    for dt in (0.02, 0.01, 0.005):
        constants = {"phi": ["tanh", "softplus", "linear"], "tau_m": [[0.5, 0.9, 0.3], 0.7, [1.0, 0.6]]}
        constants |= {"tau_r": [[0.2, 0.9, 0.6], 0.3, [1.0, 0.1]], "learn_tau": True, "dt": dt}
        net = network((2, 3, 3, 2), np.random.default_rng(3), **constants)
        x, y = wave(3, dt)
        found, expected = (rule(net, x, y)[0] for rule in (adjoint, bptt))
        distances.append(distance(found, expected))
        assert all(value > 0.9 for value in check.cosine(found, expected).values())
    assert distances[-1] < 0.05
    for large, small in itertools.pairwise(distances):
        assert 1.6 < large / small < 2.4


def test_gle_with_instantaneous_neurons_is_bptt_of_slow_signals():
    """Its mean over all steps, where nothing lags but the conduction of a step in each layer and direction."""
    xp.use(dtype="float64")
    distances = []
    for dt in (0.02, 0.01):
        constants = {"phi": ["tanh", "linear"], "tau_m": 0.5, "tau_r": 0.5, "dt": dt}
        net = network((2, 3, 2), np.random.default_rng(4), **constants)
        x, y = wave(6, dt)
        state, total = State(net, 2), parameters.zeros_like(net.parameters)
        for t in range(len(x)):
            grads, _ = step(net, state, x[t], state.output - y[t])
            total.flat += grads.flat / len(x)
        distances.append(distance(total, bptt(net, x, y)[0]))
    assert distances[-1] < 0.05
    assert 1.5 < distances[0] / distances[1] < 2.5


@RULES
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("learn_tau", [False, True])
def test_replicas_equal_separate_runs(backend, rule, count, learn_tau):
    """As many replicas as samples and units, where wrong broadcasting hides."""
    rng = np.random.default_rng(5)
    net, x, y = draw(rng, (2, 2, 2), 5, 2, (count,), learn_tau=learn_tau)
    grads, output = rule(net, x, y)
    for k in range(count):
        alone, alone_output = rule(net.replica(k), x[k], y[k])
        assert_allclose(xp.asnumpy(grads.flat)[k], xp.asnumpy(alone.flat), rtol=0, atol=1e-13)
        assert_allclose(xp.asnumpy(output)[k], xp.asnumpy(alone_output), rtol=0, atol=1e-14)
    shared, _ = rule(net, x[0], y[0])  # one input and target for all
    assert_allclose(xp.asnumpy(shared.flat)[0], xp.asnumpy(grads.flat)[0], rtol=0, atol=1e-13)
    assert_allclose(
        xp.asnumpy(shared.flat)[1], xp.asnumpy(rule(net.replica(1), x[0], y[0])[0].flat), rtol=0, atol=1e-13
    )


@RULES
def test_the_working_precision_is_kept(precision, rule):
    net, x, y = draw(np.random.default_rng(6), learn_tau=True)
    grads, output = rule(net, x, y)
    assert grads.flat.dtype == output.dtype == precision
