"""What all rules share: the forward pass, and the walk down with a gradient at each layer (equations: `rules`)."""

from collections.abc import Callable
from typing import Any

from plastic import affine, require, xp
from plastic.errors import PlasticError
from plastic.gait.inverses import quotient
from plastic.gait.network import InvertibleNetwork, activities_of, phi, require_input
from plastic.parameters import Affine
from plastic.types import Array, Tree


def require_batch(net: InvertibleNetwork, x: Any, y: Any, out: Tree, **leading: tuple[int, ...]) -> None:
    """Require a batch that fits the network, a tree `out` if given, and replica axes that are the network's."""
    require_input(net, x)
    outputs, dtype = net.sizes[-1], net.layers[0].W.dtype
    if isinstance(y, xp.ndarray) and outputs > 1 and (y.shape[-1:] == (1,) or _are_labels(y, x)):
        raise PlasticError(
            f"y has shape {y.shape}; for x {x.shape} it must be (..., batch, classes) with 2 to {outputs} columns: "
            "labels become rows by functions.one_hot(labels, classes)"
        )
    columns = y.shape[-1] if isinstance(y, xp.ndarray) and y.ndim else outputs
    require.targets(y, x, min(columns, outputs), dtype)
    require_replicas(net, x=x.shape[:-2], y=y.shape[:-2], **leading)
    if out is not None:
        require.tree("out", out, net.parameters)


def _are_labels(y: Array, x: Array) -> bool:
    """Whether y has an axis less than x, and no row for each sample: replicas may share targets, but not labels."""
    return y.ndim < x.ndim and y.shape[-2:-1] != x.shape[-2:-1]


def require_replicas(net: InvertibleNetwork, **leading: tuple[int, ...]) -> None:
    """Require replica axes that fit those of the network and add none: gradients have the axes of the parameters."""
    if require.replicas(network=net.replicas, **leading) != net.replicas:
        found = ", ".join(f"{name} {axes}" for name, axes in leading.items())
        raise PlasticError(f"the network has the replica axes {net.replicas}, fewer than {found}")


def sweep(net: InvertibleNetwork, x: Array, y: Array, send: Callable, out: Tree) -> tuple[Tree, Array]:
    """Run forward, then walk down: at each layer the gradient, and the error that `send` passes to the layer below.

    send(k, W, a, d, e, delta) gets the distance k = L - l from the output, and W, a, d(a), e and delta of layer l on
    the units that have an error.
    """
    activities = activities_of(net, x, y.shape[-1])
    if out is None:
        out = {"layers": [Affine(xp.empty_like(layer.W), xp.empty_like(layer.b)) for layer in net.layers]}
    e = activities[-1] - y
    for k in range(len(net.layers)):
        W, a, below = net.layers[-1 - k].W, activities[-1 - k][..., : e.shape[-1]], activities[-2 - k]
        d = 1.0 if net.is_linear(k) else phi.slope(a, a)
        delta = d * e
        _write_gradient(below[..., : W.shape[-2]], delta, out["layers"][-1 - k])
        if k < len(net.layers) - 1:
            e = send(k, W, a, d, e, delta)
    return out, activities[-1]


def _write_gradient(below: Array, delta: Array, grad: Affine) -> None:
    m = delta.shape[-1]  # units beyond the first m have no error
    delta = delta / delta.shape[-2]
    affine.weight_gradient(below, delta, out=grad.W[..., :m])
    affine.bias_gradient(delta, out=grad.b[..., :m])
    grad.W[..., m:] = 0
    grad.b[..., m:] = 0


def divide_padded(g, W):
    """Return g W^{-1} for errors g (..., batch, m) of the first m units; those of the other units are 0."""
    padding = xp.zeros((*g.shape[:-1], W.shape[-1] - g.shape[-1]), dtype=g.dtype)
    return quotient(xp.concatenate([g, padding], axis=-1), W)
