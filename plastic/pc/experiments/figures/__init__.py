"""The figures of the experiments: functions of a list of runs, drawn from their folders."""

from plastic.pc.experiments.figures.behaviour import coin, fear, reasons, reversal
from plastic.pc.experiments.figures.images import (
    cnn,
    confusion,
    depth,
    depth_curves,
    drift,
    forgetting,
    forgetting_split,
    online,
    rl,
    smalldata,
)
from plastic.pc.experiments.figures.machine import film, machine
from plastic.pc.experiments.figures.pairs import (
    alignment,
    alignment_over,
    directions,
    erratic,
    interference,
    interference_first,
    prospective_index,
    teacher,
    teacher_curves,
    trajectory,
)

__all__ = [
    "alignment",
    "alignment_over",
    "cnn",
    "coin",
    "confusion",
    "depth",
    "depth_curves",
    "directions",
    "drift",
    "erratic",
    "fear",
    "film",
    "forgetting",
    "forgetting_split",
    "interference",
    "interference_first",
    "machine",
    "online",
    "prospective_index",
    "reasons",
    "reversal",
    "rl",
    "smalldata",
    "teacher",
    "teacher_curves",
    "trajectory",
]
