"""The folder of a run: claimed once, never overwritten, resumable to the bit."""

import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from plastic import files, parameters
from plastic.errors import PlasticError
from plastic.runs import metrics, surroundings
from plastic.types import Tree

FORMAT = 1
_NOT_IDENTITY = ("device", "threads", "results", "resume", "name", "plot", "dry_run", "jobs")


def results_folder(option: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder of all runs: the option, else the environment variable PLASTIC_RESULTS, else ./results."""
    return pathlib.Path(os.path.expanduser(option or os.environ.get("PLASTIC_RESULTS") or "results"))


def seed_names(seeds: Sequence[int]) -> str:
    """Return seeds as text for the name of a run folder."""
    if len(seeds) > 3 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{len(seeds)}seeds-from-{seeds[0]}"
    return "seed" + "+".join(str(seed) for seed in seeds)


class Run:
    """A run folder.

    `Run.create` claims a new one and `Run.resume` continues one; both hold its lock, which one process at a time can,
    until `close` or the end of a `with` block. `Run(folder)` opens one only to be read and needs no lock.

    folder: its path.
    config: the content of config.json; `family`, `experiment` and `options` are parts of it.
    """

    checkpoint = "checkpoint.h5"
    growing = False  # whether a run that is extended has records that grow with it
    _counted = False  # whether the parts of a grid are written down

    def __init__(self, folder: str | os.PathLike) -> None:
        """Open a run to read it. Raises PlasticError where config.json is missing, damaged or of another format."""
        self.folder = pathlib.Path(folder)
        self.config = files.read_json(self.folder / "config.json")
        if self.config.get("format") != FORMAT:
            found = self.config.get("format")
            raise PlasticError(f"{self.folder} has run format {found!r}; this version of plastic reads format {FORMAT}")
        self.family, self.experiment = self.config["family"], self.config["experiment"]
        self.options = self.config["options"]
        self._lock: Any = None

    def __repr__(self) -> str:
        return f"Run {self.folder}, {self.config['status']}"

    @classmethod
    def create(
        cls,
        results: str | os.PathLike,
        family: str,
        experiment: str,
        options: dict[str, Any],
        readable: str = "",
        identity: dict[str, Any] | None = None,
    ) -> "Run":
        """Claim the folder results/<family>/<experiment>-<readable>-<hash>/ and write config.json, status "running".

        options: all options of the run, a dict of JSON-able values; `Run.options` gives them back, tuples as lists.
        readable: the few options a human tells runs apart by, as text.
        identity: the dict that is hashed, by default `options`; see `identity_hash`.
        Where the folder exists, -2, -3, ... is appended. Raises PlasticError where no folder can be made there.
        """
        folder = _claim(cls.planned(results, family, experiment, options if identity is None else identity, readable))
        config = {"format": FORMAT, "family": family, "experiment": experiment, "options": options}
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)  # nothing but what is begun here
            lock = _acquire(folder)
            undo.callback(lock.release)
            files.write_json(folder / "config.json", config | {"status": "running"} | surroundings.describe())
            run = cls(folder)
            undo.pop_all()
        run._lock = lock
        return run

    @staticmethod
    def planned(
        results: str | os.PathLike, family: str, experiment: str, identity: dict[str, Any], readable: str = ""
    ) -> pathlib.Path:
        """Return the folder that `create` would claim first."""
        readable = re.sub(r"[^\w.=+-]+", "-", readable, flags=re.ASCII).strip("-.")[:100]
        name = "-".join(filter(None, [experiment, readable, identity_hash(identity)]))
        return pathlib.Path(results) / family / name

    @classmethod
    def resume(cls, folder: str | os.PathLike) -> "Run":
        """Continue a run: take its lock, remove half-written files, set its status to "running".

        Prints one line to stderr where versions, device or BLAS differ from those of the start: the continuation
        is then not promised to be bit-identical. `config["resumed"]` lists the resumptions, each with the status
        it found ("after"). Raises PlasticError where the folder is no run, is damaged, or is in use.
        """
        if not pathlib.Path(folder).is_dir():
            raise PlasticError(f"cannot resume {folder}: there is no such run folder")
        lock = _acquire(pathlib.Path(folder))
        try:
            run = cls(folder)
            files.remove_temporary(run.folder)
            present = surroundings.describe()
            changed = surroundings.differences(run.config, present)
            if changed:
                message = f"warning: {folder} may not continue bit-identically: {'; '.join(changed)}"
                print(message, file=sys.stderr)
            present["after"] = run.config["status"]
            run.config["resumed"] = run.config.get("resumed", []) + [present]
            run._lock = lock
            run.status("running")
        except BaseException:
            lock.release()
            raise
        return run

    def close(self) -> None:
        """Give the lock back. The run can still be read."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._lock is not None and self.config["status"] == "running":
            if kind is None:
                self.status("finished", **self.config.get("details", {}))
            elif issubclass(kind, KeyboardInterrupt):
                self.status("interrupted", **self.config.get("details", {}))
        self.close()

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Begin the work. The run has its folder already; that of a command claims it here (`plastic.runs.decorator`).

        steps, trial: what a command without work is told of the work, for a dry run.
        parts: of a grid: they are written down, and the rows of steps that are to be repeated are cut away.
        """
        if parts and not self._counted:
            self._counted = True
            self._cut_to_the_last(parts)
            self.config["parts"] = [dict(part) for part in parts]
            self.status("running", **self.config.get("details", {}))

    def require_extensible(self) -> None:
        """Raise PlasticError where training has ended by a criterion, not by its length."""
        if self.has_checkpoint() and self.read_checkpoint()[1].get("stopped"):
            raise PlasticError(f"{self.folder} has met its criterion and ended there; more training changes nothing")

    def extend(self, name: str, value: Any) -> None:
        """Give the option that says how long training is a larger value; config.json lists the extensions.

        Training that has ended by a criterion is not extended; see `require_extensible`.
        """
        step = {"from": self.options[name], "to": value, "started": surroundings.now()}
        self.config["extended"] = [*self.config.get("extended", []), {"option": name} | step]
        self.options[name] = value
        self.status("running", **self.config.get("details", {}))

    def parts(self, columns: Sequence[dict[str, Any]]) -> "Iterator[Part]":
        """Yield a `Part` for each part of a grid, in turn. columns: [{column: value}], what sets the parts apart."""
        for index in range(len(columns)):
            yield Part(self, index, columns)

    def status(self, text: str, **details: Any) -> None:
        """Set the status in config.json: "running", "finished", "interrupted" or "diverged", the time, and details.

        A run that is "running" without a process that holds its lock was killed.
        """
        self.config |= {"status": text, "ended": None if text == "running" else surroundings.now(), "details": details}
        files.write_json(self._mine("config.json"), self.config)

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Append rows, a list of dicts column -> number, text or None, to metrics.csv.

        The columns of the first call (step, epoch, replica and seed in front, where given) are those of the file.
        Numbers are written so that they read back exactly. Raises PlasticError for a column the file does not have,
        and where the disk is full; the file then ends as before.
        """
        metrics.append(self._mine("metrics.csv"), rows)

    def metrics(self) -> dict[str, list[Any]]:
        """Return metrics.csv as a dict column -> list of int, float, str, or None for an empty cell."""
        return metrics.read(self.folder / "metrics.csv")

    def has_checkpoint(self) -> bool:
        """Return whether there is a checkpoint to go on from."""
        return (self.folder / self.checkpoint).exists()

    def forget_rows(self) -> None:
        """Remove metrics.csv: the rows of a run that was killed before its first checkpoint."""
        self._mine("metrics.csv").unlink(missing_ok=True)

    def save_checkpoint(self, tree: Tree, counters: dict[str, Any]) -> None:
        """Replace checkpoint.h5 by the arrays of a tree and by counters, a JSON-able dict (steps, generator states).

        The length of metrics.csv goes with them. The former checkpoint survives a crash at any moment.
        Raises PlasticError where the disk is full; the former checkpoint is then untouched.
        """
        path = self._mine(self.checkpoint)
        length = metrics.length(self.folder / "metrics.csv")
        arrays = dict(parameters.leaves(tree))
        files.write_hdf5(path, arrays, counters=files.to_json(counters), metrics_length=length)

    def load_checkpoint(self, tree: Tree) -> dict[str, Any]:
        """Write the checkpoint into the arrays of `tree`, in place, cut metrics.csv back to it; return the counters.

        Raises PlasticError, with nothing changed, where the checkpoint is missing, damaged, or of another tree.
        """
        arrays, counters, length = self._checkpoint()
        rows = self._mine("metrics.csv")
        if metrics.length(rows) < length:
            raise PlasticError(f"{rows} is damaged: it is shorter than the {length} bytes it had at the checkpoint")
        try:
            parameters.assign(tree, arrays, grown=self.growing)
        except PlasticError as error:
            raise PlasticError(f"{self.folder / self.checkpoint} does not fit: {error}") from None
        self._cut(rows, length)
        return counters

    def _cut(self, rows, length):
        metrics.cut(rows, length)

    def read_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the checkpoint as (arrays by path, counters), changing nothing. Raises PlasticError as above."""
        return self._checkpoint()[:2]

    def save_arrays(self, arrays: dict[str, Any]) -> None:
        """Add arrays {name: host or device array} to arrays.h5; a name that is there is replaced."""
        files.write_hdf5(self._mine("arrays.h5"), self.arrays() | arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of arrays.h5 by name; an empty dict where none were saved."""
        path = self.folder / "arrays.h5"
        return files.read_hdf5(path)[0] if path.exists() else {}

    def _cut_to_the_last(self, parts):
        """Cut metrics.csv back to what it was when a part was saved last."""
        every = [Part(self, index, parts) for index in range(len(parts))]
        lengths = [part._checkpoint()[2] for part in every if part.has_checkpoint()]
        if lengths:
            metrics.cut(self._mine("metrics.csv"), max(lengths))
        else:
            self.forget_rows()

    def _mine(self, name):
        if self._lock is None:
            raise PlasticError(f"{self.folder} is open for reading only; Run.create and Run.resume write")
        return self.folder / name

    def _checkpoint(self):
        path = self.folder / self.checkpoint
        if not path.exists():
            raise PlasticError(f"{self.folder} holds no checkpoint: the run ended before it wrote the first one")
        arrays, attributes = files.read_hdf5(path)
        return arrays, json.loads(attributes["counters"]), int(attributes["metrics_length"])


class Part(Run):
    """A part of a grid: rows of the run's metrics.csv with columns of its own, and a checkpoint of its own.

    `Run.parts` yields the parts in turn; what has been trained to its end is not trained again.
    """

    def __init__(self, run: Run, index: int, columns: Sequence[dict[str, Any]]) -> None:
        self.whole, self.index, self.every, self.columns = run, index, columns, dict(columns[index])
        self._adopt()

    def _adopt(self):
        vars(self).update(vars(self.whole))
        self.checkpoint = f"checkpoint-{self.index}.h5"

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Begin the whole run, if no part of it has begun; see `Run.begin`. `parts` are those of the whole run."""
        self.whole.begin(steps, trial, self.every)
        self._adopt()

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Append rows with the columns of this part in front."""
        super().log([self.columns | row for row in rows])

    def forget_rows(self) -> None:
        """Do nothing: `begin` of the whole run has done it, for all parts at once."""

    def _cut(self, rows, length):
        """Do nothing either: other parts may have added rows since this one was saved."""


def identity_hash(options: dict[str, Any]) -> str:
    """Return the eight hexadecimal digits that stand for a dict of options in the name of a run folder.

    The order of the options does not count, nor do device, threads, results, resume and jobs, which do not change what
    is computed; tuples are lists; numbers of equal value are equal (1 and 1.0, not True).
    """
    counted = {name: value for name, value in options.items() if name not in _NOT_IDENTITY}
    text = json.dumps(_canonical(counted), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _canonical(value):
    if isinstance(value, dict):
        return {str(name): _canonical(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _claim(path):
    with files.system_errors(f"cannot make the run folder {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue


def _acquire(folder):
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    with files.system_errors(f"cannot lock {folder}"):
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise PlasticError(f"{folder} is in use: another process runs in it") from None
        except NotImplementedError:  # of filelock before 3.24; later it makes do with the existence of a file
            raise PlasticError(
                f"cannot lock {folder}: its file system has no locks; PLASTIC_RESULTS can name another folder"
            ) from None
    return lock
