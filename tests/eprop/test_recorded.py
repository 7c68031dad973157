"""The tables of results against the recorded runs: what they say is what metrics.csv has."""

from pathlib import Path

import numpy as np
import pytest

from plastic.runs import metrics

RESULTS = Path(__file__).parents[2] / "results"
TEXT = (RESULTS / "tables" / "eprop.md").read_text(encoding="utf-8")
WORDS = " ".join(TEXT.split())


def table(name):
    found = metrics.read(RESULTS / "metrics" / f"eprop_{name}.csv")
    return {key: np.array(column) for key, column in found.items()}


def of_speech(model, rule):
    """Test and validation errors in per cent, (evaluations, seeds) each, and rates at the end."""
    found = table("speech_ctc")
    own = (found["model"] == model) & (found["eprop"] == rule)
    steps = np.unique(found["step"][own])
    at = [own & (found["step"] == step) for step in steps]
    assert all(found["seed"][each].tolist() == [1, 2, 3] for each in at)
    test, validation = (100 * np.array([found[f"{s}_error"][each] for each in at]) for s in ("test", "validation"))
    return test[1:], validation[1:], found["rate"][at[-1]]


def spread(values):
    """Mean and standard deviation over seeds as the page has them."""
    return f"{values.mean():.1f} ({values.std(ddof=1):.1f})"


def over_epochs(errors):
    return [*(f"{each.mean():.1f}" for each in errors[:-1]), spread(errors[-1])]


@pytest.mark.parametrize(
    ("rule", "start"),
    [("none", "| LSTM, 60 cells both ways | BPTT"), ("symmetric", "| | e-prop, symmetric feedback | 5")],
)
def test_sequences_of_digits_by_lstm_cells(rule, start):
    test, validation, _ = of_speech("lstm", rule)
    line = next(each for each in TEXT.splitlines() if each.startswith(start))
    cells = [each.strip() for each in line.split("|")][3:-1]
    at_the_end = ", ".join(f"{each:.1f}" for each in test[-1])
    assert cells == [", ".join(over_epochs(test)), at_the_end, spread(validation[-1]), "3"]


def test_sequences_of_digits_by_spiking_neurons():
    test, validation, rates = of_speech("lsnn", "none")
    *early, last = over_epochs(test)
    assert f"{', '.join(early)} and {last} after 3, 6, 9 and 12 epochs" in WORDS
    one, two, three = (f"{each:.1f}" for each in test[-1])
    assert f"at the end {one}, {two} and {three}, validation {spread(validation[-1])}" in WORDS
    assert f"neurons fire at {rates.min():.0f} to {rates.max():.0f} Hz" in WORDS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_catch(seed):
    found = table(f"atari_catch_seed{seed}")
    score, frames = found["evaluation_score"], found["frames"]
    first = f"{frames[np.argmax(score >= 3.5)]:,.0f} frames"
    start = f"| {seed} | {score[0]:.1f} | {first} | {score[-10:].mean():.1f} |"
    assert any(each.startswith(start) for each in TEXT.splitlines()), start
    assert f"{found['updates'][-1]:.0f} updates in" in WORDS


def test_pong():
    found = table("atari_pong")
    frames, score = found["frames"], found["evaluation_score"]
    assert f"{frames[-1]:,.0f} frames, {found['updates'][-1]:.0f} updates" in WORDS
    late = score[frames > 1e5]
    told = f"{score[0]:.1f} before the first update and {late.max():.1f} to {late.min():.1f} from 0.1 to 1.2 million"
    assert told in WORDS and f"with {len(frames) - 1} evaluations" in WORDS
