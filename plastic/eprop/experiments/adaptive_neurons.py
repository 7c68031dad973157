"""The options of LIF and ALIF neurons with a leaky readout, which the experiments of one decision per trial share."""

import dataclasses
from typing import Any

import numpy as np

from plastic import require, xp
from plastic.eprop.spiking import Neurons, decay
from plastic.errors import PlasticError


@dataclasses.dataclass(frozen=True)
class AdaptiveNeurons:
    """LIF neurons, then ALIF neurons, and the readout.

    Args:
        tau_a: time constant of the adaptation in ms.
        thr: threshold.
        tau_v: time constant of the membrane in ms.
        tau_out: time constant of the readout in ms.
        n_ref: refractory period in ms, the step of the spike counted; 1 for none.
        dampening_factor: gamma, the height of the pseudo-derivative.
        beta: strength of the adaptation, in the units of the published code.
        n_regular: LIF neurons.
        n_adaptive: ALIF neurons.
    """

    tau_a: float = 2000.0
    thr: float = 0.6
    tau_v: float = 20.0
    tau_out: float = 20.0
    n_ref: int = 5
    dampening_factor: float = 0.3
    beta: float = 1.7
    n_regular: int = 50
    n_adaptive: int = 50

    def __post_init__(self) -> None:
        for name in ("tau_a", "tau_v", "tau_out"):
            require.number(name, getattr(self, name), above=0, below=1e12)
        for name in ("thr", "dampening_factor"):
            require.number(name, getattr(self, name), above=0)
        require.number("beta", self.beta, least=0)
        require.whole("n_ref", self.n_ref)
        for name in ("n_regular", "n_adaptive"):
            require.whole(name, getattr(self, name), 0)
        if self.n == 0:
            raise PlasticError("n_regular and n_adaptive are 0; there must be one neuron or more in all")

    @classmethod
    def of(cls, options: dict[str, Any]) -> "AdaptiveNeurons":
        """Return those among the options of a run."""
        return cls(**{field.name: options[field.name] for field in dataclasses.fields(cls)})

    @property
    def n(self) -> int:
        """How many neurons there are."""
        return self.n_regular + self.n_adaptive

    @property
    def kappa(self) -> float:
        """The decay of the readout in a step."""
        return decay(self.tau_out)

    def constants(self) -> Neurons:
        """Return the constants of the neurons.

        beta is that of the published code, for an input gain of 1 - alpha; with the gain of 1 used here it is
        beta (1 - rho) / (1 - alpha).
        """
        alpha, rho = decay(self.tau_v), decay(self.tau_a)
        beta = np.zeros((1, self.n))
        beta[0, self.n_regular :] = self.beta * (1 - rho) / (1 - alpha)
        return Neurons(alpha, self.thr, rho, xp.asarray(beta), self.dampening_factor, n_ref=self.n_ref)
