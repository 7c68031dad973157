"""What is required of arguments: right ones pass, wrong ones are told by name, on every backend."""

import numpy as np
import pytest

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine


def told(message, call, *arguments, **options):
    """The call is refused in one line that the pattern fits."""
    with pytest.raises(PlasticError, match=message) as refusal:
        call(*arguments, **options)
    assert "\n" not in str(refusal.value)


def zeros(*shape, dtype="float64"):
    return xp.zeros(shape, dtype=dtype)


def test_rows(backend):
    for shape in ((1, 4), (5, 4), (2, 5, 4), (2, 1, 5, 4)):
        require.rows("x", zeros(*shape), 4, "float64")
    require.rows("x", zeros(3, 5, 4), 4, "float64", time=True)
    require.rows("x", zeros(3, 5, 4, dtype=bool), 4, "float64", time=True, spikes=True)
    told(r"x has shape \(5, 3\); \(\.\.\., batch, 4\) is needed", require.rows, "x", zeros(5, 3), 4, "float64")
    told(r"flatten the samples: x\.reshape", require.rows, "x", zeros(5, 2, 2), 4, "float64")
    told(r"a single sample is x\[None\]", require.rows, "x", zeros(4), 4, "float64")
    told(r"x has shape \(0, 4\): it is empty", require.rows, "x", zeros(0, 4), 4, "float64")
    told(r"\(\.\.\., T, batch, 4\) is needed", require.rows, "x", zeros(5, 4), 4, "float64", time=True)
    told("x is float32, but the network is float64", require.rows, "x", zeros(5, 4, dtype="float32"), 4, "float64")
    for dtype in ("uint8", "int64", "bool"):
        told(rf"x holds {dtype}.*scaled to \[0, 1\]", require.rows, "x", zeros(5, 4, dtype=dtype), 4, "float64")
    for wrong in ([[0.0] * 4], None, 3.0):
        told(r"x is a \w+, not an array", require.rows, "x", wrong, 4, "float64")
    if backend != "numpy":
        told("x is a NumPy array, but the backend is", require.rows, "x", np.zeros((5, 4)), 4, "float64")


def test_targets(backend):
    x = zeros(5, 7)
    require.targets(zeros(5, 3), x, 3, "float64")
    require.targets(zeros(5, 1), x, 1, "float64")
    require.targets(zeros(2, 5, 3), x, 3, "float64")
    told(r"labels become rows by functions\.one_hot\(labels, 3\)", require.targets, zeros(5), x, 3, "float64")
    told(r"labels become rows by functions\.one_hot\(labels, 3\)", require.targets, zeros(5, 1), x, 3, "float64")
    told("y has 1 rows, but x has 5", require.targets, zeros(1, 3), x, 3, "float64")
    sequence = zeros(9, 5, 7)
    require.targets(zeros(9, 5, 3), sequence, 3, "float64", time=True)
    told("y has 8 steps, but x has 9", require.targets, zeros(8, 5, 3), sequence, 3, "float64", time=True)


def test_targets_that_are_no_array():
    for wrong in ([[0.0, 1.0]], 1, None):
        told(r"y is a \w+, not an array", require.targets, wrong, zeros(1, 4), 2, "float64")


def test_labels():
    require.labels(xp.asarray([0, 2]), 3)
    require.labels(xp.zeros(0, dtype="int64"), 3)
    told("labels are float64; whole numbers from 0 to 2", require.labels, zeros(2), 3)
    told("labels run from 0 to 3; with 3 classes they are 0 to 2", require.labels, xp.asarray([0, 3]), 3)
    told("labels run from -1 to 1; with 3 classes", require.labels, xp.asarray([-1, 1]), 3)
    told(r"labels is a list", require.labels, [0, 1], 3)


def test_replica_axes():
    assert require.replicas(x=(), network=(2, 3)) == (2, 3)
    assert require.replicas(x=(3,), network=(2, 1)) == (2, 3)
    assert require.replicas() == ()
    told(r"replica axes do not fit together \(x \(3,\), network \(2,\)\)", require.replicas, x=(3,), network=(2,))


def test_numbers_per_replica(backend):
    for value in (0.5, 1, np.float32(0.5), zeros(2, 1, 1), zeros(1, 1, 1), zeros(1, 1)):
        require.per_replica("beta", value, (2,))
    for shape in ((2,), (5, 1), (2, 5, 1), (3, 1, 1)):
        told("beta", require.per_replica, "beta", zeros(*shape), (2,))
    for wrong in (True, "0.5", None, [0.5]):
        told("beta", require.per_replica, "beta", wrong, ())


def test_numbers_within_bounds():
    require.number("dt", 0.2, above=0, most=1)
    require.number("dt", np.array([0.2, 1.0]), above=0, most=1)
    for value in (0, -1, 1.1, float("nan"), float("inf"), np.array([0.2, 0.0]), np.array([np.nan])):
        told("dt is .* it must be above 0 and at most 1", require.number, "dt", value, above=0, most=1)
    for value in (
        True,
        None,
        "1",
        [1],
        np.zeros(0),
        np.array(["1"]),
        np.array([True]),
        np.array([1j]),
        np.array([None]),
    ):
        told("dt is .*; it must be a number", require.number, "dt", value)
    told("beta is 0; it must not be 0", require.nonzero, "beta", 0.0)
    told("beta is from 0 to 1; it must not be 0", require.nonzero, "beta", np.array([0.0, 1.0]))
    require.nonzero("beta", -0.5)


def test_one_number(backend):
    found = require.scalar("dt", np.float32(0.5), above=0)
    assert found == 0.5 and type(found) is float
    told(r"dt is an array of shape \(2,\); it must be one number", require.scalar, "dt", zeros(2))
    told(r"dt is an array of shape \(\); it must be one number", require.scalar, "dt", np.zeros(()))
    told("dt is '1'; it must be one number", require.scalar, "dt", "1")
    told("dt is True; it must be a number", require.scalar, "dt", True)
    told("dt is 2; it must be at most 1", require.scalar, "dt", 2, most=1)


def test_whole_numbers():
    require.whole("T", 1)
    require.whole("T", np.int64(7), most=7)
    told("T is 0; it must be at least 1", require.whole, "T", 0)
    told("T is 8; it must be from 1 to 7", require.whole, "T", 8, most=7)
    for value in (1.0, True, "3", None):
        told("T is .*; it must be a whole number", require.whole, "T", value)


def test_sizes_and_generators():
    require.sizes((784, 10))
    require.sizes([3, np.int64(2), 1], least=3)
    for wrong in ((3,), 5, "784", None, (3, 0), (3, 2.5), (3, True)):
        told("sizes is", require.sizes, wrong)
    require.generator(np.random.default_rng(1))
    require.generator(np.random.RandomState(1))
    require.generator([np.random.default_rng(1), np.random.default_rng(2)])
    told(r"generator is 3; .*numpy\.random\.default_rng\(3\)", require.generator, 3)
    for wrong in (None, [], [1, 2], np.random, "1"):
        told("generator is", require.generator, wrong)


def test_choices():
    require.choice("schedule", "all", ("all", "last"))
    for value in (np.array(["all", "last"]), np.array("all"), np.zeros(0), np.array([True])):
        told(
            "schedule is an array of shape .*; it must be one of all, True",
            require.choice,
            "schedule",
            value,
            ("all", True),
        )
    told(
        r"schedule is 'lats'; it must be one of all, last; did you mean last\?",
        require.choice,
        "schedule",
        "lats",
        ("all", "last"),
    )


def test_trees(backend):
    like = {"layers": [Affine(zeros(3, 2), zeros(1, 2))]}
    require.tree("out", {"layers": [Affine(zeros(3, 2), zeros(1, 2))]}, like)
    told(r"out is another tree.*layers/0/b", require.tree, "out", {"layers": [Affine(zeros(3, 2))]}, like)
    told(r"out at layers/0/b has shape \(2,\)", require.tree, "out", {"layers": [Affine(zeros(3, 2), zeros(2))]}, like)
    told("out is another tree", require.tree, "out", [], like)
