"""What the tests of the families' commands share: running a line in this process, and reading what it leaves."""

import contextlib
import csv
import io
import json
import pathlib
import re

import numpy as np
import pytest
import strict

from plastic import cli, runs
from plastic.runs import surroundings


def clusters(folder, shape=(16,), samples=(300, 100), classes=10):
    """Make a data set of clusters, one for each class, as an .npz file; return its path."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(classes, *shape))
    arrays = {}
    for split, count in zip(("train", "test"), samples, strict=True):
        y = generator.permutation(np.arange(count) % classes)
        arrays |= {f"x_{split}": centres[y] + 0.4 * generator.normal(size=(count, *shape)), f"y_{split}": y}
    path = folder / "toy.npz"
    np.savez(path, **arrays)
    return path


def printed(commands, words, prog, **more):
    """Run a command line; return the lines that it printed. more: what else `cli.run` takes."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        cli.run(commands, words, prog=prog, **more)
    return shown.getvalue().splitlines()


def trained(commands, words, prog):
    """Run a command line that trains; return the folder of the run, and the other lines that were printed."""
    *others, folder = printed(commands, words, prog)
    assert folder.startswith("run folder ")
    return pathlib.Path(folder.removeprefix("run folder ")), others


def refused(commands, words, prog, code=2):
    """Run a command line that fails; return the one line of its error."""
    error, shown = error_of(commands, words, prog, code)
    assert "run folder" not in shown
    return error


def error_of(commands, words, prog, code=2, **more):
    """Run a command line that fails; return (the one line of its error, what it printed before). more: as above."""
    shown, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as caught:
        cli.run(commands, words, prog=prog, **more)
    assert caught.value.code == code
    assert re.fullmatch(r"error: [^\n]+\n" if code == 2 else r"[^\n]+\n", errors.getvalue()), errors.getvalue()
    return errors.getvalue(), shown.getvalue()


def ends_well_or_in_one_line(commands, words, prog, folders, **more):
    """Run any command line: it works, or it is refused in one line and leaves no run. Return what it printed.

    folders: a function that lists the run folders.
    """
    before = sorted(folders())
    shown, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors):
        try:
            cli.run(commands, words, prog=prog, **more)
            return shown.getvalue()
        except SystemExit as leave:
            assert leave.code == 2
    assert shown.getvalue() == ""
    assert re.fullmatch(r"error: [^\n]+\n", errors.getvalue())
    assert sorted(folders()) == before or "diverged" in errors.getvalue()
    return None


def on_backend(monkeypatch, name):
    """Let commands run on "numpy", "strict" or "cupy", whatever device they name; to be undone by the fixture."""
    backend = {"strict": (strict.backend, 0), "cupy": ("cupy", 0), "numpy": ("numpy", 0)}[name]
    monkeypatch.setattr(surroundings, "_parse_device", lambda device: backend)


def in_an_empty_folder(tmp_path, monkeypatch, request, figures):
    """Run there, with runs in ./results; draw figures only where the test asks for the fixture `figures_too`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLASTIC_RESULTS", raising=False)
    monkeypatch.delenv("PLASTIC_DEVICE", raising=False)
    if "figures_too" not in request.fixturenames:
        monkeypatch.setattr(figures, "draw", lambda folder: None)


def table(folder):
    """The rows of metrics.csv, as texts."""
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def column(rows, name, **where):
    """The numbers of a column, of the rows in which other columns have these values."""
    return [float(row[name]) for row in rows if all(row[key] == str(value) for key, value in where.items())]


def kept(folder):
    """What must be equal to the bit: metrics.csv, the arrays of the checkpoint, its counters."""
    arrays, counters = runs.Run(folder).read_checkpoint()
    assert not list(folder.glob(".*.part"))
    # as text, in which a NaN equals itself
    return (folder / "metrics.csv").read_bytes(), {p: a.tobytes() for p, a in arrays.items()}, json.dumps(counters)
