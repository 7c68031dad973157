"""What a metric is called tells how it is read: whether more of it is better, whether it is a fraction."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from plastic.bootstrap import interval
from plastic.report.series import Series

_MORE = re.compile(r"(^|_)(accuracy|return|returns|reward|rewards|score|scores|cosine|alignment|correct)(_|$)")
_LESS = re.compile(r"(^|_)(error|errors|loss|mse|rmse|residual|penalty)(_|$)")
_FRACTION = re.compile(r"(^|_)(accuracy|error)(_|$)")
_FIRST = (
    *("test_accuracy", "test_error", "validation_accuracy", "validation_error", "held_out_error", "accuracy", "error"),
    *("return", "test_loss", "loss", "train_accuracy", "train_error"),
)


class Number(NamedTuple):
    """A number of a metric over seeds. value: its mean, nan where there is none. text: as it is shown."""

    value: float
    text: str


NONE = Number(math.nan, "")


def direction(metric: str) -> int:
    """Return 1 where more of a metric is better, -1 where less is, 0 where its name does not say."""
    return 1 if _MORE.search(metric) else -1 if _LESS.search(metric) else 0


def is_fraction(metric: str, series: Iterable[Series]) -> bool:
    """Return whether a metric is an accuracy or an error as a fraction, to be shown in per cent."""
    if not _FRACTION.search(metric):
        return False
    curves = [curves[metric].y for each in series for curves in each.replicas.values() if metric in curves]
    return all(0 <= y.min() and y.max() <= 1 for y in curves)


def main_metric(metrics: list[str]) -> str:
    """Return the metric that says most about a run: of the test set before others, "" where there is none."""
    for name in _FIRST:
        if name in metrics:
            return name
    return next((name for name in metrics if direction(name)), metrics[0] if metrics else "")


def final(series: Series, metric: str, percent: bool) -> Number:
    """Return the last value of a metric, as the mean over the seeds."""
    return over_seeds([curves[metric].y[-1] for curves in series.replicas.values() if metric in curves], percent)


def best(series: Series, metric: str, percent: bool) -> Number:
    """Return the best value of a metric, each seed's own, as the mean over the seeds."""
    towards = direction(metric)
    if not towards:
        return NONE
    pick = np.max if towards > 0 else np.min
    return over_seeds([pick(curves[metric].y) for curves in series.replicas.values() if metric in curves], percent)


def over_seeds(values: list, percent: bool) -> Number:
    """Return the mean of values, in words with its interval and the number of seeds."""
    if not values:
        return NONE
    if len(values) == 1:
        return Number(float(values[0]), shown(values[0], percent) + " %" * percent)
    mean, low, high = (float(each) for each in interval(values))
    unit = " %" * percent
    return Number(mean, f"{shown(mean, percent)}{unit} [{shown(low, percent)}, {shown(high, percent)}]")


def shown(value: float, percent: bool) -> str:
    """Return a number as text; a fraction in per cent, without the sign."""
    return f"{100 * value:.2f}" if percent else f"{value:.4g}"


def summary(metric: str, numbers: list[tuple[Number, Number, Series]]) -> list:
    """Return what the table of runs says of a metric: [best value, best in words, final value, final in words].

    Of several series the one with the best value counts, and is named; where the metric's name does not say what is
    better, there are the least and the largest.

    Args:
        metric: its name.
        numbers: (best, final, series) of each series that has it.
    """
    if len(numbers) == 1:
        ((best, final, _),) = numbers
        return [*best, *final]
    if towards := direction(metric):
        best, final, series = max(numbers, key=lambda each: towards * each[0].value)
        where = ", ".join(text for _, text in series.where)
        return [best.value, f"{best.text} ({where})", final.value, f"{final.text} ({where})"]
    ends = sorted((final for _, final, _ in numbers), key=lambda each: each.value)
    return [*NONE, ends[-1].value, f"{shown(ends[0].value, False)} to {shown(ends[-1].value, False)}"]
