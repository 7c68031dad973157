"""TIMIT, the acoustic-phonetic corpus (Garofolo et al. 1993, LDC93S1), from the user's licensed copy.

    train/dr4/fjlm0/si1043.wav      16 kHz, mono, 16 bits, in NIST SPHERE or RIFF
    train/dr4/fjlm0/si1043.phn      lines "first sample, sample after the last, phone"

Names may be in capitals, and RIFF copies may be called .WAV.wav. The sentences sa1 and sa2, which all speakers say, are
left out. Training has all speakers of "train"; validation and test have the published 50 and 24 of "test".
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plastic import files, require, system, terminal
from plastic.data import store
from plastic.data.utterances import frames, phones
from plastic.data.utterances.sets import Corpus, frame_labels, spoken, standardised
from plastic.errors import PlasticError

RATE = 16_000
SPEAKERS, SENTENCES = 462, 8
"""Speakers of "train", and sentences of each but for sa1 and sa2."""
_SPLITS = ("train", "validation", "test")
_FORMAT = 1  # a file of another format is made again; count up when what `_make` returns changes
_HOPS = {True: 160, False: 161}  # samples from frame to frame of the labels: as those of the features, or as published


def load(folder: str | os.PathLike, kind: str, place: Path, *, exact: bool = False, fold: bool = False) -> Corpus:
    """Return the corpus; the first use with a kind of features makes an HDF5 file of it.

    Args:
        folder: the copy of the corpus, the folder of "train" and "test" or one that holds it.
        kind: of features, see `frames`.
        place: the folder of the HDF5 file.
        exact: whether labels have the frames of the features, and transcripts their last phone. As published, frames
            of labels are 161 samples apart and those of features 160, and the last phone is left out.
        fold: whether the labels are the 39 phones instead of the 61.

    Returns:
        The `Corpus`. Transcripts are compared in the 39 phones.

    Raises:
        PlasticError: if the folder is no TIMIT or lacks a part, a file is damaged, or soundfile is not installed.
    """
    require.choice("kind", kind, frames.WIDTHS)
    recordings = _recordings(folder)
    path = place / f"timit-{kind}-{_fingerprint(recordings)}.h5"
    arrays = store.made_once(path, _read, lambda: _write(path, recordings, kind))
    names = tuple(name.decode() for name in arrays["phones"])
    folded_names, folding = phones.folded(names)
    splits = {}
    for split in _SPLITS:
        features = np.split(arrays[f"{split}/features"], np.cumsum(arrays[f"{split}/frames"])[:-1])
        segments = np.split(arrays[f"{split}/segments"], np.cumsum(arrays[f"{split}/counts"])[:-1])
        labels = [frame_labels(each, len(x), _HOPS[exact]) for x, each in zip(features, segments, strict=True)]
        labels = [folding[each] for each in labels] if fold else labels
        splits[split] = features, labels, [spoken(each, last=exact) for each in labels]
    dynamic = frames.derivatives if kind == "htk" else frames.differences
    scored = np.arange(len(folded_names)) if fold else folding
    return Corpus("TIMIT", folded_names if fold else names, scored, **standardised(splits, dynamic))


def _recordings(folder):
    """Return {split: [(name, audio file, transcription)]} in the order of the names; refuse what is not complete."""
    root = Path(system.expanded(folder, "timit"))
    top = _top(root)
    found = {split: [] for split in _SPLITS}
    speakers = {split: set() for split in _SPLITS}
    for part in ("train", "test"):
        for region, speaker, path in _speakers(top[part]):
            split = _split_of(part, (region, speaker))
            if split is None:
                continue
            sentences = _sentences(path)
            if len(sentences) != SENTENCES:
                raise PlasticError(
                    f"{path} has {len(sentences)} sentences besides sa1 and sa2; a speaker of TIMIT has {SENTENCES}"
                )
            speakers[split].add((region, speaker))
            found[split] += [(f"{part}/{region}/{speaker}/{name}", *pair) for name, pair in sentences.items()]
    if len(speakers["train"]) != SPEAKERS:
        raise PlasticError(f"{top['train']} has {len(speakers['train'])} speakers; TIMIT's has {SPEAKERS}")
    for split, wanted in (("validation", phones.DEVELOP), ("test", phones.CORE)):
        if missing := sorted(wanted - speakers[split]):
            named = ", ".join("/".join(each) for each in missing[:3])
            raise PlasticError(f"{top['test']} lacks {len(missing)} of the published speakers: {named}")
    return found


def _top(root):
    """Return {"train", "test": folder}, of the folder itself or of one that it holds, two steps down at most."""
    level = [root]
    for _ in range(3):
        for folder in level:
            parts = {path.name.lower(): path for path in _folders(folder)}
            if parts.keys() >= {"train", "test"}:
                return parts
        level = [path for folder in level for path in _folders(folder)]
    raise PlasticError(f"timit is {root}, which is no copy of TIMIT: it has no folders train and test")


def _folders(folder):
    return [path for path in _entries(folder) if path.is_dir()]


def _entries(folder):
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise PlasticError(f"timit: cannot read {folder}: {error.strerror or error}") from None


def _speakers(part):
    """Yield (region, speaker, folder), both names in small letters, of one of the two parts of the corpus."""
    for region in _folders(part):
        for speaker in _folders(region):
            yield region.name.lower(), speaker.name.lower(), speaker


def _split_of(part, speaker):
    if part == "train":
        return "train"
    return "validation" if speaker in phones.DEVELOP else "test" if speaker in phones.CORE else None


def _sentences(folder):
    """Return {name: (audio file, transcription)} of the sentences of a speaker, but for sa1 and sa2."""
    audio, phn = {}, {}
    for path in _entries(folder):
        name, *suffixes = path.name.lower().split(".")
        if suffixes and not name.startswith("sa"):
            audio |= {name: path} if suffixes[-1] == "wav" else {}
            phn |= {name: path} if suffixes == ["phn"] else {}
    for name in sorted(audio.keys() ^ phn.keys()):
        raise PlasticError(f"{folder} has {name} without its {'recording' if name in phn else 'transcription, .phn'}")
    return {name: (audio[name], phn[name]) for name in sorted(audio)}


def _fingerprint(recordings):
    """Return a word that is another for another corpus: of names and sizes of all files."""
    sizes = [
        (name, *(os.path.getsize(path) for path in pair)) for split in _SPLITS for name, *pair in recordings[split]
    ]
    return hashlib.sha256(repr(sizes).encode()).hexdigest()[:8]


def _write(path, recordings, kind):
    arrays = _make(recordings, kind)
    files.write_hdf5(path, arrays, format=_FORMAT, kind=kind)
    return arrays


def _read(path):
    arrays, attributes = files.read_hdf5(path)
    store.require_format(path, attributes.get("format"), _FORMAT)
    return arrays


def _make(recordings, kind):
    """Return the arrays of the HDF5 file: of each split features, frames of each, segments, and how many each has."""
    numbers: dict[str, int] = {phones.SILENCE: 0}  # the others in the order in which they come
    arrays = {}
    for split in _SPLITS:
        made: dict[str, list] = {"features": [], "frames": [], "segments": [], "counts": []}
        for x, segments in _utterances(recordings[split], kind, numbers, split):
            made["features"].append(x)
            made["frames"].append(len(x))
            made["segments"].append(segments)
            made["counts"].append(len(segments))
        arrays |= {
            f"{split}/features": np.concatenate(made["features"]),
            f"{split}/frames": np.array(made["frames"], np.int64),
            f"{split}/segments": np.concatenate(made["segments"]),
            f"{split}/counts": np.array(made["counts"], np.int64),
        }
    return arrays | {"phones": np.array(list(numbers), "S")}


def _utterances(recordings, kind, numbers, split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (features (frames, n), segments int32 (n, 3)) of recordings; new phones get the next of the numbers."""
    soundfile = require.package("soundfile", "audio", "TIMIT")
    for _, audio, transcription in terminal.progress(iterable=recordings, desc=f"TIMIT {split}", unit=" utterances"):
        try:
            samples, rate = soundfile.read(audio, dtype="int16")
        except (OSError, RuntimeError) as error:
            raise PlasticError(f"{audio} cannot be read as NIST SPHERE or RIFF: {error}") from None
        if rate != RATE or samples.ndim != 1 or not len(samples):
            raise PlasticError(
                f"{audio} has {rate:,} Hz and samples of shape {samples.shape}; TIMIT is mono, 16,000 Hz"
            )
        yield frames.features(samples, rate, kind), _segments(transcription, numbers, len(samples))


def _segments(path, numbers, samples):
    """Return the segments (first sample, sample after the last, number of the phone) of a transcription."""
    rows, end = [], 0
    for number, line in enumerate(path.read_bytes().decode("ascii", "replace").splitlines(), start=1):
        words = line.split()
        fits = len(words) == 3 and words[0].isdecimal() and words[1].isdecimal() and words[2] in phones.PHONES
        if not fits or not end <= int(words[0]) <= int(words[1]) <= samples + frames.count(samples, RATE):
            raise PlasticError(
                f'{path}, line {number}: {line[:40]!r} is no segment, "first last phone", of its recording'
            )
        end = int(words[1])
        rows.append((int(words[0]), end, numbers.setdefault(words[2], len(numbers))))
    if not rows:
        raise PlasticError(f"{path} is empty")
    return np.array(rows, np.int32)
