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
INFERENCE = Inference(T=200, discount=0.9)


@pairs.experiment(
    draw={"erratic": figures.erratic},
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
    With --clean both relax before they learn, GeneRec contrasts both phases, and the adjoint is that of the fixed
    point; then the paths of both are two to three times the distance, at distances that do not meet.

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
    rates = of_grid(run, GRIDS[grid], rates_pc=rates_pc, rates_bp=rates_bp, rates_gr=rates_gr, rates_ap=rates_ap)
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
        path, distance, ratio = _lengths(walk, seeds, rates[name], width, iterations)
        names = [f"rate {rate:g}, seed {seed}" for seed in seeds for rate in rates[name]]
        gamma = (f"gamma_{name}",) if name in ("gr", "ap") else ()
        pairs.require_sound(name, names, [path.reshape(-1)], ratio.reshape(-1), f"rates_{name}", *gamma)
        arrays |= {f"path/{name}": path, f"distance/{name}": distance, f"ratio/{name}": ratio}
        arrays[f"rates/{name}"] = np.array(rates[name])
        run.log(pairs.rows(name, seeds, rates[name], path_length=path, displacement=distance, ratio=ratio))
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
def _lengths(walk, seeds, rates, width, iterations):
    """Return (path, distance, ratio), means over the layers, host arrays (seeds, rates)."""
    size = max(1, BLOCK // len(rates)) if xp.backend() != "cupy" else len(seeds)
    blocks = []
    for start in range(0, len(seeds), size):
        some = seeds[start : start + size]
        found = walked(walk(drawn(some, rates, width), iterations))
        blocks.append([xp.asnumpy(each).reshape(len(some), len(rates)) for each in found])
    return tuple(np.concatenate(each) for each in zip(*blocks, strict=True))


def walked(walk):
    """Return (path, distance, ratio) of weights [W_1, .., W_L], one list per time, each a mean over the layers."""
    first = before = None
    path = 0.0
    for W in walk:
        if first is None:
            first = before = [each.copy() for each in W]
            continue
        path = path + _norms(W, before)
        before = [each.copy() for each in W]
    distance = _norms(before, first)
    return tuple(xp.mean(each, axis=0) for each in (path, distance, path / distance))


def _norms(W, before):
    """Return the Frobenius norms (L, ...) of the differences."""
    return xp.stack([xp.sqrt(xp.sum((a - b) ** 2, axis=(-2, -1))) for a, b in zip(W, before, strict=True)])


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
