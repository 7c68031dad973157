"""tests/gpu.sh proved where there is no GPU: it says so before any work, and makes its table with NumPy."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile

import pytest
from processes import ends

from plastic import xp
from plastic.errors import PlasticError

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "gpu.sh"
FAMILIES = {"gait", "ep", "pc", "gle", "eprop"}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="a script for bash")


def run(*words, **variables):
    """Return the finished script, run with these words and variables; a variable that is None is removed."""
    wanted = os.environ | {"PYTHON": sys.executable} | variables
    kept = {name: value for name, value in wanted.items() if value is not None}
    return subprocess.run(["bash", SCRIPT, *words], env=kept, capture_output=True, text=True, check=False, timeout=300)


def rows(done):
    """Return the families that the table has rows of."""
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    table = lines[lines.index("|---|---|---|---|") + 1 :]
    assert all(re.fullmatch(r"\| [^|]+ \| [\d.e+-]+ \|[^|]*\|[^|]*\|", line) for line in table), table
    return {line.split()[1].rstrip(",") for line in table}


def test_the_table_on_a_cpu():
    done = run("--small", PLASTIC_DEVICE="cpu")
    assert rows(done) == FAMILIES and "tiny sizes" in done.stdout and done.stderr == ""


def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    try:
        xp.use("cupy")
    except PlasticError:
        for device in (None, "0"):
            done = run("--small", PLASTIC_DEVICE=device, TMPDIR=str(tmp_path))
            assert done.returncode == 1 and done.stdout == "" and list(tmp_path.iterdir()) == []
            assert re.fullmatch(r"gpu\.sh: .*(CuPy|GPU).*\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "variables", "named"),
    [
        (["--large"], {}, "--large"),
        (["/nowhere/wheels"], {}, "/nowhere/wheels"),
        ([], {"PLASTIC_DEVICE": "tpu"}, "tpu"),
        ([], {"PYTHON": "/nowhere/python"}, "/nowhere/python is not there"),
    ],
)
def test_what_is_wrong_is_refused(words, variables, named):
    done = run(*words, **{"PLASTIC_DEVICE": "cpu"} | variables)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and named in done.stderr


def wheel(folder, name, tag, lines):
    """Write a wheel with one module."""
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as file:
        file.writestr(f"{name}.py", lines)
        file.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def test_wheels_are_unpacked_for_the_time_of_the_run(tmp_path):
    """Of what is not installed, pure Python only; here it is a module that Python imports when it starts."""
    folder, scratch = tmp_path / "wheels", tmp_path / "scratch"
    folder.mkdir(), scratch.mkdir()
    wheel(folder, "sitecustomize", "py3-none-any", "import sys\nprint('imported', file=sys.stderr)\n")
    wheel(folder, "numpy", "py3-none-any", "raise SystemError('a second NumPy')\n")
    wheel(folder, "compiled", "cp311-cp311-linux_x86_64", "")
    done = run("--small", str(folder), PLASTIC_DEVICE="cpu", TMPDIR=str(scratch))
    assert rows(done) == FAMILIES and done.stderr == "imported\n"
    unpacked = [line for line in done.stdout.splitlines() if line.startswith("unpacked")]
    assert unpacked == ["unpacked sitecustomize-1.0-py3-none-any.whl"]
    assert not list(scratch.rglob("sitecustomize.py"))


A_GPU = """
import plastic.xp
plastic.xp._cupy_backend = lambda device: plastic.xp._numpy_backend()
"""


def run_with_a_gpu(folder, pytest_lines, seconds=320, **variables):
    """Return the finished script, so many seconds for the tests, with NumPy for CuPy, and these lines for pytest."""
    (folder / "sitecustomize.py").write_text(A_GPU)
    (folder / "pytest.py").write_text(f"if __name__ == '__main__':\n{textwrap.indent(pytest_lines, '    ')}")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    script = SCRIPT.read_text()
    for old, new in [
        ('here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)', f"here={SCRIPT.parent}"),
        ("limited 320", f"limited {seconds}"),
        ("--kill-after=10", "--kill-after=1"),
    ]:
        assert old in script
        script = script.replace(old, new)
    (folder / "gpu.sh").write_text(script)
    wanted = os.environ | {"PYTHON": str(python), "PLASTIC_DEVICE": "gpu"} | variables
    command = ["bash", folder / "gpu.sh", "--small"]
    return subprocess.run(command, env=wanted, capture_output=True, text=True, check=False, timeout=300)


def test_tests_that_hang_leave_time_for_the_table(tmp_path):
    """Here they start a process that hangs with them; both are ended."""
    done = run_with_a_gpu(
        tmp_path,
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n",
        seconds=20,
    )
    assert done.returncode == 1 and "the tests: stopped after 20 s" in done.stderr
    done.returncode = 0
    assert rows(done) == FAMILIES
    assert ends(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize(("number", "visible", "seen"), [("1", "GPU-a,GPU-b", "GPU-b"), ("02", "", "2")])
def test_the_tests_see_the_gpu_of_that_number_only(tmp_path, number, visible, seen):
    lines = f"import os\nopen({str(tmp_path / 'seen')!r}, 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])\n"
    done = run_with_a_gpu(tmp_path, lines, PLASTIC_DEVICE=number, CUDA_VISIBLE_DEVICES=visible)
    assert rows(done) == FAMILIES and (tmp_path / "seen").read_text() == seen


def test_without_pytest_there_is_a_table_and_an_exit_code(tmp_path):
    done = run_with_a_gpu(tmp_path, "raise SystemExit('No module named pytest')\n")
    assert done.returncode == 1 and done.stderr == "No module named pytest\n"
    done.returncode = 0
    assert rows(done) == FAMILIES
