"""Recurrent networks of tanh units without gates (Elman 1990), with e-prop and BPTT.

    u^t = x^t W_x + h^{t-1} W_h + b              the rows of W are those of W_x, then of W_h
    h^t = tanh(u^t)
    y^t = h^t W_out + b_out

What a unit is and what it shows are the same h. e-prop differentiates through the hidden state of a unit and not
through what units show to each other, or to themselves (Bellec, Scherr et al. 2020), so that eligibility traces have no
memory: with p^t = (x^t, h^{t-1}, 1) and the learning signals L^t = err^t B^T,

    e^t = (1 - h^t h^t) p^t,    G = sum over batch and t of L^t e^t = sum of (p^t)^T delta^t
    delta^t = (1 - h^t h^t) L^t

BPTT adds the path through h^t into the next step,

    L^t <- err^t W_out^T + delta^{t+1} W_h^T

Such a network is what the published code for speech has in the place of LSTM cells if it is told so.

The initial state is a constant in all rules. Sequences are (..., T, batch, n), and parameters, and with them all else,
may carry leading replica axes.
"""

from plastic.eprop.rnn_cells.network import RNNNetwork
from plastic.eprop.rnn_cells.simulation import RNNRecord, RNNState, predict, simulate
from plastic.eprop.rnn_cells.sweep import bptt, eprop, online, require_traces, traces_after

Record = RNNRecord

__all__ = [
    "RNNNetwork",
    "RNNRecord",
    "RNNState",
    "Record",
    "bptt",
    "eprop",
    "online",
    "predict",
    "require_traces",
    "simulate",
    "traces_after",
]
