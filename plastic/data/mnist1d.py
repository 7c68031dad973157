"""MNIST-1D: ten short curves, stretched, moved, tilted and buried in noise; a sequence task that needs no download.

The data set of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D" (2020, arXiv 2011.14439). This is our
own writing of their description: it makes the same draws in the same order, and so the same numbers.
"""

import numpy as np

from plastic import require
from plastic.errors import PlasticError

STEPS = 72  # of a deformed curve, before it is resampled to the length asked for

_TEMPLATES = (  # the curve of each class: roughly a digit drawn with a pen that only moves on
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
_CLASSES = len(_TEMPLATES)
_HEIGHT = 6  # a template, and its time axis, is divided by this
_PADDING = (36, 60)  # fewest and most zeros behind a template; the more there are, the shorter the curve gets
_MOST_SHIFT = 48  # a curve moves to the right by fewer steps than this
_SCALE = 0.4  # widths of the uniform distributions of a curve's amplitude, around 1,
_SHEAR = 0.75  # and of its tilt, around 0
_BACKGROUND = 0.25  # standard deviation of the noise beside the curve before it is smoothed,
_SMOOTHING = 2.0  # and the width of the smoothing, in steps
_NOISE = 0.02  # standard deviation of the noise on everything
_NOT_ZERO = 1e-8  # added to a template, so that a curve's zeros are not taken for padding


def generate(samples: int = 5000, length: int = 40, seed: int = 42) -> dict[str, np.ndarray]:
    """Return training and test curves. The defaults make the published data.

    The mean is 0 and the deviation 1 over all samples and steps, those of the test set included, as published.

    Args:
        samples: of training and test together, a multiple of 10, the same number of each class; the first 80 % after
            shuffling are the training set.
        length: steps of a curve. The same samples and seed give the same curves at any length.
        seed: a whole number from 0 to 2^32 - 1.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: curves x float64 (N, length) and labels y int64 (N,).

    Raises:
        PlasticError: if an option is out of range.
    """
    require.whole("samples", samples, least=_CLASSES)
    if samples % _CLASSES:
        raise PlasticError(f"samples is {samples}; take a multiple of {_CLASSES}, as many of each class")
    require.whole("length", length, least=2)
    require.whole("seed", seed, least=0, most=2**32 - 1)
    rng = np.random.RandomState(seed)
    y = np.repeat(np.arange(_CLASSES), samples // _CLASSES)
    x = resample(deform(y, rng), length)
    order = rng.permutation(samples)
    x, y = x[order], y[order]
    x = (x - x.mean()) / x.std()
    kept = samples * 4 // 5
    return {"x_train": x[:kept], "y_train": y[:kept], "x_test": x[kept:], "y_test": y[kept:]}


def templates() -> np.ndarray:
    """Return the undeformed curves of the ten classes, float64 (10, 12): of deviation 1/6, starting at 0."""
    curves = np.array(_TEMPLATES)
    curves -= curves.mean(axis=1, keepdims=True)
    curves /= curves.std(axis=1, keepdims=True)  # of what is centred already, which decides the last bit
    return (curves - curves[:, :1]) / _HEIGHT


def times(length: int) -> np.ndarray:
    """Return the time axis of curves of `length` steps, float64 (length,), from -5/6 to 5/6.

    The published data hold it divided by the deviation of all curves before they are standardised.
    """
    start = np.linspace(-5, 5, len(_TEMPLATES[0])) / _HEIGHT
    return resample(resample(start, STEPS), length)


def deform(labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Return one deformed curve per label, not standardised.

    Args:
        labels: classes, whole numbers (N,) from 0 to 9.
        rng: a `RandomState`, whose stream is the one that the published data were drawn from.

    Returns:
        float64 (N, STEPS).
    """
    from scipy.ndimage import gaussian_filter1d

    padding, scale, shift, background, noise, shear = _draws(len(labels), rng)
    x = _dilated_templates()[labels, padding]
    x = x * (1 + _SCALE * (scale - 0.5))
    x = np.take_along_axis(x, (np.arange(STEPS) - shift) % STEPS, axis=1)
    x = np.where(x != 0, x, gaussian_filter1d(_BACKGROUND * background, _SMOOTHING, axis=1))
    x = x + _NOISE * noise
    return x - _SHEAR * (shear - 0.5) * np.linspace(-0.5, 0.5, STEPS)


def resample(x: np.ndarray, length: int) -> np.ndarray:
    """Return curves at other points, interpolated linearly.

    Args:
        x: curves (..., n).
        length: how many points, evenly spaced from the first to the last.

    Returns:
        (..., length).

    Example:
        >>> resample(np.array([0.0, 1.0]), 3).tolist()
        [0.0, 0.5, 1.0]
    """
    before, after = np.linspace(0, 1, x.shape[-1]), np.linspace(0, 1, length)
    curves = [np.interp(after, before, curve) for curve in x.reshape(-1, x.shape[-1])]
    return np.reshape(curves, (*x.shape[:-1], length))


def _draws(n: int, rng: np.random.RandomState) -> tuple[np.ndarray, ...]:
    """Return the draws of n curves: padding (n,); scale, shift and shear (n, 1); two noises (n, STEPS).

    One curve after the other: the order of the draws within a curve is part of what the data set is.
    """
    fewest, most = _PADDING
    padding, shift = np.empty(n, int), np.empty((n, 1), int)
    scale, shear = np.empty((n, 1)), np.empty((n, 1))
    background, noise = np.empty((n, STEPS)), np.empty((n, STEPS))
    for i in range(n):
        padding[i] = rng.rand() * (most - fewest + 1)  # rounded down: zeros beyond the fewest
        scale[i] = rng.rand()
        shift[i] = rng.randint(_MOST_SHIFT)
        background[i] = rng.randn(STEPS)
        noise[i] = rng.randn(STEPS)
        shear[i] = rng.rand()
    return padding, scale, shift, background, noise, shear


def _dilated_templates() -> np.ndarray:
    """Return every template with every padding, stretched to the same length: float64 (10, paddings, STEPS)."""
    fewest, most = _PADDING
    curves = templates() + _NOT_ZERO
    padded = [np.pad(curves, ((0, 0), (0, zeros))) for zeros in range(fewest, most + 1)]
    return np.stack([resample(each, STEPS) for each in padded], axis=1)
