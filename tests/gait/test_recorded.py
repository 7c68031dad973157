"""The page on MNIST against the recorded runs: what it says is what metrics.csv has."""

import re
from pathlib import Path

import pytest

from plastic.runs import metrics

RESULTS = Path(__file__).parents[2] / "results"
TEXT = " ".join((RESULTS / "tables" / "gait.md").read_text(encoding="utf-8").split())


def table(name):
    return metrics.read(RESULTS / "metrics" / f"gait_mnist_{name}.csv")


@pytest.mark.parametrize(("name", "called"), [("bp", "BP"), ("gait", "GAIT-prop")])
def test_accuracy_after_ten_epochs(name, called):
    found = table(name)
    assert found["epoch"] == list(range(11)) and f"{100 * found['test_accuracy'][-1]:.2f} % by {called}" in TEXT


def test_the_running_mean_of_training():
    found = table("bp")
    running, test = (f"{100 * found[name][-1]:.2f}" for name in ("train_accuracy", "test_accuracy"))
    assert f"{running} in ten epochs of BP that end at {test}" in TEXT


def test_the_cosine_with_backpropagation():
    found = table("gait")
    least = min(min(column) for name, column in found.items() if name.startswith("cosine_"))
    assert f"to {least:.2f}".replace("0.", ".") + " in the first layer" in TEXT and least == min(found["cosine_1"])
    assert float(re.search(r"stays above (0\.\d+) in every layer", TEXT)[1]) < least
    assert all(abs(each - 1) < 1e-6 for name, column in table("bp").items() if "cosine" in name for each in column)


@pytest.mark.parametrize("rule", ["BP", "GAIT-prop", "GAIT-prop, tower"])
def test_accuracy_after_one_epoch(rule):
    """Of the seeds 1, 2, 3."""
    found = metrics.read(RESULTS / "metrics" / "gait_one_epoch.csv")
    rows = zip(found["rule"], found["seed"], found["test_accuracy"], strict=True)
    own = [(seed, f"{100 * accuracy:.2f}") for name, seed, accuracy in rows if name == rule]
    assert [seed for seed, _ in own] == [1, 2, 3]
    number = {"BP": 1, "GAIT-prop": 2, "GAIT-prop, tower": 4}[rule]
    assert f"| {rule} | {number} | {', '.join(told for _, told in own)} |" in TEXT
