"""Checks for those who derive a learning rule by hand: finite differences, and measures that compare two updates.

    from plastic import check

    grads, output = gait.bp(net, x, y)
    check.gradient(lambda tree: loss(net, x, y), net.parameters, grads)    raises where bp is wrong
    check.cosine(gait.gait(net, x, y)[0], grads)                           {"layers/0/W": 0.93, ...}

These work on trees of arrays (see `plastic.parameters`), or on a bare array, whose path is "". Measures of outputs and
activities follow: `target_alignment`, `prospective_index`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import parameters, require, xp
from plastic.errors import PlasticError
from plastic.types import Array, Tree

__all__ = [
    "cosine",
    "finite_differences",
    "gradient",
    "prospective_index",
    "relative_rmse",
    "sign_agreement",
    "target_alignment",
]


def __dir__() -> list[str]:
    return __all__


_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # balances truncation, h^2, against rounding, eps / h


def finite_differences(
    loss: Callable[[Tree], Any], tree: Tree, eps: float = _STEP, max_entries: int | None = None, seed: int = 0
) -> Tree:
    """Return the gradient of `loss` at `tree` by central differences, as a tree of the same shape.

        dL/dw = (L(w + h) - L(w - h)) / 2h,    h = eps max(1, |w|),    with an error of order h^2 L''' and 1e-16 L / h

    Args:
        loss: a function of the tree that returns one number, in float64.
        tree: the parameters, in float64. Each entry is moved in place and put back, also if `loss` raises.
        eps: the relative step, above 0.
        max_entries: differentiate at most this many entries of each leaf; the others are nan. None for all.
        seed: of the draw of these entries.

    Returns:
        The gradient, a tree of the shape of `tree`.

    Raises:
        PlasticError: if a leaf or the loss is not float64, the loss is not one number, or a constant is out of range.

    Example:
        >>> w = xp.asarray([1.0, 2.0], dtype="float64")
        >>> finite_differences(lambda w: xp.sum(w**2), w).round(6).tolist()
        [2.0, 4.0]
    """
    gradients = {}
    for path, leaf in parameters.leaves(tree):
        _require_float64(path, leaf)
        gradients[path] = _differences(loss, tree, leaf, eps, _sample(leaf, max_entries, seed))[0]
    return _like(tree, gradients)


def gradient(
    loss: Callable[[Tree], Any],
    tree: Tree,
    grads: Tree,
    tolerance: float = 1e-6,
    eps: float = _STEP,
    max_entries: int | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Compare a hand-derived gradient with finite differences; return the largest relative error of each leaf by path.

    The relative error of an entry g with the finite difference f is |g - f| / max(|g|, |f|, noise / tolerance). `noise`
    is what rounding and truncation do to f, about 4e-10 times the loss or the largest gradient of the leaf: a smaller
    entry cannot be told from zero. Where the loss has a kink within `eps` of the parameters, no gradient agrees.

    Args:
        loss, tree, eps, max_entries, seed: as for `finite_differences`.
        grads: the gradient, a float64 tree of the shape of `tree`, signed to be subtracted.
        tolerance: the largest relative error that passes, above 0.

    Returns:
        {path: relative error}.

    Raises:
        AssertionError: if an error exceeds `tolerance` or is not finite; the message names for each wrong leaf its
            worst entry, both values and the relative error.
        PlasticError: if the trees differ or are not float64, or a constant is out of range.

    Example:
        >>> w = xp.asarray([1.0, 2.0], dtype="float64")
        >>> gradient(lambda w: xp.sum(w**2), w, 2 * w)[""] < 1e-6
        True
    """
    require.scalar("tolerance", tolerance, above=0)
    errors, complaints = {}, []
    for path, leaf, grad in _pairs(tree, grads):
        _require_float64(path, leaf)
        _require_float64(path, grad)
        sample = _sample(leaf, max_entries, seed)
        differences, size = _differences(loss, tree, leaf, eps, sample)
        f, g = differences.reshape(-1)[sample], xp.asnumpy(grad).reshape(-1)[sample]
        if not len(sample):
            continue
        largest = np.max(np.abs(f), where=np.isfinite(f), initial=0.0)
        noise = 10 * (np.finfo(np.float64).eps / eps * size + eps**2 * largest)
        scale = np.maximum(np.maximum(np.abs(g), np.abs(f)), noise / tolerance)
        with np.errstate(invalid="ignore"):
            error = np.where(g == f, 0.0, np.abs(g - f) / scale)
        worst = int(np.argmax(error))  # a nan counts as the largest
        errors[path] = float(error[worst])
        if not errors[path] <= tolerance:
            entry = ", ".join(str(i) for i in np.unravel_index(sample[worst], leaf.shape))
            complaints.append(
                f"{path}[{entry}]: gradient {g[worst]:.9g}, finite difference {f[worst]:.9g}, "
                f"relative error {errors[path]:.2g} > {tolerance:g}"
            )
    if complaints:
        raise AssertionError(
            f"the gradient is wrong in {len(complaints)} of {len(errors)} leaves\n" + "\n".join(complaints)
        )
    return errors


def cosine(a: Tree, b: Tree) -> dict[str, Array]:
    """Return the cosine between two updates, sum(a b) / sqrt(sum(a^2) sum(b^2)).

    Large and small entries do not overflow.

    Args:
        a, b: updates, trees of one shape.

    Returns:
        {path: cosine}. The last two axes of a leaf are its matrix; replica axes before them are kept. The values stay
        on the device, in the precision of the leaves; nan where an update is zero: it has no direction.

    Raises:
        PlasticError: if the trees differ.

    Example:
        >>> float(cosine({"W": xp.asarray([[1.0, 0.0]])}, {"W": xp.asarray([[2.0, 0.0]])})["W"])
        1.0
    """

    def measure(a, b):
        a, _ = _scaled(a)
        b, _ = _scaled(b)
        length = xp.sqrt(_sum(a * a)) * xp.sqrt(_sum(b * b))
        return xp.clip(_sum(a * b) / length, -1.0, 1.0)  # rounding may leave 1 + 1e-7

    return _measured(measure, a, b)


def sign_agreement(a: Tree, b: Tree) -> dict[str, Array]:
    """Return the fraction of entries whose signs agree in two updates.

    Args:
        a, b: updates, trees of one shape.

    Returns:
        {path: fraction}, with the axes of `cosine`. A zero has the sign 0: it agrees with a zero only. nan agrees with
        nothing.

    Raises:
        PlasticError: if the trees differ.

    Example:
        >>> float(sign_agreement(xp.asarray([[1.0, -1.0]]), xp.asarray([[2.0, 2.0]]))[""])
        0.5
    """
    return _measured(lambda a, b: _mean((xp.sign(a) == xp.sign(b)).astype(a.dtype)), a, b)


def relative_rmse(a: Tree, b: Tree) -> dict[str, Array]:
    """Return the error of an update relative to another, sqrt(mean((a - b)^2)) / sqrt(mean(b^2)).

    Args:
        a, b: updates, trees of one shape.

    Returns:
        {path: error}; axes, precision and range are as for `cosine`. inf where only b is zero, nan where both are.

    Raises:
        PlasticError: if the trees differ.

    Example:
        >>> float(relative_rmse(xp.asarray([[3.0]]), xp.asarray([[2.0]]))[""])
        0.5
    """

    def measure(a, b):
        difference, largest_difference = _scaled(a - b)
        b, largest = _scaled(b)
        ratio = xp.sqrt(_mean(difference * difference)) / xp.sqrt(_mean(b * b))
        return ratio * xp.squeeze(largest_difference / largest, axis=_matrix_axes(b))

    return _measured(measure, a, b)


def target_alignment(before: Array, after: Array, y: Array) -> Array:
    """Return how well an update moves the output towards the target: the cosine of o' - o and y - o.

    Args:
        before, after: outputs o, o' (..., batch, n) for the same input, before and after the update.
        y: targets (..., batch, n).

    Returns:
        The mean over the batch, of the replica axes; 1 is straight to the target. A sample whose output or target did
        not move gives a NaN.

    Raises:
        PlasticError: if the arrays have different numbers of rows or columns.

    Source: Song et al. 2024, Methods, "Target alignment".

    Example:
        >>> o = xp.asarray([[0.0, 1.0]])
        >>> float(target_alignment(o, xp.asarray([[0.5, 1.0]]), xp.asarray([[1.0, 1.0]])))
        1.0
    """
    return _mean_cosine_of_rows(before, after, y=y)


def prospective_index(before: Array, inferred: Array, after: Array) -> Array:
    """Return how well inference foretells what an update does to a layer: the cosine of x'' - x and x' - x.

    Args:
        before, after: feed-forward activities x, x'' (..., batch, n) before and after the update.
        inferred: activities x' (..., batch, n) at the end of inference.

    Returns:
        The mean over the batch, of the replica axes.

    Raises:
        PlasticError: if the arrays have different numbers of rows or columns.

    Source: Song et al. 2024, Methods, "Prospective index".

    Example:
        >>> x = xp.asarray([[0.0, 1.0]])
        >>> float(prospective_index(x, xp.asarray([[1.0, 1.0]]), xp.asarray([[-1.0, 1.0]])))
        -1.0
    """
    return _mean_cosine_of_rows(before, after, inferred=inferred)


def _mean_cosine_of_rows(before, after, **third):
    (other,) = third.values()
    for name, array in {"before": before, "after": after, **third}.items():
        require.array(name, array)
        if array.ndim < 2 or array.shape[-2:] != before.shape[-2:]:
            raise PlasticError(f"arrays (..., batch, n) of one shape are needed, not {before.shape} and {array.shape}")
    with np.errstate(all="ignore"):  # a row that did not move has no direction: NaN
        v, u = (way / xp.max(xp.abs(way), axis=-1, keepdims=True) for way in (after - before, other - before))
        lengths = xp.sqrt(xp.sum(v * v, axis=-1) * xp.sum(u * u, axis=-1))
        return xp.mean(xp.sum(v * u, axis=-1) / lengths, axis=-1)


def _require_float64(path, leaf):
    if getattr(leaf, "dtype", None) != np.float64:
        found = getattr(leaf, "dtype", type(leaf).__name__)
        raise PlasticError(f"{path or 'the array'} is {found}; finite differences need float64 (--dtype=float64)")


def _sample(leaf, max_entries, seed):
    """Return the flat indices of the entries to differentiate."""
    if max_entries is not None:
        require.whole("max_entries", max_entries)
    if max_entries is None or max_entries >= leaf.size:
        return np.arange(leaf.size)
    return np.sort(np.random.default_rng(seed).choice(leaf.size, max_entries, replace=False))


def _differences(loss, tree, leaf, eps, sample):
    """Return the differences at the sampled entries of a leaf (on the host, nan elsewhere) and the largest |loss|."""
    require.scalar("eps", eps, above=0)
    if not callable(loss):
        raise PlasticError(f"loss is a {type(loss).__name__}; it must be a function of the tree")

    def value():
        result = np.asarray(xp.asnumpy(loss(tree)))
        if result.size != 1 or result.dtype != np.float64:
            raise PlasticError(f"the loss must be one float64 number, not {result.dtype} of shape {result.shape}")
        return float(result.reshape(()))

    host = np.array(xp.asnumpy(leaf))
    gradient, size = np.full(host.shape, np.nan), 0.0
    for flat in sample:
        index = tuple(int(i) for i in np.unravel_index(flat, host.shape))
        w = float(host[index])
        above, below = w + eps * max(1.0, abs(w)), w - eps * max(1.0, abs(w))
        try:
            leaf[index] = above
            plus = value()
            leaf[index] = below
            minus = value()
        finally:
            leaf[index] = w
        gradient[index] = (plus - minus) / (above - below)
        size = max(size, abs(plus), abs(minus))
    return gradient, size


def _like(tree, arrays):
    """Return host arrays by path as a tree of the shape of `tree`, on the device."""
    values = iter(arrays.values())
    return parameters.map(lambda leaf: xp.asarray(next(values), dtype=leaf.dtype), tree)


def _pairs(a, b):
    """Return [(path, leaf of a, leaf of b), ...]; raises PlasticError where paths or shapes differ."""
    a, b = dict(parameters.leaves(a)), dict(parameters.leaves(b))
    if a.keys() != b.keys():
        raise PlasticError(f"the trees differ: {sorted(a.keys() ^ b.keys())} on one side only")
    for path in a:
        for leaf in (a[path], b[path]):
            require.array(path or "the update", leaf)
        if a[path].shape != b[path].shape:
            raise PlasticError(f"{path or 'the array'} has shape {a[path].shape} against {b[path].shape}")
    return [(path, a[path], b[path]) for path in a]


def _measured(measure, a, b):
    with np.errstate(all="ignore"):  # zero and diverged updates give nan or inf, as documented
        return {path: measure(x, y) for path, x, y in _pairs(a, b)}


def _matrix_axes(x):
    return tuple(range(-min(x.ndim, 2), 0))


def _sum(x):
    return xp.sum(x, axis=_matrix_axes(x))


def _mean(x):
    return xp.mean(x, axis=_matrix_axes(x))


def _scaled(x):
    """Return x over its largest magnitude per replica, so that no square overflows or vanishes, and that magnitude."""
    largest = xp.max(xp.abs(x), axis=_matrix_axes(x), keepdims=True)
    largest = xp.where(largest > 0, largest, 1.0)
    return x / largest, largest
