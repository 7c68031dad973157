"""Predictive coding networks whose first layers are convolutions.

States are flat vectors of a map, rows, columns and channels in this order, so that the fully connected layers above
see them as any others; energy and inference are those of `plastic.pc.network`. There are no replicas.
"""

import dataclasses

from plastic import convolution
from plastic.errors import PlasticError
from plastic.pc.network import Dense, Network


@dataclasses.dataclass
class ConvolutionalNetwork(Network):
    """A network whose layers with kernels W (F, F, channels in, channels out), no biases, are convolutions.

    shape: (rows, columns, channels) of an input.    stride, padding: of all convolutions.
    """

    shape: tuple = ()
    stride: int = 2
    padding: int = 1

    def __post_init__(self):
        kernels = [layer.W for layer in self.layers if layer.W.ndim == 4]
        self.shapes = [self.shape]
        for K in kernels:
            (rows, columns, channels), (F, _, n_in, n_out) = self.shapes[-1], K.shape
            if channels != n_in:
                raise PlasticError(f"a convolution takes {n_in} channels, but gets {channels}")
            rows, columns = ((n + 2 * self.padding - F) // self.stride + 1 for n in (rows, columns))
            self.shapes.append((rows, columns, n_out))
        dense = self.layers[len(kernels) :]
        if not dense or dense[0].W.shape[0] != _units(self.shapes[-1]):
            raise PlasticError(
                f"the maps {self.shapes[-1]} need a layer of {_units(self.shapes[-1])} inputs above them"
            )

    @property
    def sizes(self):
        """(n_0, .., n_L)."""
        dense = self.layers[len(self.shapes) - 1 :]
        return (*map(_units, self.shapes), *(layer.W.shape[-1] for layer in dense))

    def maps(self, order="C"):
        """Return what leads from each layer to the next."""
        count = len(self.shapes) - 1
        kernels = [Convolution(self.layers[k].W, self.shapes[k], self.stride, self.padding) for k in range(count)]
        return kernels + [Dense(layer) for layer in self.layers[count:]]


class Convolution:
    """The map of a convolutional layer between flat states, its adjoint, and the gradient of its kernel."""

    def __init__(self, K, shape, stride, padding):
        self.K, self.shape, self.stride, self.padding = K, shape, stride, padding

    def _padded(self, r):
        return convolution.pad(r.reshape(-1, *self.shape), self.padding)

    def up(self, r, out):
        """The convolution of the padded map."""
        out[...] = convolution.conv(self._padded(r), self.K, stride=self.stride).reshape(out.shape)

    def down(self, delta, out):
        """Its adjoint."""
        padded = self._padded(out)
        z = delta.reshape(len(padded), *self._shape_above(padded), self.K.shape[3])
        convolution.strided_adjoint(z, self.K, self.stride, padded)
        out[...] = convolution.crop(padded, self.padding).reshape(out.shape)

    def gradient(self, r, delta, out):
        """Minus the gradient of sum(delta conv(r, K)) by K, into an Affine."""
        F, _, n_in, n_out = self.K.shape
        columns = convolution.patches(self._padded(r), F, stride=self.stride).reshape(-1, F * F * n_in)
        out.W[...] = -(columns.T @ delta.reshape(-1, n_out)).reshape(self.K.shape)

    def _shape_above(self, padded):
        return [(n - self.K.shape[0]) // self.stride + 1 for n in padded.shape[1:3]]


def _units(shape):
    rows, columns, channels = shape
    return rows * columns * channels
