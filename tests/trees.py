"""Trees of arrays on the host, and their comparison to the bit."""

import numpy as np

from plastic import parameters, xp


def host(tree):
    """Return {path: own host copy} of a tree."""
    return {path: np.array(xp.asnumpy(array)) for path, array in parameters.leaves(tree)}


def assert_same(first, second):
    """Assert that two {path: host array} have the same paths, types, shapes and bytes."""
    assert first.keys() == second.keys()
    for path, array in first.items():
        assert (array.dtype, array.shape) == (second[path].dtype, second[path].shape), path
        assert array.tobytes() == second[path].tobytes(), path
