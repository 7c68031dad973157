"""A user's own data: an .npz file with the arrays x_train, y_train, x_test and y_test."""

import os
import zipfile
import zlib

import numpy as np

from plastic.errors import PlasticError

_NAMES = ("x_train", "y_train", "x_test", "y_test")
_MOST_CLASSES = 1 << 16  # a label beyond is a number of something else, and one-hot targets would not fit the memory


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the four arrays of an .npz file.

    Args:
        path: the file.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: x (N, ...) of real numbers, y int64 (N,).

    Raises:
        PlasticError: if the file cannot be read; an array is missing, of objects, text or complex numbers, empty or not
            finite; x has fewer than two axes; lengths or sample shapes disagree; or a label is no whole number from 0
            on.
    """
    arrays = {}
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            for name in _NAMES:
                if name not in file:
                    raise PlasticError(f"{path} has no array {name}; it needs {', '.join(_NAMES)}")
                arrays[name] = file[name]
    except (OSError, EOFError, ValueError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).partition("\n")[0]
        raise PlasticError(f"{path} cannot be read as an .npz file of plain arrays: {reason}") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise PlasticError(f"{path}: {name} has type {array.dtype}; real numbers are needed")
        if not np.isfinite(array).all():
            raise PlasticError(f"{path}: {name} has values that are not finite")
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.ndim < 2 or x.size == 0:
            raise PlasticError(f"{path}: x_{split} has shape {x.shape}; two axes or more, (samples, ...), are needed")
        if y.shape != x.shape[:1]:
            raise PlasticError(f"{path}: y_{split} has shape {y.shape}; {len(x)} samples need one label each")
        bad = y[(y < 0) | (y >= _MOST_CLASSES) | (y != np.floor(y))] if y.dtype.kind != "b" else y[:0]
        if bad.size:
            raise PlasticError(
                f"{path}: y_{split} has the label {bad[0]}; labels are whole numbers from 0 to {_MOST_CLASSES - 1}"
            )
        arrays[f"y_{split}"] = y.astype(np.int64)
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        shapes = " and ".join(str(arrays[name].shape) for name in ("x_train", "x_test"))
        raise PlasticError(f"{path}: x_train and x_test have shapes {shapes}; they may differ in the first axis only")
    return arrays
