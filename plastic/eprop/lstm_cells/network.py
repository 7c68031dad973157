"""A layer of LSTM cells with a linear readout: its parameters."""

import dataclasses
from typing import Any

from plastic import require
from plastic.eprop import checks
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(repr=False)
class LSTMNetwork:
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

    kernel: Affine
    readout: Affine
    w_i: Any = None
    w_f: Any = None
    w_o: Any = None
    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        if len({peephole is None for peephole in (self.w_i, self.w_f, self.w_o)}) > 1:
            raise PlasticError("peepholes are w_i, w_f and w_o: give all three, or none")
        for name in ("kernel", "readout"):
            if getattr(getattr(getattr(self, name), "W", None), "ndim", 0) < 2:
                found = type(getattr(self, name)).__name__
                raise PlasticError(f"{name} is a {found} without a matrix W; it must be Affine(W, b)")
        require.number("forget_bias", self.forget_bias)
        self.forget_bias = float(self.forget_bias)
        n_in, n, n_out = self.sizes
        if n_in < 1:
            raise PlasticError(
                f"kernel.W has {n_in + n} rows; it must have n_in + n, more than the {n} cells of the readout"
            )
        checks.matrices(
            **{
                "kernel.W": (self.kernel.W, (n_in + n, 4 * n)),
                "kernel.b": (self.kernel.b, (1, 4 * n)),
                "readout.W": (self.readout.W, (n, n_out)),
                "readout.b": (self.readout.b, (1, n_out)),
                "w_i": (self.w_i, (1, n)),
                "w_f": (self.w_f, (1, n)),
                "w_o": (self.w_o, (1, n)),
            }
        )

    def __repr__(self) -> str:
        peepholes = "" if self.w_i is None else ", peepholes"
        return f"LSTMNetwork {'-'.join(map(str, self.sizes))}{peepholes}{checks.replicated(self.replicas)}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, cells and outputs."""
        n, n_out = self.readout.W.shape[-2:]
        return self.kernel.W.shape[-2] - n, n, n_out

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes of the parameters."""
        return self.kernel.W.shape[:-2]

    @property
    def dtype(self) -> Any:
        """The precision of the parameters."""
        return self.kernel.W.dtype

    @property
    def parameters(self) -> Tree:
        """The tree of the parameters that the rules give gradients of."""
        return {name: getattr(self, name) for name in ("kernel", "readout", "w_i", "w_f", "w_o")}

    @property
    def W_x(self) -> Array:
        """The weights (..., n_in, 4 n) from the input to the gates."""
        return self.kernel.W[..., : self.sizes[0], :]

    @property
    def W_h(self) -> Array:
        """The recurrent weights (..., n, 4 n), from the cells to the gates."""
        return self.kernel.W[..., self.sizes[0] :, :]
