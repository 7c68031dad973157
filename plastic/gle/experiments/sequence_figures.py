"""The figures of the experiments on sequences, drawn from the files of their runs (Fig. 8)."""

import csv
import dataclasses
import importlib.resources

import numpy as np

from plastic import plotting, runs
from plastic.data.mnist1d import Deformation
from plastic.errors import PlasticError
from plastic.evaluations import confusion
from plastic.runs.record import plain

_WIDEST = 12  # classes or inputs of which each has a line
_DATA = ("dataset", "full", "num_samples", "classes", *(field.name for field in dataclasses.fields(Deformation)))
"""Options that say which data a run has."""


def accuracy(found):
    """Accuracy and loss over the epochs, mean and standard deviation of the seeds (Fig. 8).

    Of several runs, on the test set, or on the validation set where they know no other.
    """
    tables, alone = [run.metrics() for run in found], len(found) == 1
    sets = _sets(tables)
    names = plotting.labels(found, [_title(run) for run in found])
    fig, (left, right) = plotting.figure(columns=2)
    for place, (metrics, name) in enumerate(zip(tables, names, strict=True)):
        shown = {each: each for each in sets} if alone else {sets[0]: name}
        learning = {"train_accuracy": "training (running)"} if alone else {}
        columns = {f"{each}_accuracy": label for each, label in shown.items()} | learning
        epochs, values = plotting.over_epochs(metrics, columns)
        percent = {label: 100 * each for label, each in values.items()}
        plotting.curves(left, epochs, percent, deviation=True, start=place)
        epochs, losses = plotting.over_epochs(metrics, {f"{each}_loss": label for each, label in shown.items()})
        plotting.curves(right, epochs, losses, deviation=True, start=place)
    of = "" if alone else f", {sets[0]} set"
    left.set(xlabel="epoch", ylabel=f"accuracy (%){of}", ylim=(0, 100), title="Classification")
    right.set(xlabel="epoch", ylabel=f"cross-entropy of all steps{of}", title="Loss")
    return fig


def stream(found):
    """Input, outputs and their softmax in every step of test sequences that come one after the other, of each run."""
    fig, axes = plotting.figure(3, len(found), width=max(4.5, 9 / len(found)), height=1.9, sharex="col", squeeze=False)
    names = plotting.labels(found, [_title(run) for run in found])
    for (above, middle, below), run, name in zip(axes.T, found, names, strict=True):
        arrays = plotting.arrays_of(run)
        x, labels, outputs = (arrays[f"stream/{each}"] for each in ("x", "labels", "outputs"))
        outputs = outputs if outputs.ndim == 2 else outputs[0]  # of the first seed
        length, step = x.shape[1], np.arange(len(outputs))
        seen = np.reshape(x, (len(step), -1))
        for k in range(min(seen.shape[1], _WIDEST)):
            above.plot(step, seen[:, k], color="0.3", linewidth=0.8)
        odds = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        for axis, values in ((middle, outputs), (below, odds / odds.sum(axis=1, keepdims=True))):
            for k in range(outputs.shape[1]) if outputs.shape[1] <= _WIDEST else labels:
                axis.plot(step, values[:, k], label=f"class {k}", **plotting.look(int(k)) | {"linewidth": 1.1})
        for axis in (above, middle, below):
            for start in length * np.arange(1, len(x)):
                axis.axvline(start, color="0.5", linewidth=1)
        for place, label in enumerate(labels):
            middle_of, high = length * (place + 0.5), above.get_xaxis_transform()
            above.text(middle_of, 1.02, f"class {label}", transform=high, ha="center", va="bottom")
        above.set_title(f"{name}: test sequences, one after the other", pad=18)
        below.set(xlabel="Euler step", ylim=(0, 1))
    for axis, label in zip(axes[:, 0], ("input", "output (logit)", "softmax"), strict=True):
        axis.set_ylabel(label)
    handles, texts = axes[1, 0].get_legend_handles_labels()
    fig.legend(handles, texts, loc="outside right center", frameon=False, fontsize="small")
    return fig


def baselines(found):
    """The accuracy of each run at its end, mean and standard deviation of its seeds, and the published ones.

    These are left out where the data are others than the published ones.
    """
    rows = published(found[0].experiment) if all(map(_is_of_published_data, found)) else []
    names = plotting.labels(found, [_title(run) for run in found])
    ours = [
        (f"{name}, here ({_seeds(len(values))})", values)
        for name, values in zip(names, map(_at_the_end, found), strict=True)
    ]
    fig, axis = plotting.figure(width=7, height=1.2 + 0.3 * (len(rows) + len(ours)))
    for place, (_, values) in enumerate(ours):
        axis.errorbar(values.mean(), place, xerr=values.std(), fmt="o", color=plotting.COLOURS[1], capsize=3)
    for place, row in enumerate(rows, start=len(ours)):
        axis.errorbar(row["mean"], place, xerr=row["deviation"], fmt="s", color=plotting.COLOURS[0], capsize=3)
    theirs = [f"{row['model']}, published ({_seeds(row['seeds'])})" for row in rows]
    axis.set_yticks(range(len(ours) + len(rows)), [name for name, _ in ours] + theirs)
    axis.invert_yaxis()
    of = "validation set" if found[0].experiment == "gsc" else "test set"
    axis.set(
        xlabel=f"accuracy (%), {of}", ylabel="model", title="Accuracy at the end" + " and as published" * bool(rows)
    )
    return fig


def _seeds(count):
    return "1 seed" if count == 1 else f"{count} seeds"


def _is_of_published_data(run):
    defaults = runs.of_run(run).defaults
    return all(
        plain(run.options.get(name, defaults[name])) == plain(defaults[name]) for name in _DATA if name in defaults
    )


def published(experiment):
    """Return the published accuracies of an experiment, [{"model", "mean", "deviation", "seeds"}], in per cent.

    The head of the table in this package says where they come from.
    """
    text = (importlib.resources.files("plastic.gle.experiments") / "published" / "fig8.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    kinds = {"model": str, "mean": float, "deviation": float, "seeds": int}
    return [{name: kind(row[name]) for name, kind in kinds.items()} for row in rows if row["experiment"] == experiment]


def _title(run):
    """Return what a run is called beside others: its architecture, or its data set."""
    return run.option("architecture" if run.experiment == "mnist1d" else "dataset")


def _at_the_end(run):
    """Return the accuracies of the seeds at the end, in per cent: on the test set once, or in the last rows."""
    arrays, metrics = run.arrays(), run.metrics()
    if "best_epoch" in arrays:
        return 100 * np.delete(np.atleast_1d(arrays["test_accuracy"]), run.diverged)
    last = np.array(metrics["step"]) == metrics["step"][-1]
    return 100 * np.array(metrics[f"{_sets([metrics])[0]}_accuracy"])[last]


def _sets(tables):
    """Return the sets whose accuracy and loss are shown of runs with these metrics, test before validation."""
    known = [name for name in ("test", "validation") if all(f"{name}_accuracy" in metrics for metrics in tables)]
    if not known:
        raise PlasticError("the runs have no accuracy in common: some were tested in every epoch, some only validated")
    return known if len(tables) == 1 else known[:1]


OF_SEQUENCES = {"accuracy": accuracy, "baselines": baselines, "confusion": confusion}
OF_MNIST1D = OF_SEQUENCES | {"stream": stream}
"""The figures of the experiments by the names of their files."""
