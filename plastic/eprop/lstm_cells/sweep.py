"""e-prop and BPTT for LSTM cells by one sweep back in time (equations: the package)."""

from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.lstm_cells.network import LSTMNetwork
from plastic.eprop.lstm_cells.simulation import LSTMRecord
from plastic.eprop.sequences import affine_map, before, gradient_of_map, learning_signals, product
from plastic.parameters import Affine
from plastic.types import Array, Tree


def eprop(net: LSTMNetwork, record: LSTMRecord, err: Array, R: Array | None, feedback: Array | None) -> Tree:
    """Return the gradients of e-prop; `net`, `record`, `err`, `R`, `feedback` are those of `eprop.eprop_gradients`."""
    checks.no_regulariser(R)
    B = checks.feedback(feedback, net.readout.W, err)
    return _gradients(net, record, err, sweep(net, record, learning_signals(err, B)))


def bptt(net: LSTMNetwork, record: LSTMRecord, err: Array, R: Array | None) -> Tree:
    """Return the gradients of BPTT; `net`, `record`, `err` and `R` are those of `eprop.bptt_gradients`."""
    checks.no_regulariser(R)
    return _gradients(net, record, err, sweep(net, record, learning_signals(err, net.readout.W), recurrent=True))


def sweep(net: LSTMNetwork, record: LSTMRecord, L: Array, recurrent: bool = False) -> Array:
    """Return delta = dE/du (..., T, batch, 4 n) of a `record` of `net`, the gates in the order i, j, f, o.

    L: learning signals, dE/dh of each step by itself (..., T, batch, n), left unchanged.
    recurrent: add the path through h into the next step: then delta is that of BPTT, and delta W_x^T is dE/dx.
    """
    (S_i, S_j, S_f, S_o), A, K = derivatives(net, record)
    n = A.shape[-1]
    delta = xp.empty((*A.shape[:-1], 4 * n), dtype=A.dtype)
    back = affine.transposed(net.W_h)
    D, now = xp.zeros_like(A[..., 0, :, :]), None
    for t in reversed(range(A.shape[-3])):
        signal = L[..., t, :, :]
        if recurrent and now is not None:
            signal = signal + now @ back
        D = D + A[..., t, :, :] * signal
        now = delta[..., t, :, :]
        now[..., :n] = S_i[..., t, :, :] * D
        now[..., n : 2 * n] = S_j[..., t, :, :] * D
        now[..., 2 * n : 3 * n] = S_f[..., t, :, :] * D
        now[..., 3 * n :] = S_o[..., t, :, :] * signal
        D = K[..., t, :, :] * D
    return delta


def of_cells(net: LSTMNetwork, record: LSTMRecord, L: Array, recurrent: bool, to_input: bool) -> tuple[Tree, Any]:
    """Return ({"kernel", "w_i", "w_f", "w_o": gradients}, dE/dx or None), of cells whose readout is elsewhere.

        dE/dx^t = delta^t W_x^T

    net, record: the cells, and the record of their simulation.
    L: learning signals, dE/dh of each step by itself (..., T, batch, n).
    recurrent: add the path through h into the next step, for BPTT. to_input: whether dE/dx is wanted.
    """
    delta = sweep(net, record, L, recurrent)
    dx = affine_map(delta, Affine(xp.ascontiguousarray(affine.transposed(net.W_x)))) if to_input else None
    return _of_gates(net, record, delta), dx


def _gradients(net, record, err, delta):
    """Return the tree of gradients, one product over batch and time for each matrix, from delta = dE/du."""
    cells = _of_gates(net, record, delta)
    return {"kernel": cells.pop("kernel"), "readout": gradient_of_map(record.h, net.readout, err)} | cells


def _of_gates(net, record, delta):
    """Return the gradients of all but the readout."""
    h_before = before(record.h, record.start.h)
    x = record.x.astype(delta.dtype)
    kernel = Affine(xp.concatenate([product(x, delta), product(h_before, delta)], axis=-2))
    if net.kernel.b is not None:
        kernel.b = affine.bias_gradient(affine.rows(delta))
    w = [None] * 3
    if net.w_i is not None:
        n, c_before = record.c.shape[-1], before(record.c, record.start.c)
        delta_i, delta_f, delta_o = (delta[..., k * n : (k + 1) * n] for k in (0, 2, 3))
        terms = (delta_i * c_before, delta_f * c_before, delta_o * record.c)
        w = [affine.bias_gradient(affine.rows(each)) for each in terms]
    return {"kernel": kernel, "w_i": w[0], "w_f": w[1], "w_o": w[2]}


def derivatives(net: LSTMNetwork, record: LSTMRecord) -> tuple[tuple[Array, ...], Array, Array]:
    """Return ((S_i, S_j, S_f, S_o), A, K) of all steps of a `record` of `net`, each (..., T, batch, n)."""
    S_i, S_j, S_f, S_o, A = (xp.empty_like(record.c) for _ in range(5))
    c_before = before(record.c, record.start.c)
    _differentiate(record.i, record.j, record.f, record.o, record.q, c_before, S_i, S_j, S_f, S_o, A)
    K = record.f
    if net.w_i is not None:
        w_i, w_f, w_o = (w[..., None, :, :] for w in (net.w_i, net.w_f, net.w_o))
        A += w_o * S_o
        K = K + w_i * S_i
        K += w_f * S_f
    return (S_i, S_j, S_f, S_o), A, K


@xp.fuse
def _differentiate(i, j, f, o, q, c_before, S_i, S_j, S_f, S_o, A):
    S_i[...] = j * i * (1 - i)
    S_j[...] = i * (1 - j * j)
    S_f[...] = c_before * f * (1 - f)
    S_o[...] = q * o * (1 - o)
    A[...] = o * (1 - q * q)
