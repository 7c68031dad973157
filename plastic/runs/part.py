"""A part of a grid: a run within a run."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plastic import files, xp
from plastic.errors import PlasticError
from plastic.runs import metrics
from plastic.runs.folder import Run


class Part(Run):
    """A part of a grid: rows of the run's metrics.csv with columns of its own, a checkpoint and arrays of its own.

    `Run.parts` yields the parts in turn; what has been trained to its end is not trained again.
    """

    def __init__(self, run: Run, index: int, columns: Sequence[dict[str, Any]]) -> None:
        self.whole, self.index, self.every, self.columns = run, index, columns, dict(columns[index])
        self._adopt()

    def _adopt(self):
        vars(self).update(vars(self.whole))
        self.checkpoint, self.front = f"checkpoint-{self.index}.h5", f"{self.index}/"

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Begin the whole run, if no part of it has begun; see `Run.begin`. `parts` are those of the whole run."""
        self.whole.begin(steps, trial, self.every)
        self._adopt()

    @property
    def to_resume(self) -> str:
        """What goes on with the whole run once it is interrupted, for a message."""
        return self.whole.to_resume

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Append rows with the columns of this part in front."""
        super().log([self.columns | row for row in rows])

    @property
    def diverged(self) -> list[int]:
        """The replicas of this part that have diverged, by their numbers."""
        return [int(replica) for replica in self.read_checkpoint()[1]["diverged"]]

    def metrics(self) -> dict[str, list[Any]]:
        """Return the rows of this part, as `Run.metrics` returns all."""
        return self._own(super().metrics())

    def save_arrays(self, arrays: dict[str, Any]) -> None:
        """Add arrays to arrays.h5, as `Run.save_arrays` does, the number of this part in front of their names.

        Where they are there already, as of a part that was trained to its end before, nothing is written.
        """
        known, mine = self.arrays(), {f"{self.front}{name}": each for name, each in arrays.items()}
        if not all(name in known and np.array_equal(known[name], xp.asnumpy(each)) for name, each in mine.items()):
            super().save_arrays(mine)

    def forget_rows(self) -> None:
        """Do nothing: `begin` of the whole run sees to it, for all parts at once."""

    def _table(self, rows, mark):
        """Return the columns of this part's own rows; none of them may come after the mark."""
        waiting = self._resumption is not None and self._resumption.waiting
        return self._own(metrics.read(rows, self._resumption.length if waiting else None))

    def _own(self, table):
        places = range(len(table.get("step", [])))
        for name, value in self.columns.items():
            places = [place for place in places if name in table and table[name][place] == value]
        return {name: [column[place] for place in places] for name, column in table.items()}

    def _loaded(self, rows, mark):
        """Do nothing either: other parts may have added rows since this one was saved, and may yet be refused."""


def length_at_the_last(run: Run, parts: Sequence[dict[str, Any]]) -> int:
    """Return how many bytes metrics.csv had when a part was saved last.

    Raises PlasticError where the files of the run do not belong together.
    """
    if (kept := run.config.get("parts")) not in (None, json.loads(files.to_json([dict(part) for part in parts]))):
        raise PlasticError(f"{run.folder} was made of other parts: config.json has {kept}")
    run.config["parts"] = [dict(part) for part in parts]
    every = [Part(run, index, parts) for index in range(len(parts))]
    marks = [part._checkpoint()[2] for part in every if part.has_checkpoint()]
    metrics.require(run._mine("metrics.csv"), marks)
    return max((each.length for each in marks), default=0)
