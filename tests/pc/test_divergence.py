"""Searches of which nothing is left end as diverged, and those of which something is left choose from that."""

import re
from pathlib import Path

import command_lines
import numpy as np
import pytest
from commands.pc import tiny_maps

from plastic import runs
from plastic.errors import Diverged
from plastic.pc.__main__ import COMMANDS
from plastic.pc.experiments import fits, rl

LINES = {
    "fear": "--grid=quick --iterations=2 --T=6 --seeds=3,4 --rates=0.1,0.01",
    "coin": "--grid=quick --spreads=0.1 --memory_rates=0.01 --blocks=1 --tests=1 --T=6 --seeds=3,4 --rates=0.1,0.01",
    "reversal": "--seeds_pc=2 --seeds_bp=2 --trials=80 --T=6 --rates=0.1,0.05",
    "cnn": "--seeds=2,5 --rules=ipc,bp_published --epochs=2 --batch_size=15 --channels=2,3 --hidden=4 --T=3 "
    "--rates=0.01,0.001",
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def words_of(name, rates, *more):
    words = [word for word in LINES[name].split() if not word.startswith("--rates=")]
    data = [f"--dataset={tiny_maps(Path())}"] if name == "cnn" else []
    return [name, *words, *data, *more, f"--rates={rates}"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fear", "PC diverged in every configuration: try smaller rates, spreads or gamma"),
        ("coin", "PC diverged in every configuration: try smaller rates, spreads or gamma"),
        ("reversal", "PC diverged in every configuration: try smaller rates, spreads or gamma"),
        ("cnn", "training diverged at every rate: try smaller rates, or a smaller gamma"),
    ],
)
def test_a_search_of_which_nothing_is_left(name, said):
    rates = "1e30,1e35" if name == "cnn" else "1e100,1e150"
    error, shown = command_lines.error_of(COMMANDS, words_of(name, rates), "plastic.pc")
    assert said in error and shown == ""
    (folder,) = Path("results/pc").iterdir()
    assert runs.Run(folder).config["status"] == "diverged" and not list(folder.glob("*.png"))


@pytest.mark.parametrize("name", LINES)
def test_a_search_of_which_one_rate_is_left_chooses_that(name, recwarn):
    rates = "0.01,1e30" if name == "cnn" else "0.1,1e150"
    shown = command_lines.printed(COMMANDS, words_of(name, rates), "plastic.pc")
    lines = [line for line in shown if not line.startswith("run folder")]
    assert len(lines) == 2 and all(f" {rates.split(',')[0]}" in line.replace("rates", "rate") for line in lines)
    assert not any(word in line for line in lines for word in ("nan", "inf", "1e"))
    (folder,) = Path("results/pc").iterdir()
    assert list(folder.glob("*.png")) and not recwarn.list


def test_a_rule_of_which_nothing_is_left_is_named_beside_the_other():
    *lines, _ = command_lines.printed(COMMANDS, words_of("cnn", "0.01", "--gamma=1e30", "--no_plot"), "plastic.pc")
    assert lines[0] == "iPC: diverged at every rate"
    assert re.match(r"repeated BP, rectified output: least test error \d+\.\d\d % \(", lines[1])


def test_inference_that_diverges_with_weights_that_do_not_is_told():
    error, _ = command_lines.error_of(COMMANDS, words_of("reversal", "1e-300", "--gamma=1e100"), "plastic.pc")
    assert "diverged" in error and "gamma" in error


def test_too_few_trials_for_the_four_groups_are_told():
    line = "reversal --seeds_pc=1 --seeds_bp=1 --trials=66 --T=6".split()
    error, _ = command_lines.error_of(COMMANDS, line, "plastic.pc")
    assert "PC has no trials of all of punished stay, next switch, punished switch, next stay: take more" in error


def test_the_mean_of_what_is_finite():
    values = np.array([[1.0, np.nan, np.inf], [3.0, 2.0, np.nan]])
    np.testing.assert_array_equal(fits.mean(values), [2, 2, np.nan])


def test_the_best_of_no_rate():
    metrics = {"rule": ["pc"], "step": [10], "seed": [1], "rate": [0.1], "mean_return": [None]}
    with pytest.raises(Diverged, match="PC diverged at every rate"):
        rl.best(metrics, "pc")
