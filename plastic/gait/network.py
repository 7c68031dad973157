"""Invertible networks (Ahmad et al. 2020): square weight matrices and an invertible activation.

Notation, as in the paper but with row vectors: a_0 is the input, and for l = 1..L

    z_l = a_{l-1}[:s_l] W_l + b_l        a_l = phi(z_l),   phi the leaky rectifier, on the output layer too
    a_{l-1}[:s_l] = (phi^{-1}(a_l) - b_l) W_l^{-1}         the inverse of the layer

W_l (s_l, s_l) has its input first and its output second. In a *square* network all widths s_l are equal. In a *tower*
they
do not grow: layer l reads the first s_l units of the layer below; the others, the auxiliary units, feed nothing
forward, and keep what an inverse needs to give back the whole layer. Classes are read from the first units of the
output.

`network.layers[l - 1]` holds W_l and b_l. All of it may carry leading replica axes: W (R, s, s), b (R, 1, s), a (R,
batch, s).
"""

import dataclasses
import itertools

from plastic import initializers, xp
from plastic.errors import PlasticError
from plastic.functions import leaky_relu, leaky_relu_inverse
from plastic.parameters import Affine


@dataclasses.dataclass
class _InvertibleNetwork:
    layers: list[Affine]
    linear: bool = False  # phi = identity

    @property
    def widths(self):
        """The widths s_1 .. s_L."""
        return [layer.W.shape[-1] for layer in self.layers]


class SquareNetwork(_InvertibleNetwork):
    """A network of L = hidden + 1 square layers of one width."""

    @classmethod
    def create(cls, width, hidden=1, seed=1, orthogonal=True, linear=False):
        """Return a new network with zero biases and random weights.

        width: units of every layer. hidden: hidden layers, at least 1.
        orthogonal: random orthogonal matrices; otherwise Xavier, W_ij ~ N(0, 1 / width).
        Layer l of the hidden layers, l = 0.., draws from the legacy NumPy generator of seed + l, and the output layer
        uses the
        seed of the last hidden layer again, so that these two start equal: both are as in the published code.
        Raises PlasticError if there is no hidden layer or no unit.
        """
        if hidden < 1 or width < 1:
            raise PlasticError(f"a square network needs width >= 1 and hidden >= 1, not {width} and {hidden}")
        seeds = [seed + layer for layer in range(hidden)] + [seed + hidden - 1]
        return cls([_layer(width, layer_seed, orthogonal) for layer_seed in seeds], linear)


class TowerNetwork(_InvertibleNetwork):
    """A network of square layers whose widths do not grow."""

    @classmethod
    def create(cls, widths, seed=1, orthogonal=True, linear=False):
        """Return a new network of layers of `widths` (s_1, .., s_L); layer l = 0.. draws from seed + l. Otherwise as
        `SquareNetwork`.

        Raises PlasticError if a width is larger than the one before it.
        """
        check_widths(widths)
        return cls([_layer(width, seed + layer, orthogonal) for layer, width in enumerate(widths)], linear)


def check_widths(widths):
    """Raise PlasticError unless the widths of a tower are positive and do not grow."""
    if not widths or min(widths) < 1:
        raise PlasticError(f"widths must be positive numbers, not {tuple(widths)}")
    for below, above in itertools.pairwise(widths):
        if above > below:
            raise PlasticError(f"the widths of a tower must not grow: {above} follows {below} in {tuple(widths)}")


def _layer(width, seed, orthogonal):
    generator = initializers.legacy_generator(seed)
    draw = (
        initializers.orthogonal(generator, width) if orthogonal else initializers.xavier_normal(generator, width, width)
    )
    return Affine(xp.asarray(draw), xp.zeros((1, width), dtype=xp.float_dtype))


def forward(network, x, classes=None):
    """Return the activities [a_0, a_1, .., a_L], a_l (..., batch, s_l), of a batch x (..., batch, n_0), n_0 >= s_1.

    classes: compute only so many units of the output layer, the first ones; a_L is then (..., batch, classes).
    """
    *hidden, last = network.layers
    activities = [x]
    for layer in [*hidden, Affine(last.W[..., :classes], last.b[..., :classes])]:
        activities.append(_activity(layer, activities[-1], network.linear))
    return activities


def inverse(network, index, y, a_below):
    """Return the activity (..., batch, n_{l-1}) that layer l maps to y (..., batch, s_l): the inverse of that layer.

    index: l - 1, the place of the layer in `network.layers`.
    a_below: the activity of layer l-1 in the forward pass; its auxiliary units are taken as they are.
    """
    layer = network.layers[index]
    z = y if network.linear else leaky_relu_inverse(y)
    read = divide(z - layer.b, layer.W)
    return xp.concatenate([read, a_below[..., read.shape[-1] :]], axis=-1)


def divide(g, W):
    """Return g W^{-1} for rows g (..., batch, n), by LU factorisation in the working precision: no inverse is formed.

    W is (n, n), or has the leading axes of g.
    """
    rows = g.reshape(-1, g.shape[-1]) if W.ndim == 2 else g
    solution = xp.lu_solve(xp.lu_factor(W), xp.swapaxes(rows, -1, -2), transpose=True)
    return xp.swapaxes(solution, -1, -2).reshape(g.shape)


def restore(config, arrays):
    """Return (network, predict) from the config of a run and the arrays of its checkpoint; see `plastic.load`.

    predict(x) takes images (batch, ...) of the host, scaled as in training, to the outputs of the classes (...,
    batch, classes).
    """
    options = config["options"]
    kind = TowerNetwork if options["tower"] else SquareNetwork
    places = range(sum(path.startswith("layers/") and path.endswith("/W") for path in arrays))
    layers = [Affine(*(xp.asarray(arrays[f"layers/{place}/{name}"]) for name in ("W", "b"))) for place in places]
    network = kind(layers, options["linear"])

    def predict(x):
        return xp.asnumpy(forward(network, xp.asarray(x.reshape(len(x), -1)), options["classes"])[-1])

    return network, predict


def _activity(layer, below, linear):
    z = below[..., : layer.W.shape[-2]] @ layer.W
    z += layer.b
    return z if linear else leaky_relu(z)
