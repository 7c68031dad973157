"""tests/gpu.sh proved where there is no GPU: it says so before any work, and makes its table with NumPy."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

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


def python_with(folder, name, lines):
    """Return an interpreter in which a module is imported at the start."""
    (folder / "sitecustomize.py").write_text(lines)
    path = folder / name
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


A_GPU = """
import plastic.xp
plastic.xp._cupy_backend = lambda device: plastic.xp._numpy_backend()
"""


def test_tests_that_hang_leave_time_for_the_table(tmp_path):
    """With NumPy in the place of CuPy; `pytest` starts a process that hangs with it, and both are ended."""
    hanging = tmp_path / "pytest.py"
    hanging.write_text(
        "import signal, subprocess, sys, time\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "    child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        f"    open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "    time.sleep(60)\n"
    )
    script = SCRIPT.read_text().replace("limited 260", "limited 3").replace("--kill-after=10", "--kill-after=1")
    here = 'here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)'
    assert here in script
    (tmp_path / "gpu.sh").write_text(script.replace(here, f"here={SCRIPT.parent}"))
    variables = os.environ | {"PYTHON": python_with(tmp_path, "python", A_GPU), "PYTHONPATH": str(tmp_path)}
    variables.pop("PLASTIC_DEVICE", None)
    done = subprocess.run(
        ["bash", tmp_path / "gpu.sh", "--small"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1 and "the tests took more than 3 s" in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) - lines.index("|---|---|---|---|") > len(FAMILIES)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)
