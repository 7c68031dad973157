"""How sure a mean over seeds is: its bootstrap interval."""

from typing import Any

import numpy as np


def interval(values: Any, draws: int = 1000, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return the mean over seeds and its 68 % bootstrap interval, as Song et al. (2024) publish it.

    The interval runs from the 16th to the 84th percentile of the means of samples drawn with replacement.

    Args:
        values: (n, ...), one row for each seed.
        draws: samples that are drawn, each of n rows.
        seed: of the drawing, so that equal values give an equal interval.

    Returns:
        (mean, low, high), each of shape (...).

    Example:
        >>> mean, low, high = interval([0.90, 0.91, 0.92])
        >>> bool(low < mean < high)
        True
    """
    values = np.asarray(values)
    picks = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    means = values[picks].mean(axis=1)
    low, high = np.percentile(means, [16, 84], axis=0)
    return values.mean(axis=0), low, high
