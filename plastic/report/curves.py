"""Curves for a page: the seeds of a series in one band, with as few points as show what there is to see."""

import itertools

import numpy as np

from plastic.report.series import Series

_POINTS = 400_000  # of all curves of a page together, some megabytes
_MOST = (400, 200, 100, 50, 25, 10)  # points of a curve


def points(lengths: list[int]) -> int:
    """Return how many points a curve of a page may have, where all curves have so many."""
    for most in _MOST:
        if sum(n if n <= most else 2 * most for n in lengths) <= _POINTS:  # a thinned one has times of its own
            break
    return most


def length(series: Series, metric: str) -> int:
    """Return how many points a metric has, of the seed that has most."""
    return max(len(curves[metric].x) for curves in series.replicas.values() if metric in curves)


def band(series: Series, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (x, mean, low, high) of a metric over the seeds: at each time their mean, the least and the largest.

    At times that some seeds do not have, the others count.
    """
    every = [curves[metric] for curves in series.replicas.values() if metric in curves]
    x = np.unique(np.concatenate([curve.x for curve in every]))
    values = np.full((len(every), len(x)), np.nan)
    for row, curve in zip(values, every, strict=True):
        row[np.searchsorted(x, curve.x)] = curve.y
    return x, np.nanmean(values, axis=0), np.nanmin(values, axis=0), np.nanmax(values, axis=0)


def thinned(x: np.ndarray, low: np.ndarray, high: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the points that are kept, increasing: the first, the last, and each extreme in between.

    The curve is cut into pieces of equal length, and of each the least of `low` and the largest of `high` stay, so that
    no peak is lost.

    Args:
        x, low, high: (n,) the times, and the band at each.
        most: how many points may be kept, four at least.
    """
    n = len(x)
    if n <= most:
        return np.arange(n)
    bounds = np.linspace(0, n, (most - 2) // 2 + 1).astype(int)
    kept = [0, n - 1]
    for start, stop in itertools.pairwise(bounds):
        kept += [start + np.argmin(low[start:stop]), start + np.argmax(high[start:stop])]
    return np.unique(kept)


def plotted(series: Series, metric: str, most: int) -> dict[str, list[float]]:
    """Return a curve as JSON has it: x, y and, over several seeds that differ, low and high, to four digits."""
    x, mean, low, high = band(series, metric)
    kept = thinned(x, low, high, most)
    found = {"x": [_rounded(value, 6) for value in x[kept]], "y": [_rounded(value) for value in mean[kept]]}
    if np.any(low < high):
        found |= {"low": [_rounded(value) for value in low[kept]], "high": [_rounded(value) for value in high[kept]]}
    return found


def _rounded(value, digits=4):
    """Return a number to some digits, a whole one as an integer, which JSON writes shorter."""
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
