"""The state of a network, and arrays for what changes over time; see `plastic.gle.dynamics`.

In memory a unit is a row of samples, and what lies above it in the network comes after it: a layer, and neighbouring
layers too, are one piece (`xp.zeros_by_column`).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from plastic import functions, require, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.gle.networks import Network
from plastic.gle.parameters import runs_of
from plastic.types import Array


@dataclasses.dataclass
class Stack:
    """What the products of a run of m layers of one shape take and give: views of a state, (..., m, batch, n).

    below: rates below each layer.    current: input currents.    e_ahead: e~ of each layer.
    sent, received: e~ of the layers that send errors down, all but the first of a network, and E below them; or None.
    """

    below: Array
    current: Array
    e_ahead: Array
    sent: Array | None
    received: Array | None

    def __post_init__(self) -> None:
        """times, times_back: products x W and e W^T; those with one number per sample are no business of BLAS."""
        self.times, self.times_back = (
            xp.multiply if each.shape[-1] == 1 else xp.matmul for each in (self.below, self.e_ahead)
        )

    @classmethod
    def of(cls, state: "State", rates: Array, first: int, count: int) -> "Stack":
        """Return the stack of `count` layers from `first` on; rates: x and r side by side."""
        sizes = state.net.sizes
        n, m, start = sizes[first], sizes[first + 1], sum(sizes[1 : first + 1])
        below = layers_of(rates, sum(sizes[:first]), count, n)
        current, e_ahead = (layers_of(array, start, count, m) for array in (state.current, state.e_ahead))
        sending = count if first > 0 else count - 1
        if not sending:
            return cls(below, current, e_ahead, None, None)
        received = layers_of(state.E, start + (m if first == 0 else 0) - n, sending, n)
        return cls(below, current, e_ahead, e_ahead[..., count - sending :, :, :], received)


class Group:
    """Neighbouring layers with one activation: phi, and views of a state, (..., batch, n)."""

    def __init__(self, phi: Activation, u_ahead: Array, r: Array, q: Array) -> None:
        self.phi, self.u_ahead, self.r, self.q = phi, u_ahead, r, q
        z = xp.zeros(1, dtype=q.dtype)
        self._writes = phi.slope(z, phi.value(z)).dtype == q.dtype

    def take_rates(self) -> None:
        """r <- phi(u~)."""
        self.phi.value(self.u_ahead, out=self.r)

    def take_slopes(self) -> None:
        """q <- phi'(u~), which some activations give as true or false."""
        if self.phi is functions.linear:
            self.q[...] = 1
        elif self._writes:
            self.phi.slope(self.u_ahead, self.r, out=self.q)
        else:
            self.q[...] = self.phi.slope(self.u_ahead, self.r)


def layers_of(array: Array, start: int, count: int, n: int) -> Array:
    """Return a view (..., count, batch, n) of as many layers of n units that lie side by side from column `start` on."""
    part = array[..., start : start + count * n]
    return xp.moveaxis(part.reshape(*part.shape[:-1], count, n), -2, -3)


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
        x: the input of the last step (..., batch, n_0).
        output: the rates of the output layer (..., batch, n_L), a view of r.

    Raises:
        PlasticError: if net is no network, or batch no whole number of at least 1.

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
        self.net, self.batch = net, batch
        n_0, *widths = net.sizes
        rates = xp.zeros_by_column(*net.lead, batch, sum(net.sizes))
        self.x, self.r = rates[..., :n_0], rates[..., n_0:]
        self.u, self.v, self.q, self.E, self.e_ahead, self.du = (
            xp.zeros_by_column(*net.lead, batch, sum(widths)) for _ in range(6)
        )
        self.u_ahead = self.u if net.memory == "leaky" else xp.zeros_by_column(*net.lead, batch, sum(widths))
        self.current = self.du if net.memory == "leaky" else self.u_ahead
        self.stacks = [Stack.of(self, rates, first, count) for first, count in runs_of(net.sizes)]
        self.output, self.err = self.r[..., net.columns[-1]], self.E[..., net.columns[-1]]
        self.ones = xp.ones((1, batch), dtype=xp.float_dtype)
        self._groups_of: Network | None = None

    def __repr__(self) -> str:
        return f"State of {self.net}, batch {self.batch}"

    def groups(self, net: Network) -> list[Group]:
        """Return the neurons of `net` by activation, with their u~, r and phi'."""
        if self._groups_of is not net:
            arrays = (self.u_ahead, self.r, self.q)
            self._groups = [Group(phi, *(each[..., columns] for each in arrays)) for phi, columns in net.groups]
            self._groups_of = net
        return self._groups

    @property
    def tree(self) -> dict[str, Array]:
        """The arrays that make the state: {"u", "v", "r", "q", "E"}."""
        return {"u": self.u, "v": self.v, "r": self.r, "q": self.q, "E": self.E}

    def reset(self) -> None:
        """Forget everything: be as at first."""
        for array in self.tree.values():
            array[...] = 0

    def take(self, other: "State") -> None:
        """Be as another state of the network is; as `other.resized(self.batch)` where its batch is of another size."""
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
    kept = {name: xp.zeros((*net.lead, steps, *shape), dtype=xp.float_dtype) for name, shape in shapes.items()}
    return kept, {name: xp.moveaxis(array, len(net.lead), 0) for name, array in kept.items()}


def require_network(net: Any) -> None:
    """Require that `net` is a `Network`."""
    if not isinstance(net, Network):
        raise PlasticError(f"net is a {type(net).__name__}; it must be a Network, as gle.network makes it")
