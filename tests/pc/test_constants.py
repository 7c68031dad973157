"""Constants of inference at the command line: each changes what a command finds, or is refused."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from command_lines import printed
from commands.pc import LINES

from plastic import runs
from plastic.pc.__main__ import COMMANDS


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def found(line, words):
    """Run a command at its tiny size, with 14 steps of inference; return all arrays that it leaves as one."""
    path = line.data and line.data(Path.cwd())
    own = [word.format(data=path) for word in line.words if not word.startswith("--T=")]
    *_, last = printed(COMMANDS, [line.command, *own, "--T=14", "--no_plot", *words], "plastic.pc")
    run = runs.Run(last.removeprefix("run folder "))
    parts = list(run.parts(run.config["parts"])) if line.part else [run]
    every = [part.read_checkpoint()[0] for part in parts] if line.trains else [run.arrays()]
    return np.concatenate([np.ravel(array).astype(float) for arrays in every for array in arrays.values()])


@pytest.mark.parametrize("words", ["--gamma=0.3", "--tolerance=9", "--solver=errors", "--solver=anderson"])
@pytest.mark.parametrize(
    "line", [line for line in LINES if "solver" in inspect.signature(COMMANDS[line.command]).parameters], ids=str
)
def test_no_constant_of_inference_is_taken_and_ignored(line, words, capsys):
    before = found(line, [])
    try:
        after = found(line, [words])
    except SystemExit:  # `cnn` has no solver but the steps
        assert words.removeprefix("--").partition("=")[0] in capsys.readouterr().err
    else:
        assert not np.array_equal(before, after, equal_nan=True)
