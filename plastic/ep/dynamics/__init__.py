"""How the states move: one step of a network, and its adjoint for BPTT."""

from plastic.ep.dynamics.energy import EnergyNetwork
from plastic.ep.dynamics.network import Network
from plastic.ep.dynamics.part import Part
from plastic.ep.dynamics.prototypical import PrototypicalNetwork

__all__ = ["EnergyNetwork", "Network", "Part", "PrototypicalNetwork"]
