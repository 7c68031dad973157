"""Classes that change their meaning (Song et al. 2024, Fig. 4f, g)."""

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.pc.experiments import best_rate, figures, images, replicas
from plastic.pc.experiments.options import Inference, Search, of_grid
from plastic.pc.experiments.passes import Passes
from plastic.pc.rules import bp

GRIDS = {
    "paper": {"rates": (0.1, 0.05, 0.01, 0.005, 0.001), "iterations": 3000, "seeds": 3},
    "quick": {"rates": (0.01,), "iterations": 640, "seeds": 3},
}
EVERY = 64
"""Iterations from one change to the next."""
BATCH_SIZE_BEFORE = 60


@images.experiment(draw={"drift": figures.drift}, length="iterations", seed=None)
def drift(
    run,
    *,
    search: Search,
    iterations: int | None = None,
    per_class: int = 120,
    test_per_class: int = 100,
    batch_size: int = 32,
    signed_targets: bool = True,
    pretraining_epochs: int = 64,
    pretraining_rate: float = 0.01,
    inference: Inference,
):
    """Follow classes that change their meaning (Song et al. 2024, Fig. 4f, g): 784-32-32-10, sigmoid.

    The network has learned the whole data set by backpropagation; then, every 64 iterations, the outputs of classes 5
    to 9 are permuted and the training samples drawn anew. The run folder, results/pc/drift-..., gets config.json,
    metrics.csv (epoch 0 is before the first iteration, on the outputs as they are permuted first), a checkpoint for
    each rule, and a figure: the test error over the iterations. Predictive coding recovers where backpropagation stays
    at the error that it begins with. The grid is five rates and 3,000 iterations, or the rate 0.01 and 640, with the
    seeds 1, 2, 3.

    Args:
        iterations: passes over the training samples, instead of the grid's.
        per_class: training images of a class.
        test_per_class: test images of a class.
        batch_size: images per batch.
        signed_targets: targets of -1 and 1, in the training before too, as in the published code (but for the first
            iteration), rather than 0 and 1. Such targets drive the hidden units into saturation, and only then is it
            hard to follow the changes: with --nosigned_targets both rules do within a few iterations.
        pretraining_epochs: epochs of backpropagation on all training images before, in batches of 60. (The published
            weights are of one such run; ours are of the first seed.)
        pretraining_rate: its learning rate.
    """
    rates, iterations = of_grid(run, GRIDS[search.grid], rates=search.rates, iterations=iterations)
    require.number("pretraining_rate", pretraining_rate, above=0)
    require.counts(iterations=iterations, per_class=per_class, test_per_class=test_per_class, batch_size=batch_size)
    require.whole("pretraining_epochs", pretraining_epochs, least=0)
    samples = images.load(search.dataset, per_class, test_per_class)
    start = before(samples, run.seeds[0], pretraining_rate, pretraining_epochs, signed_targets)
    measured = {"epochs": iterations, "rates": rates, "errors": images.ERRORS}
    for part in run.parts([{"rule": rule} for rule in replicas.RULES]):
        net = images.small(samples, run.seeds, rates)
        for layer, known in zip(net.layers, start, strict=True):
            layer.W[...] = known.W
        classes = DriftingClasses(samples, run.seeds, per_class, test_per_class, signed_targets)
        source = Passes(classes.of, batch_size, [each.shuffle for each in run.generators()])
        replicas.train(part, net, inference, source, classes.errors, **measured)
    return best_rate.report(run, ("mean",))


def before(samples, seed, rate, epochs, signed_targets):
    """Return layers trained by backpropagation on all of the training set, as the published runs start from.

    They are where the experiment begins, as a data set is, and not what it measures: half a minute's work of one
    network, the same whenever it is done, so it needs no checkpoint of its own.
    """
    net = images.small(samples, [seed], [rate])
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
    """Training and test sets of all seeds, so many samples per_class, with signed_targets of -1 and 1 or of 0 and 1.

    Every 64 iterations the outputs of the last five classes are permuted (by the generator `task` of each of the
    seeds), and the training and test samples drawn anew (by `data` and by `noise`).
    """

    def __init__(self, samples, seeds, per_class, test_per_class, signed_targets):
        self.samples, self.seeds, self.signed_targets = samples, seeds, signed_targets
        self.counts = {"train": per_class, "test": test_per_class}
        self._begin()

    def of(self, iteration):
        """Return the training set (x, y) of an iteration 0, 1, ..; `test` is its test set from then on."""
        if iteration // EVERY < self._period:
            self._begin()
        while self._period < iteration // EVERY:
            self._change()
        return self.train

    def errors(self, net):
        """Return the errors of a network on the test set as it is; see `images.halves`."""
        return images.halves(net, *self.test)

    def _begin(self):
        self._generators, self._period = [xp.generator(seed) for seed in self.seeds], -1

    def _change(self):
        self._period += 1
        outputs = [np.concatenate([np.arange(5), 5 + each.task.permutation(5)]) for each in self._generators]
        self.train = self._relabelled("train", outputs, [each.data for each in self._generators])
        self.test = self._relabelled("test", outputs, [each.noise for each in self._generators])

    def _relabelled(self, split, outputs, draws):
        x, labels = getattr(self.samples, split)
        labels = xp.asnumpy(labels)
        chosen = [images.some_of_each(each, labels, self.counts[split]) for each in draws]
        new = [each[labels[some]] for each, some in zip(outputs, chosen, strict=True)]
        x, y = images.rows(x, np.stack(chosen), np.stack(new))
        return x, _signed(y, self.signed_targets)
