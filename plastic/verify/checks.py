"""What a check is: two computations that theory says agree, and how far they may be apart."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from plastic import check, parameters, xp
from plastic.types import Tree

DIFFERENCES = {"float64": 1e-6, "float32": 1e-3}
"""Tolerances of finite differences: what truncation and rounding leave of them, with room."""

ROUNDING = {"float64": 1e-11, "float32": 1e-3}
"""Tolerances of equal sums in another order, a few thousand roundings; float32 with room for what cancels."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that theory says of rules.

    Args:
        what: it, in words.
        rules: names in RULES or STEPS of the family that it is about.
        found: a function that returns a tree, computed in the working precision.
        expected: a function that returns the tree that it should be, computed in float64.
        tolerance: {"float64": the largest relative difference that passes, "float32": likewise}.
    """

    what: str
    rules: tuple[str, ...]
    found: Callable[[], Tree]
    expected: Callable[[], Tree]
    tolerance: dict[str, float]

    def verdict(self, family: str) -> "Verdict":
        """Return what the check finds on the backend and in the precision at work; `family` is written into it.

        A rule that raises fails its check, and the others go on: it may be one function that a new backend lacks.
        """
        apart, error = math.nan, ""
        try:
            found = self.found()
            with float64():
                expected = self.expected()
            apart = difference(found, expected)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        return Verdict(family, self.what, apart, self.tolerance[xp.float_dtype.name], error)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a check has found.

    Args:
        family: the name of the family.
        what: what was checked.
        difference: the largest relative difference.
        tolerance: the largest that passes.
        error: what was raised, "" for nothing.
    """

    family: str
    what: str
    difference: float
    tolerance: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance; one that is no number is not."""
        return self.difference <= self.tolerance


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Work in float64 on the same backend for the time of a `with` block."""
    before = xp.float_dtype
    xp.use(xp.current.backend, dtype="float64")
    try:
        yield
    finally:
        xp.use(xp.current.backend, dtype=before.name)


def difference(found: Tree, expected: Tree) -> float:
    """Return the largest |found - expected| of all leaves, each relative to the largest entry of the expected leaf.

    A leaf that should be zero counts as it is. What is not finite makes the difference nan.
    """
    there, largest = dict(parameters.leaves(found)), 0.0
    for path, leaf in parameters.leaves(expected):
        a, b = (xp.asnumpy(each).astype(np.float64) for each in (there.pop(path), leaf))
        if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            return math.nan
        largest = max(largest, float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0)))
    return math.nan if there else largest


def slopes(net: Any, loss: Callable[[], Any]) -> Tree:
    """Return the gradient of a loss by the parameters of a network, by finite differences; works in float64 only."""
    return check.finite_differences(lambda _: loss(), net.parameters)


def limit(tolerance: float) -> dict[str, float]:
    """Return the tolerances of what holds in a limit only: the distance from it outweighs rounding."""
    return {"float64": tolerance, "float32": tolerance}


def array(generator: np.random.Generator, *shape: int) -> Any:
    """Return normal numbers of a shape, in the working precision; the same in every precision but for its rounding."""
    return xp.asarray(generator.standard_normal(shape), dtype=xp.float_dtype)


def one_hot(generator: np.random.Generator, batch: int, classes: int) -> Any:
    """Return rows (batch, classes) of random classes, in the working precision."""
    return xp.asarray(np.eye(classes)[generator.integers(0, classes, batch)], dtype=xp.float_dtype)


def replicas(
    rules: dict[str, Callable], constants: dict[str, dict], make: Callable[[Any], Any], *, x: tuple, y: tuple
) -> list[Check]:
    """Return checks that two networks side by side, as replicas, find what each finds alone.

    rules: RULES of a family. constants: {name of a rule: its constants}. make: makes a network with a generator, or
    replicas with a list of them. x, y: the shapes of input and target of one network.
    """

    def data():
        rng = np.random.default_rng(12)
        return array(rng, 2, *x), array(rng, 2, *y)

    def together(name):
        return rules[name](make([np.random.default_rng(seed) for seed in (0, 1)]), *data(), **constants[name])[0]

    def alone(name):
        inputs, targets = data()
        nets = [make(np.random.default_rng(seed)) for seed in (0, 1)]
        each = [rules[name](net, inputs[k], targets[k], **constants[name])[0] for k, net in enumerate(nets)]
        return parameters.stack(each)

    return [
        Check(
            f"replicas are separate runs, {name}",
            (name,),
            functools.partial(together, name),
            functools.partial(alone, name),
            ROUNDING,
        )
        for name in constants
    ]
