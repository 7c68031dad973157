"""The commands `python -m plastic.pc interference | alignment | depth | ...`, one for each experiment, and figure."""

from plastic import cli
from plastic.pc.experiments.alignment import alignment
from plastic.pc.experiments.depth import depth
from plastic.pc.experiments.drift import drift
from plastic.pc.experiments.erratic import erratic
from plastic.pc.experiments.forgetting import forgetting
from plastic.pc.experiments.interference import interference
from plastic.pc.experiments.online import online
from plastic.pc.experiments.prospective_index import prospective_index
from plastic.pc.experiments.smalldata import smalldata
from plastic.pc.experiments.teacher import teacher
from plastic.pc.experiments.trajectory import trajectory
from plastic.runs.figure import figure

COMMANDS = {
    "interference": interference,
    "alignment": alignment,
    "prospective_index": prospective_index,
    "trajectory": trajectory,
    "teacher": teacher,
    "erratic": erratic,
    "depth": depth,
    "online": online,
    "smalldata": smalldata,
    "forgetting": forgetting,
    "drift": drift,
    "figure": figure,
}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.pc")
