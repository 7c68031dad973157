"""From a function to a command: what `experiment` adds to a function, on a descent that is known in closed form."""

import dataclasses
import inspect
import os
import pathlib
import signal
from typing import Literal

import numpy as np
import pytest
from command_lines import column, error_of, printed, table

import plastic
from plastic import cli, files, parameters, plotting, require, runs, training, xp
from plastic.data import sources
from plastic.errors import PlasticError
from plastic.runs import Spelling, experiment
from plastic.runs.figure import figure

BROKEN = []
"""What the figure raises."""


def curve(found):
    if BROKEN:
        raise BROKEN[0]
    fig, axis = plotting.figure()
    for run, label in zip(found, plotting.labels(found, ["loss"] * len(found)), strict=True):
        epochs, curves = plotting.over_epochs(run.metrics(), {"loss": label})
        plotting.curves(axis, epochs, curves)
    return fig


def restore(arrays, *, rate, steps, unit):
    return arrays["w"], lambda x: (x * arrays["w"], rate, unit)


SPELLINGS = {
    "do_plot": Spelling("plot", bool, True, "draw the figures."),
    "placement": Spelling(None, bool, False, "it has no effect."),
    "device_label": Spelling("device", int | None, None, "-1 is the CPU.", lambda n: "cpu" if n < 0 else str(n)),
}


@experiment(
    "toy", draw={"curve": curve}, restore=restore, length="steps", readable="{unit}-{seeds}", spellings=SPELLINGS
)
def descent(run, *, steps: int = 20, rate: float = 0.5, unit: Literal["m", "km"] = "m"):
    """Go downhill: w <- w - rate w.

    Args:
        steps: steps to take.
        rate: of the descent.
        unit: of length.
    """
    require.whole("steps", steps)
    require.number("rate", rate, above=0)
    w = xp.asarray(np.array([float(seed) for seed in run.seeds]))[:, None]

    def step(_, number):
        w[...] -= rate * w
        return w[:, 0].copy()

    training.fit(
        run,
        {"w": w},
        sources.Repeated(),
        step,
        steps=steps,
        evaluate=lambda: {"loss": w[:, 0] ** 2},
        evaluate_every=5,
        checkpoint_every=5,
        replicas=[{"replica": replica, "seed": seed} for replica, seed in enumerate(run.seeds)],
        stop=lambda metrics: bool(np.all(metrics["loss"] < 1e-8)),
    )
    return [f"loss {float(xp.asnumpy(w)[0, 0]) ** 2:.3g}"]


@experiment("toy", length="steps", seed=None, seeds=(1, 2), restore=lambda arrays, *, rate, **_: (arrays["w"], rate))
def grid(run, *, steps: int = 20, rates: tuple[float, ...] = (0.1, 3e8, 0.5)):
    """Go downhill at several rates, one of them far too high.

    Args:
        steps: steps to take.
        rates: of the descents.
    """
    for part in run.parts([{"rate": rate} for rate in rates]):
        rate, w = part.columns["rate"], xp.asarray(np.array([[1.0, 2.0], [3.0, 4.0]]))

        def step(_, number, rate=rate, w=w):
            w[...] -= rate * w
            return w**2

        training.fit(
            part,
            {"w": w},
            sources.Repeated(),
            step,
            steps=steps,
            evaluate=lambda w=w: {"loss": w**2},
            evaluate_every=5,
            checkpoint_every=5,
            replicas=[{"seed": seed, "side": side} for seed in run.seeds for side in (0, 1)],
            shape=(2, 2),
            when_diverged={"loss": 1.0},
        )


@dataclasses.dataclass(frozen=True)
class Net:
    """A net.

    Args:
        width: units.
        depth: layers.
    """

    width: int = 3
    depth: int = 1


@experiment("toy", resume=False, seeds=False, dtype="float64")
def measure(run, which: Literal["a", "b"] | None = None, *, net: Net, scale: float | None = None):
    """Measure something.

    Args:
        which: of two things.
        scale: of the things; by default as many as there are units.
    """
    if net.width < 1:
        raise PlasticError(f"width is {net.width}; it must be at least 1")
    run.fill(scale=float(net.width) if scale is None else scale)
    run.begin()
    run.log([{"which": which or "both", "width": net.width, "value": run.seeds[0]}])
    run.save_arrays({"x": np.arange(3)})


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit.

    Args:
        unit: of length.
    """

    unit: Literal["m", "metre", "km"] = "m"


@experiment("toy", length="steps", aliases={"unit": {"metre": "m"}})
def march(run, *, steps: int = 3, unit: Unit, net: Net):
    """March on."""
    w = xp.zeros(1)
    every = {"evaluate_every": steps, "checkpoint_every": steps, "replicas": [{"replica": 0, "seed": run.seeds[0]}]}
    training.fit(run, {"w": w}, sources.Repeated(), lambda *_: w, steps=steps, evaluate=lambda: {"w": w}, **every)
    return [unit.unit]


@experiment("toy", resume=False, seed=None)
def count(run, *, seeds_wanted: int = 3):
    """Count seeds from 1 on.

    Args:
        seeds_wanted: how many.
    """
    run.count_seeds(seeds_wanted)
    run.begin()
    return [str(len(run.generators()))]


@experiment("toy", resume=False, seed=5)
def count_on(run, *, seeds_wanted: int = 3):
    """Count seeds from a first on.

    Args:
        seeds_wanted: how many.
    """
    run.count_seeds(seeds_wanted)
    run.begin()
    return [str(len(run.generators()))]


_WIDE = Net(width=7)


@experiment("toy", resume=False, seeds=False)
def measure_wide(run, *, net: Net = _WIDE):
    """Measure a wide net."""
    run.begin()
    run.log([{"width": net.width, "depth": net.depth}])


COMMANDS = {
    "descent": descent,
    "grid": grid,
    "measure": measure,
    "measure_wide": measure_wide,
    "march": march,
    "count": count,
    "count_on": count_on,
    "figure": figure,
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    BROKEN.clear()


def run(*words):
    """Run a line that makes a run; return the run and what was printed before."""
    *others, folder = printed(COMMANDS, list(words), "toy")
    return runs.Run(folder.removeprefix("run folder ")), others


def refused(*words):
    return error_of(COMMANDS, list(words), "toy")[0]


def test_the_signature_and_the_help_have_all_options():
    names = list(inspect.signature(descent).parameters)
    assert names[:3] == ["steps", "rate", "unit"] and set(names[3:]) == {*runs.SHARED, *SPELLINGS}
    assert list(inspect.signature(grid).parameters)[:3] == ["steps", "rates", "seeds"]
    assert "plot" not in inspect.signature(grid).parameters and "seed" not in inspect.signature(grid).parameters
    assert {"which", "width", "depth", "scale"} <= inspect.signature(measure).parameters.keys()
    assert "resume" not in inspect.signature(measure).parameters
    for command in (descent, grid, measure):
        text = "\n".join(printed(COMMANDS, [command.__name__, "--help"], "toy"))
        for name in inspect.signature(command).parameters:
            assert (name.upper() if name == "which" else f"--{name}") in text
    assert "w <- w - rate w" in descent.__doc__ and runs.SHARED["threads"][1] in descent.__doc__


def test_a_run_is_made_reported_and_drawn():
    found, shown = run("descent", "--steps=5", "--seeds=2,3")
    assert shown == [f"loss {4 * 2.0**-10:.3g}"]
    assert found.folder.name.startswith("descent-m-seed2+3-") and found.config["status"] == "finished"
    assert found.metrics()["loss"] == [4, 9, 4 * 2.0**-10, 9 * 2.0**-10]
    assert (found.folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert not (run("descent", "--steps=5", "--no_plot")[0].folder / "curve.png").exists()
    assert not (run("descent", "--steps=5", "--do_plot=false", "--placement")[0].folder / "curve.png").exists()
    assert (
        descent(steps=5, seeds=(2, 3)).name == f"{found.folder.name}-2"
    )  # a call from Python, and nothing overwritten
    assert run("descent", "--steps=5", "--name=mine own")[0].folder.name.startswith("descent-mine-own-")


@pytest.mark.parametrize("name", ["äöü", "...", "日本"])
def test_a_name_of_which_nothing_is_left_is_refused(name):
    assert f"name is '{name}'; folders are named by a to z" in refused("descent", f"--name={name}")


def test_what_is_wrong_is_refused_before_anything_is_written(tmp_path):
    for words, message in (
        (["--steps=0"], "steps is 0"),
        (["--rate=-1"], "rate is -1"),
        (["--seeds=1,1"], "seeds are"),
        (["--seed=-1"], "seeds are"),
        (["--device=toaster"], "device is 'toaster'"),
        (["--threads=0"], "threads is 0"),
        (["--device=0", "--device_label=-1"], "say different things"),
        (["--resume=nowhere"], "nowhere is no run folder"),
        (["--unit=mm"], "--unit takes"),
        (["--rate=1e39"], "rate is 1e+39; float32 holds numbers up to 3.4e+38"),
        (["--rate=-1e300"], "rate is -1e+300; float32"),
        (["--rate=1e-60"], "rate is 1e-60, which is 0 in float32"),
        ([f"--steps={10**12}"], "steps is 1000000000000; whole numbers are below 1,000,000,000,000"),
    ):
        assert message in refused("descent", *words)
    assert "width is 0" in refused("measure", "--width=0")
    assert not list(tmp_path.iterdir())
    assert run("descent", "--rate=1e-60", "--steps=1", "--dtype=float64")


def test_a_dry_run_says_what_would_be_and_writes_nothing(tmp_path):
    shown = printed(COMMANDS, ["descent", "--steps=7", "--dry_run"], "toy")
    folder = run("descent", "--steps=7")[0].folder
    assert {"steps = 7", "rate = 0.5", "seed = 1", f"folder {folder}"} <= set(shown)
    assert any(line.startswith("7 steps, ") for line in shown) and any("MB" in line for line in shown)
    assert any("exists" in line for line in printed(COMMANDS, ["descent", "--steps=7", "--dry_run"], "toy"))
    assert any(line.startswith("3 parts") for line in printed(COMMANDS, ["grid", "--dry_run"], "toy"))
    assert any("scale = 3.0" in line for line in printed(COMMANDS, ["measure", "--dry_run"], "toy"))
    assert len(list((tmp_path / "results" / "toy").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 5}, r"unknown option step; did you mean steps\?"),
        ({"steps": "5"}, "steps is '5'; it must be int"),
        ({"steps": 5.0}, "steps is 5.0; it must be int"),
        ({"rate": "0.1"}, "rate is '0.1'; it must be float"),
        ({"seeds": 3}, r"seeds is 3; it must be tuple\[int, ...\]"),
        ({"plot": "no"}, "plot is 'no'; it must be bool"),
        ({"dtype": "f32"}, r"dtype is 'f32'; it must be Literal\['float32', 'float64'\]"),
    ],
)
def test_a_call_in_python_is_checked_as_a_command_line_is(tmp_path, options, message):
    with pytest.raises(PlasticError, match=message):
        descent(**options)
    assert not list(tmp_path.iterdir())


def test_a_call_in_python_takes_what_python_has(tmp_path):
    folder = descent(steps=np.int64(5), rate=np.float32(0.5), seeds=range(2), results=tmp_path / "there", device="cpu")
    assert folder.parent == tmp_path / "there" / "toy"
    line = ["--steps=5", "--rate=0.5", "--seeds=0,1", "--results=there"]
    assert run("descent", *line)[0].config["identity"] == runs.Run(folder).config["identity"]
    assert descent(steps=7, resume=folder, seeds=[0, 1]) == folder


def test_a_folder_at_home_is_found(tmp_path, monkeypatch):
    """Shells leave the ~ of --resume=~/run and --out=~/figure.png as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = run("descent", "--steps=5")[0].folder.resolve()
    there = f"~/{folder.relative_to(tmp_path)}"
    assert run("descent", f"--resume={there}")[0].folder == folder
    assert f"folder {folder} goes on" in printed(COMMANDS, ["descent", f"--resume={there}", "--dry_run"], "toy")
    assert plastic.load(there).config["options"]["steps"] == 5
    assert printed(COMMANDS, ["figure", there, "--out=~/figure.png"], "toy") == [str(tmp_path / "figure.png")]


def test_a_dry_run_of_a_resumption_says_what_is_left():
    short, grid = run("descent", "--steps=7")[0], run("grid", "--steps=5")[0]
    for words, said in (
        (["descent", f"--resume={short.folder}"], "7 steps, of which 7 are done, "),
        (["descent", f"--resume={short.folder}", "--steps=10"], "10 steps, of which 7 are done, "),
        (["grid", f"--resume={grid.folder}", "--steps=8"], "3 parts of about 8 steps, of which 15 are done, "),
    ):
        shown = printed(COMMANDS, [*words, "--dry_run"], "toy")
        assert f"folder {words[1].removeprefix('--resume=')} goes on" in shown
        assert any(line.startswith(said) for line in shown), shown
    met, _ = run("descent", "--steps=100", "--rate=0.9")
    assert "has met its criterion" in refused("descent", f"--resume={met.folder}", "--steps=1000", "--dry_run")


def test_what_the_body_fills_in_belongs_to_the_identity():
    found, _ = run("measure", "a", "--width=4")
    assert found.options["scale"] == 4.0 and found.options["which"] == "a" and found.options["dtype"] == "float64"
    assert run("measure", "a", "--width=4", "--scale=4")[0].folder.name == f"{found.folder.name}-2"
    assert found.arrays()["x"].tolist() == [0, 1, 2] and found.config["status"] == "finished"
    with pytest.raises(PlasticError, match="keeps no trained network"):
        plastic.load(found.folder)


def test_seeds_are_counted_from_the_first_unless_they_are_given():
    for words, seeds in (
        (["count"], [1, 2, 3]),
        (["count", "--seeds_wanted=1"], [1]),
        (["count", "--seeds=4,9"], [4, 9]),
        (["count_on"], [5, 6, 7]),
        (["count_on", "--seed=8"], [8, 9, 10]),
        (["count_on", "--seed=8", "--seeds=2"], [2]),
    ):
        found, shown = run(*words)
        assert found.options["seeds"] == seeds and shown == [str(len(seeds))]
        assert runs.naming.seed_names(seeds) in found.folder.name
    for seed in (2**32 - 2, 2**32 - 1):
        told = refused("count_on", f"--seed={seed}")
        assert f"seed is {seed}, and 3 seeds are counted from there" in told and "a seed up to 4294967293" in told
    assert run("count_on", f"--seed={2**32 - 3}")[0].options["seeds"][-1] == 2**32 - 1


def test_an_interruption_in_the_last_step_of_a_part_is_heard(monkeypatch):
    whole, _ = run("grid", "--steps=5")
    watch, count = training._Health.watch, [0]

    def interrupting(self, step, vital):
        watch(self, step, vital)
        count[0] += 1
        if count[0] == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training._Health, "watch", interrupting)
    with pytest.raises(KeyboardInterrupt, match="interrupted at step 5; go on with --resume="):
        grid(steps=5)
    (cut,) = set(whole.folder.parent.iterdir()) - {whole.folder}
    run("grid", f"--resume={cut}")
    assert (cut / "metrics.csv").read_bytes() == (whole.folder / "metrics.csv").read_bytes()


def test_a_record_given_as_a_default_gives_the_defaults_of_its_options():
    found, _ = run("measure_wide")
    assert found.metrics() == {"width": [7], "depth": [1]} and found.options["width"] == 7
    assert run("measure_wide", "--width=3")[0].metrics()["width"] == [3]
    assert inspect.signature(measure_wide).parameters["width"].default == 7


def test_a_resumed_run_keeps_its_options_also_against_defaults_that_are_typed():
    found, _ = run("descent", "--steps=5", "--rate=0.25")
    assert run("descent", f"--resume={found.folder}")[0].folder == found.folder
    assert (
        run("descent", f"--resume={found.folder}", "--rate=0.25", "--steps=5", "--threads=2")[0].metrics()
        == found.metrics()
    )
    assert "rate is 0.5, but the run to resume has 0.25" in refused("descent", f"--resume={found.folder}", "--rate=0.5")
    assert "steps is 4, but the run to resume has 5" in refused("descent", f"--resume={found.folder}", "--steps=4")
    assert "is a run of toy descent" in refused("grid", f"--resume={found.folder}")
    for word in ("--name=other", "--results=elsewhere"):  # the folder stays where it is, with its name
        assert f"{word[2:].split('=')[0]} is {word.split('=')[1]!r}, but" in refused(
            "descent", f"--resume={found.folder}", word
        )
    assert run("descent", f"--resume={found.folder}", "--results=./results")[0].folder == found.folder
    named, _ = run("descent", "--steps=3", "--name=mine")
    assert run("descent", f"--resume={named.folder}", "--name=mine")[0].folder == named.folder


def test_an_option_of_another_kind_in_a_sealed_config_is_refused():
    found, _ = run("descent", "--steps=5")
    options = found.options | {"steps": "five"}
    record = found.config | {"options": options, "identity": runs.identity_hash(options)}
    files.write_json(found.folder / "config.json", record)
    assert "the option steps is 'five'; it must be int" in refused("descent", f"--resume={found.folder}")


def test_a_finished_run_is_extended_and_equals_one_that_was_long_from_the_start():
    short, _ = run("descent", "--steps=5")
    run("descent", f"--resume={short.folder}", "--steps=10")
    long, _ = run("descent", "--steps=10")
    again = runs.Run(short.folder)
    assert again.metrics() == long.metrics() and again.options["steps"] == 10
    assert again.config["extended"][0] | {"started": 0} == {"option": "steps", "from": 5, "to": 10, "started": 0}
    assert again.read_checkpoint()[0]["w"] == long.read_checkpoint()[0]["w"]
    met, _ = run("descent", "--steps=500")
    assert "has met its criterion" in refused("descent", f"--resume={met.folder}", "--steps=1000")
    assert runs.Run(met.folder).config["status"] == "finished"


def test_what_was_measured_once_is_gone_where_more_training_follows(tmp_path):
    with runs.Run.create(tmp_path, "mine", "try", {"steps": 5}) as own:
        own.save_tested({"test_error": np.array([0.5, 0.25]), "confusion": np.eye(2)[None]})
        kept = runs.Run(own.folder)
        assert (kept.tested(0), kept.tested(1), kept.tested(2)) == ({"test_error": 0.5}, {"test_error": 0.25}, {})
        assert set(kept.arrays()) == {"test_error", "confusion"}
        own.extend("steps", 10)
    assert runs.Run(own.folder).tested(0) == {}


def test_a_grid_goes_on_where_a_part_diverges_and_logs_the_published_error():
    found, _ = run("grid")
    rows = table(found.folder)
    assert column(rows, "loss", rate=3e8, step=20) == [1.0] * 4
    assert column(rows, "loss", rate=0.5, step=20) == [(w * 0.5**20) ** 2 for w in (1, 2, 3, 4)]
    assert [row["seed"] for row in rows[:4]] == ["1", "1", "2", "2"]
    assert found.config["status"] == "finished" and found.config["parts"] == [{"rate": r} for r in (0.1, 3e8, 0.5)]
    network = plastic.load(found.folder, part={"rate": 0.5}).network
    with pytest.raises(PlasticError, match="part is 'rate'; it must be a dict"):
        plastic.load(found.folder, part="rate")
    np.testing.assert_array_equal(network, np.float32([[1, 2], [3, 4]]) * 0.5**20)
    assert np.all(np.isfinite(plastic.load(found.folder, part={"rate": 3e8}).network))


def cut_grid(monkeypatch, stop):
    """Return the folder of a grid that was killed when it would have saved for the `stop`-th time."""
    count, save, before = [0], runs.Run.save_checkpoint, set(pathlib.Path("results").glob("toy/*"))

    def killed(self, tree, counters):
        count[0] += 1
        if count[0] == stop:
            raise SystemExit(137)
        save(self, tree, counters)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(runs.Run, "save_checkpoint", killed)
        grid()
    (cut,) = set(pathlib.Path("results").glob("toy/*")) - before
    return cut


@pytest.mark.parametrize("stop", (1, 2, 4, 5, 7, 8, 10, 11, 12))
def test_a_grid_killed_anywhere_resumes_to_the_bit(monkeypatch, stop):
    whole, _ = run("grid")
    cut = cut_grid(monkeypatch, stop)
    assert runs.Run(cut).config["status"] != "finished"
    run("grid", f"--resume={cut}")
    assert (cut / "metrics.csv").read_bytes() == (whole.folder / "metrics.csv").read_bytes()
    for index in range(3):
        name = f"checkpoint-{index}.h5"
        assert (cut / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "checkpoint-1.h5").write_bytes(b"rubbish"), "checkpoint-1.h5 is damaged"),
        (lambda folder: (folder / "checkpoint-1.h5").unlink(), "checkpoint-1.h5 was saved, but it is not there"),
        (lambda folder: os.replace(folder / "checkpoint-2.h5", folder / "checkpoint-1.h5"), "checkpoint-2.h5 was "),
        (lambda folder: os.truncate(folder / "metrics.csv", 100), "metrics.csv is damaged: it is shorter"),
        (lambda folder: (folder / "metrics.csv").unlink(), "metrics.csv is damaged: it is not there"),
        (lambda folder: edit(folder / "metrics.csv", b",9.0", b",8.0"), "metrics.csv is damaged: it was edited"),
        (lambda folder: edit(folder / "metrics.csv", b"20,20.0,2,0.5,1", b"20,20.0,2,0.5,0"), "it was edited"),
    ],
)
@pytest.mark.parametrize("killed", [False, True])
def test_a_grid_whose_files_do_not_belong_together_is_refused_and_stays_as_it_is(damage, message, killed):
    found, _ = run("grid")
    if killed:
        files.write_json(found.folder / "config.json", found.config | {"status": "running", "ended": None})
    damage(found.folder)
    before = content(found.folder)
    for words in ([], ["--steps=40"]):
        assert message in refused("grid", f"--resume={found.folder}", *words)
        assert content(found.folder) == before


def test_an_older_checkpoint_of_a_part_of_a_finished_grid_is_refused(monkeypatch):
    """Its later rows stand among those of other parts; trained again, they would be there twice."""
    whole, _ = run("grid")
    cut = cut_grid(monkeypatch, 8)
    name = "checkpoint-1.h5"
    os.replace(cut / name, whole.folder / name)
    before = content(whole.folder)
    assert f"{name} does not fit: step is 5, but metrics.csv ends at step 20" in refused(
        "grid", f"--resume={whole.folder}"
    )
    assert content(whole.folder) == before


def test_a_grid_with_a_crafted_part_is_refused_before_anything_changes():
    whole, _ = run("grid")
    path = whole.folder / "checkpoint-2.h5"
    arrays, attributes = files.read_hdf5(path)
    files.write_hdf5(
        path, arrays, **attributes | {"counters": attributes["counters"].replace('"step": 20', '"step": 21')}
    )
    before = content(whole.folder)
    assert "checkpoint-2.h5 does not fit: step is 21; it must be from 0 to 20" in refused(
        "grid", f"--resume={whole.folder}"
    )
    assert content(whole.folder) == before


def test_a_checkpoint_that_was_saved_just_before_a_kill_is_listed_later(monkeypatch):
    whole, _ = run("grid")
    record = whole.config | {"checkpoints": ["checkpoint-0.h5", "checkpoint-1.h5"], "status": "running"}
    files.write_json(whole.folder / "config.json", record)
    run("grid", f"--resume={whole.folder}")
    assert runs.Run(whole.folder).config["checkpoints"] == whole.config["checkpoints"]


def test_a_grid_of_other_parts_is_refused():
    found, _ = run("grid")
    files.write_json(found.folder / "config.json", found.config | {"parts": found.config["parts"][:2]})
    before = content(found.folder)
    assert "was made of other parts" in refused("grid", f"--resume={found.folder}")
    assert content(found.folder) == before


def test_a_grid_that_is_refused_in_a_part_keeps_its_rows(monkeypatch):
    """It is killed after rows that no checkpoint counts; the network of its first part then has another shape."""
    folder = cut_grid(monkeypatch, 3)
    before = content(folder)
    with monkeypatch.context() as patch:
        patch.setattr(parameters, "assign", lambda *_, **__: (_ for _ in ()).throw(PlasticError("other shapes")))
        assert "checkpoint-0.h5 does not fit: other shapes" in refused("grid", f"--resume={folder}")
    assert content(folder) == before
    run("grid", f"--resume={folder}")
    assert (folder / "metrics.csv").read_bytes() == (run("grid")[0].folder / "metrics.csv").read_bytes()


@pytest.mark.parametrize("word", ["--steps=5", "--steps=10"])
def test_a_resume_that_is_refused_changes_nothing(word):
    found, _ = run("descent", "--steps=5", "--no_plot")
    (found.folder / "checkpoint.h5").write_bytes(b"rubbish")
    before = content(found.folder)
    assert "checkpoint.h5 is damaged" in refused("descent", f"--resume={found.folder}", word)
    assert content(found.folder) == before
    (found.folder / "checkpoint.h5").unlink()
    (found.folder / "metrics.csv").unlink()
    before = content(found.folder)
    assert "config.json says finished and that checkpoint.h5 was saved, but it is not there" in refused(
        "descent", f"--resume={found.folder}", word
    )
    assert content(found.folder) == before


def test_ctrl_c_before_a_resumed_run_goes_on_leaves_it_as_it_was(monkeypatch):
    found, _ = run("descent", "--steps=5")
    before = content(found.folder)
    monkeypatch.setattr(parameters, "assign", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        descent(resume=str(found.folder))
    assert content(found.folder) == before


def content(folder):
    """Return {name: bytes} of the files of a folder."""
    return {each.name: pathlib.Path(each.path).read_bytes() for each in os.scandir(folder) if each.name != ".lock"}


def edit(path, old, new):
    """Replace one place in a file."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def test_a_grid_is_extended_part_by_part():
    short, _ = run("grid", "--steps=5")
    run("grid", f"--resume={short.folder}", "--steps=10")
    long, _ = run("grid", "--steps=10")

    def ordered(folder):
        return sorted((row["rate"], int(row["step"]), row["seed"], row["side"], row["loss"]) for row in table(folder))

    assert ordered(short.folder) == ordered(long.folder)


def test_a_figure_that_cannot_be_drawn_spoils_nothing(capsys):
    BROKEN.append(ValueError("no \n ink"))
    with pytest.raises(Exception, match="ink"):
        curve([])
    folder = descent(steps=5)
    captured = capsys.readouterr()
    assert captured.err == (f"warning: not drawn: curve (ValueError: no ink); draw later by: figure {folder}\n")
    assert captured.out.endswith(f"run folder {folder}\n") and runs.Run(folder).config["status"] == "finished"
    assert refused("figure", str(folder)) == "error: curve cannot be drawn: ValueError: no ink\n"
    BROKEN[0] = PlasticError("the run is not finished")
    assert refused("figure", str(folder)) == "error: the run is not finished\n"
    BROKEN.clear()
    assert printed(COMMANDS, ["figure", str(folder)], "toy") == [str(folder / "curve.png")]
    assert (folder / "curve.png").exists()


def test_figures_of_several_runs(tmp_path):
    folders = [str(run("descent", "--steps=5", "--no_plot")[0].folder) for _ in range(2)]
    for kind, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        out = tmp_path / f"both.{kind}"
        assert printed(COMMANDS, ["figure", *folders, f"--out={out}"], "toy") == [str(out)]
        assert out.read_bytes().startswith(magic)
    assert "which exists" in refused("figure", *folders, f"--out={out}")
    assert "must end in" in refused("figure", *folders, "--out=both.txt")
    assert "out is not given" in refused("figure", *folders)
    assert "they must all be of one experiment" in refused("figure", folders[0], str(measure()))
    assert "has no figures" in refused("figure", str(measure()))
    assert len(set(plotting.labels([runs.Run(each) for each in folders * 2], ["loss"] * 4))) == 4


def test_ctrl_c_in_a_measurement_is_an_interrupted_run(monkeypatch):
    monkeypatch.setattr(runs.Run, "save_arrays", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        measure()
    (folder,) = os.scandir("results/toy")
    assert runs.Run(folder.path).config["status"] == "interrupted"


def test_a_run_of_ones_own_ends_as_its_block_does(tmp_path):
    with runs.Run.create(tmp_path, "mine", "try", {}) as own:
        own.log([{"step": 0}])
    assert runs.Run(own.folder).config["status"] == "finished"
    with pytest.raises(ZeroDivisionError), runs.Run.create(tmp_path, "mine", "try", {}) as own:
        1 / 0  # noqa: B018
    config = runs.Run(own.folder).config
    assert config["status"] == "failed" and config["details"]["error"].startswith("ZeroDivisionError")
    with pytest.raises(KeyboardInterrupt), runs.Run.create(tmp_path, "mine", "try", {}) as own:
        raise KeyboardInterrupt
    assert runs.Run(own.folder).config["status"] == "interrupted"


def test_options_that_all_share_cannot_be_a_body_s_own():
    with pytest.raises(TypeError, match="threads"):

        @experiment("toy")
        def greedy(run, *, threads: int = 1):
            """Take."""


def test_the_command_line_names_a_command_by_an_option_or_not_at_all():
    def served(*words):
        shown = subprocess_free(words)
        return runs.Run(shown[-1].removeprefix("run folder ")).experiment

    def subprocess_free(words):
        import contextlib
        import io

        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            cli.run(COMMANDS, list(words), prog="toy", default="descent", by="action", spellings={"greed": "grid"})
        return shown.getvalue().splitlines()

    assert served("--steps=5") == "descent" == served("descent", "--steps=5")
    assert served("--action", "grid", "--steps=5") == served("--steps=5", "-action=grid") == "grid"
    assert served("greed", "--steps=5") == served("--action=greed", "--steps=5") == "grid"  # as published
    help_ = "\n".join(subprocess_free(["--help"]))
    assert "--rate" in help_ and "toy grid" in help_


def test_a_published_value_is_ours_also_on_a_resume():
    found, shown = run("march", "--unit=metre")
    assert shown == ["m"] and found.options["unit"] == "m"
    assert run("march", "--unit=m")[0].folder.name == f"{found.folder.name}-2"
    assert run("march", f"--resume={found.folder}", "--unit=metre")[0].folder == found.folder
    assert "unit is 'km'" in refused("march", f"--resume={found.folder}", "--unit=km")


def test_options_of_records_are_explained_where_the_body_has_none_of_its_own():
    """In the order of the records."""
    lines = [line.strip() for line in march.__doc__.partition("Args:\n")[2].splitlines()]
    assert lines[:3] == ["unit: of length.", "width: units.", "depth: layers."]
    assert march.__doc__.startswith("March on.\n\nArgs:\n")
