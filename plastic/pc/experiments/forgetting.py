"""Two tasks in turn (Song et al. 2024, Fig. 4d, e)."""

import numpy as np

from plastic import functions, require, xp
from plastic.errors import PlasticError
from plastic.initializers import xavier_normal
from plastic.pc.experiments import best_rate, figures, images, replicas
from plastic.pc.experiments.learning import require_rules
from plastic.pc.experiments.options import Inference, Search, of_grid
from plastic.pc.experiments.passes import Passes

GRIDS = {
    "paper": {"rates": (0.005, 0.001, 7.5e-4, 5e-4, 2.5e-4, 1e-4), "iterations": 84, "seeds": 21},
    "quick": {"rates": (0.001, 7.5e-4, 5e-4), "iterations": 84, "seeds": 3},
}
TASKS, PER_TASK, EVERY = 2, 5, 4
"""Tasks, classes of a task, and how many iterations a task is learned before the other."""
HIDDEN = (32, 32, 32)
COUNTED = {False: np.arange(PER_TASK) < PER_TASK - 1, True: None}
"""Which outputs have an error, by the option last_output."""
INFERENCE = Inference(T=64, discount=0.9)
ERRORS = (*images.ERRORS, *(f"task{k}_error" for k in range(TASKS)))


def restore(arrays, *, last_output, **_):
    """Return (network, predict) of all seeds and rates; see `replicas.restore`."""
    return replicas.restore(arrays, counted=COUNTED[last_output])


@images.experiment(draw={"forgetting": figures.forgetting}, restore=restore, length="iterations", seed=None)
def forgetting(
    run,
    *,
    search: Search,
    iterations: int | None = None,
    per_class: int = 600,
    batch_size: int = 500,
    shared_outputs: bool = True,
    last_output: bool = False,
    inference: Inference = INFERENCE,
):
    """Learn two tasks in turn, four iterations each (Song et al. 2024, Fig. 4d, e): 784-32-32-32-5, sigmoid.

    The tasks, classes 0 to 4 and 5 to 9, share five outputs. Both rules start from the same weights and see the same
    batches, for all seeds and learning rates at once. The run folder, results/pc/forgetting-..., gets config.json,
    metrics.csv, a checkpoint for each rule, and a figure: the test errors of both tasks over the iterations at the best
    rate.

    Two quirks of the published configuration are kept by default: classes are permuted after the tasks are chosen, so
    two classes of a task may share an output (--noshared_outputs: they do not), and the last output has no error
    (--last_output: it has).

    The grid is six rates, 84 iterations (passes over the data of a task; the published runs have 160, of which 84 are
    analysed) and 21 seeds from 1 on; quick has three rates and seeds.

    Args:
        iterations: passes over the data of a task, instead of the grid's.
        per_class: training images of a class.
        batch_size: images per batch; the last batch of a pass is smaller where it has to be.
        shared_outputs: permute classes as published.
        last_output: let the last output have an error.
    """
    rates, iterations = of_grid(run, GRIDS[search.grid], rates=search.rates, iterations=iterations)
    require.counts(iterations=iterations, per_class=per_class, batch_size=batch_size)
    require_rules(search.rules, inference)
    samples = images.load(search.dataset, per_class)
    known = _of_all(run.seeds, samples, "train", per_class, shared_outputs)
    tests = _of_all(run.seeds, samples, "test", len(samples.test[1]), shared_outputs)
    _require_equally_long(known, batch_size)
    sizes = (samples.train[0].shape[1], *HIDDEN, PER_TASK)
    measured = {"epochs": iterations, "rates": rates, "errors": ERRORS}
    for part in run.parts([{"rule": rule} for rule in search.rules]):
        net = replicas.networks(sizes, functions.sigmoid, run.seeds, rates, xavier_normal, COUNTED[last_output])
        orders = [each.shuffle for each in run.generators()]
        source = Passes(lambda number: known[number // EVERY % TASKS], batch_size, orders)
        replicas.train(part, net, inference, source, lambda net: evaluate(net, tests), **measured)
    return best_rate.report(run, ("mean",))


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
    chosen = [map(np.stack, zip(*task, strict=True)) for task in tasks]
    return [images.rows(getattr(samples, split)[0], *each, PER_TASK) for each in chosen]


def _require_equally_long(tasks, batch_size):
    batches = [-(-x.shape[-2] // batch_size) for x, _ in tasks]
    if 0 in batches or len(set(batches)) > 1:
        counts = " and ".join(str(x.shape[-2]) for x, _ in tasks)
        raise PlasticError(f"the tasks have {counts} training images; a smaller per_class makes their iterations equal")


def evaluate(net, tests):
    """Return the errors of `images.halves`, means over the tasks, and the error of each task."""
    each = [images.halves(net, *test) for test in tests]
    found = {name: sum(of_task[name] for of_task in each) / TASKS for name in images.ERRORS}
    return found | {f"task{k}_error": of_task["test_error"] for k, of_task in enumerate(each)}
