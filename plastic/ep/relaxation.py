"""Relaxation of a network on one batch: the state, the buffers of its steps, and the trajectory of its last ones."""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

from plastic import require, xp
from plastic.ep.dynamics import Network, Part
from plastic.ep.solvers import settle
from plastic.ep.wiring import Pieces
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class Trajectory:
    """Consecutive steps of a relaxation.

    Args:
        s: the state before each step, (..., time, batch, N).
        a: what the layers received in each step, (..., time, batch, N).
        switches: the pooling switches of each step, (time, batch, z, z, C) for each convolution.
    """

    s: Array
    a: Array
    switches: list[Array]

    def __repr__(self) -> str:
        return f"Trajectory of {self.s.shape[-3]} steps"

    def recall_switches(self, t: int, switches: Sequence[Array]) -> None:
        """Read the switches of step t into `switches`."""
        for history, switch in zip(self.switches, switches, strict=True):
            switch[...] = history[t]


class Relaxation:
    """The state of a network on one batch, from zero on, and what its steps write into.

    Args:
        net: the network.
        x: inputs (..., batch, n_0); of a convolutional network images (batch, rows, columns, channels), or their rows.

    Attributes:
        net: the network.
        s: the state of all layers, (..., batch, N); see `plastic.ep.wiring.fully_connected`.
        r_0: what the input sends. r: what the layers send, rho(s) or s itself.
        a: what the layers receive. drive: the constant part of it, by the input and the biases.
        slope, g: rho' and the change of s, buffers of the dynamics.
        switches: those of max-pooling in the last step, none in fully connected networks.
        top: the view (..., batch, n_L) of s that is the last layer.
        output: top, or what a readout makes of it.
        twin: the network with tanh in the place of sigm, in 2 s - 1, or None; see `plastic.ep.dynamics.prototypical`.

    Raises:
        PlasticError: if x does not fit the network.

    Example:
        >>> import numpy as np
        >>> from plastic import ep, xp
        >>> w = ep.Relaxation(ep.energy((784, 512, 10), np.random.default_rng(0)), xp.zeros((20, 784), xp.float_dtype))
        >>> w.run(30)
        >>> w.output.shape
        (20, 10)
    """

    @xp.underflow_is_ordinary()
    def __init__(self, net: Network, x: Array) -> None:
        require_network(net)
        wiring = net.wiring
        x = wiring.input_of(x)
        self.net = net
        self._input_shape = x.shape
        self.twin = net.as_tanh
        self.out: Tree = None  # the gradients that rules have written into, which need no second look
        self._weights: list[Array] = []  # that the parts of the batch were made with
        self._parts: dict[int, list[Part]] = {}
        self.s = wiring.zeros(x)
        self.a, self.drive, self.g = (xp.empty_like(self.s) for _ in range(3))
        self.r = net.sent(self.s)
        self.slope = net.phi.slope(self.s, net.phi.value(self.s))
        self.switches = wiring.switches(x.shape[0])
        self.top = self.s[..., self.s.shape[-1] - wiring.outputs :]
        self._workspace: Any = None
        self._start(x)

    def __repr__(self) -> str:
        return f"Relaxation of {self.net}, {self.top.shape[-2]} rows"

    def __reduce__(self) -> Any:
        raise PlasticError(
            "a Relaxation cannot be copied, as its arrays are parts of one another; make another one of the same net "
            "and x, and give it the states: other.restore(relaxation.state())"
        )

    @property
    def output(self) -> Array:
        """The output (..., batch, n): the state of the last layer, a view, or what a readout makes of it."""
        return self.net.output(self.top)

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes, those of the network and of x."""
        return self.s.shape[:-2]

    @xp.underflow_is_ordinary()
    def begin(self, x: Array) -> None:
        """Start anew, from zero, with the parameters as they are now, on another batch.

        What comes then depends on nothing before.

        Args:
            x: inputs of the shape that the relaxation was made with.

        Raises:
            PlasticError: if x has another shape or precision.
        """
        x = self.net.wiring.input_of(x)
        if x.shape != self._input_shape:
            raise PlasticError(f"x has shape {x.shape}, but the relaxation was made for {self._input_shape}")
        self._start(x)

    def _start(self, x):
        wiring = self.net.wiring
        weights = wiring.weights
        if len(weights) != len(self._weights) or any(a is not b for a, b in zip(weights, self._weights, strict=True)):
            self._weights, self._parts = weights, {}
        self.r_0 = self.net.sent(x)
        self.s[...] = 0
        self.renew()

    def renew(self) -> None:
        """Take the parameters as they are now; the states stay."""
        wiring = self.net.wiring
        if self._workspace is None:
            self._workspace = wiring.workspace(self.s.shape[-2])
        else:
            wiring.renew(self._workspace)
        wiring.drive(self.r_0, self.drive, self.switches)

    def make_step(self, beta: Any = 0.0, y: Array | None = None) -> None:
        """Make one step of the dynamics, all layers at once, without the checks of `run`; a is then what they received.

        Args:
            beta: what `nudge_strength` gives.
            y: where to, (..., batch, n_L), or None.
        """
        (whole,) = self.parts([], self.s, self.drive, self.switches)
        self.net.step(whole, beta, y)

    def parts(self, pieces: Pieces, s: Array, drive: Array, switches: list[Array]) -> list[Part]:
        """Return what a step moves, one part after the other.

        Args:
            pieces: the columns and the numbers of the layers of each part, in arrays of their own, whose s and drive
                are to be set; layers send their states then. Without pieces, all layers in the arrays that are given.
            s: the states of the batch, or of fewer samples, in an array of its own.
            drive: what they receive from the input.
            switches: those of max-pooling, which a step writes.
        """
        make = self._in_pieces if pieces else self._whole
        if s is not self.s:
            return make(pieces, s, drive, switches)
        if len(pieces) not in self._parts:
            self._parts[len(pieces)] = make(pieces, s, drive, switches)
        return self._parts[len(pieces)]

    def _whole(self, pieces, s, drive, switches):
        rows, wiring = s.shape[-2], self.net.wiring
        r, a, slope, g = (each[..., :rows, :] for each in (self.r, self.a, self.slope, self.g))
        r = s if self.r is self.s else r
        couple = wiring.coupling(r, a, switches, workspace=self._workspace)
        return [Part(s, r, a, drive, slope, g, wiring.outputs, couple)]

    def _in_pieces(self, pieces, like, _, switches):
        wiring = self.net.wiring
        shapes = [like[..., columns].shape for columns, _ in pieces]
        s, a, *buffers = (tuple(xp.empty(shape, dtype=like.dtype) for shape in shapes) for _ in range(5))
        r, received = (s, a) if len(pieces) > 1 else (s[0], a[0])
        return [
            Part(s[k], s[k], a[k], *(each[k] for each in buffers), wiring.outputs, couple)
            for k, (_, numbers) in enumerate(pieces)
            for couple in [wiring.coupling(r, received, switches, numbers, self._workspace)]
        ]

    @xp.underflow_is_ordinary()
    def run(
        self, steps: int, *, beta: Any = None, y: Array | None = None, tolerance: float = 0.0, solver: str = "steps"
    ) -> None:
        """Make steps of the network: free ones, or, with beta and y, nudged ones.

        Args:
            steps: how many at most, at least 0.
            beta: the strength of the nudge, a number other than 0, or one for each replica, (..., 1, 1).
            y: where to, (..., batch, n_L).
            tolerance: a sample whose largest change in a step, looked at every few steps, is not above it has come to
                rest, and is left as it is; 0 makes all steps.
            solver: "steps", "layerwise" or "anderson", see `plastic.ep.solvers`.

        Raises:
            PlasticError: if one of them is something else, or beta is given without y, or y without beta.
        """
        require.whole("steps", steps, least=0)
        require.choice("solver", solver, self.net.solvers)
        self.advance(steps, self._nudge(beta, y), y, require.scalar("tolerance", tolerance, least=0), solver)

    def advance(
        self, steps: int, beta: Any = 0.0, y: Array | None = None, tolerance: float = 0.0, solver: str = "steps"
    ) -> None:
        """Make steps of the network as `run` does, but without its checks: for rules, which have made them.

        Args:
            steps, y, tolerance, solver: as for `run`.
            beta: what `nudge_strength` gives.
        """
        settle(self, steps, beta, y, tolerance, solver)

    def state(self) -> list[Array]:
        """Return copies of the states of all layers and of the switches."""
        return [each.copy() for each in (self.s, *self.switches)]

    def restore(self, state: list[Array]) -> None:
        """Go back to a state that `state` has returned."""
        for each, value in zip((self.s, *self.switches), state, strict=True):
            each[...] = value

    @xp.underflow_is_ordinary()
    def residual(self) -> Array:
        """Return the largest change of a state in one more free step, of the replica shape. The states stay."""
        state = self.state()
        self.advance(1)
        change = xp.max(xp.abs(self.s - state[0]), axis=(-2, -1))
        self.restore(state)
        return change

    @xp.underflow_is_ordinary()
    def record(self, steps: int, *, beta: Any = None, y: Array | None = None) -> Trajectory:
        """Make steps of the network, as `run` does, and return their trajectory.

        Args:
            steps: how many, at least 1.
            beta: the strength of the nudge, a number other than 0, or one for each replica, (..., 1, 1).
            y: where to, (..., batch, n_L).

        Returns:
            The `Trajectory`: the state before each step, and what happened in it.

        Raises:
            PlasticError: if one of them is something else, or beta is given without y, or y without beta.
        """
        require.whole("steps", steps)
        beta = self._nudge(beta, y)
        shape = (*self.replicas, steps, *self.s.shape[-2:])
        s, a = (xp.empty(shape, dtype=self.s.dtype) for _ in range(2))
        switches = [xp.empty((steps, *each.shape), dtype=each.dtype) for each in self.switches]
        for t in range(steps):
            s[..., t, :, :] = self.s
            self.make_step(beta, y)
            a[..., t, :, :] = self.a
            for history, switch in zip(switches, self.switches, strict=True):
                history[t] = switch
        return Trajectory(s, a, switches)

    def _nudge(self, beta, y):
        """Return beta as a step takes it; raise PlasticError where beta or y do not fit."""
        if (beta is None) != (y is None):
            raise PlasticError(f"a nudge takes beta and y, but {'y' if beta is None else 'beta'} is given alone")
        if y is None:
            return 0.0
        self.require_targets(y)
        return nudge_strength("beta", beta, self.replicas, self.s.dtype)

    def require_targets(self, y: Any) -> None:
        """Raise PlasticError unless y holds a row (..., batch, n_L) for each row of the batch."""
        require.targets(y, self.top, self.net.outputs, self.s.dtype)
        _require_no_more_axes("y", y, self.replicas)


def nudge_strength(name: str, value: Any, leading: tuple[int, ...], dtype: Any) -> Any:
    """Return the strength of a nudge as a float, or as the array that it is.

    Args:
        name: of the argument, for messages.
        value: a number other than 0, or an array (..., 1, 1) with one for each replica.
        leading: the replica axes.
        dtype: the precision.

    Raises:
        PlasticError: if it is something else.
    """
    if isinstance(value, xp.ndarray) and value.dtype != dtype:
        raise PlasticError(f"{name} is {value.dtype}, but the network is {dtype}: convert one of them")
    require.nonzero(name, value)
    require.per_replica(name, value, leading)
    if isinstance(value, numbers.Real):
        return float(value)
    _require_no_more_axes(name, value, leading)
    return value


def require_network(net: Any) -> None:
    """Raise PlasticError unless `net` is a network of this family."""
    if not isinstance(net, Network):
        raise PlasticError(
            f"net is a {type(net).__name__}, not a network of plastic.ep; make one by ep.energy(sizes, generator)"
        )


def _require_no_more_axes(name, array, leading):
    """Raise PlasticError where an array (..., rows, columns) has replica axes that the relaxation has not."""
    if require.replicas(relaxation=leading, **{name: array.shape[:-2]}) != leading:
        raise PlasticError(f"{name} has the replica axes {array.shape[:-2]}, but network and x have {leading}")
