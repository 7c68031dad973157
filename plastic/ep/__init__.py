"""Equilibrium propagation and its baseline, backpropagation through time (Ernoult et al. 2019).

    net = ep.energy((784, 512, 10), generator)                         # or prototypical, toy, convolutional
    output = ep.predict(net, x, T=100)
    grads, output = ep.eqprop(net, x, y, T=100, K=12, beta=0.5)
    grads, output = ep.bptt(net, x, y, T=100, steps=12)
    grads, output = ep.step(net, state, y, beta=0.5)                   # one nudged step of continual EP
    comparison = ep.Comparison(net, x, y, T=800, K=80, beta=0.001)     # both rules, step by step

A network is a wiring (parameters and a symmetric coupling of the states, `plastic.ep.wiring`) with dynamics (one step,
and its adjoint, `plastic.ep.dynamics`), so that both rules (`plastic.ep.rules`) run on any pair.

Ernoult, Grollier, Querlioz, Bengio, Scellier: Updates of equilibrium prop match gradients of backprop through time in
an RNN with static input. Advances in Neural Information Processing Systems 32, 2019.
"""

from collections.abc import Callable

from plastic.ep.continual import step
from plastic.ep.curves import Comparison, distances
from plastic.ep.dynamics import EnergyNetwork, Network, PrototypicalNetwork
from plastic.ep.networks import convolutional, energy, prototypical, toy
from plastic.ep.relaxation import Relaxation, Trajectory
from plastic.ep.rules import bptt, eqprop, predict
from plastic.ep.wiring import Convolutional, FullyConnected
from plastic.types import Array, Tree

NETWORKS: dict[str, Callable[..., Network]] = {
    "toy": toy,
    "energy": energy,
    "prototypical": prototypical,
    "convolutional": convolutional,
}
RULES: dict[str, Callable[..., tuple[Tree, Array]]] = {"eqprop": eqprop, "bptt": bptt}
STEPS: dict[str, Callable[..., tuple[Tree, Array]]] = {"step": step}

__all__ = [
    "NETWORKS",
    "RULES",
    "STEPS",
    "Comparison",
    "Convolutional",
    "EnergyNetwork",
    "FullyConnected",
    "Network",
    "PrototypicalNetwork",
    "Relaxation",
    "Trajectory",
    "bptt",
    "convolutional",
    "distances",
    "energy",
    "eqprop",
    "predict",
    "prototypical",
    "step",
    "toy",
]


def __dir__() -> list[str]:
    return __all__
