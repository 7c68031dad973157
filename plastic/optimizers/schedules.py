"""Schedules of learning rates, one rate for each replica: the state of one holds "lr", which a step is given."""

import dataclasses
from typing import Any

from plastic import require, xp
from plastic.types import Array


@dataclasses.dataclass(frozen=True)
class Plateau:
    """A schedule that lowers the rate of a replica when its loss has stopped falling.

    A loss counts as better where it is below (1 - threshold) times the best so far. After more than `patience` losses
    in a row that do not, the rate is multiplied by `factor`, unless that would change it by `eps` or less, and the
    count begins anew.

    Args:
        patience: losses in a row, at least 0.
        factor: above 0, at most 1.
        threshold: from 0 to below 1.
        eps: at least 0.

    Raises:
        PlasticError: if a constant is out of range.

    Example:
        >>> plateau = Plateau(patience=1, factor=0.5)
        >>> state = plateau.init(1.0)
        >>> for loss in (3.0, 2.0, 2.0, 2.0):
        ...     plateau.step(state, xp.asarray(loss))
        >>> float(state["lr"])
        0.5
    """

    patience: int
    factor: float
    threshold: float = 1e-4
    eps: float = 1e-8

    def __post_init__(self) -> None:
        require.whole("patience", self.patience, least=0)
        require.number("factor", self.factor, above=0, most=1)
        require.number("threshold", self.threshold, least=0, below=1)
        require.number("eps", self.eps, least=0)

    def init(self, lr: Any, shape: tuple[int, ...] = ()) -> dict[str, Array]:
        """Return the state: {"lr", "best" loss, "bad": losses in a row that were not better}, of the replica shape."""
        best = float(xp.finfo(xp.float_dtype).max)  # finite, as a checkpoint has to be
        starts = {"lr": lr, "best": best, "bad": 0.0}
        return {name: xp.full(shape, value, dtype=xp.float_dtype) for name, value in starts.items()}

    def step(self, state: dict[str, Array], loss: Array) -> None:
        """Take one more loss, of the replica shape, into account; `state` changes in place."""
        better = loss < state["best"] * (1 - self.threshold)
        state["best"][...] = xp.where(better, loss, state["best"])
        state["bad"][...] = xp.where(better, 0, state["bad"] + 1)
        full = state["bad"] > self.patience
        lowered = state["lr"] * self.factor
        state["lr"][...] = xp.where(full & (state["lr"] - lowered > self.eps), lowered, state["lr"])
        state["bad"][...] = xp.where(full, 0, state["bad"])


@dataclasses.dataclass(frozen=True)
class Stairs:
    """A schedule that multiplies the rate by `factor` after every `size` losses, whatever they are.

    Args:
        size: losses of a stair, at least 1.
        factor: above 0, at most 1.

    Raises:
        PlasticError: if a constant is out of range.

    Example:
        >>> stairs = Stairs(size=2, factor=0.5)
        >>> state = stairs.init(1.0)
        >>> for _ in range(5):
        ...     stairs.step(state, xp.asarray(0.0))
        >>> float(state["lr"])
        0.25
    """

    size: int
    factor: float

    def __post_init__(self) -> None:
        require.whole("size", self.size)
        require.number("factor", self.factor, above=0, most=1)

    def init(self, lr: Any, shape: tuple[int, ...] = ()) -> dict[str, Array]:
        """Return the state: {"lr", "seen": losses since it was lowered}, of the replica shape."""
        return {name: xp.full(shape, value, dtype=xp.float_dtype) for name, value in (("lr", lr), ("seen", 0.0))}

    def step(self, state: dict[str, Array], loss: Array) -> None:
        """Count one more loss, of the replica shape; `state` changes in place."""
        state["seen"] += 1
        full = state["seen"] >= self.size
        state["lr"][...] = xp.where(full, state["lr"] * self.factor, state["lr"])
        state["seen"][...] = xp.where(full, 0, state["seen"])
