"""What is known of an experiment: its body, options and figures; the options that all experiments share."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any, Literal

SHARED = {
    "seed": (int, "seed of everything random."),
    "seeds": (
        tuple[int, ...] | None,
        "several seeds, trained side by side in one run as replicas; replaces seed.",
    ),
    "dtype": (Literal["float32", "float64"], "working precision."),
    "device": (
        str | None,
        "cpu; gpu or the number of a GPU; or auto, which is the GPU where CuPy works and else the CPU. By default "
        "PLASTIC_DEVICE or cpu.",
    ),
    "threads": (int, "BLAS threads; more than one pays on a quiet machine only."),
    "results": (str | None, "folder of the run folders; by default PLASTIC_RESULTS or ./results."),
    "name": (str | None, "what the name of the run folder says, instead of the main options."),
    "resume": (str | None, "a run folder to continue; it keeps its options."),
    "plot": (bool, "draw the figures at the end."),
    "dry_run": (bool, "print the options, the folder, memory, steps and time, and write nothing."),
}
"""The options that all experiments share, with their types and what they mean."""
MOST = 10**12
"""Whole numbers, and steps, are below."""
EXPERIMENTS: dict[tuple[str, str], "Experiment"] = {}
"""The experiments that have been imported, by family and name."""


@dataclasses.dataclass(frozen=True)
class Spelling:
    """A published name of a shared option.

    option: ours, or None where the published option has no effect. kind, default: of the published one.
    convert: from its value to ours.
    """

    option: str | None
    kind: Any
    default: Any
    meaning: str
    convert: Callable[[Any], Any] = lambda value: value


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is known of an experiment; see `experiment`."""

    family: str
    name: str
    body: Callable[..., Any]
    draw: dict[str, Callable[..., Any]]
    restore: Callable[..., Any] | None
    length: str | None
    readable: str | Callable[..., str]
    own: dict[str, inspect.Parameter]
    shared: dict[str, Any]
    together: bool | Callable[..., bool]
    spellings: dict[str, Spelling]
    aliases: dict[str, dict[Any, Any]]
    records: dict[str, Any]

    @property
    def defaults(self) -> dict[str, Any]:
        """The options with a default, and it."""
        own = {name: p.default for name, p in self.own.items() if p.default is not p.empty}
        return own | self.shared

    def arguments(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the body takes of the options; a frozen record of options is built from its fields."""
        taken = {name: tuples(options[name]) for name in self.own}
        for name, record in self.records.items():
            fields = {field.name: taken.pop(field.name) for field in dataclasses.fields(record)}
            taken[name] = record(**fields)
        return taken


def own_options(body: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Return the options of a body, and the frozen records among its arguments, whose fields are options too."""
    _, *parameters = inspect.signature(body, eval_str=True).parameters.values()
    own: dict[str, inspect.Parameter] = {}
    records = {}
    for parameter in parameters:
        if not dataclasses.is_dataclass(parameter.annotation):
            own[parameter.name] = parameter
            continue
        records[parameter.name] = parameter.annotation
        kinds = typing.get_type_hints(parameter.annotation)
        for field in dataclasses.fields(parameter.annotation):
            given = parameter.default is not parameter.empty  # a record with other defaults than those of its class
            default = getattr(parameter.default, field.name) if given else field.default
            own[field.name] = inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kinds[field.name]
            )
    return own, records


def signature(record: Experiment) -> inspect.Signature:
    """Return the signature of the command of an experiment: its own options, the shared ones, published spellings."""
    named = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, named, default=d, annotation=SHARED[n][0]) for n, d in record.shared.items()]
    published = [inspect.Parameter(n, named, default=s.default, annotation=s.kind) for n, s in record.spellings.items()]
    return inspect.Signature(sorted([*record.own.values(), *shared, *published], key=lambda each: each.kind))


def documented(record: Experiment) -> str:
    """Return the docstring of the body with the shared options after its own, one line each."""
    text = inspect.getdoc(record.body) or ""
    if "Args:\n" not in text:
        text = f"{text}\n\nArgs:\n" if text else "Args:\n"
    before, heading, after = text.partition("Args:\n")
    of_records = [_arguments_of(inspect.getdoc(kind) or "") for kind in record.records.values()]
    text = "".join([before, heading, *of_records, after])
    lines = [f"    {name}: {SHARED[name][1]}" for name in record.shared]
    lines += [f"    {name}: the published spelling: {spelling.meaning}" for name, spelling in record.spellings.items()]
    return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"


def _arguments_of(doc: str) -> str:
    found = re.search(r"Args:\n((?:    .*\n?)*)", doc)
    return found[1].rstrip("\n") + "\n" if found else ""


def plain(value: Any) -> Any:
    """Return a tuple as the list that JSON makes of it; other values as they are."""
    return list(value) if isinstance(value, tuple) else value


def tuples(value: Any) -> Any:
    """Return a list as the tuple that it was before JSON; other values as they are."""
    return tuple(value) if isinstance(value, list) else value
