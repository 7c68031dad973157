"""The names of run folders: where they are, what tells runs apart, the hash of their options."""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from plastic import system
from plastic.errors import PlasticError

_NOT_IDENTITY = ("device", "threads", "results", "resume", "name", "plot", "dry_run", "jobs")


def results_folder(option: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of all runs: the option, else the environment variable PLASTIC_RESULTS, else ./results.

    Args:
        option: what the user has given, or None.

    Returns:
        Its path, which need not exist.

    Raises:
        PlasticError: if it begins with the home folder of somebody who has none here.
    """
    said = "results" if option else "PLASTIC_RESULTS"
    return system.expanded(option or os.environ.get("PLASTIC_RESULTS") or "results", said)


def seed_names(seeds: Sequence[int]) -> str:
    """Return seeds as text for the name of a run folder."""
    if len(seeds) > 3 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{len(seeds)}seeds-from-{seeds[0]}"
    return "seed" + "+".join(str(seed) for seed in seeds)


def identity_hash(options: dict[str, Any]) -> str:
    """Return the eight hexadecimal digits that stand for a dict of options in the name of a run folder.

    The order of the options does not count, nor do those that do not change what is computed (device, threads, results,
    name, resume, plot, dry_run, jobs); tuples are lists; numbers of equal value are equal (1 and 1.0, not True).

    Args:
        options: {name: value}.

    Returns:
        The digits.

    Example:
        >>> identity_hash({"seed": 1, "rate": 2.0}) == identity_hash({"rate": 2, "seed": 1, "device": "gpu"})
        True
    """
    counted = {name: value for name, value in options.items() if name not in _NOT_IDENTITY}
    text = json.dumps(_canonical(counted), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def require_names(family: str, experiment: str) -> None:
    """Require words that folders may be called by."""
    for what, name in (("family", family), ("experiment", experiment)):
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name):
            raise PlasticError(f"{what} is {name!r}; it must be a word, which the run folder is called by")


def require_plain(options: dict[str, Any]) -> None:
    """Require options that config.json can hold."""
    for name, value in options.items():
        try:
            identity_hash({name: value})
        except TypeError:
            raise PlasticError(
                f"the option {name} is a {type(value).__name__}; a run keeps numbers, text, None, lists and dicts of "
                "them: str(path), array.tolist()"
            ) from None


def _canonical(value):
    if isinstance(value, dict):
        return {str(name): _canonical(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def planned(
    results: str | os.PathLike, family: str, experiment: str, identity: dict[str, Any], readable: str = ""
) -> pathlib.Path:
    """Return the folder that `Run.create` would claim first."""
    readable = re.sub(r"[^\w.=+-]+", "-", readable, flags=re.ASCII).strip("-.")[:100]
    name = "-".join(filter(None, [experiment, readable, identity_hash(identity)]))
    return pathlib.Path(results) / family / name
