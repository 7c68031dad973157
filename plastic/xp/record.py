"""What `plastic.xp` asks of an array library."""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import numpy as np


def _dense_product(p: Any, M: Any, transpose: bool) -> Any:
    p = p.astype(M.dtype)
    return (p.swapaxes(-1, -2) if transpose else p) @ M


def _dense_multiplier(W: Any, shape: tuple[int, ...]) -> Callable[..., Any]:
    return lambda z: z.astype(W.dtype) @ W


@dataclasses.dataclass(frozen=True, repr=False)
class Backend:
    """What `xp` needs from an array library.

    Attributes:
        name: what `xp.backend` returns.
        namespace: the library, whose functions are those of NumPy.
        asnumpy: brings an array to the host.
        lu_factor: lu_factor(A) of one matrix returns what `lu_solve` takes.
        lu_solve: lu_solve(factor, B, transpose).
        fused: fused(chain, arguments) runs an elementwise chain that changes some of its arguments in place.
        synchronize: waits for the device.
        number: makes of an array of no axes a Python number, where that costs no waiting.
        cache: gives the bytes of the last cache, or None where arrays need not fit one.
        any_order: whether arrays may lie in memory in any order, see `xp.order`.
        spike_product: spike_product(p, M, transpose); by default a dense product.
        spike_multiplier: spike_multiplier(W, shape); by default of dense products.
    """

    name: str
    namespace: types.ModuleType
    asnumpy: Callable[[Any], np.ndarray]
    lu_factor: Callable[..., Any]
    lu_solve: Callable[..., Any]
    fused: Callable[..., None]
    synchronize: Callable[[], None] = lambda: None
    number: Callable[[Any], Any] = lambda array: array
    cache: Callable[[], int | None] = lambda: None
    any_order: bool = False
    spike_product: Callable[..., Any] = _dense_product
    spike_multiplier: Callable[..., Callable[..., Any]] = _dense_multiplier

    def __repr__(self) -> str:
        return f"Backend {self.name}"
