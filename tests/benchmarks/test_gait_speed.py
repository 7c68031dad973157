"""A training step of `plastic.gait` against its floor, at the published size: width 784, four hidden layers, batch 60.

The floor is the work that no implementation can avoid, each product done once into memory that is there already:

    forward      hidden layers in full, the ten outputs that have a target
    backward     BP: one product with W^T per hidden layer. TP, GAIT: one LU factorisation and one solve
    gradients    one product per layer
    regulariser  W W^T, a symmetric product to BLAS, in float64 for lambda = 1000; and its product with W
    Adam         one read and one write of each parameter and moment, one square root and one division per parameter

It is a floor of NumPy's calls, which compiled code may pass below. Where JAX and PyTorch are installed (the extra
`peers`) they do the same work in the same run: JAX the equations of `rules`, compiled into one program; PyTorch
backpropagation by automatic differentiation, with its fused Adam. A peer is added by a function that makes one step and
returns when it is done, here `jax_step` and `torch_twins.gait`, by a line in `peers`, and by a test that it finds the
same gradients.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import tracemalloc

import numpy as np
import pytest
import timing
import torch_twins
from scipy.linalg import get_lapack_funcs

from plastic import gait, parameters
from plastic.gait import regulariser
from plastic.gait.network import LEAK
from plastic.optimizers import Adam

WIDTH, HIDDEN, BATCH, CLASSES = 784, 4, 60, 10
CASES = [("bp", 0.0), ("tp", 0.0), ("gait", 0.0), ("gait", 0.1), ("tp", 1000.0)]


def make_batch():
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, WIDTH), dtype=np.float32)
    return x, np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, BATCH)]


def make_network():
    return gait.square((WIDTH,) * (HIDDEN + 2), np.random.default_rng(1))


def make_step(rule, strength):
    """A network after some steps (Adam's moments filled), and the function that makes one more step."""
    (x, y), network = make_batch(), make_network()
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
                square[...] = square64
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


def jax_step(rule, strength, gamma=1e-3):
    """Return a function that makes a step in JAX, float32 throughout, and returns the gradients without regulariser."""
    jax = timing.peer("jax")
    jnp, linalg = jax.numpy, jax.scipy.linalg

    def send(k, W, a, d, e):
        if rule == "bp":
            return (d * e) @ W[:, : e.shape[1]].T
        sigma, c = jnp.where(a >= 0, 1, -1), 1 / LEAK - 1
        if rule == "tp":
            g = e / d + c * jnp.maximum(sigma * (e - a), 0)
        else:
            g = d * e + c * jnp.maximum(sigma * d * d * e - jnp.abs(a) / gamma ** (k + 1), 0)
        g = jnp.pad(g, ((0, 0), (0, len(W) - g.shape[1])))
        return linalg.lu_solve(linalg.lu_factor(W.T), g.T).T

    def gradients(layers, x, y):
        *hidden, last = layers
        activities = [x]
        for W, b in [*hidden, [each[:, :CLASSES] for each in last]]:
            z = activities[-1] @ W + b
            activities.append(jnp.where(z >= 0, z, LEAK * z))
        found, e = [], activities[-1] - y
        for k, (W, _) in enumerate(reversed(layers)):
            a, below = activities[-1 - k], activities[-2 - k]
            d = jnp.where(a >= 0, 1, LEAK)
            delta = d * e / BATCH
            rest = ((0, 0), (0, len(W) - delta.shape[1]))
            found.append([jnp.pad(each, rest) for each in (below.T @ delta, delta.sum(0, keepdims=True))])
            if k < len(layers) - 1:
                e = send(k, W, a, d, e)
        return found[::-1]

    def penalised(W, grad):
        R = W @ W.T
        return grad + 4 * strength * (R - jnp.diag(jnp.diag(R))) @ W

    def adam(p, g, m, v):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        return p - 1e-5 * m / (jnp.sqrt(v) + 1e-8), m, v

    def update(p, m, v, x, y):
        grads = gradients(p, x, y)
        wanted = [[penalised(W, dW), db] for (W, _), (dW, db) in zip(p, grads, strict=True)] if strength else grads
        moved = jax.tree.map(adam, p, wanted, m, v)
        p, m, v = jax.tree.transpose(jax.tree.structure(p), jax.tree.structure((0, 0, 0)), moved)
        return (p, m, v), grads

    (x, y), network = make_batch(), make_network()
    layers = [[jnp.asarray(layer.W), jnp.asarray(layer.b)] for layer in network.layers]
    held = [layers, *(jax.tree.map(jnp.zeros_like, layers) for _ in range(2))]
    compiled = jax.jit(update, donate_argnums=(0, 1, 2))

    def step():
        held[:], grads = compiled(*held, x, y)
        return jax.block_until_ready(grads)

    return step


def peers(rule, strength):
    """Return {name: a step} of the peers that are installed and do this work."""
    (x, y), found = make_batch(), {}
    if timing.peer("jax") and strength <= regulariser.PRECISE_ABOVE:
        found["JAX"] = jax_step(rule, strength)
    if torch_twins.torch and not strength:
        found["PyTorch"] = torch_twins.gait(make_network(), x, y, "cpu", rule)
    return found


def operations(rule, strength):
    """Return the floating-point operations in the products, factorisations and solves of a step."""
    full = 2 * BATCH * WIDTH**2
    count = (2 * HIDDEN + HIDDEN - 1) * full if rule == "bp" else 3 * HIDDEN * full + HIDDEN * 2 * WIDTH**3 / 3
    return count + (3 * WIDTH**3 * (HIDDEN + 1) if strength else 0)


@pytest.mark.parametrize(("rule", "strength"), CASES)
def test_step(benchmark, rule, strength):
    _, _, step = make_step(rule, strength)
    work = {"peers": peers(rule, strength), "flops": operations(rule, strength)}
    timing.compare(benchmark, f"{rule}, lambda {strength:g}", step, make_floor(rule, strength), **work)


@pytest.mark.parametrize(("rule", "strength"), CASES)
def test_peers_find_the_same_gradients(rule, strength):
    (x, y), network = make_batch(), make_network()
    ours = [leaf for _, leaf in parameters.leaves(gait.RULES[rule](network, x, y)[0])]
    found = peers(rule, strength)
    if not found:
        pytest.skip("neither JAX nor PyTorch is installed, or neither does this work")
    for step in found.values():
        theirs = [np.asarray(each) for layer in step() for each in (layer if isinstance(layer, list) else [layer])]
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-4 * np.abs(a).max())


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
