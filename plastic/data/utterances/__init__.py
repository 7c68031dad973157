"""Utterances with a label for every frame, and as sequences of labels: TIMIT, and joined spoken digits.

`load` gives the `Corpus`, with standardised features; `batches` makes padded batches of its utterances.
"""

import os

from plastic import data
from plastic.data.utterances import digits, timit
from plastic.data.utterances.sets import Batch, Corpus, Utterances
from plastic.errors import PlasticError

__all__ = ["NAMES", "Batch", "Corpus", "Utterances", "load"]

NAMES = ("TIMIT", "FSDD")


def load(
    name: str,
    kind: str = "htk",
    *,
    timit_folder: str | os.PathLike | None = None,
    exact: bool = False,
    fold: bool = False,
    folder: data.Folder = None,
) -> Corpus:
    """Return a corpus; its first use makes an HDF5 file of it.

    Args:
        name: "TIMIT", of which the user has a licensed copy, or "FSDD", spoken digits that are downloaded (16 MB).
        kind: of features: "mfccs", "fbank" or "htk", see `plastic.data.utterances.frames`.
        timit_folder: the copy of TIMIT.
        exact: of TIMIT, whether labels and transcripts are exact, see `timit.load`; those of FSDD are.
        fold: of TIMIT, whether the labels are the 39 phones instead of the 61.
        folder: where the HDF5 files are, `plastic.data.default_folder()` by default.

    Returns:
        The `Corpus`.

    Raises:
        PlasticError: if the name or the kind is wrong, or the data cannot be had.
    """
    place = data.folder_of(folder)
    if name == "FSDD":
        return digits.load(kind, place)
    if name != "TIMIT":
        raise PlasticError(f"unknown corpus {name!r}: take {' or '.join(NAMES)}")
    if timit_folder is None:
        raise PlasticError(
            "TIMIT is licensed (LDC93S1): give the folder of your copy by --timit=FOLDER; --dataset=FSDD is free"
        )
    return timit.load(timit_folder, kind, place, exact=exact, fold=fold)
