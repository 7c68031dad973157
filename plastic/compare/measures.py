"""What is measured of learners: accuracy, likeness of updates to the exact gradient, robustness to noise, time."""

import itertools
import time
from collections.abc import Sequence

import numpy as np

from plastic import check, classifier, functions, parameters, xp
from plastic.compare.learners import Learners
from plastic.compare.rules import Rule
from plastic.types import Array, Tree

PROBE, SEEN = 200, 1000
"""Training samples on which cosines, and the training accuracy, are measured."""
SIGMAS = (0.0, 0.1, 0.2, 0.3, 0.5)
"""Standard deviations of the noise: of inputs; of weights, relative to the root mean square of those of their layer."""
DRAWS = 3
"""Draws of each noise."""
ROUNDS, LEAST = 10, 0.05
"""Rounds in which steps are timed, and the CPU time of a rule in each, in seconds; some clocks tick every 0.016 s."""


def some_of(x: Array, labels: Array, count: int) -> tuple[Array, Array]:
    """Return so many samples at random, the same ones at each call, or all where there are fewer."""
    places = xp.asarray(np.random.default_rng(0).permutation(len(x))[:count])
    return x[places], labels[places]


def accuracy(learners: Learners, k: int, x: Array, labels: Array, weights: Tree = None) -> float:
    """Return the share of samples that learner k puts into their class."""

    def measure(x, labels):
        return {"accuracy": functions.accuracy(learners.outputs(k, x, weights), labels)}

    return float(xp.asnumpy(classifier.means(measure, x, labels)["accuracy"]))


def cosines(learners: Learners, k: int, x: Array, y: Array) -> list[float]:
    """Return the cosine of the update of each matrix W by the rule of learner k with the exact gradient.

    Both are of the same batch and the same weights. Where these move several times for a batch, it is the sum of all
    updates, with the weights held.
    """
    rule, net = learners.rule, learners.nets[k]
    first, *more = (grads["layers"] for grads, _ in rule.updates(net, x, y, learners.feedback[k]))
    total = parameters.map(lambda *leaves: sum(leaves), first, *more)
    found = check.cosine({"layers": total}, rule.kind.bp(net, x, y)[0])
    return [float(xp.asnumpy(value)) for path, value in found.items() if path.endswith("/W")]


class Evaluation:
    """evaluate() for `fit`: what is measured in training.

    Args:
        learners: the learners.
        train, validation: (x, labels), of which the first is what they learn from.
        classes: how many there are.
        cosines: whether cosines are measured; where a search only asks for accuracies they are NaN.
    """

    def __init__(
        self,
        learners: Learners,
        train: tuple[Array, Array],
        validation: tuple[Array, Array],
        classes: int,
        cosines: bool = True,
    ) -> None:
        self.learners, self.sets = learners, {"train": some_of(*train, SEEN), "validation": validation}
        x, labels = some_of(*train, PROBE)
        self.probe = x, functions.one_hot(labels, classes)
        self.cosines = cosines

    def __call__(self) -> dict[str, Array]:
        """Return {"train_accuracy", "validation_accuracy", "cosine_1", .., "cosine_L"}, of all learners."""
        every = range(len(self.learners.nets))
        found = {
            f"{name}_accuracy": [accuracy(self.learners, k, *samples) for k in every]
            for name, samples in self.sets.items()
        }
        alike = np.transpose([self._alike(k) for k in every])
        found |= {f"cosine_{place}": list(values) for place, values in enumerate(alike, 1)}
        return {name: xp.asarray(np.array(values, dtype=float), dtype=xp.float64) for name, values in found.items()}

    def _alike(self, k):
        if self.cosines:
            return cosines(self.learners, k, *self.probe)
        return [np.nan for path, _ in parameters.leaves(self.learners.each[k]["layers"]) if path.endswith("W")]


def on_the_test_set(learners: Learners, x: Array, labels: Array) -> dict[str, np.ndarray]:
    """Return the test accuracy of each learner, and those under noise.

    Args:
        learners: the learners, which have been trained.
        x, labels: the test set.

    Returns:
        {"test_accuracy": (learners,), "input_noise", "weight_noise": (learners, sigmas)}, means over the draws, which
        depend on the seed alone: all rules see the same noise.
    """
    found: dict[str, list] = {"test_accuracy": [], "input_noise": [], "weight_noise": []}
    for k, seed in enumerate(learners.seeds):
        clean = accuracy(learners, k, x, labels)
        found["test_accuracy"].append(clean)
        generator = xp.generator(seed).noise
        held = learners.each[k]["layers"]
        inputs, weights = [], []
        for sigma in SIGMAS[1:]:
            inputs.append(np.mean([accuracy(learners, k, _noisy(x, sigma, generator), labels) for _ in range(DRAWS)]))
            shaken = (_shaken(held, sigma, generator) for _ in range(DRAWS))
            weights.append(np.mean([accuracy(learners, k, x, labels, each) for each in shaken]))
        found["input_noise"].append([clean, *inputs])
        found["weight_noise"].append([clean, *weights])
    return {name: np.array(values) for name, values in found.items()}


def _noisy(x, sigma, generator):
    return x + sigma * xp.asarray(generator.standard_normal(x.shape, dtype=np.float32), dtype=x.dtype)


def _shaken(weights, sigma, generator):
    """Return a copy of the weights with noise on each matrix W."""
    found = parameters.copy(weights)
    for path, leaf in parameters.leaves(found):
        if path.split("/")[-1] == "W":
            scale = sigma * xp.sqrt(xp.mean(leaf**2))
            leaf += scale * xp.asarray(generator.standard_normal(leaf.shape), dtype=leaf.dtype)
    return found


def times(rules: dict[str, Rule], sizes: tuple[int, ...], batch: tuple[Array, Array], seed: int) -> dict[str, float]:
    """Return the CPU time of a training step of one network by each rule, in milliseconds.

    The rules take turns, in each round for several steps, and it is the median over the rounds.

    Args:
        rules: the rules by name.
        sizes: (n_0, .., n_L).
        batch: (x, y).
        seed: of the weights.
    """
    every = {name: Learners(rule, sizes, [(seed, 1e-4)]) for name, rule in rules.items()}
    taken: dict[str, list[float]] = {name: [] for name in every}
    with np.errstate(all="ignore"):
        for learners in every.values():
            learners.step(batch, 0)  # the first step also makes things
        for _ in range(ROUNDS):
            for name, learners in every.items():
                taken[name].append(1e3 * _seconds_a_step(learners, batch))
    return {name: float(np.median(each)) for name, each in taken.items()}


def _seconds_a_step(learners, batch):
    xp.synchronize()
    start = time.process_time()
    for count in itertools.count(1):
        learners.step(batch, count)
        xp.synchronize()
        if (passed := time.process_time() - start) >= LEAST:
            return passed / count


def samples_to(wanted: float, steps: Sequence[int], accuracies: Sequence[float], batch_size: int) -> float:
    """Return how many training samples the first evaluation with such an accuracy had behind it; NaN if none had."""
    reached = np.flatnonzero(np.asarray(accuracies) >= wanted)
    return float(steps[reached[0]] * batch_size) if reached.size else np.nan
