"""The commands `python -m plastic.gle neuron | lagline | lagnet | mnist1d | gsc | figure`."""

from plastic import cli
from plastic.gle.experiments.gsc import gsc
from plastic.gle.experiments.lagline import lagline
from plastic.gle.experiments.lagnet import lagnet
from plastic.gle.experiments.mnist1d import mnist1d
from plastic.gle.experiments.neuron import neuron
from plastic.runs.figure import figure

COMMANDS = {"neuron": neuron, "lagline": lagline, "lagnet": lagnet, "mnist1d": mnist1d, "gsc": gsc, "figure": figure}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.gle")
