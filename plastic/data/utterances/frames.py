"""Features of speech, frame by frame: 25 ms every 10 ms, each frame a row of numbers.

    mfccs   13 cepstral coefficients, of which the first is the logarithm of the energy
    fbank   40 energies of mel filters, and the energy of the frame
    htk     40 logarithms of mel magnitudes and of the energy, to which `derivatives` adds velocity and acceleration

The first two are what the package python_speech_features gives, from which the published features come (no logarithm is
taken of fbank); the third is what HTK's FBANK_E_D_A means by its manual (Young et al. 2006, chapter 5), from whose tool
the published ones come.
"""

import functools

import numpy as np

from plastic import require
from plastic.errors import PlasticError

_LENGTH, _HOP = 0.025, 0.010  # seconds
_FFT = 512
_PREEMPHASIS = 0.97
_LIFTER = 22
_LEAST = np.finfo(np.float64).eps  # in place of an energy of 0
WIDTHS = {"mfccs": 13, "fbank": 41, "htk": 41}
"""Numbers in a frame of each kind of features."""


def features(samples: np.ndarray, rate: int, kind: str) -> np.ndarray:
    """Return the features of a waveform.

    Args:
        samples: (n,), one at least.
        rate: samples per second, at most 20,480: a frame has at most 512 samples.
        kind: "mfccs", "fbank" or "htk".

    Returns:
        float32 (frames, WIDTHS[kind]). There are frames until the last sample, the last one filled up with zeros; of
        "htk" the last frame that is full comes again in its place, as published.

    Raises:
        PlasticError: if an argument is no such one.

    Example:
        >>> features(np.ones(16_000), 16_000, "mfccs").shape
        (99, 13)
    """
    require.choice("kind", kind, WIDTHS)
    require.whole("rate", rate, 1000, round(_FFT / _LENGTH))
    if samples.ndim != 1 or not len(samples):
        raise PlasticError(f"samples have shape {samples.shape}; one waveform (n,) is needed")
    make = {"mfccs": _mfccs, "fbank": _fbank, "htk": _htk}[kind]
    return make(np.asarray(samples, np.float64), rate).astype(np.float32)


def differences(x: np.ndarray) -> np.ndarray:
    """Return features with their central differences, and with the differences of these.

        d^t = x^{t+1} - x^{t-1},    0 in the first and the last frame

    Args:
        x: (frames, n).

    Returns:
        (frames, 3 n).

    Source: the published code for speech of Bellec, Scherr et al. 2020.

    Example:
        >>> differences(np.array([[1.0], [2.0], [4.0]])).tolist()
        [[1.0, 0.0, 0.0], [2.0, 3.0, 0.0], [4.0, 0.0, 0.0]]
    """

    def difference(x):
        d = np.zeros_like(x)
        d[1:-1] = x[2:] - x[:-2]
        return d

    d = difference(x)
    return np.concatenate([x, d, difference(d)], axis=-1)


def derivatives(x: np.ndarray, window: int = 2) -> np.ndarray:
    """Return features with their velocity and their acceleration, slopes of lines of regression.

        d^t = sum over k = 1 .. window of k (x^{t+k} - x^{t-k}) / (2 sum of k^2),    the ends standing beyond themselves

    Args:
        x: (frames, n).
        window: frames to either side.

    Returns:
        (frames, 3 n).

    Source: Young et al. 2006, the HTK book, eq. 5.16.

    Example:
        >>> derivatives(np.arange(5.0)[:, None])[2].tolist()
        [2.0, 1.0, 0.0]
    """

    def slope(x):
        k = np.arange(1, window + 1)
        padded = np.pad(x, ((window, window), (0, 0)), mode="edge")
        ahead, behind = (sum(w * padded[window + s * w :][: len(x)] for w in k) for s in (1, -1))
        return (ahead - behind) / (2 * np.sum(k * k))

    d = slope(x)
    return np.concatenate([x, d, slope(d)], axis=-1).astype(x.dtype)


def count(samples: int, rate: int) -> int:
    """Return how many frames a waveform has.

    Args:
        samples: its length.
        rate: samples per second.

    Returns:
        The number.

    Example:
        >>> count(400, 16_000), count(401, 16_000)
        (1, 2)
    """
    length, hop = _samples(rate)
    return 1 + max(0, -(-(samples - length) // hop))


def _samples(rate):
    """Return samples in a frame, and from one to the next."""
    return int(_LENGTH * rate + 0.5), int(_HOP * rate + 0.5)


def _mfccs(samples, rate):
    from scipy.fft import dct

    energies, energy = _energies(samples, rate, 26)
    cepstra = dct(np.log(energies), axis=-1, norm="ortho")[:, :13]
    cepstra *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(13) / _LIFTER)
    cepstra[:, 0] = np.log(energy)
    return cepstra


def _fbank(samples, rate):
    energies, energy = _energies(samples, rate, 40)
    return np.concatenate([energies, energy[:, None]], axis=-1)


def _energies(samples, rate, n_mels):
    """Return the energies of mel filters (frames, n_mels), and those of the frames, none of them 0."""
    emphasised = np.append(samples[:1], samples[1:] - _PREEMPHASIS * samples[:-1])
    power = np.abs(np.fft.rfft(_frames(emphasised, rate), _FFT)) ** 2 / _FFT
    energies, energy = power @ _on_bins(rate, n_mels), power.sum(axis=-1)
    return (np.where(each == 0, _LEAST, each) for each in (energies, energy))


def _htk(samples, rate):
    frames = _frames(samples, rate)
    full = max(1, 1 + (len(samples) - frames.shape[1]) // _samples(rate)[1])
    energy = np.sum(frames**2, axis=-1)
    emphasised = frames - _PREEMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], axis=-1)
    magnitude = np.abs(np.fft.rfft(emphasised * np.hamming(frames.shape[1]), _FFT))
    values = np.concatenate([magnitude @ _on_mel_scale(rate, 40), energy[:, None]], axis=-1)
    values = np.log(np.maximum(values, 1.0))  # HTK's floor
    values[full:] = values[full - 1]
    return values


def _frames(samples, rate):
    """Return the frames (frames, length) of a waveform, which is followed by zeros."""
    length, hop = _samples(rate)
    number = count(len(samples), rate)
    padded = np.zeros((number - 1) * hop + length)
    padded[: len(samples)] = samples
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def _mel(f):
    return 2595 * np.log10(1 + f / 700)


@functools.cache
def _on_bins(rate, n_mels):
    """Return triangles (bins, n_mels) whose corners, equally spaced on the mel scale, are moved down to bins."""
    mel = np.linspace(0, _mel(rate / 2), n_mels + 2)
    corners = np.floor((_FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / rate)
    filters = np.zeros((_FFT // 2 + 1, n_mels))
    for m, (low, peak, high) in enumerate(zip(corners[:-2], corners[1:-1], corners[2:], strict=True)):
        rise, fall = np.arange(int(low), int(peak)), np.arange(int(peak), int(high))
        filters[rise, m] = (rise - low) / max(peak - low, 1)
        filters[fall, m] = (high - fall) / max(high - peak, 1)
    return filters


@functools.cache
def _on_mel_scale(rate, n_mels):
    """Return triangles (bins, n_mels) over the mel scale itself."""
    corners = np.linspace(0, _mel(rate / 2), n_mels + 2)
    mel = _mel(np.arange(_FFT // 2 + 1) * rate / _FFT)[:, None]
    step = corners[1]
    filters = np.maximum(0, 1 - np.abs(mel - corners[1:-1]) / step)
    filters[0] = 0  # HTK leaves the constant out
    return filters
