"""Products with spikes: equal to the dense product within its rounding, sparse or not, on every backend."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plastic import xp
from plastic.errors import PlasticError
from plastic.xp import spikes

WAYS = {
    "chosen": {},
    "sparse": {"_DENSE": 1.0, "_NARROW": 0, "_SMALL": 0, "_OVERHEAD": 0, "_PER_SPIKE": 1e-9},
    "dense": {"_SMALL": math.inf, "_OVERHEAD": math.inf},
    "dense, in parts": {"_SMALL": math.inf, "_OVERHEAD": math.inf, "_BLOCK": 5},
}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Take one way to multiply, whatever the sizes."""
    for name, value in WAYS[request.param].items():
        monkeypatch.setattr(spikes, name, value)


def draw(shape, density, kind=bool, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(shape) < density
    return p if kind is bool else p * rng.standard_normal(shape)


def close(found, p, M, transpose=False):
    """Compare with float64; a sum of n terms errs by n units of rounding of the sum of their sizes at most."""
    dtype, found = M.dtype, xp.asnumpy(found)
    p, M = p.astype(dtype).astype("float64"), M.astype("float64")
    p = np.swapaxes(p, -1, -2) if transpose else p
    assert found.dtype == dtype and found.shape == (p @ M).shape
    terms = np.abs(p) @ np.abs(M)
    assert np.all(np.abs(found - p @ M) <= (p.shape[-1] + 2) * np.finfo(dtype).eps * terms)


@pytest.mark.parametrize("kind", [bool, float])
@pytest.mark.parametrize("density", [0.0, 0.05, 0.6, 1.0])
def test_a_product(precision, way, kind, density):
    rng = np.random.default_rng(1)
    for leading in ((), (3,), (2, 3)):
        p = draw((*leading, 40, 7), density, kind)
        device = xp.asarray(p) if kind is bool else xp.asarray(p, dtype=precision)
        for axes in {leading, leading[1:], ()}:
            for transpose in (False, True):
                M = rng.standard_normal((*axes, 40 if transpose else 7, 9)).astype(precision)
                close(xp.spike_product(device, xp.asarray(M), transpose), p, M, transpose)


@hypothesis.given(data=st.data(), leading=st.lists(st.integers(1, 3), max_size=2), transpose=st.booleans())
@pytest.mark.parametrize("way_", WAYS)
def test_any_spikes(way_, data, leading, transpose):
    rows, n, m = (data.draw(st.integers(low, 6)) for low in (0, 1, 1))
    p = data.draw(hnp.arrays(bool, (*leading, rows, n)))
    M = np.random.default_rng(2).standard_normal((*leading, rows if transpose else n, m)).astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in WAYS[way_].items():
            patch.setattr(spikes, name, value)
        close(xp.spike_product(p, M, transpose), p, M, transpose)
        if not transpose and rows:
            times = xp.spike_multiplier(M, p.shape)
            for z in (p, ~p, p):
                close(times(z), z, M)


@pytest.mark.parametrize("leading", [(), (3,)])
def test_a_view_of_a_longer_sequence(backend, way, leading):
    """As the networks hand it over: some steps of all."""
    p, M = draw((*leading, 30, 4, 7), 0.2), np.random.default_rng(3).standard_normal((*leading, 7, 9))
    part = xp.asarray(p)[..., 5:9, :, :]
    rows = part.reshape(*leading, -1, 7)
    close(xp.spike_product(rows, xp.asarray(M)), p[..., 5:9, :, :].reshape(*leading, -1, 7), M)
    times = xp.spike_multiplier(xp.asarray(M), (*leading, 4, 7))
    close(times(xp.asarray(p)[..., 5, :, :]), p[..., 5, :, :], M)


@pytest.mark.parametrize("kind", [bool, float])
@pytest.mark.parametrize("axes", [(3,), ()])
def test_a_multiplier_forgets_what_it_multiplied(precision, way, kind, axes):
    rng = np.random.default_rng(4)
    W = rng.standard_normal((*axes, 7, 9)).astype(precision)
    times = xp.spike_multiplier(xp.asarray(W), (3, 5, 7))
    for seed, density in enumerate((0.1, 1.0, 0.0, 0.3)):
        z = draw((3, 5, 7), density, kind, seed)
        close(times(xp.asarray(z) if kind is bool else xp.asarray(z, dtype=precision)), z, W)


LARGE = (1000, 40)  # large enough for a sparse product


@pytest.mark.parametrize(
    ("shape", "density", "columns", "sparse"),
    [(LARGE, 0.01, 20, True), (LARGE, 0.5, 20, False), (LARGE, 0.01, 2, False), ((100, 40), 0.01, 20, False)],
    ids=["few spikes", "many spikes", "few columns", "small"],
)
def test_the_product_is_sparse_where_that_pays(monkeypatch, shape, density, columns, sparse):
    found = []
    product = spikes._sparse
    monkeypatch.setattr(spikes, "_sparse", lambda *given: found.append(1) or product(*given))
    rng, p = np.random.default_rng(5), draw(shape, density)
    for transpose in (False, True):
        M = rng.standard_normal((shape[0] if transpose else shape[1], columns)).astype("float32")
        close(xp.spike_product(p, M, transpose), p, M, transpose)
    assert len(found) == 2 * sparse


def test_a_loop_takes_the_sparse_product_where_that_pays(monkeypatch):
    made = []
    refilled = spikes._refilled
    monkeypatch.setattr(spikes, "_refilled", lambda *given: made.append(refilled(*given)) or made[-1])
    W = np.ones((100, 100), "float32")
    xp.spike_multiplier(W, (8, 100))
    assert not made
    times = xp.spike_multiplier(W, (128, 100))
    ((matrix, _, _),) = made
    few, many = (draw((128, 100), density) for density in (0.01, 0.9))
    for z in (few, many):
        close(times(z), z, W)
        assert matrix.nnz == few.sum()  # as the first left it


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_show_where_there_are_no_spikes(way, bad):
    p, W = np.zeros((30, 7), bool), np.ones((7, 9), "float32")
    W[3, 4] = bad
    with np.errstate(invalid="ignore"):
        for product in (xp.spike_product(p, W), xp.spike_multiplier(W, p.shape)(p)):
            assert np.isnan(product[:, 4]).all() and not product[:, :4].any()


@pytest.mark.parametrize(
    ("shape", "transpose"),
    [((6, 9), False), ((7, 9), True), ((2, 7, 9), False), ((7,), False), ((3, 40, 9), True)],
    ids=str,
)
def test_what_does_not_fit(backend, shape, transpose):
    with pytest.raises(PlasticError, match=r"M has shape .*rows, and no other leading axes"):
        xp.spike_product(xp.zeros((40, 7), dtype=bool), xp.zeros(shape), transpose)
    with pytest.raises(PlasticError, match=r"M has shape .*rows, and no other leading axes"):
        xp.spike_product(xp.zeros((1, 40, 7), dtype=bool), xp.zeros((2, *shape)[-3:]), transpose)
