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


def cells(line):
    return [each.strip() for each in line.split("|")[1:-1]]


def lines(section, start):
    """The lines of a section of the page that begin so."""
    text = TEXT.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [cells(each) for each in text.splitlines() if each.startswith(start)]


def test_evidence_accumulation():
    """Each seed of each rule, in the order of the page."""
    found = table("evidence")
    rows = zip(found["rule"], found["feedback"], found["seed"], found["goal"], found["test_error"], strict=True)
    ours = [("eprop", "random"), ("eprop", "symmetric"), ("bptt", "symmetric")]
    told = [each for each in lines("Evidence accumulation", "| ") if each[2].isdecimal()]
    expected = [
        [str(seed), "not within 600" if goal is None or goal != goal else f"{goal:.0f}", f"{100 * error:.1f}"]
        for rule, feedback, seed, goal, error in sorted(rows, key=lambda row: (ours.index(row[:2]), row[2]))
    ]
    assert [each[2:] for each in told] == expected


def test_store_recall():
    found = table("store_recall")
    told = [each for each in lines("Pattern generation and store-recall", "| ") if each[2] == "5"]
    kinds = [("eprop", "random"), ("eprop", "symmetric"), ("eprop", "adaptive"), ("bptt", "symmetric")]
    for (rule, feedback), row in zip(kinds, told, strict=True):
        own = (found["rule"] == rule) & (found["feedback"] == feedback)
        goal, error = found["goal"][own].astype(float), 100 * found["test_error"][own]
        assert len(goal) == 5
        assert row[3] == f"{goal.mean():.0f} ± {goal.std(ddof=1):.0f} ({goal.min():.0f} to {goal.max():.0f})"
        assert row[4] == f"{error.mean():.1f} ± {error.std(ddof=1):.1f}"


def test_learning_by_rewards():
    """The delayed reward, each row by rule, feedback and rate; CartPole in the text."""
    found = table("reward")
    told = [each for each in lines("Learning by rewards", "| ") if " of " in each[2]]
    for row in told:
        rule = "no_traces" if "traces" in row[0] else "eprop"
        feedback = row[1].partition("--feedback ")[2].split(" ")[0].strip("`") or "symmetric"
        rate = 0.003 if "0.003" in row[1] else 0.01
        own = (found["game"] == "delayed") & (found["rule"] == rule) & (found["feedback"] == feedback)
        own &= found["learning_rate"] == rate
        assert found["seed"][own].tolist() == [1, 2, 3, 4, 5]
        solved, batches = found["solved"][own] == 1, found["batches"][own]
        most = 1500 if rate == 0.003 else 600
        when = [f"{count:.0f}" if done else "not" for count, done in zip(batches, solved, strict=True)]
        assert row[2] == f"{solved.sum()} of 5"
        assert row[3] == (", ".join(when) if solved.any() else f"not within {most}")
        assert row[4] == ", ".join(f"{each:.3f}".removeprefix("0") for each in found["mean_reward"][own])
    pole = found["mean_reward"][found["game"] == "cartpole"]
    assert all(f"{each:.3f}".removeprefix("0") + f" ({500 * each:.0f} steps)" in WORDS for each in pole)


def test_speech():
    found = table("speech")
    short = found["n_epochs"] == 5
    for rule in ("none", "symmetric", "adaptive", "random"):
        (row,) = [each for each in lines("Speech", "| ") if each[1] == rule and len(each) == 6]
        for model, cell in zip(("lstm", "rnn", "lsnn"), row[2:5], strict=True):
            errors = 100 * found["test_error"][short & (found["model"] == model) & (found["eprop"] == rule)]
            assert len(errors) == 3 and cell == spread(errors).replace("(0.", "(.")
    for model, rule, epochs in (("lsnn", "none", 20), ("lsnn", "symmetric", 20)):
        own = (found["model"] == model) & (found["eprop"] == rule) & (found["n_epochs"] == epochs)
        *early, last = (f"{100 * each:.1f}" for each in found["test_error"][own])
        assert f"{', '.join(early)} and {last}" in WORDS
