"""What a network is, whatever its dynamics: a wiring, an activation and a time step."""

import abc
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol, Self

from plastic import functions, require
from plastic.ep.dynamics.part import Part
from plastic.ep.wiring import Convolutional, FullyConnected
from plastic.errors import PlasticError
from plastic.functions import Activation
from plastic.types import Array, Tree


class Recorded(Protocol):
    """What `sweep` needs of a trajectory; see `plastic.ep.Trajectory`."""

    s: Array
    a: Array
    switches: list[Array]

    def recall_switches(self, t: int, switches: Sequence[Array]) -> None:
        """Read the switches of step t into `switches`."""


@dataclasses.dataclass(repr=False)
class Network(abc.ABC):
    """A network without its dynamics, which `EnergyNetwork` and `PrototypicalNetwork` add.

    Args:
        wiring: a `FullyConnected` or `Convolutional`: parameters and couplings.
        phi: the activation rho of all layers, or its name.
        dt: the length of a step, above 0 and at most 1.

    Raises:
        PlasticError: if one of them is something else.
    """

    wiring: FullyConnected | Convolutional
    phi: Activation
    dt: float = 1.0

    solvers: ClassVar[tuple[str, ...]] = ("steps", "anderson", "layerwise")
    """How its relaxations may come to rest; see `plastic.ep.solvers`."""

    def __post_init__(self) -> None:
        if not isinstance(self.wiring, FullyConnected | Convolutional):
            raise PlasticError(f"wiring is a {type(self.wiring).__name__}, not a FullyConnected or Convolutional")
        self.phi = functions.activation(self.phi)
        self.dt = require.scalar("dt", self.dt, above=0, most=1)

    def __repr__(self) -> str:
        replicas = f", replicas {self.wiring.leading}" if self.wiring.leading else ""
        return f"{type(self).__name__} {self.wiring.layout}, {self.phi}, dt {self.dt:g}{self._more()}{replicas}"

    def _more(self) -> str:
        return ""

    @property
    def as_tanh(self) -> "Network | None":
        """The same network with tanh in the place of sigm, in the variable 2 s - 1; None where there is none."""
        return None

    @property
    def parameters(self) -> dict[str, Tree]:
        """The tree of all parameters: {"layers", "skip" in the toy model}, or {"convolutions", "classifier"}."""
        return self.wiring.parameters

    def with_parameters(self, tree: dict[str, Tree]) -> Self:
        """Return the network with the parameters of `tree`, of replicas for instance, in the place of its own."""
        return dataclasses.replace(self, wiring=dataclasses.replace(self.wiring, **tree))

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
