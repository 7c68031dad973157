"""Measures by which learning rules are compared (Song et al. 2024, Methods)."""

from plastic import xp


def cosine(v, u):
    """Return the cosine between rows of v and u (..., batch, n), mean over the batch; not a number for a row of 0."""
    along = xp.sum(v * u, axis=-1)
    lengths = xp.sqrt(xp.sum(v * v, axis=-1) * xp.sum(u * u, axis=-1))
    return xp.mean(along / lengths, axis=-1)


def target_alignment(before, after, y):
    """Return how well an update moves the output towards the target: cos(o' - o, y - o), mean over the batch.

    before, after: outputs o, o' (..., batch, n) for the same input. 1: straight to the target.
    """
    return cosine(after - before, y - before)


def prospective_index(before, inferred, after):
    """Return how well inference foretells what an update does to a layer: cos(x'' - x, x' - x), mean over the batch.

    before, after: feed-forward activities x, x'' (..., batch, n) before and after the update. inferred: activities x'
    at the end of inference.
    """
    return cosine(after - before, inferred - before)


def path_length(path):
    """Return the length of a path (steps + 1, ..., n_in, n_out) of weights, and the distance of its ends."""
    legs = path[1:] - path[:-1]
    length = xp.sum(xp.sqrt(xp.sum(legs * legs, axis=(-2, -1))), axis=0)
    whole = path[-1] - path[0]
    return length, xp.sqrt(xp.sum(whole * whole, axis=(-2, -1)))


def classification_error(output, y):
    """Return the fraction of rows whose largest output is not where that of y is, of the leading axes.

    As published, a tie for the largest is an error, and so is an output that is not a number.
    """
    largest = output == xp.max(output, axis=-1, keepdims=True)
    return xp.mean(xp.any(largest != (y == xp.max(y, axis=-1, keepdims=True)), axis=-1), axis=-1)
