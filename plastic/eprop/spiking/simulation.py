"""The simulation of spiking networks, and what it leaves for the rules."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import affine, require, xp
from plastic.eprop import checks
from plastic.eprop.spiking.filter import filtered
from plastic.eprop.spiking.network import Neurons, SpikingNetwork
from plastic.eprop.spiking.surrogates import SURROGATES
from plastic.errors import PlasticError
from plastic.types import Array

KEPT = ("v", "a", "r", "u")


@dataclasses.dataclass(eq=False, repr=False)
class SpikingState:
    """Where a spiking network stands after a step; a simulation goes on from it.

    Attributes:
        v: membrane potentials (..., batch, n).
        a: adaptations (..., batch, n).
        z: spikes (..., batch, n), 0 or 1.
        s: what drives the adaptation next (..., batch, n): z, or of `unmasked` neurons what they would have sent.
        r: refractory for as many steps more (..., batch, n).
        y: the readout without its bias (..., batch, n_out).
        late: earlier spikes that have not arrived yet, the oldest first (..., delay - 1, batch, n), or None without.
    """

    v: Array
    a: Array
    z: Array
    s: Array
    r: Array
    y: Array
    late: Any = None

    def __repr__(self) -> str:
        batch, n = self.v.shape[-2:]
        return f"SpikingState of {n} neurons, batch {batch}{checks.replicated(self.v.shape[:-2])}"


@dataclasses.dataclass(eq=False, repr=False)
class SpikingRecord:
    """What a simulation of a spiking network leaves for the rules.

    Attributes:
        x: the input (..., T, batch, n_in), as given.
        z: spikes, booleans (..., T, batch, n). z_before: the spikes before the first step, numbers (..., batch, n).
        psi: pseudo-derivatives (..., T, batch, n).
        output: readouts with their bias (..., T, batch, n_out).
        state: the `SpikingState` after the last step.
        psi_unmasked: pseudo-derivatives without refractoriness, of `unmasked` neurons, else None.
        v_over_A: membrane potentials over adapted thresholds (..., T, batch, n), of `relative` neurons, else None.
        done: (..., T, batch) of 0 and 1, or None.
        v_before, a_before: v and a before the first step (..., batch, n).
        late_before: those spikes before the first step that were still to arrive, as in the state, or None.
        kept: the histories asked for, {name: (..., T, batch, n)}.
    """

    x: Array
    z: Array
    psi: Array
    output: Array
    z_before: Array
    state: Any
    psi_unmasked: Array | None = None
    v_over_A: Array | None = None
    done: Array | None = None
    v_before: Any = None
    a_before: Any = None
    late_before: Any = None
    kept: dict[str, Array] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SpikingRecord {checks.shown(self.psi, self.sizes)}"

    @property
    def delay(self) -> int:
        """The steps that a spike takes to other neurons."""
        return 1 if self.late_before is None else self.late_before.shape[-3] + 1

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, neurons and readouts."""
        return self.x.shape[-1], self.z.shape[-1], self.output.shape[-1]


def at_rest(net: SpikingNetwork, x: Array) -> SpikingState:
    """Return the all-zero state of a network `net` for sequences x (..., T, batch, n_in)."""
    leading, (_, n, n_out) = require.replicas(network=net.replicas, x=x.shape[:-3]), net.sizes
    v, a, z, s, r = (xp.zeros((*leading, x.shape[-2], n), dtype=net.dtype) for _ in range(5))
    late = None if net.delay == 1 else xp.zeros((*leading, net.delay - 1, x.shape[-2], n), dtype=net.dtype)
    return SpikingState(v, a, z, s, r, xp.zeros((*leading, x.shape[-2], n_out), dtype=net.dtype), late)


def simulate(
    net: SpikingNetwork, x: Array, state: Any, done: Array | None, keep: Sequence[str], out: Any
) -> SpikingRecord:
    """Return the record of `net` over `x`, from `state`, with `done`, `keep` and `out`: those of `eprop.simulate`."""
    now = _start(net, x, state)
    before = now.v.copy(), now.a.copy(), now.late
    z_before = now.z
    done, histories = _done(done, x, now.v), _histories(keep, now.v, x.shape[-3])
    if done is not None and net.delay > 1:
        raise PlasticError(f"done resets networks of delay 1, but that of this one is {net.delay}")
    z, psi = _spikes_and_slopes((*now.v.shape[:-2], x.shape[-3], *now.v.shape[-2:]), now.v.dtype, out)
    neurons = net.neurons
    psi_unmasked: Any = xp.empty_like(psi) if neurons.unmasked else None
    v_over_A: Any = xp.empty_like(psi) if neurons.relative else None
    for part, spikes, w, free, raised in _parts(net, x, now, done, histories):
        z[..., part, :, :] = spikes
        slope = _pseudo_derivative(neurons, w, raised, out=psi[..., part, :, :])
        if raised is not None:
            v_over_A[..., part, :, :] = (w + raised) / (at_every_step(neurons.theta) + raised)
        if psi_unmasked is not None:
            psi_unmasked[..., part, :, :] = slope
        if neurons.n_ref > 1:
            slope *= free
    y = readout(net, z, now.y)
    now.y = y[..., -1, :, :].copy()
    output, slopes = _output(net, y, now), (psi_unmasked, v_over_A)
    return SpikingRecord(x, z, psi, output, z_before, now, *slopes, done, *before, histories)


def joined(records: Sequence[SpikingRecord]) -> SpikingRecord:
    """Return one record of simulations that went on from one another; those of relative or unmasked neurons are not."""
    first, names = records[0], ("x", "z", "psi", "output")
    together = {name: xp.concatenate([getattr(each, name) for each in records], axis=-3) for name in names}
    if first.done is not None:
        together["done"] = xp.concatenate([each.done for each in records], axis=-2)
    kept = {name: xp.concatenate([each.kept[name] for each in records], axis=-3) for name in first.kept}
    return dataclasses.replace(first, **together, state=records[-1].state, kept=kept)


def predict(net: SpikingNetwork, x: Array, state: Any) -> Array:
    """Return the outputs of every step, and keep nothing else; `net`, `x` and `state` are those of `eprop.predict`."""
    now, W = _start(net, x, state), net.W_out * net.g_out
    sent = [currents(spikes, W) for _, spikes, *_ in _parts(net, x, now, None, {})]
    return _output(net, filtered(xp.concatenate(sent, axis=-3), net.kappa, now.y), now)


def readout(net: SpikingNetwork, z: Array, y: Any = 0.0) -> Array:
    """Return the readouts y^t = kappa y^{t-1} + g_out z^t W_out (..., T, batch, n_out) of `net`, without bias.

    z: spikes (..., T, batch, n). y: the readout before the first step (..., batch, n_out), or 0.
    """
    return filtered(currents(z, net.W_out * net.g_out), net.kappa, y)


def currents(x: Array, W: Array) -> Array:
    """Return the currents x W (..., T, batch, m) that inputs or spikes cause.

    x: (..., T, batch, n), booleans or numbers. W: (..., n, m).
    """
    leading = require.replicas(x=x.shape[:-3], W=W.shape[:-2])
    x = xp.broadcast_to(x, (*leading, *x.shape[-3:]))
    return xp.spike_product(affine.rows(x), W).reshape(*x.shape[:-1], W.shape[-1])


def _parts(net, x, now, done, histories):
    """Move the state `now` through time; yield the slice, the spikes, w, who was free and beta a, part after part.

    beta a is handed out for `relative` neurons only, else None. A part is so long that its arrays (..., K, batch, n)
    stay in the cache; it is valid until the next. A step is

        a <- rho a + s,    v <- alpha v + z W + x W_in,    w = v - beta a,    z = [w > theta] where free

    and a spike leaves the neuron not free, r > 0, for the n_ref - 1 steps that follow.
    """
    neurons, v, a, z, s, ahead = net.neurons, now.v, now.a, now.z, now.s, net.neurons.n_ref - 1
    alpha, theta, rho, beta = (operand(each, v) for each in (neurons.alpha, neurons.theta, neurons.rho, neurons.beta))
    W_in, at_once = net.W_in * neurons.gain, net.delay == 1
    times_W = xp.spike_multiplier(net.recurrence() if at_once else net.connections(), v.shape)
    late = [] if at_once else [now.late[..., k, :, :] for k in range(net.delay - 1)]
    parts = time_slices((*v.shape[:-2], x.shape[-3], *v.shape[-2:]))
    shape = (*v.shape[:-2], parts[0].stop, *v.shape[-2:])
    of_w, of_z = xp.empty(shape, dtype=v.dtype), xp.empty(shape, dtype=bool)
    of_raised = xp.zeros_like(of_w) if neurons.relative else None
    above, raised = xp.empty(v.shape, dtype=bool), xp.zeros_like(v)
    free = now.r[..., None, :, :] <= xp.arange(ahead).astype(v.dtype)[:, None, None]
    for part in parts:
        K = part.stop - part.start
        current, all_w, spikes = currents(x[..., part, :, :], W_in), of_w[..., :K, :, :], of_z[..., :K, :, :]
        free = xp.concatenate([free, xp.ones(spikes.shape, dtype=bool)], axis=-3)
        for k, t in enumerate(range(part.start, part.stop)):
            if done is not None:
                v, a, z, s = (each * (1 - done[..., t, :, None]) for each in (v, a, z, s))
                free[..., k : k + ahead, :, :] |= done[..., t : t + 1, :, None] > 0
            w = all_w[..., k, :, :]
            v = xp.multiply(v, alpha, out=w if beta is None else v)  # where nothing is raised, w is v
            if not at_once:
                v -= theta * z
                late.append(z.copy())
            v += times_W(z if at_once else late.pop(0))
            v += current[..., k, :, :]
            if beta is not None:
                a *= rho
                a += s
                xp.multiply(beta, a, out=raised)
                xp.subtract(v, raised, out=w)
            if of_raised is not None:
                of_raised[..., k, :, :] = raised
            if histories:
                _note(histories, t, v, a, free[..., k : k + ahead, :, :], w - theta, theta + raised * neurons.relative)
            z = spikes[..., k, :, :]
            s = xp.greater(w, theta, out=above if ahead else z)
            if ahead:
                _spike_where_free(above, free[..., k : k + 1 + ahead, :, :], z)
            s = s if neurons.unmasked else z
        yield part, spikes, all_w, free[..., :K, :, :], None if of_raised is None else of_raised[..., :K, :, :]
        free = free[..., K:, :, :]
    now.v, now.a, now.z, now.s = v.copy(), a, z.astype(v.dtype), s.astype(v.dtype)
    now.r = xp.sum(~free, axis=-3, dtype=v.dtype)
    now.late = None if at_once else xp.stack([each.astype(v.dtype) for each in late], axis=-3)


def _spike_where_free(above, free, z):
    """Write the spikes z of neurons that are free, the first of `free`; these are not in the steps that follow."""
    xp.logical_and(above, free[..., 0, :, :], out=z)
    then = free[..., 1:, :, :]
    xp.greater(then, z[..., None, :, :], out=then)  # free if it was, and without a spike


def _note(histories, t, v, a, free, above, scale):
    """Write a step into the histories that are kept; u is `above` in units of `scale`, `free` of the steps ahead."""
    for name, history in histories.items():
        if name in "va":
            history[..., t, :, :] = v if name == "v" else a
        else:
            history[..., t, :, :] = xp.sum(~free, axis=-3, dtype=v.dtype) if name == "r" else above / scale


def operand(constant: Any, v: Array) -> Any:
    """Return a `constant` as an operand of arrays like `v`, of no axes or of all: NumPy takes others more slowly."""
    if constant is None:
        return None
    return xp.asarray(constant, dtype=v.dtype) if isinstance(constant, float) else constant + xp.zeros_like(v)


def time_slices(shape: tuple[int, ...], most: int = 1 << 18) -> list[slice]:
    """Return slices that cut the time of a sequence (..., T, batch, n) into parts of about `most` entries.

    shape: that of the sequence.
    """
    T, size = shape[-3], math.prod(shape)
    length = max(1, most * T // max(1, size))
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def at_every_step(constant: Any) -> Any:
    """Return a constant, (..., 1, n) or a number, so that it meets sequences (..., T, batch, n)."""
    return constant if isinstance(constant, float) else constant[..., None, :, :]


def _spikes_and_slopes(shape, dtype, out):
    """Return arrays for z and psi; those of the record `out`, if it has such: large arrays take long to be made."""
    if out is None:
        return xp.empty(shape, dtype=bool), xp.empty(shape, dtype=dtype)
    if not isinstance(out, SpikingRecord):
        raise PlasticError(f"out is a {type(out).__name__}; it must be a record of eprop.simulate(net, x)")
    fits = out.psi.shape == shape and out.psi.dtype == dtype
    return (out.z, out.psi) if fits else _spikes_and_slopes(shape, dtype, None)


def _output(net: SpikingNetwork, y: Array, now: SpikingState) -> Array:
    return without_silenced(y if net.b_out is None else y + at_every_step(net.b_out), now.v)


def without_silenced(y: Array, v: Array) -> Array:
    """Return outputs y (..., T, batch, m), NaN in trials that end with potentials v (..., batch, n) that are NaN.

    These never spike, so that the outputs would be numbers.
    """
    return xp.where(xp.isnan(v).any(axis=-1)[..., None, :, None], operand(xp.nan, y), y)


def _pseudo_derivative(neurons: Neurons, w: Array, raised: Array | None, out: Array) -> Array:
    """Return psi in `out`, for v - A = w - theta.

    The published (gamma / theta) max(0, 1 - |u|) needs fewer passes over memory than others: theta (1 - |u|) is
    min(w, 2 theta - w).
    """
    theta = at_every_step(neurons.theta)
    plain = isinstance(neurons.sharpness, float) and neurons.sharpness == 1
    if neurons.surrogate != "piecewise_linear" or not plain or raised is not None:
        gamma, sharpness = (at_every_step(each) for each in (neurons.gamma, neurons.sharpness))
        scale = theta if raised is None else theta + raised
        out[...] = SURROGATES[neurons.surrogate](w - theta, scale, gamma, sharpness)
        return out
    xp.subtract(2 * theta, w, out=out)
    xp.minimum(out, w, out=out)
    xp.maximum(out, xp.zeros_like(w[..., :1, :, :]), out=out)  # NumPy takes a number more slowly
    out *= at_every_step(neurons.gamma) / theta / theta
    return out


def _start(net: SpikingNetwork, x: Array, state: Any) -> SpikingState:
    """Return the state to begin with, in full and a copy: at rest, or that of the user."""
    rest = at_rest(net, x)
    if state is None:
        return rest
    found, wanted = (getattr(getattr(each, "late", None), "shape", ())[-3:] for each in (state, rest))
    if type(state) is SpikingState and found != wanted:
        raise PlasticError(f"state.late has shape {found or None}; with delay {net.delay} it is {wanted or None}")
    checks.state(state, rest)
    longest = net.neurons.n_ref - 1
    if isinstance(state.r, np.ndarray) and np.any(state.r > longest):
        raise PlasticError(f"state.r holds {np.max(state.r):g}; with n_ref {longest + 1} it is {longest} at most")
    names = [field.name for field in dataclasses.fields(SpikingState)]
    pairs = {name: (getattr(state, name), getattr(rest, name)) for name in names}
    return SpikingState(**{name: xp.broadcast_to(a, b.shape).copy() for name, (a, b) in pairs.items() if b is not None})


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
