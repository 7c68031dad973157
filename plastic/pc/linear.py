"""The equilibrium of linear predictive coding networks, in closed form.

With M_l = W_{l+1} .. W_L (n_l, n_L), M_L = 1, and S = sum over l = 1..L of M_l^T M_l, the errors at the minimum of F
over the states are, for row vectors,

    eps_L = (y - mu) S^-1,    eps_l = eps_L M_l^T,    F* = (y - mu) S^-1 (y - mu)^T / 2

with mu the feed-forward prediction: at rest eps_l = eps_{l+1} W_{l+1}^T, and the errors, sent up, add to what separates
mu from y. Orthogonal square weights give S = L 1: each error is then that of backpropagation over L.
"""

from plastic import xp
from plastic.errors import PlasticError
from plastic.pc.network import activities


def equilibrium(network, x, y):
    """Return (states [x_1, .., x_{L-1}], errors [eps_1, .., eps_L], F* (...)) of a linear network on a batch.

    Raises PlasticError where the activation is not linear.
    """
    if network.phi.name != "linear" or network.counted is not None:
        raise PlasticError("the closed form is that of linear networks all of whose outputs count")
    W = [layer.W for layer in network.layers]
    M = [None] * len(W)
    M[-1] = xp.broadcast_to(xp.eye(W[-1].shape[-1], dtype=W[-1].dtype), (*W[-1].shape[:-2], *[W[-1].shape[-1]] * 2))
    for k in reversed(range(len(W) - 1)):
        M[k] = W[k + 1] @ M[k + 1]
    S = sum(xp.swapaxes(each, -1, -2) @ each for each in M)
    missing = y - activities(network, x)[-1]
    top = xp.swapaxes(xp.linalg.solve(S, xp.swapaxes(missing, -1, -2)), -1, -2)
    errors = [top @ xp.swapaxes(each, -1, -2) for each in M]
    states, r = [], x
    for layer, error in zip(network.layers[:-1], errors, strict=False):
        r = r @ layer.W + error
        if layer.b is not None:
            r += layer.b
        states.append(r)
    return states, errors, 0.5 * xp.sum(top * missing, axis=(-2, -1))
