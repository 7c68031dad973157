"""The figures of the experiments: functions of a list of runs, drawn from their folders."""

from plastic.pc.experiments.figures.behaviour import coin, fear, reasons, reversal
from plastic.pc.experiments.figures.images import (
    cnn,
    depth,
    depth_curves,
    drift,
    forgetting,
    forgetting_split,
    online,
    rl,
    smalldata,
)
from plastic.pc.experiments.figures.pairs import (
    alignment,
    alignment_over,
    erratic,
    interference,
    prospective_index,
    teacher,
    trajectory,
)

__all__ = [
    "alignment",
    "alignment_over",
    "cnn",
    "coin",
    "depth",
    "depth_curves",
    "drift",
    "erratic",
    "fear",
    "forgetting",
    "forgetting_split",
    "interference",
    "online",
    "prospective_index",
    "reasons",
    "reversal",
    "rl",
    "smalldata",
    "teacher",
    "trajectory",
]
