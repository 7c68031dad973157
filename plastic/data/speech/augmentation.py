"""Training waveforms changed at random: background noise, and a shift in time.

As in the Speech Commands experiment of Ellenberger et al. 2024 (GLE), after Warden 2018.
"""

import numpy as np

_PROBABILITY = 0.8  # that a waveform gets noise
_LEVELS = (20.0, 10.0, 3.0)  # of speech over noise; in that experiment exp(level / 10), not the 10^(level / 10) of dB
_SHIFT = 0.1  # seconds, the largest, to either side


def augment(waves, rate, noise, rng):
    """Change waveforms (n, rate), of one second, in place: first noise, then the shift.

    noise: recordings to draw from, (m,) each with m >= rate. All draws come from the generator `rng`.
    """
    if noise:
        add_noise(waves, noise, rng)
    largest = round(_SHIFT * rate)
    for wave, offset in zip(waves, rng.integers(-largest, largest, len(waves), endpoint=True), strict=True):
        shift(wave, offset)


def add_noise(waves, noise, rng):
    """Replace, in place, each waveform w with probability 0.8 by (c w + b) / 2 with a random second b of the noise.

    c = exp(level / 10) |b| / |w| with the level 20, 10 or 3 at random. A waveform of zeros becomes b / 2.
    """
    n, samples = waves.shape
    chosen = rng.random(n) < _PROBABILITY
    which = rng.integers(len(noise), size=n)
    level = rng.choice(_LEVELS, n)
    place = rng.random(n)
    for i in np.flatnonzero(chosen):
        recording = noise[which[i]]
        start = int(place[i] * (len(recording) - samples + 1))
        b, w = recording[start : start + samples], waves[i]
        loudness = np.linalg.norm(w)
        if loudness > 0:
            w *= float(np.exp(level[i] / 10) * np.linalg.norm(b) / loudness)
        w += b
        w /= 2


def shift(wave, offset):
    """Delay a waveform by `offset` samples, in place; where nothing is left to hear, it is zero."""
    if offset > 0:
        wave[offset:] = wave[:-offset].copy()
        wave[:offset] = 0
    elif offset < 0:
        wave[:offset] = wave[-offset:].copy()
        wave[offset:] = 0
