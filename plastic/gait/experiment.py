"""The published task: images to classes, by one of the rules on a square or a tower network."""

import functools
import os
import pathlib
from typing import Literal

import numpy as np

from plastic import check, data, parameters, require, runs, training, xp
from plastic.errors import PlasticError
from plastic.functions import one_hot
from plastic.gait import figures, regulariser, rules
from plastic.gait.network import InvertibleNetwork, predict, random_layer, require_no_growth
from plastic.initializers import legacy_generator
from plastic.optimizers import Adam
from plastic.runs.options import check_at_least_one, check_seeds, resumed, seed_names, seeds_of

_TOWER = (784, 500, 200, 10)
_CHUNK = 2000  # samples evaluated at once


def train(
    *,
    algorithm: Literal["BP", "TP", "GAIT", "FA", "DFA"] = "BP",
    dataset: str = "MNIST",
    seed: int = 1,
    seeds: tuple[int, ...] | None = None,
    orthogonal_reg: float = 0.0,
    orthogonal_init: bool = False,
    nb_epochs: int = 100,
    nb_layers: int = 1,
    learning_rate: float = 1e-4,
    linear: bool = False,
    tower: bool = False,
    widths: tuple[int, ...] | None = None,
    gamma: float = 1e-3,
    batch_size: int | None = None,
    shuffle: bool = False,
    eval_every: int | None = None,
    load: str | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Train an invertible network to classify images by BP, TP, GAIT-prop, FA or DFA (Ahmad et al. 2020).

    The run folder, results/gait/train-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5 and three figures.
    The metrics are the accuracy and the true mean squared error on training and test set, and for each layer the
    cosine between the update of the rule and that of backpropagation, both without regulariser, on the first training
    batch. (The published code logs as its loss the square of a mean, not the mean of squares; that quirk is dropped.)

    Args:
        algorithm: BP (backpropagation), TP (target propagation), GAIT (GAIT-prop), FA or DFA ((direct) feedback
            alignment).
        dataset: MNIST, FMNIST, KMNIST, glyphs (needs no download), or an .npz file with x_train, y_train, x_test,
            y_test.
        seed: seed of everything random. As published, layer l = 0, 1, .. draws its weights from seed + l, and the
            output layer of a square network from the seed of the last hidden layer, so these two start equal.
        seeds: several seeds, trained side by side in one run as replicas; replaces seed.
        orthogonal_reg: strength lambda of the soft orthogonality. As published, 0 makes the initial weights orthogonal
            whatever orthogonal_init says.
        orthogonal_init: orthogonal initial weights rather than Xavier's.
        nb_epochs: epochs to train.
        nb_layers: hidden layers of the square network; a tower ignores it, as published.
        learning_rate: step size of Adam, which is as published: without bias correction, beta2 = 0.99.
        linear: no leaky rectifier.
        tower: layers that narrow (784, 500, 200, 10) rather than square ones.
        widths: other widths for the tower, input side first, not growing.
        gamma: how far a GAIT target moves from the activity.
        batch_size: samples per batch; by default a thousandth of the training set, as published.
        shuffle: a new order of the samples in every epoch; by default the file's order, as published.
        eval_every: steps between two evaluations; by default an epoch (the published code takes 10 steps).
        load: a run folder whose parameters the training starts from, with fresh moments.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision. lambda above 1 has its Gram matrix in float64 in either case.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    if resume is not None:
        options = resumed(train, options, "gait", "train")
        if os.path.exists(os.path.join(resume, "checkpoint.h5")):
            options["load"] = None  # the parameters are in the checkpoint
    _check(options)
    with runs.environment(device, options["dtype"], threads):
        task = _Task(options)
        options |= {"batch_size": task.source.batch_size, "classes": task.classes, "n_inputs": task.network.n_inputs}
        with runs.Run.resume(resume) if resume else _new_run(options) as run:
            task.train(run)
            figures.save_singular_values(run, task.network.layers)
            figures.draw(run.folder)
            run.status("finished", **run.config.get("details", {}))
    _report(run)
    return run.folder


def _check(options):
    """Raise PlasticError for what can be told to be wrong without reading the data."""
    sizes = data.sizes(options["dataset"])
    check_at_least_one(options, "nb_epochs", "nb_layers", "batch_size", "eval_every")
    if not options["learning_rate"] > 0:
        raise PlasticError(f"learning_rate is {options['learning_rate']}; it must be above 0")
    if not options["orthogonal_reg"] >= 0:
        raise PlasticError(f"orthogonal_reg is {options['orthogonal_reg']}; it must not be negative")
    if not 0 < options["gamma"] <= 1:
        raise PlasticError(f"gamma is {options['gamma']}; it must lie in (0, 1]")
    check_seeds(options)
    if options["widths"] is not None:
        if not options["tower"]:
            raise PlasticError("widths are those of a tower: add --tower, or leave them out")
        require.sizes(options["widths"], least=1, name="widths")
        require_no_growth(options["widths"])
    if sizes is not None:
        _check_sizes(options, *sizes)
    if options["load"] is not None and not os.path.exists(os.path.join(options["load"], "checkpoint.h5")):
        raise PlasticError(f"load is {options['load']!r}, which is no run folder with a checkpoint.h5")


def _check_sizes(options, samples, n_inputs, classes):
    """Raise PlasticError where batches or widths do not fit the data."""
    if options["batch_size"] is not None and options["batch_size"] > samples:
        raise PlasticError(f"batch_size is {options['batch_size']}, but the training set has {samples} samples")
    widths = options["widths"] or _TOWER
    if options["tower"] and widths[0] > n_inputs:
        raise PlasticError(f"widths {widths} need {widths[0]} inputs, but the data have {n_inputs}; give --widths")
    output = widths[-1] if options["tower"] else n_inputs
    if output < classes:
        raise PlasticError(f"an output layer of {output} units is too small for the {classes} classes of the data")


class _Task:
    """Data, network, rule and optimizer of one run."""

    def __init__(self, options):
        self.options, self.seeds = options, seeds_of(options)
        dataset = data.load(options["dataset"], dtype=options["dtype"])
        self.classes = dataset.classes
        (x, labels), (x_test, test_labels) = dataset.train, dataset.test
        n_inputs = x[0].size
        self.sets = {
            "train": (xp.asarray(x.reshape(len(x), n_inputs)), xp.asarray(labels)),
            "test": (xp.asarray(x_test.reshape(len(x_test), n_inputs)), xp.asarray(test_labels)),
        }
        _check_sizes(options, len(x), n_inputs, self.classes)
        generators = [xp.generator(seed) for seed in self.seeds]
        shuffled = [generator.shuffle for generator in generators] if options["shuffle"] else ()
        batch_size = options["batch_size"] or max(1, len(x) // 1000)
        x, labels = self.sets["train"]
        self.source = training.Batches(x, one_hot(labels, self.classes), batch_size, shuffled)
        self.network = self._network(n_inputs)
        self.rule = self._rule([generator.init for generator in generators])
        self.optimizer = Adam.without_correction(options["learning_rate"])
        self.grads = parameters.zeros_like(self.network.parameters)
        self.state = self.network.parameters | {"moments": self.optimizer.init(self.network.parameters)}

    def train(self, run):
        """Train as the options say, or go on from the checkpoint."""
        per_epoch = self.source.per_epoch
        columns = [{"replica": replica, "seed": seed} for replica, seed in enumerate(self.seeds)]
        training.fit(
            run,
            self.state,
            self.source,
            self.step,
            steps=self.options["nb_epochs"] * per_epoch,
            evaluate=self.evaluate,
            evaluate_every=self.options["eval_every"] or per_epoch,
            checkpoint_every=per_epoch,
            replicas=columns,
            advice="try a smaller learning_rate, or a smaller orthogonal_reg",
        )

    def step(self, batch, number):
        """Update the parameters once; return the sum of the first layer's bias gradients, finite while all is well."""
        self.rule(self.network, *batch, out=self.grads)
        if self.options["orthogonal_reg"] > 0:
            regulariser.add_gradient(self.network.parameters, self.grads, self.options["orthogonal_reg"])
        self.optimizer.step(self.network.parameters, self.grads, self.state["moments"])
        return xp.sum(self.grads["layers"][0].b, axis=(-2, -1))

    def evaluate(self):
        """Return accuracy and mean squared error on both sets, and each layer's cosine with BP on the first batch."""
        metrics = {}
        for name, (x, labels) in self.sets.items():
            correct = squares = 0
            for start in range(0, len(x), _CHUNK):
                chunk = labels[start : start + _CHUNK]
                a = predict(self.network, x[start : start + _CHUNK], classes=self.classes)
                correct = correct + xp.sum(xp.argmax(a, axis=-1) == chunk, axis=-1)
                squares = squares + xp.sum((a - one_hot(chunk, self.classes)) ** 2, axis=(-2, -1))
            metrics[f"{name}_accuracy"] = correct / len(x)
            metrics[f"{name}_mse"] = squares / (len(x) * self.classes)
        x, y = (array[: self.source.batch_size] for array in (self.source.x, self.source.y))
        cosines = check.cosine(self.rule(self.network, x, y)[0], rules.bp(self.network, x, y)[0])
        return metrics | {f"cosine_{k + 1}": cosines[f"layers/{k}/W"] for k in range(len(self.network.layers))}

    def _network(self, n_inputs):
        options = self.options
        widths = (options["widths"] or _TOWER) if options["tower"] else (n_inputs,) * (options["nb_layers"] + 1)
        orthogonal = options["orthogonal_init"] or options["orthogonal_reg"] == 0
        layers = [published_layers(widths, seed, not options["tower"], orthogonal) for seed in self.seeds]
        network = InvertibleNetwork(parameters.stack_replicas(layers), n_inputs, options["linear"])
        if options["load"] is not None:
            _load(network, options["load"])
        return network

    def _rule(self, generators):
        name, network = self.options["algorithm"], self.network
        if name == "GAIT":
            return functools.partial(rules.gait, gamma=self.options["gamma"])
        if name == "FA":
            draws = [rules.fa_feedback(network, g) for g in generators]
            return functools.partial(rules.fa, feedback=parameters.stack_replicas(draws))
        if name == "DFA":
            draws = [rules.dfa_feedback(network, self.classes, g) for g in generators]
            return functools.partial(rules.dfa, feedback=parameters.stack_replicas(draws))
        return {"BP": rules.bp, "TP": rules.tp}[name]


def published_layers(widths, seed, square, orthogonal):
    """Return the layers of one network as the published code draws them; biases are 0.

    Layer l = 0, 1, .. draws from the legacy NumPy generator of seed + l. The output layer of a square network takes the
    seed of the last hidden layer again, so that these two start equal.

    widths: the widths (s_1, .., s_L) of the layers, at least two in a square network.
    seed: the seed of the first layer.
    square: whether the network is square, rather than a tower.
    orthogonal: random orthogonal matrices; otherwise Xavier's.
    """
    seeds = [seed + place for place in range(len(widths))]
    if square:
        seeds[-1] = seeds[-2]
    return [random_layer(s, legacy_generator(each), orthogonal) for s, each in zip(widths, seeds, strict=True)]


def _load(network, folder):
    arrays, _ = runs.Run(folder).read_checkpoint()
    try:
        parameters.assign(
            network.parameters, {path: array for path, array in arrays.items() if path.startswith("layers/")}
        )
    except PlasticError as error:
        raise PlasticError(f"load: the network of {folder} is another one: {error}") from None


def _new_run(options):
    shape = "tower" if options["tower"] else f"{options['nb_layers']}hidden"
    dataset = pathlib.Path(options["dataset"]).stem
    readable = f"{options['algorithm']}-{dataset}-{shape}-reg{options['orthogonal_reg']:g}-{seed_names(options)}"
    return runs.Run.create(runs.results_folder(options["results"]), "gait", "train", options, readable)


def _report(run):
    metrics = run.metrics()
    last = [step == metrics["step"][-1] for step in metrics["step"]]  # the rows of the replicas that have not diverged
    train_accuracy, test_accuracy = (
        100 * np.mean(np.compress(last, metrics[f"{name}_accuracy"])) for name in ("train", "test")
    )
    print(f"test accuracy {test_accuracy:.2f} % (training {train_accuracy:.2f} %)")
    print(f"run folder {run.folder}")
