"""XOR: four clouds of points at the corners of the unit square, the smallest task that needs a hidden layer.

The usual task of Minsky and Papert, "Perceptrons" (1969), with noise on the inputs so that there is something to
generalise to: the class of a point is the exclusive or of the two coordinates of its corner.
"""

import numpy as np

from plastic.errors import PlasticError

_CORNERS = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
_NOISE = 0.1  # deviation along each input: a cloud ends five deviations short of where the next one's half begins


def generate(n_train=1000, n_test=200, noise=_NOISE, seed=0):
    """Return {"x_train", "y_train", "x_test", "y_test"}: points x float64 (N, 2) and labels y int64 (N,), 0 or 1.

    n_train, n_test: multiples of 4; each corner has as many points as the others, in random order.
    noise: standard deviation of the Gaussian noise on each input; with 0 the points are the corners themselves.
    Training and test points are independent, each split from a generator of its own. Raises PlasticError for a number
    of points that is no multiple of 4, noise that is negative or not finite, or a negative seed.
    """
    for option, n in (("n_train", n_train), ("n_test", n_test)):
        if n < 4 or n % 4:
            raise PlasticError(f"{option}={n}: take a multiple of 4 from 4 on, so many points for each corner")
    if not 0 <= noise < np.inf:
        raise PlasticError(f"noise={noise}: take a standard deviation from 0 on")
    if seed < 0:
        raise PlasticError(f"seed={seed}: take a whole number from 0 on")
    arrays = {}
    for split, n, rng in zip(("train", "test"), (n_train, n_test), np.random.default_rng(seed).spawn(2), strict=True):
        corners = rng.permutation(np.repeat(_CORNERS, n // 4, axis=0))
        arrays[f"x_{split}"] = corners + noise * rng.standard_normal((n, 2))
        arrays[f"y_{split}"] = corners[:, 0] ^ corners[:, 1]
    return arrays
