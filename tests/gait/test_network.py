"""Networks: forward, inverse, initialisation, and what is no network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import gait, parameters, xp
from plastic.errors import PlasticError
from plastic.gait.experiments.train import published_layers
from plastic.parameters import Affine


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_inverse_undoes_a_layer_and_keeps_auxiliary_units(backend, linear, seeds):
    several = len(seeds) > 1
    made = generators(*seeds) if several else np.random.default_rng(seeds[0])
    network = gait.tower((9, 7, 5, 4), made, orthogonal=False, linear=linear)
    for layer in network.layers:
        layer.b += 0.3
    x = xp.asarray(np.random.default_rng(0).standard_normal((6, 9)))
    activities = gait.forward(network, x)
    lead = (2,) if several else ()
    assert [a.shape for a in activities] == [(6, 9), (*lead, 6, 7), (*lead, 6, 5), (*lead, 6, 4)]
    for index in range(3):
        below = gait.inverse(network, index, activities[index + 1], activities[index])
        expected = np.broadcast_to(xp.asnumpy(activities[index]), below.shape)
        assert_allclose(xp.asnumpy(below), expected, atol=1e-11)
    other = xp.asarray(np.ones((6, 7)))
    assert_array_equal(xp.asnumpy(gait.inverse(network, 1, activities[2], other))[..., 5:], 1.0)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_the_inverse_pass_gives_the_activities_back_and_the_targets_of_tp(backend, linear, seeds):
    """Of its own output; and of targets, a_l - t_l is the error whose gradients the rule gives."""
    made = generators(*seeds) if len(seeds) > 1 else np.random.default_rng(seeds[0])
    network = gait.tower((9, 7, 5, 4), made, linear=linear)
    for layer in network.layers:
        layer.b += 0.3
    rng = np.random.default_rng(0)
    x, y = xp.asarray(rng.standard_normal((6, 9))), xp.asarray(rng.standard_normal((6, 3)))
    activities = gait.forward(network, x)
    for t, a in zip(gait.inverse_pass(network, activities[-1], activities), activities, strict=True):
        assert_allclose(xp.asnumpy(t), np.broadcast_to(xp.asnumpy(a), t.shape), atol=1e-11)
    targets = [xp.asnumpy(t) for t in gait.inverse_pass(network, y, activities)]
    assert_array_equal(targets[-1][..., 3:], xp.asnumpy(activities[-1])[..., 3:])
    grads, _ = gait.tp(network, x, y)
    for place, layer in enumerate(network.layers):
        below, a = (xp.asnumpy(each) for each in activities[place : place + 2])
        slope = 1.0 if linear else np.where(a >= 0, 1, 0.1)
        delta = slope * (a - targets[place + 1]) / 6
        expected = np.swapaxes(below[..., : layer.W.shape[-2]], -1, -2) @ delta
        assert_allclose(xp.asnumpy(grads["layers"][place].W), expected, atol=1e-11)
        assert_allclose(xp.asnumpy(grads["layers"][place].b)[..., 0, :], delta.sum(axis=-2), atol=1e-11)


@pytest.mark.parametrize(
    "y, activities, said",
    [((6, 4), None, "activities must be a list of 4"), ((5, 4), ..., "y has"), ((6, 5), ..., "y has"),
     ((4,), ..., "y has"), ((6, 0), ..., "y has")],
)  # fmt: skip
def test_the_inverse_pass_refuses_what_does_not_fit(y, activities, said):
    xp.use(dtype="float64")
    network = gait.tower((9, 7, 5, 4), np.random.default_rng(0))
    found = gait.forward(network, np.ones((6, 9)))
    with pytest.raises(PlasticError, match=said):
        gait.inverse_pass(network, np.ones(y), found[1:] if activities is None else found)


def test_forward_by_hand():
    xp.use(dtype="float64")
    layers = [
        Affine(np.array([[1.0, 2], [3, 4]]), np.array([[0.5, -20]])),
        Affine(np.array([[0.0, 1], [1, 0]]), np.zeros((1, 2))),
    ]
    network = gait.InvertibleNetwork(layers, 2)
    a0, a1, a2 = gait.forward(network, np.array([[1.0, 2.0]]))
    assert_allclose(a1, [[7.5, -1.0]])  # z = (7.5, -10)
    assert_allclose(a2, [[-0.1, 7.5]])
    assert_allclose(gait.predict(network, a0), [[-0.1, 7.5]])
    assert_allclose(gait.predict(network, a0, classes=1), [[-0.1]])
    linear = gait.InvertibleNetwork(layers, 2, linear=True)
    assert_allclose(gait.predict(linear, a0), [[-10, 7.5]])


@pytest.mark.parametrize("replicas", [(), (3,)])
def test_some_outputs_are_the_first_units_of_the_last_layer(backend, replicas):
    network = gait.tower((7, 7, 6), generators(1, 2, 3) if replicas else np.random.default_rng(1))
    x = xp.asarray(np.random.default_rng(0).standard_normal((5, 7)))
    found = gait.predict(network, x, classes=4)
    assert found.shape == (*replicas, 5, 4)
    assert_allclose(xp.asnumpy(found), xp.asnumpy(gait.forward(network, x)[-1])[..., :4], atol=1e-14)
    assert_array_equal(xp.asnumpy(found), xp.asnumpy(gait.forward(network, x, 4)[-1]))


@pytest.mark.parametrize("leading", [(), (3,)])
def test_divide_keeps_the_precision(precision, leading):
    rng = np.random.default_rng(0)
    W, g = rng.standard_normal((*leading, 6, 6)) + 3 * np.eye(6), rng.standard_normal((*leading, 4, 6))
    found = gait.divide(xp.asarray(g), xp.asarray(W))
    assert found.dtype == xp.float_dtype
    assert_allclose(xp.asnumpy(found), g @ np.linalg.inv(W), atol=1e-12 if precision == "float64" else 1e-5)


@pytest.mark.parametrize("axes", [((), (3,)), ((3,), ()), ((3,), (1,)), ((1,), (3,)), ((2, 3), (3,))])
def test_divide_broadcasts_replica_axes(backend, axes):
    rng = np.random.default_rng(0)
    W, g = rng.standard_normal((*axes[0], 6, 6)) + 3 * np.eye(6), rng.standard_normal((*axes[1], 4, 6))
    assert_allclose(xp.asnumpy(gait.divide(xp.asarray(g), xp.asarray(W))), g @ np.linalg.inv(W), atol=1e-12)


@pytest.mark.parametrize("make", [gait.square, gait.tower])
def test_weights_are_orthogonal_or_of_xavier_and_all_layers_differ(make):
    xp.use(dtype="float64")
    for orthogonal in (True, False):
        network = make((60, 60, 60, 60), np.random.default_rng(0), orthogonal=orthogonal)
        for layer in network.layers:
            deviation = np.abs(layer.W @ layer.W.T - np.eye(60)).max()
            assert deviation < 1e-12 if orthogonal else deviation > 0.1
            if not orthogonal:  # the variance 1 / n, within five standard errors
                assert np.mean(layer.W**2) * 60 == pytest.approx(1, abs=5 * np.sqrt(2 / layer.W.size))
            assert layer.b.shape == (1, 60) and not layer.b.any()
        first, second, third = (layer.W for layer in network.layers)
        assert not np.allclose(first, second) and not np.allclose(second, third)


def test_each_replica_draws_from_its_generator():
    together = gait.tower((7, 6, 4), generators(5, 8), orthogonal=False)
    for replica, seed in enumerate((5, 8)):
        alone = gait.tower((7, 6, 4), np.random.default_rng(seed), orthogonal=False)
        for layer, expected in zip(together.layers, alone.layers, strict=True):
            assert_array_equal(layer.W[replica], expected.W)


def test_a_network_is_shown_in_one_line():
    assert repr(gait.square((4, 4, 4), np.random.default_rng(0))) == "InvertibleNetwork 4-4-4, leaky 0.1"
    assert repr(gait.tower((5, 3), generators(0, 1), linear=True)) == "InvertibleNetwork 5-3, linear, replicas (2,)"
    assert [path for path, _ in parameters.leaves(gait.tower((5, 3), np.random.default_rng(0)).parameters)] == [
        "layers/0/W",
        "layers/0/b",
    ]


# as published


def test_published_square_networks_start_with_the_last_two_layers_equal():
    layers = published_layers((12,) * 4, 4, square=True, orthogonal=True)
    first, second, third, output = (layer.W for layer in layers)
    assert_array_equal(third, output)
    assert not np.allclose(first, second) and not np.allclose(second, third)
    for W in (first, second, third):
        assert_allclose(W @ W.T, np.eye(12), atol=1e-5)


def test_published_layers_draw_from_consecutive_seeds():
    for place, affine in enumerate(published_layers((6, 6, 5), 10, square=False, orthogonal=False)):
        s = (6, 6, 5)[place]
        expected = np.random.RandomState(10 + place).randn(s, s) / np.sqrt(s)
        assert_array_equal(affine.W, expected.astype(np.float32))
        assert affine.b.shape == (1, s) and not affine.b.any()


def test_published_layers_of_the_last_seeds_go_on_from_the_first():
    """Legacy generators take 32 bits."""
    layers = published_layers((4,) * 4, 2**32 - 2, square=True, orthogonal=True)
    expected = published_layers((4,) * 4, 0, square=True, orthogonal=True)
    assert_array_equal(layers[2].W, expected[0].W)
    assert_array_equal(layers[3].W, expected[0].W)


# misuse


def test_what_is_not_a_network_is_told():
    net, rng = gait.square((3, 3, 3), np.random.default_rng(0)), np.random.default_rng(0)
    a = gait.forward(net, np.ones((2, 3), np.float32))
    for call in (
        lambda other: gait.forward(other, a[0]),
        lambda other: gait.inverse(other, 0, a[1], a[0]),
        lambda other: gait.inverse_pass(other, a[2], a),
        lambda other: gait.fa_feedback(other, rng),
        lambda other: gait.dfa_feedback(other, 2, rng),
    ):
        for other in (None, net.parameters):
            with pytest.raises(PlasticError, match=r"net is a .*; it must be an InvertibleNetwork"):
                call(other)


@pytest.mark.parametrize(
    ("make", "sizes", "message"),
    [
        (gait.tower, (5, 4, 5), "5 follows 4"),
        (gait.tower, (4, 5), "5 follows 4"),
        (gait.tower, (4, 0), "sizes"),
        (gait.tower, (4, True), "sizes"),
        (gait.tower, 4, "sizes"),
        (gait.square, (4,), "sizes"),
        (gait.square, (5, 4), "square network has one width.*tower"),
        (gait.square, (0, 0), "sizes"),
        (gait.square, (4.0, 4.0), "sizes"),
    ],
)
def test_impossible_sizes(make, sizes, message):
    with pytest.raises(PlasticError, match=message):
        make(sizes, np.random.default_rng(0))


@pytest.mark.parametrize("make", [gait.square, gait.tower])
def test_constants_that_are_no_booleans(make):
    for name in ("orthogonal", "linear"):
        for value in ("no", None, 2, float("nan")):
            with pytest.raises(PlasticError, match=name):
                make((4, 4), np.random.default_rng(0), **{name: value})


def layer(s, lead=(), dtype=np.float32):
    return Affine(np.ones((*lead, s, s), dtype), np.zeros((*lead, 1, s), dtype))


@pytest.mark.parametrize(
    ("layers", "n_inputs", "message"),
    [
        ([], 4, "layers"),
        (None, 4, "layers"),
        ([np.ones((4, 4))], 4, "layers"),
        ([layer(4), layer(5)], 4, "5 follows 4"),
        ([layer(4)], 3, "4 follows 3"),
        ([layer(4)], 4.0, "n_inputs"),
        ([layer(4)], None, "n_inputs"),
        ([Affine(np.ones((4, 3), np.float32), np.zeros((1, 3), np.float32))], 3, r"layers\[0\] reads 4 units"),
        ([Affine(np.ones((4, 3), np.float32), np.zeros((1, 4), np.float32))], 4, r"layers\[0\] has W \(4, 3\)"),
        ([Affine(np.ones((4, 4), np.float32))], 4, r"layers\[0\].b"),
        ([Affine(np.ones((4, 4), np.float32), np.zeros(4, np.float32))], 4, r"layers\[0\]"),
        ([Affine(np.ones((4, 4), np.float32).tolist(), np.zeros((1, 4), np.float32))], 4, r"layers\[0\].W"),
        ([Affine(np.ones((4, 4), int), np.zeros((1, 4), int))], 4, "precision"),
        ([layer(4), layer(4, dtype=np.float64)], 4, "precision"),
        ([layer(4, (2,)), layer(4)], 4, "replica"),
        ([layer(4, (2,)), layer(4, (3,))], 4, "replica"),
        ([layer(4, (0,))], 4, "replica"),
    ],
)
def test_what_is_no_network(layers, n_inputs, message):
    with pytest.raises(PlasticError, match=message):
        gait.InvertibleNetwork(layers, n_inputs)


def test_an_inverse_of_other_rows_or_another_layer():
    network = gait.tower((5, 4, 3), np.random.default_rng(0))
    a0, a1, a2 = gait.forward(network, np.ones((2, 5), np.float32))
    for index, y, below, message in (
        (2, a2, a1, "index"),
        (-1, a2, a1, "index"),
        (1.0, a2, a1, "index"),
        (1, a1, a1, "y has shape"),
        (1, a2, a0, "a_below has shape"),
        (1, a2, a1[:1], "y has 2 rows, but a_below has 1"),
        (1, a2, a1.astype(np.float64), "a_below is float64"),
        (1, a2[:0], a1[:0], "empty"),
    ):
        with pytest.raises(PlasticError, match=message):
            gait.inverse(network, index, y, below)


def test_divisors_that_are_not_square():
    g = np.ones((2, 4), np.float32)
    for W, message in (
        (np.ones((4, 3), np.float32), "W is float32 of shape"),
        (np.ones(4, np.float32), "W is"),
        (np.ones((4, 4), int), "W is int64"),
        (np.eye(3, dtype=np.float32), "g has shape"),
        (np.eye(4), "g is float32"),
        (None, "W is a NoneType"),
    ):
        with pytest.raises(PlasticError, match=message):
            gait.divide(g, W)


def test_what_a_singular_matrix_gives(precision):
    """Not finite, like a division by 0, and not an error: other replicas are right."""
    W = np.stack([np.diag([2.0, 0.0]), np.diag([2.0, 4.0])])
    found = xp.asnumpy(gait.divide(xp.asarray(np.ones((2, 3, 2))), xp.asarray(W)))
    assert not np.isfinite(found[0]).all()
    assert_allclose(found[1], np.tile([0.5, 0.25], (3, 1)))
