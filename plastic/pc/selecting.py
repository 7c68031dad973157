"""Choosing the learning rate of a rule, and what it then reaches."""

import numpy as np

SUMMARIES = {"mean": np.mean, "min": np.min}


def curves(metrics, name, **where):
    """Return (rates, values (rates, seeds, epochs)) of a column of metrics.csv, in rows with these values."""
    table = {key: np.array(column) for key, column in metrics.items()}
    chosen = np.all([table[key] == value for key, value in where.items()], axis=0)
    rates, seeds, epochs = (np.unique(table[key][chosen]) for key in ("rate", "seed", "epoch"))
    values = np.full((len(rates), len(seeds), len(epochs)), np.nan)
    places = (
        np.searchsorted(all_, table[key][chosen]) for all_, key in ((rates, "rate"), (seeds, "seed"), (epochs, "epoch"))
    )
    values[tuple(places)] = table[name][chosen]
    return rates, values


def best(metrics, summary, select="test_error", report="test_error", **where):
    """Return {"rate", "values" (seeds,), "curve" (seeds, epochs)} of the rate with the least mean summary.

    summary: "mean" over the epochs after the first evaluation, or "min". select, report: by which error a rate is
    chosen, and which is reported.
    """
    rates, chosen_by = curves(metrics, select, **where)
    _, reported = curves(metrics, report, **where)
    scores = SUMMARIES[summary](chosen_by[..., 1:], axis=-1).mean(axis=-1)
    index = int(np.argmin(scores))
    curve = reported[index]
    return {"rate": float(rates[index]), "values": SUMMARIES[summary](curve[:, 1:], axis=-1), "curve": curve}


def interval(values, draws=1000, seed=0):
    """Return (mean, low, high): the mean over the first axis and its 68 % bootstrap interval, as published."""
    values = np.asarray(values)
    picks = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    means = values[picks].mean(axis=1)
    low, high = np.percentile(means, [16, 84], axis=0)
    return values.mean(axis=0), low, high
