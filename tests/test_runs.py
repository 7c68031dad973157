"""Run folders: claimed once, whole at any moment, damaged never read, resumed exactly."""

import errno
import fcntl
import json
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import filelock
import numpy as np
import pytest
import threadpoolctl
from trees import assert_same, host

import plastic
from plastic import files, parameters, runs, xp
from plastic.errors import PlasticError
from plastic.runs import decorator, surroundings

OPTIONS = {"lr": 0.1, "widths": (3, 2), "seed": 0, "device": None, "threads": 1, "results": "results"}


@pytest.fixture
def run(tmp_path):
    with runs.Run.create(tmp_path, "gait", "train", OPTIONS, "GAIT-glyphs-s0") as run:
        yield run


def tree_of(seed):
    """A tree with what networks and optimizers hold: absent biases, replicas, integers, a scalar, an empty array."""
    generator = np.random.default_rng(seed)
    return {
        "layers": [
            parameters.Affine(xp.asarray(generator.normal(size=(2, 3, 4)))),
            parameters.Affine(xp.asarray(generator.normal(size=(4, 4))), xp.asarray(generator.normal(size=(1, 4)))),
        ],
        "step": xp.asarray(np.array(seed)),
        "alive": xp.asarray(generator.random(5) < 0.5),
        "empty": xp.asarray(np.zeros((0, 3))),
    }


def reopened(run):
    run.close()
    return runs.Run.resume(run.folder)


# identity and the folder


def test_create_claims_a_folder_and_describes_the_run(tmp_path):
    with runs.environment(threads=1, dtype="float64"), runs.Run.create(tmp_path, "gait", "train", OPTIONS, "x") as run:
        config = json.loads((run.folder / "config.json").read_text())
    assert run.folder.parent == tmp_path / "gait"
    assert run.folder.name == f"train-x-{runs.identity_hash(OPTIONS)}"
    assert config["status"] == "running" and config["family"] == "gait" and config["experiment"] == "train"
    assert config["options"] == OPTIONS | {"widths": [3, 2]} == run.options
    assert config["versions"]["numpy"] == np.__version__ and config["versions"]["plastic"] == plastic.__version__
    assert config["dtype"] == "float64" and config["device"] == "cpu"
    assert config["blas"] and all(blas["threads"] == 1 for blas in config["blas"])
    assert str(pathlib.Path(sys.executable).parent) not in config["command"]


def test_the_same_options_never_overwrite(tmp_path):
    folders = []
    for _ in range(3):
        with runs.Run.create(tmp_path, "gait", "train", OPTIONS, "x") as run:
            run.log([{"step": 1}])
            folders.append(run.folder)
    name = folders[0].name
    assert [folder.name for folder in folders] == [name, f"{name}-2", f"{name}-3"]


def test_what_a_run_is_called_is_a_word_and_its_options_are_plain(tmp_path):
    for family, experiment in (("a/b", "x"), ("", "x"), (None, "x"), ("a", "x y"), ("a", "..")):
        with pytest.raises(PlasticError, match=r"(family|experiment) is .*it must be a word"):
            runs.Run.create(tmp_path, family, experiment, {})
    for value in (pathlib.Path("a"), np.ones(2), np.tanh, {"a": {1, 2}}):
        with pytest.raises(
            PlasticError, match=r"the option rate is a .*a run keeps numbers, text, None, lists and dicts"
        ):
            runs.Run.create(tmp_path, "a", "x", {"seed": 1, "rate": value})
    assert list(tmp_path.iterdir()) == []


def test_readable_text_becomes_a_safe_name(tmp_path):
    with runs.Run.create(tmp_path, "gait", "train", {}, "../../my data/é.npz" + "x" * 500) as run:
        assert run.folder.parent == tmp_path / "gait"
        assert run.folder.name.startswith("train-my-data-") and len(run.folder.name) < 140


def test_processes_that_create_at_once_get_a_folder_each(tmp_path):
    code = """if True:
        import pathlib, sys, time
        from plastic import runs
        results = pathlib.Path(sys.argv[1])
        while not (results / "go").exists():
            time.sleep(0.001)
        for _ in range(5):
            with runs.Run.create(results, "gait", "train", {"lr": 1}) as run:
                print(run.folder)
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    (tmp_path / "go").touch()
    folders = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert len(folders) == len(set(folders)) == 20
    assert all(process.returncode == 0 for process in processes)


def test_identity_counts_what_is_computed_and_nothing_else():
    same = [
        OPTIONS | {"device": "gpu", "threads": 8, "results": "elsewhere", "resume": "x", "jobs": 4},
        dict(reversed(OPTIONS.items())),
        OPTIONS | {"widths": [3.0, 2]},
        OPTIONS | {"seed": np.int64(0)},
        OPTIONS | {"lr": np.float64(0.1)},
    ]
    assert {runs.identity_hash(options) for options in same} == {runs.identity_hash(OPTIONS)}
    other = [
        OPTIONS | {"lr": 0.1000000001},
        OPTIONS | {"seed": False},
        OPTIONS | {"seed": "0"},
        OPTIONS | {"seed": None},
        OPTIONS | {"widths": (2, 3)},
        OPTIONS | {"extra": 1},
    ]
    assert len({runs.identity_hash(options) for options in [OPTIONS, *other]}) == 1 + len(other)
    assert runs.identity_hash({"a": math.inf}) != runs.identity_hash({"a": math.nan})


def test_results_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("PLASTIC_RESULTS", raising=False)
    assert runs.results_folder() == pathlib.Path("results")
    monkeypatch.setenv("PLASTIC_RESULTS", str(tmp_path))
    assert runs.results_folder(None) == tmp_path
    assert runs.results_folder("here") == pathlib.Path("here")


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(PlasticError, match=r"cannot make the run folder .*file"):
        runs.Run.create(tmp_path / "file", "gait", "train", {})
    monkeypatch.setattr(os, "mkdir", failing(errno.EROFS))
    with pytest.raises(PlasticError, match="Read-only file system"):
        runs.Run.create(tmp_path / "new", "gait", "train", {})


def test_a_failed_creation_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(PlasticError, match="No space left"):
        runs.Run.create(tmp_path, "gait", "train", {})
    assert list((tmp_path / "gait").iterdir()) == []


# config, status, lock


def test_status_is_kept_with_its_details(run):
    run.status("finished", accuracy=np.float32(0.5))
    config = runs.Run(run.folder).config
    assert config["status"] == "finished" and config["details"] == {"accuracy": 0.5} and config["ended"]
    assert config["options"] == run.options


def test_one_process_at_a_time_and_the_killed_do_not_count(tmp_path):
    code = """if True:
        import sys, time
        from plastic import runs
        run = runs.Run.create(sys.argv[1], "gait", "train", {})
        print(run.folder, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        folder = process.stdout.readline().strip()
        with pytest.raises(PlasticError, match="in use"):
            runs.Run.resume(folder)
        assert runs.Run(folder).config["status"] == "running"  # reading needs no lock
        process.kill()
    pathlib.Path(folder, ".checkpoint.h5.123.part").touch()
    with runs.Run.resume(folder) as run:
        assert not list(run.folder.glob(".*.part"))
        with pytest.raises(PlasticError, match="in use"):
            runs.Run.resume(folder)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def without_locks(*_, **__):
        raise NotImplementedError  # as filelock before 3.24 does

    monkeypatch.setattr(filelock.FileLock, "acquire", without_locks)
    with pytest.raises(PlasticError, match="its file system has no locks; PLASTIC_RESULTS can name another folder"):
        runs.Run.create(tmp_path, "gait", "train", OPTIONS)


def test_what_filelock_makes_of_a_file_system_without_locks(tmp_path, monkeypatch):
    """Before 3.24 nothing; later the existence of the file is the lock. No warning of it gets through."""

    def missing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    try:
        run = runs.Run.create(tmp_path, "gait", "train", OPTIONS)
    except PlasticError as error:
        assert "its file system has no locks" in str(error) and filelock.__version__ < "3.24"
        return
    with run, pytest.raises(PlasticError, match="in use"):
        runs.Run.resume(run.folder)
    with runs.Run.resume(run.folder) as again:
        assert again.folder == run.folder


def test_a_run_opened_to_read_does_not_write(run):
    run.close()
    for write in (
        lambda run: run.status("finished"),
        lambda run: run.log([{"step": 1}]),
        lambda run: run.save_checkpoint({}, {}),
        lambda run: run.save_arrays({}),
    ):
        for reader in (run, runs.Run(run.folder)):
            with pytest.raises(PlasticError, match="reading only"):
                write(reader)


def test_resume_records_itself_and_warns_of_differences(run, capsys):
    run.status("interrupted")
    with reopened(run) as again:
        assert again.config["status"] == "running" and again.config["resumed"][0]["after"] == "interrupted"
    assert capsys.readouterr().err == ""
    config = files.read_json(run.folder / "config.json")
    config["versions"]["numpy"] = "1.0"
    config["versions"]["h5py"] = "1.0"  # cannot change a result
    config["blas"][0] |= {"architecture": "Zen", "threads": 7}
    files.write_json(run.folder / "config.json", config)
    with runs.Run.resume(run.folder) as again:
        assert len(again.config["resumed"]) == 2
    (warning,) = capsys.readouterr().err.splitlines()
    assert f"numpy 1.0 then, {np.__version__} now" in warning
    assert "Zen" in warning and "BLAS threads" in warning and "h5py" not in warning


def test_resume_of_nothing(tmp_path):
    with pytest.raises(PlasticError, match="no such run folder"):
        runs.Run.resume(tmp_path / "gone")
    with pytest.raises(PlasticError, match=r"is no run folder: it has no config\.json$"):
        runs.Run.resume(tmp_path)


def test_another_format_is_refused(run):
    files.write_json(run.folder / "config.json", run.config | {"format": 99})
    with pytest.raises(PlasticError, match="run format 99"):
        runs.Run(run.folder)


# damage


def damaged_versions(data):
    """Files cut short at every scale, with bits flipped in each region, with bytes added, and foreign ones."""
    generator = random.Random(0)
    cuts = [0, 1, 100, 511, 512, 513, len(data) // 2, len(data) - 1]
    yield from (data[:cut] for cut in cuts if cut < len(data))
    yield from (data + b"\0", b"\0" * len(data), b"nonsense", b"[]", b"{}", b'{"checksum": []}', b"null")
    for _ in range(150):
        flipped = bytearray(data)
        flipped[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        yield bytes(flipped)


def test_a_damaged_config_is_never_read_wrongly(run):
    run.close()
    path = run.folder / "config.json"
    data = path.read_bytes()
    refused = 0
    for damaged in damaged_versions(data):
        path.write_bytes(damaged)
        try:
            assert runs.Run(run.folder).config == run.config  # a flip among the blanks between values
        except PlasticError as error:
            refused += 1
            assert "config.json is damaged" in str(error)
    assert refused > 100


def test_an_edited_config_is_refused(run):
    path = run.folder / "config.json"
    path.write_text(path.read_text().replace('"lr": 0.1', '"lr": 0.2'))
    with pytest.raises(PlasticError, match="damaged or was edited"):
        runs.Run(run.folder)


def test_a_damaged_checkpoint_is_never_read(run):
    tree = tree_of(0)
    run.save_checkpoint(tree, {"step": 3})
    before = host(tree)
    path = run.folder / "checkpoint.h5"
    for damaged in damaged_versions(path.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(PlasticError, match=r"checkpoint\.h5 is damaged"):
            run.load_checkpoint(tree)
    assert_same(host(tree), before)


def test_a_missing_checkpoint_is_named(run):
    with pytest.raises(PlasticError, match="holds no checkpoint"):
        run.load_checkpoint({})


def test_a_checkpoint_of_another_tree_changes_nothing(run):
    run.log([{"step": 1}])
    run.save_checkpoint({"a": np.ones(3), "b": np.ones(2)}, {})
    run.log([{"step": 2}])
    for tree in ({"a": np.zeros(3)}, {"a": np.zeros(3), "b": np.zeros(3)}):
        with pytest.raises(PlasticError, match=r"checkpoint\.h5 does not fit"):
            run.load_checkpoint(tree)
        assert not tree["a"].any()
    assert run.metrics() == {"step": [1, 2]}


# metrics


def test_metrics_read_back_exactly(run):
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf, np.float32(0.1), np.float64(2)]
    run.log([{"loss": value, "step": np.int64(index), "rule": "a,b"} for index, value in enumerate(values)])
    run.log([{"step": 2**60, "rule": None, "loss": np.array(7)}, {"loss": math.nan, "step": True}])
    metrics = run.metrics()
    assert list(metrics) == ["step", "loss", "rule"]
    assert metrics["step"] == [*range(len(values)), 2**60, 1]
    assert metrics["rule"] == ["a,b"] * len(values) + [None, None]
    assert [math.copysign(1, value) for value in metrics["loss"][:6]] == [1, 1, 1, 1, -1, 1]
    assert metrics["loss"][:-2] == [float(value) for value in values]
    assert metrics["loss"][-2] == 7 and math.isnan(metrics["loss"][-1])
    assert [type(value) for value in metrics["loss"][-2:]] == [int, float]


def test_leading_columns_come_first_in_their_order(run):
    run.log([{"lr": 1, "loss": 2, "seed": 3, "step": 4}, {"replica": 5, "accuracy": 6}])
    assert (run.folder / "metrics.csv").read_text() == "step,replica,seed,lr,loss,accuracy\n4,,3,1,2,\n,5,,,,6\n"


def test_the_header_is_fixed_by_the_first_rows(run):
    run.log([])
    run.log([{"step": 1, "loss": 2}])
    run.log([{"loss": 3}])
    with pytest.raises(PlasticError, match=r"has no column .*accuracy"):
        run.log([{"step": 4}, {"accuracy": 4}])
    with pytest.raises(TypeError, match="list"):
        run.log([{"step": [1]}])
    assert run.metrics() == {"step": [1, None], "loss": [2, 3]}


def test_metrics_of_no_file_and_of_half_a_line(run):
    assert run.metrics() == {}
    run.log([{"step": 1, "loss": 0.25}])
    with open(run.folder / "metrics.csv", "a") as file:
        file.write("2,0.12")  # of 0.125
    assert run.metrics() == {"step": [1], "loss": [0.25]}


def test_shorter_metrics_than_at_the_checkpoint_are_damaged(run):
    tree = {"a": np.zeros(2)}
    run.log([{"step": 1}])
    run.save_checkpoint({"a": np.ones(2)}, {})
    os.truncate(run.folder / "metrics.csv", 3)
    with pytest.raises(PlasticError, match=r"metrics\.csv is damaged"):
        run.load_checkpoint(tree)
    assert not tree["a"].any()


# checkpoints


def test_a_tree_round_trips_on_every_backend(run, precision):
    tree = tree_of(0)
    run.log([{"step": 1}])
    run.save_checkpoint(tree, {"step": 7, "big": 2**100, "lr": 0.1, "numpy": np.float64(0.1), "text": "x" * 200_000})
    run.log([{"step": 2}])
    saved = host(tree)
    with reopened(run) as again:
        other = tree_of(1)
        counters = again.load_checkpoint(other)
        assert_same(host(other), saved)
        assert all(type(a) is type(b) for a, b in zip(*(map_leaves(t) for t in (other, tree)), strict=True))
        assert counters == {"step": 7, "big": 2**100, "lr": 0.1, "numpy": 0.1, "text": "x" * 200_000}
        assert again.metrics() == {"step": [1]}
        again.log([{"step": 3}])
        assert again.metrics() == {"step": [1, 3]}
    arrays, counters = runs.Run(run.folder).read_checkpoint()
    assert_same(arrays, saved)
    assert counters["step"] == 7


def map_leaves(tree):
    return [array for _, array in parameters.leaves(tree)]


def test_a_checkpoint_before_the_first_row_cuts_all_rows(run):
    run.save_checkpoint({}, {})
    run.log([{"step": 1, "old": 2}])
    assert run.load_checkpoint({}) == {}
    assert run.metrics() == {}
    run.log([{"step": 1, "new": 2}])
    assert run.metrics() == {"step": [1], "new": [2]}


def test_equal_checkpoints_are_equal_files(run):
    path = run.folder / "checkpoint.h5"
    run.save_checkpoint(tree_of(0), {"step": 1})
    first = path.read_bytes()
    run.save_checkpoint(tree_of(1), {"step": 1})
    assert path.read_bytes() != first
    run.save_checkpoint(tree_of(0), {"step": 1})
    assert path.read_bytes() == first


def test_a_checkpoint_is_plain_hdf5(run):
    import h5py

    run.save_checkpoint(tree_of(0), {"step": 1})
    with h5py.File(run.folder / "checkpoint.h5") as file:
        assert file["layers/1/W"].shape == (4, 4)
        assert json.loads(file.attrs["counters"]) == {"step": 1}


def test_a_restored_generator_continues_identically(run):
    generators = vars(xp.generator(5))
    for generator in generators.values():
        generator.normal(size=3)
        generator.integers(10, dtype=np.int32)  # leaves half a word in the state
    run.save_checkpoint({}, {name: generator.bit_generator.state for name, generator in generators.items()})
    expected = {name: generator.integers(1000, size=9, dtype=np.int32) for name, generator in generators.items()}
    counters = run.load_checkpoint({})
    for name, numbers in expected.items():
        restored = np.random.default_rng()
        restored.bit_generator.state = counters[name]
        assert np.array_equal(restored.integers(1000, size=9, dtype=np.int32), numbers)


def test_kill_at_random_moments_then_load(tmp_path):
    """What is on the disk after kill -9 is a whole checkpoint and at least the rows it counts, whenever it strikes."""
    code = """if True:
        import sys
        import numpy as np
        from plastic import runs
        run = runs.Run.resume(sys.argv[1]) if len(sys.argv) > 2 else runs.Run.create(sys.argv[1], "gait", "train", {})
        tree = {"W": np.zeros((300, 300)), "v": np.zeros(5)}
        step = run.load_checkpoint(tree)["step"] if len(sys.argv) > 2 else 0
        while True:
            step += 1
            tree["W"] += 1
            tree["v"] += 2
            run.log([{"step": step, "loss": 1 / step}] * 3)
            if step % 3 == 0:
                run.save_checkpoint(tree, {"step": step})
                print(run.folder, flush=True)
    """
    generator = random.Random(1)
    arguments, reached = [tmp_path], 0
    for _ in range(6):
        command = [sys.executable, "-c", code, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            folder = pathlib.Path(process.stdout.readline().strip())
            time.sleep(generator.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        arguments = [folder, "resume"]
        with runs.Run.resume(folder) as run:
            tree = {"W": np.zeros((300, 300)), "v": np.zeros(5)}
            step = run.load_checkpoint(tree)["step"]
            assert step % 3 == 0 and step > reached
            assert (tree["W"] == step).all() and (tree["v"] == 2 * step).all()
            lines = [f"{index},{1 / index!r}" for index in range(1, step + 1) for _ in range(3)]
            assert (run.folder / "metrics.csv").read_text() == "\n".join(["step,loss", *lines, ""])
            assert {path.name for path in run.folder.iterdir()} == {
                ".lock",
                "config.json",
                "metrics.csv",
                "checkpoint.h5",
            }
        reached = step


# full disks


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_checkpoint(run, monkeypatch, name):
    run.save_checkpoint({"a": np.ones(3)}, {"step": 1})
    run.save_arrays({"a": np.ones(3)})
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing(errno.ENOSPC))
        for write in (
            lambda: run.save_checkpoint({"a": np.zeros(3)}, {"step": 2}),
            lambda: run.save_arrays({"a": np.zeros(3)}),
            lambda: run.status("finished"),
        ):
            with pytest.raises(PlasticError, match=r"cannot write .*gait.*: No space left on device"):
                write()
    assert not list(run.folder.glob(".*.part"))
    assert runs.Run(run.folder).config["status"] == "running"
    arrays, counters = run.read_checkpoint()
    assert counters == {"step": 1} and arrays["a"].all() and run.arrays()["a"].all()


def test_a_real_write_error_in_the_middle_of_a_file(tmp_path):
    """A limit on the file size makes the kernel break off writing, as a full disk does."""
    code = """if True:
        import resource, sys
        import numpy as np
        from plastic import runs
        from plastic.errors import PlasticError
        run = runs.Run.create(sys.argv[1], "gait", "train", {})
        print(run.folder)
        run.log([{"step": 1}])
        run.save_checkpoint({"a": np.ones(3000)}, {"step": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        for write in (
            lambda: run.save_checkpoint({"a": np.zeros(300_000)}, {"step": 2}),
            lambda: run.log([{"step": 1234567890}] * 10_000),
        ):
            try:
                write()
            except PlasticError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    folder, *errors = done.stdout.splitlines()
    assert len(errors) == 2 and all("File too large" in error for error in errors)
    run = runs.Run(folder)
    arrays, counters = run.read_checkpoint()
    assert counters == {"step": 1} and arrays["a"].shape == (3000,)
    assert run.metrics() == {"step": [1]} and not list(run.folder.glob(".*.part"))


# arrays and load


def test_arrays_are_added_and_replaced(run, backend):
    assert run.arrays() == {}
    run.save_arrays({"singular/0": xp.asarray(np.arange(3.0)), "x": np.arange(2)})
    run.save_arrays({"x": np.arange(4), "y": np.array(1.5)})
    arrays = runs.Run(run.folder).arrays()
    expected = {"singular/0": np.arange(3.0), "x": np.arange(4), "y": np.array(1.5)}
    assert_same(arrays, expected)


def known(monkeypatch, restore, name="train"):
    """Describe an experiment of a family "fake" for the time of a test."""
    described = {}
    for module in (runs, decorator):
        monkeypatch.setattr(module, "EXPERIMENTS", described)
    runs.experiment("fake", restore=restore, name=name)(lambda run, *, scale=1: None)


def a_run(folder, **checkpoint):
    with runs.Run.create(folder, "fake", "train", {"scale": 2, "widths": (3, 4)}) as run:
        run.save_checkpoint(checkpoint, {"step": 1})
    return run.folder


def test_load_gives_the_trained_network(tmp_path, monkeypatch):
    def restore(arrays, *, scale, widths):
        assert widths == (3, 4)
        W = xp.asarray(arrays["layers/0/W"]) * scale
        return [parameters.Affine(W)], lambda x: x @ W

    known(monkeypatch, restore)
    trained = plastic.load(a_run(tmp_path, layers=[parameters.Affine(np.eye(2, dtype="float32"))]))
    assert isinstance(trained, runs.Trained) and len(repr(trained).splitlines()) == 1
    assert trained.config["status"] == "finished" and (trained.network[0].W == 2 * np.eye(2)).all()
    assert trained.predict(np.ones((1, 2))).tolist() == [[2.0, 2.0]]
    with pytest.raises(PlasticError, match="has no parts"):
        plastic.load(a_run(tmp_path), part={"rule": "pc"})


def test_load_says_what_to_import_where_it_does_not_know_the_experiment(tmp_path):
    with pytest.raises(
        PlasticError, match=r"fake train, which is not known here: import the module .*'fake', \.\.\.\)"
    ):
        plastic.load(a_run(tmp_path))


def test_load_of_an_experiment_that_keeps_no_network(tmp_path, monkeypatch):
    known(monkeypatch, None)
    with pytest.raises(PlasticError, match="fake train, which keeps no trained network"):
        plastic.load(a_run(tmp_path))


def test_load_of_a_part_of_a_grid(tmp_path, monkeypatch):
    known(monkeypatch, lambda arrays, *, depth, scale, **_: (depth, lambda x: x * arrays["w"] * scale))
    parts = [{"rule": rule, "depth": depth} for rule in ("pc", "bp") for depth in (1, 2)]
    with runs.Run.create(tmp_path, "fake", "train", {"scale": 2}) as run:
        for number, part in enumerate(run.parts(parts)):
            part.begin()
            part.log([{"error": number}])
            part.save_checkpoint({"w": np.array(float(number))}, {"step": 1})
    trained = plastic.load(run.folder, part={"depth": 2, "rule": "bp"})
    assert trained.network == 2 and trained.predict(1) == 6
    assert run.metrics()["rule"] == ["pc", "pc", "bp", "bp"] and run.metrics()["error"] == [0, 1, 2, 3]
    for wanted, message in ((None, "4 parts, and say which"), ({"depth": 2}, "2 of them"), ({"depth": 7}, "0 of them")):
        with pytest.raises(PlasticError, match=message) as told:
            plastic.load(run.folder, part=wanted)
        assert "'rule': 'bp', 'depth': 1" in str(told.value)


@pytest.mark.parametrize(
    "name", ["os", "antigravity", "fake.os", "..os", "../x", "", "__main__", "errors", "nowhere", None, ["gait"], 3]
)
@pytest.mark.parametrize("key", ["family", "experiment"])
def test_load_imports_nothing_but_experiments(run, monkeypatch, key, name):
    for module in ("antigravity", "plastic.__main__"):  # which other tests may have imported
        monkeypatch.delitem(sys.modules, module, raising=False)
    run.save_checkpoint({}, {})
    files.write_json(run.folder / "config.json", run.config | {key: name})
    with pytest.raises(PlasticError, match=r"not known here|no trained network|it must be text"):
        plastic.load(run.folder)
    assert "antigravity" not in sys.modules and "plastic.__main__" not in sys.modules


def test_load_of_no_run(run):
    """The folder of a family, of results, or a file in the run folder in its place: a run that is there is named."""
    for folder in (run.folder.parent, run.folder.parent.parent):
        with pytest.raises(PlasticError, match=r"no run folder: it has no config\.json; a run folder is ") as told:
            plastic.load(folder)
        assert str(told.value).endswith(f"{run.folder}, for instance")
    for path in (run.folder / "config.json", run.folder / "gone"):
        with pytest.raises(PlasticError, match=r"no run folder: it has no config\.json$"):
            plastic.load(path)


# environment


def test_environment_puts_everything_back(backend):
    def blas_threads():
        return [info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]

    threads = blas_threads()
    with pytest.raises(ZeroDivisionError), runs.environment("cpu", dtype="float32", threads=2):
        assert xp.backend() == "numpy" and xp.float_dtype == np.float32 and xp.tanh is np.tanh
        assert len(blas_threads()) >= len(threads) and set(blas_threads()) == {2}
        1 / 0  # noqa: B018
    assert xp.backend() == backend and xp.float_dtype == np.float64
    assert blas_threads()[: len(threads)] == threads


@pytest.mark.parametrize("device", ["", "tpu", "-1", "1.5", "cuda:0", True, -1, "0x1", "٣", "9" * 5000])
def test_a_bad_device_is_named(device):
    with (
        pytest.raises(PlasticError, match=r"device is .*; it must be cpu, gpu, the number"),
        runs.environment(device),
    ):
        pass


def test_auto_takes_the_gpu_where_it_works_and_says_which(monkeypatch, capsys):
    def use(backend="numpy", device=0, dtype=None):
        asked.append(backend)
        if backend == "cupy" and not works:
            raise PlasticError("no GPU here")

    monkeypatch.setattr(xp, "use", use)
    for works, expected in ((False, ["cupy", "numpy"]), (True, ["cupy"])):
        asked = []
        with runs.environment("auto"):
            assert asked == expected
        assert capsys.readouterr().err == ("device: cpu\n" if works else "device: cpu (no GPU here)\n")


def test_the_device_of_the_environment_variable(monkeypatch):
    monkeypatch.setenv("PLASTIC_DEVICE", "toaster")
    with pytest.raises(PlasticError, match="PLASTIC_DEVICE is 'toaster'"), runs.environment():
        pass
    with runs.environment("cpu"):  # the option goes first
        pass
    monkeypatch.setenv("PLASTIC_DEVICE", "")
    with runs.environment():
        assert xp.backend() == "numpy"


@pytest.mark.parametrize(("device", "number"), [("gpu", 0), ("0", 0), (1, 1), ("3", 3), (" GPU ", 0)])
def test_devices_by_name_and_number(monkeypatch, device, number):
    asked = []
    monkeypatch.setattr(xp, "use", lambda *arguments, **options: asked.append((*arguments, options)))
    with runs.environment(device):
        pass
    assert asked[0] == ("cupy", {"device": number, "dtype": "float32"})


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, None, "2"])
def test_bad_threads_are_named(threads):
    with pytest.raises(PlasticError, match="threads is "), runs.environment(threads=threads):
        pass


def test_bad_dtype_changes_nothing():
    with pytest.raises(PlasticError, match="float16"), runs.environment(dtype="float16"):
        pass
    assert xp.float_dtype == np.float32


@pytest.mark.gpu
def test_environment_on_the_gpu(tmp_path):
    with runs.environment("gpu"), runs.Run.create(tmp_path, "gait", "train", {}) as run:
        assert xp.backend() == "cupy"
        assert run.config["device"].startswith("gpu 0: ") and run.config["versions"]["cupy"]


def test_revision_without_git_is_none(monkeypatch):
    surroundings._revision.cache_clear()
    monkeypatch.setattr(subprocess, "run", failing(errno.ENOENT))
    assert surroundings.describe()["revision"] is None


def test_revision_of_a_checkout(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    module = tmp_path / "__init__.py"
    module.touch()
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")
    monkeypatch.setattr(plastic, "__file__", str(module))
    assert surroundings.describe()["revision"] is None  # inside a checkout, but no part of it
    git("add", ".")
    git("commit", "-q", "-m", "x")
    commit = git("rev-parse", "HEAD")
    surroundings._revision.cache_clear()
    assert surroundings.describe()["revision"] == commit
    module.write_text("1")
    assert surroundings.describe()["revision"] == commit  # which this process has imported
    surroundings._revision.cache_clear()
    assert surroundings.describe()["revision"] == f"{commit}+changes"
