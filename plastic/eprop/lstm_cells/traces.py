"""e-prop for LSTM cells as it could run beside the network, with eligibility traces carried forward in time.

For teaching: every weight keeps an eligibility vector for each sample, which costs n times the time and memory of the
sweep. Equations: the package.
"""

from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.lstm_cells.chunks import no_traces
from plastic.eprop.lstm_cells.network import LSTMNetwork
from plastic.eprop.lstm_cells.simulation import LSTMRecord
from plastic.eprop.sequences import gradient_of_map
from plastic.parameters import Affine
from plastic.types import Array, Tree


def online(
    net: LSTMNetwork, record: LSTMRecord, err: Array, R: Array | None, feedback: Array | None, traces: Any
) -> Tree:
    """Return the gradients of e-prop, the sum of L^t e^t.

    net, record, err, R, feedback, traces: those of `eprop.online_gradients`.
    """
    checks.no_regulariser(R)
    B_T = affine.transposed(checks.feedback(feedback, net.readout.W, err))
    *leading, T, batch, n = record.c.shape
    dtype, (n_in, _, _) = record.c.dtype, net.sizes
    c, h = record.start.c, record.start.h
    ones = xp.ones((*leading, batch, 1), dtype=dtype)
    traces = no_traces(record) if traces is None else traces
    eps = [traces.eps[..., k * n : (k + 1) * n] for k in range(3)]  # of the kernel and its bias
    eps_wi, eps_wf = traces.eps_wi, traces.eps_wf
    G: list[Any] = [0.0] * 4
    G_w: list[Any] = [None] * 3 if net.w_i is None else [0.0] * 3
    for t in range(T):
        i, j, f, o, q, c_now = (getattr(record, name)[..., t, :, :] for name in ("i", "j", "f", "o", "q", "c"))
        L = err[..., t, :, :] @ B_T
        x = xp.broadcast_to(record.x[..., t, :, :], (*leading, batch, n_in)).astype(dtype)
        p = xp.concatenate([x, h, ones], axis=-1)
        S_i, S_j, S_f, S_o = i * (1 - i) * j, (1 - j * j) * i, f * (1 - f) * c, o * (1 - o) * q
        K, A = f, o * (1 - q * q)
        if net.w_i is not None:
            K, A = f + S_i * net.w_i + S_f * net.w_f, A + S_o * net.w_o
            eps_wi = K * eps_wi + S_i * c
            eps_wf = K * eps_wf + S_f * c
            e_w = (A * eps_wi, A * eps_wf, S_o * c_now)
            G_w = [total + xp.sum(L * e, axis=-2, keepdims=True) for total, e in zip(G_w, e_w, strict=True)]
        for k, S in enumerate((S_i, S_j, S_f)):
            eps[k] = K[..., None, :] * eps[k] + p[..., :, None] * S[..., None, :]
            G[k] = G[k] + xp.sum((L * A)[..., None, :] * eps[k], axis=-3)
        G[3] = G[3] + xp.sum((L * S_o)[..., None, :] * p[..., :, None], axis=-3)
        c, h = c_now, record.h[..., t, :, :]
    both = xp.concatenate(G, axis=-1)
    kernel = Affine(both[..., :-1, :], None if net.kernel.b is None else both[..., -1:, :])
    readout = gradient_of_map(record.h, net.readout, err)
    return {"kernel": kernel, "readout": readout, "w_i": G_w[0], "w_f": G_w[1], "w_o": G_w[2]}
