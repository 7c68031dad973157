"""Google Speech Commands v0.02 (Warden 2018, arXiv:1804.03209): ten commands, silence and other words.

105,829 recordings of 35 words by 2,618 speakers, one second or less each, at 16 kHz, CC BY 4.0. The task has twelve
classes: ten of the words, `unknown` for a sample of the others, and `silence`; the full one has all 35 words.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from plastic.data.download import fetch
from plastic.data.speech.source import SILENCE, Source, as_arrays
from plastic.errors import PlasticError

CLASSES = ("unknown", "silence", "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
WORDS = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go", "happy",
    "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven", "sheila", "six", "stop",
    "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)  # fmt: skip
_PERCENT = 10  # for validation, for the test, of unknown and of silence
_HASHES = 2**27  # more than there will ever be recordings of a word
_MEGABYTES = 2_430
_FILE = "speech_commands_v0.02.tar.gz"
# sha256 as torchaudio's loader of this data set has it; not checked against the file itself.
_DIGEST = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
_MIRRORS = (
    "https://download.tensorflow.org/data",
    "https://storage.googleapis.com/download.tensorflow.org/data",
)


def split_of(name: str) -> str:
    """Return "train", "validation" or "test" for the file name of a recording (Warden 2018).

    What stands before "_nohash_" is the speaker, so that all recordings of a speaker are in one split, and stay there
    when recordings are added: its sha1 modulo 2^27 is a percentage.

    Example:
        >>> split_of("0a7c2a8d_nohash_0.wav") == split_of("0a7c2a8d_nohash_1.wav")
        True
    """
    speaker = re.sub(r"_nohash_.*$", "", name)
    digest = hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest()
    percent = int(digest, 16) % _HASHES * (100 / (_HASHES - 1))
    if percent < _PERCENT:
        return "validation"
    return "test" if percent < 2 * _PERCENT else "train"


def split(names: Sequence[str], seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return which recordings are in which split.

    Each split has all recordings of the ten words; as `unknown`, recordings of other words, drawn with the seed, 10 %
    as many as those; and then 10 % as many again as `silence` (both rounded up). In this order, and within it that of
    the archive: a training set is drawn from at random.

    Args:
        names: of the clips, "word/file".
        seed: of the draws.

    Returns:
        {"train", "validation", "test": (labels, clip numbers)}, all int64.
    """
    known: dict[str, list[tuple[int, int]]] = {split: [] for split in ("train", "validation", "test")}
    unknown: dict[str, list[tuple[int, int]]] = {split: [] for split in known}
    for row, name in enumerate(names):
        word, file = name.split("/")
        is_known = word in CLASSES[2:]
        label = CLASSES.index(word) if is_known else CLASSES.index("unknown")
        (known if is_known else unknown)[split_of(file)].append((label, row))
    splits = {}
    for (split, entries), rng in zip(known.items(), np.random.default_rng(seed).spawn(3), strict=True):
        others = unknown[split]
        drawn = rng.permutation(len(others))[: _tenth(len(entries))]
        entries = entries + [others[i] for i in np.sort(drawn)]
        silence = [(CLASSES.index("silence"), SILENCE)] * _tenth(len(entries))
        splits[split] = as_arrays(entries + silence)
    return splits


def split_words(names: Sequence[str], seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return which recordings are in which split of the full task: all of them, in the order of the archive.

    Args:
        names: of the clips, "word/file".
        seed: has no effect, as nothing is drawn.

    Returns:
        {"train", "validation", "test": (labels, clip numbers)}, all int64.

    Raises:
        PlasticError: if a word is not one of the 35.
    """
    splits: dict[str, list[tuple[int, int]]] = {split: [] for split in ("train", "validation", "test")}
    for row, name in enumerate(names):
        word, file = name.split("/")
        if word not in WORDS:
            raise PlasticError(f"{name!r} is no recording of one of the 35 words of the data set GSC")
        splits[split_of(file)].append((WORDS.index(word), row))
    return {split: as_arrays(entries) for split, entries in splits.items()}


def _tenth(n: int) -> int:
    return math.ceil(n * _PERCENT / 100)


def fetch_archive(raw: Path) -> Path:
    """Return the path of the archive (2.4 GB), fetched into the folder `raw/gsc` where needed."""
    return fetch("gsc", _FILE, _DIGEST, _MIRRORS, raw / "gsc", _MEGABYTES)


SOURCE = Source(
    name="GSC",
    about="Google Speech Commands v0.02: spoken words",
    licence="CC BY 4.0 (Pete Warden, Google)",
    megabytes=_MEGABYTES,
    rate=16_000,
    classes=CLASSES,
    fetch=fetch_archive,
    pattern=re.compile(r"[\w-]+/[\w-]+\.wav", re.ASCII),
    noise="_background_noise_",
    split=split,
)
FULL = dataclasses.replace(SOURCE, classes=WORDS, split=split_words)
