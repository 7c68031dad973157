"""Networks that learn by one rule side by side: one for each pair of a seed and a learning rate."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from plastic import parameters, require, xp
from plastic.compare.rules import Rule
from plastic.data.sources import Batches
from plastic.errors import PlasticError
from plastic.optimizers import Adam
from plastic.types import Array, Tree

ADAM = Adam()


class Learners:
    """The networks, what their rule has beside the weights, and the moments of Adam.

    The arrays of all are stacked, as checkpoints and the optimizer take them; a rule sees one network at a time, whose
    arrays are views. Weights, feedback and the order of samples depend on the seed alone: rates share them, and so do
    rules.

    Args:
        rule: the rule.
        sizes: (n_0, .., n_L).
        pairs: [(seed, rate), ..].

    Attributes:
        pairs, seeds: the pairs, and their seeds.
        nets, feedback, each: of each pair the network, what the rule has beside the weights, and the tree of both.
        state: the tree of all arrays that change, for checkpoints.
    """

    def __init__(self, rule: Rule, sizes: tuple[int, ...], pairs: Sequence[tuple[int, float]]) -> None:
        self.rule, self.pairs, self.seeds = rule, list(pairs), [seed for seed, _ in pairs]
        self.rates = xp.asarray([rate for _, rate in pairs], dtype=xp.float_dtype).reshape(-1, 1, 1)
        self.parameters = parameters.stack([self._drawn(sizes, seed) for seed in self.seeds])
        self.each = [parameters.replica(self.parameters, k) for k in range(len(pairs))]
        self.nets = [rule.kind.make(each["layers"]) for each in self.each]
        self.feedback = [each["feedback"] for each in self.each]
        self.learned = {name: self.parameters[name] for name in ("layers", "feedback")[: 1 + rule.learns_feedback]}
        self.state = {"parameters": self.parameters, "moments": ADAM.init(self.learned)}

    def __repr__(self) -> str:
        return f"Learners by {self.rule.name}: {len(self.nets)}, {self.rule.kind.about}"

    def _drawn(self, sizes: tuple[int, ...], seed: int) -> Tree:
        generators = xp.generator(seed)
        start = self.rule.kind.draw(sizes, generators.init)
        return {"layers": start, "feedback": self.rule.feedback(self.rule.kind.make(start), generators.task)}

    def batches(self, x: Array, y: Array, batch_size: int) -> Batches:
        """Return the source of batches, (x, y) of each learner side by side, in an order that its seed says."""
        return Batches(x, y, batch_size, [xp.generator(seed).shuffle for seed in self.seeds])

    def step(self, batch: tuple[Array, Array], number: int) -> Array:
        """Let all learn from a batch by Adam, x (learners, batch, ..); of one, (batch, ..).

        Returns:
            The largest weight of the output layer of each, which is not finite by the next step of one that diverges.
        """
        xs, ys = batch if len(self.nets) > 1 else (each[None] for each in batch)
        pairs = zip(self.nets, self.feedback, strict=True)
        updates = [self.rule.updates(net, xs[k], ys[k], feedback) for k, (net, feedback) in enumerate(pairs)]
        for moves in zip(*updates, strict=True):
            ADAM.step(self.learned, parameters.stack([g for g, _ in moves]), self.state["moments"], lr=self.rates)
            if self.rule.decay:
                for _, leaf in parameters.leaves(self.learned):
                    leaf *= 1 - self.rule.decay
        _, top = [each for each in parameters.leaves(self.parameters["layers"]) if each[0].endswith("W")][-1]
        return xp.max(xp.abs(top), axis=(-2, -1))

    def outputs(self, k: int, x: Array, weights: Any = None) -> Array:
        """Return the outputs of learner k, or of its network with other weights."""
        net = self.nets[k] if weights is None else self.rule.kind.make(weights)
        return self.rule.kind.predict(net, x)


def require_updates(rule: Rule, sizes: tuple[int, ...], x: Array, y: Array, batch_size: int) -> None:
    """Require of a rule what learners rely on, by one batch and fresh weights: it returns updates, and changes nothing.

    Args:
        rule: the rule.
        sizes: (n_0, .., n_L).
        x, y: what networks learn from.
        batch_size: samples of a batch.

    Raises:
        PlasticError: if it returns something else, or changes the weights, its feedback or the batch; or if there are
            fewer samples than a batch has.
    """
    one = Learners(rule, sizes, [(0, 0.0)])
    x, y = one.batches(x, y, batch_size).next()
    given = one.each[0] | {"x": x, "y": y}
    before = parameters.copy(given)
    with np.errstate(all="ignore"):
        found = rule.gradients(one.nets[0], x, y, one.feedback[0])
        moves = [found] if isinstance(found, tuple) else list(found) if isinstance(found, Iterable) else []
    if not moves or not all(isinstance(move, tuple) and len(move) == 2 for move in moves):
        raise PlasticError(
            f"rule {rule.name} returned a {type(found).__name__}; it must return (grads, output), or an iterator of "
            "such pairs, one at least"
        )
    for grads, _ in moves:
        for name in one.learned:
            if not isinstance(grads, dict) or name not in grads:
                raise PlasticError(f"rule {rule.name} returned grads without {name!r}; a dict that has it is needed")
            require.tree(f"grads[{name!r}] of rule {rule.name}", grads[name], one.each[0][name])
    for (path, leaf), (_, was) in zip(parameters.leaves(given), parameters.leaves(before), strict=True):
        if not np.array_equal(xp.asnumpy(leaf), xp.asnumpy(was)):
            raise PlasticError(f"rule {rule.name} changed {path}; a rule changes nothing, it returns gradients")
