"""CTC against the sum over all paths and finite differences; decoding against the best of all label sequences."""

import itertools

import numpy as np
import pytest
import strict
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plastic import xp
from plastic.eprop import ctc, transcripts
from plastic.errors import PlasticError

LABELS = ([], [0], [1, 0], [0, 0], [1, 1, 0], [0, 1, 0])


def logits(*shape, seed=0):
    return xp.asarray(2 * np.random.default_rng(seed).standard_normal(shape))


def collapsed(path, blank):
    return [label for label, _ in itertools.groupby(path) if label != blank]


def enumerated(output):
    """The probability of every label sequence, as the sum over all paths (T, K)."""
    y = np.exp(output) / np.exp(output).sum(axis=-1, keepdims=True)
    found = {}
    for path in itertools.product(range(output.shape[-1]), repeat=len(output)):
        labels = tuple(collapsed(path, output.shape[-1] - 1))
        found[labels] = found.get(labels, 0) + np.prod([y[t, k] for t, k in enumerate(path)])
    return found


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_the_loss_is_that_of_the_sum_over_all_paths(labels):
    xp.use(dtype="float64")
    output = logits(5, 1, 3)
    found, _ = ctc.loss(output, [labels])
    assert_allclose(found, -np.log(enumerated(output[:, 0])[tuple(labels)]), rtol=1e-10, atol=1e-12)


def test_sequences_of_a_batch_have_their_own_lengths_and_labels():
    xp.use(dtype="float64")
    output, lengths = logits(6, len(LABELS), 3), np.array([6, 1, 2, 3, 5, 4])
    found, err = ctc.loss(output, LABELS, lengths)
    each = [-np.log(enumerated(output[:n, k])[tuple(LABELS[k])]) for k, n in enumerate(lengths)]
    assert_allclose(found, np.mean(each), rtol=1e-10)
    for k, n in enumerate(lengths):
        assert not err[n:, k].any()
        assert_allclose(err[:n, k], ctc.loss(output[:n, k : k + 1], LABELS[k : k + 1])[1][:, 0] / 6, atol=1e-14)


def test_the_gradient_is_that_of_finite_differences():
    xp.use(dtype="float64")
    output, lengths, step = logits(6, len(LABELS), 3), np.array([6, 1, 2, 3, 5, 4]), 1e-5
    _, err = ctc.loss(output, LABELS, lengths)
    for place in np.ndindex(output.shape):
        ahead, behind = output.copy(), output.copy()
        ahead[place] += step
        behind[place] -= step
        slope = (ctc.loss(ahead, LABELS, lengths)[0] - ctc.loss(behind, LABELS, lengths)[0]) / (2 * step)
        assert_allclose(err[place], slope, atol=1e-9)


def test_replicas_are_like_networks_of_their_own():
    xp.use(dtype="float64")
    output, labels = logits(2, 7, 3, 4), [[0, 1], [2], [1, 1]]
    found, err = ctc.loss(output, labels, [7, 3, 4])
    for k in range(2):
        alone, its = ctc.loss(output[k], labels, [7, 3, 4])
        assert_allclose(found[k], alone, rtol=1e-14)
        assert_allclose(err[k], its, atol=1e-15)


def test_long_sequences_keep_their_precision():
    """A thousand frames, p(l) of 1e-700 or so: in float32 the gradient is as good as in a short one."""
    labels = [np.random.default_rng(1).integers(0, 20, 60).tolist()]
    _, err = ctc.loss(logits(1000, 1, 21), labels)
    assert_allclose(xp.asnumpy(err.sum(axis=-1)), 0, atol=1e-5)
    xp.use(dtype="float64")
    loss, exact = ctc.loss(logits(1000, 1, 21), labels)
    assert loss > 700
    assert_allclose(err, exact, atol=1e-4)


def test_what_all_logits_of_a_frame_have_in_common_does_not_matter():
    xp.use(dtype="float32")
    output = xp.asarray(np.random.default_rng(0).integers(-3, 4, (6, 1, 3)), dtype=xp.float_dtype)
    expected, err = ctc.loss(output, [[0, 1]])
    for common in (1e6, -1e6):  # whole numbers, so that the sum is exact
        found = ctc.loss(output + common, [[0, 1]])
        assert_allclose(found[0], expected, rtol=1e-6)
        assert_allclose(found[1], err, atol=1e-6)


def test_nothing_is_converted_unseen():
    xp.use(strict.backend)
    loss, err = ctc.loss(logits(5, 2, 4), [[0, 1], [2]], [5, 3])
    assert xp.asnumpy(loss).dtype == xp.asnumpy(err).dtype == np.float32
    assert transcripts.greedy(logits(5, 2, 4)) is not None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"labels": [[0]]}, "labels of 1 sequences"),
        ({"labels": None}, "labels are a NoneType"),
        ({"labels": [[0], [3]]}, "sequence 1 must be whole numbers from 0 to 2"),
        ({"labels": [[0], [-1]]}, "sequence 1"),
        ({"labels": [[0], [0.5]]}, "sequence 1"),
        ({"labels": [[0], [1, 1, 2]], "lengths": [4, 3]}, "sequence 1 has 3 frames, but its labels need 4"),
        ({"lengths": [4, 5]}, "from 1 to 4"),
        ({"lengths": [4, 0]}, "from 1 to 4"),
        ({"lengths": [4]}, "lengths must be 2"),
        ({"output": np.zeros((4, 2), np.float32)}, "logits"),
        ({"output": np.zeros((4, 2, 1), np.float32)}, "two classes"),
    ],
)
def test_what_does_not_fit_is_refused(change, named):
    arguments = {"output": logits(4, 2, 4), "labels": [[0], [1, 2]], "lengths": None} | change
    with pytest.raises(PlasticError, match=named):
        ctc.loss(**arguments)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 4))
def test_a_wide_beam_finds_the_most_probable_labels(seed, T, K):
    output = np.random.default_rng(seed).standard_normal((T, 1, K))
    probable = enumerated(output[:, 0])
    [found] = transcripts.beam_search(xp.asarray(output, dtype=np.float64), width=10**4)
    assert probable[tuple(found)] >= max(probable.values()) * (1 - 1e-12)


def test_a_beam_of_one_prefix_still_adds_its_paths():
    y = np.array([[0.4, 0.6], [0.4, 0.6]])  # two blanks .36; [0]: .16 + 2 * .24
    assert transcripts.beam_search(xp.asarray(np.log(y))[:, None], width=2) == [[0]]
    assert transcripts.beam_search(xp.asarray(np.log(y))[:, None], width=1) == [[]]


def test_decoding_ends_where_the_sequence_does():
    path = np.array([0, 0, 2, 1, 1])
    output = xp.asarray(9.0 * (path[:, None, None] == np.arange(3)) + np.zeros((5, 2, 3)))
    assert transcripts.greedy(output, [5, 2]) == transcripts.beam_search(output, [5, 2]) == [[0, 1], [0]]
    with pytest.raises(PlasticError, match="width"):
        transcripts.beam_search(output, width=0)
    with pytest.raises(PlasticError, match="T, batch, K"):
        transcripts.greedy(output[0])


@given(st.lists(st.integers(0, 2), max_size=5), st.lists(st.integers(0, 2), max_size=5))
def test_the_edit_distance_is_that_of_its_recursion(a, b):
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        substituted = distance(a[1:], b[1:]) + (a[0] != b[0])
        return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, substituted)

    assert transcripts.edit_distance(a, b) == distance(a, b)
