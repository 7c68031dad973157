"""A loss of the output of one's own, in place of half the squared error: what it is, and that it is one."""

from collections.abc import Callable
from typing import Any

from plastic.errors import PlasticError
from plastic.types import Array

Loss = Callable[[Array], tuple[Any, Array]]
"""loss(output) -> (L, err): for outputs (..., batch, n_L) their loss, a sum over the batch, of the replica shape, and
err = dL/doutput."""


def of_output(loss: Loss, output: Array) -> tuple[Any, Array]:
    """Return (L, err) of a loss for outputs (..., batch, n_L).

    Raises:
        PlasticError: if it is no function, or returns something else.
    """
    if not callable(loss):
        raise PlasticError(f"loss is {loss!r}; it must be a function, loss(output) -> (L, dL/doutput)")
    found = loss(output)
    if isinstance(found, tuple) and len(found) == 2:
        L, err = found
        kind = getattr(err, "shape", None), getattr(err, "dtype", None), getattr(L, "shape", ())
        if kind == (output.shape, output.dtype, output.shape[:-2]):
            return L, err
        words = f"L of shape {kind[2]} and err of {kind[1]} and shape {kind[0]}"
    else:
        words = f"a {type(found).__name__}"
    raise PlasticError(
        f"loss(output) must return (L, err), L of shape {output.shape[:-2]}, summed over the batch, and err of "
        f"{output.dtype} and shape {output.shape}, not {words}"
    )
