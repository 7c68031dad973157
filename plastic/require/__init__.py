"""What public functions require of their arguments, said in the user's words.

Each function checks one kind of argument and raises PlasticError where it is wrong; the message names the argument,
what was found and what would be right. Shapes and types are looked at, and values where they are on the host: nothing
here waits for a GPU.
"""

from plastic.require.arrays import array, labels, per_replica, replicas, rows, targets, tree
from plastic.require.constants import choice, counts, generator, nonzero, number, scalar, sizes, whole
from plastic.require.packages import package

__all__ = [
    "array",
    "choice",
    "counts",
    "generator",
    "labels",
    "nonzero",
    "number",
    "package",
    "per_replica",
    "replicas",
    "rows",
    "scalar",
    "sizes",
    "targets",
    "tree",
    "whole",
]
