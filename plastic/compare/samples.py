"""The samples of a comparison: as networks take them, reduced, divided, centred."""

import dataclasses
from collections.abc import Callable

import numpy as np

from plastic import classifier, data, xp
from plastic.errors import PlasticError


def flat(x: np.ndarray) -> np.ndarray:
    """Return samples (N, ..) as rows (N, n_0)."""
    return x.reshape(len(x), -1)


def sequences(x: np.ndarray) -> np.ndarray:
    """Return samples (N, T), or (N, T, ..), as sequences (N, T, n_0): the rows of an image are steps."""
    return x.reshape(*x.shape[:2], -1)


def taken(
    dataset: data.Dataset,
    prepare: Callable[[np.ndarray], np.ndarray],
    validation: float,
    per_class: int | None = None,
) -> classifier.Samples:
    """Return samples on the device, with a validation set.

    Args:
        dataset: where they are from.
        prepare: `flat` or `sequences`.
        validation: the share of the training samples that is held out, of each class the last ones.
        per_class: training samples of each class, the first ones; None for all.

    Raises:
        PlasticError: if a class has not so many.
    """
    x, labels = dataset.train
    if per_class is not None:
        places = [np.flatnonzero(labels == label) for label in range(dataset.classes)]
        if (least := min(map(len, places))) < per_class:
            raise PlasticError(f"per_class is {per_class}, but {dataset.name} has a class of {least} training samples")
        kept = np.sort(np.concatenate([each[:per_class] for each in places]))
        x, labels = x[kept], labels[kept]
    sets = {"x_train": prepare(x), "y_train": labels, "x_test": prepare(dataset.test[0]), "y_test": dataset.test[1]}
    return classifier.placed(data.assembled(dataset.name, sets, xp.float_dtype.name, validation), flat=False)


def centred(samples: classifier.Samples) -> classifier.Samples:
    """Return samples less the mean of those that train.

    With a mean of their own, inputs give all hidden units an error in common, which random feedback sends to where it
    lowers nothing: FA and DFA then hardly learn.
    """
    mean = xp.mean(samples.train[0], axis=0)

    def moved(x, labels):
        return x - mean, labels

    validation = moved(*samples.validation) if samples.validation else None
    return dataclasses.replace(samples, train=moved(*samples.train), test=moved(*samples.test), validation=validation)
