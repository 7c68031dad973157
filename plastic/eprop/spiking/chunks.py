"""e-prop over the chunks of a sequence, or of a stream without end: what a chunk leaves for the next.

The traces are linear, so those of a chunk are what its own steps make of no traces, and what its first step makes of
the traces before it. With the adjoints of the sweep back in time (`sweep`) at the first step s,

    V = alpha mu^s = dJ/d eps_v^{s-1}        P^s = dJ/d eps_a^s        Lam = sum over t of kappa^{t-s+1} err^t

the gradient of the chunk, J = sum over batch and t of L^t ebar^t + R^t e^t, is that of the sweep and

    G_ij += sum over batch of V_j eps_v,ij^{s-1} + P_j^s eps_a,ij^s + (Lam B^T)_j ebar_ij^{s-1}
    G_out += sum over batch of zbar^{s-1} Lam

The traces at the end are sweeps as well, each of a unit objective, one trial at a time: J = eps_v^T begins with
V = 1, J = eps_a^{T+1} with P = 1, and J = ebar^T has c^t = g_out kappa^{T-t}. Nothing is left out: gradients of chunks
add up to that of the whole, whatever their lengths, where e-prop without traces forgets what came before.
"""

import dataclasses
from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.spiking import sweep
from plastic.eprop.spiking.network import SpikingNetwork
from plastic.eprop.spiking.simulation import SpikingRecord, at_every_step
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class SpikingTraces:
    """The traces of all synapses after a simulation; e-prop goes on from them.

    Attributes, with n_in + n presynaptic inputs and neurons:
        zbar: filtered spikes (..., batch, n).
        eps_v: eligibility vectors of the membrane (..., batch, n_in + n, n).
        eps_a: eligibility vectors of the adaptation (..., batch, n_in + n, n), as the next step uses them.
        ebar: eligibility traces, filtered as the readout filters spikes (..., batch, n_in + n, n).
    """

    zbar: Array
    eps_v: Array
    eps_a: Array
    ebar: Array

    def __repr__(self) -> str:
        batch, pre, post = self.ebar.shape[-3:]
        return f"SpikingTraces of {pre} x {post} synapses, batch {batch}{checks.replicated(self.ebar.shape[:-3])}"


def no_traces(net: SpikingNetwork, record: SpikingRecord) -> SpikingTraces:
    """Return the traces, all 0, before anything happened; `record` is of a simulation of `net`."""
    n_in, n, _ = net.sizes
    *leading, _, batch, _ = record.psi.shape
    eps_v, eps_a, ebar = (xp.zeros((*leading, batch, n_in + n, n), dtype=net.dtype) for _ in range(3))
    return SpikingTraces(xp.zeros((*leading, batch, n), dtype=net.dtype), eps_v, eps_a, ebar)


def eprop(
    net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None, feedback: Array | None, traces: Any
) -> Tree:
    """Return the gradients of e-prop.

    net, record, err, R, feedback, traces: those of `eprop.eprop_gradients`.
    """
    grads, V, P = sweep.eprop(net, record, err, R, feedback)
    if traces is None:
        return grads
    Lam = xp.sum(_powers(net, err, 1) * err, axis=-3)
    L = Lam @ affine.transposed(checks.feedback(feedback, net.W_out, err))
    signals = (V, traces.eps_v), (P, traces.eps_a), (L, traces.ebar)
    G = sum(xp.sum(signal[..., None, :] * trace, axis=-3) for signal, trace in signals)
    n_in = net.sizes[0]
    more = {"W_in": G[..., :n_in, :], "W_rec": G[..., n_in:, :], "W_out": affine.weight_gradient(traces.zbar, Lam)}
    return {name: grads[name] + more[name] if name in more else grads[name] for name in grads}


def traces_after(net: SpikingNetwork, record: SpikingRecord, traces: Any) -> SpikingTraces:
    """Return the traces after a chunk; `net`, `record` and `traces` are those of `eprop.traces_after`."""
    traces = no_traces(net, record) if traces is None else traces
    nothing = xp.zeros((1, 1, 1), dtype=net.dtype)
    later = at_every_step(net.g_out) * _powers(net, record.psi, 0)[..., ::-1, :, :]
    whole = _powers(net, record.psi, 1)[..., -1, :, :]
    eps_v = _of_a_unit(net, record, nothing, traces, V=1.0)
    eps_a = traces.eps_a if net.neurons.beta is None else _of_a_unit(net, record, nothing, traces, P=1.0)
    ebar = _of_a_unit(net, record, later, traces) + whole[..., None] * traces.ebar
    zbar = xp.sum(later * record.z, axis=-3) + whole * traces.zbar
    return SpikingTraces(zbar, eps_v, eps_a, ebar)


def _of_a_unit(net, record, c, traces, **ends):
    """Return the traces J (..., batch, n_in + n, n) with dJ/dz^t = c^t (..., T or 1, 1, 1), and V or P at the end."""
    *leading, T, batch, n = record.psi.shape
    c = xp.broadcast_to(c, (*c.shape[:-3], T, 1, 1))
    n_in, G = net.sizes[0], xp.zeros_like(traces.eps_v)
    others = xp.concatenate([xp.ones((n_in, n), dtype=G.dtype), 1 - xp.eye(n, dtype=G.dtype)])  # no self-connection

    def signals(part):
        return c[..., part, :, :] + xp.zeros((*leading, part.stop - part.start, batch, n), dtype=G.dtype)

    for part, mu, *adjoints in sweep.sweep(net, record, signals, **ends):
        x = xp.broadcast_to(record.x[..., part, :, :], (*mu.shape[:-1], n_in)).astype(G.dtype)
        p = xp.concatenate([x, sweep.arriving(record, part)], axis=-1)
        G = G + affine.weight_gradient(p.swapaxes(-3, -2), mu.swapaxes(-3, -2))
        V, P = adjoints
    gain = at_every_step(net.neurons.gain)
    return G * others * gain + V[..., None, :] * traces.eps_v + P[..., None, :] * traces.eps_a


def _powers(net, sequence, first):
    """Return kappa^first, kappa^{first + 1}, .. for the steps of a sequence, (..., T, 1, 1)."""
    exponents = first + xp.arange(sequence.shape[-3]).astype(sequence.dtype)[:, None, None]
    return at_every_step(net.kappa) ** exponents


def require_traces(net: SpikingNetwork, record: SpikingRecord, traces: Any) -> None:
    """Require `traces` of a chunk that came before the `record` of `net`, or None."""
    if traces is not None:
        checks.state(traces, no_traces(net, record), "traces")
