"""The norm of gradients, held below a bound."""

from plastic import parameters, require, xp
from plastic.types import Tree


def clipped(tree: Tree, largest: float) -> Tree:
    """Return a tree whose norm, that of all its entries together, is at most `largest`.

        g <- g min(1, largest / |g|),    |g|^2 = sum over all leaves and entries of g^2

    Args:
        tree: gradients, without replica axes.
        largest: above 0.

    Returns:
        The tree, scaled where it was larger.

    Raises:
        PlasticError: if `largest` is not above 0.

    Source: Pascanu, Mikolov, Bengio 2013.

    Example:
        >>> clipped({"W": xp.asarray([3.0]), "b": xp.asarray([4.0])}, 1.25)["b"].tolist()
        [1.0]
    """
    require.scalar("largest", largest, above=0)
    norm = xp.sqrt(xp.sum(xp.stack([xp.sum(leaf * leaf) for _, leaf in parameters.leaves(tree)])))
    scale = largest / xp.maximum(norm, largest)
    return parameters.map(lambda leaf: leaf * scale, tree)
