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

import contextlib
import functools
import inspect
import io
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from plastic import interruption, startup, terminal
from plastic.errors import PlasticError
from plastic.words import _OPTION, _options, parse, suggestion

Commands: TypeAlias = Callable[..., Any] | Mapping[str, Any]
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
    words = sys.argv[1:] if argv is None else list(argv)
    code, message = 0, ""
    with interruption.raised():
        try:
            _serve(commands, words, prog or os.path.basename(sys.argv[0]), default, by, spellings or {})
            if sys.stdout is not None:
                sys.stdout.flush()
        except PlasticError as error:
            code, message = 2, f"error: {error}"
        except KeyboardInterrupt as stop:
            code, message = startup.EXIT_CODE, str(stop) or "interrupted"
        except BrokenPipeError:
            terminal.silence(sys.stdout)
            code = 141
    if message:
        terminal.warn(message)
    if code:
        sys.exit(code)


def _serve(commands, argv, prog, default, by, spellings):
    if isinstance(commands, dict):
        if argv and argv[0] in _HELP:
            return print(_help_on_all(commands, prog, default, by))
        name, argv = _command(argv, by)
        typed = name or "".join(argv[:1])
        wrong = f"{typed!r} is not a command{suggestion(typed, commands)}" if typed else "no command is given"
        name = spellings.get(name, name or default or "").replace("-", "_")
        if name not in commands:
            raise PlasticError(f"{wrong}; {prog} takes {' | '.join(commands)}")
        commands, prog = commands[name], f"{prog} {name}"
    if any(word in _HELP for word in argv):
        return print(_help(_component(commands), prog))
    values = parse(commands, argv, also=(by,) if by else ())
    import fire

    fire.Fire(_component(commands), command=[f"--{name}={value!r}" for name, value in values.items()], name=prog)


def _command(argv, by):
    """Return the name of the command in a line, or "", and the words without it."""
    first = bool(argv) and not argv[0].startswith("-")
    for place, word in enumerate(argv):
        named = _OPTION.fullmatch(word)
        if named and by and named[2].replace("-", "_") == by:
            if first:
                raise PlasticError(f"{argv[0]} and --{by} both name the command; give one of them")
            taken = 1 if named[3] is not None else 2
            value = named[3] if named[3] is not None else "".join(argv[place + 1 : place + 2])
            if not value:
                raise PlasticError(f"--{by} lacks its value")
            return value, argv[:place] + argv[place + taken :]
    return (argv[0], argv[1:]) if first else ("", argv)


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


def _help_on_all(commands, prog, default, by):
    """Return the help on a family: its commands, or the default one in full and the others after it."""
    if default is None:
        return _help({name: _component(function) for name, function in commands.items()}, prog)
    others = [
        f"     {prog} {name}\n       {(inspect.getdoc(function) or ' ').splitlines()[0]}"
        for name, function in commands.items()
        if name != default
    ]
    heading = "OTHER COMMANDS" + (f" (also named by --{by}=COMMAND)" if by else "")
    return "\n".join([_help(_component(commands[default]), prog), "", heading, *others])


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
