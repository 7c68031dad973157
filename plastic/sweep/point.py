"""Running one point of a sweep, in a process that an engine has: begun, resumed, or waited for.

The run folders of a point lie in a folder of its own, which one process at a time works in, so that whoever comes later
waits, and then finds them by looking: a run that is finished is left alone, any other goes on from its checkpoint.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plastic import files, system
from plastic.errors import Diverged, PlasticError, told
from plastic.runs.decorator import side_by_side
from plastic.runs.folder import Run
from plastic.sweep.plan import command_of

_MOMENT = 0.2  # seconds between two looks at a lock that another process has


@dataclasses.dataclass(frozen=True)
class Job:
    """A point to run.

    Args:
        index: its number in the sweep.
        family, command: what is run.
        options: of the command.
        place: the folder of the point.
        extend: {option: value}: run on to this length where the run is finished and shorter.
        gpus: folder of the locks by which workers share several GPUs, and their number; None for none.
    """

    index: int
    family: str
    command: str
    options: dict[str, Any]
    place: str
    extend: dict[str, Any] = dataclasses.field(default_factory=dict)
    gpus: tuple[str, int] | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a point has ended.

    Args:
        index: its number in the sweep.
        status: finished, failed, diverged or interrupted.
        folder: its run folder, where it has one.
        error: the message, where it has failed.
        seconds: that this attempt took.
    """

    index: int
    status: str
    folder: str | None = None
    error: str | None = None
    seconds: float = 0.0


def runs_of(place: Path) -> list[Run]:
    """Return the runs of a point, the newest last; a folder that holds none yet is left out."""
    found = []
    for path in place.glob("*/*/config.json"):
        with contextlib.suppress(PlasticError):
            found.append(Run(path.parent))
    return sorted(found, key=lambda run: (run.config["started"], run.folder.stat().st_mtime))


def run(job: Job) -> Outcome:
    """Run a point to its end; never raises but for what ends the process. Its output goes to log.txt of its folder."""
    start, place = time.perf_counter(), Path(job.place)
    try:
        with taken(place, job) as device:
            folder = begun(job, place, device)
        return Outcome(job.index, "finished", str(folder), seconds=time.perf_counter() - start)
    except KeyboardInterrupt as stop:
        status, error = "interrupted", str(stop)
    except Diverged as stop:
        status, error = "diverged", str(stop)
    except Exception as failure:  # whatever is wrong with one point, the others go on
        status, error = "failed", told(failure)
    known = runs_of(place)
    return Outcome(job.index, status, str(known[-1].folder) if known else None, error, time.perf_counter() - start)


@contextlib.contextmanager
def taken(place: Path, job: Job) -> Iterator[str | None]:
    """Hold a folder of runs, and a GPU where several are shared, for the time of a block, whose output goes to log.txt.

    Yields the number of the GPU, or None. `place` is the folder, and `job` says how GPUs are shared.
    """
    place.mkdir(parents=True, exist_ok=True)
    with (
        _alone(place),
        open(place / "log.txt", "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        _gpu(job) as device,
    ):
        yield device


def begun(job: Job, place: Path, device: str | None, rates: tuple[Any, ...] | None = None) -> Path:
    """Run the command of a job to its end in a folder of runs: what is there goes on; return the run folder.

    device: the number of the GPU, or None. rates: of the seeds, where they differ; see `side_by_side`.
    """
    function: Any = command_of(job.family, job.command)[1]

    def run(**given: Any) -> Any:
        return function(**given) if rates is None else side_by_side(function.experiment, given, rates)

    given = job.options | ({} if device is None else {"device": device})
    shared = function.experiment.shared
    for before in reversed(runs_of(place)):
        longer = {name: value for name, value in job.extend.items() if before.options[name] < value}
        if before.config["status"] == "finished" and not longer:
            return before.folder
        if "resume" in shared and before.config["status"] not in ("failed", "diverged"):
            here = {name: value for name, value in given.items() if name in ("device", "threads", "plot")}
            return run(resume=str(before.folder), **here, **longer)
    return run(**given | job.extend, results=str(place))


@contextlib.contextmanager
def _alone(place):
    """Hold the folder of a point for the time of a block: a worker may outlive the driver that sent it."""
    import filelock

    lock = filelock.FileLock(place / ".lock")
    with files.system_errors(f"cannot lock {place}"):
        system.acquire(lock, poll_interval=_MOMENT)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _gpu(job):
    """Hold one of several GPUs for the time of a block; yield its number, or None where there are not several."""
    if job.gpus is None:
        yield None
        return
    import filelock

    folder, count = job.gpus
    while True:
        for number in range(count):
            lock = filelock.FileLock(os.path.join(folder, f".gpu-{number}"))
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(blocking=False)
                try:
                    yield str(number)
                finally:
                    lock.release()
                return
        time.sleep(_MOMENT)
