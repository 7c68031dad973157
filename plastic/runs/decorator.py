"""From a function to a command: `experiment` adds to a function what every experiment has.

    @experiment("gle", draw={"mnist1d": figures.accuracy}, restore=restore, length="max_epochs")
    def mnist1d(run, *, architecture: Literal["plastic_e2e", "static_lagnet"] = "plastic_e2e", max_epochs: int = 150):
        \"\"\"Classify MNIST-1D, one sample a step.

        Args:
            architecture: the network.
            max_epochs: epochs to train.
        \"\"\"
        require.whole("max_epochs", max_epochs)
        ...
        training.fit(run, state, source, step, steps=..., ...)
        return [f"test accuracy {accuracy:.2f} %"]

The body gets typed values and a `NewRun`, checks its own options first, and trains by `fit`. The folder is claimed when
`fit` (or `run.begin`) begins the work, so a body that refuses has written nothing. What it returns is printed after
all else is saved. A body whose work is no training calls `run.begin()` before it, and `run.log`, `run.save_arrays`.

The command takes the options of the body and those that all share, documented once in `SHARED`. Figures are functions
of a list of runs: they draw what the folders hold, of one run after its training, of several by the command `figure`.
"""

import collections
import contextlib
import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from plastic import system, terminal, xp
from plastic.errors import PlasticError
from plastic.runs.folder import Run, results_folder, seed_names
from plastic.runs.surroundings import environment

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

_NOT_KEPT = ("device", "threads", "results", "name", "resume", "plot", "dry_run")  # none changes what is computed
_MOST = 10**12
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
        taken = {name: _tuples(options[name]) for name in self.own}
        for name, record in self.records.items():
            fields = {field.name: taken.pop(field.name) for field in dataclasses.fields(record)}
            taken[name] = record(**fields)
        return taken


def experiment(
    family: str,
    *,
    draw: dict[str, Callable[..., Any]] | None = None,
    restore: Callable[..., Any] | None = None,
    length: str | None = None,
    readable: str | Callable[..., str] = "{seeds}",
    seed: int | None = 1,
    seeds: tuple[int, ...] | Literal[False] | None = None,
    dtype: str = "float32",
    resume: bool = True,
    spellings: dict[str, Spelling] | None = None,
    aliases: dict[str, dict[Any, Any]] | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that makes a command of an experiment.

    Args:
        family: the package, and the first folder under results/.
        draw: {name of the figure: function of a list of runs that returns it}.
        restore: restore(arrays, **options) -> (network, predict), from the checkpoint; see `plastic.load`.
        length: the option that says how long training is, where a finished run may be extended by it: where nothing
            before the end depends on it.
        readable: the part of the folder's name that tells runs apart, a format string over the options and {seeds},
            or a function of them.
        seed: the default of --seed; None for an experiment without.
        seeds: the default of --seeds; False for an experiment without. A tuple leaves --seed out.
        dtype: the default of --dtype.
        resume: whether a run can be resumed: whether it trains by `fit`.
        spellings: published names of shared options.
        aliases: {option: {published value: ours}}, of options of the body, which gets ours.
        name: of the experiment; by default that of the function.

    Returns:
        A decorator of `body(run, *, options)`; the command it makes returns the run folder.

    Raises:
        TypeError: if an option of the body is one of the shared.
    """
    shared: dict[str, Any] = {} if seed is None or isinstance(seeds, tuple) else {"seed": seed}
    shared |= {} if seeds is False else {"seeds": seeds}
    shared |= {"dtype": dtype, "device": None, "threads": 1, "results": None, "name": None}
    shared |= ({"resume": None} if resume else {}) | ({"plot": True} if draw else {}) | {"dry_run": False}

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        own, records = _own(body)
        if clash := sorted(own.keys() & SHARED.keys()):
            raise TypeError(f"{body.__name__}: {', '.join(clash)} are options that all experiments share")
        called = name or body.__name__
        record = Experiment(
            family,
            called,
            body,
            draw or {},
            restore,
            length,
            readable,
            own,
            shared,
            spellings or {},
            aliases or {},
            records,
        )
        EXPERIMENTS[family, called] = record

        def command(*words: Any, **given: Any) -> Path | None:
            return _run(record, dict(zip(own, words, strict=False)) | given)

        command.__name__ = command.__qualname__ = called
        command.__module__ = body.__module__
        command.__doc__ = _documented(record)
        command.__signature__ = _signature(record)  # type: ignore[attr-defined]
        command.experiment = record  # type: ignore[attr-defined]
        return command

    return decorate


class NewRun(Run):
    """The run of an experiment that is about to begin: until `begin` it has options, but no folder.

    Attributes:
        options: all options of the command.
        seeds: of the replicas, a tuple.
    """

    def __init__(self, record: Experiment, options: dict[str, Any], extension: bool, dry_run: bool) -> None:
        self.record, self.options, self.extension, self.dry_run = record, options, extension, dry_run
        self.family, self.experiment = record.family, record.name
        self._lock = None

    def generators(self) -> list[Any]:
        """Return the random generators of every seed, by purpose; see `xp.generator`."""
        return [xp.generator(seed) for seed in self.seeds]

    def fill(self, **values: Any) -> None:
        """Write down what options that were left to the experiment, or to its data, have become.

        They belong to the identity of the run. Raises PlasticError where the run to resume has others.
        """
        if self.options.get("resume"):
            kept = Run(self.options["resume"]).options
            for name, value in values.items():
                if _plain(value) != kept.get(name, _plain(value)) and not (
                    self.extension and name == self.record.length
                ):
                    raise PlasticError(f"{name} is {value!r}, but the run to resume has {kept[name]!r}")
        self.options |= values

    def count_seeds(self, count: int) -> None:
        """Take so many seeds, from the option `seed` on (from 1 where there is none), unless seeds were given."""
        if self.options["seeds"] is None:
            first = self.options.get("seed", 1)
            self.fill(seeds=tuple(range(first, first + count)))
            _check_seeds(self.seeds)

    def expect(self, entries: int, **options: Any) -> None:
        """Say how large the work will be, before it is begun, so that what cannot be is refused at once.

        Args:
            entries: numbers that arrays will hold, in all, at least.
            options: those that set the size, for the message.

        Raises:
            PlasticError: if the arrays do not fit the free memory.
        """
        named = ", ".join(f"{name} {_shown(value)}" for name, value in options.items())
        needed, free = entries * xp.float_dtype.itemsize, system.free_memory()
        if needed > free:
            raise PlasticError(
                f"{named} need {needed / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB are free: take smaller ones"
            )

    @property
    def resuming(self) -> bool:
        """Whether the run goes on from a checkpoint, in which its arrays are."""
        return bool(self.options.get("resume")) and Run(self.options["resume"]).has_checkpoint()

    @property
    def length_before(self) -> Any:
        """How long the run to extend was, by the option that says so; None where none is extended."""
        return Run(self.options["resume"]).options[str(self.record.length)] if self.extension else None

    @property
    def begun(self) -> bool:
        """Whether the run has its folder."""
        return self._lock is not None

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Claim the folder of the run, or take that of the run to resume; a dry run ends here.

        steps, trial, parts: for the forecast of a dry run: the steps of training; a function that takes a few and
            returns the seconds that one needs; the parts that a grid has.
        """
        if self.begun:
            return super().begin(parts=parts)
        if steps is not None and steps >= _MOST:
            named = (
                f"{self.record.length} {self.options[self.record.length]} makes" if self.record.length else "these are"
            )
            raise PlasticError(f"{named} {steps:,} steps, which would never end")
        if self.dry_run:
            raise DryRun(self._forecast(steps, trial, len(parts) or 1))
        if self.options.get("resume"):
            if self.extension:
                Run(self.options["resume"]).require_extensible()
            run = Run.resume(self.options["resume"])
            if self.extension and self.record.length is not None:
                run.extend(self.record.length, self.options[self.record.length])
        else:
            kept = {name: value for name, value in self.options.items() if name != "dry_run"}
            results = results_folder(self.options["results"])
            run = Run.create(results, self.family, self.experiment, kept, self._readable())
        vars(self).update(vars(run))
        self.growing = self.extension
        super().begin(parts=parts)

    def _readable(self) -> str:
        if self.options["name"] is not None:
            return self.options["name"]
        words = collections.defaultdict(
            str, self.options | {"seeds": seed_names(self.seeds) if _has_seeds(self) else ""}
        )
        if isinstance(self.record.readable, str):
            return self.record.readable.format_map(words)
        return self.record.readable(**words)

    def _forecast(self, steps: int | None, trial: Callable[[], float] | None, parts: int) -> list[str]:
        own = [
            f"{name} = {_shown(self.options[name])}"
            for name in [*self.record.own, *self.record.shared]
            if name in self.options
        ]
        folder = Run.planned(
            results_folder(self.options["results"]), self.family, self.experiment, self.options, self._readable()
        )
        lines = [*own, f"folder {folder}" + (" exists: a number would be appended" if folder.exists() else "")]
        if steps is None or trial is None:
            return lines
        seconds = trial()
        total = f"{steps:,} steps" if parts == 1 else f"{parts} parts of about {steps:,} steps"
        time = _duration(steps * seconds * parts)
        lines.append(f"{total}, {1e3 * seconds:.3g} ms a step here: about {time}, evaluations apart")
        return [*lines, f"memory {_peak_memory()} MB at its peak so far"]


class DryRun(Exception):
    """Ends the body of a dry run; holds the lines to print."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines


def draw_figures(record: Experiment, run: Run) -> None:
    """Draw the figures of a run into its folder; those that cannot be drawn are one warning.

    Args:
        record: the experiment.
        run: its run, which is finished.
    """
    from plastic import plotting

    failed = {}
    for name, function in record.draw.items():
        try:
            plotting.save(function([run]), run.folder / f"{name}.png")
        except Exception as error:  # whatever is wrong with a figure, the run is saved and good
            failed[name] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if failed:
        what = f"not drawn: {', '.join(failed)} ({next(iter(failed.values()))})"
        terminal.warn(f"warning: {what}; draw later by: python -m plastic.{run.family} figure {run.folder}")


def _run(record: Experiment, given: dict[str, Any]) -> Path | None:
    given = _canonical(record, given)
    extension = False
    if given.get("resume") is not None:
        options, extension = _resumed(record, given)
    else:
        missing = [name for name in record.own if name not in record.defaults and name not in given]
        if missing:
            raise PlasticError(f"{missing[0]} is missing")
        options = {name: value for name, value in (record.defaults | given).items()}
    dry_run = options.pop("dry_run")
    run = NewRun(record, options, extension, dry_run)
    if _has_seeds(run):
        _check_seeds(run.seeds)
    _require_numbers_in_range(record, options)
    with environment(options["device"], options["dtype"], options["threads"]):
        try:
            lines = record.body(run, **record.arguments(options)) or []
            if not run.begun:
                raise TypeError(f"{record.name} has neither called fit nor run.begin")
            run.status("finished", **run.config.get("details", {}))
        except DryRun as forecast:
            for line in forecast.lines:
                terminal.say(line)
            return None
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(str(stop) or _interrupted(run)) from None
        except Exception as error:
            _failed(run, error)
            if _is_too_large(error):
                raise PlasticError(_too_large(record, options, str(error) or "out of memory")) from None
            raise
        finally:
            run.close()
    try:
        if options.get("plot"):
            draw_figures(record, run)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted while drawing; the run is finished and saved: {run.folder}") from None
    for line in [*lines, f"run folder {run.folder}"]:
        terminal.say(line)
    return run.folder


def _failed(run: NewRun, error: Exception) -> None:
    """Write down, where that is possible, that a run has ended by an error."""
    if run.begun and run.config["status"] == "running":
        with contextlib.suppress(PlasticError):
            run.status("failed", **run.config.get("details", {}), error=f"{type(error).__name__}: {error}")


def _is_too_large(error: Exception) -> bool:
    """Whether an error says that arrays, lists or numbers do not fit the machine."""
    if isinstance(error, MemoryError | OverflowError):
        return True
    return isinstance(error, ValueError) and bool(
        re.search("[Mm]aximum (allowed|supported) |too (big|large)", str(error))
    )


def _too_large(record: Experiment, options: dict[str, Any], reason: str) -> str:
    """Return the message of a run that does not fit the machine: it names the options with the largest numbers."""
    sizes = {
        name: max(_plain(value) if isinstance(value, tuple) else [value], default=0)
        for name, value in record.arguments(options).items()
        if isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(each, int) for each in value))
    }
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
    named = ", ".join(f"{name} {_shown(options[name])}" for name in largest)
    return f"this does not fit the memory ({' '.join(reason.split())}); take smaller numbers, of {named}"


def _require_numbers_in_range(record: Experiment, options: dict[str, Any]) -> None:
    for name in record.own:
        for value in options[name] if isinstance(options[name], tuple) else (options[name],):
            if isinstance(value, int) and abs(value) >= _MOST:
                raise PlasticError(f"{name} is {value}; whole numbers are below {_MOST:,}")


def _interrupted(run: NewRun) -> str:
    """Write down that a run was interrupted; return what to tell the user."""
    if not run.begun:
        return "interrupted; nothing was written"
    if run.config["status"] == "running":
        run.status("interrupted", **run.config.get("details", {}))
    if "resume" in run.record.shared:
        return f"interrupted; go on with --resume={run.folder}"
    return f"interrupted; {run.folder} is not finished, and is begun anew by the same command"


def _canonical(record: Experiment, given: dict[str, Any]) -> dict[str, Any]:
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


def _resumed(record: Experiment, given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the options of the run to resume, and whether it is to be extended; what differs from them is refused."""
    run = Run(given["resume"])
    if (run.family, run.experiment) != (record.family, record.name):
        raise PlasticError(
            f"{run.folder} is a run of {run.family} {run.experiment}; plastic.{record.family} cannot resume it as "
            f"{record.name}"
        )
    kept = {name: _tuples(value) for name, value in (record.defaults | run.options).items()}
    extension = False
    for name, value in given.items():
        if name in _NOT_KEPT or _plain(value) == _plain(kept[name]):
            continue
        if name == record.length and kept[name] is not None and value > kept[name]:
            extension = True
            kept[name] = value
            continue
        longer = (
            f"; it can be extended by a larger {name}" if name == record.length else "; a resumed run keeps its options"
        )
        raise PlasticError(f"{name} is {value!r}, but the run to resume has {kept[name]!r}{longer}")
    here = {name: given.get(name, record.shared[name]) for name in _NOT_KEPT if name in record.shared}
    return kept | here, extension


def _own(body: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
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


def _signature(record: Experiment) -> inspect.Signature:
    named = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, named, default=d, annotation=SHARED[n][0]) for n, d in record.shared.items()]
    published = [inspect.Parameter(n, named, default=s.default, annotation=s.kind) for n, s in record.spellings.items()]
    return inspect.Signature(sorted([*record.own.values(), *shared, *published], key=lambda each: each.kind))


def _documented(record: Experiment) -> str:
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


def _check_seeds(seeds: tuple[int, ...]) -> None:
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= 2**31:
        raise PlasticError(f"seeds are {list(seeds)}; they must be different whole numbers from 0 to {2**31 - 1}")


def _has_seeds(run: NewRun) -> bool:
    return run.options.get("seeds") is not None or "seed" in run.options


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _peak_memory() -> str:
    try:
        import resource
    except ImportError:  # Windows
        return "unknown"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:,.0f}"
