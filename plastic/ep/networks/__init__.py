"""The four published networks, each a wiring (parameters and couplings) with dynamics.

Sizes are given from the input to the output. Every weight and bias is drawn from U(-c, c), c = 1 / sqrt(n_in), n_in the
inputs of its unit in the forward direction, as in the published code.
"""

import itertools

from plastic import xp
from plastic.ep.networks.convolutional import Convolutional, map_sizes
from plastic.ep.networks.dense import Dense
from plastic.ep.networks.energy import EnergyNetwork
from plastic.ep.networks.prototypical import PrototypicalNetwork
from plastic.errors import PlasticError
from plastic.functions import sigm
from plastic.initializers import uniform_fan_in
from plastic.parameters import Affine

__all__ = [
    "Convolutional",
    "Dense",
    "EnergyNetwork",
    "PrototypicalNetwork",
    "convolutional",
    "energy",
    "prototypical",
    "toy",
]


def energy(sizes, generator, activation=sigm, dt=0.2, clamp=True, consistent=False):
    """Return an energy-based network of widths `sizes` (n_0, n_1, .., n_L), the input first."""
    return EnergyNetwork(Dense(_layers(sizes, generator)), activation, dt, clamp, consistent)


def toy(sizes, generator, activation=sigm, dt=0.2, clamp=True):
    """Return the toy model of widths (n_0, n_1, n_2): energy-based, consistent, the input connected to both layers."""
    if len(sizes) != 3:
        raise PlasticError(
            f"the toy model has an input, one hidden layer and an output, not the {len(sizes)} of {sizes}"
        )
    layers = _layers(sizes, generator)
    skip = _affine((sizes[0], sizes[2]), sizes[0], generator)
    return EnergyNetwork(Dense(layers, skip), activation, dt, clamp, consistent=True)


def prototypical(sizes, generator, activation=sigm, dt=1.0):
    """Return a prototypical network of widths `sizes` (n_0, n_1, .., n_L), the input first."""
    return PrototypicalNetwork(Dense(_layers(sizes, generator)), activation, dt)


def convolutional(channels, classifier, generator, size=28, F=5, padding=0, pooling=2, activation=sigm):
    """Return a convolutional prototypical network.

    channels: (C_0, .., C_M) from the input on. classifier: (n_1, .., n_N), the output last. size: rows and columns of
    the input. F: of the filters. padding: rows of zeros around each map. pooling: rows of a pooling window.
    Raises PlasticError if nothing is left of a map.
    """
    if len(channels) < 2 or not classifier:
        raise PlasticError(f"channels {channels} and classifier {classifier}: a convolution and a layer are needed")
    last = map_sizes(size, len(channels) - 1, F, padding, pooling)[-1][1]
    kernels = [_affine((F, F, below, above), F * F * below, generator) for below, above in itertools.pairwise(channels)]
    widths = (channels[-1] * last**2, *classifier)
    dense = [_affine(shape, shape[0], generator) for shape in itertools.pairwise(widths)]
    return PrototypicalNetwork(Convolutional(kernels, dense, size, padding, pooling), activation, 1.0)


def _layers(sizes, generator):
    if len(sizes) < 3:
        raise PlasticError(f"sizes {tuple(sizes)} have no hidden layer; at least one is needed")
    return [_affine(shape, shape[0], generator) for shape in itertools.pairwise(sizes)]


def _affine(shape, fan_in, generator):
    W = uniform_fan_in(generator, shape, fan_in)
    return Affine(xp.asarray(W), xp.asarray(uniform_fan_in(generator, (1, shape[-1]), fan_in)))
