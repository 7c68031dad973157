"""The table of a comparison: one row for each rule, of means and deviations over the seeds."""

import csv
import dataclasses
import io
from typing import Any

import numpy as np

from plastic import bootstrap
from plastic.compare import feed_forward, in_time, rows
from plastic.compare.comparison import SEARCHES
from plastic.compare.measures import SIGMAS, samples_to
from plastic.runs.folder import Run

ACCURACIES = {"train": "train_accuracy", "validation": "validation_accuracy"}


@dataclasses.dataclass(frozen=True)
class Spread:
    """Values of the seeds: their mean, standard deviation (n - 1), 68 % bootstrap interval of the mean, and number.

    A NaN is a seed without a value, which none of them counts.
    """

    values: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """The values of the seeds that have one."""
        return self.values[~np.isnan(self.values)]

    @property
    def n(self) -> int:
        """How many these are."""
        return len(self.known)

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self.known.mean()) if self.n else np.nan

    @property
    def deviation(self) -> float:
        """Their standard deviation."""
        return float(self.known.std(ddof=1)) if self.n > 1 else np.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 68 % bootstrap interval of the mean."""
        if self.n < 2:
            return np.nan, np.nan
        _, low, high = bootstrap.interval(self.known)
        return float(low), float(high)


@dataclasses.dataclass(frozen=True)
class Row:
    """What a rule has reached.

    Attributes:
        rule, name: by which it was asked for, and as it is called.
        rate, edge: the learning rate, None where all diverged; and whether it is the "least" or "largest" tried.
        seeds: how many were trained.
        accuracy: {"train", "validation", "test": `Spread`}.
        samples: to the validation accuracy that was asked for; a seed that has not reached it has none.
        milliseconds: CPU time of a step.
        start, end: cosines with the exact gradient, {layer: `Spread`} from 1 on, before training and after it.
        noise: {("input" or "weight", sigma): `Spread`} of the test accuracy.
    """

    rule: str
    name: str
    rate: float | None
    edge: str
    seeds: int
    milliseconds: float
    accuracy: dict[str, Spread] = dataclasses.field(default_factory=dict)
    samples: Spread = Spread(np.array([]))
    start: dict[int, Spread] = dataclasses.field(default_factory=dict)
    end: dict[int, Spread] = dataclasses.field(default_factory=dict)
    noise: dict[tuple[str, float], Spread] = dataclasses.field(default_factory=dict)


def name_of(rule: str) -> str:
    """Return what a rule is called; one of the user's has its own name."""
    known = feed_forward.RULES | in_time.RULES
    return known[rule].name if rule in known else rule


def of(run: Run) -> list[Row]:
    """Return the rows of a comparison that is finished, rule by rule."""
    metrics, arrays = run.metrics(), run.arrays()
    return [_row(run, rule, metrics, arrays) for rule in dict.fromkeys(metrics["rule"])]


def _row(run, rule, metrics, arrays):
    rate, edge = rows.best_rate(metrics, rule)
    begun = Row(rule, name_of(rule), rate, edge, len(run.seeds), float(arrays[f"{rule}/milliseconds"]))
    if rate is None:
        return begun
    steps, judged = rows.curves(metrics, rule, "validation_accuracy")
    samples = [samples_to(run.options["to"], steps, curve, run.options["batch_size"]) for curve in judged]
    layers = range(1, len(run.options["sizes"]) + 2)
    alike = {k: rows.curves(metrics, rule, f"cosine_{k}")[1] for k in layers}
    return dataclasses.replace(
        begun,
        accuracy={name: Spread(rows.last(metrics, rule, column)) for name, column in ACCURACIES.items()}
        | {"test": Spread(arrays[f"{rule}/test_accuracy"])},
        samples=Spread(np.array(samples)),
        start={k: Spread(curve[:, 0]) for k, curve in alike.items()},
        end={k: Spread(curve[:, -1]) for k, curve in alike.items()},
        noise={
            (kind, sigma): Spread(values)
            for kind in ("input", "weight")
            for sigma, values in zip(SIGMAS, arrays[f"{rule}/{kind}_noise"].T, strict=True)
        },
    )


SHOWN_SIGMA = 0.3
"""The noise of which the printed table tells; the CSV file has all."""


def head(run: Run) -> list[str]:
    """Return the heads of the columns of the printed table."""
    return [
        "rule",
        "rate",
        "test %",
        "validation %",
        f"samples to {100 * run.options['to']:g} %",
        "ms a step",
        "cosine at the start",
        "and at the end",
        f"test %, inputs + {SHOWN_SIGMA:g}",
        f"weights + {100 * SHOWN_SIGMA:g} %",
    ]


def cells(row: Row) -> list[str]:
    """Return the cells of a row of the printed table."""
    if row.rate is None:
        return [row.name, "diverged at every rate", *[""] * 3, f"{row.milliseconds:.2f}", *[""] * 4]
    lost = row.seeds - row.accuracy["test"].n
    noted = f"{row.rate:g}{f' ({row.edge} tried)' if row.edge else ''}"
    return [
        row.name,
        f"{noted}, {lost} of {row.seeds} seeds diverged" if lost else noted,
        _percent(row.accuracy["test"]),
        _percent(row.accuracy["validation"]),
        _samples(row),
        f"{row.milliseconds:.2f}",
        _alike(row.start),
        _alike(row.end),
        _percent(row.noise["input", SHOWN_SIGMA]),
        _percent(row.noise["weight", SHOWN_SIGMA]),
    ]


def _percent(spread):
    return f"{100 * spread.mean:.1f} ± {100 * spread.deviation:.1f}" if spread.n > 1 else f"{100 * spread.mean:.1f}"


def _samples(row):
    missing = row.seeds - row.samples.n
    if not row.samples.n:
        return "not reached"
    return f"{row.samples.mean:,.0f}{f' (not reached by {missing} of {row.seeds})' if missing else ''}"


def _alike(spreads):
    return ", ".join(f"{spread.mean:.2f}" if spread.n else "none" for spread in spreads.values())


def note(run: Run) -> str:
    """Return what the numbers of the table are."""
    options = run.options
    hidden = "-".join(map(str, options["sizes"]))
    return (
        f"{len(run.seeds)} seeds: mean ± standard deviation. Hidden layers {hidden}, epochs: {options['epochs']}, in "
        f"batches of {options['batch_size']}, Adam. Each rule tried {options['rates']} learning rates with "
        f"{SEARCHES} other seeds, chosen by validation data; the test set was measured once, after training. Cosines "
        "are those of the updates of each layer, from the first on, with the exact gradient; one that is 0 has none. "
        "Noise: the accuracy on the test set where Gaussian noise is added to inputs (standard deviation; images lie "
        "between 0 and 1, less their mean) or to weights (relative to the root mean square of a layer)."
    )


def markdown(run: Run) -> str:
    """Return the table of a comparison, in Markdown, with what its numbers are."""
    lines = [head(run), ["---"] * len(head(run)), *map(cells, of(run))]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", note(run), ""])


def printed(run: Run) -> list[str]:
    """Return the table of a comparison as lines for a terminal."""
    lines = [head(run), *map(cells, of(run))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def comma_separated(run: Run) -> str:
    """Return all numbers of a comparison: a line for each rule and measure, {mean, sd, low, high, n}."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rule", "rate", "edge", "measure", "mean", "sd", "low", "high", "n"])
    for row in of(run):
        measured: dict[str, Any] = {f"{name}_accuracy": each for name, each in row.accuracy.items()}
        measured |= {f"samples_to_{run.options['to']:g}": row.samples} if row.rate is not None else {}
        measured |= {f"cosine_{k}_start": each for k, each in row.start.items()}
        measured |= {f"cosine_{k}_end": each for k, each in row.end.items()}
        measured |= {f"test_accuracy_{kind}_noise_{sigma:g}": each for (kind, sigma), each in row.noise.items()}
        first = [row.rule, "" if row.rate is None else row.rate, row.edge]
        for name, each in measured.items():
            numbers = [each.mean, each.deviation, *each.interval]
            writer.writerow([*first, name, *("" if np.isnan(n) else f"{n:.6g}" for n in numbers), each.n])
        writer.writerow([*first, "milliseconds", f"{row.milliseconds:.4g}", "", "", "", 1])
    return text.getvalue()
