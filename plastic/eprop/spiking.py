"""Recurrent networks of leaky integrate-and-fire neurons, with or without adaptive thresholds (LIF, ALIF; LSNN).

One step of dt = 1 ms, for neurons j with inputs x_i and spikes z_j (Bellec, Scherr et al. 2020, eqs. 7-11):

    a^t = rho a^{t-1} + z^{t-1}                                           adaptation, of neurons with beta_j > 0
    v^t = alpha v^{t-1} + gain (x^t W_in + z^{t-1} W_rec) - theta z^{t-1}
    u^t = (v^t - theta - beta a^t) / theta
    z^t = [u^t > 0] where the neuron is not refractory, else 0
    r^{t+1} = max(r^t + n_ref z^t - 1, 0)                                 refractory while r > 0: n_ref - 1 steps

    psi^t = (gamma / theta) max(0, 1 - |u^t|), 0 while refractory         the pseudo-derivative dz/dv

A step takes its input at once and the recurrent spikes with a delay of one step. W_rec connects no neuron to itself:
its diagonal counts as 0. The readout filters what the spikes send, y^t = kappa y^{t-1} + g_out z^t W_out (+ b_out).

| symbol | meaning | default |
|---|---|---|
| alpha, rho, kappa | decays exp(-dt / tau) of membrane, adaptation, readout | |
| theta | baseline threshold | |
| beta | how far a spike raises the threshold; 0 for LIF | 0 |
| gamma | dampening factor of psi | 0.3 |
| gain | 1, or 1 - alpha | 1 |
| n_ref | 1 for no refractoriness | 1 |

Two variants: with `unmasked` the adaptation is driven by s^{t-1} = [u^{t-1} > 0] whether or not the neuron was
refractory (the published code for speech); `done` resets neurons before a step (the published code for games).

Sequences are (..., T, batch, n), time-major, so that all time steps are rows of one product. All parameters, and the
decays, may carry leading replica axes; a decay or beta is a number or (..., 1, n).
"""

import dataclasses
import math
from typing import Any

from plastic import xp
from plastic.errors import PlasticError


@dataclasses.dataclass(frozen=True)
class Neurons:
    """The constants of a population; see the module. A decay, theta, beta and gain: a number, or (..., 1, n)."""

    alpha: Any
    theta: Any
    rho: Any = 0.0
    beta: Any = None
    gamma: float = 0.3
    gain: Any = 1.0
    n_ref: int = 1
    unmasked: bool = False

    def __post_init__(self):
        if self.n_ref < 1:
            raise PlasticError(f"n_ref is {self.n_ref}; it must be at least 1, which is no refractoriness")


def decay(tau, name="tau"):
    """Return exp(-dt / tau) for a time constant in ms, dt = 1 ms. Raises PlasticError if tau is out of range."""
    if not 0 < tau < 1e12:
        raise PlasticError(f"{name} is {tau}; a time constant must be above 0, and below 1e12")
    return math.exp(-1 / tau)


@dataclasses.dataclass
class SpikingNetwork:
    """A recurrent network with a leaky readout.

    W_in (..., n_in, n), W_rec (..., n, n), W_out (..., n, n_out), b_out (..., 1, n_out) or None.
    B: the feedback of learning signals (..., n, n_out), or None for symmetric feedback, W_out itself.
    kappa: decay of the readout. g_out: its gain, often 1 - kappa.
    """

    W_in: Any
    W_rec: Any
    W_out: Any
    neurons: Neurons
    kappa: Any
    g_out: Any
    b_out: Any = None
    B: Any = None

    @property
    def parameters(self):
        """The tree of the parameters that the rules give gradients of."""
        return {"W_in": self.W_in, "W_rec": self.W_rec, "W_out": self.W_out, "b_out": self.b_out}

    @property
    def feedback(self):
        """The matrix that learning signals come down by."""
        return self.W_out if self.B is None else self.B

    def recurrence(self):
        """Return what z^{t-1} adds to v^t as one matrix: gain W_rec between neurons, -theta on the diagonal."""
        neurons, n = self.neurons, self.W_rec.shape[-1]
        eye = xp.eye(n, dtype=self.W_rec.dtype)
        return self.W_rec * (neurons.gain * (1 - eye)) - neurons.theta * eye


@dataclasses.dataclass
class State:
    """Where a network stands after a step: v, a, z, s, r (..., batch, n), and the readout y (..., batch, n_out).

    s is what drives the adaptation next: z, or with `unmasked` what the neuron would have sent.
    """

    v: Any
    a: Any
    z: Any
    s: Any
    r: Any
    y: Any


@dataclasses.dataclass
class Record:
    """What a simulation leaves for the rules.

    z: spikes, booleans (..., T, batch, n); z_before, the float spikes before the first step.
    psi: pseudo-derivatives (..., T, batch, n); psi_unmasked, without refractoriness, of `unmasked` neurons.
    y: readouts (..., T, batch, n_out). done: (T, batch) or None. state: the last one. kept: {name: history}.
    """

    z: Any
    psi: Any
    y: Any
    z_before: Any
    state: State
    psi_unmasked: Any = None
    done: Any = None
    kept: dict = dataclasses.field(default_factory=dict)


def at_rest(network, x):
    """Return the all-zero state for sequences x (..., T, batch, n_in)."""
    leading = max(x.shape[:-3], network.W_in.shape[:-2], key=len)
    shape = (*leading, x.shape[-2], network.W_rec.shape[-1])
    zeros = [xp.zeros(shape, dtype=network.W_in.dtype) for _ in range(5)]
    return State(*zeros, xp.zeros((*shape[:-1], network.W_out.shape[-1]), dtype=network.W_in.dtype))


def simulate(network, x, state=None, done=None, keep=()):
    """Run a network over x (..., T, batch, n_in), spikes or currents, and return its `Record`.

    state: where to begin, left unchanged; by default at rest.
    done: (T, batch) of 0 and 1; where 1, v, a, z and r are set to 0 before the step.
    keep: names of histories to keep, of "v", "a", "r" (as it was on entry) and "u".
    """
    start = at_rest(network, x) if state is None else state
    neurons = spread(network.neurons, start.v)
    v, a, z, s, r = (each.copy() for each in (start.v, start.a, start.z, start.s, start.r))
    current = rows_of_products(x, network.W_in * neurons.gain)
    shape = current.shape
    spikes = xp.empty(shape, dtype=bool)
    psi = current  # psi^t takes the place of x^t W_in, which is not needed after step t
    psi_unmasked = xp.empty_like(psi) if neurons.unmasked else None
    kept = {name: xp.empty_like(current) for name in keep}
    W, received, u, zero = network.recurrence(), xp.empty_like(v), xp.empty_like(v), xp.zeros_like(v)
    free = xp.ones(v.shape, dtype=bool)
    for t in range(shape[-3]):
        if done is not None:
            _reset((v, a, z, s, r), done[..., t, :, None])
        if neurons.beta is not None:
            a *= neurons.rho
            a += s
        xp.matmul(z, W, out=received)
        received += current[..., t, :, :]
        v *= neurons.alpha
        v += received
        _distance(neurons, v, a, out=u)
        if neurons.n_ref > 1:
            xp.less_equal(r, 0, out=free)
        for name, history in kept.items():
            history[..., t, :, :] = {"v": v, "a": a, "r": r, "u": u}[name]
        spike = spikes[..., t, :, :]
        xp.greater(u, zero, out=spike)
        if neurons.unmasked:
            s[...] = spike
        spike &= free
        z[...] = spike
        if not neurons.unmasked:
            s = z
        if neurons.n_ref > 1:
            r += z * neurons.n_ref
            r -= 1
            xp.maximum(r, zero, out=r)
        _pseudo_derivative(neurons, u, zero)
        if neurons.unmasked:
            psi_unmasked[..., t, :, :] = u
        xp.multiply(u, free, out=psi[..., t, :, :])
    y = readout(network, spikes, start.y)
    filtered = y if network.b_out is None else y + over_time(network.b_out)
    last = State(v, a, z, s, r, y[..., -1, :, :].copy())
    return Record(spikes, psi, filtered, start.z, last, psi_unmasked, done, kept)


def spread(neurons, v):
    """Return the neurons with beta of the full shape of v: products with a row would cost four times as much."""
    return neurons if neurons.beta is None else dataclasses.replace(neurons, beta=neurons.beta + xp.zeros_like(v))


def readout(network, z, y=0.0):
    """Return y^t = kappa y^{t-1} + g_out z^t W_out, without bias, for spikes z (..., T, batch, n)."""
    sent = rows_of_products(z, network.W_out * network.g_out)
    for t in range(sent.shape[-3]):
        sent[..., t, :, :] += network.kappa * y
        y = sent[..., t, :, :]
    return sent


def over_time(value):
    """Give a constant (..., 1, n), or one per replica, the axis of time of sequences (..., T, batch, n)."""
    return value[..., None, :, :] if hasattr(value, "shape") else value


def rows_of_products(z, W):
    """Return z W for z (..., T, batch, n) of booleans or numbers, converted a stretch of time at a time."""
    T, batch, n = z.shape[-3:]
    leading = max(z.shape[:-3], W.shape[:-2], key=len)
    out = xp.empty((*leading, T, batch, W.shape[-1]), dtype=W.dtype)
    for part in stretches(z):
        rows = z[..., part, :, :].astype(W.dtype).reshape(*z.shape[:-3], -1, n)
        out[..., part, :, :] = (rows @ W).reshape(*leading, -1, batch, W.shape[-1])
    return out


def stretches(z, most=1 << 20):
    """Return slices of time that hold about `most` entries of z (..., T, batch, n) each."""
    T = z.shape[-3]
    length = max(1, most * T // max(1, z.size))
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def _distance(neurons, v, a, out):
    """Write u = (v - theta - beta a) / theta."""
    if neurons.beta is None:
        xp.subtract(v, neurons.theta, out=out)
    else:
        xp.multiply(a, neurons.beta, out=out)
        out += neurons.theta
        xp.subtract(v, out, out=out)
    out *= 1 / neurons.theta


def _pseudo_derivative(neurons, u, zero):
    """Turn u into (gamma / theta) max(0, 1 - |u|)."""
    xp.abs(u, out=u)
    xp.subtract(1, u, out=u)
    xp.maximum(u, zero, out=u)
    u *= neurons.gamma / neurons.theta


def _reset(arrays, done):
    for array in arrays:
        array *= 1 - done
