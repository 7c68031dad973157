"""How far training is: what `plastic.training.fit` keeps in a checkpoint beside the arrays, read with distrust.

A checkpoint may come from anywhere, and its checksum tells damage, not malice: what it says has to be possible, and to
agree with the arrays, with the source of batches and with metrics.csv.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from plastic import files, parameters, require
from plastic.data.sources import Source
from plastic.errors import PlasticError
from plastic.types import Tree

_IMPOSSIBLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)


@dataclasses.dataclass
class Progress:
    """How far training is.

    step: steps taken. stopped: whether the goal is reached. metrics: those of the last evaluation, {name: array of the
    replica shape}. diverged: {replica: first bad step}. source: the state of the source of batches.
    """

    step: int
    stopped: bool
    metrics: dict[str, np.ndarray]
    diverged: dict[int, int]
    source: dict[str, Any]

    def counters(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return vars(self) | {"metrics": {name: value.tolist() for name, value in self.metrics.items()}}

    @classmethod
    def of(cls, counters: dict[str, Any], steps: int, shape: tuple[int, ...]) -> "Progress":
        """Return the progress that the counters of a checkpoint tell.

        counters: as `counters` gives them. steps: of the whole training. shape: of the replicas.
        Raises PlasticError where no training of so many steps and replicas can be there.
        """
        with _told_of("its counters"):
            found = cls(**counters)
            require.whole("step", found.step, least=0, most=steps)
            if not isinstance(found.stopped, bool):
                raise PlasticError(f"stopped is {found.stopped!r}; it must be true or false")
            found.metrics = {name: _numbers(name, value, shape) for name, value in found.metrics.items()}
            found.diverged = {int(replica): step for replica, step in found.diverged.items()}
            for replica, step in found.diverged.items():
                require.whole("a replica that diverged", replica, least=0, most=math.prod(shape) - 1)
                require.whole(f"the step at which replica {replica} diverged", step, most=max(found.step, 1))
            return found

    def require_rows(self, rows: list[dict[str, Any]], table: dict[str, list[Any]], every: int) -> None:
        """Require that metrics.csv ends with the rows of the last evaluation.

        rows: of the replicas that have not diverged, without the clock. table: the columns of the file. every: steps
        between two evaluations.
        """
        with _told_of("metrics.csv"):
            end = table["step"][-1]
            if not self.step - self.step % every <= end <= self.step:
                raise PlasticError(f"step is {self.step}, but metrics.csv ends at step {end}")
            keys = [name for row in rows[:1] for name in row if name not in self.metrics]
            last = {tuple(table[name][place] for name in keys): place for place in range(len(table["step"]))}
            for row in rows:
                place = last[tuple(row[name] for name in keys)]
                if table["step"][place] != end:
                    raise PlasticError(f"metrics.csv has no row of {row} at step {end}")
                filled = {name for name, column in table.items() if column[place] is not None}
                if extra := filled - {"step", "epoch", *row}:
                    raise PlasticError(f"metrics.csv has {', '.join(sorted(extra))}, too")
                for name in self.metrics:
                    if not np.array_equal(row[name], table[name][place], equal_nan=True):
                        raise PlasticError(f"{name} is {row[name]}, but metrics.csv ends with {table[name][place]}")

    def require_arrays(self, arrays: dict[str, np.ndarray], state: Tree) -> None:
        """Require arrays of the types of a state, finite, as all are that are saved."""
        for name, leaf in parameters.leaves(state):
            if name in arrays and (arrays[name].dtype != leaf.dtype or not np.isfinite(arrays[name]).all()):
                raise PlasticError(f"{name} is {arrays[name].dtype}, not finite {leaf.dtype}")

    def restore(self, source: Source) -> None:
        """Put the source of batches where it was, and require that it is there."""
        with _told_of("the state of its batches"):
            self._require_taken(self.source.get("taken", self.step))  # going there may take as long as training did
            source.restore(self.source)
            self._require_taken(getattr(source, "taken", self.step))
            if _text(source.state()) != _text(self.source):
                raise PlasticError("the state of its batches is none that they can have")

    def _require_taken(self, batches):
        if type(batches) is not int or batches != self.step:
            raise PlasticError(f"step is {self.step}, but the state of its batches is that after {batches!r}")


def _numbers(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.shape not in (shape, () if shape == (1,) else shape):
        raise PlasticError(f"the metric {name} is not numbers of the replica shape {shape}")
    return array


def _text(state: Any) -> str:
    return json.dumps(json.loads(files.to_json(state)), sort_keys=True)


@contextlib.contextmanager
def _told_of(what: str) -> Iterator[None]:
    """Say in one line that something is no such thing, whatever it is."""
    try:
        yield
    except _IMPOSSIBLE as error:
        raise PlasticError(f"{what}: {type(error).__name__}: {error}") from None
