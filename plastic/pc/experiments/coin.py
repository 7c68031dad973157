"""Motor learning with cues: what one trial changes, by cue and force (Song et al. 2024, Fig. 5f)."""

import itertools

import numpy as np

from plastic import require, training, xp
from plastic.errors import PlasticError
from plastic.pc.experiments import coin_session, figures, fits, pairs, replicas
from plastic.pc.experiments.coin_session import GROUPS
from plastic.pc.experiments.options import Grid, Inference, Rates, of_grid
from plastic.runs import experiment

GRIDS = {
    "paper": {
        "spreads": (1.0, 0.1, 0.01, 0.001, 1e-4, 1e-5),
        "rates": (0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 5e-4, 1e-4, 5e-5, 1e-5, 5e-6, 1e-6),
        "memory_rates": (0.1, 0.05, 0.01, 0.005, 0.001, 5e-4),
        "seeds": 24,
    },
    "quick": {
        "spreads": (0.1, 1e-5),
        "rates": (0.1, 0.01, 5e-5),
        "memory_rates": (0.01, 0.001),
        "seeds": 4,
    },
}
INFERENCE = Inference(T=256, discount=0.9)
OPTIONS = ("spread", "rate", "memory_rate")


def restore(arrays, **_):
    """Return (network, predict) of all replicas from the arrays of a checkpoint; see `plastic.load`.

    predict(x) takes cues (batch, 2) of the host, 0 and 1, to forces (replicas, batch, 2).
    """
    net, predict = replicas.restore(arrays, phi="linear")
    return net, lambda x: predict(np.asarray(x, dtype=float))


@experiment("pc", draw={"coin": figures.coin}, readable="{grid}-{seeds}", seed=0, dtype="float64", restore=restore)
def coin(
    run,
    *,
    grid: Grid = "paper",
    spreads: Rates = None,
    rates: Rates = None,
    memory_rates: Rates = None,
    full: bool = False,
    blocks: int = coin_session.BLOCKS,
    tests: int = coin_session.TESTS,
    inference: Inference = INFERENCE,
):
    """Fit what people learn from one trial when cues say which force is to come (Song et al. 2024, Fig. 5f).

    A linear net 2-2-2, from cues over contexts to forces, with initial weights N(0, spread^2), goes through the session
    of Heald, Lengyel and Wolpert 2021: training with force + after cue 1 and - after cue 2, then single trials of all
    four pairings. What is measured is how much one trial changes the force expected after cue 1. With predictive coding
    (PC) a trial of cue 2 does so too, as in people; with BP the two cues do not share anything.

    The first layer stays diagonal. It and the second, the memory of the forces, have learning rates of their own; each
    configuration is fitted to the data by one factor, and the best fit is chosen for each rule. Replicas are seeds and
    configurations, all trained together: 24 and 432 as published, 20,736 runs of both rules. The run folder,
    results/pc/coin-..., gets config.json, metrics.csv (a row per rule, configuration and seed), a checkpoint for each
    rule and a figure. Published as coin_fig3_new/base-train, and with --full as its -fc. Precision is float64, since
    the smallest rates move weights by a millionth.

    Args:
        grid: paper (24 seeds from --seed on) or quick (4, and twelve configurations); other options replace what it
            says.
        spreads: standard deviations of the initial weights.
        rates: learning rates of the first layer.
        memory_rates: learning rates of the second layer.
        full: let the first layer have all its weights.
        blocks: blocks of training.
        tests: blocks of the test.
    """
    spreads, rates, memory_rates = of_grid(run, GRIDS[grid], spreads=spreads, rates=rates, memory_rates=memory_rates)
    require.counts(blocks=blocks, tests=tests)
    configurations = list(itertools.product(spreads, rates, memory_rates))
    columns = [
        {"replica": replica, "seed": seed} | dict(zip(OPTIONS, of, strict=True))
        for replica, (seed, of) in enumerate(itertools.product(run.seeds, configurations))
    ]
    run.expect(len(columns) * 40, spreads=spreads, rates=rates, memory_rates=memory_rates)
    rules = inference.rules()
    for part in run.parts([{"rule": name} for name in rules]):
        rule = rules[part.columns["rule"]]
        trials = Trials(run.generators(), len(configurations), blocks, tests)
        net = initial(run.generators(), configurations, full)
        _fit(part, net, trials, rule, configurations, columns, full)
    return [_line(name, *best(run.metrics(), name)) for name in rules]


def _fit(part, net, trials, rule, configurations, columns, full):
    """Go through the sessions of all replicas by one rule."""
    adaptation = xp.asarray(np.zeros((len(columns), len(GROUPS))))

    def evaluate():
        found = adaptation if trials.taken else xp.full_like(adaptation, float("nan"))  # before the first there is none
        return {group: found[:, k] for k, group in enumerate(GROUPS)}

    training.fit(
        part,
        net.parameters | {"adaptation": adaptation},
        trials,
        step_of(net, adaptation, rule, configurations, len(part.seeds), full),
        steps=trials.per_epoch,
        evaluate=evaluate,
        checkpoint_every=100,
        replicas=columns,
        when_diverged=dict.fromkeys(GROUPS, float("nan")),
    )


def initial(generators, configurations, full):
    """Return the net of all replicas, seed by seed: W ~ N(0, spread^2), the first diagonal unless it is full."""
    normal = np.stack([each.init.standard_normal((2, 2, 2)) for each in generators])  # seeds, layers, n_in, n_out
    spreads = np.array([spread for spread, *_ in configurations])
    W = (normal[:, None] * spreads[:, None, None, None]).reshape(-1, 2, 2, 2)
    first = W[:, 0] if full else W[:, 0] * np.eye(2)
    return pairs.network([xp.asarray(first), xp.asarray(W[:, 1])], "linear")


def step_of(net, adaptation, rule, configurations, seeds, full):
    """Return step(trial, number) for `fit`: what a trial adds to the adaptation, before it is learned, and learning."""
    rates = np.tile(np.array(configurations)[:, 1:], (seeds, 1))[..., None, None]
    first, second = (xp.asarray(rates[:, k] * (1 if full or k else np.eye(2))) for k in range(2))

    def step(trial, number):
        x, y, weight = trial
        grads, output = rule(net, x, y)
        adaptation[...] += weight * (output[:, :, 0] - output[:, :, 1])
        net.layers[0].W -= first * grads["layers"][0].W
        net.layers[1].W -= second * grads["layers"][1].W
        return xp.max(xp.abs(net.layers[1].W), axis=(-2, -1))

    return step


class Trials:
    """The sessions of all seeds, a trial at a time: (cue, force, weights of the prediction), each for all replicas.

    A session that is shorter than the longest ends with more trials of its last kind, which no measure sees.
    """

    def __init__(self, generators, configurations, blocks, tests):
        sessions = [coin_session.session(each.task, blocks, tests) for each in generators]
        self.per_epoch, self.taken = max(len(trials) for trials, _ in sessions), 0
        whole = [trials + trials[-1:] * (self.per_epoch - len(trials)) for trials, _ in sessions]
        cues, forces = zip(*map(coin_session.inputs, whole), strict=True)
        weights = [coin_session.weights_of_probes(starts, self.per_epoch) for _, starts in sessions]
        self._of_seeds = [np.stack(each, axis=1) for each in (cues, forces, weights)]  # (trials, seeds, ..)
        self._configurations = configurations

    def next(self):
        """Return the next trial: x (replicas, 1, 2), y alike, weights (replicas, 4)."""
        now = [np.repeat(each[self.taken], self._configurations, axis=0) for each in self._of_seeds]
        self.taken += 1
        x, y, weights = map(xp.asarray, now)
        return x[:, None], y[:, None], weights

    def state(self):
        """Return how many trials have been taken."""
        return {"taken": self.taken}

    def restore(self, state):
        """Go back to where `state` was taken."""
        self.taken = state["taken"]


def best(metrics, rule):
    """Return ({option: value}, adaptation (seeds, groups), k, SSE) of the configuration that fits best.

    Raises PlasticError where the rule has not come to its end.
    """
    table = {key: np.array(column) for key, column in metrics.items()}
    last = (table["rule"] == rule) & (table["step"] == table["step"].max())
    seeds = len(set(metrics["seed"]))
    if not np.any(last):
        raise PlasticError(f"metrics.csv has no results of {rule}: the run is not finished; go on with --resume")
    adaptation = np.stack([table[group][last] for group in GROUPS], axis=-1).astype(float)
    adaptation = adaptation.reshape(seeds, -1, len(GROUPS))
    data = np.array([fits.observed("coin")[group].mean() for group in GROUPS])
    with np.errstate(all="ignore"):
        k, sse = fits.scaled(adaptation.mean(axis=0), data)
        fits.require_some(rule, np.isfinite(sse))
        index = fits.least(sse, np.abs(k) * fits.sem(adaptation).mean(axis=-1))
    places = {key: table[key][last].reshape(seeds, -1)[0, index] for key in OPTIONS}
    return places, adaptation[:, index], k[index], sse[index]


def _line(name, options, adaptation, k, sse):
    fitted = ", ".join(f"{g} {v:.3f}" for g, v in zip(GROUPS, k * adaptation.mean(axis=0), strict=True))
    words = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in options.items())
    return f"{name.upper()}: {fitted} (squared error {sse:.2g}) at {words}"
