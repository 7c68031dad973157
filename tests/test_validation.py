"""The best epoch by a validation set: what `Best` keeps, of which replica, and what it leaves alone."""

import numpy as np
import pytest

from plastic import xp
from plastic.classifier import Samples
from plastic.parameters import Affine
from plastic.validation import Best, best_of, told

FEW = (np.zeros((1, 2)), np.zeros(1, int))


def samples(validation=FEW):
    return Samples("mine", FEW, FEW, 2, validation)


@pytest.mark.parametrize("measured, better", [("error", -1), ("accuracy", 1)])
def test_each_replica_keeps_its_own_best(backend, measured, better):
    """Replicas improve at different times; a NaN never counts, nor does an equal."""
    scores = better * np.array([[1, 5, 2], [3, 4, 2], [2, 6, np.nan], [3, 1, 1]])
    layer = Affine(xp.zeros((3, 1, 2)), xp.zeros((3, 1, 2)))
    best = Best({"layers": [layer]}, (3,), samples(), measured)
    for number, row in enumerate(scores):
        layer.W[...], layer.b[...] = 10 + number, 20 + number
        metrics = {f"validation_{measured}": xp.asarray(row / 10), "test_error": xp.asarray(row)}
        assert best.note(metrics) is metrics
    best.recall()
    np.testing.assert_array_equal(xp.asnumpy(layer.W)[:, 0, 0], [11, 12, 10])
    np.testing.assert_array_equal(xp.asnumpy(layer.b)[:, 0, 1], [21, 22, 20])


def test_one_replica_without_axes():
    W = xp.zeros((2, 2))
    best = Best({"W": W}, (), samples(), "error")
    for number, error in enumerate((0.5, 0.1, 0.3)):
        W[...] = number
        best.note({"validation_error": xp.asarray([error])})  # of the shape (1,)
    best.recall()
    assert W.tolist() == [[1, 1], [1, 1]] and float(best.tree["best_error"]) == pytest.approx(0.1)


def test_without_a_validation_set_nothing_is_kept():
    W = xp.ones((2, 2))
    best = Best({"W": W}, (), samples(None), "error")
    best.note({"test_error": xp.asarray(0.5)})
    best.recall()
    assert best.tree == {} and W.tolist() == [[1, 1], [1, 1]]
    assert best.test(None, None) == {} and told({}) == ""
    assert repr(best) == "Best of none, as there is no validation set"


def test_epochs_are_judged_by_the_validation_set_where_there_is_one():
    other = (np.ones((1, 2)), np.ones(1, int))
    assert samples(other).judged == ("validation", other) and samples(None).judged == ("test", FEW)


def test_the_arrays_of_a_checkpoint():
    arrays = {"layers/0/W": 1, "best/layers/0/W": 2, "best_error": 0.5}
    assert best_of(arrays)["layers/0/W"] == 2 and best_of({"layers/0/W": 1}) == {"layers/0/W": 1}
