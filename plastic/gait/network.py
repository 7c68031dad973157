"""Invertible networks (Ahmad et al. 2020): square weight matrices and an invertible activation.

Notation, as in the paper but with row vectors: a_0 is the input, and for l = 1..L

    z_l = a_{l-1}[:s_l] W_l + b_l        a_l = phi(z_l),   phi the leaky rectifier, on the output layer too
    a_{l-1}[:s_l] = (phi^{-1}(a_l) - b_l) W_l^{-1}         the inverse of the layer

W_l (s_l, s_l) has its input first and its output second. In a *square* network all widths s_l equal n_0, the width of
the input. In a *tower* they do not grow: layer l reads the first s_l units of the layer below. The others, the
auxiliary units, feed nothing forward; an inverse needs them to give back the whole layer. Classes are read from the
first units of the output.

A layer may also be rectangular, W_l (m, s_l): it reads the first m units of the layer below, and has no inverse. No
rule needs one of the first layer, which can so read the whole of a wide input; TP and GAIT need those of all others.
And the output can be linear, a_L = z_L.

`net.layers[l - 1]` holds W_l and b_l. Everything may carry leading replica axes: W (R, s, s), b (R, 1, s), a (R, batch,
s).
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from plastic import functions, initializers, require, xp
from plastic.errors import PlasticError
from plastic.initializers import Generator
from plastic.parameters import Affine
from plastic.types import Array, Tree

LEAK = 0.1
"""The slope of phi below zero."""

phi = functions.leaky_relu(LEAK, kink=1.0)
"""The leaky rectifier of the paper. Its slope is taken from the activity, `phi.slope(a, a)`: a has the sign of z."""


@dataclasses.dataclass(eq=False, repr=False)
class InvertibleNetwork:
    """A network of square layers whose widths do not grow; `square` and `tower` draw one.

    Attributes:
        layers: W_l (..., s_l, s_l) and b_l (..., 1, s_l) of each layer, with the same replica axes. A W_l (..., m, s_l)
            has no inverse; m is at most the width of the layer below.
        n_inputs: the width n_0 of the input, at least s_1 if that layer is square.
        linear: whether phi is the identity rather than the leaky rectifier.
        linear_output: whether it is the identity in the output layer.

    Raises:
        PlasticError: if the layers do not fit together.

    Source: Ahmad et al. 2020.

    Example:
        >>> InvertibleNetwork([Affine(xp.ones((3, 3)), xp.zeros((1, 3)))], n_inputs=5)
        InvertibleNetwork 5-3, leaky 0.1
    """

    layers: list[Affine]
    n_inputs: int
    linear: bool = False
    linear_output: bool = False

    def __post_init__(self) -> None:
        require.choice("linear", self.linear, (True, False))
        require.choice("linear_output", self.linear_output, (True, False))
        _require_layers(self.layers)
        require.sizes(self.sizes, name="n_inputs, followed by the widths of the layers,")
        _require_readable(self.layers, self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths (n_0, s_1, .., s_L), the input's first."""
        return (self.n_inputs, *(layer.W.shape[-1] for layer in self.layers))

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes of the parameters, () for a single network."""
        return self.layers[0].W.shape[:-2]

    @property
    def parameters(self) -> dict[str, list[Affine]]:
        """The tree of the parameters, {"layers": [Affine(W_1, b_1), .., Affine(W_L, b_L)]}."""
        return {"layers": self.layers}

    def is_linear(self, k: int) -> bool:
        """Return whether the layer at a distance k = L - l from the output is linear."""
        return self.linear or (self.linear_output and k == 0)

    def __repr__(self) -> str:
        several = f", replicas {self.replicas}" if self.replicas else ""
        widths = "-".join(map(str, self.sizes))
        phi_in_words = "linear" if self.linear else f"{phi}{', linear output' if self.linear_output else ''}"
        return f"{type(self).__name__} {widths}, {phi_in_words}{several}"


def square(
    sizes: tuple[int, ...] | list[int],
    generator: Generator | Sequence[Generator],
    *,
    orthogonal: bool = True,
    linear: bool = False,
) -> InvertibleNetwork:
    """Return a network whose layers are all as wide as its input.

    Args:
        sizes: the widths (n_0, s_1, .., s_L), all equal; (784, 784, 784) has one hidden layer.
        generator: draws the weights, layer by layer; a list of generators makes one replica with each.
        orthogonal: weights are random orthogonal matrices; otherwise Xavier's, W_ij ~ N(0, 1 / n_0). Biases are 0.
        linear: phi is the identity rather than the leaky rectifier.

    Returns:
        The network, in the working precision.

    Raises:
        PlasticError: if the widths are not positive, or differ, or an argument is of another kind.

    Source: Ahmad et al. 2020. The published code seeds each layer by itself, see `published_layers` of
        plastic.gait.experiments.train.

    Example:
        >>> import numpy as np
        >>> square((4, 4, 4), np.random.default_rng(0))
        InvertibleNetwork 4-4-4, leaky 0.1
    """
    require.sizes(sizes)
    if len(set(sizes)) > 1:
        raise PlasticError(
            f"sizes is {tuple(sizes)}; a square network has one width, {(sizes[0],) * len(sizes)}: for widths that "
            "shrink take gait.tower"
        )
    return _drawn(sizes, generator, orthogonal, linear)


def tower(
    sizes: tuple[int, ...] | list[int],
    generator: Generator | Sequence[Generator],
    *,
    orthogonal: bool = True,
    linear: bool = False,
) -> InvertibleNetwork:
    """Return a network whose widths do not grow from the input to the output.

    Args:
        sizes: the widths (n_0, s_1, .., s_L), none larger than the one before it. The published network is (784, 784,
            500, 200, 10).
        generator: draws the weights, layer by layer; a list of generators makes one replica with each.
        orthogonal: weights are random orthogonal matrices; otherwise Xavier's, W_ij ~ N(0, 1 / s_l). Biases are 0.
        linear: phi is the identity rather than the leaky rectifier.

    Returns:
        The network, in the working precision.

    Raises:
        PlasticError: if the widths are not positive, or grow, or an argument is of another kind.

    Source: Ahmad et al. 2020.

    Example:
        >>> import numpy as np
        >>> tower((6, 4, 3), [np.random.default_rng(seed) for seed in (0, 1)], linear=True)
        InvertibleNetwork 6-4-3, linear, replicas (2,)
    """
    require.sizes(sizes)
    require_no_growth(sizes)
    return _drawn(sizes, generator, orthogonal, linear)


@xp.underflow_is_ordinary()
def predict(net: InvertibleNetwork, x: Array, *, classes: int | None = None) -> Array:
    """Return the output a_L of a network.

    Args:
        net: the network.
        x: inputs (..., batch, n_0).
        classes: compute only so many units of the output layer, the first ones; by default all.

    Returns:
        The output (..., batch, s_L), or (..., batch, classes).

    Raises:
        PlasticError: if x does not fit the network, or there are not so many units.

    Source: Ahmad et al. 2020.

    Example:
        >>> import numpy as np
        >>> predict(square((4, 4, 4), np.random.default_rng(0)), xp.zeros((2, 4), dtype="float32"), classes=3).shape
        (2, 3)
    """
    return forward(net, x, classes)[-1]


@xp.underflow_is_ordinary()
def forward(net: InvertibleNetwork, x: Array, classes: int | None = None) -> list[Array]:
    """Return the activities of all layers: a_l = phi(a_{l-1}[:s_l] W_l + b_l).

    Args:
        net: the network.
        x: inputs a_0 (..., batch, n_0).
        classes: compute only so many units of the output layer, the first ones; by default all.

    Returns:
        The list [a_0, a_1, .., a_L], a_l (..., batch, s_l); a_L is (..., batch, classes) if that is given.

    Raises:
        PlasticError: if x does not fit the network, or there are not so many units.

    Source: Ahmad et al. 2020.

    Example:
        >>> import numpy as np
        >>> net = tower((5, 4, 3), np.random.default_rng(0))
        >>> [a.shape for a in forward(net, xp.zeros((2, 5), dtype="float32"))]
        [(2, 5), (2, 4), (2, 3)]
    """
    require_input(net, x)
    if classes is not None:
        require.whole("classes", classes, most=net.sizes[-1])
    return activities_of(net, x, classes)


def require_network(net: Any) -> None:
    """Raise PlasticError unless `net` is a network of this family."""
    if not isinstance(net, InvertibleNetwork):
        raise PlasticError(f"net is a {type(net).__name__}; it must be an InvertibleNetwork, gait.square(..)")


def require_input(net: InvertibleNetwork, x: Any) -> None:
    """Raise PlasticError unless x is an input (..., batch, n_0) of the network `net`."""
    require_network(net)
    require.rows("x", x, net.n_inputs, net.layers[0].W.dtype)
    require.replicas(network=net.replicas, x=x.shape[:-2])


def activities_of(net: InvertibleNetwork, x: Array, classes: int | None) -> list[Array]:
    """Return what `forward` returns for the same `net`, `x` and `classes`, without checking them."""
    *hidden, last = net.layers
    activities = [x]
    layers = [*hidden, Affine(last.W[..., :classes], last.b[..., :classes])]
    for place, layer in enumerate(layers, 1):
        z = activities[-1][..., : layer.W.shape[-2]] @ layer.W
        z += layer.b
        activities.append(z if net.is_linear(len(layers) - place) else phi.value(z))
    return activities


def random_layer(width: int, generator: Generator, orthogonal: bool) -> Affine:
    """Return a layer of `width` units with weights drawn by `generator`, orthogonal or else Xavier's, and zero bias."""
    W = initializers.orthogonal(generator, width) if orthogonal else initializers.xavier_normal(generator, width, width)
    return Affine(xp.asarray(W), xp.zeros((1, width), dtype=xp.float_dtype))


def require_no_growth(sizes: tuple[int, ...] | list[int]) -> None:
    """Raise PlasticError unless none of the widths `sizes` is larger than the one before it."""
    for below, above in itertools.pairwise(sizes):
        if above > below:
            raise PlasticError(f"the widths of a tower must not grow: {above} follows {below} in {tuple(sizes)}")


def require_inverses(net: InvertibleNetwork, rule: str) -> None:
    """Raise PlasticError unless all layers but the first have inverses, as a rule needs that goes down by them."""
    require_network(net)
    for place, layer in enumerate(net.layers[1:], 1):
        if layer.W.shape[-2] != layer.W.shape[-1]:
            raise PlasticError(
                f"layers[{place}] has W {layer.W.shape[-2:]}, which has no inverse, but {rule} needs those of all "
                "layers above the first: W (..., s, s)"
            )


def _require_readable(layers, sizes):
    """Require that each layer reads no more units than there are below it."""
    for place, (layer, below) in enumerate(zip(layers, sizes[:-1], strict=True)):
        read, units = layer.W.shape[-2:]
        if read == units > below:
            require_no_growth(sizes)
        if read > below:
            raise PlasticError(f"layers[{place}] reads {read} units, but the layer below has {below}")


def _drawn(sizes, generator, orthogonal, linear):
    require.choice("orthogonal", orthogonal, (True, False))
    require.choice("linear", linear, (True, False))

    def draw(each: Generator) -> Tree:
        return [random_layer(width, each, orthogonal) for width in sizes[1:]]

    return InvertibleNetwork(initializers.replicas(draw, generator), sizes[0], linear)


def _require_layers(layers):
    if not isinstance(layers, list | tuple) or not layers or not all(isinstance(each, Affine) for each in layers):
        raise PlasticError("layers must be a list of parameters.Affine(W, b), one for each layer")
    for place, layer in enumerate(layers):
        for name in ("W", "b"):
            require.array(f"layers[{place}].{name}", getattr(layer, name))
        W, b, first = layer.W, layer.b, layers[0].W
        if W.ndim < 2 or b.shape != (*W.shape[:-2], 1, W.shape[-1]):
            raise PlasticError(
                f"layers[{place}] has W {W.shape} and b {b.shape}; W (..., s, s) and b (..., 1, s) are needed, or W "
                "(..., m, s), which has no inverse"
            )
        if W.shape[:-2] != first.shape[:-2] or 0 in W.shape:
            raise PlasticError(f"layers[{place}] has the replica axes {W.shape[:-2]}, the first {first.shape[:-2]}")
        if first.dtype.kind != "f" or not W.dtype == b.dtype == first.dtype:
            raise PlasticError(
                f"layers[{place}] has W of {W.dtype} and b of {b.dtype}; all layers need one precision, that of the "
                f"first, {first.dtype}"
            )
