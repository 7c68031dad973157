"""Losses with their gradients at the readout, and the regulariser of firing rates.

A loss function returns (loss, err), err = dE/dy (..., T, batch, n_out). A regulariser returns (penalty, R): R_j^t =
dE_reg/dz_j^t, (..., 1, 1, n) where it is the same at all times, else (..., T, batch, n). Losses keep replica axes.
"""

from plastic import xp
from plastic.functions import softmax_cross_entropy


def regression(y, target):
    """E = 1/2 sum over batch, time and outputs of (y - y*)^2."""
    err = y - target
    return 0.5 * xp.sum(err * err, axis=(-3, -2, -1)), err


def classification(y, labels, window):
    """E = the mean over batch and the last `window` steps of the cross-entropy of softmax(y); err is 0 before them.

    labels: (..., batch) whole numbers. window: not longer than the sequence.
    """
    losses, gradient = softmax_cross_entropy(y[..., -window:, :, :], labels[..., None, :])
    err = xp.zeros_like(y)
    err[..., -window:, :, :] = gradient / (window * y.shape[-2])
    return xp.mean(losses, axis=(-2, -1)), err


def decisions(y, window):
    """Return the class (..., batch) with the largest mean readout over the last `window` steps."""
    return xp.argmax(xp.mean(y[..., -window:, :, :], axis=-3), axis=-1)


def rates(z):
    """Return the firing rate av_j of every neuron, spikes per ms, as a mean over time and batch: (..., 1, 1, n)."""
    return xp.mean(z, axis=(-3, -2), keepdims=True, dtype=xp.float_dtype)


def rate_penalty(z, target, strength):
    """E_reg = strength sum_j (av_j - target)^2 (evidence accumulation; pattern generation has strength / 2)."""
    excess = rates(z) - target
    T, batch = z.shape[-3:-1]
    return strength * xp.sum(excess * excess, axis=(-3, -2, -1)), excess * (2 * strength / (T * batch))


def running_rate_penalty(z, target, strength):
    """The "online" variant: the trials of the batch are one stream, one after another, and rates are running averages.

    With n the steps of the stream so far and rho_j(n) the mean of z_j over them,
    E_reg = strength sum over trials and neurons of the mean over time of (rho_j - target)^2.
    """
    T, batch = z.shape[-3:-1]
    spikes = z.astype(xp.float_dtype)
    totals = xp.sum(spikes, axis=-3, keepdims=True)
    count = xp.cumsum(spikes, axis=-3) + xp.cumsum(totals, axis=-2) - totals
    n = xp.arange(batch)[:, None] * T + xp.arange(1, T + 1)[:, None, None]
    n = n.astype(xp.float_dtype)
    excess = count / n - target
    penalty = strength / T * xp.sum(excess * excess, axis=(-3, -2, -1))
    slope = excess * (2 * strength / T) / n
    totals = xp.sum(slope, axis=-3, keepdims=True)
    later = totals - xp.cumsum(slope, axis=-3) + slope  # from this step to the end of the trial
    return penalty, later + xp.sum(totals, axis=-2, keepdims=True) - xp.cumsum(totals, axis=-2)
