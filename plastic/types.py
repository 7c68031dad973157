"""The names of what is passed around, for signatures: `Array` and `Tree`."""

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray
"""An array of the backend in use: a `numpy.ndarray`, or a `cupy.ndarray`, which has the same methods."""

Tree: TypeAlias = Any
"""An array, or a list, tuple, dict or dataclass of trees; None is an empty tree. See `plastic.parameters`."""
