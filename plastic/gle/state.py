"""The state of a network, and arrays for what changes over time; see `plastic.gle.dynamics`."""

import copy
from collections.abc import Mapping
from typing import Any

from plastic import affine, require, xp
from plastic.errors import PlasticError
from plastic.gle.networks import Network
from plastic.gle.units import Units
from plastic.types import Array


class State:
    """The state of a network on a batch, and what its last step computed; owned by the caller, changed by `step`.

    At first, and after `reset`, all is 0, phi'(u~) too, so the first step sends no errors.

    Args:
        net: the network.
        batch: the number of samples, at least 1.

    Attributes:
        u: membrane potential.    r: rate.    q: phi'(u~).    v: low-passed error.    E: error from the layer above, in
            the columns of the layer that it comes to. These are the state; all are (..., batch, N).
        u_ahead, e_ahead: u~ and e~ of the last step.    du: the change of u in it, where `net.memory` is not none.
        output: the rates of the output layer (..., batch, n_L), a view of r.
        units: the arrays of all these, as they lie in memory.

    Raises:
        PlasticError: if net is not a `Network`, or batch not a whole number of at least 1.

    Example:
        >>> import numpy as np
        >>> from plastic import gle
        >>> net = gle.network((1, 5, 2), np.random.default_rng(0), phi="tanh", tau_m=1.0, tau_r=0.2, dt=0.1)
        >>> gle.State(net, batch=4)
        State of Network 1-5-2, tanh, dt 0.1, batch 4
    """

    def __init__(self, net: Network, batch: int) -> None:
        require_network(net)
        require.whole("batch", batch)
        self._hold(net, Units(net, batch), batch)

    def _hold(self, net: Network, units: Units, batch: int) -> None:
        self.net, self.units, self.batch = net, units, batch
        self.u, self.v, self.r, self.q, self.E, self.u_ahead, self.e_ahead, self.du, self.output = (
            affine.transposed(getattr(units, name)) for name in (*"uvrqE", "u_ahead", "e_ahead", "du", "output")
        )

    def __repr__(self) -> str:
        return f"State of {self.net}, batch {self.batch}"

    def __deepcopy__(self, memo: dict[int, Any]) -> "State":
        state, net = object.__new__(State), copy.deepcopy(self.net, memo)
        arrays = {name: array.copy() for name, array in self.units.arrays.items()}
        state._hold(net, Units(net, self.batch, arrays), self.batch)
        return state

    def replica(self, k: int | slice) -> "State":
        """Return the state of replica k, along the last replica axis, or of a slice of them: views of this one."""
        state, net = object.__new__(State), self.net.replica(k)
        arrays = {name: array[..., k, :, :] for name, array in self.units.arrays.items()}
        state._hold(net, Units(net, self.batch, arrays), self.batch)
        return state

    @property
    def tree(self) -> dict[str, Array]:
        """The arrays that make the state: {"u", "v", "r", "q", "E"}."""
        return {"u": self.u, "v": self.v, "r": self.r, "q": self.q, "E": self.E}

    def reset(self) -> None:
        """Forget everything: be as at first."""
        for array in self.tree.values():
            array[...] = 0

    def take(self, other: "State") -> None:
        """Become equal to another state of the network, resized (`resized`) where its batch is of another size."""
        for array, theirs in zip(self.tree.values(), other.resized(self.batch).tree.values(), strict=True):
            array[...] = theirs

    def resized(self, batch: int) -> "State":
        """Return the state for a batch of another size: rows are dropped at the end, or taken again from the first.

        So do the published experiments between training and test sets, rather than begin anew. Of the same size, it is
        this state itself.
        """
        if batch == self.batch:
            return self
        state = State(self.net, batch)
        rows = xp.arange(batch) % self.batch
        for array, mine in zip(state.tree.values(), self.tree.values(), strict=True):
            array[...] = mine[..., rows, :]
        return state


def histories(
    net: Network, steps: int, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return (kept, by_time), arrays of zeros for what changes over time, by name: replica axes first, and time first.

    Args:
        net: the network, whose replica axes lead.
        steps: how many there are.
        shapes: of what is kept of each step, by name.
    """
    kept = {name: xp.zeros((*net.replicas, steps, *shape), dtype=xp.float_dtype) for name, shape in shapes.items()}
    return kept, {name: xp.moveaxis(array, len(net.replicas), 0) for name, array in kept.items()}


def require_network(net: Any) -> None:
    """Require that `net` is a `Network`."""
    if not isinstance(net, Network):
        raise PlasticError(f"net is a {type(net).__name__}; it must be a Network, as gle.network makes it")
