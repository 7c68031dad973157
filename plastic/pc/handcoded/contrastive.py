"""GeneRec and the Hopfield rule: what settles with the output clamped, against what settles free.

They relax on the energy E = sum over l >= 1 of |x_l|^2 / 2 - sum over l of f(x_l) W_l f(x_{l+1})^T, that of Hopfield
without its first sum.
"""

import itertools
from typing import Any

from plastic import functions, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.pc.handcoded.states import mean_product, received, require_relaxation, require_states, slope
from plastic.types import Array


@xp.underflow_is_ordinary()
def generec_relax(
    states: list[Array], W: list[Array], phi: Activation | str, gamma: Any, steps: int, clamped: bool
) -> list[Array]:
    """Relax by GeneRec: dx_l = -x_l + f'(x_l) (f(x_{l-1}) W_{l-1} + f(x_{l+1}) W_l^T) = -dE/dx_l.

    E = sum over l >= 1 of |x_l|^2 / 2 - sum over l of f(x_l) W_l f(x_{l+1})^T. Layers move from the bottom up.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l).
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.
        gamma: the rate, above 0; a number, or an array (..., 1, 1) with one for each replica.
        steps: how many steps.
        clamped: whether the output stays.

    Returns:
        The new states.

    Raises:
        PlasticError: if states and weights do not fit together, or a constant is out of range.

    Source: O'Reilly 1996, as in the code of Song et al. 2024.

    Example:
        >>> states = [xp.asarray([[1.0]]), xp.asarray([[0.0]])]
        >>> generec_relax(states, [xp.asarray([[2.0]])], "linear", 0.5, 1, clamped=False)[1].tolist()
        [[1.0]]
    """
    return _relax_by_energy(states, W, phi, gamma, steps, clamped, leak=1.0)


@xp.underflow_is_ordinary()
def hopfield_relax(
    states: list[Array], W: list[Array], phi: Activation | str, gamma: Any, steps: int, clamped: bool
) -> list[Array]:
    """Relax by the Hopfield-like rule: dx_l = f'(x_l) (f(x_{l-1}) W_{l-1} + f(x_{l+1}) W_l^T).

    That of GeneRec without -x_l. It rests where f saturates.

    Args:
        states: [x_0, .., x_L], x_l (..., batch, n_l).
        W: weights [W_0, .., W_{L-1}], W_l (..., n_l, n_{l+1}).
        phi: the activation f, or its name.
        gamma: the rate, above 0; a number, or an array (..., 1, 1) with one for each replica.
        steps: how many steps.
        clamped: whether the output stays.

    Returns:
        The new states.

    Raises:
        PlasticError: if states and weights do not fit together, or a constant is out of range.

    Source: the code of Song et al. 2024.

    Example:
        >>> states = [xp.asarray([[1.0]]), xp.asarray([[4.0]])]
        >>> hopfield_relax(states, [xp.asarray([[2.0]])], "linear", 0.5, 1, clamped=False)[1].tolist()
        [[5.0]]
    """
    return _relax_by_energy(states, W, phi, gamma, steps, clamped, leak=0.0)


@xp.underflow_is_ordinary()
def contrastive_update(clamped: list[Array], free: list[Array] | None, phi: Activation | str) -> list[Array]:
    """Return the update of GeneRec and Hopfield.

        dW_l = (f(x_l)^T f(x_{l+1}) of the clamped states - the same of the free ones) / batch

    Args:
        clamped: [x_0, .., x_L] at the end of the phase with the output clamped, x_l (..., batch, n_l).
        free: those of the free phase. None leaves the second term out, which makes it a Hebbian rule; the published
            code does so.
        phi: the activation f, or its name.

    Returns:
        [dW_0, .., dW_{L-1}], to be added.

    Raises:
        PlasticError: if the states of the two phases differ in shape.

    Source: O'Reilly 1996, as in the code of Song et al. 2024.

    Example:
        >>> free, clamped = ([xp.asarray([[1.0]]), xp.asarray([[each]])] for each in (2.0, 5.0))
        >>> contrastive_update(clamped, free, "linear")[0].tolist()
        [[3.0]]
    """
    phi = functions.activation(phi)
    phases = [clamped] if free is None else [clamped, free]
    for name, states in zip(("clamped", "free"), phases, strict=False):
        require_states(name, states)
        if [x.shape for x in states] != [x.shape for x in clamped]:
            raise PlasticError("the free states are of other shapes than the clamped ones")
    products = [
        [mean_product(phi.value(x), phi.value(above)) for x, above in itertools.pairwise(states)] for states in phases
    ]
    return products[0] if free is None else [a - b for a, b in zip(*products, strict=True)]


def _relax_by_energy(states, W, phi, gamma, steps, clamped, leak):
    phi = functions.activation(phi)
    require_relaxation(states, W, gamma, steps)
    states, L = list(states), len(W)
    for _ in range(steps):
        for k in range(1, L if clamped else L + 1):
            dx = slope(phi, states[k]) * received(states, W, phi, k) - leak * states[k]
            states[k] = states[k] + gamma * dx
    return states
