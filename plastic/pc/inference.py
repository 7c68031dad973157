"""Inference: how the states of a predictive coding network settle, and learning at the same time (Song et al. 2024).

States begin at the feed-forward activities, where all hidden errors are 0 and F is the loss. At a step, with errors
and gradients of all layers taken at the same point (symbols as in `plastic.pc.networks`),

    dF/dx_l = eps_l - f'(x_l) (eps_{l+1} W_{l+1}^T)                   l = 1..L-1
    dF/dW_l = -r_{l-1}^T eps_l,    dF/db_l = -sum over the batch of eps_l
    x_l <- x_l - gamma dF/dx_l                                        all layers at once

(with the states after the activation, eps f'(a) takes the place of eps in both gradients, and f' goes from the first).
After the second step and each later one the rate adapts, by the energies before this step and the one before it:

    gamma <- amplifier gamma  where F has fallen,  gamma <- discount gamma  where it has risen, or is not a number

by more than rounding. Near rest it does neither: gamma stays, and the states do come to rest. (The published code takes
an energy that has not fallen for one that has risen: near rest rounding decides, gamma shrinks at random, and the
states stop short of it.)

Prospective configuration: with the output at its target, the states settle first, and the weights then follow; see
`plastic.pc.pc`. In incremental predictive coding they move at every step:

    state = pc.State(net, x, y, gamma=0.1)
    for _ in range(T):
        grads, output = pc.step(net, state, x)
        optimizer.step(net.parameters, grads, moments)

Gradients of weights are means over the batch, F is a sum: the rate of inference does not depend on the batch size.
"""

from plastic import require, xp
from plastic.pc.losses import Loss
from plastic.pc.networks import Network
from plastic.pc.solvers import relax, require_solver
from plastic.pc.states import State, require_target
from plastic.types import Array, Tree


@xp.underflow_is_ordinary()
def infer(
    net: Network,
    state: State,
    x: Array,
    steps: int,
    loss: Loss | None = None,
    *,
    tolerance: float = 0.0,
    solver: str = "steps",
) -> Array:
    """Let the states settle, with the weights held.

        x_l <- x_l - gamma (eps_l - f'(x_l) (eps_{l+1} W_{l+1}^T))

    Args:
        net: a `Network`.
        state: a `State` of it, which changes; its errors are then those of the new states.
        x: inputs (..., batch, n_0).
        steps: how many steps, 0 or more.
        loss: loss(output) -> (L, err) in place of half the squared error, see `step`.
        tolerance: the states are at rest where none changes by more than this in a step; 0 makes all steps.
        solver: how they come to rest: "steps", as published, "layerwise", "errors" or "anderson"; see
            `plastic.pc.solvers`.

    Returns:
        mu_L at the new states, (..., batch, n_L).

    Raises:
        PlasticError: if `steps` is not a whole number, x has another shape than that of the state, or the tolerance or
            the solver is out of range, or does not go with this loss or with a state that has an optimizer.

    Source: Song et al. 2024, Methods.

    Example:
        >>> import numpy as np
        >>> from plastic.pc import network
        >>> net, x = network((2, 3, 1), np.random.default_rng(0), phi="linear"), xp.asarray([[0.0, 1.0]])
        >>> state = State(net, x, xp.asarray([[1.0]]), gamma=0.5)
        >>> output = infer(net, state, x, 50)
        >>> float(abs(state.gradient()).max()) < 1e-6
        True
    """
    require.whole("steps", steps, least=0)
    require_target(state, loss)
    require_solver(solver, tolerance, state, loss)
    state._take(net, x)
    state._look(loss)
    relax(state, steps, solver, tolerance, loss)
    return state.top.copy(order="K")


@xp.underflow_is_ordinary()
def step(net: Network, state: State, x: Array, loss: Loss | None = None, *, out: Tree = None) -> tuple[Tree, Array]:
    """Take one step of inference, and return the gradients of the weights at the point before it.

        x_l <- x_l - gamma dF/dx_l,    dF/dW_l = -r_{l-1}^T eps_l / batch,    both at the same states and weights

    Incremental predictive coding is a loop of this and an optimizer's step. Weights are taken as they are at each call.
    Where they are held for many steps, `infer` costs less.

    Args:
        net: a `Network`.
        state: a `State` of it, which changes. Its errors and F remain those of the point of the gradients.
        x: inputs (..., batch, n_0).
        loss: loss(output) -> (L, err) in place of half the squared error: L a sum over the batch, of the replica shape,
            err = dL/doutput. With it, F = sum over the hidden layers of |eps_l|^2 / 2 + L.
        out: a tree of the shape of the parameters to write the gradients into.

    Returns:
        (grads, output): a tree of the shape of the parameters, means over the batch, signed to be subtracted; and mu_L
        at the states before the step, (..., batch, n_L).

    Raises:
        PlasticError: if there is neither a loss nor targets, or x or what the loss gives has another shape.

    Source: Song et al. 2024, Methods: weights that move with the states ("PPC" in the published code).

    Example:
        >>> import numpy as np
        >>> from plastic.optimizers import SGD
        >>> from plastic.pc import network
        >>> net, x = network((2, 3, 1), np.random.default_rng(0)), xp.asarray([[0.0, 1.0]])
        >>> state, errors = State(net, x, xp.asarray([[1.0]])), []
        >>> for _ in range(20):
        ...     grads, output = step(net, state, x)
        ...     SGD(0.1).step(net.parameters, grads, {})
        ...     errors.append(abs(1 - output.item()))
        >>> errors[-1] < errors[0]
        True
    """
    require_target(state, loss)
    state._take(net, x)
    state._look(loss)
    grads, output = state.weight_gradients(out), state.top.copy(order="K")
    state._move()
    return grads, output
