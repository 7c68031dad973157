"""Sequences of spoken digits: recordings of the Free Spoken Digit Dataset joined, two to six of one speaker.

Speakers are held out: the last in the order of the alphabet tests, the one before validates, the others train. Every
recording comes once, so the last sequence of a speaker may have a single one. Between two, before the first and after
the last there are 50 to 200 ms of silence, and over all lies a noise of a few units of the 16 bits, since digital
silence has no spectrum. All of that is the same in every run.
"""

from pathlib import Path

import numpy as np

from plastic import require
from plastic.data import speech
from plastic.data.utterances import frames
from plastic.data.utterances.sets import Corpus, Split, frame_labels, standardised
from plastic.errors import PlasticError

_LEAST, _MOST = 2, 6  # digits of a sequence
_PAUSE = 0.05, 0.2  # seconds
_NOISE = 4.0  # deviation, in units of the 16 bits
_SEED = 2020


def load(kind: str, place: Path) -> Corpus:
    """Return the corpus; the first use downloads the data set.

    Args:
        kind: of features, see `frames`.
        place: the folder of the data set's HDF5 file.

    Returns:
        The `Corpus`: frames are labelled by 1 + digit, or 0 for silence; transcripts have no silence.

    Raises:
        PlasticError: if the data set cannot be had or has fewer than three speakers.
    """
    require.choice("kind", kind, frames.WIDTHS)
    found = speech.load("FSDD", folder=place)
    clips = found.train.clips
    by_speaker: dict[str, list[tuple[int, int]]] = {}
    for each in (found.train, found.validation, found.test):
        for digit, row in zip(each.labels.tolist(), each.rows.tolist(), strict=True):
            by_speaker.setdefault(clips.names[row].split("_")[1], []).append((row, digit))
    names = sorted(by_speaker)
    if len(names) < 3:
        raise PlasticError(f"FSDD has the speakers {', '.join(names)}; three are needed, to train, validate and test")
    rng = np.random.default_rng(_SEED)
    splits: dict[str, Split] = {split: ([], [], []) for split in ("train", "validation", "test")}
    for name in names:
        split = "test" if name == names[-1] else "validation" if name == names[-2] else "train"
        for whole, of_speaker in zip(
            splits[split], _sequences(clips, sorted(by_speaker[name]), rng, kind), strict=True
        ):
            whole += of_speaker
    dynamic = frames.derivatives if kind == "htk" else frames.differences
    classes = ("silence", *found.classes)
    return Corpus("FSDD", classes, np.arange(len(classes)), **standardised(splits, dynamic))


def _sequences(clips, recordings, rng, kind):
    """Return (features, labels, transcripts) of the sequences of one speaker, whose recordings are (row, digit)."""
    order, place = rng.permutation(len(recordings)), 0
    waves = clips.read([row for row, _ in recordings])
    features, labels, transcripts = [], [], []
    while place < len(order):
        chosen = order[place : place + rng.integers(_LEAST, _MOST, endpoint=True)]
        place += len(chosen)
        samples, segments = _joined([(waves[each], recordings[each][1]) for each in chosen], clips.rate, rng)
        x = frames.features(samples, clips.rate, kind)
        features.append(x)
        labels.append(frame_labels(segments, len(x), round(clips.rate / 100)))
        transcripts.append([1 + recordings[each][1] for each in chosen])
    return features, labels, transcripts


def _joined(parts, rate, rng):
    """Return the samples of recordings (wave, digit) with silence around them, and segments (first, end, label)."""
    pieces, segments, place = [], [], 0
    for wave, digit in parts:
        wave = wave[: 1 + np.flatnonzero(wave)[-1]] if wave.any() else wave  # zeros fill the second up
        silence = np.zeros(round(rate * rng.uniform(*_PAUSE)))
        pieces += [silence, wave]
        segments.append((place + len(silence), place + len(silence) + len(wave), 1 + digit))
        place = segments[-1][1]
    samples = np.concatenate([*pieces, np.zeros(round(rate * rng.uniform(*_PAUSE)))])
    return samples + _NOISE * rng.standard_normal(len(samples)), np.array(segments)
