"""The source distribution holds all that is under version control."""

import configparser
import fnmatch
import pathlib
import re
import shutil
import subprocess
import sys

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
    """Other files in them need rules of their own in setup.cfg to be installed: the mark of the type hints, tables."""
    others = [path for path in tracked() if path.startswith("plastic/") and not path.endswith(".py")]
    names = ("configurations", "observed/coin", "observed/fear", "observed/reversal")
    tables = [f"plastic/pc/experiments/{name}.csv" for name in names]
    templates = [f"plastic/report/templates/{name}" for name in ("chart.js", "report.css", "report.html", "report.js")]
    assert others == ["plastic/gle/experiments/published/fig8.csv", *tables, "plastic/py.typed", *templates]
    settings = (ROOT / "setup.cfg").read_text()
    rules = (
        "plastic = py.typed",
        "plastic.pc.experiments = configurations.csv, observed/*.csv",
        "plastic.report = templates/*",
    )
    for rule in (*rules, "plastic.gle.experiments = published/*.csv"):
        assert rule in settings


def test_the_version_is_that_of_the_citation():
    import plastic

    assert f"version: {plastic.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def lower_bounds(root):
    """What .ci/lower_bounds.py prints of the configuration in a folder."""
    (root / ".ci").mkdir(exist_ok=True)
    script = shutil.copy(ROOT / ".ci" / "lower_bounds.py", root / ".ci")
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_lower_bounds(tmp_path):
    """Of what is needed to run, to test and to build; what has no bound of its own is left as it is."""
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    a >= 2.1\n    b-c>=0.7.1\n"
        "[options.extras_require]\ntest =\n    d >= 8\n    e == 0.17.*\ngpu =\n    f >= 14\n"
    )
    (tmp_path / "pyproject.toml").write_text('[build-system]\nrequires = ["g >= 66.1"]\n')
    assert lower_bounds(tmp_path) == ["a==2.1", "b-c==0.7.1", "d==8", "g==66.1"]


def test_every_dependency_has_a_lower_bound(tmp_path):
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    needed = [line.split()[0] for line in settings["options"]["install_requires"].split("\n") if line]
    assert "numpy" in needed and {line.partition("==")[0] for line in lower_bounds(tmp_path)} >= {*needed}


PATTERNS = ("*.md", "datasets/*.md", "docs/*.md", "results/*.md", "results/tables/*.md")
PAGES = sorted(path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in ROOT.glob(pattern))


@pytest.mark.parametrize("page", [page for page in PAGES if "/" not in page or page.startswith("docs/")])
def test_the_files_that_a_page_names_exist(page):
    named = set(
        re.findall(r"(?<!\w)(?:tests|examples|plastic|results/tables|\.ci)/[\w./]+\w", (ROOT / page).read_text())
    )
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert named or page not in ("CONTRIBUTING.md", "README.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    """To files that are there, and to headings in them."""
    for link, _, heading in re.findall(r"\]\(([^)#:\s]*)(#([^)]*))?\)", (ROOT / page).read_text(encoding="utf-8")):
        path = (ROOT / page).parent / link if link else ROOT / page
        assert path.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles], heading


def test_the_name_of_the_distribution_is_that_of_the_messages():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    from plastic.xp import on_cupy

    assert f"pip install '{settings['metadata']['name']}[gpu]'" in on_cupy.INSTALL
