"""Figures of the classification experiments, drawn from run folders."""

import numpy as np

from plastic import plotting, runs
from plastic.pc.selecting import best, curves, interval

NAMES = {"pc": "predictive coding", "bp": "backpropagation"}
_AXES = {
    "depth": ("depth", "layers of weights", {"mean": "mean test error over the epochs"}),
    "online": ("batch_size", "batch size", {"mean": "mean test error over the epochs", "min": "least test error"}),
    "smalldata": ("per_class", "training images of a class", {"min": "least test error"}),
}


def draw(folder):
    """Draw the figure of a run folder into it, <experiment>.png."""
    run = runs.Run(folder)
    fig = (
        by_axis(run.experiment, run.metrics()) if run.experiment in _AXES else over_time(run.experiment, run.metrics())
    )
    plotting.save(fig, run.folder / f"{run.experiment}.png")


def by_axis(experiment, metrics):
    """Test error at the best rate of each rule, which is named, along the axis of an experiment; curves at its ends."""
    column, label, summaries = _AXES[experiment]
    values = list(dict.fromkeys(metrics[column]))
    fig, axes = plotting.figure(columns=len(summaries) + 1)
    for axis, (summary, title) in zip(axes, summaries.items(), strict=False):
        for index, rule in enumerate(NAMES):
            chosen = [best(metrics, summary, rule=rule, **{column: value}) for value in values]
            _points(axis, values, [interval(each["values"]) for each in chosen], NAMES[rule], index)
            for value, each in zip(values, chosen, strict=True):
                place = {"xytext": (6, (-11, 6)[index]), "textcoords": "offset points", "fontsize": "x-small"}
                axis.annotate(
                    f"{each['rate']:g}", (value, each["values"].mean()), color=plotting.COLOURS[index], **place
                )
        axis.margins(y=0.12)
        axis.set(xlabel=label, ylabel=title)
        if experiment != "depth":
            axis.set_xscale("log")
            axis.set_xticks(values, [str(value) for value in values])
            axis.minorticks_off()
        plotting.legend(axis)
    for line, value in enumerate(dict.fromkeys((values[0], values[-1]))):
        for index, rule in enumerate(NAMES):
            curve = best(metrics, next(iter(summaries)), rule=rule, **{column: value})["curve"]
            mean, low, high = interval(curve)
            look = plotting.look(index) | {"linestyle": ("-", "--")[line]}
            axes[-1].plot(mean, label=f"{rule.upper()}, {column.replace('_', ' ')} {value:g}", **look)
            axes[-1].fill_between(np.arange(len(mean)), low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes[-1].set(xlabel="epoch", ylabel="test error")
    plotting.legend(axes[-1])
    return fig


_TIMES = {"forgetting": {"task0_error": "task 0", "task1_error": "task 1"}, "drift": {"test_error": "test error"}}


def over_time(experiment, metrics):
    """Mean test error of each rule by rate, and the errors over the iterations at its best rate."""
    columns = _TIMES[experiment]
    fig, axes = plotting.figure(columns=1 + len(columns))
    for index, rule in enumerate(NAMES):
        rates, values = curves(metrics, "test_error", rule=rule)
        _points(axes[0], rates, [interval(each.mean(axis=-1)) for each in values], NAMES[rule], index)
        chosen = best(metrics, "mean", rule=rule)["rate"]
        for axis, (column, label) in zip(axes[1:], columns.items(), strict=True):
            all_rates, errors = curves(metrics, column, rule=rule)
            mean, low, high = interval(errors[list(all_rates).index(chosen)])
            look = plotting.look(index)
            axis.plot(mean, label=f"{NAMES[rule]}, rate {chosen:g}", **look)
            axis.fill_between(np.arange(len(mean)), low, high, color=look["color"], alpha=0.2, linewidth=0)
            axis.set(xlabel="iteration", ylabel=f"test error, {label}" if len(columns) > 1 else label)
    axes[0].set(xlabel="learning rate", ylabel="mean test error", xscale="log")
    plotting.legend(axes[0])
    plotting.legend(axes[1])
    return fig


def _points(axis, x, intervals, label, index):
    mean, low, high = (np.array(each) for each in zip(*intervals, strict=True))
    look = plotting.look(index)
    axis.errorbar(x, mean, [mean - low, high - mean], marker="o", markersize=4, capsize=3, label=label, **look)
