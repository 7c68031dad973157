"""GLE: BPTT by differences, the adjoint method and GLE where they meet it, and BP through space at rest."""

import numpy as np

from plastic import gle, parameters, xp
from plastic.verify.checks import DIFFERENCES, ROUNDING, Check, array, limit, replicas, slopes

_BATCH = 2


def _setting():
    rng = np.random.default_rng(6)
    constants = {"tau_m": [[0.3, 0.5, 0.8], 0.4], "tau_r": [0.2, [0.4, 0.1]], "dt": 0.1, "learn_tau": True}
    net = gle.network((3, 3, 2), rng, phi=["tanh", "linear"], **constants)
    return net, array(rng, 12, _BATCH, 3), array(rng, 12, _BATCH, 2)


def _slopes_of_loss():
    net, x, y = _setting()
    return slopes(net, lambda: xp.mean(xp.sum((gle.predict(net, x) - y) ** 2, axis=-1)) / 2)


def _waves(omega, dt, T):
    """Return input and target (steps, batch, n) that begin at 0 and vary as slowly as omega says."""
    t = (omega * dt * np.arange(round(T / dt)))[:, None, None]
    x, y = np.sin(t * np.array([[2.0, 3.0], [1.0, 2.5]])), np.sin(1.5 * t) * np.array([[1.0, 0.4], [0.7, -1.0]])
    return tuple(xp.asarray(each, dtype=xp.float_dtype) for each in (x, y))


def _small_steps(rule):
    constants = {"tau_m": [[0.5, 0.9, 0.3], [1.0, 0.6]], "tau_r": [[0.2, 0.9, 0.6], [1.0, 0.1]], "dt": 0.005}
    net = gle.network((2, 3, 2), np.random.default_rng(7), phi=["tanh", "linear"], **constants)
    return gle.RULES[rule](net, *_waves(1.0, 0.005, 3.0))[0]


def _slow(rule):
    """Return the update of neurons that lag, of signals that are slow beside their time constants."""
    constants = {"tau_m": [[0.5, 0.9, 0.3], 0.4], "tau_r": [0.2, 0.3], "dt": 0.05}
    net = gle.network((2, 3, 2), np.random.default_rng(8), phi=["tanh", "linear"], **constants)
    x, y = _waves(0.1, 0.05, 63.0)
    if rule == "bptt":
        return gle.bptt(net, x, y)[0]
    return _by_steps(net, x, y)


def _by_steps(net, x, y):
    """Return the mean over the steps of the updates of GLE, with the weights held."""
    state, total = gle.State(net, _BATCH), parameters.zeros_like(net.parameters)
    for t in range(len(x)):
        grads, _ = gle.step(net, state, x[t], state.output - y[t])
        total.flat += grads.flat / len(x)
    return total


def _remembering(memoryless):
    """Return the update of neurons that are instantaneous, or leaky ones whose look ahead is a step."""
    rng = np.random.default_rng(13)
    constants = {"tau_m": [[0.3, 0.5, 0.8], 0.4], "tau_r": [[0.3, 0.1, 0.1], 0.1], "dt": 0.1, "gamma": 0.3}
    net = gle.network((3, 3, 2), rng, phi=["tanh", "linear"], memoryless=memoryless, **constants)
    return _by_steps(net, array(rng, 12, _BATCH, 3), array(rng, 12, _BATCH, 2))


def _at_rest(net, x, y):
    """Return the update of GLE after so many steps with one input that it knows input and error in every layer."""
    state = gle.State(net, _BATCH)
    for _ in range(2 * len(net.layers)):
        grads, _ = gle.step(net, state, x, state.output - y)
    return grads


def _static():
    rng = np.random.default_rng(9)
    net = gle.network((3, 4, 4, 2), rng, phi=["tanh", "tanh", "linear"], tau_m=0.5, tau_r=0.5, dt=0.1)
    return net, array(rng, _BATCH, 3), array(rng, _BATCH, 2)


def _slopes_of_static_loss():
    net, x, y = _static()

    def loss():
        a = x
        for layer, phi in zip(net.layers, net.phi, strict=True):
            a = phi.value(a @ layer.W + layer.b)
        return xp.sum((a - y) ** 2) / (2 * _BATCH)

    return slopes(net, loss)


CHECKS = (
    Check(
        "BPTT is the slope of the loss, by time constants too",
        ("bptt",),
        lambda: gle.bptt(*_setting())[0],
        _slopes_of_loss,
        DIFFERENCES,
    ),
    Check(
        "GLE with tau_r = tau_m and one input is BP through space",
        ("step",),
        lambda: _at_rest(*_static()),
        _slopes_of_static_loss,
        DIFFERENCES,
    ),
    Check(
        "GLE is BPTT of signals slow beside tau",
        ("step", "bptt"),
        lambda: _slow("step"),
        lambda: _slow("bptt"),
        limit(0.1),
    ),
    Check(
        "GLE without what neurons need not remember is GLE",
        ("step",),
        lambda: _remembering(memoryless=True),
        lambda: _remembering(memoryless=False),
        ROUNDING,
    ),
    Check(
        "the adjoint method is BPTT as steps get small",
        ("adjoint", "bptt"),
        lambda: _small_steps("adjoint"),
        lambda: _small_steps("bptt"),
        limit(0.1),
    ),
    *replicas(
        gle.RULES,
        {"bptt": {}, "adjoint": {}},
        lambda rng: gle.network((3, 3, 2), rng, phi=["tanh", "linear"], tau_m=0.5, tau_r=0.2, dt=0.1),
        x=(12, _BATCH, 3),
        y=(12, _BATCH, 2),
    ),
)
