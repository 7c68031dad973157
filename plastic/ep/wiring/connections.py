"""What both wirings share: the gradient of a tied weight, and the requirements of their parameters."""

from typing import Any

from plastic import affine, require, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array


def tied_gradient(r_below: Array, r: Array, delta_below: Array, delta: Array, out: Array | None = None) -> Array:
    """Return r_{k-1}^T delta_k + delta_{k-1}^T r_k (..., n_{k-1}, n_k) as one product.

    Args:
        r_below, r: rows (..., rows, n_{k-1}) and (..., rows, n_k) that the layers send.
        delta_below, delta: rows of the same shapes.
        out: an array to write into.
    """
    below = xp.concatenate([r_below, delta_below], axis=-2)
    above = xp.concatenate([delta, r], axis=-2)
    return affine.weight_gradient(below, above, out=out)


def require_connections(connections: dict[str, Any], axes: int) -> None:
    """Raise PlasticError unless these are Affine of one precision and one replica shape.

    Args:
        connections: {path: Affine}.
        axes: of a weight array, without replica axes.
    """
    first = next(iter(connections.values()))
    for path, layer in connections.items():
        if not isinstance(layer, Affine):
            raise PlasticError(f"{path} is a {type(layer).__name__}; it must be an Affine(W, b)")
        require.array(f"{path}/W", layer.W)
        require.array(f"{path}/b", layer.b)
        leading = layer.W.shape[:-axes]
        if leading != first.W.shape[:-axes]:
            raise PlasticError(f"{path} has the replica axes {leading}, but others have {first.W.shape[:-axes]}")
        if layer.W.ndim < axes or layer.b.shape != (*leading, 1, layer.W.shape[-1]):
            raise PlasticError(
                f"{path} has W of shape {layer.W.shape} and b of shape {layer.b.shape}; b must be "
                f"(..., 1, n) for W (..., n)"
            )
        if {layer.W.dtype, layer.b.dtype} != {first.W.dtype} or first.W.dtype.kind != "f":
            raise PlasticError(f"{path} holds {layer.W.dtype} and {layer.b.dtype}; all must be of one precision")


def require_chain(found: int, wanted: int, where: str, what: str = "units") -> None:
    """Raise PlasticError where two numbers of units that belong together differ.

    Args:
        found: units of a layer.
        wanted: units that its neighbour has weights for.
        where: the neighbour, for the message.
        what: the units, for the message.
    """
    if found != wanted:
        raise PlasticError(f"a layer has {found} {what}, but {where} has weights for {wanted}")
