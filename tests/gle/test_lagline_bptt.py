"""The adjoint of a window of the lag line against finite differences of its loss, over all that a step does."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, functions, parameters, xp
from plastic.gle import lagline_bptt
from plastic.gle.dynamics import evolve
from plastic.gle.lagline_student import Student
from plastic.gle.networks import Network
from plastic.gle.state import State
from plastic.parameters import Affine

DT = 0.05


def draw(rng, T, batch, lead=(), phi=functions.softplus):
    """A student, a state to begin a window in, and the window's input and target, host arrays but for the network."""
    layers = [Affine(rng.uniform(-1.5, 1.5, (*lead, 1, 1))) for _ in range(2)]
    tau_m, tau_r, gamma = (rng.uniform(low, 1, (*lead, 1, 2)) for low in (0.2, 0.1, 0.0))
    network = Network.from_layers(layers, [phi] * 2, tau_m, tau_r, DT, gamma, prospective=False, learn_tau=True)
    begin = {name: rng.standard_normal((*lead, batch, 2)) for name in ("u", "v", "r", "q", "E")}
    x, y = (rng.standard_normal((T, *lead, batch, 1)) for _ in range(2))
    return network, begin, x, y


def run(network, begin, x, y, beta, tape=None):
    """Take the steps of a window; return its loss, of the replica shape."""
    state, loss = State(network, x.shape[-2]), 0.0
    for name, array in begin.items():
        state.tree[name][...] = xp.asarray(array)
    for t in range(len(x)):
        x_t, d = xp.asarray(x[t].copy()), xp.asarray(y[t].copy()) - state.output
        loss = loss + xp.mean(d[..., 0] ** 2, axis=-1)
        if tape:
            tape.before(t, state, x_t, d)
        evolve(network, state, x_t, -beta * d)
        if tape:
            tape.after(t, state)
    return loss


def gradient(network, begin, x, y, beta, tape=None):
    tape = tape or lagline_bptt.Tape(network, len(x), x.shape[-2])
    run(network, begin, x, y, beta, tape)
    grads = parameters.zeros_like(network.parameters)
    grads.flat[...] = 7.0  # what was there does not matter
    lagline_bptt.gradient(network, tape, len(x), beta, grads)
    return grads


@pytest.mark.parametrize("phi", [functions.softplus, functions.tanh, functions.sigmoid], ids=lambda phi: phi.name)
@hypothesis.given(
    seed=st.integers(0, 10_000),
    T=st.integers(1, 8),
    batch=st.integers(1, 3),
    beta=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_the_gradient_is_that_of_the_loss_of_the_window(phi, seed, T, batch, beta):
    """A window that begins in any state, which is constant; the nudge is large enough to count."""
    xp.use(dtype="float64")
    window = draw(np.random.default_rng(seed), T, batch, phi=phi)
    check.gradient(
        lambda _: run(*window, beta), window[0].parameters.flat, gradient(*window, beta).flat, tolerance=1e-6
    )


def test_the_nudge_counts():
    """Were it left out, the gradient would be another one: the case above that means something."""
    xp.use(dtype="float64")
    window = draw(np.random.default_rng(0), 8, 2)
    with_nudge, without = (gradient(*window, beta).flat for beta in (1.0, 0.0))
    assert np.abs(with_nudge - without).max() > 0.01 * np.abs(without).max()


def test_a_long_window(backend):
    window = draw(np.random.default_rng(1), 60, 2)
    network = window[0]
    errors = check.gradient(lambda _: run(*window, 0.5), network.parameters.flat, gradient(*window, 0.5).flat)
    assert errors[""] < 1e-6


def test_one_step_has_no_gradient(backend):
    """Its loss is of the output before."""
    assert_array_equal(xp.asnumpy(gradient(*draw(np.random.default_rng(2), 1, 3), 1.0).flat), 0)


def test_what_a_longer_window_has_left_on_the_tape_does_not_matter(backend):
    rng = np.random.default_rng(3)
    network, begin, x, y = draw(rng, 8, 2)
    tape = lagline_bptt.Tape(network, 9, 2)
    gradient(network, begin, x, y, 0.5, tape)
    found = gradient(network, begin, x[:4], y[:4], 0.5, tape)
    expected = gradient(network, begin, x[:4], y[:4], 0.5)
    assert_array_equal(xp.asnumpy(found.flat), xp.asnumpy(expected.flat))


@pytest.mark.parametrize("lead", [(2,), (3,), (2, 2)])
def test_replicas_equal_separate_windows(backend, lead):
    """As many replicas as neurons, and as samples."""
    rng = np.random.default_rng(4)
    batch = lead[0]
    network, begin, x, y = draw(rng, 7, batch, lead)
    tape = lagline_bptt.Tape(network, 7, batch)
    assert all(array.shape[: len(lead)] == lead for array in tape.tree.values())
    together = xp.asnumpy(gradient(network, begin, x, y, 0.7, tape).flat)
    W, taus = (
        [xp.asnumpy(each) for each in arrays]
        for arrays in (
            [layer.W for layer in network.layers],
            [network.tau_m, network.tau_r, network.gamma],
        )
    )
    for index in np.ndindex(lead):
        tau_m, tau_r, gamma = (array[index] for array in taus)
        layers = [Affine(array[index]) for array in W]
        alone = Network.from_layers(layers, network.phi, tau_m, tau_r, DT, gamma, prospective=False, learn_tau=True)
        own = {name: array[index] for name, array in begin.items()}
        found = gradient(alone, own, x[(slice(None), *index)], y[(slice(None), *index)], 0.7)
        assert_allclose(together[index], xp.asnumpy(found.flat), rtol=1e-12, atol=1e-14)


def test_the_working_precision_is_kept(precision):
    network, begin, x, y = draw(np.random.default_rng(5), 5, 2)
    begin = {name: array.astype(precision) for name, array in begin.items()}
    grads = gradient(network, begin, x.astype(precision), y.astype(precision), 0.5)
    assert grads.flat.dtype == precision and np.isfinite(xp.asnumpy(grads.flat)).all()


@pytest.mark.parametrize("window", [3, 4])
def test_a_student_learns_from_windows_by_the_gradient_of_each(window):
    """The first begins with learning and ends at a whole number of windows; the others follow one upon the other."""
    xp.use(dtype="float64")
    rng, begin, batch, beta = np.random.default_rng(6), 5, 2, 0.5
    x = rng.standard_normal((30, batch, 1))
    learner = Student(False, window, np.array([0.7, 0.8, 0.5, 0.9]), begin, batch, 0.01, beta, 0.0)
    updates, start = [], begin
    for s in range(30):
        if s == start:
            state = {name: array.copy() for name, array in learner.state.tree.items()}
            targets = []
        learner.grads.flat[...] = 0.0
        y, _ = learner.step(s, x[s])
        if s >= begin:
            targets.append(y)
        if learner.grads.flat.any():
            expected = gradient(learner.student, state, x[start : s + 1], np.array(targets), beta)
            assert_allclose(learner.grads.flat, expected.flat, rtol=1e-12)
            updates.append(s)
            start = s + 1
    first = next(s for s in range(begin + 1, 30) if s % window == 0)
    assert updates == list(range(first, 30, window))


@pytest.mark.parametrize("window", [0, 7])
def test_seeds_side_by_side_learn_as_each_alone(precision, window):
    """As many as samples and neurons, by GLE and by windows."""
    starts = np.array([[0.3, 0.6, 0.5, 0.9], [0.5, 0.7, 0.8, 0.2]])
    x = np.random.default_rng(7).standard_normal((30, 2, 1))

    def learn(start):
        learner = Student(window == 0, window, start, 9, 2, 0.01, 0.5, 1e-3)
        differences = np.array([xp.asnumpy(learner.step(s, xp.asarray(x[s]))[1]) for s in range(len(x))])
        assert learner.student.parameters.flat.dtype == precision
        return differences, xp.asnumpy(learner.student.parameters.flat)

    differences, learned = learn(starts)
    rtol = 1e-10 if precision == "float64" else 1e-3
    for k, start in enumerate(starts):
        assert (learned[k] != np.array([start[2], start[3], *start[:2]], precision)).all()
        for found, expected in zip((differences[:, k], learned[k]), learn(start), strict=True):
            assert_allclose(found, expected, rtol=rtol, atol=rtol)
