"""A student of a random teacher (Song et al. 2024, Extended Data): the command."""

import itertools
from typing import Literal

import numpy as np

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.functions import relu
from plastic.initializers import uniform_fan_in
from plastic.pc.networks import predict
from plastic.pc.toys import setting

GRIDS = {
    "paper": {"rates": (0.05, 0.025, 0.01, 0.0075, 0.005, 0.0025, 0.001, 0.00075, 0.0005), "seeds": 6},
    "quick": {"rates": (0.05, 0.01, 0.001), "seeds": 3},
}
SIZES = (2, 2, 1)


def teacher(
    *,
    grid: Literal["paper", "quick"] = "paper",
    rates: tuple[float, ...] | None = None,
    iterations: int = 128,
    points: int = 64,
    batch_size: int = 4,
    T: int = 128,
    gamma: float = 0.1,
    discount: float = 0.8,
    seed: int = 0,
    seeds: tuple[int, ...] | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    threads: int = 1,
):
    """Train students 2-2-1 on what a random teacher of the same kind says of 64 points (Song et al. 2024).

    Points are N(0, 1), labels the signs of the teacher's output (0 where both of its hidden units are silent); hidden
    units are rectified, weights U(-c, c) with c = n_in^(-1/2). Here predictive coding (PC) has no advantage over BP. As
    published, points come in the same order in every pass, and the training loss is the squared error of a batch,
    summed over it, before it is learned, mean of the batches. Replicas are seeds and rates, all trained together. The
    run folder, results/pc/teacher-..., gets config.json, metrics.csv (a row per rule, rate and seed), arrays.h5 and a
    figure. Published as teacher_example_122/base.

    Args:
        grid: paper (nine rates from 0.05 to 0.0005, 6 seeds) or quick (0.05, 0.01, 0.001; 3 seeds); the options after
            it replace what it says.
        rates: learning rates, of sums over a batch.
        iterations: passes over the points.
        points: points to learn.
        batch_size: points per update.
        T: steps of inference per update; W moves at the last.
        gamma: rate of inference.
        discount: gamma is multiplied by it after a step that did not lower the energy.
        seed: the first seed; the others follow it.
        seeds: the seeds themselves; replaces seed.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision; float64 costs nothing in a net this small.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = setting.completed(dict(locals()), GRIDS)
    setting.check(options, "rates")
    if batch_size > points:
        raise PlasticError(f"batch_size is {batch_size}, but there are {points} points; it must be at most that")
    readable = f"{grid}-{setting.seeds_text(options)}"
    return setting.measured("teacher", options, readable, measure, _report)


def draw(options):
    """Return (student's weights [W_1, W_2], points, labels), host arrays with the seeds as replicas."""
    generators = [xp.generator(seed) for seed in options["seeds"]]
    students = [[_weights(each.init, *sizes) for sizes in itertools.pairwise(SIZES)] for each in generators]
    x, labels = zip(*(_lesson(each.task, options["points"]) for each in generators), strict=True)
    return [np.stack(each) for each in zip(*students, strict=True)], np.stack(x), np.stack(labels)


def _lesson(generator, points):
    """Return points (points, 2) and what a new teacher says of them (points, 1)."""
    x = generator.standard_normal((points, SIZES[0]))
    first, second = (_weights(generator, *sizes) for sizes in itertools.pairwise(SIZES))
    return x, np.sign(np.maximum(x @ first, 0) @ second)


def _weights(generator, n_in, n_out):
    return uniform_fan_in(generator, (n_in, n_out), n_in)


def measure(options):
    """Return (rows, arrays): loss/<rule> (seeds, rates, iterations)."""
    W, x, y = draw(options)
    S, R = len(options["seeds"]), len(options["rates"])
    x, y = (xp.asarray(np.repeat(each, R, axis=0)) for each in (x, y))  # seed by seed, the rates within
    rate = setting.column(options["rates"] * S)
    rows, arrays = [], {"rates": np.array(options["rates"])}
    for name, rule in setting.rules_of(options).items():
        net = setting.network([xp.asarray(np.repeat(each, R, axis=0)) for each in W], relu)
        losses = [_pass(net, x, y, rule, rate, options["batch_size"]) for _ in range(options["iterations"])]
        loss = arrays[f"loss/{name}"] = xp.asnumpy(xp.stack(losses, axis=-1)).reshape(S, R, -1)
        rows += [
            {"replica": s * R + r, "seed": seed, "rule": name, "rate": step, "loss_min": np.min(loss[s, r])}
            | {"loss_last": loss[s, r, -1]}
            for s, seed in enumerate(options["seeds"])
            for r, step in enumerate(options["rates"])
        ]
    return rows, arrays


def _pass(net, x, y, rule, rate, size):
    """Learn every batch once, in place; return the training loss of each replica."""
    grads, losses = parameters.zeros_like(net.parameters), []
    for start in range(0, x.shape[-2], size):
        part = (..., slice(start, start + size), slice(None))
        losses.append(xp.sum((y[part] - predict(net, x[part])) ** 2, axis=(-2, -1)))
        setting.learn(net, x[part], y[part], rule, rate, grads)
    return xp.mean(xp.stack(losses), axis=0)


def _report(run, arrays):
    for name in ("pc", "bp"):
        means = arrays[f"loss/{name}"].min(axis=-1).mean(axis=0)
        text = ", ".join(f"{mean:.4g} ({rate:g})" for mean, rate in zip(means, arrays["rates"], strict=True))
        print(f"{name.upper()}: smallest training loss, mean of the seeds, by rate: {text}")
