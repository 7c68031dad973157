"""The figures, from what run folders hold; those of several runs have curves, bars or a column of panels for each."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import evaluations, plotting
from plastic.ep.experiments.options import NetworkOptions


def error_curves(metrics):
    """Return {method: (epochs, {"train_error": values (seeds, epochs), "test_error": ...})} of the metrics of a run.

    Where there was a validation set, "validation_error" is in the place of "test_error".
    """
    curves, judged = {}, "validation_error" if "validation_error" in metrics else "test_error"
    for method in sorted(set(metrics["method"]), key=["EP", "BPTT"].index):
        chosen = [place for place, each in enumerate(metrics["method"]) if each == method]
        rows = {name: [column[place] for place in chosen] for name, column in metrics.items()}
        rows["replica"] = list(np.unique(rows["replica"], return_inverse=True)[1])
        curves[method] = plotting.over_epochs(rows, {name: name for name in ("train_error", judged)})
    return curves


def errors(runs):
    """Training and test error over the epochs, a panel for each method; over seeds the mean and the range."""
    found = [(name, error_curves(run.metrics())) for name, run in zip(_names(runs, ", "), runs, strict=True)]
    methods = [method for method in ("EP", "BPTT") if any(method in curves for _, curves in found)]
    fig, axes = plotting.figure(columns=len(methods), sharey=True)
    for axis, method in zip(np.ravel(axes), methods, strict=True):
        drawn = [(name, *curves[method]) for name, curves in found if method in curves]
        for number, (name, epochs, values) in enumerate(drawn):
            (judged,) = values.keys() - {"train_error"}
            label = judged.removesuffix("_error")
            curves = {f"{name}training (running)": values["train_error"], f"{name}{label}": values[judged]}
            plotting.curves(axis, epochs, {label: 100 * each for label, each in curves.items()}, start=2 * number)
        axis.set(xlabel="epoch", ylabel="error (%)", title=method)
        if any(np.nanmax(each, initial=0.0) > 0 for _, _, values in drawn for each in values.values()):
            plotting.log_scale(axis, "y")
    return fig


def rmse(runs):
    """Mean distance between the curves of EP and of BPTT, a bar for each layer and each connection."""
    tables = [run.metrics() for run in runs]
    labels = sorted(dict.fromkeys(label for table in tables for label in table["array"]), key=_layers_first)
    places = {label: place + (0 if label.startswith("s^") else 1) for place, label in enumerate(labels)}
    fig, axis = plotting.figure(width=1.6 + 0.7 * len(labels) * (1 + len(runs)) / 2)
    for number, (name, table) in enumerate(zip(_names(runs), tables, strict=True)):
        residual = max(value for value in table["residual"] if value is not None)
        is_layer = [label.startswith("s^") for label in table["array"]]
        colours = [plotting.COLOURS[0 if layer else 1] for layer in is_layer]
        at, width = _beside([places[label] for label in table["array"]], number, len(runs), 0.7)
        look = {"color": colours}
        if len(runs) > 1:
            look = {"color": _colour(number), "label": f"{name}, residual {residual:.1e}"}
        bars = axis.bar(at, table["rmse_mean"], width=width, **look)
        axis.bar_label(bars, [f"{value:.2g}" for value in table["rmse_mean"]], fontsize="small", padding=2)
    axis.set_xticks(list(places.values()), [_math(label) for label in labels])
    axis.set(xlabel="layers and connections", ylabel="RMSE between EP and BPTT")
    axis.set_title(f"free-phase residual {residual:.1e}" if len(runs) == 1 else "Distance of EP and BPTT")
    axis.margins(y=0.12)
    if len(runs) > 1:
        plotting.legend(axis)
    return fig


def neurons(runs):
    """Neural updates over time, a panel for each layer, BPTT solid, EP dashed."""

    def panels(arrays):
        for layer in sorted(int(name.removeprefix("nS/")) for name in arrays if name.startswith("nS/")):
            curves = (arrays[f"{kind}/{layer}"] for kind in ("nS", "dS"))
            chosen = arrays[f"units/{layer}"]
            yield _math(f"s^{layer}"), [curve.reshape(len(curve), -1)[:, chosen] for curve in curves]

    return _panels(runs, panels, r"$-\nabla^{BPTT}_s$", r"$\Delta^{EP}_s$")


def synapses(runs):
    """Synaptic updates over time, a panel for each connection, BPTT solid, EP dashed."""

    def panels(arrays):
        labels = [name.removeprefix("NT/") for name in arrays if name.startswith("NT/")]
        for label in sorted(labels, key=_from_the_output):
            sums = (arrays[f"{kind}/{label}"] for kind in ("NT", "DT"))
            yield _math(label), [np.diff(each, axis=0, prepend=each[:1]) for each in sums]

    return _panels(runs, panels, r"$-\nabla^{BPTT}_W$", r"$\Delta^{EP}_W$")


def signs(runs):
    """Share of the synapses in which EP and BPTT agree, for each connection, the mean over the trials."""
    tables = [run.metrics() for run in runs]
    labels = sorted(dict.fromkeys(label for table in tables for label in table["array"]), key=_from_the_output)
    fig, axis = plotting.figure(width=1.6 + 0.9 * len(labels) * (1 + len(runs)) / 2)
    for number, (run_name, table) in enumerate(zip(_names(runs, ", "), tables, strict=True)):
        names = np.array(table["array"])
        own = [label for label in labels if label in table["array"]]
        at, width = _beside([labels.index(label) for label in own], number, len(runs), 0.6)
        bottom = np.zeros(len(own))
        for index, (name, text) in enumerate((("same_sign", "same sign"), ("both_zero", "both zero"))):
            values = np.array([np.mean(np.array(table[name])[names == label]) for label in own])
            axis.bar(
                at, values, bottom=bottom, color=_colour(2 * number + index), label=f"{run_name}{text}", width=width
            )
            bottom += values
    axis.set_xticks(range(len(labels)), [_math(label) for label in labels])
    axis.set(xlabel="connection", ylabel="synapses that agree (%)", title="Signs of EP and BPTT", ylim=(0, 100))
    plotting.legend(axis, "beside")
    return fig


def _names(runs, mark=""):
    """Return what each run is called in its labels, before a mark: nothing where there is one run."""
    if len(runs) == 1:
        return [""]
    kinds = [NetworkOptions.of(run.options).kind for run in runs]
    return [f"{label}{mark}" for label in plotting.labels(runs, kinds)]


def _beside(places, number, count, width):
    """Return the places of the bars of a run among so many that share a width, and the width of each."""
    each = width / count
    return np.array(places) + (number - (count - 1) / 2) * each, each


def _colour(number):
    return plotting.COLOURS[number % len(plotting.COLOURS)]


def _panels(runs, panels_of, solid, dashed):
    """Draw a column for each run, a panel for each (title, (BPTT, EP)) by panels_of(its arrays), curves (K, traces)."""
    columns = [dict(panels_of(plotting.arrays_of(run))) for run in runs]
    rows = max(len(panels) for panels in columns)
    fig, axes = plotting.figure(rows, len(columns), width=6.0, height=2.4, sharex="col")
    axes = np.reshape(axes, (rows, len(columns)))
    for place, (name, panels) in enumerate(zip(_names(runs, ": "), columns, strict=True)):
        for axis, (title, (n, d)) in zip(axes[:, place], panels.items(), strict=False):
            for trace in range(n.shape[1]):
                for curve, line, label in ((n, "-", solid), (d, "--", dashed)):
                    look = {"color": _colour(trace), "linestyle": line, "linewidth": 1.6}
                    axis.plot(-curve[:, trace], label=label if trace == 0 else None, **look)
            axis.set(title=f"{name}{title}", ylabel="update")
            axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
            plotting.legend(axis)
        axis.set_xlabel("t (steps)")
        axis.tick_params(labelbottom=True)
        for empty in axes[len(panels) :, place]:
            empty.set_visible(False)
    return fig


def _layers_first(label):
    return not label.startswith("s^"), *_from_the_output(label)


def _from_the_output(label):
    """Sort connections as the paper does: from the output on, the classifier before the convolutions."""
    return label.startswith("W^conv"), label


def _math(label):
    head, mark, tail = label.partition("^" if "^" in label else "_")
    if "^" in label and "_" in tail:
        above, _, below = tail.partition("_")
        return rf"${head}^{{{above}}}_{{{below}}}$"
    return f"${head}{mark}{{{tail}}}$"


def _methods(run):
    """Return the replicas of each method of a run, {its name: their numbers}; the name is "" where there is one."""
    metrics = run.metrics()
    methods = dict(zip(metrics["replica"], metrics["method"], strict=True))
    known = [method for method in ("EP", "BPTT") if method in methods.values()]
    return {
        method if len(known) > 1 else "": [replica for replica, each in methods.items() if each == method]
        for method in known
    }


ERRORS: dict[str, Callable[..., Any]] = {
    "errors": errors,
    "confusion": functools.partial(evaluations.confusion, parts=_methods),
}
SIGNS = {"signs": signs}
CURVES = {"rmse": rmse, "neurons": neurons, "synapses": synapses}
"""The figures of the experiments by the names of their files."""
