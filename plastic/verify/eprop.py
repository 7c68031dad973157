"""e-prop: online against the sweep back in time, its factorisation against BPTT, BPTT and errors by differences."""

import functools

import numpy as np

from plastic import check, eprop, xp
from plastic.verify.checks import DIFFERENCES, ROUNDING, Check, array, replicas, slopes

_SIZES, _T, _BATCH = (4, 5, 2), 20, 3
_CONSTANTS = {"lif": {"delay": 2, "surrogate": "exponential"}, "lstm": {"peepholes": True}}


def _setting(kind):
    """Return a network that is driven to spike, its input, and targets.

    Inputs and targets are the same in both precisions; spikes, which are not continuous, have to be, too.
    """
    rng = np.random.default_rng(5)
    net = eprop.NETWORKS[kind](_SIZES, rng, **_CONSTANTS.get(kind, {}))
    if kind in ("lstm", "rnn"):
        return net, array(rng, 6, _BATCH, _SIZES[0]), array(rng, 6, _BATCH, _SIZES[-1])
    net.W_in[...] *= 3
    x = xp.asarray(rng.random((_T, _BATCH, _SIZES[0])) < 0.4)
    return net, x, array(rng, _T, _BATCH, _SIZES[-1])


def _grads(rule, kind):
    return eprop.RULES[rule](*_setting(kind))[0]


def _slopes_of_loss(kind):
    net, x, y = _setting(kind)
    return slopes(net, lambda: eprop.signals.regression(eprop.predict(net, x), y)[0])


def _factorised(route):
    """Return the gradients of W_in and W_rec of an LSNN by BPTT, or as dE/dz times eligibility traces (eq. 1)."""
    net, x, y = _setting("lsnn")
    record = eprop.simulate(net, x)
    _, err = eprop.signals.regression(record.output, y)
    if route == "traces":
        return eprop.factorised_gradients(net, record, eprop.ideal_learning_signals(net, record, err))
    grads = eprop.bptt_gradients(net, record, err)
    return {name: grads[name] for name in ("W_in", "W_rec")}


def _penalised():
    """Return outputs and firing rates that losses and regularisers are functions of, and these functions."""
    rng = np.random.default_rng(13)
    y, labels = array(rng, _T, _BATCH, 2), xp.asarray(rng.integers(0, 2, (_T, _BATCH)))
    functions = {
        "regression": lambda output: eprop.signals.regression(output, y),
        "classification": lambda output: eprop.signals.classification(output, labels[0], window=5),
        "framewise": lambda output: eprop.signals.framewise(output, labels, [_T, 7, 12]),
        "rate_penalty": lambda z: eprop.signals.rate_penalty(z, 0.1, 2.0),
        "running_rate_penalty": lambda z: eprop.signals.running_rate_penalty(z, 0.1, 2.0),
    }
    return {name: array(rng, _T, _BATCH, 2) for name in functions}, functions


def _errors():
    outputs, functions = _penalised()
    return {name: xp.zeros_like(each) + functions[name](each)[1] for name, each in outputs.items()}


def _slopes_of_penalties():
    outputs, functions = _penalised()
    return check.finite_differences(lambda tree: sum(functions[name](each)[0] for name, each in tree.items()), outputs)


CHECKS = (
    *(
        Check(
            f"e-prop by traces is e-prop by the sweep, {kind}",
            ("online", "eprop"),
            functools.partial(_grads, "online", kind),
            functools.partial(_grads, "eprop", kind),
            ROUNDING,
        )
        for kind in eprop.NETWORKS
    ),
    Check(
        "learning signals dE/dz times traces are BPTT",
        ("bptt",),
        lambda: _factorised("traces"),
        lambda: _factorised("bptt"),
        ROUNDING,
    ),
    *(
        Check(
            f"BPTT of {cells} is the slope of the loss",
            ("bptt",),
            functools.partial(_grads, "bptt", kind),
            functools.partial(_slopes_of_loss, kind),
            DIFFERENCES,
        )
        for kind, cells in (("lstm", "LSTM cells"), ("rnn", "tanh units"))
    ),
    Check(
        "errors and regularisers are slopes of losses and penalties",
        (),
        _errors,
        _slopes_of_penalties,
        DIFFERENCES,
    ),
    *replicas(
        eprop.RULES,
        {"eprop": {}, "online": {}, "bptt": {}},
        lambda rng: eprop.lstm(_SIZES, rng),
        x=(_T, _BATCH, _SIZES[0]),
        y=(_T, _BATCH, _SIZES[-1]),
    ),
)
