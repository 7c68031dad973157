"""MNIST-1D against numbers of the published generator (their format: README.md beside this file)."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from plastic.data import mnist1d

GOLDEN = "gle_mnist1d_gen.npz"


def test_golden(golden):
    numbers = dict(np.load(golden, allow_pickle=False))
    assert all(np.isfinite(array).all() for array in numbers.values())
    check(numbers)


def check(numbers):
    """Run all checks of the file."""
    sets = [name.removesuffix("_num_samples") for name in numbers if name.endswith("_num_samples")]
    assert sets
    for name in sets:
        check_set(numbers, name)
    check_deformed(numbers)
    check_default_360(numbers)


def check_set(numbers, name):
    """A whole data set of few samples, and its time axis."""
    samples, length, seed = (int(numbers[f"{name}_{option}"]) for option in ("num_samples", "len", "seed"))
    made = mnist1d.generate(samples, length, seed)
    close(made["x_train"], numbers[f"{name}_x"])
    close(made["x_test"], numbers[f"{name}_x_test"])
    assert_array_equal(made["y_train"], numbers[f"{name}_y"])
    assert_array_equal(made["y_test"], numbers[f"{name}_y_test"])
    labels = np.repeat(np.arange(10), samples // 10)
    raw = mnist1d.resample(mnist1d.deform(labels, np.random.RandomState(seed)), length)
    close(mnist1d.times(length) / raw.std(), numbers[f"{name}_t"])


def check_deformed(numbers):
    """The templates and one deformed curve of each class, before they are standardised."""
    close(mnist1d.templates(), numbers["templates"])
    close(mnist1d.times(12)[[0, -1]], numbers["template_t"][[0, -1]])
    close(np.diff(numbers["template_t"]), np.diff(mnist1d.times(12)))
    rng = np.random.RandomState(int(numbers["raw_seed"]))
    close(mnist1d.deform(np.arange(10), rng), numbers["raw72"])


def check_default_360(numbers):
    """Some samples of the default set of 360 steps, and the sums over the steps of many."""
    made = mnist1d.generate(length=360)
    first = int(numbers["default360_idx0"])
    close(made["x_train"][first : first + len(numbers["default360_x"])], numbers["default360_x"])
    rows = slice(first, first + len(numbers["default360_rowsum"]))
    close(made["x_train"][rows].sum(axis=1), numbers["default360_rowsum"], 1e-11)
    assert_array_equal(made["y_train"][rows], numbers["default360_y"])
    half = len(numbers["default360_test_y"])
    halves = [slice(0, half), slice(half, None)]
    (rows,) = (each for each in halves if np.array_equal(made["y_test"][each], numbers["default360_test_y"]))
    close(made["x_test"][rows].sum(axis=1), numbers["default360_test_rowsum"], 1e-11)


def close(found, expected, atol=1e-13):
    assert_allclose(found, expected, rtol=0, atol=atol)
