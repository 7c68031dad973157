"""A training step of `plastic.ep` on a batch of 20 against its floor and peers, at the published sizes.

    P-1h    784-512-10, prototypical, T 40, K 15          EB-2h   784-512-512-10, energy-based, T 400, K 40
    P-conv  28 x 28, 32 and 64 channels, 10, T 200, K 10

The floor is the work that no implementation can avoid, each piece done into memory that is there already:

    once a batch   the drive (product with the input weights; convolution with its patches, pooling); the weight
                   gradients (products over the batch, for BPTT over time too; for kernels with their patches);
                   one read and one write of each parameter
    every step     the recurrent products (up and down each connection; for convolutions with their patches, maxima over
                   the windows, scattering back) and one pass of the activation over all layers
    BPTT           the recurrent products once more for each step that it goes back

Peers, where they are installed: the same step by hand in JAX (P-1h, EB-2h) or PyTorch (P-conv), with our gradients.
`test_solver` times a step whose relaxations come to rest sooner beside one with the published T and K.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import itertools

import numpy as np
import pytest
import timing
import twin_ep

from plastic import ep, parameters
from plastic.optimizers import SGD

BATCH = 20
CASES = {
    "P-1h": (lambda rng: ep.prototypical((784, 512, 10), rng), 40, 15, 0.1, 15),
    "EB-2h": (lambda rng: ep.energy((784, 512, 512, 10), rng), 400, 40, 0.5, 9),
    "P-conv": (
        lambda rng: ep.convolutional((1, 32, 64), (10,), rng, phi="hardsigm"),
        200,
        10,
        0.4,
        5,
    ),
}
SOLVED = {
    "P-1h": {"T": 20, "K": 7, "solver": "layerwise"},
    "EB-2h": {"T": 60, "K": 30, "solver": "anderson", "tolerance": 1e-5},
    "P-conv": {"tolerance": 1e-5},
}
"""How the phases come to rest sooner, with gradients at least as near to those at rest as the published ones."""
CALLS = {"P-1h": 10}
"""Steps that make a measurement, where they are short."""
RATE = 1e-4


def make_data(case):
    """Return (network, x, y)."""
    rng = np.random.default_rng(0)
    network = CASES[case][0](rng)
    shape = (BATCH, 28, 28, 1) if case == "P-conv" else (BATCH, 784)
    x = rng.random(shape, dtype=np.float32)
    return network, x, np.eye(10, dtype=np.float32)[rng.integers(0, 10, BATCH)]


def make_step(case, rule, **how):
    """Return a function that makes one step of training, and returns the gradients."""
    _, T, K, beta, _ = CASES[case]
    network, x, y = make_data(case)
    tree = network.parameters
    optimizer, work, out = SGD(RATE), ep.Relaxation(network, x), parameters.zeros_like(tree)
    state = optimizer.init(tree)

    def step():
        if rule == "EP":
            grads, _ = ep.eqprop(network, x, y, **{"T": T, "K": K, "beta": beta} | how, work=work, out=out)
        else:
            grads, _ = ep.bptt(network, x, y, T=T, steps=_back(case, K), work=work, out=out)
        optimizer.step(tree, grads, state)
        return grads

    return step


def make_peers(case, rule):
    """Return {name: function} of the peers that do the same work, after a look at their gradients."""
    _, T, K, beta, _ = CASES[case]
    twin = twin_ep.make(*make_data(case), T=T, K=K, beta=beta, lr=RATE) if rule == "EP" else None
    if twin is None:
        return {}
    ours = [leaf for _, leaf in parameters.leaves(make_step(case, rule)())]
    for found, expected in zip(twin(), ours, strict=True):
        assert np.linalg.norm(found - expected) < 1e-2 * np.linalg.norm(expected)
    return {"PyTorch" if case == "P-conv" else "JAX": twin}


def flops(case, rule):
    """Return the operations in the products of a step with the published T and K."""
    _, T, K, _, _ = CASES[case]
    steps, back = (T + K, 0) if rule == "EP" else (T, _back(case, K))
    if case == "P-conv":
        first, weights = 24 * 24 * 25 * 32, 8 * 8 * 25 * 32 * 64 + 1024 * 10
    else:
        first, weights = 784 * 512, 512 * 10 + (512 * 512 if case == "EB-2h" else 0)
    return 2 * BATCH * (2 * first + (2 * (steps + back) + 2 * max(back, 1)) * weights)


def _back(case, K):
    return K if case == "P-conv" else K + 1


def make_floor(case, rule):
    _, T, K, _, _ = CASES[case]
    if case == "P-conv":
        return _convolutional_floor(T, K, rule)
    return _dense_floor((784, 512, 10) if case == "P-1h" else (784, 512, 512, 10), T, K, rule)


def _array(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def _dense_floor(sizes, T, K, rule):
    steps, back = (T + K, 0) if rule == "EP" else (T, K + 1)
    s, a = ([_array(BATCH, n) for n in sizes] for _ in range(2))
    W = [_array(n, m) for n, m in itertools.pairwise(sizes)]
    transposes = [np.ascontiguousarray(each.T) for each in W]
    every, out = _array(BATCH * sum(sizes[1:])), _array(BATCH * sum(sizes[1:]))
    rows = BATCH * 2 * max(back, 1)
    histories, grads = [_array(rows, n) for n in sizes], [np.empty_like(each) for each in W]

    def recur():
        for k in range(1, len(W)):
            np.matmul(s[k], W[k], out=a[k + 1])
            np.matmul(s[k + 1], transposes[k], out=a[k])

    def floor():
        np.matmul(s[0], W[0], out=a[1])
        for each, transpose in zip(W[1:], transposes[1:], strict=True):
            transpose[...] = each.T
        for _ in range(steps):
            recur()
            np.tanh(every, out=out)
        for _ in range(back):
            recur()
        np.matmul(s[0].T, s[1], out=grads[0])
        for k in range(1, len(W)):
            np.matmul(histories[k].T, histories[k + 1], out=grads[k])
        for each in W:
            np.add(each, 0, out=each)

    return floor


def _convolutional_floor(T, K, rule):
    steps, back = (T + K, 0) if rule == "EP" else (T, K)
    first = _Convolution(28, 1, 32)
    second = _Convolution(12, 32, 64)
    vector, output, D = _array(BATCH, 1024), _array(BATCH, 10), _array(1024, 10)
    units = BATCH * (12 * 12 * 32 + 4 * 4 * 64 + 10)
    every, out, lower = _array(units), _array(units), np.empty_like(vector)

    def recur():
        second.up()
        second.down()
        np.matmul(vector, D, out=output)
        np.matmul(output, D.T, out=lower)

    def floor():
        first.up()
        for _ in range(steps):
            recur()
            np.clip(every, 0, 1, out=out)
        for _ in range(back):
            recur()
        first.gradient()
        for _ in range(2 * max(back, 1)):
            second.gradient()
        np.matmul(vector.T, output)
        for each in (first.K, second.K, D):
            np.add(each, 0, out=each)

    return floor


class _Convolution:
    """5 x 5 filters and 2 x 2 pooling: patches, products, maxima over windows, and the way back."""

    def __init__(self, size, n_in, n_out):
        h = size - 4
        self.x = _array(BATCH, size, size, n_in)
        windows = np.lib.stride_tricks.sliding_window_view(self.x, (5, 5), axis=(1, 2))
        self.windows = np.moveaxis(windows, 3, -1)
        self.columns = np.empty((BATCH, h, h, 5, 5, n_in), np.float32)
        self.K, self.z = _array(25 * n_in, n_out), _array(BATCH, h, h, n_out)
        self.matrix, self.pooled = self.columns.reshape(-1, 25 * n_in), _array(BATCH, h // 2, h // 2, n_out)
        self.places = [self.z[:, p::2, q::2] for p in range(2) for q in range(2)]

    def up(self):
        self.columns[...] = self.windows
        np.matmul(self.matrix, self.K, out=self.z.reshape(-1, self.z.shape[-1]))
        self.pooled[...] = self.places[0]
        for place in self.places[1:]:
            np.maximum(self.pooled, place, out=self.pooled)

    def down(self):
        for place in self.places:
            place[...] = self.pooled
        np.matmul(self.z.reshape(-1, self.z.shape[-1]), self.K.T, out=self.matrix)
        h, n_in = self.z.shape[1], self.x.shape[3]
        rows, runs = self.x.reshape(BATCH, self.x.shape[1], -1), self.columns.reshape(BATCH, h, h, 5, 5 * n_in)
        for p in range(5):
            for c in range(h):
                rows[:, p : p + h, c * n_in : (c + 5) * n_in] += runs[:, :, c, p]
        self.x.fill(0.5)  # lest the sums overflow

    def gradient(self):
        for place in self.places:
            place[...] = self.pooled
        self.columns[...] = self.windows
        np.matmul(self.matrix.T, self.z.reshape(-1, self.z.shape[-1]))


@pytest.mark.parametrize("rule", ["EP", "BPTT"])
@pytest.mark.parametrize("case", CASES)
def test_step(benchmark, case, rule):
    ours, floor, peers = make_step(case, rule), make_floor(case, rule), make_peers(case, rule)
    how = {"peers": peers, "flops": flops(case, rule), "rounds": CASES[case][-1], "calls": CALLS.get(case, 1)}
    timing.compare(benchmark, f"{case}, {rule}", ours, floor, **how)


@pytest.mark.parametrize("case", SOLVED)
def test_solver(benchmark, case):
    ours, peers = make_step(case, "EP", **SOLVED[case]), {"published T and K": make_step(case, "EP")}
    words = ", ".join(f"{name} {value}" for name, value in SOLVED[case].items())
    how = {"peers": peers, "rounds": CASES[case][-1], "calls": CALLS.get(case, 1)}
    timing.compare(benchmark, f"{case}, {words}", ours, **how)
