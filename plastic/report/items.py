"""What a report lists: a run, and a group of runs that differ in their seeds alone."""

import collections
import contextlib
import dataclasses
import datetime
import json
import os
import re
from typing import Any

from plastic import runs, system
from plastic.errors import PlasticError, told
from plastic.report.folders import Place
from plastic.report.series import Series, split
from plastic.runs.given import NOT_KEPT
from plastic.runs.naming import identity_hash
from plastic.runs.record import plain

_MOST_SERIES = 500
_KNOWN: dict[tuple[str, str], dict[str, Any] | None] = {}  # the defaults of each experiment
_STATUSES = {"running": "unfinished", "interrupted": "unfinished"}
SEEDS = ("seed", "seeds")


@dataclasses.dataclass
class Option:
    """An option of a run: its value as text, and whether it differs from the default (None: that is not known)."""

    name: str
    text: str
    differs: bool | None


@dataclasses.dataclass
class Item:
    """A run, or a group of runs.

    path: the folder below that of the report; of a group, its first. name: that a reader tells it by. status: finished,
    unfinished, failed, diverged, or unreadable. note: what the status means here. clock: what time is measured in.
    same: what the members of a group share, None where that is not known. facts: (name, text) of the rest.
    members: of a group, its runs; grouped: of a run, whether it is in a group.
    """

    path: str
    name: str
    family: str = ""
    experiment: str = ""
    status: str = "unreadable"
    note: str = ""
    started: str = ""
    seeds: tuple[str, ...] = ()
    options: list[Option] = dataclasses.field(default_factory=list)
    facts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    clock: str = ""
    series: list[Series] = dataclasses.field(default_factory=list)
    same: tuple | None = None
    place: Place | None = None
    members: "list[Item]" = dataclasses.field(default_factory=list)
    grouped: bool = False

    @property
    def metrics(self) -> list[str]:
        """The metrics of all series."""
        return list(dict.fromkeys(name for each in self.series for name in each.metrics))


def of(place: Place) -> Item:
    """Return the item of a run folder; what is wrong with it is its note, whatever that is."""
    item = Item(place.name, place.path.name, note=place.error, place=place)
    if place.error:
        return item
    try:
        _read(item, place)
    except (OSError, PlasticError) as error:
        item.note = str(error)
    except Exception as error:  # a folder may come from anywhere, and one alone does not stop a report
        item.note = told(error)
    return item


def _read(item, place):
    for name in ("config.json", "metrics.csv"):
        system.refuse_link(place.path / name)  # it might lead to any file of the reader
    run = runs.Run(place.path)
    item.family, item.experiment, config = run.family, run.experiment, run.config
    item.status = _STATUSES.get(config["status"], config["status"])
    written = datetime.datetime.fromtimestamp(place.written, datetime.UTC).isoformat(" ", timespec="minutes")[:16]
    notes = {"running": f"running, or killed: last written {written} UTC", "interrupted": "interrupted"}
    item.note = notes.get(config["status"], "")
    item.started = str(config.get("started", ""))
    item.seeds = tuple(map(str, run.seeds)) if {*SEEDS} & {*run.options} else ()
    item.options = _options(run)
    item.facts = _facts(run)
    item.same = run.family, run.experiment, _identity(run)
    if error := config.get("details", {}).get("error"):
        item.note = str(error)
    item.clock, item.series = split(run.metrics(), config.get("parts", []), run.options, run.tested)
    if len(item.series) > _MOST_SERIES:
        item.note += f" (the first {_MOST_SERIES} of {len(item.series)} combinations)"
        del item.series[_MOST_SERIES:]


def _identity(run):
    """Return the hash of the options but for the seeds."""
    return identity_hash({name: value for name, value in run.options.items() if name not in SEEDS})


def _options(run: runs.Run) -> list[Option]:
    """Return the options that change results, those that differ from their defaults first."""
    known = _defaults(run.family, run.experiment, run)

    def differs(name, value):
        return None if known is None or name not in known else plain(known[name]) != value

    found = [Option(name, typed(value), differs(name, value)) for name, value in run.options.items()]
    found = [option for option in found if option.name not in NOT_KEPT]
    return sorted(found, key=lambda each: (each.differs is False, each.name in SEEDS))


def _defaults(family, experiment, run):
    """Return the defaults of an experiment, None where it is not known here."""
    if (family, experiment) not in _KNOWN:
        _KNOWN[family, experiment] = None
        with contextlib.suppress(PlasticError):
            _KNOWN[family, experiment] = runs.of_run(run).defaults
    return _KNOWN[family, experiment]


def _facts(run):
    config = run.config
    facts: list[tuple[str, Any]] = [
        (name, config.get(name)) for name in ("command", "started", "ended", "device", "dtype", "revision")
    ]
    facts += [("versions", ", ".join(f"{name} {value}" for name, value in config.get("versions", {}).items()))]
    facts += [(name, value) for name, value in config.get("details", {}).items() if name != "error"]
    facts += [(name, value) for name, value in run.options.items() if name in NOT_KEPT]
    facts += [("resumed", f"{len(config['resumed'])} times")] if config.get("resumed") else []
    return [(name, typed(value)) for name, value in facts if value not in (None, "")]


def typed(value: Any) -> str:
    """Return the value of an option as it is typed."""
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return ",".join(map(typed, value)) or "()"
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def groups(items: list[Item]) -> list[Item]:
    """Return a group for the finished runs of one experiment whose options differ in the seeds alone, if several.

    Each run then knows whether it is in a group.
    """
    alike: dict[tuple, list[Item]] = {}
    for item in items:
        item.grouped = False
        if item.same is not None and item.series and item.status == "finished":
            alike.setdefault(item.same, []).append(item)
    found = [group for members in alike.values() if (group := _group(members)) is not None]
    for member in (member for group in found for member in group.members):
        member.grouped = True
    return found


def _group(members):
    """Return the group of some runs, None where all but one hold seeds that another has; a seed counts once."""
    taken: dict = {}  # {where: {(seed, n): (run, curves)}}
    for item in sorted(members, key=lambda each: each.started):
        for series in item.series:
            replicas, seen = taken.setdefault(series.where, {}), collections.Counter()
            for (seed, _), curves in series.replicas.items():
                who = item.seeds if seed is None else seed
                replicas[who, seen[who]] = item, curves
                seen[who] += 1
    chosen = {id(item) for replicas in taken.values() for item, _ in replicas.values()}
    own = [item for item in members if id(item) in chosen]
    if len(own) < 2:
        return None
    return dataclasses.replace(
        own[0],
        name=_common([item.name for item in own]),
        note="",
        seeds=tuple(dict.fromkeys(seed for item in own for seed in item.seeds)),
        options=[option for option in own[0].options if option.name not in SEEDS],
        facts=[("runs", ", ".join(item.path for item in own))],
        series=[Series(where, {who: c for who, (_, c) in each.items()}) for where, each in taken.items()],
        members=own,
        place=None,
    )


def _common(names):
    """Return what the names of some run folders have in common, but for a seed and a hash that are begun."""
    alike = os.path.commonprefix(names)  # noqa: RUF071  of texts, not of paths
    return re.sub(r"-[^-]*$", "", alike) or names[0]
