"""The simulation of tanh units, and what it leaves for the rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from plastic import require, xp
from plastic.eprop import checks
from plastic.eprop.rnn_cells.network import RNNNetwork
from plastic.eprop.sequences import affine_map
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class RNNState:
    """Where a network of tanh units stands after a step; a simulation goes on from it.

    Attributes:
        h: states (..., batch, n).
    """

    h: Array

    def __repr__(self) -> str:
        batch, n = self.h.shape[-2:]
        return f"RNNState of {n} units, batch {batch}{checks.replicated(self.h.shape[:-2])}"


@dataclasses.dataclass(eq=False, repr=False)
class RNNRecord:
    """What a simulation of tanh units leaves for the rules.

    Attributes:
        x: the input (..., T, batch, n_in), as given.
        output: (..., T, batch, n_out).
        h: states of every step (..., T, batch, n).
        start: the `RNNState` before the first step.
    """

    x: Array
    output: Array
    h: Array
    start: RNNState

    def __repr__(self) -> str:
        return f"RNNRecord {checks.shown(self.h, self.sizes)}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, units and outputs."""
        return self.x.shape[-1], self.h.shape[-1], self.output.shape[-1]

    @property
    def state(self) -> RNNState:
        """The state after the last step, to go on from; a copy."""
        return RNNState(self.h[..., -1, :, :].copy())


def simulate(net: RNNNetwork, x: Array, state: Any, done: Any, keep: Sequence[str], out: Any) -> RNNRecord:
    """Return the record of `net` over `x`, from `state`, with `done`, `keep` and `out`: those of `eprop.simulate`."""
    if done is not None or len(keep) or out is not None:
        raise PlasticError("done, keep and out are for spiking networks; the record of tanh units holds all histories")
    leading = require.replicas(network=net.replicas, x=x.shape[:-3])
    start = RNNState(xp.zeros((*leading, x.shape[-2], net.sizes[1]), dtype=net.dtype))
    if state is not None:
        checks.state(state, start)
        start = RNNState(xp.broadcast_to(state.h, start.h.shape).copy())
    drive = affine_map(x.astype(net.dtype), Affine(net.W_x, net.kernel.b))
    h = xp.empty((*leading, *drive.shape[-3:]), dtype=net.dtype)
    now, W_h = start.h, net.W_h
    for t in range(x.shape[-3]):
        now = h[..., t, :, :] = xp.tanh(now @ W_h + drive[..., t, :, :])
    return RNNRecord(x, affine_map(h, net.readout), h, start)


def predict(net: RNNNetwork, x: Array, state: Any) -> Array:
    """Return the outputs of every step; `net`, `x` and `state` are those of `eprop.predict`."""
    return simulate(net, x, state, None, (), None).output
