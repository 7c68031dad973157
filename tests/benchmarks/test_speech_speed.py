"""A training step of the published bidirectional LSNN for speech on 32 utterances, beside a floor and PyTorch.

39 features, 300 LIF and 100 ALIF neurons each way, five steps of 1 ms a frame, 62 outputs, the regulariser of rates,
Adam; utterances of 100 frames, a second, a third of what TIMIT's sentences have. The floor is that of
tests/benchmarks/test_eprop_speed.py, of both directions: the recursions of the simulation and of the sweep back.

Run `pytest tests/benchmarks -s` to see the ratios. Nothing is asserted about time.
"""

import numpy as np
import pytest
import timing
import twin_speech
from test_eprop_speed import simulation_floor, sweep_floor

from plastic import parameters, xp
from plastic.eprop import bidirectional, signals
from plastic.eprop.bidirectional import BidirectionalNetwork
from plastic.eprop.spiking import Neurons, decay
from plastic.optimizers import Adam
from plastic.parameters import Affine

RATES = {"target": 0.01, "strength": 50.0}
RULES = pytest.mark.parametrize("rule", ["eprop", "bptt"])


def make(n_in=39, regular=300, adaptive=100, n_out=62, frames=100, batch=32):
    """A network with the published constants, features and labels of utterances."""
    rng, n = np.random.default_rng(0), regular + adaptive
    alpha, rho = decay(20.0), decay(200.0)
    beta = xp.asarray(np.repeat([0.0, 1.8 * (1 - rho) / (1 - alpha)], [regular, adaptive])[None])
    neurons = Neurons(alpha, 0.01 / (1 - alpha), rho, beta, n_ref=2, unmasked=True)

    def cells():
        W_in, W_rec = (xp.asarray(rng.standard_normal((m, n)) / np.sqrt(m)) for m in (n_in, n))
        return bidirectional.cells(neurons, W_in=W_in, W_rec=W_rec)

    readout = Affine(xp.asarray(rng.standard_normal((2 * n, n_out)) / np.sqrt(2 * n)), xp.zeros((1, n_out)))
    net = BidirectionalNetwork([(cells(), cells())], readout, steps=5, kappa=decay(3.0))
    x = xp.asarray(0.3 * rng.standard_normal((frames, batch, n_in)))
    return net, x, xp.asarray(rng.integers(0, n_out, (frames, batch)))


def gradients(net, x, labels, rule):
    """Return the gradients of a rule, and the record of the simulation."""
    record = bidirectional.simulate(net, x)
    _, err = signals.framewise(record.output, labels)
    R = [tuple(signals.rate_penalty(z, **RATES)[1] for z in pair) for pair in record.spikes]
    return getattr(bidirectional, rule)(net, record, err, R), record


@RULES
def test_the_twin_finds_the_same_gradients(rule):
    if twin_speech.torch is None:
        pytest.skip("there is no PyTorch")
    xp.use(dtype="float64")
    net, x, labels = make(5, 8, 6, 4, frames=12, batch=3)
    ours, record = gradients(net, x, labels, rule)
    assert all(0.02 < z.mean() < 0.5 for z in record.spikes[0])
    twin = twin_speech.make(net, x, labels, rule, **RATES)
    for (path, each), theirs in zip(parameters.leaves(ours), twin(), strict=True):
        np.testing.assert_allclose(theirs.numpy(), each, rtol=0, atol=1e-10 * np.abs(each).max(), err_msg=path)


@RULES
def test_step(benchmark, rule):
    net, x, labels = make()
    optimizer = Adam(0.01)
    moments = optimizer.init(net.parameters)
    twin = twin_speech.make(net, x, labels, rule, **RATES)
    pairs = gradients(net, x, labels, rule)[1].layers[0]
    parts = [part for record in pairs for part in (simulation_floor(record), sweep_floor(record, rule == "bptt"))]

    def ours():
        optimizer.step(net.parameters, gradients(net, x, labels, rule)[0], moments)

    def floor():
        for part in parts:
            part()

    peers = {} if twin is None else {"PyTorch": twin}
    timing.compare(benchmark, f"bidirectional LSNN, {rule}, 32 utterances", ours, floor, peers=peers, rounds=5)
