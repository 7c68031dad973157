"""The record of a simulation, and the gradients that a rule takes from it, for all networks of this family.

    output = eprop.predict(net, x)                         x (..., T, batch, n_in)
    record = eprop.simulate(net, x)
    loss, err = loss_function(record.output, y)            err = dE/doutput (..., T, batch, n_out)
    penalty, R = regulariser(record.z)                     R = dE_reg/dz, of spiking networks
    grads = eprop.eprop_gradients(net, record, err, R)     or online_gradients, bptt_gradients

`plastic.eprop.rules` does all four. The equations stand in `plastic.eprop.spiking.sweep`, `plastic.eprop.lstm_cells`
and `plastic.eprop.rnn_cells`.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from plastic import parameters, require, xp
from plastic.eprop import checks, lstm_cells, rnn_cells, spiking
from plastic.eprop.lstm_cells import LSTMNetwork, LSTMRecord, LSTMState, LSTMTraces
from plastic.eprop.rnn_cells import RNNNetwork, RNNRecord, RNNState
from plastic.eprop.spiking import SpikingNetwork, SpikingRecord, SpikingState, SpikingTraces
from plastic.errors import PlasticError
from plastic.types import Array, Tree

Network = SpikingNetwork | LSTMNetwork | RNNNetwork
Record = SpikingRecord | LSTMRecord | RNNRecord
State = SpikingState | LSTMState | RNNState
Traces = SpikingTraces | LSTMTraces

KINDS: dict[type, ModuleType] = {SpikingNetwork: spiking, LSTMNetwork: lstm_cells, RNNNetwork: rnn_cells}
"""The package that knows a kind of network: each has simulate, predict, eprop, online, bptt,
traces_after, require_traces and Record."""


@xp.underflow_is_ordinary()
def simulate(
    net: Network,
    x: Array,
    *,
    state: State | None = None,
    done: Array | None = None,
    keep: Sequence[str] = (),
    out: Any = None,
) -> Any:
    """Run a network over a sequence and return the record of it that the rules need.

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn`, `eprop.lstm` or `eprop.rnn`.
        x: input (..., T, batch, n_in) in the precision of the network, one step per ms; spikes may be booleans.
        state: where to begin, the state of a record; at rest by default. It is left unchanged.
        done: of spiking networks, (..., T, batch) of 0 and 1; where 1, v, a, z and r are set to 0 before the step. The
            delay is 1 then.
        keep: of spiking networks, names of histories to keep, of "v", "a", "r" (as it was on entry) and "u".
        out: of spiking networks, a record that is needed no more: its z and psi are written over, if they fit.

    Returns:
        A `SpikingRecord`, `LSTMRecord` or `RNNRecord`, with the `output`, spikes `z` or states `h`, the last `state`.

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
    return _kind_for(net, x).simulate(net, x, state, done, keep, out)


@xp.underflow_is_ordinary()
def predict(net: Network, x: Array, *, state: State | None = None) -> Array:
    """Return the outputs of every step.

    Args:
        net: a network of `eprop.lif`, `eprop.lsnn`, `eprop.lstm` or `eprop.rnn`.
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
    return _kind_for(net, x).predict(net, x, state)


@xp.underflow_is_ordinary()
def eprop_gradients(
    net: Network,
    record: Record,
    err: Array,
    R: Array | None = None,
    *,
    feedback: Array | None = None,
    traces: Traces | None = None,
) -> Tree:
    """Return the gradients of e-prop from the record of a simulation, by one sweep back in time (eqs. 4, 23-28).

    Args:
        net: the network.
        record: of `simulate(net, x)`.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser of spikes, (..., 1, 1, n) where it is always the same, or (..., T, batch, n).
        feedback: B (..., n, n_out), the matrix that learning signals come down by; None is W_out, symmetric feedback.
        traces: those that an earlier chunk of the sequence left, of `traces_after`; by default none, as at its start.

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
    kind = _kind_of(net, record, err)
    kind.require_traces(net, record, traces)
    return kind.eprop(net, record, err, R, feedback, traces)


@xp.underflow_is_ordinary()
def online_gradients(
    net: Network,
    record: Record,
    err: Array,
    R: Array | None = None,
    *,
    feedback: Array | None = None,
    traces: Traces | None = None,
) -> Tree:
    """Return the gradients of e-prop from the record of a simulation, by traces carried forward (eqs. 4, 23-28).

    Args:
        net: the network.
        record: of `simulate(net, x)`.
        err: dE/doutput (..., T, batch, n_out).
        R: dE/dz of a regulariser of spikes, (..., 1, 1, n) where it is always the same, or (..., T, batch, n).
        feedback: B (..., n, n_out), the matrix that learning signals come down by; None is W_out, symmetric feedback.
        traces: those that an earlier chunk of the sequence left, of `traces_after`; by default none, as at its start.

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
    kind = _kind_of(net, record, err)
    kind.require_traces(net, record, traces)
    return kind.online(net, record, err, R, feedback, traces)


@xp.underflow_is_ordinary()
def traces_after(net: Network, record: Record, traces: Traces | None = None) -> Traces:
    """Return what the eligibility traces are after a chunk of a sequence, so that e-prop can go on from there.

    With the state and the traces of one chunk handed to the next, gradients of chunks add up to that of the whole
    sequence, and memory is that of a chunk and of three numbers for each synapse and trial. Weights may move between
    chunks, as they do in a stream without end:

        state = traces = None
        for x, y in chunks:
            record = eprop.simulate(net, x, state=state)
            grads = eprop.eprop_gradients(net, record, signals.regression(record.output, y)[1], traces=traces)
            state, traces = record.state, eprop.traces_after(net, record, traces)
            optimizer.step(net.parameters, grads, moments)

    Args:
        net: the network.
        record: of `simulate(net, x, state=...)`, the chunk.
        traces: those before it; None at the start of a sequence.

    Returns:
        A `SpikingTraces`, of arrays (..., batch, n_in + n, n), or an `LSTMTraces`; None of tanh units, whose traces
        have no memory.

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: Bellec, Scherr et al. 2020, eqs. 23-28, whose traces are carried forward without end.

    Example:
        >>> import numpy as np
        >>> from plastic import eprop
        >>> net = eprop.lsnn((3, 4, 2), np.random.default_rng(0))
        >>> record = eprop.simulate(net, xp.ones((5, 1, 3), dtype=bool))
        >>> eprop.traces_after(net, record)
        SpikingTraces of 7 x 4 synapses, batch 1
    """
    kind = _kind(net)
    checks.record(record, net, kind.Record)
    kind.require_traces(net, record, traces)
    return kind.traces_after(net, record, traces)


@xp.underflow_is_ordinary()
def bptt_gradients(net: Network, record: Record, err: Array, R: Array | None = None) -> Tree:
    """Return the gradients of backpropagation through time from the record of a simulation.

    The state at its start is a constant: over chunks this is truncated BPTT.

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


def _kind(net):
    for network, kind in KINDS.items():
        if isinstance(net, network):
            return kind
    raise PlasticError(f"net is a {type(net).__name__}; it must be one of eprop.lif, lsnn, lstm or rnn")


def _kind_for(net, x):
    """Return the package that knows a network, to which this input must fit."""
    kind = _kind(net)
    for path, leaf in parameters.leaves(net.parameters):
        require.array(path, leaf)
    require.rows("x", x, net.sizes[0], net.dtype, time=True, spikes=True)
    require.replicas(network=net.replicas, x=x.shape[:-3])
    return kind


def _kind_of(net, record, err):
    """Return the package that knows a network, whose record and errors these must be."""
    kind = _kind(net)
    checks.record(record, net, kind.Record)
    checks.like("err", err, record.output)
    return kind
