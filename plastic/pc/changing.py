"""Learning in a changing world: alternating tasks, and classes that drift (Song et al. 2024, Fig. 4d to g).

Both rules start from the same weights and see the same batches, for all seeds and learning rates at once.
"""

import functools
from typing import Literal

import numpy as np

from plastic import data, functions, xp
from plastic.errors import PlasticError
from plastic.initializers import xavier_normal, xavier_uniform
from plastic.pc import supervised
from plastic.pc.figures import draw
from plastic.pc.selecting import best
from plastic.pc.sweep import Sweep, run_sweep
from plastic.runs.options import check_above_zero, check_at_least_one, check_between, check_seeds, resumed

RULES = ("pc", "bp")


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
    """Check the options, do both rules, print what each reaches at its best rate."""
    if options["resume"] is not None:
        options |= resumed(command, options, "pc", name)
    options |= {key: value for key, value in GRIDS[name][options["grid"]].items() if options[key] is None}
    check_seeds(options | {"seed": None})
    check_above_zero(options, "gamma")
    check_between(options, "discount", 0, 1)
    data.require(options["dataset"])
    if not options["rates"] or any(not rate > 0 for rate in options["rates"]):
        raise PlasticError(f"rates are {options['rates']}; they must be above 0")

    def prepare():
        sets = supervised.images(options["dataset"], options["dtype"])
        return Sweep([{"rule": rule} for rule in RULES], functools.partial(work, options, sets))

    def report(run):
        for rule in RULES:
            chosen = best(run.metrics(), "mean", rule=rule)
            held = best(run.metrics(), "mean", "validation_error", "held_out_error", rule=rule)
            error, other = np.mean(chosen["values"]), np.mean(held["values"])
            where = f"{rule.upper()}: mean test error"
            print(f"{where} {error:.3f} (rate {chosen['rate']:g}); {other:.3f} ({held['rate']:g}) if held out")

    return run_sweep(name, options, f"{options['grid']}-{options['dataset']}", prepare, report, draw)


# alternating tasks

TASKS, PER_TASK, EVERY = 2, 5, 4


def _task_set(options, sets, seed, split, permutation, count):
    """Return [(x, labels)] of both tasks for one seed: classes 0 to 4 and 5 to 9, and which output stands for each."""
    x, labels = sets[split]
    generator = xp.generator(seed).task if split == "train" else xp.generator(seed).noise
    found = []
    for task in range(TASKS):
        classes = range(PER_TASK * task, PER_TASK * (task + 1))
        chosen = supervised.some_of_each(generator, labels, count or len(labels), classes)
        outputs = permutation[labels[chosen]] if options["shared_outputs"] else labels[chosen]
        found.append((x[chosen], outputs % PER_TASK))
    return found


def _forgetting(options, sets, part):
    seeds, rates = list(options["seeds"]), options["rates"]
    sizes = (sets["train"][0].shape[1], 32, 32, 32, PER_TASK)
    network = supervised.network(sizes, functions.sigmoid, seeds, rates, xavier_normal)
    if options["last_output"]:
        network.counted = None
    else:
        network.counted = xp.asarray(np.arange(PER_TASK) < PER_TASK - 1, dtype=xp.float_dtype)
    permutations = [xp.generator(seed).data.permutation(TASKS * PER_TASK) for seed in seeds]
    held = {}
    for split, count in (("train", options["per_class"]), ("test", None)):
        each = [
            _task_set(options, sets, *pair, count)
            for pair in zip(seeds, [split] * len(seeds), permutations, strict=True)
        ]
        held[split] = [
            supervised.put(*(np.stack([of[task][k] for of in each]) for k in range(2)), PER_TASK)
            for task in range(TASKS)
        ]
    learner = supervised.Learner(network, part["rule"], rates, options["T"], options["gamma"], options["discount"])
    shuffles = [xp.generator(seed).shuffle for seed in seeds]
    index = xp.arange(len(seeds))[:, None]
    rows = []
    with np.errstate(all="ignore"):
        for iteration in range(options["iterations"] + 1):
            if iteration > 0:
                x, y = held["train"][(iteration - 1) // EVERY % TASKS]
                for chosen in supervised.shuffled(shuffles, x.shape[-2], options["batch_size"]):
                    chosen = xp.asarray(chosen)
                    learner.learn(x[index, 0, chosen][:, None], y[index, 0, chosen][:, None])
            errors = [supervised.halves(learner, *test) for test in held["test"]]
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
    seed = options["seeds"][0]
    sizes = (sets["train"][0].shape[1], 32, 32, CLASSES)
    network = supervised.network(sizes, functions.sigmoid, [seed], [options["pretraining_rate"]], xavier_uniform)
    learner = supervised.Learner(network, "bp", [options["pretraining_rate"]], 1, 0.1, 1.0)
    x, y = supervised.put(*(array[None] for array in sets["train"]), CLASSES)
    if options["signed_targets"]:
        y = 2 * y - 1
    generator = [xp.generator(seed).shuffle]
    for _ in range(options["pretraining_epochs"]):
        for chosen in supervised.shuffled(generator, x.shape[-2], PRETRAINING_BATCH):
            chosen = xp.asarray(chosen[0])
            learner.learn(x[:, :, chosen], y[:, :, chosen])
    return network.layers


def _drift(options, sets, part):
    seeds, rates = list(options["seeds"]), options["rates"]
    layers = _pretrained(options, sets)
    sizes = (sets["train"][0].shape[1], 32, 32, CLASSES)
    network = supervised.network(sizes, functions.sigmoid, seeds, rates, xavier_uniform)
    for layer, start in zip(network.layers, layers, strict=True):
        layer.W[...] = start.W
    learner = supervised.Learner(network, part["rule"], rates, options["T"], options["gamma"], options["discount"])
    generators = [xp.generator(seed) for seed in seeds]
    index, rows = xp.arange(len(seeds))[:, None], []
    with np.errstate(all="ignore"):
        for iteration in range(options["iterations"]):
            if iteration % DRIFT == 0:
                outputs = [np.concatenate([np.arange(5), 5 + g.task.permutation(5)]) for g in generators]
                (x, y), test = _drifted(options, sets, generators, outputs)
            for chosen in supervised.shuffled([g.shuffle for g in generators], x.shape[-2], options["batch_size"]):
                chosen = xp.asarray(chosen)
                learner.learn(x[index, 0, chosen][:, None], y[index, 0, chosen][:, None])
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
