"""Choosing the learning rate of a rule from metrics.csv, and what the rule then reaches."""

import functools

import numpy as np

from plastic import terminal
from plastic.errors import Diverged, PlasticError
from plastic.pc.experiments.learning import NAMES

SUMMARIES = {"mean": np.mean, "min": np.min}
_CHANCE = 0.95
"""An error that is at least this part of that of guesses is said to be no better."""


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
    """Return {"rate", "edge", "values" (seeds,), "curve" (seeds, epochs)} of the rate with the least mean summary.

    edge: "smallest" or "largest" where the rate is that of those tried, so that a better one may lie beyond; else "".

    With "min" the epoch is chosen with the rate, for each seed: what `report` has there is the value, so that nothing
    of it is chosen by itself where it is another error than `select`. A rate whose summary is not finite is not chosen
    where another is.

    summary: "mean" over the epochs after the first evaluation, or "min". select, report: by which error a rate is
    chosen, and which is reported.
    """
    rates, chosen_by = curves(metrics, select, **where)
    if chosen_by.shape[-1] < 2:
        raise PlasticError("metrics.csv has no rows after the first step: the run is not finished; go on with --resume")
    _, reported = curves(metrics, report, **where)
    scores = SUMMARIES[summary](chosen_by[..., 1:], axis=-1).mean(axis=-1)
    index = int(np.argmin(np.where(np.isfinite(scores), scores, np.inf)))
    curve, known = reported[index], chosen_by[index]
    if summary == "min":
        values = np.take_along_axis(curve[:, 1:], np.argmin(known[:, 1:], axis=-1)[:, None], axis=-1)[:, 0]
    else:
        values = curve[:, 1:].mean(axis=-1)
    edge = "" if len(rates) == 1 else {0: "smallest", len(rates) - 1: "largest"}.get(index, "")
    return {"rate": float(rates[index]), "edge": edge, "values": values, "curve": curve}


def report(run, summaries, measure="error", classes=10):
    """Return lines that say what the rule of each part of a grid reaches at its best rate.

    As published the rate is chosen on the test set; the second number is that of the second half of it, with the rate
    chosen on the first. Where there was a validation set, rates are chosen by that, and the test error is that of the
    best epochs. What is no better than chance is told on stderr. Raises Diverged where nobody is left.

    measure: "error" or "loss". classes: outputs of the networks.
    """
    metrics, parts, lost = run.metrics(), run.config["parts"], lost_parts(run)
    reached = _reached if f"test_{measure}" in metrics else functools.partial(_tested, run.arrays())
    lines = []
    for index, (part, is_lost) in enumerate(zip(parts, lost, strict=True)):
        rule, where = part["rule"], {axis: value for axis, value in part.items() if axis != "rule"}
        name = "".join(f"{axis} {value:g}, " for axis, value in where.items()) + NAMES[rule]
        for summary in summaries:
            said = "diverged at every rate" if is_lost else reached(metrics, summary, measure, index, part)
            lines.append(f"{name}: {said}")
        if measure == "error":
            column = next(each for each in ("test_error", "validation_error") if each in metrics)
            warn_of_chance(run, name, rule, best(metrics, "min", column, column, **part)["values"], classes)
    return lines


def warn_of_chance(run, name, rule, errors, classes):
    """Say on stderr that the least errors of a rule are no better than those of guesses, and what to try."""
    if np.mean(errors) < _CHANCE * (1 - 1 / classes):
        return
    advice = "other rates, or longer training"
    if rule == "ipc":
        advice = (
            f"smaller rates: weights move with the states, at each of T = {run.option('T')} steps for a batch, and a "
            "rate that is good for pc is about a hundred times too large"
        )
    terminal.warn(f"warning: {name} is no better than chance at any of its rates; try {advice}")


def lost_parts(run):
    """Return for each part whether all of its replicas have diverged. Raises Diverged where nobody is left at all."""
    every = [part.read_checkpoint()[1] for part in run.parts(run.config["parts"])]
    lost = [len(each["diverged"]) == np.size(next(iter(each["metrics"].values()))) for each in every]
    if all(lost):
        raise Diverged("training diverged at every rate: try smaller rates, or a smaller gamma")
    return lost


def _reached(metrics, summary, measure, index, part):
    chosen = best(metrics, summary, *[f"test_{measure}"] * 2, **part)
    held = best(metrics, summary, f"validation_{measure}", f"held_out_{measure}", **part)
    found, other = (f"{_shown(np.mean(each['values']), measure)} ({_named(each)})" for each in (chosen, held))
    return f"{summary} test {measure} {found}; {other} if held out"


def _tested(arrays, metrics, summary, measure, index, part):
    chosen = best(metrics, summary, *[f"validation_{measure}"] * 2, **part)
    test = tested(arrays, index, metrics, chosen["rate"], part)
    found = f"{summary} validation {measure} {_shown(np.mean(chosen['values']), measure)} ({_named(chosen)})"
    return f"{found}; test {measure} {_shown(test.mean(), measure)} once, at the best epochs"


def tested(arrays, index, metrics, rate, part, name="error"):
    """Return what was measured once on the test set by part `index` of a grid at a rate, (seeds, ..)."""
    return arrays[f"{index}/test_{name}"][replicas_of(metrics, part | {"rate": rate})]


def replicas_of(metrics, where):
    """Return the numbers of the replicas in rows of metrics.csv with these values."""
    chosen = np.all([np.array(metrics[key]) == value for key, value in where.items()], axis=0)
    return np.unique(np.array(metrics["replica"])[chosen])


def _shown(value, measure):
    """Return an error in per cent, a loss as it is."""
    return f"{100 * value:.1f} %" if measure == "error" else f"{value:.3f}"


def _named(chosen):
    return f"rate {chosen['rate']:g}" + (f", the {chosen['edge']} tried" if chosen["edge"] else "")
