"""CIFAR-10 (Krizhevsky 2009): 60,000 colour images of 32 x 32 pixels in ten classes.

The public archive holds them as bytes: a label and then the red, green and blue planes of each image. A mirror of the
user's may hold a copy in JPEG instead, which has lost something; it is a data set of its own, CIFAR-10-JPEG.
"""

import io
import itertools
import os
from pathlib import Path

import numpy as np

from plastic import system
from plastic.data import archive
from plastic.data.download import fetch
from plastic.errors import PlasticError

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEGABYTES = 170
SHAPE = (32, 32, 3)
_FILE = "cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_MIRRORS = ("https://www.cs.toronto.edu/~kriz",)
_BATCHES = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
_PER_BATCH = 10_000
_JPEG = {
    "train": "8abed5967d4b463901da494236f41b90613ec09f1bb74d6d7d591e92772ecb63",
    "test": "200c01132c38f63d03640614d6e9976f48d2f25e3b5d6d7c382f2d5ccb1292b6",
}
_FOLDER, _JPEG_FOLDER = "cifar-10", "cifar-10-jpeg"


def make(raw: Path, digest: str = _MD5, per_batch: int = _PER_BATCH) -> dict[str, np.ndarray]:
    """Return the arrays of CIFAR-10 from its archive, which is fetched where needed and never unpacked to the disk.

    Args:
        raw: the folder for raw files.
        digest: of the archive (sha256 or md5).
        per_batch: images in each of its six files.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: images uint8 (N, 32, 32, 3) and labels uint8 (N,).

    Raises:
        PlasticError: if the archive cannot be had or read, or does not hold what it should.
    """
    path = fetch(_FOLDER, _FILE, digest, _MIRRORS, raw / _FOLDER, MEGABYTES)
    names = {name for each in _BATCHES.values() for name in each}
    most = per_batch * (1 + int(np.prod(SHAPE)))
    found = {name.name: content for name, content in archive.files(path, lambda name: name.name in names, most=most)}
    arrays = {}
    for split, batches in _BATCHES.items():
        each = [_records(path, name, found.get(name, b""), per_batch) for name in batches]
        rows = np.concatenate(each)
        arrays[f"y_{split}"] = rows[:, 0].copy()
        arrays[f"x_{split}"] = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return arrays


def _records(path: Path, name: str, content: bytes, per_batch: int) -> np.ndarray:
    rows = np.frombuffer(content, np.uint8)
    length = 1 + int(np.prod(SHAPE))
    if rows.size != per_batch * length or rows[::length].max(initial=0) >= len(LABELS):
        raise PlasticError(f"{path}: {name} should hold {per_batch:,} images of {length:,} bytes with labels up to 9")
    return rows.reshape(-1, length)


def make_from_jpeg(raw: Path, digests: dict[str, str] = _JPEG) -> dict[str, np.ndarray]:
    """Return the arrays of the JPEG copy, train.npz and test.npz of a mirror of the user's.

    Each holds `jpeg`, all files end to end, `offsets`, where they begin and end, and `labels`.

    Args:
        raw: the folder for raw files.
        digests: sha256 of both files.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: images uint8 (N, 32, 32, 3) and labels uint8 (N,).

    Raises:
        PlasticError: if the files cannot be had or read.
    """
    arrays = {}
    for split, digest in digests.items():
        path = fetch(_JPEG_FOLDER, f"{split}.npz", digest, (), raw / _JPEG_FOLDER, 50)
        with np.load(path, allow_pickle=False) as file:
            jpeg, offsets, labels = (file[name] for name in ("jpeg", "offsets", "labels"))
        pairs = itertools.pairwise(offsets)
        arrays[f"x_{split}"] = np.stack([_decoded(jpeg[start:end].tobytes()) for start, end in pairs])
        arrays[f"y_{split}"] = labels.astype(np.uint8)
    return arrays


def _decoded(content: bytes) -> np.ndarray:
    from PIL import Image  # which matplotlib brings

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def has_jpeg_only() -> bool:
    """Return whether the user's mirror is a folder with the JPEG copy and without the archive."""
    own = os.environ.get("PLASTIC_MIRROR", "")
    if not own or "://" in own:
        return False
    folder = system.expanded(own, "PLASTIC_MIRROR")
    jpeg = all((folder / _JPEG_FOLDER / f"{split}.npz").is_file() for split in _JPEG)
    return jpeg and not (folder / _FOLDER / _FILE).is_file()
