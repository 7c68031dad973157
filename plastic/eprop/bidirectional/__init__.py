"""Layers of cells that see a sequence in both directions, one layer upon the other, with one readout.

    record = bidirectional.simulate(net, x)                    x (..., F, batch, n_in), F frames
    loss, err = loss_function(record.output, y)                err = dE/doutput (..., F, batch, n_out)
    grads = bidirectional.eprop(net, record, err)              or bidirectional.bptt

Every layer has two networks of its own, one of which sees the sequence from its end; the next layer sees what both
send. Of spiking cells each frame is presented in several steps. The readout sees the last layer, or all of them, as

    y^f = F^f W + b

where F^f are the frames of what the cells send, z^t (h^t of LSTM cells and tanh units): the mean over the K steps of a
frame, and a leaky sum with decay kappa, over frames of the means, or over steps before the mean is taken
(`filter_first`):

    F^f = kappa F^{f-1} + 1/K sum over t in f of z^t        or   F^f = 1/K sum over t in f of zbar^t,
                                                                 zbar^t = kappa zbar^{t-1} + z^t

Both are linear, and what they ask of z^t is their adjoint, from the end: of dE/dF^f = err^f B^T, with B = W or a
matrix of feedback,

    L^t = 1/K lam^f, t in f,   lam^f = dE/dF^f + kappa lam^{f+1}     or   L^t = 1/K dE/dF^f + kappa L^{t+1}, t in f

A layer takes L^t, with dE/dx^t of the layer upon it added, as any network of this family takes dE/dz^t (`of_cells` of
`plastic.eprop.spiking.sweep`, `plastic.eprop.lstm_cells.sweep` and `plastic.eprop.rnn_cells.sweep`). BPTT goes down to
all layers. e-prop brings the readout's learning signals to every layer, and what it passes on from one layer to the one
below is a matter of choice (`downwards`): the published code does so for spiking cells and not for LSTM cells.

Dropout multiplies the input of each layer and F by masks, which belong to the record. Source: the published code for
speech of Bellec, Scherr et al. 2020 (Fig. 2); bidirectional networks, Schuster and Paliwal 1997.
"""

from plastic.eprop.bidirectional.network import BidirectionalNetwork, Masks, cells
from plastic.eprop.bidirectional.rules import bptt, eprop
from plastic.eprop.bidirectional.simulation import BidirectionalRecord, dropout, predict, simulate

__all__ = [
    "BidirectionalNetwork",
    "BidirectionalRecord",
    "Masks",
    "bptt",
    "cells",
    "dropout",
    "eprop",
    "predict",
    "simulate",
]
