"""Importing the library is light: what is slow to import, or may be absent, waits until it is needed."""

import importlib
import inspect
import json
import operator
import pathlib
import pkgutil
import pydoc
import re
import subprocess
import sys

import pytest

import plastic

HEAVY = ["matplotlib", "requests", "fire", "cupy", "h5py", "scipy", "tqdm", "threadpoolctl", "filelock"]
HEAVY += ["http.client", "jinja2", "joblib", "soundfile"]
ABOVE = ["plastic.cli"]  # the command line knows Fire; it and the commands (`__main__`) are imported by nobody


def modules():
    found = [module.name for module in pkgutil.walk_packages(plastic.__path__, "plastic.")]
    return [name for name in found if name not in ABOVE and not name.endswith("__main__")]


def loaded_by(*names):
    """Return which heavy modules a fresh interpreter has loaded after importing the named ones."""
    return loaded_after(f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n")


def loaded_after(lines):
    """Return which heavy modules a fresh interpreter has loaded after these lines."""
    script = f"{lines}\nimport json, sys\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
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
    assert loaded_by("plastic", "scipy.linalg") == ["scipy"]


@pytest.mark.parametrize("words", [["--help"], ["--dry_run=wrong"]], ids=str)
@pytest.mark.parametrize("family", [*plastic.FAMILIES, "compare", "data", "report", "sweep", "verify"])
def test_help_and_refusals_are_light(family, words):
    """Fire, which writes the help, is all that the help needs; what it imports itself is its own affair."""
    lines = (
        "import contextlib, io, runpy, sys",
        f"sys.argv = ['plastic', *{words!r}]",
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):",
        "    with contextlib.suppress(SystemExit):",
        f"        runpy.run_module('plastic.{family}', run_name='__main__')",
    )
    assert set(loaded_after("\n".join(lines))) <= ({"fire", "http.client"} if words == ["--help"] else set())


ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "datasets/README.md", "results/README.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))
ROOMS = sorted([*plastic.FAMILIES, *plastic._ROOMS])
FIRST = "|".join([*plastic.FAMILIES, *plastic._ROOMS, "xp"])


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there_without_an_import_of_its_own(page):
    """`eprop.signals`, `plastic.compare.compare(..)`: after `import plastic`, in a fresh interpreter."""
    found = re.findall(rf"`(?:plastic\.)?((?:{FIRST})(?:\.\w+)+)", (ROOT / page).read_text(encoding="utf-8"))
    names = [name for name in dict.fromkeys(found) if not name.endswith((".md", ".h5", ".npz"))]
    assert len(names) > 10 or page != "docs/eprop.md"
    script = f"""
import functools, plastic
lacking = []
for name in {names!r}:
    try:
        functools.reduce(getattr, name.split("."), plastic)
    except AttributeError:
        lacking.append(name)
print(*lacking)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("family", plastic.FAMILIES)
def test_the_modules_of_a_family_s_table_have_equations(family):
    """What `help("plastic.pc.inference")` prints of each is more than a line."""
    page = (ROOT / "docs" / f"{family}.md").read_text(encoding="utf-8")
    table = page.partition("| what | equations | functions |")[2].partition("\n\n")[0]
    names = re.findall(rf"`(plastic\.{family}\.[\w.]+)`", table)
    assert len(names) >= 3
    for name in names:
        assert pydoc.locate(name).__doc__.count("\n") >= 3, name
    functions = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w.]+)`", row.rsplit("|", 2)[1])}
    assert all(callable(operator.attrgetter(name)(plastic)) for name in functions)  # not the module of that name
    its = getattr(plastic, family)
    assert {f"{family}.{name}" for name in (*its.NETWORKS, *its.RULES, *its.STEPS)} <= functions


@pytest.mark.parametrize("name", ROOMS)
def test_what_is_listed_of_a_room_is_for_users(name):
    """No private name, no module of others, nothing that it has imported for itself."""
    room = importlib.import_module(f"plastic.{name}")
    listed = dir(room)
    assert listed == sorted(listed) == sorted(room.__all__)
    for each in listed:
        value = getattr(room, each)
        assert not each.startswith("_") and getattr(value, "__name__", "plastic") not in ("np", "numpy", "Any")
        home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "plastic")
        assert home.split(".")[0] in ("plastic", "typing", "types", "builtins"), each


def test_editors_see_what_is_imported_at_its_first_use():
    text = pathlib.Path(plastic.__file__).read_text(encoding="utf-8")
    assert re.findall(r"^    from plastic import (\w+) as \1$", text, flags=re.MULTILINE) == ROOMS
