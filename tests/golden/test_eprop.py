"""e-prop against numbers of the published code, in float64 (their format: README.md beside this file).

Sequences in the files are (batch, T, n), ours (T, batch, n). Every size and constant that a file holds comes from it.
"""

import dataclasses
import functools

import eprop_inputs
import eprop_lstm
import eprop_nest
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_xp_spikes import WAYS

from plastic import xp
from plastic.eprop import (
    Neurons,
    SpikingNetwork,
    bptt_gradients,
    decay,
    eligibility_traces,
    eprop_gradients,
    factorised_gradients,
    ideal_learning_signals,
    online_gradients,
    signals,
    simulate,
)
from plastic.eprop.spiking.simulation import readout
from plastic.xp import spikes

GOLDEN = "eprop_*.npz"
BOTH = (eprop_gradients, online_gradients)


def test_golden(golden):
    numbers = dict(np.load(golden, allow_pickle=False))
    assert all(np.isfinite(array).all() for array in numbers.values() if array.dtype.kind == "f")
    xp.use(dtype="float64")
    check(numbers)


@pytest.mark.parametrize("way", ["sparse", "dense, in parts"])
def test_golden_by_every_product(golden, monkeypatch, way):
    """Sizes choose between sparse and dense products with spikes; the numbers hold by each alone."""
    for name, value in WAYS[way].items():
        monkeypatch.setattr(spikes, name, value)
    test_golden(golden)


def check(numbers):
    """Run the checks of the kind of file that these numbers come from."""
    next(function for name, function in KINDS.items() if name in numbers)(numbers)


def check_pattern(numbers):
    """eprop_lif_pattern: Fig. S7, LIF neurons with gain 1 - alpha; the states, the updates, five steps of training."""
    p = _constants(numbers)
    alpha, kappa = decay(p["tau"]), decay(p["tau_out"])
    neurons = Neurons(alpha, p["thr"], gamma=p["gamma"], gain=1 - alpha)
    weights = [numbers[name].copy() for name in ("w_in", "w_rec", "w_out")]
    network = SpikingNetwork(*weights, neurons, kappa, 1 - kappa)
    x = _time_major(_unpacked(numbers, "x"))
    target = np.repeat(_time_major(numbers["target"]), x.shape[1], axis=1)
    record = simulate(network, x, keep=("v",))
    v = _batch_major(record.kept["v"])
    close(v[:, : numbers["v"].shape[1]], numbers["v"])
    close(record.state.v, numbers["v_last"])
    shape = v.shape
    z = np.unpackbits(numbers["z_packed"])[: np.prod(shape)].reshape(shape).astype(bool)
    assert_array_equal(_batch_major(record.z), z)
    close(_batch_major(record.output), numbers["y"])
    _, err = summed_squares(record.output, target)
    _, R = signals.rate_penalty(record.z, p["f0"], p["reg"] / 2)
    random = numbers["b_fb"]
    for rule in BOTH:
        for name, B in (("rand", random), ("sym", None)):
            _compare(rule(network, record, err, R, feedback=B), numbers, f"g_{name}")
    close(eprop_gradients(network, record, err, R, feedback=random)["W_out"], numbers["g_out"])
    _compare(bptt_gradients(network, record, err, R), numbers, "g_bptt")
    lr = float(np.float32(p["lr"]))  # as the published optimizer holds it
    for k in range(len(numbers["loss"])):
        record = simulate(network, x)
        loss, err = summed_squares(record.output, target)
        penalty, R = signals.rate_penalty(record.z, p["f0"], p["reg"] / 2)
        assert_allclose(loss, numbers["loss"][k], rtol=1e-10)
        assert_allclose(penalty / p["reg"], numbers["loss_reg"][k], rtol=1e-10)
        grads = eprop_gradients(network, record, err, R, feedback=random)
        for name in ("W_in", "W_rec", "W_out"):
            getattr(network, name)[...] -= lr * grads[name]


def check_alif(numbers):
    """eprop_alif: states, eligibility traces, losses, and the updates of every rule."""
    p = _constants(numbers)
    network, x = _alif(numbers, p)
    record = simulate(network, x, keep=("v", "a", "r"))
    for name, found in {
        "v": record.kept["v"],
        "b": record.kept["a"],
        "refr_in": record.kept["r"],
        "z": record.z,
        "psi": record.psi,
        "y": record.output,
    }.items():
        close(_batch_major(found).astype(float), numbers[name].astype(float))
    filtered = readout(dataclasses.replace(network, W_out=np.eye(record.z.shape[-1])), record.z)
    close(_batch_major(filtered), numbers["z_bar"])
    n_in = x.shape[-1]
    for t, trace in enumerate(eligibility_traces(network, record)):
        for name in ("e", "eps_a"):
            found = getattr(trace, name)
            close(found[:, :n_in], numbers[f"{name}_in"][:, t], np.abs(numbers[f"{name}_in"]).max())
            close(found[:, n_in:], numbers[f"{name}_rec"][:, t], np.abs(numbers[f"{name}_rec"]).max())
    mse, err = summed_squares(record.output, _time_major(numbers["y_target"]))
    ce, err_ce = signals.classification(record.output, numbers["label"], int(p["T_window"]))
    penalty, R = signals.rate_penalty(record.z, numbers["reg_f0"].item(), numbers["reg_c"].item())
    assert_allclose([mse, ce, penalty], [numbers[f"loss_{name}"] for name in ("mse", "ce", "reg")], rtol=1e-10)
    none = np.zeros_like(err)
    for rule in BOTH:
        _compare(rule(network, record, err), numbers, "eprop_auto_mse")
        _compare(rule(network, record, err), numbers, "eprop_hard_sym")
        _compare(rule(network, record, err_ce), numbers, "eprop_auto_ce")
        _compare(rule(network, record, none, R), numbers, "eprop_reg")
        _compare(rule(network, record, err, feedback=numbers["b_fb"]), numbers, "eprop_hard_rand")
        for name, each in (("mse", err), ("ce", err_ce)):
            close(rule(network, record, each)["W_out"], numbers[f"g_out_{name}"])
    for name, each, rate in (("mse", err, None), ("ce", err_ce, None), ("reg", none, R)):
        _compare(bptt_gradients(network, record, each, rate), numbers, f"bptt_{name}")
    total = ideal_learning_signals(network, record, err)
    close(_batch_major(total), numbers["dEdz_total_mse"])
    _compare(factorised_gradients(network, record, total), numbers, "fact")


def check_variants(numbers):
    """eprop_alif_variants: the cells of the tasks on speech (unmasked adaptation) and on games (resets)."""
    p = _constants(numbers)
    for kind in ("timit", "atari"):
        network, x = _alif(numbers, p)
        if kind == "timit":
            neurons = dataclasses.replace(network.neurons, unmasked=True)
            network = dataclasses.replace(network, neurons=neurons, g_out=1.0)
        done = _time_major(numbers["atari_done"]).astype(float) if kind == "atari" else None
        record = simulate(network, x, done=done, keep=("v", "a"))
        for name, found in {"z": record.z, "v": record.kept["v"], "b": record.kept["a"], "y": record.output}.items():
            close(_batch_major(found).astype(float), numbers[f"{kind}_{name}"].astype(float))
        loss, err = summed_squares(record.output, _time_major(numbers["y_target"]))
        assert_allclose(loss, numbers[f"{kind}_loss"], rtol=1e-10)
        for rule in BOTH:
            _compare(rule(network, record, err), numbers, f"{kind}_eprop")
        _compare(bptt_gradients(network, record, err), numbers, f"{kind}_bptt")


def check_evidence(numbers):
    """eprop_evidence_train: the whole task on a small net, with the constants of Fig. 3, by three rules."""
    x = np.unpackbits(numbers["x_packed"], axis=None).astype(bool)[: np.prod(numbers["x_shape"])]
    x = np.moveaxis(x.reshape(numbers["x_shape"]), 1, 2)
    assert_array_equal(numbers["cues"].sum(axis=2) > 3, numbers["label"])
    for k, cue in enumerate(np.moveaxis(numbers["cues"], 2, 0)):  # what is shown is what the spikes show
        shown = x[:, 50 + 150 * k : 150 + 150 * k]
        sides = [shown[..., place : place + 10].any(axis=(1, 3)) for place in (0, 10)]
        assert_array_equal(np.stack(sides), [cue == 0, cue == 1])
    random = functools.partial(eprop_gradients, feedback=numbers["b_fb"])
    for mode, rule in (("sym", eprop_gradients), ("rand", random), ("bptt", bptt_gradients)):
        kappa = decay(20)
        neurons = Neurons(decay(20), 0.6, decay(2000), numbers["beta"][None], n_ref=5)
        weights = [numbers[name].copy() for name in ("w_in", "w_rec", "w_out")]
        network = SpikingNetwork(*weights, neurons, kappa, 1 - kappa)
        optimizer = PublishedAdam(0.005)
        for k in range(len(numbers[f"losses_{mode}"])):
            record = simulate(network, x[k])
            ce, err = signals.classification(record.output, numbers["label"][k], 150)
            penalty, R = signals.rate_penalty(record.z, 0.01, 1.0)
            accuracy = np.mean(signals.decisions(record.output, 150) == numbers["label"][k])
            assert_allclose([ce, penalty, accuracy], numbers[f"losses_{mode}"][k], rtol=1e-10)
            grads = rule(network, record, err, R)
            if k == 0:
                _compare(grads, numbers, f"g_{mode}")
                close(grads["W_out"], numbers[f"g_{mode}_out"])
                close(_batch_major(record.output)[:, -150:], numbers["logits0"])
                z = _batch_major(record.z)
                assert_array_equal(z.sum(axis=1), numbers["spike_count0"])
                assert_array_equal(z, np.unpackbits(numbers["z0_packed"])[: z.size].reshape(z.shape))
            optimizer.step([getattr(network, name) for name in ("W_in", "W_rec", "W_out")], grads)
        if f"wfinal_{mode}_in" in numbers:
            for name in ("in", "rec", "out"):
                close(getattr(network, f"W_{name}"), numbers[f"wfinal_{mode}_{name}"])


def summed_squares(output, target):
    """The published loss and its gradient: sums over batch and time of what `signals.regression` averages."""
    T, batch = output.shape[-3:-1]
    return tuple(T * batch * each for each in signals.regression(output, target))


class PublishedAdam:
    """Adam as the published code's library computes it: eps outside the bias correction, constants held in float32."""

    def __init__(self, lr):
        self.lr, self.eps = lr, float(np.float32(1e-8))
        self.beta1, self.beta2 = (float(np.float32(value)) for value in (0.9, 0.999))
        self.power1, self.power2 = np.float32(self.beta1), np.float32(self.beta2)
        self.moments = None

    def step(self, weights, grads):
        grads = [grads[name] for name in ("W_in", "W_rec", "W_out")]
        self.moments = self.moments or [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
        rate = self.lr * np.sqrt(1 - float(self.power2)) / (1 - float(self.power1))
        for w, g, (m, v) in zip(weights, grads, self.moments, strict=True):
            m += (1 - self.beta1) * (g - m)
            v += (1 - self.beta2) * (g * g - v)
            w -= rate * m / (np.sqrt(v) + self.eps)
        self.power1 = np.float32(self.power1 * np.float32(self.beta1))
        self.power2 = np.float32(self.power2 * np.float32(self.beta2))


KINDS = {
    "loss_tf": eprop_nest.check,
    "kernel": eprop_lstm.check,
    "stat_n": eprop_inputs.check,
    "timit_z": check_variants,
    "dEdz_total_mse": check_alif,
    "wfinal_sym_in": check_evidence,
    "v_last": check_pattern,
}


def _alif(numbers, p):
    kappa = decay(p["tau_out"])
    rho, n_ref = decay(p["tau_a"]), int(p["n_ref"])
    neurons = Neurons(decay(p["tau"]), p["thr"], rho, numbers["beta"][None], p["gamma"], n_ref=n_ref)
    network = SpikingNetwork(numbers["w_in"], numbers["w_rec"], numbers["w_out"], neurons, kappa, 1 - kappa)
    return network, _time_major(numbers["x"]).astype(float)


_ALIF = "tau tau_a tau_out thr gamma n_ref T_window"  # of files that have no names


def _constants(numbers):
    names = str(numbers.get("params_names", _ALIF)).split()
    return dict(zip(names, numbers["params"].tolist(), strict=True))


def _unpacked(numbers, name):
    shape = numbers[f"{name}_shape"]
    return np.unpackbits(numbers[f"{name}_packed"])[: np.prod(shape)].reshape(shape).astype(bool)


def _time_major(array):
    return np.moveaxis(array, 1, 0)


_batch_major = _time_major  # the two swap the same axes


def _compare(grads, numbers, name):
    for part in ("in", "rec"):
        close(grads[f"W_{part}"], numbers[f"{name}_{part}"])


def close(found, expected, scale=None):
    assert found.shape == expected.shape
    assert_allclose(found, expected, rtol=0, atol=1e-10 * (np.abs(expected).max() if scale is None else scale))
