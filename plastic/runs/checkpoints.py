"""What a checkpoint holds: arrays by path, counters, how far metrics.csv was, and which run it is of."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from plastic import files, parameters
from plastic.errors import PlasticError
from plastic.runs.metrics import Mark
from plastic.types import Tree


def write(path: Path, tree: Tree, counters: dict[str, Any], mark: Mark, run: str) -> None:
    """Replace a checkpoint; the former one survives a crash at any moment.

    Args:
        path: the file.
        tree: of arrays.
        counters: JSON-able.
        mark: of metrics.csv.
        run: the identity of the run.
    """
    at = {"metrics_length": mark.length, "metrics_checksum": mark.checksum}
    files.write_hdf5(path, dict(parameters.leaves(tree)), counters=files.to_json(counters), **at, run=run)


def read(path: Path, run: str) -> tuple[dict[str, np.ndarray], dict[str, Any], Mark]:
    """Return (arrays by path, counters, the mark of metrics.csv).

    path: the file. run: the identity of the run that it must be of.
    Raises PlasticError where it is damaged, no checkpoint, or of another run.
    """
    arrays, attributes = files.read_hdf5(path)
    try:
        counters = json.loads(attributes["counters"])
        mark = Mark(int(attributes["metrics_length"]), int(attributes["metrics_checksum"]))
        sound = isinstance(counters, dict) and mark.length >= 0
    except (KeyError, TypeError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise PlasticError(f"{path} is no checkpoint of a run: it holds {sorted(attributes)}")
    require_own(path, attributes, run)
    return arrays, counters, mark


def require_own(path: Path, attributes: dict[str, Any], run: str) -> None:
    """Raise PlasticError unless a file of arrays with these attributes is of a run, by its identity."""
    if (of := attributes.get("run")) != run:
        raise PlasticError(f"{path} is of another run, {of}; this one is {run}")
