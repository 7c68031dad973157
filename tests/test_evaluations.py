"""What evaluations leave: the best epoch by a validation set, of which replica, and the confusion matrix."""

import types

import numpy as np
import pytest

from plastic import classifier, functions, xp
from plastic.classifier import Samples
from plastic.errors import PlasticError
from plastic.evaluations import Evaluations, best_of, confusion, told
from plastic.parameters import Affine


@pytest.mark.parametrize("measured, better", [("error", -1), ("accuracy", 1)])
def test_each_replica_keeps_its_own_best(backend, measured, better):
    """Replicas improve at different times; a NaN never counts, nor does an equal."""
    scores = better * np.array([[1, 5, 2], [3, 4, 2], [2, 6, np.nan], [3, 1, 1]])
    layer = Affine(xp.zeros((3, 1, 2)), xp.zeros((3, 1, 2)))
    evaluations = Evaluations({"layers": [layer]}, (3,), 2, measured, best=True)
    for number, row in enumerate(scores):
        layer.W[...], layer.b[...] = 10 + number, 20 + number
        metrics = {f"validation_{measured}": xp.asarray(row / 10), "test_error": xp.asarray(row)}
        matrix = xp.full((3, 2, 2), number, dtype=xp.float_dtype)
        assert evaluations.note(metrics | {"validation_confusion": matrix}) == metrics
    assert xp.asnumpy(evaluations.tree["confusion"]).min() == 3  # that of the last
    evaluations.recall()
    np.testing.assert_array_equal(xp.asnumpy(layer.W)[:, 0, 0], [11, 12, 10])
    np.testing.assert_array_equal(xp.asnumpy(layer.b)[:, 0, 1], [21, 22, 20])


def test_one_replica_without_axes():
    W = xp.zeros((2, 2))
    evaluations = Evaluations({"W": W}, (), 2, "error", best=True)
    for number, error in enumerate((0.5, 0.1, 0.3)):
        W[...] = number
        evaluations.note({"validation_error": xp.asarray([error]), "validation_confusion": xp.zeros((1, 2, 2))})
    evaluations.recall()
    assert W.tolist() == [[1, 1], [1, 1]] and float(evaluations.tree["best_error"]) == pytest.approx(0.1)


def test_without_a_validation_set_nothing_is_kept():
    W = xp.ones((2, 2))
    evaluations = Evaluations({"W": W}, (), 2, "error", best=False)
    evaluations.note({"test_error": xp.asarray(0.5), "test_confusion": xp.zeros((2, 2))})
    evaluations.recall()
    assert list(evaluations.tree) == ["confusion"] and W.tolist() == [[1, 1], [1, 1]]
    assert evaluations.test(None, None, None) == {} and told({}) == ""


def test_epochs_are_judged_by_the_validation_set_where_there_is_one():
    one, other = ((np.full((1, 2), k), np.zeros(1, int)) for k in range(2))
    assert Samples("mine", one, one, 2, other).judged == ("validation", other)
    assert Samples("mine", one, one, 2).judged == ("test", one)


def test_the_confusion_matrix_counts_samples(backend):
    """Each entry by hand, of replicas; rows are classes, and the trace is the accuracy."""
    rng = np.random.default_rng(0)
    outputs, labels = rng.standard_normal((3, 50, 4)), rng.integers(4, size=50)
    found = xp.asnumpy(functions.confusion(xp.asarray(outputs), xp.asarray(labels)))
    for replica, output in zip(found, outputs, strict=True):
        expected = np.zeros((4, 4))
        for label, row in zip(labels, output, strict=True):
            expected[label, row.argmax()] += 1 / 50
        np.testing.assert_allclose(replica, expected, atol=1e-6)
    accuracies = functions.accuracy(xp.asarray(outputs), xp.asarray(labels))
    np.testing.assert_allclose(np.trace(found, axis1=1, axis2=2), xp.asnumpy(accuracies), rtol=1e-6)


def run(arrays, matrix, columns, diverged=()):
    return types.SimpleNamespace(
        experiment="train",
        folder=types.SimpleNamespace(name="train-0a1b2c3d"),
        diverged=list(diverged),
        arrays=lambda: arrays,
        read_checkpoint=lambda: ({"confusion": matrix}, {}),
        metrics=lambda: {name: [0] for name in columns},
    )


def test_what_the_figure_of_the_confusion_shows():
    """Shares of each class, means over the replicas that have not diverged; what is tested goes before the last."""
    matrix = np.array([[[0.3, 0.1], [0.0, 0.6]], [[0.2, 0.2], [0.3, 0.3]], [[0.0, 0.4], [0.6, 0.0]]])
    runs = [
        run({}, matrix, ["test_error"], diverged=[2]),
        run({}, matrix[0], ["validation_error"]),
        run({"test_confusion": matrix[1:2], "best_epoch": 1}, matrix[0], ["validation_error"]),
    ]
    figure = confusion(runs, names=lambda run: ["yes", "no"])
    expected = [[62.5, 37.5], [25, 75]], [[75, 25], [0, 100]], [[50, 50], [50, 50]]
    titles = "test set, last evaluation", "validation set, last evaluation", "test set, best epoch"
    for axis, wanted, title in zip(figure.axes[:3], expected, titles, strict=True):
        np.testing.assert_allclose(axis.get_images()[0].get_array(), wanted)
        assert axis.get_title().endswith(title) and [each.get_text() for each in axis.get_yticklabels()] == [
            "yes",
            "no",
        ]
        assert {text.get_text() for text in axis.texts} == {
            f"{share:.0f}" if share else "" for share in np.ravel(wanted)
        }


def test_the_arrays_of_a_checkpoint():
    arrays = {"layers/0/W": 1, "best/layers/0/W": 2, "best_error": 0.5}
    assert best_of(arrays)["layers/0/W"] == 2 and best_of({"layers/0/W": 1}) == {"layers/0/W": 1}


def test_means_are_over_as_many_samples_of_each_array():
    x = np.arange(7.0)[:, None]
    found = classifier.means(lambda x, y: {"x": x.mean(), "y": y.mean()}, x, x.T, axes=(0, 1), chunk=3)
    assert found == {"x": 3.0, "y": 3.0}
    for arrays, said in (((x, x[:5]), "arrays have 7, 5 samples"), ((x[:0],), "arrays have 0 samples")):
        with pytest.raises(PlasticError, match=said):
            classifier.means(lambda *some: {"x": some[0].mean()}, *arrays)
