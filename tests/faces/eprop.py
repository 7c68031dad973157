"""The face of plastic.eprop: sequences and targets of every step; spikes need no floats."""

import functools

import numpy as np
from faces.case import Case

from plastic import eprop, xp
from plastic.eprop import signals

SIZES, T, BATCH = (5, 6, 3), 12, 4
WINDOWED = functools.partial(signals.classification, window=5)
SPIKING = {"tau_v": 5.0, "tau_out": 5.0, "n_ref": 2}


def regression(rng, lead=()):
    """Currents strong enough for spikes, and targets of every step."""
    x = 1.5 * rng.random((*lead, T, BATCH, SIZES[0]))
    return x, rng.standard_normal((*lead, T, BATCH, SIZES[-1]))


def classification(rng, lead=()):
    """Currents, and a label for each trial."""
    return regression(rng, lead)[0], rng.integers(0, SIZES[-1], (*lead, BATCH))


def rules(**constants):
    """Of all rules; BPTT has no feedback."""
    return {name: constants for name in ("eprop", "online", "bptt")}


def spikes(z):
    return signals.rate_penalty(z, target=0.1, strength=2.0)


def _simulated(change):
    """A call of the lower level with something changed in it."""

    def call(net, x, y):
        record = eprop.simulate(net, x)
        change(net, x, record, record.output * 0.1)

    return call


B = np.zeros(SIZES[1:])
MISUSE = {
    "no network": lambda net, x, y: eprop.predict({}, x),
    "loss no function": lambda net, x, y: eprop.eprop(net, x, y, loss="mse"),
    "loss returns no pair": lambda net, x, y: eprop.eprop(net, x, y, loss=lambda output, y: output),
    "err of another shape": lambda net, x, y: eprop.bptt(net, x, y, loss=lambda output, y: (0.0, output[..., :1])),
    "err of another precision": lambda net, x, y: eprop.bptt(
        net, x, y, loss=lambda output, y: (0.0, output.astype("float32"))
    ),
    "feedback transposed": lambda net, x, y: eprop.eprop(net, x, y, feedback=xp.asarray(B.T)),
    "feedback by name": lambda net, x, y: eprop.online(net, x, y, feedback="random"),
    "feedback of another precision": lambda net, x, y: eprop.eprop(net, x, y, feedback=xp.asarray(B, dtype="float32")),
    "regulariser no function": lambda net, x, y: eprop.eprop(net, x, y, regulariser=0.1),
    "window 0": lambda net, x, y: eprop.eprop(net, x, y, loss=functools.partial(signals.classification, window=0)),
    "state of another batch": lambda net, x, y: eprop.predict(net, x, state=eprop.simulate(net, x[:, :1]).state),
    "state a number": lambda net, x, y: eprop.predict(net, x, state=0),
    "record a network": _simulated(lambda net, x, record, err: eprop.eprop_gradients(net, net, err)),
    "err transposed": _simulated(lambda net, x, record, err: eprop.eprop_gradients(net, record, err[0])),
    "traces of another batch": _simulated(
        lambda net, x, record, err: eprop.online_gradients(
            net, record, err, traces=eprop.traces_after(net, eprop.simulate(net, x[:, :1]))
        )
    ),
    "traces a state": _simulated(
        lambda net, x, record, err: eprop.eprop_gradients(net, record, err, traces=record.state)
    ),
    "R of another shape": _simulated(lambda net, x, record, err: eprop.bptt_gradients(net, record, err, err)),
    "a history of another name": lambda net, x, y: eprop.simulate(net, x, keep=("w",)),
    "keep a word": lambda net, x, y: eprop.simulate(net, x, keep="v"),
    "done of another shape": lambda net, x, y: eprop.simulate(net, x, done=xp.zeros((BATCH, T + 1))),
}

CASES = [
    Case(
        eprop,
        network,
        SIZES,
        regression,
        rules(),
        SIZES[-1],
        constants=constants,
        time=True,
        spikes=True,
        misuse=MISUSE if network != "rnn" else {k: v for k, v in MISUSE.items() if k != "traces of another batch"},
    )
    for network, constants in (
        ("lif", SPIKING),
        ("lsnn", SPIKING | {"tau_a": 20.0}),
        ("lstm", {"peepholes": True}),
        ("rnn", {}),
    )
] + [
    Case(
        eprop,
        network,
        SIZES,
        classification,
        rules(loss=WINDOWED, **more),
        SIZES[-1],
        time=True,
        spikes=True,
        labels=True,
    )
    for network, more in (("lsnn", {"regulariser": spikes}), ("lstm", {}))
]
