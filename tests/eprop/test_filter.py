"""The leaky sum against a loop over the steps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import xp
from plastic.eprop.spiking.filter import filtered


def literal(x, decay, before):
    y, sums = np.broadcast_to(before, x[..., 0, :, :].shape), []
    for t in range(x.shape[-3]):
        y = decay * y + x[..., t, :, :]
        sums.append(y)
    return np.stack(sums, axis=-3)


@pytest.mark.parametrize("T", [1, 2, 31, 32, 33, 64, 75])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95, "own"])
@pytest.mark.parametrize("leading", [(), (3,)])
def test_a_leaky_sum(backend, T, decay, leading):
    rng = np.random.default_rng(0)
    x, before = rng.standard_normal((*leading, T, 2, 4)), rng.standard_normal((*leading, 2, 4))
    own = rng.uniform(0.1, 0.99, (*leading, 1, 1))
    number, array = (own, xp.asarray(own)) if decay == "own" else (decay, decay)
    given = xp.asarray(x)
    assert_allclose(xp.asnumpy(filtered(given, array)), literal(x, number, 0.0), rtol=1e-12, atol=1e-13)
    found = filtered(given, array, xp.asarray(before))
    assert_allclose(xp.asnumpy(found), literal(x, number, before), rtol=1e-12, atol=1e-13)
    assert np.array_equal(xp.asnumpy(given), x)


def test_the_precision_stays(precision):
    x = xp.ones((40, 2, 3), dtype=precision)
    for decay in (0.9, xp.asarray(np.full((1, 1), 0.9), dtype=precision)):
        y = filtered(x, decay)
        assert y.dtype == precision
        assert_allclose(xp.asnumpy(y)[-1], (1 - 0.9**40) / (1 - 0.9), rtol=1e-5 if precision == "float32" else 1e-13)


def test_trials_and_replicas_do_not_meet(backend):
    """A number that is not finite stays in its own trial, and there in the block of steps that it lies in or later."""
    x = np.ones((2, 70, 2, 3))
    x[0, 50, 1, 2] = np.nan
    y = xp.asnumpy(filtered(xp.asarray(x), 0.5))
    bad = np.isnan(y)
    assert bad[0, 50:, 1, 2].all() and not bad[0, :32, 1, 2].any()
    bad[0, :, 1, 2] = False
    assert not bad.any()
