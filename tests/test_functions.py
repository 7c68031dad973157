"""Activations and losses at points worked out by hand, at the kink, and against each other."""

import copy
import pickle

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import ep, gle, pc, xp
from plastic.errors import PlasticError
from plastic.functions import (
    ACTIVATIONS as BY_NAME,
)
from plastic.functions import (
    Activation,
    accuracy,
    activation,
    classification_error,
    confusion,
    hard_tanh,
    hardsigm,
    leaky,
    leaky_relu,
    linear,
    mean_squared_error,
    one_hot,
    relu,
    sigm,
    sigmoid,
    sign_or_one,
    softmax,
    softmax_cross_entropy,
    softplus,
    tanh,
)

INVERTIBLE = leaky_relu(0.1, kink=1.0)


def leaky_relu_slope(a):
    """The slope as a rule takes it that has the activity only: v and rho(v) have the same sign."""
    return INVERTIBLE.slope(a, a)


ELEMENTWISE = [INVERTIBLE.value, INVERTIBLE.inverse, leaky_relu_slope, sign_or_one]
EPS = {"float64": 1e-15, "float32": 1e-6}


def at(function, points):
    return xp.asnumpy(function(xp.asarray(np.array(points, float))))


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (INVERTIBLE.value, [-3.0, -0.1, 0.0, 0.0, 0.5, 2.0]),
        (INVERTIBLE.inverse, [-300.0, -10.0, 0.0, 0.0, 0.5, 2.0]),
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
    for function in (INVERTIBLE.value, INVERTIBLE.inverse):
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
    for found in (INVERTIBLE.inverse(INVERTIBLE.value(z)), INVERTIBLE.value(INVERTIBLE.inverse(z))):
        assert_allclose(xp.asnumpy(found), expected, rtol=EPS[precision], atol=tiny)


@hypothesis.given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8), st.sampled_from([-1.0, 1.0]))
def test_the_slope_is_the_derivative_of_phi_and_one_over_that_of_its_inverse(backend, sizes, side):
    z, h = side * np.array(sizes), 1e-4
    a = xp.asarray(at(INVERTIBLE.value, z))
    differences = (at(INVERTIBLE.value, z + h) - at(INVERTIBLE.value, z - h)) / (2 * h)
    assert_allclose(xp.asnumpy(leaky_relu_slope(a)), differences, rtol=1e-8)
    a, h = xp.asnumpy(a), 1e-5
    differences = (at(INVERTIBLE.inverse, a + h) - at(INVERTIBLE.inverse, a - h)) / (2 * h)
    assert_allclose(1 / at(leaky_relu_slope, a), differences, rtol=1e-6)


ACTIVATIONS = [sigm, hardsigm, tanh, linear, relu, hard_tanh, sigmoid, softplus]
KINKS = {hardsigm: (0, 1), relu: (0,), hard_tanh: (-1, 1)}
WITHOUT_CURVATURE = [*KINKS, linear]  # their slopes are booleans
FORMULAS = {
    "sigm": lambda v: 1 / (1 + np.exp(-4 * (v - 1 / 2))),
    "hardsigm": lambda v: np.minimum(np.maximum(v, 0), 1),
    "tanh": lambda v: (np.exp(v) - np.exp(-v)) / (np.exp(v) + np.exp(-v)),
    "linear": lambda v: v,
    "relu": lambda v: np.where(v > 0, v, 0),
    "hard_tanh": lambda v: np.minimum(np.maximum(v, -1), 1),
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "softplus": lambda v: np.log(1 + np.exp(v)),
}
ROUNDING = {"float64": 1e-15, "float32": 3e-7}  # of values of order 1
points_of = st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=8)
activations = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)


def at_points(activation, points):
    """Return the points as the working precision has them, and there the value, slope and curvature, on the host."""
    v = xp.asarray(np.array(points, float))
    rho = activation.value(v)
    return [xp.asnumpy(each) for each in (v, rho, activation.slope(v, rho), activation.curvature(v, rho))]


def clear_of_kinks(activation, points):
    """The points that are not near those where there is no derivative."""
    return [v for v in points if all(abs(v - kink) > 1e-2 for kink in KINKS.get(activation, ()))]


@activations
@hypothesis.given(points_of)
def test_an_activation_is_its_formula(precision, activation, points):
    v, rho, *_ = at_points(activation, points)
    assert rho.dtype == precision
    eps = ROUNDING[precision]
    assert_allclose(rho, FORMULAS[activation.name](v.astype("float64")), rtol=eps, atol=eps)


@activations
@hypothesis.given(points_of)
def test_slope_and_curvature_are_the_derivatives_of_the_formula(precision, activation, points):
    v, _, slope, curvature = at_points(activation, clear_of_kinks(activation, points))
    formula, v, h = FORMULAS[activation.name], v.astype("float64"), 1e-3
    below, here, above = formula(v - h), formula(v), formula(v + h)
    near, far = formula(v + h / 2) - formula(v - h / 2), above - below
    assert_allclose(slope, (8 * near - far) / (6 * h), rtol=0, atol=1e-10 + 10 * ROUNDING[precision])
    assert_allclose(
        curvature + np.zeros_like(v), (above - 2 * here + below) / h**2, rtol=0, atol=1e-4 + 100 * ROUNDING[precision]
    )


def test_activations_by_hand(precision):
    """tanh(log 2) = 3/5; at rho = 1/2 sigm has the slope 1 and no curvature, at rho = 1/4 the curvature 3/2.

    At v = log 3 the logistic function is 3/4, which is the slope of softplus there; its value is log 4.
    """
    for each, v, expected in [
        (sigm, 0.5, (0.5, 1.0, 0.0)),
        (sigm, 0.5 - np.log(3) / 4, (0.25, 0.75, 1.5)),
        (tanh, 0.0, (0.0, 1.0, 0.0)),
        (tanh, np.log(2), (0.6, 0.64, -0.768)),
        (hardsigm, 0.25, (0.25, 1.0, 0.0)),
        (hardsigm, -0.25, (0.0, 0.0, 0.0)),
        (hardsigm, 1.25, (1.0, 0.0, 0.0)),
        (linear, -1.5, (-1.5, 1.0, 0.0)),
        (relu, 1.5, (1.5, 1.0, 0.0)),
        (relu, -1.5, (0.0, 0.0, 0.0)),
        (hard_tanh, -0.25, (-0.25, 1.0, 0.0)),
        (hard_tanh, -1.25, (-1.0, 0.0, 0.0)),
        (hard_tanh, 1.25, (1.0, 0.0, 0.0)),
        (sigmoid, 0.0, (0.5, 0.25, 0.0)),
        (sigmoid, np.log(3), (0.75, 0.1875, -0.09375)),
        (softplus, 0.0, (np.log(2), 0.5, 0.25)),
        (softplus, np.log(3), (np.log(4), 0.75, 0.1875)),
    ]:
        _, *found = at_points(each, v)
        assert_allclose(found, expected, rtol=0, atol=10 * ROUNDING[precision])


@pytest.mark.parametrize(("activation", "low"), [(hardsigm, 0.0), (hard_tanh, -1.0)])
def test_what_is_clipped_has_slope_one_on_the_closed_interval(precision, activation, low):
    eps = float(np.finfo(precision).eps)
    below, above = low - (2 * eps if low else float(np.finfo(precision).smallest_normal)), 1 + 2 * eps
    _, rho, slope, curvature = at_points(activation, [below, low, -0.0, 0.0, 0.5, 1.0, above])
    assert_array_equal(rho, [low, low, 0, 0, 0.5, 1, 1])
    assert_array_equal(slope, [False, True, True, True, True, True, False])
    assert slope.dtype == bool and curvature == 0


def test_relu_has_slope_zero_at_zero(precision):
    tiny = float(np.finfo(precision).smallest_normal)
    _, rho, slope, curvature = at_points(relu, [-1.0, -tiny, -0.0, 0.0, tiny])
    assert_array_equal(rho, [0, 0, 0, 0, tiny])
    assert_array_equal(slope, [False, False, False, False, True])
    assert slope.dtype == bool and curvature == 0


@activations
@pytest.mark.parametrize("far", [1e3, 1e4])
def test_activations_far_out_are_straight(precision, activation, far):
    """No overflow on the way either: the tests turn warnings into errors."""
    _, rho, slope, curvature = at_points(activation, [-far, far])
    low = -far if activation is linear else -1 if activation in (tanh, hard_tanh) else 0
    high = far if activation in (linear, relu, softplus) else 1
    assert_array_equal(rho, [low, high])
    assert_array_equal(slope, [low == -far, high == far])
    assert_array_equal(curvature, 0)


def test_softplus_far_below_is_an_exponential(precision):
    """To as many digits as it has: value, slope and curvature are all exp(v) there."""
    v, *found = at_points(softplus, [-20.0, -40.0, -80.0])
    for each in found[:2]:
        assert_allclose(each, np.exp(v), rtol=1e-6)


@activations
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 3), (0, 3)])
def test_activations_write_where_they_are_told_and_nowhere_else(precision, activation, shape):
    values = np.random.default_rng(0).normal(0.5, 1, shape)
    v, values = xp.asarray(values.copy()), values.astype(precision)
    rho = activation.value(v)
    slope, curvature = activation.slope(v, rho), activation.curvature(v, rho)
    before = xp.asnumpy(rho).copy()
    assert rho.shape == slope.shape == shape
    assert rho.dtype == precision and slope.dtype == (bool if activation in WITHOUT_CURVATURE else precision)
    assert activation in WITHOUT_CURVATURE or (curvature.shape == shape and curvature.dtype == precision)
    out, slope_out = xp.full(shape, np.nan, dtype=precision), xp.ones(shape, dtype=slope.dtype)
    assert activation.value(v, out=out) is out and activation.slope(v, rho, out=slope_out) is slope_out
    assert_array_equal(xp.asnumpy(out), before)
    assert_array_equal(xp.asnumpy(slope_out), xp.asnumpy(slope))
    assert_array_equal(xp.asnumpy(v), values)
    assert_array_equal(xp.asnumpy(rho), before)
    assert activation.value(v, out=v) is v
    assert_array_equal(xp.asnumpy(v), before)


@activations
@pytest.mark.parametrize("width", range(1, 10))
def test_activations_of_some_columns_of_a_wider_array(precision, activation, width):
    """As the layers of a network lie side by side; some of NumPy's own functions fail at some distances of rows."""
    v = xp.asarray(np.random.default_rng(0).standard_normal((5, width)))
    values, slopes = (xp.full((5, width), 9.0, dtype=precision) for _ in range(2))
    for columns in (slice(0, 1), slice(width - 1, width), slice(0, width - 1)):
        here, rho = v[:, columns], activation.value(v[:, columns], out=values[:, columns])
        expected = activation.value(here.copy())
        assert_allclose(xp.asnumpy(rho), xp.asnumpy(expected), rtol=1e-6)
        slope = activation.slope(here.copy(), expected)
        if activation in WITHOUT_CURVATURE:
            assert_array_equal(xp.asnumpy(activation.slope(here, rho)), xp.asnumpy(slope))
        else:
            activation.slope(here, rho, out=slopes[:, columns])
            assert_allclose(xp.asnumpy(slopes[:, columns]), xp.asnumpy(slope), rtol=1e-5)


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


@pytest.mark.parametrize("shape", [(4, 3), (5, 4, 3), (3, 3, 3, 3)])
def test_softmax_is_its_definition_over_the_last_axis(precision, shape):
    a = 2 * np.random.default_rng(0).standard_normal(shape)
    found = softmax(xp.asarray(a))
    assert found.shape == shape and found.dtype == precision
    e = np.exp(a)
    assert_allclose(xp.asnumpy(found), e / e.sum(axis=-1, keepdims=True), rtol=EPS[precision] * 10)


def test_softmax_does_not_change_with_a_constant_nor_changes_its_argument(backend):
    """Whose exp would overflow; each sample has its own."""
    a = 2 * np.random.default_rng(0).standard_normal((5, 4, 3))
    y, shifts = xp.asarray(a.copy()), xp.asarray(5000.0 * np.arange(1, 5)[:, None])
    assert_allclose(xp.asnumpy(softmax(y + shifts)), xp.asnumpy(softmax(y)), rtol=1e-10)
    assert_array_equal(xp.asnumpy(y), a)


def test_accuracy_by_hand(precision):
    a = xp.asarray(np.array([[0.1, 0.9], [2.0, -3.0], [-2.0, -1.0], [-1.0, -2.0]]))
    found = accuracy(a, xp.asarray(np.array([1, 0, 0, 0])))
    assert found.shape == () and float(xp.asnumpy(found)) == 0.75


def test_one_hot_by_hand(precision):
    found = one_hot(xp.asarray(np.array([2, 0, 3], np.uint8)), 4)
    assert found.dtype == precision
    assert_array_equal(xp.asnumpy(found), [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def test_leaky_by_hand(precision):
    """A hundredth below zero; at zero, from whichever side, the slope is that below."""
    tiny = float(np.finfo(precision).smallest_normal)
    v, rho, slope, curvature = at_points(leaky, [-1e4, -2.0, -tiny, -0.0, 0.0, tiny, 0.5, 1e4])
    assert rho.dtype == slope.dtype == precision
    assert_allclose(rho, np.where(v > 0, v, v / 100), rtol=1e-6, atol=tiny)
    assert_allclose(slope, [0.01, 0.01, 0.01, 0.01, 0.01, 1, 1, 1], rtol=1e-6)
    assert_array_equal(curvature, 0)


@hypothesis.given(points_of)
def test_the_slope_of_leaky_is_its_derivative(backend, points):
    v, _, slope, _ = at_points(leaky, [point for point in points if abs(point) > 1e-2])
    above, below = (xp.asnumpy(leaky.value(xp.asarray(v + h))) for h in (1e-3, -1e-3))
    assert_allclose(slope, (above - below) / 2e-3, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 3), (0, 3)])
def test_leaky_writes_where_it_is_told_and_nowhere_else(precision, shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(precision)
    v = xp.asarray(values.copy())
    rho = leaky.value(v)
    slope, before = leaky.slope(v, rho), xp.asnumpy(rho).copy()
    assert rho.shape == slope.shape == shape and rho.dtype == slope.dtype == precision
    out, slope_out = (xp.full(shape, np.nan, dtype=precision) for _ in range(2))
    assert leaky.value(v, out=out) is out and leaky.slope(v, rho, out=slope_out) is slope_out
    assert_array_equal(xp.asnumpy(out), before)
    assert_array_equal(xp.asnumpy(slope_out), xp.asnumpy(slope))
    assert_array_equal(xp.asnumpy(v), values)
    assert_array_equal(xp.asnumpy(rho), before)
    assert leaky.value(v, out=v) is v
    assert_array_equal(xp.asnumpy(v), before)


# activations as records


def test_an_activation_is_shown_by_its_name_and_found_by_it():
    for name, each in BY_NAME.items():
        assert repr(each) == name and activation(name) is each and activation(each) is each
    with pytest.raises(PlasticError, match=r"'tahn'.*did you mean tanh\?"):
        activation("tahn")
    for wrong in (None, 3, np.tanh):
        with pytest.raises(PlasticError, match="the activation is"):
            activation(wrong)
    with pytest.raises(PlasticError, match=r"'tanh'>, of which rules need the slope.*functions\.Activation"):
        activation(np.tanh)


@hypothesis.given(points_of)
def test_an_activation_of_ones_own_is_two_lines(backend, points):
    softsign = Activation("softsign", lambda v: v / (1 + xp.abs(v)), lambda v, rho: (1 - xp.abs(rho)) ** 2)
    v = xp.asarray(np.array([point for point in points if abs(point) > 1e-2], float))
    rho, out = softsign.value(v), xp.full(v.shape, np.nan, dtype=v.dtype)
    assert softsign.value(v, out=out) is out
    assert_array_equal(xp.asnumpy(out), xp.asnumpy(rho))
    differences = (xp.asnumpy(softsign.value(v + 1e-5)) - xp.asnumpy(softsign.value(v - 1e-5))) / 2e-5
    assert_allclose(xp.asnumpy(softsign.slope(v, rho, out=out)), differences, rtol=1e-6)
    own = v.copy()
    assert_array_equal(xp.asnumpy(softsign.value(own, out=own)), xp.asnumpy(rho))
    for missing in (softsign.curvature, softsign.inverse):
        with pytest.raises(PlasticError, match=r"softsign has no (curvature|inverse)"):
            missing(v, rho)


@pytest.mark.parametrize(
    ("value", "slope", "said"),
    [
        (lambda v: v.sum(), lambda v, rho: v, r"value\(v\) gives float32 of 0 axes"),
        (lambda v: np.float64(2) * v, lambda v, rho: v, r"value\(v\) gives float64 of 2 axes, of v of float32"),
        (lambda v: v > 0, lambda v, rho: v, r"value\(v\) gives bool"),
        (lambda v: 2 * v, lambda v, rho: 2.0, r"slope\(v, rho\) gives a float, .*xp.ones_like\(v\) times a constant"),
        (lambda v: 2 * v, lambda v, rho: v.astype("float64"), r"slope\(v, rho\) gives float64 of 2 axes"),
        (lambda v: 2 * v, lambda v, rho: (v > 0).astype(int), r"slope\(v, rho\) gives int64"),
    ],
)
def test_an_activation_of_ones_own_gives_arrays_like_its_argument(value, slope, said):
    own = Activation("own", value, slope)
    for make in (
        lambda: pc.network((3, 4, 2), np.random.default_rng(0), phi=own),
        lambda: ep.prototypical((3, 4, 2), np.random.default_rng(0), phi=own),
        lambda: gle.network((3, 4, 2), np.random.default_rng(0), phi=[own, "linear"], tau_m=1.0, tau_r=0.1, dt=0.1),
    ):
        with pytest.raises(PlasticError, match=f"the activation own: {said}"):
            make()


def test_activations_that_are_steps_or_unbounded_are_taken_in_both_precisions(precision):
    """And functions of the backend as they are, which may show no signature."""
    for value, slope in ((xp.sign, lambda v, rho: v != v), (lambda v: xp.log(v - 1), lambda v, rho: 1 / (v - 1))):
        own = Activation("own", value, slope)
        assert activation(own) is own
    out = xp.zeros((1, 1), dtype=xp.float_dtype)
    assert Activation("own", xp.sign, slope).value(out - 2, out=out) is out and xp.asnumpy(out) == -1


def test_an_activation_that_cannot_be_called_is_told():
    for value, slope, said in (
        (None, np.tanh, "the value of the activation 'own' is None; it must be a function"),
        (np.tanh, 2.0, r"the slope of the activation 'own' is 2.0"),
    ):
        with pytest.raises(PlasticError, match=said):
            Activation("own", value, slope)
    with pytest.raises(PlasticError, match="the name of an activation is 3"):
        Activation(3, np.tanh, np.tanh)
    for value, slope in ((np.tanh, lambda v: v), (lambda v: v.reshape(3), lambda v, rho: v)):
        with pytest.raises(PlasticError, match=r"the activation own fails on v of shape \(1, 2\): (Type|Value)Error"):
            pc.network((3, 4, 2), np.random.default_rng(0), phi=Activation("own", value, slope))


def test_copies_share_activations():
    own = Activation("own", lambda v: 2 * v, lambda v, rho: v)
    assert copy.deepcopy([own, tanh])[0] is own and copy.copy(own) is own
    assert pickle.loads(pickle.dumps(tanh)) is tanh


def test_the_leaky_rectifier_refuses_slopes_that_are_none():
    for arguments in ((0,), (1,), (-0.1,), (float("nan"),), ("0.1",), (True,), (0.1, 0.5)):
        with pytest.raises(PlasticError, match=r"leak|kink"):
            leaky_relu(*arguments)


# misuse of losses


def test_losses_refuse_what_does_not_belong_together(backend):
    a = xp.asarray(np.zeros((4, 3)))
    column, short, floats = (xp.asarray(each) for each in (np.zeros((4, 1), int), np.zeros(3, int), np.zeros(4)))
    rows = xp.asarray(np.eye(4)[:, :3].astype(int))
    for labels in (column, short, floats, rows):
        with pytest.raises(PlasticError, match="labels"):
            accuracy(a, labels)
        with pytest.raises(PlasticError, match="labels"):
            softmax_cross_entropy(a, labels) if labels is not short else softmax_cross_entropy(a, floats)
    for labels in (np.zeros(4, int), [0, 1, 2, 0]):
        if backend != "numpy" or isinstance(labels, list):
            with pytest.raises(PlasticError, match="labels"):
                one_hot(labels, 3)
    for classes in (0, 2.5, True, "3"):
        with pytest.raises(PlasticError, match="classes"):
            one_hot(short, classes)
    for target in (a[:1], a[:, :1], a[0], column):
        for loss in (mean_squared_error, classification_error):
            with pytest.raises(PlasticError, match="do not belong together"):
                loss(a, target)
    labels = xp.asarray([0, 1])
    for call, second in (
        (mean_squared_error, a),
        (accuracy, labels),
        (confusion, labels),
        (softmax_cross_entropy, labels),
    ):
        with pytest.raises(PlasticError, match="a is a list, not an array"):
            call([[0.0, 1.0], [1.0, 0.0]], second)
    with pytest.raises(PlasticError, match="y is a list, not an array"):
        classification_error(a, [[0.0, 1.0, 0.0]] * 4)


def test_labels_out_of_range_are_refused_on_the_host():
    a = np.zeros((3, 2))
    for labels in (np.array([0, 1, 2]), np.array([-1, 0, 1])):
        for call in (accuracy, softmax_cross_entropy, lambda a, labels: one_hot(labels, 2)):
            with pytest.raises(PlasticError, match=r"labels run from .*2 classes"):
                call(a, labels)


def test_one_hot_of_replicas(precision):
    found = one_hot(xp.asarray(np.array([[1, 0], [2, 2]])), 3)
    assert_array_equal(xp.asnumpy(found), np.eye(3)[[[1, 0], [2, 2]]])


def test_a_tie_and_a_nan_are_errors(backend):
    a = xp.asarray(np.array([[1.0, 0.0], [0.5, 0.5], [np.nan, 1.0], [0.0, 2.0]]))
    y = xp.asarray(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
    assert float(xp.asnumpy(classification_error(a, y))) == 0.5


@pytest.mark.parametrize("far", [1e-30, 1.0, 80.0, 1e4])
def test_ordinary_values_raise_nothing_under_a_strict_errstate(precision, far):
    v = xp.asarray(np.array([-far, far, 0.0]))
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        for each in BY_NAME.values():
            with xp.underflow_is_ordinary():
                rho = each.value(v)
                each.slope(v, rho)
                each.curvature(v, rho)
    with np.errstate(all="raise"):
        softmax(v)
        softmax_cross_entropy(v[None], xp.asarray(np.array([1])))
