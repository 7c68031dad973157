"""Published losses of NEST's tests of e-prop, and of the code they were made with (optional files eprop_nest_*.npz).

All draws come from one legacy stream of seed 1, in the order in which they stand here; weights are rounded to float32.
"""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from plastic.eprop import Neurons, SpikingNetwork, decay, eprop_gradients, signals, simulate

PERIODS = (1000, 500, 333, 200)


def check(numbers):
    """Run the checks of the one or the other file."""
    (check_regression if "loss_nest" in numbers else check_classification)(numbers)


def check_regression(numbers):
    """Pattern generation: 100 LIF neurons, one output, random feedback, plain gradient descent."""
    draw, T, n = np.random.RandomState(1), 1000, 100
    W_in, W_rec, W_out, B = (_rounded(draw.randn(n, m) / 10) for m in (n, n, 1, 1))
    x = draw.rand(T, n) < 0.05
    x[0] = False
    target = _target(draw.uniform(0.5, 2, 4), draw.uniform(0, 2 * np.pi, 4), T)
    alpha = decay(30)
    neurons = Neurons(alpha, 0.03, gain=1 - alpha)
    network = SpikingNetwork(W_in, W_rec, W_out, neurons, alpha, 1 - alpha)
    x, target, losses = x[:, None], target[:, None, None], []
    for k in range(len(numbers["loss_tf"])):
        record = simulate(network, x)
        loss, err = (T * each for each in signals.regression(record.output, target))  # published: a sum over time
        penalty, R = signals.rate_penalty(record.z, 0.01, 150.0)  # R_j = 300 (av_j - f0) / T
        grads = eprop_gradients(network, record, err, R, feedback=B)
        losses.append(loss)
        assert_allclose(loss, numbers["loss_rebuild"][k], rtol=1e-9)
        assert_allclose(penalty / 300, numbers["loss_reg_rebuild"][k], rtol=1e-9)
        if k == 0:
            assert_allclose(record.output[:, 0].reshape(numbers["out0"].shape), numbers["out0"], rtol=0, atol=1e-12)
            assert record.z.sum() == numbers["rec_spike_count_iter0"].sum()
            for name, found in {
                "g_out0": grads["W_out"],
                "g_rec0_row0": grads["W_rec"][0],
                "g_in0_row0": grads["W_in"][0],
            }.items():
                expected = numbers[name]
                assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=1e-10 * np.abs(expected).max())
        _descend(network, grads, 1e-4)
    assert_allclose(losses, numbers["loss_nest"], rtol=1e-8)
    assert_allclose(losses, numbers["loss_tf"], rtol=1e-6)


def check_classification(numbers):
    """Evidence accumulation: 50 LIF and 50 ALIF neurons, random feedback, Adam, batches of one and of two trials."""
    for batch, published in ((1, (("loss_nest_bs1", 1e-8), ("loss_tf", 1e-6))), (2, (("loss_nest_bs2", 1e-8),))):
        losses, labels = _classification(numbers, batch)
        for name, tolerance in published:
            assert_allclose(losses, numbers[name], rtol=tolerance)
        assert_allclose(losses, numbers[f"loss_rebuild_bs{batch}"], rtol=1e-9)
        assert_array_equal(np.ravel(labels), np.ravel(numbers["labels" if batch == 1 else "labels_bs2"]))


def _classification(numbers, batch):
    draw, T, n, window = np.random.RandomState(1), 2250, 100, 150
    W_in, W_rec = _rounded(draw.randn(40, n) / np.sqrt(40)), _rounded(draw.randn(n, n) / 10)
    limit = np.sqrt(3 / 51)
    W_out, B = _rounded(draw.uniform(-limit, limit, (n, 2))), _rounded(draw.randn(n, 2))
    assert_allclose(W_out, numbers["w_out"])
    assert_allclose(B, numbers["b_fb"])
    batches = [_evidence(draw, batch) for _ in range(len(numbers["loss_tf"]))]
    rho, alpha = decay(2000), decay(20)
    beta = np.concatenate([np.zeros(50), np.full(50, 1.7 * (1 - rho) / (1 - alpha))])
    assert_allclose(beta, numbers["beta"], rtol=1e-12)
    network = SpikingNetwork(W_in, W_rec, W_out, Neurons(alpha, 0.6, rho, beta[None], n_ref=5), alpha, 1 - alpha)
    moments, losses = {}, []
    for k, (x, labels) in enumerate(batches, 1):
        record = simulate(network, x)
        loss, err = signals.classification(record.output, labels, window)
        losses.append(loss)
        rates = record.z.mean(axis=0)  # there, every trial is regularised by its own rate
        R = np.broadcast_to(300 * (rates - 0.01) / (T * window * batch), record.z.shape)
        grads = eprop_gradients(network, record, err, R, feedback=B)
        if batch == 1 and k == 1:
            expected = numbers["g_out0"]
            assert_allclose(grads["W_out"], expected, rtol=0, atol=1e-10 * np.abs(expected).max())
        _adam(network, grads, moments, k)
    return losses, [labels for _, labels in batches]


def _evidence(draw, batch):
    probabilities = np.array([[0.3, 0.7], [0.7, 0.3]], dtype=np.float32)
    group = draw.choice([0, 1], batch)
    cues = np.array([draw.choice([0, 1], 7, p=probabilities[which]) for which in group])
    p = np.zeros((batch, 2250, 40))
    p[:, :, 30:] = 0.01
    p[:, -150:, 20:30] = 0.04
    for trial, sequence in enumerate(cues):
        for k, cue in enumerate(sequence):
            p[trial, 50 + 150 * k : 150 + 150 * k, 10 * cue : 10 * cue + 10] = 0.04
    x = p > draw.rand(p.size).reshape(p.shape)
    x[:, 0] = False
    return np.moveaxis(x, 0, 1), (cues.sum(axis=1) > 3).astype(int)


def _target(amplitudes, phases, T):
    waves = [
        amplitude * np.sin(np.linspace(phase, phase + 2 * np.pi * (T // period), T))
        for amplitude, phase, period in zip(amplitudes, phases, PERIODS, strict=True)
    ]
    target = np.sum(waves, axis=0)
    target -= target[0]
    return target / max(np.abs(target).max(), 1e-6)


def _rounded(weights):
    return weights.astype(np.float32).astype(float)


def _descend(network, grads, lr):
    for name in ("W_in", "W_rec", "W_out"):
        getattr(network, name)[...] -= lr * grads[name]


def _adam(network, grads, moments, k):
    rate = 5e-3 * np.sqrt(1 - 0.999**k) / (1 - 0.9**k)
    for name in ("W_in", "W_rec", "W_out"):
        m, v = moments.setdefault(name, (np.zeros_like(grads[name]), np.zeros_like(grads[name])))
        m += 0.1 * (grads[name] - m)
        v += 0.001 * (grads[name] ** 2 - v)
        getattr(network, name)[...] -= rate * m / (np.sqrt(v) + 1e-8)
