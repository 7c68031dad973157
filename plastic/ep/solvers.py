"""How the states of a relaxation come to rest: by steps, layer after layer, or accelerated.

steps       s <- G(s), the steps of the dynamics, all layers at once, as published.
layerwise   the same step for the layers L-1, L-3, .., and then, from their new states, for L, L-2, .. Layers of one
            half send to the other half alone. With dt = 1 the states of all layers at once are therefore those of two
            sequences that never meet, and this computes one of them: n layerwise steps give the output of 2 n steps
            for half the work. Networks whose steps are short, dt < 1, gain nothing.
anderson    s <- what Anderson's acceleration makes of s and G(s), with a safeguard for each sample; see
            `plastic.fixed_points`. It ends with a plain step.

All have the same fixed points. With a tolerance, every few steps the samples whose states do not change by more than
that in a step (of anderson: from s to G(s)) have come to rest. They stay as they are, and where they are many, the
others go on without them. When none is left, the relaxation ends. The number of steps is then a limit for the slowest
samples, and a long one costs little, since only these go on. A short one may cost everything: what a sample has not yet
relaxed in the free phase it relaxes in the nudged one, and EP, which divides the difference by beta, takes it for the
effect of the nudge. A single such sample in a batch can make an update that is wrong by more than its own length.
"""

from typing import Any

from plastic import xp
from plastic.ep.dynamics.part import Part
from plastic.ep.wiring import Pieces
from plastic.fixed_points import Anderson
from plastic.types import Array

_LOOK_EVERY = 5  # steps between two looks at which samples have come to rest: each look waits for the device
_CROWD = 0.75  # of the samples; when fewer than these move, they go on without the others


def settle(w: Any, steps: int, beta: Any, y: Array | None, tolerance: float, solver: str) -> None:
    """Relax by steps, at most so many.

    Args:
        w: the `plastic.ep.Relaxation`, whose states move.
        steps: how many evaluations of G.
        beta: the strength of the nudge, a number or one for each replica, (..., 1, 1).
        y: where to, (..., batch, n_L), or None.
        tolerance: the largest change of a sample at rest; 0 makes all steps.
        solver: "steps", "layerwise" or "anderson".
    """
    samples = _Samples(w, y, solver)
    for t in range(1, steps + 1):
        if tolerance == 0 or t % _LOOK_EVERY:
            samples.step(beta)
        elif samples.let_rest(samples.change(beta) <= tolerance):
            break
    samples.finish()


class _Samples:
    """The samples of a relaxation that still move; those that have come to rest lie in `ends`."""

    def __init__(self, w: Any, y: Array | None, solver: str) -> None:
        self.w, self.net, self.y = w, w.net, y
        self.s, self.switches, self.drive = w.s, w.switches, w.drive
        self.anderson = Anderson(w.s) if solver == "anderson" else None
        self.following: Array | None = None  # where Anderson's acceleration looks next
        self.moves: Any = None  # host booleans (..., batch); None for all
        self.places: Any = None  # of these samples in the batch
        self.ends: list[Array] = []  # states and switches of all samples of the batch
        self.pieces: Pieces = w.net.wiring.halves if solver == "layerwise" else []  # in arrays of their own
        self.is_tanh = w.twin is not None and self.anderson is None
        if self.is_tanh:
            self.net, self.pieces = w.twin, self.pieces or [(slice(None), range(len(w.net.wiring.layers)))]
            self.y = None if y is None else 2 * y - 1
        self._take_parts()

    def _take_parts(self) -> None:
        """Take parts for these samples; pieces get copies of their states and drive."""
        self.parts: list[Part] = self.w.parts(self.pieces, self.s, self.drive, self.switches)
        for part, (columns, _) in zip(self.parts, self.pieces, strict=False):
            part.s[...], part.drive[...] = self.s[..., columns], self.drive[..., columns]
        if self.is_tanh:
            _to_tanh(self.parts)

    def _gather(self) -> None:
        """Copy the states of pieces back."""
        for part, (columns, _) in zip(self.parts, self.pieces, strict=False):
            self.s[..., columns] = part.s
        if self.is_tanh:
            self.s += 1
            self.s *= 0.5

    def step(self, beta: Any) -> None:
        """Make a step."""
        if self.anderson is not None:
            if self.following is not None:
                self.s[...] = self.following
            before = self.s.copy()
        *others, last = self.parts
        for part in others:
            self.net.step(part)
        self.net.step(last, beta, self.y)
        if self.anderson is not None:
            self.following = self.anderson.next(before, self.s)
            self.s[...] = self.anderson.plain

    def change(self, beta: Any) -> Array:
        """Make a step, and return the largest change of a state of each sample in it, (..., batch)."""
        self._gather()
        before = self.s.copy()
        self.step(beta)
        self._gather()
        return xp.max(xp.abs(self.s - before if self.anderson is None else self.anderson.f), axis=-1)

    def let_rest(self, at_rest: Array) -> bool:
        """Keep samples that have come to rest, device booleans (..., batch), as they are; return whether all have."""
        rests = xp.asnumpy(at_rest)
        if self.moves is None:
            if not rests.any():
                return False
            self.moves, self.places = rests | True, xp.arange(rests.shape[-1])
            self.ends = self.w.state()
        self._put(rests & self.moves)
        self.moves &= ~rests
        if not self.w.replicas and 0 < self.moves.sum() < _CROWD * self.moves.size:
            self._keep(xp.asarray(self.moves.nonzero()[0]))
        return not self.moves.any()

    def _put(self, which):
        """Write states and switches of some samples, host booleans, to where they end."""
        here = tuple(xp.asarray(each) for each in which.nonzero())
        there = (*here[:-1], self.places[here[-1]])
        for end, each in zip(self.ends, (self.s, *self.switches), strict=True):
            end[there] = each[here]

    def _keep(self, rows):
        """Go on with some samples only, given by their numbers among those that are here."""
        self.s, self.drive, self.places = self.s[rows], self.drive[rows], self.places[rows]
        self.switches = [each[rows] for each in self.switches]
        self.moves = self.moves[self.moves]
        self._take_parts()
        if self.y is not None:
            self.y = self.y[rows]
        if self.anderson is not None:
            self.anderson.keep(rows)
            self.following = self.following[rows]

    def finish(self) -> None:
        """Bring all samples back into the relaxation."""
        self._gather()
        if self.moves is None:
            return
        self._put(self.moves)
        self.w.restore(self.ends)


def _to_tanh(parts: list[Part]) -> None:
    """Change the variable s to 2 s - 1, in which sigm is tanh; see `plastic.ep.dynamics.prototypical`."""
    states = [2 * part.s - 1 for part in parts]
    for part in parts:
        part.s[...] = 1
    for part in parts:
        part.couple()
        part.drive *= 2
        part.drive += part.a
        part.drive -= 1
    for part, s in zip(parts, states, strict=True):
        part.s[...] = s
