"""Command lines that nobody would type: any option of any command with a hostile value.

    python tests/fuzz.py 10000            # lines; a fixed seed, another with a second number

A line has to work (rc 0), or be refused (rc 2) in one line that says why, with nothing written, or, where training
diverged, with what was done before. tests/test_fuzz.py takes a few of these lines.
"""

import contextlib
import inspect
import io
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import typing

VALUES = (
    *("", " ", "0", "-0", "1", "-1", "2", "3.5", "1e-3", "nan", "inf", "-inf", "1e400", "-1e400", "1e-320", "1e20"),
    *(str(10**9), str(10**18), str(10**30), str(-(10**30)), "0x10", "1_0", "\N{ARABIC-INDIC DIGIT THREE}", "1e", "+5"),
    *(
        "true",
        "no",
        "none",
        "None",
        "NULL",
        "x",
        "é",
        "\u202e",
        "$\\frac$",
        "$_$",
        "a b",
        "=",
        "--",
        "-",
        "'",
        '"',
        "()",
    ),
    *("[]", "[", "1,2", "1,,2", "0,0", "-1,-2", "1e400,1", "10 20", "nan,1", ",", "a,b", "x" * 300, "\x1b[31m", "%s%n"),
    *("{0}", "../..", "/", ".", "/dev/null", "/nowhere/x.npz", "x.npz"),
)
SECONDS = 20
"""A line that takes longer was not refused, and works; it is stopped."""


class Late(BaseException):
    """A line takes longer than `SECONDS`."""


class Found(Exception):
    """A line that did what no line may."""


def mutated(chance, command, words):
    """Return the words of a line with one to three options changed."""
    parameters = inspect.signature(command).parameters
    names = [name for name in parameters if name not in ("results", "threads", "device", "plot")]
    words = list(words)
    for name in chance.sample(names, k=min(len(names), chance.choice([1, 1, 1, 2, 3]))):
        words = [word for word in words if word.split("=")[0] != f"--{name}"]
        literals = [c for kind in _kinds(parameters[name].annotation) for c in typing.get_args(kind)]
        value = chance.choice([*VALUES, *map(str, literals)])
        spelling = chance.choice(["--{}={}", "--{}={}", "--{}={}", "--{} {}", "-{}={}", "--no_{}", "--{}"])
        words += spelling.format(name.replace("_", chance.choice("_-")), value).split(" ", 1)
    return words


def _kinds(annotation):
    return [annotation, *typing.get_args(annotation)]


def tried(commands, words, prog, seconds=SECONDS, **served):
    """Run a line in this process; return its exit code. Raises `Found` where it misbehaves."""
    from plastic import cli

    before = sorted(pathlib.Path().rglob("*"))
    shown, errors = io.StringIO(), io.StringIO()

    def late(*_):
        raise Late

    def unraisable(ignored):
        if ignored.exc_type is not Late:  # which is lost in a finaliser; the next alarm comes in a second
            hook(ignored)

    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    code = 0
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors):
            cli.run(commands, words, prog=prog, **served)
    except SystemExit as leave:
        code = leave.code
    except Late:
        return 0
    except BaseException as error:
        raise Found(f"{prog} {words}: {type(error).__name__}: {error}") from error
    finally:
        sys.unraisablehook = hook
        signal.alarm(0)
    told = [line for line in errors.getvalue().splitlines() if not line.startswith(("note: ", "warning: "))]
    if code not in (0, 2, 130):
        raise Found(f"{prog} {words}: rc {code}")
    if code == 2 and not (len(told) == 1 and re.match("error: ", told[0])):
        raise Found(f"{prog} {words}: rc 2 with {told}")
    if code == 0 and told:
        raise Found(f"{prog} {words}: rc 0 with {told}")
    if code == 2 and sorted(pathlib.Path().rglob("*")) != before and "diverged" not in told[0]:
        raise Found(f"{prog} {words}: rc 2 left {set(pathlib.Path().rglob('*')) - set(before)}")
    if code == 0 and re.search(r"\b(nan|inf)\b", shown.getvalue()) and "loss" in shown.getvalue():
        raise Found(f"{prog} {words}: rc 0 prints {shown.getvalue()!r}")
    return code


def lines(count, seed, LINES, paths):
    """Yield `count` lines (line, words), drawn with a seed. paths: the path of the data of a function that makes it."""
    import importlib

    chance = random.Random(seed)
    for _ in range(count):
        line = chance.choice(LINES)
        commands = importlib.import_module(f"plastic.{line.family}.__main__").COMMANDS
        words = [word.format(data=paths(line.data) if line.data else "") for word in line.words]
        yield line, commands, [line.command, *mutated(chance, commands[line.command], words)]


def main(count, seed=0):
    """Try so many lines; print what misbehaves."""
    import importlib

    from plastic import data

    here = pathlib.Path(__file__).resolve().parent
    names = sorted(path.stem for path in (here / "commands").glob("*.py") if path.stem != "case")
    LINES = [line for name in names for line in importlib.import_module(f"commands.{name}").LINES]
    place = pathlib.Path(tempfile.mkdtemp())
    os.environ["PLASTIC_DATASETS"] = str(data.default_folder())
    made = {}

    def paths(make):
        if make not in made:
            (place / f"data{len(made)}").mkdir()
            made[make] = make(place / f"data{len(made)}")
        return made[make]

    found, codes = 0, {}
    for line, commands, words in lines(count, seed, LINES, paths):
        folder = place / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.chdir(folder)
        try:
            code = tried(commands, words, f"plastic.{line.family}")
            codes[code] = codes.get(code, 0) + 1
        except Found as problem:
            found += 1
            print(problem, flush=True)
    print(f"{count} lines, exit codes {codes}, {found} misbehave")
    return 1 if found else 0


if __name__ == "__main__":
    sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parent)]
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg")
    sys.exit(main(*map(int, sys.argv[1:])))
