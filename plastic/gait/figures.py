"""The figures of a run, drawn from its folder."""

import numpy as np

from plastic import plotting, runs, xp


def save_singular_values(run, layers):
    """Keep the singular values of every weight matrix, largest first, in arrays.h5 as "singular_values/l", l = 1..L.

    run: the open run. layers: those of its network.
    """
    values = [np.linalg.svd(xp.asnumpy(layer.W), compute_uv=False) for layer in layers]
    run.save_arrays({f"singular_values/{number}": each for number, each in enumerate(values, 1)})


def draw(folder):
    """Draw the figures of a run folder into it: learning_curves.png, cosines.png and singular_values.png."""
    run = runs.Run(folder)
    metrics = run.metrics()
    for name, function in (("learning_curves", learning_curves), ("cosines", cosines)):
        plotting.save(function(metrics), run.folder / f"{name}.png")
    plotting.save(singular_values(run.arrays()), run.folder / "singular_values.png")


def learning_curves(metrics):
    """Accuracy and mean squared error on both sets over the epochs; over replicas the mean and the range.

    metrics: the columns of metrics.csv.
    """
    fig, (left, right) = plotting.figure(columns=2)
    labels = {"train": "training set", "test": "test set"}
    epochs, accuracy = plotting.over_epochs(metrics, {f"{name}_accuracy": label for name, label in labels.items()})
    plotting.curves(left, epochs, {label: 100 * values for label, values in accuracy.items()})
    left.set(xlabel="epoch", ylabel="accuracy (%)")
    plotting.curves(right, *plotting.over_epochs(metrics, {f"{name}_mse": label for name, label in labels.items()}))
    right.set(xlabel="epoch", ylabel="mean squared error", yscale="log")
    return fig


def cosines(metrics):
    """Cosine between the updates of the rule and of backpropagation, per layer; over replicas mean and range.

    metrics: the columns of metrics.csv.
    """
    fig, axis = plotting.figure(width=5.5)
    labels = {name: name.replace("cosine_", "layer ") for name in metrics if name.startswith("cosine_")}
    epochs, values = plotting.over_epochs(metrics, labels)
    plotting.curves(axis, epochs, values)
    smallest = min(np.nanmin(each, initial=1.0) for each in values.values())
    axis.set(xlabel="epoch", ylabel="cosine with backpropagation", ylim=(min(0.9, smallest - 0.05), 1.01))
    return fig


def singular_values(arrays):
    """Singular values of each weight matrix at the end, largest first; one line per replica.

    arrays: the content of arrays.h5, by path.
    """
    fig, axis = plotting.figure(width=5.5)
    layers = range(1, len(arrays) + 1)
    values = {layer: np.atleast_2d(arrays[f"singular_values/{layer}"]) for layer in layers}
    for layer in layers:
        for replica, row in enumerate(values[layer]):
            label = f"layer {layer}" if replica == 0 else None
            axis.plot(np.linspace(0, 1, len(row)), row, label=label, **plotting.look(layer - 1))
    everything = np.concatenate([each.ravel() for each in values.values()])
    if everything.max() > 5 * everything.min():
        axis.set_yscale("log")
    axis.set(xlabel="rank of the singular value (fraction of the width)", ylabel="singular value")
    plotting.legend(axis)
    return fig
