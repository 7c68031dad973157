"""Predictive coding networks: parameters, prediction, energy (Song et al. 2024; Whittington and Bogacz 2017).

With the input x_0, states x_l of the hidden layers l = 1..L-1, and the target y, all rows of a batch,

    r_0 = x_0,    r_l = f(x_l)                                   what a layer sends; f is not applied to the input
    mu_l = r_{l-1} W_l + b_l                                     what it should be by the layer below
    eps_l = x_l - mu_l,    eps_L = y - mu_L                      prediction errors
    F = sum over l = 1..L of |eps_l|^2 / 2                       energy, summed over units and batch

so states lie before the activation ("before", as in all published experiments). With states after it ("after"),

    r_l = x_l,    mu_l = f(r_{l-1} W_l + b_l) for l < L,    mu_L = r_{L-1} W_L + b_L

A prediction is mu_L with x_l = mu_l in every layer: that of the feed-forward net.
"""

import dataclasses
import itertools
from typing import Any

from plastic import xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.parameters import Affine


@dataclasses.dataclass
class Network:
    """Parameters and constants of a network.

    layers: [Affine], W_l (..., n_{l-1}, n_l), b_l (..., 1, n_l) or None.    phi: the activation f.
    after: whether the states lie after the activation rather than before it.
    counted: which outputs have an error, 1 or 0 each (n_L,); None for all.
    """

    layers: list[Affine]
    phi: Activation
    after: bool = False
    counted: Any = None

    def __post_init__(self):
        for below, above in itertools.pairwise(self.layers):
            if below.W.shape[-1] != above.W.shape[-2]:
                raise PlasticError(f"a layer has {below.W.shape[-1]} units, but the next takes {above.W.shape[-2]}")

    @property
    def sizes(self):
        """(n_0, .., n_L)."""
        return (self.layers[0].W.shape[-2], *(layer.W.shape[-1] for layer in self.layers))

    def maps(self, order="C"):
        """Return what leads from each layer to the next, with the weights as they are; see `Dense`."""
        return [Dense(layer, order) for layer in self.layers]


class Dense:
    """The map r W + b of a layer, its adjoint, and the gradient of its weights; all write into `out`."""

    def __init__(self, layer, order="C"):
        self.W, self.b = xp.asfortranarray(layer.W) if order == "F" else layer.W, layer.b
        self.times = xp.short_sum if order == "F" else xp.matmul

    def up(self, r, out):
        """r W + b."""
        self.times(r, self.W, out=out)
        if self.b is not None:
            out += self.b

    def down(self, delta, out):
        """delta W^T."""
        self.times(delta, xp.swapaxes(self.W, -1, -2), out=out)

    def gradient(self, r, delta, out):
        """-r^T delta, and minus the sum of delta over the batch, into an Affine."""
        xp.matmul(xp.swapaxes(r, -1, -2), delta, out=out.W)
        out.W *= -1
        if out.b is not None:
            xp.sum(delta, axis=-2, keepdims=True, out=out.b)
            out.b *= -1


def activities(network, x):
    """Return [x_1, .., x_{L-1}, mu_L] of the feed-forward net for an input (..., batch, n_0)."""
    states, r = [], x
    *hidden, top = network.maps()
    sizes = network.sizes[1:]
    lead = _together(x.shape[:-2], network.layers[-1].W.shape[:-2])

    def through(map_, r, n):
        a = xp.empty((*lead, x.shape[-2], n), dtype=x.dtype)
        map_.up(r, a)
        return a

    for map_, n in zip(hidden, sizes, strict=False):
        a = through(map_, r, n)
        r = network.phi.value(a)
        states.append(r if network.after else a)
    return [*states, through(top, r, sizes[-1])]


def predict(network, x):
    """Return the outputs (..., batch, n_L) of the feed-forward net."""
    return activities(network, x)[-1]


def output_error(network, output, y):
    """Return y - mu_L, 0 where an output does not count."""
    error = y - output
    return error if network.counted is None else error * network.counted


class Inference:
    """The states of a network on a batch, its errors, and the buffers of their dynamics.

    x, mu, eps: states, predictions and errors of all hidden layers side by side, (..., batch, n_1 + .. + n_{L-1}).
    eps_top: (..., batch, n_L).

    What the input sends to the first layer does not change while the weights stay, and is computed once, by `begin`.
    """

    def __init__(self, network, x, y):
        self.network = network
        lead = _together(x.shape[:-2], network.layers[-1].W.shape[:-2], y.shape[:-2])
        self.order = xp.order(*(layer.W for layer in network.layers))
        self.input, self.y = (xp.asfortranarray(each) if self.order == "F" else each for each in (x, y))
        sizes = network.sizes[1:-1]
        ends = list(itertools.accumulate(sizes, initial=0))
        columns = [slice(start, end) for start, end in itertools.pairwise(ends)]

        def zeros(units):
            return xp.zeros((*lead, x.shape[-2], units), dtype=x.dtype, order=self.order)

        self.x, self.mu, self.eps, self.back = (zeros(ends[-1]) for _ in range(4))
        self.q = network.phi.slope(self.x, self.mu)  # f', booleans where it is 0 or 1
        self.r = self.x if network.after else zeros(ends[-1])
        self.a = zeros(ends[-1]) if network.after else self.mu
        self.delta = zeros(ends[-1]) if network.after else self.eps
        self.top, self.eps_top = zeros(network.sizes[-1]), zeros(network.sizes[-1])
        parts = (self.x, self.r, self.q, self.a, self.delta, self.back, self.eps)
        views = [[array[..., each] for each in columns] for array in parts]
        self.x_layers, self.r_layers, self.q_layers, self.a_layers, *views = views
        self.delta_layers, self.back_layers, self.eps_layers = views

    @property
    def F(self):
        """The energy, of the replica shape, as of the last `look`."""
        return 0.5 * (_squares(self.eps) + _squares(self.eps_top))

    def begin(self):
        """Set the states to the feed-forward prediction, where all hidden errors are 0."""
        self._take_weights()
        for state, value in zip(self.x_layers, activities(self.network, self.input), strict=False):
            state[...] = value

    def _take_weights(self):
        """Take the weights as they are, and send the input to the first layer."""
        self.maps = self.network.maps(self.order)
        self.maps[0].up(self.input, [*self.a_layers, self.top][0])

    def look(self, moved=False):
        """Compute the errors of the states as they are. moved: the weights have changed since the last look."""
        network, phi = self.network, self.network.phi
        if moved:
            self._take_weights()
        if not network.after:
            phi.value(self.x, out=self.r)
        for each, r, a in zip(self.maps[1:], self.r_layers, [*self.a_layers[1:], self.top], strict=False):
            each.up(r, a)
        if network.after:
            phi.value(self.a, out=self.mu)
        xp.subtract(self.x, self.mu, out=self.eps)
        xp.subtract(self.y, self.top, out=self.eps_top)
        if network.counted is not None:
            self.eps_top *= network.counted
        if network.after:
            phi.slope(self.a, self.mu, out=self.q)
            xp.multiply(self.eps, self.q, out=self.delta)

    def gradient(self, slope=True):
        """Write dF/dx into `back` and return it: eps_l - f'(x_l) (eps_{l+1} W_{l+1}^T).

        slope: whether f' is to be computed; otherwise it is what it was (of states before the activation).
        """
        network = self.network
        deltas = [*self.delta_layers[1:], self.eps_top]
        for each, delta, back in zip(self.maps[1:], deltas, self.back_layers, strict=False):
            each.down(delta, back)
        if not network.after:
            if slope:
                network.phi.slope(self.x, self.r, out=self.q)
            self.back *= self.q
        xp.subtract(self.eps, self.back, out=self.back)
        return self.back

    def move(self, gamma):
        """Take a step of gradient descent, x <- x - gamma dF/dx, all layers at once, by the errors of the last look."""
        self.gradient()
        self.back *= gamma
        self.x -= self.back

    def weight_gradients(self, out, only=None):
        """Write dF/dW_l = -r_{l-1}^T eps_l and dF/db_l = -sum over the batch of eps_l into `out`, [Affine].

        only: the number of the one layer that is wanted, from 0; None for all.
        """
        senders, deltas = [self.input, *self.r_layers], [*self.delta_layers, self.eps_top]
        for k in range(len(out)) if only is None else [only]:
            self.maps[k].gradient(senders[k], deltas[k], out[k])
        return out


def _together(*shapes):
    """Return the shape that these replica axes broadcast to."""
    aligned = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return tuple(reversed([max(sizes) for sizes in aligned]))


def _squares(array):
    return xp.einsum("...bn,...bn->...", array, array)
