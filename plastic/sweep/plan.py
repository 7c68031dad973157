"""What a sweep is: a command of a family, options that are fixed, and the points, from a line or a TOML file.

    product of the lists of `grid`  x  the rows of the lists of `zip`  x  the draws of `random`

Every value is read as the command line of the family reads it, so that what is misspelt is refused before any work.
"""

import dataclasses
import importlib
import itertools
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import plastic
from plastic import files
from plastic.errors import PlasticError
from plastic.runs.given import canonical
from plastic.runs.record import Experiment
from plastic.words import parse

DEFAULT = {"gait": "train", "ep": "train"}
"""The command of a family whose lines need not name one."""
PARTS = ("grid", "zip", "random")
_NOT_SWEPT = ("results", "resume", "name", "dry_run", "device", "threads", "plot")
_MOST = 100_000  # points


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep.

    Args:
        family, command: what is run.
        fixed: {option: value} of every point.
        points: of each point {option: value} of what varies.
        halving: (eta, by) of successive halving, which makes other runs; None where all points run to their ends.
    """

    family: str
    command: str
    fixed: dict[str, Any]
    points: list[dict[str, Any]]
    halving: tuple[int, str] | None = None

    @property
    def varied(self) -> list[str]:
        """The options that vary."""
        return list(self.points[0])


def command_of(family: str, command: str | None) -> tuple[str, Callable[..., Any]]:
    """Return the name and the function of a command that is an experiment; raise PlasticError where it is none."""
    if family not in plastic.FAMILIES:
        raise PlasticError(f"{family!r} is no family; a sweep is of one of {', '.join(plastic.FAMILIES)}")
    every = importlib.import_module(f"plastic.{family}.__main__").COMMANDS
    known = {name: function for name, function in every.items() if hasattr(function, "experiment")}
    name = (command or DEFAULT.get(family, "")).replace("-", "_")
    if name not in known:
        said = f"{command!r} is no experiment of {family}" if command else f"a sweep of {family} names its command"
        raise PlasticError(f"{said}: {' | '.join(known)}")
    return name, known[name]


def record_of(family: str, command: str) -> Experiment:
    """Return what is known of the experiment that a command is."""
    return command_of(family, command)[1].experiment  # type: ignore[attr-defined]


def of_file(path: Path) -> Plan:
    """Return the sweep that a TOML file describes.

    family = "gait"
    command = "train"                 # where the family needs one
    [options]
    nb_epochs = 10
    [grid]
    seed = [1, 2, 3]
    [zip]
    algorithm = ["BP", "TP"]
    learning_rate = [1e-4, 1e-5]
    [random]
    draws = 20
    seed = 0
    learning_rate = "1e-5:1e-3:log"
    batch_size = [10, 20, 50]
    """
    with files.system_errors(f"cannot read {path}"):
        data = path.read_bytes()
    try:
        said = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlasticError(f"{path} is not TOML: {error}") from None
    if unknown := sorted(said.keys() - {"family", "command", "options", *PARTS}):
        raise PlasticError(
            f"{path}: {unknown[0]!r} is unknown; a sweep has family, command, options, grid, zip, random"
        )
    tables = {name: said.get(name, {}) for name in ("options", *PARTS)}
    named = isinstance(said.get("family"), str) and isinstance(said.get("command", ""), str)
    if not named or not all(isinstance(table, dict) for table in tables.values()):
        raise PlasticError(f"{path}: family and command must be names, and options, grid, zip and random tables")
    of_random = tables["random"]
    if [] in of_random.values():
        raise PlasticError(f"{path}: a list of random is empty; it must hold the values to draw from")
    draws = of_random.pop("draws", None)
    seed = of_random.pop("seed") if isinstance(of_random.get("seed"), int) else None  # otherwise, seeds to draw from
    lists = {}
    for part in ("grid", "zip"):
        for name, values in tables[part].items():
            if not isinstance(values, list) or not values:
                raise PlasticError(f"{path}: {part}.{name} is {values!r}; it must be a list of one value or more")
            lists[part, name] = [_text(value) for value in values]
    ranges = {name: [*map(_text, v)] if isinstance(v, list) else str(v) for name, v in of_random.items()}
    words = [f"--{name}={_text(value)}" for name, value in tables["options"].items()]
    return made(said["family"], said.get("command"), words, lists, ranges, draws, seed)


def _text(value: Any) -> str:
    """Return a value of a TOML file as it is typed on a command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return repr(value) if isinstance(value, float) else str(value)


def listed(text: str) -> list[str]:
    """Return the values that a line lists: with commas between them, or ';' where they hold commas."""
    return [each.strip() for each in text.split(";" if ";" in text else ",")]


def made(
    family: str,
    command: str | None,
    words: list[str],
    lists: dict[tuple[str, str], list[str]],
    ranges: dict[str, str | list[str]],
    draws: int | None = None,
    seed: int | None = None,
) -> Plan:
    """Return a sweep whose values are given as text.

    Args:
        family, command: what is run.
        words: the fixed options, as they are typed.
        lists: {("grid" or "zip", option): texts}.
        ranges: {option: "low:high" or "low:high:log"}, drawn uniformly, or so in the logarithm; or texts to draw from.
        draws: how many, where there are ranges; 10 by default.
        seed: of the draws; 0 by default.

    Raises:
        PlasticError: where an option is unknown, cannot be swept or is given twice, or a value is none of its.
    """
    name, function = command_of(family, command)

    def read(option: str, text: str) -> dict[str, Any]:
        return parse(function, [f"--{option}={text}"])

    fixed = parse(function, words)
    grid = [[read(option, text) for text in texts] for (part, option), texts in lists.items() if part == "grid"]
    columns = [[read(option, text) for text in texts] for (part, option), texts in lists.items() if part == "zip"]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(f"{next(iter(column[0]))} has {len(column)}" for column in columns)
        raise PlasticError(f"zipped lists go side by side and need one length, but {lengths}")
    rows = [_merged(row) for row in zip(*columns, strict=True)] if columns else [{}]
    if not ranges and (draws, seed) != (None, None):
        raise PlasticError("nothing is drawn at random, so that draws and their seed mean nothing; give a range, too")
    draws, seed = 10 if draws is None else draws, 0 if seed is None else seed
    drawn = _drawn(read, ranges, draws, seed) if ranges else [{}]
    count = math.prod(map(len, grid)) * len(rows) * len(drawn)
    if count > _MOST:
        raise PlasticError(
            f"this sweep has {count:,} points; at most {_MOST:,} are taken. Some of them are drawn, without making "
            "all, by random in the place of grid (--random.OPTION=A,B,C --draws=1000)"
        )
    every = itertools.product(*grid, rows, drawn)
    plan = Plan(family, name, fixed, [_merged(point) for point in every])
    _require_good(plan)
    return plan


def _merged(tables: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in tables:
        for name, value in table.items():
            if name in found:
                raise PlasticError(f"{name} is given twice in this sweep")
            found[name] = value
    return found


def _drawn(read: Callable, ranges: dict[str, str | list[str]], draws: int, seed: int) -> list[dict[str, Any]]:
    """Return points drawn at random. Each option has a generator of its own: its draws do not depend on the others."""
    if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= _MOST:
        raise PlasticError(f"draws is {draws!r}; it must be a whole number from 1 to {_MOST:,}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise PlasticError(f"seed of the draws is {seed!r}; it must be a whole number from 0 on")
    columns = [_column(read, option, said, draws, seed) for option, said in ranges.items()]
    different = {repr(row): _merged(row) for row in zip(*columns, strict=True)}  # some may be drawn twice
    return list(different.values())


def _column(read: Callable, option: str, said: str | list[str], draws: int, seed: int) -> list[dict[str, Any]]:
    """Return values of an option drawn at random, from a range or from a list."""
    if isinstance(said, list):
        values = [read(option, text) for text in said]
        return [values[place] for place in _generator(seed, values[0]).integers(len(values), size=draws)]
    low, high, scale = _range(option, said)
    ends = [read(option, word) for word in said.split(":")[:2]]
    whole = all(isinstance(value, int) for end in ends for value in end.values())
    if whole:  # what is drawn is cut, so that each number has its share
        high += 1
    if scale == "log":
        drawn = np.exp(_generator(seed, ends[0]).uniform(math.log(low), math.log(high), draws))
    else:
        drawn = _generator(seed, ends[0]).uniform(low, high, draws)
    texts = [str(math.floor(min(value, high - 0.5))) if whole else repr(float(value)) for value in drawn]
    return [read(option, text) for text in texts]


def _generator(seed: int, option: dict[str, Any]) -> np.random.Generator:
    """Return the generator of an option, given {its name: some value}."""
    (name,) = option
    return np.random.default_rng([seed, *name.encode()])


def _range(option: str, text: str) -> tuple[float, float, str]:
    words = text.split(":")
    try:
        low, high = float(words[0]), float(words[1])
        scale = words[2] if len(words) == 3 else ""
        good = math.isfinite(low) and math.isfinite(high) and low < high and len(words) <= 3
    except (ValueError, IndexError):
        good = False
    if not good or scale not in ("", "log") or (scale == "log" and low <= 0):
        raise PlasticError(
            f"random {option} is {text!r}; it must be LOW:HIGH, LOW below HIGH, or LOW:HIGH:log with LOW above 0, or a "
            "list of values"
        )
    return low, high, scale


def _require_good(plan: Plan) -> None:
    for name in {**plan.fixed, **plan.points[0]}:
        if name in _NOT_SWEPT and (name in plan.points[0] or name in ("results", "resume", "name", "dry_run")):
            raise PlasticError(
                f"{name} is no option of a point of a sweep, which has its own run folder and goes on by the same line"
                if name in ("results", "resume", "name", "dry_run")
                else f"{name} is no option that varies in a sweep: it changes nothing that is computed"
            )
    if clash := sorted(plan.fixed.keys() & plan.points[0].keys()):
        raise PlasticError(f"{clash[0]} is fixed and varied; give it once")
    if "seed" in plan.varied and any((plan.fixed | point).get("seeds") is not None for point in plan.points):
        raise PlasticError("seed varies, but seeds takes its place; give one of them")
    if not plan.varied:
        raise PlasticError("nothing varies: give --grid.OPTION=A,B, --zip.OPTION=A,B or --random.OPTION=LOW:HIGH")
    seen: set[str] = set()
    record = record_of(plan.family, plan.command)
    for point in plan.points:
        text = repr(sorted(canonical(record, point).items()))
        if text in seen:
            raise PlasticError(f"two points of this sweep are equal: {shown(point)}")
        seen.add(text)


def shown(point: dict[str, Any]) -> str:
    """Return the options of a point as they are typed."""
    return " ".join(
        f"--{name}={','.join(map(str, value)) if isinstance(value, tuple | list) else value}"
        for name, value in point.items()
    )
