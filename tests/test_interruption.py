"""A signal at any moment of a command is one line: what was saved and how to go on.

A process is sent a signal as it calls some function; tests/kills.py has more of it, at random moments.
"""

import importlib
import io
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import plastic
from plastic import cli, interruption, runs, startup

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LINES = {str(line): line for name in plastic.FAMILIES for line in importlib.import_module(f"commands.{name}").LINES}
SEND = """
import os, sys

def watch(frame, event, _):
    if event == "call" and f"{frame.f_code.co_filename}:{frame.f_code.co_name}".endswith(os.environ["SIGNAL_AT"]):
        sys.setprofile(None)
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.setprofile(watch)
"""


def with_signals(name, cases):
    """Parametrise by a name, each of its cases with one of the signals in turn."""
    return pytest.mark.parametrize((name, "which"), list(zip(cases, itertools.cycle(SIGNALS), strict=False)))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


@with_signals(
    "at",
    [
        *((name, "plastic/errors.py:<module>") for name in plastic.FAMILIES),
        ("gait", "numpy/__init__.py:<module>"),
        ("eprop", "typing.py:<module>"),
        ("ep", "plastic/cli.py:<module>"),
        ("pc", "pc/experiments/pairs.py:<module>"),
    ],
)
def test_while_the_first_modules_are_imported(at, which):
    Path("sitecustomize.py").write_text(SEND)
    variables = {"PYTHONPATH": os.pathsep.join([".", str(Path(plastic.__file__).parents[1])])}
    variables |= {"SIGNAL_AT": at[1], "SIGNAL": str(int(which))}
    command = [sys.executable, "-m", f"plastic.{at[0]}"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, timeout=600, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"interrupted; nothing was written\n")
    assert not Path("results").exists()


class Finalised:
    """Sends a signal when it is finalised."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)


def ended(line, call, which, more=(), command=None, number=1, finaliser=False):
    """Run a line, which is sent a signal at a call; return its only line on stderr, stdout, its folder and status.

    call: the end of "file:function". more: further options. command: instead of the line's. number: of the call.
    finaliser: whether the signal comes in one.
    """
    line, data = LINES[line], ""
    if line.data:
        Path("data").mkdir(exist_ok=True)
        data = line.data(Path("data").absolute())
    names = {word.split("=")[0] for word in more}
    words = [word.format(data=data) for word in line.words if word.split("=")[0] not in names]
    left = [number]

    def watch(frame, event, _):
        if event == "call" and f"{frame.f_code.co_filename}:{frame.f_code.co_name}".endswith(call):
            left[0] -= 1
            if left[0] == 0:
                sys.setprofile(None)
                Finalised(which) if finaliser else os.kill(os.getpid(), which)

    commands = importlib.import_module(f"plastic.{line.family}.__main__").COMMANDS
    shown, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as leave:
        for name, value in line.variables.items():
            patch.setenv(name, value.format(data=data))
        patch.setattr(sys, "stdout", shown)
        patch.setattr(sys, "stderr", errors)
        try:
            sys.setprofile(watch)
            cli.run(commands, command or [line.command, *words, *more], prog="plastic")
        finally:
            sys.setprofile(None)
    assert left[0] <= 0, f"{call} is not called"
    told = "".join(each for each in errors.getvalue().splitlines(True) if not each.startswith("warning: "))
    assert leave.value.code == 130 and re.fullmatch("interrupted[^\n]*\n", told), errors.getvalue()
    folders = list(Path().glob("results/*/*"))
    assert len(folders) < 2
    status = runs.Run(folders[0]).config["status"] if folders else None
    return told.strip(), shown.getvalue(), *folders[:1], status


BEFORE = {
    "gait-train": "data/npz.py:_array",
    "ep-recipe": "data/npz.py:_header",
    "eprop-evidence": "experiments/decisions.py:__init__",
    "gle-mnist1d": "data/npz.py:read",
    "gle-gsc": "speech/features.py:log_mel",
    "pc-depth": "data/npz.py:read",
    "pc-drift": "experiments/drift.py:before",
}
"""Calls of lines that load data, or learn, before they have a folder."""


@with_signals("line", BEFORE)
def test_before_there_is_a_folder(line, which):
    assert ended(line, BEFORE[line], which) == ("interrupted; nothing was written", "", None)


TRAINING = {
    "gait-train": "training.py:watch",
    "ep-train": "training.py:measure",
    "eprop-pattern": "files/sealed.py:_fill",
    "gle-lagline": "training.py:watch",
    "pc-depth": "pc/rules.py:pc",
    "pc-drift": "training.py:watch",
}


@with_signals("line", TRAINING)
@pytest.mark.parametrize("number", [1, 3])
def test_while_it_trains(line, which, number):
    told, shown, folder, status = ended(line, TRAINING[line], which, number=number)
    assert told.endswith(f"; go on with --resume={folder}") and (shown, status) == ("", "interrupted")


@with_signals("call", ("claim.py:claimed", "config.py:read"))
def test_a_folder_is_never_without_a_status(call, which):
    told, _, folder, status = ended("gait-train", call, which)
    assert told == f"interrupted; go on with --resume={folder}" and status == "interrupted"


OTHERS = {
    "ep-plotcurves": ("ep/curves.py:_point", ("--T=900", "--Kmax=400", "--dt=0.1")),
    "ep-recipe": ("ep/rules.py:bptt", ("--T=900", "--Kmax=800")),
    "eprop-verify": ("verify.py:differences", (f"--seeds={','.join(map(str, range(100)))}",)),
    "pc-interference": ("pc/rules.py:pc", ("--iterations=100000",)),
    "pc-alignment": ("pc/rules.py:pc", (f"--depths={','.join(map(str, range(1, 300)))}",)),
    "pc-prospective_index": ("prospective_index.py:_inferred", ("--T=1000000",)),
    "pc-trajectory": ("pc/rules.py:pc", ("--small_iterations=100000",)),
    "pc-teacher": ("pc/rules.py:pc", ("--iterations=100000",)),
    "pc-erratic": ("contrastive.py:generec_relax", ("--steps_gr=100000",)),
    "pc-drift": ("experiments/drift.py:before", ("--pretraining_epochs=10000",)),
}
"""Calls within work that is no training, and options that make it long."""


@pytest.mark.parametrize("finaliser", [False, True])
@with_signals("line", OTHERS)
def test_in_work_that_is_no_training(line, which, finaliser):
    """In a finaliser Python cannot raise; the command hears of the signal all the same."""
    call, more = OTHERS[line]
    told, shown, *folder, status = ended(line, call, which, more, finaliser=finaliser)
    if line in ("pc-drift", "eprop-verify"):  # before they have a folder
        assert (told, shown, folder) == ("interrupted; nothing was written", "", [])
    else:
        assert told == f"interrupted; {folder[0]} is not finished, and is begun anew by the same command"
        assert (shown, status) == ("", "interrupted")


def test_in_a_finaliser_while_it_trains():
    told, _, folder, status = ended(
        "gait-train", "training.py:watch", signal.SIGTERM, ["--nb_epochs=4000"], finaliser=True
    )
    assert re.fullmatch(r"interrupted at step \d+; go on with --resume=(.*)", told)[1] == str(folder)
    assert status == "interrupted"


DRAWN = ("gait-train", "ep-plotcurves", "eprop-evidence", "gle-lagnet", "pc-depth", "pc-trajectory")


@with_signals("line", DRAWN)
@pytest.mark.parametrize("call", ["plastic/plotting.py:figure", "matplotlib/figure.py:savefig"])
def test_while_figures_are_drawn(line, which, call):
    told, shown, folder, status = ended(line, call, which)
    again = f"python -m plastic.{LINES[line].family} figure {folder}"
    assert told == f"interrupted; the run is finished and saved in {folder}; draw its figures by: {again}"
    assert (shown, status) == ("", "finished")
    before = sorted(folder.iterdir())
    told, shown, folder, status = ended(line, call, which, command=["figure", str(folder)])
    assert (told, shown, status) == ("interrupted", "", "finished") and sorted(folder.iterdir()) == before


# the mechanism


def test_a_signal_raises_and_what_was_there_is_put_back():
    before = [signal.getsignal(each) for each in (*SIGNALS, signal.SIGALRM)], sys.unraisablehook
    for number in SIGNALS:
        with pytest.raises(KeyboardInterrupt), interruption.raised():
            signal.raise_signal(number)
    assert ([signal.getsignal(each) for each in (*SIGNALS, signal.SIGALRM)], sys.unraisablehook) == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.raised(), interruption.deferred() as waiting:
            signal.raise_signal(signal.SIGHUP)
            assert not waiting
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_finalisers_say_after_a_signal_is_not_shown(capsys):
    class Half:
        def __del__(self):
            raise AttributeError("made by half")

    shown = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda dropped: shown.append(str(dropped.exc_value))
    try:
        with pytest.raises(KeyboardInterrupt), interruption.raised():
            Half()
            assert shown == ["made by half"]
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                Half()
    finally:
        sys.unraisablehook = hook
    assert shown == ["made by half"]


def test_a_signal_in_a_finaliser_is_raised_after_it():
    with pytest.raises(KeyboardInterrupt), interruption.raised():
        Finalised(signal.SIGTERM)
        time.sleep(30)


def test_nor_does_it_outlive_the_block():
    with interruption.raised():
        Finalised(signal.SIGTERM)
    time.sleep(3 * interruption._MOMENT)


def test_a_first_signal_waits_for_the_end_of_an_import(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    code = "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(.05)\n"
    Path("once.py").write_text(f"{code}done = True\n")
    Path("twice.py").write_text(f"{code}signal.raise_signal(signal.SIGINT)\n")
    with pytest.raises(KeyboardInterrupt), interruption.raised():
        import once

        assert once.done
        time.sleep(30)
    with pytest.raises(KeyboardInterrupt), interruption.raised():
        importlib.import_module("twice")
    assert "twice" not in sys.modules


def test_a_deferred_signal_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), interruption.raised():
        with interruption.deferred() as waiting:
            with interruption.deferred():
                signal.raise_signal(signal.SIGTERM)
                done.append(1)
            assert waiting == [signal.SIGTERM]
            done.append(2)
        done.append(3)
    assert done == [1, 2]


def test_a_second_signal_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt), interruption.raised(), interruption.deferred():
        signal.raise_signal(signal.SIGTERM)
        done.append(1)
        signal.raise_signal(signal.SIGINT)
        done.append(2)
    assert done == [1]


def test_other_threads_take_no_signals():
    def work():
        with interruption.raised(), interruption.deferred() as waiting:
            done.append(waiting)

    done = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [[]]


@pytest.mark.parametrize(
    ("argv", "orig", "is_program"),
    [
        (["-m"], ["python", "-m", "plastic"], True),
        (["-m", "train"], ["python", "-X", "dev", "-m", "plastic.gait", "train"], True),
        (["-m", "-m"], ["python", "-Implastic.pc", "-m"], True),
        (["-m", "plastic"], ["python", "-m", "pytest", "plastic"], False),
        (["-m"], ["python", "-m", "plasticine"], False),
        (["-m"], ["python", "-m", "more.plastic"], False),
        (["/bin/plastic"], ["python", "/bin/plastic"], False),
        (["-c"], ["python", "-c", "import plastic"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_only_our_own_programs_end_at_once(monkeypatch, argv, orig, is_program):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig)
    assert startup._is_program() == is_program
