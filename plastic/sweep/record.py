"""The record of a sweep, sweep.json: which points there are, what has become of each, and what is left to do."""

import contextlib
import functools
import os
import time
from pathlib import Path
from typing import Any

from plastic import files, xp
from plastic.errors import PlasticError
from plastic.runs import claim
from plastic.runs.naming import identity_hash
from plastic.runs.record import plain
from plastic.sweep import together
from plastic.sweep.plan import Plan, record_of
from plastic.sweep.point import Job, Outcome, runs_of
from plastic.sweep.together import Batch

FORMAT = 1
STATUSES = ("waiting", "finished", "failed", "diverged", "interrupted", "stopped")
_EVERY, _SHARE = 1.0, 0.05  # seconds between two writes at least, and the share of the time that they may take


class Sweep:
    """A sweep in its folder, which one process at a time has.

    folder: results/sweeps/<name>-<hash>/, with sweep.json, summary.csv and points/.
    plan: what it is.
    points: of each point a dict: options, status, folder, error, seconds.
    batches: the points, in lists of those that are trained in one run.
    rungs: of successive halving, [{"length": .., "points": [..]}], so far.
    """

    def __init__(self, plan: Plan, results: Path, name: str | None = None, workers: int = 1) -> None:
        """Claim the folder of a sweep that so many workers are to run, or go on with it.

        Raises PlasticError where another process has it, or the record is none of this sweep.
        """
        self.plan, self.folder = plan, planned(plan, results, name)
        with files.system_errors(f"cannot make {self.folder}"):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock, self._next = claim.acquired(self.folder), 0.0
        try:
            new = [{"options": _plain(each), "status": "waiting"} for each in plan.points]
            self._said = {"format": FORMAT, "family": plan.family, "command": plan.command}
            self._said |= {"fixed": _plain(plan.fixed), "halving": plain(plan.halving)}
            self.points: list[dict[str, Any]] = new
            self.rungs: list[dict[str, Any]] = []
            self.batches: list[list[int]] = []
            if os.path.lexists(self.folder / "sweep.json"):
                self._read()
            else:
                self.batches = together.batches(plan, workers)
            self.write()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        path = self.folder / "sweep.json"
        found = files.read_json(path)
        lists: list[Any] = [found.get(name) for name in ("points", "rungs", "batches")]
        if found.get("format") != FORMAT or not all(isinstance(each, list) for each in lists):
            raise PlasticError(f"{path} is no sweep of this version of plastic; move it away")
        points, rungs, batches = lists
        same = [each.get("options") for each in points] == [each["options"] for each in self.points]
        if {key: found.get(key) for key in self._said} != self._said or not same:
            raise PlasticError(f"{path} is of another sweep; give this one another --name")
        if not all(each.get("status") in STATUSES for each in points):
            raise PlasticError(f"{path}: the status of a point must be one of {', '.join(STATUSES)}")
        if not together.are_batches(batches, self.plan):
            raise PlasticError(f"{path}: batches must be lists of points that may be trained together, each once")
        self.points, self.rungs, self.batches = points, rungs, batches

    def close(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def write(self) -> None:
        """Write sweep.json."""
        start = time.monotonic()
        kept = {"points": self.points, "rungs": self.rungs, "batches": self.batches}
        files.write_json(self.folder / "sweep.json", self._said | kept)
        end = time.monotonic()
        self._next = end + max(_EVERY, (end - start) / _SHARE)

    def note(self, outcome: Outcome) -> None:
        """Write down how a point has ended, in sweep.json now and then: its run folder says it, too."""
        entry = self.points[outcome.index]
        for name in ("folder", "error"):
            entry.pop(name, None)
        entry |= {"status": outcome.status, "seconds": round(entry.get("seconds", 0) + outcome.seconds, 3)}
        if outcome.folder is not None:
            entry["folder"] = os.path.relpath(outcome.folder, self.folder)
        if outcome.error is not None:
            entry["error"] = outcome.error
        if time.monotonic() > self._next:
            self.write()

    def place(self, index: int) -> Path:
        """Return the folder of a point."""
        return self.folder / "points" / f"{index:0{max(4, len(str(len(self.points))))}}"

    def left(self, retry: bool) -> list[int]:
        """Return the points that are still to run, with `retry` also those that failed or diverged."""
        done = {"finished", "stopped"} | (set() if retry else {"failed", "diverged"})
        return [index for index, point in enumerate(self.points) if point["status"] not in done]

    def jobs(self, indices: list[int], extend: dict[str, Any] | None = None) -> list[Batch]:
        """Return the jobs that run points, in batches; a batch that is not whole is taken apart."""
        wanted = set(indices)
        found: list[Batch] = []
        for batch in self.batches:
            jobs = [self.job(index, extend) for index in batch if index in wanted]
            found += [tuple(jobs)] if len(jobs) == len(batch) else [(job,) for job in jobs]
        return found

    def job(self, index: int, extend: dict[str, Any] | None = None) -> Job:
        """Return the job that runs a point, without figures and with one BLAS thread unless the plan says otherwise."""
        record = record_of(self.plan.family, self.plan.command)
        quiet = {"plot": False} if "plot" in record.shared else {}
        options = quiet | self.plan.fixed | self.plan.points[index]
        shared = (str(self.folder), _gpus()) if options.get("device") == "gpu" and _gpus() > 1 else None
        place = str(self.place(index).absolute())
        return Job(index, self.plan.family, self.plan.command, options, place, extend or {}, shared)

    def run_of(self, index: int) -> Any:
        """Return the newest `Run` of a point; None where there is none."""
        found = runs_of(self.place(index))
        return found[-1] if found else None

    def counts(self) -> dict[str, int]:
        """Return {status: number of points}, of those that occur."""
        every = [point["status"] for point in self.points]
        return {status: every.count(status) for status in STATUSES if status in every}


def planned(plan: Plan, results: Path, name: str | None) -> Path:
    """Return the folder of a sweep."""
    identity: dict[str, Any] = {"family": plan.family, "command": plan.command, "fixed": plan.fixed}
    identity["points"] = plan.points
    identity |= {} if plan.halving is None else {"halving": plan.halving}
    readable = name if name is not None else f"{plan.family}-{plan.command}"
    if os.path.basename(readable) != readable or readable in ("", ".", ".."):
        raise PlasticError(f"name is {name!r}; it must be the name of a folder")
    return results / "sweeps" / f"{readable}-{identity_hash(identity)}"


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in options.items()}


@functools.cache
def _gpus() -> int:
    """Return how many GPUs CuPy finds; 0 where there is none here, though a cluster may have some."""
    before = xp.current.backend
    with contextlib.suppress(PlasticError):
        xp.use("cupy")
        try:
            return int(xp.cuda.runtime.getDeviceCount())
        finally:
            xp.use(before)
    return 0
