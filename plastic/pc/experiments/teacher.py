"""A student 2-2-1 of a random teacher (Song et al. 2024, Extended Data)."""

import itertools

import numpy as np

from plastic import parameters, require, xp
from plastic.errors import PlasticError
from plastic.initializers import uniform_fan_in
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid
from plastic.pc.networks import predict

GRIDS = {
    "paper": {"rates": (0.05, 0.025, 0.01, 0.0075, 0.005, 0.0025, 0.001, 0.00075, 0.0005), "seeds": 6},
    "quick": {"rates": (0.05, 0.01, 0.001), "seeds": 3},
}
SIZES = (2, 2, 1)
INFERENCE = Inference(discount=0.8)


@pairs.experiment(
    draw={"teacher": figures.teacher, "teacher_curves": figures.teacher_curves}, readable="{grid}-{seeds}"
)
def teacher(
    run,
    *,
    grid: Grid = "paper",
    rates: Rates = None,
    iterations: int = 128,
    points: int = 64,
    batch_size: int = 4,
    inference: Inference = INFERENCE,
):
    """Train students 2-2-1 on what a random teacher of the same kind says of 64 points (Song et al. 2024).

    Points are N(0, 1), labels the signs of the teacher's output (0 where both of its hidden units are silent); hidden
    units are rectified, weights U(-c, c) with c = n_in^(-1/2). Here predictive coding (PC) has no advantage over BP. As
    published, points come in the same order in every pass, and the training loss is the squared error of a batch,
    summed over it, before it is learned, mean of the batches. Replicas are seeds and rates, all trained together. The
    run folder, results/pc/teacher-..., gets config.json, metrics.csv (a row per rule, rate and seed), arrays.h5 and
    figures: losses by rate, and over the iterations at every rate. Published as teacher_example_122/base. Precision is
    float64, which costs nothing in a net this small.

    Args:
        grid: paper (nine rates from 0.05 to 0.0005, 6 seeds from --seed on) or quick (0.05, 0.01, 0.001; 3 seeds);
            rates and seeds replace what it says.
        rates: learning rates, of sums over a batch.
        iterations: passes over the points.
        points: points to learn.
        batch_size: points per update.
    """
    rules = inference.rules()
    (rates,) = of_grid(run, GRIDS[grid], rates=rates)
    require.counts(iterations=iterations, points=points, batch_size=batch_size)
    if batch_size > points:
        raise PlasticError(f"batch_size is {batch_size}, but there are {points} points; it must be at most that")
    run.expect(len(run.seeds) * len(rates) * points * 3, points=points)
    run.begin()
    drawn = draw(run.seeds, points)
    found = {name: _losses(drawn, rule, rates, iterations, batch_size) for name, rule in rules.items()}
    names = [f"rate {rate:g}, seed {seed}" for seed in run.seeds for rate in rates]
    for name, loss in found.items():
        pairs.require_sound(name, names, [loss.reshape(len(names), -1)], np.zeros(len(names)), "rates")
        run.log(pairs.rows(name, run.seeds, rates, loss_min=loss.min(axis=-1), loss_last=loss[..., -1]))
    run.save_arrays({f"loss/{name}": loss for name, loss in found.items()} | {"rates": np.array(rates)})
    return [_line(name, loss.min(axis=-1).mean(axis=0), rates) for name, loss in found.items()]


def draw(seeds, points):
    """Return (students' weights [W_1, W_2], points, labels), host arrays with the seeds as replicas."""
    generators = [xp.generator(seed) for seed in seeds]
    students = [_weights(each.init) for each in generators]
    x, labels = zip(*(_taught(each.task, points) for each in generators), strict=True)
    return [np.stack(each) for each in zip(*students, strict=True)], np.stack(x), np.stack(labels)


def _taught(generator, points):
    """Return points (points, 2) and what a new teacher says of them (points, 1)."""
    x = generator.standard_normal((points, SIZES[0]))
    first, second = _weights(generator)
    return x, np.sign(np.maximum(x @ first, 0) @ second)


def _weights(generator):
    return [uniform_fan_in(generator, sizes, sizes[0]) for sizes in itertools.pairwise(SIZES)]


@np.errstate(all="ignore")  # a rate at which learning diverges is told by its numbers
def _losses(drawn, rule, rates, iterations, batch_size):
    """Return the training loss (seeds, rates, iterations)."""
    W, x, y = drawn
    S, R = len(x), len(rates)
    x, y = (xp.asarray(np.repeat(each, R, axis=0)) for each in (x, y))  # seed by seed, the rates within
    net = pairs.network([xp.asarray(np.repeat(each, R, axis=0)) for each in W], "relu")
    rate = pairs.column(rates * S)
    losses = [_pass(net, x, y, rule, rate, batch_size) for _ in range(iterations)]
    return xp.asnumpy(xp.stack(losses, axis=-1)).reshape(S, R, -1)


def _pass(net, x, y, rule, rate, size):
    """Learn every batch once, in place; return the training loss of each replica."""
    grads, losses = parameters.zeros_like(net.parameters), []
    for start in range(0, x.shape[-2], size):
        part = (..., slice(start, start + size), slice(None))
        losses.append(xp.sum((y[part] - predict(net, x[part])) ** 2, axis=(-2, -1)))
        pairs.learn(net, x[part], y[part], rule, rate, grads)
    return xp.mean(xp.stack(losses), axis=0)


def _line(name, means, rates):
    text = ", ".join(f"{mean:.4g} ({rate:g})" for mean, rate in zip(means, rates, strict=True))
    return f"{name.upper()}: smallest training loss, mean of the seeds, by rate: {text}"
