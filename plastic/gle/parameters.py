"""What a GLE network learns, in one vector, so that an optimizer takes it in one pass."""

import itertools
import math
from typing import Any

from plastic import affine, parameters
from plastic.errors import PlasticError
from plastic.types import Array


class Parameters(parameters.Flat):
    """The parameters of a network, or their gradients: one vector, and views of its parts.

    As a tree, its leaves are layers/k/W, layers/k/b and, where it is learned, tau_m.

    Args:
        flat: the vector (..., P): W_1, .., W_L in turn, then the biases of all neurons, then their tau_m.
        sizes: the widths of the layers, the input first.
        bias: whether there are biases.
        learn_tau: whether the membrane time constants are learned.

    Attributes:
        layers: [Affine(W (..., n_{l-1}, n_l), b (..., 1, n_l) or None)].
        stacks: weights (..., m, n_{l-1}, n_l) of each run of m layers of one shape, see `runs_of`; a layer alone has
            (..., n_{l-1}, n_l).
        up, down: what rates going up are multiplied by, W^T, and errors going down, W, for each stack. From the first
            layer none go down; where it is alone in its stack, W is None.
        b: the biases of all neurons side by side, (..., 1, N), or None.
        tau_m: the membrane time constants of all neurons, (..., 1, N), or None where they are not learned.
        flat, tree, form, like: see `plastic.parameters.Flat`.

    Raises:
        PlasticError: if the vector is of another length than the sizes say.

    Example:
        >>> from plastic import xp
        >>> held = Parameters(xp.zeros(11), (2, 3, 1), bias=True, learn_tau=False)
        Traceback (most recent call last):
        plastic.errors.PlasticError: the vector has 11 parameters; a network (2, 3, 1) has 13
    """

    def __init__(self, flat: Array, sizes: tuple[int, ...], bias: bool, learn_tau: bool) -> None:
        self.flat, self.form = flat, (sizes, bias, learn_tau)
        runs = runs_of(sizes)
        several = [(count,) if count > 1 else () for _, count in runs]
        shapes = [(*count, *sizes[first : first + 2]) for count, (first, _) in zip(several, runs, strict=True)]
        n = sum(sizes[1:])
        lengths = [math.prod(shape) for shape in shapes] + [n] * (bias + learn_tau)
        ends = list(itertools.accumulate(lengths, initial=0))
        if flat.shape[-1] != ends[-1]:
            raise PlasticError(f"the vector has {flat.shape[-1]} parameters; a network {sizes} has {ends[-1]}")
        parts = [flat[..., start:end] for start, end in itertools.pairwise(ends)]
        lead = flat.shape[:-1]
        self.stacks = [part.reshape(*lead, *shape) for part, shape in zip(parts, shapes, strict=False)]
        self.up = [affine.transposed(W) for W in self.stacks]
        self.down = [None, *self.stacks[1:]] if runs[0][1] == 1 else [self.stacks[0][..., 1:, :, :], *self.stacks[1:]]
        rest = [part.reshape(*lead, 1, n) for part in parts[len(shapes) :]]
        self.b = rest[0] if bias else None
        self.tau_m = rest[-1] if learn_tau else None
        W = []
        for stack, (_, count) in zip(self.stacks, runs, strict=True):
            W += [stack] if count == 1 else [stack[..., k, :, :] for k in range(count)]
        b = [None if self.b is None else self.b[..., columns] for columns in columns_of(sizes)]
        self.layers = [parameters.Affine(*each) for each in zip(W, b, strict=True)]
        self.tree: dict[str, Any] = {"layers": self.layers, "tau_m": self.tau_m}

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self.flat, *self.form)  # a copy has a vector of its own, and views of that

    def like(self, flat: Array) -> "Parameters":
        """Return parameters of the same form over another vector `flat`."""
        return Parameters(flat, *self.form)


def columns_of(sizes: tuple[int, ...]) -> list[slice]:
    """Return where the layers of a network of these sizes, the input first, lie among all N neurons."""
    return [slice(start, end) for start, end in itertools.pairwise(itertools.accumulate(sizes[1:], initial=0))]


def runs_of(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the runs of neighbouring layers of one shape, [(the first of them, how many there are)].

    Their products are one call of a stack of matrices, which costs them less than a call for each.

    Example:
        >>> runs_of((1, 5, 5, 5, 2))
        [(0, 1), (1, 2), (3, 1)]
    """
    counts = [len(list(run)) for _, run in itertools.groupby(itertools.pairwise(sizes))]
    return list(zip(itertools.accumulate(counts[:-1], initial=0), counts, strict=True))
