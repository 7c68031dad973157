"""e-prop as it could run in a brain: eligibility traces carried forward at every synapse (equations: `sweep`).

Three arrays (..., batch, pre, post) hold eps_v, eps_a and the filtered trace ebar; presynaptic are the inputs and then
the recurrent neurons. Slower than the sweep back in time by the number of presynaptic neurons, and exactly equal to it.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from plastic import affine, xp
from plastic.eprop import checks
from plastic.eprop.spiking.network import SpikingNetwork
from plastic.eprop.spiking.simulation import SpikingRecord
from plastic.eprop.spiking.sweep import arriving, bias_gradient, require_record
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class Traces:
    """The traces of all synapses after a step: buffers that the next step changes.

    Attributes, each (..., batch, n_in + n, n):
        eps_v: eligibility vectors of the membrane.
        eps_a: eligibility vectors of the adaptation, as used in e of this step.
        e: eligibility traces.
        ebar: e, filtered as the readout filters spikes.
    """

    eps_v: Array
    eps_a: Array
    e: Array
    ebar: Array

    def __repr__(self) -> str:
        batch, pre, post = self.e.shape[-3:]
        return f"Traces of {pre} x {post} synapses, batch {batch}{checks.replicated(self.e.shape[:-3])}"


def eligibility_traces(net: SpikingNetwork, record: SpikingRecord) -> Iterator[Traces]:
    """Yield the eligibility vectors and traces of every step of a simulation (eqs. 23-28).

        eps_v^t = alpha eps_v^{t-1} + gain p^t          p^t: x^t, or z^{t-delay}
        e^t = psi^t (eps_v^t - beta eps_a^t)            eps_a^{t+1} = rho eps_a^t + e^t
            (of `relative` neurons beta v^t / A^t in place of beta)
        ebar^t = kappa ebar^{t-1} + g_out e^t

    Args:
        net: a spiking network.
        record: of its simulation.

    Returns:
        An iterator over T `Traces`, arrays (..., batch, n_in + n, n), each valid until the next step is asked for.

    Raises:
        PlasticError: if the record is not of this network.

    Source: Bellec, Scherr et al. 2020, eqs. 23-28.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> [traces.e.shape for traces in eprop.eligibility_traces(net, record)][-1]
        (1, 7, 4)
    """
    require_record(net, record)
    return _traces(net, record)


def _traces(net, record, carried=None):
    neurons, psi = net.neurons, record.psi
    n_in, n, _ = net.sizes
    shape = (*psi.shape[:-3], psi.shape[-2], n_in + n, n)
    others = xp.concatenate([xp.ones((n_in, n), dtype=psi.dtype), 1 - xp.eye(n, dtype=psi.dtype)])  # no self-connection
    eps_v, eps_a, e, ebar = (xp.zeros(shape, dtype=psi.dtype) for _ in range(4))
    if carried is not None:
        eps_v += carried.eps_v
        eps_a += carried.eps_a
        ebar += carried.ebar
    alpha, rho, beta, gain = map(_at_synapses, (neurons.alpha, neurons.rho, neurons.beta, neurons.gain))
    kappa, g_out = _at_synapses(net.kappa), _at_synapses(net.g_out)
    slope = e
    for t in range(psi.shape[-3]):
        with xp.underflow_is_ordinary():
            if beta is not None and t > 0:
                eps_a *= rho
                eps_a += record.psi_unmasked[..., t - 1, :, None, :] * slope if neurons.unmasked else e
            z = arriving(record, slice(t, t + 1))[..., 0, :, :]
            if record.done is not None:
                alive = 1 - record.done[..., t, :, None]
                for each in (eps_v, eps_a):
                    each *= alive[..., None]
            x = xp.broadcast_to(record.x[..., t, :, :], (*z.shape[:-1], n_in)).astype(psi.dtype)
            eps_v *= alpha
            eps_v += gain * xp.concatenate([x, z], axis=-1)[..., None]
            eps_v *= others
            raises = beta if record.v_over_A is None or beta is None else beta * record.v_over_A[..., t, :, None, :]
            slope = eps_v if raises is None else eps_v - raises * eps_a
            e[...] = psi[..., t, :, None, :] * slope
            ebar *= kappa
            ebar += g_out * e
        yield Traces(eps_v, eps_a, e, ebar)


def online(
    net: SpikingNetwork, record: SpikingRecord, err: Array, R: Array | None, feedback: Array | None, traces: Any
) -> Tree:
    """Return the gradients of e-prop, the sum of L^t ebar^t + R^t e^t.

    net, record, err, R, feedback, traces: those of `eprop.online_gradients`.
    """
    B = checks.feedback(feedback, net.W_out, err)
    if R is not None:
        checks.spike_signal("R", R, record.psi)
    G: Any = 0.0
    G_out: Any = 0.0
    zbar: Any = 0.0 if traces is None else traces.zbar
    for t, trace in enumerate(_traces(net, record, traces)):
        L = err[..., t, :, :] @ affine.transposed(B)
        G = G + _over_batch(L, trace.ebar)
        if R is not None:
            G = G + _over_batch(R[..., min(t, R.shape[-3] - 1), :, :], trace.e)
        zbar = net.kappa * zbar + net.g_out * record.z[..., t, :, :].astype(L.dtype)
        G_out = G_out + affine.weight_gradient(zbar, err[..., t, :, :])
    return _split(net, G) | {"W_out": G_out, "b_out": bias_gradient(net, err)}


@xp.underflow_is_ordinary()
def factorised_gradients(net: SpikingNetwork, record: SpikingRecord, signals: Array) -> Tree:
    """Return the gradients of W_in and W_rec as learning signals times eligibility traces (eq. 1).

        G = sum over batch and t of L^t e^t

    With L = dE/dz of `ideal_learning_signals` they are those of BPTT.

    Args:
        net: a spiking network.
        record: of its simulation.
        signals: L (..., T, batch, n).

    Returns:
        {"W_in": (..., n_in, n), "W_rec": (..., n, n)}.

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: Bellec, Scherr et al. 2020, eq. 1.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> signals = eprop.ideal_learning_signals(net, record, record.output)
        >>> eprop.factorised_gradients(net, record, signals)["W_in"].shape
        (3, 4)
    """
    require_record(net, record)
    checks.like("signals", signals, record.psi)
    G: Any = 0.0
    for t, trace in enumerate(_traces(net, record)):
        G = G + _over_batch(signals[..., t, :, :], trace.e)
    return _split(net, G)


def _over_batch(signal, trace):
    return xp.sum(signal[..., None, :] * trace, axis=-3)


def _split(net, G):
    n_in = net.sizes[0]
    return {"W_in": G[..., :n_in, :], "W_rec": G[..., n_in:, :]}


def _at_synapses(value):
    """Give a constant per neuron (..., 1, n), or per replica (..., 1, 1), the axes of (..., batch, pre, post)."""
    return value[..., None, :] if hasattr(value, "shape") else value
