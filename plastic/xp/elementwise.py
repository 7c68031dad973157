"""What is elementwise and a backend lacks, or does badly or wrongly."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic.types import Array
from plastic.xp import current


def choose(condition: Any, a: Any, b: Any, dtype: Any) -> Any:
    """Return a where a condition holds and b elsewhere; of one boolean of NumPy, one of them as it is.

    Args:
        condition: booleans, an array of any shape, or a boolean of NumPy.
        a, b: numbers, or arrays of that shape.
        dtype: the type of the result where it is an array.

    Returns:
        An array of that shape; for a boolean of NumPy a or b as it is.
    """
    if isinstance(condition, np.bool):
        return a if condition else b
    return current.backend.namespace.where(condition, a, b).astype(dtype)


def negative(x: Array, out: Array | None = None) -> Array:
    """Return -x, into `out` if it is given.

    From NumPy 2.1 to 2.4 at least, `negative` of arrays that step over exactly 4 float32 or 8 float64 numbers writes
    wrong numbers into another array with gaps. What `-x` makes has none, so it is right.

    Args:
        x: numbers of any shape.
        out: the buffer that is written into; it may be x.

    Returns:
        -x, which is `out` if it is given.

    Example:
        >>> from plastic import xp
        >>> x = xp.asarray([1.0, 2.0])
        >>> xp.negative(x, out=x).tolist()
        [-1.0, -2.0]
    """
    return -x if out is None else current.backend.namespace.multiply(x, -1, out=out)


def where_rows(good: Array, new: Array, old: Array) -> Array:
    """Return the rows of one array where a condition holds, those of another elsewhere.

    Args:
        good: booleans (..., 1). On the host, where to look at them costs nothing, all may be true: then `new` is copied
            without a choice for each number, which takes ten times as long.
        new, old: arrays (..., n).

    Returns:
        An array (..., n) that shares nothing with either.

    Example:
        >>> from plastic import xp
        >>> good, new, old = map(xp.asarray, ([[True], [False]], [[1, 2], [3, 4]], [[5, 6], [7, 8]]))
        >>> xp.where_rows(good, new, old).tolist()
        [[1, 2], [7, 8]]
    """
    if isinstance(good, np.ndarray) and good.all():
        return new.copy()
    return current.backend.namespace.where(good, new, old)


def fuse(chain: Callable[..., None]) -> Callable[..., None]:
    """Make an in-place elementwise chain one pass over memory. Use as a decorator; call the result as the chain itself.

    Args:
        chain: a function of arrays of one shape, and of scalars or arrays that broadcast to them (a rate per replica),
            that changes some of its arguments by `x += ...` and the like, elementwise and without branches, and returns
            nothing.

    Returns:
        The chain as one kernel on CuPy; on NumPy it runs block by block, so that its temporaries stay in the cache.

    Example:
        >>> from plastic import xp
        >>> @xp.fuse
        ... def decay(v, rate):
        ...     v *= 1 - rate
        >>> v = xp.asarray([1.0, 2.0])
        >>> decay(v, 0.5)
        >>> v.tolist()
        [0.5, 1.0]
    """

    @functools.wraps(chain)
    def fused(*arguments: Any) -> None:
        current.backend.fused(chain, arguments)

    return fused
