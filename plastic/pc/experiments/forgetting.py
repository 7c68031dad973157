"""Two tasks in turn (Song et al. 2024, Fig. 4d, e)."""

import functools

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
TASKS, PER_TASK, LAYERS = 2, 5, 3
"""Tasks, classes of a task, and hidden layers."""
INFERENCE = Inference(T=64, discount=0.9)
ERRORS = (*images.ERRORS, *(f"task{k}_error" for k in range(TASKS)))


def restore(arrays, *, last_output, separate_outputs, blocked_errors, **_):
    """Return (network, predict) of all seeds and rates from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes images (batch, ...) of the host, scaled as in training, to outputs (seeds, rates, batch, n_L).
    Which classes an output stands for is drawn for each of the seeds, unless outputs are separate or not shared.
    """
    return replicas.restore(arrays, counted=counted(separate_outputs, last_output or blocked_errors))


def counted(separate_outputs, last_output):
    """Return which outputs have an error; None for all."""
    outputs = np.arange(PER_TASK * (TASKS if separate_outputs else 1))
    return None if last_output else outputs < outputs[-1]


def of_the_task(output, y):
    """Return half the squared error of the outputs of the task that one-hot y belong to, and its gradient."""
    blocks = y.reshape(*y.shape[:-1], TASKS, PER_TASK)
    own = xp.sum(blocks, axis=-1, keepdims=True)  # 1 for the five outputs of the task, 0 for the others
    err = ((output.reshape(*output.shape[:-1], TASKS, PER_TASK) - blocks) * own).reshape(output.shape)
    return 0.5 * xp.sum(err * err, axis=(-2, -1)), err


@images.experiment(
    draw={"forgetting": figures.forgetting, "forgetting_split": figures.forgetting_split},
    restore=restore,
    length="iterations",
    seed=None,
)
def forgetting(
    run,
    *,
    search: Search,
    iterations: int | None = None,
    per_class: int = 600,
    batch_size: int = 500,
    interval: int = 4,
    width: int = 32,
    shared_outputs: bool = True,
    separate_outputs: bool = False,
    blocked_errors: bool = False,
    last_output: bool = False,
    inference: Inference = INFERENCE,
):
    """Learn two tasks in turn, four iterations each (Song et al. 2024, Fig. 4d, e): 784-32-32-32-5, sigmoid.

    The tasks, classes 0 to 4 and 5 to 9, share five outputs. All rules start from the same weights and see the same
    batches, for all seeds and learning rates at once. The run folder, results/pc/forgetting-..., gets config.json,
    metrics.csv, a checkpoint for each rule, and figures: the test errors of both tasks over the iterations at the best
    rate; and by rate, the error of the task that was just learned (resuming) and of the other (forgetting).

    Two quirks of the published configuration are kept by default: classes are permuted after the tasks are chosen, so
    two classes of a task may share an output (--noshared_outputs: they do not), and the last output has no error
    (--last_output: it has).

    The grid is six rates, 84 iterations (passes over the data of a task; the published runs have 160, of which 84 are
    analysed) and 21 seeds from 1 on; quick has three rates and seeds.

    Args:
        iterations: passes over the data of a task, instead of the grid's.
        per_class: training images of a class.
        batch_size: images per batch; the last batch of a pass is smaller where it has to be.
        interval: iterations that a task is learned before the other.
        width: units of each of the three hidden layers; 64 are published for CIFAR-10, with --per_class=5000 (colours
            become grey).
        shared_outputs: permute classes as published.
        separate_outputs: ten outputs, one for each class, instead of five for both tasks; none is permuted then.
        blocked_errors: only the five outputs of the task that is learned have an error, with separate outputs.
        last_output: let the last output have an error.
    """
    rates, iterations = of_grid(run, GRIDS[search.grid], rates=search.rates, iterations=iterations)
    require.counts(iterations=iterations, per_class=per_class, batch_size=batch_size, interval=interval, width=width)
    loss = of_the_task if blocked_errors else None
    require_rules(search.rules, inference, INFERENCE, loss=loss)
    if blocked_errors and not separate_outputs:
        raise PlasticError("blocked_errors is for outputs of each task's own; give --separate_outputs too")
    how = {"shared": shared_outputs, "separate": separate_outputs}
    samples = images.load(search.dataset, per_class)
    inputs = samples.train[0].shape[1]
    run.expect(len(run.seeds) * TASKS * PER_TASK * per_class * inputs, seeds=run.seeds, per_class=per_class)
    known = _of_all(run.seeds, samples, "train", per_class, **how)
    tests = _of_all(run.seeds, samples, "test", len(samples.test[1]), **how)
    _require_equally_long(known, batch_size)
    sizes = (inputs, *[width] * LAYERS, known[0][1].shape[-1])
    given = {"epochs": iterations, "rates": rates, "when_diverged": dict.fromkeys(ERRORS, 1.0), "loss": loss}
    with_error = counted(separate_outputs, last_output or blocked_errors)
    for part in run.parts([{"rule": rule} for rule in search.rules]):
        net = replicas.networks(sizes, functions.sigmoid, run.seeds, rates, xavier_normal, with_error)
        orders = [each.shuffle for each in run.generators()]
        source = Passes(lambda number: known[number // interval % TASKS], batch_size, orders)
        replicas.train(part, net, inference, source, lambda net: evaluate(net, tests), **given)
    return best_rate.report(run, ("mean",), classes=known[0][1].shape[-1])


def tasks_of(seed, samples, split, per_class, shared, separate):
    """Return [(indices of samples, outputs)] of both tasks for one seed; outputs: which stands for the sample's class.

    split: "train" or "test". per_class: samples of a class. shared: whether classes are permuted. separate: whether
    each class has an output of its own.
    """
    labels, generator = xp.asnumpy(getattr(samples, split)[1]), xp.generator(seed)
    permutation = generator.data.permutation(TASKS * PER_TASK)
    draw = generator.task if split == "train" else generator.noise
    found = []
    for task in range(TASKS):
        chosen = images.some_of_each(draw, labels, per_class, range(PER_TASK * task, PER_TASK * (task + 1)))
        outputs = permutation[labels[chosen]] if shared and not separate else labels[chosen]
        found.append((chosen, outputs if separate else outputs % PER_TASK))
    return found


def _of_all(seeds, samples, split, per_class, shared, separate):
    """Return [(x, y)] of both tasks for all seeds, as `images.rows` does."""
    tasks = zip(*(tasks_of(seed, samples, split, per_class, shared, separate) for seed in seeds), strict=True)
    chosen = [map(np.stack, zip(*task, strict=True)) for task in tasks]
    outputs = PER_TASK * (TASKS if separate else 1)
    return [images.rows(getattr(samples, split)[0], *each, outputs) for each in chosen]


def _require_equally_long(tasks, batch_size):
    batches = [-(-x.shape[-2] // batch_size) for x, _ in tasks]
    if 0 in batches or len(set(batches)) > 1:
        counts = " and ".join(str(x.shape[-2]) for x, _ in tasks)
        raise PlasticError(f"the tasks have {counts} training images; a smaller per_class makes their iterations equal")


def evaluate(net, tests):
    """Return the errors of `images.halves`, means over the tasks, and the error of each task."""
    each = [images.halves(functools.partial(images.errors, net), *test) for test in tests]
    found = {name: sum(of_task[name] for of_task in each) / TASKS for name in images.ERRORS}
    return found | {f"task{k}_error": of_task["test_error"] for k, of_task in enumerate(each)}


def split(metrics, rule, interval):
    """Return (rates, {"resuming": errors (rates, seeds, iterations), "forgetting": errors}) of a rule.

    The error of the task that was learned in an iteration, after it, and that of the other task.
    """
    (rates, *_), *_ = each = [best_rate.curves(metrics, f"task{k}_error", rule=rule) for k in range(TASKS)]
    errors = np.stack([values for _, values in each])[..., 1:]
    learned = np.arange(errors.shape[-1]) // interval % TASKS
    kinds = {"resuming": learned, "forgetting": 1 - learned}
    return rates, {name: np.take_along_axis(errors, task[None, None, None], axis=0)[0] for name, task in kinds.items()}
