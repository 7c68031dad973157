"""Generalized latent equilibrium (GLE): backpropagation through space and time by local dynamics.

    network = gle.Network.create(layers, phi, tau_m, tau_r, dt)
    state, grads = gle.State(network, batch), network.parameters.zeros_like()
    output = gle.step(network, state, x, error, grads)      one Euler step; error: beta (y - output) of the state before
    optimizer.step(network.parameters.vector, grads.vector, moments)

Ellenberger, Haider, Jordan, Max, Jaras, Kriener, Benitez, Petrovici: Backpropagation through space, time and the brain.
arXiv 2403.16933, 2024; Nature Communications, 2025.

PATENT NOTICE: the authors of the published code state that its procedures are registered for patent protection, and
that unauthorized use may infringe. Before you use this family for other than research, ask them.
"""

from plastic.gle.learned import Parameters
from plastic.gle.network import Network, State, advance, respond, settle, step, uniform_layers
from plastic.gle.restoring import restore

__all__ = ["Network", "Parameters", "State", "advance", "respond", "restore", "settle", "step", "uniform_layers"]
