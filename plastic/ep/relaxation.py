"""Relaxation of a network on one batch: the state, the buffers of its steps, and the trajectory of its last ones."""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

from plastic import require, xp
from plastic.ep.dynamics import Network
from plastic.errors import PlasticError
from plastic.types import Array

_LOOK_EVERY = 10  # steps between two looks at whether all replicas have come to rest: each look waits for the device


@dataclasses.dataclass(repr=False)
class Trajectory:
    """Consecutive steps of a relaxation.

    Args:
        s: the state before each step, flat (..., time, P).
        a: what the layers received in each step, flat (..., time, P).
        switches: the pooling switches of each step, (time, batch, z, z, C) for each convolution.
    """

    s: Array
    a: Array
    switches: list[Array]

    def __repr__(self) -> str:
        return f"Trajectory of {self.s.shape[-2]} steps"

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
        s: the state of all layers, flat (..., P); see `plastic.ep.wiring.fully_connected`.
        r_0: what the input sends. r: what the layers send, rho(s) or s itself.
        a: what the layers receive. drive: the constant part of it, by the input and the biases.
        slope, g: rho' and the change of s, buffers of the dynamics.
        switches: those of max-pooling in the last step, none in fully connected networks.
        output: the view (..., batch, n_L) of s that is the output layer.

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
        self._coupled: list[Array] = []
        self.s = wiring.zeros(x)
        self.a, self.drive, self.g = (xp.empty_like(self.s) for _ in range(3))
        self.r = net.sent(self.s)
        self.slope = net.phi.slope(self.s, net.phi.value(self.s))
        self.switches = wiring.switches(x.shape[0])
        self.output, self.a_output, self.g_output = (wiring.split(each)[-1] for each in (self.s, self.a, self.g))
        self._start(x)

    def __repr__(self) -> str:
        return f"Relaxation of {self.net}, {self.output.shape[-2]} rows"

    @property
    def leading(self) -> tuple[int, ...]:
        """The replica axes, those of the network and of x."""
        return self.s.shape[:-1]

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
        if len(weights) != len(self._coupled) or any(a is not b for a, b in zip(weights, self._coupled, strict=True)):
            self.couple = wiring.coupling(self.r, self.a, self.switches)  # it holds the weights that it was made with
            self._coupled = weights
        self.r_0 = self.net.sent(x)
        self.s[...] = 0
        wiring.drive(self.r_0, self.drive, self.switches)

    @xp.underflow_is_ordinary()
    def run(self, steps: int, *, beta: Any = None, y: Array | None = None, tolerance: float = 0.0) -> None:
        """Make steps of the network: free ones, or, with beta and y, nudged ones.

        Args:
            steps: how many, at least 0.
            beta: the strength of the nudge, a number other than 0, or one for each replica, (..., 1, 1).
            y: where to, (..., batch, n_L).
            tolerance: a replica whose largest change in a step is not above it has come to rest, and is left as it is.

        Raises:
            PlasticError: if one of them is something else, or beta is given without y, or y without beta.
        """
        require.whole("steps", steps, least=0)
        self.advance(steps, self._nudge(beta, y), y, require.scalar("tolerance", tolerance, least=0))

    def advance(self, steps: int, beta: Any = 0.0, y: Array | None = None, tolerance: float = 0.0) -> None:
        """Make steps of the network as `run` does, but without its checks: for rules, which have made them.

        Args:
            steps, y, tolerance: as for `run`.
            beta: what `nudge_strength` gives.
        """
        if not tolerance:
            for _ in range(steps):
                self.net.step(self, beta, y)
            return
        moving = xp.ones((*self.s.shape[:-1], 1), dtype=bool)
        for t in range(1, steps + 1):
            before = self.s.copy()
            self.net.step(self, beta, y)
            self.s[...] = xp.where(moving, self.s, before)
            moving &= xp.max(xp.abs(self.s - before), axis=-1, keepdims=True) > tolerance
            if t % _LOOK_EVERY == 0 and not xp.asnumpy(moving).any():
                return

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
        shape = (*self.s.shape[:-1], steps, self.s.shape[-1])
        s, a = (xp.empty(shape, dtype=self.s.dtype) for _ in range(2))
        switches = [xp.empty((steps, *each.shape), dtype=each.dtype) for each in self.switches]
        for t in range(steps):
            s[..., t, :] = self.s
            self.net.step(self, beta, y)
            a[..., t, :] = self.a
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
        return nudge_strength("beta", beta, self.leading, self.s.dtype)

    def require_targets(self, y: Any) -> None:
        """Raise PlasticError unless y holds a row (..., batch, n_L) for each row of the batch."""
        require.targets(y, self.output, self.net.wiring.outputs, self.s.dtype)
        _require_no_more_axes("y", y, self.leading)


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
