"""The figures of training: of one run with all its layers, of several runs side by side as curves of their own."""

import functools

import numpy as np

from plastic import plotting
from plastic.evaluations import confusion


def learning_curves(runs):
    """Accuracy and mean squared error in training and on the test set, or on the validation set where there is one.

    Over replicas the mean and the range.
    """
    fig, (left, right) = plotting.figure(columns=2)
    for axis, measured, scale in ((left, "accuracy", 100), (right, "mse", 1)):
        for start, epochs, curves in _over_epochs(runs, functools.partial(_sets, measured)):
            plotting.curves(axis, epochs, {label: scale * values for label, values in curves.items()}, start=start)
    left.set(xlabel="epoch", ylabel="accuracy (%)", title="Classification")
    right.set(xlabel="epoch", ylabel="mean squared error", title="Error")
    plotting.log_scale(right, "y")
    return fig


def cosines(runs):
    """Cosine between the updates of the rule and of backpropagation, per layer; over replicas mean and range."""
    fig, axis = plotting.figure(width=5.5)
    smallest = 1.0
    for start, epochs, curves in _over_epochs(runs, _layers):
        plotting.curves(axis, epochs, curves, start=start)
        smallest = min([smallest, *(np.nanmin(each, initial=1.0) for each in curves.values())])
    axis.set(xlabel="epoch", ylabel="cosine with backpropagation", ylim=(min(0.9, smallest - 0.05), 1.01))
    axis.set_title("Direction of the updates")
    return fig


def singular_values(runs):
    """Singular values of each weight matrix at the end, largest first; one line per replica."""
    fig, axis = plotting.figure(width=5.5)
    count, everything = 0, []
    for run, name in zip(runs, _names(runs), strict=True):
        found = plotting.arrays_of(run).items()
        layers = {int(path.rpartition("/")[2]): values for path, values in found if path.startswith("singular_values/")}
        for layer, values in sorted(layers.items()):
            for replica, row in enumerate(np.atleast_2d(values)):
                label = None if replica else f"{name}layer {layer}"
                axis.plot(np.linspace(0, 1, len(row)), row, label=label, **plotting.look(count))
                everything.append(row)
            count += 1
    everything = np.concatenate(everything)
    if everything.max() > 5 * everything.min():
        plotting.log_scale(axis, "y")
    axis.set(xlabel="rank of the singular value (fraction of the width)", ylabel="singular value")
    axis.set_title("Weights after training")
    plotting.legend(axis)
    return fig


ALL = {
    "learning_curves": learning_curves,
    "confusion": confusion,
    "cosines": cosines,
    "singular_values": singular_values,
}
"""The figures by the names of their files."""


def _sets(measured, run):
    """Return {column: label} of what was measured in training and on the set that epochs are judged by."""
    metrics, names = run.metrics(), {"train": "training (running)", "test": "test", "validation": "validation"}
    return {f"{name}_{measured}": label for name, label in names.items() if f"{name}_{measured}" in metrics}


def _layers(run):
    return {name: name.replace("cosine_", "layer ") for name in run.metrics() if name.startswith("cosine_")}


def _over_epochs(runs, columns):
    """Yield (number of curves before, epochs, {label: values}) of each run.

    columns: a function of a run that gives {column: label}.
    """
    start = 0
    for run, name in zip(runs, _names(runs), strict=True):
        epochs, curves = plotting.over_epochs(run.metrics(), columns(run))
        yield start, epochs, {f"{name}{label}": values for label, values in curves.items()}
        start += len(curves)


def _names(runs):
    """Return what each run is called in front of its labels: nothing where there is one run."""
    if len(runs) == 1:
        return [""]
    return [f"{label}, " for label in plotting.labels(runs, [run.option("algorithm") for run in runs])]
