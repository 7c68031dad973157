"""How erratic learning is: the path of the weights against the distance it covers (Song et al. 2024): the command."""

from typing import Literal

import numpy as np

from plastic import xp
from plastic.functions import sigmoid, tanh
from plastic.initializers import xavier_normal
from plastic.pc import handcoded
from plastic.pc.toys import setting

LAYERS, SPREAD = 3, 0.1
BLOCK = 50
"""Nets that learn at once on a CPU: what they weigh stays in the cache of a core, twice as fast as all at once."""
LABELS = {"pc": "PC", "bp": "BP", "gr": "GeneRec", "ap": "Almeida-Pineda"}


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


def erratic(
    *,
    grid: Literal["paper", "quick"] = "paper",
    rates_pc: tuple[float, ...] | None = None,
    rates_bp: tuple[float, ...] | None = None,
    rates_gr: tuple[float, ...] | None = None,
    rates_ap: tuple[float, ...] | None = None,
    clean: bool = False,
    iterations: int = 64,
    T: int = 200,
    gamma: float = 0.1,
    discount: float = 0.9,
    steps_gr: int | None = None,
    gamma_gr: float | None = None,
    steps_ap: int | None = None,
    gamma_ap: float | None = None,
    few_seeds: int = 5,
    width: int = 32,
    seed: int = 0,
    seeds: tuple[int, ...] | None = None,
    results: str | None = None,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float64",
    threads: int = 1,
):
    """Compare the path that weights take while one pair is learned with the distance it covers (Song et al. 2024).

    A net 32-32-32-32, xavier-normal, learns one pair, both N(0, 0.1^2), in 64 updates. The path is the sum of the
    lengths of all updates, the distance that between first and last weights; both are means over the three matrices.
    Predictive coding (PC) and BP have sigmoid nets, GeneRec and Almeida-Pineda tanh nets and the rules of
    `plastic.pc.handcoded`. Rates are such that both of a couple cover the same distances: at the same one, the path of
    PC is shorter than BP's, and that of GeneRec than Almeida-Pineda's. Published as traj-learning-rate-pc, -bp, -gr and
    -ap. Replicas are seeds and rates. The run folder, results/pc/erratic-..., gets config.json, metrics.csv (a row per
    rule, rate and seed), arrays.h5 and a figure.

    Kept by default, as the published figure depends on it: GeneRec and Almeida-Pineda begin from states N(0, 1), which
    go on from one update to the next; they learn without ever having predicted, so that GeneRec has its clamped phase
    alone (a Hebbian rule), and the states of Almeida-Pineda never move from where they began, only its adjoint does.
    With --clean both relax before they learn, GeneRec contrasts both phases, and the adjoint is that of the fixed
    point; then the paths of both are two to three times the distance, at distances that do not meet.

    Args:
        grid: paper (25 rates of PC, 22 of BP, 19 of GeneRec, 12 of Almeida-Pineda; 99 seeds) or quick (3 each; 10); the
            options after it replace what it says.
        rates_pc: learning rates of PC.
        rates_bp: of BP.
        rates_gr: of GeneRec.
        rates_ap: of Almeida-Pineda.
        clean: the two rules as they are meant.
        iterations: updates.
        T: steps of inference of PC per update; W moves at the last.
        gamma: rate of inference of PC.
        discount: gamma is multiplied by it after a step that did not lower the energy.
        steps_gr: steps of a phase of GeneRec; by default 128, and 256 with clean.
        gamma_gr: its rate of inference; by default 0.01, and 0.1 with clean.
        steps_ap: steps of a phase of Almeida-Pineda; by default 64, and 256 with clean.
        gamma_ap: its rate of inference; by default 0.001, and 0.1 with clean.
        few_seeds: GeneRec and Almeida-Pineda have so many of the seeds.
        width: units of every layer.
        seed: the first seed; the others follow it.
        seeds: the seeds themselves; replaces seed.
        results: folder of the run folders; by default PLASTIC_RESULTS or ./results.
        device: cpu, gpu or the number of a GPU; by default PLASTIC_DEVICE or cpu.
        dtype: working precision; float64, since rounding decides when gamma shrinks.
        threads: BLAS threads; more than one pays on a quiet machine only.
    """
    options = setting.completed(dict(locals()), GRIDS)
    options |= {name: value for name, value in PHASES[clean].items() if options[name] is None}
    setting.check(options, *(f"rates_{rule}" for rule in LABELS))
    readable = f"{grid}{'-clean' if clean else ''}-{setting.seeds_text(options)}"
    return setting.measured("erratic", options, readable, measure, _report)


def draw(options, seeds):
    """Return ([W_1, W_2, W_3], x, y, states of the four layers (seeds, 1, width)), with the seeds as replicas."""
    generators, n = [xp.generator(seed) for seed in seeds], options["width"]
    x, y = (np.stack([SPREAD * each.data.standard_normal((1, n)) for each in generators]) for _ in range(2))
    W = [np.stack([xavier_normal(each.init, n, n) for each in generators]) for _ in range(LAYERS)]
    return W, x, y, [np.stack([each.noise.standard_normal((1, n)) for each in generators]) for _ in range(LAYERS + 1)]


def measure(options):
    """Return (rows, arrays): path/<rule>, distance/<rule>, ratio/<rule> (seeds, rates), rates/<rule>."""
    rows, arrays = [], {}
    for rule in LABELS:
        rates = options[f"rates_{rule}"]
        seeds = options["seeds"][: options["few_seeds"]] if rule in ("gr", "ap") else options["seeds"]
        size = max(1, BLOCK // len(rates)) if xp.backend() != "cupy" else len(seeds)
        blocks = [lengths(options, rule, seeds[start : start + size]) for start in range(0, len(seeds), size)]
        path, distance, ratio = (np.concatenate(each) for each in zip(*blocks, strict=True))
        arrays |= {f"path/{rule}": path, f"distance/{rule}": distance, f"ratio/{rule}": ratio}
        arrays[f"rates/{rule}"] = np.array(rates)
        rows += [
            {"replica": s * len(rates) + r, "seed": seed, "rule": rule, "rate": rate, "path_length": path[s, r]}
            | {"displacement": distance[s, r], "ratio": ratio[s, r]}
            for s, seed in enumerate(seeds)
            for r, rate in enumerate(rates)
        ]
    return rows, arrays


def lengths(options, rule, seeds):
    """Return path, distance and their ratio, means over the layers, host arrays (seeds, rates)."""
    rates = options[f"rates_{rule}"]
    W, x, y, states = draw(options, seeds)
    W, (x, y), states = ([xp.asarray(np.repeat(a, len(rates), axis=0)) for a in part] for part in (W, (x, y), states))
    rate = setting.column(rates * len(seeds))
    if rule in ("gr", "ap"):  # as published, the adjoint of Almeida-Pineda begins where its states do
        walk = {"gr": generec, "ap": almeida_pineda}[rule](W, [x, *states[1:]], states, y, rate, options)
    else:
        nets = setting.learning(
            setting.network(W, sigmoid), x, y, setting.rules_of(options)[rule], rate, options["iterations"]
        )
        walk = ([layer.W for layer in net.layers] for net in nets)
    return [xp.asnumpy(each).reshape(len(seeds), len(rates)) for each in walked(walk)]


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


def generec(W, states, _, y, rate, options):
    """Yield the weights of GeneRec before and after every update."""
    free, phase = None, (tanh, options["gamma_gr"], options["steps_gr"])
    yield W
    for _ in range(options["iterations"]):
        if options["clean"]:
            free = states = handcoded.generec_relax(states, W, *phase, clamped=False)
        states = handcoded.generec_relax(handcoded.clamp(states, y), W, *phase, clamped=True)
        W = _updated(W, rate, handcoded.contrastive_update(states, free, tanh))
        yield W


def almeida_pineda(W, states, adjoint, y, rate, options):
    """Yield the weights of Almeida-Pineda before and after every update."""
    clean, phase = options["clean"], (options["gamma_ap"], options["steps_ap"])
    yield W
    for _ in range(options["iterations"]):
        if clean:
            states = handcoded.almeida_pineda_relax(states, W, tanh, *phase)
        adjoint = handcoded.almeida_pineda_adjoint(adjoint, states, W, tanh, y, *phase, complete=clean)
        W = _updated(W, rate, handcoded.almeida_pineda_update(states, adjoint, tanh))
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


def _report(_, arrays):
    for one, other in (("pc", "bp"), ("gr", "ap")):
        for rule in (one, other):
            path, distance = (arrays[f"{name}/{rule}"].mean(axis=0) for name in ("path", "distance"))
            text = f"distance {distance.min():.4g} to {distance.max():.4g}, path {path.min():.4g} to {path.max():.4g}"
            print(f"{LABELS[rule]}: {text}, {arrays[f'ratio/{rule}'].mean():.4g} times the distance")
        both = compared(arrays, one, other)
        if both is not None:
            print(f"at distance {both[0]:.4g}: path {both[1]:.4g} ({LABELS[one]}), {both[2]:.4g} ({LABELS[other]})")
