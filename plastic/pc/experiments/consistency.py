"""How consistent the direction of learning is, on random pairs or on images (Song et al. 2024, explorations)."""

import itertools

import numpy as np

from plastic import parameters, require, xp
from plastic.errors import PlasticError
from plastic.functions import sigmoid
from plastic.initializers import xavier_normal
from plastic.pc.experiments import figures, images, pairs
from plastic.pc.experiments.erratic import BLOCK, LAYERS, SPREAD, Walk, columns, walked
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid
from plastic.pc.experiments.passes import Passes

GRIDS = {
    "paper": {"rates": (0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4), "seeds": 31},
    "quick": {"rates": (0.1, 0.01, 0.001), "seeds": 3},
}
RATES_ON_IMAGES = {
    "paper": (0.009, 0.008, 0.007, 0.006, 0.005, 0.004, 0.003, 0.002, 0.001),
    "quick": (0.008, 0.004, 0.001),
}
SAMPLES = 4
PER_CLASS, BATCH_SIZE = 100, 100
"""Images of a class, and of a batch."""
INFERENCE = Inference(T=100, gamma=0.5, discount=0.9)


@pairs.experiment(draw={"directions": figures.directions}, readable="{grid}-{dataset}-{samples}-{iterations}-{seeds}")
def consistency(
    run,
    *,
    grid: Grid = "paper",
    rates: Rates = None,
    dataset: str = "random",
    samples: int = SAMPLES,
    iterations: int = 16,
    inference: Inference = INFERENCE,
):
    """Ask how consistent the direction of learning is, on some random pairs or on images (Song et al. 2024).

    A net 32-32-32-32, sigmoid, xavier-normal, learns some pairs of input and target, all N(0, 0.1^2), one at a time and
    in another order in every pass; or 784-32-32-10 learns 100 images of each class, in batches of 100, of which the
    last pass is measured. Measured by rate are the length of the path over the distance it covers, and the cosine of an
    update, and of the way so far, with the way from the first weights to the last (step_cosine, way_cosine: means of
    the updates and layers). Predictive coding (PC) and BP have the same weights, pairs and orders. Replicas are seeds
    and rates. The run folder, results/pc/consistency-..., gets config.json, metrics.csv (a row per rule, rate and
    seed), arrays.h5 and a figure. Published as rand-data-all, base-path-rand-data, base-path-rand-one-data, and on
    images base, base-nature, base-path. Precision is float64.

    Args:
        grid: paper (seven rates from 0.1 to 0.0001, on images nine from 0.009 to 0.001; 31 seeds from --seed on) or
            quick (three of each); rates and seeds replace what it says.
        rates: learning rates, of sums over a batch.
        dataset: random, or images in ten classes as in `depth`: FMNIST, glyphs, or an .npz file, for instance.
        samples: random pairs; published are 1, 4 and 8.
        iterations: passes over the pairs or images.
    """
    rules = inference.rules()
    of_images = dataset.lower() != "random"
    if of_images and samples != SAMPLES:
        raise PlasticError(f"samples is {samples}, for random pairs, but dataset is {dataset}: leave one of them out")
    values = GRIDS[grid] | ({"rates": RATES_ON_IMAGES[grid]} if of_images else {})
    (rates,) = of_grid(run, values, rates=rates)
    require.counts(samples=samples, iterations=iterations)
    inference.require_reach(LAYERS)
    known = _loaded(dataset) if of_images else None
    run.expect(len(run.seeds) * 32 * 2 * samples, samples=samples)
    run.begin()
    size, measured = (BATCH_SIZE, 1) if of_images else (1, iterations)
    found: dict[str, list[list[np.ndarray]]] = {name: [] for name in rules}
    for start in range(0, len(run.seeds), block := max(1, BLOCK // len(rates))):
        seeds = run.seeds[start : start + block]
        for name, rule in rules.items():
            drawn = _of_images(known, seeds) if of_images else _of_pairs(seeds, samples)
            walk = _measure(_walk(drawn, seeds, rates, rule, iterations, size, measured))
            found[name].append([xp.asnumpy(each) for each in walk])
    arrays: dict[str, np.ndarray] = {}
    for name, blocks in found.items():
        walk = Walk(*(np.concatenate(each) for each in zip(*blocks, strict=True)))
        names = [f"rate {rate:g}, seed {seed}" for seed in run.seeds for rate in rates]
        pairs.require_sound(name, names, [walk.path.reshape(-1)], walk.ratio.reshape(-1), "rates")
        run.log(pairs.rows(name, run.seeds, rates, **columns(walk)))
        arrays |= {f"{measure}/{name}": value for measure, value in walk._asdict().items()}
        arrays[f"rates/{name}"] = np.array(rates)
    run.save_arrays(arrays)
    return [_line(name, arrays) for name in rules]


_measure = np.errstate(all="ignore")(walked)  # a rate at which learning diverges is told by its numbers


def _loaded(dataset):
    known = images.load(dataset)
    known.require("train", PER_CLASS, f"{PER_CLASS} images of each class are needed")
    return known


def _of_pairs(seeds, samples):
    """Return (weights [W_1, W_2, W_3], x, y), host arrays with the seeds as replicas."""
    generators = [xp.generator(seed) for seed in seeds]
    x, y = (np.stack([SPREAD * each.data.standard_normal((samples, 32)) for each in generators]) for _ in range(2))
    return _weights(generators, [32] * (LAYERS + 1)), x, y


def _of_images(known, seeds):
    """Return the same of images."""
    generators = [xp.generator(seed) for seed in seeds]
    x, labels = (xp.asnumpy(each) for each in known.train)
    chosen = np.stack([images.some_of_each(each.data, labels, PER_CLASS) for each in generators])
    sizes = [x.shape[1], *images.HIDDEN, images.CLASSES]
    return _weights(generators, sizes), x[chosen], np.eye(images.CLASSES)[labels[chosen]]


def _weights(generators, sizes):
    return [np.stack([xavier_normal(each.init, *pair) for each in generators]) for pair in itertools.pairwise(sizes)]


def _walk(drawn, seeds, rates, rule, iterations, size, measured):
    """Yield the weights before and after every update of the last `measured` of the passes, in batches of a size."""
    W, x, y = drawn
    known = xp.asarray(x[:, None]), xp.asarray(y[:, None])
    source = Passes(lambda number: known, size, [xp.generator(seed).shuffle for seed in seeds])
    net = pairs.network([xp.asarray(np.repeat(each[:, None], len(rates), axis=1)) for each in W], sigmoid)
    rate, grads = pairs.column(rates), parameters.zeros_like(net.parameters)
    first = (iterations - measured) * source.per_epoch
    for number in range(iterations * source.per_epoch):
        if number == first:
            yield [layer.W for layer in net.layers]
        pairs.learn(net, *source.next(), rule, rate, grads)
        if number >= first:
            yield [layer.W for layer in net.layers]


def _line(name, arrays):
    found = zip(arrays[f"rates/{name}"], arrays[f"ratio/{name}"].mean(axis=0), strict=True)
    text = ", ".join(f"{ratio:.4g} ({rate:g})" for rate, ratio in found)
    return f"{pairs.RULES[name]}: path over distance, by rate: {text}"
