import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic.data.speech.augmentation import add_noise, augment, shift

RATE = 400


@given(n=st.integers(1, 20), offset=st.integers(-25, 25))
def test_shift_delays_and_leaves_zeros(n, offset):
    offset = max(-n, min(n, offset))
    wave = np.arange(1.0, n + 1)
    expected = [wave[i - offset] if 0 <= i - offset < n else 0 for i in range(n)]
    shifted = wave.copy()
    shift(shifted, offset)
    np.testing.assert_array_equal(shifted, expected)


def test_shifts_are_even_up_to_a_tenth_of_a_second():
    waves = np.zeros((20_000, RATE), np.float32)
    waves[:, RATE // 2] = 1
    augment(waves, RATE, [], np.random.default_rng(0))
    shifts = waves.argmax(axis=1) - RATE // 2
    counts = np.bincount(shifts + 40, minlength=81)
    assert len(counts) == 81 and waves.sum() == 20_000
    expected = 20_000 / 81
    assert np.square(counts - expected).sum() / expected < 80 + 4 * np.sqrt(2 * 80)  # chi squared with 80 degrees


def noisy(n, noise, seed=0):
    waves = np.random.default_rng(1).standard_normal((n, RATE)).astype(np.float32)
    changed = waves.copy()
    add_noise(changed, noise, np.random.default_rng(seed))
    return waves, changed


def test_noise_is_a_second_of_a_recording_at_one_of_three_levels():
    """y = (c w + b) / 2, with c = exp(level / 10) |b| / |w|, in four of five waveforms."""
    rng = np.random.default_rng(2)
    noise = [rng.standard_normal(n).astype(np.float32) for n in (RATE, RATE + 7)]
    seconds = [each[i : i + RATE] for each in noise for i in range(len(each) - RATE + 1)]
    candidates = np.array([(level, k) for level in (3, 10, 20) for k in range(len(seconds))])
    waves, changed = noisy(4000, noise)
    found = []
    for w, y in zip(waves, changed, strict=True):
        if np.array_equal(w, y):
            continue
        loudness = [np.linalg.norm(seconds[k]) / np.linalg.norm(w) for _, k in candidates]
        c = np.exp(candidates[:, 0] / 10) * loudness
        mixed = (c[:, None] * w + np.array(seconds)[candidates[:, 1]]) / 2
        errors = np.abs(mixed - y).max(axis=1)
        assert errors.min() < 1e-5
        found.append(candidates[errors.argmin()])
    found = np.array(found)
    assert abs(len(found) - 3200) < 4 * np.sqrt(4000 * 0.8 * 0.2)
    for level in (3, 10, 20):
        assert abs(np.mean(found[:, 0] == level) - 1 / 3) < 4 * np.sqrt(2 / 9 / len(found))
    counts = np.bincount(found[:, 1], minlength=len(seconds)) / len(found)
    for k, share in enumerate([1 / 2] + [1 / 16] * 8):  # half of them from each recording
        assert abs(counts[k] - share) < 4 * np.sqrt(share * (1 - share) / len(found))


def test_waveforms_of_zeros_become_half_the_noise():
    noise = [np.random.default_rng(2).standard_normal(RATE).astype(np.float32)]
    waves = np.zeros((100, RATE), np.float32)
    add_noise(waves, noise, np.random.default_rng(0))
    changed = waves.any(axis=1)
    assert 60 < changed.sum() < 96
    np.testing.assert_array_equal(waves[changed], np.tile(noise[0] / 2, (changed.sum(), 1)))


def test_silence_becomes_noise_upon_a_constant():
    """w = 1e-9 has the norm 1e-9 sqrt(rate): c w is the constant exp(level / 10) |b| / sqrt(rate)."""
    b = np.random.default_rng(2).standard_normal(RATE).astype(np.float32)
    waves = np.full((100, RATE), 1e-9, np.float32)
    add_noise(waves, [b], np.random.default_rng(0))
    for wave in waves[waves.max(axis=1) > 1e-8]:
        constant = 2 * wave - b
        levels = 10 * np.log(constant * np.sqrt(RATE) / np.linalg.norm(b))
        assert np.ptp(levels) < 1e-2
        assert min(abs(levels.mean() - level) for level in (3, 10, 20)) < 1e-3


@pytest.mark.parametrize("noise", [[], [np.ones(2 * RATE, np.float32)]])
def test_the_generator_decides(noise):
    waves = np.random.default_rng(1).standard_normal((20, RATE)).astype(np.float32)
    one, same, other = waves.copy(), waves.copy(), waves.copy()
    for each, seed in ((one, 0), (same, 0), (other, 1)):
        augment(each, RATE, noise, np.random.default_rng(seed))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == np.float32 and np.isfinite(one).all()
