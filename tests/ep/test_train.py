"""The training of `plastic.ep`: what it trains, counts and refuses. Whatever all commands share is tested by
tests/test_commands.py."""

import ast
import dataclasses
import inspect
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from command_lines import column, ends_well_or_in_one_line, kept, printed, table
from commands.ep import images
from ep.lines import HOW, command, parameters_of, refused
from hypothesis import given, settings
from hypothesis import strategies as st

import plastic
from plastic import classifier, data, ep, parameters, runs, xp
from plastic.ep import energy, rules
from plastic.ep.__main__ import COMMANDS
from plastic.ep.curves import connections
from plastic.ep.experiments import figures
from plastic.ep.experiments import train as train_file
from plastic.ep.experiments.options import NetworkOptions
from plastic.ep.experiments.replicas import Replicas
from plastic.errors import PlasticError
from plastic.functions import one_hot
from plastic.optimizers import SGD
from plastic.runs.decorator import NewRun

measured = train_file._measured

N_TRAIN, N_TEST, CLASSES = 60, 25, 4
QUICK = ("--batch_size=20", "--T=8", "--Kmax=3", "--beta=0.5")
TINY = (*QUICK, "--epochs=2")

NETWORKS = {
    "energy": "--size_tab 4 8 100 --lr_tab 0.05 0.1",
    "unclamped": "--size_tab 4 7 6 100 --lr_tab 0.05 0.1 0.1 --no-clamp --activation-function tanh",
    "consistent": "--size_tab 5 8 100 --lr_tab 0.05 0.1 --consistent --dt 0.5",
    "prototypical": "--size_tab 4 8 100 --lr_tab 0.05 0.1 --discrete",
    "leaky": "--size_tab 4 7 6 100 --lr_tab 0.05 0.1 0.1 --discrete --dt 0.2",
    "toy": "--size_tab 4 8 100 --lr_tab 0.05 0.02 0.1 --toymodel",
    "vector field": "--size_tab 4 7 6 100 --lr_tab 0.05 0.1 0.1 --discrete --learning-rule vf --angle 45",
    "energy-based vector field": "--size_tab 4 8 100 --lr_tab 0.05 0.1 --learning-rule vf",
    "readout": "--size_tab 4 7 6 100 --lr_tab 0.05 0.1 0.1 --discrete --loss cel",
    "readout of a convolution": "--C_tab 3 1 --size_tab 4 --Fconv 3 --lr_tab 0.05 0.1 --loss cel",
    "one convolution": "--C_tab 3 1 --size_tab 4 --Fconv 3 --lr_tab 0.05 0.1",
    "two convolutions": "--C_tab 3 2 1 --size_tab 4 --Fconv 3 --lr_tab 0.05 0.1 0.1 --discrete",
    "padded, two classifier layers": "--C_tab 3 2 1 --size_tab 4 6 --Fconv 3 --padding 1 --lr_tab .1 .1 .1 .1",
}
ARCHITECTURES = {name: re.sub(r" --lr_tab( [\d.]+)+", "", words) for name, words in NETWORKS.items()}
"""The same without rates."""

METHODS = {
    "EP": "",
    "BPTT": "--training-method BPTT",
    "benchmark": "--benchmark",
    "random sign": "--nudging random-sign --seeds 1 2",
    "centered": "--nudging centered --dtype float64",
    "tolerance": "--tolerance 0.05",
    "continual": "--cep --seeds 1 2 --nudging random-sign",
    "adam": "--optim adam --benchmark",
    "two seeds": "--seeds 2 1 --benchmark --dtype float64 --nudging random-sign --eval_every 2",
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The path of a data set of four classes of 10 x 10 images."""
    return images(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


# training


@pytest.mark.parametrize("more", ["", "--benchmark --seeds 1 2", "--benchmark --discrete"])
def test_the_best_epoch_by_the_validation_set_is_tested_once(toy, more):
    """Columns, parameters and what is printed are those of the epoch of each replica."""
    folder, lines = command(
        f"--dataset={toy}", *QUICK, "--size_tab=4,8,100 --epochs=4 --validation=0.25 --lr_tab=0.5,0.5", more
    )
    run, rows = runs.Run(folder), table(folder)
    assert "validation_error" in rows[0] and not any(name.startswith("test") for name in rows[0])
    replicas = sorted({int(row["replica"]) for row in rows})
    found = np.array([column(rows, "validation_error", replica=k) for k in replicas])
    best, arrays = found.argmin(axis=1), run.arrays()
    assert arrays["best_epoch"].tolist() == best.tolist()
    trained, dataset = plastic.load(folder), data.load(toy, validation=0.25)
    for (x, labels), expected in ((dataset.validation, found.min(axis=1)), (dataset.test, arrays["test_error"])):
        outputs = trained.predict(x).reshape(len(replicas), len(x), -1)
        np.testing.assert_allclose(np.mean(outputs.argmax(axis=-1) != labels, axis=-1), expected, rtol=1e-5)
    methods = sorted({row["method"] for row in rows})
    for line, method in zip(lines, methods, strict=True):
        mine = [k for k in replicas if rows[k]["method"] == method]
        epochs = ", ".join(str(best[k]) for k in mine)
        assert line.startswith(f"{method}: test error {100 * arrays['test_error'][mine].mean():.2f} %, training error ")
        assert line.endswith(f", tested once, at the best epoch by the validation set ({epochs})")


@pytest.mark.parametrize(
    "network, method",
    [(a, b) for a in NETWORKS for b in METHODS if not ("--cep" in METHODS[b] and "--loss cel" in NETWORKS[a])],
)
def test_every_method_on_every_network(toy, network, method):
    # a relaxation that may end early ends by all samples of a batch, so those of the test set stay together
    parts = "" if method == "tolerance" else "--test_batch_size=15"
    folder, lines = command(f"--dataset={toy}", *TINY, parts, NETWORKS[network], METHODS[method])
    run, rows = runs.Run(folder), table(folder)
    methods = ["BPTT", "EP"] if "benchmark" in METHODS[method] else ["BPTT"] if method == "BPTT" else ["EP"]
    seeds = re.search(r"--seeds ([\d ]+\d)", METHODS[method] + " ")
    seeds = seeds[1].split() if seeds else ["1"]
    measured = ["test_error", "train_error", "test_loss", "train_loss", "residual"]
    assert list(rows[0]) == ["step", "epoch", "replica", "seed", "method", *measured]
    steps = (0, 2, 4, 6) if "eval_every" in METHODS[method] else (0, 3, 6)
    clock = [
        (str(step), str(step / 3), str(place), seed, name)
        for step in steps
        for place, (name, seed) in enumerate((name, seed) for name in methods for seed in seeds)
    ]
    assert [tuple(row[k] for k in ("step", "epoch", "replica", "seed", "method")) for row in rows] == clock
    for row in rows[len(methods) * len(seeds) :]:
        assert 0 <= float(row["test_error"]) <= 1 and 0 <= float(row["train_error"]) <= 1
        assert 0 < float(row["test_loss"]) < 10 and 0 < float(row["train_loss"]) < 10
    assert run.config["status"] == "finished" and (run.family, run.experiment) == ("ep", "train")
    assert lines == [summary(rows, name) for name in methods]
    for seed in seeds if len(methods) == 2 else []:
        bptt, ep = (row for row in rows if row["step"] == "0" and row["seed"] == seed)
        assert (bptt["test_error"], bptt["test_loss"]) == (ep["test_error"], ep["test_loss"])  # the same weights
        assert column(rows, "test_loss", method="BPTT", seed=seed) != column(rows, "test_loss", method="EP", seed=seed)
    assert_predictions_give_the_metrics(folder, toy, rows[-len(methods) * len(seeds) :])


@pytest.mark.parametrize(
    "options",
    [
        {"size_tab": (4, 6, 7, 100)},
        {"size_tab": (4, 6, 100), "toymodel": True},
        {"size_tab": (4, 6, 7, 100), "learning_rule": "vf"},
        {"size_tab": (4, 6, 7, 100), "loss": "cel", "learning_rule": "vf"},
        {"size_tab": (4, 6, 7, 100), "loss": "cel", "discrete": True},
        {"size_tab": (4, 6), "C_tab": (3, 2, 1), "Fconv": 3},
        {"size_tab": (4, 6), "C_tab": (3, 2, 1), "Fconv": 3, "loss": "cel"},
        {"size_tab": (4,), "C_tab": (3, 2, 1), "Fconv": 3, "loss": "cel"},
    ],
    ids=str,
)
def test_each_connection_has_its_rate_from_the_output_backwards(options):
    """An update by gradients of -1 adds the rate; feedback has that of the way up beside it."""
    network = NetworkOptions(**options).complete()
    net = network.build(np.random.default_rng(0), network.input_shape((10, 10), 4, "own"))
    before = parameters.copy(net.parameters)
    lr_tab = tuple(0.25 * 2.0**k for k in range(network.connections))
    grads = parameters.map(lambda leaf: 0 * leaf - 1, net.parameters)
    SGD(network.rates(lr_tab)).step(net.parameters, grads, {})
    moved = {
        path: float(xp.asnumpy(xp.max(leaf - old)))
        for (path, leaf), (_, old) in zip(parameters.leaves(net.parameters), parameters.leaves(before), strict=True)
    }
    labels = [(label, path) for label, path in connections(net) if not path.startswith("feedback")]
    assert len(labels) == len(lr_tab)
    for (_, path), rate in zip(labels, lr_tab, strict=True):
        assert moved[path] == pytest.approx(rate, rel=1e-5) == moved[path.replace("/W", "/b")]
    for path in moved:
        if path.startswith("feedback"):
            up = f"layers/{int(path.split('/')[1]) + 1}/W"
            assert moved[path] == pytest.approx(moved[up], rel=1e-5)


@pytest.mark.parametrize(
    "words, told", [("--training_method=BPTT", "BPTT"), ("--nudging=centered", "centered"), ("--loss=cel", "mse")]
)
def test_what_continual_ep_is_not(toy, tmp_path, words, told):
    assert told in refused(f"--dataset={toy}", *QUICK, "--size_tab=4,8,100", "--cep", words)
    assert list(tmp_path.iterdir()) == []


def test_the_free_phase_of_continual_ep_takes_solver_and_tolerance(toy):
    words = (f"--dataset={toy}", *TINY, "--size_tab=4,8,100 --lr_tab=0.5,0.5 --cep")
    plain, *others = (parameters_of(command(*words, more)[0]) for more in ("", "--solver=anderson", "--tolerance=1e9"))
    for other in others:
        assert np.abs(other["parameters/layers/1/W"] - plain["parameters/layers/1/W"]).max() > 1e-5


@pytest.mark.parametrize(
    "words, lr_tab",
    [
        ("", [0.05, 0.1]),
        ("--optim=adam", [0.001, 0.001]),
        ("--toymodel", [0.05, 0.05, 0.1]),
        ("--toymodel --optim=adam", [0.001] * 3),
    ],
)
def test_rates_by_default(toy, words, lr_tab):
    folder, _ = command(f"--dataset={toy}", *QUICK, "--size_tab=4,8,100", words)
    assert list(runs.Run(folder).options["lr_tab"]) == lr_tab


def test_a_run_from_before_an_option_has_its_default():
    options = {"size_tab": (4, 8, 100), "dataset": "own.npz", "discrete": True}
    assert NetworkOptions.of(options) == NetworkOptions(size_tab=(4, 8, 100), discrete=True)


@pytest.mark.parametrize(
    "words",
    [
        "--optim adam --benchmark",
        "--cep --optim adam --discrete --learning-rule vf --angle 30 --nudging random-sign --seeds 1 2",
        "--loss cel --optim adam --discrete",
    ],
)
def test_a_longer_run_is_one_that_goes_on(toy, words):
    """Moments, signs and weights go on where they were: nothing differs from a run of that length."""
    line = (f"--dataset={toy}", *QUICK, "--size_tab=4,8,100", words)
    whole, _ = command(*line, "--epochs=2")
    half, _ = command(*line, "--epochs=1")
    command(f"--resume={half}", "--epochs=2")
    found, expected = parameters_of(half), parameters_of(whole)
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(found[path], array, err_msg=path)
    assert table(half) == table(whole)


def summary(rows, method):
    """What the command must print of a method: means over its seeds at each evaluation."""
    steps = dict.fromkeys(row["step"] for row in rows)
    test, training = (
        [100 * np.mean(column(rows, name, step=step, method=method)) for step in steps]
        for name in ("test_error", "train_error")
    )
    return f"{method}: test error {test[-1]:.2f} % (best {min(test):.2f} %), training error {training[-1]:.2f} %"


def assert_predictions_give_the_metrics(folder, toy, last):
    dtype = runs.Run(folder).options["dtype"]
    xp.use(dtype=dtype)
    trained = plastic.load(folder)
    x, labels = data.load(toy, dtype=dtype).test
    outputs = trained.predict(x)
    classes = runs.Run(folder).options["size_tab"][0]
    assert outputs.shape == (*(len(last),) * (len(last) > 1), N_TEST, classes)
    for row, replica in zip(last, outputs.reshape(len(last), N_TEST, classes), strict=True):
        assert float(row["test_error"]) == pytest.approx(np.mean(replica.argmax(axis=-1) != labels), abs=1e-6)
        if runs.Run(folder).options["loss"] == "cel":
            loss = -np.log(replica[np.arange(N_TEST), labels]).mean()
        else:
            loss = np.sum((replica - np.eye(classes)[labels]) ** 2) / (2 * N_TEST)
        assert float(row["test_loss"]) == pytest.approx(loss, rel=1e-4)
        assert replica.dtype == dtype


@pytest.mark.parametrize("network", ["energy", "one convolution"])
def test_the_residual_is_the_largest_over_the_test_set(toy, network):
    """Of each seed, whatever the size of the parts that are relaxed at once."""
    words = (f"--dataset={toy}", *TINY, NETWORKS[network], "--seeds=3,4", "--dtype=float64", "--test_batch_size=7")
    folder, _ = command(*words)
    xp.use(dtype="float64")
    net, x = plastic.load(folder).network, data.load(toy, dtype="float64").test[0]
    for seed, row in enumerate(table(folder)[-2:]):
        alone = net.with_parameters(parameters.map(lambda leaf, seed=seed: leaf[seed], net.parameters))
        w = ep.Relaxation(alone, x.reshape(len(x), -1))
        w.run(8)
        before = w.s.copy()
        w.run(1)
        assert float(row["residual"]) == pytest.approx(np.abs(w.s - before).max(), rel=1e-9)


@pytest.mark.parametrize(
    "options, sizes, dt",
    [
        ({}, (10, 512, 784), 0.2),
        ({"discrete": True}, (10, 512, 784), 1.0),
        ({"toymodel": True}, (10, 50, 784), 0.2),
        ({"C_tab": (64, 32, 1)}, (10,), 1.0),
    ],
    ids=str,
)
def test_sizes_and_step_by_default(options, sizes, dt):
    network = NetworkOptions(**options).complete()
    assert (network.size_tab, network.dt) == (sizes, dt)
    filled = dataclasses.replace(NetworkOptions(**options), dt=1.0).complete(toy_inputs=5)  # inputs of plotcurves
    assert filled.size_tab == ((10, 50, 5) if network.toymodel else sizes) and filled.dt == 1


DENSE = "--T=20 --Kmax=8 --beta=0.5 --lr_tab=0.5,0.5 --epochs=20 --batch_size=10"
MAPS = "--T=15 --Kmax=6 --beta=0.5 --epochs=10 --batch_size=10"


@pytest.mark.parametrize(
    "words",
    [
        f"--size_tab 4 30 100 {DENSE} --activation-function hardsigm",
        f"--size_tab 4 30 100 {DENSE} --no-clamp",
        f"--size_tab 4 30 100 {DENSE} --no-clamp --activation-function tanh --consistent --nudging centered",
        f"--size_tab 4 30 100 {DENSE} --discrete --nudging random-sign",
        f"--size_tab 4 30 100 {DENSE} --discrete --dt 0.2",
        f"--C_tab 6 1 --size_tab 4 --Fconv 3 {MAPS} --lr_tab=0.1,0.1",
        f"--C_tab 8 4 1 --size_tab 4 --Fconv 3 --padding 1 {MAPS} --lr_tab=0.05,0.05,0.05",
    ],
)
def test_both_methods_learn(toy, words):
    rows = table(command(f"--dataset={toy}", words, "--benchmark")[0])
    for method in ("BPTT", "EP"):
        test, training = (column(rows, f"{name}_error", method=method) for name in ("test", "train"))
        assert test[0] > 0.4 and min(test) < 0.05 and test[-1] < 0.15, method  # chance is .75
        assert training[-1] < 0.15, method
        assert column(rows, "test_loss", method=method)[-1] < 0.5 * column(rows, "test_loss", method=method)[0]


@pytest.mark.parametrize(
    "word",
    ["--no-clamp", "--consistent", "--discrete", "--activation_function=tanh", "--T=9", "--Kmax=4", "--beta=-0.5",
     "--dt=0.3", "--nudging=random-sign", "--nudging=centered", "--tolerance=0.1", "--training_method=BPTT",
     "--lr_tab=0.1,0.1", "--lr_tab=0.05,0.2", "--seed=2", "--epochs=3", "--batch_size=10", "--size_tab=4,9,100"],
)  # fmt: skip
def test_every_option_takes_effect(toy, word):
    base = {word.partition("=")[0]: word for word in (*TINY, "--size_tab=4,8,100", "--lr_tab=0.05,0.1", "--seed=1")}
    changed = base | {word.partition("=")[0]: word}
    first, second = (parameters_of(command(f"--dataset={toy}", *words.values())[0]) for words in (base, changed))
    W = "parameters/layers/1/W"
    assert first[W].shape != second[W].shape or np.abs(first[W] - second[W]).max() > 1e-6


@pytest.mark.parametrize("word", ["--padding=1", "--Fconv=5", "--Fpool=3", "--C_tab=4,1", "--size_tab=5"])
def test_every_option_of_maps_takes_effect(toy, word):
    base = {"--C_tab": "--C_tab=3,1", "--size_tab": "--size_tab=4", "--Fconv": "--Fconv=3"}
    changed = base | {word.partition("=")[0]: word}
    first, second = (parameters_of(command(f"--dataset={toy}", *TINY, *w.values())[0]) for w in (base, changed))
    shapes = [{path: array.shape for path, array in each.items()} for each in (first, second)]
    assert shapes[0] != shapes[1]


def test_rates_and_sizes_are_counted_from_the_output(toy):
    """With a rate 0 the connections of that place stay as they were drawn."""
    for words, first, last in (
        ("--size_tab 4 7 6 100", "layers/2", "layers/0"),
        ("--C_tab 3 2 1 --size_tab 4 --Fconv 3", "classifier/0", "convolutions/0"),
        ("--C_tab 3 1 --size_tab 4 6 --Fconv 3", "classifier/1", "convolutions/0"),
    ):
        frozen, output_only, input_only = (
            parameters_of(command(f"--dataset={toy}", *TINY, words, "--lr_tab", rates)[0])
            for rates in ("0 0 0", "0.1 0 0", "0 0 0.1")
        )
        for trained, moved in ((output_only, first), (input_only, last)):
            for path, array in frozen.items():
                assert np.array_equal(trained[path], array) == (not path.startswith(f"parameters/{moved}/")), path
    assert frozen["parameters/classifier/1/W"].shape == (6, 4)


def test_how_far_bptt_goes_back(toy, monkeypatch):
    """BPTT goes back Kmax + 1 steps in training, Kmax in convolutional nets and the toy model, as published."""
    gone_back, bptt = [], rules.bptt

    def spy(*batch, T, steps, **more):
        gone_back.append((T, steps))
        return bptt(*batch, T=T, steps=steps, **more)

    monkeypatch.setattr(rules, "bptt", spy)
    for network, expected in (("energy", 4), ("prototypical", 4), ("one convolution", 3), ("toy", 3)):
        gone_back.clear()
        command(f"--dataset={toy}", *TINY, NETWORKS[network], "--training_method=BPTT")
        assert gone_back == [(8, expected)] * 6, network
        gone_back.clear()
        command(f"--dataset={toy}", *QUICK, ARCHITECTURES[network], "--action=recipe")
        assert gone_back == [(8, expected)] * 20, network


@pytest.mark.parametrize("seeds", ["--seed=3", "--seeds=3,4"])
@pytest.mark.parametrize("network", ["energy", "one convolution"])
def test_nudging(toy, monkeypatch, network, seeds):
    """beta as given; with a sign for each batch and seed, both signs; centered, both in one batch."""
    asked, eqprop = [], rules.eqprop

    def spy(*batch, beta, centered, **more):
        asked.append((np.ravel(beta), centered))
        return eqprop(*batch, beta=beta, centered=centered, **more)

    monkeypatch.setattr(rules, "eqprop", spy)
    for nudging, signs in (("one-sided", {0.5}), ("random-sign", {0.5, -0.5}), ("centered", {0.5})):
        asked.clear()
        command(f"--dataset={toy}", *TINY, seeds, NETWORKS[network], f"--nudging={nudging}")
        assert {float(beta) for betas, _ in asked for beta in betas} == signs
        assert {centered for _, centered in asked} == {nudging == "centered"}
        if nudging == "random-sign" and len(seeds) > 9:
            flat = np.concatenate([betas for betas, _ in asked])
            assert (flat[0::2] != flat[1::2]).any()  # each seed draws its own
        if "seeds" not in seeds:
            asked.clear()
            command(
                f"--dataset={toy}", *QUICK, seeds, ARCHITECTURES[network], f"--nudging={nudging}", "--action=recipe"
            )
            assert {float(beta) for betas, _ in asked for beta in betas} == signs and len(asked) == 20


def test_the_same_options_run_again_beside_the_first(toy):
    words = (f"--dataset={toy}", *TINY, NETWORKS["energy"], "--nudging=random-sign")
    first, _ = command(*words)
    before = kept(first)
    second, _ = command(*words)
    assert second.name == f"{first.name}-2"
    assert kept(second) == before == kept(first)


@pytest.mark.parametrize("network", ["unclamped", "leaky", "one convolution", "padded, two classifier layers"])
@pytest.mark.parametrize("nudging", ["one-sided", "random-sign"])
def test_three_seeds_in_one_run_equal_three_runs(toy, network, nudging):
    """And --benchmark equals a run of BPTT and one of EP."""
    words, signs = (
        (f"--dataset={toy}", *TINY, NETWORKS[network], "--dtype=float64", "--eval_every=2"),
        f"--nudging={nudging}",
    )
    together, _ = command("--seeds=3,1,7", "--benchmark", *words, signs)
    found, rows = parameters_of(together), table(together)
    for replica, (method, seed) in enumerate((method, seed) for method in ("BPTT", "EP") for seed in (3, 1, 7)):
        alone, _ = command(f"--training_method={method}", f"--seed={seed}", *words, *[signs] * (method == "EP"))
        expected = parameters_of(alone)
        assert found.keys() == expected.keys()
        for path, array in expected.items():
            np.testing.assert_allclose(found[path][replica], array, rtol=0, atol=1e-10, err_msg=path)
        for row, other in zip(rows[replica::6], table(alone), strict=True):
            assert (row["seed"], row["method"], other["replica"]) == (str(seed), other["method"], "0")
            for name in row.keys() - {"replica", "method"}:
                assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-9, abs=1e-10, nan_ok=True), name


@pytest.mark.parametrize("method", ["EP", "BPTT"])
@pytest.mark.parametrize("every", [3, 2, 4])
def test_the_training_error_is_that_of_each_batch_before_its_update(toy, method, every):
    """A loop by hand on the same batches; the error starts anew at each evaluation."""
    words = (f"--dataset={toy}", *TINY, "--size_tab=4,8,100", "--lr_tab=0.05,0.1", "--dtype=float64", "--seed=5")
    folder, _ = command(*words, f"--eval_every={every}", f"--training_method={method}")
    xp.use(dtype="float64")
    generator = xp.generator(5)
    (x, labels), (x_test, test_labels) = (
        (each.reshape(len(each), -1), labels)
        for each, labels in (getattr(data.load(toy, dtype="float64"), name) for name in ("train", "test"))
    )
    network = energy((100, 8, 4), generator.init)
    optimizer = SGD({"layers": [0.1, 0.05]})

    def tested():
        _, output = rules.bptt(network, x_test, one_hot(test_labels, 4), T=8, steps=1)
        return np.mean(output.argmax(axis=1) != test_labels), np.sum((output - one_hot(test_labels, 4)) ** 2) / 50

    rows = [(0, *tested())]
    wrong, loss, samples = 0, 0.0, 0
    for step in range(1, 7):
        if step in (1, 4):
            order = generator.shuffle.permutation(N_TRAIN)
        chosen = order[20 * ((step - 1) % 3) :][:20]
        y = one_hot(labels[chosen], 4)
        if method == "EP":
            grads, output = rules.eqprop(network, x[chosen], y, T=8, K=3, beta=0.5)
        else:
            grads, output = rules.bptt(network, x[chosen], y, T=8, steps=4)
        wrong += np.sum(output.argmax(axis=1) != labels[chosen])
        loss += np.sum((output - y) ** 2) / 2
        samples += 20
        optimizer.step(network.parameters, grads, {})
        if step % every == 0 or step == 6:
            rows.append((step, *tested(), wrong / samples, loss / samples))
            wrong, loss, samples = 0, 0.0, 0
    for row, (step, error, test_loss, *online) in zip(table(folder), rows, strict=True):
        assert int(row["step"]) == step
        assert float(row["test_error"]) == pytest.approx(error) and float(row["test_loss"]) == pytest.approx(test_loss)
        if online:
            assert [float(row["train_error"]), float(row["train_loss"])] == pytest.approx(online)
        else:
            assert row["train_error"] in ("", "nan") and row["train_loss"] in ("", "nan")
    for path, array in parameters.leaves(network.parameters):
        np.testing.assert_allclose(parameters_of(folder)[f"parameters/{path}"], array, atol=1e-12)


def test_errors_at_the_end_of_samples_that_fill_no_batch(toy):
    """48 of 60 samples fill batches of 16; the test set counts whole, whatever the size of its parts."""
    words = (f"--dataset={toy}", *TINY[1:], NETWORKS["energy"], "--batch_size=16", "--dtype=float64")
    rows = [table(command(*words, f"--test_batch_size={size}")[0]) for size in (1, 7, 25, 1000)]
    assert [row["step"] for row in rows[0]] == ["0", "3", "6"]
    for others in rows[1:]:
        for row, other in zip(rows[0], others, strict=True):
            assert float(row["test_loss"]) == pytest.approx(float(other["test_loss"]), rel=1e-9)
            assert row["test_error"] == other["test_error"] and row["train_loss"] == other["train_loss"]


# spellings


@pytest.mark.parametrize(
    "words, same",
    [
        ("--training-method eqprop", "--training-method EP"),
        ("--device-label -1", "--device=cpu"),
        ("--device-label -1 --device cpu", ""),
        ("--no-clamp --dt 0.2", "--noclamp"),
        ("--discrete --dt 1", "--discrete"),
        ("--activation-function sigm", ""),
    ],
)
def test_two_spellings_make_one_run(toy, words, same):
    first, second = (
        command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100", each, f"--results={place}")[0]
        for place, each in (("a", words), ("b", same))
    )
    assert first.name == second.name and kept(first) == kept(second)
    assert runs.Run(first).config["device"] == "cpu"


def test_defaults_that_depend_on_the_network_are_stored(toy):
    for words, dt in (("--size_tab=4,8,100", 0.2), ("--discrete --size_tab=4,8,100", 1.0),
                      ("--C_tab=3,1 --size_tab=4 --Fconv=3", 1.0)):  # fmt: skip
        options = runs.Run(command(f"--dataset={toy}", *TINY, words)[0]).options
        assert (options["dt"], options["dtype"], options["training_method"]) == (dt, "float32", "EP")
    options = runs.Run(command(f"--dataset={toy}", *QUICK, "--size_tab=4,8,100", "--action=recipe")[0]).options
    assert (options["dt"], options["dtype"]) == (0.2, "float64")


# the folder


@pytest.mark.parametrize("words", ["--benchmark --seeds 1 2", "--training-method BPTT", "--lr_tab=0,0"])
def test_the_folder_of_a_training_run(toy, words):
    folder, _ = command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100", words, plot=True)
    assert folder.parent == pathlib.Path("results/ep") and folder.name.startswith("train-cont-1hidden-")
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", "errors.png", "confusion.png"}
    rows, arrays = table(folder), runs.Run(folder).arrays()
    for method in {row["method"] for row in rows}:
        np.testing.assert_array_equal(arrays.pop(f"epochs/{method}"), [0, 1, 2])
        for name in ("train_error", "test_error"):
            curves = [column(rows, name, method=method, seed=s) for s in sorted({row["seed"] for row in rows})]
            np.testing.assert_array_equal(arrays.pop(f"{name}/{method}"), curves)
    assert arrays == {}
    last = float(rows[-1]["test_error"])  # a fraction, which the figure has in per cent
    assert 0 < last < 1 and any(line.get_ydata()[-1] == pytest.approx(100 * last) for line in drawn(folder)[-1].lines)
    config = json.loads((folder / "config.json").read_text())
    of_the_data = {"input_shape", "data"}
    assert config["options"].keys() - of_the_data == COMMANDS["train"].experiment.defaults.keys() - {"dry_run"}
    assert config["options"]["size_tab"] == [4, 8, 100]


def drawn(folder):
    """The axes of the figure of errors."""
    return figures.errors([runs.Run(folder)]).axes


def test_each_method_has_a_confusion_matrix_of_its_own(toy):
    """In the checkpoint those of BPTT come first; a panel has the mean over the seeds of its method."""
    folder, _ = command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100 --benchmark --seeds=1,2")
    figure, matrices = (
        figures.ERRORS["confusion"]([runs.Run(folder)]),
        runs.Run(folder).read_checkpoint()[0]["confusion"],
    )
    assert len(matrices) == 4
    for axis, method, own in zip(figure.axes[:2], ("EP", "BPTT"), (matrices[2:], matrices[:2]), strict=True):
        mean = own.mean(axis=0, dtype=float)
        assert axis.get_title() == f"{method}, test set, last evaluation"
        shares = 100 * mean / mean.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(axis.get_images()[0].get_array(), shares, rtol=1e-6)


def test_runs_without_any_error_are_drawn(toy, monkeypatch):
    """On the axis of errors: a run that ends with 0, at the foot of a logarithm, and one that has nothing but 0."""
    words = (f"--dataset={toy}", f"--size_tab 4 30 100 {DENSE} --no-clamp --consistent --nudging centered")
    folder, _ = command(*words, "--eval_every=200", plot=True)
    assert column(table(folder), "test_error")[-1] == 0
    assert (folder / "errors.png").exists() and drawn(folder)[0].get_yscale() == "symlog"
    assert not any("$" in tick.get_text() for tick in drawn(folder)[0].yaxis.get_ticklabels(which="both"))
    with monkeypatch.context() as patch:
        patch.setattr(train_file, "_measured", lambda *found: {k: 0 * v for k, v in measured(*found).items()})
        folder, lines = command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100", plot=True)
    assert lines == ["EP: test error 0.00 % (best 0.00 %), training error 0.00 %"]
    assert (folder / "errors.png").exists() and drawn(folder)[0].get_yscale() == "linear"


# --resume

LONG = (*QUICK, "--epochs=4", "--eval_every=5")  # 12 steps, evaluated after 5, 10 and 12, saved after 3, 6, 9, 12
DISTURBED = {
    "energy": "--seeds 1 2 --benchmark --nudging random-sign",
    "leaky": "--dtype float64 --nudging random-sign",
    "one convolution": "--seeds 3 4 --benchmark --nudging random-sign --tolerance 1e-3",
    "unclamped": "--nudging centered",
}


def test_resuming_a_finished_run_changes_nothing(toy):
    for network in ("energy", "one convolution"):
        words = (f"--dataset={toy}", *TINY, NETWORKS[network], "--seeds=1,2", "--nudging=random-sign")
        folder, lines = command(*words)
        before = kept(folder)
        assert command(f"--resume={folder}", *words) == (folder, lines)
        assert kept(folder) == before and runs.Run(folder).config["status"] == "finished"


@pytest.mark.parametrize("words", ["", "--discrete", "--dtype=float64", "--C_tab=3,1 --size_tab=4 --Fconv=3",
                                   "--dt=0.3", "--training_method=eqprop"])  # fmt: skip
def test_the_folder_is_enough_to_go_on(toy, words):
    """No option has to be said again: neither a default that depends on others, nor one of another spelling."""
    folder, lines = command(f"--dataset={toy}", *TINY, *("--size_tab=4,8,100",) * ("C_tab" not in words), words)
    before, options = kept(folder), runs.Run(folder).options
    assert command(f"--resume={folder}") == (folder, lines)
    assert kept(folder) == before
    assert runs.Run(folder).options == options


class Killed(BaseException):
    pass


@pytest.mark.parametrize("network", DISTURBED)
@pytest.mark.parametrize("end", ["killed", "interrupted"])
@pytest.mark.parametrize("moment", [1, 4, 7, 11])
def test_a_run_that_ends_at_any_step_goes_on_to_the_bit(toy, monkeypatch, network, end, moment):
    """Killed, it goes on from the last epoch; after Ctrl-C, from the step in progress, in the middle of an epoch."""
    words = (f"--dataset={toy}", *LONG, NETWORKS[network], DISTURBED[network])
    undisturbed, lines = command(*words)
    learn, number = Replicas.learn, [0]

    def disturbed(replicas, *batch):
        number[0] += 1
        if number[0] == moment and end == "killed":
            raise Killed
        if number[0] == moment:
            signal.raise_signal(signal.SIGINT)
        return learn(replicas, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Replicas, "learn", disturbed)
        if end == "killed":
            with pytest.raises(Killed):
                command(*words, "--results=other")
        else:
            assert "--resume=" in refused(*words, "--results=other", code=130)
    folder = pathlib.Path("other/ep", undisturbed.name)
    assert runs.Run(folder).config["status"] == ("running" if end == "killed" else "interrupted")
    counters = runs.Run(folder).read_checkpoint()[1]
    assert counters["step"] == (moment if end == "interrupted" else (moment - 1) // 3 * 3)
    assert command(f"--resume={folder}", *words) == (folder, lines)
    assert kept(folder) == kept(undisturbed)
    assert runs.Run(folder).config["status"] == "finished"


@pytest.mark.parametrize(
    "word",
    ["--epochs=1", "--training_method=BPTT", "--benchmark", "--seed=2", "--seeds=1,2", "--lr_tab=0.1,0.1", "--T=9",
     "--Kmax=4", "--beta=0.4", "--dt=0.3", "--discrete", "--no-clamp", "--consistent", "--nudging=centered",
     "--tolerance=0.1", "--dtype=float64", "--batch_size=10", "--test_batch_size=9", "--eval_every=2",
     "--dataset=glyphs", "--size_tab=4,9,100", "--C_tab=3,1", "--activation_function=tanh", "--toymodel",
     "--padding=1", "--Fconv=3", "--Fpool=3"],
)  # fmt: skip
def test_a_resumed_run_keeps_its_options(finished, word):
    folder = finished["train"]
    before, config = kept(folder), (folder / "config.json").read_bytes()
    message = refused(f"--resume={folder}", word)
    assert f"{word[2:].removeprefix('no-').partition('=')[0]} is" in message
    assert kept(folder) == before and (folder / "config.json").read_bytes() == config


@pytest.mark.parametrize("action", ["plotcurves", "recipe"])
def test_only_training_is_resumed(finished, action):
    folder = finished[action]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert f"is a run of ep {action}" in refused(f"--resume={folder}")
    assert "unknown option --resume" in refused(f"--resume={folder}", f"--action={action}")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(PlasticError):
        plastic.load(folder)


@pytest.mark.parametrize("network", DISTURBED)
@pytest.mark.parametrize("every", [3, 4])
def test_a_finished_run_is_extended_and_equals_a_long_one(toy, network, every):
    """The order of the samples, the signs of beta, and the errors since the last evaluation go on."""
    words = (f"--dataset={toy}", *QUICK, NETWORKS[network], DISTURBED[network], f"--eval_every={every}")
    long, lines = command(*words, "--epochs=4")
    cut, _ = command(*words, "--epochs=2")
    found = command(f"--resume={cut}", "--epochs=4")
    assert found[0] == cut and runs.Run(cut).options["epochs"] == 4
    (rows, arrays, counters), (expected, *others) = kept(cut), kept(long)
    assert [arrays, counters] == others
    if every == 3:
        assert rows == expected and found[1] == lines
    else:  # the short run was evaluated at its end too
        assert [row for row in table(cut) if row["step"] != "6"] == table(long)


# divergence


@pytest.mark.parametrize("words", ["--seed=1", "--seeds=1,2 --benchmark"])
def test_a_run_that_diverges_says_what_to_try(toy, words):
    message = refused(
        f"--dataset={toy}", *TINY, words, "--size_tab=4,8,100", "--no-clamp", "--activation-function=hardsigm",
        "--lr_tab=1e30,1e30",
    )  # fmt: skip
    (folder,) = pathlib.Path("results/ep").iterdir()
    assert re.search(r"diverged at step \d+: .*lr_tab", message) and str(folder) in message
    assert runs.Run(folder).config["status"] == "diverged"
    assert all(np.isfinite(array).all() for array in parameters_of(folder).values())
    assert plastic.load(folder).predict(data.load(toy).test[0]).shape[-2:] == (N_TEST, CLASSES)


@pytest.mark.parametrize("network", ["energy", "unclamped", "prototypical", "one convolution"])
@pytest.mark.parametrize("words, poisoned", [("--seeds=5,6", [1]), ("--seeds=5,6 --benchmark", [0, 1]),
                                             ("--benchmark", [1])])  # fmt: skip
def test_replicas_that_diverge_leave_the_others_alone(toy, monkeypatch, network, words, poisoned):
    """One seed of two; both of BPTT; that of EP."""
    options = (f"--dataset={toy}", *TINY, NETWORKS[network], words)
    undisturbed, lines = command(*options)
    learn, number = Replicas.learn, [0]

    def poison(replicas, *batch):
        number[0] += 1
        if number[0] == 4:
            for _, leaf in parameters.leaves(replicas.network.parameters):
                leaf[poisoned] = np.nan
        return learn(replicas, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Replicas, "learn", poison)
        folder, found = command(*options, "--results=other")
    expected = [row for row in table(undisturbed) if int(row["replica"]) not in poisoned or int(row["step"]) <= 3]
    assert table(folder) == expected
    if words.endswith("--benchmark"):
        (left,) = (line for line in lines if line.startswith("EP" if poisoned == [0, 1] else "BPTT"))
        assert left in found and not any("nan" in line for line in found)
        if network != "one convolution":
            assert ("BPTT: diverged" if poisoned == [0, 1] else "EP: diverged") in found
    config = runs.Run(folder).config
    assert config["status"] == "finished"
    assert config["details"]["diverged"] == {str(replica): 4 for replica in poisoned}
    assert all(np.isfinite(array).all() for array in parameters_of(folder).values())
    assert command(f"--resume={folder}", *options, plot=True) == (folder, found)
    assert (folder / "errors.png").exists()


@pytest.mark.parametrize("action", ["train", "plotcurves", "recipe"])
def test_a_nudge_below_the_rounding_is_refused(toy, action):
    for beta, dtype, rounding in (("1e-30", "float64", "2e-16"), ("-1e-8", "float32", "1e-07")):
        words = f"--dataset={toy} --action={action} --size_tab=4,8,100 --beta={beta} --dtype={dtype}"
        message = f"beta is {float(beta):g}; a nudge below {rounding}, the rounding of {dtype}, moves no state"
        assert message in refused(words)
    assert not pathlib.Path("results").exists()


def test_only_bptt_needs_as_many_free_steps_as_it_goes_back(toy):
    words = f"--dataset={toy} --size_tab=4,8,100 --batch_size=10 --T=5 --Kmax=8"
    command(words, "--action=train --epochs=1")
    for other in ("train --training_method=BPTT", "train --benchmark", "plotcurves", "recipe"):
        assert "Kmax is 8, but T is 5; BPTT goes back Kmax of the T free steps" in refused(words, f"--action={other}")


# wrong command lines


@pytest.mark.parametrize(
    "wrong",
    ["--size_tab=10,20,785", "--size_tab=9,20,784", "--C_tab=8,4,2,1 --size_tab=10 --lr_tab=1,1,1,1",
     "--C_tab=8,3 --size_tab=10", "--C_tab=8,1 --size_tab=9", "--batch_size=60001 --size_tab=10,20,784",
     "--batch_size=60001 --size_tab=10,20,784 --action=plotcurves"],
)  # fmt: skip
def test_what_does_not_fit_a_known_data_set_is_refused_before_it_is_fetched(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("PLASTIC_MIRROR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(data, "load", lambda *_, **__: pytest.fail("the data were asked for"))
    refused("--dataset=MNIST", wrong)
    assert list(tmp_path.iterdir()) == []


def reshaped(toy, path, *shape):
    """Write the images of a data set to another one, as samples of a shape."""
    with np.load(toy) as arrays:
        np.savez(path, **{k: a.reshape(len(a), *shape) if k[0] == "x" else a for k, a in arrays.items()})
    return path


CONV = "--Fconv=3 --size_tab=4"


@pytest.mark.parametrize("action", ["train", "plotcurves", "recipe"])
def test_maps_need_images_of_their_channels(toy, tmp_path_factory, tmp_path, action):
    place = tmp_path_factory.mktemp("others")
    flat, colour = (reshaped(toy, place / f"{len(shape)}.npz", *shape) for shape in ((100,), (5, 10, 2)))
    first = reshaped(toy, place / "first.npz", 2, 5, 10)
    for path, told in ((flat, "(100,)"), (colour, "(5, 10, 2)")):
        line = f"--dataset={path} --action={action} --C_tab=3,1 {CONV} --batch_size=20"
        assert told in refused(line) and "C_tab ends in 1" in refused(line)
    assert "move that axis to the end" in refused(f"--dataset={first} --action={action} --C_tab=3,2 {CONV}")
    narrow = reshaped(toy, place / "narrow.npz", 25, 4)  # 2 columns are left, and then none
    rates = "--lr_tab=.1,.1,.1" if action == "train" else ""
    line = f"--dataset={narrow} --action={action} --C_tab=3,2,1 {CONV}"
    assert "nothing is left after convolution 2" in refused(line, rates)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(5, 20), (20, 5), (5, 10, 2), (10, 5, 2)])
def test_images_may_be_rectangular_and_in_colour(toy, tmp_path, shape):
    path = reshaped(toy, tmp_path / "own.npz", *shape)
    channels = shape[2] if len(shape) > 2 else 1
    folder, _ = command(f"--dataset={path}", *TINY, f"--C_tab=3,{channels} {CONV} --lr_tab=0.05,0.1")
    assert_predictions_give_the_metrics(folder, path, table(folder)[-1:])
    network = plastic.load(folder).network
    assert network.wiring.input_shape == (*shape[:2], channels)
    others = f"--dataset={path} --batch_size=5 --T=8 --Kmax=3 --beta=0.5 --C_tab=3,{channels} {CONV}"
    for action in ("plotcurves", "recipe"):
        command(others, f"--action={action}")


def test_results_that_cannot_be_written(toy, tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    for action in ("train", "plotcurves", "recipe"):
        assert "results" in refused(f"--dataset={toy}", *QUICK, ARCHITECTURES["energy"], f"--action={action}")
    assert (tmp_path / "results").read_text() == "a file, not a folder"


# the command in its own process


@pytest.mark.parametrize(
    "words, name",
    [
        ("--action receipe", "recipe"),
        ("recipe", "recipe"),
        ("receipe", "recipe"),
        ("--no-clamp --action=plotcurves", "plotcurves"),
        ("plotcurves", "plotcurves"),
        ("--epochs=1 --action 'train'", "train"),
        ("train", "train"),
        ("--epochs 1", "train"),
    ],
)
def test_the_command_is_named_as_published_or_first(toy, words, name):
    line = [*shlex.split(words), f"--dataset={toy}", *QUICK, "--size_tab=4,8,100", "--no_plot"]
    variables = os.environ | {"PYTHONPATH": str(pathlib.Path(plastic.__file__).parents[1]), "PYTHONWARNINGS": "error"}
    arguments = [sys.executable, "-m", "plastic.ep", *line]
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0 and done.stderr == ""
    run = runs.Run(done.stdout.splitlines()[-1].removeprefix("run folder "))
    assert run.experiment == name
    assert [each.name for each in run.folder.parent.iterdir()] == [run.folder.name]


@pytest.mark.parametrize(
    "words, told",
    [
        ("--acton plotcurves", "unknown option --acton; did you mean --action?"),
        ("--ACTION=train", "did you mean --action?"),
        ("--action=plotcurve", "'plotcurve' is not a command; did you mean plotcurves?"),
        ("recipe --action=train", "recipe and --action both name the command; give one of them"),
        ("train --epochs=1 --action=train", "train and --action both name the command"),
        ("--action", "--action lacks its value"),
    ],
)
def test_the_command_may_be_misspelt(words, told):
    assert told in refused(words)


def test_the_help_tells_of_the_published_way_to_name_a_command():
    text = "\n".join(printed(COMMANDS, ["--help"], "plastic.ep", **HOW))
    assert "OTHER COMMANDS (also named by --action=COMMAND)" in text and "plastic.ep plotcurves" in text


def test_without_options_it_is_the_documented_network_on_mnist(monkeypatch, tmp_path):
    """EB-1h with its published rates; the sizes that are left out belong to the run."""
    monkeypatch.setattr(classifier, "load", mnist_of_noise)
    monkeypatch.setattr(Replicas, "learn", lambda *_: pytest.fail("a dry run learns"))
    monkeypatch.setattr(NewRun, "begin", lambda run, **_: pytest.fail(str(run.options)))
    with pytest.raises(pytest.fail.Exception) as shown:
        command()
    options = ast.literal_eval(str(shown.value))
    assert (options["size_tab"], options["lr_tab"], options["dt"]) == ((10, 512, 784), (0.05, 0.1), 0.2)
    assert options["dataset"] == "MNIST" and options["input_shape"] == (784,)


def mnist_of_noise(name, flat, validation=0.0):
    assert name == "MNIST"
    x = np.random.default_rng(0).random((40, 28, 28)).astype("float32")
    return classifier.Samples(name, (x, np.arange(40) % 10), (x, np.arange(40) % 10), 10)


# any command line


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """The folder of a finished run of each action, by name."""
    place = tmp_path_factory.mktemp("finished")
    return {
        action: command(f"--dataset={toy}", *QUICK, "--size_tab=4,8,100", f"--action={action} --results={place}",
                        *("--epochs=2",) * (action == "train"))[0]
        for action in ("train", "plotcurves", "recipe")
    }  # fmt: skip


NAMES = sorted({"action"} | {name for each in COMMANDS.values() for name in inspect.signature(each).parameters})
VALUES = ("", "0", "1", "2", "5", "-1", "3.5", "1e-3", "1e400", "nan", "none", "true", "no", "EP", "BPTT", "eqprop",
          "train", "plotcurves", "recipe", "sigm", "tanh", "hardsigm", "centered", "random-sign", "float32",
          "float64", "cpu", "tpu", "4,8,100", "4,3,3,100", "4", "3,1", "3,2,1", "0.1,0.1", "(3,1)", "[", "1,,2",
          "glyph", "x.npz", "DONE", "CURVES", ".", "é", "--", "=", "0x10", "x" * 300)  # fmt: skip
SPELLINGS = ("--{}={}", "--{}={}", "--{} {}", "-{}={}", "--no_{}", "--{}", "--{}", "--{}x={}", "{}={}")
BASE = ("--dataset=TOY", "--batch_size=20", "--T=4", "--Kmax=2", "--size_tab=4,8,100")


@st.composite
def word_lists(draw):
    """Words near the real ones: mostly valid names with values of some other option, in any order and spelling."""
    groups = []
    for _ in range(draw(st.integers(0, 3))):
        name, value, spelling = (draw(st.sampled_from(each)) for each in (NAMES, VALUES, SPELLINGS))
        if draw(st.booleans()):
            name = name.replace("_", "-")
        groups.append(tuple(spelling.format(name, value).split(" ", 1)))
    dropped = draw(st.sampled_from([None, None, *BASE[3:]]))
    groups += [(word,) for word in BASE if word != dropped]
    return [word for group in draw(st.permutations(groups)) for word in group]


@settings(max_examples=150, derandomize=True, database=None)
@given(words=word_lists())
def test_no_command_line_ends_in_a_traceback(toy, finished, tmp_path, words):
    line = []
    for word in words:
        for name, folder in {"TOY": toy, "DONE": finished["train"], "CURVES": finished["plotcurves"]}.items():
            word = word.replace(name, str(folder))
        line.append(word)
    shown = ends_well_or_in_one_line(COMMANDS, line, "plastic.ep", lambda: tmp_path.glob("*/ep/*"), **HOW)
    assert shown is None or "run folder" in shown or "folder results" in shown  # a dry run
