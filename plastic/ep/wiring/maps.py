"""Maps of convolutional nets: how large they are, and inputs that are images of a size."""

import math
from typing import Any

from plastic import require
from plastic.errors import PlasticError
from plastic.types import Array

LARGEST_WINDOW = 16
"""Rows of a pooling window at most: a switch is a byte."""


def map_sizes(size: int, convolutions: int, F: int, padding: int, pooling: int) -> list[tuple[int, int]]:
    """Return [(rows of the convolved map, rows of the pooled map), ...], the input side first; or likewise columns.

    Args:
        size: rows of the input, or columns.
        convolutions: how many there are.
        F: rows of a filter.
        padding: rows of zeros around each map.
        pooling: rows of a pooling window.

    Raises:
        PlasticError: if a map is smaller than a filter or a window.
    """
    sizes = []
    for number in range(1, convolutions + 1):
        convolved = size + 2 * padding - F + 1
        if convolved < pooling:
            raise PlasticError(
                f"nothing is left after convolution {number}: of {size} rows with padding {padding}, filters of {F} "
                f"rows (Fconv) leave {max(convolved, 0)}, and a pooling window has {pooling} (Fpool); take fewer "
                "convolutions or smaller filters"
            )
        size = convolved // pooling
        sizes.append((convolved, size))
    return sizes


def rows_and_columns(size: Any) -> tuple[int, int]:
    """Return (rows, columns) of a size that may be one number for both; raises PlasticError if it is something else."""
    if isinstance(size, list | tuple) and len(size) != 2:
        raise PlasticError(f"size is {size}; it must be (rows, columns), or one number for both")
    both = tuple(size) if isinstance(size, list | tuple) else (size, size)
    for each in both:
        require.whole("size", each)
    return both


def images_of(x: Any, shape: tuple[int, int, int], dtype: Any) -> Array:
    """Return inputs x, images (batch, rows, columns, channels) of a `shape` and precision, or their rows, as images.

    Raises PlasticError if x is something else.
    """
    rows, columns, channels = shape
    inputs = math.prod(shape)
    require.array("x", x)
    if x.shape[1:] not in (shape, (inputs,)):
        images = f"images (batch, {rows}, {columns}, {channels}), or rows (batch, {inputs}) of them"
        hints = {
            (rows, columns): "; give them an axis of channels: x[..., None]",
            (channels, rows, columns): "; the channels come last: xp.moveaxis(x, 1, -1)",
        }
        hint = "; a single image is x[None]" if x.shape == shape else hints.get(x.shape[1:], "")
        raise PlasticError(f"x has shape {x.shape}; {images}, are needed{hint}")
    require.rows("x", x.reshape(len(x), inputs), inputs, dtype)
    return x.reshape(len(x), *shape)
