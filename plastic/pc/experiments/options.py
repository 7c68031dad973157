"""Options that several experiments share: those that a grid fills, of inference, of searches on images."""

import dataclasses
import functools
from typing import Literal

from plastic import require
from plastic.errors import PlasticError
from plastic.pc.rules import bp, pc

Grid = Literal["paper", "quick"]
Rates = tuple[float, ...] | None
Counts = tuple[int, ...] | None
"""Types of options; None is for what the grid says."""


@dataclasses.dataclass(frozen=True)
class Inference:
    """The constants of inference.

    Args:
        T: steps of inference per update; the weights move in the last.
        gamma: rate of inference.
        discount: what gamma is multiplied by after a step that raised the energy.
        tolerance: inference ends where no state changes by more than this in a step; 0 makes all T steps.
        solver: how the states come to rest. steps: as published. layerwise: at most T - 1 sweeps from the top layer
            down, eight of which do on logistic units what 128 steps do. errors: T - 1 conjugate gradients over the
            errors, which reach all layers of a deep network at once. anderson: steps with Anderson's acceleration. All
            but the steps end at rest.
    """

    T: int = 128
    gamma: float = 0.1
    discount: float = 0.5
    tolerance: float = 0.0
    solver: Literal["steps", "layerwise", "errors", "anderson"] = "steps"

    def __post_init__(self):
        require.counts(T=self.T)
        require.number("gamma", self.gamma, above=0)
        require.number("discount", self.discount, above=0, most=1)
        require.number("tolerance", self.tolerance, least=0)

    def require_reach(self, layers):
        """Require as many steps as an error needs to get down to the first of so many layers of weights."""
        if self.T < layers:
            raise PlasticError(
                f"T is {self.T}, but an error needs {layers} steps to get down to the first of {layers} layers of "
                "weights, which would not move"
            )

    def rules(self):
        """Return {"pc": rule, "bp": rule}, each a function (net, x, y, *, out=None) -> (grads, output)."""
        return {"pc": functools.partial(pc, **dataclasses.asdict(self)), "bp": bp}


@dataclasses.dataclass(frozen=True)
class Search:
    """What is tried on images.

    Args:
        grid: paper, what was published, or quick, a part of it that shows the effect; what other options give replaces
            what it says.
        rates: learning rates, tried side by side, instead of the grid's, which are for pc and bp. Those for ipc are
            about a hundred times smaller: weights move with the states, T times for each batch.
        rules: what is compared. pc: inference, then the weights move once; ipc: they move at every one of T steps of
            inference (the paper's parallel PC); fixed_prediction, zil: variants of pc that give the gradients of bp;
            bp; repeated_bp: T updates from a batch; tp: target propagation, for linear networks.
        dataset: FMNIST, MNIST, KMNIST, CIFAR-10, MNIST-1D, glyphs (the last two need no download), or an .npz file
            with x_train, y_train, x_test, y_test: samples of any shape, and labels from 0 to 9. `cnn` takes square
            images, in grey or colour, with any number of classes; the others make colours grey.
    """

    grid: Grid = "paper"
    rates: Rates = None
    rules: tuple[str, ...] = ("pc", "bp")
    dataset: str = "FMNIST"

    def __post_init__(self):
        if self.rates is not None:
            require_different("rates", self.rates)


@dataclasses.dataclass(frozen=True)
class Judging:
    """What rates and epochs are judged by.

    Args:
        validation: share of the training images, 0.1 for instance, that is held out: of each class the last ones. Rates
            and epochs are judged by them, and the test set is measured once for each network, with the parameters of
            its best epoch (best_epoch, test_error, test_confusion in arrays.h5, by the number of the part); as
            published, it is after each epoch.
    """

    validation: float = 0.0

    def __post_init__(self):
        require.number("validation", self.validation, least=0, below=1)


def of_grid(run, grid, **given):
    """Return the values of options, those that are None being what the grid says, and write all down with the run.

    A tuple must hold different numbers above 0. A grid with "seeds" says how many there are unless they are given.
    Where each seed has rates of its own, a list for each is returned as the rates.
    """
    values = {name: grid[name] if value is None else value for name, value in given.items()}
    for name, value in values.items():
        if isinstance(value, tuple):
            require_different(name, value)
    run.fill(**values)
    if "seeds" in grid:
        run.count_seeds(grid["seeds"])
    return [run.rates if name == "rates" and run.rates else value for name, value in values.items()]


def require_some_of(name, given, known):
    """Require different words of those that are known, at least one."""
    if not given or len(set(given)) < len(given) or not set(given) <= set(known):
        raise PlasticError(f"{name} is {given}; it must hold different ones of {', '.join(known)}")


def require_different(name, values):
    """Require a tuple of different numbers above 0, at least one."""
    if not values or min(values) <= 0 or len(set(values)) < len(values):
        raise PlasticError(f"{name} is {values}; it must hold different numbers above 0")
