"""Importing the library is light: what is slow to import, or may be absent, waits until it is needed."""

import json
import pkgutil
import subprocess
import sys

import pytest

import plastic

HEAVY = ["matplotlib", "requests", "fire", "cupy", "h5py", "scipy.linalg", "tqdm"]
ABOVE = ["plastic.cli"]  # the command line knows Fire; it and the commands (`__main__`) are imported by nobody


def modules():
    found = [module.name for module in pkgutil.walk_packages(plastic.__path__, "plastic.")]
    return [name for name in found if name not in ABOVE and not name.endswith("__main__")]


def loaded_by(*names):
    """Return which heavy modules a fresh interpreter has loaded after importing the named ones."""
    script = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_plastic_is_light():
    assert loaded_by("plastic") == []


def test_importing_every_module_is_light():
    names = modules()
    assert "plastic.xp" in names and "plastic.check" in names
    heavy = loaded_by("plastic", *names)
    if heavy:  # say which module it is
        pytest.fail(f"{heavy} loaded by {[name for name in names if loaded_by(name)]}")


def test_this_test_sees_a_heavy_import():
    assert loaded_by("plastic", "scipy.linalg") == ["scipy.linalg"]
