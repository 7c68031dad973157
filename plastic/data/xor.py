"""XOR: four clouds of points at the corners of the unit square, the smallest task that needs a hidden layer.

The usual task of Minsky and Papert, "Perceptrons" (1969), with noise on the inputs so that there is something to
generalise to: the class of a point is the exclusive or of the two coordinates of its corner.
"""

import numpy as np

from plastic import require
from plastic.errors import PlasticError

_CORNERS = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
_NOISE = 0.1  # deviation along each input: a cloud ends five deviations short of where the next one's half begins


def generate(n_train: int = 1000, n_test: int = 200, noise: float = _NOISE, seed: int = 0) -> dict[str, np.ndarray]:
    """Return training and test points, independent of each other, each split from a generator of its own.

    Args:
        n_train, n_test: multiples of 4; each corner has as many points as the others, in random order.
        noise: standard deviation of the Gaussian noise on each input; with 0 the points are the corners themselves.
        seed: of the generators, a whole number from 0 on.

    Returns:
        {"x_train", "y_train", "x_test", "y_test"}: points x float64 (N, 2) and labels y int64 (N,), 0 or 1.

    Raises:
        PlasticError: if a number of points is no multiple of 4, the noise is negative or not finite, or the seed is
            negative.

    Example:
        >>> arrays = generate(4, 4, noise=0)
        >>> sorted(zip(arrays["x_test"].tolist(), arrays["y_test"].tolist()))
        [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]
    """
    for option, n in (("n_train", n_train), ("n_test", n_test)):
        require.whole(option, n)
        if n % 4:
            raise PlasticError(f"{option} is {n}; take a multiple of 4, so many points for each corner")
    require.number("noise", noise, least=0)
    require.whole("seed", seed, least=0)
    arrays = {}
    for split, n, rng in zip(("train", "test"), (n_train, n_test), np.random.default_rng(seed).spawn(2), strict=True):
        corners = rng.permutation(np.repeat(_CORNERS, n // 4, axis=0))
        arrays[f"x_{split}"] = corners + noise * rng.standard_normal((n, 2))
        arrays[f"y_{split}"] = corners[:, 0] ^ corners[:, 1]
    return arrays
