"""The command `plastic.gait`: its runs and their folders, going on after a kill, and every wrong command line."""

import errno
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_lines import ends_well_or_in_one_line, error_of, in_an_empty_folder, kept, printed, table
from hypothesis import given, settings
from hypothesis import strategies as st

import plastic
from plastic import data, runs
from plastic.gait import experiment, figures
from plastic.gait.experiment import train

TINY = ("--batch_size=30", "--nb_epochs=2", "--learning_rate=0.003")
N_TRAIN, N_TEST = 300, 100


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The path of a data set of ten clusters in 16 dimensions."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(10, 16))
    arrays = {}
    for split, samples in (("train", N_TRAIN), ("test", N_TEST)):
        y = generator.permutation(np.arange(samples) % 10)
        arrays |= {f"x_{split}": centres[y] + 0.4 * generator.normal(size=(samples, 16)), f"y_{split}": y}
    path = tmp_path_factory.mktemp("data") / "toy.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, request):
    in_an_empty_folder(tmp_path, monkeypatch, request, figures)


def command(*words):
    """Run the command line in this process; return the folder of the run, and what was printed."""
    accuracy, folder = printed(train, [str(word) for word in words], "plastic.gait")
    return pathlib.Path(folder.removeprefix("run folder ")), accuracy


def refused(*words):
    """Run a command line that is wrong; return the one line of its error."""
    error, shown = error_of(train, [str(word) for word in words], "plastic.gait")
    assert shown == ""
    return error


def weights(folder):
    arrays, _ = runs.Run(folder).read_checkpoint()
    return [array for path, array in arrays.items() if path.startswith("layers/") and path.endswith("/W")]


# runs


@pytest.mark.parametrize("algorithm", ["BP", "TP", "GAIT", "FA", "DFA"])
@pytest.mark.parametrize(
    "words, layers",
    [
        ((), 2),
        (("--linear", "--nb_layers=2", "--orthogonal_reg=0.1", "--orthogonal_init"), 3),
        (("--tower", "--widths=16,12,10", "--shuffle"), 3),
        (("--seeds=1,2", "--shuffle", "--dtype=float64", "--orthogonal_reg=0.01"), 2),
        (("--tower", "--widths=12,10", "--seeds=4,3,9", "--linear"), 2),
    ],
)
def test_every_algorithm_on_every_network(toy, monkeypatch, algorithm, words, layers):
    monkeypatch.setattr(experiment, "_CHUNK", 70)  # several chunks to an evaluation, the last one shorter
    folder, accuracy = command(f"--algorithm={algorithm}", f"--dataset={toy}", "--eval_every=5", *TINY, *words)
    metrics = table(folder)
    seeds = next((word[8:].split(",") for word in words if word.startswith("--seeds")), ["1"])
    cosines = [f"cosine_{place}" for place in range(1, layers + 1)]
    names = ["train_accuracy", "train_mse", "test_accuracy", "test_mse", *cosines]
    assert list(metrics[0]) == ["step", "epoch", "replica", "seed", *names]
    clock = [
        (str(step), str(step / 10), str(replica), seed)
        for step in (0, 5, 10, 15, 20)
        for replica, seed in enumerate(seeds)
    ]
    assert [(row["step"], row["epoch"], row["replica"], row["seed"]) for row in metrics] == clock
    last = metrics[-len(seeds) :]
    means = [100 * np.mean([float(row[f"{name}_accuracy"]) for row in last]) for name in ("test", "train")]
    assert accuracy == "test accuracy {:.2f} % (training {:.2f} %)".format(*means)
    for row in metrics:
        # all rules share the error of the output layer, and BP is what BP is compared with
        for name in cosines if algorithm == "BP" else cosines[-1:]:
            assert float(row[name]) == pytest.approx(1, abs=1e-5)
        assert all(abs(float(row[name])) <= 1 + 1e-5 for name in cosines)
    if algorithm in ("FA", "DFA"):
        assert abs(float(metrics[0]["cosine_1"])) < 0.9  # a random direction
    assert_predictions_give_the_metrics(folder, toy, last)


def assert_predictions_give_the_metrics(folder, toy, last):
    trained = plastic.load(folder)
    dataset = data.load(toy, dtype=trained.config["options"]["dtype"])
    for name, (x, labels) in (("train", dataset.train), ("test", dataset.test)):
        outputs = trained.predict(x).reshape(len(last), len(x), 10)
        for row, replica in zip(last, outputs, strict=True):
            assert float(row[f"{name}_accuracy"]) == np.mean(replica.argmax(axis=-1) == labels)
            mse = np.mean((replica - np.eye(10)[labels]) ** 2)
            assert float(row[f"{name}_mse"]) == pytest.approx(mse, rel=1e-4)


def test_training_learns(toy):
    for algorithm in ("BP", "GAIT", "TP"):
        words = (f"--algorithm={algorithm}", f"--dataset={toy}", "--batch_size=30", "--nb_epochs=10")
        folder, _ = command(*words, "--learning_rate=0.003", "--orthogonal_init", "--orthogonal_reg=0.1")
        metrics = table(folder)
        assert float(metrics[0]["test_accuracy"]) < 0.4 and float(metrics[-1]["test_accuracy"]) > 0.9


@pytest.mark.parametrize(
    "word",
    ["--algorithm=TP", "--gamma=0.9", "--seed=2", "--orthogonal_reg=0.2", "--no-orthogonal_init", "--linear",
     "--nb_layers=3", "--learning_rate=0.002", "--batch_size=60", "--shuffle", "--nb_epochs=3"],
)  # fmt: skip
def test_every_option_takes_effect(toy, word):
    base = {"--algorithm": "GAIT", "--orthogonal_reg": "0.1", "--nb_layers": "2", **dict(w.split("=") for w in TINY)}
    base = [f"{name}={value}" for name, value in base.items()] + ["--orthogonal_init"]
    name = word.partition("=")[0].replace("--no-", "--")
    changed = [each for each in base if each.partition("=")[0] != name] + [word]
    first, second = (command(f"--dataset={toy}", *words)[0] for words in (base, changed))
    assert np.abs(weights(first)[0] - weights(second)[0]).max() > 1e-5


def test_gait_is_bp_where_weights_are_orthogonal(toy):
    words = (f"--dataset={toy}", *TINY, "--linear", "--nb_layers=3", "--dtype=float64")
    rows = {name: table(command(*words, f"--algorithm={name}")[0]) for name in ("TP", "GAIT")}
    for name, metrics in rows.items():
        for place in (1, 2, 3):
            assert float(metrics[0][f"cosine_{place}"]) == pytest.approx(1, abs=1e-12), name


@pytest.mark.usefixtures("figures_too")
def test_the_run_folder_as_documented(toy):
    folder, _ = command("--algorithm=GAIT", f"--dataset={toy}", "--seeds=1,2", *TINY)
    assert folder.parent == pathlib.Path("results/gait") and folder.name.startswith("train-GAIT-toy-")
    png = {"learning_curves.png", "cosines.png", "singular_values.png"}
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", *png
    }  # fmt: skip
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in png)
    config = json.loads((folder / "config.json").read_text())
    assert config["status"] == "finished" and config["family"] == "gait" and config["experiment"] == "train"
    assert config["options"]["seeds"] == [1, 2] and config["options"]["nb_epochs"] == 2
    assert config["options"].keys() - {"classes", "n_inputs"} == train.__kwdefaults__.keys()
    arrays = runs.Run(folder).arrays()
    for place, W in enumerate(weights(folder), 1):
        expected = np.sqrt(np.linalg.eigvalsh((W @ np.swapaxes(W, -1, -2)).astype(float)))[..., ::-1]
        np.testing.assert_allclose(arrays[f"singular_values/{place}"], expected, rtol=1e-4)


def test_the_same_options_run_again_beside_the_first(toy):
    first, _ = command(f"--dataset={toy}", *TINY)
    before = kept(first)
    second, _ = command(f"--dataset={toy}", *TINY)
    assert second.name == f"{first.name}-2"
    assert kept(second) == before == kept(first)


def test_the_batch_is_a_thousandth_of_the_training_set_by_default(toy):
    folder, _ = command(f"--dataset={toy}", "--nb_epochs=1")
    assert runs.Run(folder).options["batch_size"] == 1
    assert table(folder)[-1]["step"] == str(N_TRAIN)


def test_shuffling_changes_the_training_and_nothing_else(toy):
    ordered, shuffled = (table(command(f"--dataset={toy}", *TINY, *more)[0]) for more in ((), ("--shuffle",)))
    assert ordered[0] == shuffled[0] and ordered[-1] != shuffled[-1]


def test_three_seeds_in_one_run_equal_three_runs(toy):
    words = (f"--dataset={toy}", "--dtype=float64", "--shuffle", "--eval_every=4", *TINY, "--nb_layers=2")
    for algorithm in ("GAIT", "FA", "DFA"):
        together, _ = command(f"--algorithm={algorithm}", "--seeds=3,1,7", *words)
        arrays, _ = runs.Run(together).read_checkpoint()
        rows = table(together)
        for replica, seed in enumerate((3, 1, 7)):
            alone, _ = command(f"--algorithm={algorithm}", f"--seed={seed}", *words)
            expected, _ = runs.Run(alone).read_checkpoint()
            for path, array in expected.items():
                found = arrays[path][replica] if array.size > 1 else arrays[path]
                np.testing.assert_allclose(found, array, rtol=0, atol=1e-10, err_msg=path)
            for row, other in zip(rows[replica::3], table(alone), strict=True):
                assert (row["seed"], other["replica"]) == (str(seed), "0")
                for name in row.keys() - {"replica"}:
                    assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-9, abs=1e-10)


# initial weights, as published

FROZEN = ("--learning_rate=1e-30", "--dtype=float64", "--batch_size=300", "--nb_epochs=1")
"""Steps too small to change a weight: the run ends with the initial ones."""


@pytest.mark.parametrize("network", [("--nb_layers=3",), ("--tower", "--widths=16,14,12")])
@pytest.mark.parametrize(
    "words, orthogonal",
    [((), True), (("--orthogonal_init",), True), (("--orthogonal_init", "--orthogonal_reg=0.1"), True),
     (("--orthogonal_reg=0.1",), False)],
)  # fmt: skip
def test_weights_start_orthogonal_unless_there_is_a_regulariser_and_no_flag(toy, network, words, orthogonal):
    for W in weights(command(f"--dataset={toy}", *FROZEN, *network, *words)[0]):
        deviation = np.abs(W @ W.T - np.eye(len(W))).max()
        assert deviation < 1e-12 if orthogonal else deviation > 0.1
        if not orthogonal:  # Xavier's variance, 1 / n, within five standard errors
            assert np.mean(W**2) * len(W) == pytest.approx(1, abs=5 * np.sqrt(2 / W.size))


def test_the_last_two_layers_of_a_square_network_start_equal(toy):
    for words in (("--orthogonal_reg=0.1",), ()):
        first, second, third, output = weights(command(f"--dataset={toy}", *FROZEN, "--nb_layers=3", *words)[0])
        np.testing.assert_array_equal(third, output)
        assert np.abs(first - second).max() > 0.1 and np.abs(second - third).max() > 0.1


def test_a_layer_draws_from_the_seed_and_its_place(toy):
    one, two = (weights(command(f"--dataset={toy}", *FROZEN, "--nb_layers=3", f"--seed={s}")[0]) for s in (5, 6))
    np.testing.assert_array_equal(one[1], two[0])
    np.testing.assert_array_equal(one[2], two[1])


# --load


def test_load_starts_from_those_parameters(toy):
    first, _ = command(f"--dataset={toy}", *TINY)
    second, _ = command(f"--dataset={toy}", *TINY, f"--load={first}", "--orthogonal_reg=0.1", "--seed=9")
    before, after = table(first)[-1], table(second)
    for name in ("train_accuracy", "train_mse", "test_accuracy", "test_mse", "cosine_1", "cosine_2"):
        assert after[0][name] == before[name] != table(first)[0][name] or name.startswith("cosine")
    moments = runs.Run(first).read_checkpoint()[0]["moments/t"], runs.Run(second).read_checkpoint()[0]["moments/t"]
    assert moments[0] == moments[1] == 20  # fresh moments: 20 steps, not 40
    assert after[-1] != after[0]


def test_load_takes_all_replicas_and_another_precision(toy):
    first, _ = command(f"--dataset={toy}", *TINY, "--seeds=1,2")
    second, _ = command(f"--dataset={toy}", *FROZEN, "--seeds=3,4", f"--load={first}")
    np.testing.assert_array_equal(weights(first)[0], weights(second)[0])


@pytest.mark.parametrize("words", [("--nb_layers=2",), ("--tower", "--widths=16,10"), ("--seeds=1,2",)])
def test_load_refuses_another_architecture(toy, words):
    folder, _ = command(f"--dataset={toy}", *TINY)
    message = refused(f"--dataset={toy}", *TINY, *words, f"--load={folder}", "--results=other")
    assert str(folder) in message and not pathlib.Path("other").exists()


# --resume


def test_resuming_a_finished_run_changes_nothing(toy):
    folder, accuracy = command(f"--dataset={toy}", *TINY, "--seeds=1,2", "--shuffle")
    before = kept(folder)
    assert command(f"--resume={folder}") == (folder, accuracy)
    assert kept(folder) == before
    assert runs.Run(folder).config["status"] == "finished"


@pytest.mark.parametrize(
    "word",
    ["--nb_epochs=3", "--algorithm=GAIT", "--seed=2", "--seeds=1,2", "--shuffle", "--learning_rate=0.1",
     "--dtype=float64", "--batch_size=10", "--dataset=glyphs", "--tower", "--widths=16,10", "--load=."],
)  # fmt: skip
def test_a_resumed_run_keeps_its_options(toy, word):
    folder, _ = command(f"--dataset={toy}", *TINY)
    before, config = kept(folder), (folder / "config.json").read_bytes()
    message = refused(f"--resume={folder}", word)
    assert word[2:].partition("=")[0] in message
    assert kept(folder) == before and (folder / "config.json").read_bytes() == config


def test_the_same_options_may_be_named_again(toy):
    folder, _ = command(f"--dataset={toy}", *TINY, "--seeds=1,2")
    command(f"--resume={folder}", f"--dataset={toy}", *TINY, "--seeds=1,2", "--threads=1", "--device=cpu")


def test_a_run_of_something_else_is_not_resumed(toy):
    with runs.Run.create("results", "other", "train", {"algorithm": "BP"}) as run:
        pass
    assert str(run.folder) in refused(f"--resume={run.folder}")


class Killed(BaseException):
    pass


def test_a_run_killed_before_its_first_checkpoint_still_loads(toy, monkeypatch):
    """What --load gave is in no checkpoint yet: the resumed run must read it again."""
    first, _ = command(f"--dataset={toy}", *TINY)
    words = (f"--dataset={toy}", *TINY, f"--load={first}")
    undisturbed, _ = command(*words)

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(runs.Run, "save_checkpoint", die)
        command(*words)
    resumed, _ = command(f"--resume={undisturbed}-2")
    assert kept(resumed) == kept(undisturbed)


def test_a_diverged_replica_is_left_out_of_what_is_printed(toy, monkeypatch):
    step = experiment._Task.step

    def poisoned(task, batch, number):
        if number == 5:
            task.network.layers[0].W[1] = np.nan
        return step(task, batch, number)

    monkeypatch.setattr(experiment._Task, "step", poisoned)
    folder, accuracy = command(f"--dataset={toy}", *TINY, "--seeds=5,6")
    assert [row["seed"] for row in table(folder)] == ["5", "6", "5", "5"]
    assert accuracy.startswith(f"test accuracy {100 * float(table(folder)[-1]['test_accuracy']):.2f} % ")
    for name, array in runs.Run(folder).read_checkpoint()[0].items():
        assert np.isfinite(array).all(), name
    for _ in range(2):
        config = runs.Run(folder).config
        assert config["status"] == "finished" and config["details"]["diverged"] == {"1": 5}
        assert command(f"--resume={folder}") == (folder, accuracy)


def test_a_run_that_diverges_says_what_to_try(toy):
    message = refused(f"--dataset={toy}", "--batch_size=30", "--nb_epochs=3", "--learning_rate=1e30")
    folder = next(pathlib.Path("results/gait").iterdir())
    assert re.search(r"diverged at step \d+: .*learning_rate", message) and str(folder) in message
    assert runs.Run(folder).config["status"] == "diverged"
    assert all(np.isfinite(W).all() for W in weights(folder))


# kill -9

LONG = ("--batch_size=100", "--nb_epochs=60", "--learning_rate=0.003", "--shuffle", "--seeds=1,2", "--algorithm=GAIT")

KILLER = """
import os, signal, sys
# run the command line again and again, each time in a fork that kills itself at one call that changes a file
from plastic import cli, runs
from plastic.gait import figures
from plastic.gait.experiment import train
import h5py, fire, scipy.linalg
figures.draw = lambda folder: None
folder, *words = sys.argv[1:]

def armed(name, when):
    real = getattr(os, name)
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(os, name, call)

for point in map(int, os.environ["POINTS"].split(",")):
    child = os.fork()
    if child == 0:
        left = point
        for name in ("fsync", "replace"):
            armed(name, "before" if point % 2 else "after")
        started = os.path.exists(folder)
        cli.run(train, [f"--resume={folder}"] if started else words)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(point, "killed" if os.WIFSIGNALED(status) else "ended", flush=True)
"""


def python(*words, **variables):
    """Start a Python process in the present folder, which sees this checkout."""
    root = pathlib.Path(plastic.__file__).parents[1]
    variables = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "error"} | variables
    return subprocess.Popen(
        [sys.executable, *map(str, words)], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_runs_killed_at_any_moment_go_on_to_the_bit(toy):
    """SIGKILL at random times of the real command."""
    undisturbed, _ = command(f"--dataset={toy}", *LONG)
    chance = random.Random(1)
    words = ["-m", "plastic.gait", f"--dataset={toy}", *LONG, "--results=killed"]
    folder = pathlib.Path("killed/gait") / undisturbed.name
    for _ in range(3):
        with python(*words) as process:
            moved = _stamp(folder / "checkpoint.h5")
            while process.poll() is None and _stamp(folder / "checkpoint.h5") == moved:
                time.sleep(0.001)
            time.sleep(0.1 * chance.random())
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0)  # a slow moment of this process lets the run finish
        words = ["-m", "plastic.gait", f"--resume={folder}"]
    command(f"--resume={folder}")
    assert kept(folder) == kept(undisturbed)


def _stamp(path):
    return path.stat().st_mtime_ns if path.exists() else None


def test_runs_killed_while_they_write_go_on_to_the_bit(toy):
    """SIGKILL before and after each of the first flushes and renames of a run, then at later ones."""
    words = (f"--dataset={toy}", *LONG[:1], "--nb_epochs=12", *LONG[2:])
    undisturbed, _ = command(*words)
    folder = pathlib.Path("killed/gait") / undisturbed.name
    points = [*range(4, 24), 40, 41]
    with python(
        "-c", KILLER, folder, *words, "--results=killed", POINTS=",".join(map(str, points)), PYTHONWARNINGS="default"
    ) as process:
        shown, errors = process.communicate(timeout=300)
    assert [line.split()[1] for line in shown.splitlines()][:10] == ["killed"] * 10, errors
    assert "Traceback" not in errors
    command(f"--resume={folder}")
    assert kept(folder) == kept(undisturbed)


# wrong command lines

WRONG = {
    "--learning-rte=0.1": "learning_rate",
    "--nb_epochs=1.5": "nb_epochs",
    "--nb_epochs=0": "nb_epochs",
    "--nb_layers=0": "nb_layers",
    "--eval_every=0": "eval_every",
    "--batch_size=-1": "batch_size",
    "--batch_size=301": "301",
    "--algorithm=GIAT": "GAIT",
    "--dataset=MINST": "MNIST",
    "--dataset=missing.npz": "missing.npz",
    "--tower --widths=10,16": "16",
    "--tower --widths=0": "widths",
    "--tower --widths=16,9": "10 classes",
    "--tower --widths=17,10": "17",
    "--tower": "784",
    "--widths=16,10": "--tower",
    "--gamma=0": "gamma",
    "--gamma=1.5": "gamma",
    "--gamma=nan": "gamma",
    "--learning_rate=-0.1": "learning_rate",
    "--learning_rate=0": "learning_rate",
    "--orthogonal_reg=-1": "orthogonal_reg",
    "--seeds=1,2,1": "seeds",
    "--seeds=": "seeds",
    "--seed=-1": "seeds",
    "--seed=2147483648": "seeds",
    "--load=missing": "missing",
    "--resume=missing": "missing",
    "--device=tpu": "tpu",
    "--threads=0": "threads",
    "--dtype=float16": "float16",
    "--shuffle=maybe": "maybe",
    "--shuffle --shuffle": "twice",
    "--seed": "seed",
    "train": "train",
    f"--load={'x' * 300}": "load",
    f"--dataset={'x' * 300}.npz": "x.npz",
    "--threads=99999999999999999999999": "threads",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_line_gets_one_line_and_leaves_nothing(toy, tmp_path, wrong):
    words = {"--dataset": str(toy), "--batch_size": "30", "--nb_epochs": "1"}
    for word in wrong.split():
        words.pop(word.partition("=")[0], None)
    line = [*(f"{name}={value}" for name, value in words.items()), *wrong.split()]
    assert WRONG[wrong] in refused(*line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["--batch_size=60001", "--tower --widths=785,10", "--tower --widths=20,9"])
def test_what_does_not_fit_a_known_data_set_is_refused_before_it_is_fetched(toy, tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "datasets"))
    refused("--dataset=MNIST", *wrong.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong, code", [("--nb_epoch=1", 2), ("--tower --widths=10,16", 2), ("--help", 0)])
def test_the_exit_code_of_the_process(toy, tmp_path, wrong, code):
    with python("-m", "plastic.gait", f"--dataset={toy}", *wrong.split()) as process:
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []
    if code:
        assert shown == "" and re.fullmatch(r"error: [^\n]+\n", errors)
    else:
        assert errors == "" and all(f"--{name}" in shown for name in train.__kwdefaults__)


def test_the_command_in_its_own_process(toy):
    with python("-m", "plastic.gait", f"--dataset={toy}", *TINY, PLASTIC_RESULTS="elsewhere") as process:
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and errors == ""
    folder = pathlib.Path(shown.splitlines()[-1].removeprefix("run folder "))
    assert folder.parent == pathlib.Path("elsewhere/gait")
    assert kept(folder) == kept(command(f"--dataset={toy}", *TINY)[0])


def test_results_that_cannot_be_written(toy, tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    assert "results" in refused(f"--dataset={toy}", *TINY)
    assert (tmp_path / "results").read_text() == "a file, not a folder"


@pytest.mark.parametrize("survived", [0, 1])
def test_a_disk_that_fills_up(toy, monkeypatch, survived):
    """The error names the file; the checkpoint before it stays, and the run can go on once there is room."""
    undisturbed, _ = command(f"--dataset={toy}", *TINY)
    replace, written = os.replace, []

    def full(source, target):
        if os.fspath(target).endswith("checkpoint.h5"):
            if len(written) == survived:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(target)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        message = refused(f"--dataset={toy}", *TINY)
    folder = pathlib.Path(f"{undisturbed}-2")
    assert str(folder / "checkpoint.h5") in message and os.strerror(errno.ENOSPC) in message
    assert (folder / "checkpoint.h5").exists() == bool(survived) and not list(folder.glob(".*.part"))
    command(f"--resume={folder}")
    assert kept(folder) == kept(undisturbed)


# any command line

NAMES = sorted(train.__kwdefaults__)
VALUES = ["", "0", "1", "2", "-1", "3.5", "1e-3", "1e400", "nan", "none", "true", "no", "BP", "TP", "GAIT", "FA", "DFA",
          "gait", "float32", "float64", "cpu", "tpu", "16,10", "10,16", "12", "(3,1)", "[", "1,,2", "glyph", "x.npz",
          "DONE", "DAMAGED", ".", "é", "--", "a b", "=", "0x10", "1_0", "x" * 300]  # fmt: skip


@st.composite
def word_lists(draw):
    """Words near the real ones: mostly valid names with values of some other option, in any order and spelling."""
    words = []
    for _ in range(draw(st.integers(0, 3))):
        name, value = draw(st.sampled_from(NAMES)), draw(st.sampled_from(VALUES))
        spelling = draw(
            st.sampled_from(["--{}={}", "--{}={}", "--{} {}", "-{}={}", "--no_{}", "--{}", "--{}x={}", "{}={}"])
        )
        if draw(st.booleans()):
            name = name.replace("_", "-")
        words.append(tuple(spelling.format(name, value).split(" ", 1)))
    base = {"--dataset=TOY", "--batch_size=150", "--nb_epochs=1"}
    dropped = draw(st.sampled_from(sorted(base - {"--dataset=TOY"}) + [None] * 4))
    words += [(word,) for word in sorted(base - {dropped})]
    return [word for group in draw(st.permutations(words)) for word in group]


@pytest.fixture(scope="module")
def earlier(toy, tmp_path_factory):
    """The folders of a finished run and of a damaged one."""
    place = tmp_path_factory.mktemp("earlier")
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda folder: None)
        for name in ("DONE", "DAMAGED"):
            folders[name], _ = command(
                f"--dataset={toy}", "--batch_size=150", "--nb_epochs=1", f"--results={place}/{name}"
            )
    checkpoint = folders["DAMAGED"] / "checkpoint.h5"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    return folders


@settings(max_examples=100, derandomize=True, database=None)
@given(words=word_lists())
def test_no_command_line_ends_in_a_traceback(toy, earlier, tmp_path, words):
    line = []
    for word in words:
        for name, folder in {"TOY": toy, **earlier}.items():
            word = word.replace(name, str(folder))
        line.append(word)
    shown = ends_well_or_in_one_line(train, line, "plastic.gait", lambda: tmp_path.glob("*/gait/*"))
    assert shown is None or "test accuracy" in shown
