"""The fixed lag net of MNIST-1D: ten chains of four leaky integrators, each slower than the one before."""

import numpy as np

from plastic import xp
from plastic.gle.dynamics import predict
from plastic.gle.networks import Network
from plastic.parameters import Affine
from plastic.types import Array

CHAINS, STAGES, DT = 10, 4, 0.2


def lag_net() -> Network:
    """Return the net 1-10-10-10-10: weights 1 into the chains and along them, tau_m from 0.2 to 1.8, tau_r = dt."""
    layers = [Affine(np.ones((1, CHAINS)), np.zeros((1, CHAINS)))]
    layers += [Affine(np.eye(CHAINS), np.zeros((1, CHAINS))) for _ in range(STAGES - 1)]
    tau_m = np.round(np.linspace(0.2, 1.8, CHAINS), 2)
    return Network.from_layers(layers, "linear", [tau_m] * STAGES, DT, DT, prospective=False)


def lag_features(x: Array) -> Array:
    """Return the outputs (N, T, 10) of the lag net for x (N, T, 1), each sequence from rest."""
    return xp.swapaxes(predict(lag_net(), xp.swapaxes(x, 0, 1)), 0, 1)
