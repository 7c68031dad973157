"""Fear conditioning: does extinguishing one stimulus change the fear of another? (Song et al. 2024, Extended Data.)"""

import itertools

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.pc.experiments import figures, fits, pairs
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid
from plastic.pc.networks import predict

GRIDS = {
    "paper": {"rates": (1.0, 0.1, 0.01, 0.001), "seeds": 8},
    "quick": {"rates": (0.1, 0.01), "seeds": 3},
}
GROUPS = {"N+": ((0, 1), (0, 0)), "LN+": ((1, 1), (0, 0)), "LN+,L-": ((1, 1), (1, 0))}
"""What each group is shown, (light, noise), while it is conditioned (target 1), and then (target 0)."""
NOISE = (0, 1)
MIX = 0.1  # mean of the initial weights of the output
INFERENCE = Inference(T=200, gamma=0.5)


@pairs.experiment(draw={"fear": figures.fear}, readable="{grid}-{seeds}")
def fear(
    run,
    *,
    grid: Grid = "paper",
    rates: Rates = None,
    spreads: tuple[float, ...] = (0.01,),
    iterations: int = 32,
    inference: Inference = INFERENCE,
):
    """Fit the fear of a noise in three groups of animals (Song et al. 2024, Extended Data; Kaufman and Bolles 1981).

    A linear net has a light L and a noise N for inputs, a hidden unit for each, with initial weights 1, and fear for
    its output, with initial weights |N(0.1, spread^2)|. Groups are conditioned with N or with both, 32 iterations with
    target 1; then one of them sees L alone with target 0 and the others nothing. What is measured is the fear of N
    alone at the end. With predictive coding (PC) extinguishing L raises it, as in the animals; with BP it does not.

    Weights of the first layer, of L and of N in the second have learning rates of their own, all triples of `rates`,
    and each configuration is fitted to the data, an affine function of the mean over seeds; the best fit is chosen for
    each rule. Replicas are seeds, configurations and groups, all trained together. The run folder,
    results/pc/fear-..., gets config.json, metrics.csv (a row per rule, configuration, group and seed), arrays.h5 and a
    figure. Published as fear_conditioning/base, and with --spreads=0.01,0.05,0.1,0.5 as base-init_std. Precision is
    float64, which costs nothing in a net this small.

    Args:
        grid: paper (rates 1, 0.1, 0.01, 0.001; 8 seeds from --seed on) or quick (0.1, 0.01; 3 seeds).
        rates: learning rates, of which every triple is tried, instead of the grid's.
        spreads: standard deviations of the initial weights of the output, tried side by side.
        iterations: updates of each phase.
    """
    (rates,) = of_grid(run, GRIDS[grid], rates=rates)
    require.counts(iterations=iterations)
    if not spreads or min(spreads) < 0 or len(set(spreads)) < len(spreads):
        raise PlasticError(f"spreads is {spreads}; it must hold different numbers, at least 0")
    configurations = np.array(list(itertools.product(spreads, rates, rates, rates)))
    run.expect(len(run.seeds) * len(configurations) * len(GROUPS) * 40, rates=rates, spreads=spreads)
    run.begin()
    arrays = {"configurations": configurations}
    for name, rule in inference.rules().items():
        responses = conditioned(initial(run.seeds, configurations[:, 0]), configurations[:, 1:], rule, iterations)
        arrays[f"responses/{name}"] = responses
        run.log(_rows(name, run.seeds, configurations, responses[..., -1]))
    run.save_arrays(arrays)
    return [_line(name, *best(run.metrics(), name)) for name in inference.rules()]


def initial(seeds, spreads):
    """Return the initial weights of the output (seeds, configurations, 2), those of L and of N."""
    normal = np.stack([xp.generator(seed).init.standard_normal(2) for seed in seeds])
    return np.abs(MIX + np.asarray(spreads)[:, None] * normal[:, None])


@np.errstate(all="ignore")  # a rate at which learning diverges is told by its numbers
def conditioned(mix, rates, rule, iterations):
    """Return the fear of N after each update (seeds, configurations, groups, 2 iterations).

    mix: initial weights of the output (seeds, configurations, 2). rates: (configurations, 3), those of the first layer,
    of L and of N.
    """
    shape = (*mix.shape[:2], len(GROUPS))

    def replicas(values):  # one axis for all, so that tiny products run over it (see `xp.order`)
        return np.broadcast_to(values, (*shape, *values.shape[3:])).reshape(-1, *values.shape[3:]).copy()

    first = xp.asarray(replicas(rates[None, :, None, :1, None] * np.eye(2)))  # each hidden unit has one input
    second = xp.asarray(replicas(rates[None, :, None, 1:, None]))
    W = [replicas(np.eye(2)[None, None, None]), replicas(mix[:, :, None, :, None])]
    net, noise = pairs.network([xp.asarray(each) for each in W], "linear"), xp.asarray(np.array([NOISE], dtype=float))
    found = []
    for phase, target in enumerate((1.0, 0.0)):
        x = np.array([group[phase] for group in GROUPS.values()], dtype=float)
        x, y = xp.asarray(replicas(x[None, None, :, None])), xp.asarray(np.array([[target]]))
        for _ in range(iterations):
            grads, _ = rule(net, x, y)
            net.layers[0].W -= first * grads["layers"][0].W
            net.layers[1].W -= second * grads["layers"][1].W
            found.append(predict(net, noise).reshape(shape))
    return xp.asnumpy(xp.stack(found, axis=-1))


def _rows(name, seeds, configurations, fears):
    """Return the rows of metrics.csv of a rule; fears: (seeds, configurations, groups)."""
    each = itertools.product(enumerate(seeds), enumerate(configurations.tolist()), enumerate(GROUPS))
    return [
        {"replica": replica, "seed": seed, "rule": name, "spread": of[0]}
        | {"rate_first": of[1], "rate_light": of[2], "rate_noise": of[3], "group": group, "fear": fears[s, c, g]}
        for replica, ((s, seed), (c, of), (g, group)) in enumerate(each)
    ]


def best(metrics, rule):
    """Return ({option: value}, fears (seeds, groups), k, b, SSE) of the configuration that fits best."""
    table = {key: np.array(column) for key, column in metrics.items()}
    own = table["rule"] == rule
    seeds = len(set(metrics["seed"]))
    fears = table["fear"][own].astype(float).reshape(seeds, -1, len(GROUPS))
    data = fits.observed("fear")
    with np.errstate(all="ignore"):  # of configurations that diverge
        k, b, sse = fits.affine(fears.mean(axis=0), np.array([data[group].mean() for group in GROUPS]))
    fits.require_some(rule, np.isfinite(sse))
    index = fits.least(sse, fits.sem(fears).mean(axis=-1))
    places = {key: table[key][own].reshape(seeds, -1, len(GROUPS))[0, index, 0] for key in _OPTIONS}
    return places, fears[:, index], k[index], b[index], sse[index]


_OPTIONS = ("spread", "rate_first", "rate_light", "rate_noise")


def _line(name, options, fears, k, b, sse):
    fitted = ", ".join(f"{group} {each:.1f} %" for group, each in zip(GROUPS, k * fears.mean(axis=0) + b, strict=True))
    rates = ", ".join(f"{options[key]:g}" for key in _OPTIONS[1:])
    return f"{name.upper()}: {fitted} (squared error {sse:.3g}) at rates {rates}, spread {options['spread']:g}"
