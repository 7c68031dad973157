"""config.json: what a run is, read with distrust, since a folder may come from anywhere."""

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plastic import files
from plastic.errors import PlasticError
from plastic.runs.naming import identity_hash

FORMAT = 1

_STATUSES = ("running", "finished", "interrupted", "diverged", "failed")
_OF_BLAS = ("library", "version", "architecture", "threads")


def read(path: Path) -> dict[str, Any]:
    """Return the content of a config.json: with all keys that a run has, and of their kinds.

    Raises PlasticError where the file is missing, damaged or of another format, or a value of another kind.
    """
    try:
        found = files.read_json(path)
    except PlasticError as error:
        if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise
        text = f"{path.parent} is no run folder: it has no config.json{_runs_below(path.parent)}"
        raise PlasticError(text) from None
    if (type(found.get("format")), found.get("format")) != (int, FORMAT):
        raise PlasticError(
            f"{path.parent} has run format {found.get('format')!r}; this version of plastic reads format {FORMAT}"
        )
    for name, (wanted, fits) in _KEYS.items():
        if name not in found and name in _NEEDED:
            raise PlasticError(f"{path} has no {name}; it must be {wanted}")
        if name in found and not fits(found[name]):
            raise PlasticError(f"{path}: {name} is {_short(found[name])}; it must be {wanted}")
    if found["status"] != "running" and "metrics" not in found:
        raise PlasticError(f"{path} has no metrics, but says {found['status']}; it must be {_KEYS['metrics'][0]}")
    former = {each["option"]: each["from"] for each in reversed(found.get("extended", []))}
    if identity_hash(found["options"] | former) != found["identity"]:
        raise PlasticError(f"{path}: the run was made of other options; its identity is {found['identity']}")
    return found


def _runs_below(folder: Path) -> str:
    """Return what a message says of the runs in a folder that holds some, results/gait for instance."""
    found = next((each for pattern in ("*/config.json", "*/*/config.json") for each in folder.glob(pattern)), None)
    return f"; a run folder is {found.parent}, for instance" if found else ""


def require_options(folder: Path, options: dict[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise PlasticError where an option of a run is not of its kind.

    folder: of the run.
    options: {name: value}, tuples as tuples.
    kinds: {name: annotation}; options that are not among them are not looked at.
    """
    for name, value in options.items():
        if name in kinds and not fits(value, kinds[name]):
            wanted = in_words(kinds[name])
            raise PlasticError(f"{folder / 'config.json'}: the option {name} is {_short(value)}; it must be {wanted}")


def in_words(kind: Any) -> str:
    """Return an annotation as a message names it."""
    plain = isinstance(kind, type) and not typing.get_args(kind)
    return kind.__name__ if plain else str(kind).replace("typing.", "")


def fits(value: Any, kind: Any) -> bool:
    """Return whether a value is of the kind that an annotation says, tuples as tuples."""
    members = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(fits(value, member) for member in members)
    if typing.get_origin(kind) is typing.Literal:
        return any(type(value) is type(member) and value == member for member in members)
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(fits(item, members[0]) for item in value)
    if kind in (None, types.NoneType):
        return value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (int, str, bool):
        return type(value) is kind
    return True  # of a kind that no command line has


def _is_list(kind, each=lambda item: True):
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) and each(item) for item in value)


def _is_table(value):
    return isinstance(value, dict) and all(map(_is_list(int | float), value.values()))


def _is_mark(value):
    return len(value) == 2 and min(value) >= 0 if _is_list(int)(value) else False


def _is_extension(item):
    return isinstance(item.get("option"), str) and "from" in item


def _is_name(text):
    return text not in ("", ".", "..") and "/" not in text and "\\" not in text


def _short(value):
    text = repr(value)
    return text if len(text) < 100 else f"{text[:97]}..."


_NEEDED = ("family", "experiment", "options", "identity", "checkpoints", "status")
_DICT = ("an object", lambda value: isinstance(value, dict))
_KEYS = {
    "family": ("text", lambda value: isinstance(value, str)),
    "experiment": ("text", lambda value: isinstance(value, str)),
    "options": _DICT,
    "identity": ("text", lambda value: isinstance(value, str)),
    "status": (f"one of {', '.join(_STATUSES)}", lambda value: value in _STATUSES),
    "details": _DICT,
    "tested": ("an object of lists of numbers", _is_table),
    "versions": _DICT,
    "resumed": ("a list of objects", _is_list(dict)),
    "extended": ("a list of objects with option, from", _is_list(dict, _is_extension)),
    "parts": ("a list of objects", _is_list(dict)),
    "blas": (f"a list of objects with {', '.join(_OF_BLAS)}", _is_list(dict, lambda item: item.keys() >= {*_OF_BLAS})),
    "checkpoints": ("a list of names of files", _is_list(str, _is_name)),
    "metrics": ("the length of metrics.csv and its checksum", _is_mark),
}
