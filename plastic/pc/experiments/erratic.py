"""How erratic learning is: the path of the weights against the distance it covers (Song et al. 2024)."""

import collections
import functools
import itertools

import numpy as np

from plastic import require, xp
from plastic.functions import sigmoid, tanh
from plastic.initializers import xavier_normal
from plastic.pc import handcoded
from plastic.pc.experiments import figures, pairs
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid

LAYERS, SPREAD = 3, 0.1
BLOCK = 50
"""Nets that learn at once on a CPU: what they weigh stays in the cache of a core, twice as fast as all at once."""
COUPLES = (("pc", "bp"), ("gr", "ap"))


def _from(first, last, step):
    return tuple(round(first + step * k, 6) for k in range(round((last - first) / step) + 1))


GRIDS = {
    "paper": {
        "rates_pc": _from(0.476, 0.572, 0.004),
        "rates_bp": _from(0.336, 0.378, 0.002),
        "rates_gr": _from(0.002, 0.00344, 0.00008),
        "rates_ap": _from(0.001, 0.00188, 0.00008),
        "seeds": 99,
    },
    "quick": {
        "rates_pc": (0.476, 0.524, 0.572),
        "rates_bp": (0.336, 0.358, 0.378),
        "rates_gr": (0.002, 0.00272, 0.00344),
        "rates_ap": (0.001, 0.00144, 0.00188),
        "seeds": 10,
    },
}
PHASES = {
    False: {"steps_gr": 128, "gamma_gr": 0.01, "steps_ap": 64, "gamma_ap": 0.001},
    True: {"steps_gr": 256, "gamma_gr": 0.1, "steps_ap": 256, "gamma_ap": 0.1},
}
"""Steps and rates of a phase, published and clean."""
CLEAN = {"rates_gr": (0.0005, 0.001, 0.002, 0.004, 0.008), "rates_ap": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)}
"""Learning rates at which the clean rules cover the same distances."""
INFERENCE = Inference(T=200, discount=0.9)


@pairs.experiment(
    draw={"erratic": figures.erratic, "directions": figures.directions},
    readable=lambda *, grid, clean, seeds, **_: f"{grid}{'-clean' if clean else ''}-{seeds}",
)
def erratic(
    run,
    *,
    grid: Grid = "paper",
    rates_pc: Rates = None,
    rates_bp: Rates = None,
    rates_gr: Rates = None,
    rates_ap: Rates = None,
    clean: bool = False,
    iterations: int = 64,
    inference: Inference = INFERENCE,
    steps_gr: int | None = None,
    gamma_gr: float | None = None,
    steps_ap: int | None = None,
    gamma_ap: float | None = None,
    few_seeds: int = 5,
    width: int = 32,
):
    """Compare the path that weights take while one pair is learned with the distance it covers (Song et al. 2024).

    A net 32-32-32-32, xavier-normal, learns one pair, both N(0, 0.1^2), in 64 updates. The path is the sum of the
    lengths of all updates, the distance that between first and last weights; both are means over the three matrices.
    Predictive coding (PC) and BP have sigmoid nets, GeneRec and Almeida-Pineda tanh nets and the rules of
    `plastic.pc.handcoded`. Rates are such that both of a couple cover the same distances: at the same one, the path of
    PC is shorter than BP's, and that of GeneRec than Almeida-Pineda's. Published as traj-learning-rate-pc, -bp, -gr and
    -ap. T, gamma, discount, tolerance and solver are of PC. Replicas are seeds and rates. The run folder,
    results/pc/erratic-..., gets config.json, metrics.csv (a row per rule, rate and seed), arrays.h5 and a figure.
    Precision is float64.

    Kept by default, as the published figure depends on it: GeneRec and Almeida-Pineda begin from states N(0, 1), which
    go on from one update to the next; they learn without ever having predicted, so that GeneRec has its clamped phase
    alone (a Hebbian rule), and the states of Almeida-Pineda never move from where they began, only its adjoint does.
    (The published code drops the negative phase in every call, so none of its settings is GeneRec.) With --clean both
    relax before they learn, GeneRec contrasts both phases, and the adjoint is that of the fixed point; rates_gr is then
    0.0005 to 0.008 and rates_ap 1e-5 to 1e-3, at which both cover the same distances. There the published order is not
    confirmed: below a distance of about 0.2 both paths are as long, above it GeneRec's is the longer.

    A second figure has the directions: by rate, path over distance, and the cosine of an update, and of the way so far,
    with the way from the first weights to the last (step_cosine, way_cosine; means of the updates).

    Args:
        grid: paper (25 rates of PC, 22 of BP, 19 of GeneRec, 12 of Almeida-Pineda; 99 seeds from --seed on) or quick
            (3 each; 10); rates and seeds replace what it says.
        rates_pc: learning rates of PC.
        rates_bp: of BP.
        rates_gr: of GeneRec.
        rates_ap: of Almeida-Pineda.
        clean: the two rules as they are meant.
        iterations: updates.
        steps_gr: steps of a phase of GeneRec; by default 128, and 256 with clean.
        gamma_gr: its rate of inference; by default 0.01, and 0.1 with clean.
        steps_ap: steps of a phase of Almeida-Pineda; by default 64, and 256 with clean.
        gamma_ap: its rate of inference; by default 0.001, and 0.1 with clean.
        few_seeds: GeneRec and Almeida-Pineda have so many of the seeds.
        width: units of every layer.
    """
    rules = inference.rules()
    published = GRIDS[grid] | (CLEAN if clean else {})
    rates = of_grid(run, published, rates_pc=rates_pc, rates_bp=rates_bp, rates_gr=rates_gr, rates_ap=rates_ap)
    rates = dict(zip(itertools.chain(*COUPLES), rates, strict=True))
    phases = {"steps_gr": steps_gr, "gamma_gr": gamma_gr, "steps_ap": steps_ap, "gamma_ap": gamma_ap}
    steps_gr, gamma_gr, steps_ap, gamma_ap = of_grid(run, PHASES[clean], **phases)
    require.counts(iterations=iterations, steps_gr=steps_gr, steps_ap=steps_ap, few_seeds=few_seeds, width=width)
    require.number("gamma_gr", gamma_gr, above=0)
    require.number("gamma_ap", gamma_ap, above=0)
    inference.require_reach(LAYERS)
    run.expect(len(run.seeds) * LAYERS * width**2, width=width)
    run.begin()
    walks = {name: functools.partial(by_gradients, rule=rule) for name, rule in rules.items()}
    walks["gr"] = functools.partial(generec, gamma=gamma_gr, steps=steps_gr, clean=clean)
    walks["ap"] = functools.partial(almeida_pineda, gamma=gamma_ap, steps=steps_ap, clean=clean)
    arrays: dict[str, np.ndarray] = {}
    for name, walk in walks.items():
        seeds = run.seeds[:few_seeds] if name in ("gr", "ap") else run.seeds
        found = _walks(walk, seeds, rates[name], width, iterations)
        names = [f"rate {rate:g}, seed {seed}" for seed in seeds for rate in rates[name]]
        gamma = (f"gamma_{name}",) if name in ("gr", "ap") else ()
        pairs.require_sound(name, names, [found.path.reshape(-1)], found.ratio.reshape(-1), f"rates_{name}", *gamma)
        arrays |= {f"{measure}/{name}": value for measure, value in found._asdict().items()}
        arrays[f"rates/{name}"] = np.array(rates[name])
        run.log(pairs.rows(name, seeds, rates[name], **columns(found)))
    run.save_arrays(arrays)
    return _report(arrays)


Start = collections.namedtuple("Start", "W x y states rate")
"""Where replicas begin: weights [W_1, W_2, W_3], a pair x, y, states of all four layers, and learning rates."""


def drawn(seeds, rates, width):
    """Return the `Start` of all seeds and rates, seed by seed, the rates within."""
    generators = [xp.generator(seed) for seed in seeds]
    x, y = (np.stack([SPREAD * each.data.standard_normal((1, width)) for each in generators]) for _ in range(2))
    W = [np.stack([xavier_normal(each.init, width, width) for each in generators]) for _ in range(LAYERS)]
    states = [np.stack([each.noise.standard_normal((1, width)) for each in generators]) for _ in range(LAYERS + 1)]
    W, (x, y), states = ([xp.asarray(np.repeat(a, len(rates), axis=0)) for a in part] for part in (W, (x, y), states))
    return Start(W, x, y, states, pairs.column(tuple(rates) * len(seeds)))


@np.errstate(all="ignore")  # a rate at which learning diverges is told by its numbers
def _walks(walk, seeds, rates, width, iterations):
    """Return the `Walk` of each seed and rate, host arrays (seeds, rates)."""
    size = max(1, BLOCK // len(rates)) if xp.backend() != "cupy" else len(seeds)
    blocks = []
    for start in range(0, len(seeds), size):
        some = seeds[start : start + size]
        found = walked(walk(drawn(some, rates, width), iterations))
        blocks.append([xp.asnumpy(each).reshape(len(some), len(rates)) for each in found])
    return Walk(*(np.concatenate(each) for each in zip(*blocks, strict=True)))


Walk = collections.namedtuple("Walk", "path distance ratio step_cosine way_cosine")
"""Of a walk of weights: its length, the distance between its ends, path over distance, and two mean cosines with the
way from the first weights to the last: of each update, and of the way from the first weights to those after each."""


def walked(walk):
    """Return the `Walk` of weights [W_1, .., W_L], one list per time, each a mean over the layers.

    Mean cosines need no history: that of the updates d_k with the whole way D is (sum of d_k / |d_k|) D / (K |D|).
    """
    walk = iter(walk)
    first = [each.copy() for each in next(walk)]
    before, path, steps, ways, count = first, 0.0, 0.0, 0.0, 0
    for W in walk:
        after = [each.copy() for each in W]
        step, way = ([a - b for a, b in zip(after, each, strict=True)] for each in (before, first))
        path = path + _norms(step)
        steps, ways = _sum(steps, step), _sum(ways, way)
        before, count = after, count + 1
    distance = _norms(way)
    cosines = (_dots(each, way) / (count * distance) for each in (steps, ways))
    return Walk(*(xp.mean(each, axis=0) for each in (path, distance, path / distance, *cosines)))


def _sum(total, matrices):
    """Add the directions of matrices [A_1, .., A_L], those of length 0 being 0, to a total."""
    lengths = _norms(matrices)
    factors = xp.where(lengths > 0, 1 / xp.where(lengths > 0, lengths, 1), 0)[..., None, None]
    directions = [a * factors[k] for k, a in enumerate(matrices)]
    return directions if isinstance(total, float) else [a + b for a, b in zip(total, directions, strict=True)]


def _dots(one, other):
    return xp.stack([xp.sum(a * b, axis=(-2, -1)) for a, b in zip(one, other, strict=True)])


def _norms(matrices):
    """Return the Frobenius norms (L, ...) of matrices [A_1, .., A_L]."""
    return xp.sqrt(_dots(matrices, matrices))


def by_gradients(start, iterations, *, rule):
    """Yield the weights of a sigmoid net before and after every update by a rule, PC or BP."""
    net = pairs.network(start.W, sigmoid)
    for each in pairs.learning(net, start.x, start.y, rule, start.rate, iterations):
        yield [layer.W for layer in each.layers]


def generec(start, iterations, *, gamma, steps, clean):
    """Yield the weights of GeneRec before and after every update."""
    W, states, free = start.W, [start.x, *start.states[1:]], None
    yield W
    for _ in range(iterations):
        if clean:
            free = states = handcoded.generec_relax(states, W, tanh, gamma, steps, clamped=False)
        states = handcoded.generec_relax(handcoded.clamp(states, start.y), W, tanh, gamma, steps, clamped=True)
        W = _updated(W, start.rate, handcoded.contrastive_update(states, free, tanh))
        yield W


def almeida_pineda(start, iterations, *, gamma, steps, clean):
    """Yield the weights of Almeida-Pineda before and after every update."""
    W, states = start.W, [start.x, *start.states[1:]]
    adjoint = start.states  # as published, it begins where the states do
    yield W
    for _ in range(iterations):
        if clean:
            states = handcoded.almeida_pineda_relax(states, W, tanh, gamma, steps)
        adjoint = handcoded.almeida_pineda_adjoint(adjoint, states, W, tanh, start.y, gamma, steps, complete=clean)
        W = _updated(W, start.rate, handcoded.almeida_pineda_update(states, adjoint, tanh))
        yield W


def _updated(W, rate, dW):
    return [each + rate * step for each, step in zip(W, dW, strict=True)]


def columns(walk):
    """Return what metrics.csv says of a `Walk`: {column: values}."""
    return {{"path": "path_length", "distance": "displacement"}.get(k, k): v for k, v in walk._asdict().items()}


def compared(arrays, one, other):
    """Return (distance, path of one, path of the other) in the middle of the distances that both cover on average.

    The paths are those of the means over seeds, by interpolation between rates; None where the ranges do not meet.
    """
    means = {}
    for rule in (one, other):
        distance, path = (arrays[f"{name}/{rule}"].mean(axis=0) for name in ("distance", "path"))
        order = np.argsort(distance)
        means[rule] = distance[order], path[order]
    low, high = max(each[0][0] for each in means.values()), min(each[0][-1] for each in means.values())
    if not low <= high:
        return None
    middle = (low + high) / 2
    return middle, *(float(np.interp(middle, *means[rule])) for rule in (one, other))


def _report(arrays):
    lines = []
    for one, other in COUPLES:
        for rule in (one, other):
            path, distance = (arrays[f"{name}/{rule}"].mean(axis=0) for name in ("path", "distance"))
            text = f"distance {distance.min():.4g} to {distance.max():.4g}, path {path.min():.4g} to {path.max():.4g}"
            lines.append(f"{pairs.RULES[rule]}: {text}, {arrays[f'ratio/{rule}'].mean():.4g} times the distance")
        if both := compared(arrays, one, other):
            text = f"at distance {both[0]:.4g}: path {both[1]:.4g}"
            lines.append(f"{text} ({pairs.RULES[one]}), {both[2]:.4g} ({pairs.RULES[other]})")
    return lines
