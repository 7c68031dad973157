"""The strict command line: a function with typed, documented options is a command.

`run(train, prog="plastic.gait")`, or `run({"get": get, "show": show}, prog="plastic.data")`, is all that a
`__main__.py` does. `parse` turns the words of the command line into typed values before anything else happens, so a
misspelt name or a wrong type costs nothing. Only canonical tokens, `--name=repr(value)`, reach Fire, which makes the
call and writes the help. This is the only file that knows Fire.

A parameter may be annotated as bool, int, float, str, Literal[...], tuple[int, ...] (or float, str), or a union of
these and None. One that is not keyword-only is given by position or by name; all others are options.

    --name=VALUE, --name VALUE   one dash or two, hyphens and underscores alike, the whole name; each option once
    --flag, --no-flag, --noflag  a boolean takes no word after it; --flag=false (true, yes, no, 1, 0) says it too
    --list=10,512,784            also "10 512 784", (10,512,784), [10,512,784], and bare: --list 10 512 784
    my-command                   is my_command, too
    none                         is None where the annotation allows None
    100, -3                      an integer is digits alone: not 1e2, 100.0 or 1_000; a float is finite

Nothing that is typed is evaluated: --dataset=123 is "123". A text that starts with '-' is written with '='.
"""

import collections
import contextlib
import dataclasses
import difflib
import functools
import inspect
import io
import math
import os
import re
import shlex
import signal
import sys
import textwrap
import threading
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from plastic import terminal
from plastic.errors import PlasticError

Commands: TypeAlias = Callable[..., Any] | Mapping[str, Any]

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
_HELP = ("-h", "--help")


def run(
    commands: Commands,
    argv: Iterable[str] | None = None,
    prog: str | None = None,
    default: str | None = None,
    by: str | None = None,
    spellings: dict[str, str] | None = None,
) -> None:
    """Run a command line; where it fails, leave the process with an exit code.

    Exit codes: 2 for a PlasticError of `parse` or of the function, shown as one line `error: ...` on stderr; 130 for
    an interruption from the keyboard; 141 if the reader of the output went away. Any other exception is a bug and keeps
    its traceback.

    Args:
        commands: a function, or a dict from the names of commands to functions; what the function returns is dropped.
        argv: the words after the name of the program; those of the process by default.
        prog: the name of the program, for the help.
        default: the command of a line that names none.
        by: an option that may name the command, too: --action=train.
        spellings: {published name of a command: ours}.
    """
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        with _interruptions():
            _serve(commands, words, prog or os.path.basename(sys.argv[0]), default, by, spellings or {})
            if sys.stdout is not None:
                sys.stdout.flush()
    except PlasticError as error:
        _leave(2, f"error: {error}")
    except KeyboardInterrupt as stop:
        _leave(130, str(stop) or "interrupted")
    except BrokenPipeError:
        terminal.silence(sys.stdout)
        sys.exit(141)


def parse(function: Callable[..., Any], argv: Iterable[str]) -> dict[str, Any]:
    """Return what the words of a command line give for the parameters of a function.

    Args:
        function: its annotations are the types, its defaults what may be left out.
        argv: the words.

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
            option, text = _named(named[1], named[2], named[3], options)
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


def _named(typed, key, text, options):
    """Return the option that is typed, and its text: "true" or "false" for a flag, None if it is yet to come."""
    name = key.replace("-", "_")
    if name in options:
        option = options[name]
        return option, "true" if text is None and bool in option.kinds else text
    flags = [option.name for option in options.values() if bool in option.kinds]
    denied = name.removeprefix("no").removeprefix("_")
    if name.startswith("no") and denied in flags:
        if text is not None:
            raise PlasticError(f"{typed} takes no value; write --{denied}=true or --{denied}=false")
        return options[denied], "false"
    near = _suggestion(name, [*options, *(f"no_{flag}" for flag in flags)], "--")
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
    """Take the text of an option from the words that follow: one, or as many as read as elements of its tuple."""
    if not words or not _may_follow(option, words[0]):
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
    near = _suggestion(text, map(str, option.choices))
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


def _suggestion(wrong, known, dashes=""):
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), lower, n=1)
    return f"; did you mean {dashes}{lower[near[0]]}?" if near else ""


def _serve(commands, argv, prog, default, by, spellings):
    if isinstance(commands, dict):
        if argv and argv[0] in _HELP:
            return print(_help_on_all(commands, prog, default))
        name, argv = _command(argv, by)
        typed = name or "".join(argv[:1])
        wrong = f"{typed!r} is not a command{_suggestion(typed, commands)}" if typed else "no command is given"
        name = spellings.get(name, name or default or "").replace("-", "_")
        if name not in commands:
            raise PlasticError(f"{wrong}; {prog} takes {' | '.join(commands)}")
        commands, prog = commands[name], f"{prog} {name}"
    if any(word in _HELP for word in argv):
        return print(_help(_component(commands), prog))
    values = parse(commands, argv)
    import fire

    fire.Fire(_component(commands), command=[f"--{name}={value!r}" for name, value in values.items()], name=prog)


def _command(argv, by):
    """Return the name of the command in a line, or "", and the words without it."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    for place, word in enumerate(argv):
        named = _OPTION.fullmatch(word)
        if named and by and named[2].replace("-", "_") == by:
            taken = 1 if named[3] is not None else 2
            value = named[3] if named[3] is not None else "".join(argv[place + 1 : place + 2])
            if not value:
                raise PlasticError(f"--{by} lacks its value")
            return value, argv[:place] + argv[place + taken :]
    return "", argv


def _component(function):
    """Return the function as Fire shall see it: types in words, and no result to print or to look into."""

    @functools.wraps(function)
    def component(*arguments, **options):
        function(*arguments, **options)

    vars(component).clear()  # Fire would show what a function carries as commands of its own
    options, parameters = _options(function), inspect.signature(function).parameters.values()
    # Fire prints the name of an annotated class
    typed = [p.replace(annotation=type(options[p.name].wanted, (), {})) for p in parameters]
    component.__signature__ = inspect.Signature(typed)
    text, heading, arguments = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    # each argument on one line, since Fire takes a continuation that holds a colon for another argument
    component.__doc__ = text + heading + re.sub(r"\n {5,}(?=\S)", " ", arguments)
    return component


def _help_on_all(commands, prog, default):
    """Return the help on a family: its commands, or the default one in full and the others after it."""
    if default is None:
        return _help({name: _component(function) for name, function in commands.items()}, prog)
    others = [
        f"     {prog} {name}\n       {(inspect.getdoc(function) or '').splitlines()[0]}"
        for name, function in commands.items()
        if name != default
    ]
    return "\n".join([_help(_component(commands[default]), prog), "", "OTHER COMMANDS", *others])


def _help(component, prog):
    import fire
    import fire.helptext

    fire.helptext.LINE_LENGTH = 1000  # Fire cuts types and defaults at half of this; the lines are wrapped below
    shown = io.StringIO()  # no terminal, hence no pager
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), contextlib.suppress(SystemExit):
        fire.Fire(component, command=["--", "--help"], name=prog)
    text = shown.getvalue().rstrip().replace(shlex.quote(prog), prog)
    text = re.sub(r"^( +)-\w, --", r"\1--", text, flags=re.MULTILINE)  # Fire's one-letter names are not ours
    text = re.sub(r"--(\w+)=\w+(?=\n +Type: true or false)", r"--\1, --no_\1", text)
    text = re.sub(r"Optional\[(.*)\]$", r"\1", text, flags=re.MULTILINE)
    indents = [(line.strip(), re.match(" *", line)[0]) for line in text.splitlines()]
    return "\n".join(textwrap.fill(line, 120, initial_indent=i, subsequent_indent=i) for line, i in indents)


def _leave(code, message):
    terminal.warn(" ".join(message.splitlines()))
    sys.exit(code)


@contextlib.contextmanager
def _interruptions():
    """Make SIGTERM and SIGHUP what Ctrl-C is, at any moment of a command."""

    def interrupt(signum, frame):
        terminal.interruption.set()  # C code may swallow the exception; training asks for the event, too
        raise KeyboardInterrupt

    terminal.interruption.clear()

    if threading.current_thread() is not threading.main_thread():
        yield  # Python takes signals in the main thread only
        return
    names = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {each: signal.signal(each, interrupt) for each in names if signal.getsignal(each) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        terminal.interruption.clear()
