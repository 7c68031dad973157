"""One suite over all commands: what each leaves, resumes, refuses, draws and gives back, on every backend.

What sets the commands apart is in tests/commands/<family>.py, as a list LINES.
"""

import errno
import importlib
import inspect
import json
import math
import os
import re
import signal
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
from command_lines import error_of, kept, on_backend, printed, table

import plastic
from plastic import cli, runs, training, xp
from plastic.errors import PlasticError
from plastic.runs.given import NOT_KEPT
from plastic.runs.record import plain

FAMILIES = sorted(path.stem for path in (Path(__file__).parent / "commands").glob("*.py") if path.stem != "case")
LINES = [line for name in FAMILIES for line in importlib.import_module(f"commands.{name}").LINES]
lines = pytest.mark.parametrize("line", LINES, ids=str)
trained = pytest.mark.parametrize("line", [line for line in LINES if line.trains], ids=str)


def main_of(family):
    return importlib.import_module(f"plastic.{family}.__main__")


def command_of(line):
    return main_of(line.family).COMMANDS[line.command]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The paths of the data sets, made once for each function that makes one."""
    made = {}

    def path(make):
        if make not in made:
            made[make] = make(tmp_path_factory.mktemp("data"))
        return made[make]

    return path


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, request, paths):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    line = request.node.callspec.params.get("line") if hasattr(request.node, "callspec") else None
    for name, value in line.variables.items() if line else ():
        monkeypatch.setenv(name, value.format(data=paths(line.data)))


def words_of(line, paths):
    return [word.format(data=paths(line.data) if line.data else "") for word in line.words]


def run(line, words, plot=False):
    """Run a line; return the run and what was printed before the folder."""
    plain = () if plot or "plot" not in inspect.signature(command_of(line)).parameters else ("--no_plot",)
    commands = main_of(line.family).COMMANDS
    *shown, folder = printed(commands, [line.command, *words, *plain], f"plastic.{line.family}")
    assert folder.startswith("run folder ")
    return runs.Run(folder.removeprefix("run folder ")), shown


def refused(line, *words):
    error, shown = error_of(main_of(line.family).COMMANDS, [line.command, *words], f"plastic.{line.family}")
    assert shown == ""
    return error


def content(folder):
    """All that a run holds and that must be equal to the bit, of a grid too."""
    found = runs.Run(folder)
    checkpoints = sorted(folder.glob("checkpoint*.h5"))
    parts = [Path(each.name) for each in checkpoints]
    arrays = {name: array.tobytes() for name, array in found.arrays().items()}
    if [part.name for part in parts] == ["checkpoint.h5"]:
        return kept(folder), arrays
    return (folder / "metrics.csv").read_bytes(), {path.name: path.read_bytes() for path in checkpoints}, arrays


def zero_at_first(metrics):
    """The columns that are 0 in all rows of step 0, and in no row after it."""
    late = np.array(metrics.get("step", ())) > 0
    if late.all() or not late.any():
        return set()
    columns = {name: np.array(column, dtype=object) for name, column in metrics.items()}
    return {name for name, column in columns.items() if not (column[~late] != 0).any() and (column[late] != 0).all()}


def test_every_command_has_a_line():
    assert FAMILIES == sorted(plastic.FAMILIES)
    for family in FAMILIES:
        known = {line.command for line in LINES if line.family == family}
        assert known == main_of(family).COMMANDS.keys() - {"figure"}


@lines
def test_it_leaves_what_it_says(line, paths):
    found, shown = run(line, words_of(line, paths), plot=True)
    assert found.config["status"] == "finished" and (found.family, found.experiment) == (line.family, line.command)
    assert shown and all("\x1b" not in text and "None" not in text and "array(" not in text for text in shown)
    assert {path.stem for path in found.folder.glob("*.png")} == set(line.figures)
    for name in line.figures:
        assert (found.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert bool(found.arrays()) == line.arrays
    assert any((found.folder).glob("checkpoint*.h5")) == line.trains
    metrics = found.metrics()
    assert metrics and all(
        len(column) == len(metrics["step" if "step" in metrics else next(iter(metrics))]) for column in metrics.values()
    )
    assert not zero_at_first(metrics) - {"step", "epoch", "frames", "updates"}  # what has not been measured is not 0
    again, _ = run(line, words_of(line, paths))
    assert again.folder.name == f"{found.folder.name}-2"  # nothing is overwritten
    assert content(again.folder) == content(found.folder)  # and the same seed gives the same run


@lines
def test_its_help_explains_every_option(line):
    text = "\n".join(printed(main_of(line.family).COMMANDS, [line.command, "--help"], f"plastic.{line.family}"))
    for name, parameter in inspect.signature(command_of(line)).parameters.items():
        found = re.search(rf"(--{name}\b|\b{name.upper()}\b)", text)
        assert found, name
        assert re.search(rf"^ *{name}: ", inspect.getdoc(command_of(line)), re.MULTILINE), name
        assert parameter.annotation is not inspect.Parameter.empty
    assert all(len(row) <= 120 for row in text.splitlines())


@lines
def test_a_dry_run_writes_nothing(line, paths, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    shown = printed(main_of(line.family).COMMANDS, [line.command, *words_of(line, paths), "--dry_run"], "plastic")
    assert sorted(tmp_path.rglob("*")) == before
    (folder,) = [text.removeprefix("folder ") for text in shown if text.startswith("folder ")]
    found, _ = run(line, words_of(line, paths))
    assert str(found.folder) == folder
    assert any("step" in text for text in shown) or not line.trains


@lines
@pytest.mark.parametrize("other", ["strict", pytest.param("cupy", marks=pytest.mark.gpu)])
def test_another_backend_computes_the_same(line, other, paths, monkeypatch):
    words = [*words_of(line, paths), *(() if any("dtype" in word for word in line.words) else ("--dtype=float64",))]
    on_numpy, _ = run(line, words)
    with monkeypatch.context() as patch:
        on_backend(patch, other)
        on_other, _ = run(line, words)
    assert on_other.folder != on_numpy.folder
    found, expected = on_other.metrics(), on_numpy.metrics()
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        if isinstance(column[0], str | None):
            assert found[name] == column
        else:
            both = (np.array(each, dtype=float) for each in (found[name], column))  # an empty cell is a NaN
            atol = 1e-5 if name == "angle" else 1e-9  # in degrees, of a cosine that may be 1 but for rounding
            np.testing.assert_allclose(*both, rtol=1e-6, atol=atol, err_msg=name)


@lines
def test_what_is_wrong_for_every_command(line, paths, tmp_path):
    words, shared = words_of(line, paths), command_of(line).experiment.shared
    wrong = [
        ["--nonsense=1"],
        ["--threads=0"],
        ["--threads=two"],
        ["--device=toaster"],
        ["--dtype=float16"],
        ["--name"],
    ]
    wrong += [["stray"]] if "which" not in inspect.signature(command_of(line)).parameters else []
    if "seed" in shared:
        wrong += [["--seed=-1"], ["--seed=1.5"], [f"--seed={2**32}"]]
    if "seeds" in shared:
        wrong += [["--seeds=1,1"], ["--seeds=-1,2"], ["--seeds=()"], ["--seeds=a"]]
    if "resume" in shared:
        wrong += [["--resume=nowhere"], [f"--resume={tmp_path}"]]
    for more in wrong:
        names = {each.split("=")[0] for each in more}
        names |= {"--seeds"} & {f"{name}s" for name in names}  # seeds replace seed
        clean = [word for word in words if word.split("=")[0] not in names]
        assert refused(line, *clean, *more)
    assert not list(tmp_path.iterdir())


@lines
def test_what_is_wrong_for_this_command(line, paths, tmp_path):
    for more, message in line.wrong.items():
        given = more.split()
        clean = [word for word in words_of(line, paths) if word.split("=")[0] not in {w.split("=")[0] for w in given}]
        error = refused(line, *clean, *given)
        assert message in error, (more, error)
    assert not list(tmp_path.iterdir())


class Killed(BaseException):
    """As if the process were gone."""


def saves(line, words, monkeypatch):
    """Return how many checkpoints a line writes."""
    count, save = [0], runs.Run.save_checkpoint

    def counting(self, tree, counters):
        count[0] += 1
        save(self, tree, counters)

    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "save_checkpoint", counting)
        found, _ = run(line, words)
    return count[0], found


@trained
def test_killed_before_any_checkpoint_it_goes_on_to_the_bit(line, paths, monkeypatch):
    words = words_of(line, paths)
    count, whole = saves(line, words, monkeypatch)
    save = runs.Run.save_checkpoint
    for stop in sorted({1, 2, count // 2, count} - {0}):
        before = {path for path in whole.folder.parent.iterdir()}
        left = [stop]

        def killed(self, tree, counters, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            save(self, tree, counters)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(runs.Run, "save_checkpoint", killed)
            run(line, words)
        (cut,) = {path for path in whole.folder.parent.iterdir()} - before
        assert runs.Run(cut).config["status"] == "running"
        again, _ = run(line, [f"--resume={cut}"])
        assert again.folder == cut and again.config["status"] == "finished"
        assert content(cut) == content(whole.folder), stop


@trained
def test_interrupted_it_says_how_to_go_on(line, paths, monkeypatch, capsys):
    words, number = words_of(line, paths), [0]
    whole, _ = run(line, words)
    watch = training._Health.watch

    def interrupting(self, step, vital):
        number[0] += 1
        if number[0] == 1:
            os.kill(os.getpid(), signal.SIGINT)
        watch(self, step, vital)

    with monkeypatch.context() as patch:
        patch.setattr(training._Health, "watch", interrupting)
        with pytest.raises(SystemExit) as leave:
            cli.run(main_of(line.family).COMMANDS, [line.command, *words], prog="plastic")
    told = capsys.readouterr().err.strip().splitlines()[-1]
    if leave.value.code == 130:
        cut = Path(re.search(r"--resume=(\S+)", told)[1])
        assert runs.Run(cut).config["status"] == "interrupted"
        run(line, [f"--resume={cut}"])
        assert content(cut) == content(whole.folder)


@trained
def test_a_resumed_run_keeps_its_options(line, paths):
    words = words_of(line, paths)
    whole, _ = run(line, words)
    before = content(whole.folder)
    run(line, [f"--resume={whole.folder}", *words, "--threads=2"])  # what it has may be typed again
    assert content(whole.folder) == before
    record = command_of(line).experiment
    for name, default in record.defaults.items():
        stored = whole.options.get(name)
        if name in NOT_KEPT or default is None or stored == plain(default) or stored is None:
            continue
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        if name == record.length or not text:
            continue
        assert f"{name} is" in refused(line, f"--resume={whole.folder}", f"--{name}={text}")
    if record.length and type(None) in typing.get_args(record.own[record.length].annotation):
        assert f"{record.length} is None" in refused(line, f"--resume={whole.folder}", f"--{record.length}=none")
    assert content(whole.folder) == before
    others = [each for each in LINES if each.trains and str(each) != str(line) and each.family == line.family]
    if others:
        assert "is a run of" in refused(others[0], f"--resume={whole.folder}")


@pytest.mark.parametrize("line", [line for line in LINES if line.trains and "--dataset={data}" in line.words], ids=str)
def test_a_run_does_not_go_on_with_other_data(line, paths, tmp_path):
    """Of the same shapes, which would fit the checkpoint. A file written again with the same arrays is the same."""
    with np.load(paths(line.data)) as file:
        arrays = dict(file)
    own = tmp_path / "own.NPZ"

    def write(save, **changed):
        with open(own, "wb") as file:
            save(file, **arrays | changed)

    write(np.savez)
    words = [f"--dataset={own}" if word.startswith("--dataset=") else word for word in words_of(line, paths)]
    whole, _ = run(line, words)
    write(np.savez_compressed)
    before = content(whole.folder)
    run(line, [f"--resume={whole.folder}"])
    write(np.savez, x_train=arrays["x_train"][::-1])
    message = refused(line, f"--resume={whole.folder}")
    assert f"dataset {own} holds other arrays than when the run to resume was begun" in message
    assert content(whole.folder) == before


@trained
def test_a_crafted_checkpoint_is_refused_and_changes_nothing(line, paths):
    whole, _ = run(line, words_of(line, paths))
    path = sorted(whole.folder.glob("checkpoint*.h5"))[-1]
    arrays, attributes = plastic.files.read_hdf5(path)
    before, config = content(whole.folder), (whole.folder / "config.json").read_bytes()
    for crafted in ({"step": -1}, {"step": math.nan}, {"metrics": {}}, {"diverged": {"99": 1}}, {"source": None}):
        counters = json.dumps(json.loads(attributes["counters"]) | crafted)
        plastic.files.write_hdf5(path, arrays, **attributes | {"counters": counters})
        assert f"{path} does not fit: " in refused(line, f"--resume={whole.folder}")
        assert (whole.folder / "config.json").read_bytes() == config
    plastic.files.write_hdf5(path, arrays, **attributes)
    assert content(whole.folder) == before
    run(line, [f"--resume={whole.folder}"])
    assert content(whole.folder) == before


@pytest.mark.parametrize("line", [line for line in LINES if line.longer], ids=str)
def test_a_finished_run_is_extended_and_equals_a_long_one(line, paths):
    short, long = line.longer
    words = [w for w in words_of(line, paths) if w.split("=")[0] not in {each.split("=")[0] for each in long}]
    whole, _ = run(line, [*words, *long])
    cut, _ = run(line, [*words, *short])
    run(line, [f"--resume={cut.folder}", *long])
    found = runs.Run(cut.folder)
    assert found.config["extended"] and found.folder.name != whole.folder.name
    key = [name for name in ("step", *line.parts, "replica", "seed", "rate") if name in found.metrics()]

    def ordered(folder):
        return sorted(table(folder), key=lambda row: [row[name] for name in key])

    assert ordered(cut.folder) == ordered(whole.folder)
    for name in sorted(path.name for path in whole.folder.glob("checkpoint*.h5")):
        arrays, expected = (plastic.files.read_hdf5(folder / name)[0] for folder in (cut.folder, whole.folder))
        assert arrays.keys() == expected.keys()
        for path, array in expected.items():
            np.testing.assert_array_equal(arrays[path], array, err_msg=path)


@pytest.mark.parametrize("line", [line for line in LINES if line.seeds], ids=str)
def test_seeds_side_by_side_are_runs_of_their_own(line, paths):
    words = [word for word in words_of(line, paths) if not word.startswith(("--seed=", "--seeds="))]
    together, _ = run(line, [*words, f"{line.seeds}=2,5"])
    for seed in (2, 5):
        alone, _ = run(line, [*words, f"{line.seeds}={seed}"])
        rows = [row for row in table(together.folder) if row["seed"] == str(seed)]
        others = table(alone.folder)
        assert len(rows) == len(others)
        for row, other in zip(rows, others, strict=True):
            for name in line.columns:
                expected = pytest.approx(float(other[name]), rel=line.tolerance, abs=1e-7, nan_ok=True)
                assert float(row[name]) == expected, name


@pytest.mark.parametrize("line", [line for line in LINES if line.figures], ids=str)
def test_its_figures_are_drawn_again_and_of_several_runs_together(line, paths, tmp_path):
    found, _ = run(line, words_of(line, paths))
    commands = main_of(line.family).COMMANDS
    drawn = printed(commands, ["figure", str(found.folder)], "plastic")
    assert drawn == [str(found.folder / f"{name}.png") for name in line.figures]
    again, _ = run(line, words_of(line, paths))
    for kind in ("png", "svg"):
        out = tmp_path / f"several.{kind}"
        drawn = printed(commands, ["figure", str(found.folder), str(again.folder), f"--out={out}"], "plastic")
        assert len(drawn) == len(line.figures) and all(Path(each).stat().st_size > 1000 for each in drawn)


@pytest.mark.parametrize("line", [line for line in LINES if line.network], ids=str)
def test_load_gives_the_network_back(line, paths):
    found, _ = run(line, words_of(line, paths))
    if line.part is not None:
        with pytest.raises(PlasticError, match="parts"):
            plastic.load(found.folder)
    trained = plastic.load(found.folder, part=line.part)
    assert "\n" not in repr(trained) and len(repr(trained)) < 200
    assert "predict(" in trained.predict.__doc__
    line.network(trained, found)


@pytest.mark.parametrize("line", [line for line in LINES if not line.network], ids=str)
def test_load_says_that_no_network_is_kept(line, paths):
    found, _ = run(line, words_of(line, paths))
    with pytest.raises(PlasticError, match="keeps no trained network"):
        plastic.load(found.folder)


@lines
def test_a_full_disk_is_told_in_one_line(line, paths, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        error, _ = error_of(main_of(line.family).COMMANDS, [line.command, *words_of(line, paths)], "plastic")
    assert "No space left on device" in error
    assert xp.backend() == "numpy"


def test_the_exit_code_of_the_process(paths, tmp_path):
    variables = os.environ | {"PYTHONPATH": str(Path(plastic.__file__).parents[1]), "PYTHONWARNINGS": "error"}
    line = next(line for line in LINES if line.family == "gait")
    for words, code in ((["--nb_epoch=1"], 2), (["--tower", "--widths=10,16"], 2), (["--help"], 0)):
        arguments = [sys.executable, "-m", "plastic.gait", *words_of(line, paths), *words]
        done = subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == code and not list(tmp_path.iterdir())
        assert re.fullmatch(r"error: [^\n]+\n", done.stderr) if code else done.stderr == ""
    arguments = [sys.executable, "-m", "plastic.gait", *words_of(line, paths)]
    variables["PLASTIC_RESULTS"] = "elsewhere"
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0 and done.stderr == ""
    folder = Path(done.stdout.splitlines()[-1].removeprefix("run folder "))
    assert folder.parent == Path("elsewhere/gait")
    assert content(folder) == content(run(line, words_of(line, paths))[0].folder)
