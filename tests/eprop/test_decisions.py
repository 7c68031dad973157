"""Evidence accumulation and store-recall: what they learn and how, the goal, the seeds that rest, the figures. Whatever
all commands share is tested by tests/test_commands.py."""

import contextlib
import inspect
import io
import json
import pathlib
import re
import signal

import matplotlib.image
import numpy as np
import pytest
from command_lines import column, kept, table
from commands.eprop import (
    CLOCK,
    COMMANDS,
    EVIDENCE,
    RECALL,
    TINY,
    command,
    drawer,
    parameters_of,
    printed,
    refused,
    split,
)

import plastic
from plastic import cli, runs, xp
from plastic.eprop import gradients, signals, simulate
from plastic.eprop.experiments import decisions, figures
from plastic.eprop.experiments.plastic_network import PlasticNetwork


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


TESTED = 256
"""Batches of 4 trials, 1,024 of which are tested."""


def assert_same_parameters(found, expected, atol=1e-9):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=atol, err_msg=name)


EASY = f"{RECALL} --n_batch=8 --n_iter=100 --validate_every=5 --t_delay=0 --n_regular=4 --n_adaptive=4 --dtype=float64"


EASY_EVIDENCE = (
    f"{EVIDENCE} --n_batch=16 --n_iter=100 --validate_every=5 --n_regular=4 --n_adaptive=4 --dtype=float64 "
    "--f_regularization_type=online --reg_f=0.1"
)


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
    folder, lines = command(TINY[task], words, more)
    run, rows = runs.Run(folder), table(folder)
    seeds = [4, 1] if more else [1]
    metrics = "loss rate_penalty error rate_min rate_mean rate_max".split()
    metrics += "validation_error validation_loss confirmed_error reached".split()
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
    options = COMMANDS[task].experiment.defaults.keys() - {"dry_run"}
    assert run.options.keys() == options | {"rule", "learning_signals"}
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
        test = 100 * np.mean([error(draw(generator.noise)) for _ in range(TESTED)])
        assert lines[replica] == f"seed {seed}: goal not reached, test error {test:.2f} %"
        assert 100 * runs.Run(folder).tested(replica)["test_error"] == pytest.approx(test)


@pytest.mark.parametrize("kind", ["simple", "online"])
@pytest.mark.parametrize("rule", ["BPTT", "e-prop, symmetric", "e-prop, random", "e-prop, adaptive"])
def test_decisions_learned_by_hand(rule, kind):
    """A loop of Adam on the published draws, fresh trials at every iteration, gives the metrics and the weights."""
    words, method = RULES[rule]
    feedback = "symmetric" if rule == "BPTT" else rule.split()[1]
    folder, _ = command(
        TINY["evidence"], words, f"--f_regularization_type={kind} --reg_f=3 --reg_rate=20 --dtype=float64 --seed=6",
        "--readout_decay=0.1" if feedback == "adaptive" else "",
        "--beta=40 --thr=0.5 --tau_v=15 --tau_out=10 --n_ref=3 --dampening_factor=0.4",
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
        grads = getattr(gradients, f"{method}_gradients")(network, record, err, R, **more)
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
    words = (TINY[task], f"--eprop --feedback={feedback} --f_regularization_type={kind}", "--dtype=float64 --beta=40")
    (autodiff, shown), (hardcoded, other) = (command(*words, f"--eprop_impl={i}") for i in ("autodiff", "hardcoded"))
    assert shown == other
    assert_same_parameters(parameters_of(hardcoded), parameters_of(autodiff))
    for row, expected in zip(table(hardcoded), table(autodiff), strict=True):
        found, wanted = ([float(value) for value in each.values()] for each in (row, expected))
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_the_choices_of_rule_feedback_and_regulariser_differ():
    lines = {
        rule: kept(command(TINY["evidence"], "--dtype=float64", words)[0])[0]
        for rule, (words, _) in RULES.items()
        if "hardcoded" not in rule
    }
    lines["online"] = kept(command(TINY["evidence"], "--dtype=float64 --f_regularization_type=online")[0])[0]
    assert len(set(lines.values())) == len(lines)


@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_adaptive_feedback_and_readout_weights_become_one(task):
    """Both get the same changes, so that their difference shrinks by 1 - readout_decay at every iteration."""
    for decay in (0.01, 0.3):
        words = (TINY[task], f"--eprop --feedback=adaptive --dtype=float64 --readout_decay={decay}")
        differences = []
        for iterations in (2, 8):
            trained = parameters_of(command(*words, f"--n_iter={iterations}")[0])
            differences.append(trained["W_out"] - trained["B"])
        assert np.abs(differences[0]).max() > 0.1
        np.testing.assert_allclose(differences[1], differences[0] * (1 - decay) ** 6, rtol=1e-9)


def test_initial_weights_as_published():
    """Scales of the draws; a random B is N(0, 1), drawn once and never changed; others share a seed's other weights."""
    still = f"{EVIDENCE} --eprop --n_iter=2 --learning_rate=1e-30 --n_regular=100 --n_adaptive=100 --n_in=40"
    words = {"symmetric": "", "random": "", "adaptive": "--readout_decay=0"}
    drawn = {f: parameters_of(command(still, f"--feedback={f} {more}")[0]) for f, more in words.items()}
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
    runs_of = [parameters_of(command(TINY["store_recall"], f"--n_iter={n}")[0]) for n in (1, 7)]
    np.testing.assert_array_equal(runs_of[0]["B"], runs_of[1]["B"])
    assert np.abs(runs_of[0]["W_out"] - runs_of[1]["W_out"]).max() > 1e-3


CHANGES = (
    "--stop_crit=0.9", "--validate_every=2", "--eprop", "--feedback=random", "--f_regularization_type=online",
    "--learning_rate=0.01", "--n_batch=5", "--tau_a=100", "--thr=0.5", "--tau_v=10", "--tau_out=10", "--reg_f=2",
    "--reg_rate=20", "--n_ref=2", "--dampening_factor=0.5", "--beta=1", "--n_in=12", "--n_regular=2", "--n_adaptive=2",
    "--t_cue=10", "--t_delay=6", "--t_recall=10", "--input_f0=200", "--seed=2", "--n_iter=6",
    "--surrogate=arctan", "--sharpness=0.5",
)  # fmt: skip


@pytest.mark.parametrize("word", [*CHANGES, "--n_cues=1", "--t_cue_spacing=30", "--feedback=adaptive"])
def test_every_option_of_decisions_takes_effect(word):
    more = "--eprop" if "feedback" in word else ""
    first, second = (command(TINY["evidence"], "--beta=40 --dtype=float64", more, each)[0] for each in ("", word))
    assert kept(first)[0] != kept(second)[0]


# learning


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

    errors: {seed: {iteration: (validation error, confirmed error)}}, in the order of the replicas; (1, 1) where there
    is nothing.
    """
    asked, seeds = [], list(errors)

    def error(learning, replica, batches, generator=None):
        if generator is not None:
            asked.append(("test", batches))
            return 0.25
        seed = seeds[replica]
        asked.append((seed, learning.number, batches))
        return errors[seed].get(learning.number, (1.0, 1.0))[batches > 1]

    monkeypatch.setattr(decisions.Learning, "error", error)
    return asked


def test_training_ends_where_the_error_of_a_new_batch_and_of_eight_more_is_under_the_criterion(monkeypatch):
    errors = {1: {3: (0.04, 0.06), 6: (0.05, 0.0), 9: (0.0, 0.05), 12: (0.049, 0.049), 15: (0.0, 0.0)}}
    asked = scripted(monkeypatch, errors)
    folder, lines = command(TINY["store_recall"], "--n_iter=30 --stop_crit=0.05")
    assert lines == ["seed 1: goal reached at iteration 12, test error 25.00 %"]
    assert asked == [(1, 0, 1), (1, 3, 1), (1, 3, 8), (1, 4, 8), (1, 5, 8), (1, 6, 1), (1, 9, 1), (1, 9, 8), (1, 10, 8),
                     (1, 11, 8), (1, 12, 1), (1, 12, 8), ("test", TESTED)]  # fmt: skip
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
    folder, lines = command(TINY["store_recall"], "--n_iter=30 --stop_crit=0.05")
    assert lines == ["seed 1: goal reached at iteration 5, test error 25.00 %"]
    assert asked == [(1, 0, 1), (1, 3, 1), (1, 3, 8), (1, 4, 8), (1, 5, 8), ("test", TESTED)]
    assert column(table(folder), "step") == [0, 3, 6] and column(table(folder), "reached") == [-1, -1, 5]
    at_five, _ = command(TINY["store_recall"], "--n_iter=5 --stop_crit=0")
    assert_same_parameters(parameters_of(folder), parameters_of(at_five), atol=0)


@pytest.mark.parametrize("rule", RULES)
def test_a_seed_at_its_goal_keeps_its_weights_while_others_go_on(monkeypatch, rule):
    """To the bit, as does its feedback; it is not validated any more."""
    asked = scripted(monkeypatch, {5: {6: (0, 0)}, 8: {15: (0, 0)}, 2: {9: (0, 0)}})
    step, history = PlasticNetwork.step, []

    def spy(network, *arguments):
        found = step(network, *arguments)
        history.append({name: np.copy(array) for name, array in network.parameters.items()})
        return found

    monkeypatch.setattr(PlasticNetwork, "step", spy)
    line = f"{TINY['evidence']} --n_iter=30 --stop_crit=0.05 --seeds=5,8,2"
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
        assert [number for s, number, batches in asked[:-3] if (s, batches) == (seed, 1)] == list(range(0, goal + 1, 3))
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


def test_no_goal_is_reached_before_the_first_iteration(monkeypatch):
    """What is not trained has not learned: alone or with others, a seed that decides well by chance goes on."""
    scripted(monkeypatch, {1: {0: (0, 0)}, 2: {6: (0, 0)}})
    line = f"{TINY['store_recall']} --stop_crit=0.05"
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
        ("task", len(rows) + 8 * len(confirmed), counters["source"]["validation"]),
        ("data", int(rows[-1]["step"]), counters["source"]["training"]),
    ):
        generator = getattr(xp.generator(1), purpose)
        for _ in range(batches):
            draw(generator)
        assert state["generators"] == [generator.bit_generator.state]


# the folder


@pytest.mark.parametrize("together", [1, 8, 12, 1000])
def test_batches_may_be_simulated_together(monkeypatch, together):
    """Eight batches of four trials, and four at the end, count as they would one by one."""
    monkeypatch.setattr(decisions, "TOGETHER", together)
    words = (TINY["evidence"], "--stop_crit=0.6 --dtype=float64 --seeds=4,1 --beta=40")
    folder, lines = command(*words)
    monkeypatch.setattr(decisions, "TOGETHER", 4)
    one_by_one, expected = command(*words, "--results=other")
    assert lines == expected and table(folder) == table(one_by_one)
    assert any(float(row["confirmed_error"]) >= 0 for row in table(folder))


@pytest.mark.parametrize(
    "words", ["", "--seeds=1,2", "--n_regular=0", "--n_adaptive=0 --no_eprop --feedback=symmetric"]
)
@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_the_folder_of_decisions(task, words):
    folder, _ = command(TINY[task], "--n_iter=3 --n_regular=4", words, plot=True)
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", "learning.png", "trial.png", "synapse.png",
        "traces.png",
    }  # fmt: skip
    arrays, options = runs.Run(folder).arrays(), runs.Run(folder).options
    n, T = options["n_regular"] + options["n_adaptive"], 80 if task == "evidence" else 50
    series = {f"synapse/{name}": (T,) for name in ("eps_v", "eps_a", "ebar", "psi", "L")}
    shapes = series | {"x": (T, 8), "z": (T, n), "y": (T, 2), "L": (T, n), "probability": (T, 2)}
    many, cues = min(50, n * (n - 1)), 3 if task == "evidence" else 1
    assert {k: v.shape for k, v in arrays.items()} == shapes | {
        "synapse/neurons": (2,), "n_regular": (), "goal": (), "traces/ebar": (T, many), "traces/neurons": (many, 2),
        "cues": (cues,), "test_error": (len(runs.Run(folder).seeds),),
    }  # fmt: skip
    assert (arrays["n_regular"], arrays["goal"]) == (options["n_regular"], options["stop_crit"])
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
    # the trial is a new one: the batch after those of the test, whose readout the network gives again
    generator = xp.generator(1).noise
    x = [drawer(folder)(generator).x[:, :1] for _ in range(TESTED + 1)][-1]
    np.testing.assert_array_equal(arrays["x"], x[:, 0])
    y = plastic.load(folder).predict(x)
    np.testing.assert_allclose(arrays["y"], (y[0] if "seeds" in words else y)[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "line",
    [f"{TINY['pattern']} --thr=1e4", f"{TINY['pattern']} --n_rec=1", f"{TINY['pattern']} --seq_len=1 --f0=1000",
     f"{TINY['evidence']} --thr=1e4", f"{TINY['evidence']} --n_regular=1 --n_adaptive=0", f"{EASY} --n_iter=50",
     f"{EASY} --n_iter=50 --seeds=1,2,3"],
)  # fmt: skip
def test_runs_at_the_edge_are_drawn(line):
    """Neurons that never spike, one neuron, one step, and a goal that was reached."""
    folder, _ = command(line, plot=True)
    for name in ("learning", "trial", "synapse", "traces"):
        image = matplotlib.image.imread(folder / f"{name}.png")
        assert min(image.shape[:2]) > 200 and image.min() < 0.5 < image.max(), name  # not one colour


def assert_many_traces(arrays):
    """Different synapses of no neuron with itself, in the order of those they lead to; the one shown is among them."""
    pairs = [tuple(pair) for pair in arrays["traces/neurons"].tolist()]
    assert len(set(pairs)) == len(pairs) and all(pre != post for pre, post in pairs)
    assert [post for _, post in pairs] == sorted(post for _, post in pairs)
    place = pairs.index(tuple(arrays["synapse/neurons"].tolist()))
    np.testing.assert_array_equal(arrays["traces/ebar"][:, place], arrays["synapse/ebar"])


def maps(axes):
    """The axes that are a map of values, without the scales beside them."""
    return [axis for axis in axes if axis.images]


def scales(axes):
    """The scales beside maps."""
    return [axis for axis in axes if axis.get_label() == "<colorbar>"]


def test_rates_and_the_validation_loss_are_in_the_metrics():
    """Of the last batch of training, and of the batch whose error is the validation error."""
    folder, _ = command(TINY["store_recall"], "--dtype=float64", "--n_iter=3")
    rows, options = table(folder), runs.Run(folder).options
    xp.use(dtype="float64")
    generator, draw = xp.generator(1), drawer(folder)
    trials = [draw(generator.task) for _ in range(2)][-1]
    y = plastic.load(folder).predict(trials.x)[-options["t_recall"] :]
    logs = y - np.log(np.exp(y).sum(axis=-1, keepdims=True))
    expected = -np.mean(logs[:, np.arange(4), trials.labels])
    assert column(rows, "validation_loss")[-1] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(column(rows, "rate_min")[0])
    least, mean, most = (column(rows, f"rate_{name}")[-1] for name in ("min", "mean", "max"))
    steps = 4 * 50  # a rate is a number of spikes over them
    assert 0 <= least < mean < most <= 1000 and most * steps / 1000 == pytest.approx(round(most * steps / 1000))


def test_the_figures_draw_what_the_folder_holds():
    """Of one run, and of two: errors and loss as curves of their own, trials and synapses in columns of their own."""
    lines = (
        (TINY["evidence"], "--seed=4"),
        (EVIDENCE, "--n_iter=4 --validate_every=2 --stop_crit=0.6 --n_regular=0 --eprop"),
    )
    found = [runs.Run(command(*words)[0]) for words in lines]
    draw_trial = figures.EVIDENCE["trial"]
    for some in (found[:1], found):
        errors, losses = figures.errors(some).axes
        for axis in (errors, losses):
            assert axis.get_xlabel() == "iteration" and axis.get_ylabel() and axis.get_title() and axis.get_legend()
        *curves, goals = errors.get_lines()[: 2 * len(some)], errors.get_lines()[2 * len(some) :]
        for place, run in enumerate(some):
            metrics = run.metrics()
            for line, name in zip(curves[0][2 * place : 2 * place + 2], ("validation_error", "error"), strict=True):
                np.testing.assert_allclose(np.ma.filled(line.get_ydata(), np.nan), 100 * np.array(metrics[name]))
                np.testing.assert_array_equal(line.get_xdata(), metrics["step"])
            loss = np.ma.filled(losses.get_lines()[place].get_ydata(), np.nan)
            np.testing.assert_allclose(loss, metrics["loss"])
        assert [line.get_ydata()[0] for line in goals] == [0, 60][: len(some)]
        assert len({(line.get_label(), line.get_color(), line.get_linestyle()) for line in curves[0]}) == 2 * len(some)
        with_scales, synapses = draw_trial(some).axes, figures.synapse(some).axes
        assert len(scales(with_scales)) == len(maps(with_scales)) == len(some)
        trials = [axis for axis in with_scales if axis not in scales(with_scales)]
        rows = 5  # of inputs, LIF, ALIF, readout, learning signals: the second run has no LIF neurons
        assert len(trials) == rows * len(some) - (len(some) - 1) and len(synapses) == 5 * len(some)
        arrays = some[0].arrays()
        for row, spikes in enumerate((arrays["x"], arrays["z"][:, :3], arrays["z"][:, 3:])):
            (raster,) = trials[row * len(some)].get_lines()
            np.testing.assert_array_equal(raster.get_data(), np.nonzero(spikes))
        readout, signals_ = trials[3 * len(some)], trials[4 * len(some)]
        assert [text.get_text() for text in readout.get_legend().get_texts()] == ["left", "right"]
        for k in range(2):
            np.testing.assert_array_equal(readout.get_lines()[k].get_ydata(), arrays["probability"][:, k])
        np.testing.assert_array_equal(np.ma.filled(signals_.images[0].get_array(), np.nan), arrays["L"].T)
        (many, *_) = maps(figures.traces(some).axes)
        np.testing.assert_array_equal(np.ma.filled(many.images[0].get_array(), np.nan), arrays["traces/ebar"].T)
        bands = [patch.get_extents().transformed(trials[0].transData.inverted()) for patch in trials[0].patches]
        expected = [(5, 20), (25, 40), (45, 60), (65, 80)]  # three cues of 15 ms every 20, and the recall
        np.testing.assert_allclose([(band.x0, band.x1) for band in bands], expected)
        of_cues = [patch.get_facecolor() for patch in trials[0].patches[:3]]
        for cue, colour in zip(arrays["cues"], of_cues, strict=True):
            assert (colour == of_cues[0]) == (cue == arrays["cues"][0])
        assert [text.get_text() for text in trials[0].texts] == ["left", "right", "recall", "noise"]
        for row, name in enumerate(("eps_v", "psi", "eps_a", "ebar", "L")):
            shown = synapses[row * len(some)].get_lines()[0].get_ydata()
            np.testing.assert_array_equal(shown, arrays[f"synapse/{name}"])
    assert [axis.get_title() for axis in draw_trial(found).axes[:2]] == ["BPTT", "e-prop, symmetric feedback"]
    (zero, one) = (
        figures.STORE_RECALL["trial"]([runs.Run(command(TINY["store_recall"])[0])]).axes[3].get_legend().get_texts()
    )
    assert (zero.get_text(), one.get_text()) == ("zero", "one")


@pytest.mark.parametrize(("error", "top"), [(0.5, 70), (0.9, 92)])
def test_the_figure_of_errors_has_room_for_all(monkeypatch, error, top):
    metrics = {"step": [0, 3], "epoch": [0.0, 3.0], "replica": [0, 0], "loss": [0.7, 0.6], "error": [0.2, 0.1]}
    run = runs.Run(command(TINY["evidence"], "--n_iter=1")[0])
    monkeypatch.setattr(runs.Run, "metrics", lambda run: metrics | {"validation_error": [error, 0.5]})
    left, _ = figures.errors([run]).axes
    assert left.get_ylim() == (-2, pytest.approx(top, abs=3))


@pytest.mark.parametrize("task", TINY)
def test_seeds_govern_everything(task):
    """The draws of the input too, and whatever other draws were made before."""
    runs_of = []
    for seed in (1, 1, 2):
        np.random.seed(len(runs_of))  # the global generator has no say
        folder, lines = command(TINY[task], f"--seed={seed} --dtype=float64")
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
    "pattern": (TINY["pattern"], "--seeds=1,2 --seq_len=210"),
    "evidence": (TINY["evidence"], "--seeds=4,5 --eprop --feedback=adaptive --f_regularization_type=online"),
    "store_recall": (TINY["store_recall"], "--dtype=float64 --stop_crit=0.45 --seeds=1,2,3,4"),
    "hardcoded": (TINY["evidence"], "--eprop --eprop_impl=hardcoded --feedback=random --stop_crit=0.45 --seeds=1,2,3"),
}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", DISTURBED)
@pytest.mark.parametrize("end", ["killed", "interrupted"])
@pytest.mark.parametrize("moment", [1, 3, 4, 5, 7])
def test_a_run_that_ends_at_any_step_goes_on_to_the_bit(monkeypatch, name, end, moment):
    """Killed, it goes on from the last validation; after Ctrl-C, from the step in progress."""
    undisturbed, lines = command(*DISTURBED[name])
    step, count = PlasticNetwork.step, [0]
    last = runs.Run(undisturbed).read_checkpoint()[1]["step"]
    if moment > last:
        return  # the goal was reached before

    def disturbed(*arguments):
        count[0] += 1
        if count[0] == moment and end == "killed":
            raise Killed
        if count[0] == moment:
            signal.raise_signal(signal.SIGINT)
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PlasticNetwork, "step", disturbed)
        if end == "killed":
            with pytest.raises(Killed):
                command(*DISTURBED[name], "--results=other")
        else:
            assert "--resume=" in refused(*DISTURBED[name], "--results=other --no_plot", code=130)
    folder = pathlib.Path("other/eprop", undisturbed.name)
    counters = runs.Run(folder).read_checkpoint()[1]
    assert counters["step"] == (moment if end == "interrupted" else (moment - 1) // 3 * 3)
    assert command(f"{undisturbed.name.partition('-')[0]} --resume={folder}") == (folder, lines)
    assert kept(folder) == kept(undisturbed)
    arrays, expected = runs.Run(folder).arrays(), runs.Run(undisturbed).arrays()
    assert all(np.array_equal(arrays[k], expected[k]) for k in arrays.keys() | expected.keys())
    assert runs.Run(folder).config["status"] == "finished"


@pytest.mark.parametrize("words", ["", "--seeds=4,5,6 --eprop --feedback=adaptive"])
@pytest.mark.parametrize("task", ["evidence", "store_recall"])
def test_a_run_that_has_not_reached_the_goal_is_extended(monkeypatch, task, words):
    """And equals a long one, though the goal seemed near at its end, and though a seed rests."""
    line = (TINY[task], words, "--stop_crit=0.7 --seed=1")
    confirm = decisions.Learning.confirm
    with monkeypatch.context() as patch:  # the first seed alone may reach the goal

        def only_the_first(learning):
            learning._trying = learning._trying[:1] if "seeds" in words else []
            confirm(learning)

        patch.setattr(decisions.Learning, "confirm", only_the_first)
        long, lines = command(*line, "--n_iter=12")
        short, _ = command(*line, "--n_iter=6")
        assert ("seeds" in words) == any(reached >= 0 for reached in column(table(short), "reached"))
        assert command(f"{task} --resume={short} --n_iter=12") == (short, lines)
    assert kept(short) == kept(long)
    arrays, expected = runs.Run(short).arrays(), runs.Run(long).arrays()
    assert all(np.array_equal(arrays[k], expected[k]) for k in arrays.keys() | expected.keys())
    assert runs.Run(short).config["extended"][0]["to"] == 12 and runs.Run(short).config["status"] == "finished"


def test_a_run_that_has_reached_the_goal_is_not_extended():
    folder, _ = command(EASY)
    before, config = kept(folder), (folder / "config.json").read_bytes()
    assert "has met its criterion" in refused(f"store_recall --resume={folder} --n_iter=200")
    assert kept(folder) == before and (folder / "config.json").read_bytes() == config


def test_a_run_that_ended_between_two_validations_is_not_extended():
    folder, _ = command(TINY["evidence"])
    before = kept(folder)
    assert "no multiple of validate_every 3" in refused(f"evidence --resume={folder} --n_iter=12")
    assert kept(folder) == before and runs.Run(folder).config["status"] == "finished"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run of each command, by name."""
    place = tmp_path_factory.mktemp("finished")
    return {task: command(line, f"--results={place}")[0] for task, line in TINY.items()}


@pytest.mark.parametrize(
    "word",
    ["--n_iter=6", "--n_batch=5", "--learning_rate=0.1", "--stop_crit=0.1", "--validate_every=2",
     "--eprop", "--eprop_impl=hardcoded", "--feedback=random", "--readout_decay=0.1", "--f_regularization_type=online",
     "--tau_a=100", "--thr=0.5", "--tau_v=10", "--tau_out=10", "--reg_f=2", "--reg_rate=11", "--n_ref=2",
     "--dampening_factor=0.2", "--beta=2", "--n_in=4", "--n_regular=2", "--n_adaptive=4", "--n_cues=5", "--t_cue=10",
     "--t_cue_spacing=30", "--t_delay=6", "--t_recall=14", "--input_f0=30",
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


# divergence


@pytest.mark.parametrize("words", ["", "--seeds=1,2"])
@pytest.mark.parametrize("task", TINY)
def test_a_run_that_diverges_says_what_to_try(task, words):
    message = refused(TINY[task], words, "--learning_rate=1e38")
    (folder,) = pathlib.Path("results/eprop").iterdir()
    assert re.search(r"diverged at step \d+: .*learning_rate", message) and str(folder) in message
    assert runs.Run(folder).config["status"] == "diverged"
    assert all(np.isfinite(array).all() for array in parameters_of(folder).values())


@pytest.mark.parametrize("task", TINY)
def test_a_seed_that_diverges_leaves_the_others_alone(monkeypatch, task):
    """Neither rows nor weights of the others change; the first seed, which figures show, is the one that diverged."""
    undisturbed, lines = command(TINY[task], "--seeds=5,6")
    step, count = PlasticNetwork.step, [0]

    def poison(network, *arguments):
        count[0] += 1
        if count[0] == 4:
            for leaf in network.parameters.values():
                leaf[0] = np.nan
        return step(network, *arguments)

    monkeypatch.setattr(PlasticNetwork, "step", poison)
    folder, found = command(TINY[task], "--seeds=5,6 --results=other", plot=True)
    assert len(list(folder.glob("*.png"))) == 4
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
    step, count = PlasticNetwork.step, [0]

    def poison(network, *arguments):
        count[0] += 1
        if count[0] >= 2:
            network.parameters["W_out"][0] = np.nan
        return step(network, *arguments)

    monkeypatch.setattr(PlasticNetwork, "step", poison)
    folder, lines = command(TINY["store_recall"], "--n_iter=30 --stop_crit=0.05 --seeds=5,6")
    assert runs.Run(folder).config["details"]["diverged"] == {"0": 2}
    assert lines[1] == "seed 6: goal reached at iteration 6, test error 25.00 %"
    assert column(table(folder), "step")[-1] == 6, "training went on with no seed left to train"
    assert asked.count(("test", TESTED)) == 2


# load and extreme values


@pytest.mark.parametrize("task", TINY)
@pytest.mark.parametrize("seeds", ["", "--seeds=3,1"])
def test_loaded_networks_have_the_weights_and_constants_of_the_run(task, seeds):
    words = "--tau_v=10 --tau_out=5 --thr=0.4 --n_ref=3 --beta=30 --feedback=random --eprop"
    folder, _ = command(TINY[task], "--dampening_factor=0.4", seeds, "--thr=0.02" if task == "pattern" else words)
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


@pytest.mark.parametrize(
    "line",
    [f"{TINY['evidence']} --tau_v=1e17", f"{TINY['evidence']} --tau_v=1e-9 --tau_a=1e-9 --tau_out=1e-9",
     f"{TINY['store_recall']} --tau_a=1e300 --tau_out=1e300", f"{TINY['evidence']} --thr=1e-30",
     f"{TINY['store_recall']} --stop_crit=2", f"{TINY['store_recall']} --reg_f=0 --input_f0=0",
     f"{TINY['pattern']} --thr=1e-300", f"{TINY['pattern']} --f0=0", f"{TINY['pattern']} --f0=1000"],
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
        defaults = {n: each.default for n, each in inspect.signature(COMMANDS[name]).parameters.items()}
        assert {option: defaults[option] for option in options} == options


def test_published_options_that_have_another_name_or_no_effect():
    plain, _ = command(TINY["evidence"])
    *_, last = printed(TINY["evidence"], "--nodo_plot --device_placement --print_every=3")
    folder = pathlib.Path(last.removeprefix("run folder "))
    assert not list(folder.glob("*.png")) and kept(folder) == kept(plain)
    assert folder.name == f"{plain.name}-2"  # the same identity
