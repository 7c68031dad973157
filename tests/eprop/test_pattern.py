"""Pattern generation: what it learns and how, its gradient check, its figures. Whatever all commands share is tested by
tests/test_commands.py."""

import pathlib

import numpy as np
import pytest
from command_lines import column, kept, table
from commands.eprop import CLOCK, COMMANDS, TINY, command, parameters_of, refused

import plastic
from plastic import runs, xp
from plastic.eprop import gradients, inputs, simulate
from plastic.eprop.experiments import figures
from plastic.eprop.experiments import pattern as pattern_module  # the module: the command has its name


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def assert_same_parameters(found, expected, atol=1e-9):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=atol, err_msg=name)


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
    folder, lines = command(TINY["pattern"], words, more)
    run, rows = runs.Run(folder), table(folder)
    seeds = [2, 5, 1] if "seeds" in more else [1]
    assert list(rows[0]) == "step epoch replica seed loss loss_reg rate_min rate_max rate".split()
    clock = [(step, step, replica, seed) for step in CLOCK for replica, seed in enumerate(seeds)]
    assert [tuple(float(row[k]) for k in ("step", "epoch", "replica", "seed")) for row in rows] == clock
    for row in rows:
        assert float(row["loss"]) > 0 and float(row["loss_reg"]) > 0 and 0 < float(row["rate"]) < 1000
        assert float(row["rate_min"]) <= float(row["rate"]) <= float(row["rate_max"])
    first, last = (np.mean(column(rows, "loss", step=step)) for step in (0, 7))
    assert lines == [f"loss {last:.4g} (at first {first:.4g})"] and first != last
    assert run.config["status"] == "finished" and (run.family, run.experiment) == ("eprop", "pattern")
    assert (run.options["rule"], run.options["learning_signals"]) == (name, feedback)
    options = COMMANDS["pattern"].experiment.defaults.keys() - {"dry_run"}
    assert run.options.keys() == options | {"rule", "learning_signals"}
    assert ("B" in parameters_of(folder)) == (feedback == "random")


def test_patterns_learned_by_hand():
    """A loop of gradient descent on the published draws gives the metrics and the weights."""
    for words, rule, feedback in PATTERNS.values():
        folder, _ = command(TINY["pattern"], words, "--dtype=float64 --seed=3 --n_batch=2 --seq_len=210")
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
                grads = getattr(gradients, f"{rule}_gradients")(network, record, record.output - target, R, **more)
                for name in ("W_in", "W_rec", "W_out"):
                    array = getattr(network, name)
                    array -= 1e-3 * grads[name]
        found = parameters_of(folder)
        expected = {name: getattr(network, name, B) for name in found}
        assert_same_parameters(found, expected, atol=1e-12)


def rates_of(record):
    return record.z.mean(axis=(0, 1), keepdims=True)


def test_bptt_with_constant_spikes_is_symmetric_eprop():
    words = (TINY["pattern"], "--seq_len=210")
    constant, symmetric, bptt, random_feedback = (
        kept(command(*words, more)[0])
        for more in ("--eprop_or_bptt=bptt", "--norandom_feedback", "--eprop_or_bptt=bptt --nostop_z_gradients", "")
    )
    assert constant == symmetric
    assert len({each[0] for each in (symmetric, bptt, random_feedback)}) == 3


@pytest.mark.parametrize(
    "word",
    ["--n_batch=2", "--n_out=2", "--n_in=11", "--n_rec=7", "--f0=100", "--reg_rate=20", "--n_iter=6", "--seq_len=230",
     "--print_every=2", "--dampening_factor=0.5", "--learning_rate=1e-4", "--reg=20", "--thr=0.02", "--seed=2",
     "--norandom_feedback", "--eprop_or_bptt=bptt"],
)  # fmt: skip
def test_every_option_of_patterns_takes_effect(word):
    first, second = (command(TINY["pattern"], "--seq_len=210 --dtype=float64", each)[0] for each in ("", word))
    assert kept(first)[0] != kept(second)[0]


@pytest.mark.parametrize("reg", [0, 10])
def test_the_regulariser_is_shown_without_its_strength(reg):
    """loss_reg is half the summed squares of rate - reg_rate, whether or not it counts."""
    folder, _ = command(TINY["pattern"], f"--reg={reg} --reg_rate=50 --n_rec=1 --dtype=float64")
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
    calls, check = [], pattern_module.check_gradient
    monkeypatch.setattr(pattern_module, "check_gradient", lambda *a: (calls.append(a), check(*a)))
    for length, more, times in ((20, "", 1), (3, "", 2), (21, "", 2), (20, "--nogradient_check", 2)):
        command(TINY["pattern"], words, f"--seq_len={length} --f0=400", more)
        assert len(calls) == times


def test_the_gradient_check_allows_for_the_rounding_of_large_gradients():
    """The two forms differ by 1e-5 of the largest entry, in float32: a sound rule, however strong the regulariser."""
    command("pattern --seq_len=20 --reg=30000 --n_iter=1 --learning_rate=1e-9")


@pytest.mark.parametrize("way", [0, 1, 2])
def test_the_gradient_check_stops_a_run_with_a_broken_rule(monkeypatch, tmp_path, way):
    words = (TINY["pattern"], "--seq_len=20 --f0=400 --reg=300")
    rule = list(broken(gradients.online_gradients))[way]
    monkeypatch.setattr(gradients, "online_gradients", rule)
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


@pytest.mark.parametrize("seeds", ["--seed=1", "--seeds=1,2"])
def test_the_last_update_counts_too(seeds):
    """It leaves weights of 1e20, which are finite; the loss that they have is not."""
    error = refused("pattern --n_iter=1 --learning_rate=1e20", seeds)
    assert "training diverged at step 1: try a smaller learning_rate, reg or dampening_factor" in error
    (folder,) = pathlib.Path("results/eprop").iterdir()
    assert runs.Run(folder).config["status"] == "diverged"
    assert set(column(table(folder), "step")) == {0}


def test_three_patterns_in_one_run_equal_three_runs():
    for words, _, _ in PATTERNS.values():
        line = (TINY["pattern"], "--dtype=float64 --seq_len=210 --n_batch=2", words)
        together, _ = command(*line, "--seeds=3,1,7")
        rows, found = table(together), parameters_of(together)
        for replica, seed in enumerate((3, 1, 7)):
            alone, _ = command(*line, f"--seed={seed}")
            for row, other in zip(rows[replica::3], table(alone), strict=True):
                for name in row.keys() - {"replica"}:
                    assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-9)
            assert_same_parameters({name: array[replica] for name, array in found.items()}, parameters_of(alone))


@pytest.mark.parametrize("words", ["", "--seeds=4,5 --n_out=2", "--n_batch=2 --seq_len=210 --eprop_or_bptt=bptt"])
def test_the_folder_of_patterns(words):
    folder, _ = command(TINY["pattern"], words, plot=True)
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", "learning.png", "trial.png", "synapse.png",
        "traces.png",
    }  # fmt: skip
    arrays, options = runs.Run(folder).arrays(), runs.Run(folder).options
    T, n_out = options["seq_len"], options["n_out"]
    series = {f"synapse/{name}": (T,) for name in ("eps_v", "eps_a", "ebar", "psi", "L")}
    shapes = series | {"x": (T, 10), "z": (T, 8), "y": (T, n_out), "L": (T, 8), "target": (T, n_out)}
    assert {k: v.shape for k, v in arrays.items()} == shapes | {
        "synapse/neurons": (2,), "traces/ebar": (T, 50), "traces/neurons": (50, 2)
    }  # fmt: skip
    x, target = inputs.pattern(xp.generator(4 if "seeds" in words else 1).data, T, options["n_batch"], 10, n_out, 200.0)
    np.testing.assert_array_equal(arrays["x"], x[:, 0])
    np.testing.assert_allclose(arrays["target"], target[:, 0], atol=1e-6)
    y = plastic.load(folder).predict(x)
    np.testing.assert_allclose(arrays["y"], (y[0] if "seeds" in words else y)[:, 0], rtol=1e-4, atol=1e-6)
    weights = parameters_of(folder)
    B = weights.get("B", weights["W_out"])
    L = (arrays["y"] - arrays["target"]) @ (B[0] if "seeds" in words else B).T
    np.testing.assert_allclose(arrays["L"], L, rtol=1e-3, atol=1e-5)


def test_the_figures_draw_what_the_folder_holds():
    """Of one run, and of two: the loss as curves of their own, the trials and synapses in columns of their own."""
    lines = ("--n_out=2 --seed=4", "--eprop_or_bptt=bptt --nostop_z_gradients --print_every=2")
    found = [runs.Run(command(TINY["pattern"], "--seq_len=210", words)[0]) for words in lines]
    for some in (found[:1], found):
        (loss,) = figures.loss(some).axes
        assert loss.get_xlabel() and loss.get_ylabel() and loss.get_title() and loss.get_legend()
        for line, run in zip(loss.get_lines(), some, strict=True):
            np.testing.assert_allclose(line.get_ydata(), run.metrics()["loss"])
            np.testing.assert_array_equal(line.get_xdata(), run.metrics()["step"])
        assert len({(line.get_label(), line.get_color(), line.get_linestyle()) for line in loss.get_lines()}) == len(
            some
        )
        trials, synapses = figures.pattern_trial(some).axes, figures.synapse(some).axes
        assert len(trials) == 3 * len(some) and len(synapses) == 4 * len(some)  # LIF neurons have no slow component
        for place, run in enumerate(some):
            arrays = run.arrays()
            assert trials[place].get_title() and synapses[place].get_title()
            for row, name in enumerate(("x", "z")):
                times, neurons = np.nonzero(arrays[name])
                (raster,) = trials[row * len(some) + place].get_lines()
                np.testing.assert_array_equal(raster.get_data(), (times, neurons))
            readout = trials[2 * len(some) + place]
            assert readout.get_xlabel() == "time (ms)" and readout.get_ylabel()
            shown = [line.get_ydata() for line in readout.get_lines()]
            for k in range(arrays["y"].shape[1]):
                np.testing.assert_array_equal(shown[2 * k], arrays["y"][:, k])
                np.testing.assert_array_equal(shown[2 * k + 1], arrays["target"][:, k])
            for row, name in enumerate(("eps_v", "psi", "ebar", "L")):
                axis = synapses[row * len(some) + place]
                np.testing.assert_array_equal(axis.get_lines()[0].get_ydata(), arrays[f"synapse/{name}"])
    assert [axis.get_title() for axis in figures.pattern_trial(found).axes[:2]] == ["e-prop, random feedback", "BPTT"]
