"""Options that several experiments share: those that a grid fills, of inference, of the numbers of things."""

import dataclasses
import functools

from plastic import require
from plastic.errors import PlasticError
from plastic.pc.rules import bp, pc


@dataclasses.dataclass(frozen=True)
class Inference:
    """The constants of inference.

    Args:
        T: steps of inference; the weights move in the last.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.

    Raises:
        PlasticError: if one of them is out of range.
    """

    T: int
    gamma: float
    discount: float

    def __post_init__(self):
        require_counts(T=self.T)
        require.number("gamma", self.gamma, above=0)
        require.number("discount", self.discount, above=0, most=1)

    def rules(self):
        """Return {"pc": rule, "bp": rule}, each a function (net, x, y, *, out=None) -> (grads, output)."""
        return {"pc": functools.partial(pc, **dataclasses.asdict(self)), "bp": bp}


def of_grid(run, grid, **given):
    """Return the values of options, those that are None being what the grid says, and write all down with the run."""
    values = {name: grid[name] if value is None else value for name, value in given.items()}
    run.fill(**values)
    return list(values.values())


def require_counts(**counts):
    """Require whole numbers, at least 1."""
    for name, value in counts.items():
        require.whole(name, value)


def require_rates(**rates):
    """Require tuples of different numbers above 0, at least one in each."""
    for name, values in rates.items():
        require_different("rates above 0", name, values)


def require_different(kind, name, values):
    """Require a tuple of different numbers above 0, at least one; kind: what they are, for the message."""
    if not values or min(values) <= 0 or len(set(values)) < len(values):
        raise PlasticError(f"{name} is {values}; it must hold different {kind}")
