"""summary.csv of a sweep: the last metrics of all points, over seeds.

A row is a combination of all options that vary but the seed, of the parts of a grid, and of a rate tried side by side;
its columns are these, n, and of each metric the mean, the standard deviation (of n - 1), and the ends of a bootstrap
interval of 68 %, one standard error of a normal variable.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from plastic import files
from plastic.bootstrap import interval
from plastic.runs.folder import Run
from plastic.sweep.record import Sweep

_CLOCK = ("step", "epoch", "seconds")
_REPLICA = ("replica", "seed")


def last(run: Run) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, float]]]:
    """Return ({part: value}, {replica, seed}, {metric: value}) of the last row of each replica and part of a run."""
    table = run.metrics()
    parts = {name for part in run.config.get("parts", []) for name in part}
    parts |= {name for name in table if isinstance(run.options.get(f"{name}s"), list | tuple)}  # rate, by --rates
    within = [name for name in table if name in parts and name not in _REPLICA]
    keys = [name for name in table if name in _REPLICA or name in within]
    found: dict[tuple, int] = {}
    for place in range(len(next(iter(table.values()), []))):
        found[tuple(table[name][place] for name in keys)] = place
    metrics = [name for name in table if name not in (*_CLOCK, *keys) and _is_number(table[name])]
    return [
        (
            {name: table[name][place] for name in within},
            {name: table[name][place] for name in keys if name in _REPLICA},
            {name: float(table[name][place]) for name in metrics if table[name][place] is not None},
        )
        for place in found.values()
    ]


def _is_number(column: list[Any]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in column)


def table(sweep: Sweep) -> list[dict[str, Any]]:
    """Return the rows of summary.csv, of the points that are finished or were stopped."""
    groups: dict[tuple, tuple[dict[str, Any], dict[str, list[float]]]] = {}
    for index, entry in enumerate(sweep.points):
        run = sweep.run_of(index) if entry["status"] in ("finished", "stopped") else None
        if run is None:
            continue
        options = {name: value for name, value in sweep.plan.points[index].items() if name not in ("seed", "seeds")}
        for parts, _, metrics in last(run):
            key = options | parts
            values = groups.setdefault(tuple(map(str, key.values())), (key, {}))[1]
            for name, value in metrics.items():
                values.setdefault(name, []).append(value)
    return [key | _described(values) for key, values in groups.values()]


def _described(values: dict[str, list[float]]) -> dict[str, Any]:
    row: dict[str, Any] = {"n": max(map(len, values.values()), default=0)}
    for name, each in values.items():
        row[f"{name}_mean"] = float(np.mean(each))
        if len(each) > 1:
            _, low, high = interval(each)
            row |= {f"{name}_sd": float(np.std(each, ddof=1)), f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def write(sweep: Sweep) -> Path:
    """Write summary.csv; return its path."""
    rows, path = table(sweep), sweep.folder / "summary.csv"
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else _cell(row[name]) for name in columns])
    files.write(path, text.getvalue().encode())
    return path


def _cell(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else value
