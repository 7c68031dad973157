"""summary.csv of a sweep: the metrics of all points at their ends, over seeds.

A row is a combination of all options that vary but the seed, of the parts of a grid, of a rate tried side by side, and
of what metrics.csv says in words (a rule, a layer). Its columns are these, n, and of each metric the mean, the standard
deviation (of n - 1), and the ends of a bootstrap interval of 68 %, one standard error of a normal variable. Training
has a row for its last evaluation; a table without steps, as that of a neuron at many frequencies, for each of its rows,
numbered where words do not tell them apart. After halving, how long runs were is one of the options. Replicas that have
diverged do not count; a combination of which no point is left has n = 0.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from plastic import files
from plastic.bootstrap import interval
from plastic.runs.folder import Run
from plastic.sweep.plan import record_of
from plastic.sweep.record import Sweep

_CLOCK = ("step", "epoch", "seconds")
_REPLICA = ("replica", "seed")


def last(run: Run) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, float]]]:
    """Return ({part: value}, {replica, seed}, {metric: value}) of the rows of a run that count, see above.

    Parts are all that sets rows of one replica apart: parts of a grid, rates, words, and "row", their number.
    """
    table = run.metrics()
    parts = {name for part in run.config.get("parts", []) for name in part}
    parts |= {name for name in table if isinstance(run.options.get(f"{name}s"), list | tuple)}  # rate, by --rates
    within = [name for name, column in table.items() if name not in _REPLICA and (name in parts or _is_text(column))]
    keys = [name for name in table if name in _REPLICA or name in within]
    gone = [] if "parts" in run.config else run.diverged  # in a grid, what diverged has the worst metrics
    rows: dict[tuple, list[int]] = {}
    for place in range(len(next(iter(table.values()), []))):
        if not gone or table["replica"][place] not in gone:
            rows.setdefault(tuple(table[name][place] for name in keys), []).append(place)
    if "step" in table:
        rows = {key: places[-1:] for key, places in rows.items()}
    numbered = any(len(places) > 1 for places in rows.values())
    metrics = [name for name in table if name not in (*_CLOCK, *keys) and _is_number(table[name])]

    def tested(place):
        columns = {name: table[name][place] for name in keys}
        return run.tested(columns.get("replica", 0), columns)

    return [
        (
            {name: table[name][place] for name in within} | ({"row": number} if numbered else {}),
            {name: table[name][place] for name in keys if name in _REPLICA},
            {name: float(table[name][place]) for name in metrics if table[name][place] is not None} | tested(place),
        )
        for places in rows.values()
        for number, place in enumerate(places, 1)
    ]


def _is_text(column: list[Any]) -> bool:
    return any(isinstance(value, str) for value in column)


def _is_number(column: list[Any]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in column)


def table(sweep: Sweep) -> list[dict[str, Any]]:
    """Return the rows of summary.csv, of the points that have ended."""
    groups: dict[tuple, tuple[dict[str, Any], dict[str, list[float]]]] = {}
    record = record_of(sweep.plan.family, sweep.plan.command)
    lost: dict[str, dict[str, Any]] = {}
    there: set[str] = set()
    lengths = [record.length] if sweep.plan.halving and record.length else []
    for index, entry in enumerate(sweep.points):
        options = {name: value for name, value in sweep.plan.points[index].items() if name not in ("seed", "seeds")}
        if entry["status"] in ("failed", "diverged"):
            lost[repr(options)] = options
        run = sweep.run_of(index) if entry["status"] in ("finished", "stopped") else None
        if run is None:
            continue
        there.add(repr(options))
        for parts, _, metrics in last(run):
            key = options | {name: run.options[name] for name in lengths} | parts
            values = groups.setdefault(tuple(map(str, key.values())), (key, {}))[1]
            for name, value in metrics.items():
                values.setdefault(name, []).append(value)
    rows = [key | _described(values) for key, values in groups.values()]
    return rows + [options | {"n": 0} for text, options in lost.items() if text not in there]


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
