"""A training step of `plastic.gait` against its floor, at the published size: width 784, four hidden layers, batch 60.

The floor is the work that no implementation can avoid, each product done once into memory that is there already:

    forward      hidden layers in full, the ten outputs that have a target
    backward     BP: one product with W^T per hidden layer. TP, GAIT: one LU factorisation and one solve
    gradients    one product per layer
    regulariser  W W^T, a symmetric product to BLAS, in float64 for lambda = 1000; and its product with W
    Adam         one read and one write of each parameter and moment, one square root and one division per parameter

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import tracemalloc

import numpy as np
import pytest
import timing
from scipy.linalg import get_lapack_funcs

from plastic import gait, parameters
from plastic.gait import regulariser
from plastic.optimizers import Adam

WIDTH, HIDDEN, BATCH, CLASSES = 784, 4, 60, 10
CASES = [("bp", 0.0), ("tp", 0.0), ("gait", 0.0), ("gait", 0.1), ("tp", 1000.0)]


def make_step(rule, strength):
    """A network after some steps (Adam's moments filled), and the function that makes one more step."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, WIDTH), dtype=np.float32)
    y = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, BATCH)]
    network = gait.square((WIDTH,) * (HIDDEN + 2), np.random.default_rng(1))
    optimizer = Adam.without_correction(1e-5)
    state, grads = optimizer.init(network.parameters), parameters.zeros_like(network.parameters)

    def step():
        gait.RULES[rule](network, x, y, out=grads)
        if strength:
            regulariser.add_gradient(network.parameters, grads, strength)
        optimizer.step(network.parameters, grads, state)

    return network, state, step


def make_floor(rule, strength):
    rng = np.random.default_rng(0)
    a, e = (rng.random((BATCH, WIDTH), dtype=np.float32) for _ in range(2))
    few = e[:, :CLASSES].copy()
    weights, gradients, first, second = (
        [rng.random((WIDTH, WIDTH), dtype=np.float32) + 10 * np.eye(WIDTH, dtype=np.float32) for _ in range(HIDDEN + 1)]
        for _ in range(4)
    )
    row, column, square = np.empty_like(a), np.empty((BATCH, CLASSES), np.float32), np.empty_like(weights[0])
    double, square64 = weights[0].astype(np.float64), np.empty((WIDTH, WIDTH))
    getrf, getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float32)
    lu, rhs = np.empty((WIDTH, WIDTH), np.float32, order="F"), np.empty((WIDTH, BATCH), np.float32, order="F")

    def products():
        for W, g in zip(weights[:HIDDEN], gradients, strict=False):
            np.matmul(a, W, out=row)
            np.matmul(a.T, e, out=g)
        np.matmul(a, weights[-1][:, :CLASSES], out=column)
        np.matmul(a.T, few, out=gradients[-1][:, :CLASSES])

    def backward():
        if rule == "bp":
            for W in weights[1:HIDDEN]:
                np.matmul(e, W.T, out=row)
            np.matmul(few, weights[-1][:, :CLASSES].T, out=row)
            return
        for W in weights[1:]:
            lu[...], rhs[...] = W.T, e.T
            _, pivots, _ = getrf(lu, overwrite_a=True)
            getrs(lu, pivots, rhs, overwrite_b=True)

    def regularise():
        for W in weights:
            if strength > regulariser.PRECISE_ABOVE:
                np.matmul(double, double.T, out=square64)
            else:
                np.matmul(W, W.T, out=square)
            np.matmul(square, W, out=lu.T)

    def adam():
        for W, m, v in zip(weights, first, second, strict=True):
            for array in (W, m, v):
                np.add(array, 0, out=array)
            np.sqrt(v, out=square)
            np.divide(m, square, out=square)

    def floor():
        products()
        backward()
        if strength:
            regularise()
        adam()

    return floor


@pytest.mark.parametrize(("rule", "strength"), CASES)
def test_step(benchmark, rule, strength):
    _, _, step = make_step(rule, strength)
    timing.compare(benchmark, f"{rule}, lambda {strength:g}", step, make_floor(rule, strength))


@pytest.mark.parametrize(("rule", "strength"), CASES)
def test_memory_of_a_step(rule, strength):
    """At its peak a step holds at most twice the parameters, moments and activities, all of them counted."""
    network, state, step = make_step(rule, strength)
    step()
    needed = sum(leaf.nbytes for _, leaf in parameters.leaves([network.parameters, state]))
    needed += (HIDDEN + 2) * BATCH * WIDTH * 4
    gradients = sum(leaf.nbytes for _, leaf in parameters.leaves(network.parameters))
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert needed + gradients + peak <= 2 * needed
