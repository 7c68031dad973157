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

from plastic.convolution.maps import conv, conv_adjoint, crop, kernel_gradient, pad, patches, strided_adjoint
from plastic.convolution.pooling import gather, pool, unpool

__all__ = [
    "conv",
    "conv_adjoint",
    "crop",
    "gather",
    "kernel_gradient",
    "pad",
    "patches",
    "pool",
    "strided_adjoint",
    "unpool",
]
