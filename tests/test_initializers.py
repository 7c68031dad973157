"""Initial weights: moments, orthogonality, uniformity, and the generators they come from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import initializers


def generators(seed):
    return {"Generator": np.random.default_rng(seed), "RandomState": np.random.RandomState(seed)}


KINDS = list(generators(0))


def test_xavier_has_the_mean_and_variance_of_its_fans():
    n_in, n_out = 300, 100
    W = initializers.xavier_normal(np.random.default_rng(0), n_in, n_out)
    variance, N = 2 / (n_in + n_out), n_in * n_out
    assert W.shape == (n_in, n_out) and W.dtype == np.float64
    assert abs(W.mean()) < 4 * np.sqrt(variance / N)
    assert abs(W.var() / variance - 1) < 4 * np.sqrt(2 / N)
    assert abs(np.mean(W**4) / (3 * variance**2) - 1) < 4 * np.sqrt(96 / 9 / N)  # normal: E W^4 = 3 var^2


@pytest.mark.parametrize("gain", [1, 5 / 3, 0.5])
def test_xavier_uniform_has_the_range_and_variance_of_its_fans_and_gain(gain):
    """U(-c, c) has the variance c^2 / 3 = 2 gain^2 / (n_in + n_out)."""
    n_in, n_out = 300, 100
    W = initializers.xavier_uniform(np.random.default_rng(0), n_in, n_out, gain)
    c, N = gain * np.sqrt(6 / (n_in + n_out)), n_in * n_out
    assert W.shape == (n_in, n_out) and W.dtype == np.float64
    assert c * (1 - 12 / N) < W.max() <= c and -c <= W.min() < -c * (1 - 12 / N)
    assert abs(W.mean()) < 4 * c * np.sqrt(1 / 3 / N)
    assert abs(W.var() - 2 * gain**2 / (n_in + n_out)) < 4 * c**2 * np.sqrt(4 / 45 / N)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("draw", [initializers.xavier_normal, initializers.xavier_uniform])
def test_the_gain_of_xavier_scales_the_same_draws(kind, draw):
    assert_allclose(draw(generators(4)[kind], 3, 5, 5 / 3), draw(generators(4)[kind], 3, 5) * 5 / 3, rtol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_orthogonal_is_the_qr_factor_with_a_positive_diagonal(kind, n):
    """This factorisation Z = W R is unique: W orthogonal, R upper triangular with a positive diagonal."""
    W, Z = initializers.orthogonal(generators(3)[kind], n), generators(3)[kind].standard_normal((n, n))
    assert W.shape == (n, n) and W.dtype == np.float64
    assert_allclose(W.T @ W, np.eye(n), atol=1e-13)
    R = W.T @ Z
    assert_allclose(np.tril(R, -1), 0, atol=1e-12)
    assert (np.diag(R) > 0).all()


def test_orthogonal_is_uniform_over_the_group():
    """For Haar measure on O(n): E tr W = 0, E (tr W)^2 = 1, det W is -1 or 1 and each entry positive or negative with
    equal chances, and n W_ij^2 has the mean 1 and the variance 2 (n - 1) / (n + 2). The factor of QR as LAPACK gives it
    has a negative trace and one determinant only.
    """
    N, n, generator = 2000, 6, np.random.default_rng(0)
    draws = np.array([initializers.orthogonal(generator, n) for _ in range(N)])
    traces = np.trace(draws, axis1=1, axis2=2)
    assert abs(traces.mean()) < 4 / np.sqrt(N)
    assert abs(np.mean(traces**2) - 1) < 4 * np.sqrt(2 / N)
    assert abs(np.linalg.det(draws).mean()) < 4 / np.sqrt(N)
    assert np.abs(np.sign(draws).mean(axis=0)).max() < 4.5 / np.sqrt(N)
    assert np.abs(n * np.mean(draws**2, axis=0) - 1).max() < 4.5 * np.sqrt(2 * (n - 1) / (n + 2) / N)


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: initializers.xavier_normal(g, 4, 3),
        lambda g: initializers.xavier_uniform(g, 4, 3),
        lambda g: initializers.orthogonal(g, 4),
        lambda g: initializers.uniform_fan_in(g, (3, 2, 2), 5),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_the_draw_and_a_generator_moves_on(kind, draw):
    first, same = generators(5)[kind], generators(5)[kind]
    W = draw(first)
    assert_array_equal(W, draw(same))
    assert (draw(first) != W).any() and (draw(generators(6)[kind]) != W).any()


@pytest.mark.parametrize("kind", KINDS)
def test_xavier_takes_normal_draws_in_order(kind):
    """So that a published network's weights can be had from its seed."""
    W = initializers.xavier_normal(generators(8)[kind], 2, 6)
    assert_allclose(W, generators(8)[kind].standard_normal(12).reshape(2, 6) / 2, rtol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, fan_in", [((200, 100), 200), ((5, 5, 8, 100), 200), ((1, 20000), 3)])
def test_uniform_fan_in_has_the_range_and_moments_of_its_fan(kind, shape, fan_in):
    """U(-c, c) has the mean 0, the variance c^2 / 3 (the square of that variance's error: 4 c^4 / 45 N), and draws that
    come nearer to c than 12 c / N with the chance 1 - exp(-6).
    """
    W = initializers.uniform_fan_in(generators(0)[kind], shape, fan_in)
    c, N = fan_in**-0.5, W.size
    assert W.shape == shape and W.dtype == np.float64
    assert c * (1 - 12 / N) < W.max() <= c and -c <= W.min() < -c * (1 - 12 / N)
    assert abs(W.mean()) < 4 * c * np.sqrt(1 / 3 / N)
    assert abs(W.var() - c**2 / 3) < 4 * c**2 * np.sqrt(4 / 45 / N)
    assert abs(np.mean(W**4) - c**4 / 5) < 4 * c**4 * np.sqrt((1 / 9 - 1 / 25) / N)  # flat: E W^4 = c^4 / 5
