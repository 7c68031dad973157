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

import contextlib
import functools
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from plastic import data, terminal
from plastic.errors import PlasticError, told
from plastic.runs.folder import Run
from plastic.runs.given import canonical, require_numbers_in_range, resumed, typed
from plastic.runs.new_run import DryRun, NewRun, Rehearsal, SideBySide, shown
from plastic.runs.record import EXPERIMENTS, SHARED, Experiment, Spelling, documented, own_options, plain, signature
from plastic.runs.surroundings import environment


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
    together: bool | Callable[..., bool] = False,
    rate: str | None = None,
    spellings: dict[str, Spelling] | None = None,
    aliases: dict[str, dict[Any, Any]] | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that makes a command of an experiment.

    Args:
        family: the package, and the first folder under results/.
        draw: {name of the figure: function of a list of runs that returns it, or None where there is nothing to show}.
        restore: restore(arrays, **options) -> (network, predict), from the checkpoint; see `plastic.load`.
        length: the option that says how long training is, where a finished run may be extended by it: where nothing
            before the end depends on it.
        readable: the part of the folder's name that tells runs apart, a format string over the options and {seeds},
            or a function of them.
        seed: the default of --seed; None for an experiment without.
        seeds: the default of --seeds; False for an experiment without. A tuple leaves --seed out.
        dtype: the default of --dtype.
        resume: whether a run can be resumed: whether it trains by `fit`.
        together: whether seeds that are trained in one run take clearly less time than runs of their own, so that a
            sweep trains its seeds so; or a function of the options that says when. All that differs between seeds must
            be in their state and in the generators of their batches, and none may end early.
        rate: the option that is a learning rate, where replicas may have each its own: `run.rate` gives it to the body.
            A sweep then trains points together that differ in it, too. In a grid, whose replicas have the shape (seeds,
            rates), it is the option with a list of them, and `run.rates` has a list for each of the seeds.
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
        own, records = own_options(body)
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
            together,
            rate,
            spellings or {},
            aliases or {},
            records,
        )
        EXPERIMENTS[family, called] = record

        taken = signature(record)

        def command(*words: Any, **given: Any) -> Path | None:
            return _run(record, typed(taken.parameters, taken.bind_partial(*words).arguments | given))

        command.__name__ = command.__qualname__ = called
        command.__module__ = body.__module__
        command.__doc__ = documented(record)
        command.__signature__ = taken  # type: ignore[attr-defined]
        command.experiment = record  # type: ignore[attr-defined]
        return command

    return decorate


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
            if (figure := function([run])) is not None:
                plotting.save(figure, run.folder / f"{name}.png")
        except Exception as error:  # whatever is wrong with a figure, the run is saved and good
            failed[name] = told(error)
    if failed:
        what = f"not drawn: {', '.join(failed)} ({next(iter(failed.values()))})"
        terminal.warn(f"warning: {what}; draw later by: {_redrawn(record, run)}")


def _redrawn(record: Experiment, run: Run) -> str:
    """Return the command that draws the figures of a run; that of a program of the user's begins with its name."""
    program = f"python -m plastic.{run.family} " if record.body.__module__.startswith("plastic.") else ""
    return f"{program}figure {run.folder}"


def rehearse(record: Experiment, given: dict[str, Any]) -> None:
    """Take a command to where its work would begin, on the CPU and in silence; nothing is written.

    Args:
        record: the experiment.
        given: options of the command.

    Raises:
        PlasticError: where the command refuses them.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _run(record, canonical(record, given) | {"device": "cpu"}, Rehearsal)


def side_by_side(record: Experiment, given: dict[str, Any], rates: tuple[Any, ...]) -> Path | None:
    """Run a command whose seeds have learning rates of their own, and may be the same.

    Args:
        record: the experiment, which has a `rate`.
        given: options of the command, with `seeds`.
        rates: one for each of the seeds, or in a grid a list for each; empty where all have what `given` says.

    Returns:
        The run folder.
    """
    return _run(record, given, functools.partial(SideBySide, rates=rates))


def _run(record: Experiment, given: dict[str, Any], kind: Callable[..., NewRun] = NewRun) -> Path | None:
    given = canonical(record, given)
    extension = False
    if given.get("resume") is not None:
        options, extension = resumed(record, given)
    else:
        missing = [name for name in record.own if name not in record.defaults and name not in given]
        if missing:
            raise PlasticError(f"{missing[0]} is missing")
        options = {name: value for name, value in (record.defaults | given).items()}
    dry_run = options.pop("dry_run")
    run = kind(record, options, extension, dry_run)
    run.require_seeds()
    require_numbers_in_range(record, options)
    _know_own_data(run)
    try:
        with environment(options["device"], options["dtype"], options["threads"]):
            lines = record.body(run, **record.arguments(options)) or []
            if not run.begun:
                raise TypeError(f"{record.name} has neither called fit nor run.begin")
            run.status("finished", **run.config.get("details", {}))
        if options.get("plot"):
            draw_figures(record, run)
        for line in [*lines, f"run folder {run.folder}"]:
            terminal.say(line)
    except DryRun as forecast:
        for line in forecast.lines:
            terminal.say(line)
        return None
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(stop) or _interrupted(run)) from None
    except Exception as error:
        if run.begun:
            run.failed(error)
        if _is_too_large(error):
            raise PlasticError(_too_large(record, options, str(error) or "out of memory")) from None
        raise
    finally:
        run.close()
    return run.folder


def _know_own_data(run: NewRun) -> None:
    """Make the arrays of a file of the user's part of the identity of a run, which does not go on with others."""
    path, found = run.options.get("dataset"), None
    with contextlib.suppress(PlasticError):  # what is wrong with the data set, the body will say
        found = data.contents(path)
    if found is not None and found != run.options.setdefault("data", found):
        raise PlasticError(f"dataset {path} holds other arrays than when the run to resume was begun; it cannot go on")


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
        name: max(plain(value) if isinstance(value, tuple) else [value], default=0)
        for name, value in record.arguments(options).items()
        if isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(each, int) for each in value))
    }
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
    named = "".join(f"{', ' if place else ', of '}{name} {shown(options[name])}" for place, name in enumerate(largest))
    return f"this does not fit the memory ({' '.join(reason.split())}); take smaller numbers{named}"


def _interrupted(run: NewRun) -> str:
    """Write down that a run was interrupted; return what to tell the user."""
    if not run.begun:
        return "interrupted; nothing was written"
    if run.config["status"] == "finished":
        how = f"; draw its figures by: {_redrawn(run.record, run)}" if run.record.draw else ""
        return f"interrupted; the run is finished and saved in {run.folder}{how}"
    if run.config["status"] == "running":
        run.status("interrupted", **run.config.get("details", {}))
    if "resume" in run.record.shared:
        return f"interrupted; go on with --resume={run.folder}"
    return f"interrupted; {run.folder} is not finished, and is begun anew by the same command"
