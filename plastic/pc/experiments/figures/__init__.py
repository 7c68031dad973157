"""The figures of the experiments: functions of a list of runs, drawn from their folders."""

from plastic.pc.experiments.figures.errors import depth, drift, forgetting, online, smalldata
from plastic.pc.experiments.figures.paths import (
    alignment,
    erratic,
    interference,
    prospective_index,
    teacher,
    trajectory,
)

__all__ = [
    "alignment",
    "depth",
    "drift",
    "erratic",
    "forgetting",
    "interference",
    "online",
    "prospective_index",
    "smalldata",
    "teacher",
    "trajectory",
]
