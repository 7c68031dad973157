"""Five rules on one net of states, written out by hand: PC, BP, GeneRec, Hopfield, Almeida-Pineda (Song et al. 2024).

A net has states x_0 .. x_L, x_l (..., batch, n_l), x_0 the input, and weights W_0 .. W_{L-1}, W_l (..., n_l, n_{l+1}),
with no bias; each W_l also acts backwards, as its transpose. Unlike in `plastic.pc.networks`, f acts on the input too,
x_L is a state, and updates are to be *added*, times a rate: W_l <- W_l + eta dW_l. They are means over the batch. With
the target y, each rule is a pair of pure functions:

    states = relax(states, W, phi, gamma, steps, clamped=...)      x_l <- x_l + gamma dx_l: a new list of states
    dW = update(...)

A relaxation moves l = 1..L, or 1..L-1 where the output is clamped (to y, put there by the caller: `clamp`). Layers move
one after the other, from the bottom up, each seeing those below as they are by then; those of PC, whose errors are
computed first, move at once. Where states begin, and whether they persist from one pair to the next, is the caller's.
These rules have states and phases of their own, and so are not among `plastic.pc.RULES`.
"""

import itertools
from typing import Any

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
    _require_target(states, y)
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
    _require_weights(W)
    require.rows("x", x, W[0].shape[-2], W[0].dtype)
    states = [x]
    for each in W:
        states.append(phi.value(states[-1]) @ each)
    return states


# predictive coding


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
    _require_net(states, W)
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
    _require_relaxation(states, W, gamma, steps)
    require.number("c", c, above=0)
    L = len(W)
    for _ in range(steps):
        eps = [None, *_errors(states, W, phi)]
        moved = list(states)
        for k in range(1, L if clamped else L + 1):
            dx = -(c if k == L else 1.0) * eps[k]
            if k < L:
                back = eps[k + 1] @ affine.transposed(W[k])
                dx += (c * c if k + 1 == L else 1.0) * _slope(phi, states[k]) * back
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
    _require_net(states, W)
    return [_mean_product(phi.value(x), eps) for x, eps in zip(states, _errors(states, W, phi), strict=False)]


# backpropagation


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
        >>> bp_update(feedforward(W, xp.asarray([[3.0]]), "linear"), W, "linear", xp.asarray([[7.0]]))[0].tolist()
        [[3.0]]
    """
    phi = functions.activation(phi)
    _require_net(states, W)
    _require_target(states, y)
    require.number("c", c, above=0)
    deltas = [c * (y - states[-1])]
    for x, each in zip(states[-2:0:-1], W[:0:-1], strict=True):
        deltas.insert(0, _slope(phi, x) * (deltas[0] @ affine.transposed(each)))
    return [_mean_product(phi.value(x), delta) for x, delta in zip(states, deltas, strict=False)]


# the energy E = sum over l >= 1 of |x_l|^2 / 2 - sum over l of f(x_l) W_l f(x_{l+1})^T, free and clamped


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
        _require_states(name, states)
        if [x.shape for x in states] != [x.shape for x in clamped]:
            raise PlasticError("the free states are of other shapes than the clamped ones")
    products = [
        [_mean_product(phi.value(x), phi.value(above)) for x, above in itertools.pairwise(states)] for states in phases
    ]
    return products[0] if free is None else [a - b for a, b in zip(*products, strict=True)]


# Almeida-Pineda: the gradient at a fixed point, by a relaxation of its own


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
    _require_relaxation(states, W, gamma, steps)
    states = list(states)
    for _ in range(steps):
        for k in range(1, len(states)):
            states[k] = states[k] + gamma * (_input(states, W, phi, k) - states[k])
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
    _require_relaxation(states, W, gamma, steps)
    _require_target(states, y)
    if [each.shape for each in adjoint] != [x.shape for x in states]:
        raise PlasticError("the adjoint must have one array for each of the states, of its shape")
    adjoint, L = list(adjoint), len(W)
    slopes = [_slope(phi, x) for x in states]
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
    _require_states("states", states)
    if [each.shape for each in adjoint] != [x.shape for x in states]:
        raise PlasticError("the adjoint must have one array for each of the states, of its shape")
    return [_mean_product(phi.value(x), above) for x, above in zip(states, adjoint[1:], strict=False)]


# pieces


def _errors(states, W, phi):
    return [above - phi.value(x) @ each for x, each, above in zip(states, W, states[1:], strict=False)]


def _relax_by_energy(states, W, phi, gamma, steps, clamped, leak):
    phi = functions.activation(phi)
    _require_relaxation(states, W, gamma, steps)
    states, L = list(states), len(W)
    for _ in range(steps):
        for k in range(1, L if clamped else L + 1):
            dx = _slope(phi, states[k]) * _input(states, W, phi, k) - leak * states[k]
            states[k] = states[k] + gamma * dx
    return states


def _input(states, W, phi, k):
    """Return what layer k receives: f(x_{k-1}) W_{k-1} + f(x_{k+1}) W_k^T."""
    below = phi.value(states[k - 1]) @ W[k - 1]
    return below if k == len(W) else below + phi.value(states[k + 1]) @ affine.transposed(W[k])


def _slope(phi, x):
    """Return f'(x), as numbers also where f has booleans for slopes."""
    return phi.slope(x, phi.value(x)) * xp.ones_like(x)


def _mean_product(a, b):
    """Return a^T b / batch, (..., n_a, n_b)."""
    return affine.weight_gradient(a, b) / a.shape[-2]


def _require_weights(W):
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


def _require_states(name, states):
    if not isinstance(states, list | tuple) or len(states) < 2:
        raise PlasticError(f"{name} must be a list of states [x_0, .., x_L]")
    for k, x in enumerate(states):
        require.array(f"states[{k}]", x)
        if x.dtype.kind != "f":
            raise PlasticError(f"states[{k}] holds {x.dtype}; {xp.float_dtype} numbers are needed")
        require.rows(f"states[{k}]", x, x.shape[-1] if x.ndim else 1, states[0].dtype)
        if x.shape[-2] != states[0].shape[-2]:
            raise PlasticError(f"states[{k}] has {x.shape[-2]} rows, but states[0] has {states[0].shape[-2]}")


def _require_net(states, W):
    _require_weights(W)
    _require_states("states", states)
    if len(states) != len(W) + 1:
        raise PlasticError(f"there are {len(states)} states for {len(W)} weights; there must be one more than weights")
    for k, x in enumerate(states):
        n = W[k].shape[-2] if k < len(W) else W[-1].shape[-1]
        require.rows(f"states[{k}]", x, n, W[0].dtype)
        require.replicas(W=W[0].shape[:-2], **{f"states[{k}]": x.shape[:-2]})


def _require_relaxation(states, W, gamma, steps):
    _require_net(states, W)
    require.whole("steps", steps)
    require.per_replica("gamma", gamma, W[0].shape[:-2])
    require.number("gamma", gamma, above=0)


def _require_target(states, y):
    _require_states("states", states)
    require.targets(y, states[0], states[-1].shape[-1], states[-1].dtype)
