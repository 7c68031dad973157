"""Figures of learning to classify sequences (Ellenberger et al. 2024, Fig. 8)."""

import numpy as np

from plastic import plotting
from plastic.errors import PlasticError
from plastic.gle.figures.several import labels


def figures(run):
    """Return {name: figure} of a run."""
    return {"accuracy": accuracy(run.metrics())}


def accuracy(metrics):
    """Accuracy and loss over the epochs, mean and standard deviation of the seeds."""
    sets = [name.removesuffix("_loss") for name in metrics if name.endswith("_loss")]
    fig, (left, right) = plotting.figure(columns=2)
    epochs, values = plotting.over_epochs(metrics, {f"{name}_accuracy": name for name in [*sets, "train"]})
    values["train"][:, 0] = float("nan")  # there was none before training
    plotting.curves(left, epochs, {label: 100 * each for label, each in values.items()}, deviation=True)
    left.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 100))
    epochs, values = plotting.over_epochs(metrics, {f"{name}_loss": name for name in sets})
    plotting.curves(right, epochs, values, deviation=True)
    right.set(xlabel="epoch", ylabel="cross-entropy of all steps")
    return fig


def together(runs):
    """Accuracy over the epochs of several runs, mean and standard deviation of the seeds of each.

    On the test set, or on the validation set where the runs know no other.
    """
    found = [run.metrics() for run in runs]
    which = "test" if all("test_accuracy" in metrics for metrics in found) else "validation"
    if not all(f"{which}_accuracy" in metrics for metrics in found):
        raise PlasticError("the runs have no accuracy in common: some were tested in every epoch, some only validated")
    fig, axis = plotting.figure(width=5.5, height=3.6)
    names = labels(runs, [run.options["architecture" if run.experiment == "mnist1d" else "dataset"] for run in runs])
    for index, (metrics, name) in enumerate(zip(found, names, strict=True)):
        epochs, values = plotting.over_epochs(metrics, {f"{which}_accuracy": name})
        each = 100 * np.ma.masked_invalid(values[name])  # a seed that has diverged has no values any more
        mean, std = each.mean(axis=0), each.std(axis=0)
        look = plotting.look(index)
        axis.fill_between(epochs, mean - std, mean + std, color=look["color"], alpha=0.2, linewidth=0)
        axis.plot(epochs, mean, label=name, **look)
    plotting.legend(axis)
    axis.set(xlabel="epoch", ylabel=f"{which} accuracy (%)", ylim=(0, 100))
    return fig
