"""Measures of networks while they learn: the path of their weights, and what inference foretells, layer by layer."""

from plastic import check, xp
from plastic.pc.networks import Network, activities
from plastic.types import Array


def path_length(path: Array) -> tuple[Array, Array]:
    """Return the length of a path (steps + 1, ..., n_in, n_out) of weights, and the distance of its ends.

    sum over t of |W(t + 1) - W(t)|,    |W(last) - W(0)|,    both of the replica shape
    """
    legs = path[1:] - path[:-1]
    length = xp.sum(xp.sqrt(xp.sum(legs * legs, axis=(-2, -1))), axis=0)
    whole = path[-1] - path[0]
    return length, xp.sqrt(xp.sum(whole * whole, axis=(-2, -1)))


def prospective_indices(net: Network, new: Network, x: Array, inferred: list[Array]) -> Array:
    """Return the prospective index of every layer (..., L); see `plastic.check.prospective_index`.

    net, new: the network before learning and after. x: inputs. inferred: [x'_1, .., x'_L], what inference settled to.
    """
    before, after = activities(net, x), activities(new, x)
    each = [check.prospective_index(*three) for three in zip(before, inferred, after, strict=True)]
    return xp.stack(each, axis=-1)
