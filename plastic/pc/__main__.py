"""The commands `python -m plastic.pc interference | alignment | ...`, one for each experiment; figure, list, seeds."""

from plastic import cli
from plastic.pc.experiments.alignment import alignment
from plastic.pc.experiments.alignment_over import alignment_over
from plastic.pc.experiments.cnn import cnn
from plastic.pc.experiments.coin import coin
from plastic.pc.experiments.consistency import consistency
from plastic.pc.experiments.depth import depth
from plastic.pc.experiments.drift import drift
from plastic.pc.experiments.erratic import erratic
from plastic.pc.experiments.fear import fear
from plastic.pc.experiments.forgetting import forgetting
from plastic.pc.experiments.interference import interference
from plastic.pc.experiments.machine import machine
from plastic.pc.experiments.online import online
from plastic.pc.experiments.prospective_index import prospective_index
from plastic.pc.experiments.published import list_published, list_seeds
from plastic.pc.experiments.reversal import reversal
from plastic.pc.experiments.rl import rl
from plastic.pc.experiments.smalldata import smalldata
from plastic.pc.experiments.teacher import teacher
from plastic.pc.experiments.trajectory import trajectory
from plastic.runs.figure import figure

ON_A_PAIR = (
    interference,
    alignment,
    alignment_over,
    prospective_index,
    trajectory,
    machine,
    teacher,
    erratic,
    consistency,
)
ON_IMAGES = (depth, online, smalldata, forgetting, drift, cnn)
ON_BEHAVIOUR = (coin, fear, reversal, rl)
COMMANDS = {each.__name__: each for each in (*ON_A_PAIR, *ON_IMAGES, *ON_BEHAVIOUR, figure)}

if __name__ == "__main__":
    cli.run(COMMANDS | {"list": list_published, "seeds": list_seeds}, prog="plastic.pc")
