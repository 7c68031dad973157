"""Reading metrics.csv of a comparison: curves, and the learning rate that each rule is best at."""

from typing import Any

import numpy as np


def table(metrics: dict[str, list[Any]], rule: str, stage: str) -> dict[str, np.ndarray]:
    """Return the columns of the rows of a rule in a stage, "search" or "training"."""
    pairs = zip(metrics.get("rule", ()), metrics.get("stage", ()), strict=True)
    chosen = [place for place, pair in enumerate(pairs) if pair == (rule, stage)]
    return {name: np.array([column[place] for place in chosen]) for name, column in metrics.items()}


def curves(metrics: dict[str, list[Any]], rule: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, values (seeds, steps)) of a column in the training of a rule, NaN where a seed has diverged."""
    rows = table(metrics, rule, "training")
    steps, places = np.unique(rows["step"], return_inverse=True)
    values = np.full((int(rows["replica"].max(initial=-1)) + 1, len(steps)), np.nan)
    if len(steps):
        values[rows["replica"].astype(int), places] = rows[name].astype(float)
    return steps, values


def last(metrics: dict[str, list[Any]], rule: str, name: str) -> np.ndarray:
    """Return the values (seeds,) of a column at the end of the training of a rule."""
    return curves(metrics, rule, name)[1][:, -1]


def best_rate(metrics: dict[str, list[Any]], rule: str) -> tuple[float | None, str]:
    """Return the learning rate with the highest mean validation accuracy after the search, and which edge it is.

    Of equal ones it is that in the middle. A rate that diverged with a seed is never the best.

    Returns:
        (rate, ""), or "least" or "largest" where it is that of all that were tried; (None, "") where all have diverged.
    """
    rows = table(metrics, rule, "search")
    at_the_end = rows["step"] == rows["step"].max()
    tried, accuracy = (rows[name][at_the_end].astype(float) for name in ("rate", "validation_accuracy"))
    rates = np.unique(tried)
    found = np.array([accuracy[tried == rate].mean() for rate in rates])
    if np.isnan(found).all():
        return None, ""
    equal = rates[found == np.nanmax(found)]
    best = float(equal[len(equal) // 2])
    return best, {rates.min(): "least", rates.max(): "largest"}.get(best, "")
