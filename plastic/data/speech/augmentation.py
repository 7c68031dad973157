"""Training waveforms changed at random: background noise, and a shift in time.

As in the Speech Commands experiment of Ellenberger et al. 2024 (GLE), after Warden 2018.
"""

from collections.abc import Sequence

import numpy as np

_PROBABILITY = 0.8  # that a waveform gets noise
_LEVELS = (20.0, 10.0, 3.0)  # of speech over noise; in that experiment exp(level / 10), not the 10^(level / 10) of dB
_SHIFT = 0.1  # seconds, the largest, to either side


def augment(waves: np.ndarray, rate: int, noise: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Change waveforms in place: first noise, see `add_noise`, then a shift of a tenth of a second at most.

    Args:
        waves: waveforms of one second (n, rate).
        rate: samples per second.
        noise: recordings to draw from, (m,) each with m >= rate; may be empty.
        rng: the generator of all draws.
    """
    if noise:
        add_noise(waves, noise, rng)
    largest = round(_SHIFT * rate)
    for wave, offset in zip(waves, rng.integers(-largest, largest, len(waves), endpoint=True), strict=True):
        shift(wave, offset)


def add_noise(waves: np.ndarray, noise: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Replace, in place, each waveform w with probability 0.8 by a mixture with a random second b of the noise.

        w <- (c w + b) / 2,    c = exp(level / 10) |b| / |w|,    the level 20, 10 or 3 at random

    A waveform of zeros becomes b / 2.

    Args:
        waves: waveforms of one second (n, rate).
        noise: recordings to draw from, (m,) each with m >= rate.
        rng: the generator of all draws.
    """
    n, samples = waves.shape
    chosen = rng.random((n,)) < _PROBABILITY
    which = rng.integers(len(noise), size=(n,))
    level = rng.choice(np.array(_LEVELS), (n,))
    place = rng.random((n,))
    for i in np.flatnonzero(chosen):
        recording = noise[which[i]]
        start = int(place[i] * (len(recording) - samples + 1))
        b, w = recording[start : start + samples], waves[i]
        loudness = np.linalg.norm(w)
        if loudness > 0:
            w *= float(np.exp(level[i] / 10) * np.linalg.norm(b) / loudness)
        w += b
        w /= 2


def shift(wave: np.ndarray, offset: int) -> None:
    """Delay a waveform in place; the gap is filled with zeros.

    Args:
        wave: (samples,).
        offset: so many samples later; earlier, if negative.

    Example:
        >>> wave = np.array([1, 2, 3])
        >>> shift(wave, 1)
        >>> wave.tolist()
        [0, 1, 2]
    """
    if offset > 0:
        wave[offset:] = wave[:-offset].copy()
        wave[:offset] = 0
    elif offset < 0:
        wave[:offset] = wave[-offset:].copy()
        wave[offset:] = 0
