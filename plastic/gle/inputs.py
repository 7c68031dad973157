"""Inputs over time: a step function, an Ornstein-Uhlenbeck process, sums of sines. Host arrays, float64.

Times are in the unit of the time constants. The published code spaces the times of its n samples by T / (n - 1), by
which its sines are a little slow; `times` gives these.
"""

import numpy as np


def times(n, T):
    """Return n times from 0 to T, both included."""
    return np.linspace(0, T, n)


def step_function(n, dt, shifts, smooth=5):
    """Return square waves (n, batch) of -1 and +1: pulses of length 2, as far apart, each sample moved by its shift.

    n, dt: the number of steps and the length of one.
    shifts: (batch,) whole numbers of steps; samples are moved around the end.
    smooth: standard deviation in steps of the Gaussian by which they are smoothed; 0 for none.
    """
    return moved(square_wave(n, dt), shifts, smooth, 0, n)


def square_wave(n, dt):
    """Return the wave (n,) of `step_function`, in steps of dt, not moved and not smoothed."""
    width = int(2 / dt)
    wave = np.full(n, -1.0)
    for start in pulse_starts(n, width):
        wave[start : start + width] = 1
    return wave


def moved(wave, shifts, smooth, start, stop):
    """Return steps `start` to before `stop` of a wave (n,), moved by shifts (...,): (steps, ...).

    smooth: as for `step_function`.
    """
    n, margin = len(wave), 4 * smooth  # where the Gaussian is cut off
    first, last = max(start - margin, 0), min(stop + margin, n)
    steps = np.arange(first, last).reshape(-1, *[1] * np.ndim(shifts))
    samples = wave[(steps - np.asarray(shifts)) % n]
    if smooth:
        from scipy.ndimage import gaussian_filter1d

        samples = gaussian_filter1d(samples, smooth, axis=0)
    return samples[start - first : stop - first]


def pulse_starts(n, width):
    """Return where pulses of `width` steps begin: evenly spaced over n steps, in float32 as published, cut to steps."""
    last = int(n / width / 2)
    k, spacing = np.arange(last + 1), float(np.float32(n) / np.float32(last))
    first_half = k < (last + 1) // 2  # the published spacing goes from both ends to the middle
    return np.where(first_half, np.float32(k * spacing), np.float32(n - (last - k) * spacing)).astype(int)


def ornstein_uhlenbeck(generator, n, dt, batch=1, tau=1.0, sigma=0.5, mean=0.0):
    """Return paths (n, batch) of dx = (mean - x) dt / tau + sigma sqrt(2 / tau) dW, by Euler's method from the mean.

    generator: of the noise.
    """
    noise = sigma * np.sqrt(2 * dt / tau) * generator.standard_normal((n, batch))
    x = np.empty((n, batch))
    now = np.full(batch, mean)
    for t in range(n):
        x[t] = now
        now = now + dt * (mean - now) / tau + noise[t]
    return x


def sines(n, T, frequencies):
    """Return the sum over k of sin(2 pi f_k t), shape (n,), at n `times` up to T, of the frequencies f_k."""
    return np.sum(np.sin(2 * np.pi * np.asarray(frequencies) * times(n, T)[:, None]), axis=-1)
