"""Predictive coding networks whose first layers are convolutions.

States are flat vectors of a map, rows, columns and channels in this order, so that the fully connected layers above
see them as any others; energy and inference are those of `plastic.pc.networks` and `plastic.pc.inference`. There are no
replicas.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

from plastic import convolution, require, xp
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.initializers import Generator, uniform_fan_in
from plastic.parameters import Affine
from plastic.pc.maps import AffineMap, Calls
from plastic.pc.networks import Network, require_layers
from plastic.types import Array

_TIMES = 4  # as much memory as its patches an image is to have in a turn: two products and the maps work on them too


@dataclasses.dataclass(eq=False, repr=False)
class ConvolutionalNetwork(Network):
    """Parameters and constants of a network whose first layers are convolutions. `convolutional` draws one.

    Args:
        layers: one `Affine` per layer: kernels W (F, F, channels in, channels out) without a bias, then, from the maps
            of the last convolution on, fully connected layers W (n_{l-1}, n_l), b (1, n_l) or None.
        phi, after, counted: as of a `Network`; phi has one activation for each convolution too.
        shape: (rows, columns, channels) of an input.
        stride: of all convolutions.
        padding: rows and columns of zeros around each map.

    Raises:
        PlasticError: if layers do not fit together, nothing is left of a map, or a constant is out of range.

    Example:
        >>> K, W = xp.ones((3, 3, 1, 2)), xp.ones((8, 10))
        >>> ConvolutionalNetwork([Affine(K), Affine(W)], "relu", shape=(4, 4, 1))
        ConvolutionalNetwork 4x4x1-2x2x2-10, relu
    """

    shape: tuple[int, ...] = ()
    stride: int = 2
    padding: int = 1

    def _require_layers(self) -> None:
        require.whole("stride", self.stride)
        require.whole("padding", self.padding, least=0)
        require.sizes(self.shape, least=3, name="shape")
        kernels = [layer for layer in self.layers if getattr(layer.W, "ndim", 0) == 4]
        dense = self.layers[len(kernels) :]
        if not kernels or not dense or any(layer.W.ndim != 2 for layer in dense):
            raise PlasticError("convolutions, W (F, F, channels in, channels out), come first, then layers W (n, m)")
        self.shapes = map_shapes(self.shape, [layer.W.shape for layer in kernels], self.stride, self.padding)
        if dense[0].W.shape[0] != math.prod(self.shapes[-1]):
            raise PlasticError(
                f"the maps {self.shapes[-1]} need a layer of {math.prod(self.shapes[-1])} inputs above them"
            )
        if any(layer.b is not None for layer in kernels):
            raise PlasticError("a convolution has no bias here; its b must be None")
        for kernel in kernels:
            require.array("a kernel", kernel.W)
            if kernel.W.dtype != dense[0].W.dtype:
                raise PlasticError(f"a kernel holds {kernel.W.dtype}, but the layers above {dense[0].W.dtype}")
        require_layers(dense)

    def _widths(self) -> list[str]:
        maps = ["x".join(map(str, shape)) for shape in self.shapes]
        return maps + [str(n) for n in self.sizes[len(maps) :]]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths of the layers, (n_0, .., n_L); of a map, all of its units."""
        dense = self.layers[len(self.shapes) - 1 :]
        return (*map(math.prod, self.shapes), *(layer.W.shape[-1] for layer in dense))

    def order(self) -> str:
        """Return "C": a map is a row of units in memory."""
        return "C"

    def maps(self, order: str = "C") -> list[Any]:
        """Return what leads from each layer to the next."""
        count = len(self.shapes) - 1
        kernels = [ConvolutionMap(self.layers[k].W, self.shapes[k], self.stride, self.padding) for k in range(count)]
        return [*kernels, *(AffineMap(layer) for layer in self.layers[count:])]


def convolutional(
    channels: tuple[int, ...],
    sizes: tuple[int, ...],
    generator: Generator,
    *,
    size: int = 32,
    F: int = 3,
    stride: int = 2,
    padding: int = 1,
    phi: Activation | str | Sequence[Activation | str] = "relu",
    after: bool = False,
    counted: Any = None,
) -> ConvolutionalNetwork:
    """Return a network of convolutions and a classifier with new weights; the convolutions have no biases.

        W, b ~ U(-c, c),    c = n_in^(-1/2),    n_in = F F (channels in) of a convolution

    Args:
        channels: the channels of the maps, those of the input first.
        sizes: the widths of the layers above the last maps, the output last.
        generator: a `numpy.random.Generator`. There are no replicas.
        size: rows and columns of the input.
        F: rows and columns of a kernel.
        stride: of all convolutions.
        padding: rows and columns of zeros around each map.
        phi: the activation of convolutions and hidden layers, an `Activation` or the name of one, or a list with one
            for each.
        after: whether the states lie after the activation rather than before it.
        counted: which outputs have an error, n_L numbers of 0 and 1; None for all.

    Returns:
        A `ConvolutionalNetwork` in the working precision, whose inputs are flat: (batch, size size channels).

    Raises:
        PlasticError: if an argument is of the wrong kind or out of range, or nothing is left of a map.

    Source: the network for CIFAR-10 of Song et al. 2024, Fig. 4i: channels (3, 64, 128), sizes (512, 10).

    Example:
        >>> import numpy as np
        >>> convolutional((3, 64, 128), (512, 10), np.random.default_rng(0))
        ConvolutionalNetwork 32x32x3-16x16x64-8x8x128-512-10, relu
    """
    require.sizes(channels, name="channels")
    require.sizes(sizes, least=1)
    for name, value in {"size": size, "F": F, "stride": stride}.items():
        require.whole(name, value)
    require.whole("padding", padding, least=0)
    if isinstance(generator, list | tuple):
        raise PlasticError("generator is a list, but a convolutional network has no replicas; give it one generator")
    require.generator(generator)
    kernels = [(F, F, *pair) for pair in itertools.pairwise(channels)]
    shapes = map_shapes((size, size, channels[0]), kernels, stride, padding)

    def draw(shape, n):
        return xp.asarray(uniform_fan_in(generator, shape, n))

    layers = [Affine(draw(shape, math.prod(shape[:3]))) for shape in kernels]
    for n_in, n_out in itertools.pairwise((math.prod(shapes[-1]), *sizes)):
        layers.append(Affine(draw((n_in, n_out), n_in), draw((1, n_out), n_in)))
    return ConvolutionalNetwork(layers, phi, after, counted, shapes[0], stride, padding)


class ConvolutionMap:
    """The map of a convolutional layer between flat states, its adjoint, and the gradient of its kernel.

    Patches of a batch, F^2 times as large as its maps, would leave the cache; blocks of images take turns.
    """

    def __init__(self, K: Array, shape: tuple[int, ...], stride: int, padding: int) -> None:
        self.K, self.shape, self.stride, self.padding = K, shape, stride, padding
        _, self._above = map_shapes(shape, [K.shape], stride, padding)

    def up(self, r: Array, out: Array) -> Calls:
        """Return the calls that write the convolution of the padded map r (batch, n_in) into `out` (batch, n_out)."""
        return [functools.partial(self._up, r, out)]

    linear = up  # there is no bias

    def down(self, delta: Array, out: Array) -> Calls:
        """Return the calls that write its adjoint at delta (batch, n_out) into `out` (batch, n_in)."""
        return [functools.partial(self._down, delta, out)]

    def _up(self, r, out):
        matrix = self._matrix()
        for some in self._turns(r):
            out[some] = (self._patches(r[some]) @ matrix).reshape(out[some].shape)

    def _down(self, delta, out):
        rows, columns, channels = self.shape
        wider = 2 * self.padding
        for some in self._turns(out):
            z = delta[some].reshape(-1, *self._above)
            padded = xp.empty((len(z), rows + wider, columns + wider, channels), dtype=z.dtype)
            convolution.strided_adjoint(z, self.K, self.stride, padded)
            out[some] = convolution.crop(padded, self.padding).reshape(out[some].shape)

    def gradient(self, r: Array, delta: Array, out: Affine) -> None:
        """Write minus the gradient of sum(delta conv(r, K)) / batch by K into an `Affine`."""
        out.W[...] = 0
        of_matrix = out.W.reshape(-1, self.K.shape[-1])
        for some in self._turns(r):
            of_matrix += self._patches(r[some]).T @ delta[some].reshape(-1, self.K.shape[-1])
        out.W *= -1 / r.shape[-2]

    def _turns(self, r):
        """Return the blocks of images that take turns."""
        patches = math.prod(self._above[:2]) * math.prod(self.K.shape[:3]) * r.dtype.itemsize
        return xp.turns(len(r), _TIMES * patches)

    def _matrix(self):
        return self.K.reshape(-1, self.K.shape[-1])

    def _patches(self, r):
        """Return the patches of maps r as rows (batch rows columns, F F channels)."""
        padded = convolution.pad(r.reshape(-1, *self.shape), self.padding)
        return convolution.patches(padded, self.K.shape[0], stride=self.stride).reshape(-1, math.prod(self.K.shape[:3]))


def map_shapes(
    shape: tuple[int, ...], kernels: Sequence[tuple[int, ...]], stride: int, padding: int
) -> list[tuple[int, ...]]:
    """Return the (rows, columns, channels) of all maps, given that of the input and the shapes of the kernels.

    Raises PlasticError where channels do not fit, or nothing is left of a map.
    """
    shapes = [tuple(shape)]
    for F, _, n_in, n_out in kernels:
        rows, columns, channels = shapes[-1]
        if channels != n_in:
            raise PlasticError(f"a convolution takes {n_in} channels, but gets {channels}")
        rows, columns = ((n + 2 * padding - F) // stride + 1 for n in (rows, columns))
        if min(rows, columns) < 1:
            raise PlasticError(
                f"nothing is left of a map {shapes[-1]} with padding {padding} under a kernel of {F} rows; take a "
                "smaller F, or fewer channels"
            )
        shapes.append((rows, columns, n_out))
    return shapes
