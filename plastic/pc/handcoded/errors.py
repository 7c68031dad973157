"""Predictive coding and backpropagation on nets of states: the rules that carry errors from layer to layer."""

from typing import Any

from plastic import affine, functions, require, xp
from plastic.functions import Activation
from plastic.pc.handcoded.states import mean_product, require_net, require_relaxation, require_target, slope
from plastic.types import Array


@xp.underflow_is_ordinary()
def pc_errors(states: list[Array], W: list[Array], phi: Activation | str) -> list[Array]:
    """Return the prediction errors, eps_{l+1} = x_{l+1} - f(x_l) W_l.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l).
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.

    Returns:
        [eps_1, .., eps_L].

    Raises:
        PlasticError: if states and weights do not fit together.

    Example:
        >>> pc_errors([xp.asarray([[3.0]]), xp.asarray([[7.0]])], [xp.asarray([[2.0]])], "linear")[0].tolist()
        [[1.0]]
    """
    phi = functions.activation(phi)
    require_net(states, W)
    return _errors(states, W, phi)


@xp.underflow_is_ordinary()
def pc_relax(
    states: list[Array],
    W: list[Array],
    phi: Activation | str,
    gamma: Any,
    steps: int,
    clamped: bool,
    c: float = 1.0,
) -> list[Array]:
    """Relax by predictive coding: dx_l = -c_l eps_l + c_{l+1}^2 f'(x_l) (eps_{l+1} W_l^T), all layers at once.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l).
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.
        gamma: the rate, above 0; a number, or an array (..., 1, 1) with one for each replica.
        steps: how many steps.
        clamped: whether the output stays.
        c: the coefficient c_L of the output, above 0; the others are 1. As published, it is squared in one place only.

    Returns:
        The new states.

    Raises:
        PlasticError: if states and weights do not fit together, or a constant is out of range.

    Source: the hand-coded PC of the code of Song et al. 2024.

    Example:
        >>> states = [xp.asarray([[1.0]]), xp.asarray([[0.0]])]
        >>> pc_relax(states, [xp.asarray([[2.0]])], "linear", 0.5, 1, clamped=False)[1].tolist()
        [[1.0]]
    """
    phi = functions.activation(phi)
    require_relaxation(states, W, gamma, steps)
    require.number("c", c, above=0)
    L = len(W)
    for _ in range(steps):
        eps = [None, *_errors(states, W, phi)]
        moved = list(states)
        for k in range(1, L if clamped else L + 1):
            dx = -(c if k == L else 1.0) * eps[k]
            if k < L:
                back = eps[k + 1] @ affine.transposed(W[k])
                dx += (c * c if k + 1 == L else 1.0) * slope(phi, states[k]) * back
            moved[k] = states[k] + gamma * dx
        states = moved
    return states


@xp.underflow_is_ordinary()
def pc_update(states: list[Array], W: list[Array], phi: Activation | str) -> list[Array]:
    """Return the update of predictive coding, dW_l = f(x_l)^T eps_{l+1} / batch.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l), relaxed with the output clamped.
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.

    Returns:
        [dW_0, .., dW_{L-1}], to be added.

    Raises:
        PlasticError: if states and weights do not fit together.

    Source: the hand-coded PC of the code of Song et al. 2024.

    Example:
        >>> states = [xp.asarray([[3.0]]), xp.asarray([[7.0]])]
        >>> pc_update(states, [xp.asarray([[2.0]])], "linear")[0].tolist()
        [[3.0]]
    """
    phi = functions.activation(phi)
    require_net(states, W)
    return [mean_product(phi.value(x), eps) for x, eps in zip(states, _errors(states, W, phi), strict=False)]


@xp.underflow_is_ordinary()
def bp_update(states: list[Array], W: list[Array], phi: Activation | str, y: Array, c: float = 1.0) -> list[Array]:
    """Return the update of backpropagation.

        dW_l = f(x_l)^T delta_{l+1} / batch,    delta_L = c (y - x_L),    delta_l = f'(x_l) (delta_{l+1} W_l^T)

    Args:
        states: those of `feedforward`.
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.
        y: targets (..., batch, n_L).
        c: the coefficient of the error, above 0.

    Returns:
        [dW_0, .., dW_{L-1}], to be added.

    Raises:
        PlasticError: if states, weights and y do not fit together, or c is out of range.

    Source: the hand-coded BP of the code of Song et al. 2024.

    Example:
        >>> W = [xp.asarray([[2.0]])]
        >>> bp_update([xp.asarray([[3.0]]), xp.asarray([[6.0]])], W, "linear", xp.asarray([[7.0]]))[0].tolist()
        [[3.0]]
    """
    phi = functions.activation(phi)
    require_net(states, W)
    require_target(states, y)
    require.number("c", c, above=0)
    deltas = [c * (y - states[-1])]
    for x, each in zip(states[-2:0:-1], W[:0:-1], strict=True):
        deltas.insert(0, slope(phi, x) * (deltas[0] @ affine.transposed(each)))
    return [mean_product(phi.value(x), delta) for x, delta in zip(states, deltas, strict=False)]


def _errors(states, W, phi):
    return [above - phi.value(x) @ each for x, each, above in zip(states, W, states[1:], strict=False)]
