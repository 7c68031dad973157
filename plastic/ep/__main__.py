"""The commands of `python -m plastic.ep`: train, which is the default, plotcurves, recipe and figure."""

from plastic import cli
from plastic.ep.experiments.plotcurves import plotcurves
from plastic.ep.experiments.recipe import recipe
from plastic.ep.experiments.train import train
from plastic.runs.figure import figure

COMMANDS = {"train": train, "plotcurves": plotcurves, "recipe": recipe, "figure": figure}
PUBLISHED = {"receipe": "recipe"}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.ep", default="train", by="action", spellings=PUBLISHED)
