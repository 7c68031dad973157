"""e-prop and BPTT for bidirectional layers, from the record of a simulation (equations: the package)."""

from collections.abc import Sequence
from typing import Any

from plastic import xp
from plastic.eprop import checks, gradients
from plastic.eprop.bidirectional.network import BidirectionalNetwork
from plastic.eprop.bidirectional.simulation import BidirectionalRecord, reverse, to_steps
from plastic.eprop.sequences import gradient_of_map, learning_signals
from plastic.eprop.spiking import SpikingNetwork
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def bptt(
    net: BidirectionalNetwork, record: BidirectionalRecord, err: Array, R: Sequence[tuple[Any, Any]] | None = None
) -> Tree:
    """Return the gradients of backpropagation through time and through all layers.

    Args:
        net: the network.
        record: of `bidirectional.simulate(net, x)`.
        err: dE/doutput (..., F, batch, n_out).
        R: of spiking cells, dE/dz of a regulariser for each layer, (forward, backward), (..., 1, 1, n) each.

    Returns:
        A tree like `net.parameters`, to be subtracted: sums over batch and time of what err and R ask for.

    Raises:
        PlasticError: if the arguments do not belong together.

    Source: the published code for speech of Bellec, Scherr et al. 2020.
    """
    return _gradients(net, record, err, net.readout.W, R, recurrent=True, downwards=True)


@xp.underflow_is_ordinary()
def eprop(
    net: BidirectionalNetwork,
    record: BidirectionalRecord,
    err: Array,
    R: Sequence[tuple[Any, Any]] | None = None,
    *,
    feedback: Array | None = None,
    downwards: bool | None = None,
) -> Tree:
    """Return the gradients of e-prop, whose learning signals come down from the readout to every cell that it sees.

    Args:
        net: the network.
        record: of `bidirectional.simulate(net, x)`.
        err: dE/doutput (..., F, batch, n_out).
        R: of spiking cells, dE/dz of a regulariser for each layer, (forward, backward), (..., 1, 1, n) each.
        feedback: B (..., m, n_out), the matrix that learning signals come down by; None is that of the readout.
        downwards: whether dE/dx of a layer is a learning signal for the layer below; by default, as published, that of
            spiking cells is, and that of others is not.

    Returns:
        A tree like `net.parameters`, to be subtracted: sums over batch and time of what err and R ask for.

    Raises:
        PlasticError: if the arguments do not belong together, or no learning signal reaches one of the layers.

    Source: the published code for speech of Bellec, Scherr et al. 2020.
    """
    if downwards is None:
        downwards = isinstance(net.layers[0][0], SpikingNetwork)
    B = checks.feedback(feedback, net.readout.W, err)
    return _gradients(net, record, err, B, R, recurrent=False, downwards=downwards)


def _gradients(net, record, err, B, R, recurrent, downwards):
    """Return the tree of gradients; B is what errors come down by."""
    checks.like("err", err, record.output)
    if len(record.layers) != len(net.layers) or record.output.shape[-1] != net.sizes[2]:
        raise PlasticError(f"record is {record}, not of this network, {net}")
    readout = gradient_of_map(record.seen, net.readout, err)
    dF = learning_signals(err, B)
    if record.masks is not None:
        dF = dF * record.masks.readout
    signals = _divided(to_steps(net, dF), [net.sizes[1] for pair in net.read for net in pair])
    signals = [None] * 2 * (len(net.layers) - len(net.read)) + signals
    layers, from_above = [], None
    for number in reversed(range(len(net.layers))):
        L = signals[2 * number : 2 * number + 2]
        if from_above is not None:
            widths = [each.sizes[1] for each in net.layers[number]]
            L = [each if own is None else own + each for own, each in zip(L, _divided(from_above, widths), strict=True)]
        if L[0] is None:
            raise PlasticError(f"no learning signal reaches layer {number}: let the readout see all layers")
        to_input = downwards and number > 0
        grads, from_above = _of_layer(net, record, number, L, None if R is None else R[number], recurrent, to_input)
        layers.insert(0, grads)
        if to_input and record.masks is not None:
            from_above = from_above * record.masks.inputs[number]
    return {"layers": layers, "readout": readout}


def _of_layer(net, record, number, L, R, recurrent, to_input):
    """Return ({"forward", "backward": gradients}, dE/dx or None) of a layer, from dE/dz of both directions."""
    found = []
    for k in range(2):
        cells, its, signal = net.layers[number][k], record.layers[number][k], reverse(L[k]) if k else L[k]
        if not isinstance(cells, SpikingNetwork):
            checks.no_regulariser(R)
        elif R is not None:
            checks.spike_signal("R", R[k], its.psi)
            signal = signal + R[k]
        found.append(gradients.KINDS[type(cells)].sweep.of_cells(cells, its, signal, recurrent, to_input))
    (forward, ahead), (backward, behind) = found
    return {"forward": forward, "backward": backward}, ahead + reverse(behind) if to_input else None


def _divided(signals: Array, widths: list[int]) -> list[Any]:
    """Return the parts of `signals` (..., T, batch, m) that belong to networks of these widths."""
    ends = [sum(widths[: k + 1]) for k in range(len(widths))]
    return [signals[..., end - width : end] for end, width in zip(ends, widths, strict=True)]
