"""Utterances: features of every frame, a label of every frame, and the sequence of labels that was spoken."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

_LEAST = 1e-10  # of a deviation that features are divided by


Split = tuple[list[np.ndarray], list[np.ndarray], list[list[int]]]
"""Features (frames, n), labels (frames,) and transcript of each utterance."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Batch:
    """Utterances side by side, as long as the longest of them.

    Attributes:
        x: features float32 (T, batch, n), 0 beyond the end of an utterance.
        labels: int64 (T, batch), 0, silence, beyond the end.
        lengths: int64 (batch,), frames of each.
        transcripts: of each, the labels that were spoken.
    """

    x: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    transcripts: list[list[int]]

    def __repr__(self) -> str:
        T, batch, n = self.x.shape
        return f"Batch of {batch} utterances, up to {T} frames of {n} numbers"

    def window(self, start: int, frames: int) -> "Batch":
        """Return what lies in some frames; an utterance that has ended before keeps one frame of zeros.

        Args:
            start: the first frame.
            frames: how many.

        Returns:
            The part; its transcripts are those of the whole.
        """
        part = slice(start, start + frames)
        x, labels = self.x[part], self.labels[part]
        return Batch(x, labels, np.clip(self.lengths - start, 1, len(x)), self.transcripts)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Utterances:
    """Utterances one after another.

    Attributes:
        features: float32 (frames, n).
        starts: int64 (N + 1,), where each utterance begins, and where the last one ends.
        labels: int64 (frames,).
        transcripts: of each, the labels that were spoken.
    """

    features: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    transcripts: list[list[int]]

    def __len__(self) -> int:
        return len(self.transcripts)

    def __repr__(self) -> str:
        return f"Utterances: {len(self):,}, {len(self.labels):,} frames of {self.features.shape[1]} numbers"

    @property
    def lengths(self) -> np.ndarray:
        """The frames of each utterance."""
        return np.diff(self.starts)

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """Return some of the utterances.

        Args:
            rows: their numbers.

        Returns:
            The `Batch`.
        """
        lengths = self.lengths[rows]
        x = np.zeros((lengths.max(), len(rows), self.features.shape[1]), np.float32)
        labels = np.zeros(x.shape[:2], np.int64)
        for column, row in enumerate(rows):
            part = slice(self.starts[row], self.starts[row + 1])
            x[: lengths[column], column], labels[: lengths[column], column] = self.features[part], self.labels[part]
        return Batch(x, labels, lengths, [self.transcripts[row] for row in rows])


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """Utterances of three groups of speakers, in features standardised by those of the training.

    Attributes:
        name: what it is called.
        classes: the names of the labels; 0 is silence.
        scored: int64 (classes,), as what a label counts where transcripts are compared.
        train, validation, test: `Utterances`.
    """

    name: str
    classes: tuple[str, ...]
    scored: np.ndarray
    train: Utterances
    validation: Utterances
    test: Utterances

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, split)):,} {split}" for split in ("train", "validation", "test"))
        return f"Corpus {self.name}: {counts} utterances, {len(self.classes)} classes"


def frame_labels(segments: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """Return the label of every frame, 0 where no segment is.

    Args:
        segments: whole numbers (n, 3), (first sample, sample after the last, label).
        frames: how many there are.
        hop: samples from one frame to the next.

    Returns:
        int64 (frames,).

    Example:
        >>> frame_labels(np.array([[0, 20, 3], [20, 45, 7]]), 6, 10).tolist()
        [3, 3, 7, 7, 0, 0]
    """
    labels = np.zeros(frames, np.int64)
    for start, end, label in segments:
        labels[start // hop : end // hop] = label
    return labels


def spoken(labels: np.ndarray, last: bool) -> list[int]:
    """Return the labels of an utterance, each run of equal frames once.

    Args:
        labels: of its frames.
        last: whether the last run counts.

    Returns:
        The labels.

    Example:
        >>> spoken(np.array([0, 3, 3, 0]), last=False)
        [0, 3]
    """
    ends = np.flatnonzero(labels[1:] != labels[:-1])
    return labels[ends].tolist() + ([int(labels[-1])] if last else [])


def standardised(splits: dict[str, Split], dynamic: Callable[[np.ndarray], np.ndarray]) -> dict[str, Utterances]:
    """Return splits whose features have the mean 0 and the deviation 1 in training, before and after derivatives.

    Args:
        splits: {split: what each utterance is}; "train" is the one that gives mean and deviation.
        dynamic: a function of the features (frames, n) of an utterance that adds their derivatives.

    Returns:
        {split: `Utterances`}.
    """
    made = {}
    for split, (features, labels, transcripts) in splits.items():
        starts = np.concatenate([[0], np.cumsum([len(each) for each in features])])
        made[split] = Utterances(np.concatenate(features), starts, np.concatenate(labels), transcripts)
    _standardise(made)
    made = {
        split: dataclasses.replace(
            each, features=np.concatenate([dynamic(part) for part in np.split(each.features, each.starts[1:-1])])
        )
        for split, each in made.items()
    }
    _standardise(made)
    return made


def _standardise(splits):
    """Make the features of all splits those of the deviation 1 and the mean 0 in the training set, in place."""
    mean = splits["train"].features.mean(axis=0, dtype=np.float64)
    deviation = splits["train"].features.std(axis=0, dtype=np.float64)
    for each in splits.values():
        each.features[...] = (each.features - mean) / np.maximum(deviation, _LEAST)
