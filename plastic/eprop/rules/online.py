"""e-prop as it could run in a brain: eligibility traces carried forward at every synapse (equations: `adjoint`).

Three arrays (..., batch, pre, post) hold eps_v, eps_a and the filtered trace ebar; presynaptic are the inputs and then
the recurrent neurons. Slower than the sweep back in time by the number of presynaptic neurons, and exactly equal to it.
"""

import dataclasses
from typing import Any

from plastic import xp


@dataclasses.dataclass
class Traces:
    """The traces of all synapses after a step, (..., batch, n_in + n, n): buffers that the next step changes.

    eps_v: of the membrane. eps_a: of the adaptation, as used in e of this step. e: the eligibility trace. ebar: e
    filtered as the readout filters spikes.
    """

    eps_v: Any
    eps_a: Any
    e: Any
    ebar: Any


def traces(network, x, record):
    """Yield the `Traces` of every step of a simulation."""
    neurons, psi = network.neurons, record.psi
    z = record.z_before
    shape = (*psi.shape[:-3], psi.shape[-2], x.shape[-1] + psi.shape[-1], psi.shape[-1])
    inputs, eye = xp.ones((x.shape[-1], shape[-1]), dtype=psi.dtype), xp.eye(shape[-1], dtype=psi.dtype)
    others = xp.concatenate([inputs, 1 - eye])  # no neuron is its own input
    eps_v, eps_a, e, ebar = (xp.zeros(shape, dtype=psi.dtype) for _ in range(4))
    alpha, rho, beta, gain = (_at_synapses(each) for each in (neurons.alpha, neurons.rho, neurons.beta, neurons.gain))
    kappa, g_out = (_at_synapses(each) for each in (network.kappa, network.g_out))
    for t in range(psi.shape[-3]):
        if record.done is not None:
            keep = 1 - record.done[..., t, :, None]
            z = z * keep
            for array in (eps_v, eps_a):
                array *= keep[..., None]
        shown = xp.broadcast_to(x[..., t, :, :], (*z.shape[:-1], x.shape[-1])).astype(psi.dtype)
        pre = xp.concatenate([shown, z], axis=-1)[..., None]
        eps_v *= alpha
        eps_v += gain * pre
        eps_v *= others
        slope = eps_v if beta is None else eps_v - beta * eps_a
        e[...] = psi[..., t, :, None, :] * slope
        ebar *= kappa
        ebar += g_out * e
        yield Traces(eps_v, eps_a, e, ebar)
        if beta is not None:
            eps_a *= rho
            eps_a += e if not neurons.unmasked else record.psi_unmasked[..., t, :, None, :] * slope
        z = record.z[..., t, :, :].astype(psi.dtype)


def eprop(network, x, record, err, R=0.0):
    """e-prop with the feedback of the network, online: G = sum of L^t ebar^t + R^t e^t."""
    feedback = xp.swapaxes(network.feedback, -1, -2)
    G, G_out, zbar = 0.0, 0.0, 0.0
    for t, trace in enumerate(traces(network, x, record)):
        L = err[..., t, :, :] @ feedback
        G = G + _over_batch(L, trace.ebar)
        if hasattr(R, "shape"):
            G = G + _over_batch(R[..., min(t, R.shape[-3] - 1), :, :], trace.e)
        zbar = network.kappa * zbar + network.g_out * record.z[..., t, :, :].astype(L.dtype)
        G_out = G_out + xp.swapaxes(zbar, -1, -2) @ err[..., t, :, :]
    return _tree(network, x, G, G_out, err)


def factorisation(network, x, record, total):
    """Return the gradients of W_in and W_rec by eq. 1: sum of dE/dz^t e^t, with `total` = dE/dz of `total_derivative`.

    They equal those of BPTT.
    """
    G = 0.0
    for t, trace in enumerate(traces(network, x, record)):
        G = G + _over_batch(total[..., t, :, :], trace.e)
    return {"W_in": G[..., : x.shape[-1], :], "W_rec": G[..., x.shape[-1] :, :]}


def _over_batch(signal, trace):
    return xp.sum(signal[..., None, :] * trace, axis=-3)


def _tree(network, x, G, G_out, err):
    n_in = x.shape[-1]
    b_out = None if network.b_out is None else xp.sum(err, axis=-3).sum(axis=-2, keepdims=True)
    return {"W_in": G[..., :n_in, :], "W_rec": G[..., n_in:, :], "W_out": G_out, "b_out": b_out}


def _at_synapses(value):
    """Give a constant per neuron (..., 1, n), or per replica (..., 1, 1), the axes of (..., batch, pre, post)."""
    return value[..., None, :] if hasattr(value, "shape") else value
