"""Initial weight matrices, drawn on the host.

Each function takes a generator (a `numpy.random.Generator`, or a `RandomState` where a published code drew from one)
and returns a host array of float64: move it with `xp.asarray`, which also rounds it to the working precision. A
network is drawn by one generator, or by a list of them, one for each replica; see `replicas`.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from plastic import parameters, require
from plastic.types import Tree

__all__ = [
    "Generator",
    "legacy_generator",
    "orthogonal",
    "replicas",
    "uniform_fan_in",
    "xavier_normal",
    "xavier_uniform",
]


def __dir__() -> list[str]:
    return __all__


Generator: TypeAlias = np.random.Generator | np.random.RandomState


def replicas(draw: Callable[[Generator], Tree], generator: Generator | Sequence[Generator]) -> Tree:
    """Return what is drawn, for one network or for several replicas of it.

    Args:
        draw: a function of a generator that returns a tree of arrays.
        generator: one, or a list of them, one for each replica.

    Returns:
        draw(generator); of a list, the trees of all, stacked along a leading axis.

    Raises:
        PlasticError: if `generator` is something else, an int for instance.

    Example:
        >>> W = replicas(lambda each: orthogonal(each, 3), [np.random.default_rng(seed) for seed in range(2)])
        >>> W.shape
        (2, 3, 3)
    """
    require.generator(generator)
    if isinstance(generator, Sequence):
        return parameters.stack([draw(each) for each in generator])
    return draw(generator)


def legacy_generator(seed: int) -> np.random.RandomState:
    """Return the generator that codes seeded by `numpy.random.seed(seed)` draw from: MT19937, with the same numbers."""
    return np.random.RandomState(seed)


def xavier_normal(generator: Generator, n_in: int, n_out: int, gain: float = 1) -> np.ndarray:
    """Return normal weights whose variance suits both directions (Glorot and Bengio 2010, eq. 12).

        W_ij ~ N(0, 2 gain^2 / (n_in + n_out))

    Args:
        generator: of the draws.
        n_in, n_out: numbers of inputs and outputs.
        gain: a factor for all weights.

    Returns:
        float64 (n_in, n_out), on the host.
    """
    return generator.standard_normal((n_in, n_out)) * (gain * np.sqrt(2 / (n_in + n_out)))


def xavier_uniform(generator: Generator, n_in: int, n_out: int, gain: float = 1) -> np.ndarray:
    """Return uniform weights whose variance suits both directions (Glorot and Bengio 2010, eq. 16).

        W_ij ~ U(-c, c),    c = gain sqrt(6 / (n_in + n_out))

    Args:
        generator: of the draws.
        n_in, n_out: numbers of inputs and outputs.
        gain: a factor for all weights.

    Returns:
        float64 (n_in, n_out), on the host.
    """
    bound = gain * np.sqrt(6 / (n_in + n_out))
    return generator.uniform(-bound, bound, (n_in, n_out))


def orthogonal(generator: Generator, n: int, n_out: int | None = None) -> np.ndarray:
    """Return a random orthogonal matrix, uniform over the orthogonal group (Haar measure).

        W = Q diag(sign(diag R)),    Q R = Z,    Z_ij ~ N(0, 1)

    Without the signs the QR factorisation is not uniform (Mezzadri 2007).

    Args:
        generator: of the draws.
        n: rows, and columns.
        n_out: columns, where they are others: those of W are then orthonormal, or its rows where these are fewer.

    Returns:
        float64 (n, n) or (n, n_out), on the host.

    Example:
        >>> W = orthogonal(np.random.default_rng(0), 3)
        >>> bool(np.allclose(W @ W.T, np.eye(3)))
        True
    """
    n_out = n if n_out is None else n_out
    Q, R = np.linalg.qr(generator.standard_normal((max(n, n_out), min(n, n_out))))
    W = Q * np.sign(np.diag(R))
    return W if n >= n_out else W.T


def uniform_fan_in(generator: Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Return uniform weights or biases of units with so many inputs: the usual default.

        W_ij ~ U(-c, c),    c = 1 / sqrt(fan_in)

    Args:
        generator: of the draws.
        shape: of the array.
        fan_in: inputs per unit.

    Returns:
        float64, on the host.
    """
    bound = 1 / np.sqrt(fan_in)
    return generator.uniform(-bound, bound, shape)
