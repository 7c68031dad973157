"""Command lines that nobody would type: any option of any command with a hostile value, files that are none.

    python tests/fuzz.py 10000            # lines; a fixed seed, another with a second number

A line has to work (rc 0), or be refused (rc 2) in one line that says why, with nothing written, or, where training
diverged or led nowhere, with what was done before. No number that is not finite is printed. tests/test_fuzz.py takes a
few of these lines.
"""

import contextlib
import hashlib
import importlib
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
import warnings

VALUES = (
    *("", " ", "0", "-0", "1", "-1", "2", "3.5", "1e-3", "nan", "inf", "-inf", "1e400", "-1e400", "1e-320", "1e20"),
    *("1e-30", "-1e-30", "1e37", "1e39", "1e150", "1e300", "5e-324", "3", "7", "12", "0.5", "-0.5", "0.999", "1000"),
    *(str(10**4), str(10**6), str(10**7), str(10**9), str(10**12), str(10**18), str(10**30), str(-(10**30))),
    *("0x10", "1_0", "\N{ARABIC-INDIC DIGIT THREE}", "1e", "+5", "9" * 5000, "1" + "0" * 309),
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
    *("{0}", "../..", "/", ".", "/dev/null", "/nowhere/x.npz", "x.npz", "a\0b", "\udcff", "~nobody/x", "\n", "a\nb"),
)
OUTS = (
    *("", ".", "new", "a/b", "x" * 300, "a\0b", "/dev/null", "/dev/null/x", "/proc/x", "a file", "a\nb", "$_$"),
    *("x.png", "a/x.png", "x.pdf", "x.svg", "x.gif", ".png", "a file/x.png", "$\\frac$_x.png", "\x1b.svg", "~nosuch/x"),
)
"""Where something may be asked to go."""
LEFT_OUT = ("threads",)  # a thousand threads work, too
SERVED = {
    "ep": {"default": "train", "by": "action", "spellings": {"receipe": "recipe"}},
    "gait": {"default": "train"},
}
SECONDS = 20
"""A line that takes longer was not refused, and works; it is stopped."""
MEMORY = 2e9
"""Bytes that a line may expect to need."""


class Late(BaseException):
    """A line takes longer than `SECONDS`."""


class Found(Exception):
    """A line that did what no line may."""


def all_lines():
    """Return the tiny lines of all commands."""
    here = pathlib.Path(__file__).resolve().parent
    names = sorted(path.stem for path in (here / "commands").glob("*.py") if path.stem != "case")
    return [line for name in names for line in importlib.import_module(f"commands.{name}").LINES]


def commands_of(family):
    """Return the commands of a family, or those of the data sets."""
    if family != "data":
        return importlib.import_module(f"plastic.{family}.__main__").COMMANDS
    from plastic.data import commands

    return {"list": commands.list_sets, "get": commands.get, "show": commands.show}


class Material:
    """What lines are made of, in a folder: the data of a function that makes them, odd ones, and runs that ended."""

    def __init__(self, place):
        self.place, self._data, self._odd, self._runs = pathlib.Path(place), {}, {}, {}

    def data(self, make):
        """Return the path of the data that a function makes."""
        if make not in self._data:
            folder = self.place / f"data{len(self._data)}"
            folder.mkdir()
            self._data[make] = make(folder)
        return self._data[make]

    def words(self, line):
        """Return the words of a line."""
        return [word.format(data=self.data(line.data) if line.data else "") for word in line.words]

    def odd_data(self, line):
        """Return the paths of odd data, after those of a line."""
        import odd_files

        good = str(self.data(line.data)) if line.data else ""
        if not good.endswith(".npz"):
            return [*VALUES[-12:], "XOR"]
        if good not in self._odd:
            folder = self.place / f"odd{len(self._odd)}"
            folder.mkdir()
            self._odd[good] = [str(path) for path in odd_files.data_sets(good, folder).values()]
        return self._odd[good]

    def run(self, line):
        """Return the folder of a run of a line that has ended."""
        from plastic import cli

        if str(line) not in self._runs:
            folder = self.place / "runs" / str(line)
            with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.redirect_stderr(io.StringIO()):
                words = [line.command, *self.words(line), f"--results={folder}"]
                cli.run(commands_of(line.family), words, prog="plastic")
            self._runs[str(line)] = pathlib.Path(shown.getvalue().splitlines()[-1].removeprefix("run folder "))
        return self._runs[str(line)]


def value(chance, parameter, line, material):
    """Return a value for an option of a line."""
    import odd_files

    name, literals = parameter.name, [c for kind in _kinds(parameter.annotation) for c in typing.get_args(kind)]
    draw = chance.random()
    if name in ("results", "out", "folder"):
        return chance.choice(OUTS)
    if name in ("dataset", "name", "start") and draw < 0.8:
        return chance.choice(material.odd_data(line))
    if name in ("resume", "load", "folders") and draw < 0.8:
        odd = pathlib.Path(f"odd{chance.randrange(10**6)}")
        odd_files.run_folder(material.run(line), odd, chance)
        return str(odd)
    if draw < 0.15:
        return chance.choice([",", " ", ", "]).join(chance.choices(VALUES, k=chance.randint(2, 4)))
    if draw < 0.4 and isinstance(parameter.default, int | float):
        return str(parameter.default * chance.choice([-1, 0, 0.5, 2, 3, 10, 100, 10**4, 10**6, 1e30, 1e-30]))
    return chance.choice([*VALUES, *map(str, literals)])


def _kinds(annotation):
    return [annotation, *typing.get_args(annotation)]


def mutated(chance, line, material):
    """Return the words of a line with one to three options changed, or those of a command `figure` or of the data."""
    family, command, words = line.family, line.command, material.words(line)
    draw = chance.random()
    if draw < 0.08:
        family, command, words = "data", chance.choice(["list", "get", "show"]), []
    elif draw < 0.18 and line.figures:
        command, words = "figure", []
    parameters = inspect.signature(commands_of(family)[command]).parameters
    names = [name for name in parameters if name not in LEFT_OUT]
    needed = [name for name in names if parameters[name].default is inspect.Parameter.empty]
    changed = chance.sample(names, k=min(len(names), chance.choice([1, 1, 1, 2, 2, 3])))
    for name in dict.fromkeys([*needed, *changed]):
        given = value(chance, parameters[name], line, material)
        if name == "resume" and given.startswith("odd") and chance.random() < 0.7:
            words = []  # a resumed run keeps its options
        words = [word for word in words if word.split("=")[0] != f"--{name}"]
        typed = name.replace("_", chance.choice("_-"))
        words += chance.choice(
            [
                *[[f"--{typed}={given}"]] * 6,
                [f"--{typed}", given],
                [f"-{typed}={given}"],
                [f"--no_{typed}"],
                [f"--{typed}"],
            ]
        )
    if chance.random() < 0.03:
        command = chance.choice(VALUES)
    return family, [command, *words]


def content(folder):
    """Return {path: checksum} of all in a folder but locks, which are made and left."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.name != ".lock":
            found[str(path)] = hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found


def tried(family, words, seconds=SECONDS):
    """Run a line in this process; return its exit code. Raises `Found` where it misbehaves."""
    from plastic import cli

    said, before = f"plastic.{family} {words}", content(".")
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
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors), warnings.catch_warnings():
            warnings.simplefilter("error")
            cli.run(commands_of(family), words, prog=f"plastic.{family}", **SERVED.get(family, {}))
    except SystemExit as leave:
        code = leave.code
    except Late:
        return 0
    except BaseException as error:
        raise Found(f"{said}: {type(error).__name__}: {error}") from error
    finally:
        sys.unraisablehook = hook
        signal.alarm(0)
    judge(said, code, shown.getvalue(), errors.getvalue(), before)
    return code


def judge(said, code, shown, errors, before):
    """Raise `Found` unless a line ended as a line may."""
    told = [line for line in errors.splitlines() if not line.startswith(("note: ", "warning: ", "device: "))]
    if code not in (0, 2, 130):
        raise Found(f"{said}: rc {code}")
    if code == 2 and not (len(told) == 1 and re.match("error: .", told[0])):
        raise Found(f"{said}: rc 2 with {told}")
    if code == 0 and told:
        raise Found(f"{said}: rc 0 with {told}")
    if (
        code == 2
        and (after := content(".")) != before
        and not re.search("diverged|moves nothing|has no trials", told[0])
    ):
        raise Found(f"{said}: rc 2 ({told[0]}) left {dict(set(after.items()) ^ set(before.items()))}")
    numbers = [
        line for line in shown.splitlines() if not re.match(r"run folder |folder |\w+ = |.*\.(png|pdf|svg)$", line)
    ]
    if code == 0 and re.search(r"\b(nan|inf)\b", "\n".join(numbers)):
        raise Found(f"{said}: rc 0 prints {shown!r}")


def lines(count, seed, LINES, material):
    """Yield `count` lines (family, words), drawn with a seed, each in a folder of its own, where we are then."""
    chance, variables = random.Random(seed), dict(os.environ)
    for _ in range(count):
        line = chance.choice(LINES)
        folder = material.place / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.chdir(folder)
        pathlib.Path("a file").write_text("a file")
        given = {name: text.format(data=material.data(line.data)) for name, text in line.variables.items()}
        os.environ.update(given)
        yield mutated(chance, line, material)
        os.environ.update({name: variables.get(name, "") for name in given})


def main(count, seed=0):
    """Try so many lines; print what misbehaves."""
    from plastic import system

    free, found, codes = system.free_memory, 0, {}
    system.free_memory = lambda: min(free(), MEMORY)
    with tempfile.TemporaryDirectory() as place:
        os.environ["PLASTIC_DATASETS"] = f"{place}/datasets"
        for family, words in lines(count, seed, all_lines(), Material(place)):
            try:
                code = tried(family, words)
                codes[code] = codes.get(code, 0) + 1
            except Found as problem:
                found += 1
                print(str(problem).encode("unicode_escape").decode()[:2000], flush=True)
        os.chdir("/")
    print(f"{count} lines, exit codes {codes}, {found} misbehave")
    return 1 if found else 0


if __name__ == "__main__":
    sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parent)]
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", MPLBACKEND="Agg")
    sys.exit(main(*map(int, sys.argv[1:])))
