"""Several runs in one figure: what they are called, and the arrays of a run that has them."""

from plastic.errors import PlasticError


def labels(runs, names):
    """Return a label for each run: its name, with the name of its folder where several have the same."""
    return [
        name if names.count(name) == 1 else f"{name} ({run.folder.name})" for run, name in zip(runs, names, strict=True)
    ]


def arrays_of(run):
    """Return the arrays of a run. Raises PlasticError where it has not got to its end, and has none."""
    found = run.arrays()
    if not found:
        raise PlasticError(f"{run.folder} holds no arrays: the run is not finished; go on with --resume={run.folder}")
    return found
