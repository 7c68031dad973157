"""The learning rules of recurrent spiking networks: e-prop online and as a sweep back in time, and BPTT."""

from plastic.eprop.rules import online
from plastic.eprop.rules.adjoint import bptt, eprop, total_derivative

__all__ = ["bptt", "eprop", "online", "total_derivative"]
