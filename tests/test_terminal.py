"""What is said to the user spoils nothing that is done: terminals closed, full or unable to show a name; signals."""

import json
import os
import signal
import subprocess
import sys
import time
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
        ["sh", "-c", line], env=environment(**variables), capture_output=True, timeout=120, check=False
    )
    (config,) = Path().glob("*/gait/*/config.json")
    return done.returncode, done.stdout, done.stderr, json.loads(config.read_text())["status"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "> /dev/full", "2> /dev/full", "> /dev/full 2>&1"])
def test_a_terminal_that_is_closed_or_full(redirection):
    code, _, errors, status = run(redirection)
    assert (code, errors, status) == (0, b"", "finished")


def test_a_reader_that_goes_away():
    line = SHELL.format(python=sys.executable, more="| true").replace("exec ", "")
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, timeout=120, check=False)
    assert done.stderr == b""
    (config,) = Path().glob("*/gait/*/config.json")
    assert json.loads(config.read_text())["status"] == "finished"


def test_names_that_a_terminal_or_a_figure_cannot_show():
    code, shown, errors, status = run(r"--results='é$_$' --name='$\frac$'", PYTHONIOENCODING="ascii")
    assert (code, errors, status) == (0, b"", "finished") and rb"run folder \xe9$_$/gait/" in shown
    assert len(list(Path().glob("*/gait/*/*.png"))) == 3


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
    assert errors.startswith(b"warning: not drawn: learning_curves, cosines, singular_values (")
    Path("matplotlibrc").unlink(missing_ok=True)
    folder = shown.splitlines()[-1].decode().removeprefix("run folder ")
    assert f"python -m plastic.gait figure {folder}" in errors.decode()


def test_what_is_not_printable_is_written_as_an_escape(capsys):
    terminal.say("a\x1b[31m\udc80\nb é")
    terminal.warn("c\r\nd")
    assert capsys.readouterr() == ("a\\x1b[31m\\udc80\\nb é\n", "c\\r\\nd\n")
    assert plotting.plain("$x_1$\x1b\n") == "\\$x_1\\$\\x1b\\n"


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.0, 0.15, 0.4])
def test_a_signal_at_any_moment_is_told_in_one_line(which, delay):
    """From the claiming of the folder on; in training the run is interrupted, afterwards it is finished."""
    line = SHELL.format(python=sys.executable, more="--nb_epochs=4000").replace("--nb_epochs=1 ", "")
    process = subprocess.Popen(["sh", "-c", line], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not list(Path().glob("results/gait/*/config.json")):
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(which)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and shown == b""
    assert len(errors.splitlines()) == 1
    folders = list(Path().glob("results/gait/*"))
    if not folders:  # the signal came between config.json and the rest of a new folder, which is taken back whole
        assert errors == b"interrupted; nothing was written\n"
        return
    (folder,) = folders
    assert f"--resume={folder}".encode() in errors
    assert json.loads((folder / "config.json").read_text())["status"] == "interrupted"


def test_a_signal_in_a_finaliser_is_told_in_one_line():
    """Python cannot raise there; training hears of the signal all the same."""
    script = (
        "import os, signal\n"
        "from plastic import cli\n"
        "from plastic.gait.__main__ import COMMANDS\n"
        "from plastic.runs import folder\n"
        "class Finalised:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)\n"
        "begin = folder.Run.begin\n"
        "folder.Run.begin = lambda run, *given, **named: (begin(run, *given, **named), Finalised())[0]\n"
        "cli.run(COMMANDS, ['train', '--dataset=toy.npz', '--nb_epochs=4000'], prog='plastic.gait')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    (config,) = Path().glob("results/gait/*/config.json")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines() == [f"interrupted at step 1; go on with --resume={config.parent}"]


def test_a_signal_before_the_work_leaves_nothing():
    script = (
        "import os, signal\n"
        "from plastic import classifier, cli\n"
        "from plastic.gait.__main__ import COMMANDS\n"
        "classifier.load = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli.run(COMMANDS, ['train', '--dataset=toy.npz'], prog='plastic.gait')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted; nothing was written\n")
    assert not Path("results").exists()


def test_a_signal_while_figures_are_drawn_leaves_a_finished_run():
    script = (
        "import os, signal\n"
        "from plastic import cli, plotting\n"
        "from plastic.gait.__main__ import COMMANDS\n"
        "plotting.save = lambda *_: os.kill(os.getpid(), signal.SIGHUP)\n"
        "cli.run(COMMANDS, ['train', '--dataset=toy.npz', '--nb_epochs=1', '--batch_size=100'], prog='plastic.gait')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted while drawing; the run is finished and saved: results/gait/train-BP-")
    (config,) = Path().glob("results/gait/*/config.json")
    assert json.loads(config.read_text())["status"] == "finished"
