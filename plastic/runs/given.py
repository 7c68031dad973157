"""The options that a command line gives, against the experiment and the run that it resumes."""

import inspect
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from plastic.errors import PlasticError
from plastic.runs import config
from plastic.runs.folder import Run
from plastic.runs.naming import results_folder
from plastic.runs.record import MOST, Experiment, plain, tuples
from plastic.words import suggestion

NOT_KEPT = ("device", "threads", "results", "name", "resume", "plot", "dry_run")  # none changes what is computed


def require_numbers_in_range(record: Experiment, options: dict[str, Any]) -> None:
    """Require of the own options of an experiment whole numbers below `MOST`, and others that the precision holds."""
    dtype = np.dtype(options["dtype"])
    largest = float(np.finfo(dtype).max)
    for name in record.own:
        for value in options[name] if isinstance(options[name], tuple) else (options[name],):
            if isinstance(value, int) and abs(value) >= MOST:
                raise PlasticError(f"{name} is {value}; whole numbers are below {MOST:,}")
            if isinstance(value, float) and abs(value) > largest:
                raise PlasticError(f"{name} is {value:g}; {dtype} holds numbers up to {largest:.3g}")
            if isinstance(value, float) and value != 0 == dtype.type(value):
                raise PlasticError(f"{name} is {value:g}, which is 0 in {dtype}")


def typed(parameters: Mapping[str, inspect.Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a call in Python as the command line gives them; what is of another kind is refused."""
    found = {}
    for name, value in given.items():
        if name not in parameters:
            raise PlasticError(f"unknown option {name}{suggestion(name, parameters)}")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, os.PathLike) or (name == "device" and type(value) is int):
            value = str(value)
        if isinstance(value, list | range):
            value = tuple(value)
        kind = parameters[name].annotation
        if not config.fits(value, kind):
            raise PlasticError(f"{name} is {value!r}; it must be {config.in_words(kind)}")
        found[name] = value
    return found


def canonical(record: Experiment, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options by our names and values, those of a published spelling converted."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in record.aliases:
            value = record.aliases[name].get(value, value)
        spelling = record.spellings.get(name)
        if spelling is None:
            found.setdefault(name, value)
        elif spelling.option is not None:
            ours = spelling.convert(value)
            if given.get(spelling.option, ours) not in (ours, None):
                raise PlasticError(
                    f"{name} {value} and {spelling.option} {given[spelling.option]} say different things; give one"
                )
            found[spelling.option] = ours
    return found


def resumed(record: Experiment, given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the options of the run to resume, and whether it is to be extended; what differs from them is refused."""
    run = Run(given["resume"])
    if (run.family, run.experiment) != (record.family, record.name):
        raise PlasticError(
            f"{run.folder} is a run of {run.family} {run.experiment}; plastic.{record.family} cannot resume it as "
            f"{record.name}"
        )
    kept = {name: tuples(value) for name, value in (record.defaults | run.options).items()}
    config.require_options(run.folder, kept, {name: p.annotation for name, p in record.own.items()})
    place, results = run.folder.parent.parent, given.get("results")
    if results is not None and os.path.realpath(results_folder(results)) != os.path.realpath(place):
        raise PlasticError(f"results is {results!r}, but the run to resume lies in {place}; leave it out")
    extension = False
    for name, value in given.items():
        if (name in NOT_KEPT and name != "name") or plain(value) == plain(kept[name]):
            continue
        if name == record.length and None not in (value, kept[name]) and value > kept[name]:
            extension = True
            kept[name] = value
            continue
        longer = (
            f"; it can be extended by a larger {name}" if name == record.length else "; a resumed run keeps its options"
        )
        raise PlasticError(f"{name} is {value!r}, but the run to resume has {kept[name]!r}{longer}")
    here = {name: given.get(name, record.shared[name]) for name in NOT_KEPT if name in record.shared}
    return kept | here, extension
