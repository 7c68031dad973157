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
from plastic.pc import Network, State, activities, infer, network, predict, step

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
    net = Network(layers, activation, after, counted)
    return net, draw(batch, sizes[0]), draw(batch, sizes[-1])


def anywhere(net, x, y, seed=1, **constants):
    """Return a state whose hidden states are drawn at random, with the errors that they have."""
    state = State(net, x, y, **constants)
    state.x += xp.asarray(np.random.default_rng(seed).standard_normal(state.x.shape), dtype=state.x.dtype)
    infer(net, state, x, 0)
    return state


def literal(net, x, y, states):
    """Return the predictions mu_1 .. mu_L and the errors of the given states, as written; on the host."""
    predictions, r = [], x
    for k, layer in enumerate(net.layers):
        a = np.matmul(r, layer.W) + (0 if layer.b is None else layer.b)
        last = k == len(net.layers) - 1
        predictions.append(net.phi[k].value(a) if net.after and not last else a)
        if not last:
            r = states[k] if net.after else net.phi[k].value(states[k])
    errors = [state - mu for state, mu in zip([*states, y], predictions, strict=True)]
    if net.counted is not None:
        errors[-1] = errors[-1] * net.counted
    return predictions, errors


# prediction


@hypothesis.given(**networks)
def test_a_prediction_is_that_of_the_feed_forward_net(sizes, batch, lead, activation, after, bias, seed):
    xp.use(dtype="float64")
    net, x, _ = make(sizes, batch, lead, activation, after, bias, None, seed)
    assert net.sizes == tuple(sizes)
    found, r = activities(net, x), x
    for k, (layer, activity) in enumerate(zip(net.layers, found, strict=True)):
        a = np.matmul(r, layer.W) + (layer.b if bias else 0)
        r = getattr(functions, activation).value(a)
        assert_allclose(activity, r if after and k < len(found) - 1 else a, rtol=1e-12, atol=1e-14)
    assert_array_equal(predict(net, x), found[-1])


def test_activities_by_hand(precision):
    """x = 1 through the weights 2, 3, 0.5 and biases -1, -2, 4 of rectifiers: 1, then 3 - 2 = 1, then 4.5."""
    for after, sign in ((False, -1.0), (True, 0.0)):
        numbers = [(2.0, -1.0), (3.0, -2.0), (0.5, 4.0)]
        layers = [Affine(*(xp.asarray(np.array([[v]]), dtype=precision) for v in pair)) for pair in numbers]
        net = Network(layers, "relu", after)
        for x, expected in ((1.0, [1, 1, 4.5]), (0.0, [sign, 2 * sign, 4])):
            found = activities(net, xp.asarray(np.array([[x]]), dtype=precision))
            assert [float(xp.asnumpy(each).item()) for each in found] == expected
            assert all(each.dtype == precision for each in found)


def test_an_input_of_more_replicas_than_the_network_is_predicted_too(backend):
    net, x, _ = make()
    both = predict(net, xp.stack([x, 2 * x]))
    assert_allclose(xp.asnumpy(both[1]), xp.asnumpy(predict(net, 2 * x)), rtol=1e-12)


# making networks


def test_weights_are_xavier_uniform_and_biases_zero(precision):
    net = network((300, 200, 100), np.random.default_rng(0), bias=True)
    for layer, (n, m) in zip(net.layers, ((300, 200), (200, 100)), strict=True):
        W, bound = xp.asnumpy(layer.W), np.sqrt(6 / (n + m))
        assert layer.W.dtype == precision and W.shape == (n, m)
        assert 0.999 * bound < np.abs(W).max() <= bound * (1 + 1e-6)
        assert_allclose(W.std(), bound / np.sqrt(3), rtol=0.02)
        assert_array_equal(xp.asnumpy(layer.b), np.zeros((1, m)))
    assert all(layer.b is None for layer in network((3, 2), np.random.default_rng(0)).layers)
    assert network((3, 4, 2), np.random.default_rng(0)).phi == [functions.sigmoid]


def test_a_network_has_one_line(precision):
    rng = np.random.default_rng(0)
    assert repr(network((784, 64, 10), rng)) == "Network 784-64-10, sigmoid"
    assert repr(network((3, 2), rng)) == "Network 3-2"
    assert repr(network((3, 4, 4, 2), rng, phi=["tanh", "relu"], after=True)) == (
        "Network 3-4-4-2, tanh/relu, states after phi"
    )
    assert repr(network((8,) * 30, [rng, rng], phi="linear")) == "Network 8-8-8-..-8-8, linear, replicas (2,)"
    net, x, y = make()
    assert repr(State(net, x, y, gamma=0.25)) == "State of 3 samples, 8 hidden units, gamma 0.25"


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("a layer has 3 units, but the next takes 4", lambda W, b: Network([Affine(W(2, 3)), Affine(W(4, 1))], "tanh")),
        ("list of one Affine or more", lambda W, b: Network([], "tanh")),
        ("list of one Affine or more", lambda W, b: Network([W(2, 3)], "tanh")),
        ("list of one Affine or more", lambda W, b: Network(Affine(W(2, 3)), "tanh")),
        (r"layers\[0\].W is a list", lambda W, b: Network([Affine([[1.0]])], "tanh")),
        (
            r"layers\[1\].W holds int64",
            lambda W, b: Network([Affine(W(2, 3)), Affine(W(3, 1).astype("int64"))], "tanh"),
        ),
        (r"layers\[1\].W holds float32", lambda W, b: Network([Affine(W(2, 3)), Affine(W(3, 1).astype("f4"))], "tanh")),
        (r"layers\[0\].W has shape", lambda W, b: Network([Affine(W(3))], "tanh")),
        (r"layers\[0\].W has shape", lambda W, b: Network([Affine(W(0, 3))], "tanh")),
        (r"layers\[1\].W has shape", lambda W, b: Network([Affine(W(5, 2, 3)), Affine(W(4, 3, 1))], "tanh")),
        (r"layers\[0\].b is float64 of shape", lambda W, b: Network([Affine(W(2, 3), W(3))], "tanh")),
        (r"layers\[0\].b is float64 of shape", lambda W, b: Network([Affine(W(2, 3), W(1, 2))], "tanh")),
        (r"layers\[0\].b is float64 of shape", lambda W, b: Network([Affine(W(5, 2, 3), W(1, 3))], "tanh")),
        (r"layers\[0\].b is float32", lambda W, b: Network([Affine(W(2, 3), W(1, 3).astype("f4"))], "tanh")),
        ("mean tanh", lambda W, b: Network([Affine(W(2, 3))], "tahn")),
        ("phi has 2 activations, but there are 1 hidden", lambda W, b: Network(b, ["tanh", "relu"])),
        ("the activation is", lambda W, b: Network(b, np.tanh)),
        ("after is 'yes'", lambda W, b: Network(b, "tanh", "yes")),
        ("counted must be 2 numbers of 0 and 1", lambda W, b: Network(b, "tanh", counted=[1.0])),
        ("counted must be 2 numbers of 0 and 1", lambda W, b: Network(b, "tanh", counted=[1.0, 2.0])),
        ("counted must be 2 numbers of 0 and 1", lambda W, b: Network(b, "tanh", counted=np.ones((1, 2)))),
    ],
)
def test_networks_that_are_not_are_refused(words, refused):
    xp.use(dtype="float64")

    def W(*shape):
        return np.ones(shape)

    with pytest.raises(PlasticError, match=words):
        refused(W, [Affine(W(2, 3)), Affine(W(3, 2))])


def test_outputs_that_count_are_given_as_anything(backend):
    for counted in ([1, 0], (True, False), np.array([1.0, 0.0])):
        net, _, _ = make(counted=counted)
        assert net.counted.dtype == net.dtype
        assert xp.asnumpy(net.counted).tolist() == [1, 0]


# energy


@hypothesis.given(**networks, some=st.booleans())
def test_the_energy_is_half_the_sum_of_squared_errors(sizes, batch, lead, activation, after, bias, seed, some):
    xp.use(dtype="float64")
    counted = (np.arange(sizes[-1]) % 2 == 0).astype(float) if some else None
    net, x, y = make(sizes, batch, lead, activation, after, bias, counted, seed)
    state = anywhere(net, x, y)
    predictions, errors = literal(net, x, y, state.x_layers)
    for found, expected in zip([*state.eps_layers, state.eps_top], errors, strict=True):
        assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert_allclose(state.mu, np.concatenate([state.mu[..., :0], *predictions[:-1]], axis=-1), rtol=1e-10, atol=1e-12)
    assert_allclose(state.top, predictions[-1], rtol=1e-10, atol=1e-12)
    assert state.F.shape == lead
    assert_allclose(state.F, 0.5 * sum(np.sum(error**2, axis=(-2, -1)) for error in errors), rtol=1e-12)


@pytest.mark.parametrize("R", [3, 70])
def test_replica_axes_of_a_batch_broadcast_to_those_of_the_network(R):
    """A grid (2, R) of networks, axes (2, 1) of x and (R,) of y; few and many replicas of a few units."""
    xp.use(dtype="float64")
    for lead in ((2, R), (R,)):
        net, x, y = make((1, 2, 1), 2, lead)
        x, y = (x[:, :1], y[0]) if len(lead) == 2 else (x[:1], y[0])
        state = State(net, x, y)
        infer(net, state, x, 3)
        assert state.F.shape == lead
        for index in ((1, R - 1), (0, 0)) if len(lead) == 2 else ((R - 1,), (0,)):

            def one(leaf, index=index):
                return leaf[index]

            alone = Network(parameters.map(one, net.layers), net.phi)
            x_alone = x[index[0], 0] if len(lead) == 2 else x[0]
            single = State(alone, x_alone, y[index[-1]] if len(lead) == 2 else y)
            infer(alone, single, x_alone, 3)
            assert_allclose(state.F[index], single.F, rtol=1e-12)


@placements
def test_inference_begins_without_hidden_errors(precision, after):
    net, x, y = make(after=after)
    state = State(net, x, y)
    for found, activity in zip([*state.x_layers, state.top], activities(net, x), strict=True):
        assert_allclose(xp.asnumpy(found), xp.asnumpy(activity), rtol=1e-6)
    assert_array_equal(xp.asnumpy(state.eps), 0)
    missing = xp.asnumpy(y) - xp.asnumpy(predict(net, x))
    assert_allclose(float(xp.asnumpy(state.F)), 0.5 * np.sum(missing**2), rtol=1e-5)
    state.gradient()
    begun = [xp.asnumpy(each).copy() for each in (state.x, state.r, state.mu, state.eps_top, state.gradient())]
    infer(net, state, x, 0)
    for found, expected in zip((state.x, state.r, state.mu, state.eps_top, state.gradient()), begun, strict=True):
        assert_allclose(xp.asnumpy(found), expected, rtol=1e-5, atol=1e-12 if precision == "float64" else 1e-5)


def test_the_layers_are_views_of_what_lies_side_by_side():
    xp.use(dtype="float64")
    state = anywhere(*make())
    for whole, layers in ((state.x, state.x_layers), (state.eps, state.eps_layers)):
        assert [layer.shape for layer in layers] == [(3, 3), (3, 5)]
        assert_array_equal(np.concatenate(layers, axis=-1), whole)
        assert all(np.shares_memory(layer, whole) for layer in layers)


def test_an_output_that_does_not_count_has_no_error_but_a_prediction(backend):
    net, x, y = make(counted=[1, 0])
    every, _, _ = make()
    state = anywhere(net, x, y)
    assert_array_equal(xp.asnumpy(state.eps_top)[:, 1], 0)
    assert np.all(xp.asnumpy(state.eps_top)[:, 0] != 0)
    assert_array_equal(xp.asnumpy(predict(net, x)), xp.asnumpy(predict(every, x)))


# gradients

SOFTSIGN = functions.Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)
PER_LAYER = [["tanh", "tanh", "relu"], ["leaky", "sigmoid", "leaky"], ["linear", SOFTSIGN, SOFTSIGN]]


@placements
@pytest.mark.parametrize("activation", [*ACTIVATIONS, SOFTSIGN, *PER_LAYER], ids=str)
@pytest.mark.parametrize("counted", [None, (0, 1)], ids=["all", "counted"])
def test_gradients_are_those_of_the_energy(backend, activation, after, counted):
    """By the states and by the weights, at the same states, which are not those of the feed-forward net."""
    net, x, y = make((4, 3, 5, 3, 2), activation=activation, after=after, counted=counted)
    state = anywhere(net, x, y)
    by_states = state.gradient().copy()
    by_weights = state.weight_gradients()
    assert np.abs(xp.asnumpy(by_states)).max() > 0.1

    def energy(_):
        infer(net, state, x, 0)
        return state.F

    entries = 20 if backend == "numpy" else 4  # the stand-in is slow
    check.gradient(energy, state.x, by_states, max_entries=entries)
    check.gradient(lambda _: energy(_) / len(x), net.parameters, by_weights, max_entries=entries)


@hypothesis.given(**networks)
def test_gradients_are_as_written_at_every_shape(sizes, batch, lead, activation, after, bias, seed):
    """dF/dx_l = eps_l - f'(x_l) (eps_{l+1} W^T), dF/dW_l = -r_{l-1}^T eps_l, or with eps f'(a) for eps after f."""
    xp.use(dtype="float64")
    net, x, y = make(sizes, batch, lead, activation, after, bias, None, seed)
    state = anywhere(net, x, y)
    f, slope = getattr(functions, activation).value, getattr(functions, activation).slope
    _, errors = literal(net, x, y, state.x_layers)
    senders = [x, *(each if after else f(each) for each in state.x_layers)]
    deltas = list(errors)
    if after:
        for k, layer in enumerate(net.layers[:-1]):
            a = np.matmul(senders[k], layer.W) + (layer.b if bias else 0)
            deltas[k] = errors[k] * slope(a, f(a))
    expected = []
    for k, each in enumerate(state.x_layers):
        back = np.matmul(deltas[k + 1], np.swapaxes(net.layers[k + 1].W, -1, -2))
        expected.append(errors[k] - (back if after else back * slope(each, f(each))))
    found = state.gradient()
    assert_allclose(found, np.concatenate([found[..., :0], *expected], axis=-1), rtol=1e-10, atol=1e-12)
    grads = state.weight_gradients(parameters.map(lambda leaf: np.full_like(leaf, np.nan), net.parameters))
    for grad, r, delta in zip(grads["layers"], senders, deltas, strict=True):
        assert_allclose(batch * grad.W, -np.matmul(np.swapaxes(r, -1, -2), delta), rtol=1e-10, atol=1e-12)
        assert (grad.b is None) == (not bias)
        if bias:
            assert_allclose(grad.b, -np.mean(delta, axis=-2, keepdims=True), rtol=1e-10, atol=1e-12)


def test_the_gradient_of_one_layer_leaves_the_others_alone(backend):
    net, x, y = make()
    state = anywhere(net, x, y)
    whole = state.weight_gradients()["layers"]
    for only in range(3):
        grads = parameters.zeros_like(net.parameters)
        assert state.weight_gradients(grads, only=only) is grads
        for k, (grad, expected) in enumerate(zip(grads["layers"], whole, strict=True)):
            for name in ("W", "b"):
                found = xp.asnumpy(getattr(grad, name))
                assert_array_equal(found, xp.asnumpy(getattr(expected, name)) if k == only else np.zeros_like(found))


@placements
def test_the_slope_can_be_kept(after):
    """Held at other states it is what it was there; of states after the activation it belongs to the errors."""
    xp.use(dtype="float64")
    net, x, y = make(after=after)
    state = anywhere(net, x, y)
    held = 1 - state.r**2
    state.gradient()
    state.x *= 0.5
    infer(net, state, x, 0)
    found = state.gradient(fresh=False).copy()
    back = np.concatenate([state.deltas[1] @ net.layers[1].W.T, state.eps_top @ net.layers[2].W.T], axis=-1)
    assert_allclose(found, state.eps - (back if after else back * held), rtol=1e-12)


@placements
@pytest.mark.parametrize("take", [step, lambda net, state, x: infer(net, state, x, 1)], ids=["step", "infer"])
def test_a_step_goes_down_the_gradient_of_all_layers_at_once(precision, after, take):
    net, x, y = make(after=after)
    state = anywhere(net, x, y, gamma=0.01, discount=1.0)
    before, gradient, F = (xp.asnumpy(each).copy() for each in (state.x, state.gradient(), state.F))
    take(net, state, x)
    assert_allclose(xp.asnumpy(state.x), before - 0.01 * gradient, rtol=1e-5 if precision == "float32" else 1e-12)
    assert state.x.dtype == precision
    infer(net, state, x, 0)
    assert float(xp.asnumpy(state.F)) < float(F)


@placements
@pytest.mark.parametrize("sizes", [(4, 3, 5, 2), (4, 2)])
def test_weights_that_have_moved_are_seen(backend, sizes, after):
    """Those of the first layer too, whose product with the input is kept as long as they stay."""
    net, x, y = make(sizes, after=after)
    state = anywhere(net, x, y)
    for leaf in [leaf for _, leaf in parameters.leaves(net.layers)]:
        leaf += 0.25
        infer(net, state, x, 0)
        fresh = State(net, x, y)
        fresh.x[...] = state.x
        infer(net, fresh, x, 0)
        for name in ("mu", "eps", "eps_top", "F"):
            assert_allclose(xp.asnumpy(getattr(state, name)), xp.asnumpy(getattr(fresh, name)), rtol=1e-13)


def test_a_network_without_hidden_layers_is_the_delta_rule(backend):
    net, x, y = make((4, 2))
    state = anywhere(net, x, y)
    assert state.x.shape == (3, 0) and state.gradient().shape == (3, 0)
    grads, output = step(net, state, x)
    error = xp.asnumpy(y) - xp.asnumpy(predict(net, x))
    assert_allclose(xp.asnumpy(output), xp.asnumpy(predict(net, x)))
    assert_allclose(float(xp.asnumpy(state.F)), 0.5 * np.sum(error**2), rtol=1e-13)
    assert_allclose(xp.asnumpy(grads["layers"][0].W), -xp.asnumpy(x).T @ error / 3, rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@placements
def test_the_working_precision_stays_and_nothing_given_changes(precision, activation, after):
    net, x, y = make(activation=activation, after=after, counted=[1, 0])
    given = [("x", x), ("y", y), *parameters.leaves(net.layers)]
    before = [xp.asnumpy(array).copy() for _, array in given]
    state = anywhere(net, x, y)
    grads, output = step(net, state, x)
    infer(net, state, x, 1)
    found = [state.x, state.eps, state.eps_top, state.F, state.gradient(), output]
    found += [leaf for _, leaf in parameters.leaves(grads)]
    assert {array.dtype.name for array in found} == {precision}
    for (name, array), old in zip(given, before, strict=True):
        assert_array_equal(xp.asnumpy(array), old, err_msg=name)
