"""Figures of test errors: by depth, batch size or number of images, and over the iterations in a changing world."""

import itertools

import numpy as np

from plastic import plotting
from plastic.pc.experiments.best_rate import best, curves, interval

NAMES = {"pc": "predictive coding", "bp": "backpropagation"}
_SUMMARIES = {"mean": "mean test error over the epochs", "min": "least test error"}


def depth(runs):
    """Mean test error at the best rate of each rule, which is named, by the number of layers; curves at its ends."""
    return _by_axis(runs, "depth", "layers of weights", ("mean",))


def online(runs):
    """Mean and least test error at the best rates by batch size; curves at its ends."""
    return _by_axis(runs, "batch_size", "batch size (samples)", ("mean", "min"), logarithmic=True)


def smalldata(runs):
    """Least test error at the best rates by the number of images; curves at its ends."""
    return _by_axis(runs, "per_class", "training images of a class", ("min",), logarithmic=True)


def forgetting(runs):
    """Mean test error by rate, and the errors of both tasks over the iterations at the best rate."""
    return _over_time(runs, {"task0_error": "Task 0", "task1_error": "Task 1"})


def drift(runs):
    """Mean test error by rate, and the error over the iterations at the best rate."""
    return _over_time(runs, {"test_error": "Drifting classes"})


def _by_axis(runs, column, label, summaries, logarithmic=False):
    fig, axes = plotting.figure(columns=len(summaries) + 1)
    for axis, summary in zip(axes, summaries, strict=False):
        every = set()
        for index, (metrics, rule, name) in enumerate(_rules_of(runs)):
            values = list(dict.fromkeys(metrics[column]))
            every |= set(values)
            chosen = [best(metrics, summary, rule=rule, **{column: value}) for value in values]
            _points(axis, values, [interval(each["values"]) for each in chosen], name, index)
            _name_rates(axis, values, chosen, index)
        axis.margins(y=0.12)
        axis.set(xlabel=label, ylabel=_SUMMARIES[summary], title="At the best rate, which is named")
        if logarithmic:
            axis.set_xscale("log")
            axis.set_xticks(sorted(every), [str(value) for value in sorted(every)])
            axis.minorticks_off()
        plotting.legend(axis)
    for index, (metrics, rule, name) in enumerate(_rules_of(runs, short=True)):
        values = list(dict.fromkeys(metrics[column]))
        for line, value in enumerate(dict.fromkeys((values[0], values[-1]))):
            curve = best(metrics, summaries[0], rule=rule, **{column: value})["curve"]
            where = f"{name}, {column.replace('_', ' ')} {value:g}"
            _curve(axes[-1], interval(curve), where, plotting.look(index) | {"linestyle": ("-", "--")[line]})
    axes[-1].set(xlabel="epoch", ylabel="test error", title="Learning at these rates")
    plotting.legend(axes[-1])
    return fig


def _over_time(runs, columns):
    fig, axes = plotting.figure(columns=1 + len(columns))
    for index, (metrics, rule, name) in enumerate(_rules_of(runs)):
        rates, values = curves(metrics, "test_error", rule=rule)
        _points(axes[0], rates, [interval(each.mean(axis=-1)) for each in values], name, index)
        chosen = best(metrics, "mean", rule=rule)["rate"]
        for axis, column in zip(axes[1:], columns, strict=True):
            every, errors = curves(metrics, column, rule=rule)
            some = interval(errors[list(every).index(chosen)])
            _curve(axis, some, f"{name}, rate {chosen:g}", plotting.look(index))
    for axis, title in zip(axes[1:], columns.values(), strict=True):
        axis.set(xlabel="iteration", ylabel="test error", title=title)
    axes[0].set(xlabel="learning rate", ylabel="mean test error", xscale="log", title="All rates")
    plotting.legend(axes[0])
    plotting.legend(axes[1])
    return fig


def _rules_of(runs, short=False):
    """Yield (metrics, rule, label) for every run and rule, in the order of colours."""
    labels = plotting.labels(runs, [str(run.options.get("grid")) for run in runs])
    for (run, label), rule in itertools.product(zip(runs, labels, strict=True), NAMES):
        name = rule.upper() if short else NAMES[rule]
        yield run.metrics(), rule, name if len(runs) == 1 else f"{label}, {name}"


def _curve(axis, some, label, look):
    mean, low, high = some
    axis.plot(mean, label=label, **look)
    axis.fill_between(np.arange(len(mean)), low, high, color=look["color"], alpha=0.2, linewidth=0)


def _name_rates(axis, values, chosen, index):
    place = {"xytext": (6, (-11, 6)[index % 2]), "textcoords": "offset points", "fontsize": "x-small"}
    for value, each in zip(values, chosen, strict=True):
        where, colour = (value, each["values"].mean()), plotting.look(index)["color"]
        axis.annotate(f"{each['rate']:g}", where, color=colour, **place)


def _points(axis, x, intervals, label, index):
    mean, low, high = (np.array(each) for each in zip(*intervals, strict=True))
    look = plotting.look(index)
    axis.errorbar(x, mean, [mean - low, high - mean], marker="o", markersize=4, capsize=3, label=label, **look)
