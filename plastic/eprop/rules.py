"""e-prop and BPTT for all networks of this family, spiking, of LSTM cells or of tanh units.

    grads, output = eprop.eprop(net, x, y, loss=..., regulariser=...)     or online, bptt

A rule simulates the network, asks the loss and the regulariser what they make of it, and takes the gradient:
`plastic.eprop.gradients`. The equations stand in `plastic.eprop.spiking.sweep`, `plastic.eprop.lstm_cells` and
`plastic.eprop.rnn_cells`.
"""

from collections.abc import Callable
from typing import Any

from plastic import xp
from plastic.eprop import checks, signals
from plastic.eprop.gradients import (
    Network,
    bptt_gradients,
    eprop_gradients,
    online_gradients,
    simulate,
)
from plastic.eprop.spiking import SpikingNetwork
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def eprop(
    net: Network,
    x: Array,
    y: Any,
    *,
    loss: Callable[[Array, Any], tuple[Array, Array]] = signals.regression,
    regulariser: Callable[[Array], tuple[Array, Array]] | None = None,
    feedback: Array | None = None,
) -> tuple[Tree, Array]:
    """e-prop, the sum of learning signals times eligibility traces, by one sweep back in time (eqs. 4, 23-28).

        G = sum over batch and t of L^t ebar^t + R^t e^t,        L^t = err^t B^T,    err^t = dE/doutput^t

    The network is not changed. The value of the loss is that of loss(output, y).

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn`, `eprop.lstm` or `eprop.rnn`.
        x: input (..., T, batch, n_in) in the precision of the network, one step per ms; spikes may be booleans.
        y: what `loss` compares the output with, the paper's y*: targets (..., T, batch, n_out) for
            `signals.regression`, labels (..., batch) for `signals.classification`.
        loss: function of (output, y) to (loss, err); of `signals`, or of your own. A mean over the batch makes the
            gradient one. `functools.partial(signals.classification, window=150)` takes the last 150 steps.
        regulariser: of spiking networks, a function of the spikes z (..., T, batch, n) to (penalty, R), for instance
            `functools.partial(signals.rate_penalty, target=0.01, strength=1.0)`.
        feedback: B (..., n, n_out), the matrix that learning signals come down by; None is W_out, symmetric feedback.

    Returns:
        (grads, output): the gradient, a tree like `net.parameters`, to be subtracted, and the output
        (..., T, batch, n_out).

    Raises:
        PlasticError: if an argument does not fit the network.

    Source: Bellec, Scherr et al. 2020, eqs. 4, 23-28.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> x, y = xp.ones((50, 1, 3), dtype=bool), xp.zeros((50, 1, 2), dtype=xp.float_dtype)
        >>> grads, output = eprop.eprop(net, x, y)
        >>> grads["W_rec"].shape, output.shape
        ((4, 4), (50, 1, 2))
    """
    record, err, R = _judged(net, x, y, loss, regulariser)
    return eprop_gradients(net, record, err, R, feedback=feedback), record.output


@xp.underflow_is_ordinary()
def online(
    net: Network,
    x: Array,
    y: Any,
    *,
    loss: Callable[[Array, Any], tuple[Array, Array]] = signals.regression,
    regulariser: Callable[[Array], tuple[Array, Array]] | None = None,
    feedback: Array | None = None,
) -> tuple[Tree, Array]:
    """e-prop as it could run in a brain: eligibility traces are carried forward at every synapse (eqs. 4, 23-28).

    The result is that of `eprop`; it takes tens of times longer, and memory for each synapse and trial.

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn`, `eprop.lstm` or `eprop.rnn`.
        x: input (..., T, batch, n_in); see `eprop`.
        y: what `loss` compares the output with; see `eprop`.
        loss: function of (output, y) to (loss, err); see `eprop`.
        regulariser: function of the spikes to (penalty, R), or None; see `eprop`.
        feedback: B (..., n, n_out), or None for symmetric feedback; see `eprop`.

    Returns:
        (grads, output): the gradient, a tree like `net.parameters`, to be subtracted, and the output
        (..., T, batch, n_out).

    Raises:
        PlasticError: if an argument does not fit the network.

    Source: Bellec, Scherr et al. 2020, eqs. 4, 23-28.

    Example:
        >>> import numpy as np
        >>> from plastic import check, eprop
        >>> net = eprop.lstm((3, 4, 2), np.random.default_rng(0))
        >>> x, y = xp.ones((5, 1, 3), dtype=bool), xp.zeros((5, 1, 2), dtype=xp.float_dtype)
        >>> same = check.cosine(eprop.online(net, x, y)[0], eprop.eprop(net, x, y)[0])
        >>> round(float(same["kernel/W"]), 4)
        1.0
    """
    record, err, R = _judged(net, x, y, loss, regulariser)
    return online_gradients(net, record, err, R, feedback=feedback), record.output


@xp.underflow_is_ordinary()
def bptt(
    net: Network,
    x: Array,
    y: Any,
    *,
    loss: Callable[[Array, Any], tuple[Array, Array]] = signals.regression,
    regulariser: Callable[[Array], tuple[Array, Array]] | None = None,
) -> tuple[Tree, Array]:
    """Backpropagation through time, with the pseudo-derivative psi in place of dz/dv (eq. 1, with dE/dz in full).

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn`, `eprop.lstm` or `eprop.rnn`.
        x: input (..., T, batch, n_in); see `eprop`.
        y: what `loss` compares the output with; see `eprop`.
        loss: function of (output, y) to (loss, err); see `eprop`.
        regulariser: function of the spikes to (penalty, R), or None; see `eprop`.

    Returns:
        (grads, output): the gradient, a tree like `net.parameters`, to be subtracted, and the output
        (..., T, batch, n_out).

    Raises:
        PlasticError: if an argument does not fit the network.

    Source: Bellec, Scherr et al. 2020, eq. 1.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lif((3, 4, 2), np.random.default_rng(0))
        >>> x, y = xp.ones((50, 1, 3), dtype=bool), xp.zeros((50, 1, 2), dtype=xp.float_dtype)
        >>> grads, output = eprop.bptt(net, x, y)
        >>> grads["W_in"].shape, output.shape
        ((3, 4), (50, 1, 2))
    """
    record, err, R = _judged(net, x, y, loss, regulariser)
    return bptt_gradients(net, record, err, R), record.output


RULES: dict[str, Callable[..., tuple[Tree, Array]]] = {"eprop": eprop, "online": online, "bptt": bptt}
"""The learning rules by name."""


def _judged(net, x, y, loss, regulariser):
    """Return (record, err, R): what the loss and the regulariser say of a simulation."""
    record = simulate(net, x)
    _, err = _called("loss", loss, record.output, y)
    if regulariser is None:
        return record, err, None
    if not isinstance(net, SpikingNetwork):
        checks.no_regulariser(regulariser)
    return record, err, _called("regulariser", regulariser, record.z)[1]


def _called(name, function, *arguments):
    if not callable(function):
        raise PlasticError(f"{name} is a {type(function).__name__}; it must be a function")
    result = function(*arguments)
    if not isinstance(result, tuple) or len(result) != 2:
        wanted = "(loss, err)" if name == "loss" else "(penalty, R)"
        raise PlasticError(f"{name} returned a {type(result).__name__}; it must return {wanted}")
    return result
