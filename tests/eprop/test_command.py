"""The commands of `plastic.eprop`: runs and their folders, the goal of training, going on after a kill, wrong lines."""

import contextlib
import functools
import io
import json
import os
import pathlib
import random
import re
import shlex
import signal
import subprocess
import sys
import time

import command_lines
import matplotlib.image
import numpy as np
import pytest
from command_lines import column, ends_well_or_in_one_line, in_an_empty_folder, kept, table
from hypothesis import given, settings
from hypothesis import strategies as st

import plastic
from plastic import cli, runs, xp
from plastic.eprop import decisions, figures, inputs, rules, signals, simulate, spiking
from plastic.eprop import pattern as pattern_module  # the module: the command has its name
from plastic.eprop.evidence import evidence
from plastic.eprop.pattern import pattern
from plastic.eprop.store_recall import store_recall
from plastic.eprop.verification import verify

COMMANDS = {"pattern": pattern, "evidence": evidence, "store_recall": store_recall, "verify": verify}
DRAW = figures.draw

# trials of 80 and of 50 ms, with input enough that four neurons have something to learn from
DECISIONS = "--n_in=8 --n_regular=3 --n_adaptive=3 --n_batch=4 --input_f0=300 --tau_a=50 --learning_rate=0.02"
EVIDENCE = f"evidence {DECISIONS} --n_cues=3 --t_cue=15 --t_cue_spacing=20 --t_delay=5 --t_recall=15"
RECALL = f"store_recall {DECISIONS} --t_cue=20 --t_delay=10 --t_recall=20"
PATTERN = "pattern --n_in=10 --n_rec=8 --f0=200 --seq_len=60 --learning_rate=1e-3 --reg=10"
SHORT = "--n_iter=7 --validate_every=3 --stop_crit=0"
TASKS = {
    "pattern": f"{PATTERN} --n_iter=7 --print_every=3",
    "evidence": f"{EVIDENCE} {SHORT}",
    "store_recall": f"{RECALL} {SHORT}",
}
CLOCK = (0, 3, 6, 7)

EASY = f"{RECALL} --n_batch=8 --n_iter=100 --validate_every=5 --t_delay=0 --n_regular=4 --n_adaptive=4 --dtype=float64"
"""A task of 40 ms, which every rule solves within 50 iterations."""
EASY_EVIDENCE = (
    f"{EVIDENCE} --n_batch=16 --n_iter=100 --validate_every=5 --n_regular=4 --n_adaptive=4 --dtype=float64 "
    "--f_regularization_type=online --reg_f=0.1"
)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, request):
    in_an_empty_folder(tmp_path, monkeypatch, request, figures)


def split(*lines):
    """The words of some lines, as a shell would hand them over; an option given again replaces the earlier one."""
    words = {}
    for word in (word for line in lines for word in shlex.split(str(line))):
        name = word.partition("=")[0]
        if name.startswith("-"):  # --no_flag and --flag are one option
            name = re.sub("^-+(no_?)?(?=random_|stop_|gradient_|do_plot|eprop$)", "", name.replace("-", "_"))
        words[name.lstrip("-_")] = word
    return list(words.values())


def printed(*lines):
    """Run a command line in this process; return the lines that it printed."""
    return command_lines.printed(COMMANDS, split(*lines), "plastic.eprop")


def command(*lines):
    """Run a command line that trains; return the folder of the run, and the other lines that were printed."""
    return command_lines.trained(COMMANDS, split(*lines), "plastic.eprop")


def refused(*lines, code=2):
    """Run a command line that fails; return the one line of its error."""
    return command_lines.refused(COMMANDS, split(*lines), "plastic.eprop", code)


def parameters_of(folder):
    """The trained and the fixed parameters by name, without what else a checkpoint holds."""
    arrays, _ = runs.Run(folder).read_checkpoint()
    return {path.split("/")[1]: a for path, a in arrays.items() if path.startswith(("parameters/", "fixed/"))}


def assert_same_parameters(found, expected, atol=1e-9):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=atol, err_msg=name)


def drawer(folder):
    """Return draw(generator) -> trials, of the options of a run of decisions."""
    run = runs.Run(folder)
    names = {"batch": "n_batch", "n_in": "n_in", "cue_length": "t_cue", "delay": "t_delay", "recall_length": "t_recall",
             "f0": "input_f0"}  # fmt: skip
    if run.experiment == "evidence":
        names |= {"n_cues": "n_cues", "cue_spacing": "t_cue_spacing"}
    draw = getattr(inputs, run.experiment)
    return functools.partial(draw, **{name: run.options[option] for name, option in names.items()})


# training

RULES = {
    "BPTT": ("--no_eprop", "bptt"),
    "e-prop, symmetric": ("--eprop --feedback=symmetric", "eprop"),
    "e-prop, random": ("--eprop --feedback random", "eprop"),
    "e-prop, adaptive": ("--eprop --feedback=adaptive", "eprop"),
    "hardcoded, symmetric": ("--eprop --eprop_impl=hardcoded --feedback=symmetric", "online"),
    "hardcoded, random": ("-eprop -eprop_impl hardcoded -feedback random", "online"),
    "hardcoded, adaptive": ("--eprop --eprop-impl=hardcoded --feedback=adaptive", "online"),
}


@pytest.mark.parametrize("more", ["", "--seeds=4,1 --f_regularization_type=online --dtype=float64"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_every_rule_on_every_decision(task, rule, more):
    words, name = RULES[rule]
    folder, lines = command(TASKS[task], words, more)
    run, rows = runs.Run(folder), table(folder)
    seeds = [4, 1] if more else [1]
    metrics = "loss rate_penalty error validation_error confirmed_error reached".split()
    assert list(rows[0]) == ["step", "epoch", "replica", "seed", *metrics]
    clock = [(step, step, replica, seed) for step in CLOCK for replica, seed in enumerate(seeds)]
    assert [tuple(float(row[k]) for k in ("step", "epoch", "replica", "seed")) for row in rows] == clock
    for row in rows:
        assert 0 <= float(row["validation_error"]) <= 1 and (4 * float(row["validation_error"])).is_integer()
        assert (row["confirmed_error"], float(row["reached"])) == ("nan", -1)
        if row["step"] != "0":
            assert 0 < float(row["loss"]) < 3 and 0 < float(row["rate_penalty"]) < 10
            assert (4 * float(row["error"])).is_integer() and 0 <= float(row["error"]) <= 1
        else:  # nothing has been learned from yet
            assert row["loss"] == row["rate_penalty"] == row["error"] == "nan"
    assert run.config["status"] == "finished" and (run.family, run.experiment) == ("eprop", task)
    assert run.options["rule"] == name and run.options["tau_a"] == 50
    assert run.options.keys() - {"rule", "learning_signals"} == COMMANDS[task].__kwdefaults__.keys()
    assert_predictions_give_the_errors(folder, lines, seeds, rows)


def assert_predictions_give_the_errors(folder, lines, seeds, rows):
    """The errors of the last validation and of the test, from `plastic.load` and trials that are drawn again here."""
    options = runs.Run(folder).options
    xp.use(dtype=options["dtype"])
    draw, predict = drawer(folder), plastic.load(folder).predict
    assert len(lines) == len(seeds)
    for replica, seed in enumerate(seeds):

        def error(trials):
            y = predict(trials.x)
            assert y.shape == (*(len(seeds),) * (len(seeds) > 1), *trials.x.shape[:2], 2)
            assert type(y) is np.ndarray and y.dtype == options["dtype"]
            y = y[replica] if len(seeds) > 1 else y  # noqa: B023
            return np.mean(y[-options["t_recall"] :].mean(axis=0).argmax(axis=-1) != trials.labels)

        generator = xp.generator(seed)
        validation = [draw(generator.task) for _ in CLOCK][-1]
        assert float(rows[replica - len(seeds)]["validation_error"]) == pytest.approx(error(validation))
        test = 100 * np.mean([error(draw(generator.noise)) for _ in range(4)])
        assert lines[replica] == f"seed {seed}: goal not reached, test error {test:.2f} %"


PATTERNS = {
    "e-prop, random": ("", "eprop", "random"),
    "e-prop, symmetric": ("--norandom_feedback", "eprop", "symmetric"),
    "BPTT": ("--eprop_or_bptt bptt --nostop_z_gradients", "bptt", "symmetric"),
    "BPTT, spikes constant": ("--eprop_or_bptt=bptt", "eprop", "symmetric"),
}


@pytest.mark.parametrize("more", ["", "--seeds=2,5,1 --dtype=float64 --n_batch=2 --n_out=3", "--seq_len=20"])
@pytest.mark.parametrize("rule", PATTERNS)
def test_every_rule_on_patterns(rule, more):
    words, name, feedback = PATTERNS[rule]
    folder, lines = command(TASKS["pattern"], words, more)
    run, rows = runs.Run(folder), table(folder)
    seeds = [2, 5, 1] if "seeds" in more else [1]
    assert list(rows[0]) == "step epoch replica seed loss loss_reg rate".split()
    clock = [(step, step, replica, seed) for step in CLOCK for replica, seed in enumerate(seeds)]
    assert [tuple(float(row[k]) for k in ("step", "epoch", "replica", "seed")) for row in rows] == clock
    for row in rows:
        assert float(row["loss"]) > 0 and float(row["loss_reg"]) > 0 and 0 < float(row["rate"]) < 1000
    first, last = (np.mean(column(rows, "loss", step=step)) for step in (0, 7))
    assert lines == [f"loss {last:.4g} (at first {first:.4g})"] and first != last
    assert run.config["status"] == "finished" and (run.family, run.experiment) == ("eprop", "pattern")
    assert (run.options["rule"], run.options["learning_signals"]) == (name, feedback)
    assert run.options.keys() - {"rule", "learning_signals", "n_regular", "n_adaptive"} == pattern.__kwdefaults__.keys()
    assert ("B" in parameters_of(folder)) == (feedback == "random")


def test_patterns_learned_by_hand():
    """A loop of gradient descent on the published draws gives the metrics and the weights."""
    for words, rule, feedback in PATTERNS.values():
        folder, _ = command(TASKS["pattern"], words, "--dtype=float64 --seed=3 --n_batch=2 --seq_len=210")
        xp.use(dtype="float64")
        generator, kappa = xp.generator(3), np.exp(-1 / 30)
        W_in, W_rec, W_out = (
            generator.init.standard_normal(shape) / np.sqrt(shape[0]) for shape in ((10, 8), (8, 8), (8, 1))
        )
        B = generator.init.standard_normal((8, 1)) / np.sqrt(8) if feedback == "random" else None
        x, target = inputs.pattern(generator.data, 210, 2, 10, 1, 200.0)
        assert np.abs(target).max() == pytest.approx(1)
        neurons = plastic.eprop.Neurons(float(kappa), 0.03, gamma=0.3, gain=float(1 - kappa))
        network = plastic.eprop.SpikingNetwork(W_in, W_rec, W_out, neurons, float(kappa), float(1 - kappa))
        for number in range(8):
            record = simulate(network, x)
            if number in CLOCK:
                (row,) = (row for row in table(folder) if row["step"] == str(number))
                rates = record.z.mean(axis=(0, 1))
                assert float(row["loss"]) == pytest.approx(0.5 * np.sum((record.output - target) ** 2), rel=1e-9)
                assert float(row["loss_reg"]) == pytest.approx(0.5 * np.sum((rates - 0.01) ** 2), rel=1e-9)
                assert float(row["rate"]) == pytest.approx(1000 * rates.mean(), rel=1e-9)
            if number < 7:
                R = 10 * (rates_of(record) - 0.01) / (210 * 2)
                more = {"feedback": B} if rule == "eprop" else {}
                grads = getattr(rules, f"{rule}_gradients")(network, record, record.output - target, R, **more)
                for name in ("W_in", "W_rec", "W_out"):
                    array = getattr(network, name)
                    array -= 1e-3 * grads[name]
        found = parameters_of(folder)
        expected = {name: getattr(network, name, B) for name in found}
        assert_same_parameters(found, expected, atol=1e-12)


def rates_of(record):
    return record.z.mean(axis=(0, 1), keepdims=True)


@pytest.mark.parametrize("kind", ["simple", "online"])
@pytest.mark.parametrize("rule", ["BPTT", "e-prop, symmetric", "e-prop, random", "e-prop, adaptive"])
def test_decisions_learned_by_hand(rule, kind):
    """A loop of Adam on the published draws, fresh trials at every iteration, gives the metrics and the weights."""
    words, method = RULES[rule]
    feedback = "symmetric" if rule == "BPTT" else rule.split()[1]
    folder, _ = command(
        TASKS["evidence"], words, f"--f_regularization_type={kind} --reg_f=3 --reg_rate=20 --dtype=float64 --seed=6",
        "--readout_decay=0.1 --beta=40 --thr=0.5 --tau_v=15 --tau_out=10 --n_ref=3 --dampening_factor=0.4",
    )  # fmt: skip
    xp.use(dtype="float64")
    generator, draw = xp.generator(6), drawer(folder)
    init, limit = generator.init, np.sqrt(6 / 8)
    weights = {
        "W_in": init.standard_normal((8, 6)) / np.sqrt(8),
        "W_rec": init.standard_normal((6, 6)) / np.sqrt(6),
        "W_out": init.uniform(-limit, limit, (6, 2)),
    }
    if feedback != "symmetric":
        weights["B"] = init.standard_normal((6, 2)) / (1 if feedback == "random" else np.sqrt(6))
    alpha, rho, kappa = (float(np.exp(-1 / tau)) for tau in (15, 50, 10))
    beta = np.array([[0, 0, 0, 1, 1, 1]]) * 40 * (1 - rho) / (1 - alpha)
    neurons = plastic.eprop.Neurons(alpha, 0.5, rho, beta, 0.4, n_ref=3)
    parts = {name: array for name, array in weights.items() if name != "B"}
    network = plastic.eprop.SpikingNetwork(**parts, neurons=neurons, kappa=kappa, g_out=1 - kappa)
    more = {} if method == "bptt" else {"feedback": weights.get("B")}
    learned = [name for name in weights if (name, feedback) != ("B", "random")]
    m, v = ({name: np.zeros_like(weights[name]) for name in learned} for _ in range(2))
    penalise = {"simple": signals.rate_penalty, "online": signals.running_rate_penalty}[kind]
    for number in range(1, 8):
        trials = draw(generator.data)
        record = simulate(network, trials.x)
        loss, err = signals.classification(record.output, trials.labels, 15)
        penalty, R = penalise(record.z, 0.02, 3.0)
        grads = getattr(rules, f"{method}_gradients")(network, record, err, R, **more)
        for name in learned:
            g = grads["W_out" if name == "B" else name]
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g * g
            rate = 0.02 * np.sqrt(1 - 0.999**number) / (1 - 0.9**number)
            # Adam's first steps hardly depend on eps, outside or inside the correction
            weights[name] -= rate * m[name] / (np.sqrt(v[name]) + 1e-8 * np.sqrt(1 - 0.999**number))
            if feedback == "adaptive" and name in ("W_out", "B"):
                weights[name] *= 0.9
        if number in CLOCK:
            (row,) = (row for row in table(folder) if row["step"] == str(number))
            assert float(row["loss"]) == pytest.approx(loss, rel=1e-6)
            assert float(row["rate_penalty"]) == pytest.approx(penalty, rel=1e-6)
            wrong = record.output[-15:].mean(axis=0).argmax(axis=-1) != trials.labels
            assert float(row["error"]) == pytest.approx(wrong.mean())
    assert_same_parameters(parameters_of(folder), weights, atol=1e-6)


@pytest.mark.parametrize("kind", ["simple", "online"])
@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_hardcoded_equals_autodiff(task, feedback, kind):
    words = (TASKS[task], f"--eprop --feedback={feedback} --f_regularization_type={kind}", "--dtype=float64 --beta=40")
    (autodiff, shown), (hardcoded, other) = (command(*words, f"--eprop_impl={i}") for i in ("autodiff", "hardcoded"))
    assert shown == other
    assert_same_parameters(parameters_of(hardcoded), parameters_of(autodiff))
    for row, expected in zip(table(hardcoded), table(autodiff), strict=True):
        found, wanted = ([float(value) for value in each.values()] for each in (row, expected))
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_the_choices_of_rule_feedback_and_regulariser_differ():
    lines = {
        rule: kept(command(TASKS["evidence"], "--dtype=float64", words)[0])[0]
        for rule, (words, _) in RULES.items()
        if "hardcoded" not in rule
    }
    lines["online"] = kept(command(TASKS["evidence"], "--dtype=float64 --f_regularization_type=online")[0])[0]
    assert len(set(lines.values())) == len(lines)


def test_bptt_with_constant_spikes_is_symmetric_eprop():
    words = (TASKS["pattern"], "--seq_len=210")
    constant, symmetric, bptt, random_feedback = (
        kept(command(*words, more)[0])
        for more in ("--eprop_or_bptt=bptt", "--norandom_feedback", "--eprop_or_bptt=bptt --nostop_z_gradients", "")
    )
    assert constant == symmetric
    assert len({each[0] for each in (symmetric, bptt, random_feedback)}) == 3


@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_adaptive_feedback_and_readout_weights_become_one(task):
    """Both get the same changes, so that their difference shrinks by 1 - readout_decay at every iteration."""
    for decay in (0.01, 0.3):
        words = (TASKS[task], f"--eprop --feedback=adaptive --dtype=float64 --readout_decay={decay}")
        differences = []
        for iterations in (2, 8):
            trained = parameters_of(command(*words, f"--n_iter={iterations}")[0])
            differences.append(trained["W_out"] - trained["B"])
        assert np.abs(differences[0]).max() > 0.1
        np.testing.assert_allclose(differences[1], differences[0] * (1 - decay) ** 6, rtol=1e-9)


def test_initial_weights_as_published():
    """Scales of the draws; a random B is N(0, 1), drawn once and never changed; others share a seed's other weights."""
    still = f"{EVIDENCE} --eprop --n_iter=2 --learning_rate=1e-30 --n_regular=100 --n_adaptive=100 --n_in=40"
    drawn = {f: parameters_of(command(still, f"--feedback={f} --readout_decay=0")[0]) for f in
             ("symmetric", "random", "adaptive")}  # fmt: skip
    for feedback, scale in (("random", 1.0), ("adaptive", 200**-0.5)):
        assert drawn[feedback]["B"].std() == pytest.approx(scale, rel=0.25)
    assert "B" not in drawn["symmetric"]
    for weights in drawn.values():
        assert weights["W_in"].std() == pytest.approx(40**-0.5, rel=0.06)
        assert weights["W_rec"].std() == pytest.approx(200**-0.5, rel=0.03)
        limit = np.sqrt(6 / 202)
        assert 0.95 * limit < np.abs(weights["W_out"]).max() < limit
        for name in ("W_in", "W_rec", "W_out"):
            np.testing.assert_array_equal(weights[name], drawn["symmetric"][name])
    runs_of = [parameters_of(command(TASKS["store_recall"], f"--n_iter={n}")[0]) for n in (1, 7)]
    np.testing.assert_array_equal(runs_of[0]["B"], runs_of[1]["B"])
    assert np.abs(runs_of[0]["W_out"] - runs_of[1]["W_out"]).max() > 1e-3


CHANGES = (
    "--stop_crit=0.9", "--validate_every=2", "--eprop", "--feedback=random", "--f_regularization_type=online",
    "--learning_rate=0.01", "--n_batch=5", "--tau_a=100", "--thr=0.5", "--tau_v=10", "--tau_out=10", "--reg_f=2",
    "--reg_rate=20", "--n_ref=2", "--dampening_factor=0.5", "--beta=1", "--n_in=12", "--n_regular=2", "--n_adaptive=2",
    "--t_cue=10", "--t_delay=6", "--t_recall=10", "--input_f0=200", "--seed=2", "--n_iter=6",
)  # fmt: skip


@pytest.mark.parametrize("word", [*CHANGES, "--n_cues=1", "--t_cue_spacing=30", "--feedback=adaptive"])
def test_every_option_of_decisions_takes_effect(word):
    more = "--eprop" if "feedback" in word else ""
    first, second = (command(TASKS["evidence"], "--beta=40 --dtype=float64", more, each)[0] for each in ("", word))
    assert kept(first)[0] != kept(second)[0]


@pytest.mark.parametrize(
    "word",
    ["--n_batch=2", "--n_out=2", "--n_in=11", "--n_rec=7", "--f0=100", "--reg_rate=20", "--n_iter=6", "--seq_len=230",
     "--print_every=2", "--dampening_factor=0.5", "--learning_rate=1e-4", "--reg=20", "--thr=0.02", "--seed=2",
     "--norandom_feedback", "--eprop_or_bptt=bptt"],
)  # fmt: skip
def test_every_option_of_patterns_takes_effect(word):
    first, second = (command(TASKS["pattern"], "--seq_len=210 --dtype=float64", each)[0] for each in ("", word))
    assert kept(first)[0] != kept(second)[0]


@pytest.mark.parametrize("reg", [0, 10])
def test_the_regulariser_is_shown_without_its_strength(reg):
    """loss_reg is half the summed squares of rate - reg_rate, whether or not it counts."""
    folder, _ = command(TASKS["pattern"], f"--reg={reg} --reg_rate=50 --n_rec=1 --dtype=float64")
    for row in table(folder):
        expected = 0.5 * (float(row["rate"]) / 1000 - 0.05) ** 2
        assert float(row["loss_reg"]) == pytest.approx(expected, rel=1e-9)


# the gradient check


def broken(rule):
    """Yield ways to break a rule."""
    yield lambda *a, **b: {k: None if v is None else 1.01 * v for k, v in rule(*a, **b).items()}
    yield lambda network, record, err, R, feedback: rule(network, record, err, feedback=feedback)  # no regulariser
    yield lambda *a, **b: rule(*a, **b) | {"W_rec": rule(*a, **b)["W_rec"] * np.nan}


@pytest.mark.parametrize("words", ["", "--seq_len=20 --seeds=1,2", "--norandom_feedback --reg=0",
                                   "--eprop_or_bptt=bptt --nostop_z_gradients --n_batch=3"])  # fmt: skip
def test_the_gradient_check_passes_on_a_sound_network(monkeypatch, words):
    calls, check = [], pattern_module.Task.check_gradient
    monkeypatch.setattr(pattern_module.Task, "check_gradient", lambda task: (calls.append(task), check(task)))
    for length, more, times in ((20, "", 1), (3, "", 2), (21, "", 2), (20, "--nogradient_check", 2)):
        command(TASKS["pattern"], words, f"--seq_len={length} --f0=400", more)
        assert len(calls) == times


def test_the_gradient_check_allows_for_the_rounding_of_large_gradients():
    """The two forms differ by 1e-5 of the largest entry, in float32: a sound rule, however strong the regulariser."""
    command("pattern --seq_len=20 --reg=30000 --n_iter=1 --learning_rate=1e-9")


@pytest.mark.parametrize("way", [0, 1, 2])
def test_the_gradient_check_stops_a_run_with_a_broken_rule(monkeypatch, tmp_path, way):
    words = (TASKS["pattern"], "--seq_len=20 --f0=400 --reg=300")
    rule = list(broken(rules.online_gradients))[way]
    monkeypatch.setattr(rules, "online_gradients", rule)
    message = refused(*words)
    assert "gradient_check" in message and "W_" in message
    assert list(tmp_path.iterdir()) == []
    for more in ("--no_gradient_check", "--seq_len=21"):
        command(*words, more)


# learning


@pytest.mark.parametrize(
    "words",
    ["", "--norandom_feedback", "--eprop_or_bptt=bptt --nostop_z_gradients", "--seeds=1,2,3 --dtype=float64"],
)
def test_patterns_are_learned(words):
    line = "pattern --n_in=20 --n_rec=20 --seq_len=200 --n_iter=200 --print_every=100 --learning_rate=2e-3 --reg=10"
    rows = table(command(line, words)[0])
    for seed in {row["seed"] for row in rows}:
        first, _, last = column(rows, "loss", seed=seed)
        assert last < 0.5 * first, seed


@pytest.mark.parametrize("rule", [rule for rule in RULES if "hardcoded, r" in rule or "hard" not in rule])
def test_one_bit_is_stored_and_recalled(rule):
    folder, lines = command(EASY, "--seeds=1,2,3", RULES[rule][0])
    rows = table(folder)
    assert all(0 < last <= 50 for last in column(rows, "reached")[-3:])
    for line, reached in zip(lines, column(rows, "reached")[-3:], strict=True):
        error = re.fullmatch(r"seed [123]: goal reached at iteration (\d+), test error ([\d.]+) %", line)
        assert int(error[1]) == reached and float(error[2]) < 15  # chance is 50 %


@pytest.mark.parametrize("rule", ["BPTT", "e-prop, random"])
def test_evidence_is_accumulated(rule):
    folder, _ = command(EASY_EVIDENCE, RULES[rule][0], "--dtype=float32")
    assert 0 < column(table(folder), "reached")[-1] < 100
    assert column(table(folder), "confirmed_error")[-1] < 0.07 and column(table(folder), "validation_error")[0] > 0.2


# the goal


def scripted(monkeypatch, errors):
    """Let the errors of validation and confirmation be those of a script, and note what was asked for.

    errors: {seed: {iteration: (validation error, confirmed error)}}; (1, 1) where there is nothing.
    """
    asked = []

    def error(task, replica, trials, batches):
        seed = task.seeds[replica]
        if trials is task.tests[replica]:
            asked.append((seed, "test", batches))
            return 0.25
        asked.append((seed, task.number, batches))
        return errors[seed].get(task.number, (1.0, 1.0))[batches > 1]

    monkeypatch.setattr(decisions.Task, "_error", error)
    return asked


def test_training_ends_where_the_error_of_a_new_batch_and_of_eight_more_is_under_the_criterion(monkeypatch):
    errors = {1: {3: (0.04, 0.06), 6: (0.05, 0.0), 9: (0.0, 0.05), 12: (0.049, 0.049), 15: (0.0, 0.0)}}
    asked = scripted(monkeypatch, errors)
    folder, lines = command(TASKS["store_recall"], "--n_iter=30 --stop_crit=0.05")
    assert lines == ["seed 1: goal reached at iteration 12, test error 25.00 %"]
    assert asked == [(1, 0, 1), (1, 3, 1), (1, 3, 8), (1, 4, 8), (1, 5, 8), (1, 6, 1), (1, 9, 1), (1, 9, 8), (1, 10, 8),
                     (1, 11, 8), (1, 12, 1), (1, 12, 8), (1, "test", 4)]  # fmt: skip
    rows = table(folder)
    assert column(rows, "step") == [0, 3, 6, 9, 12] and column(rows, "reached") == [-1, -1, -1, -1, 12]
    assert column(rows, "validation_error") == [1, 0.04, 0.05, 0, 0.049]
    np.testing.assert_allclose(column(rows, "confirmed_error"), [np.nan, 0.06, 1, 0.05, 0.049], rtol=1e-6)
    before = kept(folder)
    assert command(f"store_recall --resume={folder}") == (folder, lines)
    assert kept(folder) == before


def test_the_goal_can_be_reached_between_two_validations(monkeypatch):
    """As long as the last validation error is under the criterion, eight batches are tried in every iteration."""
    asked = scripted(monkeypatch, {1: {3: (0.04, 0.06), 5: (1.0, 0.0)}})
    folder, lines = command(TASKS["store_recall"], "--n_iter=30 --stop_crit=0.05")
    assert lines == ["seed 1: goal reached at iteration 5, test error 25.00 %"]
    assert asked == [(1, 0, 1), (1, 3, 1), (1, 3, 8), (1, 4, 8), (1, 5, 8), (1, "test", 4)]
    assert column(table(folder), "step") == [0, 3, 6] and column(table(folder), "reached") == [-1, -1, 5]
    at_five, _ = command(TASKS["store_recall"], "--n_iter=5 --stop_crit=0")
    assert_same_parameters(parameters_of(folder), parameters_of(at_five), atol=0)


@pytest.mark.parametrize("rule", RULES)
def test_a_seed_at_its_goal_keeps_its_weights_while_others_go_on(monkeypatch, rule):
    """To the bit, as does its feedback; it is not validated any more."""
    asked = scripted(monkeypatch, {5: {6: (0, 0)}, 8: {15: (0, 0)}, 2: {9: (0, 0)}})
    step, history = decisions.Task.step, []

    def spy(task, stimuli, number):
        loss = step(task, stimuli, number)
        history.append({name: np.copy(array) for name, array in task.parameters.items()})
        return loss

    monkeypatch.setattr(decisions.Task, "step", spy)
    line = f"{TASKS['evidence']} --n_iter=30 --stop_crit=0.05 --seeds=5,8,2"
    folder, lines = command(line, RULES[rule][0])
    assert lines == [
        f"seed {s}: goal reached at iteration {n}, test error 25.00 %" for s, n in ((5, 6), (8, 15), (2, 9))
    ]
    rows = table(folder)
    assert column(rows, "step")[-1] == 15
    for replica, (seed, goal) in enumerate(((5, 6), (8, 15), (2, 9))):
        assert column(rows, "reached", seed=seed) == [-1 if s < goal else goal for s in (0, 3, 6, 9, 12, 15)]
        errors = column(rows, "validation_error", seed=seed)
        np.testing.assert_array_equal(errors, [1] * (goal // 3) + [0] + [np.nan] * (5 - goal // 3))
        assert [number for s, number, batches in asked if (s, batches) == (seed, 1)] == list(range(0, goal + 1, 3))
        for number in range(2, 16):
            for name in history[0]:
                moved = history[number - 1][name][replica] - history[number - 2][name][replica]
                assert (np.abs(moved).max() > 0) == (number <= goal), (seed, number, name)
        for name in history[0]:
            np.testing.assert_array_equal(parameters_of(folder)[name][replica], history[goal - 1][name][replica])


@pytest.mark.parametrize(
    "rule", ["BPTT", "e-prop, random", "e-prop, symmetric", "e-prop, adaptive", "hardcoded, random"]
)
def test_three_seeds_in_one_run_equal_three_runs(rule):
    """Rows, goals, test errors and weights, though each reaches its goal at another iteration."""
    for line in (EASY, EASY_EVIDENCE):
        together, lines = command(line, "--seeds=1,2,3", RULES[rule][0])
        rows, found = table(together), parameters_of(together)
        goals = []
        for replica, seed in enumerate((1, 2, 3)):
            alone, shown = command(line, f"--seed={seed}", RULES[rule][0])
            assert shown == [lines[replica]]
            expected = table(alone)
            goals.append(expected[-1]["reached"])
            assert 0 <= float(expected[-1]["step"]) - float(goals[-1]) < 5  # it rests until the next validation
            for row, other in zip((row for row in rows if row["seed"] == str(seed)), expected, strict=False):
                for name in row.keys() - {"replica"}:
                    assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-9, nan_ok=True), (seed, name)
            assert rows[replica - 3]["reached"] == expected[-1]["reached"]
            weights = parameters_of(alone)
            assert_same_parameters({name: array[replica] for name, array in found.items()}, weights)
        assert len(set(goals)) > 1  # or nothing would have rested


def test_three_patterns_in_one_run_equal_three_runs():
    for words, _, _ in PATTERNS.values():
        line = (TASKS["pattern"], "--dtype=float64 --seq_len=210 --n_batch=2", words)
        together, _ = command(*line, "--seeds=3,1,7")
        rows, found = table(together), parameters_of(together)
        for replica, seed in enumerate((3, 1, 7)):
            alone, _ = command(*line, f"--seed={seed}")
            for row, other in zip(rows[replica::3], table(alone), strict=True):
                for name in row.keys() - {"replica"}:
                    assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-9)
            assert_same_parameters({name: array[replica] for name, array in found.items()}, parameters_of(alone))


def test_no_goal_is_reached_before_the_first_iteration(monkeypatch):
    """What is not trained has not learned: alone or with others, a seed that decides well by chance goes on."""
    scripted(monkeypatch, {1: {0: (0, 0)}, 2: {6: (0, 0)}})
    line = f"{TASKS['store_recall']} --stop_crit=0.05"
    alone, (shown,) = command(line)
    assert shown.startswith("seed 1: goal not reached,")
    together, lines = command(line, "--seeds=1,2")
    assert lines[0] == shown
    found = {name: array[0] for name, array in parameters_of(together).items()}
    assert_same_parameters(parameters_of(alone), found, atol=1e-6)


def test_validation_draws_new_trials_every_time():
    """One batch at each validation and eight more where the goal seemed near, from a generator of their own."""
    folder, _ = command(EASY, "--seed=1 --no_eprop --feedback=symmetric")
    rows, draw = table(folder), drawer(folder)
    confirmed = [row for row in rows if row["confirmed_error"] != "nan"]
    assert len(rows) > 2 and confirmed and confirmed[-1] == rows[-1]
    _, counters = runs.Run(folder).read_checkpoint()
    for purpose, batches, state in (
        ("task", len(rows) + 8 * len(confirmed), counters["source"]["validation"][0]),
        ("data", int(rows[-1]["step"]), counters["source"]["training"]),
    ):
        generator = getattr(xp.generator(1), purpose)
        for _ in range(batches):
            draw(generator)
        assert state["generators"] == [generator.bit_generator.state]


# the folder


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize(
    "words", ["", "--seeds=1,2", "--n_regular=0", "--n_adaptive=0 --no_eprop --feedback=symmetric"]
)
@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_the_folder_of_decisions(task, words):
    folder, _ = command(TASKS[task], "--n_iter=3 --n_regular=4", words)
    assert_figures(folder, task)
    arrays, options = runs.Run(folder).arrays(), runs.Run(folder).options
    n, T = options["n_regular"] + options["n_adaptive"], 80 if task == "evidence" else 50
    series = {f"synapse/{name}": (T,) for name in ("eps_v", "eps_a", "ebar", "psi", "L")}
    shapes = series | {"x": (T, 8), "z": (T, n), "y": (T, 2), "L": (T, n), "probability": (T, 2)}
    assert {k: v.shape for k, v in arrays.items()} == shapes | {"synapse/neurons": (2,), "n_regular": ()}
    assert arrays["n_regular"] == options["n_regular"]
    np.testing.assert_allclose(arrays["probability"].sum(axis=1), 1, rtol=1e-5)
    pre, post = arrays["synapse/neurons"]
    assert 0 <= pre < n and (options["n_regular"] if options["n_adaptive"] else 0) <= post < n
    np.testing.assert_array_equal(arrays["synapse/L"], arrays["L"][:, post])
    assert (np.abs(arrays["L"]).max(axis=1) > 0).tolist() == [t >= T - options["t_recall"] for t in range(T)]
    # eps_v^t = alpha eps_v^{t-1} + z_pre^{t-1}
    expected = [0.0]
    for spike in arrays["z"][:-1, pre]:
        expected.append(np.exp(-1 / 20) * expected[-1] + spike)
    np.testing.assert_allclose(arrays["synapse/eps_v"], expected, rtol=1e-4, atol=1e-6)
    # the trial is a new one: the fifth batch of the test generator, whose readout the network gives again
    generator = xp.generator(1).noise
    x = [drawer(folder)(generator).x[:, :1] for _ in range(5)][-1]
    np.testing.assert_array_equal(arrays["x"], x[:, 0])
    y = plastic.load(folder).predict(x)
    np.testing.assert_allclose(arrays["y"], (y[0] if "seeds" in words else y)[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("words", ["", "--seeds=4,5 --n_out=2", "--n_batch=2 --seq_len=210 --eprop_or_bptt=bptt"])
def test_the_folder_of_patterns(words):
    folder, _ = command(TASKS["pattern"], words)
    assert_figures(folder, "pattern")
    arrays, options = runs.Run(folder).arrays(), runs.Run(folder).options
    T, n_out = options["seq_len"], options["n_out"]
    series = {f"synapse/{name}": (T,) for name in ("eps_v", "eps_a", "ebar", "psi", "L")}
    shapes = series | {"x": (T, 10), "z": (T, 8), "y": (T, n_out), "L": (T, 8), "target": (T, n_out)}
    assert {k: v.shape for k, v in arrays.items()} == shapes | {"synapse/neurons": (2,)}
    x, target = inputs.pattern(xp.generator(4 if "seeds" in words else 1).data, T, options["n_batch"], 10, n_out, 200.0)
    np.testing.assert_array_equal(arrays["x"], x[:, 0])
    np.testing.assert_allclose(arrays["target"], target[:, 0], atol=1e-6)
    y = plastic.load(folder).predict(x)
    np.testing.assert_allclose(arrays["y"], (y[0] if "seeds" in words else y)[:, 0], rtol=1e-4, atol=1e-6)
    weights = parameters_of(folder)
    B = weights.get("B", weights["W_out"])
    L = (arrays["y"] - arrays["target"]) @ (B[0] if "seeds" in words else B).T
    np.testing.assert_allclose(arrays["L"], L, rtol=1e-3, atol=1e-5)


def assert_figures(folder, task):
    assert folder.parent == pathlib.Path("results/eprop") and folder.name.startswith(f"{task}-")
    png = {"learning.png", "trial.png", "synapse.png"}
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", *png}
    for name in png:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        image = matplotlib.image.imread(folder / name)
        assert min(image.shape[:2]) > 200 and image.min() < 0.5 < image.max(), name  # not one colour


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("task", TASKS)
def test_no_figures_where_none_are_wanted(task):
    folder, _ = command(TASKS[task], "--nodo_plot")
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.json", "metrics.csv", "checkpoint.h5", "arrays.h5"
    }  # fmt: skip


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize(
    "line",
    [f"{TASKS['pattern']} --thr=1e4", f"{TASKS['pattern']} --n_rec=1", f"{TASKS['pattern']} --seq_len=1 --f0=1000",
     f"{TASKS['evidence']} --thr=1e4", f"{TASKS['evidence']} --n_regular=1 --n_adaptive=0", f"{EASY} --n_iter=50",
     f"{EASY} --n_iter=50 --seeds=1,2,3"],
)  # fmt: skip
def test_runs_at_the_edge_are_drawn(line):
    """Neurons that never spike, one neuron, one step, and a goal that was reached."""
    assert_figures(command(line)[0], line.split()[0])


def test_the_same_options_run_again_beside_the_first():
    for line in TASKS.values():
        first, _ = command(line)
        before = kept(first)
        second, _ = command(line)
        assert second.name == f"{first.name}-2"
        assert kept(second) == before == kept(first)


@pytest.mark.parametrize("task", TASKS)
def test_seeds_govern_everything(task):
    """The draws of the input too, and whatever other draws were made before."""
    runs_of = []
    for seed in (1, 1, 2):
        np.random.seed(len(runs_of))  # the global generator has no say
        folder, lines = command(TASKS[task], f"--seed={seed} --dtype=float64")
        runs_of.append((kept(folder), lines, runs.Run(folder).arrays()))
    (first, shown, arrays), (again, same, equal), (other, _, others) = runs_of
    assert first == again and shown == same and first[0] != other[0]
    assert arrays.keys() == equal.keys() and all(np.array_equal(arrays[k], equal[k]) for k in arrays)
    assert not np.array_equal(arrays["x"], others["x"])
    for purpose, path in (("training", "training"), ("validation", "validation")) if task != "pattern" else ():
        states = [json.dumps(json.loads(each[2])["source"][path]) for each in (first, other)]
        assert states[0] != states[1], purpose


# --resume

DISTURBED = {
    "pattern": (TASKS["pattern"], "--seeds=1,2 --seq_len=210"),
    "evidence": (TASKS["evidence"], "--seeds=4,5 --eprop --feedback=adaptive --f_regularization_type=online"),
    "store_recall": (TASKS["store_recall"], "--dtype=float64 --stop_crit=0.6"),
    "hardcoded": (TASKS["evidence"], "--eprop --eprop_impl=hardcoded --feedback=random --stop_crit=0.6 --seeds=1,2,3"),
}


@pytest.mark.parametrize("words", ["", "--seeds=1,2", "--dtype=float64"])
@pytest.mark.parametrize("task", TASKS)
def test_the_folder_is_enough_to_go_on(task, words):
    folder, lines = command(TASKS[task], words)
    before, options = kept(folder), runs.Run(folder).options
    assert command(f"{task} --resume={folder}") == (folder, lines)
    assert command(TASKS[task], words, f"--resume={folder} --threads=1 --device=cpu") == (folder, lines)
    assert kept(folder) == before and runs.Run(folder).options == options
    assert runs.Run(folder).config["status"] == "finished"


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", DISTURBED)
@pytest.mark.parametrize("end", ["killed", "interrupted"])
@pytest.mark.parametrize("moment", [1, 3, 5, 7])
def test_a_run_that_ends_at_any_step_goes_on_to_the_bit(monkeypatch, name, end, moment):
    """Killed, it goes on from the last validation; after Ctrl-C, from the step in progress."""
    undisturbed, lines = command(*DISTURBED[name])
    task = pattern_module.Task if name == "pattern" else decisions.Task
    step = task.step
    if moment > runs.Run(undisturbed).read_checkpoint()[1]["step"]:
        return  # the goal was reached before

    def disturbed(task, batch, number):
        if number == moment and end == "killed":
            raise Killed
        if number == moment:
            signal.raise_signal(signal.SIGINT)
        return step(task, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(task, "step", disturbed)
        last = runs.Run(undisturbed).read_checkpoint()[1]["step"]
        if end == "killed":
            with pytest.raises(Killed):
                command(*DISTURBED[name], "--results=other")
        elif moment < last:
            assert "--resume=" in refused(*DISTURBED[name], "--results=other", code=130)
        else:
            command(*DISTURBED[name], "--results=other")  # there was nothing left to interrupt
    folder = pathlib.Path("other/eprop", undisturbed.name)
    counters = runs.Run(folder).read_checkpoint()[1]
    assert counters["step"] == (moment if end == "interrupted" else (moment - 1) // 3 * 3)
    assert command(f"{undisturbed.name.partition('-')[0]} --resume={folder}") == (folder, lines)
    assert kept(folder) == kept(undisturbed)
    arrays, expected = runs.Run(folder).arrays(), runs.Run(undisturbed).arrays()
    assert all(np.array_equal(arrays[k], expected[k]) for k in arrays.keys() | expected.keys())
    assert runs.Run(folder).config["status"] == "finished"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run of each command, by name."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda folder: None)
        return {task: command(line, f"--results={place}")[0] for task, line in TASKS.items()}


@pytest.mark.parametrize(
    "word",
    ["--n_iter=8", "--n_batch=5", "--learning_rate=0.1", "--stop_crit=0.1", "--validate_every=2", "--print_every=2",
     "--eprop", "--eprop_impl=hardcoded", "--feedback=random", "--readout_decay=0.1", "--f_regularization_type=online",
     "--tau_a=100", "--thr=0.5", "--tau_v=10", "--tau_out=10", "--reg_f=2", "--reg_rate=11", "--n_ref=2",
     "--dampening_factor=0.2", "--beta=2", "--n_in=4", "--n_regular=2", "--n_adaptive=4", "--n_cues=5", "--t_cue=10",
     "--t_cue_spacing=30", "--t_delay=6", "--t_recall=14", "--input_f0=30", "--no_do_plot", "--device_placement",
     "--seed=2", "--seeds=1,2", "--dtype=float64"],
)  # fmt: skip
def test_a_resumed_run_keeps_its_options(finished, word):
    folder = finished["evidence"]
    before, config = kept(folder), (folder / "config.json").read_bytes()
    message = refused(f"evidence --resume={folder}", word)
    assert word[2:].removeprefix("no_").partition("=")[0] in message
    assert kept(folder) == before and (folder / "config.json").read_bytes() == config


@pytest.mark.parametrize("word", ["--seq_len=70", "--norandom_feedback", "--eprop_or_bptt=bptt", "--nostop_z_gradients",
                                  "--nogradient_check", "--n_rec=9", "--f0=10", "--reg=1", "--n_out=2"])  # fmt: skip
def test_a_resumed_pattern_keeps_its_options(finished, word):
    folder = finished["pattern"]
    before, config = kept(folder), (folder / "config.json").read_bytes()
    message = refused(f"pattern --resume={folder}", word)
    assert re.sub("^--(no)?", "", word).partition("=")[0] in message
    assert kept(folder) == before and (folder / "config.json").read_bytes() == config


@pytest.mark.parametrize("task", TASKS)
def test_a_run_of_something_else_is_not_resumed(finished, task):
    with runs.Run.create("results", "gait", task, {"seed": 1}) as run:
        pass
    assert str(run.folder) in refused(f"{task} --resume={run.folder}")
    for other, folder in finished.items():
        if other != task:
            before = {path.name: path.read_bytes() for path in folder.iterdir()}
            message = refused(f"{task} --resume={folder}")
            assert str(folder) in message and other in message
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def python(*lines, **variables):
    """Start a Python process in the present folder, which sees this checkout."""
    root = pathlib.Path(plastic.__file__).parents[1]
    variables = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "error"} | variables
    words = [word for line in lines for word in shlex.split(str(line))]
    return subprocess.Popen(
        [sys.executable, *words], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


LONG = {
    "pattern": f"{PATTERN} --n_iter=300 --print_every=7 --seeds=1,2 --nodo_plot --seq_len=30",
    "store_recall": f"{RECALL} --n_iter=150 --validate_every=7 --seeds=1,2 --stop_crit=0.01 --nodo_plot "
    "--feedback=adaptive --n_batch=20",
}


@pytest.mark.parametrize("task", LONG)
def test_runs_killed_at_any_moment_go_on_to_the_bit(task):
    """SIGKILL at random times of the real command."""
    undisturbed, lines = command(LONG[task])
    chance = random.Random(1)
    words = f"-m plastic.eprop {' '.join(split(LONG[task]))} --results=killed"
    folder = pathlib.Path("killed/eprop") / undisturbed.name
    killed = []
    for _ in range(3):
        with python(words) as process:
            moved = _stamp(folder / "checkpoint.h5")
            while process.poll() is None and _stamp(folder / "checkpoint.h5") == moved:
                time.sleep(0.001)
            time.sleep(0.1 * chance.random())
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), errors  # a slow moment of this process lets the run finish
        killed.append(process.returncode)
        words = f"-m plastic.eprop {task} --resume={folder}"
    assert command(f"{task} --resume={folder}") == (folder, lines)
    assert kept(folder) == kept(undisturbed)


def _stamp(path):
    return path.stat().st_mtime_ns if path.exists() else None


# divergence


@pytest.mark.parametrize("words", ["", "--seeds=1,2"])
@pytest.mark.parametrize("task", TASKS)
def test_a_run_that_diverges_says_what_to_try(task, words):
    message = refused(TASKS[task], words, "--learning_rate=1e38")
    (folder,) = pathlib.Path("results/eprop").iterdir()
    assert re.search(r"diverged at step \d+: .*learning_rate", message) and str(folder) in message
    assert runs.Run(folder).config["status"] == "diverged"
    assert all(np.isfinite(array).all() for array in parameters_of(folder).values())


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_that_diverges_leaves_the_others_alone(monkeypatch, task):
    """Neither rows nor weights of the others change; the first seed, which figures show, is the one that diverged."""
    undisturbed, lines = command(TASKS[task], "--seeds=5,6")
    module = pattern_module if task == "pattern" else decisions
    step = module.Task.step

    def poison(task, batch, number):
        if number == 4:
            for leaf in task.parameters.values():
                leaf[0] = np.nan
        return step(task, batch, number)

    monkeypatch.setattr(module.Task, "step", poison)
    folder, found = command(TASKS[task], "--seeds=5,6 --results=other")
    DRAW(folder)
    expected = [row for row in table(undisturbed) if row["seed"] == "6" or int(row["step"]) <= 3]
    assert table(folder) == expected
    assert found[-1] == lines[-1] or task == "pattern"
    config = runs.Run(folder).config
    assert config["status"] == "finished" and config["details"]["diverged"] == {"0": 4}
    assert all(np.isfinite(array).all() for array in parameters_of(folder).values())
    for name, array in parameters_of(undisturbed).items():
        np.testing.assert_array_equal(parameters_of(folder)[name][1], array[1])


def test_a_seed_that_diverged_does_not_keep_the_others_from_ending(monkeypatch):
    asked = scripted(monkeypatch, {5: {}, 6: {6: (0, 0)}})
    step = decisions.Task.step

    def poison(task, batch, number):
        if number >= 2:
            task.parameters["W_out"][0] = np.nan
        return step(task, batch, number)

    monkeypatch.setattr(decisions.Task, "step", poison)
    folder, lines = command(TASKS["store_recall"], "--n_iter=30 --stop_crit=0.05 --seeds=5,6")
    assert runs.Run(folder).config["details"]["diverged"] == {"0": 2}
    assert lines[1] == "seed 6: goal reached at iteration 6, test error 25.00 %"
    assert column(table(folder), "step")[-1] == 6, "training went on with no seed left to train"
    assert (6, "test", 4) in asked


# verify

KINDS = ("factorization_vs_BPTT", "hardcoded_vs_autodiff")


@pytest.mark.parametrize("words, seeds", [("", "12345"), ("--dtype=float32", "12345"), ("--seeds=7,3", "73")])
@pytest.mark.parametrize("which", KINDS)
def test_verify(which, words, seeds):
    lines = printed(f"verify {which}", words)
    limit = "0.0001" if "float32" in words else "1e-12"
    assert lines[-1] == f"{which}: all within {limit}" and len(lines) == len(seeds) + 1
    for line, seed in zip(lines, seeds, strict=False):
        found = re.fullmatch(rf"seed {seed}: relative differences W_in (\S+), W_rec (\S+)", line)
        assert all(0 <= float(value) <= float(limit) for value in found.groups())
        if "float32" in words:  # the precision is the one asked for
            assert max(float(value) for value in found.groups()) > 1e-9
    assert printed(f"verify --which={which}", words) == lines


@pytest.mark.parametrize("words", ["--tolerance=0", "--tolerance=0 --dtype=float32"])
@pytest.mark.parametrize("which", KINDS)
def test_verify_fails_beyond_the_tolerance(which, words):
    message = refused(f"verify {which}", words)
    assert which in message and "tolerance" in message
    assert list(pathlib.Path().iterdir()) == []


BREAKS = {
    "1 %": lambda G: {k: None if v is None else 1.01 * v for k, v in G.items()},
    "one entry of W_in": lambda G: G | {"W_in": G["W_in"] + 1e-3 * np.eye(*G["W_in"].shape) * np.abs(G["W_in"]).max()},
    "W_rec": lambda G: G | {"W_rec": G["W_rec"] * (1 + 1e-3)},
    "NaN": lambda G: G | {"W_in": G["W_in"] * np.nan},
}


@pytest.mark.parametrize("way", BREAKS)
@pytest.mark.parametrize("which", KINDS)
def test_verify_finds_a_broken_rule(monkeypatch, which, way):
    module, name = (spiking, "factorised_gradients") if which == KINDS[0] else (rules, "online_gradients")
    rule = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a: BREAKS[way](rule(*a)))
    for words in ("", "--dtype=float32", "--seeds=4"):
        assert which in refused(f"verify {which}", words)


def test_verify_finds_a_broken_simulation_of_one_seed(monkeypatch):
    """One seed of many is enough to fail."""
    rule, calls = rules.online_gradients, []

    def third(*arguments):
        G = rule(*arguments)
        calls.append(1)
        return G | {"W_rec": G["W_rec"] * 1.1} if len(calls) == 3 else G

    monkeypatch.setattr(rules, "online_gradients", third)
    assert "tolerance" in refused("verify hardcoded_vs_autodiff --seeds=1,2,3,4,5,6,7,8")


def test_verify_in_float64_needs_float64():
    assert "tolerance" in refused("verify factorization_vs_BPTT --dtype=float32 --tolerance=1e-12")


# lines of the published code and of processes

PUBLISHED = {
    "verify factorization_vs_BPTT": ("verify", {"which": "factorization_vs_BPTT"}),
    "verify hardcoded_vs_autodiff": ("verify", {"which": "hardcoded_vs_autodiff"}),
    "pattern": ("pattern", {}),
    "evidence": ("evidence", {}),
    "evidence -feedback random -eprop -eprop_impl hardcoded -n_batch 32": (
        "evidence",
        {"feedback": "random", "eprop": True, "eprop_impl": "hardcoded", "n_batch": 32},
    ),
}


@pytest.mark.parametrize("line", PUBLISHED)
def test_a_published_line_parses_and_runs(line):
    name, values = PUBLISHED[line]
    words = line.split()
    assert words[0] == name and cli.parse(COMMANDS[name], words[1:]) == values
    if name == "verify":
        assert printed(line)[-1].endswith("all within 1e-12")
        return
    # its defaults are the published ones, so only sizes are cut down
    sizes = PATTERN if name == "pattern" else EVIDENCE.replace("--n_batch=4 ", "")
    cut = [*sizes.split()[1:], "--n_iter=2"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        cli.run(COMMANDS, words + cut, prog="plastic.eprop")
    run = runs.Run(shown.getvalue().splitlines()[-1].removeprefix("run folder "))
    assert run.config["status"] == "finished" and all(run.options[k] == v for k, v in values.items())


def test_the_defaults_are_the_published_ones():
    published = {
        "pattern": {
            "n_batch": 1, "n_out": 1, "n_in": 100, "n_rec": 100, "f0": 50, "reg_rate": 10, "n_iter": 2000,
            "seq_len": 1000, "print_every": 10, "dampening_factor": 0.3, "learning_rate": 1e-4, "reg": 300, "dt": 1,
            "thr": 0.03, "do_plot": True, "random_feedback": True, "stop_z_gradients": True, "gradient_check": True,
            "eprop_or_bptt": "eprop",
        },
        "evidence": {
            "n_batch": 64, "n_iter": 2000, "learning_rate": 0.005, "stop_crit": 0.07, "print_every": 10,
            "validate_every": 10, "eprop": False, "eprop_impl": "autodiff", "feedback": "symmetric",
            "f_regularization_type": "simple", "tau_a": 2000, "thr": 0.6, "tau_v": 20, "tau_out": 20, "reg_f": 1,
            "reg_rate": 10, "n_ref": 5, "dt": 1, "dampening_factor": 0.3, "do_plot": True, "device_placement": False,
            "beta": 1.7, "n_in": 40, "n_regular": 50, "n_adaptive": 50, "n_cues": 7, "t_cue": 100,
            "t_cue_spacing": 150, "t_recall": 150, "input_f0": 40,
        },
    }  # fmt: skip
    for name, options in published.items():
        defaults = COMMANDS[name].__kwdefaults__
        assert {option: defaults[option] for option in options} == options


@pytest.mark.parametrize(
    "line, code",
    [("evidence --n_iters=1", 2), ("pattern --dt=2", 2), ("verify hardcoded_vs_autodiff --tolerance=0", 2),
     ("verify factorization_vs_BPTT", 0), ("store_recall --help", 0)],
)  # fmt: skip
def test_the_exit_code_of_the_process(tmp_path, line, code):
    with python("-m plastic.eprop", line) as process:
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []
    if code:
        assert re.fullmatch(r"error: [^\n]+\n", errors)
    else:
        assert errors == ""
        if "--help" in line:
            assert all(f"--{name}" in shown for name in store_recall.__kwdefaults__)


def test_a_command_in_its_own_process():
    line = TASKS["evidence"]
    with python("-m plastic.eprop", " ".join(split(line)), PLASTIC_RESULTS="elsewhere") as process:
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and errors == ""
    folder = pathlib.Path(shown.splitlines()[-1].removeprefix("run folder "))
    assert folder.parent == pathlib.Path("elsewhere/eprop") and (folder / "trial.png").exists()
    assert kept(folder) == kept(command(line)[0])


def test_results_that_cannot_be_written(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    for line in TASKS.values():
        assert "results" in refused(line)
    assert (tmp_path / "results").read_text() == "a file, not a folder"


# load and predict


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seeds", ["", "--seeds=3,1"])
def test_loaded_networks_have_the_weights_and_constants_of_the_run(task, seeds):
    words = "--tau_v=10 --tau_out=5 --thr=0.4 --n_ref=3 --beta=30 --feedback=random --eprop"
    folder, _ = command(TASKS[task], "--dampening_factor=0.4", seeds, "--thr=0.02" if task == "pattern" else words)
    trained = plastic.load(folder)
    network, neurons, weights = trained.network, trained.network.neurons, parameters_of(folder)
    for name, array in network.parameters.items():
        if name != "b_out":
            np.testing.assert_array_equal(array, weights[name])
    alpha, kappa = (np.exp(-1 / tau) for tau in ((30, 30) if task == "pattern" else (10, 5)))
    constants = (neurons.alpha, network.kappa, network.g_out, neurons.gamma, neurons.theta, neurons.n_ref)
    gain = 1 - alpha if task == "pattern" else 1
    thr, n_ref = (0.02, 1) if task == "pattern" else (0.4, 3)
    np.testing.assert_allclose((*constants, neurons.gain), (alpha, kappa, 1 - kappa, 0.4, thr, n_ref, gain))
    if task != "pattern":
        rho = np.exp(-1 / 50)
        assert neurons.rho == pytest.approx(rho)
        beta = 30 * (1 - rho) / (1 - alpha)
        np.testing.assert_allclose(np.broadcast_to(neurons.beta, (1, 6)), [[0, 0, 0, beta, beta, beta]], rtol=1e-6)
    assert trained.config == runs.Run(folder).config
    x = np.random.default_rng(0).random((40, 3, network.W_in.shape[-2])) < 0.3
    y = trained.predict(x)
    leading = (2,) if seeds else ()
    assert y.shape == (*leading, 40, 3, network.W_out.shape[-1]) and np.abs(y).max() > 0
    np.testing.assert_array_equal(trained.predict(x.astype(float)), y)  # numbers are as good as booleans
    for replica in range(len(leading) * 2):
        rest = np.delete(y, replica, axis=0)
        assert np.abs(y[replica] - rest[0]).max() > 0


# wrong command lines

WRONG = {
    "pattern": {
        "--n_batch=0": "n_batch", "--n_out=0": "n_out", "--n_in=0": "n_in", "--n_rec=0": "n_rec",
        "--n_rec=-3": "n_rec", "--n_iter=0": "n_iter", "--seq_len=0": "seq_len", "--print_every=0": "print_every",
        "--learning_rate=0": "learning_rate", "--learning_rate=-1": "learning_rate", "--learning_rate=nan": "learning",
        "--thr=0": "thr", "--thr=-0.1": "thr", "--dampening_factor=0": "dampening_factor", "--dt=2": "dt is 2",
        "--dt=0": "dt", "--dt=0.5": "dt", "--f0=-1": "f0", "--f0=1001": "1000", "--eprop_or_bptt=btpp": "bptt",
        "--eprop_or_bptt=BPTT": "bptt", "--random_feedback=maybe": "maybe",
    },
    "evidence": {
        "--n_cues=2": "even", "--n_cues=0": "n_cues", "--n_cues=-1": "n_cues", "--t_cue=21": "t",
        "--t_cue=0": "cue", "--t_cue_spacing=14": "spacing", "--t_cue_spacing=0": "spacing",
        "--device_placement=maybe": "maybe",
    },
    "store_recall": {"--t_cue=0": "cue", "--t_cue=-5": "cue", "--n_cues=3": "n_cues"},
    "decisions": {
        "--tau_v=0": "tau_v", "--tau_v=-20": "tau_v", "--tau_a=0": "tau_a", "--tau_a=-1": "tau_a",
        "--tau_out=0": "tau_out", "--tau_out=-1e-9": "tau_out", "--n_ref=0": "n_ref", "--n_ref=-1": "n_ref",
        "--t_delay=-1": "delay", "--t_recall=0": "recall", "--t_recall=-5": "recall", "--feedback=broadcast": "random",
        "--feedback=Random": "random", "--n_in=6": "multiple of 4", "--n_in=0": "n_in", "--n_in=-4": "n_in",
        "--dt=2": "dt is 2", "--thr=0": "thr", "--thr=-1": "thr", "--learning_rate=0": "learning_rate",
        "--learning_rate=inf": "learning_rate", "--n_iter=0": "n_iter", "--n_batch=0": "n_batch",
        "--validate_every=0": "validate_every", "--print_every=0": "print_every",
        "--n_regular=0 --n_adaptive=0": "n_regular 0 and n_adaptive 0", "--n_regular=-1": "n_regular -1",
        "--n_adaptive=-1": "n_adaptive -1", "--n_regular=-1 --n_adaptive=5": "n_regular -1",
        "--input_f0=-1": "f0", "--input_f0=1001": "1000", "--dampening_factor=0": "dampening_factor",
        "--eprop_impl=hardcode": "hardcoded", "--f_regularization_type=offline": "online", "--stop_crit=never": "never",
        "--tau_a=none": "tau_a", "--n_iter=1.5": "n_iter", "--eprop=2": "eprop",
    },
    "any": {
        "--seeds=1,1": "seeds", "--seeds=": "seeds", "--seed=-1": "seeds", "--seed=2147483648": "seeds",
        "--device=tpu": "tpu", "--threads=0": "threads", "--dtype=float16": "float16", "--resume=missing": "missing",
        "--learning_rat=1": "learning_rate", "extra": "extra",
    },
    "verify": {
        "verify": "hardcoded_vs_autodiff", "verify BPTT": "factorization_vs_BPTT",
        "verify factorisation_vs_BPTT": "factorization",
        "verify hardcoded_vs_autodiff --seeds=": "seeds", "verify hardcoded_vs_autodiff --seeds=1,1": "seeds",
        "verify hardcoded_vs_autodiff --seeds=-1": "seeds", "verify hardcoded_vs_autodiff --tolerance=x": "tolerance",
        "verify hardcoded_vs_autodiff --dtype=half": "float64", "verify hardcoded_vs_autodiff --threads=0": "threads",
        "verify hardcoded_vs_autodiff --device=tpu": "tpu", "timit": "timit", "evidense": "evidence", "": "pattern",
    },
}  # fmt: skip
LINES = [(TASKS[task], wrong, word) for task in TASKS for kind in (task, "any") for wrong, word in WRONG[kind].items()]
LINES += [(TASKS[t], wrong, word) for t in ("evidence", "store_recall") for wrong, word in WRONG["decisions"].items()]
LINES += [("", wrong, word) for wrong, word in WRONG["verify"].items()]


@pytest.mark.parametrize("line, wrong, word", LINES, ids=[f"{line.split(' ')[0]} {wrong}" for line, wrong, _ in LINES])
def test_a_wrong_command_line_gets_one_line_and_leaves_nothing(tmp_path, line, wrong, word):
    assert word in refused(line, wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    ["pattern --f0=-1", "evidence --t_cue=21", "evidence --t_cue_spacing=14", "evidence --t_cue=0",
     "evidence --t_delay=-1", "store_recall --t_delay=-1", "store_recall --t_cue=0", "evidence --input_f0=1001",
     "store_recall --input_f0=-1"],
)  # fmt: skip
def test_an_error_names_the_option_as_it_was_typed(line):
    task, word = line.split()
    assert re.search(rf"\b{word[2:].partition('=')[0]}\b", refused(TASKS[task], word))


@pytest.mark.parametrize(
    "line",
    [f"{TASKS['evidence']} --tau_v=1e17", f"{TASKS['evidence']} --tau_v=1e-9 --tau_a=1e-9 --tau_out=1e-9",
     f"{TASKS['store_recall']} --tau_a=1e300 --tau_out=1e300", f"{TASKS['evidence']} --thr=1e-30",
     f"{TASKS['store_recall']} --stop_crit=2", f"{TASKS['store_recall']} --reg_f=0 --input_f0=0",
     f"{TASKS['pattern']} --thr=1e-300", f"{TASKS['pattern']} --f0=0", f"{TASKS['pattern']} --f0=1000"],
)  # fmt: skip
def test_extreme_values_run_or_are_refused(line):
    """But never end in a traceback."""
    shown, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors):
        try:
            cli.run(COMMANDS, split(line), prog="plastic.eprop")
            assert "run folder" in shown.getvalue()
        except SystemExit as leave:
            assert leave.code == 2 and re.fullmatch(r"error: [^\n]+\n", errors.getvalue())


# any command line

VALUES = ("", "0", "1", "2", "5", "-1", "3.5", "1e-3", "1e400", "nan", "none", "true", "no", "eprop", "bptt", "random",
          "adaptive", "symmetric", "hardcoded", "online", "simple", "float32", "float64", "cpu", "tpu", "4,8", "(3,1)",
          "[", "1,,2", "DONE", ".", "é", "--", "=", "0x10", "x" * 300)  # fmt: skip
SPELLINGS = ("--{}={}", "--{}={}", "--{} {}", "-{}={}", "--no_{}", "--{}", "--{}", "--{}x={}", "{}={}")


@st.composite
def word_lists(draw):
    """Words near the real ones: mostly valid names with values of some other option, in any order and spelling."""
    task = draw(st.sampled_from(list(TASKS)))
    names, groups = sorted(COMMANDS[task].__kwdefaults__), []
    for _ in range(draw(st.integers(0, 3))):
        name, value, spelling = (draw(st.sampled_from(each)) for each in (names, VALUES, SPELLINGS))
        if draw(st.booleans()):
            name = name.replace("_", "-")
        groups.append((name, tuple(spelling.format(name, value).split(" ", 1))))
    given_names = {name.replace("-", "_") for name, _ in groups}
    words = [group for _, group in groups]
    words += [(w,) for w in split(TASKS[task])[1:] if w[2:].partition("=")[0] not in given_names or draw(st.booleans())]
    if not any("n_iter" in word for word in sum(words, ())):
        words.append(("--n_iter=2",))  # never thousands
    return [task, *(word for group in draw(st.permutations(words)) for word in group)]


@settings(max_examples=120, derandomize=True, database=None)
@given(words=word_lists())
def test_no_command_line_ends_in_a_traceback(finished, tmp_path, words):
    line = [word.replace("DONE", str(finished[words[0]])) for word in words]
    shown = ends_well_or_in_one_line(COMMANDS, line, "plastic.eprop", lambda: tmp_path.glob("*/eprop/*"))
    assert shown is None or "run folder" in shown
