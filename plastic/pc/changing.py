"""Learning in a changing world: alternating tasks, and classes that drift (Song et al. 2024, Fig. 4d to g).

Both rules start from the same weights and see the same batches, for all seeds and learning rates at once.
"""

from typing import Literal

import numpy as np

from plastic import functions, xp
from plastic.initializers import xavier_normal, xavier_uniform
from plastic.pc import supervised
from plastic.pc.sweep import RULES, check, print_best, run_sweep
from plastic.runs.options import check_above_zero, check_at_least_one, check_between, resumed

GRIDS = {
    "forgetting": {
        "paper": {"rates": (0.005, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4), "iterations": 84, "seeds": tuple(range(1, 22))},
        "quick": {"rates": (0.001, 7.5e-4, 5e-4), "iterations": 84, "seeds": (1, 2, 3)},
    },
    "drift": {
        "paper": {"rates": (0.1, 0.05, 0.01, 0.005, 0.001), "iterations": 3000, "seeds": (1, 2, 3)},
        "quick": {"rates": (0.01,), "iterations": 640, "seeds": (1, 2, 3)},
    },
}


def _run(name, command, options, work):
    """Complete the options by the grid, run both rules, print what each reaches at its best rate."""
    if options["resume"] is not None:
        options |= resumed(command, options, "pc", name)
    options |= {key: value for key, value in GRIDS[name][options["grid"]].items() if options[key] is None}
    check(options)

    def report(metrics):
        for rule in RULES:
            print_best(metrics, "mean", rule)

    return run_sweep(name, options, [{}], work, report)


# alternating tasks

TASKS, PER_TASK, EVERY = 2, 5, 4


def _tasks(options, sets, seed, split):
    """Return [(x, outputs)] of both tasks, classes 0 to 4 and 5 to 9, for one seed; outputs: which stands for it."""
    x, labels = sets[split]
    generator = xp.generator(seed)
    permutation = generator.data.permutation(TASKS * PER_TASK)
    draw, count = (generator.task, options["per_class"]) if split == "train" else (generator.noise, len(labels))
    found = []
    for task in range(TASKS):
        chosen = supervised.some_of_each(draw, labels, count, range(PER_TASK * task, PER_TASK * (task + 1)))
        outputs = permutation[labels[chosen]] if options["shared_outputs"] else labels[chosen]
        found.append((x[chosen], outputs % PER_TASK))
    return found


def _forgetting(options, sets, part):
    seeds, rates = options["seeds"], options["rates"]
    sizes = (sets["train"][0].shape[1], 32, 32, 32, PER_TASK)
    counted = None if options["last_output"] else np.arange(PER_TASK) < PER_TASK - 1
    network = supervised.network(sizes, functions.sigmoid, seeds, rates, xavier_normal, counted)

    def of_all_seeds(split):
        tasks = zip(*(_tasks(options, sets, seed, split) for seed in seeds), strict=True)
        return [supervised.put(*map(np.stack, zip(*task, strict=True)), PER_TASK) for task in tasks]

    training, tests = of_all_seeds("train"), of_all_seeds("test")
    learner = supervised.Learner(network, part["rule"], rates, options["T"], options["gamma"], options["discount"])
    shuffles = [xp.generator(seed).shuffle for seed in seeds]
    rows = []
    for iteration in range(options["iterations"] + 1):
        if iteration > 0:
            supervised.epoch(learner, *training[(iteration - 1) // EVERY % TASKS], shuffles, options["batch_size"])
        errors = [supervised.halves(learner, *test) for test in tests]
        found = {name: sum(each[name] for each in errors) / TASKS for name in errors[0]}
        found |= {f"task{k}_error": each["test_error"] for k, each in enumerate(errors)}
        rows += supervised.rows(found, seeds, rates, {"epoch": iteration})
    return rows


def forgetting(
    *,
    grid: Literal["paper", "quick"] = "paper",
    rates: tuple[float, ...] | None = None,
    iterations: int | None = None,
    per_class: int = 600,
    batch_size: int = 500,
    shared_outputs: bool = True,
    last_output: bool = False,
    dataset: str = "FMNIST",
    T: int = 64,
    gamma: float = 0.1,
    discount: float = 0.9,
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Learn two tasks in turn, four iterations each (Song et al. 2024, Fig. 4d, e): 784-32-32-32-5, sigmoid.

    The tasks, classes 0 to 4 and 5 to 9, share five outputs. The run folder, results/pc/forgetting-..., gets
    config.json, metrics.csv and a figure: the test errors of both tasks over the iterations at the best rate.

    Two quirks of the published configuration are kept by default: classes are permuted after the tasks are chosen, so
    two classes of a task may share an output (--noshared_outputs: they do not), and the last output has no error
    (--last_output: it has).

    Args:
        grid: paper (six rates, 84 iterations, 21 seeds) or quick (three rates and seeds); rates, iterations and seeds
            replace what it says.
        rates: learning rates, tried side by side.
        iterations: passes over the data of a task; the published runs have 160, of which 84 are analysed.
        per_class: training images of a class.
        batch_size: images per batch; the last batch of a pass is smaller where it has to be.
        shared_outputs: permute classes as published.
        last_output: let the last output have an error.
        dataset: FMNIST or another set of images in ten classes.
        T: steps of inference; the weights move in the last.
        gamma: rate of inference.
        discount: what gamma is multiplied by whenever the energy has not fallen.
        seeds: of initial weights and data; the replicas of each rule.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    check_at_least_one(options, "iterations", "per_class", "batch_size", "T")
    return _run("forgetting", forgetting, options, _forgetting)


# drifting classes

DRIFT = 64  # iterations from one change to the next
PRETRAINING_BATCH = 60
CLASSES = 10


def _pretrained(options, sets):
    """Return weights trained by backpropagation on all of the training set, as the published runs start from."""
    seed, rates = options["seeds"][0], [options["pretraining_rate"]]
    network = _small(sets, [seed], rates)
    learner = supervised.Learner(network, "bp", rates, 1, 0.1, 1.0)
    x, y = supervised.put(*(array[None] for array in sets["train"]), CLASSES)
    if options["signed_targets"]:
        y = 2 * y - 1
    shuffles = [xp.generator(seed).shuffle]
    for _ in range(options["pretraining_epochs"]):
        supervised.epoch(learner, x, y, shuffles, PRETRAINING_BATCH)
    return network.layers


def _small(sets, seeds, rates):
    sizes = (sets["train"][0].shape[1], 32, 32, CLASSES)
    return supervised.network(sizes, functions.sigmoid, seeds, rates, xavier_uniform)


def _drift(options, sets, part):
    seeds, rates = options["seeds"], options["rates"]
    network = _small(sets, seeds, rates)
    for layer, start in zip(network.layers, _pretrained(options, sets), strict=True):
        layer.W[...] = start.W
    learner = supervised.Learner(network, part["rule"], rates, options["T"], options["gamma"], options["discount"])
    generators = [xp.generator(seed) for seed in seeds]
    shuffles = [each.shuffle for each in generators]
    rows = []
    for iteration in range(options["iterations"]):
        if iteration % DRIFT == 0:
            outputs = [np.concatenate([np.arange(5), 5 + each.task.permutation(5)]) for each in generators]
            training, test = _drifted(options, sets, generators, outputs)
        supervised.epoch(learner, *training, shuffles, options["batch_size"])
        rows += supervised.rows(supervised.halves(learner, *test), seeds, rates, {"epoch": iteration})
    return rows


def _drifted(options, sets, generators, outputs):
    """Return training and test set of all seeds after a change: which output stands for a class, and new samples."""
    found = []
    for split, count in (("train", options["per_class"]), ("test", options["test_per_class"])):
        x, labels = sets[split]
        chosen = [supervised.some_of_each(g.data if split == "train" else g.noise, labels, count) for g in generators]
        relabelled = [each[labels[some]] for each, some in zip(outputs, chosen, strict=True)]
        found.append(supervised.put(np.stack([x[some] for some in chosen]), np.stack(relabelled), CLASSES))
    if options["signed_targets"]:
        found = [(x, 2 * y - 1) for x, y in found]
    return found


def drift(
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
    seeds: tuple[int, ...] | None = None,
    resume: str | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    threads: int = 1,
):
    """Follow classes that change their meaning (Song et al. 2024, Fig. 4f, g): 784-32-32-10, sigmoid.

    The network has learned the whole data set by backpropagation; then, every 64 iterations, the outputs of classes 5
    to 9 are permuted and the training samples drawn anew. The run folder, results/pc/drift-..., gets config.json,
    metrics.csv and a figure: the test error over the iterations. Predictive coding recovers where backpropagation stays
    at the error that it begins with.

    Args:
        grid: paper (five rates, 3,000 iterations) or quick (rate 0.01, 640 iterations), with three seeds; rates,
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
        seeds: of data and changes; the replicas of each rule.
        resume: a run folder to continue; it keeps its options.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = dict(locals())
    check_at_least_one(options, "iterations", "per_class", "test_per_class", "batch_size", "T")
    check_between(options, "pretraining_epochs", 0)
    check_above_zero(options, "pretraining_rate")
    return _run("drift", drift, options, _drift)
