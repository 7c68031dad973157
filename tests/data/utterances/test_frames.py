"""Features against their definitions, one frame and one sum after another."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic.data.utterances import frames
from plastic.errors import PlasticError


def speech(n, seed=0):
    return 3000 * np.random.default_rng(seed).standard_normal(n)


def frame(samples, k, length, hop):
    part = samples[k * hop : k * hop + length]
    return np.concatenate([part, np.zeros(length - len(part))])


def mel(f):
    return 2595 * np.log10(1 + f / 700)


def power(part):
    """|X|^2 / 512 by the sum itself."""
    n, k = np.arange(len(part)), np.arange(257)[:, None]
    return np.abs(np.sum(part * np.exp(-2j * np.pi * k * n / 512), axis=1)) ** 2 / 512


def on_bins(spectrum, rate, count):
    corners = [int(513 * 700 * (10 ** (m / 2595) - 1) / rate) for m in np.linspace(0, mel(rate / 2), count + 2)]
    found = []
    for low, peak, high in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        rise = sum(spectrum[i] * (i - low) / (peak - low) for i in range(low, peak))
        found.append(rise + sum(spectrum[i] * (high - i) / (high - peak) for i in range(peak, high)))
    return np.array(found)


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_fbank_and_mfccs_are_what_their_definitions_say(rate):
    samples, length, hop = speech(rate // 20), rate // 40, rate // 100
    emphasised = samples - 0.97 * np.concatenate([[0], samples[:-1]])
    fbank, mfccs = (frames.features(samples, rate, kind) for kind in ("fbank", "mfccs"))
    assert len(fbank) == len(mfccs) == frames.count(len(samples), rate) == 4
    for k in range(4):
        spectrum = power(frame(emphasised, k, length, hop))
        assert_allclose(fbank[k], [*on_bins(spectrum, rate, 40), spectrum.sum()], rtol=1e-5)
        logs = np.log(on_bins(spectrum, rate, 26))
        m = np.arange(26)
        cepstra = [np.sqrt(2 / 26) * np.sum(logs * np.cos(np.pi * c * (2 * m + 1) / 52)) for c in range(13)]
        lifted = [(1 + 11 * np.sin(np.pi * c / 22)) * value for c, value in enumerate(cepstra)]
        assert_allclose(mfccs[k], [np.log(spectrum.sum()), *lifted[1:]], rtol=1e-4, atol=1e-4)


def test_htk_has_logarithms_and_repeats_the_last_full_frame():
    samples = speech(900)
    found = frames.features(samples, 16_000, "htk")
    assert found.shape == (5, 41)
    assert_array_equal(found[4], found[3])  # the fifth frame is not full
    part = samples[160:560]
    emphasised = np.concatenate([[0.03 * part[0]], part[1:] - 0.97 * part[:-1]])
    magnitude = np.sqrt(512 * power(emphasised * np.hamming(400)))
    corners = np.linspace(0, mel(8000), 42)
    place = mel(np.arange(257) * 16_000 / 512)
    for m in (0, 7, 39):
        triangle = np.interp(place, corners[m : m + 3], [0, 1, 0])
        assert_allclose(found[1, m], np.log(np.sum(magnitude[1:] * triangle[1:])), rtol=1e-4)
    assert_allclose(found[1, 40], np.log(np.sum(part**2)), rtol=1e-5)


@pytest.mark.parametrize("kind", frames.WIDTHS)
def test_a_short_or_silent_waveform_has_finite_features(kind):
    for samples in (np.zeros(1), np.zeros(1000), np.ones(399), np.full(401, 7, np.int16)):
        found = frames.features(samples, 16_000, kind)
        assert np.isfinite(found).all() and found.dtype == np.float32
        assert len(found) == frames.count(len(samples), 16_000)


def test_derivatives_of_a_line_are_its_slope():
    line = np.arange(7.0)[:, None] * [1.0, -2.0]
    d = frames.differences(line)
    assert_array_equal(d[1:-1, 2:4], np.tile([2.0, -4.0], (5, 1)))
    assert_array_equal(d[[0, -1], 2:4], 0)
    assert_array_equal(d[:, 4:], frames.differences(d[:, 2:4])[:, 2:4])
    slopes = frames.derivatives(line)
    assert_allclose(slopes[2:-2, 2:4], np.tile([1.0, -2.0], (3, 1)))
    assert_allclose(slopes[0, 2], (1 * 1 + 2 * 2) / 10)  # the first frame stands before itself
    assert_allclose(slopes[3, 4:], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.ones(9), 16_000, "mfcc"), "mfccs"),
        ((np.ones(9), 44_100, "htk"), "rate"),
        ((np.ones((2, 9)), 16_000, "htk"), "shape"),
        ((np.ones(0), 16_000, "htk"), "shape"),
    ],
)
def test_what_is_no_waveform_is_refused(arguments, named):
    with pytest.raises(PlasticError, match=named):
        frames.features(*arguments)
