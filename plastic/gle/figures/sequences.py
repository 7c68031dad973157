"""Figures of learning to classify sequences (Ellenberger et al. 2024, Fig. 8)."""

from plastic import plotting


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
    """Test accuracy over the epochs of several runs, mean and standard deviation of the seeds of each."""
    fig, axis = plotting.figure(width=5.5, height=3.6)
    for index, run in enumerate(runs):
        epochs, values = plotting.over_epochs(run.metrics(), {"test_accuracy": _label(run)})
        for label, each in values.items():
            mean, std = 100 * each.mean(axis=0), 100 * each.std(axis=0)
            look = plotting.look(index)
            axis.fill_between(epochs, mean - std, mean + std, color=look["color"], alpha=0.2, linewidth=0)
            axis.plot(epochs, mean, label=label, **look)
    plotting.legend(axis)
    axis.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(0, 100))
    return fig


def _label(run):
    return run.options["architecture"] if run.experiment == "mnist1d" else run.options["dataset"]
