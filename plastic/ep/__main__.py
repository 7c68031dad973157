"""The command `python -m plastic.ep`."""

from plastic import cli
from plastic.ep.experiment import run

if __name__ == "__main__":
    cli.run(run, prog="plastic.ep")
