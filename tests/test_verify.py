"""`plastic.verify`: it holds on every backend, and notices a rule that is wrong."""

import math

import numpy as np
import pytest

import plastic
from plastic import cli, parameters, verify, xp
from plastic.errors import PlasticError
from plastic.verify import checks
from plastic.verify.__main__ import verify as command

EACH = [(name, check) for name, every in verify.FAMILIES.items() for check in every]
TAUGHT = [
    (name, table, rule)
    for name in plastic.FAMILIES
    for table in ("RULES", "STEPS")
    for rule in getattr(getattr(plastic, name), table)
]


@pytest.mark.parametrize(("family", "check"), EACH, ids=lambda value: getattr(value, "what", value))
def test_theory_holds(backend, family, check):
    verdict = check.verdict(family)
    assert verdict.passed, verdict


@pytest.mark.parametrize(("family", "check"), EACH, ids=lambda value: getattr(value, "what", value))
def test_theory_holds_in_float32(family, check):
    xp.use(dtype="float32")
    verdict = check.verdict(family)
    assert verdict.passed, verdict
    assert xp.float_dtype == np.float32  # float64 is for the time of a check only


def test_all_families_and_rules_are_checked():
    assert list(verify.FAMILIES) == list(plastic.FAMILIES)
    checked = {(name, rule) for name, check in EACH for rule in check.rules}
    assert checked == {(name, rule) for name, _, rule in TAUGHT}


@pytest.mark.parametrize(("family", "table", "rule"), TAUGHT)
def test_a_rule_that_is_a_fifth_too_large_is_noticed(monkeypatch, family, table, rule):
    xp.use(dtype="float64")
    package = getattr(plastic, family)
    right = getattr(package, table)[rule]

    def wrong(*arguments, **constants):
        grads, output = right(*arguments, **constants)
        for _, leaf in parameters.leaves(grads):
            leaf *= 1.2
        return grads, output

    monkeypatch.setitem(getattr(package, table), rule, wrong)
    monkeypatch.setattr(package, rule, wrong)
    about = [check for name, check in EACH if name == family and rule in check.rules]
    assert not all(check.verdict(family).passed for check in about)


def test_differences_are_relative_to_each_leaf():
    a = {"W": np.array([1.0, 100.0]), "b": np.array([1e-3])}
    b = {"W": np.array([1.0, 101.0]), "b": np.array([2e-3])}
    assert checks.difference(a, b) == pytest.approx(0.5)
    assert checks.difference({"W": np.array([0.1])}, {"W": np.array([0.0])}) == pytest.approx(0.1)
    assert checks.difference(a, a) == 0
    for odd in ({"W": a["W"]}, a | {"b": np.array([np.nan])}, a | {"b": np.zeros(2)}):
        assert math.isnan(checks.difference(a, odd)) or math.isnan(checks.difference(odd, a))
    assert not verify.Verdict("pc", "", math.nan, 1.0).passed


def test_the_command_prints_a_table(capsys):
    cli.run(command, ["gait"], prog="plastic.verify")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("cpu, float64; python")
    count = len(verify.FAMILIES["gait"])
    assert said[-1] == f"{count} of {count} checks hold" and len(said) == count + 3
    assert all(line.endswith("holds") for line in said[2:-1])


def test_the_command_fails_with_1(monkeypatch, capsys):
    monkeypatch.setattr(checks, "difference", lambda found, expected: 1.0)
    with pytest.raises(SystemExit) as stop:
        cli.run(command, ["--family=pc", "--dtype=float32"], prog="plastic.verify")
    assert stop.value.code == 1
    said = capsys.readouterr().out.splitlines()
    assert said[2].endswith("FAILS") and said[-1].startswith("0 of ")


def test_a_rule_that_raises_fails_its_check_and_stops_none(monkeypatch, capsys):
    def missing(*arguments, **constants):
        raise NotImplementedError("no such function here\nnor there")

    monkeypatch.setitem(plastic.gait.RULES, "fa", missing)
    with pytest.raises(SystemExit) as stop:
        cli.run(command, ["gait"], prog="plastic.verify")
    assert stop.value.code == 1
    said = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("FAILS, NotImplementedError: no such function here") for line in said) >= 1
    assert said[2].endswith("holds") and len(said) == len(verify.FAMILIES["gait"]) + 3


def test_no_such_family(capsys):
    with pytest.raises(PlasticError, match=r"ga.*must be one of gait, ep"):
        list(verify.verdicts("ga"))
    with pytest.raises(SystemExit) as stop:
        cli.run(command, ["ga"], prog="plastic.verify")
    assert stop.value.code == 2
