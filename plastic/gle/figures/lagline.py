"""Figures of the lag line (Ellenberger et al. 2024, Fig. 5)."""

import numpy as np

from plastic import plotting
from plastic.gle.figures.several import arrays_of, labels

_NAMES = {
    "gle": "GLE",
    "bp": "BP",
    "bptt_tw4": "BPTT, window 4",
    "bptt_tw2": "BPTT, window 2",
    "bptt_tw1": "BPTT, window 1",
}
_SPAN = 6.0  # time units of the traces
_ROWS = {
    "output": "output $r_1$",
    "r_0": "rate $r_0$",
    "input": "input",
    "e_ahead_1": "error $e_1$",
    "e_ahead_0": "error $e_0$",
}
_MEAN_OF = 40  # records that a point of the loss is the mean of


def figures(run):
    """Return {name: figure} of a run."""
    return {"lagline": together([run])}


def together(runs):
    """Rates and errors before and after learning; weights, time constants and loss over time, of several models."""
    held = dict(zip(labels(runs, [_NAMES[run.options["model"]] for run in runs]), map(arrays_of, runs), strict=True))
    options = runs[0].options
    t_init, end = options["t_init"], options["t_init"] + options["t_train"]
    spans = {
        "true time constants, wrong weights": 0.24 * t_init,
        "before learning": 0.64 * t_init,
        "after learning": end - _SPAN,
    }
    fig, axes = plotting.figure(6, 3, width=4.2, height=1.6, height_ratios=[1, 1, 0.7, 1, 1, 2.6])
    for column, (title, start) in enumerate(spans.items()):
        axes[0, column].set_title(title, fontsize="medium")
        for axis, (name, label) in zip(axes[:5, column], _ROWS.items(), strict=True):
            _traces(axis, held, name, start, label if column == 0 else "")
        axes[4, column].set_xlabel("time")
    _learned(axes[5, 0], held, "w", (1, 2), "weights")
    _learned(axes[5, 1], held, "tau_m", (1, 2), r"membrane time constants $\tau_m$")
    for index, arrays in enumerate(held.values()):
        time, loss = arrays["time"], _first(arrays["loss"])
        span = min(_MEAN_OF, len(time))
        count = len(time) // span * span
        time, loss = (array[:count].reshape(-1, span).mean(axis=1) for array in (time, loss))
        axes[5, 2].plot(time, np.maximum(loss, 1e-16), **plotting.look(index))
    axes[5, 2].set(xlabel="time", ylabel="loss", xscale="log", yscale="log")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside upper center", ncols=6, frameon=False)
    return fig


def _traces(axis, held, name, start, label):
    for index, (model, arrays) in enumerate(held.items()):
        time = arrays["time"]
        part = (time >= start) & (time <= start + _SPAN)
        if index == 0 and name == "output":
            axis.plot(time[part], _first(arrays["trace/target"])[part], color="0.5", linewidth=3, label="target")
        look = plotting.look(index) if name != "input" else {"color": "0.3"}
        axis.plot(time[part], _first(arrays[f"trace/{name}"])[part], label=model, **look)
        if name == "input":
            break
    axis.set_ylabel(label)
    axis.tick_params(labelsize="small")
    axis.ticklabel_format(axis="y", scilimits=(-2, 3))


def _learned(axis, held, name, targets, label):
    for target in targets:
        axis.axhline(target, color="0.5", linewidth=3)
    for index, arrays in enumerate(held.values()):
        values = arrays[name] if arrays[name].ndim == 2 else arrays[name][0]
        axis.plot(arrays["time"][1:], values[1:], **plotting.look(index))
    axis.set(xlabel="time", ylabel=label, xscale="log", xlim=(arrays["time"][min(20, len(arrays["time"]) // 2)], None))


def _first(array):
    """The first seed of an array (rows,) or (seeds, rows)."""
    return array if array.ndim == 1 else array[0]
