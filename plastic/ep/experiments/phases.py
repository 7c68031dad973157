"""The options of the free and of the nudged phase, which all experiments share."""

import dataclasses

from plastic import require
from plastic.ep.experiments.network_options import NetworkOptions
from plastic.errors import PlasticError


@dataclasses.dataclass(frozen=True)
class Phases:
    """How long the two phases are, and how strong the nudge is.

    Args:
        T: steps of the free phase.
        Kmax: steps of the nudged phase.
        beta: strength of the nudge.
        tolerance: a relaxation ends when no state changes by more than this in a step; 0 makes all steps.
    """

    T: int = 100
    Kmax: int = 25
    beta: float = 1.0
    tolerance: float = 0.0

    def require(self) -> None:
        """Raise PlasticError where the two rules cannot run."""
        for name, value in (("T", self.T), ("Kmax", self.Kmax)):
            require.whole(name, value, most=10**9)
        if self.Kmax > self.T:
            raise PlasticError(f"Kmax is {self.Kmax}, but T is {self.T}; BPTT needs Kmax <= T free steps")
        require.nonzero("beta", self.beta)
        require.number("tolerance", self.tolerance, least=0)

    def steps_back(self, network: NetworkOptions) -> int:
        """Return how many steps BPTT goes back in training: Kmax + 1, but Kmax in maps, as published."""
        return self.Kmax + (0 if network.C_tab else 1)
