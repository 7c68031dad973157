"""Waveforms to log-mel spectrograms as torchaudio's MelSpectrogram makes them, with the HTK scale (Young et al. 2006).

Their cosine transforms over the filters are mel-frequency cepstral coefficients (MFCC, Davis and Mermelstein 1980).

Frames of 64 ms, one every 25 ms: at 16 kHz 1024 samples every 400, at 8 kHz 512 every 200, 41 frames in a second.
"""

import functools

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.types import Array

_LEAST = 1e-9  # added to the mel energies before the logarithm
_CHUNK = 32  # waveforms at a time, so that temporaries stay near the cache


def log_mel(waves: np.ndarray, rate: int, n_mels: int = 32) -> np.ndarray:
    """Return log2(mel energies + 1e-9) of waveforms.

    A frame is centred on its sample, and the waveform is mirrored beyond its ends.

    Args:
        waves: waveforms (..., samples).
        rate: samples per second, a multiple of 1,000.
        n_mels: filters of the spectrogram.

    Returns:
        float32 (..., frames, n_mels), with frames = 1 + samples // (rate / 40).

    Raises:
        PlasticError: as `mel_filters`.

    Example:
        >>> log_mel(np.zeros((2, 16_000)), 16_000).shape
        (2, 41, 32)
    """
    n, hop = 64 * rate // 1000, rate // 40
    filters, window = mel_filters(rate, n_mels), _hann(n)
    flat = np.asarray(waves, np.float32).reshape(-1, waves.shape[-1])
    out = np.empty((len(flat), 1 + flat.shape[1] // hop, n_mels), np.float32)
    for start in range(0, len(flat), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        out[chunk] = _power(flat[chunk], n, hop, window) @ filters
    np.log2(out + np.float32(_LEAST), out=out)
    return out.reshape(*waves.shape[:-1], *out.shape[1:])


def mfcc(waves: np.ndarray, rate: int, n_mels: int = 32) -> np.ndarray:
    """Return mel-frequency cepstral coefficients: the orthonormal cosine transform of `log_mel` over the filters.

        c_k = a_k sum_j cos(pi k (j + 1/2) / n) log_mel_j,    a_0 = sqrt(1 / n), else a_k = sqrt(2 / n)

    All n coefficients are kept, c_0, the loudness, first.

    Args:
        waves: waveforms (..., samples).
        rate: samples per second, a multiple of 1,000.
        n_mels: filters n, and coefficients.

    Returns:
        float32 (..., frames, n_mels).

    Raises:
        PlasticError: as `mel_filters`.

    Example:
        >>> mfcc(np.zeros((2, 16_000)), 16_000).shape
        (2, 41, 32)
    """
    return log_mel(waves, rate, n_mels) @ _cosines(n_mels)


@functools.cache
def _cosines(n: int) -> np.ndarray:
    """Return the orthonormal cosine transform (type II) of n numbers as a matrix, float32 (n, n), numbers first."""
    j, k = np.arange(n)[:, None], np.arange(n)
    return (np.cos(np.pi * k * (j + 0.5) / n) * np.sqrt(np.where(k == 0, 1, 2) / n)).astype(np.float32)


def _power(waves: np.ndarray, n: int, hop: int, window: np.ndarray) -> np.ndarray:
    """Return |X|^2, (waves, frames, n // 2 + 1), of the Fourier transforms X of windowed frames of n samples."""
    from scipy.fft import rfft

    padded = np.pad(waves, ((0, 0), (n // 2, n // 2)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n, axis=-1)[:, ::hop]
    X = rfft(frames * window)  # of scipy, which keeps float32
    return X.real**2 + X.imag**2


@functools.cache
def _hann(n: int) -> np.ndarray:
    """Return the periodic Hann window, float32 (n,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)


def mel_filters(rate: int, n_mels: int) -> np.ndarray:
    """Return the filters as the columns of a matrix.

    Triangles of height 1 over the frequencies 0 to rate / 2, with corners equally spaced on the mel scale
    m = 2595 log10(1 + f / 700): each begins at the peak of the one before and ends at that of the one after.

    Args:
        rate: samples per second, a multiple of 1,000.
        n_mels: how many filters.

    Returns:
        float32 (frequencies, n_mels), to be read only.

    Raises:
        PlasticError: if a number is no such one, or n_mels so large that a triangle has no frequency in it.

    Example:
        >>> mel_filters(16_000, 32).shape
        (513, 32)
    """
    require.whole("n_mels", n_mels)
    require.whole("rate", rate, least=1000)
    if rate % 1000:
        raise PlasticError(f"rate is {rate}; take a multiple of 1,000 Hz")
    return _filters(rate, n_mels)


@functools.cache
def _filters(rate: int, n_mels: int) -> np.ndarray:
    refusal = f"n_mels {n_mels} is too many at {rate:,} Hz: some mel filters have no frequency in them"
    f = np.linspace(0, rate / 2, 32 * rate // 1000 + 1)[:, None]
    if n_mels > 2 * len(f):  # a frequency is in two filters at most
        raise PlasticError(refusal)
    mel = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), n_mels + 2)
    corners = 700 * (10 ** (mel / 2595) - 1)
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    filters = np.maximum(0, np.minimum((f - low) / (peak - low), (high - f) / (high - peak)))
    if not filters.any(axis=0).all():
        raise PlasticError(refusal)
    return filters.astype(np.float32)


def standardise(features: np.ndarray) -> np.ndarray:
    """Return features less their mean over the last two axes, divided by their deviation there.

    The deviation is the unbiased one, with n - 1. Where all values of a sample are equal, those of a waveform of zeros
    for instance, it is 0, and the sample becomes all 0. Computed in float64: the values of silence differ by a few
    units in the last place of float32.

    Args:
        features: (..., frames, n_mels).

    Returns:
        The same shape and type.
    """
    values = np.asarray(features, np.float64)
    centred = values - values.mean(axis=(-2, -1), keepdims=True)
    n = centred.shape[-2] * centred.shape[-1]
    deviation = np.sqrt(np.square(centred).sum(axis=(-2, -1), keepdims=True) / (n - 1))
    return (centred / np.where(deviation > 0, deviation, 1)).astype(features.dtype)


def seen(waves: np.ndarray, rate: int, n_mels: int, kind: str = "mel") -> np.ndarray:
    """Return the standardised features of waveforms, which a network sees.

    Args:
        waves, rate, n_mels: as for `log_mel`.
        kind: "mel" for `log_mel`, "mfcc" for `mfcc`.

    Returns:
        float32 (..., frames, n_mels).

    Raises:
        PlasticError: as `mel_filters`, and for another kind.
    """
    require.choice("kind", kind, KINDS)
    return standardise(KINDS[kind](waves, rate, n_mels))


KINDS = {"mel": log_mel, "mfcc": mfcc}
"""The kinds of features by name."""


def stretch(features: Array, factor: int) -> Array:
    """Return features with several steps per frame, linearly interpolated.

    Frame i lies in the middle of its steps, at factor (i + 1/2) - 1/2; before the first frame's place, and after the
    last one's, the features stay what they are there (torch's `interpolate` with align_corners=False).

    Args:
        features: (..., frames, n_mels), an array of the backend.
        factor: steps per frame.

    Returns:
        (..., factor frames, n_mels).

    Raises:
        PlasticError: if the factor is no whole number from 1 on.

    Example:
        >>> stretch(xp.asarray([[0.0], [1.0]]), 2)[:, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    require.whole("factor", factor)
    n = features.shape[-2]
    position = np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1)
    left = np.floor(position).astype(np.int64)
    share = xp.asarray((position - left)[:, None], dtype=features.dtype)
    before, after = (features[..., xp.asarray(each), :] for each in (left, np.minimum(left + 1, n - 1)))
    return before + share * (after - before)
