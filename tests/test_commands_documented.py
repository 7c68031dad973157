"""Every command that the papers' code and the README document: each parses as it stands, and runs at a tiny size."""

import inspect
import pathlib
import re
import shlex

import numpy as np
import pytest

from plastic import cli, runs
from plastic.data import commands
from plastic.gait import experiment, figures

PUBLISHED = """
plastic.gait --algorithm=BP --learning_rate=0.0001 --nb_layers=4 --nb_epochs=100
plastic.gait --algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 --nb_layers=4 --nb_epochs=100
plastic.gait --algorithm=TP --learning_rate=0.00001 --orthogonal_init --orthogonal_reg=1000.0 --nb_layers=4 --nb_epochs=100
plastic.gait --algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 --nb_layers=4 --nb_epochs=100 --tower
plastic.gait --algorithm=TP --linear --learning_rate=0.00001 --orthogonal_init --orthogonal_reg=1000.0 --nb_layers=4 --nb_epochs=100
""".strip().splitlines()  # noqa: E501  as they are typed

README = pathlib.Path(__file__).parents[1] / "README.md"

PROGRAMS = {
    "plastic.gait": experiment.train,
    "plastic.data": {"list": commands.list_sets, "get": commands.get, "show": commands.show},
}

PLACEHOLDERS = {"FOLDER": "folder", "NAME": "glyphs", "FILE": "file.npz", "FILE.npz": "file.npz", "N": "1"}


def documented(text):
    """Return the commands in the fenced code blocks of a page: ["plastic.gait --seed=1", ...]."""
    found = []
    for block in re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            words = shell_words(line) if "-m plastic." in line else []
            for start, word in enumerate(words):
                if word == "-m" and start + 1 < len(words) and words[start + 1].startswith("plastic."):
                    end = next((i for i in range(start, len(words)) if re.fullmatch(r"[&|;<>]+", words[i])), len(words))
                    found.append(shlex.join(words[start + 1 : end]))
    return found


def shell_words(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    return list(lexer)


def parsed(line):
    """Parse a command against the signature of its function; return the function and the values."""
    program, *words = [_filled(word) for word in shlex.split(line)]
    function = PROGRAMS[program]
    if isinstance(function, dict):
        function, words = function[words[0]], words[1:]
    return function, cli.parse(function, words)


def _filled(word):
    name, equals, value = word.rpartition("=")
    return name + equals + PLACEHOLDERS.get(value, value)


def run_tiny(line, dataset):
    """Run a `plastic.gait` line for one epoch on a tiny data set; return the folder of the run."""
    _, values = parsed(line)
    for name in ("results", "resume", "load", "device", "threads"):
        values.pop(name, None)
    values |= {"dataset": str(dataset), "nb_epochs": 1, "batch_size": 20}
    if values.get("tower"):
        values["widths"] = (16, 12, 10)
    words = [f"--{name}={shown(value)}" for name, value in values.items()]
    cli.run(experiment.train, words, prog="plastic.gait")
    return values


def shown(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The path of a data set of random images; runs go to a folder beside it, without figures."""
    monkeypatch.setenv("PLASTIC_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("PLASTIC_DEVICE", raising=False)
    monkeypatch.setattr(figures, "draw", lambda folder: None)
    generator = np.random.default_rng(0)
    path = tmp_path / "toy.npz"
    sets = {name: generator.random((40, 4, 4)) for name in ("x_train", "x_test")}
    np.savez(path, **sets, y_train=np.arange(40) % 10, y_test=np.arange(40) % 10)
    return path


def the_one_run(toy):
    (folder,) = (toy.parent / "results/gait").iterdir()
    return runs.Run(folder)


@pytest.mark.parametrize("line", PUBLISHED)
def test_a_published_command_parses_as_it_stands(line):
    function, values = parsed(line)
    assert function is experiment.train
    written = dict(re.findall(r"--(\w+)(?:=(\S+))?", line))
    assert values.keys() == written.keys()
    for name, text in written.items():
        assert values[name] == (True if text == "" else type(values[name])(text))
    assert values["nb_layers"] == 4 and values["nb_epochs"] == 100


@pytest.mark.parametrize("line", PUBLISHED)
def test_a_published_command_runs(line, toy):
    values = run_tiny(line, toy)
    run = the_one_run(toy)
    assert run.config["status"] == "finished"
    for name, value in values.items():
        assert run.options[name] == (list(value) if isinstance(value, tuple) else value)
    for name in run.options.keys() & inspect.signature(experiment.train).parameters.keys() - values.keys():
        default = inspect.signature(experiment.train).parameters[name].default
        assert run.options[name] == default


def test_commands_are_found_in_a_page():
    page = """
`python -m plastic.gait --in=prose`
```sh
python -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m plastic.gait --seed=1  # a remark
$ PLASTIC_DEVICE=gpu python -m plastic.gait \\
    --tower --widths "10 5" > log.txt
python -m pytest; python -m plastic.data show NAME
```
    python -m plastic.gait --not=fenced
```python
from plastic import gait
```
"""
    assert documented(page) == [
        "plastic.gait --seed=1",
        "plastic.gait --tower --widths '10 5'",
        "plastic.data show NAME",
    ]


def readme_commands():
    return documented(README.read_text(encoding="utf-8")) if README.exists() else []


def test_the_readme_shows_commands():
    if not README.exists():
        pytest.skip("there is no README.md")
    assert any(line.startswith("plastic.gait ") for line in readme_commands())


@pytest.mark.parametrize("line", dict.fromkeys(readme_commands()))
def test_a_command_of_the_readme_is_right(line, toy):
    assert line.split()[0] in PROGRAMS, f"this test knows no program {line.split()[0]}"
    if {"--help", "-h"} & set(shlex.split(line)):
        return
    function, _ = parsed(line)
    if function is experiment.train:
        run_tiny(line, toy)
        assert the_one_run(toy).config["status"] == "finished"
