"""A part of a grid: a run within a run."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from plastic import files
from plastic.errors import PlasticError
from plastic.runs import metrics
from plastic.runs.folder import Run


class Part(Run):
    """A part of a grid: rows of the run's metrics.csv with columns of its own, and a checkpoint of its own.

    `Run.parts` yields the parts in turn; what has been trained to its end is not trained again.
    """

    def __init__(self, run: Run, index: int, columns: Sequence[dict[str, Any]]) -> None:
        self.whole, self.index, self.every, self.columns = run, index, columns, dict(columns[index])
        self._adopt()

    def _adopt(self):
        vars(self).update(vars(self.whole))
        self.checkpoint = f"checkpoint-{self.index}.h5"

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Begin the whole run, if no part of it has begun; see `Run.begin`. `parts` are those of the whole run."""
        self.whole.begin(steps, trial, self.every)
        self._adopt()

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Append rows with the columns of this part in front."""
        super().log([self.columns | row for row in rows])

    def forget_rows(self) -> None:
        """Do nothing: `begin` of the whole run sees to it, for all parts at once."""

    def _own(self, table):
        places = [
            place
            for place in range(len(table.get("step", [])))
            if all(table.get(name, [None] * (1 + place))[place] == value for name, value in self.columns.items())
        ]
        own = {name: column for name, column in table.items() if name not in self.columns}
        return {name: [column[place] for place in places] for name, column in own.items()}

    def _loaded(self, rows, mark):
        """Do nothing either: other parts may have added rows since this one was saved, and may yet be refused."""


def cut_to_the_last(run: Run, parts: Sequence[dict[str, Any]]) -> Callable[[], None]:
    """Return a function that cuts metrics.csv back to what it was when a part was saved last.

    Raises PlasticError where the files of the run do not belong together.
    """
    if (kept := run.config.get("parts")) not in (None, json.loads(files.to_json([dict(part) for part in parts]))):
        raise PlasticError(f"{run.folder} was made of other parts: config.json has {kept}")
    run.config["parts"] = [dict(part) for part in parts]
    every = [Part(run, index, parts) for index in range(len(parts))]
    marks = [part._checkpoint()[2] for part in every if part.has_checkpoint()]
    if not marks:
        return run.forget_rows
    rows, last = run._mine("metrics.csv"), max(marks, key=lambda each: each.length)
    metrics.require(rows, marks)
    return lambda: metrics.cut(rows, last.length)
