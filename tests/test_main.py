"""`python -m plastic`, and what is said of the distribution."""

import os
import pkgutil
import subprocess
import sys

import pytest

import plastic
from plastic import __main__ as overview


def run(*words):
    """Return (exit code, output, errors) of the command, run in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "plastic", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]], ids=" ".join)
def test_it_lists_every_package_that_has_commands(words):
    code, output, errors = run(*words)
    assert (code, errors) == (0, "")
    packages = [module.name for module in pkgutil.iter_modules(plastic.__path__) if module.ispkg]
    commands = [name for name in packages if os.path.exists(f"{plastic.__path__[0]}/{name}/__main__.py")]
    listed = [line.split()[2] for line in output.splitlines() if line.startswith("  python -m ")]
    assert sorted(listed) == sorted(f"plastic.{name}" for name in commands)


def test_it_tells_the_version():
    assert run("--version") == (0, f"plastic {plastic.__version__}\n", "")


@pytest.mark.parametrize(
    "words, said",
    [
        (["gait"], "python -m plastic.gait"),
        (["--help", "nothing"], "'nothing' is neither --help nor --version"),
        (["--versoin"], "'--versoin'"),
        (["a\nb"], r"'a\nb'"),
        (["--help", "--version"], "at a time"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, said, capsys):
    assert overview.main(words) == 2
    output, errors = capsys.readouterr()
    assert output == "" and said in errors
    assert errors.startswith("error: ") and errors.count("\n") == 1


def test_a_wrong_word_ends_with_exit_code_2():
    code, output, errors = run("nothing")
    assert (code, output) == (2, "") and errors.startswith("error: ")
