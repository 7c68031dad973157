"""Five rules on one net of states, written out by hand: PC, BP, GeneRec, Hopfield, Almeida-Pineda (Song et al. 2024).

A net has states x_0 .. x_L, x_l (..., batch, n_l), x_0 the input, and weights W_0 .. W_{L-1}, W_l (..., n_l, n_{l+1}),
with no bias; each W_l also acts backwards, as its transpose. Unlike in `plastic.pc.network`, f acts on the input too,
x_L is a state, and updates are means over the batch. With the target y, each rule is a pair of pure functions:

    states = relax(states, W, f, gamma, steps, clamped=...)      x_l <- x_l + gamma dx_l: a new list of states
    dW = update(...)                                             to be *added*, times a rate: W_l <- W_l + eta dW_l

A relaxation moves l = 1..L, or 1..L-1 where the output is clamped (to y, put there by the caller: `clamp`). Layers move
one after the other, from the bottom up, each seeing those below as they are by then; those of PC, whose errors are
computed first, move at once. Where states begin, and whether they persist from one pair to the next, is the caller's.
"""

import itertools

from plastic import xp


def clamp(states, y):
    """Return the states with the output at y."""
    return [*states[:-1], y]


def feedforward(W, x, f):
    """Return [x_0, .., x_L] of the feed-forward net, x_{l+1} = f(x_l) W_l."""
    states = [x]
    for each in W:
        states.append(f.value(states[-1]) @ each)
    return states


# predictive coding


def pc_errors(states, W, f):
    """Return [eps_1, .., eps_L], eps_{l+1} = x_{l+1} - f(x_l) W_l."""
    return [above - f.value(x) @ each for x, each, above in zip(states, W, states[1:], strict=False)]


def pc_relax(states, W, f, gamma, steps, clamped, c=1.0):
    """Predictive coding: dx_l = -c_l eps_l + c_{l+1}^2 f'(x_l) (eps_{l+1} W_l^T).

    c: the coefficient c_L of the output; the others are 1. (As published, it is squared in one place only.)
    """
    L = len(W)
    for _ in range(steps):
        eps = [None, *pc_errors(states, W, f)]
        moved = list(states)
        for k in range(1, L if clamped else L + 1):
            dx = -(c if k == L else 1.0) * eps[k]
            if k < L:
                dx += (c * c if k + 1 == L else 1.0) * slope(f, states[k]) * (eps[k + 1] @ transposed(W[k]))
            moved[k] = states[k] + gamma * dx
        states = moved
    return states


def pc_update(states, W, f):
    """dW_l = f(x_l)^T eps_{l+1} / batch, at states relaxed with the output clamped."""
    return [outer(f.value(x), eps) for x, eps in zip(states, pc_errors(states, W, f), strict=False)]


# backpropagation


def bp_update(states, W, f, y, c=1.0):
    """dW_l = f(x_l)^T delta_{l+1} / batch, delta_L = c (y - x_L), delta_l = f'(x_l) (delta_{l+1} W_l^T).

    states: those of `feedforward`.
    """
    deltas = [c * (y - states[-1])]
    for x, each in zip(states[-2:0:-1], W[:0:-1], strict=True):
        deltas.insert(0, slope(f, x) * (deltas[0] @ transposed(each)))
    return [outer(f.value(x), delta) for x, delta in zip(states, deltas, strict=False)]


# the energy E = sum over l >= 1 of |x_l|^2 / 2 - sum over l of f(x_l) W_l f(x_{l+1})^T, free and clamped


def generec_relax(states, W, f, gamma, steps, clamped, leak=1.0):
    """GeneRec: dx_l = -x_l + f'(x_l) (f(x_{l-1}) W_{l-1} + f(x_{l+1}) W_l^T) = -dE/dx_l.

    leak: 1, or 0 for the Hopfield-like rule, which is the same without -x_l.
    """
    states, L = list(states), len(W)
    for _ in range(steps):
        for k in range(1, L if clamped else L + 1):
            states[k] = states[k] + gamma * (slope(f, states[k]) * _around(states, W, f, k) - leak * states[k])
    return states


def hopfield_relax(states, W, f, gamma, steps, clamped):
    """The Hopfield-like rule: dx_l = f'(x_l) (f(x_{l-1}) W_{l-1} + f(x_{l+1}) W_l^T). It rests where f saturates."""
    return generec_relax(states, W, f, gamma, steps, clamped, leak=0.0)


def contrastive_update(clamped, free, f):
    """GeneRec and Hopfield: dW_l = (f(x_l)^T f(x_{l+1}) of the clamped states - the same of the free ones) / batch.

    free: None leaves the second term out, which makes it a Hebbian rule; the published code does so.
    """
    products = [
        [outer(f.value(x), f.value(above)) for x, above in itertools.pairwise(states)]
        for states in (clamped, free)
        if states is not None
    ]
    return products[0] if free is None else [a - b for a, b in zip(*products, strict=True)]


# Almeida-Pineda: the gradient at a fixed point, by a relaxation of its own


def almeida_pineda_relax(states, W, f, gamma, steps):
    """Almeida-Pineda, the free phase: dx_l = -x_l + f(x_{l-1}) W_{l-1} + f(x_{l+1}) W_l^T."""
    states = list(states)
    for _ in range(steps):
        for k in range(1, len(states)):
            states[k] = states[k] + gamma * (_around(states, W, f, k) - states[k])
    return states


def almeida_pineda_adjoint(adjoint, states, W, f, y, gamma, steps, complete=False):
    """Return the adjoint states [y_0, .., y_L], after so many steps from `adjoint`, of states x that are at rest.

    dy_l = -y_l + f'(x_l) (y_{l-1} W_{l-1} + y_{l+1} W_l^T) + [l = L] (y - x_L)

    As published, the input has an adjoint too, which acts on y_1, and the output hears nothing from y_{L-1}: not what a
    net with a clamped input and a free output has. complete: y_0 = 0 and y_{L-1} heard by y_L, as the fixed point of
    the states has it, so that y_l = -dE/dx_l there, E = |y - x_L|^2 / 2 (Pineda 1987).
    """
    adjoint, L = list(adjoint), len(W)
    slopes = [slope(f, x) for x in states]
    if complete:
        adjoint[0] = xp.zeros_like(adjoint[0])
    for _ in range(steps):
        for k in range(1 if complete else 0, L + 1):
            dy = -adjoint[k]
            if 0 < k < L or (complete and k == L):
                dy = dy + slopes[k] * (adjoint[k - 1] @ W[k - 1])
            dy = dy + (y - states[L] if k == L else slopes[k] * (adjoint[k + 1] @ transposed(W[k])))
            adjoint[k] = adjoint[k] + gamma * dy
    return adjoint


def almeida_pineda_update(states, adjoint, f):
    """dW_l = f(x_l)^T y_{l+1} / batch: the gradient for W_l as it acts forwards, its transpose being held."""
    return [outer(f.value(x), above) for x, above in zip(states, adjoint[1:], strict=False)]


# pieces


def slope(f, x):
    """Return f'(x), as numbers also where f tells slopes as booleans."""
    return f.slope(x, f.value(x)) * xp.ones_like(x)


def transposed(W):
    """Return the transpose of each matrix."""
    return xp.swapaxes(W, -1, -2)


def outer(a, b):
    """Return a^T b / batch, (..., n_a, n_b)."""
    return transposed(a) @ b / a.shape[-2]


def _around(states, W, f, k):
    """What layer k hears: f(x_{k-1}) W_{k-1} + f(x_{k+1}) W_k^T."""
    heard = f.value(states[k - 1]) @ W[k - 1]
    return heard if k == len(W) else heard + f.value(states[k + 1]) @ transposed(W[k])
