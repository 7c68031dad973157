"""Predictive coding networks: their parameters, and their prediction (Song et al. 2024; Whittington and Bogacz 2017).

With the input x_0, states x_l of the hidden layers l = 1..L-1, and the target y, all rows of a batch,

    r_0 = x_0,    r_l = f(x_l)                                   what a layer sends; f is not applied to the input
    mu_l = r_{l-1} W_l + b_l                                     what it should be, according to the layer below
    eps_l = x_l - mu_l,    eps_L = y - mu_L                      prediction errors
    F = sum over l = 1..L of |eps_l|^2 / 2                       the energy, a sum over units and batch

so the states lie before the activation ("before", as in all published experiments). With states after it ("after"),

    r_l = x_l,    mu_l = f(r_{l-1} W_l + b_l) for l < L,    mu_L = r_{L-1} W_L + b_L

The prediction of a network is mu_L where x_l = mu_l in every hidden layer: the output of the feed-forward net.
`plastic.pc.inference` has the dynamics of the states, `plastic.pc.rules` the learning rules.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from plastic import functions, initializers, require, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.initializers import Generator
from plastic.parameters import Affine
from plastic.pc.maps import AffineMap, perform
from plastic.types import Array, Tree

_SHOWN = 8  # widths that a repr spells out


@dataclasses.dataclass(eq=False, repr=False)
class Network:
    """Parameters and constants of a fully connected network. `network` draws one; this takes weights as they are.

    Args:
        layers: one `Affine` per layer of weights, W_l (..., n_{l-1}, n_l), b_l (..., 1, n_l) or None. Leading axes are
            those of replicas.
        phi: the activation f of the hidden layers, an `Activation` or the name of one, or a list with one for each
            hidden layer. Kept as a list.
        after: whether the states lie after the activation rather than before it.
        counted: which outputs have an error, n_L numbers of 0 and 1; None for all.

    Raises:
        PlasticError: if layers do not fit together, or a constant is out of range.

    Example:
        >>> net = Network([Affine(xp.ones((2, 3))), Affine(xp.ones((3, 1)))], "tanh")
        >>> net, net.sizes
        (Network 2-3-1, tanh, (2, 3, 1))
    """

    layers: list[Affine]
    phi: Any
    after: bool = False
    counted: Any = None
    skips: ClassVar[bool] = False  # whether hidden layers add the states below, see `plastic.pc.residual`

    def __post_init__(self) -> None:
        self._require_layers()
        self.phi = _activations(self.phi, len(self.layers) - 1)
        require.choice("after", self.after, (False, True))
        self.counted = _counted(self.counted, self.sizes[-1], self.dtype)

    def _require_layers(self) -> None:
        require_layers(self.layers)

    def __repr__(self) -> str:
        widths, names = self._widths(), [each.name for each in self.phi]
        if len(widths) > _SHOWN:
            widths = [*widths[:3], "..", *widths[-2:]]
        if len(set(names)) == 1 or len(names) > _SHOWN:
            names = sorted(set(names))
        words = [f"{type(self).__name__} {'-'.join(widths)}"]
        words += ["/".join(names)] if names else []
        words += ["states after phi"] if self.after else []
        words += [f"replicas {self.replicas}"] if self.replicas else []
        return ", ".join(words)

    def _widths(self) -> list[str]:
        return [str(n) for n in self.sizes]

    @property
    def parameters(self) -> dict[str, Tree]:
        """The tree of all parameters, {"layers": [Affine, ..]}."""
        return {"layers": self.layers}

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths of the layers, (n_0, .., n_L)."""
        return (self.layers[0].W.shape[-2], *(layer.W.shape[-1] for layer in self.layers))

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.layers[0].W.dtype

    @property
    def replicas(self) -> tuple[int, ...]:
        """The shape of the replica axes; () of a single network."""
        return self.layers[-1].W.shape[:-2]

    def order(self) -> str:
        """Return the memory order of arrays (..., batch, units) that suits the network, see `xp.order`."""
        return xp.order(*(layer.W for layer in self.layers))

    def maps(self, order: str = "C") -> list[Any]:
        """Return what leads from each layer to the next, with the weights as they are, for arrays of this memory order.

        See `AffineMap` for what each of them can do.
        """
        return [AffineMap(layer, order) for layer in self.layers]


def network(
    sizes: tuple[int, ...],
    generator: Generator | Sequence[Generator],
    *,
    phi: Activation | str | Sequence[Activation | str] = "sigmoid",
    after: bool = False,
    bias: bool = False,
    counted: Any = None,
) -> Network:
    """Return a fully connected network with new weights.

        W_l ~ U(-c, c),    c = sqrt(6 / (n_{l-1} + n_l)),    b_l = 0            (Glorot and Bengio 2010, eq. 16)

    Args:
        sizes: the widths (n_0, .., n_L) of the layers, the input first.
        generator: a `numpy.random.Generator`, or a list of them, one for each replica.
        phi: the activation of the hidden layers, an `Activation` or the name of one, or a list with one for each.
        after: whether the states lie after the activation rather than before it.
        bias: whether layers have a bias.
        counted: which outputs have an error, n_L numbers of 0 and 1; None for all.

    Returns:
        A `Network` in the working precision.

    Raises:
        PlasticError: if an argument is of the wrong kind or out of range.

    Source: the classifiers of Song et al. 2024, Methods: sigmoid units without biases.

    Example:
        >>> network((784, 32, 32, 10), np.random.default_rng(0))
        Network 784-32-32-10, sigmoid
    """
    require.sizes(sizes)
    require.choice("bias", bias, (False, True))

    def draw(one: initializers.Generator) -> list[Affine]:
        return [
            Affine(xp.asarray(initializers.xavier_uniform(one, *pair)), _zeros(pair[1]) if bias else None)
            for pair in itertools.pairwise(sizes)
        ]

    return Network(initializers.replicas(draw, generator), phi, after, counted)


@xp.underflow_is_ordinary()
def activities(net: Network, x: Array) -> list[Array]:
    """Return the activities [x_1, .., x_{L-1}, mu_L] of the feed-forward net, where x_l = mu_l.

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).

    Returns:
        One array (..., batch, n_l) per layer above the input; the leading axes are those of the network and of x.

    Raises:
        PlasticError: if x does not fit the network.

    Example:
        >>> net = Network([Affine(xp.asarray([[1.0]])), Affine(xp.asarray([[1.0, 1.0]]))], "linear")
        >>> [each.tolist() for each in activities(net, xp.asarray([[3.0]]))]
        [[[3.0]], [[3.0, 3.0]]]
    """
    require_network(net)
    require.rows("x", x, net.sizes[0], net.dtype)
    lead = require.replicas(network=net.replicas, x=x.shape[:-2])
    found: list[Array] = []
    r = x
    for k, (each, n) in enumerate(zip(net.maps(), net.sizes[1:], strict=True)):
        a = xp.empty((*lead, x.shape[-2], n), dtype=x.dtype)
        perform(each.up(r, a))
        if net.skips and 0 < k < len(net.phi):
            a += found[-1]
        if k < len(net.phi):
            r = net.phi[k].value(a)
        found.append(r if net.after and k < len(net.phi) else a)
    return found


def predict(net: Network, x: Array) -> Array:
    """Return the prediction mu_L of the network, the output of the feed-forward net.

    Args:
        net: a `Network`.
        x: inputs (..., batch, n_0).

    Returns:
        Outputs (..., batch, n_L); the leading axes are those of the network and of x.

    Raises:
        PlasticError: if x does not fit the network.

    Example:
        >>> net = network((4, 3, 2), np.random.default_rng(0))
        >>> predict(net, xp.ones((5, 4), dtype=xp.float_dtype)).shape
        (5, 2)
    """
    return activities(net, x)[-1]


def require_network(net: Any) -> None:
    """Require net to be a `Network`, or one of a class derived from it."""
    if not isinstance(net, Network):
        raise PlasticError(f"net is a {type(net).__name__}; it must be a Network of plastic.pc, pc.network(..)")


def require_batch(net: Network, x: Any, y: Any = None) -> None:
    """Require x (..., batch, n_0), and y (..., batch, n_L) where given, with replica axes that the network has."""
    require_network(net)
    require.rows("x", x, net.sizes[0], net.dtype)
    if y is not None:
        require.targets(y, x, net.sizes[-1], net.dtype)
    lead = net.replicas
    axes = {"x": x.shape[:-2]} | ({} if y is None else {"y": y.shape[:-2]})
    if require.replicas(network=lead, **axes) != lead:
        found = ", ".join(f"{name} {each}" for name, each in axes.items())
        raise PlasticError(
            f"the replica axes of a batch ({found}) must be those of the network, {lead}, of length 1, or absent"
        )


def require_layers(layers: Any) -> None:
    """Require [Affine, ..] of one precision and one replica shape, each taking what the one below has for units."""
    if not isinstance(layers, list | tuple) or not layers or not all(isinstance(each, Affine) for each in layers):
        raise PlasticError("layers must be a list of one Affine or more; network(sizes, generator) draws them")
    dtype = getattr(layers[0].W, "dtype", None)
    for k, layer in enumerate(layers):
        require.array(f"layers[{k}].W", layer.W)
        if layer.W.dtype.kind != "f" or layer.W.dtype != dtype:
            raise PlasticError(f"layers[{k}].W holds {layer.W.dtype}; all must be {xp.float_dtype}, or all float64")
        if layer.W.ndim < 2 or 0 in layer.W.shape or layer.W.shape[:-2] != layers[0].W.shape[:-2]:
            raise PlasticError(f"layers[{k}].W has shape {layer.W.shape}; (..., n_in, n_out) is needed, replicas first")
        if layer.b is not None:
            require.array(f"layers[{k}].b", layer.b)
            wanted = (*layer.W.shape[:-2], 1, layer.W.shape[-1])
            if layer.b.shape != wanted or layer.b.dtype != dtype:
                raise PlasticError(
                    f"layers[{k}].b is {layer.b.dtype} of shape {layer.b.shape}; {dtype} of {wanted} is needed"
                )
    for below, above in itertools.pairwise(layers):
        if below.W.shape[-1] != above.W.shape[-2]:
            raise PlasticError(f"a layer has {below.W.shape[-1]} units, but the next takes {above.W.shape[-2]}")


def _activations(phi, hidden):
    """Return the list of the activations of the hidden layers."""
    if not isinstance(phi, list | tuple):
        return [functions.activation(phi)] * hidden
    if len(phi) != hidden:
        raise PlasticError(f"phi has {len(phi)} activations, but there are {hidden} hidden layers")
    return [functions.activation(each) for each in phi]


def _counted(counted, n, dtype):
    """Return an array (n,) of 0 and 1, or None."""
    if counted is None:
        return None
    given = counted if isinstance(counted, xp.ndarray) else np.asarray(counted)
    on_host = isinstance(given, np.ndarray)
    if given.shape != (n,) or (on_host and not np.all((given == 0) | (given == 1))):
        raise PlasticError(f"counted must be {n} numbers of 0 and 1, one for each output, not {_shown(given, n)}")
    return xp.asarray(given, dtype=dtype)


def _shown(given, n):
    return given.tolist() if given.shape == (n,) and n < 20 else f"an array of shape {given.shape}"


def _zeros(n):
    return xp.zeros((1, n), dtype=xp.float_dtype)
