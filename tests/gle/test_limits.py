"""What theory says of GLE: it is backpropagation where nothing is slow, and the exact gradient where signals are.

A neuron turns its input current I(t) = exp(i w t) into a prospective potential (1 + i w tau_r) / (1 + i w tau_m) I. The
exact error of its input is the error of its potential times the same factor backwards in time, its conjugate; GLE's is
that times (1 + i w tau_m) / (1 + i w tau_r). The phases are equal, and GLE's is larger by

    (1 + w^2 tau_m^2) / (1 + w^2 tau_r^2)

which tends to 1, to second order, as signals slow down. Errors that are not prospective have the wrong phase. What
remains of the conduction delays, a step for each layer and direction, is small as the step is.
"""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plastic import check, functions, parameters, xp
from plastic.gle.dynamics import evolve, step
from plastic.gle.networks import Network
from plastic.gle.state import State
from plastic.parameters import Affine

PHI = [functions.tanh, functions.sigmoid, functions.softplus, functions.linear]


# nothing is slow: backpropagation through space


def static(network, x):
    a = x
    for layer, phi in zip(network.layers, network.phi, strict=True):
        a = phi.value(a @ layer.W + layer.b)
    return a


LOSSES = {
    "mse": (
        lambda y, target, label: xp.sum((y - target) ** 2) / (2 * len(y)),
        lambda y, target, label: y - target,
    ),
    "ce": (
        lambda y, target, label: xp.mean(functions.softmax_cross_entropy(y, label)[0]),
        lambda y, target, label: functions.softmax(y) - functions.one_hot(label, y.shape[-1]),
    ),
}


@hypothesis.settings(max_examples=25)
@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    batch=st.integers(1, 4),
    prospective=st.booleans(),
    memoryless=st.booleans(),
    loss=st.sampled_from(sorted(LOSSES)),
    beta=st.sampled_from([1.0, 0.1]),
)
def test_with_equal_time_constants_it_is_backpropagation_through_space(
    backend, seed, sizes, batch, prospective, memoryless, loss, beta
):
    """Once the input has gone up and the error down: after twice as many steps as there are layers, in every layer."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(sizes))
    layers = [Affine(rng.standard_normal(pair), rng.standard_normal((1, pair[1]))) for pair in pairs]
    phi = [PHI[k] for k in rng.integers(0, len(PHI), len(layers))]
    tau = rng.uniform(0.1, 1, (1, sum(sizes[1:])))
    network = Network.from_layers(layers, phi, tau, tau, 0.1, prospective=prospective, memoryless=memoryless)
    x, target = (xp.asarray(rng.standard_normal((batch, n))) for n in (sizes[0], sizes[-1]))
    label = xp.asarray(rng.integers(0, sizes[-1], batch))
    state = State(network, batch)
    value, err = LOSSES[loss]
    for _ in range(2 * len(layers)):
        grads, _ = step(network, state, x, beta * err(state.output, target, label))

    def beta_times_loss(_):  # above 1, the size of what cancels in a small loss
        return 1 + beta * value(static(network, x), target, label)

    check.gradient(beta_times_loss, network.parameters, grads)


def test_a_step_before_the_lowest_layer_does_not_know_yet():
    """What the test above counts on: it does take that many steps."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    layers = [Affine(rng.standard_normal((2, 2)), np.zeros((1, 2))) for _ in range(3)]
    network = Network.from_layers(layers, [functions.tanh] * 3, 0.5, 0.5, 0.1)
    x, target = rng.standard_normal((2, 1, 2))
    state, seen = State(network, 1), []
    for _ in range(8):
        grads, _ = step(network, state, x, state.output - target)
        seen.append([layer.W.copy() for layer in grads.layers])
    for k in range(3):
        known = 2 * 3 - k  # steps
        assert np.allclose(seen[known - 1][k], seen[-1][k], rtol=1e-9)
        assert not np.allclose(seen[known - 2][k], seen[-1][k], rtol=1e-3)


# signals are slow

FASTEST, STEPS = 0.8, 4000  # angular frequency, and steps in its period
DT = 2 * np.pi / FASTEST / STEPS
TRANSIENT = round(10 / DT)  # ten of the longest time constants


def replicate(array, *lead):
    return np.broadcast_to(array, (*lead, *np.shape(array))).copy()


def means_over_periods(learner, teacher, omegas, input_of, kinds):
    """Return, for each replica, the mean gradients of the learner in whole periods of all signals.

    The teacher, a network of one replica per omega, gives the targets; the learners of each omega are told at once.
    """
    states = {kind: State(network, 1) for kind, network in learner.items()}
    grads = {kind: parameters.zeros_like(network.parameters) for kind, network in learner.items()}
    teacher_state, sums = State(teacher, 1), {kind: 0.0 for kind in kinds}
    slowest = round(2 * np.pi / min(omegas) / DT)
    for t in range(-TRANSIENT, slowest):
        x = input_of(omegas * t * DT)
        y = evolve(teacher, teacher_state, x)
        for kind in kinds:
            step(learner[kind], states[kind], x, states[kind].output - y, out=grads[kind])
            if t >= 0:
                sums[kind] = sums[kind] + grads[kind].flat
    return {kind: total / slowest for kind, total in sums.items()}


def test_one_lagged_neuron_is_exact_but_for_the_known_factor_and_without_foresight_it_is_wrong():
    """A linear neuron with the teacher's weight and another time constant, which its weight cannot make up for.

    With G(w) = (1 + i w tau_r) / (1 + i w tau_m), the loss <m^2> / 2 has the gradient -Re(m conj(G)) / 2 by the weight.
    """
    xp.use(dtype="float64")
    omegas, tau_m, tau_r, theirs, w = np.array([0.8, 0.4, 0.2, 0.1]), 1.2, 0.2, 0.6, 1.5
    one = [Affine(replicate([[w]], 4))]
    learner = {
        kind: Network.from_layers(one, [functions.linear], tau_m, tau_r, DT, prospective=kind == "gle")
        for kind in ("gle", "instantaneous")
    }
    teacher = Network.from_layers(one, [functions.linear], theirs, tau_r, DT)
    found = means_over_periods(learner, teacher, omegas, lambda phase: np.cos(phase)[:, None, None], learner)

    def G(tau):
        return (1 + 1j * omegas * tau_r) / (1 + 1j * omegas * tau)

    m = w * (G(theirs) - G(tau_m))
    exact = -np.real(m * np.conj(G(tau_m))) / 2
    factor = (1 + (omegas * tau_m) ** 2) / (1 + (omegas * tau_r) ** 2)
    assert_allclose(found["gle"][:, 0], factor * exact, rtol=0.02)
    assert_allclose(found["instantaneous"][:, 0], -np.real(m) / 2, rtol=0.02)
    relative = {kind: np.abs(found[kind][:, 0] / exact - 1) for kind in found}
    assert relative["gle"][-1] < 0.03
    assert (relative["instantaneous"] > 0.5).all()


OMEGAS = np.array([0.8, 0.4, 0.2])
SIZES = (1, 2, 2, 1)


def deep(tau_m, lead, rng_seed=3, **options):
    rng = np.random.default_rng(rng_seed)
    layers = [Affine(replicate(rng.uniform(0.4, 1.0, pair), *lead)) for pair in itertools.pairwise(SIZES)]
    tau_r = np.array([[0.1, 0.6, 0.3, 0.2, 0.2]])
    phi = [functions.tanh, functions.tanh, functions.linear]
    return Network.from_layers(layers, phi, tau_m, replicate(tau_r, *lead), DT, **options)


def mean_losses(network, teacher):
    """Return <m^2> / 2 over whole periods: teacher (omegas), network (replicas, omegas)."""
    state, teacher_state, total = State(network, 1), State(teacher, 1), 0.0
    slowest = round(2 * np.pi / min(OMEGAS) / DT)
    for t in range(-TRANSIENT, slowest):
        x = np.cos(OMEGAS * t * DT)[:, None, None]
        y = evolve(teacher, teacher_state, x)
        out = evolve(network, state, x)
        if t >= 0:
            total = total + (y - out)[..., 0, 0] ** 2 / 2
    return total / slowest


def exact_gradients(tau_m, teacher):
    """Return dL/dW of all weights (omegas, P) by finite differences, which replicas compute side by side."""
    P, h = 8, 1e-4
    network = deep(replicate(tau_m, 2 * P, 3), (2 * P, 3))
    vector = network.parameters.flat
    for p in range(P):
        vector[p, :, p] += h
        vector[P + p, :, p] -= h
    losses = mean_losses(network, teacher)
    return ((losses[:P] - losses[P:]) / (2 * h)).T


@pytest.fixture(scope="module")
def slowing_down():
    """The exact gradients of a lagged net for slower and slower signals, and the mean updates of both rules."""
    xp.use(dtype="float64")
    tau_m, theirs = np.array([[0.9, 0.3, 0.5, 1.0, 0.2]]), np.array([[0.5, 0.8, 0.3, 0.6, 0.2]])
    teacher = deep(replicate(theirs, 3), (3,))
    learner = {kind: deep(replicate(tau_m, 3), (3,), prospective=kind == "gle") for kind in ("gle", "instantaneous")}
    found = means_over_periods(learner, teacher, OMEGAS, lambda phase: np.cos(phase)[:, None, None], learner)
    exact = exact_gradients(tau_m, teacher)
    xp.use(dtype="float32")
    return exact, found["gle"], found["instantaneous"]


def relative_errors(found, exact):
    return np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)


def cosines(found, exact):
    return np.sum(found * exact, axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)


def test_gle_tends_to_the_exact_gradient_through_time_as_signals_slow_down(slowing_down):
    """The error falls with the square of the frequency, and the directions become the same, in every layer."""
    exact, gle, _ = slowing_down
    errors = relative_errors(gle, exact)
    for fast, slow in itertools.pairwise(errors):
        assert fast / slow > 2.5
    for part in (slice(0, 2), slice(2, 6), slice(6, 8)):
        assert cosines(gle[:, part], exact[:, part])[-1] > 0.999


def test_instantaneous_errors_do_not_tend_to_it(slowing_down):
    exact, _, instantaneous = slowing_down
    errors = relative_errors(instantaneous, exact)
    assert (errors > 0.3).all()
