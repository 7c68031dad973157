"""Convolution and max-pooling of maps, with their exact adjoints.

A map is (batch, rows, columns, channels): the channels last, so that a patch is a few runs of memory and a convolution
one product of matrices. A kernel K is (F, F, channels in, channels out). A convolution is a cross-correlation without
padding, at a stride S, 1 by default:

    conv(x, K)[b, r, c, o] = sum over p, q, i of x[b, S r + p, S c + q, i] K[p, q, i, o]

`pad` before and `crop` after give the padded one. Pooling takes windows of F x F side by side; rows and columns that do
not fill a window are left out. The `switch` of a pooled unit says where in its window the maximum was: F row + column
(the first one in that order, if there are equals). At fixed switches pooling is linear: `gather`; its adjoint is
`unpool`.

Where `out` or a buffer is given it is written into, and no map is allocated. A convolution's must be contiguous: what
it writes into others is lost.
"""

from plastic import xp


def patches(x, F, out=None, stride=1):
    """Return the patches of x (batch, H, W, C), copied: (batch, h, w, F, F, C), h = (H - F) // stride + 1, w alike."""
    (batch, H, W, C), (sample, row, column, channel) = x.shape, x.strides
    windows = xp.lib.stride_tricks.as_strided(  # CuPy's sliding_window_view would wait for the device
        x,
        (batch, (H - F) // stride + 1, (W - F) // stride + 1, F, F, C),
        (sample, stride * row, stride * column, row, column, channel),
    )
    if out is None:
        return windows.copy()
    out[...] = windows
    return out


def conv(x, K, out=None, columns=None, stride=1):
    """Return conv(x, K), of shape (batch, h, w, channels out), see `patches`. columns: a buffer for the patches."""
    F = K.shape[0]
    columns = patches(x, F, columns, stride)
    if out is None:
        out = xp.empty((*columns.shape[:3], K.shape[3]), dtype=x.dtype)
    xp.matmul(columns.reshape(-1, F * F * K.shape[2]), _matrix(K), out=out.reshape(-1, K.shape[3]))
    return out


def conv_adjoint(z, K, out=None, columns=None):
    """Return the adjoint of conv at z (batch, h, w, channels out): a map (batch, h + F - 1, w + F - 1, channels in)."""
    (batch, h, w, _), (F, _, n_in, _) = z.shape, K.shape
    if columns is None:
        columns = xp.empty((batch, h, w, F, F, n_in), dtype=z.dtype)
    if out is None:
        out = xp.empty((batch, h + F - 1, w + F - 1, n_in), dtype=z.dtype)
    xp.matmul(z.reshape(-1, z.shape[3]), _matrix(K).T, out=columns.reshape(-1, F * F * n_in))
    out[...] = 0
    rows = out.reshape(batch, h + F - 1, -1)
    runs = columns.reshape(batch, h, w, F, F * n_in)  # a row of a patch is one run of memory in `rows`
    for p in range(F):
        for c in range(w):
            rows[:, p : p + h, c * n_in : (c + F) * n_in] += runs[:, :, c, p]
    return out


def strided_adjoint(z, K, stride, out):
    """Write the adjoint of conv with a stride at z (batch, h, w, channels out) into a map `out` (batch, H, W, C)."""
    (_, h, w, n_out), (F, _, n_in, _) = z.shape, K.shape
    columns = (z.reshape(-1, n_out) @ _matrix(K).T).reshape(*z.shape[:3], F, F, n_in)
    out[...] = 0
    for p in range(F):
        for q in range(F):
            out[:, p : p + stride * h : stride, q : q + stride * w : stride] += columns[:, :, :, p, q]
    return out


def kernel_gradient(x, z, columns=None):
    """Return the gradient (F, F, channels in, channels out) of sum(z conv(x, K)) in K."""
    F = x.shape[1] - z.shape[1] + 1
    columns = patches(x, F, columns)
    n_in, n_out = x.shape[3], z.shape[3]
    return (columns.reshape(-1, F * F * n_in).T @ z.reshape(-1, n_out)).reshape(F, F, n_in, n_out)


def pad(x, P, out=None):
    """Return x (batch, H, W, C) with P rows and columns of zeros around it; x itself where P = 0.

    out: zero at its rim already.
    """
    if P == 0:
        return x
    batch, H, W, C = x.shape
    if out is None:
        out = xp.zeros((batch, H + 2 * P, W + 2 * P, C), dtype=x.dtype)
    crop(out, P)[...] = x
    return out


def crop(x, P):
    """Return x without P rows and columns on each side, a view: the adjoint of `pad`."""
    return x[:, P : x.shape[1] - P, P : x.shape[2] - P]


def pool(c, F, out=None, switch=None):
    """Return (maximum, switch), each (batch, H // F, W // F, C), of the windows of c (batch, H, W, C)."""
    first, *others = _places(c, F)
    if out is None:
        out, switch = xp.empty(first.shape, dtype=c.dtype), xp.empty(first.shape, dtype=xp.uint8)
    out[...] = first
    switch[...] = 0
    for place, each in enumerate(others, 1):
        xp.maximum(switch, (each > out).astype(xp.uint8) * place, out=switch)  # later places have larger numbers
        xp.maximum(out, each, out=out)
    return out, switch


def gather(c, switch, F, out=None):
    """Return from c (batch, H, W, C) what lies where the switches point: pooling at fixed switches."""
    if out is None:
        out = xp.empty(switch.shape, dtype=c.dtype)
    out[...] = 0
    for place, each in enumerate(_places(c, F)):
        out += each * (switch == place)
    return out


def unpool(s, switch, F, out):
    """Write s (batch, h, w, C) where the switches point in `out` (batch, H, W, C), and 0 elsewhere in the windows.

    What no window covers keeps its value, which must be 0. Returns `out`.
    """
    for place, each in enumerate(_places(out, F)):
        each[...] = s * (switch == place)
    return out


def _places(c, F):
    """Return F * F strided views of c: the first place of every window, the second, ..."""
    rows, columns = c.shape[1] // F * F, c.shape[2] // F * F
    return [c[:, p:rows:F, q:columns:F] for p in range(F) for q in range(F)]


def _matrix(K):
    return K.reshape(-1, K.shape[-1])
