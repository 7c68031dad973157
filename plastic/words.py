"""The words of a command line as typed values: exact names, strict types, nothing that is typed is evaluated."""

import collections
import contextlib
import dataclasses
import difflib
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from plastic.errors import PlasticError

_OPTION = re.compile(r"(--?([A-Za-z][\w-]*))(?:=(.*))?", re.DOTALL)
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS = {
    types.NoneType: "none",
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    tuple[int, ...]: "integers, as 10,20",
    tuple[float, ...]: "numbers, as 0.1,0.2",
    tuple[str, ...]: "words, as a,b",
    str: "text",
}  # what each is called, in the order in which the members of a union are tried: text takes everything, so it is last


def parse(function: Callable[..., Any], argv: Iterable[str], also: Iterable[str] = ()) -> dict[str, Any]:
    """Return what the words of a command line give for the parameters of a function.

    Args:
        function: its annotations are the types, its defaults what may be left out.
        argv: the words.
        also: options that are taken elsewhere, which a misspelt name may mean.

    Returns:
        {name: value}, of the annotated types; what was not given is left out.

    Raises:
        PlasticError: if a name is unknown or given twice, a value is missing or not of its type, a word belongs to no
            option, or a required argument is absent.
        TypeError: if an annotation of the function is none of those above.

    Example:
        >>> def train(*, rate: float = 0.1, sizes: tuple[int, ...] = (784, 10)): ...
        >>> parse(train, ["--rate=1e-3", "--sizes", "784", "10"])
        {'rate': 0.001, 'sizes': (784, 10)}
    """
    options = _options(function)
    values: dict[str, Any] = {}
    words, previous = collections.deque(argv), None
    while words:
        named = _OPTION.fullmatch(words[0])
        if named:
            words.popleft()
            option, text = _named(named[1], named[2], named[3], options, also)
        else:
            option, text = _positional(words[0], options, values, previous), None
        if option.name in values:
            raise PlasticError(f"{option.label} is given twice")
        values[option.name] = _value(option, _take(option, words) if text is None else text)
        previous = option
    for option in options.values():
        if option.required and option.name not in values:
            raise PlasticError(f"{option.label} is missing; it takes {option.wanted}")
    return values


@dataclasses.dataclass(frozen=True)
class _Option:
    """A parameter of the function. kinds: the members of its annotation, in the order in which they are tried."""

    name: str
    kinds: tuple
    required: bool
    positional: bool

    @property
    def label(self):
        return self.name.upper() if self.positional else f"--{self.name}"

    @property
    def choices(self):
        return [choice for kind in self.kinds if kind not in _KINDS for choice in typing.get_args(kind)]

    @property
    def wanted(self):
        words = [" | ".join(map(str, self.choices))] if self.choices else []
        words += [_KINDS[kind] for kind in self.kinds if kind in _KINDS]
        return " or ".join(sorted(words, key=lambda word: word == "none"))


def _options(function):
    options = {}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        union = typing.get_origin(parameter.annotation) in (typing.Union, types.UnionType)
        members = typing.get_args(parameter.annotation) if union else (parameter.annotation,)
        literals = [kind for kind in members if typing.get_origin(kind) is typing.Literal]
        kinds = literals + [kind for kind in _KINDS if kind in members]
        if len(kinds) < len(members):
            raise TypeError(f"{function.__name__}({parameter}): the command line cannot read this annotation")
        required = parameter.default is parameter.empty
        options[name] = _Option(name, tuple(kinds), required, parameter.kind != parameter.KEYWORD_ONLY)
    return options


def _named(typed, key, text, options, also):
    """Return the option that is typed, and its text: "true" or "false" for a flag, None if it is yet to come."""
    name = key.replace("-", "_")
    if name in options:
        option = options[name]
        return option, "true" if text is None and bool in option.kinds and str not in option.kinds else text
    flags = [option.name for option in options.values() if bool in option.kinds]
    denied = name.removeprefix("no").removeprefix("_")
    if name.startswith("no") and denied in flags:
        if text is not None:
            raise PlasticError(f"{typed} takes no value; write --{denied}=true or --{denied}=false")
        return options[denied], "false"
    near = suggestion(name, [*options, *also, *(f"no_{flag}" for flag in flags)], "--")
    raise PlasticError(f"unknown option {typed}{near or '; --help lists the options'}")


def _positional(word, options, values, previous):
    """Return the argument by position that `word` is for."""
    awaited = [option for option in options.values() if option.positional and option.name not in values]
    if awaited and _may_follow(awaited[0], word):
        return awaited[0]
    if previous is not None and bool in previous.kinds:
        raise PlasticError(f"unexpected {word!r}; a flag takes its value with '=': --{previous.name}={word}")
    after = "" if previous is None else f" after {previous.label}, which takes {previous.wanted}"
    raise PlasticError(f"unexpected {word!r}{after}")


def _may_follow(option, word):
    """Whether a word can be a value without '=': of those that start with '-' only a negative number can."""
    numeric = {int, float, tuple[int, ...], tuple[float, ...]}.intersection(option.kinds)
    return not word.startswith("-") or bool(numeric and re.match(r"-[.0-9]", word))


def _take(option, words):
    """Take the text of an option from the words that follow: one, or as many as read as elements of its tuple.

    One that is a flag or a text needs none.
    """
    if not words or not _may_follow(option, words[0]):
        if bool in option.kinds:
            return "true"
        hint = f"; one that starts with '-' is written --{option.name}={words[0]}" if words else ""
        raise PlasticError(f"{option.label} lacks its value: {option.wanted}{hint}")
    taken = [words.popleft()]
    for kind in option.kinds:
        while typing.get_origin(kind) is tuple and words and _may_follow(option, words[0]):
            try:
                _read(kind, words[0].strip("()[],"))
            except ValueError:
                break
            taken.append(words.popleft())
    return " ".join(taken)


def _value(option, text):
    for kind in option.kinds:
        with contextlib.suppress(ValueError):
            return _read(kind, text)
    near = suggestion(text, map(str, option.choices))
    raise PlasticError(f"{option.label} takes {option.wanted}, not {text!r}{near}")


def _read(kind, text):
    """Return the value of a text as one kind of value; raises ValueError where it is none."""
    if kind is str:
        return text
    if kind is types.NoneType and text.lower() == "none":
        return None
    if kind is bool and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if kind is int and _INT.fullmatch(text):
        return int(text)
    if kind is float and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if typing.get_origin(kind) is tuple:
        return tuple(_read(typing.get_args(kind)[0], item) for item in _items(text.strip()))
    for choice in typing.get_args(kind):
        if str(choice) == text:
            return choice
    raise ValueError(text)


def _items(text):
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1].strip()
        if not text:
            return []
    items = re.split(r"\s*,\s*|\s+", text.removesuffix(",").rstrip())
    if "" in items:
        raise ValueError(text)
    return items


def suggestion(wrong: str, known: Iterable[str], dashes: str = "") -> str:
    """Return what a message asks at its end, "; did you mean --seed?", or "" where nothing is near.

    Args:
        wrong: the name that is unknown.
        known: those that there are.
        dashes: what stands before the name.

    Returns:
        The text.
    """
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), lower, n=1)
    return f"; did you mean {dashes}{lower[near[0]]}?" if near else ""
