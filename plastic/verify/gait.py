"""GAIT-prop and target propagation: by differences, by inverses as they are written, and where they meet BP."""

import numpy as np

from plastic import check, gait, xp
from plastic.parameters import Affine
from plastic.verify.checks import DIFFERENCES, ROUNDING, Check, array, one_hot, replicas, slopes

_SIZES, _BATCH, _CLASSES, _GAMMA, _FAR = (6, 6, 5, 4), 4, 3, 1e-3, 0.3


def _setting(orthogonal=True):
    rng = np.random.default_rng(1)
    net = gait.tower(_SIZES, rng, orthogonal=orthogonal)
    for layer in net.layers:
        layer.b[...] = 0.1 * array(rng, *layer.b.shape)
    return net, array(rng, _BATCH, _SIZES[0]), one_hot(rng, _BATCH, _CLASSES)


def _grads(rule, orthogonal=True, **constants):
    return gait.RULES[rule](*_setting(orthogonal), **constants)[0]


def _slopes_of_loss():
    net, x, y = _setting()
    return slopes(net, lambda: xp.sum((gait.predict(net, x, classes=_CLASSES) - y) ** 2) / (2 * _BATCH))


def _by_inverses(gamma=None):
    """Return the updates by targets sent down: t_{l-1} = inverse_l of t_l, or of a_l moved by gamma d^2 (t_l - a_l)."""
    net, x, y = _setting(orthogonal=False)
    a = gait.forward(net, x)
    t = xp.concatenate([y, a[-1][:, _CLASSES:]], axis=1)
    grads, scale = [], 1.0 / _BATCH
    for index in reversed(range(len(net.layers))):
        above, below, width = a[index + 1], a[index], net.layers[index].W.shape[0]
        d = xp.where(above >= 0, 1.0, 0.1)
        delta = scale * d * (above - t)
        grads.insert(0, Affine(below[:, :width].T @ delta, xp.sum(delta, axis=0, keepdims=True)))
        shift = 1.0 if gamma is None else gamma * d**2
        scale /= 1.0 if gamma is None else gamma
        t = gait.inverse(net, index, above + shift * (t - above), below)
    return {"layers": grads}


def _direct(rule):
    """Return the gradients of a linear net, where direct feedback through all layers above is backpropagation."""
    rng = np.random.default_rng(2)
    net = gait.square((5, 5, 5, 5), rng, linear=True)
    x, y = array(rng, _BATCH, 5), one_hot(rng, _BATCH, _CLASSES)
    if rule == "bp":
        return gait.bp(net, x, y)[0]
    W_2, W_3 = (layer.W for layer in net.layers[1:])
    above = (W_2 @ W_3)[:, :_CLASSES], W_3[:, :_CLASSES]
    return gait.dfa(net, x, y, feedback=[xp.ascontiguousarray(each.T) for each in above])[0]


def _penalty(slope):
    W = [each.W for each in _setting(orthogonal=False)[0].layers]
    if slope:
        return [gait.regulariser.gradient(each) for each in W]
    return check.finite_differences(lambda tree: sum(gait.regulariser.penalty(each) for each in tree), W)


CHECKS = (
    Check("BP is the slope of the squared error", ("bp",), lambda: _grads("bp"), _slopes_of_loss, DIFFERENCES),
    Check(
        "GAIT-prop is BP where weights are orthogonal",
        ("gait", "bp"),
        lambda: _grads("gait", gamma=_GAMMA),
        lambda: _grads("bp"),
        ROUNDING,
    ),
    Check(
        "TP sends targets down by inverses",
        ("tp",),
        lambda: _grads("tp", orthogonal=False),
        _by_inverses,
        ROUNDING,
    ),
    Check(
        "GAIT-prop sends targets down by inverses",
        ("gait",),
        lambda: _grads("gait", orthogonal=False, gamma=_FAR),  # targets cross the kink, and keep their digits
        lambda: _by_inverses(_FAR),
        ROUNDING,
    ),
    Check(
        "feedback alignment by the weights is BP",
        ("fa", "bp"),
        lambda: _grads("fa"),
        lambda: _grads("bp"),
        ROUNDING,
    ),
    Check(
        "direct feedback through the layers above is BP where all is linear",
        ("dfa", "bp"),
        lambda: _direct("dfa"),
        lambda: _direct("bp"),
        ROUNDING,
    ),
    Check(
        "the regulariser has the slope of its penalty", (), lambda: _penalty(True), lambda: _penalty(False), DIFFERENCES
    ),
    *replicas(
        gait.RULES,
        {"bp": {}, "tp": {}, "gait": {"gamma": _GAMMA}, "fa": {}},
        lambda rng: gait.tower(_SIZES, rng),
        x=(_BATCH, _SIZES[0]),
        y=(_BATCH, _CLASSES),
    ),
)
