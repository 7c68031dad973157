"""What is required of numbers, sizes, generators and words."""

import difflib
import numbers
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from plastic import xp
from plastic.errors import PlasticError


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
    if not _is_number(value):
        raise PlasticError(f"{name} is {_described(value)}; it must be a number")
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
    if isinstance(value, np.ndarray | xp.ndarray) or value not in known:
        near = difflib.get_close_matches(str(value), [str(each) for each in known], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise PlasticError(f"{name} is {_described(value)}; it must be one of {', '.join(map(str, known))}{hint}")


def _described(value: Any) -> str:
    if not isinstance(value, np.ndarray | xp.ndarray):
        return repr(value)
    return f"an array of shape {value.shape}" + ("" if value.dtype.kind in "fiu" else f" of {value.dtype}")


def _is_number(value: Any) -> bool:
    """Whether a value is a real number, or an array of one or more."""
    if isinstance(value, numbers.Real):
        return not isinstance(value, bool)
    return isinstance(value, np.ndarray | xp.ndarray) and value.size > 0 and value.dtype.kind in "fiu"


def _on_host(value: Any) -> bool:
    return isinstance(value, numbers.Real | np.ndarray)


def _shown(value: Any) -> str:
    if isinstance(value, numbers.Real) or value.ndim == 0:
        return f"{float(value):g}"
    return f"from {float(value.min()):g} to {float(value.max()):g}" if value.size else f"of shape {value.shape}"
