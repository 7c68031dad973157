"""LSTM cells, with e-prop and BPTT (Bellec, Scherr et al. 2020, Nature Communications 11:3625).

One step of n cells (Hochreiter and Schmidhuber 1997), with forget bias 1 and, if there are w_i, w_f, w_o, peepholes
(Gers and Schmidhuber 2000); sig is the logistic function, products of vectors are elementwise:

    u^t = x^t W_x + h^{t-1} W_h + b              (u_i, u_j, u_f, u_o), the rows of W are those of W_x, then of W_h
    i^t = sig(u_i + w_i c^{t-1})                 input gate
    j^t = tanh(u_j)                              input
    f^t = sig(u_f + 1 + w_f c^{t-1})             forget gate
    c^t = f^t c^{t-1} + i^t j^t                  the hidden state of e-prop
    o^t = sig(u_o + w_o c^t)                     output gate
    h^t = o^t q^t,   q^t = tanh(c^t)             the observable state
    y^t = h^t W_out + b_out                      the logits

The learning signals L^t = err^t B^T come down from err^t = dE/dy^t, by B = W_out (symmetric) or by a fixed matrix
(random). With the derivatives of one step, all else constant,

    S_i = dc/du_i = j i (1 - i)        S_j = dc/du_j = i (1 - j^2)        S_f = dc/du_f = c^{t-1} f (1 - f)
    S_o = dh/du_o = q o (1 - o)        A   = dh/dc   = o (1 - q^2) + w_o S_o
    K   = dc^t/dc^{t-1} = f + w_i S_i + w_f S_f

e-prop carries, forward in time, an eligibility vector for each weight from p^t = (x^t, h^{t-1}, 1) into a gate g of
{i, j, f} (`eprop_online`):

    eps^t = K^t eps^{t-1} + S_g^t p^t          e^t = A^t eps^t          into gate o: e^t = S_o^t p^t
    G     = sum over batch and t of L^t e^t

All coefficients belong to the cell, so the sum over time can be taken from the end, once for all weights (`eprop`):

    D^t = A^t L^t + K^{t+1} D^{t+1}            dE/dc^t
    delta_i = S_i D    delta_j = S_j D    delta_f = S_f D    delta_o = S_o L
    G_W = sum of (x^t, h^{t-1})^T delta^t      and of the peepholes the sums of delta_i c^{t-1}, delta_f c^{t-1},
                                               delta_o c^t

which is equal, not an approximation: no array of weights times steps is needed. BPTT is the same sweep with the one
path that e-prop leaves out, through h^t into the gates of the next step (`bptt`):

    L^t <- err^t W_out^T + delta^{t+1} W_h^T

The initial state is a constant in all rules. Sequences are (..., T, batch, n), time-major, so that all time steps are
rows of one product; parameters, and with them all else, may carry leading replica axes.
"""

import dataclasses
import math
from typing import Any

from plastic import xp
from plastic.errors import PlasticError
from plastic.functions import logistic
from plastic.parameters import Affine


@dataclasses.dataclass
class LSTM:
    """A layer of n LSTM cells with a linear readout.

    kernel: W (..., n_in + n, 4 n) from (x^t, h^{t-1}) to the gates, in the order i, j, f, o; b (..., 1, 4 n) or None.
    readout: W (..., n, n_out), b (..., 1, n_out) or None. Without its bias in one of two networks, the sum of their
    logits is a bidirectional network with one readout.
    w_i, w_f, w_o: peepholes (..., 1, n), all three or none.
    Raises PlasticError where there are one or two of the peepholes.
    """

    kernel: Affine
    readout: Affine
    w_i: Any = None
    w_f: Any = None
    w_o: Any = None
    forget_bias: float = 1.0

    def __post_init__(self):
        if len({peephole is None for peephole in (self.w_i, self.w_f, self.w_o)}) > 1:
            raise PlasticError("peepholes are w_i, w_f and w_o: give all three, or none")

    @property
    def parameters(self):
        """The tree of the parameters that the rules give gradients of."""
        names = ("kernel", "readout", "w_i", "w_f", "w_o")
        return {name: getattr(self, name) for name in names}

    @property
    def W_x(self):
        """The weights (..., n_in, 4 n) from the input to the gates."""
        return self.kernel.W[..., : -self.readout.W.shape[-2], :]

    @property
    def W_h(self):
        """The recurrent weights (..., n, 4 n), from the cells to the gates."""
        return self.kernel.W[..., -self.readout.W.shape[-2] :, :]


def create(n_in, n, n_out, generator, peepholes=False):
    """Return a network as the published code begins: a Glorot-uniform kernel, zero biases, W_out ~ N(0, 1) / sqrt(n).

    Peepholes are uniform in +-sqrt(3 / n), the default of its library for vectors. Draws: kernel, readout, w_i, w_f,
    w_o.
    """

    def uniform(bound, shape):
        return xp.asarray(generator.uniform(-bound, bound, shape))

    kernel = uniform(math.sqrt(6 / (n_in + n + 4 * n)), (n_in + n, 4 * n))
    readout = xp.asarray(generator.standard_normal((n, n_out)) / math.sqrt(n))
    b, b_out = (xp.zeros((1, size), dtype=xp.float_dtype) for size in (4 * n, n_out))
    w = [uniform(math.sqrt(3 / n), (1, n)) for _ in range(3)] if peepholes else []
    return LSTM(Affine(kernel, b), Affine(readout, b_out), *w)


@dataclasses.dataclass
class State:
    """Where a network stands between two steps: c and h (..., batch, n)."""

    c: Any
    h: Any


@dataclasses.dataclass
class Record:
    """What a simulation leaves for the rules: logits (..., T, batch, n_out); the rest (..., T, batch, n).

    i, j, f, o: the gates, j the input. c, h: the states after each step, q = tanh(c). start: the one before the first.
    """

    logits: Any
    i: Any
    j: Any
    f: Any
    o: Any
    c: Any
    q: Any
    h: Any
    start: State

    @property
    def state(self):
        """The state after the last step, to go on from; a copy."""
        return State(self.c[..., -1, :, :].copy(), self.h[..., -1, :, :].copy())


def simulate(net, x, state=None):
    """Run a network over x (..., T, batch, n_in) and return its `Record`.

    state: where to begin, left unchanged; by default all zero.
    """
    drive = _affine(x, Affine(net.W_x, net.kernel.b))
    n = drive.shape[-1] // 4
    drive[..., 2 * n : 3 * n] += net.forget_bias
    shape = (*drive.shape[:-1], n)
    gates = [xp.empty(shape, dtype=drive.dtype) for _ in range(4)]
    cells, qs, hs = (xp.empty(shape, dtype=drive.dtype) for _ in range(3))
    one = (*shape[:-3], *shape[-2:])
    zeros = xp.zeros(one, dtype=drive.dtype)
    start = State(zeros, zeros) if state is None else State(*(xp.broadcast_to(s, one) for s in (state.c, state.h)))
    c, h, W_h = start.c, start.h, net.W_h
    u = xp.empty((*one[:-1], 4 * n), dtype=drive.dtype)
    u_i, u_j, u_f, u_o = (u[..., k * n : (k + 1) * n] for k in range(4))
    for t in range(shape[-3]):
        i, j, f, o = (gate[..., t, :, :] for gate in gates)
        new_c, q, new_h = cells[..., t, :, :], qs[..., t, :, :], hs[..., t, :, :]
        xp.matmul(h, W_h, out=u)
        u += drive[..., t, :, :]
        if net.w_i is not None:
            u_i += net.w_i * c
            u_f += net.w_f * c
        logistic(u_i, out=i)
        xp.tanh(u_j, out=j)
        logistic(u_f, out=f)
        xp.multiply(f, c, out=new_c)
        new_c += i * j
        xp.tanh(new_c, out=q)
        if net.w_o is not None:
            u_o += net.w_o * new_c
        logistic(u_o, out=o)
        xp.multiply(o, q, out=new_h)
        c, h = new_c, new_h
    return Record(_affine(hs, net.readout), *gates, cells, qs, hs, start)


def eprop(net, x, record, err, feedback):
    """e-prop, by the sweep back in time; returns gradients, a tree like `net.parameters`, signed to be subtracted.

    record: of `simulate(net, x)`. err: dE/dy, of the shape of the logits.
    feedback: B (..., n, n_out); the weights of the readout, `net.readout.W`, for symmetric feedback.
    """
    return gradients(net, x, record, err, sweep(net, record, signals(err, feedback)))


def bptt(net, x, record, err):
    """Backpropagation through time; arguments and result as for `eprop`."""
    return gradients(net, x, record, err, sweep(net, record, signals(err, net.readout.W), recurrent=True))


def signals(err, feedback):
    """Return the learning signals L = err B^T (..., T, batch, n)."""
    return _affine(err, Affine(xp.swapaxes(feedback, -1, -2)))


def sweep(net, record, L, recurrent=False):
    """Return delta = dE/du (..., T, batch, 4 n), the gates in the order i, j, f, o, from the learning signals.

    L: dE/dh of each step by itself (..., T, batch, n), left unchanged.
    recurrent: add the path through h into the next step: then delta is that of BPTT, and delta W_x^T is dE/dx.
    """
    slopes, A, K = _derivatives(net, record)
    n = A.shape[-1]
    delta = xp.empty((*A.shape[:-1], 4 * n), dtype=A.dtype)
    W_back = xp.swapaxes(net.W_h, -1, -2)
    D, received = xp.zeros_like(A[..., 0, :, :]), xp.zeros_like(A[..., 0, :, :])
    for t in reversed(range(A.shape[-3])):
        signal, now = L[..., t, :, :], delta[..., t, :, :]
        if recurrent:
            received += signal
            signal = received
        D += A[..., t, :, :] * signal
        for k, each in enumerate((D, D, D, signal)):
            xp.multiply(slopes[k][..., t, :, :], each, out=now[..., k * n : (k + 1) * n])
        D *= K[..., t, :, :]
        if recurrent and t > 0:
            xp.matmul(now, W_back, out=received)
    return delta


def gradients(net, x, record, err, delta):
    """Return the tree of gradients, one product over batch and time for each matrix, from delta = dE/du."""
    h_before = _before(record.h, record.start.h)
    kernel = Affine(xp.concatenate([_product(x, delta), _product(h_before, delta)], axis=-2))
    readout = Affine(_product(record.h, err))
    if net.kernel.b is not None:
        kernel.b = _sum(delta)
    if net.readout.b is not None:
        readout.b = _sum(err)
    w = [None] * 3
    if net.w_i is not None:
        n, c_before = record.c.shape[-1], _before(record.c, record.start.c)
        delta_i, delta_f, delta_o = (delta[..., k * n : (k + 1) * n] for k in (0, 2, 3))
        w = [_sum(delta_i * c_before), _sum(delta_f * c_before), _sum(delta_o * record.c)]
    return {"kernel": kernel, "readout": readout, "w_i": w[0], "w_f": w[1], "w_o": w[2]}


def eprop_online(net, x, record, err, feedback):
    """e-prop as it could run beside the network, with eligibility traces carried forward in time; equal to `eprop`.

    For teaching: every weight keeps an eligibility vector for each sample, which costs n times the time and memory.
    Arguments and result as for `eprop`.
    """
    *leading, T, batch, n = record.c.shape
    c, h = record.start.c, record.start.h
    ones = xp.ones((*leading, batch, 1), dtype=record.c.dtype)
    size = net.kernel.W.shape[-2] + 1
    eps = [xp.zeros((*leading, batch, size, n), dtype=record.c.dtype) for _ in range(3)]  # of the kernel and its bias
    eps_wi, eps_wf = xp.zeros_like(record.c[..., 0, :, :]), xp.zeros_like(record.c[..., 0, :, :])
    G = [0.0] * 4
    G_w = [0.0] * 3
    for t in range(T):
        i, j, f, o, q, c_now = (getattr(record, name)[..., t, :, :] for name in ("i", "j", "f", "o", "q", "c"))
        L = err[..., t, :, :] @ xp.swapaxes(feedback, -1, -2)
        p = xp.concatenate([xp.broadcast_to(x[..., t, :, :], (*leading, batch, x.shape[-1])), h, ones], axis=-1)
        S_i, S_j, S_f, S_o = i * (1 - i) * j, (1 - j * j) * i, f * (1 - f) * c, o * (1 - o) * q
        K, A = f, o * (1 - q * q)
        if net.w_i is not None:
            K, A = f + S_i * net.w_i + S_f * net.w_f, A + S_o * net.w_o
            eps_wi = K * eps_wi + S_i * c
            eps_wf = K * eps_wf + S_f * c
            traces = (A * eps_wi, A * eps_wf, S_o * c_now)
            G_w = [total + xp.sum(L * e, axis=-2, keepdims=True) for total, e in zip(G_w, traces, strict=True)]
        for k, S in enumerate((S_i, S_j, S_f)):
            eps[k] = K[..., None, :] * eps[k] + p[..., :, None] * S[..., None, :]
            G[k] = G[k] + xp.sum((L * A)[..., None, :] * eps[k], axis=-3)
        G[3] = G[3] + xp.sum((L * S_o)[..., None, :] * p[..., :, None], axis=-3)
        c, h = c_now, record.h[..., t, :, :]
    G = xp.concatenate(G, axis=-1)
    kernel = Affine(G[..., :-1, :], None if net.kernel.b is None else G[..., -1:, :])
    readout = Affine(_product(record.h, err), None if net.readout.b is None else _sum(err))
    w_i, w_f, w_o = G_w if net.w_i is not None else (None, None, None)
    return {"kernel": kernel, "readout": readout, "w_i": w_i, "w_f": w_f, "w_o": w_o}


def _derivatives(net, record):
    """Return ((S_i, S_j, S_f, S_o), A, K) of all steps, each (..., T, batch, n)."""
    S_i, S_j, S_f, S_o, A = (xp.empty_like(record.c) for _ in range(5))
    c_before = _before(record.c, record.start.c)
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


def _before(states, start):
    """Return the states (..., T, batch, n) before each step."""
    return xp.concatenate([start[..., None, :, :], states[..., :-1, :, :]], axis=-3)


def _rows(sequence):
    """Return (..., T, batch, n) as rows (..., T batch, n)."""
    *leading, T, batch, n = sequence.shape
    return sequence.reshape(*leading, T * batch, n)


def _affine(sequence, affine):
    """Return y = x W + b of a sequence x (..., T, batch, n), in one product over batch and time."""
    y = _rows(sequence) @ affine.W
    if affine.b is not None:
        y += affine.b
    return y.reshape(*y.shape[:-2], *sequence.shape[-3:-1], y.shape[-1])


def _product(pre, post):
    """Return the sum over batch and time of pre^T post (..., n_pre, n_post)."""
    return xp.swapaxes(_rows(pre), -1, -2) @ _rows(post)


def _sum(sequence):
    """Return the sum over batch and time, (..., 1, n)."""
    return xp.sum(_rows(sequence), axis=-2, keepdims=True)
