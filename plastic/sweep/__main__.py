"""`python -m plastic.sweep FILE.toml`, or a command of a family with --grid.OPTION=A,B."""

import dataclasses
import functools
import inspect
import os
import re
import sys
from pathlib import Path
from typing import Literal

from plastic import cli, require, terminal
from plastic.errors import PlasticError
from plastic.runs.naming import results_folder
from plastic.sweep import drive, engines, halving, plan, rehearsal, summary
from plastic.sweep.plan import shown
from plastic.sweep.record import Sweep, planned

_PART = re.compile(r"--?(grid|zip|random)\.([^=]*)(=(.*))?", re.DOTALL)
_SHOWN = 10  # points of a dry run


@dataclasses.dataclass(frozen=True)
class Extra:
    """The words of a line that are no options of `sweep` itself.

    words: options of the command, which all points share. parts: (part, option, text or None) of what varies.
    """

    words: list[str]
    parts: list[tuple[str, str, str | None]]


def sweep(
    extra: Extra,
    what: str,
    command: str | None = None,
    *,
    draws: int | None = None,
    draw_seed: int | None = None,
    jobs: int | None = None,
    engine: Literal["loky", "ray", "dask"] = "loky",
    address: str | None = None,
    retry: bool = False,
    halve: int | None = None,
    by: str | None = None,
    results: str | None = None,
    name: str | None = None,
    dry_run: bool = False,
):
    """Run a command over grids, lists and random draws of its options; each point is a run folder of its own.

    Beside the options below, a line takes --grid.OPTION=A,B for all combinations, --zip.OPTION=A,B for lists that go
    side by side, --random.OPTION=LOW:HIGH, LOW:HIGH:log or A,B to be drawn from, and the options of the command itself,
    which all points share: python -m plastic.sweep gait --grid.seed=1,2,3 --grid.algorithm=BP,GAIT --nb_epochs=10.
    Values that hold commas are separated by ';' (--grid.widths='64,10;32,10'). Before any work every value is read, and
    the first point with each value, of numbers with the least and the largest, is taken to where its work would begin,
    or data be fetched: what the command refuses is told at once. Then combinations of values are tried for five
    seconds, in an order at random: of those that are refused a warning tells, and their points fail alone.

    The folder results/sweeps/NAME-... gets sweep.json, summary.csv with means, deviations and intervals over seeds, and
    points/, the run folders. The same line again goes on where it was: points that are finished are not run again, one
    that was killed goes on from its checkpoint, one that still runs is waited for. Figures are drawn with --plot only.
    Points that differ in their seed alone are trained in one run where that is faster, in as many runs as give all jobs
    work: in gle lagline, gle lagnet and eprop pattern, and with small layers or batches in gait, ep and gle mnist1d;
    in gait, lagline and pattern they may differ in their learning rate, too. Each has its run folder all the same, with
    the numbers that it would have alone, but for rounding.

    Exit code: 0, or 1 where points have failed, which --retry runs again; one that diverged is a result.

    Args:
        what: a family (gait, ep, eprop, gle or pc), or a TOML file with family, command, options, grid, zip and random.
        command: of the family; gait and ep train without one.
        draws: points drawn at random, where --random.OPTION is given, by default 10; equal ones count once.
        draw_seed: seed of the draws, by default 0.
        jobs: points that run at one time, one BLAS thread each; by default as many as this process has cores,
            which on a cluster are those of the job.
        engine: loky, processes of this machine; ray or dask, a cluster (extras of these names).
        address: of the cluster; without it Ray or Dask run on this machine.
        retry: run points again that failed or diverged.
        halve: stop hopeless points early: of so many points one is kept at each rung of successive halving.
        by: the metric that halving compares, as test_accuracy; + or - in front says whether larger is better.
        results: folder of the sweeps; by default PLASTIC_RESULTS or ./results.
        name: what the name of the folder says, instead of family and command.
        dry_run: check, print the folder and the points, and run nothing.
    """
    if jobs is not None:
        require.counts(jobs=jobs)
    if halve is not None:
        require.whole("halve", halve, least=2)
    if (by is None) != (halve is None):
        raise PlasticError("halve and by go together: --halve=3 --by=test_accuracy")
    if by is not None:
        halving.direction(by)
    made = _plan(extra, what, command, draws, draw_seed)
    if halve is not None and by is not None:
        made = dataclasses.replace(made, halving=(halve, by))
        drive.lengths(made)
    folder = planned(made, results_folder(results), name)
    engines.require_at_hand(engine, address)
    if not os.path.lexists(folder / "sweep.json"):
        impossible = rehearsal.require_possible(made, str(folder), here=address is None)
        if impossible:
            first = min(impossible)
            said = f"{shown(made.points[first])}: {impossible[first]}"
            terminal.warn(f"warning: {len(impossible)} of {len(made.points)} points will fail; {said}")
    if dry_run:
        return _forecast(made, folder)
    workers = jobs or _cores()
    record = Sweep(made, results_folder(results), name, workers)
    try:
        terminal.say(f"{len(record.points)} points, {workers} at a time, in {record.folder}")
        if halve is None:
            drive.all_points(record, engine, workers, address, retry)
        else:
            drive.by_halving(record, engine, workers, address, retry)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same line goes on where it was") from None
    finally:
        record.write()
        record.close()
    for line in drive.told(record):
        terminal.say(line)
    terminal.say(f"summary {summary.write(record)}")
    if "failed" in record.counts():
        sys.exit(1)
    return None


def _cores() -> int:
    """Return the number of cores that this process may use: the affinity and the limits of a container count."""
    import joblib

    return joblib.cpu_count()


def _plan(extra: Extra, what: str, command: str | None, draws: int | None, seed: int | None) -> plan.Plan:
    if what.lower().endswith(".toml"):
        if extra.words or extra.parts or (command, draws, seed) != (None, None, None):
            raise PlasticError(f"a file says all that is run; put what the line adds into {what}")
        return plan.of_file(Path(what))
    lists: dict[tuple[str, str], list[str]] = {}
    ranges: dict[str, str | list[str]] = {}
    for part, typed, text in extra.parts:
        option = typed.replace("-", "_")
        if not text:
            raise PlasticError(f"--{part}.{typed} lacks its values: --{part}.{typed}=A,B")
        if option in ranges or ("grid", option) in lists or ("zip", option) in lists:
            raise PlasticError(f"{option} is given twice in this sweep")
        values = plan.listed(text)
        if part == "random":
            ranges[option] = values if len(values) > 1 else text
        else:
            lists[part, option] = values
    return plan.made(what, command, extra.words, lists, ranges, draws, seed)


def _forecast(of: plan.Plan, folder: Path) -> None:
    terminal.say(f"{len(of.points)} points of {of.family} {of.command}, in {folder}")
    if of.fixed:
        terminal.say(f"all: {shown(of.fixed)}")
    for point in of.points[:_SHOWN]:
        terminal.say(shown(point))
    if len(of.points) > _SHOWN:
        terminal.say("..")


def split(words: list[str]) -> tuple[list[str], Extra]:
    """Return the words that are for `sweep` itself, and the others."""
    own_names = set(inspect.signature(sweep).parameters)
    own: list[str] = []
    extra = Extra([], [])
    taking = own  # who gets a bare word
    for word in words:
        if found := _PART.fullmatch(word):
            extra.parts.append((found[1], found[2], found[4]))
            taking = own
        elif word.startswith("-") and not re.match(r"-[.0-9]", word):
            typed, given, _ = word.lstrip("-").partition("=")
            name = re.sub("^no_?", "", typed.replace("-", "_"))
            of_word = own if name in own_names or word in ("-h", "--help") else extra.words
            of_word.append(word)
            taking = own if given else of_word
        else:
            taking.append(word)
    return own, extra


def main(argv: list[str] | None = None) -> None:
    """Answer a command line."""
    own, extra = split(sys.argv[1:] if argv is None else argv)
    command = functools.partial(sweep, extra)
    command.__doc__ = sweep.__doc__
    command.__name__ = "sweep"  # type: ignore[attr-defined]
    cli.run(command, own, prog="plastic.sweep")


if __name__ == "__main__":
    main()
