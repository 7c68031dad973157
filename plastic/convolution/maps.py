"""Convolution of maps, its adjoints and the gradient of its kernel; padding."""

from typing import Any

from plastic import require, xp
from plastic.convolution.buffers import buffer_of, require_buffer, require_map, require_same_precision
from plastic.errors import PlasticError
from plastic.types import Array


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
    require_map("x", x)
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
    require_buffer(name, out, shape, x)
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
    require_map("x", x)
    _require_kernel(K, x, "x", 2)
    F, _, n_in, n_out = K.shape
    columns = _patches("columns", columns, x, F, stride)
    shape = (*columns.shape[:3], n_out)
    out = buffer_of("out", out, shape, x)
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
    require_map("z", z)
    _require_kernel(K, z, "z", 3)
    (batch, h, w, _), (F, _, n_in, _) = z.shape, K.shape
    whole = (batch, h + F - 1, w + F - 1, n_in)
    columns = buffer_of("columns", columns, (batch, h, w, F, F, n_in), z)
    out = buffer_of("out", out, whole, z)
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
    require_map("z", z)
    require_map("out", out)
    _require_kernel(K, z, "z", 3)
    require.whole("stride", stride)
    (batch, h, w, n_out), (F, _, n_in, _), (_, H, W, _) = z.shape, K.shape, out.shape
    require_buffer("out", out, (batch, H, W, n_in), z)
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
    require_map("x", x)
    require_map("z", z)
    require_same_precision("z", z, "x", x)
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
    require_map("x", x)
    require.whole("P", P, least=0)
    if P == 0:
        return x
    batch, H, W, C = x.shape
    shape = (batch, H + 2 * P, W + 2 * P, C)
    if out is None:
        out = xp.zeros(shape, dtype=x.dtype)
    require_buffer("out", out, shape, x)
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
    require_map("x", x)
    require.whole("P", P, least=0)
    _, H, W, _ = x.shape
    if 2 * P >= min(H, W):
        raise PlasticError(f"P is {P}; of maps of {H} x {W} nothing is left")
    return x[:, P : H - P, P : W - P]


def _matrix(K: Array) -> Array:
    return K.reshape(-1, K.shape[-1])


def _product(a: Array, b: Array, out: Array) -> None:
    """Write the product of matrices into an array of another shape, also where that is no contiguous one."""
    if out.flags.c_contiguous:
        xp.matmul(a, b, out=out.reshape(-1, b.shape[1]))
    else:
        out[...] = (a @ b).reshape(out.shape)


def _require_kernel(K: Any, x: Array, name: str, axis: int) -> None:
    """Require a kernel whose channels in (axis 2), or channels out (axis 3), are those of maps."""
    require.array("K", K)
    if K.ndim != 4 or K.shape[0] != K.shape[1]:
        raise PlasticError(f"K has shape {K.shape}; a kernel is (F, F, channels in, channels out)")
    if K.shape[axis] != x.shape[3]:
        word = {2: "in", 3: "out"}[axis]
        raise PlasticError(f"K has shape {K.shape}, {K.shape[axis]} channels {word}; {name} has {x.shape[3]} channels")
    require_same_precision("K", K, name, x)
