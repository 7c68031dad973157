"""The figures of runs, drawn from their folders."""

import pathlib

from plastic import plotting, runs
from plastic.errors import PlasticError
from plastic.gle.figures import lagline, lagnet, sequences

_ROOMS = {"lagline": lagline, "lagnet": lagnet, "mnist1d": sequences, "gsc": sequences}


def draw(folder):
    """Draw the figures of a run folder into it."""
    run = runs.Run(folder)
    for name, fig in _ROOMS[run.experiment].figures(run).items():
        plotting.save(fig, run.folder / f"{name}.png")


def figure(folders: tuple[str, ...], *, out: str):
    """Draw several runs of one experiment into one figure: lagline (all models together), mnist1d or gsc.

    Args:
        folders: run folders, as a,b,c.
        out: the PNG file to write; a file that exists is left as it is.
    """
    if not folders:
        raise PlasticError("folders are none; name one run folder or more")
    found = [runs.Run(folder) for folder in folders]
    kinds = sorted({f"{run.family} {run.experiment}" for run in found})
    if len(kinds) > 1 or found[0].family != "gle" or not hasattr(_ROOMS[found[0].experiment], "together"):
        raise PlasticError(f"folders are runs of {', '.join(kinds)}; they must all be of gle lagline, mnist1d or gsc")
    if pathlib.Path(out).exists():
        raise PlasticError(f"out is {out}, which exists and is left as it is; give another file")
    plotting.save(_ROOMS[found[0].experiment].together(found), out)
    print(out)
