"""Two tasks in turn (Song et al. 2024, Fig. 4d, e)."""

from typing import Literal

import numpy as np

from plastic import functions, xp
from plastic.errors import PlasticError
from plastic.initializers import xavier_normal
from plastic.pc.experiments import best_rate, figures, images, options, replicas
from plastic.pc.experiments.passes import Passes
from plastic.runs import experiment

GRIDS = {
    "paper": {"rates": (0.005, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4), "iterations": 84},
    "quick": {"rates": (0.001, 7.5e-4, 5e-4), "iterations": 84},
}
SEEDS = {"paper": 21, "quick": 3}
TASKS, PER_TASK, EVERY = 2, 5, 4
"""Tasks, classes of a task, and how many iterations a task is learned before the other."""
HIDDEN = (32, 32, 32)


def _counted(last_output):
    return None if last_output else np.arange(PER_TASK) < PER_TASK - 1


def restore(arrays, *, last_output, **_):
    """Return (network, predict) of all seeds and rates; see `plastic.load`."""
    return replicas.loaded(arrays, functions.sigmoid, _counted(last_output))


@experiment(
    "pc",
    draw={"forgetting": figures.forgetting},
    restore=restore,
    length="iterations",
    readable=images.readable,
    seed=None,
)
def forgetting(
    run,
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
):
    """Learn two tasks in turn, four iterations each (Song et al. 2024, Fig. 4d, e): 784-32-32-32-5, sigmoid.

    The tasks, classes 0 to 4 and 5 to 9, share five outputs. Both rules start from the same weights and see the same
    batches, for all seeds and learning rates at once. The run folder, results/pc/forgetting-..., gets config.json,
    metrics.csv, a checkpoint for each rule, and a figure: the test errors of both tasks over the iterations at the best
    rate.

    Two quirks of the published configuration are kept by default: classes are permuted after the tasks are chosen, so
    two classes of a task may share an output (--noshared_outputs: they do not), and the last output has no error
    (--last_output: it has).

    Args:
        grid: paper (six rates, 84 iterations, 21 seeds from 1 on) or quick (three rates and seeds); rates, iterations
            and seeds replace what it says.
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
    """
    rules = options.Inference(T, gamma, discount).rules()
    rates, iterations = options.of_grid(run, GRIDS[grid], rates=rates, iterations=iterations)
    run.count_seeds(SEEDS[grid])
    options.require_rates(rates=rates)
    options.require_counts(iterations=iterations, per_class=per_class, batch_size=batch_size)
    samples = images.load(dataset)
    known = _of_all(run.seeds, samples, "train", per_class, shared_outputs)
    tests = _of_all(run.seeds, samples, "test", len(samples.test[1]), shared_outputs)
    _require_equally_long(known, batch_size)
    sizes = (samples.train[0].shape[1], *HIDDEN, PER_TASK)
    for part in run.parts([{"rule": rule} for rule in replicas.RULES]):
        net = replicas.networks(sizes, functions.sigmoid, run.seeds, rates, xavier_normal, _counted(last_output))
        source = Passes(
            lambda number: known[number // EVERY % TASKS], batch_size, [each.shuffle for each in run.generators()]
        )
        replicas.train(
            part,
            net,
            rules[part.columns["rule"]],
            source,
            lambda net=net: evaluate(net, tests),
            epochs=iterations,
            seeds=run.seeds,
            rates=rates,
            errors=(*images.ERRORS, *(f"task{k}_error" for k in range(TASKS))),
        )
    return best_rate.report(run.metrics(), ("mean",))


def tasks_of(seed, samples, split, per_class, shared_outputs):
    """Return [(indices of samples, outputs)] of both tasks for one seed; outputs: which stands for the sample's class.

    split: "train" or "test". per_class: samples of a class. shared_outputs: whether classes are permuted.
    """
    labels, generator = xp.asnumpy(getattr(samples, split)[1]), xp.generator(seed)
    permutation = generator.data.permutation(TASKS * PER_TASK)
    draw = generator.task if split == "train" else generator.noise
    found = []
    for task in range(TASKS):
        chosen = images.some_of_each(draw, labels, per_class, range(PER_TASK * task, PER_TASK * (task + 1)))
        outputs = permutation[labels[chosen]] if shared_outputs else labels[chosen]
        found.append((chosen, outputs % PER_TASK))
    return found


def _of_all(seeds, samples, split, per_class, shared_outputs):
    """Return [(x, y)] of both tasks for all seeds, as `images.rows` does."""
    tasks = zip(*(tasks_of(seed, samples, split, per_class, shared_outputs) for seed in seeds), strict=True)
    found = []
    for task in tasks:
        chosen, outputs = map(np.stack, zip(*task, strict=True))
        x = getattr(samples, split)[0][xp.asarray(chosen)][:, None]
        found.append((x, images.targets(xp.asarray(outputs), PER_TASK)))
    return found


def _require_equally_long(tasks, batch_size):
    batches = [-(-x.shape[-2] // batch_size) for x, _ in tasks]
    if 0 in batches or len(set(batches)) > 1:
        counts = " and ".join(str(x.shape[-2]) for x, _ in tasks)
        raise PlasticError(f"the tasks have {counts} training images; a smaller per_class makes their iterations equal")


def evaluate(net, tests):
    """Return the errors of `images.halves`, means over the tasks, and the error of each task."""
    each = [images.halves(net, *test) for test in tests]
    found = {name: sum(errors[name] for errors in each) / TASKS for name in each[0]}
    return found | {f"task{k}_error": errors["test_error"] for k, errors in enumerate(each)}
