"""What recurrent layers with one kernel have in common: LSTM cells (`lstm_cells`) and tanh units (`rnn_cells`)."""

from typing import Any

from plastic.eprop import checks
from plastic.errors import PlasticError
from plastic.parameters import Affine
from plastic.types import Array


class Kernelled:
    """A layer of n units that take (x^t, h^{t-1}) by one kernel into `GATES` inputs each, with a linear readout.

    Attributes:
        kernel: W (..., n_in + n, GATES n); b (..., 1, GATES n) or None.
        readout: W (..., n, n_out); b (..., 1, n_out) or None.
    """

    GATES = 1
    kernel: Affine
    readout: Affine

    def _require_parameters(self, *rows: str) -> None:
        """Require that the kernel, the readout and the attributes `rows`, (..., 1, n) or None, fit together."""
        for name in ("kernel", "readout"):
            checks.layer(name, getattr(self, name))
        n_in, n, n_out = self.sizes
        if n_in < 1:
            raise PlasticError(
                f"kernel.W has {n_in + n} rows; it must have n_in + n, more than the {n} rows of the readout"
            )
        parts: dict[str, tuple[Any, tuple[int, int]]] = {
            "kernel.W": (self.kernel.W, (n_in + n, self.GATES * n)),
            "kernel.b": (self.kernel.b, (1, self.GATES * n)),
            "readout.W": (self.readout.W, (n, n_out)),
            "readout.b": (self.readout.b, (1, n_out)),
        }
        checks.matrices(**parts | {name: (getattr(self, name), (1, n)) for name in rows})

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
    def W_x(self) -> Array:
        """The weights (..., n_in, GATES n) from the input."""
        return self.kernel.W[..., : self.sizes[0], :]

    @property
    def W_h(self) -> Array:
        """The recurrent weights (..., n, GATES n)."""
        return self.kernel.W[..., self.sizes[0] :, :]
