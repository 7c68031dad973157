"""Parameters as trees: one record for a layer, and a handful of helpers over trees of arrays.

A tree is an array, or a list, tuple, dict or dataclass of trees; None is an empty tree (an absent bias). A leaf's
path, such as "layers/0/W", is also its name in a checkpoint. Parameters may carry leading replica axes: W (..., n_in,
n_out), b (..., 1, n_out).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from plastic import xp
from plastic.errors import PlasticError
from plastic.types import Array, Tree

__all__ = [
    "Affine",
    "Flat",
    "assign",
    "copy",
    "leaves",
    "map",
    "pairs",
    "replica",
    "stack",
    "stack_replicas",
    "zeros_like",
]


def __dir__() -> list[str]:
    return __all__


@dataclasses.dataclass(eq=False, repr=False)
class Affine:
    """An affine map y = x W + b of row vectors x (..., batch, n_in).

    Attributes:
        W: weights (..., n_in, n_out), first index input, second output.
        b: bias (..., 1, n_out), or None.
    """

    W: Array
    b: Any = None

    def __repr__(self) -> str:
        return f"Affine W {getattr(self.W, 'shape', None)}, b {getattr(self.b, 'shape', None)}"


class Flat:
    """A tree whose leaves are views of one vector: what runs over all of them, an optimizer's step, is one pass.

    A family with such parameters derives a class from this one.

    Attributes:
        flat: the vector (..., P); its leading axes are those of replicas.
        tree: the leaves as any other tree holds them; their paths are those of this tree.
        form: what says how the vector is divided; two trees of one form have the same leaves.
    """

    flat: Array
    tree: Tree
    form: Any

    def like(self, flat: Array) -> "Flat":
        """Return the tree of this form over another vector."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.flat.shape[-1]} numbers, {', '.join(path for path, _ in leaves(self))}"


def leaves(tree: Tree, path: str = "") -> list[tuple[str, Array]]:
    """Return the arrays of a tree with their paths, in the order of the tree.

    Args:
        tree: the tree.
        path: its own path, in front of all others.

    Returns:
        [(path, array), ...].

    Example:
        >>> [path for path, _ in leaves({"layers": [Affine(xp.zeros((2, 3)), xp.zeros((1, 3)))]})]
        ['layers/0/W', 'layers/0/b']
    """
    if tree is None:
        return []
    children = _children(tree)
    if children is None:
        return [(path, tree)]
    return [leaf for name, child in children for leaf in leaves(child, f"{path}/{name}" if path else name)]


def pairs(tree: Tree, other: Tree) -> list[tuple[Array, Array]] | None:
    """Return the leaves of two trees side by side; None where the trees, or the order of their leaves, differ.

    It costs less than `leaves` of both, as it spells no paths: an optimizer walks the gradients in every step.

    Args:
        tree, other: the trees.

    Returns:
        [(leaf of the tree, leaf of the other), ...], or None.

    Example:
        >>> pairs({"W": 1.0, "b": 2.0}, {"W": 3.0, "b": 4.0}), pairs({"W": 1.0}, [3.0])
        ([(1.0, 3.0), (2.0, 4.0)], None)
    """
    found: list[tuple[Array, Array]] = []
    return found if _pair(tree, other, found) else None


def _pair(tree, other, found):
    if tree is None or other is None:
        return tree is other
    children, others = _children(tree), _children(other)
    if children is None or others is None:
        found.append((tree, other))
        return children is others
    return len(children) == len(others) and all(
        [a == b and _pair(child, twin, found) for (a, child), (b, twin) in zip(children, others, strict=True)]
    )


def map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return a tree whose leaves are function(leaf, leaves of the others at the same path).

    Args:
        function: of as many arrays as there are trees.
        tree: the first tree; the result has its shape. A `Flat` tree gives one of arrays of their own.
        others: trees of the same shape.

    Returns:
        The tree.

    Raises:
        PlasticError: if another tree has no leaf at a path of `tree`, or one more.

    Example:
        >>> map(lambda a, b: a - b, {"W": 3.0}, {"W": 1.0})
        {'W': 2.0}
    """
    if isinstance(tree, Flat):
        return map(function, tree.tree, *(each.tree if isinstance(each, Flat) else each for each in others))
    if tree is None:
        if any(other is not None for other in others):
            raise PlasticError("the trees differ: one has a leaf where another has None")
        return None
    children = _children(tree)
    if children is None:
        if any(other is None or _children(other) is not None for other in others):
            raise PlasticError("the trees differ: one has an array where another has none")
        return function(tree, *others)
    names = [name for name, _ in children]
    families: list[list[tuple[str, Tree]]] = []
    for other in others:
        family = _children(other)
        if family is None or [name for name, _ in family] != names:
            found = "an array" if family is None else [name for name, _ in family]
            raise PlasticError(f"the trees differ: {names} against {found}")
        families.append(family)
    mapped = [
        map(function, child, *(family[index][1] for family in families)) for index, (_, child) in enumerate(children)
    ]
    if isinstance(tree, dict):
        return dict(zip(tree, mapped, strict=True))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return dataclasses.replace(tree, **dict(zip(names, mapped, strict=True)))
    return type(tree)(*mapped) if hasattr(tree, "_fields") else type(tree)(mapped)  # a named tuple


def copy(tree: Tree) -> Tree:
    """Return a tree with its own copy of every array."""
    if isinstance(tree, Flat):
        return tree.like(tree.flat.copy())
    return map(lambda array: array.copy(), tree)


def zeros_like(tree: Tree) -> Tree:
    """Return a tree of zeros of the same shapes and types."""
    if isinstance(tree, Flat):
        return tree.like(xp.zeros_like(tree.flat))
    return map(xp.zeros_like, tree)


def assign(tree: Tree, arrays: dict[str, Any], grown: bool = False) -> None:
    """Write arrays into the leaves of a tree, in place.

    Args:
        tree: the tree.
        arrays: {path: host or device array}, {"layers/0/W": ...}.
        grown: whether a leaf may be longer than its array along one axis, as a record of a longer training is; the
            array then becomes its beginning.

    Raises:
        PlasticError: if a path is missing or left over, or a shape differs; nothing is written then.

    Example:
        >>> net = {"W": xp.zeros((1, 2))}
        >>> assign(net, {"W": xp.ones((1, 2))})
        >>> net["W"].tolist()
        [[1.0, 1.0]]
    """
    targets = dict(leaves(tree))
    if targets.keys() != arrays.keys():
        raise PlasticError(f"the parameters differ: {sorted(targets.keys() ^ arrays.keys())} on one side only")
    for path, target in targets.items():
        if target.shape != arrays[path].shape and not (grown and _is_beginning(arrays[path].shape, target.shape)):
            raise PlasticError(f"{path} has shape {target.shape}, but {arrays[path].shape} was given")
    for path, target in targets.items():
        target[tuple(map(slice, arrays[path].shape))] = xp.asarray(arrays[path], dtype=target.dtype)


def _is_beginning(shape, whole):
    longer = [a < b for a, b in zip(shape, whole, strict=False) if a != b]
    return len(shape) == len(whole) and longer == [True]


def replica(tree: Tree, k: int | slice) -> Tree:
    """Return a tree of some replicas along the first axis: views, and arrays of no axes, which all share, as they are.

    Args:
        tree: the tree.
        k: the number of a replica, whose arrays lose the axis, or a slice.

    Returns:
        The tree; of a `Flat` one it is one over a part of its vector.

    Example:
        >>> replica({"W": xp.zeros((3, 2, 4)), "t": xp.zeros(())}, 1)["W"].shape
        (2, 4)
    """
    if isinstance(tree, dict):
        return {name: replica(child, k) for name, child in tree.items()}
    if isinstance(tree, Flat):
        return tree.like(tree.flat[k])
    return map(lambda array: array[k] if array.ndim else array, tree)


def stack(trees: list[Tree]) -> Tree:
    """Stack equal trees along a new leading replica axis."""
    return map(lambda *arrays: xp.stack(arrays), *trees)


def stack_replicas(trees: list[Tree]) -> Tree:
    """Return the tree of one replica as it is, those of several stacked."""
    return trees[0] if len(trees) == 1 else stack(trees)


def _children(tree: Tree) -> list[tuple[str, Tree]] | None:
    kind: Any = type(tree)
    walk = _walk(kind)
    return None if walk is None else walk(tree)


@functools.cache
def _walk(kind: type) -> Callable[[Any], list[tuple[str, Tree]] | None] | None:
    """Return what gives the children of a tree of this type, by name, or None of another; once, for speed."""
    if issubclass(kind, Flat):
        return lambda tree: _children(tree.tree)
    if issubclass(kind, (list, tuple)):
        return lambda tree: [(str(index), child) for index, child in enumerate(tree)]
    if issubclass(kind, dict):
        return lambda tree: [(str(name), child) for name, child in tree.items()]
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return lambda tree: [(name, getattr(tree, name)) for name in names]
    return None
