"""The figures of a run, drawn from its folder, and the arrays of one trial that they show."""

import functools

import numpy as np

from plastic import affine, plotting, runs, xp
from plastic.eprop import rules, signals
from plastic.eprop.spiking import eligibility_traces
from plastic.eprop.training_task import squared_error
from plastic.functions import softmax


def keep_pattern(task):
    """Simulate the first seed of a pattern task once more; return the arrays of the figures."""
    network, x, target = task.one(0)
    arrays = _keep(network, x, lambda y: squared_error(y, target[:, :1]), task.feedback_of(0))
    return arrays | {"target": _host(target[:, 0])}


def keep_decisions(task):
    """Simulate the first seed of a decision task on a new trial; return the arrays of the figures."""
    network, stimuli = task.one(0)
    labels = xp.asarray(stimuli.labels[:1])
    loss = functools.partial(signals.classification, labels=labels, window=task.window)
    arrays = _keep(network, xp.asarray(stimuli.x), loss, task.feedback_of(0))
    probability = softmax(xp.asarray(arrays["y"]))
    return arrays | {"probability": _host(probability), "n_regular": np.array(task.options["n_regular"])}


def _keep(network, x, loss, feedback):
    """Return the first trial of a batch: spikes, readout, learning signals, and the traces of one synapse.

    The synapse is the recurrent one that the trial would change most (onto ALIF neurons, where there are some).
    """
    x = x[:, :1]
    record = rules.simulate(network, x)
    _, err = loss(record.output)
    L = err @ affine.transposed(network.W_out if feedback is None else feedback)
    n_in = x.shape[-1]
    size = np.abs(_host(rules.eprop_gradients(network, record, err, feedback=feedback)["W_rec"]))
    if network.neurons.beta is not None:
        adaptive = _host(network.neurons.beta)[0] > 0
        size = size * adaptive if adaptive.any() else size
    pre, post = np.unravel_index(np.argmax(size), size.shape)
    series = {name: [] for name in ("eps_v", "eps_a", "ebar")}
    for trace in eligibility_traces(network, record):
        for name, values in series.items():
            values.append(getattr(trace, name)[0, n_in + pre, post].copy())
    arrays = {f"synapse/{name}": _host(xp.stack(values)) for name, values in series.items()}
    arrays["synapse/psi"] = _host(record.psi[:, 0, post])
    arrays["synapse/L"] = _host(L[:, 0, post])
    arrays["synapse/neurons"] = np.array([pre, post])
    histories = {"x": x, "z": record.z, "y": record.output, "L": L}
    return arrays | {name: _host(history[:, 0]) for name, history in histories.items()}


def draw(folder):
    """Draw the figures of a run folder into it: learning.png, trial.png and synapse.png."""
    run = runs.Run(folder)
    metrics, arrays = run.metrics(), run.arrays()
    is_pattern = run.experiment == "pattern"
    figures = {
        "learning": pattern_loss(metrics) if is_pattern else errors(metrics, run.options["stop_crit"]),
        "trial": pattern_trial(arrays) if is_pattern else decision_trial(arrays, _ANSWERS[run.experiment]),
        "synapse": synapse(arrays),
    }
    for name, fig in figures.items():
        plotting.save(fig, run.folder / f"{name}.png")


def pattern_loss(metrics):
    """Loss over the iterations; over seeds the mean and the range."""
    fig, axis = plotting.figure(width=5.5)
    iterations, values = plotting.over_epochs(metrics, {"loss": "squared error"})
    plotting.curves(axis, iterations, values)
    axis.set(xlabel="iteration", ylabel="loss", yscale="log" if values["squared error"].max() > 0 else "linear")
    return fig


def errors(metrics, goal):
    """Errors of validation and of training over the iterations, and the loss."""
    fig, (left, right) = plotting.figure(columns=2)
    labels = {"validation_error": "validation", "error": "training batch"}
    iterations, values = plotting.over_epochs(metrics, labels)
    plotting.curves(left, iterations, {label: 100 * each for label, each in values.items()})
    left.axhline(100 * goal, color="0.4", linewidth=1, linestyle=":", label="goal")
    plotting.legend(left)
    left.set(xlabel="iteration", ylabel="error (%)", ylim=(-2, 70))
    plotting.curves(right, *plotting.over_epochs(metrics, {"loss": "cross-entropy"}))
    right.set(xlabel="iteration", ylabel="loss")
    return fig


def pattern_trial(arrays):
    """Rasters of inputs and neurons, output against target."""
    fig, axes = plotting.figure(rows=3, width=7.0, height=1.9, sharex=True)
    _raster(axes[0], arrays["x"], "input neuron")
    _raster(axes[1], arrays["z"], "neuron")
    for k in range(arrays["y"].shape[1]):
        label = ("output", "target") if k == 0 else (None, None)
        axes[2].plot(arrays["y"][:, k], label=label[0], **plotting.look(0))
        axes[2].plot(arrays["target"][:, k], label=label[1], **plotting.look(1))
    axes[2].set(xlabel="time (ms)", ylabel="readout")
    plotting.legend(axes[2])
    return fig


_ANSWERS = {"evidence": ("left", "right"), "store_recall": ("zero", "one")}


def decision_trial(arrays, answers):
    """Rasters of inputs, LIF and ALIF neurons, the probability of the two answers, and eight learning signals."""
    n = int(arrays["n_regular"])
    kinds = [(name, z) for name, z in (("LIF", arrays["z"][:, :n]), ("ALIF", arrays["z"][:, n:])) if z.shape[1]]
    fig, axes = plotting.figure(rows=3 + len(kinds), width=7.0, height=1.7, sharex=True)
    _raster(axes[0], arrays["x"], "input neuron")
    for axis, (name, z) in zip(axes[1:], kinds, strict=False):
        _raster(axis, z, f"{name} neuron")
    for k, name in enumerate(answers):
        axes[-2].plot(arrays["probability"][:, k], label=name, **plotting.look(k))
    axes[-2].axhline(0.5, color="0.4", linewidth=1, linestyle=":")
    axes[-2].set(ylabel="softmax output", ylim=(-0.05, 1.05))
    plotting.legend(axes[-2])
    for k in range(min(8, arrays["L"].shape[1])):
        axes[-1].plot(arrays["L"][:, k], color=plotting.COLOURS[k], linewidth=1)
    axes[-1].set(xlabel="time (ms)", ylabel="learning signals")
    return fig


def synapse(arrays):
    """The terms of one synapse: pre- and postsynaptic term, slow component, eligibility trace, learning signal."""
    names = {
        "eps_v": r"$\epsilon_v$ (pre)",
        "psi": r"$\psi$ (post)",
        "eps_a": r"$\epsilon_a$ (slow)",
        "ebar": r"$\bar{e}$ (trace)",
        "L": r"$L$ (signal)",
    }
    if not arrays["synapse/eps_a"].any():
        del names["eps_a"]
    fig, axes = plotting.figure(rows=len(names), width=7.0, height=1.3, sharex=True)
    for index, (axis, (name, label)) in enumerate(zip(axes, names.items(), strict=True)):
        axis.plot(arrays[f"synapse/{name}"], color=plotting.COLOURS[index], linewidth=1.2)
        axis.set_ylabel(label)
    pre, post = arrays["synapse/neurons"]
    axes[0].set_title(f"synapse from neuron {pre} to neuron {post}", fontsize="medium")
    axes[-1].set_xlabel("time (ms)")
    return fig


def _raster(axis, spikes, label):
    times, neurons = np.nonzero(spikes)
    axis.plot(times, neurons, "|", color="black", markersize=2.5, markeredgewidth=0.6)
    axis.set(ylabel=label, ylim=(-1, spikes.shape[1]), xlim=(0, spikes.shape[0]))
    axis.grid(False)


def _host(array):
    return np.array(xp.asnumpy(array))
