"""Predictive coding networks that learn at a hundred layers: skip connections, and the scalings of muPC.

    mu_1 = a_1 x_0 W_1 + b_1
    mu_l = x_{l-1} + a_l f(x_{l-1}) W_l + b_l                      l = 2..L-1, all of one width n
    mu_L = a_L f(x_{L-1}) W_L + b_L
    a_1 = n_0^(-1/2),    a_l = (n L)^(-1/2),    a_L = 1 / n,       W_ij ~ N(0, 1)

so that states, and what an update does to the output, are of one size at every width and depth: a learning rate found
with a small network is that of a large one. With eps_{l+1} coming down the skip connection as it is,

    dF/dx_l = eps_l - eps_{l+1} - f'(x_l) (a_{l+1} eps_{l+1} W_{l+1}^T)    l = 1..L-2

which is a chain of springs: an error spreads over the layers like heat, and steps of inference take about L^2 of them
to rest. Sweeps of conjugate gradients or, best, steps by the errors get there sooner, `solver="errors"`.

Innocenti, Achour and Buckley: muPC: Scaling predictive coding to 100+ layer networks. NeurIPS 2025.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

from plastic import initializers, require, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.initializers import Generator
from plastic.parameters import Affine
from plastic.pc.maps import AffineMap
from plastic.pc.networks import Network


@dataclasses.dataclass(eq=False, repr=False)
class ResidualNetwork(Network):
    """Parameters and constants of a network with skip connections. `residual` draws one.

    Args:
        layers: one `Affine` per layer of weights, as of a `Network`; the hidden layers are of one width.
        phi, counted: as of a `Network`.
        after: False; the states lie before the activation.

    Raises:
        PlasticError: if layers do not fit together, or a constant is out of range.

    Example:
        >>> net = ResidualNetwork([Affine(xp.ones((4, 3))), Affine(xp.ones((3, 3))), Affine(xp.ones((3, 1)))], "tanh")
        >>> net, [round(a, 3) for a in net.scales]
        (ResidualNetwork 4-3-3-1, tanh, [0.5, 0.333, 0.333])
    """

    skips: ClassVar[bool] = True

    def _require_layers(self) -> None:
        super()._require_layers()
        hidden = self.sizes[1:-1]
        if not hidden or len(set(hidden)) > 1:
            raise PlasticError(
                f"the hidden layers have widths {hidden}; with skip connections there is one or more, all of one width"
            )
        if self.after:
            raise PlasticError("after is True, but the states of a network with skip connections lie before phi")

    @property
    def scales(self) -> list[float]:
        """What the weights of each layer are multiplied by, a_1 .. a_L."""
        n_0, n, *_ = self.sizes
        L = len(self.layers)
        return [n_0**-0.5, *[(n * L) ** -0.5] * (L - 2), 1 / n]

    def maps(self, order: str = "C") -> list[Any]:
        """Return what leads from each layer to the next, without the skip connections."""
        return [AffineMap(layer, order, a) for layer, a in zip(self.layers, self.scales, strict=True)]


def residual(
    sizes: tuple[int, ...],
    generator: Generator | Sequence[Generator],
    *,
    phi: Activation | str | Sequence[Activation | str] = "relu",
    bias: bool = False,
    counted: Any = None,
) -> ResidualNetwork:
    """Return a network with skip connections and new weights, which learns at a hundred layers.

        W_ij ~ N(0, 1), scaled as `plastic.pc.residual` says;    b_l = 0

    As its weights are of the size 1, learning rates are larger than those of `network`: Adam takes .01 to .1.

    Args:
        sizes: the widths (n_0, n, .., n, n_L) of the layers, the input first; all hidden ones are the same.
        generator: a `numpy.random.Generator`, or a list of them, one for each replica.
        phi: the activation of the hidden layers, an `Activation` or the name of one, or a list with one for each.
        bias: whether layers have a bias.
        counted: which outputs have an error, n_L numbers of 0 and 1; None for all.

    Returns:
        A `ResidualNetwork` in the working precision.

    Raises:
        PlasticError: if an argument is of the wrong kind or out of range.

    Source: Innocenti, Achour and Buckley 2025.

    Example:
        >>> import numpy as np
        >>> residual((784, *[128] * 99, 10), np.random.default_rng(0))
        ResidualNetwork 784-128-128-..-128-10, relu
    """
    require.sizes(sizes, least=3)
    require.choice("bias", bias, (False, True))

    def draw(one: initializers.Generator) -> list[Affine]:
        pairs = itertools.pairwise(sizes)
        b = [xp.zeros((1, n), dtype=xp.float_dtype) if bias else None for n in sizes[1:]]
        return [Affine(xp.asarray(one.standard_normal(pair)), each) for pair, each in zip(pairs, b, strict=True)]

    return ResidualNetwork(initializers.replicas(draw, generator), phi, counted=counted)
