"""Predictive coding: BP by differences, the rules that equal it, inference by differences and in closed form."""

import functools

import numpy as np

from plastic import pc, xp
from plastic.parameters import Affine
from plastic.verify.checks import DIFFERENCES, ROUNDING, Check, array, one_hot, replicas, slopes

_BATCH = 4


def _setting(kind="network", phi="tanh"):
    rng = np.random.default_rng(10)
    if kind == "convolutional":
        net = pc.convolutional((1, 2, 3), (4, 3), rng, size=4, phi="tanh")
        return net, array(rng, _BATCH, 16), one_hot(rng, _BATCH, 3)
    net = pc.network((5, 6, 4, 3), rng, phi=phi)
    return net, array(rng, _BATCH, 5), one_hot(rng, _BATCH, 3)


def _grads(rule, kind="network", **constants):
    return pc.RULES[rule](*_setting(kind), **constants)[0]


def _slopes_of_loss(kind):
    net, x, y = _setting(kind)
    return slopes(net, lambda: xp.sum((pc.predict(net, x) - y) ** 2) / (2 * _BATCH))


def _inferred(route):
    """Return the gradients of the energy by the weights where inference has moved the states but is not at rest."""
    net, x, y = _setting()
    state = pc.State(net, x, y, gamma=0.1)
    pc.infer(net, state, x, 5)
    if route == "step":
        return pc.step(net, state, x)[0]

    def energy():
        pc.infer(net, state, x, 0)
        return xp.sum(state.F) / _BATCH

    return slopes(net, energy)


def _at_rest(route):
    """Return the update of a linear network at rest: by inference, or from the closed form, -r^T eps / batch."""
    net, x, y = _setting(phi="linear")
    if route == "pc":
        return pc.pc(net, x, y, T=800, gamma=0.2, discount=1.0)[0]
    states, errors, _ = pc.equilibrium(net, x, y)
    W = [-below.T @ eps / _BATCH for below, eps in zip([x, *states], errors, strict=True)]
    if net.layers[0].b is None:
        return {"layers": [Affine(each) for each in W]}
    b = [-xp.sum(eps, axis=0, keepdims=True) / _BATCH for eps in errors]
    return {"layers": [Affine(*pair) for pair in zip(W, b, strict=True)]}


def _repeated(rule):
    net, x, y = _setting()
    return pc.bp(net, x, y)[0] if rule == "bp" else pc.repeated_bp(net, pc.State(net, x, y), x)[0]


def _orthogonal(rule):
    """Return the gradients of a linear network of orthogonal weights, whose pseudo-inverses are transposes."""
    rng = np.random.default_rng(11)
    layers = [Affine(xp.asarray(np.linalg.qr(rng.standard_normal((5, 5)))[0], dtype=xp.float_dtype)) for _ in range(3)]
    return pc.RULES[rule](pc.Network(layers, "linear"), array(rng, _BATCH, 5), one_hot(rng, _BATCH, 5))[0]


CHECKS = (
    *(
        Check(
            f"BP is the slope of the squared error, {kind}",
            ("bp",),
            functools.partial(_grads, "bp", kind),
            functools.partial(_slopes_of_loss, kind),
            DIFFERENCES,
        )
        for kind in pc.NETWORKS
    ),
    Check(
        "a step of PC is the slope of the energy by the weights",
        ("step",),
        lambda: _inferred("step"),
        lambda: _inferred("slopes"),
        DIFFERENCES,
    ),
    Check(
        "PC of linear networks ends at the equilibrium in closed form",
        ("pc",),
        lambda: _at_rest("pc"),
        lambda: _at_rest("closed form"),
        DIFFERENCES,
    ),
    Check("Z-IL is BP", ("zil", "bp"), lambda: _grads("zil"), lambda: _grads("bp"), ROUNDING),
    Check(
        "fixed predictions are BP from T = L on",
        ("fixed_prediction", "bp"),
        lambda: _grads("fixed_prediction", T=3, gamma=1.0),
        lambda: _grads("bp"),
        ROUNDING,
    ),
    Check(
        "TP is BP where weights are orthogonal",
        ("tp", "bp"),
        lambda: _orthogonal("tp"),
        lambda: _orthogonal("bp"),
        ROUNDING,
    ),
    Check(
        "the first of repeated steps of BP is BP",
        ("repeated_bp",),
        lambda: _repeated("repeated"),
        lambda: _repeated("bp"),
        ROUNDING,
    ),
    *replicas(
        pc.RULES,
        {"pc": {"T": 8}, "bp": {}, "fixed_prediction": {"T": 8}, "zil": {}},
        lambda rng: pc.network((5, 6, 4, 3), rng, phi="tanh"),
        x=(_BATCH, 5),
        y=(_BATCH, 3),
    ),
)
