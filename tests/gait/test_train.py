"""The published task of GAIT-prop: what it trains, how it begins, what it loads. Whatever all commands share is tested
by tests/test_commands.py."""

import json
import os
import pathlib
import re

import numpy as np
import pytest
from command_lines import clusters, error_of, kept, on_backend, printed, table

import plastic
from plastic import classifier, data, runs, xp
from plastic.gait.__main__ import COMMANDS
from plastic.optimizers import Adam

TINY = ("--batch_size=30", "--nb_epochs=2", "--learning_rate=0.003")
N_TRAIN = 300


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The path of a data set of ten clusters in 16 dimensions."""
    return clusters(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def command(*words, plot=False):
    """Run the command line in this process; return the folder of the run, and what was printed."""
    accuracy, folder = printed(COMMANDS, ["train", *map(str, words), *([] if plot else ["--no_plot"])], "plastic.gait")
    return pathlib.Path(folder.removeprefix("run folder ")), accuracy


def refused(*words):
    """Run a command line that is wrong; return the one line of its error."""
    error, shown = error_of(COMMANDS, ["train", *map(str, words)], "plastic.gait")
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
    monkeypatch.setattr(classifier, "CHUNK", 70)  # several chunks to an evaluation, the last one shorter
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
    assert_predictions_give_the_metrics(folder, toy, "test", last)


def assert_predictions_give_the_metrics(folder, toy, name, rows):
    """Rows, one for each replica, have the accuracy and the error of the trained networks on the set `name`."""
    trained = plastic.load(folder)
    x, labels = getattr(data.load(toy, dtype=trained.config["options"]["dtype"]), name)
    outputs = trained.predict(x).reshape(len(rows), len(x), 10)
    for row, replica in zip(rows, outputs, strict=True):
        accuracy = np.mean(replica.argmax(axis=-1) == labels)
        assert float(row[f"{name}_accuracy"]) == pytest.approx(accuracy, rel=1e-6)
        mse = np.mean((replica - np.eye(10)[labels]) ** 2)
        assert float(row[f"{name}_mse"]) == pytest.approx(mse, rel=1e-4)


@pytest.mark.parametrize("seeds", ["--seeds=4", "--seeds=4,9"])
def test_training_is_measured_in_each_batch_before_its_update(toy, seeds):
    """Of one batch an epoch, what the weights of the epoch before give; before training there is nothing yet."""
    whole = (f"--dataset={toy}", seeds, f"--batch_size={N_TRAIN}", "--learning_rate=0.01", "--shuffle")
    count = len(seeds.split(","))
    short, long = (command(*whole, f"--nb_epochs={epochs}")[0] for epochs in (2, 3))
    rows = table(long)
    assert_predictions_give_the_metrics(short, toy, "train", rows[3 * count :])
    assert {row["train_accuracy"] for row in rows[:count]} == {"nan"}
    assert rows[2 * count]["train_mse"] != rows[3 * count]["train_mse"]


def test_training_is_measured_over_all_batches_since_the_evaluation(toy):
    """Weights that stand still make the running mean the mean: of an epoch, and of the batches before a row."""
    frozen = (f"--dataset={toy}", "--learning_rate=1e-30", "--dtype=float64", "--batch_size=50", "--nb_epochs=2")
    folder, _ = command(*frozen)
    rows = table(folder)
    assert rows[1]["train_mse"] == rows[2]["train_mse"]
    assert_predictions_give_the_metrics(folder, toy, "train", rows[2:])
    parts = table(command(*frozen, "--eval_every=3")[0])[1:]
    assert len({row["train_mse"] for row in parts}) == 2  # the halves of an epoch
    for name in ("train_accuracy", "train_mse"):
        halves = [float(row[name]) for row in parts[:2]]
        assert np.mean(halves) == pytest.approx(float(rows[1][name]), rel=1e-12)


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


def test_the_run_folder_as_documented(toy):
    folder, _ = command("--algorithm=GAIT", f"--dataset={toy}", "--seeds=1,2", *TINY, plot=True)
    assert folder.parent == pathlib.Path("results/gait") and folder.name.startswith("train-GAIT-toy-")
    png = {"learning_curves.png", "confusion.png", "cosines.png", "singular_values.png"}
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.json", "metrics.csv", "checkpoint.h5", "arrays.h5", *png
    }  # fmt: skip
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in png)
    config = json.loads((folder / "config.json").read_text())
    assert config["status"] == "finished" and config["family"] == "gait" and config["experiment"] == "train"
    assert config["options"]["seeds"] == [1, 2] and config["options"]["nb_epochs"] == 2
    of_the_data = {"classes", "n_inputs", "data"}
    assert config["options"].keys() - of_the_data == COMMANDS["train"].experiment.defaults.keys() - {"dry_run"}
    arrays = runs.Run(folder).arrays()
    for place, W in enumerate(weights(folder), 1):
        expected = np.sqrt(np.linalg.eigvalsh((W @ np.swapaxes(W, -1, -2)).astype(float)))[..., ::-1]
        np.testing.assert_allclose(arrays[f"singular_values/{place}"], expected, rtol=1e-4)


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
                found = arrays[path] if arrays[path].shape == array.shape else arrays[path][replica]
                np.testing.assert_allclose(found, array, rtol=0, atol=1e-10, err_msg=path)
            for row, other in zip(rows[replica::3], table(alone), strict=True):
                assert (row["seed"], other["replica"]) == (str(seed), "0")
                for name in row.keys() - {"replica"}:
                    assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-9, abs=1e-10, nan_ok=True)


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


# --validation

UNSTEADY = ("--batch_size=27", "--learning_rate=0.02", "--validation=0.1")
"""A rate that is too large: the best epoch is not the last one."""


@pytest.mark.parametrize("seeds", ["--seeds=4", "--seeds=4,9"])
def test_the_best_epoch_by_the_validation_set_is_tested_once(toy, seeds):
    words = (f"--dataset={toy}", seeds, *UNSTEADY, "--dtype=float64")
    folder, said = command(*words, "--nb_epochs=6")
    metrics = runs.Run(folder).metrics()
    assert "validation_accuracy" in metrics and not any(name.startswith("test") for name in metrics)
    count = len(seeds.split(","))
    found = np.array(metrics["validation_accuracy"]).reshape(-1, count)
    best = [list(column).index(max(column)) for column in found.T]
    assert any(epoch < 6 for epoch in best)
    arrays = runs.Run(folder).arrays()
    assert arrays["best_epoch"].tolist() == best
    trained, dataset = plastic.load(folder), data.load(toy, dtype="float64", validation=0.1)
    for name, (x, labels) in (("validation", dataset.validation), ("test", dataset.test)):
        right = trained.predict(x).reshape(count, len(x), 10).argmax(axis=-1) == labels
        expected = arrays["test_accuracy"] if name == "test" else found.max(axis=0)
        np.testing.assert_allclose(right.mean(axis=-1), expected, rtol=1e-12)
    epochs = ", ".join(map(str, best))
    assert said.startswith(f"test accuracy {100 * arrays['test_accuracy'].mean():.2f} % (training ")
    assert said.endswith(f", tested once, at the best epoch by the validation set ({epochs})")
    # another run that ends there leaves the same parameters
    if count == 1 and best[0]:
        short, _ = command(*words, f"--nb_epochs={best[0]}")
        kept = runs.Run(folder).read_checkpoint()[0]["best/layers/0/W"]
        np.testing.assert_array_equal(runs.Run(short).read_checkpoint()[0]["best/layers/0/W"], kept)
        np.testing.assert_array_equal(weights(short)[0], kept)


def test_the_best_epoch_survives_a_resume(toy):
    words = (f"--dataset={toy}", *UNSTEADY)
    whole, said = command(*words, "--nb_epochs=6")
    parts, _ = command(*words, "--nb_epochs=2")
    assert command(f"--resume={parts}", "--nb_epochs=6") == (parts, said) and kept(parts) == kept(whole)


def test_held_out_samples_are_not_trained_on(toy, tmp_path):
    """Whatever the held-out samples are, the weights after training are the same."""
    arrays = dict(np.load(toy))
    held = [np.flatnonzero(arrays["y_train"] == label)[-3:] for label in range(10)]
    arrays["x_train"][np.concatenate(held)] *= -0.5
    np.savez(tmp_path / "other.npz", **arrays)
    words = ("--batch_size=27", "--nb_epochs=2", "--validation=0.1")
    one, two = (command(f"--dataset={path}", *words)[0] for path in (toy, tmp_path / "other.npz"))
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert table(one)[-1]["validation_mse"] != table(two)[-1]["validation_mse"]


def test_load_takes_the_best_epoch(toy):
    first, _ = command(f"--dataset={toy}", *UNSTEADY, "--nb_epochs=6")
    second, _ = command(f"--dataset={toy}", *FROZEN, f"--load={first}")
    W = plastic.load(first).network.layers[0].W
    np.testing.assert_array_equal(weights(second)[0], xp.asnumpy(W).astype(float))
    assert np.abs(weights(first)[0] - weights(second)[0]).max() > 0  # which is not the last


# --load


def test_load_starts_from_those_parameters(toy):
    first, _ = command(f"--dataset={toy}", *TINY)
    second, _ = command(f"--dataset={toy}", *TINY, f"--load={first}", "--orthogonal_reg=0.1", "--seed=9")
    before, after = table(first)[-1], table(second)
    for name in ("test_accuracy", "test_mse", "cosine_1", "cosine_2"):
        assert after[0][name] == before[name] != table(first)[0][name] or name.startswith("cosine")
    moments = runs.Run(first).read_checkpoint()[0]["moments/t"], runs.Run(second).read_checkpoint()[0]["moments/t"]
    assert moments[0] == moments[1] == 20  # fresh moments: 20 steps, not 40
    assert after[-1] != after[0]


def test_load_takes_all_replicas_and_another_precision(toy):
    first, _ = command(f"--dataset={toy}", *TINY, "--seeds=1,2")
    second, _ = command(f"--dataset={toy}", *FROZEN, "--seeds=3,4", f"--load={first}")
    np.testing.assert_array_equal(weights(first)[0], weights(second)[0])


def test_load_without_a_value_takes_the_newest_run_with_the_same_options(toy):
    """Other options, or no checkpoint, are passed over; lengths may differ. The run says which it was."""
    words = (f"--dataset={toy}", "--batch_size=30", "--learning_rate=0.003")
    first, second = (command(*words, f"--nb_epochs={epochs}")[0] for epochs in (1, 2))
    other, _ = command(*words, "--nb_epochs=1", "--seed=5")
    for folder, age in ((first, 30), (second, 10), (other, 0)):
        at = os.stat(folder / "config.json").st_mtime - age
        os.utime(folder / "config.json", (at, at))
    third, _ = command(*words, "--nb_epochs=3", "--eval_every=7", "--load")
    assert runs.Run(third).options["load"] == str(second)
    assert table(third)[0]["test_mse"] == table(second)[-1]["test_mse"]
    (second / "checkpoint.h5").unlink()
    (third / "config.json").write_text("{}")
    assert runs.Run(command(*words, "--nb_epochs=4", "--load")[0]).options["load"] == str(first)
    assert "no train run with the same options" in refused(*words, "--nb_epochs=1", "--load", "--linear")
    assert "no train run with the same options" in refused(*words, "--nb_epochs=1", "--load", "--dtype=float64")
    assert "no train run with the same options" in refused(*words, "--nb_epochs=1", "--load", "--results=elsewhere")


def test_a_run_goes_on_without_the_one_it_started_from(toy):
    first, _ = command(f"--dataset={toy}", *TINY)
    second, _ = command(f"--dataset={toy}", *TINY, f"--load={first}", "--name=second")
    (first / "checkpoint.h5").rename(first / "gone.h5")
    steps = len(table(second))
    command(f"--resume={second}", "--nb_epochs=4")
    assert len(table(second)) > steps


@pytest.mark.parametrize("word", ["--no-load", "--load=false", "--load=none"])
def test_load_can_be_refused(toy, word):
    folder, _ = command(f"--dataset={toy}", *TINY, word)
    assert runs.Run(folder).options["load"] is None


@pytest.mark.parametrize("words, left", [((), 20), (("--shuffle",), None), (("--batch_size=30",), None)])
def test_samples_that_are_never_trained_on_are_said(toy, capsys, words, left):
    """Of 300 samples in batches of 40, in file order."""
    given = {word.partition("=")[0]: word for word in (f"--dataset={toy}", "--batch_size=40", "--nb_epochs=1", *words)}
    command(*given.values())
    told = f"note: the last {left} of 300 training samples fill no batch of 40 and are never trained on"
    assert capsys.readouterr().err.startswith(told) if left else capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [("--nb_layers=2",), ("--tower", "--widths=16,10"), ("--seeds=1,2",)])
def test_load_refuses_another_architecture(toy, words):
    folder, _ = command(f"--dataset={toy}", *TINY)
    message = refused(f"--dataset={toy}", *TINY, *words, f"--load={folder}", "--results=other")
    assert str(folder) in message and not pathlib.Path("other").exists()


# --resume


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
    step, count = Adam.step, [0]

    def poisoned(self, params, grads, state, lr=None):
        count[0] += 1
        if count[0] == 5:
            grads["layers"][0].W[1] = np.nan
        step(self, params, grads, state, lr)

    monkeypatch.setattr(Adam, "step", poisoned)
    folder, accuracy = command(f"--dataset={toy}", *TINY, "--seeds=5,6")
    assert [row["seed"] for row in table(folder)] == ["5", "6", "5", "5"]
    assert accuracy.startswith(f"test accuracy {100 * float(table(folder)[-1]['test_accuracy']):.2f} % ")
    for name, array in runs.Run(folder).read_checkpoint()[0].items():
        assert np.isfinite(array).all(), name
    for _ in range(2):
        config = runs.Run(folder).config
        assert config["status"] == "finished" and "1" in config["details"]["diverged"]
        assert command(f"--resume={folder}") == (folder, accuracy)


def test_a_run_that_diverges_says_what_to_try(toy):
    message = refused(f"--dataset={toy}", "--batch_size=30", "--nb_epochs=3", "--learning_rate=1e30")
    folder = next(pathlib.Path("results/gait").iterdir())
    assert re.search(r"diverged at step \d+: .*learning_rate", message) and str(folder) in message
    assert runs.Run(folder).config["status"] == "diverged"
    assert all(np.isfinite(W).all() for W in weights(folder))


@pytest.mark.parametrize("wrong", ["--batch_size=60001", "--tower --widths=785,10", "--tower --widths=20,9"])
def test_what_does_not_fit_a_known_data_set_is_refused_before_it_is_fetched(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "datasets"))
    refused("--dataset=MNIST", *wrong.split())
    assert list(tmp_path.iterdir()) == []


def test_the_curves_are_the_columns_of_the_metrics(toy):
    """Of one run, and of two as curves of their own."""
    from plastic.gait.experiments import figures

    folders = [command("--algorithm=GAIT", f"--dataset={toy}", *TINY, f"--seed={seed}")[0] for seed in (1, 2)]
    found = [runs.Run(folder) for folder in folders]
    for some in (found[:1], found):
        accuracies, errors = figures.learning_curves(some).axes
        cosines, values = figures.cosines(some).axes[0], figures.singular_values(some).axes[0]
        for axis in (accuracies, errors, cosines, values):
            assert axis.get_xlabel() and axis.get_ylabel() and axis.get_title() and axis.get_legend()
        for number, run in enumerate(some):
            metrics = run.metrics()
            shown = [line.get_ydata() for line in accuracies.get_lines()[2 * number : 2 * number + 2]]
            np.testing.assert_allclose(shown[0], 100 * np.array(metrics["train_accuracy"]))
            np.testing.assert_allclose(shown[1], 100 * np.array(metrics["test_accuracy"]))
            np.testing.assert_allclose(errors.get_lines()[2 * number + 1].get_ydata(), metrics["test_mse"])
            np.testing.assert_allclose(cosines.get_lines()[2 * number].get_ydata(), metrics["cosine_1"])
            for k in (1, 2):
                line = values.get_lines()[2 * number + k - 1]
                np.testing.assert_allclose(line.get_ydata(), run.arrays()[f"singular_values/{k}"])
        labels = [line.get_label() for line in accuracies.get_lines()]
        assert len(set(labels)) == 2 * len(some)


def test_many_layers_are_drawn_in_their_order_without_a_warning(toy):
    """Warnings are errors here."""
    from plastic.gait.experiments import figures

    folder, _ = command(f"--dataset={toy}", "--nb_layers=40", "--batch_size=100", "--nb_epochs=1", plot=True)
    assert len(list(folder.glob("*.png"))) == 4
    for draw in (figures.cosines, figures.singular_values):
        labels = [line.get_label() for line in draw([runs.Run(folder)]).axes[0].get_lines()]
        assert labels == [f"layer {number}" for number in range(1, 42)]


@pytest.mark.parametrize("seeds", [(), ("--seeds=1,2",)])
@pytest.mark.parametrize("algorithm", ["BP", "TP", "GAIT", "FA", "DFA"])
def test_a_run_on_each_backend(backend, toy, monkeypatch, algorithm, seeds):
    """Training, evaluation, checkpoint and extension give NumPy's numbers on each backend."""
    words = (
        f"--dataset={toy}",
        f"--algorithm={algorithm}",
        *seeds,
        "--shuffle",
        "--orthogonal_reg=0.1",
        "--dtype=float64",
    )
    expected, _ = command(*words, "--batch_size=30", "--nb_epochs=2")
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        found, _ = command(*words, "--batch_size=30", "--nb_epochs=1")
        command(f"--resume={found}", "--nb_epochs=2")
    for a, b in zip(weights(found), weights(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
