"""The commands of `python -m plastic.gait`: train, which is the default, and figure."""

from plastic import cli
from plastic.gait.experiments.train import train
from plastic.runs.figure import figure

COMMANDS = {"train": train, "figure": figure}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.gait", default="train")
