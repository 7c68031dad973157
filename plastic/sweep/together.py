"""Points that differ in seed and learning rate alone, trained in one run; each gets the run folder it would have alone.

    one run of all points, to its end      in the folder together/ of the sweep, from its checkpoint where it was killed
    a run folder for each point            with its rows of metrics.csv and its share of the checkpoint
    each is resumed                        finds its training done, and does what comes after, as it would alone

Which experiments gain by it, and with which options, they declare (`together` of `plastic.runs.experiment`). What
cannot be had so runs alone: points that diverge, and everything where the run of all is refused or fails.
"""

import contextlib
import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from plastic import parameters
from plastic.errors import PlasticError
from plastic.runs.folder import Run
from plastic.runs.given import canonical
from plastic.runs.new_run import NewRun
from plastic.runs.record import Experiment, tuples
from plastic.runs.surroundings import environment
from plastic.sweep import point
from plastic.sweep.plan import Plan, record_of
from plastic.sweep.point import Job, Outcome

Batch = tuple[Job, ...]
"""Jobs that one worker gets: one, or several that are trained in one run."""
_MOST = 16  # points of a batch: more would gain little, and hide for long how far a sweep is


def batches(plan: Plan, workers: int) -> list[list[int]]:
    """Return the points of a sweep, in batches of those that are trained in one run.

    Args:
        plan: the sweep.
        workers: that are to have work, all of them.

    Returns:
        Lists of indices, in the order of their first points.
    """
    every = range(len(plan.points))
    if not set(_own(plan)) & set(plan.varied):
        return [[index] for index in every]
    most = min(_MOST, math.ceil(len(plan.points) / workers))
    alike: dict[str, list[int]] = {}
    for index in every:
        alike.setdefault(_shared(plan, index), []).append(index)
    found = []
    for group in alike.values():
        size = most if _gain(plan, group[0]) else 1
        found += [group[start : start + size] for start in range(0, len(group), size)]
    return sorted(found)


def _gain(plan: Plan, index: int) -> bool:
    """Whether points like this one are trained in one run, as their experiment declares; in a grid they have seeds."""
    record = record_of(plan.family, plan.command)
    options = record.defaults | plan.fixed | plan.points[index]
    if (options.get("seeds") is not None) != _is_grid(record):
        return False
    if isinstance(record.together, bool):
        return record.together
    with contextlib.suppress(PlasticError):  # of options that do not go together, which the point itself will say
        return record.together(**canonical(record, options))
    return False


def are_batches(found: list[Any], plan: Plan) -> bool:
    """Return whether lists of a sweep.json are batches of the points of a plan."""
    every = [index for batch in found if isinstance(batch, list) for index in batch]
    if sorted(map(repr, every)) != sorted(map(repr, range(len(plan.points)))) or [] in found:
        return False
    return all(len({_shared(plan, index) for index in batch}) == 1 for batch in found)


def _is_grid(record: Experiment) -> bool:
    """Whether the replicas of an experiment have the shape (seeds, rates), both of which its options list."""
    return "seed" not in record.shared


def _own(plan: Plan) -> list[str]:
    """Return the options that points trained together may differ in; lists of them have one length."""
    record = record_of(plan.family, plan.command)
    seed = "seeds" if _is_grid(record) else "seed"
    return [seed] if record.rate is None else [seed, record.rate]


def _shared(plan: Plan, index: int) -> str:
    """Return what points have in common that may be trained together, as text."""
    point = plan.points[index]
    own = {name: len(value) if isinstance(value := point.get(name), tuple) else None for name in _own(plan)}
    return repr(point | own)


def run(batch: Batch) -> list[Outcome]:
    """Run points to their ends, their training together where there are several; raises as little as `point.run`."""
    start = time.perf_counter()
    if len(batch) > 1 and (place := _place(batch)) is not None:
        try:
            with point.taken(place, batch[0]) as device:
                _train(batch, place, device)
            shutil.rmtree(place, ignore_errors=True)
        except KeyboardInterrupt as stop:
            return [Outcome(job.index, "interrupted", error=str(stop)) for job in batch]
        except Exception:  # what is wrong with a point, it will say alone
            shutil.rmtree(place, ignore_errors=True)
    share = (time.perf_counter() - start) / len(batch)
    return [dataclasses.replace(ended, seconds=ended.seconds + share) for ended in map(point.run, batch)]


def has_begun(batch: Batch) -> bool:
    """Return whether a worker has begun with a batch."""
    return _folder(batch).exists() or any(Path(job.place).exists() for job in batch)


def _folder(batch: Batch) -> Path:
    """Return the folder of the run of all."""
    first = Path(batch[0].place)
    return first.parents[1] / "together" / first.name


def _place(batch: Batch) -> Path | None:
    """Return the folder of the run of all; None where the points have runs already, so that there is none to be."""
    place = _folder(batch)
    return place if place.exists() or not any(point.runs_of(Path(job.place)) for job in batch) else None


def _train(batch: Batch, place: Path, device: str | None) -> None:
    """Train the points of a batch in one run; make of each replica the run of its point, unless it is there."""
    if all(point.runs_of(Path(job.place)) for job in batch):  # made by a worker that was waited for
        return
    record = record_of(batch[0].family, batch[0].command)
    own = [_of_point(record, job) for job in batch]
    options = {name: value for name, value in batch[0].options.items() if name != "seed"}
    lists = [each["seeds"] if _is_grid(record) else (each["seed"],) for each in own]
    options["seeds"] = seeds = sum(lists, ())
    rates = tuple(each[record.rate] for each in own for _ in lists[0]) if record.rate in own[0] else ()
    apiece = len(set(rates)) > 1 or len(set(seeds)) < len(seeds)
    job = dataclasses.replace(batch[0], options=options)
    whole = Run(point.begun(job, place, device, rates if apiece else None))
    for number, job in enumerate(batch):
        if not point.runs_of(Path(job.place)):
            apart(whole, number, len(batch), own[number] | {"results": job.place})


def _of_point(record: Experiment, job: Job) -> dict[str, Any]:
    """Return the seed of a point, and the learning rate where it may differ; in a grid, those lists that are given."""
    known = record.defaults | job.options
    names = ("seeds" if _is_grid(record) else "seed", record.rate)
    return {name: known[name] for name in names if name is not None and known[name] is not None}


def apart(whole: Run, number: int, points: int, own: dict[str, Any]) -> None:
    """Make the run that one of several points would be alone, as far as its last checkpoint, to be resumed.

    Nothing is made where a replica of it has diverged.

    Args:
        whole: the run of all, finished, of an experiment whose replicas differ in two things alone: in the state, whose
            arrays of more than one element have the replica axes first, and in the generators of their batches.
        number, points: the place of the point, and how many there are; each has as many replicas as the others.
        own: the options of the point: its seed and learning rate, or lists of them, and results, the folder of the new
            run folder.
    """
    record = record_of(whole.family, whole.experiment)
    columns = whole.config.get("parts")
    parts = [whole] if columns is None else list(whole.parts(columns))
    size = len(whole.seeds) // points
    mine: Any = slice(number * size, (number + 1) * size) if _is_grid(record) else number
    kept = []
    for part in parts:
        its = _of_its_own(part, number, points, mine)
        if its is None:
            return
        kept.append(its)
    options = {name: tuples(value) for name, value in whole.options.items()}
    options |= {"seeds": None} | own
    alone = NewRun(record, options, extension=False, dry_run=False)
    with environment(options["device"], options["dtype"], options["threads"]), contextlib.closing(alone):
        for part, (rows, arrays, counters) in zip(alone.parts(columns) if columns else [alone], kept, strict=True):
            part.begin()
            part.log(rows)
            part.save_checkpoint(arrays, counters)
        alone.config["beside"] = list(whole.seeds)
        alone.status("running")


def _of_its_own(part: Run, number: int, points: int, mine: Any) -> tuple[Any, ...] | None:
    """Return (rows, arrays, counters) of a point in the run of all, or a part of it; None where a replica has diverged.

    mine: what the first axis of the arrays has of it.
    """
    arrays, counters = part.read_checkpoint()
    count = np.size(next(iter(counters["metrics"].values()))) // points
    replicas = range(number * count, (number + 1) * count)
    if any(int(replica) in replicas for replica in counters["diverged"]):
        return None
    columns = part.metrics()
    every = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rows = [row | {"replica": row["replica"] - replicas[0]} for row in every if row["replica"] in replicas]
    counters["metrics"] = {name: values[mine] for name, values in counters["metrics"].items()}
    counters["source"] = _own_batches(counters["source"], mine if isinstance(mine, slice) else slice(mine, mine + 1))
    counters["diverged"] = {}
    return rows, parameters.map(lambda array: array[mine] if array.size > 1 else array, arrays), counters


def _own_batches(source: dict[str, Any], mine: slice) -> dict[str, Any]:
    """Return the state of a source of batches, with the generators of some seeds in the place of those of all."""
    return {
        name: _own_batches(value, mine) if isinstance(value, dict) else value[mine] if name == "generators" else value
        for name, value in source.items()
    }
