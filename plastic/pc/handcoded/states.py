"""Nets of states: the feed-forward net, a clamped output, what a layer receives; what states and weights must be."""

from plastic import affine, functions, require, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.types import Array


def clamp(states: list[Array], y: Array) -> list[Array]:
    """Return the states with the output at y.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l).
        y: targets (..., batch, n_L).

    Returns:
        A new list.

    Raises:
        PlasticError: if y is not of the shape of x_L.

    Example:
        >>> clamp([xp.asarray([[1.0]]), xp.asarray([[2.0]])], xp.asarray([[3.0]]))[1].tolist()
        [[3.0]]
    """
    require_target(states, y)
    return [*states[:-1], y]


@xp.underflow_is_ordinary()
def feedforward(W: list[Array], x: Array, phi: Activation | str) -> list[Array]:
    """Return the states of the feed-forward net, x_{l+1} = f(x_l) W_l.

    Args:
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        x: inputs (..., batch, n_0).
        phi: the activation f, or its name.

    Returns:
        [x_0, .., x_L], x_l (..., batch, n_l).

    Raises:
        PlasticError: if weights or x do not fit together.

    Example:
        >>> feedforward([xp.asarray([[2.0]])], xp.asarray([[3.0]]), "linear")[1].tolist()
        [[6.0]]
    """
    phi = functions.activation(phi)
    require_weights(W)
    require.rows("x", x, W[0].shape[-2], W[0].dtype)
    states = [x]
    for each in W:
        states.append(phi.value(states[-1]) @ each)
    return states


def received(states, W, phi, k):
    """Return what layer k receives: f(x_{k-1}) W_{k-1} + f(x_{k+1}) W_k^T."""
    below = phi.value(states[k - 1]) @ W[k - 1]
    return below if k == len(W) else below + phi.value(states[k + 1]) @ affine.transposed(W[k])


def slope(phi, x):
    """Return f'(x), as numbers also where f has booleans for slopes."""
    return phi.slope(x, phi.value(x)) * xp.ones_like(x)


def mean_product(a, b):
    """Return a^T b / batch, (..., n_a, n_b)."""
    return affine.weight_gradient(a, b) / a.shape[-2]


def require_weights(W):
    """Require weights [W_0, .., W_{L-1}] that fit together."""
    if not isinstance(W, list | tuple) or not W:
        raise PlasticError("W must be a list of weights [W_0, .., W_{L-1}]")
    for k, each in enumerate(W):
        require.array(f"W[{k}]", each)
        if each.ndim < 2 or each.dtype.kind != "f" or each.dtype != W[0].dtype:
            raise PlasticError(
                f"W[{k}] is {each.dtype} of shape {each.shape}; numbers (..., n, m) of one precision are needed"
            )
        if k > 0 and each.shape[-2] != W[k - 1].shape[-1]:
            raise PlasticError(f"W[{k}] takes {each.shape[-2]} units, but W[{k - 1}] leads to {W[k - 1].shape[-1]}")


def require_states(name, states):
    """Require states [x_0, .., x_L], `name` in the message, of one precision and batch."""
    if not isinstance(states, list | tuple) or len(states) < 2:
        raise PlasticError(f"{name} must be a list of states [x_0, .., x_L]")
    for k, x in enumerate(states):
        require.array(f"states[{k}]", x)
        if x.dtype.kind != "f":
            raise PlasticError(f"states[{k}] holds {x.dtype}; {xp.float_dtype} numbers are needed")
        require.rows(f"states[{k}]", x, x.shape[-1] if x.ndim else 1, states[0].dtype)
        if x.shape[-2] != states[0].shape[-2]:
            raise PlasticError(f"states[{k}] has {x.shape[-2]} rows, but states[0] has {states[0].shape[-2]}")


def require_net(states, W):
    """Require states and weights that fit together."""
    require_weights(W)
    require_states("states", states)
    if len(states) != len(W) + 1:
        raise PlasticError(f"there are {len(states)} states for {len(W)} weights; there must be one more than weights")
    for k, x in enumerate(states):
        n = W[k].shape[-2] if k < len(W) else W[-1].shape[-1]
        require.rows(f"states[{k}]", x, n, W[0].dtype)
        require.replicas(W=W[0].shape[:-2], **{f"states[{k}]": x.shape[:-2]})


def require_relaxation(states, W, gamma, steps):
    """Require states, weights, a rate gamma above 0 and a whole number of steps."""
    require_net(states, W)
    require.whole("steps", steps)
    require.per_replica("gamma", gamma, W[0].shape[:-2])
    require.number("gamma", gamma, above=0)


def require_target(states, y):
    """Require targets y of the shape of x_L."""
    require_states("states", states)
    require.targets(y, states[0], states[-1].shape[-1], states[-1].dtype)
