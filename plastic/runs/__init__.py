"""Runs: the environment of a run, its folder, and the trained network that it leaves.

    with environment(device, dtype, threads):
        with Run.create(results_folder(), "gait", "train", options, readable) as run:
            run.log(rows)
            run.save_checkpoint(tree, counters)

A run folder is results/<family>/<experiment>-<readable>-<hash>/ and holds config.json, metrics.csv, checkpoint.h5,
arrays.h5 and figures. Nothing in it is ever half written, overwritten by another run, or pickled.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from plastic.errors import PlasticError
from plastic.runs.folder import Run, identity_hash, results_folder
from plastic.runs.surroundings import environment

__all__ = ["Run", "Trained", "environment", "identity_hash", "load", "results_folder"]


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """A trained network: the network itself, the config of its run, and predict(x) -> output."""

    network: Any
    config: dict
    predict: Callable

    def __repr__(self) -> str:
        return f"Trained {self.config['family']} {self.config['experiment']}, {self.config['status']}: {self.network}"


def load(folder):
    """Return the network that a run folder's checkpoint holds, as `Trained`.

    The family rebuilds it: plastic.<family>.restore(config, arrays by path) -> (network, predict). It lies on the
    backend and in the precision in use. Raises PlasticError where the folder is no run or damaged, or where its family
    restores no networks.
    """
    run = Run(folder)
    arrays, _ = run.read_checkpoint()
    network, predict = _family(run).restore(run.config, arrays)
    return Trained(network, run.config, predict)


def _family(run):
    name = run.family
    # a config file may come from anywhere: it can name a module of this package and nothing else
    if isinstance(name, str) and name.isidentifier() and not name.startswith("_"):
        try:
            family = importlib.import_module(f"plastic.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"plastic.{name}":
                raise
        else:
            if hasattr(family, "restore"):
                return family
    raise PlasticError(f"{run.folder}: the family is {name!r}, which is no package of plastic that restores networks")
