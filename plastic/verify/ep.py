"""Equilibrium propagation: BPTT by differences in every wiring, and the rules where they meet."""

import functools

import numpy as np

from plastic import ep, parameters, xp
from plastic.verify.checks import DIFFERENCES, ROUNDING, Check, array, limit, one_hot, replicas, slopes

_BATCH, _T = 3, 6


def _setting(kind):
    rng = np.random.default_rng(3)
    if kind == "convolutional":
        net = ep.convolutional((1, 2, 3), (4, 3), rng, size=6, F=3, padding=1, phi="tanh")
        return net, array(rng, _BATCH, 36), one_hot(rng, _BATCH, 3)
    make = {"toy": ep.toy, "energy": functools.partial(ep.energy, clamp=False), "prototypical": ep.prototypical}[kind]
    net = make((5, 4, 3), rng, phi="tanh", dt=0.5)
    return net, array(rng, _BATCH, 5), one_hot(rng, _BATCH, 3)


def _bptt(kind):
    return ep.bptt(*_setting(kind), T=_T, steps=_T)[0]


def _slopes_of_loss(kind):
    net, x, y = _setting(kind)
    return slopes(net, lambda: xp.sum((ep.predict(net, x, T=_T) - y) ** 2) / (2 * _BATCH))


def _conservative(kind):
    """Return a network whose dynamics have an energy: an activation whose slope they leave out is linear."""
    rng = np.random.default_rng(4)
    if kind == "energy":
        return ep.energy((5, 4, 3), rng, phi="tanh", dt=0.5, clamp=False, consistent=True)
    if kind == "convolutional":
        net = ep.convolutional((1, 2, 3), (4, 3), rng, size=6, F=3, padding=1, phi="linear")
    else:
        net = ep.prototypical((5, 4, 4, 3), rng, phi="linear", dt=0.5, loss="cel" if kind == "readout" else "mse")
    for _, leaf in parameters.leaves(net.parameters):
        leaf *= 0.4  # that it comes to rest
    return net


def _at_rest(rule, kind):
    """Return the update of a rule after a free phase that has come to rest, in a network that has an energy."""
    net, rng = _conservative(kind), np.random.default_rng(5)
    x, y = array(rng, _BATCH, net.wiring.inputs), one_hot(rng, _BATCH, 3)
    if rule == "bptt":
        return ep.bptt(net, x, y, T=500, steps=12)[0]
    return ep.eqprop(net, x, y, T=500, K=12, beta=0.01, centered=True)[0]


def _by_steps():
    """Return what the nudged steps of continual EP add up to while the weights stand still."""
    net, x, y = _setting("prototypical")
    state, total = ep.Relaxation(net, x), parameters.zeros_like(net.parameters)
    state.run(_T)
    for _ in range(4):
        grads, _ = ep.step(net, state, y, beta=0.5)
        total = parameters.map(lambda a, b: a + b, total, grads)
    return total


def _in_one():
    return ep.eqprop(*_setting("prototypical"), T=_T, K=4, beta=0.5)[0]


CHECKS = (
    *(
        Check(
            f"BPTT is the slope of the squared error, {kind}",
            ("bptt",),
            functools.partial(_bptt, kind),
            functools.partial(_slopes_of_loss, kind),
            DIFFERENCES,
        )
        for kind in ep.NETWORKS
    ),
    *(
        Check(
            f"EP, centered, is BPTT at rest up to beta^2, {kind}",
            ("eqprop", "bptt"),
            functools.partial(_at_rest, "eqprop", kind),
            functools.partial(_at_rest, "bptt", kind),
            limit(1e-2),
        )
        for kind in ("energy", "prototypical", "convolutional", "readout")
    ),
    Check(
        "Steps of continual EP with weights that stand still are EP", ("step", "eqprop"), _by_steps, _in_one, ROUNDING
    ),
    *replicas(
        ep.RULES,
        {"eqprop": {"T": 8, "K": 4, "beta": 0.5}, "bptt": {"T": 8, "steps": 4}},
        lambda rng: ep.prototypical((5, 4, 3), rng, phi="tanh"),
        x=(_BATCH, 5),
        y=(_BATCH, 3),
    ),
)
