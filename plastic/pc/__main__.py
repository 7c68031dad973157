"""The commands `python -m plastic.pc interference | alignment | depth | ...`, one for each experiment."""

from plastic import cli
from plastic.pc import toys
from plastic.pc.changing import drift, forgetting
from plastic.pc.classification import depth, online, smalldata

COMMANDS = {name: getattr(toys, name) for name in toys.__all__}
COMMANDS |= {"depth": depth, "online": online, "smalldata": smalldata, "forgetting": forgetting, "drift": drift}

if __name__ == "__main__":
    cli.run(COMMANDS, prog="plastic.pc")
