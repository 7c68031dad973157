"""Own data in every command that takes them: a right result, or a refusal in one line with nothing written.

Data with few samples, none or one of a class, other numbers of classes, labels that do not count from 0, samples of
another shape, and files that are no data at all; see tests/odd_files.py.
"""

import importlib
import re
from pathlib import Path

import fuzz
import numpy as np
import odd_files
import pytest
from command_lines import printed

import plastic
from plastic import cli, data, runs

LINES = [line for line in fuzz.all_lines() if "--dataset={data}" in line.words]
ALWAYS = {
    "no sample of a class": "the labels of .* run from 0 to .*, but no sample has 1; number the classes from 0",
    "labels from 1": "the labels of .* run from 1 to .*, but no sample has 0; number the classes from 0",
    "labels that skip": "the labels of .* run from 0 to .*, but no sample has 1; number the classes from 0",
    "labels of halves": r"has the label \d\.5; labels are whole numbers",
    "labels below 0": "has the label -1; labels are whole numbers",
    "labels as rows": "one label each",
    "zeros": r"max \|x_train\| is 0",
    "nearly zeros": r"max \|x_train\| is",
    "huge": r"max \|x_train\| is",
    "not finite": "values that are not finite",
    "complex": "real numbers are needed",
    "one class": "y_train has no label but 0",
    "no test samples": "none of them empty",
    "a label less": "one label each",
    "a test label more": "one label each",
    "other test samples": "may differ in the first axis only",
    "labels not finite": "y_train has values that are not finite",
    "labels of 2^63": r"has the label 92233720368547758\d\d; labels are whole numbers",
    "labels that overflow": r"has the label -1\d\d; labels are whole numbers",
    "objects": "cannot be read as an .npz file of plain arrays",
    "one axis": "two axes or more",
    "no samples": "none of them empty",
    "an array less": "has no array y_test",
    "a folder in the archive": "has no array x_train",
} | {name: "cannot be read" for name in odd_files.CRAFTED if name != "a folder in the archive"}
"""What every command says."""

TEN = "classes; the networks of this experiment are for 10"
PC = {
    "one test sample": "2 samples of each class are needed, but .* has 0 test samples of class",
    "two test samples": "2 samples of each class are needed, but .* has 0 test samples of class",
    "one class to test": "2 samples of each class are needed, but .* has 0 test samples of class 1",
    "no training sample of a class": "are needed, but .* has 0 training samples of class 1",
    "no test sample of a class": "are needed, but .* has 0 test samples of class 1",
    "one training sample of a class": "are needed, but .* has 1 training samples of class 1",
    "one test sample of a class": "are needed, but .* has 1 test samples of class 1",
    "one sample of each class": "are needed, but .* has 1 training samples of class 0",
    "two classes": f"has 2 {TEN}",
    "three classes": f"has 3 {TEN}",
    "five classes": f"has 5 {TEN}",
    "two classes more": f"has 12 {TEN}",
}
"""What the sweeps of predictive coding say."""
SQUARE = "has samples of shape .*; square images are needed"
CNN = {name: message for name, message in PC.items() if "classes" not in name} | {
    "two classes more": "2 samples of each class are needed",
    **dict.fromkeys(("flat", "one pixel", "colours", "channels"), SQUARE),
}
"""What the convolutional networks say, whose outputs are as many as there are classes."""
FEW = {"depth": 11, "smalldata": 6, "forgetting": 6}
"""How many training samples of a class their lines ask for, where it is more than two."""

EP = {
    "two classes more": "size_tab begins with 4, the outputs; .* has 6 classes",
    "one pixel": "size_tab ends in 100, the inputs, but .* has 1$",
    "colours": "size_tab ends in 100, the inputs, but .* has 300$",
    "oblong": "size_tab ends in 100, the inputs, but .* has 200$",
    "one sample of each class": "batch_size is 20, but the training set has 4 samples",
    "two samples of each class": "batch_size is 20, but the training set has 8 samples",
}
GAIT = {
    "one pixel": "an output layer of 1 units is too small for the 10 classes",
    "one sample of each class": "batch_size is 60, but the training set has 10 samples",
    "two samples of each class": "batch_size is 60, but the training set has 20 samples",
}


FEW_HELD_OUT = "validation is 0.2, which would hold out 0 of the [12] training samples of class"
GLE = {
    "one training sample of a class": FEW_HELD_OUT,
    "one sample of each class": FEW_HELD_OUT,
    "two samples of each class": FEW_HELD_OUT,
    "two classes more": FEW_HELD_OUT,
    "one pixel": "has sequences of 1 steps, but an input needs 7 steps to the outputs",
}
"""What MNIST-1D's experiment says, whose line holds a fifth of each class out."""


def refusal(line, name):
    """Return what a line says of odd data, or None where it works."""
    if line.family == "pc" and name == "two samples of each class" and line.command in FEW:
        return f"per_class is {FEW[line.command]}, but .* has 2 training samples of class 0"
    if line.command in ("plotcurves", "recipe") and name in ("nearly zeros", "huge"):
        return None  # float64 holds them
    own = CNN if line.command == "cnn" else {"pc": PC, "ep": EP, "gait": GAIT, "gle": GLE}[line.family]
    return ALWAYS.get(name) or own.get(name)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The odd files of a line."""
    material = fuzz.Material(tmp_path_factory.mktemp("material"))
    return lambda line: dict(zip([*odd_files.SETS, *odd_files.CRAFTED], material.odd_data(line), strict=True))


def test_the_lines_are_all_commands_that_take_own_data():
    taking = {
        f"{family}-{name}"
        for family in plastic.FAMILIES
        for name, command in importlib.import_module(f"plastic.{family}.__main__").COMMANDS.items()
        if re.search(r"dataset: .*\n?.*\.npz", command.__doc__)
    }
    every = {str(line) for line in fuzz.all_lines() if any(word.startswith("--dataset") for word in line.words)}
    taking -= {"pc-consistency"}  # whose line has random pairs; its images are those of `depth`
    assert {str(line) for line in LINES} == taking == every - {"gle-gsc"}


@pytest.mark.parametrize("name", [*odd_files.SETS, *odd_files.CRAFTED])
@pytest.mark.parametrize("line", LINES, ids=str)
def test_odd_data_give_a_right_result_or_are_refused(line, name, paths, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLASTIC_RESULTS", raising=False)
    path = paths(line)[name]
    words = [line.command, *(word.format(data=path) for word in line.words)]
    words += ["--no_plot"] if line.figures else []
    commands = fuzz.commands_of(line.family)
    if message := refusal(line, name):
        with pytest.raises(SystemExit) as leave:
            cli.run(commands, words, prog="plastic")
        shown, told = capsys.readouterr()
        *notes, error = told.splitlines()
        assert leave.value.code == 2 and re.match(f"error: .*{message}", error) and shown == ""
        assert all(note.startswith("note: ") for note in notes) and not list(tmp_path.iterdir())
        return
    *_, folder = printed(commands, words, "plastic")
    run = runs.Run(Path(folder.removeprefix("run folder ")))
    check(line, run, data.load(path, run.options["dtype"]))


def check(line, run, dataset):
    """The last errors of metrics.csv are those of the trained network on the test set."""
    assert run.config["status"] == "finished"
    metrics = run.metrics()
    assert all(np.isfinite(each) for name in metrics if "test" in name for each in metrics[name])
    if line.network is None or line.command in ("forgetting", "drift", "mnist1d"):  # which are not tested from rest
        return
    x, labels = dataset.test
    outputs = plastic.load(run.folder, part=line.part).predict(x)
    if line.family == "pc":
        (rows,) = np.nonzero(np.all([np.array(metrics[n]) == v for n, v in line.part.items()], axis=0))
        last = rows[np.array(metrics["step"])[rows] == max(np.array(metrics["step"])[rows])]
    else:
        last = np.flatnonzero(np.array(metrics["step"]) == max(metrics["step"]))
    error = np.mean(outputs.argmax(axis=-1) != labels, axis=-1).reshape(-1)
    column = "test_accuracy" if line.family == "gait" else "test_error"
    expected = 1 - error if column == "test_accuracy" else error
    np.testing.assert_allclose(np.array(metrics[column])[last], expected, atol=1e-4)


LOADED = {
    "gait train": ["--nb_epochs=1", "--batch_size=10"],
    "ep train": ["--epochs=1", "--batch_size=10", "--size_tab=10,8,64", "--T=4", "--Kmax=2"],
    "ep train convolutional": [*"--epochs=1 --batch_size=10 --size_tab=10 --C_tab=3,1 --T=4 --Kmax=2".split()],
    "pc depth": ["--epochs=1", "--depths=2", "--rates=0.01", "--rules=pc", "--per_class=2", "--T=4", "--seeds=1,2"],
    "pc cnn": [
        "--epochs=1",
        "--grid=quick",
        "--rates=0.001",
        "--rules=ipc",
        "--T=2",
        "--channels=2,2",
        "--batch_size=10",
    ],
}
"""Experiments of which images are predicted, with options that make them small."""


@pytest.mark.parametrize("name", LOADED)
def test_a_loaded_network_takes_samples_that_are_scaled_as_in_training(name, tmp_path):
    """Lists of them, too; none, and images that are not scaled, are refused in one way by all families."""
    x = np.random.default_rng(0).random((40, 8, 8))
    arrays = {"x_train": x, "y_train": np.arange(40) % 10, "x_test": x[:20], "y_test": np.arange(20) % 10}
    np.savez(tmp_path / "own.npz", **arrays)
    family, experiment, *_ = name.split()
    command = getattr(importlib.import_module(f"plastic.{family}.experiments.{experiment}"), experiment)
    words = [*LOADED[name], f"--dataset={tmp_path / 'own.npz'}", f"--results={tmp_path}", "--no_plot"]
    *_, last = printed({experiment: command}, [experiment, *words], f"plastic.{family}")
    part = runs.Run(last.removeprefix("run folder ")).config.get("parts", [None])[0]
    predict = plastic.load(last.removeprefix("run folder "), part=part).predict
    outputs = predict(x[:5])
    assert outputs.shape[-2:] == (5, 10)
    for same in (x[:5].tolist(), x[:5].astype("float32"), x[:5].reshape(5, -1)):
        np.testing.assert_allclose(predict(same), outputs, rtol=1e-5, atol=1e-6)
    for wrong, said in (
        ((255 * x[:5]).astype("uint8"), "x holds uint8; float32 numbers are needed, scaled as those of training"),
        (x[:5] > 0.5, "x holds bool"),
        (x[:0], r"x has shape \(0, 8, 8\); \(batch, ..\) is needed, with one sample"),
        ([], "x has shape"),
        (x[0, 0], "x has shape"),
        (None, "numbers"),
    ):
        with pytest.raises(plastic.PlasticError, match=said):
            predict(wrong)


def test_a_part_that_is_no_dict(tmp_path):
    x = np.random.default_rng(0).random((40, 8, 8))
    np.savez(tmp_path / "own.npz", x_train=x, y_train=np.arange(40) % 10, x_test=x, y_test=np.arange(40) % 10)
    from plastic.pc.experiments.depth import depth

    words = [*LOADED["pc depth"], f"--dataset={tmp_path / 'own.npz'}", f"--results={tmp_path}", "--no_plot"]
    *_, last = printed({"depth": depth}, ["depth", *words], "plastic.pc")
    with pytest.raises(plastic.PlasticError, match=r"part is 'pc'; it must be a dict, as \{'rule': 'pc', 'depth': 2\}"):
        plastic.load(last.removeprefix("run folder "), part="pc")
