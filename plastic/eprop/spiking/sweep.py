"""e-prop and BPTT for spiking networks by one sweep back in time, with no array of synapses times steps.

e-prop's gradient (Bellec, Scherr et al. 2020, eqs. 4, 23-28) is a sum over synapses i -> j of learning signals times
eligibility traces that are carried forward in time (`plastic.eprop.spiking.traces`):

    eps_v^t = alpha eps_v^{t-1} + gain p_i^t          p_i^t: x_i^t, or z_i^{t-delay}
    e^t = psi_j^t (eps_v^t - beta eps_a^t)            eps_a^{t+1} = rho eps_a^t + e^t
    ebar^t = kappa ebar^{t-1} + g_out e^t             G_ij = sum over batch and t of L_j^t ebar^t + R_j^t e^t

Every coefficient depends on the neuron j only, so the sums can be taken in the other order: from the end,

    lam^t = g_out err^t + kappa lam^{t+1}             the readout filter, backwards, on the errors
    c^t   = lam^t B^T + R^t                           L^t = err^t B^T
    q^t   = psi^t (c^t + P^{t+1})                     P: what later adaptation asks of eps_a
    P^t   = rho P^{t+1} - beta q^t
    mu^t  = q^t + alpha mu^{t+1}                      the membrane filter, backwards

    G_ij = gain sum over batch and t of p_i^t mu_j^t       one product over batch and time for each weight matrix

which is equal, not an approximation. BPTT with the same psi is the same sweep, with what z^t does to the next step
added:

    c^t <- c^t + mu^{t+delay} (gain W_rec)^T - theta mu^{t+1}

and c^t is then the total derivative dE/dz^t of eq. 1, but for the path through the neuron's own adaptation. The
readout filter moves to lam for W_out too: G_out = sum of z^t lam^t.

No array of mu is kept: the sweep hands over one part of the time after another, from the last on, whose arrays fit the
cache, and the products with spikes, most of which are sparse, take it at once.

`unmasked` neurons: q = psi c + psi_unmasked P. `relative` neurons (LightALIF), whose u = (v - A) / A = v / A - 1 has
du/dv = 1 / A and du/da = -beta v / A^2, have beta v^t / A^t in place of beta in P, and in e above. `done`: mu and P are
set to 0 after the step that began with a reset, and nothing comes from before it. `direct`: what a penalty asks of the
potentials themselves, dE/dv^t and dE/da^t, is added to mu^t and to P^t.
"""

from collections.abc import Callable, Iterator
from typing import Any

from plastic import affine, require, xp
from plastic.eprop import checks
from plastic.eprop.spiking.filter import filtered
from plastic.eprop.spiking.network import SpikingNetwork
from plastic.eprop.spiking.simulation import SpikingRecord, at_every_step, operand, time_slices
from plastic.errors import PlasticError
from plastic.types import Array, Tree

Signals = Callable[[slice], Array]


def eprop(
    net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None, feedback: Array | None
) -> tuple[Tree, Array, Array]:
    """Return the gradients of e-prop, and the adjoints V and P of eps_v and eps_a before the first step.

    net, record, err, R, feedback: those of `eprop.eprop_gradients`.
    """
    B = checks.feedback(feedback, net.W_out, err)
    lam = _filtered_backwards(net, err)
    return _gradients(net, record, sweep(net, record, _signals(record, lam, B, R)), lam, err)


def bptt(net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None) -> Tree:
    """Return the gradients of BPTT; `net`, `record`, `err` and `R` are those of `eprop.bptt_gradients`."""
    lam = _filtered_backwards(net, err)
    parts = sweep(net, record, _signals(record, lam, net.W_out, R), recurrent=True)
    return _gradients(net, record, parts, lam, err)[0]


@xp.underflow_is_ordinary()
def ideal_learning_signals(net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None = None) -> Array:
    """Return dE/dz^t through all but the neuron's own adaptation, the learning signals that make e-prop exact (eq. 1).

    Args:
        net: a spiking network.
        record: of its simulation.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser, (..., 1, 1, n) or (..., T, batch, n), or None.

    Returns:
        An array (..., T, batch, n).

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: Bellec, Scherr et al. 2020, eq. 1; the published script of its numerical verification.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lif((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> eprop.ideal_learning_signals(net, record, record.output).shape
        (5, 1, 4)
    """
    require_record(net, record)
    checks.like("err", err, record.output)
    total = xp.empty_like(record.psi)
    signals = _signals(record, _filtered_backwards(net, err), net.W_out, R)
    for _ in sweep(net, record, signals, True, total):
        pass
    return total


def learning_signals(
    net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None, feedback: Array | None
) -> Array:
    """Return c = lam B^T + R of e-prop at every step (..., T, batch, n): its arguments are those of `eprop`."""
    B = checks.feedback(feedback, net.W_out, err)
    return _signals(record, _filtered_backwards(net, err), B, R)(slice(None))


def require_record(net: Any, record: Any) -> None:
    """Require a spiking network `net`, and a `record` of a simulation of it."""
    if not isinstance(net, SpikingNetwork):
        raise PlasticError(f"net is a {type(net).__name__}; this is for spiking networks, eprop.lif or eprop.lsnn")
    checks.record(record, net, SpikingRecord)


def arriving(record: SpikingRecord, part: slice) -> Array:
    """Return the spikes z^{t - delay} (..., K, batch, n) that arrive in a `part` of a `record`'s time, as numbers."""
    d = record.delay
    spikes = record.z[..., max(part.start - d, 0) : max(part.stop - d, 0), :, :].astype(record.psi.dtype)
    if part.start < d:
        spikes = xp.concatenate([_earlier(record)[..., part.start : min(d, part.stop), :, :], spikes], axis=-3)
    return spikes if record.done is None else spikes * (1 - record.done[..., part, :, None])


def _earlier(record):
    """Return the spikes that were on their way before the first step (..., delay, batch, n), the oldest first."""
    last = record.z_before[..., None, :, :]
    return last if record.late_before is None else xp.concatenate([record.late_before, last], axis=-3)


def _filtered_backwards(net, err):
    """Return lam^t = g_out err^t + kappa lam^{t+1}."""
    return filtered((err * at_every_step(net.g_out))[..., ::-1, :, :], net.kappa)[..., ::-1, :, :]


def sweep(
    net: SpikingNetwork,
    record: SpikingRecord,
    signals: Signals,
    recurrent: bool = False,
    total: Array | None = None,
    V: float = 0.0,
    P: float = 0.0,
    direct: tuple[Array, Array] | None = None,
) -> Iterator[tuple[slice, Array, Array, Array]]:
    """Yield each part of the time, from the last on, with its mu (..., K, batch, n), valid until the next, V and P.

    V and P (..., batch, n) are the derivatives by eps_v before the part, V^t = alpha mu^{t+1}, and by its first eps_a.

    net, record: a network and the record of its simulation.
    signals: function of a part of the time to c in it, (..., K, batch, n), which is written over.
    recurrent: BPTT, with what spikes do to later steps added to c. total: c is written into it.
    V, P: what they are at the end, for all neurons.
    direct: (dE/dv, dE/da) of a penalty of the potentials, (..., T, batch, n) each, or None.
    """
    neurons, psi = net.neurons, record.psi
    alpha, rho, beta = (operand(each, psi[..., 0, :, :]) for each in (neurons.alpha, neurons.rho, neurons.beta))
    back, d, theta = None, record.delay, operand(neurons.theta, psi[..., 0, :, :])
    if recurrent:
        back = xp.ascontiguousarray(affine.transposed(net.recurrence() if d == 1 else net.connections()))
    mu, V_t, P_t = (value + xp.zeros_like(psi[..., 0, :, :]) for value in (0.0, V, P))
    parts, later = time_slices(psi.shape), [mu] * d  # mu^{t+d}, .., mu^{t+1}, of delays above 1
    mus = xp.empty((*mu.shape[:-2], parts[0].stop, *mu.shape[-2:]), dtype=mu.dtype)
    for part in reversed(parts):
        c = signals(part)
        for k, t in reversed(list(enumerate(range(part.start, part.stop)))):
            q = c[..., k, :, :]
            if back is not None:
                q += (mu if d == 1 else later.pop(0)) @ back
                if d > 1:
                    q -= theta * mu
            if total is not None:
                total[..., t, :, :] = q
            if beta is not None and not neurons.unmasked:
                q += P_t
            q *= psi[..., t, :, :]
            if beta is not None and record.psi_unmasked is not None:
                q += record.psi_unmasked[..., t, :, :] * P_t
            if beta is not None:
                P_t *= rho
                P_t -= beta * q if record.v_over_A is None else beta * record.v_over_A[..., t, :, :] * q
            mu = xp.add(V_t, q, out=mus[..., k, :, :])
            if direct is not None:
                mu += direct[0][..., t, :, :]
                P_t += direct[1][..., t, :, :]
            if back is not None and d > 1:
                later.append(mu.copy())
            xp.multiply(mu, alpha, out=V_t)
            if record.done is not None:
                mu, V_t, P_t = (each * (1 - record.done[..., t, :, None]) for each in (mu, V_t, P_t))
        yield part, mus[..., : part.stop - part.start, :, :], V_t, P_t


def _signals(record, lam, B, R):
    """Return the function of a part of the time to c = lam B^T + R in it, (..., K, batch, n), that `sweep` wants.

    An R that is always the same is one more row of B^T, beside an error of 1: one array less to go through.
    """
    leading, (batch, n) = record.psi.shape[:-3], record.psi.shape[-2:]
    errors, down = lam, xp.ascontiguousarray(affine.transposed(B))
    if R is not None:
        checks.spike_signal("R", R, record.psi)
    varies = R is not None and R.shape[-3:-1] != (1, 1)
    if R is not None and not varies:
        axes = require.replicas(B=B.shape[:-2], R=R.shape[:-3])
        rows = [xp.broadcast_to(each, (*axes, *each.shape[-2:])) for each in (down, R[..., 0, :, :])]
        down = xp.concatenate(rows, axis=-2)
        errors = xp.concatenate([lam, xp.ones((*lam.shape[:-1], 1), dtype=lam.dtype)], axis=-1)

    def signals(part):
        c = (affine.rows(errors[..., part, :, :]) @ down).reshape(*leading, -1, batch, n)
        if varies:
            c += R if R.shape[-3] == 1 else R[..., part, :, :]
        return c

    return signals


def of_cells(
    net: SpikingNetwork,
    record: SpikingRecord,
    L: Array,
    recurrent: bool,
    to_input: bool,
    direct: tuple[Array, Array] | None = None,
) -> tuple[Tree, Any]:
    """Return ({"W_in", "W_rec": gradients}, dE/dx or None), of cells whose readout is elsewhere.

        dE/dx^t = gain mu^t W_in^T

    net, record: the cells, and the record of their simulation.
    L: learning signals at the spikes, dE/dz of each step by itself (..., T, batch, n).
    recurrent: add the path through the spikes into the next step, for BPTT. to_input: whether dE/dx is wanted.
    direct: that of `sweep`.
    """
    back = xp.ascontiguousarray(affine.transposed(net.W_in * net.neurons.gain))
    dx: Any = xp.empty((*L.shape[:-1], net.sizes[0]), dtype=L.dtype) if to_input else None

    def parts():
        def signals(part):
            return L[..., part, :, :].copy()

        for part, mu, V, P in sweep(net, record, signals, recurrent, direct=direct):
            if to_input:
                dx[..., part, :, :] = (affine.rows(mu) @ back).reshape(*mu.shape[:-1], -1)
            yield part, mu, V, P

    G_in, G_rec, _, _ = _of_synapses(net, record, parts())
    return {"W_in": G_in, "W_rec": G_rec}, dx


def _gradients(net, record, parts, lam, err):
    """Return the gradients that lam and the parts of a sweep give by products with spikes, and its last V and P."""
    G_in, G_rec, V, P = _of_synapses(net, record, parts)
    grads = {"W_in": G_in, "W_rec": G_rec, "W_out": _product(record.z, lam), "b_out": bias_gradient(net, err)}
    return grads, V, P


def _of_synapses(net, record, parts):
    """Return the gradients of W_in and W_rec, and the last V and P."""
    n, dtype, d = record.psi.shape[-1], record.psi.dtype, record.delay
    alive = None if record.done is None else 1 - record.done[..., None]
    G_in: Any = 0.0
    G_rec: Any = 0.0
    for part, mu, *adjoints in parts:
        V, P = adjoints
        G_in = G_in + _product(record.x[..., part, :, :], mu)
        begin = min(max(part.start, d), part.stop)
        if begin < part.stop:
            spikes = record.z[..., begin - d : part.stop - d, :, :]
            spikes = spikes if alive is None else spikes * alive[..., begin : part.stop, :, :]
            G_rec = G_rec + _product(spikes, mu[..., begin - part.start :, :, :])
        if part.start < begin:
            G_rec = G_rec + _product(arriving(record, slice(part.start, begin)), mu[..., : begin - part.start, :, :])
    return G_in * net.neurons.gain, G_rec * net.neurons.gain * (1 - xp.eye(n, dtype=dtype)), V, P


def _product(pre, post):
    """Return the sum over batch and time of pre_i post_j, (..., n, m)."""
    pre = xp.broadcast_to(pre, (*post.shape[:-1], pre.shape[-1]))
    return xp.spike_product(affine.rows(pre), affine.rows(post), transpose=True)


def bias_gradient(net: SpikingNetwork, err: Array) -> Array | None:
    """Return the gradient (..., 1, n_out) of the readout's bias of `net`, the sum of err, or None without a bias."""
    return None if net.b_out is None else xp.sum(err, axis=-3).sum(axis=-2, keepdims=True)
