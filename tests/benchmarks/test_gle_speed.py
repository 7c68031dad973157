"""Steps of GLE: MNIST-1D with 100 sequences, the lag line, and gradients of whole sequences.

Each is timed beside two others in the same run. The *NumPy floor* is what array calls at these shapes take, each
written by hand into buffers; it is no lower bound, as compiled code merges passes that are apart there. Inside it are

    MNIST-1D    for each layer the products that make its input, its error for the layer below and its gradient, none of
                them transposed; the tanh of the hidden layers and the exponentials of the output; one pass each over
                the parameters and their two moments, the membrane potentials and the low-passed errors
    lag line    all equations of teacher, student and Adam, one array operation after another

and not the bias, slopes, prospective errors and potentials, the copies that make operands contiguous, and the other
seven passes of Adam. The peer is JAX, the same equations by hand and compiled (twin_gle.py), where it is installed.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time; that the twins compute the same is.
"""

import itertools

import numpy as np
import pytest
import timing

from plastic import gle, parameters
from plastic.functions import softmax
from plastic.gle import lagline_student
from plastic.gle.experiments import mnist1d
from plastic.gle.networks import uniform_layers
from plastic.optimizers import Adam

BATCH, STEPS, WINDOW = 100, 36, 72
jax = timing.peer("jax")
if jax:
    import twin_gle


def make(architecture):
    """A network, sequences x and one-hot rows y for it."""
    rng = np.random.default_rng(0)
    net = mnist1d.network(architecture, uniform_layers(rng, mnist1d.sizes(architecture)))
    x = rng.standard_normal((STEPS, BATCH, net.sizes[0]), dtype=np.float32)
    return net, x, np.eye(10, dtype=np.float32)[:, rng.integers(10, size=BATCH)].T


def learner(net, x, y):
    """A function that takes some steps of training from where it is; it returns the last output."""
    state, grads, adam = gle.State(net, BATCH), parameters.zeros_like(net.parameters), Adam(1e-3)
    moments = adam.init(net.parameters)

    def learn():
        for t in range(STEPS):
            _, output = gle.step(net, state, x[t], softmax(state.output) - y, out=grads)
            adam.step(net.parameters, grads, moments)
        return output

    return learn


def make_floor(net):
    def zeros(*shape):
        return np.zeros(shape, np.float32)

    sizes, pairs = net.sizes, list(itertools.pairwise(net.sizes))
    W, up, dW = (
        [zeros(*pair) for pair in pairs],
        [zeros(*pair[::-1]) for pair in pairs],
        [zeros(*pair) for pair in pairs],
    )
    r, e, right = [zeros(n, BATCH) for n in sizes], [zeros(n, BATCH) for n in sizes], [zeros(BATCH, n) for n in sizes]
    hidden, outputs = zeros(sum(sizes[2:-1]) if len(sizes) > 4 else sum(sizes[1:-1]), BATCH), zeros(sizes[-1], BATCH)
    passes = [zeros(net.parameters.flat.shape[-1]) for _ in range(3)]
    if net.memory != "none":
        passes += [zeros(sum(sizes[1:]), BATCH) for _ in range(2)]

    def floor():
        for _ in range(STEPS):
            for k in range(len(W)):
                np.matmul(up[k], r[k], out=r[k + 1])
                np.matmul(r[k], right[k + 1], out=dW[k])
                if k > 0:
                    np.matmul(W[k], e[k + 1], out=e[k])
            np.tanh(hidden, out=hidden)
            np.exp(outputs, out=outputs)
            np.subtract(outputs, outputs, out=outputs)
            for each in passes:
                np.multiply(each, 0.9, out=each)

    return floor


def flops(net, steps):
    """Operations in the products of some steps: input and gradient of each layer, and the errors but for the first."""
    each = [2 * BATCH * a * b for a, b in itertools.pairwise(net.sizes)]
    return steps * (3 * sum(each) - each[0])


@pytest.mark.parametrize("architecture", ["plastic_e2e", "plastic_e2e_42k", "static_lagnet"])
def test_mnist1d(benchmark, architecture):
    net, x, y = make(architecture)
    learn, peers = learner(net, x, y), {}
    if jax:
        twin, start = twin_gle.learner(net, y)
        np.testing.assert_allclose(twin(start, x)[1][-1], learn(), rtol=0, atol=1e-4)
        peers = {"JAX": lambda: jax.block_until_ready(twin(start, x))}
    name = f"{architecture}, {STEPS} steps"
    timing.compare(benchmark, name, learn, make_floor(net), peers=peers, flops=flops(net, STEPS))


@pytest.mark.parametrize("rule", ["bptt", "adjoint"])
def test_gradients_of_sequences(benchmark, rule):
    net, _, _ = make("plastic_e2e")
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((WINDOW, BATCH, n), dtype=np.float32) for n in (1, 10))
    out, peers = parameters.zeros_like(net.parameters), {}
    if jax:
        twin = twin_gle.gradient(net)
        theta = [layer.W for layer in net.layers], [layer.b[0] for layer in net.layers]
        for found, layer in zip(twin(theta, x, y)[0], gle.bptt(net, x, y)[0].layers, strict=True):
            np.testing.assert_allclose(found, layer.W, rtol=0, atol=1e-4 * np.abs(layer.W).max())
        peers = {"JAX bptt": lambda: jax.block_until_ready(twin(theta, x, y))}
    work = flops(net, WINDOW)
    timing.compare(
        benchmark, f"{rule}, {WINDOW} steps", lambda: gle.RULES[rule](net, x, y, out=out), peers=peers, flops=work
    )


START = (0.4, 0.6, 0.5, 0.9)


def make_lag_line_floor(x, dt=0.01, beta=0.01, lr=1e-4):
    """Teacher and student side by side, rows of samples: the equations of one step, in buffers."""
    tau_r, tau, w = 0.1, np.ones((2, 2, 1), np.float32), np.ones((2, 2, 1), np.float32)  # net, neuron
    u, r, v, q, E, ahead, below, du, above, change = (np.zeros((2, 2, BATCH), np.float32) for _ in range(10))
    theta, gradient, M, V, step = (np.zeros(4, np.float32) for _ in range(5))
    mean = np.full((BATCH, 1), -1 / BATCH, np.float32)

    def floor():
        for x_t in x[..., 0]:
            np.subtract(r[0, 1], r[1, 1], out=E[1, 1])
            np.multiply(E[1, 1], beta, out=E[1, 1])
            np.multiply(E, q, out=ahead)
            np.subtract(ahead, v, out=change)
            np.multiply(change, dt / tau_r, out=change)
            np.multiply(change, tau / dt, out=ahead)
            np.add(ahead, v, out=ahead)
            np.add(v, change, out=v)
            np.multiply(ahead[:, 1], w[:, 1], out=E[:, 0])
            below[:, 0], below[:, 1] = x_t, r[:, 0]
            np.multiply(below, w, out=above)
            np.add(above, ahead, out=above)
            np.subtract(above, u, out=du)
            np.multiply(du, dt / tau, out=du)
            np.multiply(du, tau_r / dt, out=above)
            np.add(above, u, out=above)
            np.add(u, du, out=u)
            np.multiply(ahead, below, out=below)
            np.multiply(ahead, du, out=du)
            gradient[:2], gradient[2:] = (below[1] @ mean)[:, 0], (du[1] @ mean)[:, 0]
            np.abs(above, out=r)
            np.multiply(r, -1, out=r)
            np.exp(r, out=r)
            np.log1p(r, out=r)
            np.maximum(above, 0, out=above)
            np.add(r, above, out=r)
            np.multiply(r, -1, out=q)
            np.expm1(q, out=q)
            np.multiply(q, -1, out=q)
            np.multiply(M, 0.9, out=M)
            np.add(M, gradient, out=M)
            np.multiply(V, 0.999, out=V)
            np.multiply(gradient, gradient, out=step)
            np.add(V, step, out=V)
            np.sqrt(V, out=step)
            np.add(step, 1e-8, out=step)
            np.divide(M, step, out=step)
            np.multiply(step, lr, out=step)
            np.subtract(theta, step, out=theta)
            np.maximum(tau[1], 10 * dt, out=tau[1])

    return floor


@pytest.mark.parametrize("model", ["gle", "bptt_tw4"])
def test_lag_line(benchmark, model):
    steps, peers = 800, {}
    rng = np.random.default_rng(0)
    window = round(lagline_student.WINDOWS.get(model, 0) / 0.01)
    learner = lagline_student.Student(model == "gle", window, START, 1, BATCH, 0.01, 0.01, 1e-4)
    x = rng.standard_normal((steps, BATCH, 1), dtype=np.float32)
    begun = [0]

    def path():
        for x_t in x:
            learner.step(begun[0], x_t)
            begun[0] += 1

    if jax and model == "gle":
        twin, start = twin_gle.lag_line(START, BATCH)
        _assert_twin_of_the_lag_line(twin, start, x)
        peers = {"JAX": lambda: jax.block_until_ready(twin(start, x[..., 0]))}
    timing.compare(benchmark, f"lag line, {model}, {steps} steps", path, make_lag_line_floor(x), peers=peers)


def _assert_twin_of_the_lag_line(twin, start, x):
    """A student that learns from the beginning is that of the twin."""
    student = lagline_student.Student(True, 0, START, -1, BATCH, 0.01, 0.01, 1e-4)
    d = np.stack([student.step(s, x_t)[1][:, 0] for s, x_t in enumerate(x, start=1)])
    np.testing.assert_allclose(twin(start, x[..., 0])[1], d, rtol=0, atol=1e-4)
