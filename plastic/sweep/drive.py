"""Driving a sweep to its end: jobs to an engine, outcomes to the record, again where a worker died."""

import collections
import contextlib
import math
from collections.abc import Callable
from typing import Any

from plastic import terminal
from plastic.errors import PlasticError
from plastic.sweep import halving, together
from plastic.sweep.engines import ENGINES
from plastic.sweep.plan import Plan, record_of, shown
from plastic.sweep.point import Outcome
from plastic.sweep.record import Sweep
from plastic.sweep.together import Batch

_DEATHS = 3  # of workers at one point, which is then given up
_TOLD = 20  # points that did not finish of which a line tells


def all_points(sweep: Sweep, engine: str, workers: int, address: str | None, retry: bool) -> None:
    """Run the points of a sweep that are left, to their ends.

    Args:
        sweep: the sweep.
        engine: the name of an engine.
        workers: points that run at one time.
        address: of a cluster, or None.
        retry: whether points that failed or diverged are run again.
    """
    _run(sweep, sweep.jobs(sweep.left(retry)), engine, workers, address)


def by_halving(sweep: Sweep, engine: str, workers: int, address: str | None, retry: bool) -> None:
    """Run a sweep by successive halving; see `plastic.sweep.halving`.

    Args:
        sweep: the sweep, whose plan says how it is halved.
        engine, workers, address, retry: as for `all_points`.
    """
    assert sweep.plan.halving is not None
    (name, every), (eta, by) = lengths(sweep.plan), sweep.plan.halving
    alive = list(range(len(sweep.points)))
    for rung, length in enumerate(every):
        if rung:
            if rung > len(sweep.rungs):
                kept = halving.best(_runs(sweep, alive), by, math.ceil(len(alive) / eta))
                sweep.rungs.append({"length": length, "points": kept})
            for index in set(alive) - set(sweep.rungs[rung - 1]["points"]):
                if sweep.points[index]["status"] == "finished":
                    sweep.points[index]["status"] = "stopped"
            alive = sweep.rungs[rung - 1]["points"]
            sweep.write()
        done = {"stopped"} | (set() if retry else {"failed", "diverged"})
        todo = [index for index in alive if sweep.points[index]["status"] not in done]
        todo = [index for index in todo if not _has_run(sweep, index, name, length)]

        def require_metric(index):
            halving.best({index: sweep.run_of(index)}, by, 1)

        _run(sweep, sweep.jobs(todo, {name: length}), engine, workers, address, None if rung else require_metric)


def lengths(plan: Plan) -> tuple[str, list[int]]:
    """Return the option that says how long runs are, and its values at the rungs of a plan that has halving.

    Raises PlasticError where runs have no such option, or there is one rung alone.
    """
    assert plan.halving is not None
    record = record_of(plan.family, plan.command)
    if record.length is None:
        raise PlasticError(f"{plan.family} {plan.command} cannot be extended, so halving cannot stop it early")
    if record.length in plan.varied:
        raise PlasticError(f"{record.length} is how long runs are, which halving sets; it cannot vary, too")
    length = plan.fixed.get(record.length, record.defaults[record.length])
    if length is None:
        raise PlasticError(f"halving needs the full length of runs: give --{record.length}")
    every = halving.lengths(length, len(plan.points), plan.halving[0])
    if len(every) == 1:
        raise PlasticError(
            f"halve is {plan.halving[0]}, which stops none of {len(plan.points)} points early where {record.length} is "
            f"{length}; leave it out, or take more points or a larger {record.length}"
        )
    return record.length, every


def _has_run(sweep, index, name, length):
    """Whether a point has run as long as it was to run on some rung."""
    run = sweep.run_of(index) if sweep.points[index]["status"] == "finished" else None
    return run is not None and run.options[name] >= length


def _runs(sweep, points):
    return {index: sweep.run_of(index) if sweep.points[index]["status"] == "finished" else None for index in points}


def _run(
    sweep: Sweep,
    jobs: list[Batch],
    engine: str,
    workers: int,
    address: str | None,
    first: Callable[[int], Any] | None = None,
) -> None:
    """Run batches of jobs; send those again whose worker died, alone or not at all where it does so again and again.

    first: is called with the first point that finishes, and may raise a PlasticError: the others are not worth running.
    """
    deaths: dict[tuple[int, ...], int] = collections.Counter()
    total, failed = sum(map(len, jobs)), 0
    with terminal.progress(total=total, unit="point", dynamic_ncols=True) as bar:
        while jobs:
            lost: list[Batch] = []
            with contextlib.closing(ENGINES[engine](jobs, min(workers, len(jobs)), address)) as running:
                for batch, ended in running:
                    done, rest = _sorted_out(batch, ended, deaths)
                    lost += rest
                    for each in done:
                        sweep.note(each)
                        failed += each.status != "finished"
                        if first is not None and each.status == "finished":
                            first(each.index)
                            first = None
                    bar.update(len(done))
                    bar.set_postfix(failed=failed)
            if lost:
                terminal.warn(f"a worker died; {sum(map(len, lost))} of {total} points are sent again")
            jobs = lost
    sweep.write()


def _sorted_out(
    batch: Batch, ended: list[Outcome] | str, deaths: dict[tuple[int, ...], int]
) -> tuple[list[Outcome], list[Batch]]:
    """Return the outcomes that count, and what is to be sent again; `deaths` counts those of workers at each batch."""
    outcomes = ended if isinstance(ended, list) else []
    done = {each.index: each for each in outcomes if each.status != "interrupted"}
    rest = tuple(job for job in batch if job.index not in done)
    if not rest:
        return list(done.values()), []
    message = outcomes[0].error if outcomes else ended
    indices = tuple(job.index for job in rest)
    deaths[indices] += together.has_begun(rest)
    if deaths[indices] < _DEATHS:
        return list(done.values()), [rest]
    if len(rest) > 1:
        return list(done.values()), [(job,) for job in rest]
    return [*done.values(), Outcome(indices[0], "failed", error=f"{message} ({_DEATHS} times)")], []


def told(sweep: Sweep) -> list[str]:
    """Return lines that say what has become of the points: how many, and the first that did not finish, with errors."""
    counts = sweep.counts()
    lines = [f"{len(sweep.points)} points: " + ", ".join(f"{count} {status}" for status, count in counts.items())]
    lost = [point for point in sweep.points if point["status"] in ("failed", "diverged")]
    for point in lost[:_TOLD]:
        lines.append(f"  {point['status']}: {shown(point['options'])}: {point.get('error', '')}")
    if len(lost) > _TOLD:
        lines.append(f"  and {len(lost) - _TOLD} more, with their errors in {sweep.folder / 'sweep.json'}")
    if lost:
        lines.append("the same line with --retry runs them again")
    return lines
