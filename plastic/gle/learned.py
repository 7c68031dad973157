"""What a GLE network learns, in one vector, so that an optimizer takes it in one pass."""

import itertools

from plastic import xp
from plastic.errors import PlasticError
from plastic.parameters import Affine


class Parameters:
    """What is learned, or its gradients: one vector, and views of its parts.

    vector: (..., P): W_1, .., W_L in turn, then the biases of all neurons, then their membrane time constants.
    layers: [Affine(W (..., n_{l-1}, n_l), b (..., 1, n_l) or None)].
    b: (..., 1, N), the biases of all neurons, or None.    tau_m: (..., 1, N), or None where it is not learned.
    """

    def __init__(self, vector, sizes, bias, learn_tau):
        self.vector, self.form = vector, (sizes, bias, learn_tau)
        shapes = list(itertools.pairwise(sizes))
        n = sum(sizes[1:])
        lengths = [a * b for a, b in shapes] + [n] * (bias + learn_tau)
        ends = list(itertools.accumulate(lengths, initial=0))
        if vector.shape[-1] != ends[-1]:
            raise PlasticError(f"the vector has {vector.shape[-1]} parameters; a network {sizes} has {ends[-1]}")
        parts = [vector[..., start:end] for start, end in itertools.pairwise(ends)]
        lead = vector.shape[:-1]
        W = [part.reshape(*lead, *shape) for part, shape in zip(parts, shapes, strict=False)]
        rest = [part.reshape(*lead, 1, n) for part in parts[len(shapes) :]]
        self.b = rest[0] if bias else None
        self.tau_m = rest[-1] if learn_tau else None
        columns = columns_of(sizes)
        self.layers = [Affine(W[k], self.b[..., columns[k]] if bias else None) for k in range(len(W))]

    def zeros_like(self):
        """Return parameters of the same form that are 0: gradients, say."""
        return Parameters(xp.zeros_like(self.vector), *self.form)

    def copy(self):
        """Return parameters of the same form and values."""
        return Parameters(self.vector.copy(), *self.form)


def columns_of(sizes):
    """Return where the layers lie among all N neurons: one slice for each."""
    return [slice(start, end) for start, end in itertools.pairwise(itertools.accumulate(sizes[1:], initial=0))]
