"""The simulation of spiking networks, and what it leaves for the rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import affine, require, xp
from plastic.eprop import checks
from plastic.eprop.spiking.network import Neurons, SpikingNetwork
from plastic.errors import PlasticError
from plastic.types import Array

KEPT = ("v", "a", "r", "u")


@dataclasses.dataclass(repr=False)
class SpikingState:
    """Where a spiking network stands after a step; a simulation goes on from it.

    Attributes:
        v: membrane potentials (..., batch, n).
        a: adaptations (..., batch, n).
        z: spikes (..., batch, n), 0 or 1.
        s: what drives the adaptation next (..., batch, n): z, or of `unmasked` neurons what they would have sent.
        r: refractory for as many steps more (..., batch, n).
        y: the readout without its bias (..., batch, n_out).
    """

    v: Array
    a: Array
    z: Array
    s: Array
    r: Array
    y: Array

    def __repr__(self) -> str:
        batch, n = self.v.shape[-2:]
        return f"SpikingState of {n} neurons, batch {batch}{checks.replicated(self.v.shape[:-2])}"


@dataclasses.dataclass(repr=False)
class SpikingRecord:
    """What a simulation of a spiking network leaves for the rules.

    Attributes:
        x: the input (..., T, batch, n_in), as given.
        z: spikes, booleans (..., T, batch, n). z_before: the spikes before the first step, numbers (..., batch, n).
        psi: pseudo-derivatives (..., T, batch, n).
        output: readouts with their bias (..., T, batch, n_out).
        state: the `SpikingState` after the last step.
        psi_unmasked: pseudo-derivatives without refractoriness, of `unmasked` neurons, else None.
        done: (..., T, batch) of 0 and 1, or None.
        kept: the histories asked for, {name: (..., T, batch, n)}.
    """

    x: Array
    z: Array
    psi: Array
    output: Array
    z_before: Array
    state: Any
    psi_unmasked: Array | None = None
    done: Array | None = None
    kept: dict[str, Array] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SpikingRecord {checks.shown(self.psi, self.sizes)}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, neurons and readouts."""
        return self.x.shape[-1], self.z.shape[-1], self.output.shape[-1]


def at_rest(net: SpikingNetwork, x: Array) -> SpikingState:
    """Return the all-zero state of a network `net` for sequences x (..., T, batch, n_in)."""
    leading, (_, n, n_out) = require.replicas(network=net.replicas, x=x.shape[:-3]), net.sizes
    v, a, z, s, r = (xp.zeros((*leading, x.shape[-2], n), dtype=net.dtype) for _ in range(5))
    return SpikingState(v, a, z, s, r, xp.zeros((*leading, x.shape[-2], n_out), dtype=net.dtype))


def simulate(net: SpikingNetwork, x: Array, state: Any, done: Array | None, keep: Sequence[str]) -> SpikingRecord:
    """Return the record of `net` over `x`, from `state`, with `done` and `keep`: those of `eprop.simulate`."""
    start = _start(net, x, state)
    done, histories = _done(done, x, start.v), _histories(keep, start.v, x.shape[-3])
    neurons, W = net.neurons, net.recurrence()
    beta = None if neurons.beta is None else neurons.beta + xp.zeros_like(start.v)  # products with a row cost more
    v, a, z, s, r = start.v, start.a, start.z.copy(), start.s, start.r
    current = currents(x, net.W_in * neurons.gain)
    psi = current  # psi^t takes the place of x^t W_in, which is not needed after step t
    psi_unmasked: Any = xp.empty_like(psi) if neurons.unmasked else None
    spikes = xp.empty(psi.shape, dtype=bool)
    for t in range(x.shape[-3]):
        if done is not None:
            for each in (v, a, z, s, r):
                each *= 1 - done[..., t, :, None]
        if beta is not None:
            a *= neurons.rho
            a += s
        received = z @ W
        received += current[..., t, :, :]
        v *= neurons.alpha
        v += received
        threshold = neurons.theta if beta is None else neurons.theta + beta * a
        u = v - threshold
        u *= 1 / neurons.theta
        for name, history in histories.items():
            history[..., t, :, :] = {"v": v, "a": a, "r": r, "u": u}[name]
        free, above = r <= 0, u > 0
        spike = xp.logical_and(above, free, out=spikes[..., t, :, :])
        z = spike.astype(v.dtype)
        s = above.astype(v.dtype) if neurons.unmasked else z
        r += z * neurons.n_ref
        r -= 1
        xp.maximum(r, 0, out=r)
        slope = _pseudo_derivative(neurons, u)
        xp.multiply(slope, free, out=psi[..., t, :, :])
        if neurons.unmasked:
            psi_unmasked[..., t, :, :] = slope
    y = readout(net, spikes, start.y)
    last = SpikingState(v, a, z, s, r, y[..., -1, :, :].copy())
    output = y if net.b_out is None else y + at_every_step(net.b_out)
    return SpikingRecord(x, spikes, psi, output, start.z, last, psi_unmasked, done, histories)


def currents(x: Array, W: Array) -> Array:
    """Return the currents x W (..., T, batch, m) that inputs or spikes cause.

    x: (..., T, batch, n), booleans or numbers, made numbers for a part of the time at once. W: (..., n, m).
    """
    T, batch, _ = x.shape[-3:]
    leading = require.replicas(x=x.shape[:-3], W=W.shape[:-2])
    out = xp.empty((*leading, T, batch, W.shape[-1]), dtype=W.dtype)
    for part in time_slices(x):
        product = affine.rows(x[..., part, :, :].astype(W.dtype)) @ W
        out[..., part, :, :] = product.reshape(*leading, -1, batch, W.shape[-1])
    return out


def readout(net: SpikingNetwork, z: Array, y: Any = 0.0) -> Array:
    """Return the readouts y^t = kappa y^{t-1} + g_out z^t W_out (..., T, batch, n_out) of `net`, without bias.

    z: spikes (..., T, batch, n). y: the readout before the first step (..., batch, n_out), or 0.
    """
    sent = currents(z, net.W_out * net.g_out)
    for t in range(sent.shape[-3]):
        sent[..., t, :, :] += net.kappa * y
        y = sent[..., t, :, :]
    return sent


def time_slices(sequence: Array, most: int = 1 << 20) -> list[slice]:
    """Return slices that cut the time of a sequence (..., T, batch, n) into parts of about `most` entries."""
    T = sequence.shape[-3]
    length = max(1, most * T // max(1, sequence.size))
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def at_every_step(constant: Any) -> Any:
    """Return a constant, (..., 1, n) or a number, so that it meets sequences (..., T, batch, n)."""
    return constant if isinstance(constant, float) else constant[..., None, :, :]


def _pseudo_derivative(neurons: Neurons, u: Array) -> Array:
    """Return (gamma / theta) max(0, 1 - |u|) in the place of u."""
    xp.abs(u, out=u)
    xp.subtract(1, u, out=u)
    xp.maximum(u, 0, out=u)
    u *= neurons.gamma / neurons.theta
    return u


def _start(net: SpikingNetwork, x: Array, state: Any) -> SpikingState:
    """Return the state to begin with, in full and a copy: at rest, or that of the user."""
    rest = at_rest(net, x)
    if state is None:
        return rest
    checks.state(state, rest)
    names = [field.name for field in dataclasses.fields(SpikingState)]
    return SpikingState(
        **{name: xp.broadcast_to(getattr(state, name), getattr(rest, name).shape).copy() for name in names}
    )


def _done(done: Any, x: Array, v: Array) -> Array | None:
    """Return the user's done as numbers (..., T, batch)."""
    if done is None:
        return None
    require.array("done", done)
    if done.shape[-2:] != x.shape[-3:-1]:
        raise PlasticError(f"done has shape {done.shape}; (T, batch) is needed, {x.shape[-3:-1]}")
    if require.replicas(network=v.shape[:-2], done=done.shape[:-2]) != v.shape[:-2]:
        raise PlasticError(f"done has replica axes {done.shape[:-2]} that neither x nor the network has")
    if isinstance(done, np.ndarray) and not np.all((done == 0) | (done == 1)):
        raise PlasticError("done holds other numbers than 0 and 1")
    return done.astype(v.dtype)


def _histories(keep: Any, v: Array, T: int) -> dict[str, Array]:
    """Return empty histories {name: (..., T, batch, n)}."""
    if isinstance(keep, str):
        raise PlasticError(f"keep is {keep!r}; it must be a tuple of names: ({keep!r},)")
    for name in keep:
        require.choice("a name in keep", name, KEPT)
    shape = (*v.shape[:-2], T, *v.shape[-2:])
    return {name: xp.empty(shape, dtype=v.dtype) for name in keep}
