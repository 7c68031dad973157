"""e-prop and BPTT by one sweep back in time, with no array of synapses times steps.

e-prop's gradient (Bellec, Scherr et al. 2020, eqs. 4, 23-28) is a sum over synapses i -> j of learning signals times
eligibility traces that are carried forward in time (`plastic.eprop.rules.online`):

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

Each rule returns the gradients, a tree like `network.parameters`, signed to be subtracted. x, record: of `simulate`.
err: dE/dy (..., T, batch, n_out). R: dE/dz of a regulariser, (..., 1, 1, n) or (..., T, batch, n), or 0.
"""

from plastic import xp
from plastic.eprop.spiking import over_time, spread, stretches


def eprop(network, x, record, err, R=0.0):
    """e-prop with the feedback of the network: symmetric, or the matrix B."""
    lam = filtered_back(network, err)
    mu = _sweep(network, record, lam, network.feedback, R, recurrent=False)
    return gradients(network, x, record, mu, lam, err)


def bptt(network, x, record, err, R=0.0):
    """Backpropagation through time with the same pseudo-derivative; its errors come down by W_out."""
    lam = filtered_back(network, err)
    mu = _sweep(network, record, lam, network.W_out, R, recurrent=True)
    return gradients(network, x, record, mu, lam, err)


def total_derivative(network, record, err, R=0.0):
    """Return dE/dz (..., T, batch, n) through all but the neuron's own adaptation: the ideal learning signal."""
    total = xp.empty_like(record.psi)
    _sweep(network, record, filtered_back(network, err), network.W_out, R, recurrent=True, total=total)
    return total


def filtered_back(network, err):
    """Return lam^t = g_out err^t + kappa lam^{t+1}."""
    lam = err * over_time(network.g_out)
    for t in reversed(range(lam.shape[-3] - 1)):
        lam[..., t, :, :] += network.kappa * lam[..., t + 1, :, :]
    return lam


def _sweep(network, record, lam, B, R, recurrent, total=None):
    """Return mu (..., T, batch, n); write c, with `total`, into that array."""
    psi = record.psi
    neurons = spread(network.neurons, psi[..., 0, :, :])
    feedback = xp.swapaxes(B, -1, -2)
    back = xp.swapaxes(network.recurrence(), -1, -2) if recurrent else None
    mus = xp.empty_like(psi)
    c, q, mu, P, buffer = (xp.zeros(psi[..., 0, :, :].shape, dtype=psi.dtype) for _ in range(5))
    same = xp.zeros_like(c) + (R[..., 0, :, :] if hasattr(R, "shape") else R)  # in full: adding a row costs more
    varies = hasattr(R, "shape") and R.shape[-3] > 1
    for t in reversed(range(psi.shape[-3])):
        xp.matmul(lam[..., t, :, :], feedback, out=c)
        c += R[..., t, :, :] if varies else same
        if recurrent:
            xp.matmul(mu, back, out=buffer)
            c += buffer
        if total is not None:
            total[..., t, :, :] = c
        if neurons.beta is None:
            xp.multiply(psi[..., t, :, :], c, out=q)
        else:
            if neurons.unmasked:
                xp.multiply(psi[..., t, :, :], c, out=q)
                xp.multiply(record.psi_unmasked[..., t, :, :], P, out=buffer)
                q += buffer
            else:
                c += P
                xp.multiply(psi[..., t, :, :], c, out=q)
            P *= neurons.rho
            xp.multiply(q, neurons.beta, out=buffer)
            P -= buffer
        mu *= neurons.alpha
        mu += q
        mus[..., t, :, :] = mu
        if record.done is not None:
            for array in (mu, P):
                array *= 1 - record.done[..., t, :, None]
    return mus


def gradients(network, x, record, mu, lam, err):
    """Return the gradients that mu and lam give, by products over batch and time."""
    leading, (batch, n) = mu.shape[:-3], mu.shape[-2:]
    dtype, z = mu.dtype, record.z
    G = {name: 0.0 for name in ("W_in", "W_rec", "W_out")}
    for part in stretches(mu):
        mu_rows = _rows(mu[..., part, :, :], dtype)
        z_rows = _rows(z[..., part, :, :], dtype)
        G["W_in"] = G["W_in"] + _transposed(_rows(x[..., part, :, :], dtype)) @ mu_rows
        G["W_out"] = G["W_out"] + _transposed(z_rows) @ _rows(lam[..., part, :, :], dtype)
        before = _before(record, part, z_rows.reshape(*leading, -1, batch, n))
        G["W_rec"] = G["W_rec"] + _transposed(_rows(before, dtype)) @ mu_rows
    for name in ("W_in", "W_rec"):
        G[name] = G[name] * network.neurons.gain
    G["W_rec"] = G["W_rec"] * (1 - xp.eye(n, dtype=dtype))
    G["b_out"] = None if network.b_out is None else xp.sum(err, axis=-3).sum(axis=-2, keepdims=True)
    return G


def _before(record, part, z):
    """Return z^{t-1} for the steps of a part, given its z^t: the presynaptic spikes of the recurrent synapses."""
    if part.start == 0:
        first = record.z_before
    else:
        first = record.z[..., part.start - 1, :, :].astype(z.dtype)
    before = xp.concatenate([first[..., None, :, :], z[..., :-1, :, :]], axis=-3)
    return before if record.done is None else before * (1 - record.done[..., part, :, None])


def _rows(sequence, dtype):
    return sequence.astype(dtype).reshape(*sequence.shape[:-3], -1, sequence.shape[-1])


def _transposed(rows):
    return xp.swapaxes(rows, -1, -2)
