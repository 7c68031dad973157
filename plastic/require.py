"""What public functions require of their arguments, said in the user's words.

Each function checks one kind of argument and raises PlasticError where it is wrong; the message names the argument,
what was found and what would be right. Shapes and types are looked at, and values where they are on the host: nothing
here waits for a GPU.
"""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.types import Array, Tree


def array(name: str, value: Any) -> None:
    """Require an array of the backend in use."""
    if isinstance(value, xp.ndarray):
        return
    if isinstance(value, np.ndarray):
        raise PlasticError(
            f"{name} is a NumPy array, but the backend is {xp.backend()}; bring it by xp.asarray({name})"
        )
    raise PlasticError(f"{name} is a {type(value).__name__}, not an array; make one by xp.asarray({name})")


def rows(name: str, x: Any, n: int, dtype: Any, time: bool = False, spikes: bool = False) -> None:
    """Require x (..., batch, n), or (..., T, batch, n) with `time`, in a precision, with no axis of length 0.

    spikes: booleans are welcome too.
    """
    array(name, x)
    wanted = f"(..., T, batch, {n})" if time else f"(..., batch, {n})"
    if x.dtype != dtype and not (spikes and x.dtype == bool):
        if x.dtype.kind != "f":
            hint = f"xp.asarray({name}, dtype=xp.float_dtype), images scaled to [0, 1]"
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
    """Require targets y (..., batch, n), or (..., T, batch, n) with `time`, one row for each row of x."""
    if isinstance(y, xp.ndarray) and (y.ndim < x.ndim or y.shape[-1:] == (1,)) and n > 1:
        raise PlasticError(
            f"{name} has shape {y.shape}; a row of {n} numbers for each sample is needed: labels become rows by "
            f"functions.one_hot(labels, {n})"
        )
    rows(name, y, n, dtype, time)
    for axis, word in ((-3, "steps"), (-2, "rows")) if time else ((-2, "rows"),):
        if y.shape[axis] != x.shape[axis]:
            raise PlasticError(f"{name} has {y.shape[axis]} {word}, but x has {x.shape[axis]}")


def replicas(**leading: tuple[int, ...]) -> tuple[int, ...]:
    """Return the replica shape that these replica axes share; each is of the same length everywhere, of 1 or absent."""
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
    """Require a number, or an array (..., 1, 1) with one number for each replica of the shape `leading`."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return
    array(name, value)
    if value.ndim == 0:
        return
    if value.ndim < 2 or value.shape[-2:] != (1, 1):
        wanted = f"of shape {(*leading, 1, 1)}, one for each replica" if leading else "a number"
        raise PlasticError(f"{name} has shape {value.shape}; it must be {wanted}")
    replicas(network=leading, **{name: value.shape[:-2]})


def number(
    name: str,
    value: Any,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> None:
    """Require a finite number, or an array of them, within bounds; a NaN is within none. Device arrays are not read."""
    if isinstance(value, bool) or not (_on_host(value) or isinstance(value, xp.ndarray)):
        raise PlasticError(f"{name} is {value!r}; it must be a number")
    if not _on_host(value):
        return
    bounds = [
        (above, lambda v: v > above, f"above {above}"),
        (least, lambda v: v >= least, f"at least {least}"),
        (below, lambda v: v < below, f"below {below}"),
        (most, lambda v: v <= most, f"at most {most}"),
    ]
    given = [(holds, text) for bound, holds, text in bounds if bound is not None]
    if not (np.all(np.isfinite(value)) and all(np.all(holds(value)) for holds, _ in given)):
        wanted = " and ".join(text for _, text in given) or "finite"
        raise PlasticError(f"{name} is {_shown(value)}; it must be {wanted}")


def nonzero(name: str, value: Any) -> None:
    """Require a finite number other than 0, or an array of them."""
    number(name, value)
    if _on_host(value) and not np.all(value):
        raise PlasticError(f"{name} is {_shown(value)}; it must not be 0")


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Require a whole number, `least` or more, for instance of steps."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise PlasticError(f"{name} is {value!r}; it must be a whole number")
    found = int(value)
    if found < least or (most is not None and found > most):
        wanted = f"at least {least}" if most is None else f"from {least} to {most}"
        raise PlasticError(f"{name} is {value}; it must be {wanted}")


def sizes(value: Any, least: int = 2, name: str = "sizes") -> None:
    """Require the widths of the layers, the input first: `least` or more positive whole numbers."""
    if not isinstance(value, list | tuple) or len(value) < least:
        raise PlasticError(f"{name} is {value!r}; it must be {least} or more widths, the input first: (784, 512, 10)")
    for each in value:
        if isinstance(each, bool) or not isinstance(each, numbers.Integral) or int(each) < 1:
            raise PlasticError(f"{name} is {tuple(value)}; every width must be a positive whole number, not {each!r}")


def generator(value: Any) -> None:
    """Require a generator of random numbers, or a list of them, one for each replica.

    A generator is a `numpy.random.Generator`, or a `RandomState`, which some published codes draw from.
    """
    several = value if isinstance(value, list | tuple) and value else [value]
    for each in several:
        if not isinstance(each, np.random.Generator | np.random.RandomState):
            hint = f"numpy.random.default_rng({each})" if isinstance(each, int) else "numpy.random.default_rng(seed)"
            raise PlasticError(
                f"generator is {each!r}; it must be a generator of random numbers, {hint}, or a list of them"
            )


def choice(name: str, value: Any, known: Iterable[Any]) -> None:
    """Require one of the known values; a word near one of them gets a suggestion."""
    known = list(known)
    if value not in known:
        near = difflib.get_close_matches(str(value), [str(each) for each in known], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise PlasticError(f"{name} is {value!r}; it must be one of {', '.join(map(str, known))}{hint}")


def tree(name: str, found: Tree, like: Tree) -> None:
    """Require a tree with the paths and shapes of another."""
    leaves, wanted = dict(parameters.leaves(found)), dict(parameters.leaves(like))
    if leaves.keys() != wanted.keys():
        odd = ", ".join(sorted(path or "an array" for path in leaves.keys() ^ wanted.keys()))
        raise PlasticError(f"{name} is another tree than the parameters: {odd} on one side only")
    for path, leaf in leaves.items():
        if leaf.shape != wanted[path].shape:
            where = f"{name} at {path}" if path else name
            raise PlasticError(f"{where} has shape {leaf.shape}; the parameter has {wanted[path].shape}")


def _on_host(value: Any) -> bool:
    return isinstance(value, numbers.Real | np.ndarray)


def _shown(value: Any) -> str:
    if isinstance(value, numbers.Real) or value.ndim == 0:
        return f"{float(value):g}"
    return f"from {float(value.min()):g} to {float(value.max()):g}" if value.size else f"of shape {value.shape}"
