"""What both wirings share: places of layers, matrices in blocks, gradients of tied weights, what parameters need."""

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

from plastic import affine, require, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array

_UNPACKED = 10**6  # products of numbers in a product of matrices that OpenBLAS makes without packing, at most

Rows: TypeAlias = Array | tuple[Array, Array]
"""What belongs to all layers, (..., batch, N), in one array or in two, those of the halves."""


Pieces: TypeAlias = list[tuple[slice, Sequence[int]]]
"""The columns and the numbers, from 0, of layers that move together."""


def halves_of(widths: Sequence[int]) -> Pieces:
    """Return the columns and the numbers, from 0, of the layers in two halves, which send to each other alone.

    The second half has the output and every other layer below it; the output is last.
    """
    last = len(widths) - 1
    numbers = range((last + 1) % 2, last, 2), range(last % 2, last + 1, 2)
    first = sum(widths[k] for k in numbers[0])
    return [(slice(0, first), numbers[0]), (slice(first, None), numbers[1])]


def columns_of(widths: Sequence[int]) -> list[slice]:
    """Return the columns of each layer in an array of all layers, where each half is in one piece."""
    order = [k for _, numbers in halves_of(widths) for k in numbers]
    ends = itertools.accumulate((widths[k] for k in order), initial=0)
    found = dict(zip(order, itertools.starmap(slice, itertools.pairwise(ends)), strict=True))
    return [found[k] for k in range(len(widths))]


def view(rows: Rows, columns: slice) -> Array:
    """Return columns of an array of all layers, or of its two halves (first, second), as a view."""
    if not isinstance(rows, tuple):
        return rows[..., columns]
    first = rows[0].shape[-1]
    if columns.stop <= first:
        return rows[0][..., columns]
    return rows[1][..., columns.start - first : columns.stop - first]


def block_width(rows: int, n: int, m: int) -> int:
    """Return the width of the blocks of columns in which to multiply a few rows with a matrix (n, m), as in x W.

    OpenBLAS with AVX-512 multiplies small operands as they are, while it packs larger ones first, which with few rows
    takes as long as the product. Elsewhere blocks cost nothing, but on a GPU, where the matrix is left whole.
    """
    if xp.backend() == "cupy":
        return m
    return next((width for width in (64, 32) if m % width == 0 and rows * n * width <= _UNPACKED), m)


def blocks_of(W: Array, width: int) -> Array:
    """Return a matrix (..., n, m) in blocks of columns, a view (..., m / width, n, width)."""
    return W.reshape(*W.shape[:-1], W.shape[-1] // width, width).swapaxes(-3, -2)


def tied_gradient(r_below: Array, r: Array, delta_below: Array, delta: Array, out: Array | None = None) -> Array:
    """Return r_{k-1}^T delta_k + delta_{k-1}^T r_k (..., n_{k-1}, n_k).

    Args:
        r_below, r: rows (..., rows, n_{k-1}) and (..., rows, n_k) that the layers send.
        delta_below, delta: rows of the same shapes.
        out: an array to write into.
    """
    out = affine.weight_gradient(r_below, delta, out=out)
    out += affine.weight_gradient(delta_below, r)
    return out


def require_connections(connections: dict[str, Any], axes: int) -> None:
    """Raise PlasticError unless these are Affine of one precision and one replica shape.

    Args:
        connections: {path: Affine}.
        axes: of a weight array, without replica axes.
    """
    first = next(iter(connections.values()))
    for path, layer in connections.items():
        if not isinstance(layer, Affine):
            raise PlasticError(f"{path} is a {type(layer).__name__}; it must be an Affine(W, b)")
        require.array(f"{path}/W", layer.W)
        require.array(f"{path}/b", layer.b)
        leading = layer.W.shape[:-axes]
        if leading != first.W.shape[:-axes]:
            raise PlasticError(f"{path} has the replica axes {leading}, but others have {first.W.shape[:-axes]}")
        if layer.W.ndim < axes or layer.b.shape != (*leading, 1, layer.W.shape[-1]):
            raise PlasticError(
                f"{path} has W of shape {layer.W.shape} and b of shape {layer.b.shape}; b must be "
                f"(..., 1, n) for W (..., n)"
            )
        if {layer.W.dtype, layer.b.dtype} != {first.W.dtype} or first.W.dtype.kind != "f":
            raise PlasticError(f"{path} holds {layer.W.dtype} and {layer.b.dtype}; all must be of one precision")


def require_chain(found: int, wanted: int, where: str, what: str = "units") -> None:
    """Raise PlasticError where two numbers of units that belong together differ.

    Args:
        found: units of a layer.
        wanted: units that its neighbour has weights for.
        where: the neighbour, for the message.
        what: the units, for the message.
    """
    if found != wanted:
        raise PlasticError(f"a layer has {found} {what}, but {where} has weights for {wanted}")
