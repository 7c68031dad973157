"""Classes that change their meaning (Song et al. 2024, Fig. 4f, g)."""

import functools

import numpy as np

from plastic import require, xp
from plastic.data import start_weights
from plastic.errors import PlasticError
from plastic.pc.experiments import best_rate, figures, images, replicas
from plastic.pc.experiments.learning import require_rules, updates_of
from plastic.pc.experiments.options import Inference, Search, of_grid
from plastic.pc.experiments.passes import Passes

GRIDS = {
    "paper": {"rates": (0.1, 0.05, 0.01, 0.005, 0.001), "iterations": 3000, "seeds": 3},
    "quick": {"rates": (0.01,), "iterations": 640, "seeds": 3},
}
EPOCHS_BEFORE, RATE_BEFORE, BATCH_SIZE_BEFORE = 64, 0.01, 60
"""Of the training before."""


@images.experiment(draw={"drift": figures.drift}, length="iterations", seed=None)
def drift(
    run,
    *,
    search: Search,
    iterations: int | None = None,
    per_class: int = 120,
    test_per_class: int = 100,
    batch_size: int = 32,
    interval: int = 64,
    signed_targets: bool = True,
    start: str | None = None,
    pretraining_epochs: int = EPOCHS_BEFORE,
    pretraining_rate: float = RATE_BEFORE,
    inference: Inference,
):
    """Follow classes that change their meaning (Song et al. 2024, Fig. 4f, g): 784-32-32-10, sigmoid.

    The network has learned the whole data set by backpropagation; then, every 64 iterations, the outputs of classes 5
    to 9 are permuted and the training samples drawn anew. (In the published code that iteration still trains on the
    samples of before, and is tested on the new ones; here it is the first to train on them.) Where it begins matters:
    the published runs all begin with one network, whose hidden units have saturated. The run folder,
    results/pc/drift-..., gets config.json, metrics.csv (epoch 0 is before the first iteration, on the outputs as they
    are permuted first), a checkpoint for each rule, and a figure: the test error over the iterations. Single runs
    scatter widely: take ten seeds to compare rules. The grid is five rates and 3,000 iterations, or the rate 0.01 and
    640, with the seeds 1, 2, 3.

    Args:
        iterations: passes over the training samples, instead of the grid's.
        per_class: training images of a class.
        test_per_class: test images of a class.
        batch_size: images per batch.
        signed_targets: targets of -1 and 1, in the training before too, as in the published code (but for the first
            iteration), rather than 0 and 1. Such targets drive the hidden units into saturation, and only then is it
            hard to follow the changes: with --nosigned_targets both rules do within a few iterations.
        interval: iterations from one change to the next.
        start: published, the weights that the published runs begin with, fetched and checked; own, a training before
            for each of the seeds; or an .npz file with W_1, W_2 and W_3, each (n_in, n_out). By default published for
            FMNIST, own for other data.
        pretraining_epochs: epochs of backpropagation on all training images before, in batches of 60, where the start
            is own.
        pretraining_rate: its learning rate.
    """
    rates, iterations = of_grid(run, GRIDS[search.grid], rates=search.rates, iterations=iterations)
    require.number("pretraining_rate", pretraining_rate, above=0)
    require.counts(iterations=iterations, per_class=per_class, test_per_class=test_per_class, batch_size=batch_size)
    require.counts(interval=interval)
    require.whole("pretraining_epochs", pretraining_epochs, least=0)
    if start not in (None, "published", "own") and not start.endswith(".npz"):
        raise PlasticError(f"start is {start}; it must be published, own, or the path of an .npz file")
    require_rules(search.rules, inference)
    samples = images.load(search.dataset, per_class, test_per_class)
    if start is None:
        start = "published" if samples.name == "FMNIST" else "own"
        run.fill(start=start)
    if start != "own" and (pretraining_epochs, pretraining_rate) != (EPOCHS_BEFORE, RATE_BEFORE):
        raise PlasticError(
            f"pretraining_epochs is {pretraining_epochs} and pretraining_rate {pretraining_rate:g}, but start is "
            f"{start}, which is trained already: leave them out, or take --start=own"
        )
    epochs = 0 if run.dry_run else pretraining_epochs
    known = before(start, samples, run.seeds, pretraining_rate, epochs, signed_targets)
    measured = {"epochs": iterations, "rates": rates, "when_diverged": images.DIVERGED}
    for part in run.parts([{"rule": rule} for rule in search.rules]):
        net = images.small(samples, run.seeds, rates)
        for layer, W in zip(net.layers, known, strict=True):
            layer.W[...] = W
        classes = DriftingClasses(samples, run.seeds, per_class, test_per_class, signed_targets, interval)
        source = Passes(classes.of, batch_size, [each.shuffle for each in run.generators()])
        replicas.train(part, net, inference, source, classes.errors, **measured)
    return best_rate.report(run, ("mean",))


def before(start, samples, seeds, rate, epochs, signed_targets):
    """Return the weights [W_1, W_2, W_3] that all rules and rates begin with, W (n_in, n_out) or (seeds, 1, ..)."""
    if start == "own":
        return pretrained(samples, seeds, rate, epochs, signed_targets)
    weights = start_weights.concept_drift() if start == "published" else start_weights.from_file(start)
    sizes = (samples.train[0].shape[1], *images.HIDDEN, images.CLASSES)
    found = (weights[0].shape[0], *(W.shape[1] for W in weights))
    if found != sizes:
        raise PlasticError(f"start is {start}, a network {found}, but {samples.name} needs {sizes}: take --start=own")
    return [xp.asarray(W, dtype=xp.float_dtype) for W in weights]


def pretrained(samples, seeds, rate, epochs, signed_targets):
    """Return weights trained by backpropagation on all of the training set, a network for each of the seeds.

    They are where the experiment begins, as a data set is, and not what it measures: a minute's work, the same whenever
    it is done, so it needs no checkpoint of its own.
    """
    net = images.small(samples, seeds, [rate])
    step = replicas.step_of(net, updates_of("bp", None), [rate])
    x, labels = samples.train
    known = x[None, None], _signed(images.targets(labels[None]), signed_targets)
    source = Passes(lambda number: known, BATCH_SIZE_BEFORE, [xp.generator(seed).shuffle for seed in seeds])
    with np.errstate(all="ignore"):
        for number in range(1, 1 + epochs * source.per_epoch):
            step(source.next(), number)
    if not all(np.all(np.isfinite(xp.asnumpy(layer.W))) for layer in net.layers):
        raise PlasticError(f"pretraining_rate is {rate}; training with it diverges, try a smaller one")
    return [layer.W for layer in net.layers]


def _signed(y, signed_targets):
    return 2 * y - 1 if signed_targets else y


class DriftingClasses:
    """Training and test sets of all seeds, so many samples per_class, with signed_targets of -1 and 1 or of 0 and 1.

    Every `interval` iterations the outputs of the last five classes are permuted (by the generator `task` of each of
    the seeds), and the training and test samples drawn anew (by `data` and by `noise`).
    """

    def __init__(self, samples, seeds, per_class, test_per_class, signed_targets, interval):
        self.samples, self.seeds, self.signed_targets, self.interval = samples, seeds, signed_targets, interval
        self.counts = {"train": per_class, "test": test_per_class}
        self._begin()

    def of(self, iteration):
        """Return the training set (x, y) of an iteration 0, 1, ..; `test` is its test set from then on."""
        if iteration // self.interval < self._period:
            self._begin()
        while self._period < iteration // self.interval:
            self._change()
        return self.train

    def errors(self, net):
        """Return the errors of a network on the test set as it is; see `images.halves`."""
        return images.halves(functools.partial(images.errors, net), *self.test)

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
