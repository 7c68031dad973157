"""The run of an experiment before it has its folder, and the forecast of a dry run."""

import collections
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plastic import interruption, system, xp
from plastic.errors import PlasticError
from plastic.runs.folder import Run
from plastic.runs.naming import planned, results_folder, seed_names
from plastic.runs.record import Experiment, plain

_MOST_STEPS = 10**10  # of a microsecond each they take hours, and none is as short
_SEEDS = 2**32  # that there are


class NewRun(Run):
    """The run of an experiment that is about to begin: until `begin` it has options, but no folder.

    Attributes:
        options: all options of the command.
        seeds: of the replicas, a tuple.
        rates: the learning rates of the seeds, where each has its own; see `SideBySide`.
    """

    rates: tuple[Any, ...] = ()

    def __init__(self, record: Experiment, options: dict[str, Any], extension: bool, dry_run: bool) -> None:
        self.record, self.options, self.extension, self.dry_run = record, options, extension, dry_run
        self.family, self.experiment = record.family, record.name
        self._lock = None

    def generators(self) -> list[Any]:
        """Return the random generators of every seed, by purpose; see `xp.generator`."""
        return [xp.generator(seed) for seed in self.seeds]

    def rate(self, name: str) -> Any:
        """Return an option that is a learning rate: a number, or (replicas, 1, 1) where each replica has its own."""
        return self.options[name]

    def require_seeds(self) -> None:
        """Require seeds that generators take."""
        if has_seeds(self):
            check_seeds(self.seeds)

    def require_used(self, **without: str | bool) -> None:
        """Refuse options that are not their defaults, but would do nothing beside the others.

        Args:
            without: {option: what it does nothing without, as it is typed, or False where it does something}.

        Raises:
            PlasticError: naming the first such option; not in a run that is resumed, which keeps its options.
        """
        for name, needed in without.items() if not self.options.get("resume") else ():
            if needed and self.options[name] != self.record.defaults[name]:
                given = f"{name} is {shown(self.options[name])}"
                raise PlasticError(f"{given}, which does nothing without {needed}; leave it out")

    def fill(self, **values: Any) -> None:
        """Write down what options that were left to the experiment, or to its data, have become.

        They belong to the identity of the run. Raises PlasticError where the run to resume has others.
        """
        if self.options.get("resume"):
            kept = Run(self.options["resume"]).options
            for name, value in values.items():
                if plain(value) != kept.get(name, plain(value)) and not (self.extension and name == self.record.length):
                    raise PlasticError(f"{name} is {value!r}, but the run to resume has {kept[name]!r}")
        self.options |= values

    def count_seeds(self, count: int) -> None:
        """Take so many seeds, from the option `seed` on (from 1 where there is none), unless seeds were given."""
        if self.options["seeds"] is None:
            self.fill(seeds=self.successive_seeds(count))

    def successive_seeds(self, count: int) -> tuple[int, ...]:
        """Return so many seeds, from the option `seed` on. Raises PlasticError where generators do not take all."""
        first = self.options.get("seed", 1)
        if first + count > _SEEDS:
            raise PlasticError(
                f"seed is {first}, and {count} seeds are counted from there, but the largest is {_SEEDS - 1}: take a "
                f"seed up to {_SEEDS - count}"
            )
        return tuple(range(first, first + count))

    def expect(self, entries: float, **options: Any) -> None:
        """Say how large the work will be, before it is begun, so that what cannot be is refused at once.

        Args:
            entries: numbers that arrays will hold, in all, at least.
            options: those that set the size, for the message.

        Raises:
            PlasticError: if the arrays do not fit the free memory.
        """
        named = ", ".join(f"{name} {shown(value)}" for name, value in options.items())
        needed, free = entries * xp.float_dtype.itemsize, system.free_memory()
        if needed > free:
            raise PlasticError(
                f"{named} need {needed / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB are free: take smaller ones"
            )

    @property
    def to_resume(self) -> str:
        """What goes on with the run once it is interrupted, for a message."""
        return f"--resume={self.folder}"

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
        if steps is not None and steps >= _MOST_STEPS:
            named = (
                f"{self.record.length} {self.options[self.record.length]} makes" if self.record.length else "these are"
            )
            raise PlasticError(f"{named} {steps:,} steps, which would never end")
        if self.extension:
            Run(self.options["resume"]).require_extensible()
        if self.dry_run:
            raise DryRun(self._forecast(steps, trial, parts))
        with interruption.deferred():  # a folder is never without a run that knows of it
            vars(self).update(vars(self._claimed()))
        self.growing = self.extension
        super().begin(parts=parts)

    def _claimed(self) -> Run:
        """Return the run of a new folder, or that of the run to resume."""
        if not self.options.get("resume"):
            kept = {name: value for name, value in self.options.items() if name != "dry_run"}
            results = results_folder(self.options["results"])
            return Run.create(results, self.family, self.experiment, kept, self._readable())
        run = Run.resume(self.options["resume"])
        if self.extension and self.record.length is not None:
            run.extend(self.record.length, self.options[self.record.length])
        return run

    def _readable(self) -> str:
        if (name := self.options["name"]) is not None:
            if name and not any(letter.isascii() and letter.isalnum() for letter in name):
                raise PlasticError(
                    f"name is {name!r}; folders are named by a to z, A to Z and 0 to 9: take some of them"
                )
            return name
        words = collections.defaultdict(
            str, self.options | {"seeds": seed_names(self.seeds) if has_seeds(self) else ""}
        )
        if isinstance(self.record.readable, str):
            return self.record.readable.format_map(words)
        return self.record.readable(**words)

    def _forecast(
        self, steps: int | None, trial: Callable[[], float] | None, parts: Sequence[dict[str, Any]]
    ) -> list[str]:
        own = [
            f"{name} = {shown(self.options[name])}"
            for name in [*self.record.own, *self.record.shared]
            if name in self.options
        ]
        lines = [*own, f"folder {self._place()}"]
        if steps is None or trial is None:
            return lines
        seconds, taken = trial(), self._taken(parts)
        total = f"{len(parts)} parts of about {steps:,} steps" if parts else f"{steps:,} steps"
        done = f", of which {taken:,} are done" if taken else ""
        time = _duration((steps * (len(parts) or 1) - taken) * seconds)
        lines.append(f"{total}{done}, {1e3 * seconds:.3g} ms a step here: about {time}, evaluations apart")
        return [*lines, f"memory {_peak_memory()} MB at its peak so far"]

    def _place(self) -> str:
        """Return the folder of the run, and what would become of it."""
        if self.options.get("resume"):
            return f"{Run(self.options['resume']).folder} goes on"
        results = results_folder(self.options["results"])
        folder = planned(results, self.family, self.experiment, self.options, self._readable())
        return f"{folder} exists: a number would be appended" if os.path.lexists(folder) else str(folder)

    def _taken(self, parts: Sequence[dict[str, Any]]) -> int:
        """Return how many steps the run to resume has taken, in all its parts."""
        if not self.options.get("resume"):
            return 0
        run = Run(self.options["resume"])
        every = list(run.parts(parts)) if parts else [run]
        return sum(part.read_checkpoint()[1]["step"] for part in every if part.has_checkpoint())


class SideBySide(NewRun):
    """The run of points of a sweep whose seeds have each a learning rate of its own, or a list of them in a grid.

    rates: of the seeds, of which `options` have that of the first; empty where all have what `options` say.
    """

    def __init__(
        self, record: Experiment, options: dict[str, Any], extension: bool, dry_run: bool, rates: tuple[Any, ...]
    ) -> None:
        super().__init__(record, options, extension, dry_run)
        self.rates = rates

    def rate(self, name: str) -> Any:
        """Return the rates of the replicas; see `NewRun.rate`."""
        return xp.asarray(np.array(self.rates, dtype=xp.float_dtype).reshape(-1, 1, 1))

    def require_seeds(self) -> None:
        """Require nothing: replicas with other rates may have the same seed."""


class Rehearsal(NewRun):
    """A run that ends where its work would begin: what is refused before that, is."""

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """End the body; see `NewRun.begin`."""
        raise DryRun([])


class DryRun(Exception):
    """Ends the body of a dry run; holds the lines to print."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines


def has_seeds(run: NewRun) -> bool:
    """Whether the experiment of a run has seeds."""
    return run.options.get("seeds") is not None or "seed" in run.options


def shown(value: Any) -> str:
    """Return the value of an option as it is typed."""
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


def check_seeds(seeds: tuple[int, ...]) -> None:
    """Require different seeds that generators take, one at least."""
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= _SEEDS:
        raise PlasticError(f"seeds are {list(seeds)}; they must be different whole numbers from 0 to {_SEEDS - 1}")
