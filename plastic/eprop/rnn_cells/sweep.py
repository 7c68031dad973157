"""e-prop and BPTT for tanh units (equations: the package)."""

from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.rnn_cells.network import RNNNetwork
from plastic.eprop.rnn_cells.simulation import RNNRecord
from plastic.eprop.sequences import affine_map, before, gradient_of_map, learning_signals, product
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


def eprop(net: RNNNetwork, record: RNNRecord, err: Array, R: Array | None, feedback: Array | None, traces: Any) -> Tree:
    """Return the gradients of e-prop: its arguments are those of `eprop.eprop_gradients`."""
    checks.no_regulariser(R)
    L = learning_signals(err, checks.feedback(feedback, net.readout.W, err))
    return _gradients(net, record, err, sweep(net, record, L))


def online(
    net: RNNNetwork, record: RNNRecord, err: Array, R: Array | None, feedback: Array | None, traces: Any
) -> Tree:
    """Return the gradients of e-prop, the sum of L^t e^t, step by step; arguments as of `eprop.online_gradients`."""
    checks.no_regulariser(R)
    B_T = affine.transposed(checks.feedback(feedback, net.readout.W, err))
    h_before = before(record.h, record.start.h)
    G: Any = 0.0
    for t in range(record.h.shape[-3]):
        h, x, L = record.h[..., t, :, :], record.x[..., t, :, :], err[..., t, :, :] @ B_T
        x = xp.broadcast_to(x, (*h.shape[:-1], x.shape[-1])).astype(h.dtype)
        p = xp.concatenate([x, h_before[..., t, :, :], xp.ones_like(h[..., :1])], axis=-1)
        e = (1 - h * h)[..., None, :] * p[..., :, None]
        G = G + xp.sum(L[..., None, :] * e, axis=-3)
    kernel = Affine(G[..., :-1, :], None if net.kernel.b is None else G[..., -1:, :])
    return {"kernel": kernel, "readout": gradient_of_map(record.h, net.readout, err)}


def bptt(net: RNNNetwork, record: RNNRecord, err: Array, R: Array | None) -> Tree:
    """Return the gradients of BPTT; `net`, `record`, `err` and `R` are those of `eprop.bptt_gradients`."""
    checks.no_regulariser(R)
    return _gradients(net, record, err, sweep(net, record, learning_signals(err, net.readout.W), recurrent=True))


def traces_after(net: RNNNetwork, record: RNNRecord, traces: Any) -> None:
    """Return None: eligibility traces of tanh units have no memory, so that a chunk leaves nothing."""


def require_traces(net: RNNNetwork, record: RNNRecord, traces: Any) -> None:
    """Require None, which is what `traces_after` gives."""
    if traces is not None:
        raise PlasticError(f"traces is a {type(traces).__name__}; those of tanh units have no memory, and are None")


def sweep(net: RNNNetwork, record: RNNRecord, L: Array, recurrent: bool = False) -> Array:
    """Return delta = dE/du (..., T, batch, n) of a `record` of `net`.

    L: learning signals, dE/dh of each step by itself (..., T, batch, n), left unchanged.
    recurrent: add the path through h into the next step: then delta is that of BPTT, and delta W_x^T is dE/dx.
    """
    delta = 1 - record.h * record.h
    if not recurrent:
        delta *= L
        return delta
    back, now = affine.transposed(net.W_h), xp.zeros_like(L[..., 0, :, :])
    for t in reversed(range(delta.shape[-3])):
        delta[..., t, :, :] *= L[..., t, :, :] + now @ back
        now = delta[..., t, :, :]
    return delta


def of_cells(net: RNNNetwork, record: RNNRecord, L: Array, recurrent: bool, to_input: bool) -> tuple[Tree, Any]:
    """Return ({"kernel": gradients}, dE/dx or None), of units whose readout is elsewhere.

        dE/dx^t = delta^t W_x^T

    net, record: the units, and the record of their simulation.
    L: learning signals, dE/dh of each step by itself (..., T, batch, n).
    recurrent: add the path through h into the next step, for BPTT. to_input: whether dE/dx is wanted.
    """
    delta = sweep(net, record, L, recurrent)
    dx = affine_map(delta, Affine(xp.ascontiguousarray(affine.transposed(net.W_x)))) if to_input else None
    return {"kernel": _of_kernel(net, record, delta)}, dx


def _gradients(net, record, err, delta):
    """Return the tree of gradients, one product over batch and time for each matrix, from delta = dE/du."""
    readout = gradient_of_map(record.h, net.readout, err)
    return {"kernel": _of_kernel(net, record, delta), "readout": readout}


def _of_kernel(net, record, delta):
    pre = record.x.astype(delta.dtype), before(record.h, record.start.h)
    W = xp.concatenate([product(each, delta) for each in pre], axis=-2)
    return Affine(W, None if net.kernel.b is None else affine.bias_gradient(affine.rows(delta)))
