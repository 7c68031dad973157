"""The figures of a run, drawn from its folder."""

import numpy as np

from plastic import plotting, runs, xp


def save_singular_values(run, layers):
    """Keep the singular values of every weight matrix, largest first, in arrays.h5 as "singular_values/l", l = 1..L."""
    values = {f"singular_values/{l}": _singular_values(layer.W) for l, layer in enumerate(layers, 1)}  # noqa: E741
    run.save_arrays(values)


def draw(folder):
    """Draw the figures of a run folder into it: learning_curves.png, cosines.png and singular_values.png."""
    run = runs.Run(folder)
    metrics = run.metrics()
    for name, function in (("learning_curves", learning_curves), ("cosines", cosines)):
        plotting.save(function(metrics), run.folder / f"{name}.png")
    plotting.save(singular_values(run.arrays()), run.folder / "singular_values.png")


def learning_curves(metrics):
    """Accuracy and mean squared error on both sets over the epochs; over replicas the mean and the range."""
    fig, (left, right) = plotting.figure(columns=2)
    labels = {"train": "training set", "test": "test set"}
    epochs, accuracy = _over_epochs(metrics, {f"{name}_accuracy": label for name, label in labels.items()})
    plotting.curves(left, epochs, {label: 100 * values for label, values in accuracy.items()})
    left.set(xlabel="epoch", ylabel="accuracy (%)")
    plotting.curves(right, *_over_epochs(metrics, {f"{name}_mse": label for name, label in labels.items()}))
    right.set(xlabel="epoch", ylabel="mean squared error", yscale="log")
    return fig


def cosines(metrics):
    """Cosine between the rule's update and backpropagation's, per layer, over the epochs."""
    fig, axis = plotting.figure(width=5.5)
    names = {name: f"layer {name.split('_')[1]}" for name in metrics if name.startswith("cosine_")}
    plotting.curves(axis, *_over_epochs(metrics, names))
    axis.set(xlabel="epoch", ylabel="cosine with backpropagation", ylim=(min(-0.05, axis.get_ylim()[0]), 1.05))
    return fig


def singular_values(arrays):
    """Singular values of each weight matrix at the end, largest first."""
    fig, axis = plotting.figure(width=5.5)
    for l in range(1, len(arrays) + 1):  # noqa: E741
        values = arrays[f"singular_values/{l}"]
        ranks = np.linspace(0, 1, values.shape[-1])
        look = {"color": plotting.COLOURS[(l - 1) % len(plotting.COLOURS)]}
        for index, row in enumerate(values.reshape(-1, values.shape[-1])):
            axis.plot(ranks, row, label=f"layer {l}" if index == 0 else None, **look)
    axis.set(xlabel="rank of the singular value (fraction of the width)", ylabel="singular value", yscale="log")
    axis.legend()
    return fig


def _singular_values(W):
    return np.linalg.svd(xp.asnumpy(W), compute_uv=False)


def _over_epochs(metrics, names):
    """Return the epochs and {label: values (replicas, epochs)}; NaN where a replica has no row (any more)."""
    steps, columns = np.unique(metrics["step"], return_inverse=True)
    replicas = np.array(metrics["replica"])
    epochs = np.zeros(len(steps))
    epochs[columns] = metrics["epoch"]
    curves = {}
    for name, label in names.items():
        curves[label] = np.full((replicas.max() + 1, len(steps)), np.nan)
        curves[label][replicas, columns] = metrics[name]
    return epochs, curves
