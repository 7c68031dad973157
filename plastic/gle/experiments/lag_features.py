"""The fixed lag net of MNIST-1D: ten chains of four leaky integrators, each slower than the one before."""

import numpy as np

from plastic import xp
from plastic.gle.dynamics import predict
from plastic.gle.networks import Network
from plastic.parameters import Affine

CHAINS, STAGES, DT = 10, 4, 0.2
_CHUNK = 1000


def lag_net():
    """Return the net 1-10-10-10-10: weights 1 into the chains and along them, tau_m from 0.2 to 1.8, tau_r = dt."""
    layers = [Affine(np.ones((1, CHAINS)), np.zeros((1, CHAINS)))]
    layers += [Affine(np.eye(CHAINS), np.zeros((1, CHAINS))) for _ in range(STAGES - 1)]
    tau_m = np.round(np.linspace(0.2, 1.8, CHAINS), 2)
    return Network.from_layers(layers, "linear", [tau_m] * STAGES, DT, DT, prospective=False)


def lag_features(x):
    """Return the outputs (N, T, 10) of the lag net for x (N, T, 1), each sequence from rest.

    Its weights are fixed and each sequence begins at rest, so its outputs are the same in every epoch: once is enough.
    """
    network = lag_net()
    parts = [x[start : start + _CHUNK] for start in range(0, len(x), _CHUNK)]
    outputs = [predict(network, xp.swapaxes(part, 0, 1)) for part in parts]
    return xp.concatenate([xp.swapaxes(each, 0, 1) for each in outputs])
