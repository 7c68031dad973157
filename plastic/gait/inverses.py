"""The inverse of a layer and of a whole network (notation: `network`), and the quotient g W^{-1} in them.

    a_{l-1}[:s_l] = (phi^{-1}(a_l) - b_l) W_l^{-1}

A singular W_l has no inverse. To divide by it is like dividing an array by 0: the result is not finite, on every
backend, and nothing is raised.
"""

from plastic import require, xp
from plastic.affine import transposed
from plastic.errors import PlasticError
from plastic.gait.network import InvertibleNetwork, phi, require_network
from plastic.types import Array


@xp.underflow_is_ordinary()
def inverse(net: InvertibleNetwork, index: int, y: Array, a_below: Array) -> Array:
    """Return the activity that a layer maps to y: a_{l-1}[:s_l] = (phi^{-1}(y) - b_l) W_l^{-1}.

    Args:
        net: the network.
        index: the place of the layer in `net.layers`, l - 1.
        y: activity (..., batch, s_l) of the layer, or a target of it.
        a_below: activity (..., batch, n_{l-1}) of the layer below in the forward pass, n_{l-1} = n_0 or s_{l-1}. Its
            auxiliary units are taken as they are.

    Returns:
        The activity (..., batch, n_{l-1}) of the layer below; not finite if W_l is singular.

    Raises:
        PlasticError: if there is no such layer, or y or a_below do not fit it.

    Source: Ahmad et al. 2020.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> net = gait.tower((4, 3), np.random.default_rng(0))
        >>> a_0, a_1 = gait.forward(net, xp.asarray([[1.0, 2.0, 3.0, 4.0]]))
        >>> inverse(net, 0, a_1, a_0).round(3).tolist()
        [[1.0, 2.0, 3.0, 4.0]]
    """
    require_network(net)
    require.whole("index", index, least=0, most=len(net.layers) - 1)
    layer, dtype = net.layers[index], net.layers[0].W.dtype
    if layer.W.shape[-2] != layer.W.shape[-1]:
        raise PlasticError(f"layers[{index}] has W {layer.W.shape[-2:]}, which has no inverse")
    require.rows("y", y, layer.W.shape[-1], dtype)
    require.rows("a_below", a_below, net.sizes[index], dtype)
    if y.shape[-2] != a_below.shape[-2]:
        raise PlasticError(f"y has {y.shape[-2]} rows, but a_below has {a_below.shape[-2]}")
    leading = require.replicas(network=net.replicas, y=y.shape[:-2], a_below=a_below.shape[:-2])
    z = y if net.is_linear(len(net.layers) - 1 - index) else phi.inverse(y)
    read = divide(z - layer.b, layer.W)
    whole = xp.empty((*leading, *a_below.shape[-2:]), dtype=dtype)
    whole[...] = a_below
    whole[..., : read.shape[-1]] = read
    return whole


@xp.underflow_is_ordinary()
def inverse_pass(net: InvertibleNetwork, y: Array, activities: list[Array]) -> list[Array]:
    """Return the targets of all layers that inverses give: t_L = y, t_{l-1} = inverse_l(t_l).

    Of a forward pass's own output they are its activities again. These are the targets of target propagation as they
    stand; its rule, `tp`, takes a_l - t_l in a form that loses no digits to the difference.

    Args:
        net: the network.
        y: targets (..., batch, m) of the first m units of the output; the other units keep their activity.
        activities: of a forward pass, [a_0, .., a_L], as `forward` returns them. Auxiliary units are taken from them.

    Returns:
        The list [t_0, t_1, .., t_L], t_l (..., batch, n_l); not finite below a layer whose W is singular.

    Raises:
        PlasticError: if y or the activities do not fit the network.

    Source: Ahmad et al. 2020.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> net = gait.tower((4, 3, 2), np.random.default_rng(0))
        >>> activities = gait.forward(net, xp.asarray([[1.0, 2.0, 3.0, 4.0]]))
        >>> inverse_pass(net, activities[-1], activities)[0].round(3).tolist()
        [[1.0, 2.0, 3.0, 4.0]]
    """
    require_network(net)
    if not isinstance(activities, list | tuple) or len(activities) != len(net.sizes):
        raise PlasticError(f"activities must be a list of {len(net.sizes)}, [a_0, .., a_L], as gait.forward gives them")
    output, dtype = activities[-1], net.layers[0].W.dtype
    require.rows("a_L", output, net.sizes[-1], dtype)
    require.array("y", y)
    require.targets(y, output, min(y.shape[-1], net.sizes[-1]) if y.ndim else 1, dtype)
    leading = require.replicas(y=y.shape[:-2], a_L=output.shape[:-2])
    t = xp.empty((*leading, *output.shape[-2:]), dtype=dtype)
    t[...] = output
    t[..., : y.shape[-1]] = y
    targets = [t]
    for index in reversed(range(len(net.layers))):
        targets.append(inverse(net, index, targets[-1], activities[index]))
    return targets[::-1]


@xp.underflow_is_ordinary()
def divide(g: Array, W: Array) -> Array:
    """Return g W^{-1} by LU factorisation in the working precision: no inverse is formed.

    Args:
        g: rows (..., batch, n).
        W: a square matrix (n, n), or one for each replica (..., n, n).

    Returns:
        The quotient (..., batch, n); not finite if W is singular.

    Raises:
        PlasticError: if W is not square, or g does not fit it.

    Example:
        >>> divide(xp.asarray([[2.0, 6.0]]), xp.asarray([[2.0, 0.0], [0.0, 3.0]])).tolist()
        [[1.0, 2.0]]
    """
    require.array("W", W)
    if W.ndim < 2 or W.shape[-1] != W.shape[-2] or W.dtype.kind != "f":
        raise PlasticError(f"W is {W.dtype} of shape {W.shape}; a square matrix of floating-point numbers is needed")
    require.rows("g", g, W.shape[-1], W.dtype)
    leading = require.replicas(W=W.shape[:-2], g=g.shape[:-2])
    if W.ndim == 2:
        return quotient(g, W)
    return quotient(xp.broadcast_to(g, (*leading, *g.shape[-2:])), xp.broadcast_to(W, (*leading, *W.shape[-2:])))


def quotient(g: Array, W: Array) -> Array:
    """Return what `divide` returns for the same g and W, without checking them; W is (n, n) or has the axes of g."""
    rows = g.reshape(-1, g.shape[-1]) if W.ndim == 2 else g
    solution = xp.lu_solve(xp.lu_factor(W), transposed(rows), transpose=True)
    return transposed(solution).reshape(g.shape)
