"""The gradient of e-prop on one batch of evidence accumulation against its floor: 64 trials of 2250 ms, 100 neurons.

The floor is the work that no implementation of the sweep back in time can avoid: the products that give the gradients
of W_in, W_rec and W_out over batch and time, from spikes that have to become numbers first; one read of the
pseudo-derivatives and one write of mu; and in every step the two recursions, for the membrane and for the adaptation,
a product and a sum each. BPTT has one product of matrices more in every step.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time, but about memory there is.
"""

import time
import tracemalloc

import numpy as np
import pytest
import timing

from plastic.eprop import bptt_gradients, eprop_gradients, inputs, lsnn, online_gradients, signals, simulate

BATCH, N_IN, N = 64, 40, 100
WINDOW = 150


def make():
    """A network as evidence accumulation has it, and a batch of trials."""
    rng = np.random.default_rng(0)
    stimuli = inputs.evidence(rng, BATCH)
    return lsnn((N_IN, N, 2), rng), stimuli


def gradient(rule, network, stimuli, record):
    _, err = signals.classification(record.output, stimuli.labels, WINDOW)
    _, R = signals.rate_penalty(record.z, 0.01, 1.0)
    return rule(network, record, err, R)


def make_floor(record, stimuli, recurrent):
    T = len(record.z)
    psi, mu = record.psi, np.zeros_like(record.psi)
    x, z = np.empty((T * BATCH, N_IN), np.float32), np.empty((T * BATCH, N), np.float32)
    lam = np.zeros((T * BATCH, 2), np.float32)
    m, P, W = (np.zeros(shape, np.float32) for shape in ((BATCH, N), (BATCH, N), (N, N)))

    def floor():
        for t in reversed(range(T)):
            if recurrent:
                np.matmul(m, W.T, out=P)
            np.multiply(m, 0.95, out=m)
            np.add(m, psi[t], out=m)
            np.multiply(P, 0.99, out=P)
            np.add(P, m, out=P)
            mu[t] = m
        x[...] = stimuli.x.reshape(x.shape)
        z[...] = record.z.reshape(z.shape)
        rows = mu.reshape(-1, N)
        x.T @ rows, z.T @ rows, z.T @ lam

    return floor


@pytest.mark.parametrize(
    ("name", "rule"), [("eprop", eprop_gradients), ("bptt", bptt_gradients)], ids=["eprop", "bptt"]
)
def test_gradient(benchmark, name, rule):
    network, stimuli = make()
    record = simulate(network, stimuli.x)
    floor = make_floor(record, stimuli, recurrent=name == "bptt")
    timing.compare(benchmark, f"gradient, {name}", lambda: gradient(rule, network, stimuli, record), floor, rounds=7)


def test_simulation_and_gradient(benchmark):
    """How long a training iteration takes, without the optimizer; and how many times longer the online form takes."""
    network, stimuli = make()

    def iteration():
        gradient(eprop_gradients, network, stimuli, simulate(network, stimuli.x))

    def simulation():
        simulate(network, stimuli.x)

    timing.compare(benchmark, "simulation and gradient, against the simulation alone", iteration, simulation, rounds=7)


def test_online_against_adjoint(benchmark):
    """The online form over the first 100 ms only, which is plenty, against the sweep over the same."""
    network, stimuli = make()
    short = inputs.Stimuli(stimuli.x[:100], stimuli.cues, stimuli.labels, WINDOW)
    record = simulate(network, short.x)
    err = np.full(record.output.shape, 1e-3, np.float32)

    def online():
        online_gradients(network, record, err)

    def adjoint():
        eprop_gradients(network, record, err)

    timing.compare(benchmark, "online, against the sweep back in time", online, adjoint, rounds=3)


def test_memory():
    """Simulation and gradient hold fewer than 8 arrays of batch x time x neurons at their peak."""
    network, stimuli = make()
    tracemalloc.start()
    start = time.perf_counter()
    gradient(eprop_gradients, network, stimuli, simulate(network, stimuli.x))
    print(f"\nsimulation and gradient {time.perf_counter() - start:.2f} s (memory being traced)")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"peak memory {peak / (4 * BATCH * len(stimuli.x) * N):.2f} arrays of batch x time x neurons")
    assert peak < 8 * 4 * BATCH * len(stimuli.x) * N
