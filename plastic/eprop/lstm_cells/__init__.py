"""Recurrent networks of LSTM cells, with e-prop and BPTT (Bellec, Scherr et al. 2020, Nature Communications 11:3625).

One step of n cells (Hochreiter and Schmidhuber 1997), with forget bias 1 and, if there are w_i, w_f, w_o, peepholes
(Gers and Schmidhuber 2000); sig is the logistic function, products of vectors are elementwise:

    u^t = x^t W_x + h^{t-1} W_h + b              (u_i, u_j, u_f, u_o), the rows of W are those of W_x, then of W_h
    i^t = sig(u_i + w_i c^{t-1})                 input gate
    j^t = tanh(u_j)                              input
    f^t = sig(u_f + 1 + w_f c^{t-1})             forget gate
    c^t = f^t c^{t-1} + i^t j^t                  the hidden state of e-prop
    o^t = sig(u_o + w_o c^t)                     output gate
    h^t = o^t q^t,   q^t = tanh(c^t)             the observable state
    y^t = h^t W_out + b_out                      the output, logits for instance

The learning signals L^t = err^t B^T come down from err^t = dE/dy^t, by B = W_out (symmetric) or by a fixed matrix
(random). With the derivatives of one step, all else constant,

    S_i = dc/du_i = j i (1 - i)        S_j = dc/du_j = i (1 - j^2)        S_f = dc/du_f = c^{t-1} f (1 - f)
    S_o = dh/du_o = q o (1 - o)        A   = dh/dc   = o (1 - q^2) + w_o S_o
    K   = dc^t/dc^{t-1} = f + w_i S_i + w_f S_f

e-prop carries, forward in time, an eligibility vector for each weight from p^t = (x^t, h^{t-1}, 1) into a gate g of
{i, j, f} (`traces`):

    eps^t = K^t eps^{t-1} + S_g^t p^t          e^t = A^t eps^t          into gate o: e^t = S_o^t p^t
    G     = sum over batch and t of L^t e^t

All coefficients belong to the cell, so the sum over time can be taken from the end, once for all weights (`sweep`):

    D^t = A^t L^t + K^{t+1} D^{t+1}            dE/dc^t
    delta_i = S_i D    delta_j = S_j D    delta_f = S_f D    delta_o = S_o L
    G_W = sum of (x^t, h^{t-1})^T delta^t      and of the peepholes the sums of delta_i c^{t-1}, delta_f c^{t-1},
                                               delta_o c^t

which is equal, not an approximation: no array of weights times steps is needed. BPTT is the same sweep with the one
path that e-prop leaves out, through h^t into the gates of the next step:

    L^t <- err^t W_out^T + delta^{t+1} W_h^T

The initial state is a constant in all rules. Sequences are (..., T, batch, n), so that all time steps are rows of one
product; parameters, and with them all else, may carry leading replica axes.
"""

from plastic.eprop.lstm_cells.chunks import LSTMTraces, eprop, require_traces, traces_after
from plastic.eprop.lstm_cells.network import LSTMNetwork
from plastic.eprop.lstm_cells.simulation import LSTMRecord, LSTMState, predict, simulate
from plastic.eprop.lstm_cells.sweep import bptt
from plastic.eprop.lstm_cells.traces import online

Record = LSTMRecord

__all__ = [
    "LSTMNetwork",
    "LSTMRecord",
    "LSTMState",
    "LSTMTraces",
    "Record",
    "bptt",
    "eprop",
    "online",
    "predict",
    "require_traces",
    "simulate",
    "traces_after",
]
