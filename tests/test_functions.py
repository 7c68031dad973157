"""Activations and losses at points worked out by hand, at the kink, and against each other."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import xp
from plastic.functions import (
    accuracy,
    leaky_relu,
    leaky_relu_inverse,
    leaky_relu_slope,
    mean_squared_error,
    one_hot,
    sign_or_one,
)

ELEMENTWISE = [leaky_relu, leaky_relu_inverse, leaky_relu_slope, sign_or_one]
EPS = {"float64": 1e-15, "float32": 1e-6}


def at(function, points):
    return xp.asnumpy(function(xp.asarray(np.array(points, float))))


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (leaky_relu, [-3.0, -0.1, 0.0, 0.0, 0.5, 2.0]),
        (leaky_relu_inverse, [-300.0, -10.0, 0.0, 0.0, 0.5, 2.0]),
        (leaky_relu_slope, [0.1, 0.1, 1.0, 1.0, 1.0, 1.0]),
        (sign_or_one, [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_values_by_hand(precision, function, values):
    assert_allclose(at(function, [-30.0, -1.0, -0.0, 0.0, 0.5, 2.0]), values, rtol=EPS[precision])


def test_minus_zero_counts_as_zero_and_the_next_number_below_does_not(precision):
    below = -float(np.finfo(precision).smallest_normal)
    assert_array_equal(at(leaky_relu_slope, [-0.0, 0.0]), 1.0)
    assert_array_equal(at(sign_or_one, [-0.0, 0.0, below]), [1.0, 1.0, -1.0])
    assert_allclose(at(leaky_relu_slope, [below]), 0.1, rtol=EPS[precision])
    for function in (leaky_relu, leaky_relu_inverse):
        assert_array_equal(at(function, [-0.0, 0.0]), 0.0)


@pytest.mark.parametrize("function", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 3), (0, 3)])
def test_shape_and_precision_are_kept(precision, function, shape):
    values = np.random.default_rng(0).standard_normal(shape)
    x = xp.asarray(values)
    found = function(x)
    assert found.shape == shape and found.dtype == precision
    assert_array_equal(xp.asnumpy(x), values.astype(precision))  # the argument is left as it was


@hypothesis.given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8))
def test_the_inverse_undoes_phi_on_both_sides(precision, points):
    z = xp.asarray(np.array(points))
    expected = np.array(points, precision)
    tiny = 10 * float(np.finfo(precision).smallest_normal)  # products below it lose digits
    for found in (leaky_relu_inverse(leaky_relu(z)), leaky_relu(leaky_relu_inverse(z))):
        assert_allclose(xp.asnumpy(found), expected, rtol=EPS[precision], atol=tiny)


@hypothesis.given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8), st.sampled_from([-1.0, 1.0]))
def test_the_slope_is_the_derivative_of_phi_and_one_over_that_of_its_inverse(backend, sizes, side):
    z, h = side * np.array(sizes), 1e-4
    a = xp.asarray(at(leaky_relu, z))
    differences = (at(leaky_relu, z + h) - at(leaky_relu, z - h)) / (2 * h)
    assert_allclose(xp.asnumpy(leaky_relu_slope(a)), differences, rtol=1e-8)
    a, h = xp.asnumpy(a), 1e-5
    differences = (at(leaky_relu_inverse, a + h) - at(leaky_relu_inverse, a - h)) / (2 * h)
    assert_allclose(1 / at(leaky_relu_slope, a), differences, rtol=1e-6)


def test_mean_squared_error_by_hand(precision):
    a, y = xp.asarray(np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 0.0]])), xp.asarray(np.eye(3)[:, :2])
    found = mean_squared_error(a, y)  # differences (0, 2), (3, -2), (0, 0)
    assert found.shape == () and found.dtype == precision
    assert_allclose(xp.asnumpy(found), (4 + 9 + 4) / 6, rtol=EPS[precision])


def test_losses_are_per_replica(precision):
    """With as many replicas as samples and units, a mean over the wrong axes has the right shape."""
    rng = np.random.default_rng(0)
    a, labels = rng.standard_normal((3, 3, 3)), np.array([2, 0, 1])
    a[0, range(3), labels] = 9  # all right in the first replica, none in the second
    a[1, range(3), labels] = -9
    y = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    found = mean_squared_error(xp.asarray(a), one_hot(xp.asarray(labels), 3))
    expected = [sum((a[r, s, u] - y[s, u]) ** 2 for s in range(3) for u in range(3)) / 9 for r in range(3)]
    assert_allclose(xp.asnumpy(found), expected, rtol=10 * EPS[precision])
    found = accuracy(xp.asarray(a), xp.asarray(labels))
    expected = [sum(max(range(3), key=lambda u: a[r, s, u]) == labels[s] for s in range(3)) / 3 for r in range(3)]
    assert expected[:2] == [1, 0]
    assert_allclose(xp.asnumpy(found), expected)


def test_accuracy_by_hand(precision):
    a = xp.asarray(np.array([[0.1, 0.9], [2.0, -3.0], [-2.0, -1.0], [-1.0, -2.0]]))
    found = accuracy(a, xp.asarray(np.array([1, 0, 0, 0])))
    assert found.shape == () and float(xp.asnumpy(found)) == 0.75


def test_one_hot_by_hand(precision):
    found = one_hot(xp.asarray(np.array([2, 0, 3], np.uint8)), 4)
    assert found.dtype == precision
    assert_array_equal(xp.asnumpy(found), [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
