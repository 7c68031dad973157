"""The leaky sum over time: forwards of what spikes send to the readout, backwards of the errors."""

from typing import Any

from plastic import xp
from plastic.types import Array

_BLOCK = 32  # steps that one product filters


def filtered(x: Array, decay: Any, before: Any = 0.0) -> Array:
    """Return y^t = decay y^{t-1} + x^t for every step (..., T, batch, n).

    A loop over the steps would be two small calls for each. Within a block of steps the sum is a product, and from one
    block to the next there is one step of K:

        y^{s+k} = sum over i = 0 .. k of decay^{k-i} x^{s+i} + decay^{k+1} y^{s-1},    k = 0 .. K - 1

    Args:
        x: (..., T, batch, n).
        decay: a number, or (..., 1, 1).
        before: y before the first step (..., batch, n), or 0.

    Returns:
        y, of the shape of x.
    """
    *leading, T, batch, n = x.shape
    K = min(_BLOCK, T)
    rows = x.reshape(*leading, T, batch * n)
    if T % K:
        rows = xp.concatenate([rows, xp.zeros((*leading, K - T % K, batch * n), dtype=x.dtype)], axis=-2)
    k = xp.arange(K).astype(x.dtype)
    within = decay ** xp.maximum(k[:, None] - k, 0) * (k[:, None] >= k)
    y = rows.reshape(*leading, -(-T // K), K, batch * n)
    y = (within if isinstance(decay, float) else within[..., None, :, :]) @ y
    onwards = decay ** (k[:, None] + 1)
    last = before if isinstance(before, float) else before.reshape(*before.shape[:-2], 1, batch * n)
    for block in range(y.shape[-3]):
        y[..., block, :, :] += onwards * last
        last = y[..., block, -1:, :]
    return y.reshape(*leading, K * -(-T // K), batch, n)[..., :T, :, :]
