import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plastic import xp
from plastic.data.speech import features
from plastic.errors import PlasticError

# log2(mel + 1e-9) of the waveform below at the frames FRAMES and bands BANDS, made once with librosa 0.11.0:
#   librosa.feature.melspectrogram(y=wave(rate), sr=rate, n_fft=n, hop_length=rate // 40, win_length=n, window="hann",
#       center=True, pad_mode="reflect", power=2.0, n_mels=32, htk=True, norm=None, fmin=0, fmax=rate / 2)
# in float64, with n = 1024 at 16 kHz and 512 at 8 kHz; these are torchaudio's MelSpectrogram(rate, n_fft=n,
# hop_length=rate // 40, n_mels=32), whose other options are the same by default.
FRAMES, BANDS = (0, 1, 20, 40), (0, 1, 7, 15, 23, 31)
LIBROSA = {
    16_000: [
        [12.518, 13.4482, 0.0825, -0.5235, -0.5507, 1.6456],
        [8.7119, 11.7083, -2.2678, -0.6611, 0.1257, 1.4875],
        [-2.5625, -4.0049, -1.5467, -1.2233, 3.0491, 1.548],
        [-1.3314, -2.4919, -2.4781, -0.46, -0.9838, 2.4837],
    ],
    8_000: [
        [10.7665, 11.2962, -1.5262, -3.0629, -1.7414, -0.6211],
        [7.0785, 10.4508, -3.8957, -2.0398, -1.4086, -0.8305],
        [-4.5355, -5.3644, -4.04, -3.6471, -2.5898, -1.6199],
        [-5.6303, -3.3796, -4.4635, -2.8787, -2.6885, 0.7768],
    ],
}


def wave(rate):
    """A tone that rises to 0.4 rate and dies away, in faint noise."""
    t = np.arange(rate) / rate
    rng = np.random.default_rng(7)
    return 0.5 * np.sin(2 * np.pi * (50 * t + 0.2 * rate * t**2)) * np.exp(-2 * t) + 0.02 * (2 * rng.random(rate) - 1)


@pytest.mark.parametrize("rate", LIBROSA)
def test_librosa_figures(rate):
    found = features.log_mel(wave(rate), rate)
    assert (found.shape, found.dtype) == ((41, 32), np.float32)
    np.testing.assert_allclose(found[np.ix_(FRAMES, BANDS)], LIBROSA[rate], atol=1e-4)


def direct(wave, rate, n_mels):
    """The definition, frame by frame and triangle by triangle, in float64 and without an FFT."""
    n, hop = int(0.064 * rate), rate // 40
    mirrored = np.concatenate([wave[n // 2 : 0 : -1], wave, wave[-2 : -n // 2 - 2 : -1]])
    window = np.sin(np.pi * np.arange(n) / n) ** 2
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n)
    top = 2595 * np.log10(1 + rate / 1400)
    corners = [700 * (10 ** (top * i / (n_mels + 1) / 2595) - 1) for i in range(n_mels + 2)]
    out = []
    for frame in range(1 + len(wave) // hop):
        power = np.abs(fourier @ (window * mirrored[frame * hop : frame * hop + n])) ** 2
        energies = []
        for low, peak, high in zip(corners, corners[1:], corners[2:], strict=False):
            triangle = np.interp(np.arange(n // 2 + 1) * rate / n, [low, peak, high], [0, 1, 0])
            energies.append(triangle @ power)
        out.append(np.log2(np.array(energies) + 1e-9))
    return np.array(out)


@pytest.mark.parametrize(("rate", "n_mels"), [(8000, 32), (8000, 5), (16_000, 40)])
def test_the_definition(rate, n_mels):
    np.testing.assert_allclose(features.log_mel(wave(rate), rate, n_mels), direct(wave(rate), rate, n_mels), atol=1e-4)


@given(leading=st.lists(st.integers(0, 9), max_size=3), extra=st.integers(0, 900))
def test_waveforms_are_independent_of_their_neighbours(leading, extra):
    waves = np.random.default_rng(0).standard_normal((*leading, 1000 + extra)).astype(np.float32)
    found = features.log_mel(waves, 8000, 4)
    assert found.shape == (*leading, 1 + waves.shape[-1] // 200, 4)
    for index in list(np.ndindex(*leading))[-3:]:
        np.testing.assert_allclose(found[index], features.log_mel(waves[index], 8000, 4), rtol=1e-5, atol=1e-5)


def test_more_waveforms_than_are_transformed_at_once():
    waves = np.random.default_rng(0).standard_normal((70, 800)).astype(np.float32)
    found = features.log_mel(waves, 8000)
    for i in (0, 31, 32, 69):
        np.testing.assert_allclose(found[i], features.log_mel(waves[i], 8000), rtol=1e-5, atol=1e-5)


def test_so_many_filters_that_their_matrix_would_not_fit_the_memory(monkeypatch):
    monkeypatch.setattr(features.np, "maximum", None)  # before any is made
    with pytest.raises(PlasticError, match="n_mels 1000000000 is too many at 8,000 Hz"):
        features.mel_filters(8000, 10**9)


@pytest.mark.parametrize("n_mels", [0, -1])
def test_no_filters(n_mels):
    with pytest.raises(PlasticError, match=f"n_mels is {n_mels}; it must be at least 1"):
        features.mel_filters(16_000, n_mels)


def test_too_many_filters():
    with pytest.raises(PlasticError, match="n_mels 300 is too many at 16,000 Hz: some mel filters have no frequency"):
        features.log_mel(np.zeros(16_000), 16_000, 300)


def test_zeros_are_the_logarithm_of_what_is_added():
    np.testing.assert_allclose(features.log_mel(np.zeros(8000), 8000), np.log2(1e-9), rtol=1e-6)
    np.testing.assert_array_equal(features.standardise(features.log_mel(np.zeros(8000), 8000)), 0)


def test_silence_is_a_faint_line_at_the_lowest_band():
    """A constant c has Hann's side lobe, |X|^2 = (n c / 4)^2, at the one frequency beside 0, in the lowest filter.

    There the log is higher than log2(1e-9) by 2e-5. One band of 32 that stands out is (31, -1, -1, ...) / sqrt(31).
    """
    silence = features.standardise(features.log_mel(np.full(16_000, 1e-9, np.float32), 16_000))
    np.testing.assert_allclose(silence[:, 0], np.sqrt(31), rtol=0.01)
    np.testing.assert_allclose(silence[:, 1:], -1 / np.sqrt(31), rtol=0.01)


@given(leading=st.lists(st.integers(1, 4), max_size=2), frames=st.integers(1, 6), n_mels=st.integers(2, 5))
def test_standardise(leading, frames, n_mels):
    x = np.random.default_rng(0).normal(-20, 3, (*leading, frames, n_mels)).astype(np.float32)
    found = features.standardise(x)
    assert (found.shape, found.dtype) == (x.shape, np.float32)
    for index in np.ndindex(*leading):
        values = x[index].astype(float)
        expected = (values - np.mean(values)) / np.std(values, ddof=1)
        np.testing.assert_allclose(found[index], expected, rtol=1e-5, atol=1e-6)


@given(value=st.floats(-1e6, 1e6, width=32))
def test_equal_values_become_zero(value):
    assert not features.standardise(np.full((2, 41, 32), value, np.float32)).any()


def test_stretch_by_hand():
    """Two steps a frame: 0 and 4 lie at steps 0.5 and 2.5; three: at 1 and 4."""
    x = np.array([[0.0], [4.0]])
    np.testing.assert_allclose(features.stretch(x, 2)[:, 0], [0, 1, 3, 4])
    np.testing.assert_allclose(features.stretch(x, 3)[:, 0], [0, 0, 4 / 3, 8 / 3, 4, 4])
    np.testing.assert_array_equal(features.stretch(x, 1), x)


@given(n=st.integers(1, 6), factor=st.integers(1, 21), leading=st.lists(st.integers(1, 3), max_size=2))
def test_stretch_is_linear_interpolation(n, factor, leading):
    x = np.random.default_rng(0).standard_normal((*leading, n, 2))
    found = features.stretch(x, factor)
    assert found.shape == (*leading, n * factor, 2)
    middles = factor * (np.arange(n) + 0.5) - 0.5
    for index in np.ndindex(*leading, 2):
        line = x[(*index[:-1], slice(None), index[-1])]
        expected = np.interp(np.arange(n * factor), middles, line)
        np.testing.assert_allclose(found[(*index[:-1], slice(None), index[-1])], expected, atol=1e-12)


def test_stretch_on_every_backend(precision):
    x = np.random.default_rng(0).standard_normal((2, 3, 41, 4)).astype(precision)
    stretched = features.stretch(xp.asarray(x), 20)
    assert stretched.shape == (2, 3, 820, 4)
    assert stretched.dtype == np.dtype(precision)
    expected = np.interp(np.arange(820), np.arange(41) * 20 + 9.5, x[1, 2, :, 3])
    np.testing.assert_allclose(xp.asnumpy(stretched)[1, 2, :, 3], expected, rtol=1e-5, atol=1e-5)


def test_mfcc_are_scipys_orthonormal_cosine_transform():
    from scipy.fft import dct

    waves = np.stack([wave(8000), wave(8000)[::-1]])
    for n in (5, 32):
        expected = dct(features.log_mel(waves, 8000, n).astype(float), type=2, norm="ortho", axis=-1)
        found = features.mfcc(waves, 8000, n)
        assert (found.shape, found.dtype) == ((2, 41, n), np.float32)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_features_that_a_network_sees():
    waves = np.stack([wave(8000)])
    for kind, made in (("mel", features.log_mel), ("mfcc", features.mfcc)):
        found = features.seen(waves, 8000, 6, kind)
        np.testing.assert_array_equal(found, features.standardise(made(waves, 8000, 6)))
    with pytest.raises(PlasticError, match=r"kind is 'mels'; .*mel"):
        features.seen(waves, 8000, 6, "mels")
