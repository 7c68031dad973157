"""The simulation of spiking maps and the cells that see them, and what it leaves for the rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from plastic import convolution, require, xp
from plastic.eprop import gradients, spiking
from plastic.eprop.convolutional.network import ConvolutionalNetwork
from plastic.eprop.spiking import SpikingRecord, SpikingState
from plastic.eprop.spiking.simulation import without_silenced
from plastic.errors import PlasticError
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class ConvolutionalState:
    """Where a network stands after a screen; a simulation goes on from it.

    Attributes:
        v: potentials of the maps of each layer (batch, h, w, channels).
        cells: the `SpikingState` of the cells.
        y: the readout without its bias (batch, n_out).
    """

    v: list[Array]
    cells: SpikingState | None
    y: Array

    def __repr__(self) -> str:
        return f"ConvolutionalState of {len(self.v)} layers, batch {len(self.y)}"


@dataclasses.dataclass(eq=False, repr=False)
class ConvolutionalRecord:
    """What a simulation leaves for the rules, of S screens and T = S K steps.

    Attributes:
        screens: (S, batch, H, W), as given.
        v: of each screen and layer, the potentials (K, batch, h, w, channels).
        cells: the `SpikingRecord` of the cells, with the histories of v and a.
        seen: what the readout sees (T, batch, m).
        output: (T, batch, n_out).
        done: (S, batch) of 0 and 1, or None.
        state: the `ConvolutionalState` after the last screen.
    """

    screens: Array
    v: list[list[Array]]
    cells: SpikingRecord
    seen: Array
    output: Array
    done: Array | None
    state: ConvolutionalState

    def __repr__(self) -> str:
        S, batch = self.screens.shape[:2]
        return f"ConvolutionalRecord of {S} screens, {len(self.output)} steps, batch {batch}"


@xp.underflow_is_ordinary()
def simulate(
    net: ConvolutionalNetwork,
    screens: Array,
    state: ConvolutionalState | None = None,
    done: Array | None = None,
    work: dict[Any, Array] | None = None,
) -> ConvolutionalRecord:
    """Run a network over screens and return the record of it that the rules need.

    Args:
        net: the network.
        screens: (S, batch, H, W) in the precision of the network.
        state: where to begin, the state of a record; at rest by default. It is left unchanged.
        done: (S, batch) of 0 and 1; where 1, an episode begins with the screen, and all is at rest before it.
        work: a dict of the caller's that keeps the patches' memory from one call to the next, or None.

    Returns:
        The record, with the `output` of every step and the last `state`.

    Raises:
        PlasticError: if an argument does not fit the network.

    Example:
        >>> from plastic.eprop import bidirectional, convolutional
        >>> from plastic.parameters import Affine
        >>> neurons = spiking.Neurons(0.5, theta=0.1)
        >>> cells = bidirectional.cells(neurons, W_in=xp.ones((18, 3)), W_rec=xp.zeros((3, 3)))
        >>> maps = [convolutional.Maps(xp.ones((3, 3, 1, 2)), window=2)]
        >>> readout = Affine(xp.ones((5, 2)), xp.zeros((1, 2)))
        >>> net = ConvolutionalNetwork(maps, neurons, cells, readout, (5, 5), steps=2)
        >>> simulate(net, xp.ones((4, 1, 5, 5)))
        ConvolutionalRecord of 4 screens, 8 steps, batch 1
    """
    _require(net, screens, state, done)
    batch = screens.shape[1]
    now = at_rest(net, batch) if state is None else state
    v, cells, y, of_cells, potentials, seen = now.v, now.cells, now.y, [], [], []
    for s in range(len(screens)):
        goes_on = None if done is None else 1 - done[s]
        if goes_on is not None:
            v = [each * goes_on[:, None, None, None] for each in v]
        potentials.append(_potentials(net, screens[s], v, {} if work is None else work))
        v = [each[-1] for each in potentials[-1]]
        maps = [spikes(net, each) for each in potentials[-1]]
        starts = None if done is None else _first_of(done[s], net.steps)
        record = gradients.simulate(
            net.cells, maps[-1].reshape(net.steps, batch, -1), state=cells, done=starts, keep=("v", "a")
        )
        cells = record.state
        of_cells.append(record)
        seen.append(_seen(net, record.z, maps))
    seen = xp.concatenate(seen)
    sent = (seen.reshape(-1, seen.shape[-1]) @ (net.readout.W * (1 - net.kappa))).reshape(*seen.shape[:2], -1)
    for t in range(len(sent)):
        if done is not None and t % net.steps == 0:
            y = y * (1 - done[t // net.steps, :, None])
        y = sent[t] = net.kappa * y + sent[t]
    last, output = ConvolutionalState([each.copy() for each in v], cells, y.copy()), sent + net.readout.b
    for each in v:
        output = without_silenced(output, each.reshape(batch, -1))
    return ConvolutionalRecord(screens, potentials, spiking.joined(of_cells), seen, output, done, last)


def at_rest(net: ConvolutionalNetwork, batch: int) -> ConvolutionalState:
    """Return the all-zero state of a network `net`; the cells begin at rest without one."""
    v = [xp.zeros((batch, *shape), dtype=net.dtype) for shape in net.shapes]
    return ConvolutionalState(v, None, xp.zeros((batch, net.readout.W.shape[1]), dtype=net.dtype))


def joined(records: Sequence[ConvolutionalRecord]) -> ConvolutionalRecord:
    """Return one record of simulations that went on from one another.

    Args:
        records: one or more, all with `done` or all without.

    Returns:
        The record.
    """
    first = records[0]
    together = {
        name: xp.concatenate([getattr(each, name) for each in records]) for name in ("screens", "seen", "output")
    }
    done = None if first.done is None else xp.concatenate([each.done for each in records])
    v = [of_screen for each in records for of_screen in each.v]
    cells = spiking.joined([each.cells for each in records])
    return ConvolutionalRecord(v=v, cells=cells, done=done, state=records[-1].state, **together)


def spikes(net: ConvolutionalNetwork, v: Array) -> Array:
    """Return the spikes of maps with potentials v; `net` knows their threshold."""
    return v > net.neurons.theta


def columns_for(work: dict[Any, Array], x: Array, layer: Any) -> Array:
    """Return memory for the patches of maps x that a `layer` sees, kept in `work`: new memory is slow to write to."""
    F, stride = layer.K.shape[0], layer.stride
    batch, H, W, channels = x.shape
    shape = batch, (H - F) // stride + 1, (W - F) // stride + 1, F, F, channels
    key = shape, str(x.dtype)
    if key not in work:
        work[key] = xp.empty(shape, dtype=x.dtype)
    return work[key]


def _potentials(net, screen, v, work):
    """Return the potentials (K, batch, h, w, channels) of each layer for a screen, from those before it."""
    alpha, theta, K = net.neurons.alpha, net.neurons.theta, net.steps
    found, seen = [], [screen[..., None]]  # by a layer: the same in all steps, or spikes of each step
    for layer, before in zip(net.layers, v, strict=True):
        sees = [convolution.conv(x, layer.K, None, columns_for(work, x, layer), layer.stride) for x in seen]
        every = xp.empty((K, *before.shape), dtype=before.dtype)
        for k in range(K):
            now = xp.multiply(before, alpha, out=every[k])
            now -= theta * spikes(net, before)
            now += sees[k % len(sees)]
            before = now
        fired = spikes(net, every).astype(every.dtype)
        seen = [fired[k] for k in range(K)]
        found.append(every)
    return found


def _seen(net, z, maps):
    """Return what the readout sees of the spikes of cells and maps (K, batch, m)."""
    seen = [z.astype(net.dtype)]
    for Q, each in zip(net.pooled, maps if net.reads_maps else [], strict=False):
        K, batch, h, w, channels = each.shape
        seen.append((Q @ each.reshape(K, batch, h * w, channels).astype(net.dtype)).reshape(K, batch, -1))
    return xp.concatenate(seen, axis=-1)


def _first_of(done, K):
    """Return `done` of the first of K steps (K, batch), 0 in the others."""
    starts = xp.zeros((K, len(done)), dtype=done.dtype)
    starts[0] = done
    return starts


def _require(net, screens, state, done):
    if not isinstance(net, ConvolutionalNetwork):
        raise PlasticError(f"net is a {type(net).__name__}; this is for convolutional networks")
    require.array("screens", screens)
    if screens.ndim != 4 or screens.shape[2:] != tuple(net.size) or 0 in screens.shape or screens.dtype != net.dtype:
        raise PlasticError(
            f"screens are {screens.dtype} {screens.shape}; {net.dtype} (S, batch, {net.size[0]}, {net.size[1]}) is "
            "needed"
        )
    batch = screens.shape[1]
    if state is not None and len(state.y) != batch:
        raise PlasticError(f"state is of a batch of {len(state.y)}, but screens have {batch}")
    if done is not None:
        require.array("done", done)
        if done.shape != screens.shape[:2] or done.dtype != net.dtype:
            raise PlasticError(f"done is {done.dtype} {done.shape}; {net.dtype} {screens.shape[:2]} is needed")
