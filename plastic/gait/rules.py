r"""Learning rules on invertible networks: BP, TP, GAIT-prop, and feedback alignment (FA, DFA).

Every rule gives each layer an error e_l (batch, s_l), and all share the rest:

    e_L = a_L - y on the first units of the output, y the one-hot class;     delta_l = d(a_l) e_l,   d(a) = phi'(z)
    dW_l = (1/B) a_{l-1}^T delta_l                                           db_l = (1/B) sum over the batch of delta_l

so the rules differ only in how an error travels from layer l to layer l-1:

    BP    e_{l-1} = delta_l W_l^T                                             the gradient of (1/B) sum 1/2 |a_L - y|^2
    TP    e_{l-1} = a_{l-1} - t_{l-1},   t_{l-1} = inverse_l(t_l),   t_L = y
    GAIT  e_{l-1} = (a_{l-1} - t_{l-1}) / gamma^{L-l+1},   t_{l-1} = inverse_l((1 - gamma d^2) a_l + gamma d^2 t_l)
    FA    e_{l-1} = delta_l B_l^T,   B_l fixed and random                     (Lillicrap et al. 2016)
    DFA   e_{l-1} = delta_L B_{l-1}, B_{l-1} fixed and random                 (Noekland 2016)

TP and GAIT (Ahmad et al. 2020) are computed in *difference form*. The published recursion subtracts two
targets that agree to gamma^k and divides by gamma^k: at gamma = 1e-3 a few layers leave nothing but rounding. But
phi^{-1} is piecewise linear, so the difference of two inverses is known exactly: with k = L - l, sigma = +1 where a_l
>= 0 and -1 elsewhere, and c = 1/0.1 - 1 the difference of the slopes of phi^{-1},

    TP    e_{l-1} = g W_l^{-1},    g = e_l / d + c max(sigma (e_l - a_l), 0)
    GAIT  e_{l-1} = g W_l^{-1},    g = d e_l + c max(sigma (d^2 e_l - a_l / gamma^{k+1}), 0)

The maximum is not zero where activity and target lie on two sides of the kink. Without such a crossing GAIT is BP
with W^{-1} in the place of W^T, and equals BP for orthogonal weights. In float32 it is as exact as any matrix
product, at any depth.

Errors are kept on the units that have one: the first `classes` units of the output, the non-auxiliary units below
(the others have t = a, e = 0).

Each rule returns the gradients, a list of `Affine(dW_l, db_l)` in the order of `network.layers`, signed to be
subtracted. `out` takes such a list to write into. x (..., batch, n_0), y (..., batch, classes). A singular W_l gives
errors that are not finite.
"""

import math

from plastic import xp
from plastic.errors import PlasticError
from plastic.functions import LEAK, leaky_relu_slope, sign_or_one
from plastic.gait.network import divide, forward
from plastic.parameters import Affine

_BRANCH = 1 / LEAK - 1  # c: how much steeper phi^{-1} is below the kink


def bp(network, x, y, out=None):
    """Backpropagation: e_{l-1} = delta_l W_l^T."""

    def send(k, W, a, d, e):
        return (d * e) @ _transposed(W[..., : e.shape[-1]])

    return _sweep(network, x, y, send, out)


def tp(network, x, y, out=None):
    """Target propagation with exact inverses: the targets below are the inverse images of the output's target."""

    def send(k, W, a, d, e):
        g = e if network.linear else e / d + _BRANCH * xp.maximum(sign_or_one(a) * (e - a), 0)
        return _divide_padded(g, W)

    return _sweep(network, x, y, send, out)


def gait(network, x, y, gamma=1e-3, out=None):
    """Gradient-adjusted incremental target propagation (GAIT-prop).

    gamma: how far a target moves away from the activity, in (0, 1]; a number, or one per replica (..., 1, 1).
    """
    gamma = xp.asarray(gamma, dtype=x.dtype)
    smallest = 1e6 * float(
        xp.finfo(x.dtype).tiny
    )  # keeps |a| / gamma^{k+1} finite; only a = 0 lies nearer to the kink than that

    def send(k, W, a, d, e):
        if network.linear:
            return _divide_padded(e, W)
        power = xp.maximum(gamma ** (k + 1), smallest)
        g = d * e + _BRANCH * xp.maximum(sign_or_one(a) * (d * d * e) - xp.abs(a) / power, 0)
        return _divide_padded(g, W)

    return _sweep(network, x, y, send, out)


def fa(network, x, y, feedback, out=None):
    """Feedback alignment: e_{l-1} = delta_l B_l^T, with fixed B_l of the shape of W_l (see `fa_feedback`)."""

    def send(k, W, a, d, e):
        return (d * e) @ _transposed(feedback[-1 - k][..., : e.shape[-1]])

    return _sweep(network, x, y, send, out)


def dfa(network, x, y, feedback, out=None):
    """Direct feedback alignment: e_{l-1} = delta_L B_{l-1}, with fixed B_{l-1} (classes, s_{l-1})."""
    output = []

    def send(k, W, a, d, e):
        if k == 0:
            output.append(d * e)
        return output[0] @ feedback[-1 - k]

    return _sweep(network, x, y, send, out)


def fa_feedback(network, generator):
    """Draw the matrices of `fa`: one per layer, (s_l, s_l), entries N(0, 1 / s_l)."""
    return [xp.asarray(generator.standard_normal((s, s)) / math.sqrt(s)) for s in network.widths]


def dfa_feedback(network, classes, generator):
    """Draw the matrices of `dfa`: one per hidden layer, (classes, s_l), entries N(0, 1 / s_l)."""
    return [xp.asarray(generator.standard_normal((classes, s)) / math.sqrt(s)) for s in network.widths[:-1]]


def empty_gradients(network):
    """Return a buffer for the `out` of a rule."""
    return [Affine(xp.empty_like(layer.W), xp.empty_like(layer.b)) for layer in network.layers]


def _sweep(network, x, y, send, out):
    """Run forward, then walk down: at each layer the gradient, and the error that `send` passes to the layer below.

    send(k, W, a, d, e) gets the distance k = L - l from the output, and W, a, d(a) and e of layer l on the units that
    have an error.
    """
    if y.shape[-1] > network.widths[-1]:
        raise PlasticError(f"{y.shape[-1]} classes do not fit an output layer of {network.widths[-1]} units")
    activities = forward(network, x, classes=y.shape[-1])
    grads = empty_gradients(network) if out is None else out
    e = activities[-1] - y
    for k in range(len(network.layers)):
        W, a, below = network.layers[-1 - k].W, activities[-1 - k][..., : e.shape[-1]], activities[-2 - k]
        d = 1.0 if network.linear else leaky_relu_slope(a)
        _gradient(below[..., : W.shape[-2]], d * e, grads[-1 - k])
        if k < len(network.layers) - 1:
            e = send(k, W, a, d, e)
    return grads


def _gradient(below, delta, grad):
    m = delta.shape[-1]  # units beyond the first m have no error
    delta = delta / delta.shape[-2]
    xp.matmul(_transposed(below), delta, out=grad.W[..., :m])
    xp.sum(delta, axis=-2, keepdims=True, out=grad.b[..., :m])
    grad.W[..., m:] = 0
    grad.b[..., m:] = 0


def _divide_padded(g, W):
    padding = xp.zeros((*g.shape[:-1], W.shape[-1] - g.shape[-1]), dtype=g.dtype)
    return divide(xp.concatenate([g, padding], axis=-1), W)


def _transposed(W):
    return xp.swapaxes(W, -1, -2)
