"""What the four experiments of GLE have in common: seeds, backends, going on in the middle of a window, divergence."""

import pathlib
import re
import signal

import numpy as np
import pytest
import strict
from command_lines import column, kept, on_backend, table
from gle import tiny
from gle.tiny import (
    ARCHITECTURES,
    CURVES,
    EVERY,
    LINE,
    MODELS,
    NET,
    TASKS,
    WORDS,
    assert_close,
    command,
    numbers,
    printed,
    refused,
    tiny_words,
)

import plastic
from plastic import cli, parameters, runs, training, xp
from plastic.gle.__main__ import COMMANDS
from plastic.gle.experiments import gsc
from plastic.runs.record import tuples


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    tiny.place(tmp_path, monkeypatch)


def test_the_boundary_and_where_weights_start_are_in_the_name_of_the_folder():
    for words, name in (("", "published-seed5"), ("--small_weights", "published-small-seed5"),
                        ("--boundary=textbook --seed=2", "textbook-seed2")):  # fmt: skip
        assert command(NET, words)[0].name.startswith(f"lagnet-{name}-")
    assert command(LINE, "--model=bp --seeds=1,2")[0].name.startswith("lagline-bp-seed1+2-")
    assert command(CURVES, "--max_epochs=1")[0].name.startswith("mnist1d-plastic_e2e-seed42-")
    assert command(WORDS, "--max_epochs=1")[0].name.startswith("gsc-FSDD-seed115-")


COMMON = ("time", "input", "loss/time", "spectrum/omega", "stream/x", "stream/labels")
"""Arrays that all seeds share."""

SEEDS = {
    "lagline": [f"{LINE} --model={model}" for model in MODELS],
    "lagnet": [NET, f"{NET} --boundary=textbook"],
    "mnist1d": [f"{CURVES} --architecture={each}" for each in ARCHITECTURES],
    "gsc": [f"{WORDS} --lr_scheduler_patience=0"],
}


@pytest.mark.parametrize("line", [line for lines in SEEDS.values() for line in lines])
def test_three_seeds_in_one_run_equal_three_runs(line, monkeypatch):
    monkeypatch.setattr(gsc.speech, "load", lambda name, **_: tiny_words(name))  # or the first seed would split
    seeds = (7, 0, 5)  # two of them those of published runs
    together, lines = command(line, "--dtype=float64", f"--seeds={','.join(map(str, seeds))}")
    rows, arrays = table(together), runs.Run(together).arrays()
    checkpoint, _ = runs.Run(together).read_checkpoint()
    accuracies = []
    for replica, seed in enumerate(seeds):
        alone, shown = command(line, f"--dtype=float64 --seed={seed}")
        mine = [row for row in rows if row["seed"] == str(seed)]
        assert {row["replica"] for row in mine} == {str(replica)}
        found, expected = numbers(mine), numbers(table(alone))
        assert_close(found, {name: each for name, each in expected.items() if name != "replica"}, rtol=1e-8)
        for name, array in runs.Run(alone).arrays().items():
            other = arrays[name] if name in COMMON else arrays[name][replica]
            other = np.reshape(other, array.shape)  # what is tested once has an axis of one replica, too
            np.testing.assert_allclose(other, array, rtol=1e-8, atol=1e-11, err_msg=name)
        for path, array in runs.Run(alone).read_checkpoint()[0].items():
            other = checkpoint[path] if checkpoint[path].shape == array.shape == () else checkpoint[path][replica]
            np.testing.assert_allclose(other, array, rtol=1e-7, atol=1e-10, err_msg=path)
        if "accuracy" in shown[0]:
            accuracies.append(float(shown[0].split()[2]))
        else:
            assert all(each in lines for each in shown)
    if accuracies:
        mean, std = np.mean(accuracies), np.std(accuracies)
        found = [float(value) for value in re.findall(r"\d+\.\d+", lines[0])]
        np.testing.assert_allclose(found, [mean, std], atol=0.011)
        assert "(seeds: 3, " in lines[0]


@pytest.mark.parametrize("task", TASKS)
def test_seeds_govern_everything(task):
    found = []
    for seed in (1, 1, 2):
        np.random.seed(len(found))  # the global generator has no say
        folder, lines = command(TASKS[task], f"--seed={seed}")
        found.append((kept(folder), lines))
    assert found[0] == found[1] and found[0][0][0] != found[2][0][0]


def test_seeds_begin_differently_but_for_what_is_published():
    """The lag line and the lag net start from the published numbers with seeds 0 and 5, and from U(0, 1), U(-1, 1)."""
    rows = table(command(LINE, "--seeds=0,1,2 --dtype=float64")[0])[:3]
    assert [float(rows[0][name]) for name in ("w_0", "w_1")] == [0.49009341, 0.89644474]
    drawn = np.array([[float(row[name]) for name in ("w_0", "w_1")] for row in rows[1:]])
    assert len(np.unique(drawn)) == 4 and drawn.min() > 0 and drawn.max() < 1
    rows = table(command(NET, "--seeds=5,1,2 --dtype=float64")[0])[:3]
    weights = np.array([[float(row[f"w{k}_{name}"]) for name in ("gle", "am") for k in (0, 1)] for row in rows])
    np.testing.assert_array_equal(weights[0], [0.6605, -0.7478] * 2)
    np.testing.assert_array_equal(weights[:, :2], weights[:, 2:])  # the students begin as one
    assert len(np.unique(weights)) == 6 and np.abs(weights).max() < 1


@pytest.mark.parametrize("task", TASKS)
def test_what_the_config_says(task):
    folder, _ = command(TASKS[task], "--seeds=3,1 --results=elsewhere")
    run = runs.Run(folder)
    assert folder.parent == pathlib.Path("elsewhere/gle")
    assert (run.family, run.experiment, run.config["status"]) == ("gle", task, "finished")
    defaults = COMMANDS[task].experiment.defaults
    assert run.options.keys() == defaults.keys() - {"dry_run"}
    given = cli.parse(COMMANDS[task], tiny.split(TASKS[task])[1:]) | {"seeds": (3, 1), "results": "elsewhere"}
    found = {name: tuples(value) for name, value in run.options.items() if name != "plot"}
    assert found == {name: value for name, value in (defaults | given).items() if name not in ("plot", "dry_run")}
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "checkpoint.h5", "arrays.h5"}


class Killed(BaseException):
    pass


DISTURBED = {
    "lagline": (f"{LINE} --model=gle --seeds=1,2", 60),
    "lagline, BPTT": (f"{LINE} --model=bptt_tw4", 60),
    "lagline, BPTT 1": (f"{LINE} --model=bptt_tw1 --seeds=1,2 --dtype=float64 --dt=0.03", 40),
    "lagnet": (f"{NET} --seeds=5,6", 60),
    "lagnet, textbook": (f"{NET} --boundary=textbook --update_every=130 --dtype=float64", 60),
    "mnist1d": (f"{CURVES} --seeds=1,2", 9),
    "mnist1d, lag net": (f"{CURVES} --architecture=static_lagnet --learning_rate=1", 9),
    "gsc": (f"{WORDS} --seeds=1,2", 9),
}


MOMENTS = {60: (1, 5, 14, 23, 31, 46, 52, 60), 40: (9, 22, 37), 9: (1, 5, 9)}


def disturb(patch, moment, end):
    """Let training be killed before a step of it, or interrupted in it."""

    def fit(run, state, source, step, **options):
        def disturbed(batch, number):
            if number == moment and end == "killed":
                raise Killed
            if number == moment:
                signal.raise_signal(signal.SIGINT)
            return step(batch, number)

        return tiny.fit(run, state, source, disturbed, **options)

    patch.setattr(training, "fit", fit)


@pytest.mark.parametrize("end", ["killed", "interrupted"])
@pytest.mark.parametrize("name", DISTURBED)
def test_a_run_that_ends_at_any_step_goes_on_to_the_bit(monkeypatch, name, end):
    """Killed, it goes on from the last checkpoint; after Ctrl-C, from the step in progress.

    These are in the middle of windows of BPTT and of the adjoint method, and of the means of the loss.
    """
    line, last = DISTURBED[name]
    experiment = name.partition(",")[0]
    undisturbed, lines = command(line)
    assert runs.Run(undisturbed).read_checkpoint()[1]["step"] == last
    every = EVERY[experiment]
    for moment in MOMENTS[last]:
        with monkeypatch.context() as patch:
            disturb(patch, moment, end)
            if end == "killed":
                with pytest.raises(Killed):
                    command(line, f"--results={moment}")
            else:
                assert "--resume=" in refused(line, f"--results={moment}", code=130)
        folder = pathlib.Path(f"{moment}/gle", undisturbed.name)
        at = runs.Run(folder).read_checkpoint()[1]["step"]
        assert at == (moment if end == "interrupted" else (moment - 1) // every * every)
        assert command(f"{experiment} --resume={folder}") == (folder, lines)
        assert kept(folder) == kept(undisturbed)
        arrays, expected = runs.Run(folder).arrays(), runs.Run(undisturbed).arrays()
        assert all(np.array_equal(arrays[k], expected[k]) for k in arrays.keys() | expected.keys())
        assert runs.Run(folder).config["status"] == "finished"


ON_BACKENDS = {
    "lagline, GLE": LINE,
    "lagline, BP": f"{LINE} --model=bp --start=0.3,0.2,1.5,0.5",
    "lagline, BPTT": f"{LINE} --model=bptt_tw1",
    "lagnet": NET,
    "lagnet, textbook": f"{NET} --boundary=textbook --small_weights --momentum=0",
    "mnist1d, end to end": f"{CURVES} --learning_rate=4e-4",  # of 30 steps, by rates for 72
    "mnist1d, 42k": f"{CURVES} --architecture=plastic_e2e_42k --learning_rate=2e-4",
    "mnist1d, lag net": f"{CURVES} --architecture=static_lagnet --validation=0",
    "gsc": f"{WORDS} --lr_scheduler_patience=0",
    "gsc, SGD": f"{WORDS} --optim=sgd --lr_scheduler=step --lr_scheduler_step_size=1",
}
TIMES = ("time", "input", "loss/", "mean_error", "spectrum/", "phase/", "early/", "test_accuracy")
"""What begins so in arrays.h5 is of the host, in float64."""


def everything(folder):
    """All arrays that a run has left."""
    run = runs.Run(folder)
    return run.read_checkpoint()[0] | run.arrays()


def example(name, dtype="float64"):
    """An input for `predict`."""
    shape = {"mnist1d": (3, 12), "gsc": (3, 3, 6)}.get(name.partition(",")[0], (20, 2))
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


@pytest.mark.parametrize("seeds", ["", "--seeds=1,2"])
@pytest.mark.parametrize("name", ON_BACKENDS)
def test_a_run_on_each_backend(backend, monkeypatch, name, seeds):
    """Steps, evaluation, records and prediction give NumPy's numbers on each backend, and a checkpoint is all there is.

    An interrupted run, in the middle of a window or a mean, goes on to the bit.
    """
    line = f"{ON_BACKENDS[name]} {seeds} --dtype=float64"
    expected, _ = command(line)
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        whole, _ = command(line)
        with monkeypatch.context() as deeper:
            disturb(deeper, 4 if name.startswith(("mnist1d", "gsc")) else 25, "interrupted")
            refused(line, "--results=cut", code=130)
        cut = pathlib.Path("cut/gle", expected.name)
        command(f"{name.partition(',')[0]} --resume={cut}")
        outputs = plastic.load(cut).predict(example(name))
    assert kept(cut) == kept(whole)
    arrays = everything(cut)
    assert all(np.array_equal(arrays[path], array) for path, array in everything(whole).items())
    assert_close(arrays, everything(expected), rtol=1e-8, atol=1e-11)
    rows, wanted = (numbers(table(folder)) for folder in (cut, expected))
    assert_close(rows, wanted, rtol=1e-8, atol=1e-11)
    xp.use("numpy", dtype="float64")
    np.testing.assert_allclose(outputs, plastic.load(expected).predict(example(name)), rtol=1e-8, atol=1e-12)
    assert type(outputs) is np.ndarray and np.abs(outputs).max() > 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ON_BACKENDS)
def test_a_run_in_each_precision(backend, monkeypatch, name, dtype):
    """No array is of another precision than the one in use, nor becomes so by learning; both give the same run."""
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        folder, _ = command(ON_BACKENDS[name], f"--seeds=1,2 --dtype={dtype}")
        xp.use(xp.backend() if backend != "strict" else strict.backend, dtype=dtype)
        assert plastic.load(folder).predict(example(name, dtype)).dtype == dtype
    found = everything(folder)
    for path, array in found.items():
        kind = "int64" if path in ("best_epoch", "stream/labels") else "float64" if path.startswith(TIMES) else dtype
        assert array.dtype == kind, path
    if dtype == "float32":
        exact = everything(command(ON_BACKENDS[name], "--seeds=1,2 --dtype=float64")[0])
        for path in ("w", "tau_m", "w/gle", "w/am", "output/am", "layers/2/W"):
            if path in found:
                np.testing.assert_allclose(found[path], exact[path], atol=4e-3, err_msg=path)


@pytest.mark.parametrize("name", ON_BACKENDS)
def test_seeds_lead_all_that_changes(name):
    """As the training loop needs it, to take one seed out; a network without seeds has no axis for them."""
    one, two = (
        runs.Run(command(ON_BACKENDS[name], seeds)[0]).read_checkpoint()[0] for seeds in ("--seed=1", "--seeds=1,2")
    )
    for path, array in two.items():
        if array.size > 1:
            assert array.shape[0] == 2 and array[0].size == one[path].size, path


HUGE = {"lagline": "--learning_rate=1e38", "lagnet": "--learning_rate_gle=1e38", "mnist1d": "--learning_rate=1e38",
        "gsc": "--learning_rate=1e38"}  # fmt: skip


@pytest.mark.parametrize("words", ["", "--seeds=1,2"])
@pytest.mark.parametrize("line", [f"{LINE} --model={model}" for model in MODELS] + [NET, CURVES, WORDS])
def test_a_run_that_diverges_says_what_to_try(line, words):
    message = refused(line, words, HUGE[line.split()[0]])
    (folder,) = pathlib.Path("results/gle").iterdir()
    assert re.search(r"diverged at step \d+: .*learning.rate", message) and str(folder) in message
    assert runs.Run(folder).config["status"] == "diverged"
    assert all(np.isfinite(array).all() for array in runs.Run(folder).read_checkpoint()[0].values())
    for row in table(folder):
        before = (
            {"train_accuracy", "loss", "loss_gle", "loss_am"} if row["step"] == "0" else set()
        )  # nothing to measure
        assert all(np.isfinite(float(row[name])) for name in row.keys() - before)


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_that_diverges_leaves_the_others_alone(monkeypatch, task):
    """Neither rows nor weights of the others change; the first seed, which figures show, is the one that diverged."""
    more = "--max_epochs=4" if task in ("mnist1d", "gsc") else ""
    undisturbed, lines = command(TASKS[task], "--seeds=5,6", more)
    bad = {"lagline": 52, "lagnet": 45}.get(task, 7)

    def poisoned(run, state, source, step, **options):
        def poison(batch, number):
            for path, leaf in parameters.leaves(state) if number == bad else ():
                if path.startswith(("layers", "parameters")):
                    leaf[0] = np.nan
            return step(batch, number)

        return tiny.fit(run, state, source, poison, **options)

    monkeypatch.setattr(training, "fit", poisoned)
    folder, found = command(TASKS[task], "--seeds=5,6 --results=other", more)
    printed("figure", folder)
    expected = [row for row in table(undisturbed) if row["seed"] == "6" or int(row["step"]) < bad]
    assert table(folder) == expected
    config = runs.Run(folder).config
    assert config["status"] == "finished" and config["details"]["diverged"] == {"0": bad}
    arrays, others = (runs.Run(each).read_checkpoint()[0] for each in (folder, undisturbed))
    for path, array in others.items():
        assert np.isfinite(arrays[path]).all(), path
        if array.size > 1:
            np.testing.assert_array_equal(arrays[path][1], array[1], err_msg=path)
    if task.startswith("lag"):
        assert found == [line for line in lines if line.startswith("seed 6")]
    else:
        assert "(seeds: 1, standard deviation 0.00)" in found[0]


def test_a_longer_run_continues_a_finished_one_after_its_rate_was_lowered():
    """The plateau's memory goes on, and so does the state in which the evaluation has left the network."""
    for line in (f"{CURVES} --learning_rate=1 --seeds=3,4", f"{WORDS} --learning_rate=9 --lr_scheduler_patience=1"):
        name, dtype = line.split()[0], "--dtype=float64"
        whole, lines = command(line, dtype, "--max_epochs=9")
        short, _ = command(line, dtype, "--max_epochs=4")
        assert command(f"{name} --resume={short} --max_epochs=9") == (short, lines)
        assert kept(short) == kept(whole)
        assert len(set(column(table(whole), "learning_rate", replica=0))) > 1
        assert "max_epochs is 5" in refused(f"{name} --resume={short} --max_epochs=5")


@pytest.mark.parametrize("line, word", [(LINE, "t_train=20"), (NET, "t=60")])
def test_a_run_whose_input_depends_on_its_length_is_not_extended(line, word):
    folder, _ = command(line)
    before = kept(folder)
    assert "keeps its options" in refused(f"{line.split()[0]} --resume={folder} --{word}")
    assert kept(folder) == before


def test_the_defaults_are_the_published_ones():
    published = {
        "lagline": {"model": "gle", "t_init": 50, "t_train": 4000, "learning_rate": 1e-6, "batch_size": 100,
                    "beta": 0.01, "dt": 0.01, "seed": 0},
        "lagnet": {"t": 1001, "start_learning_step": 8000, "update_every": 300, "learning_rate_gle": 0.02,
                   "learning_rate_am": 0.07, "momentum": 0.9, "gamma": 1e-3, "dt": 0.01, "seed": 5,
                   "boundary": "published", "small_weights": False},
        "mnist1d": {"architecture": "plastic_e2e", "max_epochs": 150, "batch_size": 100, "seed": 42, "validation": 0,
                    "loss": "ce", "dataset": "MNIST-1D-360", "num_samples": 5000, "padding": (36, 60),
                    "scale_coeff": 0.4, "max_translation": 48, "corr_noise_scale": 0.25, "iid_noise_scale": 0.02,
                    "shear_scale": 0.75, "classes": tuple(range(10))},
        "gsc": {"dataset": "GSC", "max_epochs": 420, "batch_size": 256, "learning_rate": 5e-4, "n_mels": 32,
                "lr_scheduler_patience": 3, "lr_scheduler_gamma": 0.9, "hidden": 750, "seed": 115, "optim": "adam",
                "lr_scheduler": "plateau", "lr_scheduler_step_size": 50, "prospective_errors": True, "full": False,
                "features": "mel", "sampling": "sequential", "tau_m": (2.4, 0.6, 1.2, 1.8, 2.4),
                "tau_r": (2.4, 0.1, 0.1, 0.1, 0.1)},
    }  # fmt: skip
    for name, options in published.items():
        defaults = COMMANDS[name].experiment.defaults
        assert {option: defaults[option] for option in options} == options


def test_results_that_cannot_be_written(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    for line in TASKS.values():
        assert "results" in refused(line)
    assert (tmp_path / "results").read_text() == "a file, not a folder"
