"""Networks of GLE for the walk of tests/test_face.py."""

import numpy as np
from faces.case import Case

from plastic import gle


def batch(rng, lead=()):
    """Eight steps of three samples, enough for two layers; targets of both signs."""
    return rng.standard_normal((*lead, 8, 3, 4)), rng.standard_normal((*lead, 8, 3, 2))


def stepped(net, x, y):
    """Take all steps of sequences; return the gradients and the output of the last."""
    state = gle.State(net, x.shape[-2])
    for t in range(x.shape[-3]):
        grads, output = gle.step(net, state, x[..., t, :, :], state.output - y[..., t, :, :])
    return grads, output


def made(**options):
    """A call that makes a network with constants that are wrong."""
    return lambda net, x, y: gle.network((4, 3, 2), np.random.default_rng(0), **CONSTANTS | options)


CONSTANTS = {"phi": ["tanh", "linear"], "tau_m": [[0.3, 0.5, 0.8], 0.4], "tau_r": [0.2, 0.4], "dt": 0.1}
MISUSE = {
    "dt 0": made(dt=0.0),
    "dt negative": made(dt=-0.1),
    "dt nan": made(dt=float("nan")),
    "gamma nan": made(gamma=float("nan")),
    "tau below dt": made(tau_m=0.05),
    "tau_r below dt": made(tau_r=[0.2, 0.05]),
    "tau nan": made(tau_m=float("nan")),
    "tau of another number of layers": made(tau_m=[1.0]),
    "tau of another number of neurons": made(tau_m=[[1.0, 1.0], 1.0]),
    "an unknown activation": made(phi="tanhh"),
    "activations of another number of layers": made(phi=["tanh"] * 3),
    "memory left out where it matters": made(memoryless=True),
    "a flag that is none": made(prospective="yes"),
    "a batch of 0": lambda net, x, y: gle.State(net, 0),
    "a batch of 2.5": lambda net, x, y: gle.State(net, 2.5),
    "a state of another batch": lambda net, x, y: gle.predict(net, x, state=gle.State(net, x.shape[-2] + 1)),
    "x of one row": lambda net, x, y: gle.step(net, gle.State(net, x.shape[-2]), x[0, :1]),
    "x of one column": lambda net, x, y: gle.evolve(net, gle.State(net, x.shape[-2]), x[0, :, :1]),
    "err of one row": lambda net, x, y: gle.step(net, gle.State(net, x.shape[-2]), x[0], y[0, :1]),
    "err of one column": lambda net, x, y: gle.step(net, gle.State(net, x.shape[-2]), x[0], y[0, :, :1]),
    "out of a step a list": lambda net, x, y: gle.step(net, gle.State(net, x.shape[-2]), x[0], out=[]),
    "T = 0": lambda net, x, y: gle.bptt(net, x[:0], y[:0]),
    "y of fewer steps": lambda net, x, y: gle.bptt(net, x, y[:-1]),
    "y of one step": lambda net, x, y: gle.adjoint(net, x, y[:1]),
    "y of the last step only": lambda net, x, y: gle.bptt(net, x, y[-1]),
    "no network": lambda net, x, y: gle.bptt(net.layers, x, y),
}
CASES = [
    Case(
        family=gle,
        network="network",
        sizes=(4, 3, 2),
        batch=batch,
        rules={"bptt": {}, "adjoint": {}},
        outputs=2,
        constants=CONSTANTS | options,
        misuse=MISUSE,
        steps={"step": stepped},
        time=True,
    )
    for options in ({}, {"learn_tau": True, "gamma": 0.1, "prospective": False}, {"bias": False, "phi": "softplus"})
]
