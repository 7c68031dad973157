r"""Learning rules on invertible networks: BP, TP, GAIT-prop, and feedback alignment (FA, DFA).

Every rule gives each layer an error e_l (batch, s_l), and all share the rest:

    e_L = a_L - y on the first units of the output, those that y names;      delta_l = d(a_l) e_l,   d(a) = phi'(z)
    dW_l = (1/B) a_{l-1}^T delta_l                                           db_l = (1/B) sum over the batch of delta_l

so the rules differ only in how an error travels from layer l to layer l-1:

    BP    e_{l-1} = delta_l W_l^T                                             the gradient of (1/B) sum 1/2 |a_L - y|^2
    TP    e_{l-1} = a_{l-1} - t_{l-1},   t_{l-1} = inverse_l(t_l),   t_L = y
    GAIT  e_{l-1} = (a_{l-1} - t_{l-1}) / gamma^{L-l+1},   t_{l-1} = inverse_l((1 - gamma d^2) a_l + gamma d^2 t_l)
    FA    e_{l-1} = delta_l B_l^T,   B_l fixed and random                     (Lillicrap et al. 2016)
    DFA   e_{l-1} = delta_L B_{l-1}, B_{l-1} fixed and random                 (Nøkland 2016)

TP and GAIT (Ahmad et al. 2020) are computed in *difference form*. The published recursion subtracts two targets that
agree to gamma^k and divides by gamma^k: at gamma = 1e-3 a few layers leave nothing but rounding. But phi^{-1} is
piecewise linear, so the difference of two inverses is known exactly: with k = L - l, sigma = +1 where a_l >= 0 and -1
elsewhere, and c = 1/0.1 - 1 the difference of the slopes of phi^{-1},

    TP    e_{l-1} = g W_l^{-1},    g = e_l / d + c max(sigma (e_l - a_l), 0)
    GAIT  e_{l-1} = g W_l^{-1},    g = d e_l + c max(sigma (d^2 e_l - a_l / gamma^{k+1}), 0)

The maximum is not zero where activity and target lie on two sides of the kink. Without such a crossing GAIT is BP with
W^{-1} in the place of W^T, and equals BP for orthogonal weights. In float32 it is as exact as any matrix product, at
any depth.

Errors are kept on the units that have one: the units of the output that y names, the non-auxiliary units below (the
others have t = a, e = 0).

A singular W_l has no inverse. TP and GAIT then give the layers below it gradients that are not finite, on every
backend; those of layer l and above are right. Nothing is raised, as to look would make a GPU wait, and other replicas
are not to suffer; NumPy may warn of invalid values in the products that follow, as np.errstate says.
"""

from plastic import require, xp
from plastic.affine import transposed
from plastic.functions import sign_or_one
from plastic.gait.network import LEAK, InvertibleNetwork, require_inverses
from plastic.gait.sweep import divide_padded, require_batch, sweep
from plastic.types import Array, Tree

_BRANCH = 1 / LEAK - 1  # c: how much steeper phi^{-1} is below the kink


@xp.underflow_is_ordinary()
def bp(net: InvertibleNetwork, x: Array, y: Array, *, out: Tree = None) -> tuple[Tree, Array]:
    """Backpropagation: e_{l-1} = delta_l W_l^T.

    Args:
        net: the network.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, m) of the first m units of the output, m >= 2: one-hot classes, or any numbers. The
            other units have no error.
        out: a tree like `net.parameters` to write the gradients into.

    Returns:
        (grads, output): the gradient of the mean over the batch of 1/2 |a_L - y|^2, a tree like `net.parameters`, to
        be subtracted; and the activity (..., batch, m) of the units that y names.

    Raises:
        PlasticError: if x, y or out do not fit the network.

    Source: Rumelhart, Hinton and Williams 1986.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> net = gait.square((3, 3, 3), np.random.default_rng(0))
        >>> grads, output = gait.bp(net, xp.asarray([[1.0, 2.0, 3.0]]), xp.asarray([[0.0, 1.0]]))
        >>> grads, output.shape
        ({'layers': [Affine W (3, 3), b (1, 3), Affine W (3, 3), b (1, 3)]}, (1, 2))
    """
    require_batch(net, x, y, out)

    def send(k, W, a, d, e, delta):
        return delta @ transposed(W[..., : e.shape[-1]])

    return sweep(net, x, y, send, out)


@xp.underflow_is_ordinary()
def tp(net: InvertibleNetwork, x: Array, y: Array, *, out: Tree = None) -> tuple[Tree, Array]:
    """Target propagation with exact inverses: t_{l-1} = inverse_l(t_l), e_l = a_l - t_l.

    Computed in difference form: e_{l-1} = g W_l^{-1}, g = e_l / d + c max(sigma (e_l - a_l), 0); see the module.

    Args:
        net: the network.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, m) of the first m units of the output, m >= 2: one-hot classes, or any numbers. The
            other units have no error.
        out: a tree like `net.parameters` to write the gradients into.

    Returns:
        (grads, output): the updates of each layer towards its target, means over the batch, a tree like
        `net.parameters`, to be subtracted; and the activity (..., batch, m) of the units that y names. Below a layer
        whose W is singular the gradients are not finite.

    Raises:
        PlasticError: if x, y or out do not fit the network, or a layer above the first has no inverse.

    Source: Ahmad et al. 2020, after Lee, Zhang, Fischer and Bengio 2015.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> net = gait.square((3, 3, 3), np.random.default_rng(0), linear=True)
        >>> x, y = xp.asarray([[1.0, 2.0, 3.0]]), xp.asarray([[0.0, 1.0, 0.0]])
        >>> (grads, output), (exact, _) = gait.tp(net, x, y), gait.bp(net, x, y)  # equal: linear, orthogonal weights
        >>> bool(xp.allclose(grads["layers"][0].W, exact["layers"][0].W, atol=1e-5))
        True
    """
    require_inverses(net, "tp")
    require_batch(net, x, y, out)

    def send(k, W, a, d, e, delta):
        g = e if net.is_linear(k) else e / d + _BRANCH * xp.maximum(sign_or_one(a) * (e - a), 0)
        return divide_padded(g, W)

    return sweep(net, x, y, send, out)


@xp.underflow_is_ordinary()
def gait(
    net: InvertibleNetwork, x: Array, y: Array, *, gamma: float | Array = 1e-3, out: Tree = None
) -> tuple[Tree, Array]:
    """Gradient-adjusted incremental target propagation (GAIT-prop).

        t_{l-1} = inverse_l((1 - gamma d^2) a_l + gamma d^2 t_l),    e_{l-1} = (a_{l-1} - t_{l-1}) / gamma^{L-l+1}

    Computed in difference form: e_{l-1} = g W_l^{-1}, g = d e_l + c max(sigma (d^2 e_l - a_l / gamma^{k+1}), 0); see
    the module.

    Args:
        net: the network.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, m) of the first m units of the output, m >= 2: one-hot classes, or any numbers. The
            other units have no error.
        gamma: how far a target moves away from the activity, above 0 and at most 1; a number, or one for each replica
            (..., 1, 1).
        out: a tree like `net.parameters` to write the gradients into.

    Returns:
        (grads, output): the updates of each layer, means over the batch, a tree like `net.parameters`, to be
        subtracted; and the activity (..., batch, m) of the units that y names. Below a layer whose W is singular the
        gradients are not finite.

    Raises:
        PlasticError: if x, y or out do not fit the network, a layer above the first has no inverse, or gamma is out of
            range.

    Source: Ahmad et al. 2020.

    Example:
        >>> import numpy as np
        >>> from plastic import check, gait
        >>> net = gait.square((3, 3, 3), np.random.default_rng(0))
        >>> x, y = xp.asarray([[1.0, 2.0, 3.0]]), xp.asarray([[0.0, 1.0, 0.0]])
        >>> grads, output = gait.gait(net, x, y, gamma=1e-3)
        >>> cosine = check.cosine(grads, gait.bp(net, x, y)[0])  # orthogonal weights: equal to backpropagation
        >>> round(float(cosine["layers/0/W"]), 4)
        1.0
    """
    require_inverses(net, "gait")
    require.number("gamma", gamma, above=0, most=1)
    require.per_replica("gamma", gamma, net.replicas)
    require_batch(net, x, y, out, gamma=getattr(gamma, "shape", ())[:-2])
    gamma = xp.asarray(gamma, dtype=x.dtype)
    # keeps |a| / gamma^{k+1} finite; only a = 0 lies nearer to the kink than that
    smallest = 1e6 * float(xp.finfo(x.dtype).tiny)

    def send(k, W, a, d, e, delta):
        if net.is_linear(k):
            return divide_padded(e, W)
        power = xp.maximum(gamma ** (k + 1), smallest)
        g = delta + _BRANCH * xp.maximum(sign_or_one(a) * d * delta - xp.abs(a) / power, 0)
        return divide_padded(g, W)

    return sweep(net, x, y, send, out)
