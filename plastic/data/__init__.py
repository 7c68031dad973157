"""Data sets as NumPy arrays on the host: `load("MNIST")`, `load("mine.npz")`.

First use fetches or makes a data set and writes one HDF5 file into `default_folder()`; later uses read that (see
datasets/README.md).
"""

import dataclasses
import difflib
import math
import os
from pathlib import Path

import numpy as np

from plastic.data import npz, store
from plastic.data.catalogue import SOURCES
from plastic.errors import PlasticError


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples x (N, ...) of floating-point numbers with labels y, int64 (N,), from 0 to classes - 1."""

    name: str
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray] | None
    classes: int

    def __repr__(self) -> str:
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        counts = ", ".join(f"{len(part[0]):,} {name}" for name, part in parts.items() if part is not None)
        return f"Dataset {self.name}: {counts} samples of shape {self.train[0].shape[1:]}, {self.classes} classes"


def names():
    """Return the names of the data sets that `load` knows, ("MNIST", "FMNIST", ...)."""
    return tuple(SOURCES)


def require(name):
    """Return `name` as `load` spells it, reading and downloading nothing, so that a command line can refuse at once.

    name: a name from `names()` in any case, or the path of an .npz file. Raises PlasticError if it is neither.
    """
    name = os.fspath(name)
    if name.lower().endswith(".npz"):
        if not os.path.isfile(name):
            raise PlasticError(f"the data file {name} does not exist")
        return name
    known = {each.lower(): each for each in SOURCES}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    raise PlasticError(f"unknown data set {name!r}: take {', '.join(SOURCES)} or the path of an .npz file{hint}")


def sizes(name):
    """Return (training samples, numbers per sample, classes) of a data set of `names()`; None for an .npz file.

    Nothing is read or downloaded. Raises PlasticError as `require` does.
    """
    source = SOURCES.get(require(name))
    return (source.train, math.prod(source.shape), len(source.labels)) if source else None


def default_folder():
    """Return the folder of the HDF5 files: PLASTIC_DATASETS, or `datasets/` of a checkout, or ~/.cache/plastic."""
    if chosen := os.environ.get("PLASTIC_DATASETS"):
        return Path(os.path.expanduser(chosen))
    checkout = Path(__file__).resolve().parents[2]
    return checkout / "datasets" if (checkout / "setup.cfg").is_file() else Path.home() / ".cache" / "plastic"


def load(name, dtype="float32", validation=0, folder=None):
    """Return the `Dataset` of a name from `names()`, in any case, or of the path of an .npz file.

    dtype: of x, "float32" or "float64". Images, and the x of an .npz file, are divided by max |x_train|, in this
        precision (MNIST: pixels / 255); generated curves and points have their published scale.
    validation: so many of the last training samples become the validation set; 0 for none.
    folder: where the HDF5 files are, `default_folder()` by default.

    An .npz file holds x_train, y_train, x_test and y_test: x (N, ...) finite, y whole numbers from 0 on.
    Raises PlasticError for an unknown name, a wrong option, data that are not as above, a download that failed or a
    folder that cannot be written.
    """
    name = require(name)
    if str(dtype) not in ("float32", "float64"):
        raise PlasticError(f"dtype {dtype} is not supported; take float32 or float64")
    source = SOURCES.get(name)
    arrays = _stored(source, Path(folder or default_folder())) if source else npz.read(name)
    n = len(arrays["x_train"])
    if not 0 <= validation < n:
        raise PlasticError(f"validation={validation}: take 0 to {n - 1} of the {n} training samples of {name}")
    x, x_test = (arrays[key] for key in ("x_train", "x_test"))
    if source is None or source.scale:
        x, x_test = _scaled(name, x, x_test, np.dtype(dtype))
    else:
        x, x_test = x.astype(dtype), x_test.astype(dtype)
    y, y_test = (arrays[key].astype(np.int64) for key in ("y_train", "y_test"))
    kept = n - validation
    return Dataset(
        name=name,
        train=(x[:kept], y[:kept]),
        test=(x_test, y_test),
        validation=(x[kept:], y[kept:]) if validation else None,
        classes=int(max(y.max(), y_test.max())) + 1,
    )


def _stored(source, folder):
    return store.arrays_of(folder / source.file, lambda: source.make(folder / "raw"))


def _scaled(name, x_train, x_test, dtype):
    with np.errstate(over="ignore"):
        x_train, x_test = x_train.astype(dtype), x_test.astype(dtype)
    largest = max(x_train.max(), -x_train.min())
    if not (0 < largest < np.inf and np.isfinite(x_test).all()):
        raise PlasticError(f"{name}: max |x_train| is {largest} in {dtype}; x is divided by it and has to stay finite")
    x_train /= largest
    x_test /= largest
    return x_train, x_test
