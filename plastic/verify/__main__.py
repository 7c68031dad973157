"""`python -m plastic.verify [FAMILY]`: check every rule on this machine."""

import sys
from typing import Literal

from plastic import cli, terminal
from plastic.runs.surroundings import environment, in_words
from plastic.verify.table import HEAD, row, verdicts


def verify(
    family: Literal["gait", "ep", "eprop", "gle", "pc"] | None = None,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
):
    """Check every learning rule on this machine: what a user runs first.

    Rules are compared with finite differences of their losses, with another route to the same gradient, and where
    theory says that two rules meet. Expected values are computed in float64 from the same weights and data. Exit code:
    0, or 1 where a check fails. Nothing is written.

    Args:
        family: gait, ep, eprop, gle or pc; all without it.
        device: cpu; gpu or the number of a GPU; or auto, which is the GPU where CuPy works and else the CPU. By default
            PLASTIC_DEVICE or cpu.
        dtype: the precision of what is checked.
    """
    with environment(device, dtype):
        terminal.say(in_words())
        terminal.say(HEAD)
        passed = []
        for verdict in verdicts(family):
            terminal.say(row(verdict))
            passed.append(verdict.passed)
    terminal.say(f"{sum(passed)} of {len(passed)} checks hold")
    if not all(passed):
        sys.exit(1)


if __name__ == "__main__":
    cli.run(verify, prog="plastic.verify")
