"""What a network is, whatever its dynamics: a wiring, an activation, a time step, and its loss.

Without a readout the last layer is the output, and the loss of a sample

    L = 1/2 |y - s_L|^2,                                  dL/ds_L = s_L - y

With a readout (Laborieux et al. 2021) the last layer is a hidden one, and W, b that take no part in the dynamics lead
to the output,

    pi = softmax(s_L W + b),    L = -sum of y log pi,     dL/ds_L = (pi - y) W^T,    dL/dW = s_L^T (pi - y)
"""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol, Self

from plastic import affine, functions, require, xp
from plastic.ep.dynamics.part import Part
from plastic.ep.wiring import Convolutional, FullyConnected
from plastic.ep.wiring.connections import require_chain, require_connections
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.parameters import Affine
from plastic.types import Array, Tree


class Recorded(Protocol):
    """What `sweep` needs of a trajectory; see `plastic.ep.Trajectory`."""

    s: Array
    a: Array
    switches: list[Array]

    def recall_switches(self, t: int, switches: Sequence[Array]) -> None:
        """Read the switches of step t into `switches`."""


@dataclasses.dataclass(eq=False, repr=False)
class Network(abc.ABC):
    """A network without its dynamics, which `EnergyNetwork` and `PrototypicalNetwork` add.

    Args:
        wiring: a `FullyConnected` or `Convolutional`: parameters and couplings.
        phi: the activation rho of all layers, or its name.
        dt: the length of a step, above 0 and at most 1.
        readout: W (..., n_L, n) and b (..., 1, n) of a softmax output, or None where the last layer is the output.

    Raises:
        PlasticError: if one of them is something else.
    """

    wiring: FullyConnected | Convolutional
    phi: Activation
    dt: float = 1.0
    readout: Affine | None = dataclasses.field(default=None, kw_only=True)

    solvers: ClassVar[tuple[str, ...]] = ("steps", "anderson", "layerwise")
    """How its relaxations may come to rest; see `plastic.ep.solvers`."""

    def __post_init__(self) -> None:
        if not isinstance(self.wiring, FullyConnected | Convolutional):
            raise PlasticError(f"wiring is a {type(self.wiring).__name__}, not a FullyConnected or Convolutional")
        self.phi = functions.activation(self.phi)
        self.dt = require.scalar("dt", self.dt, above=0, most=1)
        if self.readout is not None:
            require_connections({"readout": self.readout}, axes=2)
            require_chain(self.wiring.outputs, self.readout.W.shape[-2], "the readout")
        elif len(self.wiring.shapes) < 2:
            raise PlasticError("a network has at least one hidden layer, and a classifier behind convolutions")

    def __repr__(self) -> str:
        replicas = f", replicas {self.replicas}" if self.replicas else ""
        read = "" if self.readout is None else f" and softmax {self.outputs}"
        return f"{type(self).__name__} {self.wiring.layout}{read}, {self.phi}, dt {self.dt:g}{self._more()}{replicas}"

    def _more(self) -> str:
        return ""

    @property
    def as_tanh(self) -> "Network | None":
        """The same network with tanh in the place of sigm, in the variable 2 s - 1; None where there is none."""
        return None

    @property
    def parameters(self) -> dict[str, Tree]:
        """The tree of all parameters: {"layers"} or {"convolutions", "classifier"}, and "readout" and others if any."""
        return self.wiring.parameters | ({} if self.readout is None else {"readout": self.readout})

    def with_parameters(self, tree: dict[str, Tree]) -> Self:
        """Return the network with the parameters of `tree`, of replicas for instance, in the place of its own."""
        wired = {name: part for name, part in tree.items() if name != "readout"}
        return dataclasses.replace(self, wiring=dataclasses.replace(self.wiring, **wired), readout=tree.get("readout"))

    @property
    def replicas(self) -> tuple[int, ...]:
        """The replica axes of the parameters."""
        return self.wiring.replicas

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.wiring.outputs if self.readout is None else self.readout.W.shape[-1]

    def output(self, top: Array) -> Array:
        """Return the output (..., batch, n), of the state of the last layer: itself without a readout."""
        return top if self.readout is None else functions.softmax(top @ self.readout.W + self.readout.b)

    def loss(self, output: Array, y: Array) -> Array:
        """Return the mean of L over the batch, of the replica axes, for outputs and targets (..., batch, n)."""
        if self.readout is None:
            return xp.sum((output - y) ** 2, axis=(-2, -1)) / (2 * y.shape[-2])
        least = float(xp.finfo(output.dtype).tiny)
        return -xp.sum(y * xp.log(xp.maximum(output, least)), axis=(-2, -1)) / y.shape[-2]

    def pull(self, top: Array, y: Array) -> Array:
        """Return -dL/ds_L of each sample, (..., batch, n_L), at the state of the last layer."""
        if self.readout is None:
            return y - top
        return (y - self.output(top)) @ affine.transposed(self.readout.W)

    def readout_gradient(self, top: Array, y: Array) -> Affine:
        """Return the mean of dL/d(W, b) of the readout over the batch, at the state of the last layer."""
        err = (self.output(top) - y) / y.shape[-2]
        return Affine(affine.weight_gradient(top, err), affine.bias_gradient(err))

    @abc.abstractmethod
    def sent(self, s: Array) -> Array:
        """Return what states or inputs s send to other layers."""

    @abc.abstractmethod
    def step(self, w: Part, beta: Any = 0.0, y: Array | None = None) -> None:
        """Make one step of a part w of a relaxation, nudged by beta towards y if there is a y."""

    @abc.abstractmethod
    def sweep(self, trajectory: Recorded, adjoint: Array) -> Iterator[tuple[int, Array, Array]]:
        """Walk back over the steps of a trajectory with the adjoint at its end."""

    @abc.abstractmethod
    def require_differentiable(self) -> None:
        """Raise PlasticError if the activation lacks a derivative that `sweep` needs."""
