"""Images in ten classes: the training sets of all seeds, the test set in halves, and epochs of training on them.

The published practice selects rates by the error on the test set. Beside it, rates can be selected on the first half
of that set and reported on the second.
"""

import pathlib

import numpy as np

from plastic import classifier, terminal, xp
from plastic.errors import PlasticError
from plastic.functions import classification_error, one_hot
from plastic.pc.experiments import replicas
from plastic.pc.experiments.passes import Passes
from plastic.pc.networks import predict

CLASSES = 10
ERRORS = ("test_error", "validation_error", "held_out_error")
_CHUNK = 1000  # samples evaluated at once: every replica has them


def load(dataset):
    """Return the `Samples` of a data set. Raises PlasticError unless they are in ten classes."""
    samples = classifier.load(dataset)
    if samples.classes != CLASSES:
        raise PlasticError(f"dataset {dataset} has {samples.classes} classes; these networks are for {CLASSES}")
    return samples


def readable(*, grid, dataset, **_):
    """Return what the name of a run folder says."""
    return f"{grid}-{pathlib.Path(dataset).stem}"


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


def rows(x, labels, chosen, classes=CLASSES):
    """Return x (seeds, 1, n, n_0) and one-hot y (seeds, 1, n, classes) of chosen samples.

    x, labels: of all samples. chosen: which each seed takes (seeds, n), host indices.
    """
    chosen = xp.asarray(chosen)
    return x[chosen][:, None], targets(labels[chosen], classes)


def targets(labels, classes=CLASSES):
    """Return one-hot rows (seeds, 1, n, classes) of labels (seeds, n)."""
    return one_hot(labels.reshape(-1), classes).reshape(*labels.shape, classes)[:, None]


def errors(net, x, y):
    """Return the classification error (seeds, rates) on x (seeds or 1, 1, n, n_0), y alike, one-hot."""

    def measure(x, y):
        return {"error": classification_error(predict(net, x), y)}

    return classifier.means(measure, x, y, axes=(-2, -2), chunk=_CHUNK)["error"]


def halves(net, x, y):
    """Return {"test_error", "validation_error", "held_out_error"}: of all, of the first half, of the second."""
    n = x.shape[-2]
    middle = n // 2
    first, second = (errors(net, x[..., part, :], y[..., part, :]) for part in (slice(middle), slice(middle, None)))
    whole = (first * middle + second * (n - middle)) / n
    return dict(zip(ERRORS, (whole, first, second), strict=True))


def train(
    part, samples, net, rule, *, rates, seeds, epochs, batch_size, per_class=None, test_per_class=None, batches=None
):
    """Train the networks of a part of a grid on images, tested before and after every epoch; see `replicas.train`.

    per_class, test_per_class: images of a class in the training set of each seed, and in the test set; by default all.
    batches: of an epoch; by default as many as there are.
    """
    generators = [xp.generator(seed) for seed in seeds]
    x, labels = samples.train
    if per_class is None:
        known = x[None, None], targets(labels[None])
    else:
        known = rows(x, labels, np.stack([some_of_each(each.data, labels, per_class) for each in generators]))
    x, labels = samples.test
    chosen = np.arange(len(labels))
    if test_per_class is not None:
        chosen = some_of_each(generators[0].task, labels, test_per_class)
    chosen = chosen[xp.generator(0).task.permutation(len(chosen))]  # so that both halves have all classes
    test = rows(x, labels, chosen[None])
    source = Passes(lambda number: known, batch_size, [each.shuffle for each in generators], batches)
    replicas.train(
        part,
        net,
        rule,
        source,
        lambda: halves(net, *test),
        epochs=epochs,
        seeds=seeds,
        rates=rates,
        errors=ERRORS,
    )


def warn_of_few_steps(T, layers):
    """Say on stderr that T steps of inference do not reach the first of so many layers of weights."""
    if T < layers:
        terminal.warn(
            f"warning: T is {T}, but the deepest network has {layers} layers of weights: an error needs that many "
            f"steps to get down, and {layers - T} layers learn nothing"
        )
