"""Losses with their gradients at the output, and regularisers of firing rates.

A loss function returns (loss, err), err = dE/doutput (..., T, batch, n_out), and is a mean over the batch. A
regulariser returns (penalty, R): R_j^t = dE_reg/dz_j^t, (..., 1, 1, n) where it is the same at all times, else
(..., T, batch, n); rates belong to the batch as a whole. Both keep replica axes.
"""

from typing import Any

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.functions import softmax_cross_entropy
from plastic.types import Array


@xp.underflow_is_ordinary()
def regression(output: Array, y: Array) -> tuple[Array, Array]:
    """Return half the squared error, summed over the outputs and averaged over batch and time, and its gradient.

        E = 1 / (T batch) sum over t and batch of 1/2 sum over k of (output_k^t - y_k^t)^2
        err = (output - y) / (T batch)

    The published loss is the sum, T batch times this one.

    Args:
        output: (..., T, batch, n_out).
        y: targets (..., T, batch, n_out), one for each output; replica axes may be absent.

    Returns:
        (E, err): E of the replica axes, err of the shape of the output.

    Raises:
        PlasticError: if y has another shape or precision than the output.

    Source: Bellec, Scherr et al. 2020, pattern generation (Fig. S7).

    Example:
        >>> loss, err = regression(xp.asarray([[[1.0, 2.0]]]), xp.asarray([[[0.0, 2.0]]]))
        >>> float(loss), err.tolist()
        (0.5, [[[1.0, 0.0]]])
    """
    _require_output(output)
    _require_targets(y, output)
    difference = output - y
    T, batch = output.shape[-3:-1]
    err = difference / (T * batch)
    return 0.5 * xp.sum(difference * err, axis=(-3, -2, -1)), err


@xp.underflow_is_ordinary()
def classification(output: Array, labels: Array, window: int | None = None) -> tuple[Array, Array]:
    """Return the cross-entropy of softmax(output), averaged over batch and the last steps, and its gradient.

        E = 1 / (window batch) sum over batch and the last `window` steps of -log pi_label,    pi = softmax(output^t)
        err^t = (pi - [k = label]) / (window batch) in the window, 0 before it

    Args:
        output: logits (..., T, batch, n_out).
        labels: whole numbers from 0 to n_out - 1, (batch,), or (..., batch) with replica axes: one for each trial.
        window: how many of the last steps count, from 1 to T; None is all.

    Returns:
        (E, err): E of the replica axes, err of the shape of the output.

    Raises:
        PlasticError: if labels or window do not fit the output.

    Source: Bellec, Scherr et al. 2020, evidence accumulation (Fig. 3).

    Example:
        >>> loss, err = classification(xp.zeros((3, 1, 2)), xp.asarray([1]), window=1)
        >>> err[-1].tolist(), bool(err[:-1].any())
        ([[0.5, -0.5]], False)
    """
    _require_output(output)
    T, batch = output.shape[-3:-1]
    window = _window(window, T)
    require.array("labels", labels)
    if labels.ndim < 1 or labels.shape[-1] != batch or labels.ndim > output.ndim - 2:
        raise PlasticError(
            f"labels have shape {labels.shape}; ({batch},) is needed, a class for each trial of outputs {output.shape}"
        )
    require.replicas(output=output.shape[:-3], labels=labels.shape[:-1])
    losses, gradient = softmax_cross_entropy(output[..., -window:, :, :], labels[..., None, :])
    err = xp.zeros_like(output)
    err[..., -window:, :, :] = gradient / (window * batch)
    return xp.mean(losses, axis=(-2, -1)), err


def decisions(output: Array, window: int | None = None) -> Array:
    """Return the class with the largest mean output over the last steps.

    Args:
        output: (..., T, batch, n_out).
        window: how many of the last steps count, from 1 to T; None is all.

    Returns:
        Whole numbers (..., batch).

    Raises:
        PlasticError: if the window does not fit the output.

    Source: the published code of evidence accumulation (Fig. 3).

    Example:
        >>> decisions(xp.asarray([[[9.0, 0.0]], [[0.0, 1.0]]]), window=1).tolist()
        [1]
    """
    _require_output(output)
    window = _window(window, output.shape[-3])
    return xp.argmax(xp.mean(output[..., -window:, :, :], axis=-3), axis=-1)


@xp.underflow_is_ordinary()
def framewise(output: Array, labels: Array, lengths: Any = None, *, padding: bool = False) -> tuple[Array, Array]:
    """Return the cross-entropy of softmax(output) in every frame, averaged over frames and batch, and its gradient.

        E = 1 / batch sum over batch of 1 / F sum over its F frames of -log pi_label,    pi = softmax(output^t)
        err^t = (pi - [k = label]) / (F batch), 0 beyond the sequence

    Args:
        output: logits (..., T, batch, n_out).
        labels: whole numbers from 0 to n_out - 1, (T, batch): one for each frame.
        lengths: F of each sequence, (batch,), from 1 to T; None is T.
        padding: whether all T frames of all sequences count, as in the published code of LSTM cells.

    Returns:
        (E, err): E of the replica axes, err of the shape of the output.

    Raises:
        PlasticError: if labels or lengths do not fit the output.

    Source: Bellec, Scherr et al. 2020, framewise phone recognition (Fig. 2).

    Example:
        >>> loss, err = framewise(xp.zeros((2, 1, 2)), xp.asarray([[1], [0]]), lengths=[1])
        >>> err[0, 0].tolist(), bool(err[1].any())
        ([0.5, -0.5], False)
    """
    weights = _weights(output, labels, None if padding else lengths)
    losses, gradient = softmax_cross_entropy(output, labels)
    return xp.sum(losses * weights, axis=(-2, -1)), gradient * weights[..., None]


def framewise_error(output: Array, labels: Array, lengths: Any = None) -> Array:
    """Return the fraction of frames whose largest output is not at their label, averaged over frames, then batch.

    Args:
        output: (..., T, batch, n_out).
        labels: whole numbers from 0 to n_out - 1, (T, batch): one for each frame.
        lengths: frames of each sequence, (batch,), from 1 to T; None is T.

    Returns:
        An array of the replica axes.

    Raises:
        PlasticError: if labels or lengths do not fit the output.

    Source: Bellec, Scherr et al. 2020, framewise phone recognition (Fig. 2).

    Example:
        >>> float(framewise_error(xp.asarray([[[0.0, 1.0]], [[0.0, 1.0]]]), xp.asarray([[1], [0]])))
        0.5
    """
    weights = _weights(output, labels, lengths)
    return xp.sum((xp.argmax(output, axis=-1) != labels) * weights, axis=(-2, -1))


def rates(z: Array) -> Array:
    """Return the firing rate of every neuron, av_j, the mean of its spikes over time and batch.

    Args:
        z: spikes (..., T, batch, n), booleans or numbers.

    Returns:
        Spikes per ms (..., 1, 1, n), in the working precision.

    Raises:
        PlasticError: if z has no axis of time and of batch.

    Source: Bellec, Scherr et al. 2020, regularisation of firing rates.

    Example:
        >>> rates(xp.asarray([[[True, False]], [[False, False]]])).tolist()
        [[[0.5, 0.0]]]
    """
    _require_spikes(z)
    T, batch = z.shape[-3:-1]
    if z.dtype == bool:  # NumPy counts them in small whole numbers several times faster
        z = xp.sum(z, axis=-3, keepdims=True, dtype=xp.uint16 if T < 1 << 16 else xp.int64)
    return xp.sum(z, axis=(-3, -2), keepdims=True, dtype=xp.float_dtype) / (T * batch)


@xp.underflow_is_ordinary()
def rate_penalty(z: Array, target: float, strength: float) -> tuple[Array, Array]:
    """Return the penalty of firing rates that differ from a target, and its derivative at the spikes.

        E_reg = strength sum over j of (av_j - target)^2,    R_j = 2 strength (av_j - target) / (T batch)

    Args:
        z: spikes (..., T, batch, n), booleans or numbers.
        target: spikes per ms, from 0 to 1; 0.01 is 10 Hz.
        strength: at least 0. Evidence accumulation has 1, and pattern generation 150, half of its published 300.

    Returns:
        (E_reg, R): E_reg of the replica axes, R (..., 1, 1, n).

    Raises:
        PlasticError: if an argument is of another shape or out of range.

    Source: Bellec, Scherr et al. 2020, regularisation of firing rates.

    Example:
        >>> penalty, R = rate_penalty(xp.asarray([[[True]], [[False]]]), target=0.0, strength=1.0)
        >>> float(penalty), R.tolist()
        (0.25, [[[0.5]]])
    """
    target, strength = _require_regulariser(z, target, strength)
    excess = rates(z) - target
    T, batch = z.shape[-3:-1]
    return strength * xp.sum(excess * excess, axis=(-3, -2, -1)), excess * (2 * strength / (T * batch))


@xp.underflow_is_ordinary()
def running_rate_penalty(z: Array, target: float, strength: float) -> tuple[Array, Array]:
    """Return the penalty of running averages of the rates, the published "online" variant, and its derivative.

    The trials of the batch are one stream, one after another. With n the steps of the stream so far and rho_j(n) the
    mean of z_j over them,

        E_reg = strength sum over trials and j of the mean over t of (rho_j(n) - target)^2

    Args:
        z: spikes (..., T, batch, n), booleans or numbers.
        target: spikes per ms, from 0 to 1; 0.01 is 10 Hz.
        strength: at least 0.

    Returns:
        (E_reg, R): E_reg of the replica axes, R (..., T, batch, n).

    Raises:
        PlasticError: if an argument is of another shape or out of range.

    Source: the published code of evidence accumulation (Fig. 3), f_regularization_type "online".

    Example:
        >>> penalty, R = running_rate_penalty(xp.asarray([[[True]], [[False]]]), target=0.5, strength=1.0)
        >>> float(penalty), R.ravel().tolist()
        (0.125, [0.5, 0.0])
    """
    target, strength = _require_regulariser(z, target, strength)
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


def sequence_lengths(lengths: Any, T: int, batch: int) -> np.ndarray:
    """Return the lengths of sequences in a batch, on the host.

    Args:
        lengths: frames of each sequence, (batch,), from 1 to T; None is T.
        T, batch: frames and sequences of the batch.

    Returns:
        int64 (batch,).

    Raises:
        PlasticError: if they are something else.

    Example:
        >>> sequence_lengths(None, 3, 2).tolist()
        [3, 3]
    """
    if lengths is None:
        return np.full(batch, T)
    found = np.asarray(lengths)
    if found.shape != (batch,) or found.dtype.kind not in "iu" or not 1 <= found.min() <= found.max() <= T:
        raise PlasticError(f"lengths must be {batch} whole numbers from 1 to {T}, the frames of each sequence")
    return found.astype(np.int64)


def _weights(output: Any, labels: Any, lengths: Any) -> Array:
    """Return 1 / (F batch) in the F frames of each sequence and 0 beyond, (T, batch)."""
    _require_output(output)
    T, batch = output.shape[-3:-1]
    require.array("labels", labels)
    if labels.shape != (T, batch):
        raise PlasticError(f"labels have shape {labels.shape}; ({T}, {batch}) is needed, a class for each frame")
    lengths = sequence_lengths(lengths, T, batch)
    return xp.asarray((np.arange(T)[:, None] < lengths) / (lengths * batch), dtype=output.dtype)


def _require_output(output: Any) -> None:
    require.array("output", output)
    if output.ndim < 3 or 0 in output.shape or output.dtype.kind != "f":
        found = f"{output.dtype} of shape {output.shape}"
        raise PlasticError(f"output is {found}; numbers (..., T, batch, n_out) are needed")


def _require_targets(y: Any, output: Array) -> None:
    require.array("y", y)
    if y.dtype.kind in "iu":
        raise PlasticError(f"y holds {y.dtype}; targets are {output.dtype}, and labels are for signals.classification")
    if y.shape[-3:] != output.shape[-3:] or y.ndim > output.ndim:
        raise PlasticError(f"y has shape {y.shape}; that of the output is needed, {output.shape}")
    if y.dtype != output.dtype:
        raise PlasticError(f"y is {y.dtype}, but the network is {output.dtype}: convert one of them")
    require.replicas(output=output.shape[:-3], y=y.shape[:-3])


def _window(window: int | None, T: int) -> int:
    if window is None:
        return T
    require.whole("window", window, 1, T)
    return window


def _require_spikes(z: Any) -> None:
    require.array("z", z)
    if z.ndim < 3 or 0 in z.shape or z.dtype.kind not in "bf":
        raise PlasticError(f"z is {z.dtype} of shape {z.shape}; spikes (..., T, batch, n) are needed")


def _require_regulariser(z: Any, target: Any, strength: Any) -> tuple[float, float]:
    """Return the two numbers as Python's: a NumPy scalar would turn float32 into float64."""
    _require_spikes(z)
    return require.scalar("target", target, least=0, most=1), require.scalar("strength", strength, least=0)
