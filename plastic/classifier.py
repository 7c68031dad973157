"""What experiments that classify share: the samples of a data set, and means over many samples, a chunk at a time."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import data, xp
from plastic.errors import PlasticError
from plastic.types import Array

CHUNK = 500
"""Samples evaluated at once: enough for the products, few enough that activities stay in the cache."""


@dataclasses.dataclass(frozen=True, repr=False)
class Samples:
    """A data set on the device.

    Attributes:
        name: of the data set.
        train, test: (x, labels), x (N, ...) in the working precision, labels whole numbers (N,).
        classes: how many there are.
        validation: (x, labels) held out from training, or None.
    """

    name: str
    train: tuple[Array, Array]
    test: tuple[Array, Array]
    classes: int
    validation: tuple[Array, Array] | None = None

    def __repr__(self) -> str:
        counts = " and ".join(str(len(each[0])) for each in (self.train, self.validation, self.test) if each)
        return f"Samples of {self.name}: {counts} of {self.train[0].shape[1:]}, {self.classes} classes"

    @property
    def judged(self) -> tuple[str, tuple[Array, Array]]:
        """The set that epochs are judged by, its name first: "validation", or, as published, "test"."""
        return ("test", self.test) if self.validation is None else ("validation", self.validation)

    def require(self, split: str, count: int, asked: str) -> None:
        """Require so many samples of every class.

        Args:
            split: "train" or "test".
            count: how many.
            asked: what asks for them, "per_class is 60".

        Raises:
            PlasticError: if a class has fewer.
        """
        found = np.bincount(xp.asnumpy(getattr(self, split)[1]), minlength=self.classes)
        if (least := int(found.min())) < count:
            kind = {"train": "training", "test": "test"}[split]
            raise PlasticError(f"{asked}, but {self.name} has {least} {kind} samples of class {found.argmin()}")


def load(dataset: str, flat: bool = True, classes: int | None = None, validation: float = 0.0) -> Samples:
    """Return the samples of a data set in the working precision.

    Args:
        dataset: a name or a file, as for `plastic.data.load`.
        flat: whether each sample becomes a row (n,); otherwise it keeps its shape.
        classes: how many classes there must be; by default any number.
        validation: the share of the training samples that is held out, as for `plastic.data.load`.

    Returns:
        The `Samples`.

    Raises:
        PlasticError: as `plastic.data.load` does, and if there are other than `classes` classes; of a known data set,
            nothing is fetched then.
    """
    if (known := data.sizes(dataset)) is not None:
        _require_classes(dataset, known[2], classes)
    found = data.load(dataset, dtype=xp.float_dtype.name, validation=validation)
    _require_classes(found.name, found.classes, classes)
    return placed(found, flat)


def placed(dataset: data.Dataset, flat: bool = True) -> Samples:
    """Return the samples of a data set on the device.

    Args:
        dataset: as `plastic.data.load` gives it.
        flat: as for `load`.

    Returns:
        The `Samples`.
    """

    def put(x, labels):
        return xp.asarray(x.reshape(len(x), -1) if flat else x), xp.asarray(labels)

    held_out = put(*dataset.validation) if dataset.validation else None
    return Samples(dataset.name, put(*dataset.train), put(*dataset.test), dataset.classes, held_out)


def given(x: Any) -> Array:
    """Return samples that `predict` of a loaded network is given, on the device and in the working precision.

    Args:
        x: samples (batch, ...), scaled as in training.

    Returns:
        The samples.

    Raises:
        PlasticError: if there are none, or if they are no floating-point numbers, as images that are not scaled are.
    """
    x = xp.asarray(x)
    if x.dtype.kind != "f":
        raise PlasticError(f"x holds {x.dtype}; {xp.float_dtype} numbers are needed, scaled as those of training")
    if x.ndim < 2 or 0 in x.shape:
        raise PlasticError(f"x has shape {x.shape}; (batch, ..) is needed, with one sample or more")
    return x


class Tally:
    """Means over the samples of training, each measured in its batch before the update, since the last evaluation.

    They are had for nothing, whereas to evaluate a training set costs a good part of training on it.

    Args:
        shape: the replica shape.
        names: of what is measured.

    Attributes:
        totals: {name: sum over the samples, of the replica shape, .., "samples": how many}, to be kept in checkpoints.

    Example:
        >>> tally = Tally((), "errors")
        >>> tally.add({"errors": 3}, 20)
        >>> tally.add({"errors": 2}, 20)
        >>> float(tally.means()["errors"])
        0.125
    """

    def __init__(self, shape: tuple[int, ...], *names: str) -> None:
        self.totals = {name: xp.zeros(shape, dtype=xp.float_dtype) for name in names}
        self.totals["samples"] = xp.zeros((), dtype=xp.float_dtype)

    def __repr__(self) -> str:
        return f"Tally of {', '.join(name for name in self.totals if name != 'samples')}"

    def forget(self) -> None:
        """Begin anew."""
        for total in self.totals.values():
            total[...] = 0

    def add(self, sums: dict[str, Array], count: int) -> None:
        """Take in a batch of `count` samples: {name: sum over them, of the replica shape}."""
        for name, value in sums.items():
            self.totals[name] += value
        self.totals["samples"] += count

    def means(self) -> dict[str, Array]:
        """Return {name: mean over the samples}, not a number where there are none yet."""
        return {name: total / self.totals["samples"] for name, total in self.totals.items() if name != "samples"}


def _require_classes(name, found, wanted):
    if wanted not in (None, found):
        raise PlasticError(f"dataset {name} has {found} classes; the networks of this experiment are for {wanted}")


def means(
    measure: Callable[..., dict[str, Array]],
    *arrays: Array,
    axes: tuple[int, ...] | None = None,
    chunk: int | None = None,
) -> dict[str, Array]:
    """Return means over all samples of what is measured a chunk at a time.

    Args:
        measure: measure(*chunks of the arrays) -> {name: mean over the samples of the chunk, of the replica axes}.
        arrays: samples, labels, and what else belongs to a sample.
        axes: the axis of samples of each array; 0 by default.
        chunk: samples at once, `CHUNK` by default.

    Returns:
        {name: mean over the samples}.

    Raises:
        PlasticError: if the arrays have different numbers of samples, or none.
    """
    axes, chunk = axes or (0,) * len(arrays), chunk or CHUNK
    count, *others = (array.shape[axis] for array, axis in zip(arrays, axes, strict=True))
    if not count or any(other != count for other in others):
        raise PlasticError(
            f"arrays have {', '.join(map(str, (count, *others)))} samples; as many of each, not 0, are needed"
        )
    totals: dict[str, Array] = {}
    for start in range(0, count, chunk):
        some = [_part(array, axis, start, start + chunk) for array, axis in zip(arrays, axes, strict=True)]
        for name, value in measure(*some).items():
            totals[name] = totals.get(name, 0) + value * some[0].shape[axes[0]]
    return {name: total / count for name, total in totals.items()}


def _part(array, axis, start, stop):
    before = array.ndim + axis if axis < 0 else axis
    return array[(slice(None),) * before + (slice(start, stop),)]
