"""Fully connected wiring of a network with symmetric (tied) weights.

With r_k the row vectors (batch, n_k) that layer k = 1..L sends, r_0 those of the input, and the output layer last,

    Phi = sum over k of r_{k-1} W_k r_k^T + r_k b_k^T                                      summed over the batch
    a_k = dPhi/dr_k = r_{k-1} W_k + b_k + r_{k+1} W_{k+1}^T                                (no last term for k = L)

so that what goes up through W_k comes down through its transpose, and nothing goes into the input. A `skip` connection
leads from the input to the output: a_L gets r_0 W_skip + b_skip too.

All layers of a network lie side by side in one array (..., batch, N), N = n_1 + .. + n_L: a row holds what belongs to a
sample, and each layer is a matrix of some columns, given by `split`; what is elementwise runs over all layers in one
pass. Layers .., L-3, L-1 come first, then .., L-2, L: these halves send to each other alone (`halves`), and what a
layer receives lies side by side, so that it is one product,

    a_k = [r_{k-1}, r_{k+1}] [W_k; W_{k+1}^T] + b_k

Leading axes are those of replicas, and in a trajectory the time before the batch.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from plastic import affine, require, xp
from plastic.ep.wiring.connections import (
    Pieces,
    Rows,
    block_width,
    blocks_of,
    columns_of,
    halves_of,
    require_chain,
    require_connections,
    tied_gradient,
    view,
)
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(repr=False)
class FullyConnected:
    """Fully connected layers.

    Args:
        layers: W_k (..., n_{k-1}, n_k) and b_k (..., 1, n_k), the input side first, two or more of them.
        skip: W (..., n_0, n_L) and b (..., 1, n_L), or None.

    Raises:
        PlasticError: if the shapes do not fit together, or the precisions differ.
    """

    layers: list[Affine]
    skip: Affine | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple) or len(self.layers) < 2:
            raise PlasticError("layers must be a list of two Affine or more: there is at least one hidden layer")
        connections = {f"layers/{place}": layer for place, layer in enumerate(self.layers)}
        if self.skip is not None:
            connections["skip"] = self.skip
        require_connections(connections, axes=2)
        for below, above in itertools.pairwise(self.layers):
            require_chain(below.W.shape[-1], above.W.shape[-2], "the next layer")
        if self.skip is not None:
            require_chain(self.inputs, self.skip.W.shape[-2], "skip", "inputs")
            require_chain(self.outputs, self.skip.W.shape[-1], "the output of skip")

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.layout}"

    @property
    def layout(self) -> str:
        """The widths from the input on, as in 784-512-10."""
        skip = "" if self.skip is None else f" and {self.inputs}-{self.outputs}"
        return "-".join(map(str, (self.inputs, *(n for (n,) in self.shapes)))) + skip

    @property
    def parameters(self) -> dict[str, Tree]:
        """The tree of all parameters."""
        return {"layers": self.layers} if self.skip is None else {"layers": self.layers, "skip": self.skip}

    @property
    def weights(self) -> list[Array]:
        """The weights, the input side first."""
        return [layer.W for layer in self.layers]

    @property
    def inputs(self) -> int:
        """The number of inputs, n_0."""
        return self.layers[0].W.shape[-2]

    @property
    def outputs(self) -> int:
        """The number of outputs, n_L."""
        return self.layers[-1].W.shape[-1]

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.layers[0].W.dtype

    @property
    def leading(self) -> tuple[int, ...]:
        """The replica axes of the parameters."""
        return self.layers[0].W.shape[:-2]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of one sample's activity in each layer: [(n_1,), .., (n_L,)]."""
        return [(layer.W.shape[-1],) for layer in self.layers]

    def input_of(self, x: Any) -> Array:
        """Return inputs x, rows (..., batch, n_0), as they are; raises PlasticError if x is something else."""
        require.rows("x", x, self.inputs, self.dtype)
        return x

    def split(self, rows: Rows) -> list[Array]:
        """Return the layers of an array (..., batch, N), or of its halves, as views (..., batch, n_k)."""
        return [view(rows, columns) for columns in self._columns]

    @functools.cached_property
    def halves(self) -> Pieces:
        """The columns and the numbers, from 0, of the layers .., L-3, L-1, and those of the layers .., L-2, L."""
        return halves_of([n for (n,) in self.shapes])

    @functools.cached_property
    def _columns(self):
        return columns_of([n for (n,) in self.shapes])

    def zeros(self, r_0: Array) -> Array:
        """Return the array (..., batch, N) of zeros for inputs r_0 (..., batch, n_0), with all replica axes."""
        leading = require.replicas(network=self.leading, x=r_0.shape[:-2])
        return xp.zeros((*leading, r_0.shape[-2], sum(n for (n,) in self.shapes)), dtype=r_0.dtype)

    def switches(self, batch: int) -> list[Array]:
        """Return the pooling switches for a batch, a list of arrays: there are none here."""
        return []

    def drive(self, r_0: Array, out: Array, switches: Sequence[Array]) -> None:
        """Write what the input and the biases contribute, constant while the input stands.

        Args:
            r_0: what the input sends, (..., batch, n_0).
            out: the array (..., batch, N) that r_0 W_1 and all biases are written into.
            switches: the pooling switches; there are none here.
        """
        first, *others = self.split(out)
        xp.matmul(r_0, self.layers[0].W, out=first)
        first += self.layers[0].b
        for layer, a in zip(self.layers[1:], others, strict=True):
            a[...] = layer.b
        if self.skip is not None:
            others[-1] += r_0 @ self.skip.W
            others[-1] += self.skip.b

    def workspace(self, batch: int) -> Any:
        """Return what the couplings of a batch need: [W_k; W_{k+1}^T] for each layer, in blocks of columns.

        A product with such an array costs less than two, and less than one with a transposed view.
        """
        workspace = []
        for k, layer in enumerate(self.layers):
            n, m = sum(W.shape[-2] for W in self._towards(k)), layer.W.shape[-1]
            width = block_width(batch, n, m)
            workspace.append(xp.empty((*self.leading, m // width, n, width), dtype=self.dtype))
        self.renew(workspace)
        return workspace

    def renew(self, workspace: Any) -> None:
        """Write the weights as they are now into a workspace."""
        for k, stack in enumerate(workspace):
            first = 0
            for W in self._towards(k):
                stack[..., first : first + W.shape[-2], :] = blocks_of(W, stack.shape[-1])
                first += W.shape[-2]

    def _towards(self, k):
        """Return the weights from the layers below and above to layer number k, from 0."""
        W = self.weights
        return W[k : k + 1] * (k > 0) + [affine.transposed(each) for each in W[k + 1 : k + 2]]

    def coupling(
        self,
        r: Rows,
        a: Rows,
        switches: Sequence[Array],
        receivers: Sequence[int] | None = None,
        workspace: Any = None,
    ) -> Callable[[], None]:
        """Return a function of no arguments that writes the coupling, without the drive, of r into a.

        Args:
            r: what the layers send, read whenever the function is called.
            a: what they receive.
            switches: the pooling switches; there are none here.
            receivers: numbers of the layers, from 0, that receive; others are left alone. None for all.
            workspace: what `workspace` gave, or None for a new one.
        """
        columns, last = self._columns, len(self.layers) - 1
        stacks = self.workspace(view(a, columns[0]).shape[-2]) if workspace is None else workspace
        products = []
        for k in range(last + 1) if receivers is None else receivers:
            lowest, highest = columns[k - 1 if k > 0 else 1], columns[k + 1 if k < last else k - 1]
            sent = view(r, slice(lowest.start, highest.stop))
            received = blocks_of(view(a, columns[k]), stacks[k].shape[-1])
            products.append((sent[..., None, :, :], stacks[k], received))

        def couple() -> None:
            for sent, weights, out in products:
                xp.matmul(sent, weights, out=out)

        return couple

    adjoint_coupling = coupling  # Phi is symmetric

    def gradients(
        self, delta: Array, r: Array, r_0: Array, switches: Sequence[Array] = (), out: Tree = None
    ) -> dict[str, Tree]:
        """Return the sum over batch and time of d/dtheta of delta . dPhi/dr, a tree of the shape of the parameters.

            W_k: r_{k-1}^T delta_k + delta_{k-1}^T r_k,    W_1: r_0^T delta_1,    b_k: delta_k

        Args:
            delta, r: trajectories (..., time, batch, N).
            r_0: what the input sends, (..., batch, n_0).
            switches: the pooling switches; there are none here.
            out: a tree of the parameters to write into.
        """
        total = self.split(xp.sum(delta, axis=-3))
        deltas, sent = ([affine.rows(layer) for layer in self.split(each)] for each in (delta, r))
        outs = [Affine(None)] * len(self.layers) if out is None else out["layers"]
        grads = [_input_gradient(r_0, total[0], outs[0])]
        for k in range(1, len(self.layers)):
            W = tied_gradient(sent[k - 1], sent[k], deltas[k - 1], deltas[k], out=outs[k].W)
            grads.append(Affine(W, affine.bias_gradient(total[k], out=outs[k].b)))
        if self.skip is None:
            return {"layers": grads}
        return {"layers": grads, "skip": _input_gradient(r_0, total[-1], Affine(None) if out is None else out["skip"])}

    def contrast(
        self, plus: Array, minus: Array, r_0: Array, switches: Any, scale: Any, out: Tree = None
    ) -> dict[str, Tree]:
        """Return scale (dPhi/dtheta at r = plus, minus dPhi/dtheta at r = minus), a tree like the parameters.

        Phi is bilinear, so it is `gradients` with delta their difference and r their mean: differences of products,
        which lose digits, do not occur.

        Args:
            plus, minus: what the layers send, (..., batch, N).
            r_0: what the input sends, (..., batch, n_0).
            switches: (those of plus, those of minus); there are none here.
            scale: a number, or one for each replica, (..., 1, 1).
            out: a tree of the parameters to write into.
        """
        difference, mean = scale * (plus - minus), 0.5 * (plus + minus)
        return self.gradients(difference[..., None, :, :], mean[..., None, :, :], r_0, out=out)


def _input_gradient(r_0: Array, total: Array, out: Affine) -> Affine:
    return Affine(affine.weight_gradient(r_0, total, out=out.W), affine.bias_gradient(total, out=out.b))
