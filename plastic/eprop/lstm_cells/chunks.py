"""e-prop over the chunks of a sequence of LSTM cells: what a chunk leaves for the next.

eps^t = K^t eps^{t-1} + S^t p^t is linear in the eligibility vectors before the chunk. With the adjoint at its start,

    D = sum over t of L^t A^t K^t .. K^s = dJ/d eps^{s-1}

the gradient of the chunk is that of the sweep back in time and

    G_ij += sum over batch of D_j eps_ij^{s-1}

and what the chunk leaves, eps^T = sum over t of (K^T .. K^{t+1} S^t) p^t + K^T .. K^s eps^{s-1}, is a product over time
for each trial. Nothing is left out: gradients of chunks add up to that of the whole, whatever their lengths.
"""

import dataclasses
from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.lstm_cells import sweep
from plastic.eprop.lstm_cells.network import LSTMNetwork
from plastic.eprop.lstm_cells.simulation import LSTMRecord
from plastic.eprop.sequences import before, learning_signals
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class LSTMTraces:
    """The eligibility vectors of all weights into the gates i, j, f after a simulation; e-prop goes on from them.

    Attributes:
        eps_wi, eps_wf: of the peepholes (..., batch, n), 0 without.
        eps: of the kernel and, in the last row, its bias (..., batch, n_in + n + 1, 3 n).
    """

    eps_wi: Array
    eps_wf: Array
    eps: Array

    def __repr__(self) -> str:
        batch, pre, post = self.eps.shape[-3:]
        return f"LSTMTraces of {pre} x {post} weights, batch {batch}{checks.replicated(self.eps.shape[:-3])}"


def no_traces(record: LSTMRecord) -> LSTMTraces:
    """Return the traces, all 0, before anything happened in the `record` of a simulation."""
    n_in, n, _ = record.sizes
    eps_wi, eps_wf = xp.zeros_like(record.start.c), xp.zeros_like(record.start.c)
    return LSTMTraces(eps_wi, eps_wf, xp.zeros((*eps_wi.shape[:-1], n_in + n + 1, 3 * n), dtype=eps_wi.dtype))


def eprop(
    net: LSTMNetwork, record: LSTMRecord, err: Array, R: Array | None, feedback: Array | None, traces: Any
) -> Tree:
    """Return the gradients of e-prop.

    net, record, err, R, feedback, traces: those of `eprop.eprop_gradients`.
    """
    grads = sweep.eprop(net, record, err, R, feedback)
    if traces is None:
        return grads
    L = learning_signals(err, checks.feedback(feedback, net.readout.W, err))
    _, A, K = sweep.derivatives(net, record)
    D, decayed = xp.zeros_like(record.start.c), xp.ones_like(record.start.c)
    for t in range(K.shape[-3]):
        decayed = decayed * K[..., t, :, :]
        D = D + decayed * A[..., t, :, :] * L[..., t, :, :]
    into_gates = xp.sum(xp.concatenate([D, D, D], axis=-1)[..., None, :] * traces.eps, axis=-3)
    into_gates = xp.concatenate([into_gates, xp.zeros_like(into_gates[..., : D.shape[-1]])], axis=-1)
    kernel = grads["kernel"]
    b = None if kernel.b is None else kernel.b + into_gates[..., -1:, :]
    more = {"kernel": Affine(kernel.W + into_gates[..., :-1, :], b)}
    if net.w_i is not None:
        more |= {
            name: grads[name] + affine.bias_gradient(D * eps)
            for name, eps in (("w_i", traces.eps_wi), ("w_f", traces.eps_wf))
        }
    return grads | more


def traces_after(net: LSTMNetwork, record: LSTMRecord, traces: Any) -> LSTMTraces:
    """Return the traces after a chunk; `net`, `record` and `traces` are those of `eprop.traces_after`."""
    traces = no_traces(record) if traces is None else traces
    (S_i, S_j, S_f, _), _, K = sweep.derivatives(net, record)
    c_before, h_before = before(record.c, record.start.c), before(record.h, record.start.h)
    left, decayed = xp.empty_like(record.c), xp.ones_like(record.start.c)  # K^T .. K^{t+1}
    for t in reversed(range(K.shape[-3])):
        left[..., t, :, :] = decayed
        decayed = decayed * K[..., t, :, :]
    x = xp.broadcast_to(record.x, (*h_before.shape[:-1], record.x.shape[-1])).astype(left.dtype)
    p = xp.concatenate([x, h_before, xp.ones_like(left[..., :1])], axis=-1).swapaxes(-3, -2)
    eps = affine.weight_gradient(p, xp.concatenate([left * S_i, left * S_j, left * S_f], axis=-1).swapaxes(-3, -2))
    eps += xp.concatenate([decayed, decayed, decayed], axis=-1)[..., None, :] * traces.eps
    eps_wi, eps_wf = (
        xp.sum(left * S * c_before, axis=-3) + decayed * old for S, old in ((S_i, traces.eps_wi), (S_f, traces.eps_wf))
    )
    return LSTMTraces(eps_wi, eps_wf, eps)


def require_traces(net: LSTMNetwork, record: LSTMRecord, traces: Any) -> None:
    """Require `traces` of a chunk that came before the `record` of `net`, or None."""
    if traces is not None:
        checks.state(traces, no_traces(record), "traces")
