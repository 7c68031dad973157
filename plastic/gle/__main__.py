"""The commands `python -m plastic.gle lagline | lagnet | mnist1d | gsc`."""

from plastic import cli
from plastic.gle.figures import figure
from plastic.gle.gsc import gsc
from plastic.gle.lagline import lagline
from plastic.gle.lagnet import lagnet
from plastic.gle.mnist1d import mnist1d

COMMANDS = {"lagline": lagline, "lagnet": lagnet, "mnist1d": mnist1d, "gsc": gsc, "figure": figure}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.gle")
