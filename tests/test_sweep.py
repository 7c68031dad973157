"""Sweeps: what the points are, that each is run once and exactly, and that nothing is lost where processes die."""

import contextlib
import csv
import dataclasses
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import types

import numpy as np
import pytest

from plastic import files, runs
from plastic.errors import PlasticError
from plastic.gait.experiments.train import train
from plastic.sweep import drive, engines, halving, plan, point, rehearsal, summary, together
from plastic.sweep.__main__ import main, split
from plastic.sweep.record import Sweep

LINE = ["gait", "--grid.seed=1,2", "--grid.algorithm=BP,GAIT", "--nb_layers=1", "--nb_epochs=2", "--batch_size=20"]


@pytest.fixture
def tiny(tmp_path):
    """Sixty images of three classes, so large that each seed is a run of its own."""
    return images(tmp_path / "tiny.npz", 11)


@pytest.fixture
def small(tmp_path):
    """Images so small that seeds are trained together."""
    return images(tmp_path / "small.npz", 4)


@pytest.fixture
def ten(tmp_path):
    """Images of ten classes, as the grids of pc want them."""
    return images(tmp_path / "ten.npz", 4, classes=10)


def images(path, side, classes=3):
    """Write a file of sixty images; return the option that names it."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % classes
    x = 0.3 * rng.random((80, side, side), dtype=np.float32)
    x.reshape(80, -1)[np.arange(80), labels] += 0.7
    np.savez(path, x_train=x[:60], y_train=labels[:60], x_test=x[60:], y_test=labels[60:])
    return f"--dataset={path}"


def swept(tmp_path, *words):
    """Run a line; return its folder, the content of sweep.json and the rows of summary.csv."""
    failed = False
    try:
        main([*words, f"--results={tmp_path / 'results'}"])
    except SystemExit as stop:
        failed = stop.code == 1
    folder, record, rows = found(tmp_path)
    assert failed == any(each["status"] == "failed" for each in record["points"])
    return folder, record, rows


def found(tmp_path):
    (folder,) = (tmp_path / "results" / "sweeps").iterdir()
    rows = list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))
    return folder, json.loads((folder / "sweep.json").read_text()), rows


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 2
    return capsys.readouterr().err


# what the points are


def points(*words, command=None):
    own, extra = split(list(words))
    assert own[1:] == []
    lists = {(part, name): plan.listed(text) for part, name, text in extra.parts if part != "random"}
    ranges = {name: plan.listed(text) for part, name, text in extra.parts if part == "random"}
    ranges = {name: values if len(values) > 1 else values[0] for name, values in ranges.items()}
    return plan.made(own[0], command, extra.words, lists, ranges, 20 if ranges else None)


def test_grids_are_multiplied_and_zipped_lists_go_side_by_side():
    made = points(
        "gait", "--grid.seed=1,2", "--zip.algorithm=BP,TP", "--zip.learning_rate=1e-4,1e-5", "--nb_epochs", "3"
    )
    assert made.fixed == {"nb_epochs": 3}
    assert made.points == [
        {"seed": seed, "algorithm": rule, "learning_rate": rate}
        for seed in (1, 2)
        for rule, rate in (("BP", 1e-4), ("TP", 1e-5))
    ]


def test_words_may_come_in_any_order_and_lists_have_blanks(tiny, capsys):
    line = ["--dataset=glyphs", "gle", "--grid.architecture=plastic_e2e, static_lagnet", "--nb_epochs=3", "lagline"]
    own, extra = split(line)
    assert own == ["gle", "lagline"] and extra.words == ["--dataset=glyphs", "--nb_epochs=3"]
    own, extra = split(["--nb_epochs", "3", "--grid.seed=1", "gait"])
    assert own == ["gait"] and extra.words == ["--nb_epochs", "3"]
    main(["gait", "--grid.algorithm=BP, GAIT", "--grid.seed=1 ,2", tiny, "--dry_run"])
    assert "4 points of gait train" in capsys.readouterr().out


def test_values_with_commas_are_separated_by_semicolons(tmp_path, capsys):
    main(["gait", "--grid.seeds=1,2;3,4", "--dry_run", f"--results={tmp_path}"])
    assert capsys.readouterr().out.splitlines()[-2:] == ["--seeds=1,2", "--seeds=3,4"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [10, 11])
def test_a_dry_run_shows_ten_points(capsys, count):
    main(["gle", "lagline", f"--grid.seed={','.join(map(str, range(count)))}", "--dry_run"])
    shown = [f"--seed={seed}" for seed in range(10)] + [".."] * (count > 10)
    assert capsys.readouterr().out.splitlines()[1:] == shown


@pytest.mark.parametrize("dataset", ["MNIST", "glyphs"])
def test_what_is_tried_fetches_and_makes_no_data(dataset, tmp_path, monkeypatch, capsys):
    """What can be refused without them is; and there are as many points as with them."""
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setattr("plastic.data.catalogue.fetch", lambda *given: pytest.fail("data are fetched"))
    line = ["gait", f"--dataset={dataset}", "--dry_run", f"--results={tmp_path / 'results'}"]
    main([*line, "--grid.nb_layers=2,3"])
    assert capsys.readouterr().out.splitlines()[-2:] == ["--nb_layers=2", "--nb_layers=3"]
    assert "nb_layers is 0" in refused(capsys, *line, "--grid.nb_layers=2,0")
    assert not list(tmp_path.iterdir())


def test_by_default_as_many_points_run_at_a_time_as_the_process_has_cores(tiny, tmp_path, monkeypatch, capsys):
    """Not as many as the machine has: a job on a cluster has a part of them."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # joblib's limit, which stands for that of a container
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    swept(tmp_path, "gait", "--grid.seed=1,2", "--nb_epochs=1", "--batch_size=20", tiny)
    assert "2 points, 1 at a time, in " in capsys.readouterr().out


def test_random_draws_lie_in_their_range_evenly_in_the_logarithm():
    made = points("gait", "--random.learning_rate=1e-6:1e-2:log", "--random.nb_layers=1:9", "--seed=1")
    rates = [each["learning_rate"] for each in made.points]
    layers = [each["nb_layers"] for each in made.points]
    assert len(rates) == 20 and min(rates) > 1e-6 and max(rates) < 1e-2
    assert 3 <= sum(rate < 1e-4 for rate in rates) <= 17  # half of them, four standard deviations at most from it
    assert all(isinstance(each, int) and 1 <= each <= 9 for each in layers) and len(set(layers)) > 3
    alone = points("gait", "--random.learning_rate=1e-6:1e-2:log")
    assert [each["learning_rate"] for each in alone.points] == rates  # whoever is drawn beside it


@pytest.mark.parametrize("scale", ["", ":log"])
def test_whole_numbers_are_drawn_with_their_shares(scale):
    """The ends as often as the others; in the logarithm, k with log(1 + 1 / k) / log(4)."""
    made = plan.made("gait", None, [], {("grid", "seed"): ["1"]}, {"nb_layers": f"1:3{scale}"}, 3000)
    assert sorted(point["nb_layers"] for point in made.points) == [1, 2, 3]  # equal ones count once

    drawn = []

    def read(option, text):
        drawn.append(text)
        return {option: int(text)}

    plan._drawn(read, {"n": f"1:3{scale}"}, 3000, 0)
    counts = [drawn[2:].count(text) for text in "123"]
    shares = [math.log(1 + 1 / k) / math.log(4) for k in (1, 2, 3)] if scale else [1 / 3] * 3
    assert sum(counts) == 3000
    assert all(abs(n - 3000 * p) < 5 * math.sqrt(3000 * p * (1 - p)) for n, p in zip(counts, shares, strict=True))


def test_a_sweep_of_many_points_is_refused_before_they_are_made():
    numbers = [str(k) for k in range(1, 102)]
    lists = {("grid", "seed"): numbers, ("zip", "batch_size"): numbers[:100], ("zip", "nb_epochs"): numbers[:100]}
    with pytest.raises(PlasticError, match=r"has 1,010,000 points; at most 100,000 are taken.*by random in the"):
        plan.made("gait", None, [], lists, {"learning_rate": "0.1:0.2"}, 100)


def test_some_of_a_grid_of_any_size_are_drawn_without_making_it(tmp_path):
    """Here of 4 x 10^8 combinations. Each value has its share, and the draws of an option do not depend on others."""
    hundred = ",".join(map(str, range(1, 101)))
    words = [f"--random.{name}={hundred}" for name in ("seed", "nb_epochs", "batch_size", "nb_layers")]
    drawn = points("gait", *words, "--random.algorithm=BP,GAIT,TP,BP").points
    assert len(drawn) == 20 and all(1 <= point["batch_size"] <= 100 for point in drawn)
    assert {point["algorithm"] for point in drawn} == {"BP", "GAIT", "TP"}
    many = plan.made("gait", None, [], {}, {"algorithm": ["BP", "TP"], "learning_rate": "1e-5:1e-3"}, 2000).points
    assert abs([point["algorithm"] for point in many].count("BP") - 1000) < 5 * math.sqrt(500)
    assert [point["seed"] for point in drawn] == [point["seed"] for point in points("gait", *words).points]
    path = tmp_path / "sweep.toml"
    path.write_text(
        'family = "gait"\n[random]\ndraws = 20\nalgorithm = ["BP", "GAIT", "TP", "BP"]\n'
        + "".join(f"{name} = [{hundred}]\n" for name in ("seed", "nb_epochs", "batch_size", "nb_layers"))
    )
    key = sorted(drawn[0])
    assert [[p[name] for name in key] for p in plan.of_file(path).points] == [[p[name] for name in key] for p in drawn]


def test_a_file_says_the_same_as_a_line(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(
        textwrap.dedent(
            """
            family = "gait"
            [options]
            nb_epochs = 3
            tower = true
            [grid]
            seed = [1, 2]
            [zip]
            algorithm = ["BP", "TP"]
            learning_rate = [1e-4, 1e-5]
            [random]
            draws = 20
            nb-layers = "1:9"
            """
        )
    )
    words = ["--grid.seed=1,2", "--zip.algorithm=BP,TP", "--zip.learning_rate=1e-4,1e-5", "--random.nb_layers=1:9"]
    assert plan.of_file(path) == points("gait", *words, "--nb_epochs=3", "--tower")


@pytest.mark.parametrize("path", sorted(pathlib.Path(__file__).parents[1].glob("examples/sweeps/*.toml")), ids=str)
def test_the_published_sweeps(path):
    made = plan.of_file(path)
    assert made.family == path.stem and 5 <= len(made.points) <= 15


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gait"], "nothing varies"),
        (["gate", "--grid.seed=1"], "'gate' is no family"),
        (["pc", "--grid.seeds=1"], "a sweep of pc names its command: "),
        (["pc", "figure", "--grid.seeds=1"], "'figure' is no experiment of pc"),
        (["gait", "--grid.sed=1"], "did you mean --seed?"),
        (["gait", "--grid.seed=1,x"], "--seed takes an integer, not 'x'"),
        (["gait", "--grid.seed=1", "--nb_epochs=x"], "--nb_epochs takes an integer"),
        (["gait", "--grid.seed=1", "--nb_epoch=3"], "did you mean --nb_epochs?"),
        (["gait", "--grid.seed"], "--grid.seed lacks its values"),
        (["gait", "--grid.seed="], "--grid.seed lacks its values"),
        (["gait", "--grid.seed=1,1"], "two points of this sweep are equal: --seed=1"),
        (["ep", "--grid.training_method=EP,eqprop"], "two points of this sweep are equal: --training_method=eqprop"),
        (["gait", "--random.nb_layers=1:2.5"], "--nb_layers takes an integer, not '2.5'"),
        (["gait", "--grid.seed=1,2", "--seed=3"], "seed is fixed and varied"),
        (["gait", "--grid.seed=1,2", "--zip.seed=3"], "seed is given twice"),
        (["gait", "--grid.seed=1,2", "--seeds=3,4"], "seed varies, but seeds takes its place; give one of them"),
        (["gait", "--grid.seed=1,2", "--grid.seeds=3;none"], "seed varies, but seeds takes its place"),
        (["gait", "--zip.seed=1,2", "--zip.algorithm=BP"], "seed has 2, algorithm has 1"),
        (["gait", "--grid.results=a,b"], "results is no option of a point"),
        (["gait", "--grid.seed=1", "--resume=a"], "resume is no option of a point"),
        (["gait", "--grid.device=cpu,gpu"], "device is no option that varies"),
        (["gait", "--random.learning_rate=1:0"], "must be LOW:HIGH, LOW below HIGH"),
        (["gait", "--random.learning_rate=0:1:log"], "with LOW above 0"),
        (["gait", "--random.learning_rate=1"], "must be LOW:HIGH"),
        (["gait", "--random.learning_rate=1e-3:1e-2", "--draws=0"], "draws is 0"),
        (["gait", "--grid.seed=1", "--jobs=0"], "jobs is 0"),
        (["gait", "--grid.seed=1", "--halve=3"], "halve and by go together"),
        (["gait", "--grid.seed=1", "--halve=1", "--by=test_accuracy"], "halve is 1"),
        (["gait", "--grid.seed=1", "--halve=2", "--by=cosign"], "write +cosign where larger is better"),
        (["gait", "--grid.seed=1", "--draws=3"], "nothing is drawn at random"),
        (["gait", "--grid.seed=1", "--draw_seed=0"], "nothing is drawn at random"),
        (["gait", "--grid.seed=1", "--address=10.0.0.1"], "address is 10.0.0.1; loky runs on this machine only"),
        (["gait", "--grid.seed=1,2", "--device=7"], "GPU"),
        (["gait", "--grid.seed=1,2", "--halve=3", "--by=-loss"], "halve is 3, which stops none of 2 points early"),
        (["gait", "--grid.seed=1,2", "--halve=2", "--by=-loss", "--nb_epochs=1"], "where nb_epochs is 1; leave it out"),
        (["gait.toml", "--draws=3"], "put what the line adds into gait.toml"),
        (["gait.TOML"], "cannot read gait.TOML"),
        (["gait", "--grid.seed=1", "--engine=slurm"], "--engine takes loky | ray | dask"),
        (["gait", "--grid.seed=1", "--name=a/b"], "name is 'a/b'"),
        (["gait.toml"], "cannot read gait.toml"),
        ([], "WHAT is missing"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    said = refused(capsys, *words)
    assert message in said and len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("family = ", "is not TOML"),
        ("command = 'train'", "family and command must be names"),
        ("family = 'gait'\ncommand = 3\n[grid]\nseed = [1]", "family and command must be names"),
        ("family = 'gait'\n[random]\ndraws = 3\n[grid]\nseed = [1]", "nothing is drawn at random"),
        ("family = 'gait'\nseeds = [1]", "'seeds' is unknown"),
        ("family = 'gait'\ngrid = 3", "tables"),
        ("family = 'gait'\n[grid]\nseed = 1", "grid.seed is 1; it must be a list of one value or more"),
        ("family = 'gait'\n[grid]\nseed = [1.5]", "--seed takes an integer, not '1.5'"),
        ("family = 'gait'\n[random]\ndraws = true\nnb_layers = '1:2'", "draws is True"),
        ("family = 'gait'\n[random]\nseed = -1\nnb_layers = '1:2'", "seed of the draws is -1"),
        ('family = "gait"\n[random]\nseed = []', "a list of random is empty"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(tmp_path, text, message):
    (tmp_path / "sweep.toml").write_text(text)
    with pytest.raises(PlasticError) as error:
        plan.of_file(tmp_path / "sweep.toml")
    assert message in str(error.value)


# running them


def test_each_point_is_the_run_that_its_command_makes(tmp_path, tiny, capsys):
    folder, record, rows = swept(tmp_path, *LINE, tiny, "--jobs=2")
    assert [each["status"] for each in record["points"]] == ["finished"] * 4
    assert [each["options"] for each in record["points"]][1] == {"seed": 1, "algorithm": "GAIT"}
    for each in record["points"]:
        options = {"nb_layers": 1, "nb_epochs": 2, "batch_size": 20, "dataset": tiny.partition("=")[2], "plot": False}
        alone = train(**options, **each["options"], results=str(tmp_path / "alone"))
        assert (folder / each["folder"] / "metrics.csv").read_bytes() == (alone / "metrics.csv").read_bytes()
    assert [(row["algorithm"], row["n"]) for row in rows] == [("BP", "2"), ("GAIT", "2")]
    assert "4 points: 4 finished" in capsys.readouterr().out
    values = [runs.Run(folder / record["points"][k]["folder"]).metrics()["test_mse"][-1] for k in (0, 2)]
    assert float(rows[0]["test_mse_mean"]) == pytest.approx(np.mean(values))
    assert float(rows[0]["test_mse_sd"]) == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2))
    assert min(values) <= float(rows[0]["test_mse_low"]) <= float(rows[0]["test_mse_high"]) <= max(values)


def test_what_is_measured_once_after_training_is_in_the_summary(tmp_path, tiny, ten):
    """Of each point and each replica; in a grid, of each part and rate."""
    folder, record, (row,) = swept(tmp_path, "gait", "--grid.seed=1,2", "--tower", "--widths=5,3", "--nb_epochs=2",
                                   "--batch_size=10", "--validation=0.2", tiny)  # fmt: skip
    arrays = [run.arrays() for run in map(runs.Run, (folder / point["folder"] for point in record["points"]))]
    for name in ("best_epoch", "test_accuracy", "test_mse"):
        values = [float(each[name][0]) for each in arrays]
        np.testing.assert_allclose(
            [float(row[f"{name}_{of}"]) for of in ("mean", "sd")], [np.mean(values), np.std(values, ddof=1)]
        )
    shutil.rmtree(folder)
    folder, record, rows = swept(tmp_path, "pc", "smalldata", "--grid.T=2,4", "--seeds=1,2", "--rates=0.1,0.2", ten,
                                 "--rules=bp,pc", "--epochs=1", "--validation=0.2", "--per_class=2")  # fmt: skip
    assert len(rows) == 8 and {row["n"] for row in rows} == {"2"}
    for row in rows:
        (point,) = (each for each in record["points"] if str(each["options"]["T"]) == row["T"])
        run = runs.Run(folder / point["folder"])
        number = run.config["parts"].index({"rule": row["rule"], "per_class": 2})
        errors = run.arrays()[f"{number}/test_error"].reshape(2, 2)[:, (0.1, 0.2).index(float(row["rate"]))]
        np.testing.assert_allclose(float(row["test_error_mean"]), errors.mean())


def test_the_newest_run_of_a_point_is_the_one_begun_last(tmp_path):
    """Whatever was drawn into the folder of another one since."""
    begun = []
    for second, name in enumerate("cab"):
        with runs.Run.create(tmp_path, "gait", name, {}) as run:
            run.config["started"] = f"2026-01-01T00:00:0{second}+00:00"
        begun.append(run.folder)
    for age, folder in enumerate(begun):
        os.utime(folder, (1000 - age, 1000 - age))
    assert [run.folder for run in point.runs_of(tmp_path)] == begun


def test_what_is_finished_is_not_run_again(tmp_path, tiny, monkeypatch):
    folder, _, _ = swept(tmp_path, *LINE, tiny, "--jobs=2")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("points/**/*")}
    monkeypatch.setitem(engines.ENGINES, "loky", None)  # nobody is asked
    swept(tmp_path, *LINE, tiny)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("points/**/*")} == before


def here(jobs, workers, address):
    """An engine that runs jobs in this process, one after the other."""
    for batch in jobs:
        yield batch, together.run(batch)


@pytest.fixture
def at_home(monkeypatch):
    monkeypatch.setitem(engines.ENGINES, "loky", here)


def test_of_many_points_that_failed_some_are_listed(tmp_path):
    made = plan.made("gait", None, [], {("grid", "seed"): [str(k) for k in range(50)]}, {})
    sweep = Sweep(made, tmp_path)
    for index in range(50):
        sweep.note(point.Outcome(index, "finished" if index % 2 else "failed", error=f"why {index}"))
    first, *listed, last, how = drive.told(sweep)
    assert how == "the same line with --retry runs them again"
    assert first == "50 points: 25 finished, 25 failed" and listed[-1] == "  failed: --seed=38: why 38"
    assert len(listed) == 20 and last == f"  and 5 more, with their errors in {sweep.folder / 'sweep.json'}"
    sweep.close()


def test_a_record_that_takes_long_to_write_is_written_seldom(tmp_path, monkeypatch):
    """Here a second, which is to be a twentieth of the time at most."""
    made = plan.made("gait", None, [], {("grid", "seed"): [str(k) for k in range(100)]}, {})
    sweep, clock, written = Sweep(made, tmp_path), [1000.0], []
    write_json = files.write_json

    def slow(path, content):
        clock[0] += 1
        written.append(clock[0])
        write_json(path, content)

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(files, "write_json", slow)
    sweep.write()
    for index in range(100):
        clock[0] += 1
        sweep.note(point.Outcome(index, "finished"))
    assert np.diff(written).tolist() == [22] * 4  # twenty seconds, the point that comes after them, and the writing
    monkeypatch.undo()
    sweep.write()
    assert json.loads((sweep.folder / "sweep.json").read_text())["points"][99]["status"] == "finished"
    sweep.close()


def test_failed_points_are_listed_and_retried_on_request(tmp_path, tiny, at_home, capsys):
    line = ["gait", "--grid.learning_rate=1e-3,1e30", "--nb_layers=1", "--nb_epochs=1", "--batch_size=20", tiny]
    line += ["--algorithm=BP"]
    folder, record, rows = swept(tmp_path, *line)
    said = capsys.readouterr().out
    assert [each["status"] for each in record["points"]] == ["finished", "diverged"]
    assert "2 points: 1 finished, 1 diverged" in said and "diverged: --learning_rate=1e+30: " in said
    assert [(row["learning_rate"], row["n"]) for row in rows] == [("0.001", "1"), ("1e+30", "0")]
    times = [each["seconds"] for each in record["points"]]
    _, again, _ = swept(tmp_path, *line)
    assert [each["seconds"] for each in again["points"]] == times
    _, again, _ = swept(tmp_path, *line, "--retry")
    assert [each["seconds"] > before for each, before in zip(again["points"], times, strict=True)] == [False, True]
    assert len(list((folder / "points" / "0001" / "gait").iterdir())) == 2  # beside the one that failed


IMPOSSIBLE = ["--grid.validation=0,0.6", "--grid.batch_size=20,30"]
"""With these, there are 24 training samples for a batch of 30."""


def test_a_combination_that_an_experiment_refuses_is_told_at_once_and_fails_alone(tmp_path, tiny, at_home, capsys):
    _, record, _ = swept(tmp_path, "gait", *IMPOSSIBLE, "--nb_epochs=1", "--algorithm=BP", tiny)
    assert [each["status"] for each in record["points"]] == ["finished"] * 3 + ["failed"]
    said = capsys.readouterr()
    assert "failed: --validation=0.6 --batch_size=30: PlasticError: batch_size is 30" in said.out
    assert "warning: 1 of 4 points will fail; --validation=0.6 --batch_size=30: batch_size is 30" in said.err


@pytest.mark.parametrize(("seconds", "told"), [(60, True), (-1, False)])
def test_combinations_are_tried_for_some_time(tmp_path, tiny, monkeypatch, capsys, seconds, told):
    monkeypatch.setattr(rehearsal, "_SECONDS", seconds)
    main(["gait", "--grid.seed=1,2,3", *IMPOSSIBLE, tiny, "--dry_run", f"--results={tmp_path / 'r'}"])
    assert ("warning: 3 of 12 points will fail; --seed=1 --validation=0.6" in capsys.readouterr().err) == told
    line = ["ep", "--grid.training_method=BPTT,EP", "--grid.cep=true,false", "--dataset=glyphs", "--size_tab=10,4,784"]
    main([*line, "--dry_run", f"--results={tmp_path / 'r'}"])
    known = "warning: 1 of 4 points will fail; --training_method=BPTT --cep=True: "  # it was tried for its values
    assert known in capsys.readouterr().err


def test_combinations_are_tried_in_an_order_at_random_one_of_all_seeds():
    made = points("gait", "--grid.seed=3,1", "--grid.learning_rate=1e-3,1e-4,1e-5,1e-6", "--grid.algorithm=BP,TP")
    tried = rehearsal.combinations(made)
    assert tried == rehearsal.combinations(made) != sorted(tried)
    assert sorted(tried) == [[k, k + 8] for k in range(8)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid.batch_size=20,0,10"], "--batch_size=0: batch_size is 0; it must be at least 1"),
        (["--grid.batch_size=20,61,10"], "--batch_size=61: batch_size is 61, but the training set has 60 samples"),
        (["--grid.seed=1,-2,3"], "--seed=-2: seeds are [-2]; they must be different whole numbers"),
        (["--random.learning_rate=-1:-0.5", "--draws=3"], "it must be above 0"),
        (["--grid.seed=1,2", "--widths=9,3"], "--seed=1: widths are those of a tower: add --tower"),
        (["--grid.dataset=glyphs,none.npz"], "--dataset=none.npz: the data file none.npz does not exist"),
        (["--grid.load=true,false"], "--load=True: load has no value"),
    ],
)
def test_a_value_that_an_experiment_refuses_is_told_before_any_work(tmp_path, tiny, capsys, words, message):
    more = [tiny] if "dataset" not in words[0] else ["--nb_layers=1"]
    for dry in ([], ["--dry_run"]):
        said = refused(capsys, "gait", *words, *more, *dry, f"--results={tmp_path / 'r'}")
        assert message in said and len(said.splitlines()) == 1 and said.startswith("error: ")
    assert not (tmp_path / "r").exists()


def test_the_points_that_are_tried():
    made = points("gait", "--grid.seed=3,1,2,4", "--grid.algorithm=BP,TP,GAIT")
    first = [made.points[some[0]] for some in rehearsal.tried(made)]
    assert [point["seed"] for point in first] == [3, 1, 4][1:] + [3, 3, 3]
    assert [point["algorithm"] for point in first] == ["BP", "BP", "BP", "TP", "GAIT"]
    made = points("gait", "--grid.tower=true,false", "--grid.eval_every=none,5,7,9")
    assert [some[0] for some in rehearsal.tried(made)] == [0, 4, 0, 1, 3]  # true is no number


def test_a_combination_is_not_taken_for_a_value(tmp_path, capsys):
    """Neither BPTT nor cep is impossible, though the first point, and no other, is."""
    line = ["ep", "--grid.training_method=BPTT,EP", "--grid.cep=true,false", "--dataset=glyphs", "--size_tab=10,4,784"]
    main([*line, "--dry_run", f"--results={tmp_path}"])
    assert "4 points of ep train" in capsys.readouterr().out
    assert "cep takes mse" in refused(capsys, *line, "--loss=cel", f"--results={tmp_path}")


def test_a_sweep_that_goes_on_is_not_tried_again(tmp_path, tiny, at_home, monkeypatch):
    swept(tmp_path, *LINE, tiny)
    monkeypatch.setattr(rehearsal, "require_possible", None)
    swept(tmp_path, *LINE, tiny)


def test_a_killed_point_goes_on_from_its_checkpoint(tmp_path, tiny, at_home, monkeypatch):
    line = ["gait", "--grid.seed=1,2", "--nb_layers=1", "--nb_epochs=3", "--batch_size=20", "--algorithm=BP", tiny]
    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "status", lambda run, text, **details: None)  # as killed at the end
        folder, record, _ = swept(tmp_path, *line)
    for path in folder.glob("points/*/gait/*/config.json"):
        assert json.loads(path.read_text())["status"] == "running"
    (folder / "sweep.json").unlink()  # of which the last second is lost where the driver is killed
    _, record, rows = swept(tmp_path, *line)
    assert [each["status"] for each in record["points"]] == ["finished"] * 2 and rows[0]["n"] == "2"
    for path in folder.glob("points/*/gait/*/config.json"):
        content = json.loads(path.read_text())
        assert content["status"] == "finished" and len(content["resumed"]) == 1


def test_a_point_whose_worker_outlived_its_driver_is_waited_for(tmp_path, tiny, monkeypatch):
    options = {"nb_layers": 1, "nb_epochs": 1, "batch_size": 20, "algorithm": "BP", "plot": False, "seed": 1}
    job = point.Job(0, "gait", "train", options | {"dataset": tiny.partition("=")[2]}, str(tmp_path / "place"))
    (tmp_path / "place").mkdir()
    script = (
        "import filelock, pathlib, sys, time\n"
        "lock = filelock.FileLock(sys.argv[1])\n"
        "lock.acquire()\n"
        "print('held', flush=True)\n"
        "time.sleep(1)\n"
        "pathlib.Path(sys.argv[2]).touch()\n"
    )
    gone, begun, seen = tmp_path / "gone", point.begun, []
    monkeypatch.setattr(point, "begun", lambda *given: seen.append(gone.exists()) or begun(*given))
    words = [sys.executable, "-c", script, str(tmp_path / "place" / ".lock"), str(gone)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        outcome = point.run(job)
    assert seen == [True]
    assert outcome.status == "finished"


def test_two_processes_do_not_run_one_sweep(tmp_path, tiny, capsys):
    made = points(*LINE)
    first = Sweep(made, tmp_path)
    with pytest.raises(PlasticError, match="in use"):
        Sweep(made, tmp_path)
    first.close()
    Sweep(made, tmp_path).close()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"family": "ep"},
        {"points": []},
        {"points": 3},
        {"rungs": None},
        {"batches": [[0]]},
        {"batches": [[0, 1], [2, 3]]},
    ],
)
def test_a_record_of_something_else_is_refused(tmp_path, change):
    sweep = Sweep(points(*LINE), tmp_path)
    sweep.close()
    from plastic import files

    path = sweep.folder / "sweep.json"
    said = {name: value for name, value in files.read_json(path).items() if name != "checksum"}
    files.write_json(path, said | change)
    with pytest.raises(PlasticError, match="sweep"):
        Sweep(points(*LINE), tmp_path)


def test_a_point_whose_workers_die_again_and_again_is_given_up(tmp_path, tiny, monkeypatch, capsys):
    sent = []

    def deadly(jobs, workers, address):
        for (job,) in jobs:
            sent.append(job.index)
            pathlib.Path(job.place).mkdir(parents=True, exist_ok=True)
            yield (job,), "its worker died" if job.index == 1 else [point.run(job)]

    monkeypatch.setitem(engines.ENGINES, "loky", deadly)
    _, record, _ = swept(tmp_path, *LINE, tiny)
    assert [each["status"] for each in record["points"]] == ["finished", "failed", "finished", "finished"]
    assert record["points"][1]["error"] == "its worker died (3 times)" and sent.count(1) == 3


def test_a_point_that_is_interrupted_alone_is_sent_again(tmp_path, tiny, monkeypatch):
    """A worker may get a signal that the driver does not get."""
    sent = []

    def signalled(jobs, workers, address):
        for (job,) in jobs:
            sent.append(job.index)
            first = sent.count(job.index) == 1 and job.index == 2
            yield (job,), [point.Outcome(job.index, "interrupted", error="interrupted") if first else point.run(job)]

    monkeypatch.setitem(engines.ENGINES, "loky", signalled)
    _, record, _ = swept(tmp_path, *LINE, tiny)
    assert sent == [0, 1, 2, 3, 2] and [each["status"] for each in record["points"]] == ["finished"] * 4


@pytest.mark.parametrize(("package", "connects"), [("ray", "init"), ("distributed", "Client")])
def test_an_address_at_which_no_cluster_answers_is_told(monkeypatch, package, connects):
    def connect(*arguments, **options):
        raise OSError("timed out\nand more")

    monkeypatch.setitem(sys.modules, package, types.SimpleNamespace(**{connects: connect}))
    run = {"ray": engines.on_ray, "distributed": engines.on_dask}[package]
    with pytest.raises(PlasticError, match=r"address is 10\.0\.0\.1:1; no cluster answers there: timed out$"):
        list(run([], 1, "10.0.0.1:1"))


def test_ray_leaves_sigterm_as_it_is(monkeypatch):
    def init(**options):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    ray = types.SimpleNamespace(init=init, remote=lambda **options: lambda function: None, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)

    def mine(number, frame):
        pass

    before = signal.signal(signal.SIGTERM, mine)
    try:
        assert list(engines.on_ray([], 1)) == [] and signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


# processes that die, on real engines


@pytest.fixture(params=["loky", "ray", "dask"])
def engine(request):
    if request.param != "loky":
        pytest.importorskip("ray" if request.param == "ray" else "distributed")
    return request.param


def many(tmp_path, tiny, engine):
    seeds = ",".join(map(str, range(1, 9)))
    line = [
        "gait",
        f"--grid.seed={seeds}",
        "--algorithm=BP",
        "--nb_layers=1",
        "--nb_epochs=40",
        "--batch_size=20",
        tiny,
    ]
    return [
        sys.executable,
        "-m",
        "plastic.sweep",
        *line,
        f"--engine={engine}",
        "--jobs=2",
        f"--results={tmp_path / 'results'}",
    ]


def wait_for(count, pattern, tmp_path, below="points/*/gait"):
    end = time.monotonic() + 600
    while len(list((tmp_path / "results").glob(f"sweeps/*/{below}/*/{pattern}"))) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def workers_of(tmp_path):
    """The processes that hold a log.txt of a sweep open."""
    holders = []
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                held = [os.readlink(f"/proc/{each}/fd/{fd}") for fd in os.listdir(f"/proc/{each}/fd")]
            except OSError:
                continue
            if any(name.startswith(str(tmp_path)) and name.endswith("log.txt") for name in held):
                holders.append(int(each))
    return holders


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks for workers in /proc")
def test_no_point_is_lost_or_run_twice_where_a_worker_and_the_driver_die(tmp_path, tiny, engine):
    line = many(tmp_path, tiny, engine)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    driver = subprocess.Popen(line, **quiet)
    try:
        wait_for(1, "checkpoint.h5", tmp_path)
        for pid in workers_of(tmp_path)[:1]:
            os.kill(pid, signal.SIGKILL)
        wait_for(4, "checkpoint.h5", tmp_path)
    finally:
        driver.kill()
        driver.wait()
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    folder, record, rows = found(tmp_path)
    assert [each["status"] for each in record["points"]] == ["finished"] * 8 and rows[0]["n"] == "8"
    alone = train(
        dataset=tiny.partition("=")[2],
        algorithm="BP",
        nb_layers=1,
        nb_epochs=40,
        batch_size=20,
        seed=1,
        plot=False,
        results=str(tmp_path / "alone"),
    )
    for index, each in enumerate(record["points"]):
        assert len(list((folder / "points" / f"{index:04}").glob("gait/*/config.json"))) == 1  # one run each
        table = runs.Run(folder / each["folder"]).metrics()
        assert table["epoch"] == list(range(41))
    assert (folder / record["points"][0]["folder"] / "metrics.csv").read_bytes() == (alone / "metrics.csv").read_bytes()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="a terminal sends Ctrl-C to a group of processes")
@pytest.mark.parametrize("times", [1, 2, 4])
def test_ctrl_c_says_that_the_line_goes_on(tmp_path, tiny, times):
    """As a terminal sends it, to the workers, too; those who press it again wait for nobody."""
    line = many(tmp_path, tiny, "loky")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen(line, **pipes, start_new_session=True)
    wait_for(1, "checkpoint.h5", tmp_path)
    for _ in range(times):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGINT)
        time.sleep(0.1)
    _, said = driver.communicate(timeout=600)
    assert driver.returncode == 130 and "interrupted" in said
    assert "Traceback" not in said and (times > 2 or "; the same line goes on where it was" in said)


# seeds that are trained together

EXACT = ("--dtype=float64", "--batch_size=7")
SMALL = {
    "gait": ("gait", "--nb_epochs=2", "--algorithm=GAIT", "--shuffle", "--orthogonal_reg=0.1", *EXACT),
    "gait, validated": ("gait", "--nb_epochs=2", "--algorithm=DFA", "--validation=0.2", *EXACT),
    "gait, rates": ("gait", "--nb_epochs=2", "--shuffle", "--grid.learning_rate=1e-3,1e-2", *EXACT),
    "ep": ("ep", "--epochs=2", "--size_tab=4,8,16", "--T=9", "--Kmax=3", "--nudging=random-sign", *EXACT),
    "ep, validated": ("ep", "--epochs=2", "--size_tab=4,8,16", "--T=9", "--Kmax=3", "--validation=0.2", *EXACT),
    "mnist1d": ("gle", "mnist1d", "--max_epochs=2", "--num_samples=20", "--classes=0,1", "--validation=0.2", *EXACT),
    "lagline": ("gle", "lagline", "--t_init=5", "--t_train=20", "--batch_size=3"),
    "lagline, rates": ("gle", "lagline", "--t_init=5", "--t_train=20", "--grid.learning_rate=1e-6,1e-5"),
    "lagnet": ("gle", "lagnet", "--t=30", "--start_learning_step=1000"),
    "pattern": ("eprop", "pattern", "--n_iter=30", "--seq_len=200", "--n_in=8", "--n_rec=8", "--dtype=float64"),
}
SMALL["pattern, rates"] = (*SMALL["pattern"], "--grid.learning_rate=1e-4,1e-5")


def batched(*words):
    """A sweep of one of these commands, over three seeds."""
    return [*words, "--grid.seed=3,1,2", "--jobs=1"]


def like_alone(folder, record, tmp_path):
    """Require that each point is the run that its command makes."""
    family, name = record["family"], record["command"]
    for each in record["points"]:
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in record["fixed"].items()}
        options |= each["options"] | {"plot": False, "results": str(tmp_path / "alone")}
        alone = runs.Run(plan.command_of(family, name)[1](**options))
        one = runs.Run(folder / each["folder"])
        assert one.config["status"] == "finished" and one.folder.name == alone.folder.name
        assert one.config["identity"] == alone.config["identity"]
        assert {**one.options, "results": None} == {**alone.options, "results": None}
        tables, files = (one.metrics(), alone.metrics()), (one.arrays(), alone.arrays())
        assert one.config.get("parts") == alone.config.get("parts")
        parts = [list(each.parts(each.config["parts"])) if "parts" in each.config else [each] for each in (one, alone)]
        checkpoints = [[each.read_checkpoint() for each in pair] for pair in zip(*parts, strict=True)]
        for found, wanted in (tables, files, *([arrays for arrays, _ in pair] for pair in checkpoints)):
            assert list(found) == list(wanted)
            for key, value in found.items():
                assert np.shape(value) == np.shape(wanted[key])
                if key in ("method", "rule"):
                    assert value == wanted[key]
                    continue
                exact = record["fixed"].get("dtype") == "float64"
                how = {"rtol": 1e-8, "atol": 1e-10} if exact else {"rtol": 1e-3, "atol": 1e-5}
                np.testing.assert_allclose(value, wanted[key], **how, err_msg=key)
        for (_, found), (_, wanted) in checkpoints:
            assert {**found, "metrics": 0} == {**wanted, "metrics": 0}
            assert {name: np.shape(value) for name, value in found["metrics"].items()} == {
                name: np.shape(value) for name, value in wanted["metrics"].items()
            }


@pytest.mark.parametrize("words", SMALL.values(), ids=SMALL)
def test_a_seed_among_others_is_the_run_that_it_would_be_alone(tmp_path, small, at_home, monkeypatch, words):
    trained = []
    begun = point.begun
    monkeypatch.setattr(point, "begun", lambda job, *rest: trained.append(job.options) or begun(job, *rest))
    own = [small] if words[0] in ("gait", "ep") else []
    folder, record, rows = swept(tmp_path, *batched(*words), *own)
    seeds = (3, 1, 2) * (len(record["points"]) // 3)  # of each rate
    assert record["batches"] == [list(range(len(seeds)))]
    assert trained[0]["seeds"] == seeds and "seed" not in trained[0]
    like_alone(folder, record, tmp_path)
    assert {row["n"] for row in rows} == {"3"} and not list((folder / "together").iterdir())
    for each in record["points"]:
        assert runs.Run(folder / each["folder"]).config["beside"] == list(seeds)


def test_a_rate_that_diverges_runs_alone(tmp_path, small, at_home):
    line = ["gait", "--nb_epochs=2", "--grid.learning_rate=1e-3,1e30", "--batch_size=20", small]
    line += ["--grid.seed=1,2", "--jobs=1"]
    folder, record, rows = swept(tmp_path, *line)
    assert [each["status"] for each in record["points"]] == ["finished"] * 2 + ["diverged"] * 2
    beside = ["beside" in runs.Run(folder / each["folder"]).config for each in record["points"]]
    assert beside == [True, True, False, False] and [row["n"] for row in rows] == ["2", "0"]
    record["points"] = record["points"][:2]
    like_alone(folder, record, tmp_path)


def test_which_points_are_trained_together():
    lagline = points("gle", "--grid.model=gle,bp", "--grid.seed=1,2,3", command="lagline")
    assert together.batches(lagline, workers=1) == [[0, 1, 2], [3, 4, 5]]
    assert together.batches(lagline, workers=2) == [[0, 1, 2], [3, 4, 5]]
    assert together.batches(lagline, workers=4) == [[0, 1], [2], [3, 4], [5]]  # all workers have work
    assert together.batches(lagline, workers=8) == [[k] for k in range(6)]
    assert together.batches(points("gle", "--grid.model=gle,bp", command="lagline"), workers=1) == [[0], [1]]
    rates = points("gle", "--grid.learning_rate=1e-6,1e-5,1e-4", command="lagline")
    assert together.batches(rates, workers=1) == [[0, 1, 2]] and together.batches(rates, workers=2) == [[0, 1], [2]]
    several = points("gle", "--grid.learning_rate=1e-6,1e-5", "--seeds=1,2", command="lagline")
    assert together.batches(several, workers=1) == [[0], [1]]


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["gait", "--dataset=MNIST"], False),
        (["gait", "--dataset=MNIST", "--tower", "--widths=64,32,10"], True),
        (["gait", "--dataset=MNIST", "--tower", "--widths=500,32,10"], False),
        (["gait", "--dataset=MNIST", "--tower"], False),
        (["gait", "--dataset=YinYang"], True),
        (["gait", "--dataset=YinYang", "--load=a_run"], False),
        (["gait", "SMALL"], True),
        (["gait", "LARGE"], False),
        (["ep", "--size_tab=10,128,784"], True),
        (["ep", "--size_tab=10,128,784", "--benchmark"], False),
        (["ep", "--size_tab=10,128,784", "--batch_size=100"], False),
        (["ep"], False),
        (["ep", "--batch_size=5", "--device_label=-1"], True),
        (["ep", "--toymodel"], True),
        (["ep", "--C_tab=8,1", "--training_method=eqprop"], False),
        (["gle", "mnist1d"], False),
        (["gle", "mnist1d", "--batch_size=10"], True),
        (["gle", "mnist1d", "--architecture=static_lagnet"], True),
        (["eprop", "evidence"], False),
        (["gle", "lagline", "--seeds=none"], True),
    ],
)
def test_products_decide_whether_seeds_are_trained_together(tmp_path, words, whole):
    """Many calls of small products are faster for all seeds at once; large products are not."""
    files = {"SMALL": images(tmp_path / "small.npz", 10), "LARGE": images(tmp_path / "large.npz", 11)}
    line = [files.get(word, word) for word in words]
    command = line.pop(1) if line[1:] and not line[1].startswith("-") else None
    made = points(*line, "--grid.seed=1,2", command=command)
    assert together.batches(made, workers=1) == ([[0, 1]] if whole else [[0], [1]])


@pytest.mark.parametrize("name", ["gait, rates", "ep", "mnist1d", "lagline"])
def test_a_worker_that_dies_among_seeds_loses_no_point(tmp_path, small, at_home, monkeypatch, name):
    """While it trains, and while it makes the runs of the seeds."""
    line = batched(*SMALL[name]) + [small] * (SMALL[name][0] in ("gait", "ep"))

    class Killed(BaseException):
        pass

    def stop():
        raise Killed

    def once(function):
        calls = []
        return lambda *words: stop() if calls else calls.append(function(*words))

    def dying(jobs, workers, address):
        for batch in jobs:
            with monkeypatch.context() as patch, pytest.raises(Killed):
                patch.setattr(together, "apart", ways.pop())
                if ways:
                    patch.setattr(runs.Run, "status", lambda run, text, **details: None)  # as killed at the end
                together.run(batch)
            yield batch, "its worker died"
            if not ways:
                monkeypatch.setitem(engines.ENGINES, "loky", here)

    ways = [once(together.apart), lambda *_: stop()]
    monkeypatch.setitem(engines.ENGINES, "loky", dying)
    folder, record, _ = swept(tmp_path, *line)
    assert not ways and len(list(folder.glob("points/*/*/*/config.json"))) == len(record["points"])
    like_alone(folder, record, tmp_path)


def test_where_a_batch_dies_again_and_again_its_points_run_alone(tmp_path, monkeypatch):
    sent = []

    def deadly(jobs, workers, address):
        for batch in jobs:
            sent.append([job.index for job in batch])
            pathlib.Path(batch[0].place).mkdir(parents=True, exist_ok=True)
            yield batch, "its worker died" if len(batch) > 1 else together.run(batch)

    monkeypatch.setitem(engines.ENGINES, "loky", deadly)
    _, record, _ = swept(tmp_path, *batched(*SMALL["lagline"]))
    assert sent == [[0, 1, 2]] * 3 + [[0], [1], [2]]
    assert [each["status"] for each in record["points"]] == ["finished"] * 3


def test_what_cannot_be_trained_together_runs_alone(tmp_path, small, at_home, capsys):
    """Here all seeds diverge, and a combination of options is refused."""
    _, record, _ = swept(tmp_path, *batched(*SMALL["pattern"]), "--learning_rate=1e30")
    assert [each["status"] for each in record["points"]] == ["diverged"] * 3
    line = ["gait", *IMPOSSIBLE, "--nb_epochs=1", "--algorithm=BP", small, "--grid.seed=1,2", "--jobs=1"]
    with pytest.raises(SystemExit):
        main([*line, "--name=refused", f"--results={tmp_path / 'results'}"])
    out = capsys.readouterr().out
    assert "8 points: 6 finished, 2 failed" in out and out.count("PlasticError: batch_size is 30") == 2


def test_a_seed_that_diverges_says_so_itself(tmp_path, at_home, monkeypatch):
    """Here the second of three, as a run says that notes so."""
    read = runs.Run.read_checkpoint

    def of_the_second(run):
        arrays, counters = read(run)
        return arrays, counters | ({"diverged": {1: 1}} if len(run.seeds) == 3 else {})

    monkeypatch.setattr(runs.Run, "read_checkpoint", of_the_second)
    folder, record, _ = swept(tmp_path, *batched(*SMALL["lagline"]))
    beside = ["beside" in runs.Run(folder / each["folder"]).config for each in record["points"]]
    assert beside == [True, False, True]


def test_seeds_that_are_trained_together_are_halved_as_others(tmp_path, at_home):
    line = [*batched(*SMALL["pattern"]), "--halve=3", "--by=loss"]
    folder, record, _ = swept(tmp_path, *line)
    assert sorted(each["status"] for each in record["points"]) == ["finished", "stopped", "stopped"]
    (kept,) = record["rungs"][0]["points"]
    assert runs.Run(folder / record["points"][kept]["folder"]).metrics()["step"][-1] == 30


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks for workers in /proc")
def test_no_seed_is_lost_or_run_twice_where_a_worker_and_the_driver_die(tmp_path, engine):
    words = ["gle", "lagline", "--t_init=5", "--t_train=300", "--batch_size=3", "--grid.seed=1,2,3,4"]
    line = [sys.executable, "-m", "plastic.sweep", *words, f"--engine={engine}", "--jobs=2"]
    line.append(f"--results={tmp_path / 'results'}")
    driver = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(1, "checkpoint.h5", tmp_path, "together/*/gle")
        for pid in workers_of(tmp_path)[:1]:
            os.kill(pid, signal.SIGKILL)
        wait_for(2, "checkpoint.h5", tmp_path, "*/*/gle")
    finally:
        driver.kill()
        driver.wait()
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    folder, record, _ = found(tmp_path)
    assert record["batches"] == [[0, 1], [2, 3]] and len(list(folder.glob("points/*/gle/*/config.json"))) == 4
    like_alone(folder, record, tmp_path)


GRIDS = {
    "seeds": ("online", "--grid.seeds=3;1;2", "--batch_sizes=1,8", "--batches=6"),
    "seeds and rates": ("online", "--grid.seeds=3;1;2", "--grid.rates=0.1;0.2", "--batch_sizes=4", "--batches=6"),
    "rates of several seeds": ("online", "--grid.rates=0.1,0.2;0.3,0.1", "--batch_sizes=4", "--batches=6"),
    "lists that overlap": ("online", "--grid.seeds=1,2;2,3", "--batch_sizes=1", "--batches=6"),
    "draws of their own": ("smalldata", "--grid.seeds=3;1;2", "--rates=0.1,0.2", "--per_class=2,3"),
    "validated": ("smalldata", "--grid.seeds=3;1;2", "--rates=0.1", "--per_class=4", "--validation=0.2"),
}


@pytest.mark.parametrize("words", GRIDS.values(), ids=GRIDS)
def test_a_grid_among_others_is_the_run_that_it_would_be_alone(tmp_path, ten, at_home, monkeypatch, words):
    trained = []
    begun = point.begun
    monkeypatch.setattr(point, "begun", lambda job, *rest: trained.append(job.options) or begun(job, *rest))
    folder, record, _ = swept(tmp_path, "pc", *words, "--epochs=2", "--T=8", "--dtype=float64", "--jobs=1", ten)
    count = len(record["points"])
    assert record["batches"] == [list(range(count))] and len(trained) == 1 + count
    like_alone(folder, record, tmp_path)
    assert all(runs.Run(folder / each["folder"]).config["beside"] for each in record["points"])


def test_a_grid_of_which_a_rate_diverges_runs_alone(tmp_path, ten, at_home):
    line = ["pc", "online", "--grid.rates=0.1,0.2;0.1,1e30;0.2,0.3", "--batch_sizes=4", "--batches=6", "--epochs=2"]
    folder, record, _ = swept(tmp_path, *line, "--T=8", "--seeds=1,2", "--jobs=1", "--dtype=float64", ten)
    beside = ["beside" in runs.Run(folder / each["folder"]).config for each in record["points"]]
    assert beside == [True, False, True]
    like_alone(folder, record, tmp_path)


def test_grids_of_other_sizes_are_not_trained_together():
    """Lists of one length are; so are no points that leave their seeds to the experiment."""
    made = points("pc", "--grid.seeds=1", "--grid.rates=0.1", command="online")
    made.points[:] = [{"seeds": s, "rates": r} for s, r in (((1,), (0.1,)), ((1, 2), (0.1,)), ((2,), (0.1, 0.2)))]
    assert together.batches(made, 1) == [[0], [1], [2]]
    made.points[:] = [{"seeds": (1,), "rates": None}, {"seeds": (2,), "rates": (0.1,)}, {"seeds": (3,), "rates": None}]
    assert together.batches(made, 1) == [[0, 2], [1]]


# successive halving


def test_the_lengths_of_the_rungs():
    assert halving.lengths(27, 9, 3) == [3, 9, 27]
    assert halving.lengths(10, 8, 2) == [2, 3, 5, 10]
    assert halving.lengths(2, 100, 2) == [1, 2]
    assert halving.lengths(5, 1, 3) == [5]


def test_larger_or_smaller_is_better():
    assert halving.direction("test_accuracy") == ("test_accuracy", 1)
    assert halving.direction("test_error") == ("test_error", -1)
    assert halving.direction("-cosine_1") == ("cosine_1", -1)
    assert halving.direction("+x") == ("x", 1)


def test_the_best_are_kept_and_run_to_the_end(tmp_path, tiny, at_home, monkeypatch):
    rates = "1e-9,3e-3,1e-8,1e30"
    line = ["gait", f"--grid.learning_rate={rates}", "--nb_layers=1", "--nb_epochs=8", "--batch_size=20", tiny]
    line += ["--algorithm=BP", "--halve=2", "--by=-test_mse"]
    folder, record, rows = swept(tmp_path, *line)
    assert [each["status"] for each in record["points"]] == ["stopped", "finished", "stopped", "diverged"]
    assert [row["n"] for row in rows] == ["1", "1", "1", "0"]
    assert sorted(row["nb_epochs"] for row in rows[:3]) == ["2", "4", "8"] and rows[1]["nb_epochs"] == "8"
    assert [rung["length"] for rung in record["rungs"]] == [4, 8]
    assert record["rungs"][-1]["points"] == [1]
    epochs = [
        runs.Run(folder / each["folder"]).metrics()["epoch"][-1]
        for each in record["points"]
        if each["status"] != "diverged"
    ]
    assert sorted(epochs) == [2, 4, 8] and epochs[1] == 8
    alone = train(
        dataset=tiny.partition("=")[2],
        algorithm="BP",
        nb_layers=1,
        nb_epochs=8,
        batch_size=20,
        learning_rate=3e-3,
        plot=False,
        results=str(tmp_path / "alone"),
    )
    best = runs.Run(folder / record["points"][1]["folder"]).metrics()
    assert best["test_mse"] == runs.Run(alone).metrics()["test_mse"]  # extended, it is the run of the full length
    before = (folder / "sweep.json").read_bytes()
    monkeypatch.setitem(engines.ENGINES, "loky", None)  # nobody is asked
    swept(tmp_path, *line)
    assert json.loads((folder / "sweep.json").read_text())["rungs"] == json.loads(before)["rungs"]
    assert len(list(folder.glob("points/*/gait/*"))) == 4
    shutil.rmtree(folder / "points" / "0001")  # what has gone is run again
    monkeypatch.setitem(engines.ENGINES, "loky", here)
    _, record, again = swept(tmp_path, *line)
    assert again == rows and runs.Run(folder / record["points"][1]["folder"]).options["nb_epochs"] == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gle", "lagline", "--grid.seed=1,2"], "cannot be extended, so halving cannot stop it early"),
        (["gait", "--grid.nb_epochs=1,2"], "it cannot vary, too"),
    ],
)
def test_what_halving_cannot_do(tmp_path, capsys, words, message):
    assert message in refused(capsys, *words, "--halve=2", "--by=-loss", f"--results={tmp_path / 'r'}")
    assert not list(tmp_path.iterdir())  # before any work


def test_a_halved_sweep_is_another_one(tmp_path, tiny, at_home):
    """Its points are stopped early, those of the whole sweep are not; neither takes the other's for its own."""
    line = ["gait", "--grid.learning_rate=1e-9,3e-3", "--nb_layers=1", "--nb_epochs=2", "--batch_size=20", tiny]
    line += ["--algorithm=BP", f"--results={tmp_path / 'results'}"]
    main([*line, "--halve=2", "--by=-test_mse"])
    main(line)
    folders = list((tmp_path / "results" / "sweeps").iterdir())
    statuses = [[each["status"] for each in json.loads((f / "sweep.json").read_text())["points"]] for f in folders]
    assert sorted(statuses) == [["finished", "finished"], ["stopped", "finished"]]


def test_a_metric_that_is_not_there(tmp_path, tiny, at_home, capsys):
    line = ["gait", "--grid.seed=1,2", "--nb_layers=1", "--nb_epochs=2", "--batch_size=20", "--algorithm=BP", tiny]
    said = refused(capsys, *line, "--halve=2", "--by=test_error", f"--results={tmp_path / 'r'}")
    assert "by is 'test_error', which metrics.csv does not have; it has " in said and "test_accuracy" in said
    assert len(list((tmp_path / "r").glob("sweeps/*/points/*"))) == 1  # the others are not worth running


class FakeRun(runs.Run):
    """A run that has ended with a value of a metric, for each of its seeds."""

    def __init__(self, *values):
        self.values, self.config, self.options = values, {}, {}

    def metrics(self):
        seeds = range(len(self.values))
        return {"step": [9 for _ in seeds], "replica": [*seeds], "loss": [*self.values]}


@pytest.mark.parametrize("sign", [1, -1])
def test_who_survives_a_rung(sign):
    """By hand: ties go to the point that comes first, what has diverged or is no number never survives."""
    values = [0.3, 0.1, None, 0.2, math.nan, 0.1, math.inf, 0.2, -math.inf, 0.25]
    runs_ = {k: None if value is None else FakeRun(value) for k, value in enumerate(values)}
    order = [1, 5, 3, 7, 9, 0] if sign < 0 else [0, 9, 3, 7, 1, 5]
    for keep in range(1, 11):
        assert halving.best(runs_, "-loss" if sign < 0 else "+loss", keep) == order[:keep]
    of_seeds = {0: FakeRun(0.1, 0.4), 1: FakeRun(0.2, 0.2), 2: FakeRun(0.0, math.nan)}
    assert halving.best(of_seeds, "loss", 2) == [1, 0]
    assert halving.best({0: None, 1: FakeRun(math.nan)}, "loss", 1) == []


def test_halving_by_hand(tmp_path, monkeypatch):
    """Twenty-seven points whose ranks change from rung to rung: 27 of length 1, 9 of 3, 3 of 9, 1 of 27."""
    score = {1: lambda k: (7 * k) % 27, 3: lambda k: -((5 * k) % 27), 9: lambda k: k, 27: lambda k: k}
    alive, expected = list(range(27)), []
    for length, keep in ((1, 9), (3, 3), (9, 1)):
        alive = sorted(alive, key=lambda k: -score[length](k))[:keep]
        expected.append(set(alive))
    made = plan.made("gait", None, ["--nb_epochs=27"], {("grid", "seed"): [str(k) for k in range(27)]}, {})
    sweep, sent, ran = Sweep(dataclasses.replace(made, halving=(3, "+loss")), tmp_path), [], {}

    def engine(jobs, workers, address):
        for batch in jobs:
            for job in batch:
                ran[job.index] = job.extend["nb_epochs"]
            sent.append(([job.index for job in batch], batch[0].extend["nb_epochs"]))
            yield batch, [point.Outcome(job.index, "finished") for job in batch]

    def run_of(self, index):
        run = FakeRun(score[ran[index]](index))
        run.options = {"nb_epochs": ran[index]}
        return run

    monkeypatch.setitem(engines.ENGINES, "loky", engine)
    monkeypatch.setattr(Sweep, "run_of", run_of)
    drive.by_halving(sweep, "loky", 2, None, False)
    assert [set(rung["points"]) for rung in sweep.rungs] == expected
    assert [sum(len(p) for p, length in sent if length == each) for each in (1, 3, 9, 27)] == [27, 9, 3, 1]
    (best,) = expected[-1]
    assert [k for k, each in enumerate(sweep.points) if each["status"] == "finished"] == [best]
    assert sweep.counts() == {"finished": 1, "stopped": 26}
    sweep.close()


# the summary of grids


def test_parts_of_a_grid_and_rates_are_rows_of_their_own():
    class Fake(runs.Run):
        config = {"parts": [{"rule": "pc"}, {"rule": "bp"}]}  # noqa: RUF012
        options = {"rates": [0.1, 0.2], "seeds": [1]}  # noqa: RUF012

        def __init__(self):
            """Read nothing."""

        def metrics(self):
            rows = [
                {"step": step, "epoch": step, "replica": 0, "seed": 1, "rule": rule, "rate": rate, "e": step + rate}
                for rule in ("pc", "bp")
                for step in (0, 5)
                for rate in (0.1, 0.2)
            ]
            return {name: [row[name] for row in rows] for name in rows[0]}

    assert summary.last(Fake()) == [
        ({"rule": rule, "rate": rate}, {"replica": 0, "seed": 1}, {"e": 5 + rate})
        for rule in ("pc", "bp")
        for rate in (0.1, 0.2)
    ]


def test_replicas_that_diverged_do_not_count():
    """They have rows up to then; one seed of a point, or all of a combination, may be left."""

    class Fake(runs.Run):
        config = {"details": {"diverged": {"1": 5}}}  # noqa: RUF012
        options = {"seeds": [1, 2]}  # noqa: RUF012

        def __init__(self):
            """Read nothing."""

        def metrics(self):
            return {"step": [0, 0, 5], "replica": [0, 1, 0], "seed": [1, 2, 1], "loss": [4.0, 4.0, 3.0]}

    assert summary.last(Fake()) == [({}, {"replica": 0, "seed": 1}, {"loss": 3.0})]


def test_what_metrics_say_in_words_is_a_row_of_its_own(tmp_path, small, at_home):
    line = ["ep", "--benchmark", "--epochs=1", "--size_tab=3,4,16", "--T=5", "--Kmax=2", small, "--grid.seed=1,2"]
    folder, record, rows = swept(tmp_path, *line)
    assert [(row["method"], row["n"]) for row in rows] == [("BPTT", "2"), ("EP", "2")]
    tables = [runs.Run(folder / each["folder"]).metrics() for each in record["points"]]
    for number, row in enumerate(rows):
        ends = [table["train_loss"][-2 + number] for table in tables]
        assert float(row["train_loss_mean"]) == pytest.approx(np.mean(ends))


def test_a_table_without_steps_has_all_its_rows_in_the_summary(tmp_path, at_home):
    folder, record, rows = swept(tmp_path, "gle", "neuron", "--grid.tau_m=1,2")
    table = runs.Run(folder / record["points"][0]["folder"]).metrics()
    mine = [row for row in rows if row["tau_m"] == "1.0"]
    assert len(mine) == len(table["omega"]) > 1 and [row["row"] for row in mine[:2]] == ["1", "2"]
    for name in ("omega", "gain"):
        assert [float(row[f"{name}_mean"]) for row in mine] == pytest.approx(table[name])


def test_gpus_are_shared_one_a_worker(tmp_path):
    job = point.Job(0, "gait", "train", {}, str(tmp_path), gpus=(str(tmp_path), 2))
    with point._gpu(job) as first, point._gpu(job) as second:
        assert (first, second) == ("0", "1")
    with point._gpu(job) as again:
        assert again == "0"
