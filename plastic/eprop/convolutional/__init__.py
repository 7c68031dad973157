"""Screens seen by layers of spiking maps and a recurrent network of LIF and ALIF neurons, with one readout.

    record = convolutional.simulate(net, screens)              screens (S, batch, H, W), K steps of 1 ms each
    loss, err = loss_function(record.output, ...)              err = dE/doutput (S K, batch, n_out)
    grads = convolutional.eprop(net, record, err)              or convolutional.bptt

Maps are LIF neurons without refractoriness that share the kernel of their layer. The first layer sees the screen, whose
current is the same in all K steps; the next sees the spikes of the one below, without delay:

    v^t = alpha v^{t-1} + conv(x^t, K) - theta z^{t-1},    z^t = [v^t > theta]
    psi^t = (gamma / theta) max(0, 1 - |v^t - theta| / theta)

The recurrent cells (`plastic.eprop.spiking`) see the spikes of the last layer. The readout sees their spikes and, of
each layer, averages over windows of its maps (`Q` a constant matrix), and is a leaky sum:

    y^t = kappa y^{t-1} + (1 - kappa) [z^t, Q_1 z_1^t, Q_2 z_2^t, ..] W,    output^t = y^t + b

`done` begins an episode with a screen: potentials, adaptation, refractoriness and readout are 0 before its first step.

No layer sends learning signals to the one below: each learns by those that the readout sends to it, broadcast through
its windows, with dE/doutput filtered backwards (done^{t+1} cuts it),

    lam^t = (1 - kappa) err^t + kappa (1 - done^{t+1}) lam^{t+1},       L^t = lam^t W^T       of cells, and of maps Q^T

The cells take L^t and the derivatives of the penalties as in `plastic.eprop.spiking.sweep`. Maps have no recurrent
weights, but their own reset is differentiated, as in the published code:

    mu^t = psi^t L^t + dE/dv^t + (alpha - theta psi^t) (1 - done^{t+1}) mu^{t+1}
    G_K  = sum over batch and t of the gradient of conv(x^t, K) along mu^t

A sequence is cut at the ends of a record: no trace comes from before it. Source: the published code for games of
Bellec, Scherr et al. 2020 (Fig. 4, 5).
"""

from plastic.eprop.convolutional.network import ConvolutionalNetwork, Maps
from plastic.eprop.convolutional.penalties import Potentials, potentials_penalty
from plastic.eprop.convolutional.rules import bptt, eprop
from plastic.eprop.convolutional.simulation import (
    ConvolutionalRecord,
    ConvolutionalState,
    joined,
    simulate,
    spikes,
)

__all__ = [
    "ConvolutionalNetwork",
    "ConvolutionalRecord",
    "ConvolutionalState",
    "Maps",
    "Potentials",
    "bptt",
    "eprop",
    "joined",
    "potentials_penalty",
    "simulate",
    "spikes",
]
