"""Convolutional wiring with symmetric (tied) weights: convolutions with max-pooling, then a classifier.

Maps s_0 (the input), s_1 .. s_M are (batch, rows, columns, channels) after pooling; the vectors of the classifier
follow. Up goes a convolution with its maximum over each window, down goes the adjoint: unpooling at the switches of the
same step, then the transposed convolution:

    a_m = pool(conv(s_{m-1}, K_m)) + e_m + conv^T(unpool(s_{m+1}), K_{m+1}),    m < M
    a_M = pool(conv(s_{M-1}, K_M)) + e_M + reshape(s_{M+1} D_1^T)               and the classifier as `FullyConnected`

(Ernoult et al. 2019, appendix on convolutional nets). Rows of all layers, `drive`, couplings and gradients mean what
they do in `plastic.ep.wiring.fully_connected`. At fixed switches the coupling is symmetric; `switches` holds the last
ones, those of the first convolution, constant like the input, in front. There are no replica axes.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from plastic import affine, parameters, require, xp
from plastic.convolution import conv, conv_adjoint, crop, gather, kernel_gradient, pad, pool, unpool
from plastic.ep.wiring.connections import (
    Pieces,
    Rows,
    columns_of,
    halves_of,
    require_chain,
    require_connections,
    tied_gradient,
    view,
)
from plastic.ep.wiring.maps import LARGEST_WINDOW, images_of, map_sizes, rows_and_columns
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(eq=False, repr=False)
class Convolutional:
    """Convolutions and a classifier.

    Args:
        convolutions: K_m (F, F, channels in, channels out) and e_m (1, channels out), the input side first.
        classifier: D_i (units below, units) and d_i (1, units); below the first is the last map, flattened.
        size: rows and columns of the input, or one number for both.
        padding: rows of zeros around each map.
        pooling: rows of a pooling window, from 1 to 16.

    Raises:
        PlasticError: if the shapes do not fit together, the precisions differ, or nothing is left of a map.
    """

    convolutions: list[Affine]
    classifier: list[Affine]
    size: int | tuple[int, int]
    padding: int = 0
    pooling: int = 2

    def __post_init__(self) -> None:
        rows_and_columns(self.size)
        require.whole("padding", self.padding, least=0)
        require.whole("pooling", self.pooling, most=LARGEST_WINDOW)
        if not self.convolutions:
            raise PlasticError("a convolution is needed")
        for name, layers, axes in (("convolutions", self.convolutions, 4), ("classifier", self.classifier, 2)):
            if not layers:
                continue
            require_connections({f"{name}/{place}": layer for place, layer in enumerate(layers)}, axes)
            for below, above in itertools.pairwise(layers):
                require_chain(below.W.shape[-1], above.W.shape[-2], "the next layer")
        filters = {layer.W.shape[-4:-2] for layer in self.convolutions}
        if len(filters) > 1 or len(set(*filters)) > 1:
            raise PlasticError(f"the filters have {filters} rows and columns; all must be squares of one size")
        if self.classifier:
            last_map = self.shapes[len(self.convolutions) - 1]
            require_chain(math.prod(last_map), self.classifier[0].W.shape[-2], "the classifier")

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.layout}"

    @property
    def layout(self) -> str:
        """The shapes from the input on, as in 28x28x1-12x12x32-4x4x64-10."""
        return "-".join("x".join(map(str, shape)) for shape in (self.input_shape, *self.shapes))

    @property
    def parameters(self) -> dict[str, Tree]:
        """The tree of all parameters."""
        return {"convolutions": self.convolutions, "classifier": self.classifier}

    @property
    def weights(self) -> list[Array]:
        """The filters and the weights of the classifier, the input side first."""
        return [layer.W for layer in (*self.convolutions, *self.classifier)]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of one input: (rows, columns, channels)."""
        return *rows_and_columns(self.size), self.convolutions[0].W.shape[-2]

    @property
    def inputs(self) -> int:
        """The number of inputs, rows times columns times channels."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """The number of units of the last layer."""
        return math.prod(self.shapes[-1])

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.convolutions[0].W.dtype

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes of the parameters; a network that runs has none."""
        return self.convolutions[0].W.shape[:-4]

    @functools.cached_property
    def map_sizes(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """((rows, columns) of the convolved map, those of the pooled map) of every convolution."""
        how = len(self.convolutions), self.convolutions[0].W.shape[-3], self.padding, self.pooling
        rows, columns = (map_sizes(each, *how) for each in rows_and_columns(self.size))
        return [((h, w), (y, x)) for (h, y), (w, x) in zip(rows, columns, strict=True)]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of one sample's activity in each layer: [(z, z, C), .., (n,), ..]."""
        channels = [layer.W.shape[-1] for layer in self.convolutions]
        maps = [(*z, C) for (_, z), C in zip(self.map_sizes, channels, strict=True)]
        return [*maps, *((layer.W.shape[-1],) for layer in self.classifier)]

    def input_of(self, x: Any) -> Array:
        """Return inputs x, images (batch, rows, columns, channels) or their rows (batch, n_0), as images.

        Raises PlasticError if x is something else, or if the network has replica axes.
        """
        if self.replicas:
            raise PlasticError(f"a convolutional network has no replica axes, but this one has {self.replicas}")
        return images_of(x, self.input_shape, self.dtype)

    def split(self, rows: Rows) -> list[Array]:
        """Return the layers of an array (..., batch, N), or of its halves, as views (..., batch, *shape)."""
        views = zip(self._vectors(rows), self.shapes, strict=True)
        return [layer.reshape(*layer.shape[:-1], *shape) for layer, shape in views]

    def _vectors(self, rows):
        """Return the layers as views (..., batch, units)."""
        return [view(rows, columns) for columns in self._columns]

    @functools.cached_property
    def _columns(self):
        return columns_of([math.prod(shape) for shape in self.shapes])

    @functools.cached_property
    def halves(self) -> Pieces:
        """The columns and the numbers of the layers in two halves; see `plastic.ep.wiring.fully_connected`."""
        return halves_of([math.prod(shape) for shape in self.shapes])

    def zeros(self, r_0: Array) -> Array:
        """Return the array (batch, N) of zeros for inputs r_0 (batch, rows, columns, channels)."""
        return xp.zeros((len(r_0), sum(math.prod(shape) for shape in self.shapes)), dtype=r_0.dtype)

    def switches(self, batch: int) -> list[Array]:
        """Return buffers for the pooling switches of a batch, (batch, z, z, C) for each convolution."""
        return [xp.zeros((batch, *shape), dtype=xp.uint8) for shape in self.shapes[: len(self.convolutions)]]

    def drive(self, r_0: Array, out: Array, switches: Sequence[Array]) -> None:
        """Write what the input and the biases contribute, constant while the input stands.

        Args:
            r_0: what the input sends, (batch, rows, columns, channels).
            out: the array (batch, N) that the pooled convolution of the input and all biases are written into.
            switches: the pooling switches; the first are set.
        """
        layers = self.split(out)
        first = self.convolutions[0]
        pool(conv(pad(r_0, self.padding), first.W), self.pooling, out=layers[0], switch=switches[0])
        layers[0] += first.b
        for layer, a in zip([*self.convolutions[1:], *self.classifier], layers[1:], strict=True):
            a[...] = layer.b

    def workspace(self, batch: int) -> Any:
        """Return what the couplings of a batch need: buffers for each convolution but the first, and each D_i^T."""
        buffers = [self._buffers(number, batch) for number in range(1, len(self.convolutions))]
        return buffers, [layer.W.T.copy() for layer in self.classifier]

    def renew(self, workspace: Any) -> None:
        """Write the weights as they are now into a workspace."""
        for layer, transpose in zip(self.classifier, workspace[1], strict=True):
            transpose[...] = layer.W.T

    def coupling(
        self,
        r: Rows,
        a: Rows,
        switches: Sequence[Array],
        receivers: Sequence[int] | None = None,
        workspace: Any = None,
    ) -> Callable[[], None]:
        """Return a function that writes the coupling of r, without the drive, into a, and its `switches`.

        Args:
            r: what the layers send, read whenever the function is called.
            a: what they receive.
            switches: the pooling switches: those of what goes up are written, those of what comes down are read.
            receivers: numbers of the layers, from 0, that receive; others are left alone. None for all.
            workspace: what `workspace` gave, for this batch or a larger one, or None for a new one.
        """

        def through(convolved: Array, number: int, out: Array) -> None:
            pool(convolved, self.pooling, out=out, switch=switches[number])

        return self._coupling(r, a, switches, through, receivers, workspace)

    def adjoint_coupling(self, r: Rows, a: Rows, switches: Sequence[Array]) -> Callable[[], None]:
        """Return a function that writes the coupling of r at fixed `switches`, without the drive, into a."""

        def through(convolved: Array, number: int, out: Array) -> None:
            gather(convolved, switches[number], self.pooling, out=out)

        return self._coupling(r, a, switches, through)

    def _coupling(self, r, a, switches, through, receivers=None, workspace=None):
        sent, received = self.split(r), self.split(a)
        batch = len(sent[0])
        buffers, transposes = workspace or self.workspace(batch)
        receivers = range(len(sent)) if receivers is None else receivers
        maps = [
            (number, layer.W, [buffer[:batch] for buffer in each])
            for number, (layer, each) in enumerate(zip(self.convolutions[1:], buffers, strict=True), 1)
        ]
        products = self._classifier_products(r, a, transposes, receivers)

        def couple():
            for k in receivers:
                received[k][...] = 0
            for number, K, (padded, columns, convolved, unpooled, up, down) in maps:
                if number in receivers:
                    conv(pad(sent[number - 1], self.padding, out=padded), K, out=convolved, columns=columns)
                    through(convolved, number, up)
                    received[number] += up
                if number - 1 in receivers:
                    unpool(sent[number], switches[number], self.pooling, out=unpooled)
                    received[number - 1] += crop(conv_adjoint(unpooled, K, out=down, columns=columns), self.padding)
            for vector, weights, buffer, out in products:
                xp.matmul(vector, weights, out=buffer)
                out += buffer

        return couple

    def _classifier_products(self, r, a, transposes, receivers):
        """Return [(what is sent, weights, a buffer, what receives)] of the classifier, up and down."""
        first = len(self.convolutions) - 1
        vectors, sums = self._vectors(r), self._vectors(a)
        pairs = []
        for below, (layer, transpose) in enumerate(zip(self.classifier, transposes, strict=True), first):
            pairs += [(below, layer.W, below + 1), (below + 1, transpose, below)]
        return [
            (vectors[sender], weights, xp.empty_like(sums[k]), sums[k])
            for sender, weights, k in pairs
            if k in receivers
        ]

    def _buffers(self, number, batch):
        """Return buffers of a convolution: padded input, patches, two convolved maps, what goes up, what comes down."""
        F, _, n_in, n_out = self.convolutions[number].W.shape
        padded = [rows + 2 * self.padding for rows in self.shapes[number - 1][:2]]
        h, z = self.map_sizes[number]
        shapes = (
            (*padded, n_in),
            (*h, F, F, n_in),
            (*h, n_out),
            (*h, n_out),
            (*z, n_out),
            (*padded, n_in),
        )
        return [xp.zeros((batch, *shape), dtype=self.dtype) for shape in shapes]  # of 0: rims are left as they are

    def gradients(
        self, delta: Array, r: Array, r_0: Array, switches: Sequence[Array], out: Tree = None
    ) -> dict[str, Tree]:
        """Return the sum over batch and time of d/dtheta of delta . (coupling at r), a tree like the parameters.

        Args:
            delta, r: trajectories (time, batch, N).
            r_0: what the input sends, (batch, rows, columns, channels).
            switches: trajectories (time, batch, z, z, C) of the pooling switches.
            out: a tree of the parameters to write into.
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

    def contrast(
        self, plus: Array, minus: Array, r_0: Array, switches: Any, scale: Any, out: Tree = None
    ) -> dict[str, Tree]:
        """Return scale (the terms of `gradients` that are of second order in the state, at plus, minus those at minus).

        Args:
            plus, minus: states (batch, N).
            r_0: what the input sends, (batch, rows, columns, channels).
            switches: (those of plus, those of minus), each of its own last step.
            scale: a number.
            out: a tree of the parameters to write into.
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
        unpooled = xp.zeros((len(above), *h, n_out), dtype=above.dtype)
        return kernel_gradient(pad(below, self.padding), unpool(above, switch, self.pooling, unpooled))

    def _tree(self, delta, r, r_0, first_switch, kernel, out):
        """Return all gradients: kernels by the function `kernel`, the others from the trajectories."""
        maps = len(self.convolutions)
        total = self.split(xp.sum(delta, axis=0))
        kernels = [self._kernel_gradient(r_0, total[0], first_switch, 0)]
        kernels += [kernel(number) for number in range(1, maps)]
        biases = [xp.sum(layer, axis=(0, 1, 2))[None] for layer in total[:maps]]
        d, s = ([affine.rows(layer) for layer in self._vectors(each)[maps - 1 :]] for each in (delta, r))
        classifier = [
            Affine(tied_gradient(s[k - 1], s[k], d[k - 1], d[k]), affine.bias_gradient(each))
            for k, each in enumerate(total[maps:], 1)
        ]
        grads = {
            "convolutions": [Affine(K, e) for K, e in zip(kernels, biases, strict=True)],
            "classifier": classifier,
        }
        if out is None:
            return grads
        for (_, buffer), (_, grad) in zip(parameters.leaves(out), parameters.leaves(grads), strict=True):
            buffer[...] = grad
        return out
