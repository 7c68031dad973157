"""e-prop and BPTT for all networks of this family, spiking or of LSTM cells.

    record = eprop.simulate(net, x)                        x (..., T, batch, n_in)
    loss, err = loss_function(record.output, y)            err = dE/doutput (..., T, batch, n_out)
    penalty, R = regulariser(record.z)                     R = dE_reg/dz, of spiking networks
    grads = eprop.eprop_gradients(net, record, err, R)     or online_gradients, bptt_gradients

`eprop`, `online` and `bptt` do all four. The equations stand in `plastic.eprop.spiking.sweep` and
`plastic.eprop.lstm_cells`.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from plastic import parameters, require, xp
from plastic.eprop import checks, lstm_cells, signals, spiking
from plastic.eprop.lstm_cells import LSTMNetwork, LSTMRecord, LSTMState
from plastic.eprop.spiking import SpikingNetwork, SpikingRecord, SpikingState
from plastic.errors import PlasticError
from plastic.types import Array, Tree

Network = SpikingNetwork | LSTMNetwork
Record = SpikingRecord | LSTMRecord
State = SpikingState | LSTMState

KINDS: dict[type, ModuleType] = {SpikingNetwork: spiking, LSTMNetwork: lstm_cells}
"""The package that knows a kind of network: each has simulate, eprop, online, bptt and Record."""


@xp.underflow_is_ordinary()
def predict(net: Network, x: Array, *, state: State | None = None) -> Array:
    """Return the outputs of every step.

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn` or `eprop.lstm`.
        x: input (..., T, batch, n_in) in the precision of the network, one step per ms; spikes may be booleans.
        state: where to begin, the state of a record; at rest by default. It is left unchanged.

    Returns:
        The output (..., T, batch, n_out).

    Raises:
        PlasticError: if x or the state does not fit the network.

    Source: Bellec, Scherr et al. 2020, eqs. 7-11.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> eprop.predict(net, xp.ones((5, 1, 3), dtype=bool)).shape
        (5, 1, 2)
    """
    return simulate(net, x, state=state).output


@xp.underflow_is_ordinary()
def simulate(
    net: Network, x: Array, *, state: State | None = None, done: Array | None = None, keep: Sequence[str] = ()
) -> Any:
    """Run a network over a sequence and return the record of it that the rules need.

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn` or `eprop.lstm`.
        x: input (..., T, batch, n_in) in the precision of the network, one step per ms; spikes may be booleans.
        state: where to begin, the state of a record; at rest by default. It is left unchanged.
        done: of spiking networks, (..., T, batch) of 0 and 1; where 1, v, a, z and r are set to 0 before the step.
        keep: of spiking networks, names of histories to keep, of "v", "a", "r" (as it was on entry) and "u".

    Returns:
        A `SpikingRecord` or an `LSTMRecord`, with the `output`, spikes `z` or cells `h`, and the last `state`.

    Raises:
        PlasticError: if an argument does not fit the network.

    Source: Bellec, Scherr et al. 2020, eqs. 7-11; LSTM cells, Hochreiter and Schmidhuber 1997.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lif((3, 4, 2), np.random.default_rng(0))
        >>> eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool), keep=("v",))
        SpikingRecord 3-4-2, T 5, batch 1
    """
    kind = _kind(net)
    for path, leaf in parameters.leaves(net.parameters):
        require.array(path, leaf)
    require.rows("x", x, net.sizes[0], net.dtype, time=True, spikes=True)
    require.replicas(network=net.replicas, x=x.shape[:-3])
    return kind.simulate(net, x, state, done, keep)


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
        net: a network of `eprop.lif`, `eprop.lsnn` or `eprop.lstm`.
        x: input (..., T, batch, n_in) in the precision of the network, one step per ms; spikes may be booleans.
        y: what `loss` compares the output with: targets (..., T, batch, n_out) for `signals.regression`, labels
            (..., batch) for `signals.classification`.
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
        net: a network of `eprop.lif`, `eprop.lsnn` or `eprop.lstm`.
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
        net: a network of `eprop.lif`, `eprop.lsnn` or `eprop.lstm`.
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


@xp.underflow_is_ordinary()
def eprop_gradients(
    net: Network, record: Record, err: Array, R: Array | None = None, *, feedback: Array | None = None
) -> Tree:
    """Return the gradients of e-prop from the record of a simulation, by one sweep back in time (eqs. 4, 23-28).

    Args:
        net: the network.
        record: of `simulate(net, x)`.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser of spikes, (..., 1, 1, n) where it is always the same, or (..., T, batch, n).
        feedback: B (..., n, n_out), the matrix that learning signals come down by; None is W_out, symmetric feedback.

    Returns:
        A tree like `net.parameters`, to be subtracted: sums over batch and time of what err and R ask for.

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: Bellec, Scherr et al. 2020, eqs. 4, 23-28.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> eprop.eprop_gradients(net, record, record.output)["W_out"].shape
        (4, 2)
    """
    return _kind_of(net, record, err).eprop(net, record, err, R, feedback)


@xp.underflow_is_ordinary()
def online_gradients(
    net: Network, record: Record, err: Array, R: Array | None = None, *, feedback: Array | None = None
) -> Tree:
    """Return the gradients of e-prop from the record of a simulation, by traces carried forward (eqs. 4, 23-28).

    Args:
        net: the network.
        record: of `simulate(net, x)`.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser of spikes, (..., 1, 1, n) where it is always the same, or (..., T, batch, n).
        feedback: B (..., n, n_out), the matrix that learning signals come down by; None is W_out, symmetric feedback.

    Returns:
        A tree like `net.parameters`, to be subtracted, equal to that of `eprop_gradients`.

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: Bellec, Scherr et al. 2020, eqs. 4, 23-28.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> eprop.online_gradients(net, record, record.output)["W_rec"].shape
        (4, 4)
    """
    return _kind_of(net, record, err).online(net, record, err, R, feedback)


@xp.underflow_is_ordinary()
def bptt_gradients(net: Network, record: Record, err: Array, R: Array | None = None) -> Tree:
    """Return the gradients of backpropagation through time from the record of a simulation.

    Args:
        net: the network.
        record: of `simulate(net, x)`.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser of spikes, (..., 1, 1, n) where it is always the same, or (..., T, batch, n).

    Returns:
        A tree like `net.parameters`, to be subtracted: sums over batch and time of what err and R ask for.

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: Bellec, Scherr et al. 2020, eq. 1.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lstm((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> eprop.bptt_gradients(net, record, record.output)["kernel"]
        Affine W (7, 16), b (1, 16)
    """
    return _kind_of(net, record, err).bptt(net, record, err, R)


RULES = {"eprop": eprop, "online": online, "bptt": bptt}
"""The learning rules by name."""


def _judged(net, x, y, loss, regulariser):
    """Return (record, err, R): what the loss and the regulariser say of a simulation."""
    record = simulate(net, x)
    _, err = _called("loss", loss, record.output, y)
    if regulariser is None:
        return record, err, None
    if not isinstance(net, SpikingNetwork):
        raise PlasticError("a regulariser sees spikes, and LSTM cells have none")
    return record, err, _called("regulariser", regulariser, record.z)[1]


def _called(name, function, *arguments):
    if not callable(function):
        raise PlasticError(f"{name} is a {type(function).__name__}; it must be a function")
    result = function(*arguments)
    if not isinstance(result, tuple) or len(result) != 2:
        wanted = "(loss, err)" if name == "loss" else "(penalty, R)"
        raise PlasticError(f"{name} returned a {type(result).__name__}; it must return {wanted}")
    return result


def _kind(net):
    for network, kind in KINDS.items():
        if isinstance(net, network):
            return kind
    raise PlasticError(f"net is a {type(net).__name__}; it must be a network of eprop.lif, eprop.lsnn or eprop.lstm")


def _kind_of(net, record, err):
    """Return the package that knows a network, whose record and errors these must be."""
    kind = _kind(net)
    checks.record(record, net, kind.Record)
    checks.like("err", err, record.output)
    return kind
