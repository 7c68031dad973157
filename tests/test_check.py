"""The public checker passes right gradients, fails wrong ones, and its measures are what their formulas say."""

import dataclasses

import hypothesis
import hypothesis.extra.numpy as arrays_of
import hypothesis.strategies as st
import numpy as np
import pytest

from plastic import check, parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine

MEASURES = [check.cosine, check.sign_agreement, check.relative_rmse]


@dataclasses.dataclass
class Problem:
    """Two layers, tanh between them, half the squared error; the gradient by the chain rule."""

    layers: list
    x: object
    y: object

    def loss(self, layers):
        h = xp.tanh(self.x @ layers[0].W + layers[0].b)
        return 0.5 * xp.sum((h @ layers[1].W - self.y) ** 2)

    def gradient(self):
        h = xp.tanh(self.x @ self.layers[0].W + self.layers[0].b)
        e = h @ self.layers[1].W - self.y
        d = (e @ self.layers[1].W.T) * (1 - h**2)
        return [Affine(self.x.T @ d, xp.sum(d, axis=0, keepdims=True)), Affine(h.T @ e)]


def make_problem(dtype="float64", scale=1.0):
    draw = np.random.default_rng(3).normal
    layers = [Affine(draw(size=(4, 3)), draw(size=(1, 3))), Affine(draw(size=(3, 2)) * scale)]
    layers = parameters.map(lambda leaf: xp.asarray(leaf, dtype=dtype), layers)
    x, y = draw(size=(6, 4)), draw(size=(6, 2))
    return Problem(layers, xp.asarray(x, dtype=dtype), xp.asarray(y, dtype=dtype))


LEAVES = ["0/W", "0/b", "1/W"]


def test_a_right_gradient_passes(backend):
    problem = make_problem()
    before = parameters.copy(problem.layers)
    errors = check.gradient(problem.loss, problem.layers, problem.gradient())
    assert list(errors) == LEAVES
    assert all(isinstance(error, float) and 0 <= error < 1e-7 for error in errors.values())
    for (_, leaf), (_, original) in zip(parameters.leaves(problem.layers), parameters.leaves(before), strict=True):
        np.testing.assert_array_equal(xp.asnumpy(leaf), xp.asnumpy(original))


@pytest.mark.parametrize("wrong", [{"eps": 0.0}, {"eps": -1e-5}, {"max_entries": 0}, {"max_entries": 1.5}])
def test_constants_out_of_range_are_refused(wrong):
    """A check of no entries would pass whatever the gradient is."""
    (name,) = wrong
    w = np.array([1.0, 2.0])
    for call in (check.gradient, check.finite_differences):
        arguments = (lambda w: np.sum(w**2), w, *([2 * w] if call is check.gradient else []))
        with pytest.raises(PlasticError, match=name):
            call(*arguments, **wrong)
    with pytest.raises(PlasticError, match="tolerance"):
        check.gradient(lambda w: np.sum(w**2), w, 2 * w, tolerance=0.0)


@pytest.mark.parametrize("factor", [-1.0, 1.001, 0.999, 0.0])
@pytest.mark.parametrize("wrong", LEAVES)
def test_a_wrong_factor_in_any_leaf_fails(backend, wrong, factor):
    problem = make_problem()
    grads = problem.gradient()
    dict(parameters.leaves(grads))[wrong][...] *= factor
    with pytest.raises(AssertionError) as failure:
        check.gradient(problem.loss, problem.layers, grads)
    message = str(failure.value)
    assert f"\n{wrong}[" in message and "wrong in 1 of 3 leaves" in message
    assert all(f"\n{path}[" not in message for path in LEAVES if path != wrong)


def test_the_message_names_the_worst_entry_and_both_values():
    weights = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    grads = 2 * weights  # of sum(w^2)
    grads[0, 1] *= 1.001
    grads[1, 2] *= 1.002
    with pytest.raises(
        AssertionError, match=r"w\[1, 2\]: gradient 12\.024, finite difference 1[12][.\d]*, .* 0\.002 > 1e-06"
    ):
        check.gradient(lambda tree: np.sum(tree["w"] ** 2), {"w": weights}, {"w": grads})


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3])
def test_right_and_wrong_are_told_apart_at_any_scale_of_the_loss(scale):
    problem = make_problem()
    grads = parameters.map(lambda grad: scale * grad, problem.gradient())

    def loss(tree):
        return scale * problem.loss(tree)

    check.gradient(loss, problem.layers, grads)
    grads[0].b *= 1.001
    with pytest.raises(AssertionError, match=r"0/b\["):
        check.gradient(loss, problem.layers, grads)


def test_a_single_wrong_entry_fails_beside_much_larger_ones():
    weights = np.array([1e-3, 1.0, 1e3])
    grads = 2 * weights
    loss = lambda w: np.sum(w**2)  # noqa: E731
    check.gradient(lambda w: loss(w[:2]), weights[:2], grads[:2])
    grads[0] *= 1.01
    with pytest.raises(AssertionError, match=r"\[0\]"):
        check.gradient(lambda w: loss(w[:2]), weights[:2], grads[:2])


def test_rounding_of_a_large_loss_is_no_error_of_the_gradient():
    w = np.array([0.1, 1.0, -2.0])
    check.gradient(lambda w: 1e6 + np.sum(w**2), w, 2 * w)


def test_truncation_at_a_small_entry_is_no_error_of_the_gradient():
    w = np.array([0.0, 1.0, -1.0])  # the gradient of w^3 is 0 at 0, its central difference h^2; the loss itself is 0
    check.gradient(lambda w: np.sum(w**3), w, 3 * w**2)


def test_zero_gradients():
    problem = make_problem(scale=0.0)  # the second layer's weights are zero: nothing reaches the first
    errors = check.gradient(problem.loss, problem.layers, problem.gradient())
    assert errors["0/W"] == errors["0/b"] == 0.0
    ignored = np.ones(3)
    assert check.gradient(lambda w: 0.0, ignored, np.zeros(3)) == {"": 0.0}
    with pytest.raises(AssertionError):
        check.gradient(lambda w: 0.0, ignored, np.full(3, 1e-9))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_fail(bad):
    problem = make_problem()
    grads = problem.gradient()
    grads[1].W[2, 0] = bad
    with pytest.raises(AssertionError, match=r"1/W\[2, 0\]"):
        check.gradient(problem.loss, problem.layers, grads)
    with pytest.raises(AssertionError):
        check.gradient(lambda w: float(bad), np.ones(2), np.zeros(2))


def test_finite_differences_of_a_polynomial(backend):
    values = np.random.default_rng(0).normal(size=(2, 3)) * [1.0, 10.0, 100.0]
    w, c = xp.asarray(values), xp.asarray(np.array(0.5))
    result = check.finite_differences(lambda t: xp.sum(t["w"] ** 3) * t["c"], {"w": w, "c": c})
    assert result["w"].dtype == result["c"].dtype == "float64"
    rounding = np.finfo(float).eps ** (2 / 3) * np.sum(np.abs(values) ** 3)  # of a sum in any order, over the step
    np.testing.assert_allclose(xp.asnumpy(result["w"]), 3 * values**2 * 0.5, rtol=1e-6, atol=rounding)
    np.testing.assert_allclose(xp.asnumpy(result["c"]), np.sum(values**3), rtol=1e-6, atol=rounding)


def test_finite_differences_are_central_and_of_second_order():
    # of w^3 they are exactly 3 w^2 + h^2, with h = eps max(1, |w|)
    w = np.array([0.5, -4.0])
    for eps in (1e-1, 1e-2):
        result = check.finite_differences(lambda w: np.sum(w**3), w, eps=eps)
        np.testing.assert_allclose(result, 3 * w**2 + (eps * np.array([1.0, 4.0])) ** 2, rtol=1e-11)


def test_a_sample_of_entries(backend):
    values = np.random.default_rng(0).normal(size=(5, 4))
    calls = []

    def loss(w):
        calls.append(1)
        return xp.sum(w**2)

    result = xp.asnumpy(check.finite_differences(loss, xp.asarray(values), max_entries=7, seed=1))
    again = xp.asnumpy(check.finite_differences(loss, xp.asarray(values), max_entries=7, seed=1))
    other = xp.asnumpy(check.finite_differences(loss, xp.asarray(values), max_entries=7, seed=2))
    known = np.isfinite(result)
    assert known.sum() == 7 and len(calls) == 3 * 2 * 7
    np.testing.assert_allclose(result[known], 2 * values[known], rtol=1e-6)
    np.testing.assert_array_equal(result, again)
    assert (np.isfinite(other) != known).any()
    assert check.gradient(loss, xp.asarray(values), xp.asarray(2 * values), max_entries=100)[""] < 1e-6
    with pytest.raises(AssertionError):
        check.gradient(loss, xp.asarray(values), xp.asarray(2.002 * values), max_entries=1)


def test_entries_are_put_back_when_the_loss_raises(backend):
    w = xp.asarray(np.array([0.1, 0.2, 0.3]))
    calls = []

    def loss(w):
        calls.append(1)
        if len(calls) == 4:
            raise ZeroDivisionError
        return xp.sum(w)

    with pytest.raises(ZeroDivisionError):
        check.finite_differences(loss, w)
    np.testing.assert_array_equal(xp.asnumpy(w), [0.1, 0.2, 0.3])


def test_bad_input_is_named():
    problem = make_problem("float32")
    with pytest.raises(PlasticError, match="0/W is float32; finite differences need float64"):
        check.finite_differences(problem.loss, problem.layers)
    problem = make_problem()
    grads = problem.gradient()
    with pytest.raises(PlasticError, match="1/W is float32"):
        check.gradient(problem.loss, problem.layers, [grads[0], Affine(grads[1].W.astype("float32"))])
    with pytest.raises(PlasticError, match="1/b"):
        check.gradient(problem.loss, problem.layers, [grads[0], Affine(grads[1].W, np.zeros((1, 2)))])
    with pytest.raises(PlasticError, match=r"0/W has shape \(4, 3\) against \(3, 4\)"):
        check.gradient(problem.loss, problem.layers, [Affine(grads[0].W.T, grads[0].b), grads[1]])
    with pytest.raises(PlasticError, match=r"one float64 number, not float64 of shape \(2,\)"):
        check.finite_differences(lambda w: w, np.ones(2))
    with pytest.raises(PlasticError, match="one float64 number, not float32"):
        check.finite_differences(lambda w: np.float32(1.0), np.ones(2))
    with pytest.raises(PlasticError, match="the array is float; "):
        check.finite_differences(lambda w: 0.0, 1.0)
    with pytest.raises(PlasticError, match="loss is a float; it must be a function of the tree"):
        check.finite_differences(0.0, np.ones(2))
    with pytest.raises(PlasticError, match=r"eps is an array of shape \(2,\); it must be one number"):
        check.finite_differences(lambda w: np.sum(w), np.ones(2), eps=np.ones(2))
    for measure in MEASURES:
        with pytest.raises(PlasticError, match="the array has shape"):
            measure(np.ones((2, 2)), np.ones((2, 3)))
        with pytest.raises(PlasticError, match="W is a float, not an array"):
            measure({"W": 1.0}, {"W": 1.0})
    for measure, third in ((check.target_alignment, "y"), (check.prospective_index, "inferred")):
        rows = {"before": np.ones((2, 3)), "after": np.zeros((2, 3)), third: np.zeros((2, 3))}
        for name in rows:
            with pytest.raises(PlasticError, match=f"{name} is a list, not an array"):
                measure(**rows | {name: [[0.0, 1.0, 2.0]]})


def test_measures_by_path(precision):
    a, b = make_problem(precision).gradient(), make_problem(precision, scale=2.0).gradient()
    host_a, host_b = ({path: xp.asnumpy(leaf).astype("float64") for path, leaf in parameters.leaves(t)} for t in (a, b))
    for measure, formula in [
        (check.cosine, lambda u, v: np.sum(u * v) / np.sqrt(np.sum(u**2) * np.sum(v**2))),
        (check.sign_agreement, lambda u, v: np.mean(np.sign(u) == np.sign(v))),
        (check.relative_rmse, lambda u, v: np.sqrt(np.mean((u - v) ** 2)) / np.sqrt(np.mean(v**2))),
    ]:
        found = measure(a, b)
        assert list(found) == LEAVES
        for path, value in found.items():
            assert value.shape == () and value.dtype == precision
            np.testing.assert_allclose(xp.asnumpy(value), formula(host_a[path], host_b[path]), rtol=1e-5)


def test_replica_axes_are_kept(precision):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 3, 3)), rng.normal(size=(2, 3, 3, 3))
    for measure in MEASURES:
        together = measure(xp.asarray(a), xp.asarray(b))[""]
        assert together.shape == (2, 3) and together.dtype == precision
        for i in range(2):
            for j in range(3):
                alone = measure(xp.asarray(a[i, j]), xp.asarray(b[i, j]))[""]
                np.testing.assert_allclose(xp.asnumpy(together[i, j]), xp.asnumpy(alone), rtol=1e-5)


def test_values_known_by_hand(precision):
    a, b = xp.asarray(np.array([[3.0, 0.0], [-4.0, 0.0]])), xp.asarray(np.array([[3.0, 0.0], [4.0, 1.0]]))
    expected = {check.cosine: -7 / (5 * 26**0.5), check.sign_agreement: 0.5, check.relative_rmse: (65 / 26) ** 0.5}
    for measure, value in expected.items():
        np.testing.assert_allclose(xp.asnumpy(measure(a, b)[""]), value, rtol=1e-6)
    vector = xp.asarray(np.array([1.0, 2.0, 2.0]))
    number = xp.asarray(np.array(-2.0))
    for measure, of_vector, of_number in zip(MEASURES, (1.0, 1.0, 0.0), (1.0, 1.0, 0.0), strict=True):
        np.testing.assert_allclose(xp.asnumpy(measure(vector, vector)[""]), of_vector, atol=1e-6)
        np.testing.assert_allclose(xp.asnumpy(measure(number, number)[""]), of_number, atol=1e-6)


def test_zero_updates(precision):
    zero, one = xp.zeros((2, 2), dtype=precision), xp.ones((2, 2), dtype=precision)
    for a, b in [(zero, one), (one, zero), (zero, zero)]:
        assert np.isnan(xp.asnumpy(check.cosine(a, b)[""]))
    assert xp.asnumpy(check.sign_agreement(zero, zero)[""]) == 1.0
    assert xp.asnumpy(check.sign_agreement(zero, one)[""]) == 0.0
    assert xp.asnumpy(check.relative_rmse(zero, one)[""]) == 1.0
    assert xp.asnumpy(check.relative_rmse(one, zero)[""]) == np.inf
    assert np.isnan(xp.asnumpy(check.relative_rmse(zero, zero)[""]))


def test_a_diverged_replica_leaves_the_others_alone(precision):
    a = np.random.default_rng(0).normal(size=(3, 2, 2))
    b = 2 * a
    for bad in (np.nan, np.inf):
        a[1, 0, 1] = bad
        for measure, value in [(check.cosine, 1.0), (check.relative_rmse, 0.5)]:
            found = xp.asnumpy(measure(xp.asarray(a), xp.asarray(b))[""])
            np.testing.assert_allclose(found[[0, 2]], value, rtol=1e-5)
            assert not np.isfinite(found[1])


entries = st.floats(-100, 100, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3)
pairs = arrays_of.array_shapes(min_dims=2, max_dims=3, max_side=4).flatmap(
    lambda shape: st.tuples(*[arrays_of.arrays("float32", shape, elements=entries)] * 2)
)


@hypothesis.given(pairs)
def test_cosine_is_bounded_symmetric_and_odd(pair):
    a, b = pair
    value = check.cosine(a, b)[""]
    defined = (np.abs(a).max(axis=(-2, -1)) > 0) & (np.abs(b).max(axis=(-2, -1)) > 0)
    np.testing.assert_array_equal(np.isfinite(value), defined)
    assert (np.abs(value[defined]) <= 1).all()
    np.testing.assert_allclose(check.cosine(b, a)[""], value, atol=1e-6)
    np.testing.assert_allclose(check.cosine(-a, b)[""], -value, atol=1e-6)
    np.testing.assert_allclose(check.cosine(a, a)[""][defined], 1.0, atol=1e-6)


@hypothesis.given(pairs, st.integers(-115, 115), st.integers(-115, 115))
def test_scale_invariance_up_to_the_ends_of_float32(pair, m, n):
    a, b = pair
    scaled_a, scaled_b = np.ldexp(a, m), np.ldexp(b, n)  # powers of two: exact, up to 2^122 and down to 2^-125
    assert np.isfinite(scaled_a).all() and np.isfinite(scaled_b).all()
    np.testing.assert_allclose(check.cosine(scaled_a, scaled_b)[""], check.cosine(a, b)[""], atol=1e-6)
    np.testing.assert_array_equal(check.sign_agreement(scaled_a, scaled_b)[""], check.sign_agreement(a, b)[""])
    np.testing.assert_allclose(
        check.relative_rmse(scaled_a, np.ldexp(b, m))[""], check.relative_rmse(a, b)[""], rtol=1e-5
    )


@hypothesis.given(pairs)
def test_sign_agreement_counts(pair):
    a, b = pair
    agreement = check.sign_agreement(a, b)[""]
    assert ((0 <= agreement) & (agreement <= 1)).all()
    assert (check.sign_agreement(a, a)[""] == 1).all()
    zeros = ((a == 0) & (b == 0)).mean(axis=(-2, -1))
    one_zero = ((a == 0) ^ (b == 0)).mean(axis=(-2, -1))
    np.testing.assert_allclose(agreement + check.sign_agreement(-a, b)[""], 1 - one_zero + zeros, atol=1e-6)


@hypothesis.given(arrays_of.arrays("float32", (3, 4), elements=entries), st.floats(-3, 3, width=32))
def test_relative_rmse_of_a_multiple(b, factor):
    hypothesis.assume(np.abs(b).max() > 0)
    np.testing.assert_allclose(check.relative_rmse(b + np.float32(factor) * b, b)[""], abs(factor), atol=1e-5)


def test_the_direction_of_a_row_does_not_depend_on_how_far_it_went():
    xp.use("numpy", dtype="float64")
    o, y = np.array([[0.0, 1.0]]), np.array([[3.0, 5.0]])
    for scale in (1e-200, 1.0, 1e200):
        found = check.target_alignment(o * scale, (o + [[1.0, 1.0]]) * scale, y * scale)
        np.testing.assert_allclose(found, 7 / np.sqrt(2 * 25), rtol=1e-12)
