"""Biologically plausible learning rules as hand-derived equations on NumPy or CuPy.

`from plastic import xp` is the array namespace that every equation is written against; `plastic.load(folder)` gives
back a trained network. Each family of rules is a package of its own, imported when asked for: `import plastic.gait`.
"""

from plastic import xp
from plastic.errors import PlasticError

__version__ = "0.1.0"
__all__ = ["PlasticError", "load", "xp"]


def load(folder):
    """Return the trained network of a run folder as `plastic.runs.Trained` (network, config, predict)."""
    from plastic import runs

    return runs.load(folder)
