"""Activations and losses at points worked out by hand, at the kink, and against each other."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import xp
from plastic.functions import (
    accuracy,
    hardsigm,
    leaky_relu,
    leaky_relu_inverse,
    leaky_relu_slope,
    mean_squared_error,
    one_hot,
    sigm,
    sign_or_one,
    tanh,
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


ACTIVATIONS = [sigm, hardsigm, tanh]
FORMULAS = {
    "sigm": lambda v: 1 / (1 + np.exp(-4 * (v - 1 / 2))),
    "hardsigm": lambda v: np.minimum(np.maximum(v, 0), 1),
    "tanh": lambda v: (np.exp(v) - np.exp(-v)) / (np.exp(v) + np.exp(-v)),
}
ROUNDING = {"float64": 1e-15, "float32": 3e-7}  # of values of order 1
points_of = st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=8)
activations = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)


def at_points(activation, points):
    """Return the points as the working precision has them, and there the value, slope and curvature, on the host."""
    v = xp.asarray(np.array(points, float))
    rho = activation.value(v)
    return [xp.asnumpy(each) for each in (v, rho, activation.slope(v, rho), activation.curvature(v, rho))]


def clear_of_kinks(points):
    """The points that are not near 0 or 1, where hardsigm has no derivative."""
    return [v for v in points if min(abs(v), abs(v - 1)) > 1e-2]


@activations
@hypothesis.given(points_of)
def test_an_activation_is_its_formula(precision, activation, points):
    v, rho, *_ = at_points(activation, points)
    assert rho.dtype == precision
    assert_allclose(rho, FORMULAS[activation.name](v.astype("float64")), rtol=0, atol=ROUNDING[precision])


@activations
@hypothesis.given(points_of)
def test_slope_and_curvature_are_the_derivatives_of_the_formula(precision, activation, points):
    v, _, slope, curvature = at_points(activation, clear_of_kinks(points))
    formula, v, h = FORMULAS[activation.name], v.astype("float64"), 1e-3
    below, here, above = formula(v - h), formula(v), formula(v + h)
    near, far = formula(v + h / 2) - formula(v - h / 2), above - below
    assert_allclose(slope, (8 * near - far) / (6 * h), rtol=0, atol=1e-10 + 10 * ROUNDING[precision])
    assert_allclose(
        curvature + np.zeros_like(v), (above - 2 * here + below) / h**2, rtol=0, atol=1e-4 + 100 * ROUNDING[precision]
    )


def test_activations_by_hand(precision):
    """tanh(log 2) = 3/5; at rho = 1/2 sigm has the slope 1 and no curvature, at rho = 1/4 the curvature 3/2."""
    for activation, v, expected in [
        (sigm, 0.5, (0.5, 1.0, 0.0)),
        (sigm, 0.5 - np.log(3) / 4, (0.25, 0.75, 1.5)),
        (tanh, 0.0, (0.0, 1.0, 0.0)),
        (tanh, np.log(2), (0.6, 0.64, -0.768)),
        (hardsigm, 0.25, (0.25, 1.0, 0.0)),
        (hardsigm, -0.25, (0.0, 0.0, 0.0)),
        (hardsigm, 1.25, (1.0, 0.0, 0.0)),
    ]:
        _, *found = at_points(activation, v)
        assert_allclose(found, expected, rtol=0, atol=10 * ROUNDING[precision])


def test_hardsigm_has_slope_one_on_the_closed_interval(precision):
    below, above = -float(np.finfo(precision).smallest_normal), 1 + 2 * float(np.finfo(precision).eps)
    _, rho, slope, curvature = at_points(hardsigm, [below, -0.0, 0.0, 0.5, 1.0, above])
    assert_array_equal(rho, [0, 0, 0, 0.5, 1, 1])
    assert_array_equal(slope, [False, True, True, True, True, False])
    assert slope.dtype == bool and curvature == 0


@activations
def test_activations_far_out_are_flat(precision, activation):
    """No overflow on the way either: the tests turn warnings into errors."""
    _, rho, slope, curvature = at_points(activation, [-1e4, 1e4])
    assert_array_equal(rho, [-1 if activation is tanh else 0, 1])
    assert_array_equal(slope, 0)
    assert_array_equal(curvature, 0)


@activations
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 3), (0, 3)])
def test_activations_write_where_they_are_told_and_nowhere_else(precision, activation, shape):
    values = np.random.default_rng(0).normal(0.5, 1, shape)
    v, values = xp.asarray(values.copy()), values.astype(precision)
    rho = activation.value(v)
    slope, curvature = activation.slope(v, rho), activation.curvature(v, rho)
    before = xp.asnumpy(rho).copy()
    assert rho.shape == slope.shape == shape
    assert rho.dtype == precision and slope.dtype == (bool if activation is hardsigm else precision)
    assert activation is hardsigm or (curvature.shape == shape and curvature.dtype == precision)
    out, slope_out = xp.full(shape, np.nan, dtype=precision), xp.ones(shape, dtype=slope.dtype)
    assert activation.value(v, out=out) is out and activation.slope(v, rho, out=slope_out) is slope_out
    assert_array_equal(xp.asnumpy(out), before)
    assert_array_equal(xp.asnumpy(slope_out), xp.asnumpy(slope))
    assert_array_equal(xp.asnumpy(v), values)
    assert_array_equal(xp.asnumpy(rho), before)
    assert activation.value(v, out=v) is v
    assert_array_equal(xp.asnumpy(v), before)


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
