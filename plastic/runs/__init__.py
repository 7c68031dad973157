"""Runs: the environment of a run, its folder, and the trained network that it leaves.

    with environment(device, dtype, threads):
        with Run.create(results_folder(), "gait", "train", options, readable) as run:
            run.log(rows)
            run.save_checkpoint(tree, counters)

A run folder is results/<family>/<experiment>-<readable>-<hash>/ and holds config.json, metrics.csv, checkpoint.h5,
arrays.h5 and figures. Nothing in it is ever half written, overwritten by another run, or pickled.
"""

import contextlib
import dataclasses
import importlib
import inspect
import os
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

from plastic.errors import PlasticError
from plastic.runs import config
from plastic.runs.decorator import experiment
from plastic.runs.folder import Run
from plastic.runs.naming import identity_hash, results_folder
from plastic.runs.new_run import NewRun
from plastic.runs.part import Part
from plastic.runs.record import EXPERIMENTS, SHARED, Experiment, Spelling
from plastic.runs.surroundings import environment

__all__ = [
    "NewRun",
    "Run",
    "Spelling",
    "Trained",
    "environment",
    "experiment",
    "identity_hash",
    "load",
    "results_folder",
]


def __dir__() -> list[str]:
    return __all__


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """A trained network: the network itself, the config of its run, and predict(x) -> output.

    `help(trained.predict)` says what x and the output are.
    """

    network: Any
    config: dict
    predict: Callable

    def __repr__(self) -> str:
        return f"Trained {self.config['family']} {self.config['experiment']}, {self.config['status']}: {self.network}"


def load(folder: str | os.PathLike, part: dict[str, Any] | None = None) -> Trained:
    """Return the network that a run folder's checkpoint holds, as `Trained`.

    The experiment rebuilds it, by what its `restore` says. The network lies on the backend and in the precision in use.
    A replica that has diverged has the weights of its last finite checkpoint.

    Args:
        folder: the run folder.
        part: of a grid, {column: value} of the part that is wanted, {"rule": "pc", "depth": 2} for instance.

    Returns:
        The `Trained` network.

    Raises:
        PlasticError: where the folder is no run or damaged, keeps no network, has parts of which none is named (the
            message lists them), or is of an experiment that is not known here.

    Example:
        trained = plastic.load("results/gait/train-GAIT-glyphs-1hidden-reg0.1-seed1-f00ba4aa")
        outputs = trained.predict(images)
    """
    run = Run(folder)
    record = of_run(run)
    if record.restore is None:
        raise PlasticError(f"{run.folder} is a run of {run.family} {run.experiment}, which keeps no trained network")
    if "parts" in run.config:
        run = _part(run, part)
    elif part is not None:
        raise PlasticError(f"{run.folder} has no parts; leave {part} out")
    arrays, _ = run.read_checkpoint()
    options = {name: tuple(v) if isinstance(v, list) else v for name, v in run.options.items() if name not in SHARED}
    config.require_options(run.folder, options, {name: each.annotation for name, each in record.own.items()})
    options = {name: value for name, value in record.defaults.items() if name in record.own} | options
    if isinstance(run, Part):
        options = run.columns | options
    try:
        inspect.signature(record.restore).bind(arrays, **options)
    except TypeError as error:
        raise PlasticError(f"{run.folder} has other options than {run.family} {run.experiment} has: {error}") from None
    with _not_of(run):
        network, predict = record.restore(arrays, **options)
    if isinstance(predict, types.FunctionType) and predict.__doc__ is None:
        predict.__doc__ = inspect.getdoc(record.restore)
    return Trained(network, run.config, predict)


@contextlib.contextmanager
def _not_of(run: Run) -> Iterator[None]:
    """Say what is wrong where a network is built from options and arrays that do not belong together."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, MemoryError) as error:
        raise PlasticError(
            f"the checkpoint of {run.folder} does not fit its options: {type(error).__name__}: {error}"
        ) from error


def of_run(run: Run) -> Experiment:
    """Return the `Experiment` that a run is of, importing the one file that describes it.

    Raises:
        PlasticError: if it is not known.
    """
    key = str(run.family), str(run.experiment)
    if key not in EXPERIMENTS and all(re.fullmatch("[a-z][a-z0-9_]*", word) for word in key):
        # a config file may come from anywhere: it can name an experiment of this package and nothing else
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"plastic.{key[0]}.experiments.{key[1]}")
    if key not in EXPERIMENTS:
        raise PlasticError(
            f"{run.folder} is a run of {run.family} {run.experiment}, which is not known here: import the module in "
            f"which @experiment({run.family!r}, ...) describes it first; where there is none, "
            "plastic.runs.Run(folder).read_checkpoint() has the arrays"
        )
    return EXPERIMENTS[key]


def _part(run, wanted):
    every = run.config["parts"]
    if not isinstance(wanted, dict | None):
        raise PlasticError(f"part is {wanted!r}; it must be a dict, as {every[0]}")
    found = [k for k, part in enumerate(every) if wanted and all(part.get(n) == v for n, v in wanted.items())]
    if len(found) != 1:
        listed = "; ".join(map(str, every))
        what = "say which by part=" if not wanted else f"{len(found)} of them are {wanted}"
        raise PlasticError(f"{run.folder} has {len(every)} parts, and {what}: {listed}")
    return Part(run, found[0], every)
