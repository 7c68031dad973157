"""Max-pooling, at fixed switches and with its adjoint."""

from typing import Any

from plastic import require, xp
from plastic.convolution.buffers import buffer_of, require_map, require_same_precision
from plastic.errors import PlasticError
from plastic.types import Array

_MOST = 16  # rows of a pooling window: a switch is a number of 8 bits


def pool(c: Array, F: int, out: Array | None = None, switch: Array | None = None) -> tuple[Array, Array]:
    """Return the maximum of each window, and where it is.

    Args:
        c: maps (batch, H, W, C).
        F: rows, and columns, of a window, 16 at most.
        out, switch: the buffers that are written into and returned, (batch, H // F, W // F, C); that of the switches
            holds uint8.

    Returns:
        (maximum, switch), both (batch, H // F, W // F, C).

    Raises:
        PlasticError: if c is no map or smaller than a window, F is out of range, or a buffer does not fit.

    Example:
        >>> maximum, switch = pool(xp.asarray([[[[1.0], [2.0]], [[5.0], [3.0]]]]), 2)
        >>> maximum.tolist(), switch.tolist()
        ([[[[5.0]]]], [[[[2]]]])
    """
    require_map("c", c)
    first, *others = _places("c", c, F)
    out = buffer_of("out", out, first.shape, c)
    if switch is None:
        switch = xp.empty(first.shape, dtype=xp.uint8)
    _require_switch(switch, first.shape)
    out[...] = first
    switch[...] = 0
    for place, each in enumerate(others, 1):
        xp.maximum(switch, (each > out).astype(xp.uint8) * place, out=switch)  # later places have larger numbers
        xp.maximum(out, each, out=out)
    return out, switch


def gather(c: Array, switch: Array, F: int, out: Array | None = None) -> Array:
    """Return what lies where the switches point: pooling at fixed switches.

    Args:
        c: maps (batch, H, W, C).
        switch: uint8 (batch, H // F, W // F, C), of `pool`.
        F: rows, and columns, of a window, 16 at most.
        out: the buffer that is written into and returned, (batch, H // F, W // F, C).

    Returns:
        (batch, H // F, W // F, C).

    Raises:
        PlasticError: if c is no map or smaller than a window, F is out of range, or switches or buffer do not fit.

    Example:
        >>> c = xp.asarray([[[[1.0], [2.0]], [[5.0], [3.0]]]])
        >>> gather(-c, pool(c, 2)[1], 2).tolist()
        [[[[-5.0]]]]
    """
    require_map("c", c)
    places = _places("c", c, F)
    _require_switch(switch, places[0].shape)
    out = buffer_of("out", out, switch.shape, c)
    out[...] = 0
    for place, each in enumerate(places):
        out += each * (switch == place)
    return out


def unpool(s: Array, switch: Array, F: int, out: Array) -> Array:
    """Write values where the switches point, and 0 elsewhere in the windows: the adjoint of `gather`.

    Args:
        s: maps (batch, h, w, C).
        switch: uint8 (batch, h, w, C), of `pool`.
        F: rows, and columns, of a window, 16 at most.
        out: the buffer (batch, H, W, C) with H // F = h and W // F = w. What no window covers keeps its value, which
            must be 0.

    Returns:
        `out`.

    Raises:
        PlasticError: if s is no map, F is out of range, or switches or buffer do not fit.

    Example:
        >>> c = xp.asarray([[[[1.0], [2.0]], [[5.0], [3.0]]]])
        >>> maximum, switch = pool(c, 2)
        >>> unpool(maximum, switch, 2, out=xp.zeros_like(c))[0, :, :, 0].tolist()
        [[0.0, 0.0], [5.0, 0.0]]
    """
    require_map("s", s)
    require_map("out", out)
    require_same_precision("out", out, "s", s)
    places = _places("out", out, F)
    if places[0].shape != s.shape:
        raise PlasticError(f"s has shape {s.shape}; the windows of out, {out.shape}, are {places[0].shape}")
    _require_switch(switch, s.shape)
    for place, each in enumerate(places):
        each[...] = s * (switch == place)
    return out


def _places(name: str, c: Array, F: int) -> list[Array]:
    """Return F * F strided views of c: the first place of every window, the second, ..."""
    require.whole("F", F, most=_MOST)
    _, H, W, _ = c.shape
    if H < F or W < F:
        raise PlasticError(f"{name} has maps of {H} x {W}; the pooling window, {F} x {F}, is larger")
    rows, columns = H // F * F, W // F * F
    return [c[:, p:rows:F, q:columns:F] for p in range(F) for q in range(F)]


def _require_switch(switch: Any, shape: tuple[int, ...]) -> None:
    require.array("switch", switch)
    if switch.shape != shape or switch.dtype != "uint8":
        raise PlasticError(f"switch is {switch.dtype} {switch.shape}; it must be uint8 {shape}")
