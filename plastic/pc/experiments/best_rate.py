"""Choosing the learning rate of a rule from metrics.csv, and what the rule then reaches."""

import numpy as np

from plastic.errors import PlasticError
from plastic.pc.experiments.replicas import RULES

SUMMARIES = {"mean": np.mean, "min": np.min}


def curves(metrics, name, **where):
    """Return (rates, values (rates, seeds, epochs)) of a column of metrics.csv, in rows with these values.

    Raises PlasticError where there is no such row.
    """
    table = {key: np.array(column) for key, column in metrics.items()}
    chosen = np.all([table[key] == value for key, value in where.items()], axis=0)
    if not np.any(chosen):
        wanted = ", ".join(f"{key} {value}" for key, value in where.items())
        raise PlasticError(f"metrics.csv has no rows of {wanted}: the run is not finished; go on with --resume")
    axes = {key: np.unique(table[key][chosen]) for key in ("rate", "seed", "epoch")}
    values = np.full(tuple(map(len, axes.values())), np.nan)
    values[tuple(np.searchsorted(axis, table[key][chosen]) for key, axis in axes.items())] = table[name][chosen]
    return axes["rate"], values


def best(metrics, summary, select="test_error", report="test_error", **where):
    """Return {"rate", "values" (seeds,), "curve" (seeds, epochs)} of the rate with the least mean summary.

    A rate whose summary is not finite is not chosen where another is.

    summary: "mean" over the epochs after the first evaluation, or "min". select, report: by which error a rate is
    chosen, and which is reported.
    """
    rates, chosen_by = curves(metrics, select, **where)
    if chosen_by.shape[-1] < 2:
        raise PlasticError("metrics.csv has no rows after the first step: the run is not finished; go on with --resume")
    _, reported = curves(metrics, report, **where)
    scores = SUMMARIES[summary](chosen_by[..., 1:], axis=-1).mean(axis=-1)
    index = int(np.argmin(np.where(np.isfinite(scores), scores, np.inf)))
    curve = reported[index]
    return {"rate": float(rates[index]), "values": SUMMARIES[summary](curve[:, 1:], axis=-1), "curve": curve}


def interval(values, draws=1000, seed=0):
    """Return (mean, low, high): the mean over the first axis and its 68 % bootstrap interval, as published."""
    values = np.asarray(values)
    picks = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    means = values[picks].mean(axis=1)
    low, high = np.percentile(means, [16, 84], axis=0)
    return values.mean(axis=0), low, high


def report(metrics, summaries, axis=None, places=()):
    """Return lines that say what each rule reaches at its best rate, for each of `places` on an axis, a column.

    The rate is chosen on the test set, and on its first half for the second.
    """
    every = [{axis: place} for place in places] if axis else [{}]
    return [_reached(metrics, summary, rule, **where) for where in every for rule in RULES for summary in summaries]


def _reached(metrics, summary, rule, **where):
    chosen = best(metrics, summary, rule=rule, **where)
    held = best(metrics, summary, "validation_error", "held_out_error", rule=rule, **where)
    place = "".join(f"{axis} {value:g}, " for axis, value in where.items())
    error, other = (f"{np.mean(each['values']):.3f} (rate {each['rate']:g})" for each in (chosen, held))
    return f"{place}{rule.upper()}: {summary} test error {error}; {other} if held out"
