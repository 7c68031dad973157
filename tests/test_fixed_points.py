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


def stalling(x):
    """A residual with its zero at 0 and a minimum of its size, 0.1, at 3: there an accelerated iteration stands still.

    A sum of two humps, of which the second is a valley for |f|.
    """
    return x - xp.tanh(x) * (1 - 0.9 * xp.exp(-((x - 3) ** 2)))


@pytest.mark.parametrize("rows", [(4,), (2, 3)])
def test_a_linear_contraction_is_solved_in_one_step_more_than_it_has_dimensions(precision, rows):
    n = 5
    G, solution = linear_maps(n, rows)
    zero = xp.zeros((*rows, n), dtype=xp.float_dtype)
    found = {steps: np.abs(xp.asnumpy(solve(G, zero, steps, n)[0]) - solution).max(axis=-1) for steps in (n, n + 1)}
    near = 1e-9 if precision == "float64" else 1e-4
    assert np.all(found[n + 1] < near) and np.median(found[n]) > 10 * near


def test_less_memory_than_dimensions_still_beats_plain_steps():
    """On a map with slow modes, those of a symmetric matrix with eigenvalues up to 0.99."""
    xp.use(dtype="float64")
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 40)))[0]
    W = Q * np.linspace(-0.5, 0.99, 40) @ Q.T
    plain, ones = np.zeros((2, 40)), np.ones(40)
    for _ in range(100):
        plain = plain @ W + ones
    _, anderson = solve(lambda x: x @ W + ones, np.zeros((2, 40)), 100, 3)
    solution = np.linalg.solve(np.eye(40) - W, ones)
    assert np.all(np.linalg.norm(anderson.plain - solution, axis=1) < 1e-3 * np.linalg.norm(plain - solution, axis=1))


@pytest.mark.parametrize("memory", [1, 3])
def test_points_are_those_of_the_textbook(memory):
    xp.use(dtype="float64")
    G, _ = linear_maps(6, (1,), norm=0.5)
    for steps in range(1, 8):
        found, _ = solve(G, np.zeros((1, 6)), steps, memory)
        assert_allclose(found[0], textbook(lambda v: G(v[None])[0], np.zeros(6), steps, memory), rtol=1e-6, atol=1e-9)


def test_the_safeguard_holds_where_the_textbook_runs_away(backend):
    """Also beside a row that needs no safeguard."""
    if backend == "numpy":
        assert abs(textbook(runaway, np.array([20.0]), 10, 1)[0]) > 1e3
    _, anderson = solve(runaway, xp.asarray([[20.0], [0.1]]), 80, 1)
    assert np.abs(xp.asnumpy(anderson.plain)).max() < 1e-12


def test_a_minimum_of_the_residual_is_left_behind(backend):
    """Where residuals had only to fall, however little, the iteration would stay there."""
    _, anderson = solve(stalling, xp.asarray([[4.5], [5.0], [6.0]]), 120, 3)
    assert np.abs(xp.asnumpy(anderson.plain)).max() < 1e-12


def test_a_point_that_is_no_good_is_followed_by_plain_steps_from_the_last_good_one():
    """Two of them; then the textbook's step from the good points, to which the one that was no good does not belong."""
    xp.use(dtype="float64")
    x, anderson, seen = np.array([[10.0, 5.0]]), Anderson(np.zeros((1, 2)), 2), []
    for _ in range(5):
        seen.append(x)
        x = anderson.next(x, runaway(x))
        if len(seen) == 3:
            assert_allclose(anderson.plain, runaway(seen[1]))
    assert np.linalg.norm(np.arctan(seen[2])) > np.linalg.norm(np.arctan(seen[1]))
    assert_allclose(np.concatenate(seen[3:]), np.concatenate([runaway(seen[1]), runaway(seen[3])]))
    assert_allclose(anderson.plain, runaway(seen[4]))
    points = np.concatenate([seen[1], seen[3], seen[4]])
    images, f = runaway(points), -np.arctan(points)
    gamma = np.linalg.lstsq(np.diff(f, axis=0).T, f[-1], rcond=None)[0]
    assert_allclose(x[0], images[-1] - gamma @ np.diff(images, axis=0), rtol=1e-6)


def test_which_points_are_good():
    """Accelerated ones where the residual falls, and falls by a twentieth from one to the next; all plain ones."""
    xp.use(dtype="float64")
    anderson, x = Anderson(np.zeros((1, 1)), 2), np.zeros((1, 1))
    for size, good, next_is_plain in (
        (1.0, True, True),
        (1.5, True, False),  # the second point of all is a plain one too
        (0.9, True, False),
        (0.86, False, True),  # below the last, 0.9, but not below 0.95 times it
        (3.0, True, True),
        (2.0, True, False),
        (0.86, False, True),  # below the last, 2, but not below 0.95 times 0.9
        (0.7, True, True),
        (0.6, True, False),
        (0.8, False, True),  # below 0.95 times 0.9, but not below the last
        (3.0, True, True),
        (2.0, True, False),
        (0.85, True, False),
        (0.80, True, False),  # just below 0.95 times 0.85
    ):
        following = anderson.next(x, x + size)
        assert (anderson.plain.item() == size) == good, size
        assert (following == anderson.plain).all() == next_is_plain, size


def test_a_row_does_not_depend_on_its_neighbours(backend):
    starts = [10.0, 0.3, -25.0, 2.0]
    together, _ = solve(runaway, xp.asarray([[start] for start in starts]), 9, 2)
    for start, found in zip(starts, xp.asnumpy(together), strict=True):
        assert_allclose(found, xp.asnumpy(solve(runaway, xp.asarray([[start]]), 9, 2)[0])[0], rtol=1e-9, atol=1e-12)


def test_some_rows_may_go_on_alone(backend):
    starts = xp.asarray([[10.0, 1.0], [0.3, 0.2], [-25.0, 3.0], [2.0, 0.0]])
    expected, _ = solve(runaway, starts[xp.asarray([2, 0])], 11, 2)
    x, anderson = solve(runaway, starts, 6, 2)
    rows = xp.asarray([2, 0])
    x = x[rows]
    anderson.keep(rows)
    for _ in range(5):
        x = anderson.next(x, runaway(x))
    assert_allclose(xp.asnumpy(x), xp.asnumpy(expected), rtol=1e-9, atol=1e-12)


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
