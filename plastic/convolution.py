"""Convolution and max-pooling of maps, with their exact adjoints.

A map is (batch, rows, columns, channels): the channels last, so that a patch is a few runs of memory and a convolution
one product of matrices. A kernel K is (F, F, channels in, channels out). A convolution is a cross-correlation without
padding, at a stride S, 1 by default:

    conv(x, K)[b, r, c, o] = sum over p, q, i of x[b, S r + p, S c + q, i] K[p, q, i, o]

`pad` before and `crop` after give the padded one. Pooling takes windows of F x F side by side; rows and columns that do
not fill a window are left out. The `switch` of a pooled unit says where in its window the maximum was: F row + column
(the first one in that order, if there are equals). At fixed switches pooling is linear: `gather`; its adjoint is
`unpool`.

All arrays of a call have one precision. Where `out` or a buffer is given, it is written into and no map is allocated;
what it held before does not matter, but for the rims that `pad` and `unpool` leave alone. An `out` may be a view of a
larger array; only a contiguous one saves a convolution's memory.
"""

from typing import Any

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.types import Array

_MOST = 16  # rows of a pooling window: a switch is a number of 8 bits


def patches(x: Array, F: int, out: Array | None = None, stride: int = 1) -> Array:
    """Return the patches of maps that a kernel sees, copied.

    Args:
        x: maps (batch, H, W, C).
        F: rows, and columns, of a patch.
        out: the buffer that is written into and returned, (batch, h, w, F, F, C).
        stride: rows, and columns, from one patch to the next.

    Returns:
        (batch, h, w, F, F, C), with h = (H - F) // stride + 1 and w = (W - F) // stride + 1.

    Raises:
        PlasticError: if x is no map or smaller than a patch, a number is out of range, or the buffer does not fit.

    Example:
        >>> patches(xp.asarray([[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]]), 2)[0, 0, 1, :, :, 0].tolist()
        [[2.0, 3.0], [5.0, 6.0]]
    """
    _require_map("x", x)
    require.whole("F", F)
    return _patches("out", out, x, F, stride)


def _patches(name: str, out: Array | None, x: Array, F: int, stride: int) -> Array:
    require.whole("stride", stride)
    (batch, H, W, C), (sample, row, column, channel) = x.shape, x.strides
    if H < F or W < F:
        raise PlasticError(f"x has maps of {H} x {W}; the kernel, {F} x {F}, is larger")
    shape = (batch, (H - F) // stride + 1, (W - F) // stride + 1, F, F, C)
    windows = xp.lib.stride_tricks.as_strided(  # CuPy's sliding_window_view would wait for the device
        x, shape, (sample, stride * row, stride * column, row, column, channel)
    )
    if out is None:
        return windows.copy()
    _require_buffer(name, out, shape, x)
    out[...] = windows
    return out


def conv(x: Array, K: Array, out: Array | None = None, columns: Array | None = None, stride: int = 1) -> Array:
    """Return the convolution of maps with a kernel.

        conv(x, K)[b, r, c, o] = sum over p, q, i of x[b, S r + p, S c + q, i] K[p, q, i, o]

    Args:
        x: maps (batch, H, W, channels in).
        K: the kernel (F, F, channels in, channels out).
        out: the buffer that is written into and returned, (batch, h, w, channels out).
        columns: a buffer for the patches, (batch, h, w, F, F, channels in).
        stride: S.

    Returns:
        (batch, h, w, channels out), with h and w as in `patches`.

    Raises:
        PlasticError: if shapes, precisions or buffers do not fit, or a number is out of range.

    Example:
        >>> conv(xp.ones((1, 3, 3, 1)), xp.ones((2, 2, 1, 1)))[0, :, :, 0].tolist()
        [[4.0, 4.0], [4.0, 4.0]]
    """
    _require_map("x", x)
    _require_kernel(K, x, "x", 2)
    F, _, n_in, n_out = K.shape
    columns = _patches("columns", columns, x, F, stride)
    shape = (*columns.shape[:3], n_out)
    out = _buffer("out", out, shape, x)
    _product(columns.reshape(-1, F * F * n_in), _matrix(K), out)
    return out


def conv_adjoint(z: Array, K: Array, out: Array | None = None, columns: Array | None = None) -> Array:
    """Return the adjoint of the convolution of stride 1: sum(z conv(x, K)) = sum(conv_adjoint(z, K) x) for every x.

    Args:
        z: maps (batch, h, w, channels out).
        K: the kernel (F, F, channels in, channels out).
        out: the buffer that is written into and returned, (batch, h + F - 1, w + F - 1, channels in).
        columns: a buffer for the patches, (batch, h, w, F, F, channels in).

    Returns:
        (batch, h + F - 1, w + F - 1, channels in).

    Raises:
        PlasticError: if shapes, precisions or buffers do not fit.

    Example:
        >>> conv_adjoint(xp.ones((1, 2, 2, 1)), xp.ones((2, 2, 1, 1)))[0, :, :, 0].tolist()
        [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    _require_map("z", z)
    _require_kernel(K, z, "z", 3)
    (batch, h, w, _), (F, _, n_in, _) = z.shape, K.shape
    whole = (batch, h + F - 1, w + F - 1, n_in)
    columns = _buffer("columns", columns, (batch, h, w, F, F, n_in), z)
    out = _buffer("out", out, whole, z)
    _product(z.reshape(-1, z.shape[3]), _matrix(K).T, columns)
    target = out if out.flags.c_contiguous else xp.empty(whole, dtype=z.dtype)
    target[...] = 0
    rows = target.reshape(batch, h + F - 1, -1)
    runs = columns.reshape(batch, h, w, F, F * n_in)  # a row of a patch is one run of memory in `rows`
    for p in range(F):
        for c in range(w):
            rows[:, p : p + h, c * n_in : (c + F) * n_in] += runs[:, :, c, p]
    if target is not out:
        out[...] = target
    return out


def strided_adjoint(z: Array, K: Array, stride: int, out: Array) -> Array:
    """Write the adjoint of the convolution at any stride into `out`, and return that.

    Args:
        z: maps (batch, h, w, channels out).
        K: the kernel (F, F, channels in, channels out).
        stride: of the convolution.
        out: the buffer (batch, H, W, channels in); H and W say how large the convolved maps were, which h and w do not.

    Returns:
        `out`.

    Raises:
        PlasticError: if shapes or precisions do not fit, or `stride` is out of range.
    """
    _require_map("z", z)
    _require_map("out", out)
    _require_kernel(K, z, "z", 3)
    require.whole("stride", stride)
    (batch, h, w, n_out), (F, _, n_in, _), (_, H, W, _) = z.shape, K.shape, out.shape
    _require_buffer("out", out, (batch, H, W, n_in), z)
    if ((H - F) // stride + 1, (W - F) // stride + 1) != (h, w):
        raise PlasticError(
            f"out has maps of {H} x {W}; a convolution with a kernel of {F} x {F} at the stride {stride} does not turn "
            f"them into the {h} x {w} of z"
        )
    columns = (z.reshape(-1, n_out) @ _matrix(K).T).reshape(batch, h, w, F, F, n_in)
    out[...] = 0
    for p in range(F):
        for q in range(F):
            out[:, p : p + stride * h : stride, q : q + stride * w : stride] += columns[:, :, :, p, q]
    return out


def kernel_gradient(x: Array, z: Array, columns: Array | None = None) -> Array:
    """Return the gradient of sum(z conv(x, K)) in the kernel K, at the stride 1.

    Args:
        x: maps (batch, H, W, channels in).
        z: maps (batch, h, w, channels out), with h = H - F + 1 and w = W - F + 1.
        columns: a buffer for the patches, (batch, h, w, F, F, channels in).

    Returns:
        (F, F, channels in, channels out).

    Raises:
        PlasticError: if shapes, precisions or the buffer do not fit.

    Example:
        >>> kernel_gradient(xp.ones((1, 3, 3, 1)), xp.ones((1, 2, 2, 1)))[:, :, 0, 0].tolist()
        [[4.0, 4.0], [4.0, 4.0]]
    """
    _require_map("x", x)
    _require_map("z", z)
    _require_same_precision("z", z, "x", x)
    (batch, H, W, n_in), (of_z, h, w, n_out) = x.shape, z.shape
    F = H - h + 1
    if of_z != batch or W - w + 1 != F or F < 1:
        raise PlasticError(f"z has shape {z.shape}; it is no convolution of x, {x.shape}, with a square kernel")
    columns = _patches("columns", columns, x, F, 1)
    return (columns.reshape(-1, F * F * n_in).T @ z.reshape(-1, n_out)).reshape(F, F, n_in, n_out)


def pad(x: Array, P: int, out: Array | None = None) -> Array:
    """Return maps with rows and columns of zeros around them.

    Args:
        x: maps (batch, H, W, C).
        P: rows, and columns, on each side.
        out: the buffer that is written into and returned, zero at its rim already.

    Returns:
        (batch, H + 2 P, W + 2 P, C); x itself where P is 0.

    Raises:
        PlasticError: if x is no map, P is out of range, or the buffer does not fit.

    Example:
        >>> pad(xp.ones((1, 1, 2, 1)), 1)[0, :, :, 0].tolist()
        [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    _require_map("x", x)
    require.whole("P", P, least=0)
    if P == 0:
        return x
    batch, H, W, C = x.shape
    shape = (batch, H + 2 * P, W + 2 * P, C)
    if out is None:
        out = xp.zeros(shape, dtype=x.dtype)
    _require_buffer("out", out, shape, x)
    out[:, P : P + H, P : P + W] = x
    return out


def crop(x: Array, P: int) -> Array:
    """Return maps without their outer rows and columns: the adjoint of `pad`.

    Args:
        x: maps (batch, H, W, C).
        P: rows, and columns, that are left out on each side.

    Returns:
        (batch, H - 2 P, W - 2 P, C), a view of x.

    Raises:
        PlasticError: if x is no map, or P is out of range or leaves nothing.

    Example:
        >>> crop(pad(xp.ones((1, 1, 2, 1)), 1), 1)[0, :, :, 0].tolist()
        [[1.0, 1.0]]
    """
    _require_map("x", x)
    require.whole("P", P, least=0)
    _, H, W, _ = x.shape
    if 2 * P >= min(H, W):
        raise PlasticError(f"P is {P}; of maps of {H} x {W} nothing is left")
    return x[:, P : H - P, P : W - P]


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
    _require_map("c", c)
    first, *others = _places("c", c, F)
    out = _buffer("out", out, first.shape, c)
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
    _require_map("c", c)
    places = _places("c", c, F)
    _require_switch(switch, places[0].shape)
    out = _buffer("out", out, switch.shape, c)
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
    _require_map("s", s)
    _require_map("out", out)
    _require_same_precision("out", out, "s", s)
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


def _matrix(K: Array) -> Array:
    return K.reshape(-1, K.shape[-1])


def _product(a: Array, b: Array, out: Array) -> None:
    """Write the product of matrices into an array of another shape, also where that is no contiguous one."""
    if out.flags.c_contiguous:
        xp.matmul(a, b, out=out.reshape(-1, b.shape[1]))
    else:
        out[...] = (a @ b).reshape(out.shape)


def _buffer(name: str, buffer: Array | None, shape: tuple[int, ...], like: Array) -> Array:
    if buffer is None:
        return xp.empty(shape, dtype=like.dtype)
    _require_buffer(name, buffer, shape, like)
    return buffer


def _require_buffer(name: str, buffer: Any, shape: tuple[int, ...], like: Array) -> None:
    require.array(name, buffer)
    if buffer.shape != shape or buffer.dtype != like.dtype:
        raise PlasticError(f"{name} is {buffer.dtype} {buffer.shape}; what is written into it is {like.dtype} {shape}")


def _require_map(name: str, x: Any) -> None:
    require.array(name, x)
    if x.ndim != 4:
        raise PlasticError(f"{name} has shape {x.shape}; maps are (batch, rows, columns, channels)")
    if x.dtype.kind != "f":
        raise PlasticError(f"{name} holds {x.dtype}; make it xp.asarray({name}, dtype=xp.float_dtype)")
    if 0 in x.shape:
        raise PlasticError(f"{name} has shape {x.shape}: it is empty")


def _require_kernel(K: Any, x: Array, name: str, axis: int) -> None:
    """Require a kernel whose channels in (axis 2), or channels out (axis 3), are those of maps."""
    require.array("K", K)
    if K.ndim != 4 or K.shape[0] != K.shape[1]:
        raise PlasticError(f"K has shape {K.shape}; a kernel is (F, F, channels in, channels out)")
    if K.shape[axis] != x.shape[3]:
        word = {2: "in", 3: "out"}[axis]
        raise PlasticError(f"K has shape {K.shape}, {K.shape[axis]} channels {word}; {name} has {x.shape[3]} channels")
    _require_same_precision("K", K, name, x)


def _require_same_precision(name: str, a: Array, other: str, b: Array) -> None:
    if a.dtype != b.dtype:
        raise PlasticError(f"{name} is {a.dtype}, but {other} is {b.dtype}: convert one of them")


def _require_switch(switch: Any, shape: tuple[int, ...]) -> None:
    require.array("switch", switch)
    if switch.shape != shape or switch.dtype != "uint8":
        raise PlasticError(f"switch is {switch.dtype} {switch.shape}; it must be uint8 {shape}")
