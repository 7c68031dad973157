"""The two learning rules: equilibrium propagation (EP) and backpropagation through time (BPTT).

Both see a network relax freely, from the all-zero state, for T steps on a batch (x, y). The loss is that of the end,

    L = (1 / 2B) sum over the batch of |s_L(T) - y|^2

EP (Scellier and Bengio 2017; Ernoult et al. 2019) relaxes K steps more, from s* = s(T), nudged towards y by beta, to
s^beta, and compares the two ends:

    one-sided     dL/dtheta ~ -(1 / beta B) (dPhi/dtheta at s^beta, minus that at s*)
    random-sign   the same with +beta or -beta, drawn anew for every batch
    centered      -(1 / 2 beta B) (dPhi/dtheta at s^beta, minus that at s^{-beta}), both relaxed from s*: an error of
                  order beta^2 rather than beta (Laborieux et al. 2021)

BPTT differentiates L through the last steps, the state before them taken as a constant. Memory grows with these steps,
not with T.

Every rule returns (gradients, output): gradients a tree of the shape of `network.wiring.parameters`, signed to be
subtracted; output s_L(T) (..., batch, n_L). `work`, a `Relaxation(network, x)`, and `out`, a tree of gradients, are
buffers that spare allocations. tolerance: see `Relaxation.run`; 0 makes all T steps.
"""

from plastic import xp
from plastic.ep.relaxation import Relaxation


def ep(network, x, y, T, K, beta, centered=False, tolerance=0.0, work=None, out=None):
    """Equilibrium propagation: T free steps, K nudged ones; with `centered`, K more towards the other side.

    beta: a number other than 0, or one per replica (..., 1, 1); random-sign nudging is a matter of its sign.
    """
    w = Relaxation(network, x) if work is None else work
    r_0 = w.begin(x)
    w.run(T, tolerance=tolerance)
    output, free = w.output.copy(), w.s.copy()
    minus = _end(w) if not centered else None
    w.run(K, beta, y, tolerance)
    plus = _end(w)
    if centered:
        w.s[...] = free
        w.run(K, -beta, y, tolerance)
        minus = _end(w)
    scale = -1 / ((2 if centered else 1) * beta * y.shape[-2])
    grads = network.wiring.contrast(plus[0], minus[0], r_0, (plus[1], minus[1]), scale, out)
    return grads, output


def bptt(network, x, y, T, steps, tolerance=0.0, work=None, out=None):
    """Backpropagation through the last `steps` (all, if these are more than T) of T free steps."""
    w = Relaxation(network, x) if work is None else work
    r_0 = w.begin(x)
    steps = min(steps, T)
    w.run(T - steps, tolerance=tolerance)
    tape = w.record(steps)
    deltas = xp.empty_like(tape.s)
    for t, _, delta in network.sweep(tape, loss_gradient(w, y)):
        deltas[..., t, :] = delta
    grads = network.wiring.gradients(deltas, network.sent(tape.s), r_0, tape.switches, out)
    return grads, w.output.copy()


def loss_gradient(w, y):
    """Return dL/ds at the end of a relaxation, flat: (s_L - y) / B on the output, 0 on the other layers."""
    adjoint = xp.zeros_like(w.s)
    w.network.wiring.split(adjoint)[-1][...] = (w.output - y) / y.shape[-2]
    return adjoint


def _end(w):
    return w.network.sent(w.s.copy()), [switch.copy() for switch in w.switches]
