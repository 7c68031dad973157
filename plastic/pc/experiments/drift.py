"""Classes that change their meaning (Song et al. 2024, Fig. 4f, g)."""

from typing import Literal

import numpy as np

from plastic import functions, require, xp
from plastic.data.sources import generator_states, restore_generators
from plastic.errors import PlasticError
from plastic.initializers import xavier_uniform
from plastic.pc.experiments import best_rate, figures, images, options, replicas
from plastic.pc.experiments.passes import Passes
from plastic.pc.rules import bp
from plastic.runs import experiment

GRIDS = {
    "paper": {"rates": (0.1, 0.05, 0.01, 0.005, 0.001), "iterations": 3000},
    "quick": {"rates": (0.01,), "iterations": 640},
}
SEEDS = {"paper": 3, "quick": 3}
EVERY = 64
"""Iterations from one change to the next."""
HIDDEN, BATCH_SIZE_BEFORE = (32, 32), 60


def restore(arrays, **_):
    """Return (network, predict) of all seeds and rates; see `plastic.load`."""
    return replicas.loaded(arrays, functions.sigmoid)


@experiment(
    "pc",
    draw={"drift": figures.drift},
    restore=restore,
    length="iterations",
    readable=images.readable,
    seed=None,
)
def drift(
    run,
    *,
    grid: Literal["paper", "quick"] = "paper",
    rates: tuple[float, ...] | None = None,
    iterations: int | None = None,
    per_class: int = 120,
    test_per_class: int = 100,
    batch_size: int = 32,
    signed_targets: bool = True,
    pretraining_epochs: int = 64,
    pretraining_rate: float = 0.01,
    dataset: str = "FMNIST",
    T: int = 128,
    gamma: float = 0.1,
    discount: float = 0.5,
):
    """Follow classes that change their meaning (Song et al. 2024, Fig. 4f, g): 784-32-32-10, sigmoid.

    The network has learned the whole data set by backpropagation; then, every 64 iterations, the outputs of classes 5
    to 9 are permuted and the training samples drawn anew. The run folder, results/pc/drift-..., gets config.json,
    metrics.csv (epoch 0 is before the first iteration, on the outputs as they are permuted first), a checkpoint for
    each rule, and a figure: the test error over the iterations. Predictive coding recovers where backpropagation stays
    at the error that it begins with.

    Args:
        grid: paper (five rates, 3,000 iterations) or quick (rate 0.01, 640 iterations), with the seeds 1, 2, 3; rates,
            iterations and seeds replace what it says.
        rates: learning rates, tried side by side.
        iterations: passes over the training samples.
        per_class: training images of a class.
        test_per_class: test images of a class.
        batch_size: images per batch.
        signed_targets: targets of -1 and 1, in the training before too, as in the published code (but for the first
            iteration), rather than 0 and 1. Such targets drive the hidden units into saturation, and only then is it
            hard to follow the changes: with --nosigned_targets both rules do within a few iterations.
        pretraining_epochs: epochs of backpropagation on all training images before, in batches of 60. (The published
            weights are of one such run; ours are of the first seed.)
        pretraining_rate: its learning rate.
        dataset: FMNIST or another set of images in ten classes.
        T: steps of inference; the weights move in the last.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.
    """
    rules = options.Inference(T, gamma, discount).rules()
    rates, iterations = options.of_grid(run, GRIDS[grid], rates=rates, iterations=iterations)
    run.count_seeds(SEEDS[grid])
    options.require_rates(rates=rates)
    require.number("pretraining_rate", pretraining_rate, above=0)
    options.require_counts(
        iterations=iterations, per_class=per_class, test_per_class=test_per_class, batch_size=batch_size
    )
    require.whole("pretraining_epochs", pretraining_epochs, least=0)
    samples = images.load(dataset)
    start = before(samples, run.seeds[0], pretraining_rate, pretraining_epochs, signed_targets)
    for part in run.parts([{"rule": rule} for rule in replicas.RULES]):
        net = _small(samples, run.seeds, rates)
        for layer, known in zip(net.layers, start, strict=True):
            layer.W[...] = known.W
        generators = run.generators()
        classes = DriftingClasses(samples, generators, per_class, test_per_class, signed_targets)
        source = DriftingPasses(classes, batch_size, [each.shuffle for each in generators])
        replicas.train(
            part,
            net,
            rules[part.columns["rule"]],
            source,
            lambda net=net, classes=classes: images.halves(net, *classes.test),
            epochs=iterations,
            seeds=run.seeds,
            rates=rates,
            errors=images.ERRORS,
        )
    return best_rate.report(run.metrics(), ("mean",))


def _small(samples, seeds, rates):
    sizes = (samples.train[0].shape[1], *HIDDEN, images.CLASSES)
    return replicas.networks(sizes, functions.sigmoid, seeds, rates, xavier_uniform)


def before(samples, seed, rate, epochs, signed_targets):
    """Return layers trained by backpropagation on all of the training set, as the published runs start from.

    They are where the experiment begins, as a data set is, and not what it measures: half a minute's work of one
    network, the same whenever it is done, so it needs no checkpoint of its own.
    """
    net = _small(samples, [seed], [rate])
    step = replicas.step_of(net, bp, [rate])
    x, labels = samples.train
    known = x[None, None], _signed(images.targets(labels[None]), signed_targets)
    source = Passes(lambda number: known, BATCH_SIZE_BEFORE, [xp.generator(seed).shuffle])
    with np.errstate(all="ignore"):
        for number in range(1, 1 + epochs * source.per_epoch):
            step(source.next(), number)
    if not all(np.all(np.isfinite(xp.asnumpy(layer.W))) for layer in net.layers):
        raise PlasticError(f"pretraining_rate is {rate}; training with it diverges, try a smaller one")
    return net.layers


def _signed(y, signed_targets):
    return 2 * y - 1 if signed_targets else y


class DriftingClasses:
    """Training and test sets of all seeds; every 64 iterations the outputs of the last five classes are permuted.

    Args:
        samples: the data set.
        generators: of the seeds: `task` permutes, `data` draws the training set and `noise` the test set.
        per_class, test_per_class: samples of a class.
        signed_targets: whether targets are -1 and 1.
    """

    def __init__(self, samples, generators, per_class, test_per_class, signed_targets):
        self.samples, self.signed_targets = samples, signed_targets
        self.counts = {"train": per_class, "test": test_per_class}
        self._task = [each.task for each in generators]
        self._draw = {"train": [each.data for each in generators], "test": [each.noise for each in generators]}
        self._all = [*self._task, *self._draw["train"], *self._draw["test"]]
        self._period = None

    def of(self, iteration):
        """Return the training set (x, y) of an iteration 0, 1, ..; iterations come in turn."""
        if iteration // EVERY != self._period:
            self._change(iteration // EVERY)
        return self.train

    def state(self):
        """Return the period between two changes, and the generators as they were before it."""
        return {"period": self._period, "generators": self._before}

    def restore(self, state):
        """Go back to where `state` was taken."""
        restore_generators(self._all, state["generators"])
        self._change(state["period"])

    def _change(self, period):
        self._period, self._before = period, generator_states(self._all)
        outputs = [np.concatenate([np.arange(5), 5 + each.permutation(5)]) for each in self._task]
        self.train, self.test = self._relabelled("train", outputs), self._relabelled("test", outputs)

    def _relabelled(self, split, outputs):
        x, labels = getattr(self.samples, split)
        labels = xp.asnumpy(labels)
        chosen = [images.some_of_each(each, labels, self.counts[split]) for each in self._draw[split]]
        new = np.stack([each[labels[some]] for each, some in zip(outputs, chosen, strict=True)])
        x = x[xp.asarray(np.stack(chosen))][:, None]
        return x, _signed(images.targets(xp.asarray(new)), self.signed_targets)


class DriftingPasses(Passes):
    """Passes over the training sets of `DriftingClasses`, which go back with them."""

    def __init__(self, classes, batch_size, generators):
        self.classes = classes
        super().__init__(classes.of, batch_size, generators)

    def state(self):
        """Return the position, and that of the classes."""
        return super().state() | {"classes": self.classes.state()}

    def restore(self, state):
        """Go back to where `state` was taken."""
        self.classes.restore(state["classes"])
        super().restore(state)
