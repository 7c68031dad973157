"""The adjoint equation against finite differences of the integrated loss, as steps get small."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import check, functions, xp
from plastic.gle import adjoint_dynamics, lagnet_students
from plastic.gle.dynamics import step_through_all_layers
from plastic.gle.networks import Network
from plastic.gle.state import State
from plastic.parameters import Affine

SIZES = (2, 2, 3, 1)
PHI = [functions.tanh, functions.tanh, functions.linear]


def draw(dt, lead=(), seed=0):
    rng = np.random.default_rng(seed)
    layers = [Affine(rng.standard_normal((*lead, a, b))) for a, b in ((2, 2), (2, 3), (3, 1))]
    tau_m, tau_r = (rng.uniform(low, 1.2, (*lead, 1, 6)) for low in (0.5, 0.1))
    return Network.from_layers(layers, PHI, tau_m, tau_r, dt)


def signals(T, dt):
    """Input (steps, batch, 2) and target (steps, batch, 1), two samples."""
    t = (np.arange(round(T / dt)) * dt)[:, None, None]
    x = np.sin(t * np.array([[2.0, 3.0], [1.0, 2.5]]) + np.array([[0.0, 1.0], [0.5, 2.0]]))
    return x, np.cos(2 * t) * np.array([[1.0], [0.7]])


def run(network, x, y):
    """Simulate from rest without delays between the layers; return m, rates of every layer below, slopes of all."""
    state, kept = State(network, x.shape[-2]), []
    for t in range(len(x)):
        step_through_all_layers(network, state, x[t])
        rates = [x[t], *(state.r[..., columns].copy() for columns in network.columns)]
        kept.append((y[t] - rates[-1], rates[:-1], state.q.copy()))
    m, rates, q = zip(*kept, strict=True)
    return np.array(m), [np.array(each) for each in zip(*rates, strict=True)], np.array(q)


def loss(network, x, y):
    """The integral over time of m^2 / 2, summed over samples."""
    return network.dt * np.sum(run(network, x, y)[0] ** 2) / 2


def gradients(network, x, y, textbook=True):
    m, rates, q = run(network, x, y)
    lam = adjoint_dynamics.errors(network, m, q, textbook)
    return [
        adjoint_dynamics.gradient(lam[..., columns], rho, network.dt)
        for columns, rho in zip(network.columns, rates, strict=True)
    ]


def distance(a, b):
    return np.sqrt(sum(np.sum((x - y) ** 2) for x, y in zip(a, b, strict=True)) / sum(np.sum(y**2) for y in b))


def test_the_gradient_is_that_of_the_integrated_loss_as_steps_get_small():
    """The error falls with the step, to first order."""
    xp.use(dtype="float64")
    errors = []
    for dt in (0.04, 0.02, 0.01):
        network, (x, y) = draw(dt), signals(3, dt)
        differences = check.finite_differences(lambda _, n=network, x=x, y=y: loss(n, x, y), network.parameters)
        found = gradients(network, x, y)
        errors.append(distance(found, [layer.W for layer in differences["layers"]]))
    assert errors[-1] < 0.02
    for large, small in itertools.pairwise(errors):
        assert 1.6 < large / small < 2.4


def test_the_published_end_of_a_window_makes_a_difference_that_does_not_grow_with_the_window():
    """Two windows of whole periods, one twice as long as the other, end with the same signals."""
    xp.use(dtype="float64")
    dt, differences, sizes = 2 * np.pi / 400, [], []
    for periods in (4, 8):
        network, (x, y) = draw(dt), signals(2 * np.pi * periods, dt)
        published, textbook = (gradients(network, x, y, which) for which in (False, True))
        np.testing.assert_array_equal(published[-1], textbook[-1])  # the output layer begins as it should
        differences.append([a - b for a, b in zip(published[:-1], textbook[:-1], strict=True)])
        sizes.append(np.abs(textbook[0]).max())
    for short, long in zip(*differences, strict=True):
        assert np.abs(short).max() > 1e-3
        assert_allclose(long, short, rtol=0, atol=0.02 * np.abs(short).max())
    assert sizes[1] > 1.5 * sizes[0]


def test_a_hidden_layer_begins_at_the_first_neuron_above_as_published():
    """And the outputs at their error: lambda(T) = (tau_r / tau_m) q m, (tau_r / tau_m) q lambda_{l+1, 0}."""
    xp.use(dtype="float64")
    network, rng = draw(0.05), np.random.default_rng(2)
    m, q = rng.standard_normal((20, 2, 1)), rng.random((20, 2, 6))
    end = adjoint_dynamics.errors(network, m, q)[-1]
    for k, columns in enumerate(network.columns):
        above = m[-1] if k == 2 else end[:, network.columns[k + 1]][:, :1]
        expected = (network.tau_r / network.tau_m)[..., columns] * q[-1][:, columns] * above
        assert_allclose(end[:, columns], expected, rtol=1e-12)


def test_the_published_end_is_the_textbook_one_in_a_chain_of_weight_one():
    xp.use(dtype="float64")
    layers = [Affine(np.ones((1, 1)))] * 3
    network = Network.from_layers(layers, PHI, [0.5, 0.9, 1.0], [0.2, 1.0, 0.3], 0.05)
    rng = np.random.default_rng(0)
    m, q = rng.standard_normal((20, 2, 1)), rng.random((20, 2, 3))
    np.testing.assert_array_equal(
        adjoint_dynamics.errors(network, m, q), adjoint_dynamics.errors(network, m, q, textbook=True)
    )


@pytest.mark.parametrize("textbook", [False, True])
def test_lambda_is_linear_in_the_errors_of_the_output(backend, textbook):
    network, rng = draw(0.05), np.random.default_rng(1)
    q = xp.asarray(rng.random((20, 2, 6)))
    m, n = (xp.asarray(rng.standard_normal((20, 2, 1))) for _ in range(2))
    a, b, both = (xp.asnumpy(adjoint_dynamics.errors(network, each, q, textbook)) for each in (m, n, 2 * m - 3 * n))
    assert_allclose(both, 2 * a - 3 * b, rtol=0, atol=1e-12 * np.abs(a).max())
    assert np.abs(a[0]).min() > 0


def test_lambda_looks_into_the_future_only(backend):
    """An error at one step has no effect on lambda after it."""
    network, rng = draw(0.05), np.random.default_rng(2)
    q, m = rng.random((20, 2, 6)), np.zeros((20, 2, 1))
    m[12] = 1
    lam = xp.asnumpy(adjoint_dynamics.errors(network, xp.asarray(m), xp.asarray(q)))
    assert not lam[13:].any()
    assert lam[:13].all()


def test_instantaneous_neurons_are_told_at_once(backend):
    """With tau_m = tau_r and q = 1, lambda is alpha of the same step, up to the step: plain backpropagation."""
    layers = [Affine(np.array([[0.5]])), Affine(np.array([[2.0]]))]
    deviations = []
    for dt in (0.02, 0.01):
        network = Network.from_layers(layers, [functions.linear] * 2, 0.5, 0.5, dt)
        m = np.sin(np.arange(round(4 / dt)) * dt)[:, None, None]
        lam = xp.asnumpy(adjoint_dynamics.errors(network, xp.asarray(m), xp.ones((*m.shape[:2], 2)), textbook=True))
        expected = np.concatenate([2 * m, m], axis=-1)
        deviations.append(np.abs(lam - expected).max())
    assert deviations[1] < 0.05
    assert 1.6 < deviations[0] / deviations[1] < 2.4


@pytest.mark.parametrize("lead", [(3,), (2, 3)])
@pytest.mark.parametrize("textbook", [False, True])
def test_replicas_equal_separate_windows(backend, lead, textbook):
    network, rng = draw(0.05, lead), np.random.default_rng(3)
    m, q, rho = (rng.standard_normal((10, *lead, 3, n)) for n in (1, 6, 2))
    lam = adjoint_dynamics.errors(network, *map(xp.asarray, (m, q)), textbook)
    gradient = adjoint_dynamics.gradient(lam[..., :2], xp.asarray(rho), 0.05)
    assert gradient.shape == (*lead, 2, 2)
    for index in np.ndindex(lead):
        one = network
        for axis in reversed(range(len(lead))):
            one = one.replica(index[axis])
        at = (slice(None), *index)
        alone = adjoint_dynamics.errors(one, *(xp.asarray(array[at].copy()) for array in (m, q)), textbook)
        assert_allclose(xp.asnumpy(lam)[at], xp.asnumpy(alone), rtol=1e-12, atol=1e-14)
        found = adjoint_dynamics.gradient(alone[..., :2], xp.asarray(rho[at].copy()), 0.05)
        assert_allclose(xp.asnumpy(gradient)[index], xp.asnumpy(found), rtol=1e-12, atol=1e-14)
        literal = -0.05 * np.einsum("tbi,tbj->ij", rho[at], xp.asnumpy(alone)[..., :2])
        assert_allclose(xp.asnumpy(found), literal, rtol=1e-12, atol=1e-14)


def test_the_working_precision_is_kept(precision):
    network, rng = draw(0.05), np.random.default_rng(4)
    m, q = (xp.asarray(rng.standard_normal((5, 2, n))) for n in (1, 6))
    assert adjoint_dynamics.errors(network, m, q).dtype == precision


def test_seeds_of_the_lag_net_side_by_side_learn_as_each_alone(precision):
    firsts = np.array([[[0.3, 0.6]], [[0.5, -0.9]], [[-0.2, 0.1]]])

    def learn(first):
        students = lagnet_students.Students(lagnet_students.published(first), 60, 20, 10, 0.01, 1e-3, 2e-2, 0.07, 0.9)
        outputs = np.array([xp.asnumpy(students.step(s, float(np.sin(s)))) for s in range(60)])
        learned = [xp.asnumpy(students.learned[who][0].W) for who in (lagnet_students.GLE, lagnet_students.AM)]
        assert all((W != first.astype(precision)).all() for W in learned)
        return outputs, *learned

    outputs, gle, am = learn(firsts)
    for k, first in enumerate(firsts):
        for found, expected in zip((outputs[:, k], gle[k], am[k]), learn(first), strict=True):
            assert found.dtype == precision
            assert_allclose(found, expected, rtol=0, atol=1e-10 if precision == "float64" else 1e-4)
