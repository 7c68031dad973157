"""Euler steps in blocks, for experiments on one long input: a block is one step of `plastic.training.fit`."""

import math

from plastic import require
from plastic.errors import PlasticError

BLOCK = 100
"""Euler steps in a block."""
_MOST = 10**8  # Euler steps: their records still fit the memory


def count(total):
    """Return how many blocks `total` Euler steps are."""
    return math.ceil(total / BLOCK)


def steps_of(number, total):
    """Return the Euler steps, a range, of block number 1, 2, .. of `total` steps; the last block may be shorter."""
    return range((number - 1) * BLOCK, min(number * BLOCK, total))


def require_times(dt, **times):
    """Require a step dt that fits the neurons, and times, by their options, of at most 10^8 such steps."""
    for name, value in (times | {"dt": dt}).items():
        require.number(name, value, above=0)
    if dt > 0.1:
        raise PlasticError(f"dt is {dt}; it must be at most 0.1, the smallest prospective time constant of the neurons")
    for name, time in times.items():
        if time / _MOST > dt:
            raise PlasticError(f"{name} is {time}, more than {_MOST:,} steps of dt={dt}")
