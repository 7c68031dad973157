"""The measures of the paper by hand, with ties, with what is not a number, and for each replica."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from plastic import xp
from plastic.check import prospective_index, target_alignment
from plastic.functions import classification_error
from plastic.pc.measures import path_length

EPS = {"float64": 1e-12, "float32": 1e-5}


def on_device(values):
    return xp.asarray(np.array(values, float), dtype=xp.float_dtype)


def host(array):
    assert array.dtype == xp.float_dtype
    return xp.asnumpy(array)


def test_a_cosine_by_hand(precision):
    """Rows along each other, at right angles, opposite, and at 45 degrees, of any lengths."""
    v = on_device([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0], [5.0, 0.0]])
    u = on_device([[0.5, 0.0], [7.0, 0.0], [-2.0, -2.0], [1.0, 1.0]])
    found = host(target_alignment(on_device(np.zeros((4, 2))), v, u))
    assert found.shape == ()
    assert_allclose(found, (1 + 0 - 1 + np.sqrt(0.5)) / 4, rtol=EPS[precision])


def test_a_row_of_zeros_has_no_direction(backend):
    nothing, one = on_device(np.zeros((2, 2))), on_device([[1.0, 0.0], [1.0, 0.0]])
    assert np.isnan(host(target_alignment(nothing, on_device([[0.0, 0.0], [1.0, 0.0]]), one)))


def test_alignment_and_index_by_hand(precision):
    """From (1, 1) an update to (1, 3) that was to reach (3, 3) is 45 degrees off the way; so is what inference said."""
    before, after, goal = (on_device([point]) for point in ((1.0, 1.0), (1.0, 3.0), (3.0, 3.0)))
    assert_allclose(host(target_alignment(before, after, goal)), np.sqrt(0.5), rtol=EPS[precision])
    assert_allclose(host(prospective_index(before, goal, after)), np.sqrt(0.5), rtol=EPS[precision])
    assert_allclose(host(target_alignment(before, after, after)), 1, rtol=EPS[precision])
    backwards = on_device([[1.0, -3.0]])
    assert_allclose(host(target_alignment(before, backwards, after)), -1, rtol=EPS[precision])
    assert_allclose(host(prospective_index(before, after, backwards)), -1, rtol=EPS[precision])


@hypothesis.given(
    lead=st.sampled_from([(), (3,), (2, 3)]), batch=st.integers(1, 4), n=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_measures_are_means_over_the_batch_of_each_replica(lead, batch, n, seed):
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    before, middle, after = (rng.standard_normal((*lead, batch, n)) for _ in range(3))

    def expected(v, u):
        cosines = np.empty((*lead, batch))
        for index in np.ndindex(*lead, batch):
            cosines[index] = v[index] @ u[index] / np.linalg.norm(v[index]) / np.linalg.norm(u[index])
        return cosines.mean(axis=-1)

    found = target_alignment(before, after, middle)
    assert_allclose(found, expected(after - before, middle - before), rtol=1e-10, atol=1e-14)
    assert_allclose(prospective_index(before, middle, after), found, rtol=1e-10, atol=1e-14)


# paths


def test_a_straight_path_is_as_long_as_its_ends_are_apart(precision):
    """Steps of 1/4, 1/4 and 1/2 of a matrix of norm 5."""
    W = np.array([[3.0, 0.0], [0.0, 4.0]])
    found = path_length(on_device([1 + part * W for part in (0, 0.25, 0.5, 1)]))
    assert_allclose([host(each) for each in found], [5, 5], rtol=EPS[precision])


def test_a_bent_path_is_longer(precision):
    """3 in one weight, then 4 in another: 7, and 5 apart. There and back: 6, and 0 apart."""
    corner, end = [[3.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [4.0, 0.0]]
    nothing = np.zeros((2, 2))
    for path, expected in (([nothing, corner, end], [7, 5]), ([nothing, corner, nothing], [6, 0])):
        assert_allclose([host(each) for each in path_length(on_device(path))], expected, rtol=EPS[precision])


def test_paths_are_those_of_each_replica(backend):
    """With as many replicas as steps and units."""
    path = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    length, distance = (host(each) for each in path_length(on_device(path)))
    for r in range(3):
        legs = [np.linalg.norm(path[k + 1, r] - path[k, r]) for k in range(3)]
        assert_allclose(length[r], sum(legs), rtol=1e-12)
        assert_allclose(distance[r], np.linalg.norm(path[3, r] - path[0, r]), rtol=1e-12)


# errors of classification


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ([0.1, 0.9, 0.2], 0),
        ([0.9, 0.1, 0.2], 1),
        ([-3.0, -1.0, -2.0], 0),
        ([0.5, 0.5, 0.2], 1),  # a tie with the right one
        ([0.5, 0.2, 0.5], 1),
        ([0.1, 0.9, 0.1], 0),  # a tie below the largest is none
        ([0.0, 0.0, 0.0], 1),
        ([np.nan, 0.9, 0.2], 1),
        ([0.1, np.nan, 0.2], 1),
        ([np.nan, np.nan, np.nan], 1),
        ([-np.inf, np.inf, 0.0], 0),
    ],
)
def test_ties_and_what_is_not_a_number_are_errors(precision, row, wrong):
    found = classification_error(on_device([row]), on_device([[0.0, 1.0, 0.0]]))
    assert xp.asnumpy(found) == wrong


def test_the_error_is_a_fraction_of_each_replica(precision):
    """Targets of -1 and 1 will do; as many replicas as rows and classes."""
    y = on_device(2 * np.eye(3) - 1)
    output = np.tile(np.eye(3), (3, 1, 1))
    output[1, 0] = [0, 1, 0]
    output[2] = 0.5
    assert_allclose(xp.asnumpy(classification_error(on_device(output), y)), [0, 1 / 3, 1], rtol=EPS[precision])
    assert classification_error(on_device(output[1]), y).shape == ()
