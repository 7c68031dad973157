"""e-prop and BPTT for spiking networks by one sweep back in time, with no array of synapses times steps.

e-prop's gradient (Bellec, Scherr et al. 2020, eqs. 4, 23-28) is a sum over synapses i -> j of learning signals times
eligibility traces that are carried forward in time (`plastic.eprop.spiking.traces`):

    eps_v^t = alpha eps_v^{t-1} + gain p_i^t          p_i^t: x_i^t, or z_i^{t-1}
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

    c^t <- c^t + mu^{t+1} (gain W_rec)^T - theta mu^{t+1}

and c^t is then the total derivative dE/dz^t of eq. 1, but for the path through the neuron's own adaptation. The
readout filter moves to lam for W_out too: G_out = sum of z^t lam^t.

`unmasked` neurons: q = psi c + psi_unmasked P. `done`: mu and P are set to 0 after the step that began with a reset,
and nothing comes from before it.
"""

from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.spiking.network import SpikingNetwork
from plastic.eprop.spiking.simulation import SpikingRecord, at_every_step, time_slices
from plastic.errors import PlasticError
from plastic.types import Array, Tree


def eprop(net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None, feedback: Array | None) -> Tree:
    """Return the gradients of e-prop; `net`, `record`, `err`, `R`, `feedback` are those of `eprop.eprop_gradients`."""
    B = checks.feedback(feedback, net.W_out, err)
    R = _signal(record, R)
    lam = _filtered_backwards(net, err)
    mu = _sweep(net, record, lam, B, R)
    return _gradients(net, record, mu, lam, err)


def bptt(net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None) -> Tree:
    """Return the gradients of BPTT; `net`, `record`, `err` and `R` are those of `eprop.bptt_gradients`."""
    R = _signal(record, R)
    lam = _filtered_backwards(net, err)
    mu = _sweep(net, record, lam, net.W_out, R, recurrence=net.recurrence())
    return _gradients(net, record, mu, lam, err)


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
    R, total = _signal(record, R), xp.empty_like(record.psi)
    _sweep(net, record, _filtered_backwards(net, err), net.W_out, R, net.recurrence(), total)
    return total


def require_record(net: Any, record: Any) -> None:
    """Require a spiking network `net`, and a `record` of a simulation of it."""
    if not isinstance(net, SpikingNetwork):
        raise PlasticError(f"net is a {type(net).__name__}; this is for spiking networks, eprop.lif or eprop.lsnn")
    checks.record(record, net, SpikingRecord)


def _signal(record, R):
    """Return the signal of a regulariser with all axes, zero without one."""
    if R is None:
        return xp.zeros((1, 1, record.psi.shape[-1]), dtype=record.psi.dtype)
    checks.spike_signal("R", R, record.psi)
    return R


def _filtered_backwards(net, err):
    """Return lam^t = g_out err^t + kappa lam^{t+1}."""
    lam = err * at_every_step(net.g_out)
    for t in reversed(range(lam.shape[-3] - 1)):
        lam[..., t, :, :] += net.kappa * lam[..., t + 1, :, :]
    return lam


def _sweep(net, record, lam, B, R, recurrence=None, total=None):
    """Return mu (..., T, batch, n); with the matrix `recurrence` of BPTT; write c into `total`, if given."""
    neurons, psi = net.neurons, record.psi
    mus = xp.empty_like(psi)
    mu, P = xp.zeros_like(psi[..., 0, :, :]), xp.zeros_like(psi[..., 0, :, :])
    beta = None if neurons.beta is None else neurons.beta + xp.zeros_like(mu)  # products with a row cost more
    down, back = affine.transposed(B), None if recurrence is None else affine.transposed(recurrence)
    R_always = R[..., 0, :, :] + xp.zeros_like(mu) if R.shape[-3] == 1 else None
    for t in reversed(range(psi.shape[-3])):
        c = lam[..., t, :, :] @ down
        c += R[..., t, :, :] if R_always is None else R_always
        if back is not None:
            c += mu @ back
        if total is not None:
            total[..., t, :, :] = c
        if neurons.unmasked:
            q = psi[..., t, :, :] * c + record.psi_unmasked[..., t, :, :] * P
        else:
            q = psi[..., t, :, :] * (c + P)
        if beta is not None:
            P *= neurons.rho
            P -= beta * q
        mu *= neurons.alpha
        mu += q
        mus[..., t, :, :] = mu
        if record.done is not None:
            for each in (mu, P):
                each *= 1 - record.done[..., t, :, None]
    return mus


def _gradients(net, record, mu, lam, err):
    """Return the gradients that mu and lam give, by products over batch and time."""
    leading, (batch, n) = mu.shape[:-3], mu.shape[-2:]
    dtype = mu.dtype
    G = {name: 0.0 for name in ("W_in", "W_rec", "W_out")}
    for part in time_slices(mu):
        x, z = (affine.rows(each[..., part, :, :].astype(dtype)) for each in (record.x, record.z))
        before = affine.rows(_before(record, part, z.reshape(*leading, -1, batch, n)))
        deltas = affine.rows(mu[..., part, :, :])
        G["W_in"] = G["W_in"] + affine.weight_gradient(x, deltas)
        G["W_rec"] = G["W_rec"] + affine.weight_gradient(before, deltas)
        G["W_out"] = G["W_out"] + affine.weight_gradient(z, affine.rows(lam[..., part, :, :]))
    G["W_in"] = G["W_in"] * net.neurons.gain
    G["W_rec"] = G["W_rec"] * net.neurons.gain * (1 - xp.eye(n, dtype=dtype))
    return G | {"b_out": bias_gradient(net, err)}


def bias_gradient(net: SpikingNetwork, err: Array) -> Array | None:
    """Return the gradient (..., 1, n_out) of the readout's bias of `net`, the sum of err, or None without a bias."""
    return None if net.b_out is None else xp.sum(err, axis=-3).sum(axis=-2, keepdims=True)


def _before(record, part, z):
    """Return z^{t-1} for the steps of a part, given its z^t: the presynaptic spikes of the recurrent synapses."""
    if part.start == 0:
        first = record.z_before
    else:
        first = record.z[..., part.start - 1, :, :].astype(z.dtype)
    before = xp.concatenate([first[..., None, :, :], z[..., :-1, :, :]], axis=-3)
    return before if record.done is None else before * (1 - record.done[..., part, :, None])
