"""The command `python -m plastic.gait`."""

from plastic import cli
from plastic.gait.experiment import train

if __name__ == "__main__":
    cli.run(train, prog="plastic.gait")
