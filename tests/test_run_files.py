"""The files of a run vouch for one another: what was edited, swapped, removed or crafted is refused, and told."""

import math
import os

import h5py
import numpy as np
import pytest

import plastic
from plastic import files, parameters, runs, system
from plastic.errors import PlasticError
from plastic.runs import claim, decorator, metrics

OPTIONS = {"rate": 0.1, "widths": (3, 2)}


@pytest.fixture
def run(tmp_path):
    """A run that has ended, with three rows and a checkpoint after two of them."""
    with runs.Run.create(tmp_path, "fake", "train", OPTIONS) as run:
        run.log([{"step": 1, "loss": 0.25, "rule": "a"}, {"step": 2, "loss": 0.125, "rule": "b"}])
        run.save_checkpoint(tree(1.0), {"step": 2})
        run.log([{"step": 3, "loss": 0.0625, "rule": "c"}])
    return run


def tree(value, n=3):
    return {"W": np.full(n, value)}


def content(run):
    return {each.name: each.read_bytes() for each in run.folder.iterdir() if each.name != ".lock"}


def rewrite(run, **changed):
    """Give config.json other values, and a checksum that fits; None removes a key."""
    record = {name: value for name, value in (run.config | changed).items() if value is not None}
    files.write_json(run.folder / "config.json", record)


def reseal(path, change):
    """Change the arrays and attributes of a file by change(arrays, attributes), and give it a seal that fits."""
    arrays, attributes = files.read_hdf5(path)
    change(arrays, attributes)
    files.write_hdf5(path, arrays, **attributes)


def make_of(run, options):
    """Let the files of a run agree that it is one of other options."""
    identity = runs.identity_hash(options)
    rewrite(run, options=options, identity=identity)
    reseal(run.folder / "checkpoint.h5", lambda _, attributes: attributes.update(run=identity))


def edit(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


# resuming


DAMAGE = {
    "a digit": (
        lambda run: edit(run.folder / "metrics.csv", b"0.25", b"0.26"),
        "metrics.csv is damaged: it was edited",
    ),
    "a name": (lambda run: edit(run.folder / "metrics.csv", b"loss", b"lost"), "metrics.csv is damaged: it was edited"),
    "a row less": (
        lambda run: edit(run.folder / "metrics.csv", b"1,0.25,a\n", b""),
        "metrics.csv is damaged: it is shorter|metrics.csv is damaged: it was edited",
    ),
    "shorter": (lambda run: os.truncate(run.folder / "metrics.csv", 5), "metrics.csv is damaged: it is shorter than"),
    "no rows": (lambda run: (run.folder / "metrics.csv").unlink(), "metrics.csv is damaged: it is not there"),
    "a bit": (
        lambda run: edit(run.folder / "checkpoint.h5", np.float64(1).tobytes(), np.float64(2).tobytes()),
        "checkpoint.h5 is damaged",
    ),
    "another network": (lambda run: None, "checkpoint.h5 does not fit: W has shape"),
}


@pytest.mark.parametrize("status", ["finished", "interrupted", "running"])
@pytest.mark.parametrize("name", DAMAGE)
def test_a_resume_that_is_refused_changes_nothing(run, name, status):
    damage, message = DAMAGE[name]
    rewrite(run, status=status)
    damage(run)
    before = content(run)
    n = 4 if name == "another network" else 3
    into = tree(7.0, n)
    with pytest.raises(PlasticError, match=message), runs.Run.resume(run.folder) as again:
        again.load_checkpoint(into)
    assert content(run) == before and (into["W"] == 7).all()


def test_a_resume_says_running_as_soon_as_the_checkpoint_is_loaded(run):
    again = runs.Run.resume(run.folder)
    assert runs.Run(run.folder).config["status"] == "finished"
    again.load_checkpoint(tree(0.0))
    config = runs.Run(run.folder).config
    assert config["status"] == "running" and config["ended"] is None and config["resumed"][0]["after"] == "finished"
    assert "metrics" not in config
    again.close()


@pytest.mark.parametrize(
    "write",
    [
        lambda run: run.log([{"step": 4}]),
        lambda run: run.save_checkpoint({}, {}),
        lambda run: run.save_arrays({"x": np.ones(2)}),
        lambda run: run.status("running"),
        lambda run: run.forget_rows(),
    ],
)
def test_a_resume_says_running_when_something_is_written(run, write):
    again = runs.Run.resume(run.folder)
    write(again)
    assert runs.Run(run.folder).config["status"] == "running"
    again.close()


def test_a_failed_run_goes_on_without_the_error_it_failed_of(run):
    rewrite(run, status="failed", details={"error": "OSError: it burns", "diverged": {"0": 3}})
    with pytest.raises(ZeroDivisionError), runs.Run.resume(run.folder) as again:
        again.load_checkpoint(tree(0.0))
        assert runs.Run(run.folder).config["details"] == {"diverged": {"0": 3}}
        1 / 0  # noqa: B018
    with runs.Run.resume(run.folder) as again:
        before = content(run)
        again.status("failed", error="no disk")  # before it goes on
        assert content(run) == before


def test_a_finished_run_without_its_checkpoint_is_not_trained_anew(run):
    (run.folder / "checkpoint.h5").unlink()
    (run.folder / "metrics.csv").unlink()
    before = content(run)
    with pytest.raises(
        PlasticError, match=r"config\.json says finished and that checkpoint\.h5 was saved, but it is not"
    ):
        runs.Run.resume(run.folder)
    with pytest.raises(PlasticError, match=r"config\.json says that .*checkpoint\.h5 was saved, but it is not there"):
        run.read_checkpoint()
    assert content(run) == before
    runs.Run(run.folder)  # its lock is free, and it can be read


def test_nor_is_one_that_was_killed(run):
    rewrite(run, status="running")
    (run.folder / "checkpoint.h5").unlink()
    with pytest.raises(PlasticError, match="is not resumed"):
        runs.Run.resume(run.folder)


@pytest.mark.parametrize("key", ["identity", "checkpoints", "metrics"])
def test_a_run_of_an_earlier_version_is_refused(run, key):
    rewrite(run, **{key: None})
    for open_ in (runs.Run, runs.Run.resume):
        with pytest.raises(PlasticError, match=rf"config\.json has no {key}"):
            open_(run.folder)


def test_a_checkpoint_of_another_run_is_refused(run, tmp_path):
    with runs.Run.create(tmp_path, "fake", "train", OPTIONS | {"rate": 0.2}) as other:
        other.log([{"step": 1, "loss": 0.25, "rule": "a"}, {"step": 2, "loss": 0.125, "rule": "b"}])
        other.save_checkpoint(tree(1.0), {"step": 2})
    os.replace(other.folder / "checkpoint.h5", run.folder / "checkpoint.h5")
    with pytest.raises(PlasticError, match=r"checkpoint\.h5 is of another run, [0-9a-f]{8}; this one is "):
        run.read_checkpoint()


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"counters": "{}"},
        {"metrics_length": 3},
        {"counters": "[]", "metrics_length": 0, "metrics_checksum": 0},
        {"counters": "{", "metrics_length": 0, "metrics_checksum": 0},
        {"counters": 3, "metrics_length": 0, "metrics_checksum": 0},
        {"counters": "[" * 10**5, "metrics_length": 0, "metrics_checksum": 0},
        {"counters": "{}", "metrics_length": "x", "metrics_checksum": 0},
        {"counters": "{}", "metrics_length": -1, "metrics_checksum": 0},
        {"counters": "{}", "metrics_length": math.nan, "metrics_checksum": 0},
        {"counters": "{}", "metrics_length": 0},
        {"counters": "{}", "metrics_length": 0, "metrics_checksum": "x"},
    ],
)
def test_a_sealed_file_of_something_else_is_no_checkpoint(run, attributes):
    files.write_hdf5(run.folder / "checkpoint.h5", {"W": np.ones(3)}, **attributes)
    with pytest.raises(PlasticError, match=r"checkpoint\.h5 is no checkpoint of a run"):
        run.read_checkpoint()


def other_options(run):
    rewrite(run, options=run.options | {"rate": 0.2})


def other_arrays(run):
    reseal(run.folder / "arrays.h5", lambda _, attributes: attributes.update(run="f00ba4aa"))


def unsealed(run):
    edit(run.folder / "arrays.h5", b"crc32", b"crc33")


def linked(run):
    os.replace(run.folder / "metrics.csv", run.folder.parent / "elsewhere")
    (run.folder / "metrics.csv").symlink_to(run.folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (other_options, r"config\.json: the run was made of other options"),
        (other_arrays, r"arrays\.h5 is of another run, f00ba4aa"),
        (unsealed, r"arrays\.h5 is damaged"),
        (linked, r"cannot write .*metrics\.csv: it is a symbolic link"),
    ],
)
def test_what_would_fail_at_the_end_is_told_before_the_work(run, damage, message):
    with runs.Run.resume(run.folder) as again:
        again.save_arrays({"x": np.ones(2)})
    damage(again)
    before = content(run)
    with pytest.raises(PlasticError, match=message):
        runs.Run.resume(run.folder)
    assert content(run) == before
    claim.acquired(run.folder).release()  # its lock is free


def test_a_run_that_was_killed_as_it_went_on_goes_on(run, monkeypatch):
    """It says "running" before rows are cut away, so that what is left is never other than it says."""
    again = runs.Run.resume(run.folder)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(metrics, "cut", lambda *_: 1 / 0)
        again.load_checkpoint(tree(0.0))
    again.close()
    assert runs.Run(run.folder).config["status"] == "running"
    assert runs.Run(run.folder).metrics()["step"] == [1, 2, 3]
    with runs.Run.resume(run.folder) as again:
        again.load_checkpoint(tree(0.0))
        assert again.metrics()["step"] == [1, 2]


# metrics.csv


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"step,loss\n1\n", "row 2 has 1 cells, and there are 2 columns"),
        (b"step,loss\n1,2\n1,2,3\n", "row 3 has 3 cells"),
        (b"step,loss\n\n1,2\n", "row 2 has 0 cells"),
        (b"step,step\n1,2\n", "its columns are"),
        (b"step,\n1,2\n", "its columns are"),
        (b"\n1,2\n", "its columns are"),
        (b"step,loss\n1,\xff\n", "codec can't decode"),
        (b"st\xffep,loss\n1,2\n", "codec can't decode"),
        (b'step,loss\n1,"2\n', "unexpected end of data"),
        (b'step,loss\n1,"2"3\n', "expected after"),
        (b"step,loss\n1," + b"x" * 200_000 + b"\n", "field larger"),
        (b"step,loss\none,2\n", "step is 'one', which is no number"),
    ],
)
def test_rows_that_we_do_not_write_are_refused(run, data, reason):
    rewrite(run, status="running", metrics=None)
    (run.folder / "metrics.csv").write_bytes(data)
    with pytest.raises(PlasticError, match=r"metrics\.csv is damaged: ") as error:
        runs.Run(run.folder).metrics()
    assert reason in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\n", b"step", b"step,loss\n", b"step,loss\n1,"])
def test_rows_that_are_none_yet(run, data):
    rewrite(run, status="running", metrics=None)
    (run.folder / "metrics.csv").write_bytes(data)
    assert not any(runs.Run(run.folder).metrics().values())


def test_rows_that_were_edited_after_the_end_of_a_run_are_refused(run):
    assert runs.Run(run.folder).metrics()["loss"] == [0.25, 0.125, 0.0625]
    edit(run.folder / "metrics.csv", b"0.0625", b"0.0626")
    with pytest.raises(PlasticError, match=r"metrics\.csv is damaged: it was edited"):
        runs.Run(run.folder).metrics()
    (run.folder / "metrics.csv").unlink()
    with pytest.raises(PlasticError, match=r"metrics\.csv is damaged: it is not there"):
        runs.Run(run.folder).metrics()


def test_a_mark_that_goes_on_from_another_is_that_of_the_whole(tmp_path):
    path = tmp_path / "metrics.csv"
    assert metrics.mark(path, metrics.Mark()) == metrics.Mark(0, 0) == metrics.mark(path, metrics.Mark(5, 3))
    marks = []
    for number in range(5):
        metrics.append(path, [{"step": number, "text": "x" * 700_000}])
        marks.append(metrics.mark(path, marks[-1] if marks else metrics.Mark()))
        assert marks[-1] == metrics.mark(path, metrics.Mark())
    metrics.require(path, marks[::-1])
    assert metrics.mark(path, metrics.Mark(10**9, 1)) == marks[-1]  # the file has become shorter
    edit(path, b"\n3,", b"\n9,")
    metrics.require(path, marks[:3])
    for wrong in (marks[3:], marks, marks[:4]):
        with pytest.raises(PlasticError, match="it was edited"):
            metrics.require(path, wrong)
    metrics.cut(path, marks[2].length)
    assert metrics.mark(path, metrics.Mark()) == marks[2]


def test_rows_are_neither_written_through_a_link_nor_to_a_pipe(run, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    rows = run.folder / "metrics.csv"
    again = runs.Run.resume(run.folder)
    again.status("running")
    for kind in ("link", "pipe"):
        rows.unlink()
        rows.symlink_to(victim) if kind == "link" else os.mkfifo(rows)
        with pytest.raises(PlasticError, match=r"metrics\.csv"):
            again.log([{"precious": 4}])
        with pytest.raises(PlasticError, match=r"metrics\.csv"):
            again.save_checkpoint({}, {})
        with pytest.raises(PlasticError, match=r"metrics\.csv"):
            metrics.cut(rows, 0)
    with pytest.raises(PlasticError, match=r"metrics\.csv: it is no regular file"):
        again.metrics()
    assert victim.read_bytes() == b"precious"
    again.close()


def test_a_lock_that_is_a_link_is_refused(run, tmp_path):
    """Whoever takes a lock truncates its file."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (run.folder / ".lock").unlink(missing_ok=True)
    (run.folder / ".lock").symlink_to(victim)
    with pytest.raises(PlasticError, match=r"cannot lock .*: it is a symbolic link"):
        runs.Run.resume(run.folder)
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["metrics.csv", "config.json"])
def test_a_file_that_does_not_fit_the_memory_is_not_read(run, name):
    rewrite(run, status="running", metrics=None)
    os.truncate(run.folder / name, 10**13)
    with pytest.raises(PlasticError, match=rf"{name} needs 10,000\.0 GB of memory"):
        runs.Run(run.folder).metrics()


# arrays.h5


def test_the_order_in_which_arrays_are_saved_leaves_no_trace(tmp_path):
    """A run that is killed late saves the first of them before, and the last of them after."""
    data = []
    for names in ("xyz", "zyx", "yyxzx"):
        with runs.Run.create(tmp_path, "fake", "train", OPTIONS) as run:
            for name in names:
                run.save_arrays({name: np.arange(ord(name)), f"deep/{name}": np.ones(2)})
        data.append((run.folder / "arrays.h5").read_bytes())
    assert data[0] == data[1] == data[2]


# config.json


@pytest.mark.parametrize("key", ["family", "experiment", "options", "identity", "checkpoints", "status", "format"])
def test_a_key_that_is_missing_is_named(run, key):
    rewrite(run, **{key: None})
    with pytest.raises(PlasticError, match=rf"config\.json has no {key}; it must be|has run format None"):
        runs.Run(run.folder)


VALUES = (3, -1.5, True, "text", [], {}, [3], ["x"], [[]], [{}], {"x": 1}, [1, 2], [1, -2], [1, 2, 3], [True, "/"])
KINDS = {
    "format": [],
    "family": ["text"],
    "experiment": ["text"],
    "identity": [],
    "options": [],
    "status": [],
    "details": [{}, {"x": 1}],
    "tested": [{}],
    "versions": [{}, {"x": 1}],
    "resumed": [[], [{}]],
    "extended": [[]],
    "parts": [[], [{}]],
    "blas": [[]],
    "checkpoints": [[], ["x"]],
    "metrics": [[1, 2]],
}


@pytest.mark.parametrize("key", KINDS)
def test_a_value_of_another_kind_is_named(run, key):
    for value in VALUES:
        rewrite(run, **{key: value})
        if any(value == each and type(value) is type(each) for each in KINDS[key]):
            runs.Run(run.folder)
            continue
        refused = rf"config\.json: {key} is .*; it must be |has run format|was made of other options"
        with pytest.raises(PlasticError, match=refused):
            runs.Run(run.folder)


@pytest.mark.parametrize("name", ["../other.h5", "/etc/passwd", "..", ""])
def test_a_checkpoint_lies_in_the_folder(run, name):
    rewrite(run, checkpoints=[name])
    with pytest.raises(PlasticError, match=r"checkpoints is .* it must be a list of names of files"):
        runs.Run(run.folder)


@pytest.fixture
def known(monkeypatch):
    """Describe the experiment of `run`; the value is a dict of what it was restored from."""
    described, seen = {}, {}
    for module in (runs, decorator):
        monkeypatch.setattr(module, "EXPERIMENTS", described)

    def restore(arrays, *, rate, widths, unit):
        seen.update(rate=rate, widths=widths, unit=unit)
        return arrays["W"][widths[0] - 1], abs

    def body(run, *, rate: float = 0.5, widths: tuple[int, ...] | None = None, unit: str = "m"):
        pass

    runs.experiment("fake", restore=restore, name="train")(body)
    return seen


def test_load_takes_the_defaults_of_options_that_came_later(run, known):
    plastic.load(run.folder)
    assert known == {"rate": 0.1, "widths": (3, 2), "unit": "m"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "fast"}, "the option rate is 'fast'; it must be float"),
        ({"rate": True}, "the option rate is True; it must be float"),
        ({"rate": None}, "the option rate is None; it must be float"),
        ({"widths": [3, "x"]}, "the option widths is .*; it must be tuple"),
        ({"widths": 3}, "the option widths is 3; it must be tuple"),
        ({"widths": [3.5]}, "the option widths is .*; it must be tuple"),
        ({"unit": 3}, "the option unit is 3; it must be str"),
        ({"more": 3}, "has other options than fake train has: .*'more'"),
        ({"arrays": 3}, "has other options than fake train has: .*'arrays'"),
        ({"widths": None}, "does not fit its options: TypeError"),
        ({"widths": [30]}, "does not fit its options: IndexError"),
    ],
)
def test_load_refuses_other_options(run, known, options, message):
    make_of(run, run.options | options)
    with pytest.raises(PlasticError, match=message):
        plastic.load(run.folder)


def test_load_refuses_a_checkpoint_of_other_arrays(run, known):
    arrays, attributes = files.read_hdf5(run.folder / "checkpoint.h5")
    files.write_hdf5(run.folder / "checkpoint.h5", {"V": arrays["W"]}, **attributes)
    with pytest.raises(PlasticError, match=r"the checkpoint of .* does not fit its options: KeyError: 'W'"):
        plastic.load(run.folder)


@pytest.mark.parametrize("name", ["checkpoint.h5", "arrays.h5"])
def test_a_crafted_file_gives_nothing_of_another_away(run, known, tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_bytes(b"precious")
    with h5py.File(run.folder / name, "w", userblock_size=512) as file:
        file.create_dataset("W", (8,), "u1", external=[(str(secret), 0, 8)])
        file.attrs.update(counters="{}", metrics_length=0)
    with open(run.folder / name, "rb+") as file:
        files.sealed._write_seal(file)
    with pytest.raises(PlasticError, match=f"{name} is refused, since plastic wrote no such file: W lies in another"):
        plastic.load(run.folder) if name == "checkpoint.h5" else runs.Run(run.folder).arrays()


# names of folders


def test_a_folder_of_a_name_that_is_too_long(tmp_path):
    for open_ in (runs.Run, runs.Run.resume, plastic.load):
        with pytest.raises(PlasticError, match=r"File name too long|no such run folder"):
            open_(tmp_path / ("x" * 300))
    with pytest.raises(PlasticError, match="File name too long"):
        runs.Run.create(tmp_path / ("x" * 300), "fake", "train", {})


@pytest.mark.parametrize("given", [{"option": "~/x"}, {}])
def test_results_of_a_user_without_a_home(monkeypatch, tmp_path, given):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLASTIC_RESULTS", "~/y")
    monkeypatch.setattr(system.os.path, "expanduser", lambda path: path)
    with pytest.raises(
        PlasticError, match=r"^(results is '~/x'|PLASTIC_RESULTS is '~/y'), but no home folder is known"
    ):
        runs.results_folder(**given)
    assert not list(tmp_path.iterdir())


def test_every_leaf_is_in_the_checkpoint(run):
    assert list(run.read_checkpoint()[0]) == [name for name, _ in parameters.leaves(tree(0.0))]
