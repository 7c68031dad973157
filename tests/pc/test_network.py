"""Prediction, energy, and its gradients by states and by weights, against the equations and finite differences."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, functions, parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.pc import Inference, Network, activities, predict

ACTIVATIONS = ["linear", "tanh", "sigmoid", "relu", "leaky", "softplus", "sigm", "hardsigm", "hard_tanh"]
placements = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
networks = {
    "sizes": st.lists(st.integers(1, 4), min_size=2, max_size=5),
    "batch": st.integers(1, 4),
    "lead": st.sampled_from([(), (1,), (3,), (2, 3)]),
    "activation": st.sampled_from(ACTIVATIONS),
    "after": st.booleans(),
    "bias": st.booleans(),
    "seed": st.integers(0, 1000),
}


def make(sizes=(4, 3, 5, 2), batch=3, lead=(), activation="tanh", after=False, bias=True, counted=None, seed=0):
    """Return a network, a batch of inputs and targets on the backend in use."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return xp.asarray(rng.standard_normal((*lead, *shape)), dtype=xp.float_dtype)

    layers = [Affine(draw(m, n), draw(1, n) if bias else None) for m, n in itertools.pairwise(sizes)]
    counted = None if counted is None else xp.asarray(np.array(counted), dtype=xp.float_dtype)
    network = Network(layers, getattr(functions, activation), after, counted)
    return network, draw(batch, sizes[0]), draw(batch, sizes[-1])


def anywhere(network, x, y, seed=1):
    """Return an inference whose states are drawn at random, after a look at them."""
    w = Inference(network, x, y)
    w.begin()
    w.x += xp.asarray(np.random.default_rng(seed).standard_normal(w.x.shape), dtype=w.x.dtype)
    w.look()
    return w


def literal(network, x, y, states):
    """Return the predictions mu_1 .. mu_L and the errors of the given states, as written; on the host."""
    f = network.phi.value
    predictions, r = [], x
    for k, layer in enumerate(network.layers):
        a = np.matmul(r, layer.W) + (0 if layer.b is None else layer.b)
        last = k == len(network.layers) - 1
        predictions.append(f(a) if network.after and not last else a)
        if not last:
            r = states[k] if network.after else f(states[k])
    errors = [state - mu for state, mu in zip([*states, y], predictions, strict=True)]
    if network.counted is not None:
        errors[-1] = errors[-1] * network.counted
    return predictions, errors


# prediction


@hypothesis.given(**networks)
def test_a_prediction_is_that_of_the_feed_forward_net(sizes, batch, lead, activation, after, bias, seed):
    xp.use(dtype="float64")
    network, x, _ = make(sizes, batch, lead, activation, after, bias, None, seed)
    assert network.sizes == tuple(sizes)
    found, r = activities(network, x), x
    for k, (layer, activity) in enumerate(zip(network.layers, found, strict=True)):
        a = np.matmul(r, layer.W) + (layer.b if bias else 0)
        r = network.phi.value(a)
        assert_allclose(activity, r if after and k < len(found) - 1 else a, rtol=1e-12, atol=1e-14)
    assert_array_equal(predict(network, x), found[-1])


def test_activities_by_hand(precision):
    """x = 1 through the weights 2, 3, 0.5 and biases -1, -2, 4 of rectifiers: 1, then 3 - 2 = 1, then 4.5."""
    for after, sign in ((False, -1.0), (True, 0.0)):
        numbers = [(2.0, -1.0), (3.0, -2.0), (0.5, 4.0)]
        layers = [Affine(*(xp.asarray(np.array([[v]]), dtype=precision) for v in pair)) for pair in numbers]
        network = Network(layers, functions.relu, after)
        for x, expected in ((1.0, [1, 1, 4.5]), (0.0, [sign, 2 * sign, 4])):
            found = activities(network, xp.asarray(np.array([[x]]), dtype=precision))
            assert [float(xp.asnumpy(each).item()) for each in found] == expected
            assert all(each.dtype == precision for each in found)


def test_layers_that_do_not_fit_are_refused():
    W = [np.ones((2, 3)), np.ones((4, 1))]
    with pytest.raises(PlasticError, match="a layer has 3 units, but the next takes 4"):
        Network([Affine(each) for each in W], functions.tanh)


# energy


@hypothesis.given(**networks, some=st.booleans())
def test_the_energy_is_half_the_sum_of_squared_errors(sizes, batch, lead, activation, after, bias, seed, some):
    xp.use(dtype="float64")
    counted = (np.arange(sizes[-1]) % 2 == 0).astype(float) if some else None
    network, x, y = make(sizes, batch, lead, activation, after, bias, counted, seed)
    w = anywhere(network, x, y)
    predictions, errors = literal(network, x, y, w.x_layers)
    for found, expected in zip([*w.eps_layers, w.eps_top], errors, strict=True):
        assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert_allclose(w.mu, np.concatenate([w.mu[..., :0], *predictions[:-1]], axis=-1), rtol=1e-10, atol=1e-12)
    assert w.F.shape == lead
    assert_allclose(w.F, 0.5 * sum(np.sum(error**2, axis=(-2, -1)) for error in errors), rtol=1e-12)


@pytest.mark.parametrize("R", [3, 70])
@pytest.mark.parametrize("which", ["x", "y", "weights"])
def test_replica_axes_broadcast(which, R):
    """Axes (2, 1) of one against (R,) of the others: a grid of replicas."""
    xp.use(dtype="float64")
    network, x, y = make((1, 2, 1), 2, (R,))
    grid, grid_x, grid_y = make((1, 2, 1), 2, (2, 1), seed=1)
    given = network if which != "weights" else grid, grid_x if which == "x" else x, grid_y if which == "y" else y

    def energy(network, x, y):
        w = Inference(network, x, y)
        w.begin()
        w.look()
        w.move(0.1)
        w.look()
        return w.F

    found = energy(*given)
    assert found.shape == (2, R)
    for i, r in ((0, 0), (1, R - 1)):

        def one(array, i=i, r=r):
            return array[i, 0] if array.ndim == 4 else array[r]

        single = Network(parameters.map(one, given[0].layers), network.phi)
        assert_allclose(found[i, r], energy(single, *map(one, given[1:])), rtol=1e-12)


@placements
def test_inference_begins_without_hidden_errors(precision, after):
    network, x, y = make(after=after)
    w = Inference(network, x, y)
    w.begin()
    w.look()
    for state, activity in zip(w.x_layers, activities(network, x), strict=False):
        assert_allclose(xp.asnumpy(state), xp.asnumpy(activity), rtol=1e-6)
    assert_allclose(xp.asnumpy(w.eps), 0, atol=1e-12 if precision == "float64" else 1e-5)
    missing = xp.asnumpy(y) - xp.asnumpy(predict(network, x))
    assert_allclose(float(xp.asnumpy(w.F)), 0.5 * np.sum(missing**2), rtol=1e-5)


def test_the_layers_are_views_of_what_lies_side_by_side():
    xp.use(dtype="float64")
    w = anywhere(*make())
    for whole, layers in ((w.x, w.x_layers), (w.eps, w.eps_layers)):
        assert [layer.shape for layer in layers] == [(3, 3), (3, 5)]
        assert_array_equal(np.concatenate(layers, axis=-1), whole)
        assert all(np.shares_memory(layer, whole) for layer in layers)


def test_an_output_that_does_not_count_has_no_error_but_a_prediction(backend):
    network, x, y = make(counted=[1, 0])
    every, _, _ = make()
    w = anywhere(network, x, y)
    assert_array_equal(xp.asnumpy(w.eps_top)[:, 1], 0)
    assert np.all(xp.asnumpy(w.eps_top)[:, 0] != 0)
    assert_array_equal(xp.asnumpy(predict(network, x)), xp.asnumpy(predict(every, x)))


# gradients


@placements
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("counted", [None, (0, 1)], ids=["all", "counted"])
def test_gradients_are_those_of_the_energy(backend, activation, after, counted):
    """By the states and by the weights, at the same states, which are not those of the feed-forward net."""
    network, x, y = make(activation=activation, after=after, counted=counted)
    w = anywhere(network, x, y)
    by_states = w.gradient().copy()
    by_weights = w.weight_gradients(parameters.zeros_like(network.layers))
    assert np.abs(xp.asnumpy(by_states)).max() > 0.1

    def energy(tree):
        w.look(moved=tree is not w.x)
        return w.F

    entries = 20 if backend == "numpy" else 4  # the stand-in is slow
    check.gradient(energy, w.x, by_states, max_entries=entries)
    check.gradient(energy, network.layers, by_weights, max_entries=entries)


@hypothesis.given(**networks)
def test_gradients_are_as_written_at_every_shape(sizes, batch, lead, activation, after, bias, seed):
    """dF/dx_l = eps_l - f'(x_l) (eps_{l+1} W^T), dF/dW_l = -r_{l-1}^T eps_l, or with eps f'(a) for eps after f."""
    xp.use(dtype="float64")
    network, x, y = make(sizes, batch, lead, activation, after, bias, None, seed)
    w = anywhere(network, x, y)
    f, slope = network.phi.value, network.phi.slope
    _, errors = literal(network, x, y, w.x_layers)
    senders = [x, *(state if after else f(state) for state in w.x_layers)]
    deltas = list(errors)
    if after:
        for k, layer in enumerate(network.layers[:-1]):
            a = np.matmul(senders[k], layer.W) + (layer.b if bias else 0)
            deltas[k] = errors[k] * slope(a, f(a))
    expected = []
    for k, state in enumerate(w.x_layers):
        back = np.matmul(deltas[k + 1], np.swapaxes(network.layers[k + 1].W, -1, -2))
        expected.append(errors[k] - (back if after else back * slope(state, f(state))))
    found = w.gradient()
    assert_allclose(found, np.concatenate([found[..., :0], *expected], axis=-1), rtol=1e-10, atol=1e-12)
    grads = w.weight_gradients(parameters.map(lambda leaf: np.full_like(leaf, np.nan), network.layers))
    for grad, r, delta in zip(grads, senders, deltas, strict=True):
        assert_allclose(grad.W, -np.matmul(np.swapaxes(r, -1, -2), delta), rtol=1e-10, atol=1e-12)
        assert (grad.b is None) == (not bias)
        if bias:
            assert_allclose(grad.b, -np.sum(delta, axis=-2, keepdims=True), rtol=1e-10, atol=1e-12)


def test_the_gradient_of_one_layer_leaves_the_others_alone(backend):
    network, x, y = make()
    w = anywhere(network, x, y)
    whole = w.weight_gradients(parameters.zeros_like(network.layers))
    for only in range(3):
        grads = parameters.zeros_like(network.layers)
        assert w.weight_gradients(grads, only=only) is grads
        for k, (grad, expected) in enumerate(zip(grads, whole, strict=True)):
            for name in ("W", "b"):
                found = xp.asnumpy(getattr(grad, name))
                assert_array_equal(found, xp.asnumpy(getattr(expected, name)) if k == only else np.zeros_like(found))


@placements
def test_the_slope_can_be_kept(after):
    """Held at other states it is what it was there; of states after the activation it belongs to the look."""
    xp.use(dtype="float64")
    network, x, y = make(after=after)
    w = anywhere(network, x, y)
    held = 1 - w.r**2
    w.gradient()
    w.x *= 0.5
    w.look()
    found = w.gradient(slope=False).copy()
    back = np.concatenate([w.delta_layers[1] @ network.layers[1].W.T, w.eps_top @ network.layers[2].W.T], axis=-1)
    assert_allclose(found, w.eps - (back if after else back * held), rtol=1e-12)


@placements
def test_a_move_is_a_step_down_the_gradient_of_all_layers_at_once(precision, after):
    network, x, y = make(after=after)
    w = anywhere(network, x, y)
    before, gradient, F = xp.asnumpy(w.x).copy(), xp.asnumpy(w.gradient()).copy(), float(xp.asnumpy(w.F))
    w.move(0.01)
    assert_allclose(xp.asnumpy(w.x), before - 0.01 * gradient, rtol=1e-5 if precision == "float32" else 1e-13)
    assert w.x.dtype == precision
    w.look()
    assert float(xp.asnumpy(w.F)) < F


def test_a_look_changes_nothing_and_finds_the_same_again(backend):
    w = anywhere(*make())
    found = [xp.asnumpy(array).copy() for array in (w.x, w.eps, w.eps_top, w.F)]
    w.gradient()
    w.look()
    for array, before in zip((w.x, w.eps, w.eps_top, w.F), found, strict=True):
        assert_array_equal(xp.asnumpy(array), before)


@placements
@pytest.mark.parametrize("sizes", [(4, 3, 5, 2), (4, 2)])
def test_weights_that_have_moved_are_looked_at(backend, sizes, after):
    """Those of the first layer too, whose product with the input is kept as long as they stay."""
    network, x, y = make(sizes, after=after)
    w = anywhere(network, x, y)
    for leaf in [leaf for _, leaf in parameters.leaves(network.layers)]:
        leaf += 0.25
        w.look(moved=True)
        fresh = Inference(network, x, y)
        fresh.begin()
        fresh.x[...] = w.x
        fresh.look()
        for name in ("mu", "eps", "eps_top", "F"):
            assert_allclose(xp.asnumpy(getattr(w, name)), xp.asnumpy(getattr(fresh, name)), rtol=1e-13)


def test_a_network_without_hidden_layers_is_the_delta_rule(backend):
    network, x, y = make((4, 2))
    w = anywhere(network, x, y)
    assert w.x.shape == (3, 0) and w.gradient().shape == (3, 0)
    w.move(0.5)
    (grad,) = w.weight_gradients(parameters.zeros_like(network.layers))
    error = xp.asnumpy(y) - xp.asnumpy(predict(network, x))
    assert_allclose(float(xp.asnumpy(w.F)), 0.5 * np.sum(error**2), rtol=1e-13)
    assert_allclose(xp.asnumpy(grad.W), -xp.asnumpy(x).T @ error, rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@placements
def test_the_working_precision_stays_and_nothing_given_changes(precision, activation, after):
    network, x, y = make(activation=activation, after=after, counted=[1, 0])
    given = [("x", x), ("y", y), *parameters.leaves(network.layers)]
    before = [xp.asnumpy(array).copy() for _, array in given]
    w = anywhere(network, x, y)
    w.move(0.1)
    w.look()
    grads = w.weight_gradients(parameters.zeros_like(network.layers))
    found = [w.x, w.eps, w.eps_top, w.F, w.gradient(), *(leaf for _, leaf in parameters.leaves(grads))]
    assert {array.dtype.name for array in found} == {precision}
    for (name, array), old in zip(given, before, strict=True):
        assert_array_equal(xp.asnumpy(array), old, err_msg=name)
