import numpy as np
import pytest

from plastic.data import yinyang
from plastic.errors import PlasticError


@pytest.fixture(scope="module")
def made():
    return yinyang.generate()


def classes_of(a, b):
    """The classes of points in the circle, from areas laid over each other: halves, then discs, then dots."""

    def within(centre, radius):
        return (a - centre) ** 2 + (b - 0.5) ** 2 <= radius**2

    y = np.where(b > 0.5, 1, 0)
    y[within(0.25, 0.25)] = 1
    y[within(0.75, 0.25)] = 0
    y[within(0.25, 0.1) | within(0.75, 0.1)] = 2
    return y


def test_shapes_and_types(made):
    assert {name: (array.shape, array.dtype) for name, array in made.items()} == {
        "x_train": ((5000, 4), np.float64),
        "y_train": ((5000,), np.int64),
        "x_test": ((1000, 4), np.float64),
        "y_test": ((1000,), np.int64),
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_points_lie_in_the_area_of_their_class(made, split):
    x, y = made[f"x_{split}"], made[f"y_{split}"]
    a, b = x[:, 0], x[:, 1]
    assert np.hypot(a - 0.5, b - 0.5).max() <= 0.5
    np.testing.assert_array_equal(y, classes_of(a, b))
    np.testing.assert_array_equal(x[:, 2:], 1 - x[:, :2])


def test_the_class_of_a_point():
    a, b = np.meshgrid(np.linspace(0.003, 0.997, 150), np.linspace(0.003, 0.997, 150))
    a, b = a.ravel(), b.ravel()
    inside = np.hypot(a - 0.5, b - 0.5) <= 0.5
    found = [yinyang.class_of(*point) for point in zip(a.tolist(), b.tolist(), strict=True)]
    assert [label is not None for label in found] == inside.tolist()
    np.testing.assert_array_equal([label for label in found if label is not None], classes_of(a[inside], b[inside]))


def test_half_a_turn_swaps_yin_and_yang():
    for a, b in np.random.default_rng(0).random((2000, 2)).tolist():
        turned = yinyang.class_of(1 - a, 1 - b)
        assert turned == {0: 1, 1: 0, 2: 2, None: None}[yinyang.class_of(a, b)]


def test_classes_are_balanced(made):
    """Each of probability 1/3: 5000 points are within four standard deviations, 33 each."""
    np.testing.assert_allclose(np.bincount(made["y_train"]), 5000 / 3, atol=4 * np.sqrt(5000 * 2 / 9))


def test_dots_are_uniformly_filled(made):
    """Half the points of a disc lie within 1 / sqrt(2) of its radius, and half belong to either dot."""
    x = made["x_train"][made["y_train"] == 2]
    left = x[:, 0] < 0.5
    distance = np.hypot(x[:, 0] - np.where(left, 0.25, 0.75), x[:, 1] - 0.5)
    deviation = 0.5 / np.sqrt(len(x))
    assert np.mean(distance < 0.1 / np.sqrt(2)) == pytest.approx(0.5, abs=4 * deviation)
    assert left.mean() == pytest.approx(0.5, abs=4 * deviation)


def test_a_network_without_hidden_layer_gets_as_far_as_published(made):
    """64.3 +- 0.2 % on the test set, 64.8 +- 0.2 % on the training set: softmax regression, trained to the end."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    x, y = made["x_train"], np.eye(3)[made["y_train"]]

    def cross_entropy(W):
        logits = x @ W.reshape(4, 3)
        return -np.sum(y * log_softmax(logits, axis=1)), (x.T @ (softmax(logits, axis=1) - y)).ravel()

    W = minimize(cross_entropy, np.zeros(12), jac=True).x.reshape(4, 3)
    for split, published in (("train", 0.648), ("test", 0.643)):
        accuracy = np.mean((made[f"x_{split}"] @ W).argmax(axis=1) == made[f"y_{split}"])
        assert accuracy == pytest.approx(published, abs=0.01)


def test_deterministic_in_the_seed(made):
    for n, seed, split in ((5000, 42, "train"), (1000, 40, "test")):
        x, y = yinyang.sample(n, seed)
        np.testing.assert_array_equal(x, made[f"x_{split}"])
        np.testing.assert_array_equal(y, made[f"y_{split}"])
    assert not np.array_equal(yinyang.sample(1000, 41)[0], made["x_test"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_train": 0}, "n is 0; it must be at least 1"),
        ({"n_test": -1}, "n is -1; it must be at least 1"),
        ({"n_test": 2.5}, r"n is 2\.5; it must be a whole number"),
        ({"seeds": 3}, "seeds is 3; take two"),
        ({"seeds": (1, 2, 3)}, r"seeds is \(1, 2, 3\); take two"),
        ({"seeds": (3, 3)}, r"seeds=\(3, 3\): take two different ones"),
        ({"seeds": (-1, 3)}, "seed=-1: take a whole number from 0 to 4294967295"),
        ({"seeds": (0.5, 3)}, r"seed=0\.5: take a whole number"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(PlasticError, match=message):
        yinyang.generate(**options)
