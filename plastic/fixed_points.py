"""Anderson's acceleration of fixed-point iterations, for each row of a batch (Anderson 1965; Walker and Ni 2011).

A map x <- G(x) with the residual f(x) = G(x) - x is at rest where f = 0. From the last m + 1 good points,

    df_i = f_{i+1} - f_i,    dG_i = G(x_{i+1}) - G(x_i)
    gamma = argmin | f_k - sum over i of gamma_i df_i |
    x_{k+1} = G(x_k) - sum over i of gamma_i dG_i

so that where G is linear, x_{k+1} is the image under G of the point of least residual among all that the differences
span. The least squares of each row are solved by their normal equations, with columns scaled to length 1 and a ridge of
a few roundings, lest columns that are nearly parallel count.

Safeguard, of each row for itself: the residual of an accelerated point has to be below that of the last good point, and
below 0.95 times that of the last good point that was accelerated. One that is not is no good: the row goes on from the
last good point by plain steps, G of it and once more, whatever residuals they have, before it is accelerated again.
Residuals of good accelerated points fall geometrically, so a row either comes to rest or goes the way of plain steps in
the end. Without this, acceleration may run away, or stand still where |f| has a minimum that is not 0; plain steps lead
over that as the dynamics do. The first two points are plain ones too.
"""

from plastic import require, xp
from plastic.types import Array

_FALL = 0.95  # of the residual, from one good accelerated point to the next
_PLAIN = 2  # steps at the beginning, and after a point that is no good


class Anderson:
    """Where to look next for the fixed points of a map, of each row (..., batch) for itself.

        for _ in range(steps):
            x = anderson.next(x, G(x))
        x = anderson.plain

    Nothing in it waits for the device. For another map, or to begin anew, make another one.

    Args:
        like: an array of the shape and precision of x, (..., batch, n), which is not read.
        memory: differences that are kept, m.

    Attributes:
        plain: G of the last good point of each row: the best that is known, and where plain steps would go on.
        f: the residual of that point.

    Raises:
        PlasticError: if `memory` is not a whole number above 0.

    Source: Anderson 1965; Walker and Ni 2011 (type II); the safeguard after Zhang, O'Donoghue and Boyd 2020.

    Example:
        >>> W, b = xp.asarray([[0.5, 0.4], [-0.4, 0.5]]), xp.asarray([[1.0, 0.0]])
        >>> x = xp.zeros_like(b)
        >>> anderson = Anderson(x)
        >>> for _ in range(4):
        ...     x = anderson.next(x, x @ W + b)
        >>> float(xp.max(xp.abs(x @ W + b - x))) < 1e-5
        True
    """

    def __init__(self, like: Array, memory: int = 3) -> None:
        require.whole("memory", memory)
        *rows, n = like.shape
        self.plain, self.f = (xp.zeros(like.shape, dtype=like.dtype) for _ in range(2))
        self._df, self._dG = (xp.zeros((*rows, memory, n), dtype=like.dtype) for _ in range(2))
        self._products = xp.zeros((*rows, memory, memory), dtype=like.dtype)  # <df_i, df_j>
        self._last = xp.zeros((*rows, 1), dtype=like.dtype)  # |f|^2 of the last good point
        self._bound = xp.full((*rows, 1), xp.inf, dtype=like.dtype)  # for that of accelerated ones
        self._steps = xp.full((*rows, 1), _PLAIN)  # plain ones to come
        self._count = 0
        kind = xp.finfo(like.dtype)
        self._ridge, self._least = 10 * float(kind.eps) * xp.eye(memory, dtype=like.dtype), float(kind.tiny)

    def __repr__(self) -> str:
        *rows, memory, n = self._df.shape
        return f"Anderson of {' x '.join(map(str, rows))} rows of {n}, memory {memory}"

    def next(self, x: Array, G: Array) -> Array:
        """Return where to look next, (..., batch, n), from a point x and its image G, which do not change."""
        f = G - x
        residual = (f[..., None, :] @ f[..., None])[..., 0]
        is_accelerated = self._steps == 0
        good = ~is_accelerated | (residual < xp.minimum(self._bound, self._last))
        self._last = xp.where(good, residual, self._last)
        self._bound = xp.where(is_accelerated & good, _FALL**2 * residual, self._bound)
        self._steps = xp.where(good, xp.maximum(self._steps - 1, 0), _PLAIN)
        self._remember(xp.where_rows(good, f, self.f), xp.where_rows(good, G, self.plain))
        gamma = xp.where(self._steps == 0, self._mixture(), 0)
        return self.plain - (gamma[..., None, :] @ self._dG)[..., 0, :]

    def keep(self, rows: Array) -> None:
        """Go on with some rows only, given by their numbers, in that order; x has no axes left of batch."""
        for name in ("plain", "f", "_df", "_dG", "_products", "_last", "_bound", "_steps"):
            setattr(self, name, getattr(self, name)[rows])

    def _remember(self, f, G):
        """Take in the last good point; the differences to the one before it take the place of the oldest ones."""
        if self._count:
            place = self._count % self._df.shape[-2]
            df = self._df[..., place, :]
            xp.subtract(f, self.f, out=df)
            xp.subtract(G, self.plain, out=self._dG[..., place, :])
            products = (self._df @ df[..., None])[..., 0]
            self._products[..., place, :] = self._products[..., :, place] = products
        self._count += 1
        self.f, self.plain = f, G

    def _mixture(self):
        """Return gamma (..., batch, m); differences that are 0, or not there yet, have no part in it."""
        squares = xp.diagonal(self._products, axis1=-2, axis2=-1)
        scale = 1 / xp.sqrt(xp.maximum(squares, self._least))
        matrix = scale[..., None, :] * self._products * scale[..., :, None] + self._ridge
        right = scale[..., None] * (self._df @ self.f[..., None])
        return scale * xp.linalg.solve(matrix, right)[..., 0]
