"""The tables of results against the recorded runs: what they say is what metrics.csv has."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from plastic.pc.experiments import fear, reversal
from plastic.runs import metrics

RESULTS = Path(__file__).parents[2] / "results"
TEXT = (RESULTS / "tables" / "pc.md").read_text(encoding="utf-8")


def rows(name):
    with (RESULTS / "metrics" / f"pc_{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mean(name, column, **where):
    """The mean of a column over the rows with these values."""
    found = [float(row[column]) for row in rows(name) if all(row[key] == value for key, value in where.items())]
    return np.mean(found)


def line(start):
    """The line of the first table that begins so."""
    return next(each for each in TEXT.splitlines() if each.startswith(f"| {start}"))


def shown(value, digits=3):
    """A number as the tables have it, .932 for 0.932."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{round(value, digits) + 0.0:.{digits}f}")


def test_interference():
    dips = {
        rule: [shown(mean("interference", "dip", rule=rule, rate=rate)) for rate in ("0.2", "0.005")]
        for rule in ("pc", "bp")
    }
    (pc, small_pc), (bp, small_bp) = dips["pc"], dips["bp"]
    assert f"falls to {pc} with PC and {bp} with BP at rate .2" in line("`interference`")
    assert f"to {small_pc} and {small_bp} at small rates" in line("`interference`")


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_alignment(rule):
    depths = ("2", "5", "10", "15", "20", "25")
    means = ", ".join(shown(mean("alignment", "target_alignment", rule=rule, depth=depth)) for depth in depths)
    assert f"{rule.upper()} {means}" in line("`alignment`")


def test_alignment_of_128_steps():
    text = line("`alignment --T=128")
    deep = [shown(mean("alignment_T128", "target_alignment", rule=rule, depth="15")) for rule in ("pc", "bp")]
    assert "at 15 layers PC {}, BP {}".format(*deep) in text
    shallow = [
        float(row["target_alignment"])
        for row in rows("alignment_T128")
        if row["rule"] == "tp" and int(row["depth"]) <= 6
    ]
    assert min(shallow) > 0.9995 and "1 up to 6 layers" in text
    for rule, low, high in (("pc", ".73", ".84"), ("bp", ".50", ".57")):
        depths = {row["depth"] for row in rows("alignment_T128_tanh") if int(row["depth"]) >= 6}
        each = [mean("alignment_T128_tanh", "target_alignment", rule=rule, depth=depth) for depth in depths]
        assert (shown(min(each), 2), shown(max(each), 2)) == (low, high)
        assert f"{rule.upper()} {low} to {high}" in line("the same with `--activation=tanh`")
    assert min(float(row["target_alignment"]) for row in rows("alignment_T128_orthogonal")) > 0.9995


def test_the_prospective_index():
    text = line("`prospective_index`")
    for rate in ("0.001", "0.1"):
        layers = [
            mean(
                "prospective_index", "prospective_index", study="base", activation="linear", rate=rate, layer=str(layer)
            )
            for layer in range(1, 7)
        ]
        assert shown(min(layers[:-1])) in text and shown(layers[-1]) in text
    layered = [
        mean("prospective_index", "prospective_index", study="layered", update="w'", layer=str(k)) for k in range(1, 6)
    ]
    assert f"w' at least {shown(min(layered))}" in text


def test_the_trajectory():
    found = {row["rule"]: row for row in rows("trajectory") if row["kind"] == "matched"}
    assert f"overshoots to {float(found['bp']['out2_largest']):.2f}" in line("`trajectory`")
    ratios = {rule: float(row["path_length"]) / float(row["displacement"]) for rule, row in found.items()}
    assert f"{ratios['bp']:.1f} times its span" in line("`trajectory`")
    assert f"PC's to {float(found['pc']['out2_largest']):.2f}, {ratios['pc']:.2f} times" in line("`trajectory`")


def test_the_teacher():
    least = {
        rule: min(
            mean("teacher", "loss_min", rule=rule, rate=rate) for rate in {row["rate"] for row in rows("teacher")}
        )
        for rule in ("pc", "bp")
    }
    assert f"PC {least['pc']:.2f}, BP {shown(least['bp'], 2)}" in line("`teacher`")


def test_erratic():
    """PC and BP where each covers the least distance; GeneRec and Almeida-Pineda at the middle of what both cover."""
    found = {}
    for row in rows("erratic_by_rate"):
        found.setdefault(row["rule"], []).append((float(row["displacement"]), float(row["path_length"])))
    means = {rule: np.array(sorted(each)).T for rule, each in found.items()}
    (near, short), (far, long) = (means[rule][:, 0] for rule in ("pc", "bp"))
    assert f"path {short:.2f} at distance {near:.2f} with PC, {long:.2f} at {far:.2f} with BP" in line("`erratic`")
    low, high = max(means[rule][0, 0] for rule in ("gr", "ap")), min(means[rule][0, -1] for rule in ("gr", "ap"))
    paths = [np.interp((low + high) / 2, *means[rule]) for rule in ("gr", "ap")]
    middle = shown((low + high) / 2, 2)
    assert f"at distance {middle} GeneRec {paths[0]:.3f}, Almeida-Pineda {paths[1]:.3f}" in line("`erratic`")


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_fear(rule):
    _, fears, k, b, sse = fear.best(metrics.read(RESULTS / "metrics" / "pc_fear.csv"), rule)
    fitted = ", ".join(
        f"{group} {each:.1f}" for group, each in zip(fear.GROUPS, k * fears.mean(axis=0) + b, strict=True)
    )
    assert any(f"{rule.upper()} | {fitted} %" in each and f"| {sse:.3g} |" in each for each in TEXT.splitlines())


@pytest.mark.parametrize("rule", ["pc", "bp"])
@pytest.mark.parametrize("seeds", ["", "_400_seeds"])
def test_reversal(rule, seeds):
    _, found, k, b, sse = reversal.best(metrics.read(RESULTS / "metrics" / f"pc_reversal{seeds}.csv"), rule)
    values = np.nanmean(found, axis=0) * k + b
    assert any(
        each.startswith("|") and f"| {shown(sse)} |" in each and all(shown(v, 2) in each for v in values)
        for each in TEXT.splitlines()
    )


@pytest.mark.parametrize(("rule", "first"), [("pc", 2), ("bp", 5)])
@pytest.mark.parametrize("rate", ["0.005", "0.001", "0.0005", "0.0001"])
def test_cartpole(rule, first, rate):
    """After 2,000 and 10,000 episodes, with the range of the seeds, and over the curve."""
    found = [row for row in rows("rl_CartPole-v1") if (row["rule"], row["rate"]) == (rule, rate) and row["step"] != "0"]
    returns = {step: [float(row["mean_return"]) for row in found if row["step"] == step] for step in ("2000", "10000")}
    over = np.mean([float(row["mean_return"]) for row in found])
    name = {"0.005": ".005", "0.001": ".001", "0.0005": "5e-4", "0.0001": "1e-4"}[rate]
    table = TEXT.partition("## Reinforcement learning")[2].splitlines()
    told = next(each for each in table if each.startswith(f"| {name} | ")).replace("*", "")
    cells = [each.strip() for each in told.split("|")][first : first + 3]
    if np.isnan(over):
        assert sum(map(np.isnan, returns["2000"])) == 2
        assert cells == ["two of three diverged", "", ""]
        return
    last = returns["10000"]
    assert cells == [
        f"{np.mean(returns['2000']):.0f}",
        f"{np.mean(last):.0f} ({min(last):.0f} to {max(last):.0f})",
        f"{over:.0f}",
    ]
