"""What convolution and pooling require of maps and buffers."""

from typing import Any

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.types import Array


def buffer_of(name: str, buffer: Array | None, shape: tuple[int, ...], like: Array) -> Array:
    """Return a buffer of a shape, and of the precision of an array: the given one, if it fits, or a new one."""
    if buffer is None:
        return xp.empty(shape, dtype=like.dtype)
    require_buffer(name, buffer, shape, like)
    return buffer


def require_buffer(name: str, buffer: Any, shape: tuple[int, ...], like: Array) -> None:
    """Require a buffer of a shape, and of the precision of an array."""
    require.array(name, buffer)
    if buffer.shape != shape or buffer.dtype != like.dtype:
        raise PlasticError(f"{name} is {buffer.dtype} {buffer.shape}; what is written into it is {like.dtype} {shape}")


def require_map(name: str, x: Any) -> None:
    """Require maps (batch, rows, columns, channels) that are not empty."""
    require.array(name, x)
    if x.ndim != 4:
        raise PlasticError(f"{name} has shape {x.shape}; maps are (batch, rows, columns, channels)")
    if x.dtype.kind != "f":
        raise PlasticError(f"{name} holds {x.dtype}; make it xp.asarray({name}, dtype=xp.float_dtype)")
    if 0 in x.shape:
        raise PlasticError(f"{name} has shape {x.shape}: it is empty")


def require_same_precision(name: str, a: Array, other: str, b: Array) -> None:
    """Require two arrays of one precision; name and other are what they are called."""
    if a.dtype != b.dtype:
        raise PlasticError(f"{name} is {a.dtype}, but {other} is {b.dtype}: convert one of them")
