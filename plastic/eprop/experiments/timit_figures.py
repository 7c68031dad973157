"""The figures of speech recognition: errors and loss as training goes on, and one utterance of the test."""

import numpy as np

from plastic import plotting

_RULES = {"none": "BPTT"}


def errors(runs):
    """Errors of validation, test and the last batch of training, and the losses, over the epochs."""
    fig, (left, right) = plotting.figure(columns=2, **({"width": 6.0, "height": 4.5} if len(runs) > 1 else {}))
    for index, (run, name) in enumerate(zip(runs, _names(runs), strict=True)):
        before = f"{name}, " if name else ""
        splits = ("validation", "test") if len(runs) > 1 else ("validation", "test", "training")
        labels = {split: f"{before}{'training batch' if split == 'training' else split}" for split in splits}
        epochs, values = plotting.over_epochs(run.metrics(), {f"{k}_error": label for k, label in labels.items()})
        plotting.curves(left, epochs, {k: 100 * each for k, each in values.items()}, start=len(splits) * index)
        epochs, values = plotting.over_epochs(run.metrics(), {f"{k}_loss": label for k, label in labels.items()})
        plotting.curves(right, epochs, values, start=len(splits) * index)
    of = {"framewise": "error of frames (%)", "ctc": "edits for each label (%)"}
    kinds = list(dict.fromkeys(run.option("task") for run in runs))
    left.set(xlabel="epoch", ylabel=", ".join(of[kind] for kind in kinds), title="Speech recognition")
    left.set_ylim(bottom=0)
    right.set(xlabel="epoch", ylabel="loss (nats)", title="Loss")
    return fig


def utterance(runs):
    """Features, spikes of the forward neurons, and the probabilities of the classes; each run has a column."""
    arrays = [plotting.arrays_of(run) for run in runs]
    spiking = any("z" in each for each in arrays)
    fig, axes = plotting.figure(rows=2 + spiking, columns=len(runs), width=7.0, height=2.4, squeeze=False)
    for column, (run, name, found) in enumerate(zip(runs, _names(runs), arrays, strict=True)):
        top, *middle, last = axes[:, column]
        seconds = len(found["x"]) / 100
        _image(fig, top, np.clip(found["x"], -3, 3), seconds, "standard deviations", "RdBu_r")
        top.set(ylabel="feature", title=name or "An utterance of the test, after training")
        for axis in middle:
            if "z" not in found:
                axis.remove()
                continue
            times, neurons = np.nonzero(found["z"])
            axis.plot(times / (100 * found["steps"]), neurons, ".", color="black", markersize=0.6)
            axis.set(ylabel="forward neuron", xlim=(0, seconds), ylim=(-1, found["z"].shape[1]))
            axis.grid(False)
        _probabilities(fig, last, found, seconds, run.options["task"] == "ctc")
    return fig


def _probabilities(fig, axis, found, seconds, ctc):
    """The probabilities as an image, and the labels that were spoken as a line; of ctc the blank lies on top."""
    classes = [name.decode() for name in found["classes"]]
    probability = found["probability"]
    classes += ["blank" if ctc else "unused"] * (probability.shape[1] - len(classes))
    _image(fig, axis, probability, seconds, "probability", "Greys")
    times = (np.arange(len(found["labels"])) + 0.5) / 100
    axis.plot(times, found["labels"] + 0.5, drawstyle="steps-mid", label="spoken", **plotting.look(1))
    step = max(1, len(classes) // 12)
    places = np.arange(0, len(classes), step)
    axis.set_yticks(places + 0.5, [plotting.plain(classes[place]) for place in places], fontsize="small")
    axis.set(xlabel="time (s)", ylabel="label")
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)  # none of the rows is free


def _image(fig, axis, values, seconds, label, colours):
    """An image of values (frames, n) over time, with what its colours mean."""
    shown = axis.imshow(
        values.T,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(0, seconds, 0, values.shape[1]),
        cmap=colours,
        vmin=0 if values.min() >= 0 else -3,
        vmax=1 if values.min() >= 0 else 3,
    )
    axis.grid(False)
    fig.colorbar(shown, ax=axis, label=label)


def _names(runs):
    """Return what each run is called: nothing where there is one run."""
    if len(runs) == 1:
        return [""]
    rules = [_RULES.get(run.option("eprop"), f"e-prop, {run.option('eprop')} feedback") for run in runs]
    return plotting.labels(
        runs, [f"{run.option('model').upper()}, {rule}" for run, rule in zip(runs, rules, strict=True)]
    )


SPEECH = {"learning": errors, "utterance": utterance}
"""The figures by the names of their files."""
