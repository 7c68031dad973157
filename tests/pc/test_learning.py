"""The rules that experiments on images compare, and the updates that each makes from a batch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.pc import RULES, Network, State, equilibrium, network, predict, reach, repeated_bp, step
from plastic.pc.experiments import chosen as chosen_outputs
from plastic.pc.experiments import learning
from plastic.pc.experiments.options import Inference

INFERENCE = Inference(T=5, gamma=0.3, discount=0.7)


@pytest.fixture
def batch():
    xp.use("numpy", dtype="float64")
    rng = np.random.default_rng(0)
    return rng.random((6, 4)), rng.random((6, 3))


def net(phi="sigmoid"):
    return network((4, 5, 5, 3), np.random.default_rng(1), phi=phi)


def moved(rule, batch, loss=None, phi="sigmoid"):
    """Learn a batch with the rate 0.1; return the number of updates, and the network."""
    found, count = net(phi), 0
    grads = parameters.zeros_like(found.parameters)
    for _ in learning.updates_of(rule, INFERENCE, loss)(found, *batch, grads):
        count += 1
        for layer, grad in zip(found.layers, grads["layers"], strict=True):
            layer.W -= 0.1 * grad.W
    return count, found


@pytest.mark.parametrize("rule", ["pc", "fixed_prediction", "zil", "bp", "tp"])
def test_most_rules_move_the_weights_once(rule, batch):
    phi = "linear" if rule == "tp" else "sigmoid"
    count, found = moved(rule, batch, phi=phi)
    constants = {"pc": {"T": 5, "gamma": 0.3, "discount": 0.7}, "fixed_prediction": {"T": 5, "gamma": 0.3}}
    grads, _ = RULES[rule](net(phi), *batch, **constants.get(rule, {}))
    assert count == 1
    for layer, before, grad in zip(found.layers, net(phi).layers, grads["layers"], strict=True):
        assert_allclose(layer.W, before.W - 0.1 * grad.W, rtol=1e-12)


@pytest.mark.parametrize(("rule", "gradients"), [("ipc", step), ("repeated_bp", repeated_bp)])
def test_some_move_them_in_every_step(rule, gradients, batch):
    count, found = moved(rule, batch)
    by_hand = net()
    state = State(by_hand, *batch, gamma=0.3, discount=0.7)
    for _ in range(5):
        for layer, grad in zip(by_hand.layers, gradients(by_hand, state, batch[0])[0]["layers"], strict=True):
            layer.W -= 0.1 * grad.W
    assert count == 5
    for layer, expected in zip(found.layers, by_hand.layers, strict=True):
        assert_allclose(layer.W, expected.W, rtol=1e-12)


def times(factor):
    def loss(output, y):
        return factor * 0.5 * xp.sum((output - y) ** 2, axis=(-2, -1)), factor * (output - y)

    return loss


@pytest.mark.parametrize("rule", ["pc", "ipc", "fixed_prediction", "zil", "bp", "repeated_bp"])
def test_half_the_squared_error_as_a_loss_changes_nothing(rule, batch):
    for one, other in zip(moved(rule, batch, times(1.0))[1].layers, moved(rule, batch)[1].layers, strict=True):
        assert_allclose(one.W, other.W, rtol=1e-10)


@pytest.mark.parametrize("rule", ["fixed_prediction", "zil", "bp"])
def test_rules_on_the_feed_forward_net_are_linear_in_the_error(rule, batch):
    start = net().layers
    for one, other, before in zip(moved(rule, batch, times(3.0))[1].layers, moved(rule, batch)[1].layers, start,
                                  strict=True):  # fmt: skip
        assert_allclose(one.W - before.W, 3 * (other.W - before.W), rtol=1e-8, atol=1e-13)


def test_predictive_coding_weighs_a_loss_against_the_hidden_error():
    """1-1-1, linear: the hidden state x minimises (x - h)^2 / 2 + c (y - v x)^2 / 2."""
    xp.use("numpy", dtype="float64")
    w, v, c, y = 0.5, 2.0, 3.0, 1.5
    found = Network([Affine(np.array([[w]])), Affine(np.array([[v]]))], "linear")
    grads = parameters.zeros_like(found.parameters)
    inference = Inference(T=2000, gamma=0.05)
    for _ in learning.updates_of("pc", inference, times(c))(found, np.array([[1.0]]), np.array([[y]]), grads):
        pass
    x = (w + c * v * y) / (1 + c * v**2)
    assert_allclose(grads["layers"][0].W, -(x - w), rtol=1e-6)
    assert_allclose(grads["layers"][1].W, -c * (y - v * x) * x, rtol=1e-6)
    assert_allclose(predict(found, np.array([[1.0]])), w * v)


@pytest.mark.parametrize(
    ("options", "atol"),
    [({"solver": "errors", "T": 60}, 1e-9), ({"solver": "anderson", "T": 200}, 1e-7), ({"T": 4000}, 1e-7)],
)
def test_the_states_of_chosen_outputs_settle_as_asked(options, atol):
    """A linear net of three outputs, of which the last is chosen: the rest of the net without the others."""
    xp.use("numpy", dtype="float64")
    rng = np.random.default_rng(2)
    layers = [Affine(0.6 * rng.standard_normal(shape)) for shape in ((1, 3, 4), (1, 4, 4), (1, 4, 3))]
    x, y, chosen = rng.standard_normal((1, 5, 3)), rng.standard_normal((1, 5, 1)), np.tile([0.0, 0.0, 1.0], (1, 5, 1))
    grads = chosen_outputs.gradients("pc", Inference(**options))(Network(layers, "linear"), x, y, chosen)["layers"]
    alone = Network([*layers[:2], Affine(layers[2].W[..., 2:])], "linear")
    states, errors, _ = equilibrium(alone, x, y)
    for grad, r, error in zip(grads, [x, *states], errors, strict=True):
        found = grad.W[..., 2:] if grad is grads[-1] else grad.W
        assert_allclose(found, -np.swapaxes(r, -1, -2) @ error / 5, atol=atol)


def test_the_states_of_chosen_outputs_end_at_rest():
    """With a tolerance that everything is within, inference ends where it first looks, after ten steps."""
    xp.use("numpy", dtype="float64")
    found, chosen = network((4, 5, 5, 3), [np.random.default_rng(1)]), np.tile([0.0, 0.0, 1.0], (1, 6, 1))
    x, y = np.random.default_rng(0).random((1, 6, 4)), np.ones((1, 6, 1))
    one, other = (
        chosen_outputs.gradients("pc", Inference(**options))(found, x, y, chosen)["layers"]
        for options in ({"T": 500, "tolerance": 9.0}, {"T": 11})
    )
    for a, b in zip(one, other, strict=True):
        assert_allclose(a.W, b.W, rtol=1e-12)


def test_steps_too_few_for_a_loss_are_told_too(capsys, batch):
    reach._warn.cache_clear()
    x, y = batch
    grads = parameters.zeros_like(net().parameters)
    for _ in learning.updates_of("pc", Inference(T=2), times(3.0))(net(), x, y, grads):
        assert not grads["layers"][0].W.any() and grads["layers"][1].W.any()
    assert "an error gets to the top 2 of 3 layers" in capsys.readouterr().err


def test_a_squared_error_with_a_coefficient_has_the_slope_of_its_loss():
    output, y = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    loss, err = learning.squared(3.0)(output, y)
    assert_allclose(loss, 3 * (0.25 + 1 + 4 + 1))
    assert_allclose(err, [[-3.0, -6.0], [12.0, -6.0]])  # 2 c (output - y)
    assert learning.squared(0.5) is None  # what rules have anyway


@pytest.mark.parametrize(
    ("rules", "options", "phi", "message"),
    [
        ((), {}, "sigmoid", r"rules is \(\); it must hold different ones of pc, ipc"),
        (("pc", "pc"), {}, "sigmoid", "it must hold different ones"),
        (("pc", "tp"), {}, "leaky", "rules are pc, tp, but tp is for linear networks, and activation is leaky"),
        (
            ("ipc", "bp"),
            {"solver": "layerwise"},
            "sigmoid",
            "solver is layerwise, which is for pc, but rules are",
        ),
        (("ipc", "zil"), {"tolerance": 0.1}, "sigmoid", "tolerance is 0.1, which is for pc, fixed_prediction, but"),
        (
            ("bp", "zil"),
            {"T": 9},
            "sigmoid",
            "T is 9, which is for pc, ipc, fixed_prediction, repeated",
        ),
        (
            ("repeated_bp",),
            {"gamma": 0.5},
            "sigmoid",
            "gamma is 0.5, which is for pc, ipc, fixed_prediction",
        ),
        (
            ("fixed_prediction",),
            {"discount": 1.0},
            "sigmoid",
            "discount is 1.0, which is for pc, ipc, but rules",
        ),
    ],
)
def test_rules_that_do_not_fit_are_refused(rules, options, phi, message):
    with pytest.raises(PlasticError, match=message):
        learning.require_rules(rules, Inference(**options), phi=phi)


@pytest.mark.parametrize(
    ("rules", "options", "phi"),
    [
        (("pc", "tp"), {}, "linear"),
        (("repeated_bp",), {"T": 9}, "sigmoid"),
        (("fixed_prediction",), {"T": 9, "gamma": 1.0}, "sigmoid"),
        (("ipc",), {"T": 9, "gamma": 1.0, "discount": 1.0}, "sigmoid"),
        (("pc", "ipc"), {"solver": "layerwise", "tolerance": 0.1}, "sigmoid"),
        (("fixed_prediction",), {"tolerance": 0.1}, "sigmoid"),
        (learning.ON_IMAGES[:-1], {}, "sigmoid"),
    ],
)
def test_rules_that_fit_are_taken(rules, options, phi):
    learning.require_rules(rules, Inference(**options), phi=phi)
