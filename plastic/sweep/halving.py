"""Successive halving: short runs of all points, and longer ones of the best of them, again and again.

    rung 0         all n points, for L / eta^k of the length L
    rung i + 1     the best 1 / eta of the points of rung i, extended by a factor eta
    last rung      the survivors, to the full length

Jamieson, Talwalkar: Non-stochastic best arm identification and hyperparameter optimization. AISTATS 2016.
"""

import math

import numpy as np

from plastic.errors import PlasticError
from plastic.sweep.summary import last

_SMALLER, _LARGER = ("error", "loss", "cost"), ("accuracy", "return", "reward", "cosine")


def lengths(length: int, points: int, eta: int) -> list[int]:
    """Return how long the runs of each rung are, the last of them of the full length.

    Args:
        length: the full length.
        points: how many there are.
        eta: one in so many is kept from rung to rung.

    Returns:
        The lengths, growing.

    Example:
        >>> lengths(27, 9, 3)
        [3, 9, 27]
    """
    rungs = max(0, math.floor(math.log(points) / math.log(eta) + 1e-9))
    return sorted({math.ceil(length / eta**k) for k in range(rungs + 1)})


def direction(by: str) -> tuple[str, int]:
    """Return the metric that points are compared by, and 1 where larger is better, -1 where smaller is.

    by: a name of a metric that says so itself, as test_error does, or with + or - in front.
    """
    if by[:1] in ("+", "-"):
        return by[1:], 1 if by[0] == "+" else -1
    for words, sign in ((_SMALLER, -1), (_LARGER, 1)):
        if any(word in by for word in words):
            return by, sign
    raise PlasticError(f"by is {by!r}; write +{by} where larger is better, and -{by} where smaller is (--by=-{by})")


def best(runs: dict, by: str, keep: int) -> list[int]:
    """Return the points with the best value of a metric at the end of their runs, a mean over replicas.

    Args:
        runs: {point: run, or None where it failed}; a point without a finite value is never kept.
        by: the metric; see `direction`.
        keep: how many.
    """
    name, sign = direction(by)
    values = {}
    for index, run in runs.items():
        rows = [metrics for _, _, metrics in last(run)] if run is not None else []
        if rows and not any(name in metrics for metrics in rows):
            known = ", ".join(sorted({key for metrics in rows for key in metrics}))
            raise PlasticError(f"by is {by!r}, which metrics.csv does not have; it has {known}")
        value = float(np.mean([metrics.get(name, math.nan) for metrics in rows])) if rows else math.nan
        if math.isfinite(value):
            values[index] = sign * value
    return sorted(sorted(values), key=lambda index: -values[index])[:keep]
