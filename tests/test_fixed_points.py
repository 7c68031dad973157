"""Anderson's acceleration against theory and against the textbook's least squares, row by row."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import xp
from plastic.errors import PlasticError
from plastic.fixed_points import Anderson


def linear_maps(n, rows, norm=0.9, seed=0):
    """Contractions x W + b, another one for each row: their map, its fixed points (rows, n)."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((*rows, n, n))
    W *= norm / np.linalg.norm(W, 2, axis=(-2, -1))[..., None, None]
    b = rng.standard_normal((*rows, n))
    solution = np.linalg.solve(np.eye(n) - np.swapaxes(W, -1, -2), b[..., None])[..., 0]
    W, b = xp.asarray(W), xp.asarray(b)
    return lambda x: (x[..., None, :] @ W)[..., 0, :] + b, solution


def solve(G, x, steps, memory):
    anderson = Anderson(x, memory)
    for _ in range(steps):
        x = anderson.next(x, G(x))
    return x, anderson


def textbook(G, x, steps, memory):
    """Anderson's acceleration of one vector as Walker and Ni write it, without a safeguard."""
    points = []
    for _ in range(steps):
        image = G(x)
        points = [*points, (image, image - x)][-memory - 1 :]
        images, f = (np.array(each) for each in zip(*points, strict=True))
        x = image - np.linalg.lstsq(np.diff(f, axis=0).T, f[-1], rcond=None)[0] @ np.diff(images, axis=0)
    return x


def runaway(x):
    """Contracts every interval towards 0, but the secants of its residual -arctan(x) lead away from there."""
    return x - xp.arctan(x)


@pytest.mark.parametrize("rows", [(4,), (2, 3)])
def test_a_linear_contraction_is_solved_in_one_step_more_than_it_has_dimensions(precision, rows):
    n = 5
    G, solution = linear_maps(n, rows)
    zero = xp.zeros((*rows, n), dtype=xp.float_dtype)
    found = {steps: np.abs(xp.asnumpy(solve(G, zero, steps, n)[0]) - solution).max(axis=-1) for steps in (n, n + 1)}
    near = 1e-9 if precision == "float64" else 1e-4
    assert np.all(found[n + 1] < near) and np.median(found[n]) > 10 * near


def test_less_memory_than_dimensions_still_beats_plain_steps():
    xp.use(dtype="float64")
    G, solution = linear_maps(40, (3,), norm=0.97)
    plain, zero = np.zeros((3, 40)), np.zeros((3, 40))
    for _ in range(40):
        plain = G(plain)
    accelerated, _ = solve(G, zero, 40, 4)
    assert np.all(np.linalg.norm(accelerated - solution, axis=1) < 0.1 * np.linalg.norm(plain - solution, axis=1))


@pytest.mark.parametrize("memory", [1, 3])
def test_points_are_those_of_the_textbook(memory):
    xp.use(dtype="float64")
    G, _ = linear_maps(6, (1,), norm=0.5)
    for steps in range(1, 8):
        found, _ = solve(G, np.zeros((1, 6)), steps, memory)
        assert_allclose(found[0], textbook(lambda v: G(v[None])[0], np.zeros(6), steps, memory), rtol=1e-6, atol=1e-9)


def test_the_safeguard_holds_where_the_textbook_runs_away(backend):
    """Also beside a row that needs no safeguard."""
    start = 10.0
    with np.errstate(over="ignore"):
        assert abs(textbook(runaway, np.array([start]), 40, 1)[0] if backend == "numpy" else 1e9) > 1e3
    x, _ = solve(runaway, xp.asarray([[start], [0.1]]), 40, 1)
    assert np.abs(xp.asnumpy(x)).max() < 1e-12


def test_a_point_that_failed_is_followed_by_the_plain_step_of_the_last_good_one():
    """Then by the secant through these two: what was known before is forgotten, and the failed point does not count."""
    xp.use(dtype="float64")
    x, anderson, seen = np.array([[10.0]]), Anderson(np.zeros((1, 1)), 2), []
    for step in range(4):
        seen.append(x)
        x = anderson.next(x, runaway(x))
        if step == 2:
            assert abs(np.arctan(seen[2])) > abs(np.arctan(seen[1]))  # the residual has not fallen
            assert_allclose(x, runaway(seen[1]))
            assert_allclose(anderson.plain, x)
            assert np.isinf(anderson.residual)  # the plain step is good whatever its residual
    assert_allclose(seen[1], runaway(seen[0]))
    (f, image), (f_plain, image_plain) = ((-np.arctan(each), runaway(each)) for each in (seen[1], seen[3]))
    assert_allclose(x, image_plain - f_plain / (f_plain - f) * (image_plain - image))


def test_residuals_of_good_points_fall():
    """But for those of the plain steps after a failure; `plain` is G of the good point with the last one."""
    xp.use(dtype="float64")
    x, anderson, last = np.array([[3.0], [8.0]]), Anderson(np.zeros((2, 1)), 2), np.full((2, 1), np.inf)
    for _ in range(30):
        image = runaway(x)
        x = anderson.next(x, image)
        good = np.isfinite(anderson.residual)
        assert np.all((anderson.residual < last)[good & np.isfinite(last)])
        assert_allclose(anderson.plain[good], image[good])
        last = anderson.residual


def test_a_row_does_not_depend_on_its_neighbours(backend):
    starts = [10.0, 0.3, -25.0, 2.0]
    together, _ = solve(runaway, xp.asarray([[start] for start in starts]), 9, 2)
    for start, found in zip(starts, xp.asnumpy(together), strict=True):
        assert_allclose(found, xp.asnumpy(solve(runaway, xp.asarray([[start]]), 9, 2)[0])[0], rtol=1e-9, atol=1e-12)


def test_after_begin_nothing_is_left_of_before():
    xp.use(dtype="float64")
    (G, _), (other, _) = linear_maps(6, (3,)), linear_maps(6, (3,), seed=1)
    expected, _ = solve(G, np.zeros((3, 6)), 5, 3)
    _, anderson = solve(other, np.ones((3, 6)), 7, 3)
    anderson.begin()
    x = np.zeros((3, 6))
    for _ in range(5):
        x = anderson.next(x, G(x))
    assert_array_equal(x, expected)


def test_a_row_at_rest_stays_there(backend):
    """Where all differences are 0 there is nothing to mix, and nothing that is not finite."""
    x, anderson = solve(lambda x: x + 0, xp.asarray([[1.0, 2.0]]), 6, 3)
    assert_array_equal(xp.asnumpy(x), [[1.0, 2.0]])
    assert_array_equal(xp.asnumpy(anderson.plain), [[1.0, 2.0]])


def test_what_is_not_finite_is_not_hidden_and_stays_with_its_row(backend):
    x, anderson = solve(lambda x: xp.where(x > 5, xp.nan, 0.5 * x), xp.asarray([[9.0], [1.0]]), 6, 2)
    assert_array_equal(np.isnan(xp.asnumpy(x))[:, 0], [True, False])
    assert_array_equal(np.isnan(xp.asnumpy(anderson.plain))[:, 0], [True, False])


def test_what_next_is_given_does_not_change():
    xp.use(dtype="float64")
    G, _ = linear_maps(4, (2,))
    anderson, x = Anderson(np.zeros((2, 4)), 2), np.zeros((2, 4))
    for _ in range(4):
        image = G(x)
        before = x.copy(), image.copy()
        following = anderson.next(x, image)
        assert_array_equal(x, before[0])
        assert_array_equal(image, before[1])
        x = following


@pytest.mark.parametrize("memory", [0, -1, 2.0, True, None])
def test_a_memory_that_is_none_is_refused(memory):
    with pytest.raises(PlasticError, match="memory is"):
        Anderson(xp.zeros((2, 3), dtype=xp.float_dtype), memory)
