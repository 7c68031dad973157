"""Images in ten classes: the training sets of all seeds, the test set in halves, and epochs of training on them.

The published practice selects rates by the error on the test set. Beside it, rates can be selected on the first half
of that set and reported on the second.
"""

import functools
import pathlib

import numpy as np

from plastic import classifier, functions, runs, terminal, xp
from plastic.functions import classification_error, one_hot
from plastic.initializers import xavier_uniform
from plastic.pc.experiments import replicas
from plastic.pc.experiments.passes import Passes
from plastic.pc.networks import predict

CLASSES, HIDDEN = 10, (32, 32)
ERRORS = ("test_error", "validation_error", "held_out_error")
_LEAST = 2
"""Samples of a class, at least."""


def load(dataset, per_class=_LEAST, test_per_class=_LEAST):
    """Return the `Samples` of a data set, of which per_class and test_per_class are drawn.

    Raises PlasticError unless they are in ten classes, and each has so many, and two for training and for testing:
    draws leave one sample out, and the test set is halved.
    """
    samples = classifier.load(dataset, classes=CLASSES)
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
    """Return the classification error (seeds, rates) on x (seeds or 1, 1, n, n_0), y alike, one-hot."""
    found = classifier.means(lambda x, y: {"error": classification_error(predict(net, x), y)}, x, y, axes=(-2, -2))
    return found["error"]


def halves(net, x, y):
    """Return {"test_error", "validation_error", "held_out_error"}: of all, of the first half, of the second."""
    n = x.shape[-2]
    middle = n // 2
    first, second = (errors(net, x[..., part, :], y[..., part, :]) for part in (slice(middle), slice(middle, None)))
    whole = (first * middle + second * (n - middle)) / n
    return dict(zip(ERRORS, (whole, first, second), strict=True))


def small(samples, seeds, rates):
    """Return the networks of all seeds and rates that most experiments train: 784-32-32-10, sigmoid."""
    sizes = (samples.train[0].shape[1], *HIDDEN, CLASSES)
    return replicas.networks(sizes, functions.sigmoid, seeds, rates, xavier_uniform)


def train(
    part, samples, net, inference, *, rates, epochs, batch_size, per_class=None, test_per_class=None, batches=None
):
    """Train the networks of a part of a grid on images, tested before and after every epoch; see `replicas.train`.

    per_class, test_per_class: images of a class in the training set of each seed, and in the test set; by default all.
    batches: of an epoch; by default as many as there are.
    """
    generators = [xp.generator(seed) for seed in part.seeds]
    x, labels = samples.train[0], xp.asnumpy(samples.train[1])
    if per_class is None:
        known = x[None, None], targets(samples.train[1][None])
    else:
        chosen = np.stack([some_of_each(each.data, labels, per_class) for each in generators])
        known = rows(x, chosen, labels[chosen])
    x, labels = samples.test[0], xp.asnumpy(samples.test[1])
    chosen = np.arange(len(labels))
    if test_per_class is not None:
        chosen = some_of_each(generators[0].task, labels, test_per_class)
    chosen = chosen[None, xp.generator(0).task.permutation(len(chosen))]  # so that both halves have all classes
    test = rows(x, chosen, labels[chosen])
    source = Passes(lambda number: known, batch_size, [each.shuffle for each in generators], batches)
    replicas.train(
        part, net, inference, source, lambda net: halves(net, *test), epochs=epochs, rates=rates, errors=ERRORS
    )


def warn_of_few_steps(inference, layers):
    """Say on stderr that the steps of inference do not reach the first of so many layers of weights."""
    T = inference.T
    if T < layers and inference.solver != "layerwise":  # one sweep reaches all
        terminal.warn(
            f"warning: T is {T}, but the deepest network has {layers} layers of weights: an error needs that many "
            f"steps to get down, and {layers - T} layers learn nothing"
        )
