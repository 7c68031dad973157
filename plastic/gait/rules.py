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

import math
from collections.abc import Callable
from typing import Any

from plastic import affine, initializers, require, xp
from plastic.affine import transposed
from plastic.errors import PlasticError
from plastic.functions import sign_or_one
from plastic.gait.network import LEAK, InvertibleNetwork, activities_of, phi, quotient, require_input
from plastic.initializers import Generator
from plastic.parameters import Affine
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
    _require_batch(net, x, y, out)

    def send(k, W, a, d, e):
        return (d * e) @ transposed(W[..., : e.shape[-1]])

    return _sweep(net, x, y, send, out)


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
        PlasticError: if x, y or out do not fit the network.

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
    _require_batch(net, x, y, out)

    def send(k, W, a, d, e):
        g = e if net.linear else e / d + _BRANCH * xp.maximum(sign_or_one(a) * (e - a), 0)
        return _divide_padded(g, W)

    return _sweep(net, x, y, send, out)


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
        PlasticError: if x, y or out do not fit the network, or gamma is out of range.

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
    require.number("gamma", gamma, above=0, most=1)
    require.per_replica("gamma", gamma, net.replicas)
    _require_batch(net, x, y, out, gamma=getattr(gamma, "shape", ())[:-2])
    gamma = xp.asarray(gamma, dtype=x.dtype)
    # keeps |a| / gamma^{k+1} finite; only a = 0 lies nearer to the kink than that
    smallest = 1e6 * float(xp.finfo(x.dtype).tiny)

    def send(k, W, a, d, e):
        if net.linear:
            return _divide_padded(e, W)
        power = xp.maximum(gamma ** (k + 1), smallest)
        g = d * e + _BRANCH * xp.maximum(sign_or_one(a) * (d * d * e) - xp.abs(a) / power, 0)
        return _divide_padded(g, W)

    return _sweep(net, x, y, send, out)


@xp.underflow_is_ordinary()
def fa(
    net: InvertibleNetwork, x: Array, y: Array, *, feedback: list[Array] | None = None, out: Tree = None
) -> tuple[Tree, Array]:
    """Feedback alignment: e_{l-1} = delta_l B_l^T, with fixed matrices B_l in the place of the weights W_l.

    Args:
        net: the network.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, m) of the first m units of the output, m >= 2: one-hot classes, or any numbers. The
            other units have no error.
        feedback: the list of B_l (..., s_l, s_l), l = 1..L, as `fa_feedback` draws them; B_1 sends nothing. By default
            the weights themselves, which is backpropagation.
        out: a tree like `net.parameters` to write the gradients into.

    Returns:
        (grads, output): the updates, means over the batch, a tree like `net.parameters`, to be subtracted; and the
        activity (..., batch, m) of the units that y names.

    Raises:
        PlasticError: if x, y, feedback or out do not fit the network.

    Source: Lillicrap, Cownden, Tweed and Akerman 2016.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> generator = np.random.default_rng(0)
        >>> net = gait.square((3, 3, 3), generator)
        >>> x, y, B = xp.asarray([[1.0, 2.0, 3.0]]), xp.asarray([[0.0, 1.0, 0.0]]), gait.fa_feedback(net, generator)
        >>> grads, output = gait.fa(net, x, y, feedback=B)
        >>> output.shape
        (1, 3)
    """
    if feedback is None:
        feedback = [layer.W for layer in net.layers]
    leading = _require_feedback(net, feedback, [(s, s) for s in net.sizes[1:]], "gait.fa_feedback(net, generator)")
    _require_batch(net, x, y, out, feedback=leading)

    def send(k, W, a, d, e):
        return (d * e) @ transposed(feedback[-1 - k][..., : e.shape[-1]])

    return _sweep(net, x, y, send, out)


@xp.underflow_is_ordinary()
def dfa(
    net: InvertibleNetwork, x: Array, y: Array, *, feedback: list[Array] | None = None, out: Tree = None
) -> tuple[Tree, Array]:
    """Direct feedback alignment: e_{l-1} = delta_L B_{l-1}, with fixed matrices from the output to each hidden layer.

    Args:
        net: the network.
        x: inputs (..., batch, n_0).
        y: targets (..., batch, m) of the first m units of the output, m >= 2: one-hot classes, or any numbers. The
            other units have no error.
        feedback: the list of B_l (..., m, s_l), l = 1..L-1, as `dfa_feedback` draws them. Nothing in the network could
            take their place, so they have to be given.
        out: a tree like `net.parameters` to write the gradients into.

    Returns:
        (grads, output): the updates, means over the batch, a tree like `net.parameters`, to be subtracted; and the
        activity (..., batch, m) of the units that y names.

    Raises:
        PlasticError: if x, y, feedback or out do not fit the network, or there is no feedback.

    Source: Nøkland 2016.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> generator = np.random.default_rng(0)
        >>> net = gait.square((3, 3, 3), generator)
        >>> x, y, B = xp.asarray([[1.0, 2.0, 3.0]]), xp.asarray([[0.0, 1.0]]), gait.dfa_feedback(net, 2, generator)
        >>> grads, output = gait.dfa(net, x, y, feedback=B)
        >>> output.shape
        (1, 2)
    """
    _require_batch(net, x, y, out)
    shapes = [(y.shape[-1], s) for s in net.sizes[1:-1]]
    drawing = f"gait.dfa_feedback(net, {y.shape[-1]}, generator)"
    leading = _require_feedback(net, feedback, shapes, drawing)
    _require_replicas(net, feedback=leading)
    deltas = []

    def send(k, W, a, d, e):
        if k == 0:
            deltas.append(d * e)
        return deltas[0] @ feedback[-1 - k]

    return _sweep(net, x, y, send, out)


def fa_feedback(net: InvertibleNetwork, generator: Generator | list[Generator]) -> list[Array]:
    """Draw the feedback matrices of `fa`: B_l of the shape of W_l, with entries N(0, 1 / s_l).

    Args:
        net: the network.
        generator: draws the matrices, layer by layer; a list of generators draws those of one replica each.

    Returns:
        The list of B_l (..., s_l, s_l), l = 1..L, in the precision of the network.

    Raises:
        PlasticError: if generator is no generator.

    Source: Lillicrap, Cownden, Tweed and Akerman 2016; the variance is ours.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> generator = np.random.default_rng(0)
        >>> [B.shape for B in gait.fa_feedback(gait.tower((5, 4, 3), generator), generator)]
        [(4, 4), (3, 3)]
    """
    return _drawn(net, [(s, s) for s in net.sizes[1:]], generator)


def dfa_feedback(net: InvertibleNetwork, classes: int, generator: Generator | list[Generator]) -> list[Array]:
    """Draw the feedback matrices of `dfa`: one for each hidden layer, with entries N(0, 1 / s_l).

    Args:
        net: the network.
        classes: the number m of output units with a target, the columns of y.
        generator: draws the matrices, layer by layer; a list of generators draws those of one replica each.

    Returns:
        The list of B_l (..., classes, s_l), l = 1..L-1, in the precision of the network.

    Raises:
        PlasticError: if generator is no generator, or the output layer has fewer units.

    Source: Nøkland 2016; the variance is ours.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> generator = np.random.default_rng(0)
        >>> [B.shape for B in gait.dfa_feedback(gait.tower((5, 4, 3), generator), 2, generator)]
        [(2, 4)]
    """
    require.whole("classes", classes, most=net.sizes[-1])
    return _drawn(net, [(classes, s) for s in net.sizes[1:-1]], generator)


def _drawn(net, shapes, generator):
    dtype = net.layers[0].W.dtype

    def draw(each: Generator) -> Tree:
        return [xp.asarray(each.standard_normal((m, s)) / math.sqrt(s), dtype=dtype) for m, s in shapes]

    return initializers.replicas(draw, generator)


def _require_batch(net: InvertibleNetwork, x: Any, y: Any, out: Tree, **leading: tuple[int, ...]) -> None:
    """Require a batch that fits the network, a tree `out` if given, and replica axes that are the network's."""
    require_input(net, x)
    outputs, dtype = net.sizes[-1], net.layers[0].W.dtype
    if isinstance(y, xp.ndarray) and outputs > 1 and (y.ndim < x.ndim or y.shape[-1:] == (1,)):
        raise PlasticError(
            f"y has shape {y.shape}; for x {x.shape} it must be (..., batch, classes) with 2 to {outputs} columns: "
            "labels become rows by functions.one_hot(labels, classes)"
        )
    columns = y.shape[-1] if isinstance(y, xp.ndarray) and y.ndim else outputs
    require.targets(y, x, min(columns, outputs), dtype)
    _require_replicas(net, x=x.shape[:-2], y=y.shape[:-2], **leading)
    if out is not None:
        require.tree("out", out, net.parameters)


def _require_replicas(net: InvertibleNetwork, **leading: tuple[int, ...]) -> None:
    """Require replica axes that fit those of the network and add none: gradients have the axes of the parameters."""
    if require.replicas(network=net.replicas, **leading) != net.replicas:
        found = ", ".join(f"{name} {axes}" for name, axes in leading.items())
        raise PlasticError(f"the network has the replica axes {net.replicas}, fewer than {found}")


def _require_feedback(
    net: InvertibleNetwork, feedback: Any, shapes: list[tuple[int, int]], drawing: str
) -> tuple[int, ...]:
    """Require matrices of these shapes, as `drawing` draws them; return their replica axes."""
    if not isinstance(feedback, list | tuple) or len(feedback) != len(shapes):
        found = f"a list of {len(feedback)}" if isinstance(feedback, list | tuple) else type(feedback).__name__
        raise PlasticError(f"feedback is {found}; {len(shapes)} matrices are needed in a list: feedback={drawing}")
    dtype, leading = net.layers[0].W.dtype, {}
    for place, (B, shape) in enumerate(zip(feedback, shapes, strict=True)):
        name = f"feedback[{place}]"
        require.array(name, B)
        if B.shape[-2:] != shape:
            raise PlasticError(f"{name} has shape {B.shape}; {shape} is needed: feedback={drawing}")
        if B.dtype != dtype:
            raise PlasticError(f"{name} is {B.dtype}, but the network is {dtype}")
        leading[name] = B.shape[:-2]
    return require.replicas(**leading)


def _sweep(net: InvertibleNetwork, x: Array, y: Array, send: Callable, out: Tree) -> tuple[Tree, Array]:
    """Run forward, then walk down: at each layer the gradient, and the error that `send` passes to the layer below.

    send(k, W, a, d, e) gets the distance k = L - l from the output, and W, a, d(a) and e of layer l on the units that
    have an error.
    """
    activities = activities_of(net, x, y.shape[-1])
    if out is None:
        out = {"layers": [Affine(xp.empty_like(layer.W), xp.empty_like(layer.b)) for layer in net.layers]}
    e = activities[-1] - y
    for k in range(len(net.layers)):
        W, a, below = net.layers[-1 - k].W, activities[-1 - k][..., : e.shape[-1]], activities[-2 - k]
        d = 1.0 if net.linear else phi.slope(a, a)
        _write_gradient(below[..., : W.shape[-2]], d * e, out["layers"][-1 - k])
        if k < len(net.layers) - 1:
            e = send(k, W, a, d, e)
    return out, activities[-1]


def _write_gradient(below: Array, delta: Array, grad: Affine) -> None:
    m = delta.shape[-1]  # units beyond the first m have no error
    delta = delta / delta.shape[-2]
    affine.weight_gradient(below, delta, out=grad.W[..., :m])
    affine.bias_gradient(delta, out=grad.b[..., :m])
    grad.W[..., m:] = 0
    grad.b[..., m:] = 0


def _divide_padded(g, W):
    padding = xp.zeros((*g.shape[:-1], W.shape[-1] - g.shape[-1]), dtype=g.dtype)
    return quotient(xp.concatenate([g, padding], axis=-1), W)
