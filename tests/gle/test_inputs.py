"""Inputs over time: pulses where they have to be, noise with its stationary statistics, sums of sines."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic.gle import inputs


def test_a_square_wave_by_hand():
    """Two pulses of 2 / 0.5 = 4 steps in 16, each followed by as long a rest."""
    expected = [1, 1, 1, 1, -1, -1, -1, -1] * 2
    assert_array_equal(inputs.step_function(16, 0.5, [0], smooth=0)[:, 0], expected)
    assert_array_equal(inputs.step_function(16, 0.5, [3], smooth=0)[:, 0], np.roll(expected, 3))


@hypothesis.given(
    n=st.integers(40, 3000), width=st.integers(2, 20), shifts=st.lists(st.integers(0, 50), min_size=1, max_size=3)
)
def test_pulses_are_as_long_as_told_and_evenly_spaced(n, width, shifts):
    """In all n steps there are as many pulses as fit, with a period of n steps over their number."""
    x = inputs.step_function(n, 2 / (width + 0.5), shifts, smooth=0)
    assert x.shape == (n, len(shifts))
    assert set(np.unique(x)) == {-1.0, 1.0}
    starts, count = inputs.pulse_starts(n, width), int(n / width / 2)
    assert len(starts) == count + 1 and starts[0] == 0 and starts[-1] == n
    assert_allclose(starts, np.arange(count + 1) * n / count, rtol=0, atol=1.001)
    for wave, shift in zip(x.T, shifts, strict=True):
        first = np.roll(wave, -shift)
        assert_array_equal(np.flatnonzero(first == 1), (starts[:-1, None] + np.arange(width)).ravel())


@pytest.mark.parametrize(("n", "width"), [(2034, 2), (45902, 2), (405000, 200), (1000, 3)])
def test_pulses_are_counted_from_the_nearer_end_as_published(n, width):
    """In single precision; of an odd number of places, the one in the middle is counted from the end."""
    size = int(n / width / 2) + 1
    spacing = float(np.float32(n) / np.float32(size - 1))
    from_start = [np.float32(k * spacing) for k in range(size // 2)]
    from_end = [np.float32(n - k * spacing) for k in reversed(range(size - size // 2))]
    assert_array_equal(inputs.pulse_starts(n, width), [int(place) for place in from_start + from_end])


def test_smoothing_is_a_gaussian_of_five_steps():
    """A lone edge becomes the integral of a normal distribution of deviation 5, in the middle of long pulses."""
    x, sharp = (inputs.step_function(800, 0.01, [100], smooth) for smooth in (5, 0))
    edge = 100
    assert sharp[edge - 1, 0] == -1 and sharp[edge, 0] == 1
    normal = np.cumsum(np.exp(-(np.arange(-100, 101) ** 2) / 50))
    assert_allclose(x[edge - 20 : edge + 20, 0], 2 * normal[80:120] / normal[-1] - 1, rtol=0, atol=2e-4)
    assert x[edge + 100, 0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("smooth", [0, 5, 2])
@pytest.mark.parametrize(("start", "stop"), [(0, 40), (100, 101), (37, 250), (760, 800), (0, 800)])
def test_a_part_of_the_moved_wave_is_that_of_the_whole(smooth, start, stop):
    shifts = np.array([[0, 13, 99], [7, 50, 1]])
    wave = inputs.square_wave(800, 0.02)
    whole = np.stack([inputs.step_function(800, 0.02, row, smooth) for row in shifts], axis=1)
    part = inputs.moved(wave, shifts, smooth, start, stop)
    assert part.shape == (stop - start, 2, 3)
    assert_allclose(part, whole[start:stop], rtol=0, atol=1e-14)


def test_noise_has_its_stationary_deviation_and_forgets_at_its_rate():
    """Var = sigma^2 / (1 - dt / (2 tau)), autocorrelation (1 - dt / tau)^lag, by standard errors of 2000 paths."""
    generator, dt, tau, sigma, mean = np.random.default_rng(0), 0.1, 0.8, 0.7, 0.3
    x = inputs.ornstein_uhlenbeck(generator, 200, dt, 2000, tau, sigma, mean)
    assert x.shape == (200, 2000)
    last, before = x[-1], x[-5]
    variance = sigma**2 / (1 - dt / (2 * tau))
    assert np.mean(last) == pytest.approx(mean, abs=4 * np.sqrt(variance / 2000))
    assert np.var(last) == pytest.approx(variance, abs=4 * variance * np.sqrt(2 / 2000))
    correlation = (1 - dt / tau) ** 4
    found = np.mean((last - mean) * (before - mean)) / variance
    assert found == pytest.approx(correlation, abs=4 * np.sqrt((1 + correlation**2) / 2000))


def test_noise_begins_at_its_mean_and_spreads_as_a_walk():
    """The first steps are nearly free: Var = 2 sigma^2 dt / tau for each; samples are drawn apart."""
    x = inputs.ornstein_uhlenbeck(np.random.default_rng(1), 3, 0.01, 4000, 2.0, 0.5, -1.0)
    assert_array_equal(x[0], -1)
    step = x[1] + 1
    assert np.var(step) == pytest.approx(2 * 0.25 * 0.01 / 2, rel=4 * np.sqrt(2 / 4000))
    assert len(np.unique(step)) == 4000
    a, b = (inputs.ornstein_uhlenbeck(np.random.default_rng(2), 50, 0.01, n) for n in (1, 1))
    assert_array_equal(a, b)
    assert_array_equal(a[0], 0)


def test_defaults_of_the_noise_are_those_published():
    """sigma 0.5, mean 0, tau 1: the same draws scaled give the same paths."""
    a = inputs.ornstein_uhlenbeck(np.random.default_rng(3), 20, 0.1, 2)
    b = inputs.ornstein_uhlenbeck(np.random.default_rng(3), 20, 0.1, 2, tau=1.0, sigma=0.5, mean=0.0)
    assert_array_equal(a, b)


def test_times_include_both_ends():
    assert_allclose(inputs.times(5, 8.0), [0, 2, 4, 6, 8])


def test_a_sum_of_sines_by_hand():
    """sin(2 pi t) + sin(pi t) at t = 0, 1/2, 1, 3/2, 2, and a sine through a quarter of its period."""
    assert_allclose(inputs.sines(5, 2.0, [1.0, 0.5]), [0, 1, 0, -1, 0], atol=1e-12)
    assert_allclose(inputs.sines(4, 3.0, [1 / 12]), np.sin(np.pi / 6 * np.arange(4)))
    assert inputs.sines(7, 1.0, [1.0, 2.0, 3.0]).shape == (7,)
