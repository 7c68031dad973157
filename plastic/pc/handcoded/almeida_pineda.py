"""Almeida-Pineda: the gradient at a fixed point, by a relaxation of its own."""

from typing import Any

from plastic import affine, functions, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.pc.handcoded.states import (
    mean_product,
    received,
    require_relaxation,
    require_states,
    require_target,
    slope,
)
from plastic.types import Array


@xp.underflow_is_ordinary()
def almeida_pineda_relax(
    states: list[Array], W: list[Array], phi: Activation | str, gamma: Any, steps: int
) -> list[Array]:
    """Relax by Almeida-Pineda, the free phase: dx_l = -x_l + f(x_{l-1}) W_{l-1} + f(x_{l+1}) W_l^T.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l).
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.
        gamma: the rate, above 0; a number, or an array (..., 1, 1) with one for each replica.
        steps: how many steps.

    Returns:
        The new states.

    Raises:
        PlasticError: if states and weights do not fit together, or a constant is out of range.

    Source: Almeida 1987, Pineda 1987, as in the code of Song et al. 2024.

    Example:
        >>> states = [xp.asarray([[1.0]]), xp.asarray([[0.0]])]
        >>> almeida_pineda_relax(states, [xp.asarray([[2.0]])], "linear", 0.5, 1)[1].tolist()
        [[1.0]]
    """
    phi = functions.activation(phi)
    require_relaxation(states, W, gamma, steps)
    states = list(states)
    for _ in range(steps):
        for k in range(1, len(states)):
            states[k] = states[k] + gamma * (received(states, W, phi, k) - states[k])
    return states


@xp.underflow_is_ordinary()
def almeida_pineda_adjoint(
    adjoint: list[Array],
    states: list[Array],
    W: list[Array],
    phi: Activation | str,
    y: Array,
    gamma: Any,
    steps: int,
    complete: bool = False,
) -> list[Array]:
    """Return the adjoint states [y_0, .., y_L], after so many steps from `adjoint`, of states x that are at rest.

        dy_l = -y_l + f'(x_l) (y_{l-1} W_{l-1} + y_{l+1} W_l^T) + [l = L] (y - x_L)

    As published, the input has an adjoint too, which acts on y_1, and the output receives nothing from y_{L-1}; a net
    with a clamped input and a free output has neither.

    Args:
        adjoint: [y_0, .., y_L] to begin from, of the shapes of the states.
        states: [x_0, .., x_L], x_l (..., batch, n_l), at rest.
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.
        y: targets (..., batch, n_L).
        gamma: the rate, above 0; a number, or an array (..., 1, 1) with one for each replica.
        steps: how many steps.
        complete: y_0 = 0, and y_{L-1} acts on y_L, as the fixed point of the states has it, so that y_l = -dE/dx_l
            there, E = |y - x_L|^2 / 2 (Pineda 1987).

    Returns:
        The new adjoint states.

    Raises:
        PlasticError: if states, adjoint, weights and y do not fit together, or a constant is out of range.

    Source: Almeida 1987, Pineda 1987, as in the code of Song et al. 2024.

    Example:
        >>> x, start, y = ([xp.asarray([[each]]) for each in (a, b)] for a, b in ((1.0, 2.0), (0.0, 0.0), (0.0, 5.0)))
        >>> almeida_pineda_adjoint(start, x, [xp.asarray([[2.0]])], "linear", y[1], 1.0, 1)[1].tolist()
        [[3.0]]
    """
    phi = functions.activation(phi)
    require_relaxation(states, W, gamma, steps)
    require_target(states, y)
    if [each.shape for each in adjoint] != [x.shape for x in states]:
        raise PlasticError("the adjoint must have one array for each of the states, of its shape")
    adjoint, L = list(adjoint), len(W)
    slopes = [slope(phi, x) for x in states]
    if complete:
        adjoint[0] = xp.zeros_like(adjoint[0])
    for _ in range(steps):
        for k in range(1 if complete else 0, L + 1):
            dy = -adjoint[k]
            if 0 < k < L or (complete and k == L):
                dy = dy + slopes[k] * (adjoint[k - 1] @ W[k - 1])
            dy = dy + (y - states[L] if k == L else slopes[k] * (adjoint[k + 1] @ affine.transposed(W[k])))
            adjoint[k] = adjoint[k] + gamma * dy
    return adjoint


@xp.underflow_is_ordinary()
def almeida_pineda_update(states: list[Array], adjoint: list[Array], phi: Activation | str) -> list[Array]:
    """Return the update of Almeida-Pineda, dW_l = f(x_l)^T y_{l+1} / batch.

    The gradient for W_l as it acts forwards, its transpose being held.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l), at rest.
        adjoint: [y_0, .., y_L], at rest too.
        phi: the activation f, or its name.

    Returns:
        [dW_0, .., dW_{L-1}], to be added.

    Raises:
        PlasticError: if states and adjoint do not fit together.

    Source: Almeida 1987, Pineda 1987, as in the code of Song et al. 2024.

    Example:
        >>> x, adjoint = ([xp.asarray([[each]]) for each in (a, b)] for a, b in ((3.0, 0.0), (0.0, 2.0)))
        >>> almeida_pineda_update(x, adjoint, "linear")[0].tolist()
        [[6.0]]
    """
    phi = functions.activation(phi)
    require_states("states", states)
    if [each.shape for each in adjoint] != [x.shape for x in states]:
        raise PlasticError("the adjoint must have one array for each of the states, of its shape")
    return [mean_product(phi.value(x), above) for x, above in zip(states, adjoint[1:], strict=False)]
