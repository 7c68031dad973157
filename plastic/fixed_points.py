"""Anderson's acceleration of fixed-point iterations, for each row of a batch (Anderson 1965; Walker and Ni 2011).

A map x <- G(x) with the residual f(x) = G(x) - x is at rest where f = 0. From the last m + 1 points,

    df_i = f_{i+1} - f_i,    dG_i = G(x_{i+1}) - G(x_i)
    gamma = argmin | f_k - sum over i of gamma_i df_i |
    x_{k+1} = G(x_k) - sum over i of gamma_i dG_i

so that where G is linear, x_{k+1} is the image under G of the point of least residual among all that the differences
span. The least squares of each row are solved by their normal equations, with columns scaled to length 1 and a ridge of
a few roundings, lest columns that are nearly parallel count.

Safeguard, for each row: a point whose residual is not smaller than that of the last good point is not gone on from.
The row takes the plain step of the last good point instead, G of it, whatever the residual there, and forgets the
differences. A contraction is therefore solved as surely as by plain steps.
"""

from plastic import require, xp
from plastic.types import Array


class Anderson:
    """Where to look next for the fixed points of a map, of each row (..., batch) for itself.

        for _ in range(steps):
            x = anderson.next(x, G(x))
        x = anderson.plain

    Nothing in it waits for the device.

    Args:
        like: an array of the shape and precision of x, (..., batch, n), which is not read.
        memory: differences that are kept, m.

    Attributes:
        plain: G of the last good point of each row, where a plain iteration would go on. `next` overwrites it.
        residual: |f|^2 there, (..., batch, 1).

    Raises:
        PlasticError: if `memory` is not a whole number above 0.

    Source: Anderson 1965; Walker and Ni 2011 (type II); the safeguard after Zhang, O'Donoghue and Boyd 2020.

    Example:
        >>> W, b = xp.asarray([[0.5, 0.4], [-0.4, 0.5]]), xp.asarray([[1.0, 0.0]])
        >>> x = xp.zeros_like(b)
        >>> anderson = Anderson(x, memory=2)
        >>> for _ in range(4):
        ...     x = anderson.next(x, x @ W + b)
        >>> float(xp.max(xp.abs(x @ W + b - x))) < 1e-5
        True
    """

    def __init__(self, like: Array, memory: int = 5) -> None:
        require.whole("memory", memory)
        *rows, n = like.shape
        self._f, self.plain = (xp.zeros(like.shape, dtype=like.dtype) for _ in range(2))
        self._df, self._dG = (xp.zeros((*rows, memory, n), dtype=like.dtype) for _ in range(2))
        self._products = xp.zeros((*rows, memory, memory), dtype=like.dtype)  # <df_i, df_j>
        self._is_known = xp.zeros((*rows, memory), dtype=bool)
        kind = xp.finfo(like.dtype)
        self._ridge, self._least = 10 * float(kind.eps) * xp.eye(memory, dtype=like.dtype), float(kind.tiny)
        self.residual = xp.empty((*rows, 1), dtype=like.dtype)
        self.begin()

    def __repr__(self) -> str:
        *rows, memory, n = self._df.shape
        return f"Anderson of {' x '.join(map(str, rows))} rows of {n}, memory {memory}"

    def begin(self) -> None:
        """Forget everything: what comes then depends on nothing before."""
        self._count = 0
        self._is_known[...] = False
        self.residual[...] = xp.inf

    def next(self, x: Array, G: Array) -> Array:
        """Return where to look next, (..., batch, n), from a point x and its image G, which do not change.

        The first point of a row, and the one after a plain step, are good whatever their residuals are.
        """
        f = G - x
        residual = xp.einsum("...n,...n->...", f, f)[..., None]
        good = (residual < self.residual) | (self.residual == xp.inf)
        self._remember(f, G, good)
        self._f, self.plain = xp.where(good, f, self._f), xp.where(good, G, self.plain)
        self.residual = xp.where(good, residual, xp.inf)
        return self.plain - (self._mixture(f)[..., None, :] @ self._dG)[..., 0, :]

    def _remember(self, f, G, good):
        """Put the differences to the last good point in the place of the oldest ones; a row that failed has none."""
        place = self._count % self._df.shape[-2]
        df = self._df[..., place, :]
        xp.subtract(f, self._f, out=df)
        xp.subtract(G, self.plain, out=self._dG[..., place, :])
        products = (self._df @ df[..., None])[..., 0]
        self._products[..., place, :] = self._products[..., :, place] = products
        self._is_known &= good
        self._is_known[..., place] = good[..., 0] if self._count else False
        self._count += 1

    def _mixture(self, f):
        """Return gamma (..., batch, m): 0 for what is not known."""
        squares = xp.diagonal(self._products, axis1=-2, axis2=-1)
        usable = self._is_known & (squares > self._least)
        scale = xp.where(usable, xp.where(usable, squares, 1) ** -0.5, 0)
        matrix = scale[..., None, :] * self._products * scale[..., :, None] + self._ridge
        right = scale[..., None] * (self._df @ f[..., None])
        return scale * xp.linalg.solve(matrix, right)[..., 0]
