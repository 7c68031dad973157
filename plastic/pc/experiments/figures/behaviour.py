"""The figures of the fits to behaviour: functions of a list of runs, drawn from their folders."""

import itertools

import numpy as np

from plastic import plotting
from plastic.pc.experiments import fits
from plastic.pc.experiments.pairs import RULES

_RULES = ("pc", "bp")


def coin(runs):
    """Adaptation to one trial by cue and force, observed and fitted."""
    from plastic.pc.experiments.coin import GROUPS, best

    fig, axis = plotting.figure(width=6)
    fitted = []
    for label, run, rule in _each(runs):
        _, adaptation, k, _ = best(run.metrics(), rule)
        fitted.append((label, k * adaptation))
    _groups(axis, GROUPS, fits.observed("coin"), fitted)
    axis.set(xlabel="trial between two probes: cue, force", ylabel="adaptation (fraction of the force)")
    axis.set_title("Single-trial motor learning: data and best fits")
    return fig


def fear(runs):
    """Fear of the noise by group, observed and fitted, and how it develops at the best fit."""
    from plastic.pc.experiments.fear import GROUPS, best

    fig, axes = plotting.figure(columns=2, width=5.5)
    fitted, curve = [], 0
    for label, run, rule in _each(runs):
        options, fears, k, b, _ = best(run.metrics(), rule)
        fitted.append((label, k * fears + b))
        arrays = plotting.arrays_of(run)
        index = np.flatnonzero((arrays["configurations"] == list(options.values())).all(axis=1))[0]
        responses = arrays[f"responses/{rule}"][:, index]  # (seeds, groups, iterations)
        updates = np.arange(1, responses.shape[-1] + 1)
        lines = {f"{label}, {group}": responses[:, g] for g, group in enumerate(GROUPS)}
        plotting.curves(axes[1], updates, lines, start=curve)
        curve += len(GROUPS)
    axes[1].axvline(len(updates) / 2 + 0.5, color="0.6", linewidth=1, linestyle=":")
    _groups(axes[0], list(GROUPS), fits.observed("fear"), fitted)
    axes[0].set(xlabel="group", ylabel="fear of the noise (% of the time)", title="Data and best fits")
    axes[1].set(xlabel="update (extinction begins at the dotted line)", ylabel="output for the noise alone")
    axes[1].set_title("The best fits during learning")
    plotting.legend(axes[1], "lower right")
    return fig


def reversal(runs):
    """The expectation around a punished choice, observed and fitted."""
    from plastic.pc.experiments.reversal import GROUPS, best

    fig, axes = plotting.figure(columns=2, sharey=True)
    observed, fitted = fits.observed("reversal"), []
    for label, run, rule in _each(runs):
        _, found, k, b, _ = best(run.metrics(), rule)
        fitted.append((label, k * found + b))
    for axis, then in zip(axes, ("switch", "stay"), strict=True):
        groups = [f"{when} {then}" for when in ("punished", "next")]
        columns = [GROUPS.index(group) for group in groups]
        some = [(label, values[:, columns]) for label, values in fitted]
        _groups(axis, groups, observed, some, names=("when punished", "at the next trial"), lines=True)
        axis.set(xlabel="moment", title=f"Trials before a {then}")
    axes[0].set_ylabel("expected value (signal change, %)")
    return fig


def reasons(runs):
    """The weights while one option is always punished, and the hidden unit during inference."""
    from plastic.pc.experiments.reversal import REASON_RATES, TRACED

    fig, axes = plotting.figure(columns=3)
    for index, (label, run, rule) in enumerate(_each(runs)):
        path = plotting.arrays_of(run)[f"reasons/{rule}"]
        look = {"color": plotting.look(index)["color"], "linewidth": 1.6}
        for rate, weights, line in zip(REASON_RATES, path, ("-", "--", ":"), strict=True):
            for axis, column in zip(axes, (0, 1), strict=False):
                axis.plot(weights[:, column], linestyle=line, label=f"{label}, rate {rate:g}", **look)
    for axis, title in zip(axes, ("Task to hidden unit, $W_1$", "Hidden unit to the punished option"), strict=False):
        axis.set(xlabel="update", ylabel="weight", title=title)
        axis.axhline(0, color="0.6", linewidth=1)
    plotting.legend(axes[1], "beside")
    traces = plotting.arrays_of(runs[0])["inference"][..., 0]
    plotting.curves(
        axes[2],
        np.arange(traces.shape[-1]),
        {f"update {update}": trace for update, trace in zip(TRACED, traces, strict=True)},
    )
    axes[2].set(xlabel="step of inference", ylabel="state", title="PC: the hidden unit settles, rate 0.1")
    return fig


def _each(runs):
    """Yield (label, run, rule) for each rule of each run, in the order of colours."""
    names = plotting.labels(runs, [run.option("grid") if "grid" in run.options else "reversal" for run in runs])
    for (name, run), rule in itertools.product(zip(names, runs, strict=True), _RULES):
        yield RULES[rule] if len(runs) == 1 else f"{name}, {RULES[rule]}", run, rule


def _groups(axis, groups, observed, fitted, names=None, lines=False):
    """Draw data and fits by group: means with standard errors, those of the fits over seeds.

    observed: {group: values}. fitted: [(label, values (seeds, groups))]. names: of the groups on the axis.
    """
    places = np.arange(len(groups))
    values = [observed[group] for group in groups]
    several = len(values[0]) > 1
    errors = [fits.sem(each) for each in values] if several else None
    label = "data, mean and SEM" if several else "data, means"
    width = 0.8 / (1 + len(fitted))
    joined = "-" if lines else ""
    style = {"marker": "s", "color": "black", "capsize": 2, "linestyle": joined}
    axis.errorbar(places - 0.4 + width / 2, [each.mean() for each in values], yerr=errors, label=label, **style)
    for index, (label, found) in enumerate(fitted):
        mean, error = np.nanmean(found, axis=0), fits.sem(found)
        style = {"marker": "o^vD"[index % 4], "color": plotting.look(index)["color"], "capsize": 2}
        n = len(found)
        where = places - 0.4 + width * (index + 1.5)
        axis.errorbar(where, mean, yerr=error, label=f"{label}, mean and SEM, n = {n}", linestyle=joined, **style)
    axis.set_xticks(places, names or groups)
    axis.axhline(0, color="0.6", linewidth=1)
    plotting.legend(axis)
