"""Data sets as NumPy arrays on the host: `load("MNIST")`, `load("mine.npz")`.

First use fetches or makes a data set and writes one HDF5 file into `default_folder()`; later uses read that (see
datasets/README.md).
"""

import contextlib
import dataclasses
import difflib
import importlib
import math
import os
import stat
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from plastic import require as _require
from plastic import system
from plastic.data import cifar, npz, store
from plastic.data.catalogue import SOURCES, Source
from plastic.errors import PlasticError

__all__ = [
    "Dataset",
    "assembled",
    "contents",
    "default_folder",
    "folder_of",
    "load",
    "names",
    "require",
    "sizes",
    "sources",
    "speech",
    "utterances",
    "width",
]


def __dir__() -> list[str]:
    return __all__


Folder: TypeAlias = str | os.PathLike[str] | None

_SPEECH = {
    "GSC": "plastic.data.speech loads it, and plastic.gle gsc learns from it",
    "FSDD": "plastic.data.speech loads it, and plastic.gle gsc --dataset=FSDD learns from it",
    "TIMIT": "plastic.data.utterances loads it, and plastic.eprop timit learns from it",
}
_SHOWN = 10  # classes that a note names


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples with labels.

    Attributes:
        name: what it is called.
        train, test: (x, y), samples (N, ...) of floating-point numbers and their labels, int64 (N,), from 0 to classes
            - 1.
        validation: (x, y), or None.
        classes: how many there are.
    """

    name: str
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray] | None
    classes: int

    def __repr__(self) -> str:
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        counts = ", ".join(f"{len(part[0]):,} {name}" for name, part in parts.items() if part is not None)
        return f"Dataset {self.name}: {counts} samples of shape {self.train[0].shape[1:]}, {self.classes} classes"


def __getattr__(name: str) -> Any:
    if name in ("sources", "speech", "utterances"):  # at their first use: they read data sets by functions of this file
        return importlib.import_module(f"plastic.data.{name}")
    raise AttributeError(f"module 'plastic.data' has no attribute {name!r}")


def names() -> tuple[str, ...]:
    """Return the names of the data sets that `load` knows, ("MNIST", "FMNIST", ...)."""
    return tuple(SOURCES)


def require(name: str | os.PathLike[str]) -> str:
    """Return a name as `load` spells it, reading and downloading nothing, so that a command line can refuse at once.

    CIFAR-10 is CIFAR-10-JPEG where the folder PLASTIC_MIRROR holds that copy alone and CIFAR-10 has not been made yet.

    Args:
        name: a name from `names()` in any case, or the path of an .npz file.

    Returns:
        The name, or the path as text.

    Raises:
        PlasticError: if it is neither, or there is no such file, or it is a folder, a pipe or a device.

    Example:
        >>> require("fmnist")
        'FMNIST'
    """
    if not isinstance(name, str | os.PathLike):
        raise PlasticError(f"name is {name!r}; it must be the name of a data set or the path of an .npz file")
    name = os.fspath(name)
    if name.lower().endswith(".npz"):
        if name.startswith("~"):  # shells leave it in --dataset=~/mine.npz
            name = str(system.expanded(name, "the data file"))
        _require_file(name)
        return name
    known = {each.lower(): each for each in SOURCES}
    if name.lower() in known:
        return _at_hand(known[name.lower()])
    if name.upper() in _SPEECH:
        raise PlasticError(f"{name} is no data set of images, curves or points, but speech: {_SPEECH[name.upper()]}")
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    raise PlasticError(f"unknown data set {name!r}: take {', '.join(SOURCES)} or the path of an .npz file{hint}")


def _at_hand(name: str) -> str:
    if name != "CIFAR-10" or (default_folder() / SOURCES[name].file).is_file():
        return name
    return "CIFAR-10-JPEG" if cifar.has_jpeg_only() else name


def sizes(name: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """Return how large a data set is; nothing is read or downloaded.

    Args:
        name: as for `require`.

    Returns:
        (training samples, numbers per sample, classes); None for an .npz file.

    Raises:
        PlasticError: as `require`.

    Example:
        >>> sizes("MNIST")
        (60000, 784, 10)
    """
    source = SOURCES.get(require(name))
    return (source.train, math.prod(source.shape), len(source.labels)) if source else None


def width(name: str | os.PathLike[str]) -> int:
    """Return how many numbers a sample has; of an .npz file no more than the head is read, and nothing is downloaded.

    Args:
        name: as for `require`.

    Returns:
        The number.

    Raises:
        PlasticError: as `require`, and if an .npz file cannot be read or has no x_train.

    Example:
        >>> width("MNIST")
        784
    """
    known = sizes(name)
    return known[1] if known else math.prod(npz.shape(require(name), "x_train")[1:])


def contents(name: str | os.PathLike[str]) -> str | None:
    """Return what tells the arrays of an .npz file from others; they may change while its name does not.

    Args:
        name: as for `require`.

    Returns:
        Eight hexadecimal digits, the same for the same arrays, whenever they were written; None for a data set with a
        name, which is always the same. No array is read, and nothing is downloaded.

    Raises:
        PlasticError: as `require`, and if an .npz file cannot be read or lacks one of its four arrays.

    Example:
        >>> contents("MNIST") is None
        True
    """
    name = require(name)
    return None if name in SOURCES else npz.contents(name)


def default_folder() -> Path:
    """Return the folder of the HDF5 files: PLASTIC_DATASETS, or `datasets/` of a checkout, or ~/.cache/plastic."""
    if chosen := os.environ.get("PLASTIC_DATASETS"):
        return system.expanded(chosen, "PLASTIC_DATASETS")
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "setup.cfg").is_file():
        return checkout / "datasets"
    return system.expanded("~/.cache/plastic", "the folder of the data sets (PLASTIC_DATASETS can name another)")


def load(
    name: str | os.PathLike[str], dtype: Any = "float32", validation: float = 0.0, folder: Folder = None
) -> Dataset:
    """Return a data set; its first use downloads or makes it.

    Args:
        name: a name from `names()`, in any case, or the path of an .npz file, which holds x_train, y_train, x_test and
            y_test: x (N, ...) finite, y the numbers of the classes, 0, 1, 2, .. without a gap. A class without samples
            for training or for testing is told on stderr.
        dtype: of x, "float32" or "float64". Images, and the x of an .npz file, are divided by max |x_train|, in this
            precision (MNIST: pixels / 255); generated curves and points have their published scale.
        validation: the share of the training samples that become the validation set, 0.1 for instance: of each class
            the last ones of the set, so that both have all classes whatever the order. 0 for none.
        folder: where the HDF5 files are, `default_folder()` by default.

    Returns:
        The `Dataset`.

    Raises:
        PlasticError: if the name or an option is wrong, the data are not as above, a class has too few samples to be
            divided, the download failed, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     load("XOR", folder=folder)
        Dataset XOR: 1,000 training, 200 test samples of shape (2,), 2 classes
    """
    name = require(name)
    dtype = _dtype(dtype)
    validation = _require.scalar("validation", validation, least=0, below=1)
    source = SOURCES.get(name)
    arrays = _stored(source, folder_of(folder)) if source else npz.read(name)
    dataset = assembled(name, arrays, dtype, validation, scale=source is None or source.scale)
    if source is None:
        _tell_missing(name, dataset.classes, training=arrays["y_train"], test=arrays["y_test"])
    return dataset


def assembled(
    name: str, arrays: dict[str, np.ndarray], dtype: Any = "float32", validation: float = 0.0, scale: bool = False
) -> Dataset:
    """Return a data set of arrays, as `load` returns those that have a name.

    Args:
        name: what it is to be called.
        arrays: {"x_train", "y_train", "x_test", "y_test"}, labels from 0 on without a gap.
        dtype, validation: as for `load`.
        scale: whether x is divided by max |x_train|.

    Returns:
        The `Dataset`.

    Raises:
        PlasticError: if an option is wrong, or a class has too few samples to be divided.
    """
    dtype = _dtype(dtype)
    validation = _require.scalar("validation", validation, least=0, below=1)
    x, x_test = (arrays[key] for key in ("x_train", "x_test"))
    if scale:
        x, x_test = _scaled(name, x, x_test, dtype)
    else:
        x, x_test = x.astype(dtype), x_test.astype(dtype)
    y, y_test = (arrays[key].astype(np.int64) for key in ("y_train", "y_test"))
    classes = int(max(y.max(), y_test.max())) + 1
    train, held_out = (x, y), None
    if validation:
        held = _held_out(name, y, validation)
        train, held_out = (x[~held], y[~held]), (x[held], y[held])
    return Dataset(name=name, train=train, test=(x_test, y_test), validation=held_out, classes=classes)


def folder_of(folder: Folder) -> Path:
    """Return a folder that was asked for, or the default one for None.

    Raises:
        PlasticError: if it is no path.
    """
    if folder is None:
        return default_folder()
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise PlasticError(f"folder is {folder!r}; it must be a path")
    return system.expanded(folder, "folder")


def _require_file(name: str) -> None:
    try:
        kind = os.stat(name).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise PlasticError(f"the data file {name} does not exist") from None
    except OSError as error:
        raise PlasticError(f"the data file {name} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(kind):
        raise PlasticError(f"the data file {name} is no regular file")


def _tell_missing(name: str, classes: int, **labels: np.ndarray) -> None:
    """Tell the user which of the classes 0 to classes - 1 a split has no sample of."""
    told = []
    for split, y in labels.items():
        missing = np.flatnonzero(np.bincount(y, minlength=classes) == 0)
        if missing.size:
            more = f" and {missing.size - _SHOWN:,} more" if missing.size > _SHOWN else ""
            told.append(f"no {split} samples of {', '.join(map(str, missing[:_SHOWN]))}{more}")
    if told:
        store.note(f"{name} has the {classes:,} classes 0 to {classes - 1}, but {', and '.join(told)}")


def _held_out(name: str, y: np.ndarray, share: float) -> np.ndarray:
    """Return which samples, with labels y (N,), are held out: bool (N,), of each class the last ones."""
    held = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        count = math.floor(share * len(members) + 0.5)
        if not 0 < count < len(members):
            raise PlasticError(
                f"validation is {share:g}, which would hold out {count} of the {len(members)} training samples of "
                f"class {label} of {name}; at least one is needed on either side"
            )
        held[members[len(members) - count :]] = True
    return held


def _dtype(dtype: Any) -> np.dtype:
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        with contextlib.suppress(TypeError):
            if dtype is not None and np.dtype(dtype) == known:  # np.dtype(None) is float64
                return known
    raise PlasticError(f"dtype {dtype} is not supported; take float32 or float64")


def _stored(source: Source, folder: Path) -> dict[str, np.ndarray]:
    return store.arrays_of(folder / source.file, lambda: source.make(folder / "raw"))


def _scaled(name: str, x_train: np.ndarray, x_test: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(over="ignore", under="ignore"):
        x_train, x_test = x_train.astype(dtype), x_test.astype(dtype)
        largest = max(x_train.max(), -x_train.min())
        if not np.finfo(dtype).tiny <= largest < np.inf:
            raise PlasticError(f"{name}: max |x_train| is {largest} in {dtype}; x is divided by it: scale x")
        x_train /= largest
        x_test /= largest
    if not np.isfinite(x_test).all():
        raise PlasticError(f"{name}: x_test over max |x_train|, {largest}, has to stay finite in {dtype}")
    return x_train, x_test
