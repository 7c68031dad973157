"""What is said to the user spoils nothing that is done: terminals closed, full or unable to show a name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_lines import clusters

import plastic
from plastic import plotting, terminal

ROOT = Path(plastic.__file__).parents[1]
SHELL = "exec {python} -m plastic.gait --dataset=toy.npz --nb_epochs=1 --batch_size=100 {more}"


def environment(**more):
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clusters(tmp_path)


def run(more="", **variables):
    """Run a line in a shell; return (exit code, stdout, stderr) and the status of its run."""
    line = SHELL.format(python=sys.executable, more=more)
    done = subprocess.run(
        ["sh", "-c", line], env=environment(**variables), capture_output=True, timeout=600, check=False
    )
    (config,) = Path().glob("*/gait/*/config.json")
    return done.returncode, done.stdout, done.stderr, json.loads(config.read_text())["status"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "2> /dev/full", "> /dev/full 2>&1"])
def test_a_terminal_that_is_closed_or_full(redirection):
    code, _, errors, status = run(redirection)
    assert (code, errors, status) == (0, b"", "finished")


def test_a_reader_that_goes_away():
    line = SHELL.format(python=sys.executable, more="| true").replace("exec ", "")
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, timeout=600, check=False)
    assert done.stderr == b""
    (config,) = Path().glob("*/gait/*/config.json")
    assert json.loads(config.read_text())["status"] == "finished"


def test_names_that_a_terminal_or_a_figure_cannot_show():
    code, shown, errors, status = run(r"--results='é$_$' --name='$\frac$'", PYTHONIOENCODING="ascii")
    assert (code, errors, status) == (0, b"", "finished") and rb"run folder \xe9$_$/gait/" in shown
    assert len(list(Path().glob("*/gait/*/*.png"))) == 4


def test_a_folder_whose_name_is_no_text_of_one_line():
    code, shown, errors, status = run('--results="$(printf "r\\377\\ns")"')
    assert (code, errors, status) == (0, b"", "finished") and rb"run folder r\udcff\ns/gait/" in shown


@pytest.mark.parametrize("how", ["backend", "tex"])
def test_figures_that_cannot_be_drawn_are_one_warning(how):
    variables = {"MPLBACKEND": "nonsense"} if how == "backend" else {"PATH": os.path.dirname(sys.executable)}
    if how == "tex":
        Path("matplotlibrc").write_text("text.usetex: True\n")
        variables["PATH"] += ":/bin" if os.path.exists("/bin/sh") and not os.path.exists("/bin/latex") else ""
    code, shown, errors, status = run("", **variables)
    assert (code, status) == (0, "finished") and b"test accuracy" in shown
    assert len(errors.splitlines()) == 1
    assert errors.startswith(b"warning: not drawn: learning_curves, confusion, cosines, singular_values (")
    Path("matplotlibrc").unlink(missing_ok=True)
    folder = shown.splitlines()[-1].decode().removeprefix("run folder ")
    assert f"python -m plastic.gait figure {folder}" in errors.decode()


def test_what_is_not_printable_is_written_as_an_escape(capsys):
    terminal.say("a\x1b[31m\udc80\nb é")
    terminal.warn("c\r\nd")
    assert capsys.readouterr() == ("a\\x1b[31m\\udc80\\nb é\n", "c\\r\\nd\n")
    assert plotting.plain("$x_1$\x1b\n") == "\\$x_1\\$\\x1b\\n"
