"""Feedback alignment and direct feedback alignment: errors come down by fixed random matrices (equations: `rules`)."""

import math
from collections.abc import Sequence
from typing import Any

from plastic import initializers, require, xp
from plastic.affine import transposed
from plastic.errors import PlasticError
from plastic.gait.network import InvertibleNetwork, require_network
from plastic.gait.sweep import require_batch, require_replicas, sweep
from plastic.initializers import Generator
from plastic.types import Array, Tree


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
        feedback: the list of B_l of the shapes of W_l, l = 1..L, as `fa_feedback` draws them; B_1 sends nothing. By
            default the weights themselves, which is backpropagation.
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
    require_network(net)
    if feedback is None:
        feedback = [layer.W for layer in net.layers]
    leading = _require_feedback(net, feedback, _shapes(net), "gait.fa_feedback(net, generator)")
    require_batch(net, x, y, out, feedback=leading)

    def send(k, W, a, d, e, delta):
        return delta @ transposed(feedback[-1 - k][..., : e.shape[-1]])

    return sweep(net, x, y, send, out)


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
    require_batch(net, x, y, out)
    shapes = [(y.shape[-1], s) for s in net.sizes[1:-1]]
    drawing = f"gait.dfa_feedback(net, {y.shape[-1]}, generator)"
    leading = _require_feedback(net, feedback, shapes, drawing)
    require_replicas(net, feedback=leading)
    of_output = []

    def send(k, W, a, d, e, delta):
        if k == 0:
            of_output.append(delta)
        return of_output[0] @ feedback[-1 - k]

    return sweep(net, x, y, send, out)


def fa_feedback(net: InvertibleNetwork, generator: Generator | Sequence[Generator]) -> list[Array]:
    """Draw the feedback matrices of `fa`: B_l of the shape of W_l, with entries N(0, 1 / s_l).

    Args:
        net: the network.
        generator: draws the matrices, layer by layer; a list of generators draws those of one replica each.

    Returns:
        The list of B_l (..., m, s_l) of the shapes of W_l, l = 1..L, in the precision of the network.

    Raises:
        PlasticError: if `generator` is something else.

    Source: Lillicrap, Cownden, Tweed and Akerman 2016; the variance is ours.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> generator = np.random.default_rng(0)
        >>> [B.shape for B in gait.fa_feedback(gait.tower((5, 4, 3), generator), generator)]
        [(4, 4), (3, 3)]
    """
    require_network(net)
    return _drawn(net, _shapes(net), generator)


def dfa_feedback(net: InvertibleNetwork, classes: int, generator: Generator | Sequence[Generator]) -> list[Array]:
    """Draw the feedback matrices of `dfa`: one for each hidden layer, with entries N(0, 1 / s_l).

    Args:
        net: the network.
        classes: the number m of output units with a target, the columns of y.
        generator: draws the matrices, layer by layer; a list of generators draws those of one replica each.

    Returns:
        The list of B_l (..., classes, s_l), l = 1..L-1, in the precision of the network.

    Raises:
        PlasticError: if `generator` is something else, or the output layer has fewer units.

    Source: Nøkland 2016; the variance is ours.

    Example:
        >>> import numpy as np
        >>> from plastic import gait
        >>> generator = np.random.default_rng(0)
        >>> [B.shape for B in gait.dfa_feedback(gait.tower((5, 4, 3), generator), 2, generator)]
        [(2, 4)]
    """
    require_network(net)
    require.whole("classes", classes, most=net.sizes[-1])
    return _drawn(net, [(classes, s) for s in net.sizes[1:-1]], generator)


def _shapes(net):
    return [layer.W.shape[-2:] for layer in net.layers]


def _drawn(net, shapes, generator):
    dtype = net.layers[0].W.dtype

    def draw(each: Generator) -> Tree:
        return [xp.asarray(each.standard_normal((m, s)) / math.sqrt(s), dtype=dtype) for m, s in shapes]

    return initializers.replicas(draw, generator)


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
