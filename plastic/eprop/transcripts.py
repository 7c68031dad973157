"""From the outputs of a network that was trained by CTC to sequences of labels, and how wrong these are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.eprop.signals import sequence_lengths
from plastic.errors import PlasticError
from plastic.types import Array


def greedy(output: Array, lengths: Any = None) -> list[list[int]]:
    """Return what is left of the most probable path: repeats merged, blanks taken out.

    Args:
        output: logits (T, batch, K); the last class is the blank.
        lengths: frames of each sequence, (batch,); None is all.

    Returns:
        The labels of each sequence.

    Raises:
        PlasticError: if an argument does not fit.

    Source: Graves et al. 2006, best path decoding.

    Example:
        >>> path = xp.asarray([0, 0, 2, 0, 1])
        >>> greedy((path[:, None] == xp.arange(3)).astype(xp.float_dtype)[:, None])
        [[0, 0, 1]]
    """
    found, lengths = _on_host(output, lengths)
    blank, sequences = found.shape[-1] - 1, []
    for row, length in enumerate(lengths):
        path = found[:length, row].argmax(axis=-1)
        path = path[np.insert(path[1:] != path[:-1], 0, True)]
        sequences.append(path[path != blank].tolist())
    return sequences


def beam_search(output: Array, lengths: Any = None, width: int = 100) -> list[list[int]]:
    """Return the most probable labels among those that a beam of so many prefixes finds.

    A prefix has two probabilities, of paths that end in the blank and of paths that end in its last label; each frame
    lengthens every prefix by every label, adds what is the same prefix, and keeps the best.

    Args:
        output: logits (T, batch, K); the last class is the blank.
        lengths: frames of each sequence, (batch,); None is all.
        width: prefixes that are kept, at least 1.

    Returns:
        The labels of each sequence.

    Raises:
        PlasticError: if an argument does not fit.

    Source: Graves 2012, Supervised Sequence Labelling, section 7.5, without a grammar; width 100 as in the published
    code of Bellec, Scherr et al. 2020.

    Example:
        >>> y = xp.asarray([[[0.3, 0.3, 0.4]], [[0.3, 0.3, 0.4]]])  # no label has a path as probable as two blanks, .16
        >>> greedy(xp.log(y)), beam_search(xp.log(y))  # but .09 + 2 * .12 end in [0]
        ([[]], [[0]])
    """
    require.whole("width", width)
    found, lengths = _on_host(output, lengths)
    with np.errstate(divide="ignore", under="ignore"):
        log_y = found - found.max(axis=-1, keepdims=True)
        log_y = log_y - np.log(np.exp(log_y).sum(axis=-1, keepdims=True))
        return [_search(log_y[:length, row], width) for row, length in enumerate(lengths)]


def edit_distance(found: Sequence[int], wanted: Sequence[int]) -> int:
    """Return how many insertions, deletions and substitutions make one sequence of the other (Levenshtein 1966).

    Args:
        found, wanted: the sequences.

    Returns:
        The number.

    Example:
        >>> edit_distance([1, 2, 3], [2, 3, 3])
        2
    """
    row = list(range(len(wanted) + 1))
    for i, a in enumerate(found, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(wanted, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


class _Prefixes:
    """Prefixes as a tree: each is its parent and one label more; number 0 is the empty one."""

    def __init__(self):
        self.parent, self.label, self._known = [-1], [-1], {}

    def longer(self, prefix, label):
        """Return the number of a prefix that is lengthened by a label."""
        number = self._known.setdefault((prefix, label), len(self.parent))
        if number == len(self.parent):
            self.parent.append(prefix)
            self.label.append(label)
        return number

    def labels(self, prefix):
        """Return the labels of a prefix."""
        found = []
        while prefix > 0:
            found.append(self.label[prefix])
            prefix = self.parent[prefix]
        return found[::-1]


def _search(log_y, width):
    """Return the labels that a beam finds in one sequence of log probabilities (T, K)."""
    known, beam = _Prefixes(), np.zeros(1, np.int64)
    in_blank, in_label = np.zeros(1), np.full(1, -np.inf)
    for y in log_y:
        last = np.array([known.label[prefix] for prefix in beam])
        place = {prefix: index for index, prefix in enumerate(beam.tolist())}
        before = np.array([place.get(known.parent[prefix], -1) for prefix in beam])
        both = np.logaddexp(in_blank, in_label)
        longer = both[:, None] + y[:-1]
        again = np.flatnonzero(last >= 0)
        longer[again, last[again]] = in_blank[again] + y[last[again]]  # a label twice needs a blank between
        stays_blank, stays_label = both + y[-1], np.where(last >= 0, in_label + y[last], -np.inf)
        merged = np.flatnonzero(before >= 0)
        same = before[merged], last[merged]
        stays_label[merged] = np.logaddexp(stays_label[merged], longer[same])
        longer[same] = -np.inf
        scores = np.concatenate([np.logaddexp(stays_blank, stays_label), longer.ravel()])
        best = np.argsort(-scores, kind="stable")[:width]
        best = best[scores[best] > -np.inf]
        stays, goes = best[best < len(beam)], best[best >= len(beam)] - len(beam)
        parents, labels = np.divmod(goes, longer.shape[1])
        new = [known.longer(*pair) for pair in zip(beam[parents].tolist(), labels.tolist(), strict=True)]
        in_blank = np.concatenate([stays_blank[stays], np.full(len(new), -np.inf)])
        in_label = np.concatenate([stays_label[stays], longer[parents, labels]])
        beam = np.concatenate([beam[stays], np.array(new, np.int64)])
    return known.labels(int(beam[np.argmax(np.logaddexp(in_blank, in_label))]))


def _on_host(output, lengths):
    """Return the output in double precision, and the lengths, on the host."""
    require.array("output", output)
    if output.ndim != 3 or 0 in output.shape or output.shape[-1] < 2:
        raise PlasticError(f"output has shape {output.shape}; (T, batch, K) of two classes or more is needed")
    return xp.asnumpy(output).astype(np.float64), sequence_lengths(lengths, *output.shape[:2])
