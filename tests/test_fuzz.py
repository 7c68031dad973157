"""A few of the lines of tests/fuzz.py, drawn with a fixed seed: about a minute of them, over all commands."""

import importlib
import os
import shutil
from pathlib import Path

import fuzz
import pytest

from plastic import data

NAMES = sorted(path.stem for path in (Path(__file__).parent / "commands").glob("*.py") if path.stem != "case")
LINES = [line for name in NAMES for line in importlib.import_module(f"commands.{name}").LINES]


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGALRM"), reason="needs an alarm to stop a line")
@pytest.mark.parametrize("line", LINES, ids=str)
def test_no_line_misbehaves(line, tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_DATASETS", str(data.default_folder()))
    monkeypatch.delenv("PLASTIC_RESULTS", raising=False)
    (tmp_path / "data").mkdir()
    made = line.data(tmp_path / "data") if line.data else None
    for number, (_, commands, words) in enumerate(fuzz.lines(12, str(line), [line], lambda make: made)):
        folder = tmp_path / f"work{number}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        fuzz.tried(commands, words, f"plastic.{line.family}", seconds=4)
        os.chdir(tmp_path)
        shutil.rmtree(folder)
