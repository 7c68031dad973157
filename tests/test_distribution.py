"""The source distribution holds all that is under version control."""

import configparser
import fnmatch
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def tracked():
    """The files under version control, relative to the root; skips where this is no checkout."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        pytest.skip("there is no git")
    if done.returncode or not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    return done.stdout.split("\0")[:-1]


def of_the_manifest(path):
    """Whether a file is in the distribution: by MANIFEST.in, or of itself, as modules and the configuration are."""
    if path in ("setup.cfg", "pyproject.toml", "MANIFEST.in") or fnmatch.fnmatch(path, "plastic/*.py"):
        return True
    rules = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines()]
    included = [pattern for verb, *patterns in rules if verb == "include" for pattern in patterns]
    grafted = [folder for verb, *folders in rules if verb == "graft" for folder in folders]
    return any(fnmatch.fnmatch(path, each) for each in included) or any(path.startswith(f"{each}/") for each in grafted)


def test_all_that_is_under_version_control_is_distributed():
    assert [path for path in tracked() if not of_the_manifest(path)] == []


def test_packages_hold_modules_only():
    """Other files in them need a rule of their own to be installed, as the mark of the type hints has in setup.cfg."""
    others = [path for path in tracked() if path.startswith("plastic/") and not path.endswith(".py")]
    assert others == ["plastic/py.typed"]
    assert "plastic = py.typed" in (ROOT / "setup.cfg").read_text()


def test_the_version_is_that_of_the_citation():
    import plastic

    assert f"version: {plastic.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_name_of_the_distribution_is_that_of_the_messages():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    from plastic.xp import on_cupy

    assert f"pip install '{settings['metadata']['name']}[gpu]'" in on_cupy.INSTALL
