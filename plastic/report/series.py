"""What metrics.csv says, as curves: for each combination of what was swept, and for each seed, the metrics over time.

Its rows are in long format. Some columns tell rows apart (`keys`): step, epoch, replica and seed, the rule or rate of a
part of a grid. The others are metrics. Nothing in the file says which is which, so that names and values decide.
"""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEADING = ("step", "epoch", "replica", "seed")
_SWEPT = re.compile(r"(^|_)(rate|depth|spread|value|layer|width|size|class|trial)(_|$)")


class Curve(NamedTuple):
    """A metric of one seed over time, where it is finite. x: the times, increasing. y: the values."""

    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Series:
    """One combination of what was swept in a run.

    where: ((column, value), ..), values as text. replicas: {(seed, replica): {metric: its curve}}, None standing for a
    column that there is not.
    """

    where: tuple[tuple[str, str], ...]
    replicas: dict[tuple, dict[str, Curve]]

    @property
    def metrics(self) -> list[str]:
        """The metrics that any of the seeds has."""
        return list(dict.fromkeys(name for each in self.replicas.values() for name in each))


def split(
    table: dict[str, list[Any]],
    parts: list[dict],
    options: dict[str, Any],
    tested: Callable[[int, dict[str, Any]], dict[str, float]] = lambda replica, columns: {},
) -> tuple[str, list[Series]]:
    """Return what time is measured in (epoch, step, or "" where nothing is), and the series of a run.

    Args:
        table: metrics.csv, as `Run.metrics` gives it.
        parts: of a grid, as config.json lists them.
        options: of the run.
        tested: tested(replica, columns) -> what was measured once, after training: a curve of one point, at the end.
    """
    rows = len(next(iter(table.values()), []))
    swept = keys(table, parts, options)
    clock = _clock(table)
    times = _numbers(table[clock]) if clock else np.zeros(rows)
    metrics = {name: _numbers(cells) for name, cells in table.items() if name not in (*LEADING, *swept)}
    found: dict[tuple, dict[tuple, list[int]]] = {}
    columns = [table.get(name, [None] * rows) for name in (*swept, "seed", "replica")]
    for row, (*values, seed, replica) in enumerate(zip(*columns, strict=True)):
        where = tuple(zip(swept, map(_text, values), strict=True))
        found.setdefault(where, {}).setdefault((seed, replica), []).append(row)
    series = []
    for where, replicas in found.items():
        curves = {who: {m: _curve(times, y, own) for m, y in metrics.items()} for who, own in replicas.items()}
        for who, own in replicas.items():
            once = tested(who[1] or 0, {name: table[name][own[-1]] for name in swept})
            curves[who] |= {name: _curve(times, np.full(rows, value), own[-1:]) for name, value in once.items()}
        series.append(Series(where, {w: {m: c for m, c in each.items() if len(c.x)} for w, each in curves.items()}))
    return clock, series


def keys(table: dict[str, list[Any]], parts: list[dict], options: dict[str, Any]) -> list[str]:
    """Return the columns that tell rows apart, beside step, epoch, replica and seed.

    Those are columns of the parts of a grid and columns of text; and, in front of the first metric, columns of numbers
    that are listed by an option (rate by --rates) or called as what is swept. They do not change over time.

    Args:
        table, parts, options: as in `split`.
    """
    of_parts = {name for part in parts for name in part}
    texts = {name for name, cells in table.items() if any(isinstance(cell, str) for cell in cells)}
    who = [cells for name, cells in table.items() if name in {"replica", "seed", *of_parts, *texts}]
    found, metric_seen = [], False
    for name, cells in table.items():
        if name in LEADING:
            continue
        if name in of_parts or name in texts:
            found.append(name)
        elif not metric_seen and _is_swept(name, cells, options) and (not _clock(table) or _is_still(cells, who)):
            found.append(name)
        else:
            metric_seen = True
    return found


def _is_swept(name, cells, options):
    listed = options.get(f"{name}s", options.get(name))
    if isinstance(listed, list) and all(cell in listed for cell in cells):
        return True
    return bool(_SWEPT.search(name))


def _is_still(cells, others):
    """Whether a column has one value wherever the other columns have theirs."""
    rows = zip(*others, strict=True) if others else [()] * len(cells)
    first: dict = {}
    return all(first.setdefault(who, cell) == cell for who, cell in zip(rows, cells, strict=True))


def _clock(table):
    for name in ("epoch", "step"):
        if len({cell for cell in table.get(name, []) if cell is not None}) > 1:
            return name
    return ""


def _curve(times, values, rows):
    """Return the finite values of some rows over time; of equal times, the last one counts."""
    rows = np.array(rows)
    rows = rows[np.isfinite(values[rows]) & np.isfinite(times[rows])]
    x, last = np.unique(times[rows][::-1], return_index=True)
    return Curve(x, values[rows][::-1][last])


def _numbers(cells):
    return np.array([_number(cell) for cell in cells], dtype=float)


def _number(cell):
    try:
        return math.nan if cell is None or isinstance(cell, str) else float(cell)
    except OverflowError:  # an integer of hundreds of digits
        return math.nan


def _text(cell):
    return "" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else str(cell)
