"""The commands of `python -m plastic.compare`: classify, which is the default, sequences, and figure."""

from plastic import cli
from plastic.compare.experiments.classify import classify
from plastic.compare.experiments.sequences import sequences
from plastic.runs.figure import figure

COMMANDS = {"classify": classify, "sequences": sequences, "figure": figure}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.compare", default="classify")
