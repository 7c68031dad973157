"""The commands `python -m plastic.pc depth | online | smalldata | ...`."""

from plastic import cli
from plastic.pc.changing import drift, forgetting
from plastic.pc.classification import depth, online, smalldata

COMMANDS = {"depth": depth, "online": online, "smalldata": smalldata, "forgetting": forgetting, "drift": drift}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.pc")
