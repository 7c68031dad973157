"""Networks: forward, inverse, initialisation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import gait, parameters, xp
from plastic.errors import PlasticError
from plastic.gait.network import divide


@pytest.mark.parametrize("linear", [False, True])
def test_inverse_undoes_a_layer_and_keeps_auxiliary_units(backend, linear):
    network = gait.TowerNetwork.create((7, 5, 4), seed=3, orthogonal=False, linear=linear)
    for layer in network.layers:
        layer.b += 0.3
    x = xp.asarray(np.random.default_rng(0).standard_normal((6, 9)))
    activities = gait.forward(network, x)
    assert [a.shape for a in activities] == [(6, 9), (6, 7), (6, 5), (6, 4)]
    for index in range(3):
        below = gait.inverse(network, index, activities[index + 1], activities[index])
        assert_allclose(xp.asnumpy(below), xp.asnumpy(activities[index]), atol=1e-11)
    other = xp.asarray(np.ones((6, 7)))
    assert_array_equal(xp.asnumpy(gait.inverse(network, 1, activities[2], other))[:, 5:], 1.0)


def test_forward_by_hand():
    xp.use(dtype="float64")
    network = gait.SquareNetwork.create(2, hidden=1)
    network.layers[0].W[...] = [[1, 2], [3, 4]]
    network.layers[0].b[...] = [[0.5, -20]]
    network.layers[1].W[...] = [[0, 1], [1, 0]]
    a0, a1, a2 = gait.forward(network, np.array([[1.0, 2.0]]))
    assert_allclose(a1, [[7.5, -1.0]])  # z = (7.5, -10)
    assert_allclose(a2, [[-0.1, 7.5]])
    assert_allclose(gait.forward(network, a0, 1)[-1], [[-0.1]])


@pytest.mark.parametrize("replicas", [(), (3,)])
def test_some_outputs_are_the_first_units_of_the_last_layer(backend, replicas):
    networks = [gait.TowerNetwork.create((7, 6), seed=seed) for seed in (1, 2, 3)]
    network = networks[0] if not replicas else gait.TowerNetwork(parameters.stack([n.layers for n in networks]))
    x = xp.asarray(np.random.default_rng(0).standard_normal((5, 7)))
    found = gait.forward(network, x, 4)[-1]
    assert found.shape == (*replicas, 5, 4)
    assert_allclose(xp.asnumpy(found), xp.asnumpy(gait.forward(network, x)[-1])[..., :4], atol=1e-14)


@pytest.mark.parametrize("leading", [(), (3,)])
def test_divide_keeps_the_precision(precision, leading):
    rng = np.random.default_rng(0)
    W, g = rng.standard_normal((*leading, 6, 6)) + 3 * np.eye(6), rng.standard_normal((*leading, 4, 6))
    found = divide(xp.asarray(g), xp.asarray(W))
    assert found.dtype == xp.float_dtype
    assert_allclose(xp.asnumpy(found), g @ np.linalg.inv(W), atol=1e-12 if precision == "float64" else 1e-5)


def test_divide_with_one_matrix_for_several_batches(backend):
    rng = np.random.default_rng(0)
    W, g = rng.standard_normal((6, 6)) + 3 * np.eye(6), rng.standard_normal((3, 4, 6))
    assert_allclose(xp.asnumpy(divide(xp.asarray(g), xp.asarray(W))), g @ np.linalg.inv(W), atol=1e-12)


def test_square_networks_start_with_the_last_two_layers_equal():
    network = gait.SquareNetwork.create(12, hidden=3, seed=4)
    first, second, third, output = (layer.W for layer in network.layers)
    assert_array_equal(third, output)
    assert not np.allclose(first, second) and not np.allclose(second, third)
    for W in (first, second, third):
        assert_allclose(W @ W.T, np.eye(12), atol=1e-5)


def test_layers_draw_from_consecutive_seeds():
    network = gait.TowerNetwork.create((6, 6, 6), seed=10, orthogonal=False)
    xp.use(dtype="float64")
    for layer, affine in enumerate(network.layers):
        expected = np.random.RandomState(10 + layer).randn(6, 6) / np.sqrt(6)
        assert_array_equal(affine.W, expected.astype(np.float32))
        assert affine.b.shape == (1, 6) and not affine.b.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gait.TowerNetwork.create((4, 5)), "5 follows 4"),
        (lambda: gait.TowerNetwork.create(()), "positive"),
        (lambda: gait.TowerNetwork.create((4, 0)), "positive"),
        (lambda: gait.SquareNetwork.create(4, hidden=0), "hidden >= 1"),
        (lambda: gait.SquareNetwork.create(0, hidden=1), "width >= 1"),
    ],
)
def test_impossible_shapes(make, message):
    with pytest.raises(PlasticError, match=message):
        make()
