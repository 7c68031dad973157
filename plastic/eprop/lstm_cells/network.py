"""A layer of LSTM cells with a linear readout: its parameters."""

import dataclasses
from typing import Any

from plastic import require
from plastic.eprop import checks
from plastic.eprop.kernelled import Kernelled
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Tree


@dataclasses.dataclass(eq=False, repr=False)
class LSTMNetwork(Kernelled):
    """A layer of n LSTM cells with a linear readout; `eprop.lstm` makes one.

    All parameters have the same replica axes, or none.

    Args:
        kernel: W (..., n_in + n, 4 n) from (x^t, h^{t-1}) to the gates, in the order i, j, f, o; b (..., 1, 4 n) or
            None.
        readout: W (..., n, n_out), b (..., 1, n_out) or None. Without its bias in one of two networks, the sum of their
            outputs is a bidirectional network with one readout.
        w_i, w_f, w_o: peepholes (..., 1, n), all three or none.
        forget_bias: what is added to the input of the forget gate.

    Raises:
        PlasticError: if there are one or two of the peepholes, or shapes, precisions or replica axes do not fit.

    Source: Hochreiter and Schmidhuber 1997; peepholes, Gers and Schmidhuber 2000.

    Example:
        >>> from plastic import xp
        >>> LSTMNetwork(Affine(xp.zeros((3 + 4, 16))), Affine(xp.zeros((4, 2))))
        LSTMNetwork 3-4-2
    """

    GATES = 4  # i, j, f, o
    kernel: Affine
    readout: Affine
    w_i: Any = None
    w_f: Any = None
    w_o: Any = None
    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        if len({peephole is None for peephole in (self.w_i, self.w_f, self.w_o)}) > 1:
            raise PlasticError("peepholes are w_i, w_f and w_o: give all three, or none")
        self.forget_bias = require.scalar("forget_bias", self.forget_bias)
        self._require_parameters("w_i", "w_f", "w_o")

    def __repr__(self) -> str:
        peepholes = "" if self.w_i is None else ", peepholes"
        return f"LSTMNetwork {'-'.join(map(str, self.sizes))}{peepholes}{checks.replicated(self.replicas)}"

    @property
    def parameters(self) -> Tree:
        """The tree of the parameters that the rules give gradients of."""
        return {name: getattr(self, name) for name in ("kernel", "readout", "w_i", "w_f", "w_o")}
