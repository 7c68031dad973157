"""Convolutional networks with several updates from a batch, against the rules taken one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import xp
from plastic.optimizers import Adam
from plastic.pc import State, convolutional, predict, repeated_bp, step
from plastic.pc.experiments import cnn
from plastic.pc.experiments.options import Inference


@pytest.fixture
def batch():
    xp.use("numpy", dtype="float64")
    rng = np.random.default_rng(0)
    return rng.random((5, 27)), np.eye(4)[rng.integers(0, 4, 5)]


def network():
    return convolutional((3, 2), (4,), np.random.default_rng(1), size=3)


@pytest.mark.parametrize("rule", ["ipc", "repeated_bp"])
def test_a_step_is_T_updates_with_the_published_constants_of_sums(rule, batch):
    net, by_hand = network(), network()
    adam = Adam(0.01, eps=1e-8 / 5, weight_decay=cnn.WEIGHT_DECAY / 5)
    moments, inference = adam.init(net.parameters), Inference(T=3, gamma=0.5)
    sign = cnn.step_of(net, rule, adam, moments, inference)(batch, 1)
    assert sign.shape == (1,) and np.isfinite(sign).all()
    of_sums = Adam(0.01, weight_decay=0.01)
    state, others = State(by_hand, *batch, gamma=0.5), of_sums.init(by_hand.parameters)
    for _ in range(3):
        grads, _ = (step if rule == "ipc" else repeated_bp)(by_hand, state, batch[0])
        for layer in grads["layers"]:
            layer.W[...] *= 5  # a sum over the batch
            if layer.b is not None:
                layer.b[...] *= 5
        of_sums.step(by_hand.parameters, grads, others)
    for one, other in zip(net.layers, by_hand.layers, strict=True):
        assert_allclose(one.W, other.W, rtol=1e-9)


def test_the_gradient_of_a_rectified_output_is_that_of_its_loss():
    rng = np.random.default_rng(2)
    output, y = rng.standard_normal((3, 4)), rng.random((3, 4))
    loss, err = cnn._rectified(output, y)
    assert_allclose(loss, 0.5 * np.sum((np.maximum(output, 0) - y) ** 2))
    numeric = np.zeros_like(output)
    for place in np.ndindex(*output.shape):
        shifted = output.copy()
        shifted[place] += 1e-6
        numeric[place] = (cnn._rectified(shifted, y)[0] - loss) / 1e-6
    assert_allclose(err, numeric, atol=1e-5)


def test_outputs_that_are_all_silent_count_as_errors_where_they_are_rectified(batch):
    net = network()
    net.layers[-1].W[...], net.layers[-1].b[...] = 0, [-1, -2, -3, -4]
    x, _ = batch
    y = np.tile([1.0, 0, 0, 0], (5, 1))
    assert np.all(predict(net, x) < 0)
    assert cnn.errors(net, "repeated_bp", x, y)["test_error"].tolist() == [0]
    assert cnn.errors(net, "bp_published", x, y)["test_error"].tolist() == [1]


def test_both_halves_make_the_whole(batch):
    net, (x, y) = network(), batch
    found = cnn.errors(net, "ipc", x, y)
    assert_allclose(found["test_error"], (2 * found["validation_error"] + 3 * found["held_out_error"]) / 5)
