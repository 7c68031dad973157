"""The simulation of LSTM cells, and what it leaves for the rules."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from plastic import require, xp
from plastic.eprop import checks
from plastic.eprop.lstm_cells.network import LSTMNetwork
from plastic.eprop.sequences import affine_map
from plastic.errors import PlasticError
from plastic.functions import logistic
from plastic.parameters import Affine
from plastic.types import Array


@dataclasses.dataclass(eq=False, repr=False)
class LSTMState:
    """Where a network of LSTM cells stands after a step; a simulation goes on from it.

    Attributes:
        c: hidden states (..., batch, n).
        h: observable states (..., batch, n).
    """

    c: Array
    h: Array

    def __repr__(self) -> str:
        batch, n = self.c.shape[-2:]
        return f"LSTMState of {n} cells, batch {batch}{checks.replicated(self.c.shape[:-2])}"


@dataclasses.dataclass(eq=False, repr=False)
class LSTMRecord:
    """What a simulation of LSTM cells leaves for the rules.

    Attributes:
        x: the input (..., T, batch, n_in), as given.
        output: (..., T, batch, n_out).
        i, j, f, o: gates of every step (..., T, batch, n), j the input.
        c, q, h: hidden states, their tanh, and observable states of every step (..., T, batch, n).
        start: the `LSTMState` before the first step.
    """

    x: Array
    output: Array
    i: Array
    j: Array
    f: Array
    o: Array
    c: Array
    q: Array
    h: Array
    start: LSTMState

    def __repr__(self) -> str:
        return f"LSTMRecord {checks.shown(self.h, self.sizes)}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, cells and outputs."""
        return self.x.shape[-1], self.h.shape[-1], self.output.shape[-1]

    @property
    def state(self) -> LSTMState:
        """The state after the last step, to go on from; a copy."""
        return LSTMState(self.c[..., -1, :, :].copy(), self.h[..., -1, :, :].copy())


def simulate(net: LSTMNetwork, x: Array, state: Any, done: Any, keep: Sequence[str], out: Any) -> LSTMRecord:
    """Return the record of `net` over `x`, from `state`, with `done`, `keep` and `out`: those of `eprop.simulate`."""
    if done is not None or len(keep) or out is not None:
        raise PlasticError("done, keep and out are for spiking networks; the record of LSTM cells holds all histories")
    (*_, n, _), leading = net.sizes, require.replicas(network=net.replicas, x=x.shape[:-3])
    start = _start(net, state, (*leading, x.shape[-2], n))
    drive = affine_map(x.astype(net.dtype), Affine(net.W_x, net.kernel.b))
    drive[..., 2 * n : 3 * n] += net.forget_bias
    names = ("i", "j", "f", "o", "c", "q", "h")
    histories = {name: xp.empty((*leading, *x.shape[-3:-1], n), dtype=net.dtype) for name in names}
    c, h, W_h = start.c, start.h, net.W_h
    for t in range(x.shape[-3]):
        u = h @ W_h
        u += drive[..., t, :, :]
        u_i, u_j, u_f, u_o = (u[..., k * n : (k + 1) * n] for k in range(4))
        if net.w_i is not None:
            u_i += net.w_i * c
            u_f += net.w_f * c
        i, j, f = logistic(u_i), xp.tanh(u_j), logistic(u_f)
        c = f * c + i * j
        if net.w_o is not None:
            u_o += net.w_o * c
        o, q = logistic(u_o), xp.tanh(c)
        h = o * q
        for name, value in zip(names, (i, j, f, o, c, q, h), strict=True):
            histories[name][..., t, :, :] = value
    return LSTMRecord(x, affine_map(histories["h"], net.readout), **histories, start=start)


def predict(net: LSTMNetwork, x: Array, state: Any) -> Array:
    """Return the outputs of every step; `net`, `x` and `state` are those of `eprop.predict`."""
    return simulate(net, x, state, None, (), None).output


def _start(net: LSTMNetwork, state: Any, shape: tuple[int, ...]) -> LSTMState:
    """Return the state to begin with, all zero or that of the user, of the shape (..., batch, n)."""
    zeros = xp.zeros(shape, dtype=net.dtype)
    if state is None:
        return LSTMState(zeros, zeros)
    checks.state(state, LSTMState(zeros, zeros))
    return LSTMState(*(xp.broadcast_to(each, shape).copy() for each in (state.c, state.h)))
