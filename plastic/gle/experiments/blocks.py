"""Euler steps in blocks, for experiments on one long input: a block is one step of `plastic.training.fit`."""

import math

from plastic.errors import PlasticError

BLOCK = 100
"""Euler steps in a block."""
_MOST = 10**8  # Euler steps: their records still fit the memory


def count(total: int) -> int:
    """Return how many blocks `total` Euler steps are."""
    return math.ceil(total / BLOCK)


def steps_of(number: int, total: int) -> range:
    """Return the Euler steps of block number 1, 2, .. of `total` steps; the last block may be shorter.

    Args:
        number: of the block.
        total: Euler steps of the whole run.
    """
    return range((number - 1) * BLOCK, min(number * BLOCK, total))


def require_times(dt: float, **times: float) -> None:
    """Require that each of the times is so few steps that their records fit the memory.

    Args:
        dt: the length of a step.
        times: {name of the option: time}.

    Raises:
        PlasticError: where there are more than 10^8 steps.
    """
    for name, time in times.items():
        if time / _MOST > dt:
            raise PlasticError(f"{name} is {time}, more than {_MOST:,} steps of dt={dt}")
