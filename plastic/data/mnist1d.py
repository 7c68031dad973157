"""MNIST-1D: ten short curves, stretched, moved, tilted and buried in noise; a sequence task that needs no download.

The data set of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D" (2020, arXiv 2011.14439). This is our
own writing of their description: it makes the same draws in the same order, and so the same numbers.
"""

import dataclasses

import numpy as np

from plastic import require
from plastic.errors import PlasticError

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
CLASSES = tuple(range(len(_TEMPLATES)))
_POINTS = len(_TEMPLATES[0])
_HEIGHT = 6  # a template, and its time axis, is divided by this
_SMOOTHING = 2.0  # width of the smoothing of the noise beside a curve, in steps
_NOT_ZERO = 1e-8  # added to a template, so that a curve's zeros are not taken for padding
_MOST = 10**5  # steps of a curve: its arrays still fit the memory


@dataclasses.dataclass(frozen=True)
class Deformation:
    """How curves are deformed; the defaults are those of the published data.

    Args:
        padding: fewest and most zeros behind a template of 12 points; the more there are, the shorter the curve gets.
        scale_coeff: width of the uniform distribution of a curve's amplitude, around 1.
        max_translation: a curve moves to the right by fewer steps than this, of 12 + the most zeros.
        corr_noise_scale: standard deviation of the noise beside the curve before it is smoothed.
        iid_noise_scale: standard deviation of the noise on everything.
        shear_scale: width of the uniform distribution of a curve's tilt, around 0.
    """

    padding: tuple[int, ...] = (36, 60)
    scale_coeff: float = 0.4
    max_translation: int = 48
    corr_noise_scale: float = 0.25
    iid_noise_scale: float = 0.02
    shear_scale: float = 0.75

    def __post_init__(self) -> None:
        if len(self.padding) != 2 or not 0 <= self.padding[0] <= self.padding[1] <= _MOST:
            raise PlasticError(f"padding is {self.padding}; it takes the fewest and the most zeros, 36,60 for instance")
        require.whole("max_translation", self.max_translation)
        for name in ("scale_coeff", "corr_noise_scale", "iid_noise_scale", "shear_scale"):
            require.number(name, getattr(self, name), least=0)

    @property
    def steps(self) -> int:
        """The steps of a deformed curve, before it is resampled to the length asked for; 72 of the published data."""
        return _POINTS + self.padding[1]


PUBLISHED = Deformation()
STEPS = PUBLISHED.steps


def generate(
    num_samples: int = 5000,
    length: int = 40,
    seed: int = 42,
    classes: tuple[int, ...] = CLASSES,
    deformation: Deformation = PUBLISHED,
) -> dict[str, np.ndarray]:
    """Return training and test curves. The defaults make the published data.

    The mean is 0 and the deviation 1 over all samples and steps, those of the test set included, as published.

    Args:
        num_samples: of training and test together, the same number of each class; the first 80 % after shuffling are
            the training set.
        length: steps of a curve. The same number of samples and seed give the same curves at any length.
        seed: a whole number from 0 to 2^32 - 1.
        classes: of the ten templates, those that are taken; their labels are 0, 1, .. in this order. (The published
            generator has such an argument, and ignores it.)
        deformation: how templates become curves.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: curves x float64 (N, length) and labels y int64 (N,).

    Raises:
        PlasticError: if an option is out of range.
    """
    if len(classes) < 2 or len(set(classes)) < len(classes) or not set(classes) <= set(CLASSES):
        raise PlasticError(f"classes is {classes}; take two or more different ones from 0 to {CLASSES[-1]}")
    require.whole("num_samples", num_samples, least=len(classes))
    if num_samples % len(classes):
        raise PlasticError(f"num_samples is {num_samples}; take a multiple of {len(classes)}, as many of each class")
    require.whole("length", length, least=2)
    require.whole("seed", seed, least=0, most=2**32 - 1)
    rng = np.random.RandomState(seed)
    y = np.repeat(np.arange(len(classes)), num_samples // len(classes))
    x = resample(deform(np.array(classes)[y], rng, deformation), length)
    order = rng.permutation(num_samples)
    x, y = x[order], y[order]
    x = (x - x.mean()) / x.std()
    kept = num_samples * 4 // 5
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
    start = np.linspace(-5, 5, _POINTS) / _HEIGHT
    return resample(resample(start, STEPS), length)


def deform(labels: np.ndarray, rng: np.random.RandomState, deformation: Deformation = PUBLISHED) -> np.ndarray:
    """Return one deformed curve per label, not standardised.

    Args:
        labels: classes, whole numbers (N,) from 0 to 9.
        rng: a `RandomState`, whose stream is the one that the published data were drawn from.
        deformation: how templates become curves.

    Returns:
        float64 (N, deformation.steps).
    """
    from scipy.ndimage import gaussian_filter1d

    steps = deformation.steps
    padding, scale, shift, background, noise, shear = _draws(len(labels), rng, deformation)
    x = _dilated_templates(*deformation.padding)[labels, padding]
    x = x * (1 + deformation.scale_coeff * (scale - 0.5))
    x = np.take_along_axis(x, (np.arange(steps) - shift) % steps, axis=1)
    x = np.where(x != 0, x, gaussian_filter1d(deformation.corr_noise_scale * background, _SMOOTHING, axis=1))
    x = x + deformation.iid_noise_scale * noise
    return x - deformation.shear_scale * (shear - 0.5) * np.linspace(-0.5, 0.5, steps)


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


def _draws(n: int, rng: np.random.RandomState, deformation: Deformation) -> tuple[np.ndarray, ...]:
    """Return the draws of n curves: padding (n,); scale, shift and shear (n, 1); two noises (n, steps).

    One curve after the other: the order of the draws within a curve is part of what the data set is.
    """
    (fewest, most), steps = deformation.padding, deformation.steps
    padding, shift = np.empty(n, int), np.empty((n, 1), int)
    scale, shear = np.empty((n, 1)), np.empty((n, 1))
    background, noise = np.empty((n, steps)), np.empty((n, steps))
    for i in range(n):
        padding[i] = rng.rand() * (most - fewest + 1)  # rounded down: zeros beyond the fewest
        scale[i] = rng.rand()
        shift[i] = rng.randint(deformation.max_translation)
        background[i] = rng.randn(steps)
        noise[i] = rng.randn(steps)
        shear[i] = rng.rand()
    return padding, scale, shift, background, noise, shear


def _dilated_templates(fewest: int, most: int) -> np.ndarray:
    """Return every template with every padding, stretched to the same length: float64 (10, paddings, steps)."""
    curves = templates() + _NOT_ZERO
    padded = [np.pad(curves, ((0, 0), (0, zeros))) for zeros in range(fewest, most + 1)]
    return np.stack([resample(each, _POINTS + most) for each in padded], axis=1)
