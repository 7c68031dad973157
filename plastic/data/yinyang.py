"""Yin-Yang: points of the plane in three classes, a small task that a linear network cannot solve.

The data set of Kriener, Göltz and Petrovici, "The Yin-Yang dataset" (2022, arXiv 2102.08211), written from the geometry
and the order of draws that they describe. They report a test accuracy of 98.7 % for an MLP with 120 hidden units and
64.3 % for a network without a hidden layer.

A circle that touches the sides of the unit square is cut in two by a line that runs along its horizontal diameter and
bends around two circles of half its size: yin is the lower part, with the right one of these, and yang the upper part,
with the left one. Around the centres of both lies a dot, which is the third class.
"""

import math

import numpy as np

from plastic import require
from plastic.errors import PlasticError

R_BIG = 0.5  # of the circle, whose centre is (R_BIG, R_BIG)
R_SMALL = 0.1  # of the two dots
YIN, YANG, DOT = range(3)


def generate(n_train: int = 5000, n_test: int = 1000, seeds: tuple[int, int] = (42, 40)) -> dict[str, np.ndarray]:
    """Return training and test points, see `sample`.

    Args:
        n_train, n_test: numbers of points.
        seeds: of the training and of the test set; the same seed would give both the same points. The defaults make the
            published data, whose validation set of 1,000 points is `sample(1000, seed=41)`.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: points x float64 (N, 4), labels y int64 (N,).

    Raises:
        PlasticError: if a number of points is below 1, or the seeds are equal or out of range.
    """
    if not isinstance(seeds, tuple | list) or len(seeds) != 2:
        raise PlasticError(f"seeds is {seeds!r}; take two, of the training and of the test set")
    if seeds[0] == seeds[1]:
        raise PlasticError(f"seeds={seeds}: take two different ones, or the training set holds the test set's points")
    arrays = {}
    for split, n, seed in zip(("train", "test"), (n_train, n_test), seeds, strict=True):
        arrays[f"x_{split}"], arrays[f"y_{split}"] = sample(n, seed)
    return arrays


def sample(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random points and their classes, each class of probability 1/3.

    A point (a, b) of the unit square is given as (a, b, 1 - a, 1 - b), so that a network without biases can learn, too.
    Within its class it is uniformly distributed.

    Args:
        n: number of points.
        seed: a whole number from 0 to 2^32 - 1.

    Returns:
        (x, y): points float64 (n, 4) and labels int64 (n,), 0 yin, 1 yang, 2 dot.

    Raises:
        PlasticError: if n is below 1, or the seed is out of range.

    Example:
        >>> x, y = sample(1, seed=42)
        >>> [class_of(*x[0, :2])] == y.tolist()
        True
    """
    require.whole("n", n)
    try:
        rng = np.random.RandomState(seed)
    except (TypeError, ValueError) as error:
        raise PlasticError(f"seed={seed}: take a whole number from 0 to {2**32 - 1} ({error})") from None
    y = np.empty(n, np.int64)
    points = np.empty((n, 2))
    for i in range(n):
        y[i] = rng.randint(3)
        points[i] = _point_of(y[i], rng)
    return np.concatenate([points, 1 - points], axis=1), y


def class_of(a: float, b: float) -> int | None:
    """Return the class of a point of the unit square.

    Args:
        a, b: its coordinates.

    Returns:
        0 yin, 1 yang, 2 dot, or None outside the circle.

    Example:
        >>> class_of(0.25, 0.5) == DOT, class_of(0.5, 0.9) == YANG, class_of(0.0, 0.0)
        (True, True, None)
    """
    if math.hypot(a - R_BIG, b - R_BIG) > R_BIG:
        return None
    left, right = (math.hypot(a - centre, b - R_BIG) for centre in (R_BIG / 2, 3 * R_BIG / 2))
    if min(left, right) < R_SMALL:
        return DOT
    if left <= R_BIG / 2:
        return YANG
    if right <= R_BIG / 2:
        return YIN
    return YANG if b > R_BIG else YIN


def _point_of(label: int, rng: np.random.RandomState) -> tuple[float, float]:
    """Return the first point drawn that is of the class asked for: about 3 draws for yin and yang, 16 for a dot."""
    while True:
        a, b = (2 * R_BIG * rng.rand(2)).tolist()
        if class_of(a, b) == label:
            return a, b
