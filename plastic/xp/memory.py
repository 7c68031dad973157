"""How arrays lie in memory, and how much of them is worked on at a time."""

import itertools
from typing import Any

from plastic.types import Array
from plastic.xp import current

_MANY, _TINY = 64, 16  # replicas, and entries of a matrix, from and up to which sums are better written out


def order(*matrices: Array) -> str:
    """Return the memory order that arrays (..., batch, units) of a network with these weights should have.

    Args:
        matrices: weights (..., n_in, n_out).

    Returns:
        "T": the batch is innermost, so that the columns of a layer, in an array of all layers side by side, are one
        piece of memory. "F": the replicas are, for many networks of a few units: all loops then run over replicas. "C",
        the usual one, where the backend is made for it.
    """
    if not current.backend.any_order:
        return "C"
    many = all(W.ndim == 3 and len(W) >= _MANY and W.shape[-2] * W.shape[-1] <= _TINY for W in matrices)
    return "F" if many else "T"


def zeros_in(order: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return zeros in one of the memory orders of `order`.

    Args:
        order: "C", "T" or "F".
        shape: (..., batch, units).
        dtype: their type.

    Returns:
        An array of that shape.
    """
    zeros = current.backend.namespace.zeros
    if order == "T":
        return zeros((*shape[:-2], shape[-1], shape[-2]), dtype=dtype).swapaxes(-1, -2)
    return zeros(shape, dtype=dtype, order=order)


def turns(replicas: int, bytes_of_one: int) -> list[slice]:
    """Return the blocks of replicas that take turns, so that what a block works on stays in the cache.

    Replicas side by side share the cost of calls, but wait for memory where what they work on leaves the cache. A block
    fills a quarter of the last cache at most: other processes need it too, and what is read once. It pays to take turns
    where each takes many steps; with one step at a time everything leaves the cache between two of them. A GPU takes
    all replicas at once.

    Args:
        replicas: how many there are.
        bytes_of_one: what a replica works on, over and over.

    Returns:
        Slices of the replicas, one for each turn.

    Example:
        >>> from plastic import xp
        >>> xp.turns(3, 1), xp.turns(3, 10**12)[-1]
        ([slice(0, 3, None)], slice(2, 3, None))
    """
    cache = current.backend.cache()
    size = replicas if cache is None else max(1, cache // 4 // bytes_of_one)
    blocks = -(-replicas // size)
    ends = [replicas * k // blocks for k in range(blocks + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]
