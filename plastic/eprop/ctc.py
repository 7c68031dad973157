"""Connectionist temporal classification: the loss of a sequence of labels whose places in time are not known.

A path pi gives a class to every frame, one of the K - 1 labels or the blank, the last class. B(pi) is what is left of
it when repeats are merged and blanks are taken out, and a sequence of labels l is as probable as all its paths,

    p(l) = sum over pi with B(pi) = l of prod over t of y_{pi_t}^t,    y^t = softmax(output^t),    E = -log p(l)

(Graves et al. 2006). With l' = (blank, l_1, blank, l_2, .., l_U, blank), of S = 2 U + 1 places s,

    alpha^t(s) = y_{l'_s}^t (alpha^{t-1}(s) + alpha^{t-1}(s-1) [+ alpha^{t-1}(s-2)])           from the beginning
    beta^t(s)  = sum over r = s, s+1 [, s+2] of beta^{t+1}(r) y_{l'_r}^{t+1}                    from the end

where [..] skips the blank between two labels that differ. alpha^t(s) beta^t(s) / p(l) is the probability of being at
place s at time t, given l, and

    dE/doutput_k^t = y_k^t - sum over the places s of class k of alpha^t(s) beta^t(s) / p(l)

All is done in logarithms, for the whole batch at once. log alpha^t and log beta^t are kept less their largest entries,
a_t and b_t, so that a long sequence costs no precision; the sum over s of alpha^t(s) beta^t(s) is p(l) at every t, and
log p(l) the sum of all a_t and of log alpha^T(s), summed over the two places s where l' ends.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.eprop import signals
from plastic.errors import PlasticError
from plastic.functions import log_softmax, softmax
from plastic.types import Array

_LEAST = -1e30  # in place of the largest entry where all are -inf, so that they stay it


@xp.underflow_is_ordinary()
def loss(output: Array, labels: Sequence[Sequence[int]], lengths: Any = None) -> tuple[Array, Array]:
    """Return the mean over the batch of -log p(labels), and its gradient.

        E = 1 / batch sum over the batch of -log p(l),    err^t = (y^t - occupancy^t) / batch, 0 beyond the sequence

    Args:
        output: logits (..., T, batch, K); the last of the K classes is the blank.
        labels: of each sequence, whole numbers from 0 to K - 2; none may be there.
        lengths: frames of each sequence, (batch,), from 1 to T; None is all.

    Returns:
        (E, err): E of the replica axes, err of the shape of the output.

    Raises:
        PlasticError: if an argument does not fit, or a sequence is too short for its labels: it needs a frame for each,
            and one more between two that are the same.

    Source: Graves, Fernandez, Gomez, Schmidhuber 2006, eqs. 3-16.

    Example:
        >>> E, err = loss(xp.zeros((2, 1, 2)), [[0]])  # of four paths three are one label
        >>> round(float(xp.exp(-E)), 4), err[0].round(4).tolist()
        (0.75, [[-0.1667, 0.1667]])
    """
    lengths = _checked(output, labels, lengths)
    K, batch = output.shape[-1], output.shape[-2]
    places, skips, ends = _places(labels, K - 1)
    at, chosen = (xp.asarray(each) for each in (places, places[..., None] == np.arange(K)))
    e = xp.take_along_axis(log_softmax(output), xp.broadcast_to(at, (*output.shape[:-1], at.shape[-1])), axis=-1)

    skips, ends = (xp.asarray(each, dtype=output.dtype) for each in (skips, ends))
    alpha, a = _forwards(e, skips)
    inside = xp.asarray(np.arange(output.shape[-3])[:, None] < lengths)[..., None]
    log_p = xp.sum(xp.where(inside[..., 0], a, 0), axis=-2)
    log_p = log_p + _log_sum(alpha[..., xp.asarray(lengths - 1), xp.arange(batch), :] + ends)[..., 0]

    both = alpha + _backwards(e, skips, ends, lengths)
    both = xp.where(inside, both, 0)  # all -inf beyond the sequence
    gamma = xp.where(inside, softmax(both), 0)
    occupancy = xp.swapaxes(xp.swapaxes(gamma, -3, -2) @ chosen.astype(output.dtype), -3, -2)
    err = (xp.where(inside, softmax(output), 0) - occupancy) / batch
    return -xp.mean(log_p, axis=-1), err


def frames_needed(labels: Sequence[int]) -> int:
    """Return the least length of a sequence with these labels: a frame for each, one more between two that are equal.

    Args:
        labels: of one sequence.

    Returns:
        The number of frames.

    Example:
        >>> frames_needed([1, 1, 2])
        4
    """
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def _forwards(e, skips):
    """Return log alpha^t - a_t (..., T, batch, S), the emission of its own frame included, and a_t (..., T, batch)."""
    alpha = xp.empty_like(e)
    now = xp.where(xp.arange(e.shape[-1]) < 2, e[..., 0, :, :], -xp.inf)
    largest = []
    for t in range(e.shape[-3]):
        if t > 0:
            came = xp.logaddexp(now, _shifted(now, 1))
            now = xp.logaddexp(came, _shifted(now, 2) + skips) + e[..., t, :, :]
        most = now.max(axis=-1, keepdims=True)
        largest.append(most[..., 0])
        now = alpha[..., t, :, :] = now - most
    return alpha, xp.stack(largest, axis=-2)


def _backwards(e, skips, ends, lengths):
    """Return log beta^t - b_t (..., T, batch, S), without the emission of its frame; -inf beyond the sequence."""
    beta, skips = xp.empty_like(e), _shifted(skips, -2)
    last = xp.asarray(np.arange(1, e.shape[-3] + 1)[:, None] == lengths)[..., None]  # (T, batch, 1)
    now = xp.full_like(e[..., 0, :, :], -xp.inf)
    for t in reversed(range(e.shape[-3])):
        if t + 1 < e.shape[-3]:
            goes = now + e[..., t + 1, :, :]
            now = xp.logaddexp(xp.logaddexp(goes, _shifted(goes, -1)), _shifted(goes, -2) + skips)
        now = xp.where(last[t], ends, now)
        now = beta[..., t, :, :] = now - xp.maximum(now.max(axis=-1, keepdims=True), _LEAST)
    return beta


def _shifted(values, by):
    """Return values (..., S) moved by so many places, -inf where none come from."""
    moved = xp.full_like(values, -xp.inf)
    if abs(by) < values.shape[-1]:
        here, there = (slice(by, None), slice(None, -by)) if by > 0 else (slice(None, by), slice(-by, None))
        moved[..., here] = values[..., there]
    return moved


def _log_sum(values):
    """Return log sum exp over the last axis, kept, of which one entry at least is finite."""
    largest = values.max(axis=-1, keepdims=True)
    return largest + xp.log(xp.sum(xp.exp(values - largest), axis=-1, keepdims=True))


def _places(labels, blank):
    """Return l' (batch, S), and of its places 0 or -inf: where two may be skipped to, and where a path may end."""
    S = 2 * max(map(len, labels)) + 1
    places = np.full((len(labels), S), blank)
    ends = np.full(places.shape, -np.inf)
    for row, each in enumerate(labels):
        places[row, 1 : 2 * len(each) : 2] = each
        ends[row, max(0, 2 * len(each) - 1) : 2 * len(each) + 1] = 0
    skips = np.full(places.shape, -np.inf)
    skips[:, 2:][(places[:, 2:] != blank) & (places[:, 2:] != places[:, :-2])] = 0
    return places, skips, ends


def _checked(output, labels, lengths):
    """Require what `loss` takes; return the lengths, on the host."""
    require.array("output", output)
    if output.ndim < 3 or 0 in output.shape or output.shape[-1] < 2 or output.dtype.kind != "f":
        found = f"{output.dtype} of shape {output.shape}"
        raise PlasticError(f"output is {found}; logits (..., T, batch, K) of two classes or more are needed")
    T, batch, K = output.shape[-3:]
    if not hasattr(labels, "__len__"):
        raise PlasticError(f"labels are a {type(labels).__name__}; a sequence for each of the batch is needed")
    if len(labels) != batch:
        raise PlasticError(f"there are labels of {len(labels)} sequences; the output has {batch}")
    lengths = signals.sequence_lengths(lengths, T, batch)
    for row, each in enumerate(labels):
        found = np.asarray(each)
        if found.ndim != 1 or (
            found.size and (found.dtype.kind not in "iu" or not 0 <= found.min() <= found.max() < K - 1)
        ):
            raise PlasticError(f"the labels of sequence {row} must be whole numbers from 0 to {K - 2}")
        if frames_needed(each) > lengths[row]:
            raise PlasticError(
                f"sequence {row} has {lengths[row]} frames, but its labels need {frames_needed(each)} at least"
            )
    return lengths
