"""The figure of a comparison: learning curves, cosines by layer, robustness, time and accuracy."""

from typing import Any

import numpy as np

from plastic import plotting
from plastic.compare import rows, summary
from plastic.compare.measures import SIGMAS
from plastic.errors import PlasticError

_MARKERS = "os^DvPX*hd"


def comparison(runs: list[Any]) -> Any:
    """Draw a comparison, from its folder alone.

    Args:
        runs: one run.

    Returns:
        The figure.

    Raises:
        PlasticError: if there are several runs, or the run is not finished.
    """
    if len(runs) > 1:
        raise PlasticError("comparisons are drawn one at a time; name one folder")
    (run,) = runs
    plotting.arrays_of(run)
    found = [row for row in summary.of(run) if row.rate is not None]
    metrics, layers = run.metrics(), list(found[0].start)
    shown = layers if len(layers) <= 3 else [1, layers[len(layers) // 2], layers[-1]]
    panels = 4 + len(shown)
    fig, axes = plotting.figure(rows=2, columns=-(-(panels + 1) // 2), width=3.9, height=3.3)
    (learning, *cosines), (*noise, cost) = np.split(axes.ravel()[:panels], [1 + len(shown)])
    for place, row in enumerate(found):
        _curve(learning, metrics, run, row, "validation_accuracy", 100, place)
        for layer, axis in zip(shown, cosines, strict=True):
            _curve(axis, metrics, run, row, f"cosine_{layer}", 1, place)
        for kind, axis in zip(("input", "weight"), noise, strict=True):
            spreads = [row.noise[kind, sigma] for sigma in SIGMAS]
            _line(axis, SIGMAS, [100 * s.mean for s in spreads], [100 * s.deviation for s in spreads], row.name, place)
        style = _look(place) | {"linestyle": "none"}
        test = row.accuracy["test"]
        cost.errorbar(row.milliseconds, 100 * test.mean, yerr=100 * np.nan_to_num(test.deviation), **style)
    learning.set(xlabel="training samples", ylabel="validation accuracy (%)", title="Learning")
    for layer, axis in zip(shown, cosines, strict=True):
        name = f"layer {layer}" + ", the output" * (layer == layers[-1])
        axis.set(xlabel="training samples", ylabel="cosine with the exact gradient", title=f"Updates of {name}")
        axis.set_ylim(min(0.9, axis.get_ylim()[0]), 1.02)  # where all are 1, their rounding would fill the panel
    noise[0].set(xlabel="standard deviation of the noise", title="Noise of inputs")
    noise[1].set(xlabel="standard deviation of the noise, relative", title="Noise of weights")
    for axis in noise:
        axis.set_ylabel("test accuracy (%)")
    plotting.log_scale(cost, "x")
    cost.set(xlabel="CPU time of a step (ms)", ylabel="test accuracy (%)", title="Time and accuracy")
    _key(axes.ravel()[panels:], learning, found)
    dataset = plotting.plain(str(run.options.get("dataset", run.experiment)))
    fig.suptitle(f"{dataset}: mean and standard deviation over {len(run.seeds)} seeds")
    return fig


def _curve(axis, metrics, run, row, column, scale, place):
    steps, values = rows.curves(metrics, row.rule, column)
    spreads = [summary.Spread(each) for each in scale * values.T]
    samples = steps * run.options["batch_size"]
    _line(axis, samples, [s.mean for s in spreads], [s.deviation for s in spreads], row.name, place)


def _line(axis, x, mean, deviation, label, place):
    mean, deviation, style = np.array(mean), np.nan_to_num(deviation), _look(place)
    axis.fill_between(x, mean - deviation, mean + deviation, color=style["color"], alpha=0.15, linewidth=0)
    axis.plot(x, mean, label=label, markersize=4, markevery=(place % 4, 4) if len(x) > 8 else 1, **style)


def _look(place):
    """Return colour, line and marker of a rule; markers are hollow once the colours come again."""
    style = plotting.look(place) | {"marker": _MARKERS[place % len(_MARKERS)]}
    return style | ({"markerfacecolor": "white"} if place >= len(plotting.COLOURS) else {})


def _key(free, axis, found):
    """Write the legend into the first of the panels that are free."""
    handles, labels = axis.get_legend_handles_labels()
    free[0].legend(handles, labels, loc="center", frameon=False, ncols=2 if len(found) > 6 else 1)
    for each in free:
        each.axis("off")
