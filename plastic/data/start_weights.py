"""The weights that the published runs of concept drift begin with (Song et al. 2024, Fig. 4f, g).

They are the state of one network, 784-32-32-10 without biases, that backpropagation has trained on Fashion-MNIST. The
public file is a zip archive whose members data/0, 1 and 2 are the float32 numbers of the three matrices, outputs first;
what else is in it, a pickle, is not looked at.
"""

import itertools
import zipfile
import zlib
from pathlib import Path

import numpy as np

from plastic import files, system
from plastic.data import folder_of, npz, store
from plastic.data.download import fetch
from plastic.errors import PlasticError

SIZES = (784, 32, 32, 10)
NAMES = ("W_1", "W_2", "W_3")
FORMAT = 1
_FILE = "pre_model-FashionMNIST-2.pth"
_DIGEST = "0d29d0495c0e2b6bd4abe165da8e3deef47a99e22c3e306dd01635dcd8f8286b"
_MIRRORS = tuple(
    f"https://github.com/YuhangSong/Prospective-Configuration/raw/{branch}/experiments/nature_concept_drift"
    for branch in ("main", "master")
)


def concept_drift(folder: str | None = None) -> list[np.ndarray]:
    """Return the weights [W_1, W_2, W_3] that the published runs begin with, each (n_in, n_out) in float32.

    Args:
        folder: where the HDF5 files of data sets are; see `plastic.data.load`.

    Returns:
        The weights, on the host.

    Raises:
        PlasticError: if the file cannot be had, or the folder cannot be written.
    """
    place = folder_of(folder)

    def make() -> list[np.ndarray]:
        path = fetch("concept-drift", _FILE, _DIGEST, _MIRRORS, place / "raw" / "concept-drift", 0.2)
        weights = _unpacked(path)
        files.write_hdf5(place / "concept-drift.h5", dict(zip(NAMES, weights, strict=True)), format=FORMAT)
        return weights

    return store.made_once(place / "concept-drift.h5", _read, make)


def _unpacked(path: Path) -> list[np.ndarray]:
    """Return the weights in the published file, inputs first. Raises PlasticError where they are not there."""
    weights = []
    try:
        with zipfile.ZipFile(path) as archive:
            for k, (n_in, n_out) in enumerate(itertools.pairwise(SIZES)):
                content = archive.read(f"archive/data/{k}")
                weights.append(np.frombuffer(content, "<f4").reshape(n_out, n_in).T.copy())
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise PlasticError(f"{path} does not hold the weights of a network {SIZES}: {error}") from None
    return weights


def _read(path: Path) -> list[np.ndarray]:
    arrays, attributes = files.read_hdf5(path)
    store.require_format(path, attributes.get("format"), FORMAT)
    if [arrays[name].shape for name in NAMES if name in arrays] != [*itertools.pairwise(SIZES)]:
        raise files.UnusableError(path, f"does not hold {', '.join(NAMES)}")
    return [arrays[name] for name in NAMES]


def from_file(path: str) -> list[np.ndarray]:
    """Return the weights [W_1, W_2, W_3] of an .npz file, each (n_in, n_out).

    Args:
        path: the file.

    Returns:
        The weights, on the host.

    Raises:
        PlasticError: if it cannot be read, or does not hold finite matrices that follow one another.
    """
    weights = list(npz.arrays(system.expanded(path, "start"), NAMES).values())
    shapes = [each.shape for each in weights]
    fit = all(len(shape) == 2 for shape in shapes) and all(
        below[1] == above[0] for below, above in itertools.pairwise(shapes)
    )
    if not fit or not all(np.isfinite(each).all() for each in weights):
        raise PlasticError(f"{path}: {', '.join(NAMES)} have shapes {shapes}; finite matrices (n_in, n_out) are needed")
    return weights
