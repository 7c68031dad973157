"""A few of the lines of tests/fuzz.py, drawn with a fixed seed: about a minute of them, over all commands."""

import os

import fuzz
import pytest


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return fuzz.Material(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGALRM"), reason="needs an alarm to stop a line")
@pytest.mark.parametrize("line", fuzz.all_lines(), ids=str)
def test_no_line_misbehaves(line, material, monkeypatch, tmp_path):
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path))
    monkeypatch.delenv("PLASTIC_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    for family, words in fuzz.lines(12, str(line), [line], material):
        fuzz.tried(family, words, seconds=4)
    os.chdir(tmp_path)
