"""Convolutional wiring with symmetric (tied) weights: convolutions with max-pooling, then a classifier.

Maps s_0 (the input), s_1 .. s_M are (batch, rows, columns, channels) after pooling; the vectors of the classifier
follow. Up goes a convolution with its maximum over each window, down goes the adjoint: unpooling at the switches of the
same step, then the transposed convolution:

    a_m = pool(conv(s_{m-1}, K_m)) + e_m + conv^T(unpool(s_{m+1}), K_{m+1}),    m < M
    a_M = pool(conv(s_{M-1}, K_M)) + e_M + reshape(s_{M+1} D_1^T)               and the classifier as `Dense`

(Ernoult et al. 2019, appendix on convolutional nets). Flat arrays, `drive`, couplings and gradients mean what they do
in `plastic.ep.networks.dense`. At fixed switches the coupling is symmetric; `switches` holds the last ones, those of
the first convolution, constant like the input, in front. There are no replica axes.
"""

import dataclasses
import itertools
import math

from plastic import parameters, xp
from plastic.convolution import conv, conv_adjoint, crop, gather, kernel_gradient, pad, pool, unpool
from plastic.ep.networks.dense import bias_gradient, over_time, weight_gradient
from plastic.errors import PlasticError
from plastic.parameters import Affine


def map_sizes(size, convolutions, F, padding, pooling):
    """Return [(rows of the convolved map, rows of the pooled map), ...] of square maps, the input side first.

    Raises PlasticError where a map is smaller than a kernel or a window.
    """
    sizes = []
    for number in range(1, convolutions + 1):
        convolved = size + 2 * padding - F + 1
        if convolved < pooling:
            raise PlasticError(
                f"nothing is left after convolution {number}: {size} rows and Fconv {F} with {padding} rows of padding "
                f"give {max(convolved, 0)}, and Fpool is {pooling}; take fewer channels in C_tab, or smaller filters"
            )
        size = convolved // pooling
        sizes.append((convolved, size))
    return sizes


@dataclasses.dataclass
class Convolutional:
    """Convolutions and a classifier.

    convolutions: K_m (F, F, channels in, channels out) and e_m (1, channels out), the input side first.
    classifier: D_i (units below, units) and d_i (1, units); the units below the first are the flattened last map.
    size: rows and columns of the input. padding: rows of zeros around each map. pooling: rows of a window.
    """

    convolutions: list[Affine]
    classifier: list[Affine]
    size: int
    padding: int = 0
    pooling: int = 2

    @property
    def parameters(self):
        """The tree of all parameters."""
        return {"convolutions": self.convolutions, "classifier": self.classifier}

    @property
    def map_sizes(self):
        """(rows of the convolved map, rows of the pooled map) of every convolution."""
        F = self.convolutions[0].W.shape[0]
        return map_sizes(self.size, len(self.convolutions), F, self.padding, self.pooling)

    @property
    def shapes(self):
        """The shape of one sample's activity in each layer: [(z, z, C), .., (n,), ..]."""
        channels = [layer.W.shape[3] for layer in self.convolutions]
        maps = [(z, z, C) for (_, z), C in zip(self.map_sizes, channels, strict=True)]
        return maps + [(layer.W.shape[1],) for layer in self.classifier]

    def split(self, flat):
        """Return the layers of a flat array (..., P) as views (..., batch, *shape)."""
        shapes = self.shapes
        units = [math.prod(shape) for shape in shapes]
        batch = flat.shape[-1] // sum(units)
        ends = [batch * end for end in itertools.accumulate(units, initial=0)]
        return [
            flat[..., start:end].reshape(*flat.shape[:-1], batch, *shape)
            for start, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
        ]

    def zeros(self, x):
        """Return the flat array of zeros for a batch x (batch, rows, columns, channels)."""
        return xp.zeros(len(x) * sum(math.prod(shape) for shape in self.shapes), dtype=x.dtype)

    def switches(self, batch):
        """Return buffers for the pooling switches, (batch, z, z, C) for each convolution."""
        return [xp.zeros((batch, *shape), dtype=xp.uint8) for shape in self.shapes[: len(self.convolutions)]]

    def drive(self, r_0, out, switches):
        """Write the pooled convolution of the input and all biases into the flat `out`; set the first switches."""
        layers = self.split(out)
        first = self.convolutions[0]
        pool(conv(pad(r_0, self.padding), first.W), self.pooling, out=layers[0], switch=switches[0])
        layers[0] += first.b
        for layer, a in zip([*self.convolutions[1:], *self.classifier], layers[1:], strict=True):
            a[...] = layer.b

    def coupling(self, r, a, switches):
        """Return a function that finds the switches of flat r and writes the coupling without the drive into flat a."""

        def through(convolved, number, out):
            pool(convolved, self.pooling, out=out, switch=switches[number])

        return self._coupling(r, a, switches, through)

    def adjoint_coupling(self, r, a, switches):
        """Return the function that writes the coupling at fixed switches, without the drive, into flat a."""

        def through(convolved, number, out):
            gather(convolved, switches[number], self.pooling, out=out)

        return self._coupling(r, a, switches, through)

    def _coupling(self, r, a, switches, through):
        sent, received = self.split(r), self.split(a)
        maps = len(self.convolutions)
        steps = [self._buffers(number, sent) for number in range(1, maps)]
        vectors = [layer.reshape(len(layer), -1) for layer in sent[maps - 1 :]]
        sums = [layer.reshape(len(layer), -1) for layer in received[maps - 1 :]]
        products = []
        for below, layer in enumerate(self.classifier):
            products.append((vectors[below], layer.W, xp.empty_like(sums[below + 1]), sums[below + 1]))
            products.append((vectors[below + 1], layer.W.T, xp.empty_like(sums[below]), sums[below]))

        def couple():
            a[...] = 0
            for number, (K, padded, columns, convolved, unpooled, up, down) in enumerate(steps, 1):
                conv(pad(sent[number - 1], self.padding, out=padded), K, out=convolved, columns=columns)
                through(convolved, number, up)
                received[number] += up
                unpool(sent[number], switches[number], self.pooling, out=unpooled)
                received[number - 1] += crop(conv_adjoint(unpooled, K, out=down, columns=columns), self.padding)
            for vector, weights, buffer, out in products:
                xp.matmul(vector, weights, out=buffer)
                out += buffer

        return couple

    def _buffers(self, number, sent):
        """Return the kernel of a convolution and buffers: padded input, columns, two maps, what goes up, what down."""
        K, below = self.convolutions[number].W, sent[number - 1]
        F, _, n_in, n_out = K.shape
        padded = xp.zeros_like(pad(below, self.padding))
        h = self.map_sizes[number][0]
        columns = xp.empty((len(below), h, h, F, F, n_in), dtype=K.dtype)
        convolved, unpooled = (xp.zeros((len(below), h, h, n_out), dtype=K.dtype) for _ in range(2))
        return K, padded, columns, convolved, unpooled, xp.empty_like(sent[number]), xp.empty_like(padded)

    def gradients(self, delta, r, r_0, switches, out=None):
        """Return the sum over batch and time of d/dtheta of delta . (coupling at r), the tree of the parameters.

        delta, r: flat histories (time, P). switches: histories (time, batch, z, z, C) of the steps.
        """
        d, s = self.split(delta), self.split(r)

        def kernel(number):
            pairs = [
                (s[number - 1][t], d[number][t], d[number - 1][t], s[number][t], switches[number][t])
                for t in range(len(delta))
            ]
            return sum(
                self._kernel_gradient(below, above, switch, number)
                + self._kernel_gradient(other_below, other_above, switch, number)
                for below, above, other_below, other_above, switch in pairs
            )

        return self._tree(delta, r, r_0, switches[0][0], kernel, out)

    def contrast(self, plus, minus, r_0, switches, scale, out=None):
        """Return scale (the terms of `gradients` that are of second order in the state, at plus, minus those at minus).

        plus, minus: flat states. switches: (those of plus, those of minus), each of its own last step.
        """
        above, below = self.split(plus), self.split(minus)

        def kernel(number):
            gradient = self._kernel_gradient(above[number - 1], above[number], switches[0][number], number)
            gradient -= self._kernel_gradient(below[number - 1], below[number], switches[1][number], number)
            gradient *= scale
            return gradient

        difference, mean = scale * (plus - minus), 0.5 * (plus + minus)
        return self._tree(difference[None], mean[None], r_0, switches[0][0], kernel, out)

    def _kernel_gradient(self, below, above, switch, number):
        h, n_out = self.map_sizes[number][0], above.shape[-1]
        unpooled = xp.zeros((len(above), h, h, n_out), dtype=above.dtype)
        return kernel_gradient(pad(below, self.padding), unpool(above, switch, self.pooling, unpooled))

    def _tree(self, delta, r, r_0, first_switch, kernel, out):
        """Return all gradients: kernels by the function `kernel`, the others from the histories."""
        maps = len(self.convolutions)
        total = self.split(xp.sum(delta, axis=0))
        kernels = [self._kernel_gradient(r_0, total[0], first_switch, 0)]
        kernels += [kernel(number) for number in range(1, maps)]
        biases = [xp.sum(layer, axis=(0, 1, 2))[None] for layer in total[:maps]]
        vectors = (
            [layer.reshape(*layer.shape[:2], -1) for layer in self.split(each)[maps - 1 :]] for each in (delta, r)
        )
        d, s = map(over_time, vectors)
        classifier = [Affine(weight_gradient(d, s, k), bias_gradient(each)) for k, each in enumerate(total[maps:], 1)]
        grads = {
            "convolutions": [Affine(K, e) for K, e in zip(kernels, biases, strict=True)],
            "classifier": classifier,
        }
        if out is None:
            return grads
        for (_, buffer), (_, grad) in zip(parameters.leaves(out), parameters.leaves(grads), strict=True):
            buffer[...] = grad
        return out
