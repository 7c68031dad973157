"""The replicas of a training run, a network for each method and seed, in groups that a rule takes at once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.ep.continual import step
from plastic.ep.dynamics import Network
from plastic.ep.relaxation import Relaxation
from plastic.types import Array, Tree


class Replicas:
    """The networks of some seeds, trained side by side by each method, "BPTT" or "EP", from the same initial weights.

    `network` and `grads` hold the parameters and gradients of all replicas, those of the first method first; `columns`
    is what sets them apart, {"replica", "seed", "method"} of each.
    """

    def __init__(self, networks: list[Network], methods: tuple[str, ...], seeds: tuple[int, ...]) -> None:
        tree = parameters.stack_replicas([each.parameters for each in networks] * len(methods))
        self.network, self.grads = networks[0].with_parameters(tree), parameters.zeros_like(tree)
        apart = [(method, seed) for method in methods for seed in seeds]
        self.columns = [{"replica": k, "seed": seed, "method": method} for k, (method, seed) in enumerate(apart)]
        self._groups = list(self._grouped(methods, len(seeds)))

    def learn(
        self, x: Array, y: Array, rule: dict[str, Callable[..., Any]], beta: float | np.ndarray
    ) -> list[tuple[Array, Array]]:
        """Write the gradients on a batch (x, y), with an axis of the seeds in front where there are several.

        `rule` is {method: rule(network, x, y, *, out, work)}, and that of EP takes beta too, a number or a host array
        (seeds,). Returns [(outputs of the free phase, targets)], group by group, in the order of the replicas.
        """
        pairs = []
        for group in self._groups:
            some, targets = x[group.seed], y[group.seed]
            group.work = group.work or Relaxation(group.network, some)
            more = {"beta": group.strength(beta)} if group.method == "EP" else {}
            _, output = rule[group.method](group.network, some, targets, out=group.grads, work=group.work, **more)
            pairs.append((output, targets))
        return pairs

    def relax(self, x: Array, y: Array, *, T: int, **ending: Any) -> list[tuple[Array, Array]]:
        """Make the free phase on a batch, for the nudged steps of continual EP. Arguments and result as of `learn`."""
        pairs = []
        for group in self._groups:
            some, group.targets = x[group.seed], y[group.seed]
            if group.work is None:
                group.work = Relaxation(group.network, some)
            else:
                group.work.begin(some)
            group.work.run(T, **ending)
            pairs.append((group.work.output.copy(), group.targets))
        return pairs

    def nudge(self, beta: float | np.ndarray) -> None:
        """Write the gradients of one nudged step of continual EP."""
        for group in self._groups:
            step(group.network, group.work, group.targets, beta=group.strength(beta), out=group.grads)

    def _grouped(self, methods, seeds):
        for number, method in enumerate(methods):
            for seed in range(seeds) if "convolutions" in self.network.parameters else [...]:
                first, last = (0, seeds) if seed is ... else (seed, seed + 1)
                place = slice(number * seeds + first, number * seeds + last)
                index = ... if len(self.columns) == 1 else place.start if last - first == 1 else place
                network = self.network.with_parameters(_replica(self.network.parameters, index))
                yield _Group(method, seed if seeds > 1 else ..., network, _replica(self.grads, index))


@dataclasses.dataclass
class _Group:
    """Replicas, as views, that one call of a rule trains: all seeds of a dense network, one of a convolutional one."""

    method: str
    seed: Any  # the number of the one seed they share where there are others, or ... for all seeds
    network: Network
    grads: Tree
    work: Relaxation | None = None
    targets: Any = None

    def strength(self, beta):
        """Return beta as the rule takes it."""
        if np.ndim(beta) == 0:
            return beta
        if self.seed is ... and len(beta) > 1:
            return xp.asarray(np.reshape(beta, (-1, 1, 1)))
        return float(beta[0 if self.seed is ... else self.seed])


def relaxed(network: Network, x: Array, T: int, **ending: Any) -> tuple[Array, Array]:
    """Return the outputs of all replicas after T free steps, (batch, n_L) of one, and their residuals.

    A residual is the largest change of a state in one more step. Maps are relaxed a replica at a time.
    """
    tree = network.parameters
    if "convolutions" in tree and tree["convolutions"][0].W.ndim > 4:
        each = (network.with_parameters(_replica(tree, k)) for k in range(len(tree["convolutions"][0].W)))
        outputs, residuals = zip(*(relaxed(one, x, T, **ending) for one in each), strict=True)
        return xp.stack(outputs), xp.stack(residuals)
    w = Relaxation(network, x)
    w.run(T, **ending)
    return w.output.copy(), w.residual()


def _replica(tree, index):
    """Return views of one replica, or of those that an index means."""
    return parameters.map(lambda leaf: leaf[index], tree)
