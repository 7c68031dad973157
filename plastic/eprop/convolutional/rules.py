"""e-prop and BPTT for screens, by one sweep back in time (equations: the package)."""

from typing import Any

from plastic import convolution, xp
from plastic.eprop import checks
from plastic.eprop.convolutional.network import ConvolutionalNetwork
from plastic.eprop.convolutional.penalties import Potentials
from plastic.eprop.convolutional.simulation import ConvolutionalRecord, columns_for, spikes
from plastic.eprop.spiking import sweep
from plastic.parameters import Affine
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def eprop(
    net: ConvolutionalNetwork,
    record: ConvolutionalRecord,
    err: Array,
    R: Array | None = None,
    *,
    of_maps: Array | None = None,
    potentials: Potentials | None = None,
    work: dict[Any, Array] | None = None,
) -> Tree:
    """Return the gradients of e-prop, with the learning signals coming down by the readout weights.

    Args:
        net: the network.
        record: of its simulation, of S screens and T = S K steps.
        err: dE/doutput (T, batch, n_out).
        R: dE/dz of a regulariser of the cells' spikes, (1, 1, n) or (T, batch, n), or None.
        of_maps: dE/doutput as the kernels take it, (T, batch, n_out); err by default.
        potentials: the derivatives of a penalty of potentials, of `potentials_penalty`, or None.
        work: that of `simulate`.

    Returns:
        A tree like net.parameters, sums over batch and time, to be subtracted.

    Raises:
        PlasticError: if the arguments do not belong together.
    """
    return _gradients(net, record, err, R, of_maps, potentials, work, False)


@xp.underflow_is_ordinary()
def bptt(
    net: ConvolutionalNetwork,
    record: ConvolutionalRecord,
    err: Array,
    R: Array | None = None,
    *,
    of_maps: Array | None = None,
    potentials: Potentials | None = None,
    work: dict[Any, Array] | None = None,
) -> Tree:
    """Return the gradients of BPTT through the cells; layers of maps send nothing to those below, as with e-prop.

    Args:
        net: the network.
        record: of its simulation, of S screens and T = S K steps.
        err: dE/doutput (T, batch, n_out).
        R: dE/dz of a regulariser of the cells' spikes, (1, 1, n) or (T, batch, n), or None.
        of_maps: dE/doutput as the kernels take it, (T, batch, n_out); err by default.
        potentials: the derivatives of a penalty of potentials, of `potentials_penalty`, or None.
        work: that of `simulate`.

    Returns:
        A tree like net.parameters, sums over batch and time, to be subtracted.

    Raises:
        PlasticError: if the arguments do not belong together.
    """
    return _gradients(net, record, err, R, of_maps, potentials, work, True)


def _gradients(net, record, err, R, of_maps, potentials, work, recurrent):
    checks.like("err", err, record.output)
    n, down = net.cells.sizes[1], xp.ascontiguousarray(net.readout.W.T)
    lam = _filtered_backwards(net, record, err)
    L = lam @ down[:, :n]
    if R is not None:
        checks.spike_signal("R", R, record.cells.psi)
        L += R
    direct = None if potentials is None else potentials.cells
    cells, _ = sweep.of_cells(net.cells, record.cells, L, recurrent, False, direct)
    W = record.seen.reshape(-1, record.seen.shape[-1]).T @ lam.reshape(-1, lam.shape[-1])
    readout = Affine(W, xp.sum(err, axis=0).sum(axis=0, keepdims=True))
    if of_maps is not None:
        checks.like("of_maps", of_maps, record.output)
        lam = _filtered_backwards(net, record, of_maps)
    signals = lam @ down[:, n:] if net.reads_maps else None
    return {
        "kernels": _kernels(net, record, signals, potentials, {} if work is None else work),
        "cells": cells,
        "readout": readout,
    }


def _filtered_backwards(net, record, err):
    """Return lam^t = (1 - kappa) err^t + kappa (1 - done^{t+1}) lam^{t+1}."""
    lam = err * (1 - net.kappa)
    for t in reversed(range(len(lam) - 1)):
        later = lam[t + 1]
        if record.done is not None and (t + 1) % net.steps == 0:
            later = later * (1 - record.done[(t + 1) // net.steps, :, None])
        lam[t] += net.kappa * later
    return lam


def _kernels(net, record, signals, potentials, work):
    """Return the gradients of the kernels; signals (T, batch, averages of all layers), or None."""
    grads = [xp.zeros_like(layer.K) for layer in net.layers]
    later: list[Any] = [0.0] * len(net.layers)
    ends = [sum(net.averages[: layer + 1]) for layer in range(len(net.layers))]
    K = net.steps
    for s in reversed(range(len(record.screens))):
        for layer, grad in enumerate(grads):
            v, own = record.v[s][layer], slice(ends[layer] - net.averages[layer], ends[layer])
            down = None if signals is None else signals[s * K : (s + 1) * K, :, own]
            pulls = None if potentials is None else potentials.maps[layer]
            mus = _adjoints(net, v, net.pooled[layer], down, pulls, later[layer])
            later[layer] = mus[0] if record.done is None else mus[0] * (1 - record.done[s][:, None, None, None])
            if layer == 0:
                _add(grad, record.screens[s][..., None], sum(mus), net.layers[layer], work)
            else:
                z = spikes(net, record.v[s][layer - 1]).astype(v.dtype)
                for k in range(K):
                    _add(grad, z[k], mus[k], net.layers[layer], work)
    return grads


def _adjoints(net, v, Q, signals, pulls, later):
    """Return mu of each of K steps.

    v: (K, batch, h, w, channels). Q: the averages. signals: (K, batch, averages), or None. pulls: of the penalty, or
    None. later: mu of the step after them.
    """
    theta, gamma, alpha = net.neurons.theta, net.neurons.gamma, net.neurons.alpha
    K, batch, *_, channels = v.shape
    L: Any = None
    if signals is not None:
        L = (Q.T / theta) @ signals.reshape(K, batch, -1, channels)
    mus: list[Any] = [None] * K
    for k in reversed(range(K)):
        slope = xp.minimum(v[k], 2 * theta - v[k])  # theta psi is gamma / theta times this, where it is positive
        xp.maximum(slope, 0.0, out=slope)
        slope *= gamma / theta
        mu = (alpha - slope) * later
        if L is not None:
            slope *= L[k].reshape(slope.shape)
            mu += slope
        if pulls is not None:
            mu += pulls[0] * (v[k] > theta)
            mu -= pulls[1] * (v[k] < -theta)
        mus[k] = later = mu
    return mus


def _add(grad, x, mu, layer, work):
    """Add the gradient of sum(mu conv(x, K)) to that of K, `grad`."""
    F, _, n_in, n_out = layer.K.shape
    columns = convolution.patches(x, F, columns_for(work, x, layer), layer.stride).reshape(-1, F * F * n_in)
    grad += (columns.T @ mu.reshape(-1, n_out)).reshape(grad.shape)
