"""The command `figure`: the figures of runs, drawn again from their folders, one run or several in one figure."""

import os

from plastic import plotting, runs, system, terminal
from plastic.errors import PlasticError, told


def figure(folders: tuple[str, ...], *, out: str | None = None) -> None:
    """Draw the figures of runs from their folders; those of several runs of one experiment into one figure.

    Args:
        folders: run folders, one or more.
        out: the file to write, .png, .pdf or .svg, which must not exist; of an experiment with several figures, each
            adds its name. By default the figures of one run are drawn again into its folder.
    """
    if not folders:
        raise PlasticError("folders are none; name one run folder or more")
    found = [runs.Run(folder) for folder in folders]
    kinds = sorted({f"{run.family} {run.experiment}" for run in found})
    if len(kinds) > 1:
        raise PlasticError(f"folders are runs of {', '.join(kinds)}; they must all be of one experiment")
    draw = runs.of_run(found[0]).draw
    if not draw:
        raise PlasticError(f"a run of {kinds[0]} has no figures")
    paths = _paths(found, list(draw), out)
    drawn = {path: _drawn(name, draw[name], found) for name, path in paths.items()}  # all, before anything is written
    for path, each in drawn.items():
        if each is not None:
            plotting.save(each, path)
            terminal.say(str(path))


def _drawn(name, draw, found):
    try:
        return draw(found)
    except PlasticError:
        raise
    except Exception as error:  # matplotlib may lack what it needs, and a folder may come from anywhere
        raise PlasticError(f"{name} cannot be drawn: {told(error)}") from error


def _paths(found, names, out):
    """Return {name of the figure: the file to write}."""
    if out is None:
        if len(found) > 1:
            raise PlasticError("out is not given; several runs are drawn into a file of yours: --out=FILE.png")
        return {name: found[0].folder / f"{name}.png" for name in names}
    plotting.require_name(out)
    path = system.expanded(out, "out")
    paths = {name: path if len(names) == 1 else path.with_name(f"{path.stem}-{name}{path.suffix}") for name in names}
    for each in paths.values():
        if os.path.lexists(each):
            raise PlasticError(f"out is {each}, which exists and is left as it is; give another file")
    return paths
