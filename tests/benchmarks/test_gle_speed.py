"""A step of training of GLE against its floor: the networks of MNIST-1D with 100 sequences, and the lag line.

The floor of an MNIST-1D step is the work that no implementation can avoid: for each layer the products that make its
input, its error for the layer below and its gradient; the tanh of the hidden layers and the exponentials of the output;
one read and write of the membrane potentials and of the low-passed errors; and one of each parameter and its moments.
That of the lag line is its equations, written one array operation after another into buffers.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import numpy as np
import pytest
import timing

from plastic import affine, parameters
from plastic.functions import softmax
from plastic.gle import lagline_student
from plastic.gle.dynamics import step
from plastic.gle.experiments import mnist1d
from plastic.gle.networks import uniform_layers
from plastic.gle.state import State
from plastic.optimizers import Adam

BATCH, STEPS = 100, 36


def make(architecture, seeds):
    """A network, and a function that takes some steps of training with it."""
    rng = np.random.default_rng(0)
    drawn = [uniform_layers(rng, mnist1d.sizes(architecture)) for _ in range(seeds)]
    layers = parameters.map(lambda *arrays: np.stack(arrays) if seeds > 1 else arrays[0], *drawn)
    network = mnist1d.network(architecture, layers)
    lead = (seeds,) if seeds > 1 else ()
    x = rng.standard_normal((*lead, STEPS, BATCH, network.sizes[0])).astype(np.float32)
    labels = rng.integers(10, size=(*lead, 1, BATCH))
    y = affine.transposed((labels == np.arange(10)[:, None]).astype(np.float32))
    state, grads, adam = State(network, BATCH), parameters.zeros_like(network.parameters), Adam(1e-3)
    moments = adam.init(network.parameters)

    def path():
        for t in range(STEPS):
            step(network, state, x[..., t, :, :], softmax(state.output) - y, out=grads)
            adam.step(network.parameters, grads, moments)

    return network, path


def make_floor(network, seeds):
    lead = (seeds,) if seeds > 1 else ()

    def zeros(*shape):
        return np.zeros((*lead, *shape), np.float32)

    sizes = network.sizes
    W = [layer.W.copy() for layer in network.layers]
    dW = [np.empty_like(each) for each in W]
    r = [zeros(BATCH, n) for n in sizes]
    e = [zeros(BATCH, n) for n in sizes]
    hidden, outputs = zeros(BATCH, sum(sizes[2:-1]) if len(sizes) > 4 else sum(sizes[1:-1])), zeros(BATCH, sizes[-1])
    passes = [zeros(network.parameters.flat.shape[-1]) for _ in range(3)]
    if network.memory != "none":
        passes += [zeros(BATCH, sum(sizes[1:])) for _ in range(2)]

    def floor():
        for _ in range(STEPS):
            for k in range(len(W)):
                np.matmul(r[k], W[k], out=r[k + 1])
                np.matmul(np.swapaxes(r[k], -1, -2), e[k + 1], out=dW[k])
                if k > 0:
                    np.matmul(e[k + 1], np.swapaxes(W[k], -1, -2), out=e[k])
            np.tanh(hidden, out=hidden)
            np.exp(outputs, out=outputs)
            np.subtract(outputs, outputs, out=outputs)
            for each in passes:
                np.multiply(each, 0.9, out=each)

    return floor


@pytest.mark.parametrize("seeds", [1, 10])
@pytest.mark.parametrize("architecture", ["plastic_e2e", "plastic_e2e_42k", "static_lagnet"])
def test_mnist1d(benchmark, architecture, seeds):
    network, path = make(architecture, seeds)
    timing.compare(benchmark, f"{architecture}, seeds: {seeds}, {STEPS} steps", path, make_floor(network, seeds))


def make_lag_line_floor(x, dt=0.01, beta=0.01, lr=1e-4):
    """Teacher, student by GLE and Adam: the equations of one step, in buffers."""
    w = np.array([[1.0, 2.0], [0.5, 0.9]], np.float32)  # teacher, student
    tau, tau_r = np.array([[1.0, 2.0], [0.4, 0.6]], np.float32), 0.1
    u, r = np.zeros((2, 2, BATCH), np.float32), np.zeros((2, 2, BATCH), np.float32)  # of both; neuron, sample
    v, q, E, e, ahead, current, drive, u_ahead = (np.zeros((2, BATCH), np.float32) for _ in range(8))
    theta, gradient, M, V, change = (np.zeros(4, np.float32) for _ in range(5))
    d = np.zeros(BATCH, np.float32)

    def membranes(net, x_t):
        np.multiply(x_t, w[net, 0], out=current[0])
        np.multiply(r[net, 0], w[net, 1], out=current[1])
        if net == 1:
            np.add(current, ahead, out=current)
        np.subtract(current, u[net], out=drive)
        np.multiply(drive, (tau_r / tau[net])[:, None], out=u_ahead)
        np.add(u_ahead, u[net], out=u_ahead)
        u[net] += drive * (dt / tau[net])[:, None]

    def floor():
        for x_t in x[..., 0]:
            np.subtract(r[0, 1], r[1, 1], out=d)
            membranes(0, x_t)
            np.logaddexp(u_ahead, 0, out=r[0])
            np.multiply(d, beta, out=E[1])
            np.multiply(E, q, out=e)
            np.subtract(e, v, out=drive)
            np.multiply(drive, (tau[1] / tau_r)[:, None], out=ahead)
            np.add(ahead, v, out=ahead)
            v[...] += drive * (dt / tau_r)
            np.multiply(ahead[1], w[1, 1], out=E[0])
            gradient[0] = -np.dot(ahead[0], x_t) / BATCH
            gradient[1] = -np.dot(ahead[1], r[1, 0]) / BATCH
            membranes(1, x_t)
            gradient[2:] = np.sum(ahead * drive, axis=-1) / (BATCH * tau[1])
            np.logaddexp(u_ahead, 0, out=r[1])
            np.negative(r[1], out=q)
            np.expm1(q, out=q)
            np.negative(q, out=q)
            np.multiply(M, 0.9, out=M)
            np.add(M, gradient, out=M)
            np.multiply(V, 0.999, out=V)
            np.multiply(gradient, gradient, out=change)
            np.add(V, change, out=V)
            np.sqrt(V, out=change)
            np.add(change, 1e-8, out=change)
            np.divide(M, change, out=change)
            np.multiply(change, lr, out=change)
            np.subtract(theta, change, out=theta)
            w[1], tau[1] = w[1] + theta[:2], np.maximum(tau[1], 10 * dt)

    return floor


@pytest.mark.parametrize("model", ["gle", "bptt_tw4"])
def test_lag_line(benchmark, model):
    steps = 800
    rng = np.random.default_rng(0)
    window = round(lagline_student.WINDOWS.get(model, 0) / 0.01)
    learner = lagline_student.Student(model == "gle", window, (0.4, 0.6, 0.5, 0.9), 1, BATCH, 0.01, 0.01, 1e-4)
    x = rng.standard_normal((steps, BATCH, 1)).astype(np.float32)
    begun = [0]

    def path():
        for x_t in x:
            learner.step(begun[0], x_t)
            begun[0] += 1

    timing.compare(benchmark, f"lag line, {model}, {steps} steps", path, make_lag_line_floor(x))
