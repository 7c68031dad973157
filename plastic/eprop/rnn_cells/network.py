"""A layer of tanh units with a linear readout: its parameters."""

import dataclasses
from typing import Any

from plastic.eprop import checks
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array, Tree


@dataclasses.dataclass(repr=False)
class RNNNetwork:
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
        for name in ("kernel", "readout"):
            if getattr(getattr(getattr(self, name), "W", None), "ndim", 0) < 2:
                found = type(getattr(self, name)).__name__
                raise PlasticError(f"{name} is a {found} without a matrix W; it must be Affine(W, b)")
        n_in, n, n_out = self.sizes
        if n_in < 1:
            raise PlasticError(
                f"kernel.W has {n_in + n} rows; it must have n_in + n, more than the {n} units of the readout"
            )
        checks.matrices(
            **{
                "kernel.W": (self.kernel.W, (n_in + n, n)),
                "kernel.b": (self.kernel.b, (1, n)),
                "readout.W": (self.readout.W, (n, n_out)),
                "readout.b": (self.readout.b, (1, n_out)),
            }
        )

    def __repr__(self) -> str:
        return f"RNNNetwork {'-'.join(map(str, self.sizes))}{checks.replicated(self.replicas)}"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The numbers of inputs, units and outputs."""
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
        return {"kernel": self.kernel, "readout": self.readout}

    @property
    def W_x(self) -> Array:
        """The weights (..., n_in, n) from the input."""
        return self.kernel.W[..., : self.sizes[0], :]

    @property
    def W_h(self) -> Array:
        """The recurrent weights (..., n, n)."""
        return self.kernel.W[..., self.sizes[0] :, :]
