"""Initial weight matrices, drawn on the host.

Each function takes a generator (a `numpy.random.Generator`, or a `RandomState` where a published code drew from one)
and returns a host array of float64: move it with `xp.asarray`, which also rounds it to the working precision. A
network is drawn by one generator, or by a list of them, one for each replica; see `replicas`.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from plastic import parameters, require
from plastic.types import Tree

Generator: TypeAlias = np.random.Generator | np.random.RandomState


def replicas(draw: Callable[[Generator], Tree], generator: Generator | list[Generator]) -> Tree:
    """Return draw(generator), a tree of arrays; of a list of generators, the trees of all, stacked as replicas.

    Raises PlasticError if `generator` is something else, an int for instance.
    """
    require.generator(generator)
    if isinstance(generator, list | tuple):
        return parameters.stack([draw(each) for each in generator])
    return draw(generator)


def legacy_generator(seed: int) -> np.random.RandomState:
    """Return the generator that codes seeded by `numpy.random.seed(seed)` draw from: MT19937, with the same numbers."""
    return np.random.RandomState(seed)


def xavier_normal(generator: Generator, n_in: int, n_out: int, gain: float = 1) -> np.ndarray:
    """W_ij ~ N(0, 2 gain^2 / (n_in + n_out)), of shape (n_in, n_out) (Glorot and Bengio 2010, eq. 12)."""
    return generator.standard_normal((n_in, n_out)) * (gain * np.sqrt(2 / (n_in + n_out)))


def xavier_uniform(generator: Generator, n_in: int, n_out: int, gain: float = 1) -> np.ndarray:
    """W_ij ~ U(-c, c), c = gain sqrt(6 / (n_in + n_out)): the same variance (Glorot and Bengio 2010, eq. 16)."""
    bound = gain * np.sqrt(6 / (n_in + n_out))
    return generator.uniform(-bound, bound, (n_in, n_out))


def orthogonal(generator: Generator, n: int) -> np.ndarray:
    """A random orthogonal n x n matrix, uniform over the orthogonal group (Haar measure).

    W = Q diag(sign(diag R)) with Q R = Z, Z_ij ~ N(0, 1): without the signs the QR factorisation is not uniform
    (Mezzadri 2007).
    """
    Q, R = np.linalg.qr(generator.standard_normal((n, n)))
    return Q * np.sign(np.diag(R))


def uniform_fan_in(generator: Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """W_ij ~ U(-c, c), c = 1 / sqrt(fan_in): the usual default of weights and biases with `fan_in` inputs per unit."""
    bound = 1 / np.sqrt(fan_in)
    return generator.uniform(-bound, bound, shape)
