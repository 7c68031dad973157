"""The run that a training starts from: the one that is named, or the newest with the same options."""

import os

from plastic import parameters, runs, system
from plastic.errors import PlasticError
from plastic.evaluations import best_of
from plastic.runs.record import plain

_APART = ("load", "nb_epochs", "eval_every")  # options that two runs may differ in


def require_run(folder):
    """Require a run folder with a checkpoint."""
    if not os.path.exists(system.expanded(folder, "load") / "checkpoint.h5"):
        raise PlasticError(f"load is {folder!r}, which is no run folder with a checkpoint.h5")


def newest(run):
    """Return the folder of the newest run beside `run` that has a checkpoint and the same options."""
    place = runs.results_folder(run.option("results")) / run.family
    wanted = _compared(run)
    found = []
    for checkpoint in place.glob(f"{run.experiment}-*/checkpoint.h5"):
        try:
            other = runs.Run(checkpoint.parent)
        except PlasticError:
            continue  # damaged, or of an earlier version
        if (other.family, other.experiment) == (run.family, run.experiment) and _compared(other) == wanted:
            found.append((os.stat(other.folder / "config.json").st_mtime_ns, str(other.folder)))
    if not found:
        raise PlasticError(f"load has no value, and {place} has no {run.experiment} run with the same options")
    return max(found)[1]


def assign(net, folder):
    """Give a network the parameters of a run, those of its best epoch where it had a validation set."""
    arrays, _ = runs.Run(folder).read_checkpoint()
    layers = {path: array for path, array in best_of(arrays).items() if path.startswith("layers/")}
    try:
        parameters.assign(net.parameters, layers)
    except PlasticError as error:
        raise PlasticError(f"load: the network of {folder} is another one: {error}") from None


def _compared(run):
    """Return the options that have to be equal, as JSON has them."""
    shared = ("seed", "seeds", "dtype")
    own = {name: value for name, value in run.options.items() if name not in runs.SHARED and name not in _APART}
    return {name: plain(value) for name, value in (own | {n: run.options.get(n) for n in shared}).items()}
