"""Recurrent networks of leaky integrate-and-fire neurons, with or without adaptive thresholds (LIF, ALIF; LSNN).

One step of dt = 1 ms, for neurons j with inputs x_i and spikes z_j (Bellec, Scherr et al. 2020, eqs. 7-11):

    a^t = rho a^{t-1} + z^{t-1}                                           adaptation, of neurons with beta_j > 0
    v^t = alpha v^{t-1} + gain (x^t W_in + z^{t-1} W_rec) - theta z^{t-1}
    u^t = (v^t - theta - beta a^t) / theta
    z^t = [u^t > 0] where the neuron is not refractory, else 0
    r^{t+1} = max(r^t + n_ref z^t - 1, 0)                                 refractory while r > 0: n_ref - 1 steps

    psi^t = (gamma / theta) max(0, 1 - |u^t|), 0 while refractory         the pseudo-derivative dz/dv

A step takes its input at once, and the spikes of other neurons with a delay of one step. With a longer `delay` these
are z^{t-delay} in the current, while the reset stays as it is. W_rec connects no neuron to itself: its diagonal is 0.
The readout filters what the spikes send, y^t = kappa y^{t-1} + g_out z^t W_out (+ b_out).

| symbol | meaning | default |
|---|---|---|
| alpha, rho, kappa | decays exp(-dt / tau) of membrane, adaptation, readout | |
| theta | baseline threshold | |
| beta | how far a spike raises the threshold; 0 for LIF | 0 |
| gamma | dampening factor of psi | 0.3 |
| gain | 1, or 1 - alpha | 1 |
| n_ref | 1 for no refractoriness | 1 |

The pseudo-derivative may have other forms (`surrogates`). Three variants: `relative` neurons measure distances in
adapted thresholds, u = (v - A) / A with A = theta + beta a (the published class LightALIF; its a = rho a + (1 - rho) z
is this one with (1 - rho) times its beta); with `unmasked` the adaptation is driven by s^{t-1} = [u^{t-1} > 0] whether
or not the neuron was refractory (the published code for speech); `done` resets neurons before a step (the published
code for games).

Sequences are (..., T, batch, n), so that all time steps are rows of one product. All parameters, and the constants, may
carry leading replica axes; a constant is a number or (..., 1, n).
"""

from plastic.eprop.spiking.chunks import SpikingTraces, eprop, require_traces, traces_after
from plastic.eprop.spiking.constants import constant_gradients
from plastic.eprop.spiking.network import Neurons, SpikingNetwork, decay
from plastic.eprop.spiking.simulation import SpikingRecord, SpikingState, joined, predict, simulate
from plastic.eprop.spiking.sweep import bptt, ideal_learning_signals
from plastic.eprop.spiking.traces import Traces, eligibility_traces, factorised_gradients, online

Record = SpikingRecord

__all__ = [
    "Neurons",
    "Record",
    "SpikingNetwork",
    "SpikingRecord",
    "SpikingState",
    "SpikingTraces",
    "Traces",
    "bptt",
    "constant_gradients",
    "decay",
    "eligibility_traces",
    "eprop",
    "factorised_gradients",
    "ideal_learning_signals",
    "joined",
    "online",
    "predict",
    "require_traces",
    "simulate",
    "traces_after",
]
