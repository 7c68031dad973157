"""A layer of tanh units with a linear readout: its parameters."""

import dataclasses

from plastic.eprop import checks
from plastic.eprop.kernelled import Kernelled
from plastic.parameters import Affine
from plastic.types import Tree


@dataclasses.dataclass(eq=False, repr=False)
class RNNNetwork(Kernelled):
    """A layer of n recurrent tanh units with a linear readout; `eprop.rnn` makes one.

    All parameters have the same replica axes, or none.

    Args:
        kernel: W (..., n_in + n, n) from (x^t, h^{t-1}) to the units; b (..., 1, n) or None.
        readout: W (..., n, n_out), b (..., 1, n_out) or None.

    Raises:
        PlasticError: if shapes, precisions or replica axes do not fit.

    Source: Elman 1990.

    Example:
        >>> from plastic import xp
        >>> RNNNetwork(Affine(xp.zeros((3 + 4, 4))), Affine(xp.zeros((4, 2))))
        RNNNetwork 3-4-2
    """

    kernel: Affine
    readout: Affine

    def __post_init__(self) -> None:
        self._require_parameters()

    def __repr__(self) -> str:
        return f"RNNNetwork {'-'.join(map(str, self.sizes))}{checks.replicated(self.replicas)}"

    @property
    def parameters(self) -> Tree:
        """The tree of the parameters that the rules give gradients of."""
        return {"kernel": self.kernel, "readout": self.readout}
