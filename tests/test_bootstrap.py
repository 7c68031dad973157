"""The interval of a mean over seeds."""

import numpy as np
from numpy.testing import assert_allclose

from plastic.bootstrap import interval


def test_the_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).standard_normal((400, 2))
    mean, low, high = interval(values)
    assert_allclose(mean, values.mean(axis=0))
    assert_allclose(high - mean, values.std(axis=0) / 20, rtol=0.15)  # 68 %: a standard error to either side
    assert_allclose(mean - low, values.std(axis=0) / 20, rtol=0.15)


def test_one_seed_has_no_width():
    assert interval([0.5]) == (0.5, 0.5, 0.5)
