"""Sources of what a training step needs, for `plastic.training.fit`.

A source gives by next() what the next step needs, by state() where it is, as JSON-able values, and goes back there by
restore(state); per_epoch is the number of steps that count as an epoch. Speech has sources of its own
(`plastic.data.speech`).
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.types import Array


class Source(Protocol):
    """What `fit` asks of a source.

    One that counts its batches says by `taken` how many it has given, as all here do; `fit` holds it against its steps.
    """

    per_epoch: int

    def next(self) -> Any:
        """Return what the next step needs."""

    def state(self) -> dict[str, Any]:
        """Return where the source is, as JSON-able values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""


class Epochs:
    """What sources have in common that go through a set again and again, in an order that each epoch draws anew.

    A subclass sets `generators` and `per_epoch`, calls `_begin_epoch`, and draws in `_draw`.
    """

    generators: list[np.random.Generator]
    per_epoch: int
    taken = 0

    def state(self) -> dict[str, Any]:
        """Return the batches taken, and the generators as they were when the epoch began."""
        return {"taken": self.taken, "generators": self._at_epoch}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        restore_generators(self.generators, state["generators"])
        self.taken = taken_in(state)
        self._begin_epoch()

    def _advance(self) -> int:
        """Count one batch more; return its place in its epoch, which begins where that is 0."""
        position = self.taken % self.per_epoch
        if position == 0 < self.taken:
            self._begin_epoch()
        self.taken += 1
        return position

    def _begin_epoch(self) -> None:
        self._at_epoch = generator_states(self.generators)
        self._draw()

    def _draw(self) -> None:
        raise NotImplementedError


class Batches(Epochs):
    """Mini-batches of a static set, in file order or shuffled anew each epoch; what does not fill a batch is left out.

    Args:
        x, y: arrays (samples, ...) of the backend.
        batch_size: samples of a batch.
        generators: none for the file order; one for a shuffled order; several for an order per replica, whose batches
            are then (replicas, batch, ...).
        most: batches of an epoch, as many as there are by default.

    Raises:
        PlasticError: if the batch is larger than the set, or x and y differ in their number of samples.

    Example:
        >>> source = Batches(xp.asarray([1.0, 2.0, 3.0, 4.0]), xp.asarray([0, 1, 0, 1]), batch_size=2)
        >>> x, y = source.next()
        >>> x.tolist(), source.per_epoch
        ([1.0, 2.0], 2)
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        batch_size: int,
        generators: Iterable[np.random.Generator] = (),
        most: int | None = None,
    ) -> None:
        for name, each in (("x", x), ("y", y)):
            if not isinstance(each, xp.ndarray):
                raise PlasticError(
                    f"{name} is a {type(each).__name__}; it must be an array of the backend, by xp.asarray"
                )
        if len(x) != len(y):
            raise PlasticError(f"x has {len(x)} samples, but y has {len(y)}")
        if not isinstance(batch_size, int | np.integer) or not 1 <= batch_size <= len(x):
            raise PlasticError(f"batch_size {batch_size} is not possible with a training set of {len(x)} samples")
        self.x, self.y, self.batch_size, self.generators = x, y, batch_size, _listed(generators)
        self.per_epoch = min(len(x) // batch_size, most or len(x))
        self._begin_epoch()

    def __repr__(self) -> str:
        return f"Batches of {self.batch_size} of {len(self.x)} samples, {'shuffled' if self.generators else 'in order'}"

    def next(self) -> tuple[Array, Array]:
        """Return the next batch (x, y)."""
        start = self._advance() * self.batch_size
        chosen = slice(start, start + self.batch_size)
        if not self.generators:
            return self.x[chosen], self.y[chosen]
        places = xp.asarray(self._order[..., chosen])
        return self.x[places], self.y[places]

    def _draw(self) -> None:
        orders = [generator.permutation(len(self.x)) for generator in self.generators]
        self._order = orders[0] if len(orders) == 1 else np.array(orders)


class Repeated:
    """The same batch at every step; an epoch is a step."""

    per_epoch = 1

    def __init__(self, batch: Any = None) -> None:
        self.batch, self.taken = batch, 0

    def next(self) -> Any:
        """Return the batch."""
        self.taken += 1
        return self.batch

    def state(self) -> dict[str, Any]:
        """Return how often it was taken."""
        return {"taken": self.taken}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.taken = taken_in(state)


class Drawn:
    """Batches that are drawn anew at every step.

    Args:
        draw: draw(generator) -> a batch.
        generators: one; or several, one for each replica, each of which draws what it would have drawn alone.
        combine: combine([batch, ...]) -> the batch of all replicas, asked where there are several generators.
        per_epoch: batches that count as an epoch.
    """

    def __init__(
        self,
        draw: Callable[[np.random.Generator], Any],
        generators: Iterable[np.random.Generator],
        combine: Callable[[list[Any]], Any] | None = None,
        per_epoch: int = 1,
    ) -> None:
        self.draw, self.generators, self.combine, self.per_epoch = draw, _listed(generators), combine, per_epoch
        self.taken = 0

    def next(self) -> Any:
        """Return the next batch."""
        self.taken += 1
        drawn = [self.draw(generator) for generator in self.generators]
        return drawn[0] if len(drawn) == 1 or self.combine is None else self.combine(drawn)

    def state(self) -> dict[str, Any]:
        """Return the batches taken, and the states of the generators before the next one."""
        return {"taken": self.taken, "generators": generator_states(self.generators)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.taken = taken_in(state)
        restore_generators(self.generators, state["generators"])


class Together:
    """Several sources that are one: the first gives the batches, the others are used by the experiment as it needs.

    Args:
        sources: {name: source}; the first one's epochs count.
    """

    def __init__(self, **sources: Source) -> None:
        self.sources = sources
        self._first: Any = next(iter(sources.values()))
        self.per_epoch = self._first.per_epoch

    @property
    def taken(self) -> int:
        """Batches that the first source has given, where it counts them."""
        return self._first.taken

    def next(self) -> Any:
        """Return the next batch of the first source."""
        return self._first.next()

    def state(self) -> dict[str, Any]:
        """Return where all of them are."""
        return {name: source.state() for name, source in self.sources.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back there."""
        for name, source in self.sources.items():
            source.restore(state[name])


def _listed(generators):
    """Return generators as a list; of one alone, that is told."""
    if not isinstance(generators, Iterable):
        raise PlasticError(
            f"generators is {generators!r}; it must be a list of them, one for each replica: [generator]"
        )
    return list(generators)


def taken_in(state: dict[str, Any]) -> int:
    """Return the number of batches that the state of a source says it has given.

    Args:
        state: the state.

    Returns:
        The number.

    Raises:
        PlasticError: if it says none.
    """
    require.whole("taken", state["taken"], least=0)
    return state["taken"]


def generator_states(generators: list[np.random.Generator]) -> list[Any]:
    """Return the states of generators.

    Args:
        generators: the generators, which are left as they are.

    Returns:
        Their states, as JSON-able values.
    """
    return [generator.bit_generator.state for generator in generators]


def restore_generators(generators: list[np.random.Generator], states: list[Any]) -> None:
    """Put generators back into states that `generator_states` gave.

    Args:
        generators: the generators, which change.
        states: their states.
    """
    for generator, state in zip(generators, states, strict=True):
        generator.bit_generator.state = state
