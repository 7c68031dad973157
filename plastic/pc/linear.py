"""The equilibrium of linear predictive coding networks, in closed form.

With M_l = W_{l+1} .. W_L (n_l, n_L), M_L = 1, and S = sum over l = 1..L of M_l^T M_l, the errors at the minimum of F
over the states are, for row vectors,

    eps_L = (y - mu) S^-1,    eps_l = eps_L M_l^T,    F* = (y - mu) S^-1 (y - mu)^T / 2

with mu the feed-forward prediction: at rest eps_l = eps_{l+1} W_{l+1}^T, and the errors, sent up, add to what separates
mu from y. Orthogonal square weights give S = L 1: each error is then that of backpropagation over L.
"""

from plastic import affine, require, xp
from plastic.errors import PlasticError
from plastic.pc.networks import Network, activities, require_batch, require_network
from plastic.types import Array


@xp.underflow_is_ordinary()
def equilibrium(net: Network, x: Array, y: Array) -> tuple[list[Array], list[Array], Array]:
    """Return where inference comes to rest in a linear network, in closed form (see `plastic.pc.linear`).

    Args:
        net: a fully connected `Network` whose activations are linear, and all of whose outputs count.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, n_L).

    Returns:
        (states, errors, F): [x_1, .., x_{L-1}] and [eps_1, .., eps_L], arrays (..., batch, n_l), and the energy there,
        a sum over units and batch, of the replica shape.

    Raises:
        PlasticError: if the network is not linear, or x or y do not fit it.

    Source: derived here; Song et al. 2024 infer step by step.

    Example:
        >>> from plastic.parameters import Affine
        >>> net = Network([Affine(xp.asarray([[1.0]])), Affine(xp.asarray([[1.0, 1.0]]))], "linear")
        >>> states, errors, F = equilibrium(net, xp.asarray([[1.0]]), xp.asarray([[0.0, 1.0]]))
        >>> round(states[0].item(), 4), round(F.item(), 4)
        (0.6667, 0.3333)
    """
    require_linear(net, "the closed form")
    if net.counted is not None:
        raise PlasticError("the closed form is that of networks all of whose outputs count; counted must be None")
    require.array("y", y)
    require_batch(net, x, y)
    W = [layer.W for layer in net.layers]
    n = W[-1].shape[-1]
    M = [xp.broadcast_to(xp.eye(n, dtype=W[-1].dtype), (*net.replicas, n, n))]
    for each in W[:0:-1]:
        M.insert(0, each @ M[0])
    S = sum(affine.transposed(each) @ each for each in M)
    missing = y - activities(net, x)[-1]
    top = affine.transposed(xp.linalg.solve(S, affine.transposed(missing)))
    errors = [top @ affine.transposed(each) for each in M]
    states, r = [], x
    for layer, error in zip(net.layers[:-1], errors, strict=False):
        r = r @ layer.W + error
        if layer.b is not None:
            r += layer.b
        states.append(r)
    return states, errors, 0.5 * xp.sum(top * missing, axis=(-2, -1))


def require_linear(net: Network, what: str) -> None:
    """Require a fully connected network whose activations are linear, for `what` is to be done with it."""
    require_network(net)
    odd = [each.name for each in net.phi if each.name != "linear"]
    if odd:
        raise PlasticError(f"{what} is for linear networks, but phi is {odd[0]}")
    if net.skips:
        raise PlasticError(f"{what} is for networks without skip connections, but this is a {type(net).__name__}")
    if any(layer.W.ndim - len(net.replicas) != 2 for layer in net.layers):
        raise PlasticError(f"{what} is for fully connected networks, but this one has convolutions")
