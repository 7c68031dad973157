"""e-prop on a batch of evidence accumulation, 100 neurons, 2250 ms, beside a NumPy floor and twins in JAX and PyTorch.

The floor of the gradient is the work that array calls cannot avoid in a sweep back in time: in every step the two
recursions, for the membrane and for the adaptation, a product and a sum each, of which the pseudo-derivatives are read
and mu is written; BPTT has one product of matrices more. That of the simulation is two recursions in every step, a
comparison, and the dense product of the spikes with the recurrent weights. Products over batch and time have no floor:
they cost what the spikes are.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time, but about memory there is.
"""

import functools
import tracemalloc

import numpy as np
import pytest
import timing
import torch_twins
import twin_eprop

from plastic.eprop import bptt_gradients, eprop_gradients, inputs, lsnn, online_gradients, predict, signals, simulate

N_IN, N = 40, 100
WINDOW, RATE = 150, 0.01
BATCHES = pytest.mark.parametrize("batch", [32, 64])


def make(batch):
    """A network as evidence accumulation has it, and a batch of trials."""
    rng = np.random.default_rng(0)
    stimuli = inputs.evidence(rng, batch)
    return lsnn((N_IN, N, 2), rng), stimuli


def gradient(rule, network, stimuli, record):
    _, err = signals.classification(record.output, stimuli.labels, WINDOW)
    _, R = signals.rate_penalty(record.z, RATE, 1.0)
    return rule(network, record, err, R)


def twin(network, stimuli):
    """JAX's simulation, gradient and iteration as functions without arguments, or nothing where it is not installed.

    They compute what ours do: the same spikes, and gradients equal to a thousandth of their largest entry.
    """
    if twin_eprop.jax is None:
        return {}
    forward, backward, both = twin_eprop.make(network, WINDOW, RATE)
    weights = twin_eprop.weights_of(network)
    x, labels = (twin_eprop.jax.numpy.asarray(each) for each in (stimuli.x, stimuli.labels))
    histories, record = forward(weights, x), simulate(network, stimuli.x)
    assert np.mean(np.asarray(histories[0]) != record.z) < 1e-4  # a near tie, which rounding decides, has consequences
    found = backward(weights, x, record.z, record.psi, record.output, labels)
    for name, theirs in zip(("W_in", "W_rec", "W_out"), found, strict=True):
        ours = gradient(eprop_gradients, network, stimuli, record)[name]
        assert np.abs(ours - np.asarray(theirs)).max() < 1e-3 * np.abs(ours).max()
    calls = {
        "simulation": functools.partial(forward, weights, x),
        "gradient": functools.partial(backward, weights, x, *histories, labels),
        "iteration": functools.partial(both, weights, x, labels),
    }
    return {name: {"JAX": lambda call=call: twin_eprop.jax.block_until_ready(call())} for name, call in calls.items()}


def sweep_floor(record, recurrent):
    T, batch, n = record.psi.shape
    psi, mu = record.psi, np.zeros_like(record.psi)
    m, P, W = (np.zeros(shape, np.float32) for shape in ((batch, n), (batch, n), (n, n)))
    alpha, rho = np.array(0.95, np.float32), np.array(0.999, np.float32)

    def floor():
        for t in reversed(range(T)):
            if recurrent:
                np.matmul(m, W, out=P)
            np.multiply(m, alpha, out=m)
            np.add(m, psi[t], out=m)
            np.multiply(P, rho, out=P)
            np.add(P, m, out=P)
            mu[t] = m

    return floor


def simulation_floor(record):
    T, batch, n = record.z.shape
    v, a, W = (np.zeros(shape, np.float32) for shape in ((batch, n), (batch, n), (n, n)))
    z, received, spikes = np.zeros((batch, n), np.float32), np.zeros((batch, n), np.float32), np.empty((batch, n), bool)
    alpha, rho = np.array(0.95, np.float32), np.array(0.999, np.float32)

    def floor():
        for _ in range(T):
            np.matmul(z, W, out=received)
            np.multiply(v, alpha, out=v)
            np.add(v, received, out=v)
            np.multiply(a, rho, out=a)
            np.add(a, z, out=a)
            np.greater(v, a, out=spikes)

    return floor


@BATCHES
def test_gradient(benchmark, batch):
    network, stimuli = make(batch)
    record, peers = simulate(network, stimuli.x), twin(network, stimuli).get("gradient")
    ours = functools.partial(gradient, eprop_gradients, network, stimuli, record)
    timing.compare(benchmark, f"gradient of e-prop, batch {batch}", ours, sweep_floor(record, False), peers=peers)


@BATCHES
def test_gradient_of_bptt(benchmark, batch):
    network, stimuli = make(batch)
    record = simulate(network, stimuli.x)
    ours = functools.partial(gradient, bptt_gradients, network, stimuli, record)
    timing.compare(benchmark, f"gradient of BPTT, batch {batch}", ours, sweep_floor(record, True), rounds=7)


@BATCHES
def test_simulation(benchmark, batch):
    network, stimuli = make(batch)
    ours = functools.partial(simulate, network, stimuli.x)
    floor, peers = simulation_floor(ours()), twin(network, stimuli).get("simulation")
    timing.compare(benchmark, f"simulation, batch {batch}", ours, floor, peers=peers)


@BATCHES
def test_prediction(benchmark, batch):
    """The simulation that keeps no more than the output, as an evaluation needs it."""
    network, stimuli = make(batch)
    ours = functools.partial(predict, network, stimuli.x)
    floor = simulation_floor(simulate(network, stimuli.x))
    timing.compare(benchmark, f"prediction, batch {batch}", ours, floor, rounds=7)


@BATCHES
def test_iteration(benchmark, batch):
    """A training iteration: simulation and gradient, written over the record of the one before; PyTorch's has Adam."""
    network, stimuli = make(batch)
    record = simulate(network, stimuli.x)

    def ours():
        gradient(eprop_gradients, network, stimuli, simulate(network, stimuli.x, out=record))

    peers = twin(network, stimuli).get("iteration", {})
    if torch_twins.torch is not None:
        constants = {"window": WINDOW, "target": RATE, "strength": 1.0}
        peers["PyTorch"] = torch_twins.eprop(network, stimuli.x, stimuli.labels, "cpu", **constants)
    timing.compare(benchmark, f"iteration of e-prop, batch {batch}", ours, peers=peers, rounds=7)


def test_online_against_adjoint(benchmark):
    """The online form over the first 100 ms only, which is plenty, against the sweep over the same."""
    network, stimuli = make(64)
    short = inputs.Stimuli(stimuli.x[:100], stimuli.cues, stimuli.labels, WINDOW)
    record = simulate(network, short.x)
    err = np.full(record.output.shape, 1e-3, np.float32)

    def online():
        online_gradients(network, record, err)

    def adjoint():
        eprop_gradients(network, record, err)

    timing.compare(benchmark, "online, against the sweep back in time", online, adjoint, rounds=3)


def test_memory():
    """Simulation and gradient hold fewer than 2 arrays of batch x time x neurons at their peak."""
    network, stimuli = make(64)
    gradient(eprop_gradients, network, stimuli, simulate(network, stimuli.x))
    tracemalloc.start()
    gradient(eprop_gradients, network, stimuli, simulate(network, stimuli.x))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"\npeak memory {peak / (4 * 64 * len(stimuli.x) * N):.2f} arrays of batch x time x neurons")
    assert peak < 2 * 4 * 64 * len(stimuli.x) * N
