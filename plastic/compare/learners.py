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
_APART = 0.01  # outputs of a rule and of the network, relative to the largest: a relaxation may be at another step


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

    Its output is to be that of the network: a rule that computes another one trains what accuracies do not measure.

    Args:
        rule: the rule.
        sizes: (n_0, .., n_L).
        x, y: what networks learn from.
        batch_size: samples of a batch.

    Raises:
        PlasticError: if it returns something else, or what is not finite, or changes the weights, its feedback or the
            batch; if `predict` or `bp` of its kind of network return something else, or `make` copies the weights; or
            if there are fewer samples than a batch has.
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
    for grads, output in moves:
        _require_grads(f"rule {rule.name}", grads, {name: one.each[0][name] for name in one.learned})
        _require_output(f"rule {rule.name}", output, y)
    for (path, leaf), (_, was) in zip(parameters.leaves(given), parameters.leaves(before), strict=True):
        if not np.array_equal(xp.asnumpy(leaf), xp.asnumpy(was)):
            raise PlasticError(f"rule {rule.name} changed {path}; a rule changes nothing, it returns gradients")
    kind, net = f"a network of the kind {rule.kind.about!r}", one.nets[0]
    _require_output(f"predict of {kind}", expected := rule.kind.predict(net, x), y)
    if not isinstance(exact := rule.kind.bp(net, x, y), tuple) or len(exact) != 2:
        raise PlasticError(f"bp of {kind} returned a {type(exact).__name__}; it must return (grads, output)")
    _require_grads(f"bp of {kind}", exact[0], {"layers": one.each[0]["layers"]})
    apart, largest = (np.abs(xp.asnumpy(each)).max() for each in (moves[0][1] - expected, expected))
    if apart > _APART * largest:
        raise PlasticError(
            f"rule {rule.name} returned an output that is {apart:.2g} apart from that of the network (at most "
            f"{largest:.2g}); it must be the output before weights move, without a softmax or the like"
        )
    for _, leaf in parameters.leaves(one.each[0]["layers"]):
        leaf += 0.1
    if np.array_equal(xp.asnumpy(rule.kind.predict(net, x)), xp.asnumpy(expected)):
        raise PlasticError(f"the output of {kind} stays when weights move: make must hold the arrays given, no copies")


def _require_grads(what: str, grads: Any, like: dict[str, Tree]) -> None:
    """Require gradients, finite, of all that is learned and of nothing else."""
    for name in like:
        if not isinstance(grads, dict) or name not in grads:
            raise PlasticError(f"{what} returned grads without {name!r}; a dict that has it is needed")
    if odd := sorted(map(str, grads.keys() - like.keys())):
        hint = "; a Rule by which it learns has learns_feedback=True" if odd == ["feedback"] else ""
        raise PlasticError(f"{what} returned grads with {odd[0]!r}, which does not learn{hint}")
    for name, tree in like.items():
        require.tree(f"grads[{name!r}] of {what}", grads[name], tree)
        for path, leaf in parameters.leaves(grads[name]):
            if not np.isfinite(xp.asnumpy(leaf)).all():
                raise PlasticError(f"grads[{name!r}] of {what} at {path} are not finite at the first batch")


def _require_output(what: str, output: Any, y: Array) -> None:
    """Require an output with a row for each sample and a column for each class, finite."""
    require.array(f"output of {what}", output)
    if output.shape != y.shape:
        raise PlasticError(f"output of {what} has shape {output.shape}; it must be (batch, classes), {y.shape}")
    if not np.isfinite(xp.asnumpy(output)).all():
        raise PlasticError(f"output of {what} is not finite at the first batch")
