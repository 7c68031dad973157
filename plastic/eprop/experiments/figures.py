"""The figures of pattern generation and of decisions: how training went, one trial of the first seed, one synapse."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import plotting


def loss(runs):
    """Loss of pattern generation over the iterations; over seeds the mean and the range."""
    fig, axis = plotting.figure(**_SEVERAL if len(runs) > 1 else {"width": 5.5})
    largest = 0.0
    for index, (run, name) in enumerate(zip(runs, _names(runs), strict=True)):
        iterations, values = plotting.over_epochs(run.metrics(), {"loss": name or "training batch"})
        plotting.curves(axis, iterations, values, start=index)
        largest = max([largest, *(np.nanmax(each) for each in values.values())])
    axis.set(xlabel="iteration", ylabel="half the summed squared error", title="Pattern generation")
    if largest > 0:
        plotting.log_scale(axis, "y")
    return fig


def errors(runs):
    """Errors of validation and of training over the iterations, the goal, and the loss."""
    fig, (left, right) = plotting.figure(columns=2, **_SEVERAL if len(runs) > 1 else {})
    for index, (run, name) in enumerate(zip(runs, _names(runs), strict=True)):
        before = f"{name}, " if name else ""
        labels = {"validation_error": f"{before}validation", "error": f"{before}training batch"}
        iterations, values = plotting.over_epochs(run.metrics(), labels)
        plotting.curves(left, iterations, {k: 100 * each for k, each in values.items()}, start=2 * index)
        values = plotting.over_epochs(run.metrics(), {"loss": name or "training batch"})[1]
        plotting.curves(right, iterations, values, start=index)
    for number, goal in enumerate(sorted({float(plotting.arrays_of(run)["goal"]) for run in runs})):
        label = None if number else "goal"
        left.axhline(100 * goal, color="0.4", linewidth=1, linestyle=":", label=label)
    plotting.legend(left)
    left.set(xlabel="iteration", ylabel="error (%)", title="Decisions")
    left.set_ylim(-2, max(70, left.get_ylim()[1]))
    right.set(xlabel="iteration", ylabel="cross-entropy", title="Loss in the recall")
    return fig


def pattern_trial(runs):
    """Rasters of inputs and neurons, output against target; each run has a column."""
    fig, columns = _columns(runs, [3] * len(runs), 1.9)
    for axes, run in zip(columns, runs, strict=True):
        arrays = plotting.arrays_of(run)
        _raster(axes[0], arrays["x"], "input neuron")
        _raster(axes[1], arrays["z"], "neuron")
        for k in range(arrays["y"].shape[1]):
            label = ("output", "target") if k == 0 else (None, None)
            axes[2].plot(arrays["y"][:, k], label=label[0], **plotting.look(0))
            axes[2].plot(arrays["target"][:, k], label=label[1], **plotting.look(1))
        axes[2].set(xlabel="time (ms)", ylabel="readout")
        plotting.legend(axes[2])
    return fig


def decision_trial(answers, populations, runs):
    """Rasters of inputs and neurons, the probability of the two `answers`, and the learning signals of all neurons.

    populations: the names of the four populations of the input. Cues and the recall are shaded.
    """
    trials = [plotting.arrays_of(run) for run in runs]
    kinds = []
    for arrays in trials:
        n = int(arrays["n_regular"])
        both = ("LIF", arrays["z"][:, :n]), ("ALIF", arrays["z"][:, n:])
        kinds.append([(name, z) for name, z in both if z.shape[1]])
    fig, columns = _columns(runs, [3 + len(each) for each in kinds], 1.7)
    for axes, run, arrays, each in zip(columns, runs, trials, kinds, strict=True):
        _raster(axes[0], arrays["x"], "input neuron")
        _name_populations(axes[0], populations, arrays["x"].shape[1])
        for axis, (name, z) in zip(axes[1:], each, strict=False):
            _raster(axis, z, f"{name} neuron")
        for k, name in enumerate(answers):
            axes[-2].plot(arrays["probability"][:, k], label=name, **plotting.look(k))
        axes[-2].axhline(0.5, color="0.4", linewidth=1, linestyle=":")
        axes[-2].set(ylabel="softmax output", ylim=(-0.05, 1.05))
        for start, stop, colour in _bands(run, arrays):
            for axis in axes[:-1]:
                axis.axvspan(start, stop, color=colour, alpha=0.12, linewidth=0)
        plotting.legend(axes[-2])
        _map(axes[-1], arrays["L"], "neuron", "learning signal")
        axes[-1].set(xlabel="time (ms)")
    return fig


def _bands(run, arrays):
    """Return (start, stop, colour) of what is shown: each cue in the colour of its answer, and the recall in grey."""
    T, t_cue = len(arrays["x"]), run.option("t_cue")
    spacing = run.option("t_cue_spacing") if run.experiment == "evidence" else t_cue
    ends = [(k + 1) * spacing for k in range(len(arrays["cues"]))]
    cues = [(end - t_cue, end, plotting.look(int(cue))["color"]) for end, cue in zip(ends, arrays["cues"], strict=True)]
    return [*cues, (T - run.option("t_recall"), T, "0.5")]


def _name_populations(axis, names, n_in):
    """Write the names of populations of equal size to the right of a raster."""
    for k, name in enumerate(names):
        place = (k + 0.5) * n_in / len(names) - 0.5
        axis.text(1.01, place, name, transform=axis.get_yaxis_transform(), va="center", fontsize="small")


_TERMS = {
    "eps_v": r"$\epsilon_v$ (pre)",
    "psi": r"$\psi$ (post)",
    "eps_a": r"$\epsilon_a$ (slow)",
    "ebar": r"$\bar{e}$ (trace)",
    "L": r"$L$ (signal)",
}


def synapse(runs):
    """The terms of one synapse; each run has a column, without the slow component where the neuron does not adapt."""
    trials = [plotting.arrays_of(run) for run in runs]
    shown = [[name for name in _TERMS if name != "eps_a" or arrays["synapse/eps_a"].any()] for arrays in trials]
    fig, columns = _columns(runs, [len(names) for names in shown], 1.3)
    for axes, arrays, names in zip(columns, trials, shown, strict=True):
        for index, (axis, name) in enumerate(zip(axes, names, strict=True)):
            axis.plot(arrays[f"synapse/{name}"], color=plotting.COLOURS[index], linewidth=1.2)
            axis.set_ylabel(_TERMS[name])
        pre, post = arrays["synapse/neurons"]
        axes[0].set_title(f"{axes[0].get_title()}\nsynapse from neuron {pre} to neuron {post}", fontsize="medium")
        axes[-1].set_xlabel("time (ms)")
    return fig


def earned(runs):
    """Mean reward of new episodes and of those of training over the batches, and the goal."""
    fig, axis = plotting.figure(**_SEVERAL if len(runs) > 1 else {"width": 5.5})
    for index, run in enumerate(runs):
        options = run.options
        name = f"{_RULES[options['rule']]}, {options['feedback']} feedback, seed {options['seed']}, "
        labels = {"reward": "new episodes", "training_reward": "training batch"}
        if len(runs) > 1:
            labels = {"reward": f"{name}new episodes"}
        iterations, values = plotting.over_epochs(run.metrics(), labels)
        plotting.curves(axis, iterations, values, start=index if len(runs) > 1 else 0)
    for number, goal in enumerate(sorted({float(plotting.arrays_of(run)["goal"]) for run in runs})):
        axis.axhline(goal, color="0.4", linewidth=1, linestyle=":", label=None if number else "goal")
    plotting.legend(axis)
    axis.set(xlabel="batch of episodes", ylabel="mean reward", ylim=(-0.02, 1.02), title="Learning by rewards")
    return fig


def compared(runs):
    """The two gradients of each verification of the first seed side by side as maps; runs lie below one another."""
    rows = [(run, name) for run in runs for name in _verifications(run)]
    fig, axes = plotting.figure(rows=len(rows), columns=3, width=3.4, height=3.2)
    for (left, middle, right), (run, name) in zip(np.reshape(axes, (len(rows), 3)), rows, strict=True):
        arrays = plotting.arrays_of(run)
        pair = [
            np.concatenate([arrays[f"{name}/{way}/{part}"] for part in ("W_in", "W_rec")]) for way in ("one", "two")
        ]
        for axis, values, title in zip((left, middle), pair, _WAYS[name], strict=True):
            _map(axis, values.T, "presynaptic (inputs, then neurons)", "gradient")
            axis.set(xlabel="postsynaptic neuron", title=title)
        _map(right, (pair[0] - pair[1]).T, "presynaptic", "difference")
        right.set(xlabel="postsynaptic neuron", title="their difference")
    return fig


def verified(runs):
    """Rasters of inputs and neurons, learning signals and traces, of the first verification of each run."""
    fig, columns = _columns(runs, [4] * len(runs), 1.7)
    for axes, run in zip(columns, runs, strict=True):
        arrays, name = plotting.arrays_of(run), _verifications(run)[0]
        _raster(axes[0], arrays[f"{name}/x"], "input neuron")
        _raster(axes[1], arrays[f"{name}/z"], "neuron")
        _map(axes[2], arrays[f"{name}/L"], "neuron", "learning signal")
        _map(axes[3], arrays[f"{name}/e"], "synapse", "trace $e$")
        axes[3].set(xlabel="time (ms)")
        axes[0].set_title(name if len(runs) == 1 else f"{axes[0].get_title()}\n{name}", fontsize="medium")
    return fig


def _verifications(run):
    return [name for name in _WAYS if f"{name}/x" in plotting.arrays_of(run)]


_WAYS = {
    "factorization_vs_BPTT": ("sum of dE/dz e", "BPTT"),
    "hardcoded_vs_autodiff": ("e-prop online", "e-prop by the sweep"),
}


def episode(runs):
    """Rasters of inputs and neurons, the policy, the value, and learning signals; each run has a column."""
    fig, columns = _columns(runs, [5] * len(runs), 1.5)
    for axes, run in zip(columns, runs, strict=True):
        arrays = plotting.arrays_of(run)
        if arrays["x"].dtype == bool:
            _raster(axes[0], arrays["x"], "input neuron")
        else:
            axes[0].imshow(arrays["x"].T, aspect="auto", origin="lower", cmap="Greys", interpolation="nearest")
            axes[0].set(ylabel="input current")
            axes[0].grid(False)
        _raster(axes[1], arrays["z"], "neuron")
        steps, actions = arrays["steps"], arrays["actions"]
        for k in range(arrays["probability"].shape[1]):
            axes[2].plot(arrays["probability"][:, k], label=f"action {k}", **plotting.look(k))
            chosen = steps[actions == k]
            axes[2].plot(chosen, np.full(len(chosen), 1.05), "|", color=plotting.COLOURS[k])
        axes[2].set(ylabel="policy", ylim=(-0.05, 1.1))
        plotting.legend(axes[2])
        axes[3].plot(arrays["value"], **plotting.look(0))
        axes[3].set(ylabel="value")
        _map(axes[4], arrays["L"], "neuron", "learning signal")
        axes[4].set(xlabel="time (ms)")
    return fig


def traces(runs):
    """Filtered eligibility traces of the recurrent synapses that the trial would change most; each run has a column."""
    fig, columns = _columns(runs, [1] * len(runs), 4.0)
    for (axis,), run in zip(columns, runs, strict=True):
        _map(axis, plotting.arrays_of(run)["traces/ebar"], "synapse, by the neuron it leads to", r"trace $\bar{e}$")
        axis.set(xlabel="time (ms)")
    return fig


_Figures = dict[str, Callable[..., Any]]
_OF_ONE: _Figures = {"synapse": synapse, "traces": traces}
_LEFT_RIGHT = functools.partial(decision_trial, ("left", "right"), ("left", "right", "recall", "noise"))
_ZERO_ONE = functools.partial(decision_trial, ("zero", "one"), ("zero", "one", "store", "recall"))
PATTERN: _Figures = {"learning": loss, "trial": pattern_trial, **_OF_ONE}
EVIDENCE: _Figures = {"learning": errors, "trial": _LEFT_RIGHT, **_OF_ONE}
STORE_RECALL: _Figures = {"learning": errors, "trial": _ZERO_ONE, **_OF_ONE}
REWARD: _Figures = {"learning": earned, "trial": episode, **_OF_ONE}
VERIFY: _Figures = {"gradients": compared, "trial": verified}
"""The figures by the names of their files."""


_SEVERAL = {"width": 6.0, "height": 4.5}
"""Inches of a panel that has room for the legend of several runs."""

_RULES = {"bptt": "BPTT", "eprop": "e-prop", "online": "e-prop online", "no_traces": "no traces"}


def _names(runs):
    """Return what each run is called: nothing where there is one run."""
    if len(runs) == 1:
        return [""]
    found = []
    for run in runs:
        rule = _RULES.get(run.options.get("rule"), run.experiment)
        B = run.options.get("learning_signals", run.options.get("feedback"))
        found.append(rule if rule == "BPTT" or B is None else f"{rule}, {B} feedback")
    return plotting.labels(runs, found)


def _columns(runs, rows, height):
    """Return the figure and the axes of each run, a column with so many rows, headed by what the run is called."""
    width = 7.0 if len(runs) == 1 else 5.0
    fig, axes = plotting.figure(rows=max(rows), columns=len(runs), width=width, height=height, sharex="col")
    columns = []
    for grid, count, name in zip(np.reshape(axes, (max(rows), -1)).T, rows, _names(runs), strict=True):
        for axis in grid[count:]:
            axis.remove()
        grid[0].set_title(name or "One trial after training", fontsize="medium")
        columns.append(list(grid[:count]))
    return fig, columns


def _raster(axis, spikes, label):
    times, neurons = np.nonzero(spikes)
    axis.plot(times, neurons, "|", color="black", markersize=2.5, markeredgewidth=0.6)
    axis.set(ylabel=label, ylim=(-1, spikes.shape[1]), xlim=(0, spikes.shape[0]))
    axis.grid(False)


def _map(axis, values, label, bar):
    """Draw values (T, n) as a map, white at 0, clipped where 1 % of those that are not 0 are larger."""
    some = np.abs(values[values != 0])
    most = np.quantile(some, 0.99) if some.size else 1.0
    image = axis.imshow(
        values.T, aspect="auto", origin="lower", cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest"
    )
    axis.figure.colorbar(image, ax=axis, label=bar)
    axis.set(ylabel=label)
    axis.grid(False)
