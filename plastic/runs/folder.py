"""The folder of a run: claimed once, never overwritten, resumable to the bit."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from plastic import files, interruption, parameters, system, terminal
from plastic.errors import Diverged, PlasticError
from plastic.runs import checkpoints, config, metrics, surroundings
from plastic.runs.claim import Resumption, acquired, claimed
from plastic.runs.naming import identity_hash, planned, require_names, require_plain
from plastic.types import Tree


class Run:
    """A run folder.

    `Run.create` claims a new one and `Run.resume` continues one; both hold its lock, which one process at a time can,
    until `close` or the end of a `with` block. `Run(folder)` opens one only to be read and needs no lock.

    folder: its path.
    config: the content of config.json; `family`, `experiment` and `options` are parts of it.
    """

    checkpoint = "checkpoint.h5"
    columns: dict[str, Any] = {}  # noqa: RUF012  of metrics.csv, that set a part of a grid apart
    front = ""  # of the names that a part of a grid saves
    growing = False  # whether a run that is extended has records that grow with it
    _counted = False  # whether the parts of a grid are written down
    _resumption: "Resumption | None" = None
    _known = metrics.Mark()  # of rows that have been read

    def __init__(self, folder: str | os.PathLike) -> None:
        """Open a run to read it. Raises PlasticError where config.json is missing, damaged or of another format."""
        self.folder = system.expanded(folder, "the run folder")  # shells leave the ~ in --resume=~/run
        self.config = config.read(self.folder / "config.json")
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
    ) -> "Run":
        """Claim the folder results/<family>/<experiment>-<readable>-<hash>/ and write config.json, status "running".

        options: all options of the run, a dict of JSON-able values; `Run.options` gives them back, tuples as lists.
        readable: the few options a human tells runs apart by, as text.
        Where the folder exists, -2, -3, ... is appended. Raises PlasticError where no folder can be made there.
        """
        require_names(family, experiment)
        require_plain(options)
        folder = claimed(planned(results, family, experiment, options, readable))
        record = {"format": config.FORMAT, "family": family, "experiment": experiment, "options": options}
        record |= {"identity": identity_hash(options), "checkpoints": [], "status": "running"}
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)  # nothing but what is begun here
            lock = acquired(folder)
            undo.callback(lock.release)
            files.write_json(folder / "config.json", record | surroundings.describe())
            run = cls(folder)
            undo.pop_all()
        run._lock = lock
        return run

    @classmethod
    def resume(cls, folder: str | os.PathLike) -> "Run":
        """Continue a run: take its lock and remove half-written files.

        Prints one line to stderr where versions, device or BLAS differ from those of the start: the continuation
        is then not promised to be bit-identical. `config["resumed"]` lists the resumptions, each with the status
        it found ("after"). Raises PlasticError where the folder is no run, is damaged, or is in use.

        config.json is written, with the status "running", as soon as the run goes on: when its checkpoint is loaded or
        something is written. A run that is refused until then, or interrupted, stays what it was.
        """
        folder = system.expanded(folder, "the run folder")
        if not os.path.isdir(folder):
            raise PlasticError(f"cannot resume {folder}: there is no such run folder")
        lock = acquired(folder)
        try:
            run = cls(folder)
            run._require_checkpoints()
            run.arrays()  # what could not be added to at the end is told now
            metrics.require_writable(run.folder / "metrics.csv")
            files.remove_temporary(run.folder)
            present = surroundings.describe()
            changed = surroundings.differences(run.config, present)
            if changed:
                terminal.warn(f"warning: {folder} may not continue bit-identically: {'; '.join(changed)}")
            present["after"] = run.config["status"]
            run.config["resumed"] = run.config.get("resumed", []) + [present]
            run.config["status"] = "running"
            for name in ("error", "step"):  # at which it failed, or was interrupted
                run.config.get("details", {}).pop(name, None)
            run._lock, run._resumption = lock, Resumption()
        except BaseException:
            lock.release()
            raise
        return run

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the run, by its options: `seeds`, or else `seed` alone; (0,) where it has neither."""
        several = self.options.get("seeds")
        return (self.options.get("seed", 0),) if several is None else tuple(several)

    @property
    def diverged(self) -> list[int]:
        """The replicas that have diverged, by their numbers."""
        return [int(replica) for replica in self.config.get("details", {}).get("diverged", {})]

    def tested(self, replica: int = 0, columns: dict[str, Any] | None = None) -> dict[str, float]:
        """Return what was measured once, after training, of a replica: {"test_error": .., "best_epoch": ..}.

        Empty where nothing was. columns: of a row of metrics.csv, among them those of its part of a grid.
        """
        parts = enumerate(self.config.get("parts", []))
        part = next((str(index) for index, part in parts if part.items() <= (columns or {}).items()), "")
        found = {}
        for path, values in self.config.get("tested", {}).items():
            of_part, _, name = path.rpartition("/")
            if of_part == part and replica < len(values):
                found[name] = values[replica]
        return found

    @property
    def to_resume(self) -> str:
        """What goes on with the run once it is interrupted, for a message."""
        return f"Run.resume({str(self.folder)!r})"

    def option(self, name: str) -> Any:
        """Return one of the options of the run, for figures and tables; a list is a tuple."""
        value = self.options[name]
        return tuple(value) if isinstance(value, list) else value

    def close(self) -> None:
        """Give the lock back. The run can still be read."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if isinstance(error, Exception):
            self.failed(error)
        elif self._lock is not None and self.config["status"] == "running":
            if error is None:
                self.status("finished", **self.config.get("details", {}))
            elif isinstance(error, KeyboardInterrupt):
                self.status("interrupted", **self.config.get("details", {}))
        self.close()

    def failed(self, error: Exception) -> None:
        """Write down, where that is possible, that a run that was running has ended by an error."""
        if self._lock is not None and self.config["status"] == "running":
            how = "diverged" if isinstance(error, Diverged) else "failed"
            with contextlib.suppress(PlasticError):
                self.status(how, **self.config.get("details", {}), error=f"{type(error).__name__}: {error}")

    def begin(
        self, steps: int | None = None, trial: Callable[[], float] | None = None, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Begin the work. The run has its folder already; that of a command claims it here (`plastic.runs.decorator`).

        steps, trial: what a command without work is told of the work, for a dry run.
        parts: of a grid: they are written down, and the rows of steps that are to be repeated are cut away.
        """
        if not parts or self._counted:
            return
        self._counted = True
        if self._resumption is None:
            self.config["parts"] = [dict(part) for part in parts]
            self.status("running", **self.config.get("details", {}))
        else:
            from plastic.runs.part import length_at_the_last

            self._resumption.length = length_at_the_last(self, parts)

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
        self.config.pop("tested", None)
        if self._resumption is None:
            self.status("running", **self.config.get("details", {}))

    def parts(self, columns: Sequence[dict[str, Any]]) -> "Iterator[Run]":
        """Yield a `Part` for each part of a grid, in turn. columns: [{column: value}], what sets the parts apart."""
        from plastic.runs.part import Part  # which is a run, too

        for index in range(len(columns)):
            yield Part(self, index, columns)

    def status(self, text: str, **details: Any) -> None:
        """Set the status in config.json, the time, and details.

        The status is "running", "finished", "interrupted", "diverged" or "failed". A run that is "running" without a
        process that holds its lock was killed. One that is interrupted or fails after `resume` and before it goes on is
        left as it was.
        """
        if self._resumption is not None and self._resumption.waiting and text in ("interrupted", "failed"):
            return
        self._go_on()
        self._write_status(text, details)

    def _go_on(self):
        """Write down that a resumed run goes on; then cut away what is to be done again."""
        if self._resumption is not None and self._resumption.waiting:
            self._resumption.waiting = False
            self._write_status("running", self.config.get("details", {}))
            if self._resumption.length is not None:
                metrics.cut(self._mine("metrics.csv"), self._resumption.length)

    def _write_status(self, text, details):
        path = self._mine("config.json")
        ended = None if text == "running" else surroundings.now()
        with interruption.deferred():  # what is known here is then what stands in the file
            self.config |= {"status": text, "ended": ended, "details": details}
            self.config.pop("metrics", None)
            if text != "running":
                self._known = metrics.mark(self.folder / "metrics.csv", self._known)
                self.config["metrics"] = list(self._known)
            files.write_json(path, self.config)

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Append rows, a list of dicts column -> number, text or None, to metrics.csv.

        The columns of the first call (step, epoch, replica and seed in front, where given) are those of the file.
        Numbers are written so that they read back exactly. Raises PlasticError for a column the file does not have,
        and where the disk is full; the file then ends as before.
        """
        path = self._mine("metrics.csv")
        self._go_on()
        metrics.append(path, rows)

    def metrics(self) -> dict[str, list[Any]]:
        """Return metrics.csv as a dict column -> list of int, float, str, or None for an empty cell.

        Raises PlasticError where it is damaged, or other than it was when the run ended.
        """
        path = self.folder / "metrics.csv"
        if "metrics" in self.config:
            metrics.require(path, [metrics.Mark(*self.config["metrics"])])
        return metrics.read(path)

    def has_checkpoint(self) -> bool:
        """Return whether there is a checkpoint to go on from."""
        return os.path.lexists(self.folder / self.checkpoint)

    def forget_rows(self) -> None:
        """Remove metrics.csv: the rows of a run that was killed before its first checkpoint."""
        path = self._mine("metrics.csv")
        self._go_on()
        with files.system_errors(f"cannot remove {path}"):
            path.unlink(missing_ok=True)
        self._known = metrics.Mark()

    def save_checkpoint(self, tree: Tree, counters: dict[str, Any]) -> None:
        """Replace checkpoint.h5 by the arrays of a tree and by counters, a JSON-able dict (steps, generator states).

        The length and checksum of metrics.csv go with them. The former checkpoint survives a crash at any moment.
        Raises PlasticError where the disk is full; the former checkpoint is then untouched.
        """
        path = self._mine(self.checkpoint)
        self._go_on()
        self._known = metrics.mark(self.folder / "metrics.csv", self._known)
        checkpoints.write(path, tree, counters, self._known, self.config["identity"])
        if self._list_checkpoint():
            files.write_json(self.folder / "config.json", self.config)

    def _list_checkpoint(self):
        """Let config.json list the checkpoint from its next writing on; return whether it did not."""
        if new := self.checkpoint not in self.config["checkpoints"]:
            self.config["checkpoints"].append(self.checkpoint)
        return new

    def load_checkpoint(self, tree: Tree, accept: Callable[..., Any] = lambda arrays, counters, table: counters) -> Any:
        """Write the checkpoint into the arrays of `tree`, in place, cut metrics.csv back to it; return the counters.

        accept: accept(arrays, counters, columns of metrics.csv) may refuse them by a PlasticError, and returns what is
            returned in place of the counters.
        Raises PlasticError, with nothing changed, where the checkpoint is missing, damaged, or of another tree, or
        metrics.csv is not what it was.
        """
        arrays, counters, mark = self._checkpoint()
        rows = self._mine("metrics.csv")
        metrics.require(rows, [mark])
        try:
            accepted = accept(arrays, counters, self._table(rows, mark))
            parameters.assign(tree, arrays, grown=self.growing)
        except PlasticError as error:
            raise PlasticError(f"{self.folder / self.checkpoint} does not fit: {error}") from None
        self._list_checkpoint()  # it does not where the run was killed right after it was saved
        self._loaded(rows, mark)
        return accepted

    def _table(self, rows, mark):
        return metrics.read(rows, mark.length)

    def _loaded(self, rows, mark):
        self._go_on()
        metrics.cut(rows, mark.length)
        self._known = mark

    def read_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the checkpoint as (arrays by path, counters), changing nothing. Raises PlasticError as above."""
        return self._checkpoint()[:2]

    def save_tested(self, found: dict[str, Any]) -> None:
        """Keep what was measured once, after training, {name: values of each replica}, in arrays.h5.

        A name with one number for each replica is in config.json, too, where `tested` finds it.
        """
        self.save_arrays(found)
        numbers = {f"{self.front}{name}": np.atleast_1d(each) for name, each in found.items() if np.ndim(each) < 2}
        known = self.config.get("tested", {})
        self.config["tested"] = known | {name: each.astype(float).tolist() for name, each in numbers.items()}
        self.status("running", **self.config.get("details", {}))

    def save_arrays(self, arrays: dict[str, Any]) -> None:
        """Add arrays {name: host or device array} to arrays.h5; a name that is there is replaced."""
        path = self._mine("arrays.h5")
        self._go_on()
        files.write_hdf5(path, self.arrays() | arrays, run=self.config["identity"])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of arrays.h5 by name; an empty dict where none were saved.

        Raises PlasticError where the file is damaged, or of another run.
        """
        path = self.folder / "arrays.h5"
        if not os.path.lexists(path):
            return {}
        arrays, attributes = files.read_hdf5(path)
        checkpoints.require_own(path, attributes, self.config["identity"])
        return arrays

    def _require_checkpoints(self):
        """Require that the checkpoints are there that config.json lists; without them, training would begin anew."""
        for name in self.config["checkpoints"]:
            if not os.path.lexists(self.folder / name):
                raise PlasticError(
                    f"{self.folder} is not resumed: config.json says {self.config['status']} and that {name} was "
                    "saved, but it is not there"
                )

    def _mine(self, name):
        if self._lock is None:
            raise PlasticError(f"{self.folder} is open for reading only; Run.create and Run.resume write")
        return self.folder / name

    def _checkpoint(self):
        path = self.folder / self.checkpoint
        if not os.path.lexists(path):
            if self.checkpoint in self.config["checkpoints"]:
                raise PlasticError(f"config.json says that {path} was saved, but it is not there")
            raise PlasticError(f"{self.folder} holds no checkpoint: the run ended before it wrote the first one")
        return checkpoints.read(path, self.config["identity"])
