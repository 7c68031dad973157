"""The command `plastic.ep`: its runs and their folders, going on after a kill, and every wrong command line."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import matplotlib.image
import numpy as np
import pytest
from command_lines import column, ends_well_or_in_one_line, error_of, in_an_empty_folder, kept, printed, table
from hypothesis import given, settings
from hypothesis import strategies as st

import plastic
from plastic import data, parameters, runs, xp
from plastic.ep import energy, experiment, figures, plotcurves, recipe, rules, train
from plastic.errors import PlasticError
from plastic.functions import one_hot
from plastic.optimizers import SGD

N_TRAIN, N_TEST, CLASSES = 60, 25, 4
QUICK = ("--batch_size=20", "--T=8", "--Kmax=3", "--beta=0.5")
TINY = (*QUICK, "--epochs=2")

NETWORKS = {
    "energy": "--size_tab 4 8 100 --lr_tab 0.05 0.1",
    "unclamped": "--size_tab 4 7 6 100 --lr_tab 0.05 0.1 0.1 --no-clamp --activation-function tanh",
    "consistent": "--size_tab 5 8 100 --lr_tab 0.05 0.1 --consistent --dt 0.5",
    "prototypical": "--size_tab 4 8 100 --lr_tab 0.05 0.1 --discrete",
    "leaky": "--size_tab 4 7 6 100 --lr_tab 0.05 0.1 0.1 --discrete --dt 0.2",
    "one convolution": "--C_tab 3 1 --size_tab 4 --Fconv 3 --lr_tab 0.05 0.1",
    "two convolutions": "--C_tab 3 2 1 --size_tab 4 --Fconv 3 --lr_tab 0.05 0.1 0.1 --discrete",
    "padded, two classifier layers": "--C_tab 3 2 1 --size_tab 4 6 --Fconv 3 --padding 1 --lr_tab .1 .1 .1 .1",
}
METHODS = {
    "EP": "",
    "BPTT": "--training-method BPTT",
    "benchmark": "--benchmark",
    "random sign": "--nudging random-sign --seeds 1 2",
    "centered": "--nudging centered --dtype float64",
    "tolerance": "--tolerance 0.05",
    "two seeds": "--seeds 2 1 --benchmark --dtype float64 --nudging random-sign --eval_every 2",
}


def make_toy(path, rows=10, columns=10, train_samples=N_TRAIN, test_samples=N_TEST):
    """Write a data set that is easy to learn: each class has its own pattern of pixels, with a little noise."""
    generator = np.random.default_rng(0)
    patterns = (generator.random((CLASSES, rows, columns)) < 0.3).astype(float)
    arrays = {}
    for part, samples in (("train", train_samples), ("test", test_samples)):
        y = generator.permutation(np.arange(samples) % CLASSES)
        x = patterns[y] + 0.1 * generator.normal(size=(samples, rows, columns))
        arrays |= {f"x_{part}": np.clip(x, 0, 1), f"y_{part}": y}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The path of a data set of four classes of 10 x 10 images."""
    return make_toy(tmp_path_factory.mktemp("data") / "toy.npz")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, request):
    in_an_empty_folder(tmp_path, monkeypatch, request, figures)


def split(*words):
    """The words of some texts as a shell would hand them over."""
    return [each for word in words for each in str(word).split(" ")]


def command(*words):
    """Run the command line in this process; return the folder of the run, and the other lines that were printed."""
    *lines, folder = printed(experiment.run, split(*filter(None, words)), "plastic.ep")
    return pathlib.Path(folder.removeprefix("run folder ")), lines


def refused(*words, code=2):
    """Run a command line that fails; return the one line of its error."""
    error, shown = error_of(experiment.run, split(*filter(None, words)), "plastic.ep", code)
    assert shown == ""
    return error


def parameters_of(folder):
    """The trained parameters by path, without what else a checkpoint holds."""
    arrays, _ = runs.Run(folder).read_checkpoint()
    return {path: array for path, array in arrays.items() if path.startswith("parameters/")}


# training


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_method_on_every_network(toy, network, method):
    # a relaxation that may end early ends by all samples of a batch, so those of the test set stay together
    parts = "" if method == "tolerance" else "--test_batch_size=15"
    folder, lines = command(f"--dataset={toy}", *TINY, parts, NETWORKS[network], METHODS[method])
    run, rows = runs.Run(folder), table(folder)
    methods = ["BPTT", "EP"] if "benchmark" in METHODS[method] else ["BPTT"] if method == "BPTT" else ["EP"]
    seeds = re.search(r"--seeds ([\d ]+\d)", METHODS[method] + " ")
    seeds = seeds[1].split() if seeds else ["1"]
    assert list(rows[0]) == "step epoch replica seed method test_error train_error test_loss train_loss".split()
    steps = (0, 2, 4, 6) if "eval_every" in METHODS[method] else (0, 3, 6)
    clock = [
        (str(step), str(step / 3), str(place), seed, name)
        for step in steps
        for place, (name, seed) in enumerate((name, seed) for name in methods for seed in seeds)
    ]
    assert [tuple(row[k] for k in ("step", "epoch", "replica", "seed", "method")) for row in rows] == clock
    for row in rows[len(methods) * len(seeds) :]:
        assert 0 <= float(row["test_error"]) <= 100 and 0 <= float(row["train_error"]) <= 100
        assert 0 < float(row["test_loss"]) < 10 and 0 < float(row["train_loss"]) < 10
    assert run.config["status"] == "finished" and (run.family, run.experiment) == ("ep", "train")
    assert lines == [summary(rows, name) for name in methods]
    for seed in seeds if len(methods) == 2 else []:
        bptt, ep = (row for row in rows if row["step"] == "0" and row["seed"] == seed)
        assert (bptt["test_error"], bptt["test_loss"]) == (ep["test_error"], ep["test_loss"])  # the same weights
        assert column(rows, "test_loss", method="BPTT", seed=seed) != column(rows, "test_loss", method="EP", seed=seed)
    assert_predictions_give_the_metrics(folder, toy, rows[-len(methods) * len(seeds) :])


def summary(rows, method):
    """What the command must print of a method: means over its seeds at each evaluation."""
    steps = dict.fromkeys(row["step"] for row in rows)
    test, training = (
        [np.mean(column(rows, name, step=step, method=method)) for step in steps]
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
        assert float(row["test_error"]) == pytest.approx(100 * np.mean(replica.argmax(axis=-1) != labels), abs=1e-4)
        loss = np.sum((replica - np.eye(classes)[labels]) ** 2) / (2 * N_TEST)
        assert float(row["test_loss"]) == pytest.approx(loss, rel=1e-4)
        assert replica.dtype == dtype


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
        assert test[0] > 40 and min(test) < 5 and test[-1] < 15, method  # chance is 75 %
        assert training[-1] < 15, method
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
    """BPTT goes back Kmax + 1 steps in training, Kmax in convolutional nets, as published."""
    gone_back, bptt = [], rules.bptt

    def spy(*batch, T, steps, **more):
        gone_back.append((T, steps))
        return bptt(*batch, T=T, steps=steps, **more)

    monkeypatch.setattr(rules, "bptt", spy)
    for network, expected in (("energy", 4), ("prototypical", 4), ("one convolution", 3)):
        gone_back.clear()
        command(f"--dataset={toy}", *TINY, NETWORKS[network], "--training_method=BPTT")
        assert gone_back == [(8, expected)] * 6, network
        gone_back.clear()
        command(f"--dataset={toy}", *TINY, NETWORKS[network], "--action=recipe")
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
            command(f"--dataset={toy}", *TINY, seeds, NETWORKS[network], f"--nudging={nudging}", "--action=recipe")
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
    words = (f"--dataset={toy}", *TINY, NETWORKS[network], "--dtype=float64", "--eval_every=2", f"--nudging={nudging}")
    together, _ = command("--seeds=3,1,7", "--benchmark", *words)
    found, rows = parameters_of(together), table(together)
    for replica, (method, seed) in enumerate((method, seed) for method in ("BPTT", "EP") for seed in (3, 1, 7)):
        alone, _ = command(f"--training_method={method}", f"--seed={seed}", *words)
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
        return 100 * np.mean(output.argmax(axis=1) != test_labels), np.sum((output - one_hot(test_labels, 4)) ** 2) / 50

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
            rows.append((step, *tested(), 100 * wrong / samples, loss / samples))
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
    options = runs.Run(command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100", "--action=recipe")[0]).options
    assert options["dtype"] == "float64"


# the folder


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("words", ["--benchmark --seeds 1 2", "--training-method BPTT", "--lr_tab=0,0"])
def test_the_folder_of_a_training_run(toy, words):
    folder, _ = command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100", words)
    assert folder.parent == pathlib.Path("results/ep") and folder.name.startswith("train-cont-1hidden-")
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", "errors.png"}
    assert_readable(folder / "errors.png")
    rows, arrays = table(folder), runs.Run(folder).arrays()
    for method in {row["method"] for row in rows}:
        np.testing.assert_array_equal(arrays.pop(f"epochs/{method}"), [0, 1, 2])
        for name in ("train_error", "test_error"):
            curves = [column(rows, name, method=method, seed=s) for s in sorted({row["seed"] for row in rows})]
            np.testing.assert_array_equal(arrays.pop(f"{name}/{method}"), curves)
    assert arrays == {}
    config = json.loads((folder / "config.json").read_text())
    assert config["options"].keys() - {"input_shape"} == experiment.run.__kwdefaults__.keys() - {"device_label"}
    assert config["options"]["size_tab"] == [4, 8, 100]


def assert_readable(path):
    image = matplotlib.image.imread(path)
    assert min(image.shape[:2]) > 200 and image.min() < 0.5 < image.max(), path  # not one colour


@pytest.mark.usefixtures("figures_too")
def test_runs_without_any_error_are_drawn(toy, monkeypatch):
    """On the logarithmic axis of errors: a run that ends with 0, and one that has nothing but 0."""
    words = (f"--dataset={toy}", f"--size_tab 4 30 100 {DENSE} --no-clamp --consistent --nudging centered")
    folder, _ = command(*words, "--eval_every=200")
    assert column(table(folder), "test_error")[-1] == 0
    assert_readable(folder / "errors.png")
    evaluate = train.Task.evaluate
    monkeypatch.setattr(train.Task, "evaluate", lambda task: {k: 0 * v for k, v in evaluate(task).items()})
    folder, lines = command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100")
    assert lines == ["EP: test error 0.00 % (best 0.00 %), training error 0.00 %"]
    assert (folder / "errors.png").exists()


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
    step = train.Task.step

    def disturbed(task, batch, number):
        if number == moment and end == "killed":
            raise Killed
        if number == moment:
            signal.raise_signal(signal.SIGINT)
        return step(task, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(train.Task, "step", disturbed)
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
    ["--epochs=3", "--training_method=BPTT", "--benchmark", "--seed=2", "--seeds=1,2", "--lr_tab=0.1,0.1", "--T=9",
     "--Kmax=4", "--beta=0.4", "--dt=0.3", "--discrete", "--no-clamp", "--consistent", "--nudging=centered",
     "--tolerance=0.1", "--dtype=float64", "--batch_size=10", "--test_batch_size=9", "--eval_every=2",
     "--dataset=glyphs", "--size_tab=4,9,100", "--C_tab=3,1", "--activation_function=tanh", "--action=plotcurves",
     "--action=recipe", "--toymodel", "--padding=1", "--Fconv=3", "--Fpool=3"],
)  # fmt: skip
def test_a_resumed_run_keeps_its_options(finished, word):
    folder = finished["train"]
    before, config = kept(folder), (folder / "config.json").read_bytes()
    message = refused(f"--resume={folder}", word)
    assert word[2:].removeprefix("no-").partition("=")[0] in message
    assert kept(folder) == before and (folder / "config.json").read_bytes() == config


@pytest.mark.parametrize("action", ["plotcurves", "recipe"])
def test_only_training_is_resumed(finished, action):
    folder = finished[action]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for words in ((), (f"--action={action}",)):
        assert action in refused(f"--resume={folder}", *words)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(PlasticError):
        plastic.load(folder)


def test_a_run_of_another_family_is_not_resumed():
    with runs.Run.create("results", "gait", "train", {"algorithm": "BP"}) as run:
        pass
    assert str(run.folder) in refused(f"--resume={run.folder}")


def python(*words, **variables):
    """Start a Python process in the present folder, which sees this checkout."""
    root = pathlib.Path(plastic.__file__).parents[1]
    variables = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "error"} | variables
    return subprocess.Popen(
        [sys.executable, *split(*words)], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_runs_killed_at_any_moment_go_on_to_the_bit(toy):
    """SIGKILL at random times of the real command."""
    options = (f"--dataset={toy}", *QUICK, "--epochs=150", "--eval_every=7", NETWORKS["prototypical"],
               "--benchmark --seeds 1 2 --nudging random-sign")  # fmt: skip
    undisturbed, _ = command(*options)
    chance = random.Random(1)
    words = ["-m plastic.ep", *options, "--results=killed"]
    folder = pathlib.Path("killed/ep") / undisturbed.name
    for _ in range(3):
        with python(*words) as process:
            moved = _stamp(folder / "checkpoint.h5")
            while process.poll() is None and _stamp(folder / "checkpoint.h5") == moved:
                time.sleep(0.001)
            time.sleep(0.1 * chance.random())
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), errors  # a slow moment of this process lets the run finish
        words = ["-m plastic.ep", f"--resume={folder}", *options]
    command(f"--resume={folder}", *options)
    assert kept(folder) == kept(undisturbed)


def _stamp(path):
    return path.stat().st_mtime_ns if path.exists() else None


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


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("network", ["energy", "unclamped", "prototypical", "one convolution"])
@pytest.mark.parametrize("words, poisoned", [("--seeds=5,6", [1]), ("--seeds=5,6 --benchmark", [0, 1]),
                                             ("--benchmark", [1])])  # fmt: skip
def test_replicas_that_diverge_leave_the_others_alone(toy, monkeypatch, network, words, poisoned):
    """One seed of two; both of BPTT; that of EP."""
    options = (f"--dataset={toy}", *TINY, NETWORKS[network], words)
    undisturbed, lines = command(*options)
    step = train.Task.step

    def poison(task, batch, number):
        if number == 4:
            for _, leaf in parameters.leaves(task.parameters):
                leaf[poisoned] = np.nan
        return step(task, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(train.Task, "step", poison)
        folder, found = command(*options, "--results=other")
    expected = [row for row in table(undisturbed) if int(row["replica"]) not in poisoned or int(row["step"]) <= 3]
    assert table(folder) == expected
    if words.endswith("--benchmark"):
        (left,) = (line for line in lines if line.startswith("EP" if poisoned == [0, 1] else "BPTT"))
        assert left in found and not any("nan" in line for line in found)
    config = runs.Run(folder).config
    assert config["status"] == "finished"
    assert config["details"]["diverged"] == {str(replica): 4 for replica in poisoned}
    assert all(np.isfinite(array).all() for array in parameters_of(folder).values())
    assert command(f"--resume={folder}", *options) == (folder, found)
    assert_readable(folder / "errors.png")


# curves

CURVES = "--action=plotcurves --T=30 --Kmax=6 --beta=0.01 --batch_size=5"
SHAPES = {
    "--size_tab 4 8 100": ([4, 8], {"W_01": (8, 4), "W_1x": (100, 8)}),
    "--size_tab 4 7 6 100 --discrete": ([4, 7, 6], {"W_01": (7, 4), "W_12": (6, 7), "W_2x": (100, 6)}),
    "--size_tab 10 9 5 --toymodel": ([10, 9], {"W_01": (9, 10), "W_0x": (5, 10), "W_1x": (5, 9)}),
    "--C_tab 3 1 --size_tab 4 --Fconv 3": ([4, (4, 4, 3)], {"W^fc": (48, 4), "W^conv_0": (3, 3, 1, 3)}),
    "--C_tab 3 2 1 --size_tab 4 6 --Fconv 3 --activation-function hardsigm": (
        [4, 6, (1, 1, 3), (4, 4, 2)],
        {"W^fc_0": (6, 4), "W^fc_1": (3, 6), "W^conv_0": (3, 3, 2, 3), "W^conv_1": (3, 3, 1, 2)},
    ),
}


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("words", SHAPES)
def test_the_folder_of_curves(toy, words):
    layers, connections = SHAPES[words]
    layers = [layer if isinstance(layer, tuple) else (layer,) for layer in layers]
    folder, lines = command(f"--dataset={toy}", CURVES, words)
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "arrays.h5", "rmse.png", "neurons.png", "synapses.png"}
    for name in ("rmse", "neurons", "synapses"):
        assert_readable(folder / f"{name}.png")
    run, rows = runs.Run(folder), table(folder)
    assert run.config["status"] == "finished" and run.experiment == "plotcurves" and run.options["dtype"] == "float64"
    assert list(rows[0]) == ["array", "rmse_mean", "rmse_std", "residual"]
    assert [row["array"] for row in rows] == [f"s^{k}" for k in range(len(layers))] + list(connections)
    assert len(lines) == 1 + len(rows)
    for line, row in zip(lines[1:], rows, strict=True):
        name, mean, std, *residual = line.split()
        assert (name, mean, std) == (row["array"], f"{float(row['rmse_mean']):.4f}", f"{float(row['rmse_std']):.4f}")
        assert residual == ([f"{float(row['residual']):.1e}"] if name.startswith("s^") else [])
    arrays = run.arrays()
    kinds = {f"{kind}/{k}" for kind in ("nS", "dS", "units") for k in range(len(layers))}
    kinds |= {f"{k}/{name}" for k in ("NT", "DT", "synapses", "NT_last", "DT_last") for name in connections}
    assert arrays.keys() == kinds
    chosen = {"toymodel": (5, 5), "C_tab": (8, 5)}.get(words.split("--")[-1].split()[0], (5, 10))
    chosen = (8, 5) if "C_tab" in words else chosen
    for k, shape in enumerate(layers):
        n, d, units = (arrays[f"{kind}/{k}"] for kind in ("nS", "dS", "units"))
        assert n.shape == d.shape == (6, *shape) and n.dtype == d.dtype == np.float64
        assert list(units) == sorted(set(units)) and units.max() < np.prod(shape)
        assert len(units) == min(chosen[0], np.prod(shape)) and (k > 0 or list(units) == list(range(len(units))))
        assert_distance(rows[k], n, d)
        assert float(rows[k]["residual"]) >= 0
    for place, (name, shape) in enumerate(connections.items(), len(layers)):
        n, d, entries = (arrays[f"{kind}/{name}"] for kind in ("NT", "DT", "synapses"))
        assert n.shape == d.shape == (6, len(entries)) and len(entries) == min(chosen[1], np.prod(shape))
        assert len(set(entries)) == len(entries)
        for curve, kind in ((n, "NT"), (d, "DT")):
            last = arrays[f"{kind}_last/{name}"]
            assert last.shape == shape and np.array_equal(last.reshape(-1)[entries], curve[-1])
        assert rows[place]["residual"] == "" and 0 <= float(rows[place]["rmse_mean"]) <= 2


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("words", ["--size_tab 1 3 2 --toymodel", "--size_tab 4 --C_tab 1 1 --Fconv 1"])
def test_a_layer_or_connection_of_one_entry(toy, words):
    """There is no unbiased deviation of one distance."""
    folder, _ = command(f"--dataset={toy}", CURVES, words)
    (row,) = (row for row in table(folder) if row["array"] == ("s^0" if "toymodel" in words else "W^conv_0"))
    assert float(row["rmse_mean"]) >= 0 and row["rmse_std"] in ("", "nan", "0.0")


def assert_distance(row, n, d):
    """The distance of two curves as the published code defines it, and its unbiased standard deviation."""
    largest = np.maximum(np.sum(n**2, axis=0), np.sum(d**2, axis=0))
    entries = np.sqrt(np.sum((n - d) ** 2, axis=0) / np.where(largest > 0, largest, 1)).ravel()
    assert float(row["rmse_mean"]) == pytest.approx(np.mean(entries), rel=1e-9)
    assert float(row["rmse_std"]) == pytest.approx(np.std(entries, ddof=1), rel=1e-9)


@pytest.mark.parametrize(
    "words",
    [
        "--size_tab 4 8 100 --no-clamp --consistent --activation-function tanh --dt 0.2",
        "--size_tab 10 9 5 --toymodel --no-clamp --activation-function tanh --dt 0.2",
    ],
)
def test_curves_of_the_gradient_of_an_energy_match(toy, words):
    """Where the field is the gradient of one energy and the free phase has converged, EP follows BPTT to order beta."""
    folder, _ = command(f"--dataset={toy}", words, "--action=plotcurves --T=1500 --Kmax=10 --beta=1e-4")
    rows = table(folder)
    assert max(column(rows, "rmse_mean")) < 1e-2
    assert max(float(row["residual"] or 0) for row in rows) < 1e-8
    arrays = runs.Run(folder).arrays()
    np.testing.assert_allclose(arrays["nS/0"][0], arrays["dS/0"][0], atol=1e-4)  # sum over the batch of (s_0 - y) / B
    assert np.abs(arrays["nS/0"][0]).max() > 0.1


def test_the_batch_of_curves(toy, monkeypatch):
    """The first one of a shuffled epoch; that of the toy model is uniform and shares one class."""
    batches, comparison = [], plotcurves.Comparison

    def spy(network, x, y, **more):
        batches.append((x, y))
        return comparison(network, x, y, **more)

    monkeypatch.setattr(plotcurves, "Comparison", spy)
    for words, shape in (("--size_tab 4 8 100", (5, 100)), ("--C_tab 3 1 --size_tab 4 --Fconv 3", (5, 10, 10, 1)),
                         ("--size_tab 10 9 5 --toymodel", (5, 5))):  # fmt: skip
        for seed in (1, 2):
            command(f"--dataset={toy}", CURVES, words, f"--seed={seed}")
        (x, y), (other, _) = batches[-2:]
        assert x.shape == shape and np.abs(x - other).max() > 0.1
        assert (y.sum(axis=1) == 1).all() and set(np.unique(y)) == {0, 1}
    (x, y), (known, labels) = batches[0], data.load(toy, dtype="float64").train
    for sample, target in zip(x, y, strict=True):
        (place,) = np.flatnonzero((known.reshape(N_TRAIN, -1) == sample).all(axis=1))
        assert target.argmax() == labels[place]
    toys = batches[-2:]
    assert all(np.unique(y.argmax(axis=1)).size == 1 and 0 <= x.min() and x.max() <= 1 for x, y in toys)


def test_curves_are_the_same_in_float32_up_to_rounding(toy):
    rows = [table(command(f"--dataset={toy}", "--action=plotcurves --T=30 --Kmax=6 --beta=0.5 --size_tab 4 8 100",
                          f"--dtype={dtype}")[0]) for dtype in ("float32", "float64")]  # fmt: skip
    for row, other in zip(*rows, strict=True):
        assert float(row["rmse_mean"]) == pytest.approx(float(other["rmse_mean"]), rel=1e-2, abs=1e-3)


# signs


@pytest.mark.usefixtures("figures_too")
@pytest.mark.parametrize("words", [words for words in SHAPES if "toymodel" not in words])
def test_the_folder_of_a_recipe(toy, words):
    connections = SHAPES[words][1]
    folder, lines = command(f"--dataset={toy} --action=receipe --T=20 --Kmax=5 --batch_size=10", words)
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "arrays.h5", "signs.png"}
    assert_readable(folder / "signs.png")
    run, rows = runs.Run(folder), table(folder)
    assert run.config["status"] == "finished" and run.experiment == run.options["action"] == "recipe"
    assert list(rows[0]) == ["trial", "array", "total", "same_sign", "both_zero"]
    assert [(int(row["trial"]), row["array"]) for row in rows] == [
        (trial, name) for trial in range(1, 21) for name in connections
    ]
    for row in rows:
        total, same, zero = (float(row[name]) for name in ("total", "same_sign", "both_zero"))
        assert min(same, zero) >= 0 and total == pytest.approx(same + zero) and total <= 100 + 1e-9
    for name, kind in ((name, kind) for name in connections for kind in ("total", "same_sign", "both_zero")):
        np.testing.assert_array_equal(run.arrays()[f"{kind}/{name}"], column(rows, kind, array=name))
    assert len(lines) == 1 + 20 + len(connections)
    for line, name in zip(lines[21:], connections, strict=True):
        for kind in ("total", "same_sign", "both_zero"):
            values = column(rows, kind, array=name)
            assert f"{kind.replace('_', ' ')} {np.mean(values):.1f} +- {np.std(values):.1f}" in line
        assert line.startswith(f"{name}: ")
    first = next(iter(connections))
    assert len(set(column(rows, "total", array=first)) | set(column(rows, "same_sign", array=first))) > 1
    other, _ = command(f"--dataset={toy} --action=recipe --T=20 --Kmax=5 --batch_size=10", words, "--results=other")
    assert other.name == folder.name and table(other) == rows


def test_signs_agree_where_ep_follows_the_gradient(toy):
    words = f"--dataset={toy} --action=recipe --size_tab 4 8 100 --no-clamp --consistent --activation-function tanh"
    rows = table(command(words, "--T=200 --Kmax=100 --beta=1e-3")[0])
    assert np.mean(column(rows, "total")) > 97
    opposite = table(command(words, "--T=200 --Kmax=100 --beta=1e-3 --nudging=random-sign")[0])
    assert np.mean(column(opposite, "total")) > 97  # beta and -beta estimate one gradient


def test_what_counts_as_agreement():
    xp.use(dtype="float64")
    n, d = np.array([1.0, -2.0, 0.0, 0.0, 3.0]), np.array([2.0, -1.0, 0.0, 1.0, -1.0])
    assert recipe.sign_agreement(n, d) == pytest.approx((40, 20))


# wrong command lines

CONV = "--C_tab=3,1 --size_tab=4 --Fconv=3"
WRONG = {
    "--size_tab=4,100": "hidden layer",
    "--size_tab=4": "hidden layer",
    "--size_tab=": "size_tab",
    "--size_tab=4,0,100": "size_tab",
    "--size_tab=4,8,99": "100",
    "--size_tab=3,8,100": "4 classes",
    "--size_tab=4,8.5,100": "size_tab",
    "--beta=0": "beta",
    "--beta=nan": "beta",
    "--lr_tab=0.1": "lr_tab",
    "--lr_tab=0.1,0.1,0.1": "lr_tab",
    "--lr_tab=-0.1,0.1": "lr_tab",
    "--lr_tab=": "lr_tab",
    "--T=2 --Kmax=3": "Kmax",
    "--T=2 --Kmax=3 --action=plotcurves": "Kmax",
    "--T=0": "T is 0",
    "--Kmax=0": "Kmax",
    "--dt=0": "dt",
    "--dt=1.5": "dt",
    "--dt=-0.1": "dt",
    "--tolerance=-1": "tolerance",
    "--activation_function=relu": "hardsigm",
    "--training_method=BTPP": "BPTT",
    "--nudging=both": "one-sided",
    "--action=trian": "train",
    "--padding=2": "padding",
    "--padding=-1": "padding",
    "--toymodel": "plotcurves",
    "--toymodel --action=recipe": "plotcurves",
    "--toymodel --action=plotcurves --discrete": "toymodel",
    f"--toymodel --action=plotcurves {CONV}": "toymodel",
    "--toymodel --action=plotcurves --size_tab=4,8,7,5": "toy model",
    "--toymodel --action=plotcurves --size_tab=4,5": "hidden layer",
    "--C_tab=1 --size_tab=4": "C_tab",
    "--C_tab=3,0,1 --size_tab=4": "C_tab",
    "--C_tab=3,2 --size_tab=4 --Fconv=3": "C_tab",
    "--C_tab=3,1 --size_tab=3 --Fconv=3": "4 classes",
    "--C_tab=3,1 --size_tab=4,8,100 --Fconv=3": "lr_tab",
    f"{CONV} --dt=0.5": "dt",
    f"{CONV} --padding=2": "padding",
    "--C_tab=3,1 --size_tab=4 --Fconv=4 --padding=1": "Fconv",
    "--C_tab=3,1 --size_tab=4 --Fconv=11": "Fconv",
    "--C_tab=3,1 --size_tab=4 --Fconv=0": "Fconv",
    f"{CONV} --Fpool=9": "Fpool",
    f"{CONV} --Fpool=0": "Fpool",
    "--C_tab=3,2,1 --size_tab=4 --Fconv=5 --lr_tab=0.1,0.1,0.1": "convolution 2",
    "--C_tab=3,2,1 --size_tab=4 --Fconv=5 --action=plotcurves": "convolution 2",
    f"{CONV} --dataset=WIDE": "square",
    f"{CONV} --dataset=FLAT": "square",
    "--batch_size=61": "61",
    "--batch_size=0": "batch_size",
    "--batch_size=61 --action=plotcurves": "61",
    "--batch_size=61 --action=recipe": "61",
    "--test_batch_size=0": "test_batch_size",
    "--epochs=0": "epochs",
    "--eval_every=0": "eval_every",
    "--seeds=1,2 --action=plotcurves": "seeds",
    "--seeds=1,2 --action=recipe": "seeds",
    "--seeds=1,2,1": "seeds",
    "--seeds=": "seeds",
    "--seed=-1": "seeds",
    "--dataset=MINST": "MNIST",
    "--dataset=missing.npz": "missing.npz",
    "--resume=missing": "missing",
    "--device=tpu": "tpu",
    "--device_label=-1 --device=gpu": "device",
    "--device_label=0 --device=cpu": "device",
    "--device_label=1 --device=0": "device",
    "--threads=0": "threads",
    "--dtype=float16": "float16",
    "--clamp=maybe": "maybe",
    "--bta=1": "beta",
    "train": "train",
}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Data sets that are not square images."""
    place = tmp_path_factory.mktemp("others")
    flat = place / "flat.npz"
    with np.load(make_toy(place / "images.npz")) as images:
        np.savez(flat, **{k: a.reshape(len(a), -1) if k[0] == "x" else a for k, a in images.items()})
    return {"WIDE": make_toy(place / "wide.npz", 5, 20), "FLAT": flat}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_line_gets_one_line_and_leaves_nothing(toy, others, tmp_path, wrong):
    words = {"--dataset": toy, "--size_tab": "4,8,100", "--batch_size": 20, "--epochs": 1, "--T": 5, "--Kmax": 2}
    for word in wrong.split():
        words.pop(word.partition("=")[0], None)
    line = " ".join([*(f"{name}={value}" for name, value in words.items()), wrong])
    for name, path in others.items():
        line = line.replace(name, str(path))
    assert WRONG[wrong] in refused(line)
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("wrong, code", [("--epoch=1", 2), ("--size_tab=4,100", 2), ("--help", 0)])
def test_the_exit_code_of_the_process(toy, tmp_path, wrong, code):
    with python("-m plastic.ep", f"--dataset={toy}", wrong) as process:
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []
    if code:
        assert shown == "" and re.fullmatch(r"error: [^\n]+\n", errors)
    else:
        assert errors == "" and all(f"--{name}" in shown for name in experiment.run.__kwdefaults__)


def test_the_command_in_its_own_process(toy):
    words = (f"--dataset={toy}", *TINY, NETWORKS["energy"])
    with python("-m plastic.ep", *words, PLASTIC_RESULTS="elsewhere") as process:
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and errors == ""
    folder = pathlib.Path(shown.splitlines()[-1].removeprefix("run folder "))
    assert folder.parent == pathlib.Path("elsewhere/ep") and (folder / "errors.png").exists()
    assert kept(folder) == kept(command(*words)[0])


def test_results_that_cannot_be_written(toy, tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    for action in ("train", "plotcurves", "recipe"):
        assert "results" in refused(f"--dataset={toy}", *TINY, NETWORKS["energy"], f"--action={action}")
    assert (tmp_path / "results").read_text() == "a file, not a folder"


# any command line


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """The folder of a finished run of each action, by name."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda folder: None)
        return {
            action: command(f"--dataset={toy}", *TINY, "--size_tab=4,8,100", f"--action={action}",
                            f"--results={place}")[0]
            for action in ("train", "plotcurves", "recipe")
        }  # fmt: skip


NAMES = sorted(experiment.run.__kwdefaults__)
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
    shown = ends_well_or_in_one_line(experiment.run, line, "plastic.ep", lambda: tmp_path.glob("*/ep/*"))
    assert shown is None or "run folder" in shown
