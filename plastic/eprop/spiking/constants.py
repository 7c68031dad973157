"""Gradients of the neurons' own constants: time constants, and how far spikes raise the threshold.

The sweep back in time (`sweep`) has the derivatives mu^t by the membrane and P^t by the adaptation, so that

    dJ/dalpha = sum over batch and t of mu^t v^{t-1}
    dJ/drho   = sum of P^t a^{t-1}
    dJ/dbeta  = -sum of q^t a^t          (of `relative` neurons q^t v^t / A^t in place of q^t)

for each neuron: exact for e-prop, whose recurrent spikes are constants, and with the total derivatives c for BPTT. A
time constant tau = -1 / log(alpha) has dJ/dtau = dJ/dalpha alpha / tau^2. The gain of the input counts as a constant of
its own, also where it is 1 - alpha.
"""

from plastic import xp
from plastic.eprop import checks
from plastic.eprop.spiking.network import SpikingNetwork
from plastic.eprop.spiking.simulation import SpikingRecord, operand
from plastic.eprop.spiking.sweep import ideal_learning_signals, learning_signals, require_record
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def constant_gradients(
    net: SpikingNetwork,
    record: SpikingRecord,
    err: Array,
    R: Array | None = None,
    *,
    feedback: Array | None = None,
    total: bool = False,
) -> Tree:
    """Return the gradients of alpha, rho and beta of every neuron, by e-prop or by BPTT.

        dJ/dalpha = sum of mu^t v^{t-1},    dJ/drho = sum of P^t a^{t-1},    dJ/dbeta = -sum of q^t a^t

    with mu, P and q of `plastic.eprop.spiking.sweep`, over batch and t.

    Args:
        net: a spiking network.
        record: of `simulate(net, x, keep=("v", "a"))`.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser, (..., 1, 1, n) or (..., T, batch, n), or None.
        feedback: B (..., n, n_out), or None for symmetric feedback; BPTT has none.
        total: BPTT, rather than e-prop.

    Returns:
        {"alpha", "rho", "beta": (..., 1, n)}, sums over batch and time, to be subtracted; those of the adaptation are 0
        for neurons that have none.

    Raises:
        PlasticError: if the arguments do not belong together, or the record has no histories of v and a.

    Source: eqs. 23-28 of Bellec, Scherr et al. 2020, with the constants in place of the weights.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool), keep=("v", "a"))
        >>> constant_gradients(net, record, record.output)["alpha"].shape
        (1, 4)
    """
    require_record(net, record)
    checks.like("err", err, record.output)
    if {"v", "a"} - record.kept.keys():
        raise PlasticError('the record has no histories of v and a: simulate(net, x, keep=("v", "a"))')
    if total and feedback is not None:
        raise PlasticError("BPTT has no feedback weights of its own: leave out feedback, or total")
    c = ideal_learning_signals(net, record, err, R) if total else learning_signals(net, record, err, R, feedback)
    neurons, psi, v, a = net.neurons, record.psi, record.kept["v"], record.kept["a"]
    alpha, rho, beta = (operand(each, psi[..., 0, :, :]) for each in (neurons.alpha, neurons.rho, neurons.beta))
    mu, P, d_alpha, d_rho, d_beta = (xp.zeros_like(psi[..., 0, :, :]) for _ in range(5))
    beta = mu if beta is None else beta
    for t in reversed(range(psi.shape[-3])):
        of_z = psi[..., t, :, :]
        q = of_z * c[..., t, :, :] + (of_z if record.psi_unmasked is None else record.psi_unmasked[..., t, :, :]) * P
        raises = q if record.v_over_A is None else q * record.v_over_A[..., t, :, :]
        mu, P = q + alpha * mu, rho * P - beta * raises
        alive = 1.0 if record.done is None else 1 - record.done[..., t, :, None]
        v_before, a_before = (v[..., t - 1, :, :], a[..., t - 1, :, :]) if t else (record.v_before, record.a_before)
        d_alpha += mu * v_before * alive
        d_rho += P * a_before * alive
        d_beta -= raises * a[..., t, :, :]
        mu, P = mu * alive, P * alive
    adaptive = xp.zeros_like(d_beta) + (beta > 0)
    found = {"alpha": d_alpha, "rho": d_rho * adaptive, "beta": d_beta * adaptive}
    return {name: xp.sum(each, axis=-2, keepdims=True) for name, each in found.items()}
