"""Images in ten classes: the training sets of all seeds, the test set in halves, and epochs of training on them.

The published practice selects rates by the error on the test set. Beside it, rates can be selected on the first half
of that set and reported on the second: nothing is trained on either half, so the second is as good as a test set of
half the size. What the epochs of training are judged by, too, is a validation set of training images, if one is asked
for; see `plastic.evaluations`.
"""

import dataclasses
import functools
import pathlib

import numpy as np

from plastic import classifier, functions, runs, terminal, xp
from plastic.evaluations import Evaluations
from plastic.functions import classification_error, confusion, one_hot
from plastic.initializers import xavier_uniform
from plastic.pc.experiments import replicas
from plastic.pc.experiments.passes import Passes
from plastic.pc.networks import predict

CLASSES, HIDDEN = 10, (32, 32)
ERRORS = ("test_error", "validation_error", "held_out_error")
LOSSES = ("test_loss", "validation_loss", "held_out_loss")
DIVERGED = dict.fromkeys(ERRORS, 1.0)
"""The errors of a replica that has diverged, as published."""
SAMPLES = {"axes": (-2, -2)}
"""Where the samples of x and y (.., n, units) are, for `classifier.means`."""
_LEAST = 2
"""Samples of a class, at least."""


def load(dataset, per_class=_LEAST, test_per_class=_LEAST, validation=0.0):
    """Return the `Samples` of a data set, rows of grey values, of which per_class and test_per_class are drawn.

    validation: the share of the training samples that is held out.

    Raises PlasticError unless they are in ten classes, and each has so many, and two for training and for testing:
    draws leave one sample out, and the test set is halved.
    """
    samples = classifier.load(dataset, flat=False, classes=CLASSES, validation=validation)
    sets = {name: getattr(samples, name) for name in ("train", "test", "validation")}
    flat = {name: (replicas.flat(each[0]), each[1]) for name, each in sets.items() if each}
    samples = dataclasses.replace(samples, **flat)
    require_halves(samples)
    samples.require("train", per_class, f"per_class is {per_class}")
    samples.require("test", test_per_class, f"test_per_class is {test_per_class}")
    return samples


def require_halves(samples):
    """Require two samples of each class, to learn from and to test on, in halves."""
    for split in ("train", "test"):
        samples.require(split, _LEAST, f"{_LEAST} samples of each class are needed")


def readable(*, grid, dataset, **_):
    """Return what the name of a run folder says."""
    return f"{grid}-{pathlib.Path(dataset).stem}"


experiment = functools.partial(runs.experiment, "pc", restore=replicas.restore, readable=readable)
"""The decorator of the experiments on images."""


def some_of_each(generator, labels, count, classes=None):
    """Return the indices of `count` samples of each class, drawn at random, in the order of the set.

    As published, a class that has no more than `count` loses one sample.
    """
    labels = xp.asnumpy(labels)
    chosen = []
    for label in np.unique(labels) if classes is None else classes:
        members = np.flatnonzero(labels == label)
        chosen.append(generator.permutation(members)[: max(0, min(count, len(members) - 1))])
    return np.sort(np.concatenate(chosen))


def rows(x, chosen, labels, classes=CLASSES):
    """Return x (seeds, 1, n, n_0) and one-hot y (seeds, 1, n, classes) of samples.

    x: of all samples. chosen, labels: which each seed takes, and what they are called (seeds, n), host arrays.
    """
    return x[xp.asarray(chosen)][:, None], targets(xp.asarray(labels), classes)


def targets(labels, classes=CLASSES):
    """Return one-hot rows (seeds, 1, n, classes) of labels (seeds, n)."""
    return one_hot(labels.reshape(-1), classes).reshape(*labels.shape, classes)[:, None]


def errors(net, x, y):
    """Return {"error": (seeds, rates)}, the classification error on x (seeds or 1, 1, n, n_0), y alike, one-hot."""
    return classifier.means(lambda x, y: {"error": classification_error(predict(net, x), y)}, x, y, **SAMPLES)


def classified(output, y):
    """Return {"error", "confusion"} of outputs, for one-hot y."""
    return {"error": classification_error(output, y), "confusion": confusion(output, xp.argmax(y, axis=-1))}


def losses(net, x, y):
    """Return {"loss": (seeds, rates)}, half the squared error of a sample, mean over x; see `errors`."""

    def half(x, y):
        return {"loss": 0.5 * xp.mean(xp.sum((predict(net, x) - y) ** 2, axis=-1), axis=-1)}

    return classifier.means(half, x, y, **SAMPLES)


def halves(measure, x, y):
    """Return {"test_error", "validation_error", "held_out_error"}: of all, of the first half, of the second.

    measure: measure(x, y) -> {"error": mean}, or what else is measured. Of a confusion there is that of all alone.
    """
    n = x.shape[-2]
    middle = n // 2
    first, second = (measure(x[..., part, :], y[..., part, :]) for part in (slice(middle), slice(middle, n)))
    whole = {name: (first[name] * middle + second[name] * (n - middle)) / n for name in first}
    sets = {"test": whole, "validation": first, "held_out": second}
    found = {f"{of}_{name}": value for of, each in sets.items() for name, value in each.items()}
    return {name: value for name, value in found.items() if name == "test_confusion" or "confusion" not in name}


def judged(measure, test, validation):
    """Return what is measured on a validation set (x, y), or where there is none (None) on the halves of the test set.

    measure: as for `halves`.
    """
    if validation is None:
        return halves(measure, *test)
    return {f"validation_{name}": value for name, value in measure(*validation).items()}


def small(samples, seeds, rates, width=HIDDEN[0]):
    """Return the networks of all seeds and rates that most experiments train: 784-32-32-10, sigmoid."""
    sizes = (samples.train[0].shape[1], *[width] * len(HIDDEN), CLASSES)
    return replicas.networks(sizes, functions.sigmoid, seeds, rates, xavier_uniform)


def train(
    part,
    samples,
    net,
    inference,
    *,
    rates,
    epochs,
    batch_size,
    counts=(None, None),
    batches=None,
    task="classification",
    loss=None,
):
    """Train the networks of a part of a grid on images, tested before and after every epoch; see `replicas.train`.

    counts: images of a class in the training set of each seed, and in the test set; None for all. batches: of an epoch;
    by default as many as there are. task: "classification", or "regression" of the images themselves. loss: see
    `learning.updates_of`.
    """
    known, test = sets(samples, part.seeds, *counts)
    if task == "regression":
        known, test = (known[0], known[0]), (test[0], test[0])
    source = Passes(lambda number: known, batch_size, [xp.generator(seed).shuffle for seed in part.seeds], batches)
    how = {"epochs": epochs, "rates": rates, "loss": loss}
    if task == "regression":
        how["when_diverged"] = dict.fromkeys(LOSSES, np.nan)
        replicas.train(part, net, inference, source, lambda net: halves(functools.partial(losses, net), *test), **how)
        return

    def measure(x, y):
        return classified(predict(net, x), y)

    def evaluate(net):
        return evaluations.note(judged(lambda *some: classifier.means(measure, *some, **SAMPLES), test, validation))

    validation = samples.validation and (samples.validation[0][None, None], targets(samples.validation[1][None]))
    evaluations = Evaluations(net.parameters, net.replicas, CLASSES, "error", best=validation is not None)
    how["when_diverged"] = DIVERGED if validation is None else {"validation_error": 1.0}
    replicas.train(part, net, inference, source, evaluate, kept=evaluations.tree, **how)
    evaluations.test(part, measure, test, **SAMPLES)


def sets(samples, seeds, per_class=None, test_per_class=None):
    """Return (x, y) to learn from and (x, y) to test on, of every seed, or of all alike where none is drawn."""
    generators = [xp.generator(seed) for seed in seeds]
    x, labels = samples.train[0], xp.asnumpy(samples.train[1])
    if per_class is None:
        known = x[None, None], targets(samples.train[1][None])
    else:
        chosen = np.stack([some_of_each(each.data, labels, per_class) for each in generators])
        known = rows(x, chosen, labels[chosen])
    x, labels = samples.test[0], xp.asnumpy(samples.test[1])
    if test_per_class is None:
        chosen = np.arange(len(labels))[None]
    else:
        chosen = np.stack([some_of_each(each.task, labels, test_per_class) for each in generators])
    chosen = chosen[:, xp.generator(0).task.permutation(chosen.shape[-1])]  # so that both halves have all classes
    return known, rows(x, chosen, labels[chosen])


def warn_of_few_steps(rules, inference, layers):
    """Say on stderr that the steps of `ipc` do not reach the first of so many layers of weights.

    What inference itself does not reach, it says: see `plastic.pc.reach`.
    """
    if "ipc" in rules and (T := inference.T) < layers:
        terminal.warn(
            f"warning: T is {T}, but the deepest network has {layers} layers of weights: an error needs that many "
            f"steps to get down, and {layers - T} layers learn nothing"
        )
