"""e-prop: online against the sweep back in time, its factorisation against BPTT, and BPTT by differences."""

import functools

import numpy as np

from plastic import eprop, xp
from plastic.verify.checks import DIFFERENCES, ROUNDING, Check, array, replicas, slopes

_SIZES, _T, _BATCH = (4, 5, 2), 20, 3


def _setting(kind):
    """Return a network that is driven to spike, its input, and targets.

    Inputs and targets are the same in both precisions; spikes, which are not continuous, have to be, too.
    """
    rng = np.random.default_rng(5)
    net = eprop.NETWORKS[kind](_SIZES, rng)
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
            {"float64": DIFFERENCES, "float32": 1e-3},
        )
        for kind, cells in (("lstm", "LSTM cells"), ("rnn", "tanh units"))
    ),
    *replicas(
        eprop.RULES,
        {"eprop": {}, "online": {}, "bptt": {}},
        lambda rng: eprop.lstm(_SIZES, rng),
        x=(_T, _BATCH, _SIZES[0]),
        y=(_T, _BATCH, _SIZES[-1]),
    ),
)
