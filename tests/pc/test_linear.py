"""The equilibrium of linear networks: by hand, at rest, lowest, and where inference ends."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plastic import functions, parameters, xp
from plastic.check import target_alignment
from plastic.errors import PlasticError
from plastic.optimizers import SGD
from plastic.parameters import Affine
from plastic.pc import Network, State, activities, bp, equilibrium, infer, pc, predict

shapes = {
    "sizes": st.lists(st.integers(1, 4), min_size=2, max_size=5),
    "batch": st.integers(1, 4),
    "lead": st.sampled_from([(), (1,), (3,), (2, 3)]),
    "bias": st.booleans(),
    "seed": st.integers(0, 1000),
}


def make(sizes=(4, 3, 5, 2), batch=3, lead=(), bias=True, seed=0, scale=0.7):
    """Return a linear network, a batch of inputs and targets on the backend in use."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return xp.asarray(scale * rng.standard_normal((*lead, *shape)), dtype=xp.float_dtype)

    layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
    return Network(layers, functions.linear), draw(batch, sizes[0]), draw(batch, sizes[-1])


def orthogonal(L=4, n=5, batch=3, seed=0):
    """Return a net of square orthogonal weights without biases, and a batch."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    layers = [Affine(np.linalg.qr(rng.standard_normal((n, n)))[0]) for _ in range(L)]
    return Network(layers, functions.linear), rng.standard_normal((batch, n)), rng.standard_normal((batch, n))


def at(network, x, y, states):
    """Return the state of inference with these hidden states."""
    w = State(network, x, y)
    for own, state in zip(w.x_layers, states, strict=True):
        own[...] = state
    infer(network, w, x, 0)
    return w


def test_one_hidden_unit_and_two_outputs_by_hand(precision):
    """All weights 1, x = 1, y = (0, 1): S = [[2, 1], [1, 2]], errors (-2, 1) / 3 at the top, -1/3 below, F* = 1/3."""
    one = [np.ones((1, 1)), np.ones((1, 2)), np.ones((1, 1)), np.array([[0.0, 1.0]])]
    lower, upper, x, y = (xp.asarray(array, dtype=precision) for array in one)
    states, errors, F = equilibrium(Network([Affine(lower), Affine(upper)], functions.linear), x, y)
    eps = {"rtol": 1e-13 if precision == "float64" else 1e-6}
    assert_allclose(xp.asnumpy(states[0]), [[2 / 3]], **eps)
    assert_allclose(xp.asnumpy(errors[0]), [[-1 / 3]], **eps)
    assert_allclose(xp.asnumpy(errors[1]), [[-2 / 3, 1 / 3]], **eps)
    assert_allclose(xp.asnumpy(F), 1 / 3, **eps)
    assert {array.dtype.name for array in (*states, *errors, F)} == {precision}


@hypothesis.given(**shapes)
def test_nothing_moves_there(sizes, batch, lead, bias, seed):
    """Errors, energy and states belong together, and the gradient by the states is 0."""
    xp.use(dtype="float64")
    network, x, y = make(sizes, batch, lead, bias, seed)
    states, errors, F = equilibrium(network, x, y)
    w = at(network, x, y, states)
    for found, error in zip([*w.eps_layers, w.eps_top], errors, strict=True):
        assert_allclose(found, error, rtol=1e-9, atol=1e-10)
    assert F.shape == lead
    assert_allclose(w.F, F, rtol=1e-9, atol=1e-12)
    assert_allclose(w.gradient(), 0, atol=1e-9)


@hypothesis.given(**shapes)
def test_the_energy_is_least_there(sizes, batch, lead, bias, seed):
    """Elsewhere it is higher by half the square of the change of all errors, F being quadratic."""
    xp.use(dtype="float64")
    network, x, y = make(sizes, batch, lead, bias, seed)
    states, errors, F = equilibrium(network, x, y)
    rng = np.random.default_rng(seed)
    w = at(network, x, y, [state + rng.standard_normal(state.shape) for state in states])
    changes = [found - error for found, error in zip([*w.eps_layers, w.eps_top], errors, strict=True)]
    more = 0.5 * sum(np.sum(change**2, axis=(-2, -1)) for change in changes)
    assert_allclose(w.F, F + more, rtol=1e-9)


@hypothesis.given(**shapes)
def test_the_least_energy_is_its_formula(sizes, batch, lead, bias, seed):
    """F* = (y - mu) S^-1 (y - mu)^T / 2, with S = sum of M_l^T M_l, M_l the product of the weights above layer l."""
    xp.use(dtype="float64")
    network, x, y = make(sizes, batch, lead, bias, seed)
    M, S = np.eye(sizes[-1]), np.eye(sizes[-1])
    for layer in network.layers[:0:-1]:
        M = np.matmul(layer.W, M)
        S = S + np.matmul(np.swapaxes(M, -1, -2), M)
    missing = y - predict(network, x)
    expected = 0.5 * np.einsum("...bi,...ij,...bj->...", missing, np.linalg.inv(S), missing)
    assert_allclose(equilibrium(network, x, y)[2], expected, rtol=1e-9, atol=1e-12)


def test_inference_gets_there(backend):
    network, x, y = make(lead=(3,), scale=0.5)
    states, errors, F = equilibrium(network, x, y)
    w = State(network, x, y, gamma=0.2, discount=1.0)
    infer(network, w, x, 600)
    assert_allclose(xp.asnumpy(w.F), xp.asnumpy(F), rtol=1e-10)
    for found, expected in zip([*w.x_layers, *w.eps_layers, w.eps_top], [*states, *errors], strict=True):
        assert_allclose(xp.asnumpy(found), xp.asnumpy(expected), atol=1e-8)


def test_inference_slows_down_to_a_factor_per_step():
    """1-1-1, W_2 = w: the distance from rest shrinks by 1 - gamma (1 + w^2) at each step."""
    xp.use(dtype="float64")
    network = Network([Affine(np.ones((1, 1))), Affine(np.array([[1.5]]))], functions.linear)
    x, y = np.ones((1, 1)), np.array([[4.0]])
    (state,), _, _ = equilibrium(network, x, y)
    w = State(network, x, y, gamma=0.1, discount=1.0)
    distances = []
    for _ in range(6):
        distances.append((w.x - state).item())
        infer(network, w, x, 1)
    assert_allclose(distances, distances[0] * (1 - 0.1 * (1 + 1.5**2)) ** np.arange(6), rtol=1e-10)


@pytest.mark.parametrize("L", [1, 2, 4])
def test_orthogonal_weights_share_the_error_equally(L):
    """S = L 1: each error is that of backpropagation over L."""
    network, x, y = orthogonal(L)
    states, errors, F = equilibrium(network, x, y)
    delta = (y - predict(network, x)) / L
    assert_allclose(F, L * np.sum(delta**2) / 2, rtol=1e-12)
    for k in reversed(range(L)):
        assert_allclose(errors[k], delta, rtol=1e-10, atol=1e-13)
        delta = delta @ network.layers[k].W.T
    forward = activities(network, x)
    for k, state in enumerate(states):  # the shares of the layers up to this one add up
        assert_allclose(state, forward[k] + (k + 1) * errors[k], rtol=1e-10, atol=1e-12)


def test_with_orthogonal_weights_both_rules_move_the_output_straight_to_its_target():
    """The alignment is 1 but for terms of the second order in the rate, for one sample; with others it is not."""
    network, x, y = orthogonal(4, batch=1)
    other, *_ = make((5, 5, 5, 5, 5), bias=False)
    for rule in (bp, lambda *batch: pc(*batch, T=400, discount=1.0)):
        found = []
        for net in (network, other):
            before = predict(net, x)
            grads, _ = rule(net, x, y)
            moved = Network(parameters.copy(net.layers), net.phi)
            SGD(1e-6).step(moved.parameters, grads, {})
            found.append(target_alignment(before, predict(moved, x), y))
        assert found[0] == pytest.approx(1, abs=1e-9)
        assert found[1] < 0.999


def test_with_orthogonal_weights_the_first_layer_learns_as_by_backpropagation():
    """At rest its gradient is that of backpropagation over L; the others see states that inference has moved."""
    network, x, y = orthogonal(3)
    rested, propagated = (grads["layers"] for grads, _ in (pc(network, x, y, T=600, discount=1.0), bp(network, x, y)))
    assert_allclose(rested[0].W, propagated[0].W / 3, rtol=1e-8, atol=1e-10)
    assert np.abs(rested[1].W - propagated[1].W / 3).max() > 0.01


def test_every_backend_and_precision_finds_the_same(precision):
    network, x, y = make(lead=(3,))
    found = equilibrium(network, x, y)
    layers = parameters.map(lambda leaf: xp.asnumpy(leaf).astype(float), network.layers)
    x, y = (xp.asnumpy(array).astype(float) for array in (x, y))
    xp.use("numpy", dtype="float64")
    expected = equilibrium(Network(layers, "linear"), x, y)
    for (path, a), (_, b) in zip(parameters.leaves(found), parameters.leaves(expected), strict=True):
        assert a.dtype == precision
        a = a.get() if hasattr(a, "get") else a
        assert_allclose(a, b, rtol=1e-12 if precision == "float64" else 1e-4, atol=1e-5, err_msg=path)


def test_there_is_no_closed_form_for_others():
    network, x, y = make()
    for words, other in {
        "is for linear networks, but phi is tanh": Network(network.layers, "tanh"),
        "all of whose outputs count": Network(network.layers, "linear", counted=[1.0, 0.0]),
    }.items():
        with pytest.raises(PlasticError, match=words):
            equilibrium(other, x, y)
    for wrong in ((x[:, :1], y), (x, y[:1]), (x, y[:, 0])):
        with pytest.raises(PlasticError):
            equilibrium(network, *wrong)
