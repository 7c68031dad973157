"""results/tables/compare.md: its numbers are those of the published evaluations."""

import csv
import pathlib
import re

import numpy as np
import pytest

from plastic import compare

RESULTS = pathlib.Path(__file__).parents[1] / "results"


def _published():
    """{name of a CSV file: (the accuracy counted to, {name of a rule: cells})} of results/tables/compare.md."""
    found = {}
    for part in (RESULTS / "tables" / "compare.md").read_text(encoding="utf-8").split("\n## "):
        for name in re.findall(r"metrics/(\w+\.csv)", part):
            lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
            (to,) = re.findall(r"samples to (\d+) %", part)
            found[name] = float(to) / 100, {rule: cells for rule, *cells in lines[2:]}
    return found


@pytest.mark.parametrize("name", sorted(each.name for each in (RESULTS / "metrics").glob("compare_*.csv")))
def test_the_published_tables_are_those_of_the_published_evaluations(name):
    names = {rule.name: key for key, rule in (compare.RULES | compare.IN_TIME).items()}
    to, table = _published()[name]
    with open(RESULTS / "metrics" / name, encoding="utf-8", newline="") as file:
        evaluations = list(csv.DictReader(file))
    assert {names[each] for each in table} == {row["rule"] for row in evaluations}
    for rule, (rate, _, validation, samples, _, start, end, *_) in table.items():
        search, training = (
            [row for row in evaluations if (row["rule"], row["stage"]) == (names[rule], stage)]
            for stage in ("search", "training")
        )
        last = [row for row in training if row["epoch"] == training[-1]["epoch"]]
        tried = {}
        for row in search:
            if row["epoch"] == search[-1]["epoch"]:
                tried.setdefault(float(row["rate"]), []).append(float(row["validation_accuracy"]))
        used = float(last[0]["rate"])
        assert rate.split()[0] == f"{used:g}" and np.mean(tried[used]) == max(map(np.mean, tried.values()))
        mean, deviation = map(float, validation.split(" ± "))
        accuracy = [100 * float(row["validation_accuracy"]) for row in last]
        assert mean == pytest.approx(np.mean(accuracy), abs=0.0501)
        assert deviation == pytest.approx(np.std(accuracy, ddof=1), abs=0.0501)
        reached = {}
        for row in training:
            if float(row["validation_accuracy"]) >= to:
                reached.setdefault(row["seed"], 50 * int(row["step"]))
        assert samples.split(" (")[0] == (f"{np.mean(list(reached.values())):,.0f}" if reached else "not reached")
        for cells, rows in ((start, training[: len(last)]), (end, last)):
            for layer, cell in enumerate(cells.split(", "), 1):
                assert float(cell) == pytest.approx(
                    np.mean([float(row[f"cosine_{layer}"]) for row in rows]), abs=0.00501
                )
