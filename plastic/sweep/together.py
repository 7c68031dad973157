"""Points that differ in their seed alone, trained in one run as replicas; each gets the run folder it would have alone.

    one run of all seeds, to its end       in the folder together/ of the sweep, from its checkpoint where it was killed
    a run folder for each seed             with its rows of metrics.csv and its share of the checkpoint
    each is resumed                        finds its training done, and does what comes after, as it would alone

Which experiments gain by it, and with which options, they declare (`together` of `plastic.runs.experiment`). What
cannot be had so runs alone: seeds that diverge, and everything where the run of all is refused or fails.
"""

import contextlib
import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Any

from plastic import parameters
from plastic.errors import PlasticError
from plastic.runs.folder import Run
from plastic.runs.given import canonical
from plastic.runs.new_run import NewRun
from plastic.runs.record import tuples
from plastic.runs.surroundings import environment
from plastic.sweep import point
from plastic.sweep.plan import Plan, record_of
from plastic.sweep.point import Job, Outcome

Batch = tuple[Job, ...]
"""Jobs that one worker gets: one, or several whose seeds are trained in one run."""
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
    if "seed" not in plan.varied:
        return [[index] for index in every]
    most = min(_MOST, math.ceil(len(plan.points) / workers))
    alike: dict[str, list[int]] = {}
    for index in every:
        alike.setdefault(_apart_from_seed(plan, index), []).append(index)
    found = []
    for group in alike.values():
        size = most if _gain(plan, group[0]) else 1
        found += [group[start : start + size] for start in range(0, len(group), size)]
    return sorted(found)


def _gain(plan: Plan, index: int) -> bool:
    """Whether seeds of a point are trained in one run, as its experiment declares."""
    record = record_of(plan.family, plan.command)
    if isinstance(record.together, bool):
        return record.together
    with contextlib.suppress(PlasticError):  # of options that do not go together, which the point itself will say
        return record.together(**record.defaults | canonical(record, plan.fixed | plan.points[index]))
    return False


def are_batches(found: list[Any], plan: Plan) -> bool:
    """Return whether lists of a sweep.json are batches of the points of a plan."""
    every = [index for batch in found if isinstance(batch, list) for index in batch]
    if sorted(map(repr, every)) != sorted(map(repr, range(len(plan.points)))) or [] in found:
        return False
    return all(len({_apart_from_seed(plan, index) for index in batch}) == 1 for batch in found)


def _apart_from_seed(plan: Plan, index: int) -> str:
    return repr({**plan.points[index], "seed": None})


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
    """Train the seeds of a batch in one run; make of each replica the run of its point, unless it is there."""
    if all(point.runs_of(Path(job.place)) for job in batch):  # made by a worker that was waited for
        return
    options = {name: value for name, value in batch[0].options.items() if name != "seed"}
    options["seeds"] = tuple(job.options["seed"] for job in batch)
    whole = Run(point.begun(dataclasses.replace(batch[0], options=options), place, device))
    for replica, job in enumerate(batch):
        if replica not in whole.diverged and not point.runs_of(Path(job.place)):
            apart(whole, replica, job.place)


def apart(whole: Run, replica: int, results: str) -> None:
    """Make the run that one seed of a run would be alone, as far as its last checkpoint, to be resumed.

    Args:
        whole: the run, finished, of an experiment whose seeds differ in two things alone: in the state, whose arrays of
            more than one element have the replica axis first, and in the generators of their batches.
        replica: the number of the seed, which has not diverged.
        results: the folder of the new run folder.
    """
    record = record_of(whole.family, whole.experiment)
    options = {name: tuples(value) for name, value in whole.options.items()}
    options |= {"seed": whole.seeds[replica], "seeds": None, "results": results}
    arrays, counters = whole.read_checkpoint()
    columns = whole.metrics()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    own = parameters.map(lambda array: array[replica] if array.size > 1 else array, arrays)
    counters["metrics"] = {name: values[replica] for name, values in counters["metrics"].items()}
    counters["source"] = _own_batches(counters["source"], replica)
    alone = NewRun(record, options, extension=False, dry_run=False)
    with environment(options["device"], options["dtype"], options["threads"]), contextlib.closing(alone):
        alone.begin()
        alone.log([row | {"replica": 0} for row in rows if row["replica"] == replica])
        alone.save_checkpoint(own, counters | {"diverged": {}})
        alone.config["beside"] = list(whole.seeds)
        alone.status("running")


def _own_batches(source: dict[str, Any], replica: int) -> dict[str, Any]:
    """Return the state of a source of batches, with the generator of one replica in the place of those of all."""
    own = {}
    for name, value in source.items():
        if isinstance(value, dict):
            own[name] = _own_batches(value, replica)
        else:
            own[name] = value[replica : replica + 1] if name == "generators" else value
    return own
