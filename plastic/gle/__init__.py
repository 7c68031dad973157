"""Generalized latent equilibrium (GLE): backpropagation through space and time by local dynamics.

    net = gle.network((1, 50, 10), generator, phi=["tanh", "linear"], tau_m=1.2, tau_r=0.2, dt=0.2)
    outputs = gle.predict(net, x)                        of every step
    state = gle.State(net, batch)
    grads, output = gle.step(net, state, x_t, err)       one Euler step; err: beta dL/doutput at state.output before it
    optimizer.step(net.parameters, grads, moments)       weights move in every step
    grads, outputs = gle.bptt(net, x, y)                 what GLE approximates forward in time; gle.adjoint: likewise

Ellenberger, Haider, Jordan, Max, Jaras, Kriener, Benitez, Petrovici: Backpropagation through space, time and the brain.
arXiv 2403.16933, 2024; Nature Communications, 2025. The equations are in `plastic.gle.dynamics`.

PATENT NOTICE: the authors of the published code state that its procedures are registered for patent protection, and
that unauthorized use may infringe. Before you use this family for other than research, ask them.
"""

from collections.abc import Callable

from plastic.gle.dynamics import evolve, predict, step
from plastic.gle.networks import Network, network
from plastic.gle.parameters import Parameters
from plastic.gle.rules import adjoint, bptt
from plastic.gle.state import State
from plastic.types import Array, Tree

NETWORKS: dict[str, Callable[..., Network]] = {"network": network}
RULES: dict[str, Callable[..., tuple[Tree, Array]]] = {"bptt": bptt, "adjoint": adjoint}
STEPS: dict[str, Callable[..., tuple[Tree, Array]]] = {"step": step}

__all__ = [
    "NETWORKS",
    "RULES",
    "STEPS",
    "Network",
    "Parameters",
    "State",
    "adjoint",
    "bptt",
    "evolve",
    "network",
    "predict",
    "step",
]


def __dir__() -> list[str]:
    return __all__
