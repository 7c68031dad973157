"""Fully connected wiring of a network with symmetric (tied) weights.

With r_k the row vectors (batch, n_k) that layer k = 1..L sends, r_0 those of the input, and the output layer last,

    Phi = sum over k of r_{k-1} W_k r_k^T + r_k b_k^T                                      summed over the batch
    a_k = dPhi/dr_k = r_{k-1} W_k + b_k + r_{k+1} W_{k+1}^T                                (no last term for k = L)

so that what goes up through W_k comes down through its transpose, and nothing goes into the input. A `skip` connection
leads from the input to the output: a_L gets r_0 W_skip + b_skip too.

All layers of a network lie side by side in one *flat* array (..., P), P = batch (n_1 + .. + n_L): the first layer's
(batch, n_1) in row order, then the second's, ... What is elementwise runs over all layers in one pass, and each layer
is a contiguous matrix, given by `split`. Leading axes are those of replicas, and in a history the time before P.
"""

import dataclasses
import itertools

from plastic import xp
from plastic.parameters import Affine


@dataclasses.dataclass
class Dense:
    """Fully connected layers.

    layers: W_k (..., n_{k-1}, n_k) and b_k (..., 1, n_k), the input side first, two or more of them.
    skip: W (..., n_0, n_L) and b (..., 1, n_L), or None.
    """

    layers: list[Affine]
    skip: Affine | None = None

    @property
    def parameters(self):
        """The tree of all parameters."""
        return {"layers": self.layers} if self.skip is None else {"layers": self.layers, "skip": self.skip}

    @property
    def shapes(self):
        """The shape of one sample's activity in each layer: [(n_1,), .., (n_L,)]."""
        return [(layer.W.shape[-1],) for layer in self.layers]

    def split(self, flat):
        """Return the layers of a flat array (..., P) as views (..., batch, n_k)."""
        widths = [layer.W.shape[-1] for layer in self.layers]
        batch = flat.shape[-1] // sum(widths)
        ends = [batch * end for end in itertools.accumulate(widths, initial=0)]
        return [
            flat[..., start:end].reshape(*flat.shape[:-1], batch, n)
            for start, end, n in zip(ends[:-1], ends[1:], widths, strict=True)
        ]

    def zeros(self, x):
        """Return the flat array of zeros for a batch x (..., batch, n_0), with the replica axes of x or of W_1."""
        leading = max(x.shape[:-2], self.layers[0].W.shape[:-2], key=len)
        units = sum(layer.W.shape[-1] for layer in self.layers)
        return xp.zeros((*leading, x.shape[-2] * units), dtype=x.dtype)

    def switches(self, batch):
        """Return the pooling switches, a list of arrays: there are none here."""
        return []

    def drive(self, r_0, out, switches):
        """Write what does not change while the input stands, r_0 W_1 and all biases, into the flat `out`."""
        first, *others = self.split(out)
        xp.matmul(r_0, self.layers[0].W, out=first)
        first += self.layers[0].b
        for layer, a in zip(self.layers[1:], others, strict=True):
            a[...] = layer.b
        if self.skip is not None:
            others[-1] += r_0 @ self.skip.W
            others[-1] += self.skip.b

    def coupling(self, r, a, switches):
        """Return a function of no arguments that writes, for flat r, the coupling without the drive into flat a."""
        r, a = self.split(r), self.split(a)
        W = [layer.W for layer in self.layers]
        products = [(r[k - 1], W[k], a[k]) for k in range(1, len(W))]
        products.append((r[1], _transposed(W[1]), a[0]))
        more = [(r[k + 1], _transposed(W[k + 1]), xp.empty_like(a[k]), a[k]) for k in range(1, len(W) - 1)]

        def couple():
            for sent, weights, out in products:
                xp.matmul(sent, weights, out=out)
            for sent, weights, buffer, out in more:
                xp.matmul(sent, weights, out=buffer)
                out += buffer

        return couple

    adjoint_coupling = coupling  # Phi is symmetric

    def gradients(self, delta, r, r_0, switches=(), out=None):
        """Return the sum over batch and time of d/dtheta of delta . dPhi/dr, the tree of the parameters.

            W_k: r_{k-1}^T delta_k + delta_{k-1}^T r_k,    W_1: r_0^T delta_1,    b_k: delta_k

        delta, r: flat histories (..., time, P). r_0: (..., batch, n_0). out: a tree of the parameters to write into.
        """
        total = self.split(xp.sum(delta, axis=-2))
        delta, r = (over_time(self.split(history)) for history in (delta, r))
        outs = [Affine(None)] * len(self.layers) if out is None else out["layers"]
        grads = [_input_gradient(r_0, total[0], outs[0])]
        for k in range(1, len(self.layers)):
            W = weight_gradient(delta, r, k, out=outs[k].W)
            grads.append(Affine(W, bias_gradient(total[k], out=outs[k].b)))
        if self.skip is None:
            return {"layers": grads}
        return {"layers": grads, "skip": _input_gradient(r_0, total[-1], Affine(None) if out is None else out["skip"])}

    def contrast(self, plus, minus, r_0, switches, scale, out=None):
        """Return scale (dPhi/dtheta at r = plus, minus dPhi/dtheta at r = minus), for flat plus and minus.

        Phi is bilinear, so it is `gradients` with delta their difference and r their mean: differences of products,
        which lose digits, do not occur.
        """
        difference = (plus - minus)[..., None, :]
        mean = (0.5 * (plus + minus))[..., None, :]
        return self.gradients(scale * difference, mean, r_0, out=out)


def over_time(layers):
    """Return histories (..., time, batch, n) as rows (..., time * batch, n)."""
    return [layer.reshape(*layer.shape[:-3], -1, layer.shape[-1]) for layer in layers]


def weight_gradient(delta, r, k, out=None):
    """Return r_{k-1}^T delta_k + delta_{k-1}^T r_k as one product, for rows delta and r of all layers."""
    below = xp.concatenate([r[k - 1], delta[k - 1]], axis=-2)
    above = xp.concatenate([delta[k], r[k]], axis=-2)
    return xp.matmul(_transposed(below), above, out=out)


def bias_gradient(total, out=None):
    """Return the sum over the batch, (..., 1, n)."""
    return xp.sum(total, axis=-2, keepdims=True, out=out)


def _input_gradient(r_0, total, out):
    return Affine(xp.matmul(_transposed(r_0), total, out=out.W), bias_gradient(total, out=out.b))


def _transposed(W):
    return xp.swapaxes(W, -1, -2)
