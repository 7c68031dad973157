"""The Free Spoken Digit Dataset v1.0.10 (Jackson et al. 2018): six speakers say each digit fifty times.

3,000 recordings at 8 kHz, most of them shorter than a second, CC BY-SA 4.0.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plastic.data import archive
from plastic.data.download import fetch
from plastic.data.speech.source import Source, as_arrays
from plastic.errors import PlasticError

_MEGABYTES = 16
_FILE = "free-spoken-digit-dataset-1.0.10.tar.gz"
_MIRRORS = ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.10",)  # packed on demand, as _FILE
# Of the contents: `cd recordings; LC_ALL=C; sha256sum *.wav | sha256sum`.
_DIGEST = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"
_PATTERN = re.compile(r"recordings/([0-9])_([a-z]+)_([0-9]+)\.wav")


def split(names: Sequence[str], seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return which recordings are in which split.

    The test set is the official one, n = 0 to 4 of each speaker and digit; validation is n = 5 to 9; training is the
    rest. All speakers are in all three.

    Args:
        names: of the clips, "recordings/digit_speaker_n.wav".
        seed: has no effect, as nothing is drawn.

    Returns:
        {"train", "validation", "test": (labels, clip numbers)}, all int64.

    Raises:
        PlasticError: if a name is not one of these.
    """
    splits: dict[str, list[tuple[int, int]]] = {"train": [], "validation": [], "test": []}
    for row, name in enumerate(names):
        match = _PATTERN.fullmatch(name)
        if match is None:
            raise PlasticError(f"{name!r} is no recording of the data set FSDD")
        digit, _, number = match.groups()
        split = "test" if int(number) < 5 else "validation" if int(number) < 10 else "train"
        splits[split].append((int(digit), row))
    return {split: as_arrays(entries) for split, entries in splits.items()}


def fault(path: Path) -> str:
    """Return what is wrong with an archive, "" if nothing.

    Its recordings are checked, not its bytes: a site that packs the archive of a tag on demand may compress it anew.
    """
    try:
        recordings = archive.files(path, lambda name: name.match("recordings/*.wav"))
        lines = sorted((name.name, hashlib.sha256(data).hexdigest()) for name, data in recordings)
    except PlasticError as error:
        return f"damage: {error}"
    found = hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in lines).encode()).hexdigest()
    return "" if found == _DIGEST else f"wrong recordings: sha256 {found}"


def fetch_archive(raw: Path) -> Path:
    """Return the path of the archive (16 MB), fetched into the folder `raw/fsdd` where needed."""
    return fetch("fsdd", _FILE, fault, _MIRRORS, raw / "fsdd", _MEGABYTES)


SOURCE = Source(
    name="FSDD",
    about="Free Spoken Digit Dataset: six speakers",
    licence="CC BY-SA 4.0 (Zohar Jackson and others)",
    megabytes=_MEGABYTES,
    rate=8_000,
    classes=tuple("0123456789"),
    fetch=fetch_archive,
    pattern=_PATTERN,
    noise="",
    split=split,
)
