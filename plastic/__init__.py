"""Biologically plausible learning rules as hand-derived equations on NumPy or CuPy.

    from plastic import ep, optimizers                        # or gait, eprop, gle, pc
    net = ep.prototypical((784, 512, 10), numpy.random.default_rng(1))
    output = ep.predict(net, x, T=40)
    grads, output = ep.eqprop(net, x, y, T=40, K=15, beta=0.1)           # a rule changes nothing
    optimizer = optimizers.SGD(0.1)
    optimizer.step(net.parameters, grads, optimizer.init(net.parameters))

Each family of rules is a package that reproduces a paper: `help("plastic.ep")`. `from plastic import xp` is the array
namespace that every equation is written against, `plastic.load(folder)` gives back a trained network, and `python -m
plastic` lists the commands.
"""

from plastic import startup  # noqa: F401, I001  before all others

import importlib
import os
from typing import TYPE_CHECKING, Any

from plastic import xp
from plastic.errors import PlasticError

if TYPE_CHECKING:  # what an editor sees: at run time these are imported at their first use
    from plastic import check as check
    from plastic import compare as compare
    from plastic import data as data
    from plastic import ep as ep
    from plastic import eprop as eprop
    from plastic import functions as functions
    from plastic import gait as gait
    from plastic import gle as gle
    from plastic import initializers as initializers
    from plastic import optimizers as optimizers
    from plastic import parameters as parameters
    from plastic import pc as pc
    from plastic import plotting as plotting
    from plastic import runs as runs
    from plastic import training as training
    from plastic.runs import Trained

__version__ = "0.1.0"
FAMILIES = ("gait", "ep", "eprop", "gle", "pc")
_ROOMS = (
    "check",
    "compare",
    "data",
    "functions",
    "initializers",
    "optimizers",
    "parameters",
    "plotting",
    "runs",
    "training",
)
__all__ = ["FAMILIES", "PlasticError", "load", "xp"]


def __getattr__(name: str) -> Any:
    if name in FAMILIES or name in _ROOMS:
        return importlib.import_module(f"plastic.{name}")
    raise AttributeError(f"module 'plastic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", *FAMILIES, *_ROOMS])


def load(folder: str | os.PathLike[str], part: dict[str, Any] | None = None) -> "Trained":
    """Return the trained network of a run folder as `plastic.runs.Trained` (network, config, predict).

    part: of a grid, which of its networks: {"rule": "pc", "depth": 2}. See `plastic.runs.load`.
    """
    from plastic import runs

    return runs.load(folder, part)
