"""The simulation of bidirectional layers, and what it leaves for the rules."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.eprop import gradients
from plastic.eprop.bidirectional.network import BidirectionalNetwork, Masks
from plastic.eprop.sequences import affine_map
from plastic.eprop.spiking import SpikingRecord
from plastic.eprop.spiking.filter import filtered
from plastic.eprop.spiking.simulation import without_silenced
from plastic.errors import PlasticError
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class BidirectionalRecord:
    """What a simulation of a bidirectional network leaves for the rules.

    Attributes:
        layers: [(forward, backward)], the records of the networks; those of backward ones run from the end.
        seen: F, what the readout sees (..., F, batch, m), dropout included.
        output: (..., F, batch, n_out).
        masks: those of dropout, or None.
    """

    layers: list[tuple[Any, Any]]
    seen: Array
    output: Array
    masks: Masks | None

    def __repr__(self) -> str:
        F, batch, _ = self.output.shape[-3:]
        return f"BidirectionalRecord of {len(self.layers)} layers, {F} frames, batch {batch}"

    @property
    def spikes(self) -> list[tuple[Array, Array]]:
        """What spiking cells have sent, of each layer, (..., T, batch, n) twice; backward ones run from the end."""
        return [(forward.z, backward.z) for forward, backward in self.layers]


@xp.underflow_is_ordinary()
def simulate(net: BidirectionalNetwork, x: Array, masks: Masks | None = None) -> BidirectionalRecord:
    """Run a bidirectional network over a sequence, from rest, and return the record of it that the rules need.

    Args:
        net: the network.
        x: input (..., F, batch, n_in) in the precision of the network, one frame after another.
        masks: of dropout; none by default.

    Returns:
        The record, with the `output` of every frame.

    Raises:
        PlasticError: if x or the masks do not fit the network.

    Example:
        >>> from plastic.eprop import bidirectional
        >>> from plastic.parameters import Affine
        >>> pair = tuple(bidirectional.cells(kernel=Affine(xp.zeros((3 + 4, 16)))) for _ in range(2))
        >>> net = bidirectional.BidirectionalNetwork([pair], Affine(xp.zeros((8, 2))))
        >>> simulate(net, xp.ones((5, 1, 3)))
        BidirectionalRecord of 1 layers, 5 frames, batch 1
    """
    require.rows("x", x, net.sizes[0], net.dtype, time=True)
    x = xp.repeat(x, net.steps, axis=-3) if net.steps > 1 else x
    records, sent = [], []
    for number, (forward, backward) in enumerate(net.layers):
        if masks is not None:
            x = _masked(x, masks.inputs[number], f"masks.inputs[{number}]")
        pair = gradients.simulate(forward, x), gradients.simulate(backward, reverse(x))
        records.append(pair)
        sent.append(xp.concatenate([_sent(pair[0]), reverse(_sent(pair[1]))], axis=-1))
        x = sent[-1]
    F = _frames(net, xp.concatenate(sent, axis=-1) if net.all_layers and len(sent) > 1 else sent[-1])
    if masks is not None:
        F = _masked(F, masks.readout, "masks.readout")
    output = affine_map(F, net.readout)
    for each in itertools.chain(*records):
        output = without_silenced(output, each.state.v) if isinstance(each, SpikingRecord) else output
    return BidirectionalRecord(records, F, output, masks)


def predict(net: BidirectionalNetwork, x: Array) -> Array:
    """Return the outputs of every frame, without dropout.

    Args:
        net: the network.
        x: input (..., F, batch, n_in) in the precision of the network.

    Returns:
        The output (..., F, batch, n_out).

    Raises:
        PlasticError: if x does not fit the network.

    Example:
        >>> from plastic.eprop import bidirectional
        >>> from plastic.parameters import Affine
        >>> pair = tuple(bidirectional.cells(kernel=Affine(xp.zeros((3 + 4, 16)))) for _ in range(2))
        >>> net = bidirectional.BidirectionalNetwork([pair], Affine(xp.zeros((8, 2)), xp.ones((1, 2))))
        >>> predict(net, xp.ones((5, 1, 3)))[-1].tolist()
        [[1.0, 1.0]]
    """
    return simulate(net, x).output


def dropout(net: BidirectionalNetwork, frames: int, batch: int, keep: float, generator: np.random.Generator) -> Masks:
    """Return masks of dropout: 1 / keep with the probability `keep`, else 0, for every step, trial and unit by itself.

    Args:
        net: the network.
        frames: F of the sequences.
        batch: how many there are.
        keep: the probability, above 0 and at most 1.
        generator: of random numbers, of the host.

    Returns:
        The `Masks`, for all replicas.

    Raises:
        PlasticError: if `keep` is out of range.

    Source: Srivastava et al. 2014.
    """
    require.number("keep", keep, above=0, most=1)

    def mask(steps: int, n: int) -> Array:
        kept = generator.random((steps, batch, n), dtype=np.float32) < keep
        return xp.asarray(kept.astype(np.float32) / keep, dtype=net.dtype)

    inputs = [mask(net.steps * frames, forward.sizes[0]) for forward, _ in net.layers]
    return Masks(inputs, mask(frames, sum(net.seen)))


def reverse(sequence: Array) -> Array:
    """Return a `sequence` (..., T, batch, n) from its end."""
    return sequence[..., ::-1, :, :]


def to_steps(net: BidirectionalNetwork, dF: Array) -> Array:
    """Return L = dE/dz (..., T, batch, m) of dF = dE/dF (..., F, batch, m), the adjoint of F.

    net: the network.
    """
    if net.kappa and not net.filter_first:
        dF = reverse(filtered(reverse(dF), net.kappa))
    L = xp.repeat(dF / net.steps, net.steps, axis=-3) if net.steps > 1 else dF
    return reverse(filtered(reverse(L), net.kappa)) if net.kappa and net.filter_first else L


def _frames(net: BidirectionalNetwork, sent: Array) -> Array:
    """Return F (..., F, batch, m) of what cells have sent (..., T, batch, m)."""
    if net.kappa and net.filter_first:
        sent = filtered(sent.astype(net.dtype), net.kappa)
    *leading, T, batch, m = sent.shape
    F = xp.mean(sent.reshape(*leading, T // net.steps, net.steps, batch, m), axis=-3, dtype=net.dtype)
    return filtered(F, net.kappa) if net.kappa and not net.filter_first else F


def _sent(record: Any) -> Array:
    return record.z if isinstance(record, SpikingRecord) else record.h


def _masked(x: Array, mask: Array, name: str) -> Array:
    if mask.shape[-3:] != x.shape[-3:]:
        raise PlasticError(f"{name} has shape {mask.shape}; what it multiplies has {x.shape}")
    return x * mask
