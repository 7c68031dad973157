"""What is required of arrays and trees of them."""

import math
import numbers
from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.types import Array, Tree


def array(name: str, value: Any) -> None:
    """Require an array of the backend in use.

    Args:
        name: what the argument is called, in the message.
        value: the argument.

    Raises:
        PlasticError: if it is something else.
    """
    if isinstance(value, xp.ndarray):
        return
    if isinstance(value, np.ndarray):
        raise PlasticError(
            f"{name} is a NumPy array, but the backend is {xp.backend()}; bring it by xp.asarray({name})"
        )
    hint = f"; make one by xp.asarray({name})" if isinstance(value, list | tuple | numbers.Number) else ""
    raise PlasticError(f"{name} is a {type(value).__name__}, not an array{hint}")


def rows(name: str, x: Any, n: int, dtype: Any, time: bool = False, spikes: bool = False) -> None:
    """Require rows of numbers, with no axis of length 0.

    Args:
        name: what the argument is called, in the message.
        x: the argument, (..., batch, n), or (..., T, batch, n) with `time`.
        n: how many numbers a row has.
        dtype: their precision.
        time: whether there is an axis of time.
        spikes: whether booleans are welcome too.

    Raises:
        PlasticError: if x is something else; it says what to do about images that are not flattened or not scaled, and
            about a single sample.
    """
    array(name, x)
    wanted = f"(..., T, batch, {n})" if time else f"(..., batch, {n})"
    if x.dtype != dtype and not (spikes and x.dtype == bool):
        if x.dtype.kind != "f":
            scaled = f"spikes may be {name}.astype(bool)" if spikes else "images scaled to [0, 1]"
            hint = f"xp.asarray({name}, dtype=xp.float_dtype), {scaled}"
            raise PlasticError(f"{name} holds {x.dtype}; {np.dtype(dtype)} numbers are needed: {hint}")
        raise PlasticError(
            f"{name} is {x.dtype}, but the network is {np.dtype(dtype)}: convert one of them, or set xp.use(dtype=...) "
            "before both are made"
        )
    if x.ndim < 2 + time or x.shape[-1] != n:
        hint = ""
        if math.prod(x.shape[1:]) == n and x.ndim > 1:
            hint = f"; flatten the samples: {name}.reshape(len({name}), -1)" if not time else ""
        elif x.shape == (n,):
            hint = f"; a single sample is {name}[None]"
        raise PlasticError(f"{name} has shape {x.shape}; {wanted} is needed{hint}")
    if 0 in x.shape:
        raise PlasticError(f"{name} has shape {x.shape}: it is empty")


def targets(y: Any, x: Array, n: int, dtype: Any, time: bool = False, name: str = "y") -> None:
    """Require one row of targets for each row of x.

    Args:
        y: the targets (..., batch, n), or (..., T, batch, n) with `time`.
        x: the inputs or outputs that they belong to, (..., batch, any), or (..., T, batch, any).
        n: how many numbers a row of y has.
        dtype: their precision.
        time: whether there is an axis of time.
        name: what y is called, in the message.

    Raises:
        PlasticError: if y is something else, labels for instance.
    """
    if isinstance(y, xp.ndarray) and n > 1 and (y.ndim < 2 + time or y.shape[-1] == 1 or _are_labels(y, x, n)):
        raise PlasticError(
            f"{name} has shape {y.shape}; a row of {n} numbers for each sample is needed: labels become rows by "
            f"functions.one_hot(labels, {n})"
        )
    rows(name, y, n, dtype, time)
    for axis, word in ((-3, "steps"), (-2, "rows")) if time else ((-2, "rows"),):
        if y.shape[axis] != x.shape[axis]:
            raise PlasticError(f"{name} has {y.shape[axis]} {word}, but x has {x.shape[axis]}")


def _are_labels(y: Array, x: Array, n: int) -> bool:
    """Whether y has an axis less than x, and no row of n numbers: replicas may share targets, but not labels."""
    return y.ndim < x.ndim and y.shape[-1] != n


def replicas(**leading: tuple[int, ...]) -> tuple[int, ...]:
    """Return the replica shape that several arrays share.

    Args:
        leading: the replica axes of each array, by its name. An axis has the same length everywhere, or 1, or is
            absent.

    Returns:
        The shape.

    Raises:
        PlasticError: if lengths differ.

    Example:
        >>> replicas(x=(), network=(3, 1), y=(4,))
        (3, 4)
    """
    shape: list[int] = []
    for name, axes in leading.items():
        for place, length in enumerate(reversed(axes)):
            if place == len(shape):
                shape.append(length)
            elif shape[place] == 1:
                shape[place] = length
            elif length not in (1, shape[place]):
                found = ", ".join(f"{each} {axes}" for each, axes in leading.items())
                raise PlasticError(f"the replica axes do not fit together ({found}): {name} has {length}")
    return tuple(reversed(shape))


def per_replica(name: str, value: Any, leading: tuple[int, ...]) -> None:
    """Require a number, or an array with one number for each replica.

    Args:
        name: what the argument is called, in the message.
        value: the argument, a number or an array (..., 1, 1).
        leading: the replica shape.

    Raises:
        PlasticError: if it is something else.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return
    array(name, value)
    if value.ndim == 0:
        return
    if value.ndim < 2 or value.shape[-2:] != (1, 1):
        wanted = f"of shape {(*leading, 1, 1)}, one for each replica" if leading else "a number"
        raise PlasticError(f"{name} has shape {value.shape}; it must be {wanted}")
    if replicas(network=leading, **{name: value.shape[:-2]}) != leading:
        raise PlasticError(f"{name} has replica axes {value.shape[:-2]}, but the network has {leading}")


def labels(found: Any, classes: int, name: str = "labels") -> None:
    """Require labels: whole numbers from 0 to classes - 1.

    Args:
        found: the argument.
        classes: how many there are.
        name: what the argument is called, in the message.

    Raises:
        PlasticError: if it is something else. Labels on a GPU are not read.
    """
    array(name, found)
    if found.dtype.kind not in "iu":
        raise PlasticError(f"{name} are {found.dtype}; whole numbers from 0 to {classes - 1} are needed")
    if isinstance(found, np.ndarray) and found.size and not (0 <= found.min() and found.max() < classes):
        raise PlasticError(
            f"{name} run from {found.min()} to {found.max()}; with {classes} classes they are 0 to {classes - 1}"
        )


def tree(name: str, found: Tree, like: Tree) -> None:
    """Require a tree with the paths, shapes and precisions of another.

    Args:
        name: what the argument is called, in the message.
        found: the argument.
        like: the tree of parameters that it belongs to.

    Raises:
        PlasticError: if a path is missing or left over, or a shape or precision differs.
    """
    leaves, wanted = dict(parameters.leaves(found)), dict(parameters.leaves(like))
    if leaves.keys() != wanted.keys():
        odd = ", ".join(sorted(path or "an array" for path in leaves.keys() ^ wanted.keys()))
        raise PlasticError(f"{name} is another tree than the parameters: {odd} on one side only")
    for path, leaf in leaves.items():
        where = f"{name} at {path}" if path else name
        array(where, leaf)
        if leaf.shape != wanted[path].shape:
            raise PlasticError(f"{where} has shape {leaf.shape}; the parameter has {wanted[path].shape}")
        if leaf.dtype != wanted[path].dtype:
            raise PlasticError(f"{where} is {leaf.dtype}; the parameter is {wanted[path].dtype}")
