"""What public functions require of their arguments, said in the user's words.

Each function checks one kind of argument and raises PlasticError where it is wrong; the message names the argument,
what was found and what would be right. Shapes and types are looked at, and values where they are on the host: nothing
here waits for a GPU.
"""

import difflib
import math
import numbers
import operator
from collections.abc import Iterable
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
    raise PlasticError(f"{name} is a {type(value).__name__}, not an array; make one by xp.asarray({name})")


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


def number(
    name: str,
    value: Any,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> None:
    """Require a finite number, or an array of them, within bounds; a NaN is within none. Device arrays are not read.

    Args:
        name: what the argument is called, in the message.
        value: the argument.
        above, least: what it is larger than, or at least; None for no such bound.
        below, most: what it is smaller than, or at most.

    Raises:
        PlasticError: if it is something else.

    Example:
        >>> number("beta", -1.0, above=0)
        Traceback (most recent call last):
        plastic.errors.PlasticError: beta is -1; it must be above 0
    """
    if isinstance(value, bool) or not (_on_host(value) or isinstance(value, xp.ndarray)):
        raise PlasticError(f"{name} is {value!r}; it must be a number")
    if not _on_host(value):
        return
    bounds = (
        (above, operator.gt, "above"),
        (least, operator.ge, "at least"),
        (below, operator.lt, "below"),
        (most, operator.le, "at most"),
    )
    every = bool if isinstance(value, numbers.Real) else np.all  # np.all of a number takes microseconds
    holds = all([bound is None or every(compare(value, bound)) for bound, compare, _ in bounds])
    if not (holds and every(np.isfinite(value))):
        wanted = " and ".join(f"{text} {bound}" for bound, _, text in bounds if bound is not None) or "finite"
        raise PlasticError(f"{name} is {_shown(value)}; it must be {wanted}")


def scalar(name: str, value: Any, **bounds: float | None) -> float:
    """Return one finite number as a float; arrays are refused.

    Args:
        name: what the argument is called, in the message.
        value: the argument.
        bounds: as for `number`.

    Returns:
        The number.

    Raises:
        PlasticError: if it is something else, or out of bounds.
    """
    if not isinstance(value, numbers.Real):
        raise PlasticError(f"{name} is {_described(value)}; it must be one number")
    number(name, value, **bounds)
    return float(value)


def nonzero(name: str, value: Any) -> None:
    """Require a finite number other than 0, or an array of them.

    Args:
        name: what the argument is called, in the message.
        value: the argument.

    Raises:
        PlasticError: if it is something else.
    """
    number(name, value)
    if value == 0 if isinstance(value, numbers.Real) else isinstance(value, np.ndarray) and not np.all(value):
        raise PlasticError(f"{name} is {_shown(value)}; it must not be 0")


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Require a whole number, for instance of steps.

    Args:
        name: what the argument is called, in the message.
        value: the argument.
        least, most: the bounds; None for no upper one.

    Raises:
        PlasticError: if it is something else.

    Example:
        >>> whole("T", 0)
        Traceback (most recent call last):
        plastic.errors.PlasticError: T is 0; it must be at least 1
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise PlasticError(f"{name} is {value!r}; it must be a whole number")
    found = int(value)
    if found < least or (most is not None and found > most):
        wanted = f"at least {least}" if most is None else f"from {least} to {most}"
        raise PlasticError(f"{name} is {value}; it must be {wanted}")


def counts(**values: Any) -> None:
    """Require whole numbers of at least 1; None passes.

    Args:
        values: the arguments by their names.

    Raises:
        PlasticError: if one is something else.
    """
    for name, value in values.items():
        if value is not None:
            whole(name, value)


def sizes(value: Any, least: int = 2, name: str = "sizes") -> None:
    """Require the widths of layers, positive whole numbers.

    Args:
        value: the argument, a list or tuple, the input first.
        least: how many widths there must be.
        name: what the argument is called, in the message.

    Raises:
        PlasticError: if it is something else.
    """
    if not isinstance(value, list | tuple) or len(value) < least:
        raise PlasticError(f"{name} is {value!r}; it must be {least} or more widths, the input first: (784, 512, 10)")
    for each in value:
        if isinstance(each, bool) or not isinstance(each, numbers.Integral) or int(each) < 1:
            raise PlasticError(f"{name} is {tuple(value)}; every width must be a positive whole number, not {each!r}")


def generator(value: Any) -> None:
    """Require a generator of random numbers, or a list of them, one for each replica.

    Args:
        value: a `numpy.random.Generator`, or a `RandomState`, which some published codes draw from; or the list.

    Raises:
        PlasticError: if it is something else, a seed for instance.
    """
    several = value if isinstance(value, list | tuple) and value else [value]
    for each in several:
        if not isinstance(each, np.random.Generator | np.random.RandomState):
            hint = f"numpy.random.default_rng({each})" if isinstance(each, int) else "numpy.random.default_rng(seed)"
            raise PlasticError(
                f"generator is {each!r}; it must be a generator of random numbers, {hint}, or a list of them"
            )


def choice(name: str, value: Any, known: Iterable[Any]) -> None:
    """Require one of several values.

    Args:
        name: what the argument is called, in the message.
        value: the argument.
        known: the values; a word near one of them gets a suggestion.

    Raises:
        PlasticError: if it is none of them.

    Example:
        >>> choice("rule", "eqpop", ["eqprop", "bptt"])
        Traceback (most recent call last):
        plastic.errors.PlasticError: rule is 'eqpop'; it must be one of eqprop, bptt; did you mean eqprop?
    """
    known = list(known)
    if value not in known:
        near = difflib.get_close_matches(str(value), [str(each) for each in known], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise PlasticError(f"{name} is {value!r}; it must be one of {', '.join(map(str, known))}{hint}")


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


def _described(value: Any) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray | xp.ndarray) else repr(value)


def _on_host(value: Any) -> bool:
    return isinstance(value, numbers.Real | np.ndarray)


def _shown(value: Any) -> str:
    if isinstance(value, numbers.Real) or value.ndim == 0:
        return f"{float(value):g}"
    return f"from {float(value.min()):g} to {float(value.max()):g}" if value.size else f"of shape {value.shape}"
