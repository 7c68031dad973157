"""How layers are connected: parameters, and the symmetric coupling of the states. See `fully_connected`."""

from plastic.ep.wiring.connections import Pieces
from plastic.ep.wiring.convolutional import Convolutional
from plastic.ep.wiring.fully_connected import FullyConnected

__all__ = ["Convolutional", "FullyConnected", "Pieces"]
