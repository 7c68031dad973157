"""Fully connected wiring of a network with symmetric (tied) weights.

With r_k the row vectors (batch, n_k) that layer k = 1..L sends, r_0 those of the input, and the output layer last,

    Phi = sum over k of r_{k-1} W_k r_k^T + r_k b_k^T                                      summed over the batch
    a_k = dPhi/dr_k = r_{k-1} W_k + b_k + r_{k+1} W_{k+1}^T                                (no last term for k = L)

so that what goes up through W_k comes down through its transpose, and nothing goes into the input. A `skip` connection
leads from the input to the output: a_L gets r_0 W_skip + b_skip too.

With `feedback`, the way down has weights U_k (n_k, n_{k-1}) of its own in the place of W_k^T, for k = 2 .. L. There is
no Phi then: the states follow a vector field. Its learning rule (Scellier et al. 2018; Ernoult et al. 2020) is the part
of the change of dPhi/dtheta that the layer which receives has made, with what the other sends before and after, on
average,

    dW_k = mean(r_{k-1})^T (change of r_k),    dU_k = mean(r_k)^T (change of r_{k-1})

so that where U_k = W_k^T, dW_k + dU_k^T is the change of dPhi/dW_k.

All layers of a network lie side by side in one array (..., batch, N), N = n_1 + .. + n_L: a row holds what belongs to a
sample, and each layer is a matrix of some columns, given by `split`; what is elementwise runs over all layers in one
pass. Layers .., L-3, L-1 come first, then .., L-2, L: these halves send to each other alone (`halves`), and what a
layer receives lies side by side, so that it is one product,

    a_k = [r_{k-1}, r_{k+1}] [W_k; W_{k+1}^T or U_{k+1}] + b_k

Leading axes are those of replicas, and in a trajectory the time before the batch.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from plastic import affine, parameters, require, xp
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


@dataclasses.dataclass(eq=False, repr=False)
class FullyConnected:
    """Fully connected layers.

    Args:
        layers: W_k (..., n_{k-1}, n_k) and b_k (..., 1, n_k), the input side first.
        skip: W (..., n_0, n_L) and b (..., 1, n_L), or None.
        feedback: U_k (..., n_k, n_{k-1}) for k = 2 .. L, Affine without biases; None for W_k^T.

    Raises:
        PlasticError: if the shapes do not fit together, or the precisions differ.
    """

    layers: list[Affine]
    skip: Affine | None = None
    feedback: list[Affine] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple) or not self.layers:
            raise PlasticError("layers must be a list of Affine, one or more")
        connections = {f"layers/{place}": layer for place, layer in enumerate(self.layers)}
        if self.skip is not None:
            connections["skip"] = self.skip
        require_connections(connections, axes=2)
        for below, above in itertools.pairwise(self.layers):
            require_chain(below.W.shape[-1], above.W.shape[-2], "the next layer")
        if self.skip is not None:
            require_chain(self.inputs, self.skip.W.shape[-2], "skip", "inputs")
            require_chain(self.outputs, self.skip.W.shape[-1], "the output of skip")
        if self.feedback is not None:
            self._require_feedback()

    def _require_feedback(self) -> None:
        """Raise PlasticError unless there is a feedback weight of the right shape for each layer but the first."""
        found: Any = self.feedback if isinstance(self.feedback, list | tuple) else [self.feedback]
        for place, U in enumerate(found):
            if not isinstance(U, Affine) or U.b is not None:
                raise PlasticError(f"feedback/{place} is {U!r}; it must be an Affine without a bias")
            require.array(f"feedback/{place}/W", U.W)
        shapes = [(U.W.shape, U.W.dtype.name) for U in found]
        wanted = [(affine.transposed(layer.W).shape, self.dtype.name) for layer in self.layers[1:]]
        if shapes != wanted:
            raise PlasticError(f"feedback holds weights of {shapes}, but {wanted} are needed")

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.layout}"

    @property
    def layout(self) -> str:
        """The widths from the input on, as in 784-512-10."""
        skip = "" if self.skip is None else f" and {self.inputs}-{self.outputs}"
        untied = "" if self.feedback is None else ", untied"
        return "-".join(map(str, (self.inputs, *(n for (n,) in self.shapes)))) + skip + untied

    @property
    def parameters(self) -> dict[str, Tree]:
        """The tree of all parameters."""
        tree = {"layers": self.layers, "skip": self.skip, "feedback": self.feedback}
        return {name: part for name, part in tree.items() if part is not None}

    @property
    def weights(self) -> list[Array]:
        """The weights, the input side first, and then those of the feedback."""
        return [layer.W for layer in (*self.layers, *(self.feedback or []))]

    @property
    def inputs(self) -> int:
        """The number of inputs, n_0."""
        return self.layers[0].W.shape[-2]

    @property
    def outputs(self) -> int:
        """The number of units of the last layer, n_L."""
        return self.layers[-1].W.shape[-1]

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.layers[0].W.dtype

    @property
    def replicas(self) -> tuple[int, ...]:
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
        leading = require.replicas(network=self.replicas, x=r_0.shape[:-2])
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
            workspace.append(xp.empty((*self.replicas, m // width, n, width), dtype=self.dtype))
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
        below = [self.layers[k].W] if k > 0 else []
        if k + 1 == len(self.layers):
            return below
        return [*below, affine.transposed(self.layers[k + 1].W) if self.feedback is None else self.feedback[k].W]

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
        if last == 0:  # nothing is sent to a single layer
            return lambda: view(a, columns[0]).fill(0)
        for k in range(last + 1) if receivers is None else receivers:
            lowest, highest = columns[k - 1 if k > 0 else 1], columns[k + 1 if k < last else k - 1]
            sent = view(r, slice(lowest.start, highest.stop))
            received = blocks_of(view(a, columns[k]), stacks[k].shape[-1])
            products.append((sent[..., None, :, :], stacks[k], received))

        def couple() -> None:
            for sent, weights, out in products:
                xp.matmul(sent, weights, out=out)

        return couple

    def adjoint_coupling(self, r: Array, a: Array, switches: Sequence[Array]) -> Callable[[], None]:
        """Return a function that writes the adjoint of the coupling; without `feedback` that is the coupling itself."""
        return self._reversed.coupling(r, a, switches)

    @functools.cached_property
    def _reversed(self):
        """The wiring in which signals go the other way: with U_k^T up and W_k^T down."""
        if self.feedback is None:
            return self
        up = [Affine(affine.transposed(U.W), layer.b) for U, layer in zip(self.feedback, self.layers[1:], strict=True)]
        down = [Affine(affine.transposed(layer.W), None) for layer in self.layers[1:]]
        return FullyConnected([self.layers[0], *up], feedback=down)

    def gradients(
        self, delta: Array, r: Array, r_0: Array, switches: Sequence[Array] = (), out: Tree = None
    ) -> dict[str, Tree]:
        """Return the sum over batch and time of d/dtheta of delta . dPhi/dr, a tree of the shape of the parameters.

            W_k: r_{k-1}^T delta_k + delta_{k-1}^T r_k,    W_1: r_0^T delta_1,    b_k: delta_k

        With `feedback`, the second term belongs to U_k: r_k^T delta_{k-1}.

        Args:
            delta, r: trajectories (..., time, batch, N).
            r_0: what the input sends, (..., batch, n_0).
            switches: the pooling switches; there are none here.
            out: a tree of the parameters to write into.
        """
        total = self.split(xp.sum(delta, axis=-3))
        deltas, sent = ([affine.rows(layer) for layer in self.split(each)] for each in (delta, r))
        out = parameters.map(lambda _: None, self.parameters) if out is None else out
        grads: dict[str, Tree] = {"layers": [_input_gradient(r_0, total[0], out["layers"][0])]}
        for k in range(1, len(self.layers)):
            to = out["layers"][k]
            if self.feedback is None:
                W = tied_gradient(sent[k - 1], sent[k], deltas[k - 1], deltas[k], out=to.W)
            else:
                W = affine.weight_gradient(sent[k - 1], deltas[k], out=to.W)
            grads["layers"].append(Affine(W, affine.bias_gradient(total[k], out=to.b)))
        if self.skip is not None:
            grads["skip"] = _input_gradient(r_0, total[-1], out["skip"])
        if self.feedback is not None:
            grads["feedback"] = [
                Affine(affine.weight_gradient(sent[k + 1], deltas[k], out=to.W), None)
                for k, to in enumerate(out["feedback"])
            ]
        return grads

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
