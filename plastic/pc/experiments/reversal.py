"""Reversal learning: what a punishment does to the option that was not chosen (Song et al. 2024, Fig. 6c)."""

import itertools

import numpy as np

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.pc.experiments import figures, fits, pairs
from plastic.pc.experiments.chosen import gradients, squared
from plastic.pc.experiments.learning import require_rules
from plastic.pc.experiments.options import Inference, require_different
from plastic.pc.inference import infer
from plastic.pc.networks import predict
from plastic.pc.states import State

INFERENCE = Inference(T=256, discount=0.9)
LATE = 64  # trials from here on are measured
IN_A_ROW, P_REVERSAL = 4, 0.25
P_REWARD = {True: 0.7, False: 0.4}
"""Of the correct option, and of the other."""
GROUPS = ("punished stay", "next switch", "punished switch", "next stay")
"""The value of the chosen option when it is punished, and of the one chosen next, if the choice changed or not."""
REASON_W, REASON_RATES, REASON_ITERATIONS = ((1.0,), (1.0, -1.0)), (0.1, 0.05, 0.01), 64
TRACED, TRACE_STEPS = (3, 5, 7), 32


@pairs.experiment(
    draw={"reversal": figures.reversal, "reasons": figures.reasons},
    readable="{seed}",
    seeds=False,
)
def reversal(
    run,
    *,
    seeds_pc: int = 22,
    seeds_bp: int = 40,
    spreads_pc: tuple[float, ...] = (0.05,),
    spreads_bp: tuple[float, ...] = (0.1,),
    rates: tuple[float, ...] = (0.1,),
    trials: int = 128,
    inference: Inference = INFERENCE,
):
    """Fit the brain's expectation around a punished choice while the better option changes (Song et al. 2024, Fig. 6c).

    A linear net 1-1-2, from the task over a hidden unit to the values of two options, chooses with the probability
    softmax(values). The correct option is rewarded (target 1) with probability 0.7 and punished (-1) otherwise, the
    other is rewarded with 0.4; after four correct choices in a row the options change places with probability 0.25 at
    every trial. Only the chosen output has an error. With predictive coding (PC) the punishment of one option lets the
    hidden unit, and with it the value of the other, move at once; with BP it does not.

    From trial 64 on, punished trials are split by whether the next choice is another. The measured values are those of
    the chosen options before learning, at both trials, means over the trials of a seed and then over seeds; an affine
    function of these four is fitted to the data (Hampton et al. 2006). Replicas are seeds, initial weights N(0,
    spread^2) and rates; the best fit of each rule is chosen. The second figure has the reason: from weights (1; 1, -1)
    the first option is always punished; the path of the weights at three rates, and of the hidden unit during inference
    in three of the iterations. The run folder, results/pc/reversal-..., gets config.json, metrics.csv (a row per rule,
    configuration, seed and group), arrays.h5 and both figures. Published as reversal_task/base-plot and
    base-plot-reason; the published fit has taken its spreads from a search. Precision is float64, which costs nothing
    in a net this small.

    Args:
        seeds_pc: seeds of PC, from --seed on.
        seeds_bp: seeds of BP.
        spreads_pc: standard deviations of the initial weights of PC, tried side by side.
        spreads_bp: those of BP.
        rates: learning rates, tried with every spread.
        trials: trials, more than 66.
    """
    require.counts(seeds_pc=seeds_pc, seeds_bp=seeds_bp)
    require.whole("trials", trials, least=LATE + 2)
    require_rules(("pc", "bp"), inference, loss=squared)
    run.successive_seeds(max(seeds_pc, seeds_bp))
    given = {"spreads_pc": spreads_pc, "spreads_bp": spreads_bp, "rates": rates}
    for name, values in given.items():
        require_different(name, values)
    run.expect((seeds_pc + seeds_bp) * trials * 8 * len(rates) * (len(spreads_pc) + len(spreads_bp)), trials=trials)
    run.begin()
    arrays: dict[str, np.ndarray] = {}
    for name, count, spreads in (("pc", seeds_pc, spreads_pc), ("bp", seeds_bp, spreads_bp)):
        configurations, seeds = list(itertools.product(spreads, rates)), run.successive_seeds(count)
        history = played(seeds, configurations, gradients(name, inference), trials)
        fits.require_some(name, np.isfinite(history["value"]).all(axis=(0, 2)))
        arrays |= {f"{key}/{name}": values for key, values in history.items()}
        run.log(_rows(name, seeds, configurations, expectations(**history)))
        arrays[f"reasons/{name}"] = path = reasons(gradients(name, inference))
        pairs.require_sound(name, [f"rate {rate:g}" for rate in REASON_RATES], [path], np.zeros(len(path)), power=1)
    arrays["inference"] = inference_traces(inference)
    run.save_arrays(arrays)
    return [_line(name, *best(run.metrics(), name)) for name in ("pc", "bp")]


@np.errstate(all="ignore")  # a rate at which learning diverges is told by its numbers
def played(seeds, configurations, gradients, trials):
    """Return {"chosen", "value", "reward"}, each (seeds, configurations, trials); value: that of the chosen option.

    Draws are a seed's own, and the same for all of its configurations.
    """
    S, C = len(seeds), len(configurations)
    each = [xp.generator(seed) for seed in seeds]
    normal = np.stack([one.init.standard_normal(3) for one in each])
    draws = np.stack([one.task.random((trials, 3)) for one in each])
    spread, rate = np.tile(np.array(configurations), (S, 1)).T
    W = np.repeat(normal, C, axis=0) * spread[:, None]
    net = pairs.network([xp.asarray(W[:, None, :1]), xp.asarray(W[:, None, 1:])], "linear")
    rate, x = xp.asarray(rate[:, None, None]), xp.asarray(np.ones((S * C, 1, 1)))
    correct, in_a_row, history = np.zeros(S * C, int), np.zeros(S * C, int), []
    for choice, outcome, change in np.repeat(draws, C, axis=0).transpose(1, 2, 0):
        values = xp.asnumpy(predict(net, x))[:, 0]
        chosen = (choice < 1 / (1 + np.exp(values[:, 0] - values[:, 1]))).astype(int)
        right = chosen == correct
        reward = np.where(outcome < np.where(right, P_REWARD[True], P_REWARD[False]), 1.0, -1.0)
        history.append((chosen, np.take_along_axis(values, chosen[:, None], 1)[:, 0], reward))
        grads = gradients(net, x, xp.asarray(reward[:, None, None]), xp.asarray(np.eye(2)[chosen][:, None]))
        for layer, grad in zip(net.layers, grads["layers"], strict=True):
            layer.W -= rate * grad.W
        in_a_row = np.where(right, in_a_row + 1, 0)
        reverses = (in_a_row >= IN_A_ROW) & (change < P_REVERSAL)
        correct, in_a_row = np.where(reverses, 1 - correct, correct), np.where(reverses, 0, in_a_row)
    return {
        name: np.stack(column, axis=-1).reshape(S, C, trials)
        for name, column in zip(("chosen", "value", "reward"), zip(*history, strict=True), strict=True)
    }


def expectations(chosen, value, reward):
    """Return (seeds, configurations, 4), the mean expectation of each of `GROUPS`; NaN where there is no such trial."""
    now, later = slice(LATE, -1), slice(LATE + 1, None)
    punished, switched = reward[..., now] < 0, chosen[..., now] != chosen[..., later]
    values = {"punished": value[..., now], "next": value[..., later]}
    found = []
    for group in GROUPS:
        when, then = group.split()
        where = punished & (switched if then == "switch" else ~switched)
        total = np.sum(np.where(where, values[when], 0), axis=-1)
        count = np.sum(where, axis=-1)
        found.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    return np.stack(found, axis=-1)


def _rows(name, seeds, configurations, found):
    each = itertools.product(enumerate(seeds), enumerate(configurations), enumerate(GROUPS))
    return [
        {"replica": s * len(configurations) + c, "seed": seed, "rule": name, "spread": of[0], "rate": of[1]}
        | {"group": group, "expectation": found[s, c, g]}
        for (s, seed), (c, of), (g, group) in each
    ]


def best(metrics, rule):
    """Return ({option: value}, expectations (seeds, groups), k, b, SSE) of the configuration that fits best.

    Raises PlasticError where none has trials of all groups.
    """
    table = {key: np.array(column) for key, column in metrics.items()}
    own = table["rule"] == rule
    seeds = len(set(table["seed"][own]))
    found = table["expectation"][own].astype(float).reshape(seeds, -1, len(GROUPS))
    observed, means = fits.observed("reversal"), fits.mean(found)
    if not np.isfinite(means).all(axis=-1).any():
        raise PlasticError(f"{rule.upper()} has no trials of all of {', '.join(GROUPS)}: take more trials or seeds")
    with np.errstate(all="ignore"):  # of configurations that diverge
        k, b, sse = fits.affine(means, np.array([observed[group].mean() for group in GROUPS]))
    index = fits.least(sse, fits.sem(found).mean(axis=-1))
    places = {key: table[key][own].reshape(seeds, -1, len(GROUPS))[0, index, 0] for key in ("spread", "rate")}
    return places, found[:, index], k[index], b[index], sse[index]


@np.errstate(all="ignore")
def reasons(gradients):
    """Return the weights (rates, iterations + 1, 3), W_1 and both of W_2, while the first option is always punished."""
    n = len(REASON_RATES)
    net = pairs.network([xp.asarray(np.tile([each], (n, 1, 1))) for each in REASON_W], "linear")
    x, reward = (xp.asarray(np.full((n, 1, 1), value)) for value in (1.0, -1.0))
    chosen, rate = xp.asarray(np.tile([[1.0, 0.0]], (n, 1, 1))), pairs.column(REASON_RATES)
    path = []
    for iteration in range(REASON_ITERATIONS + 1):
        path.append(xp.concatenate([layer.W[:, 0] for layer in net.layers], axis=-1))
        if iteration < REASON_ITERATIONS:
            grads = gradients(net, x, reward, chosen)
            for layer, grad in zip(net.layers, grads["layers"], strict=True):
                layer.W -= rate * grad.W
    return xp.asnumpy(xp.stack(path, axis=1))


def inference_traces(inference):
    """Return (iterations of `TRACED`, steps + 1, 3): the hidden unit and both outputs while the states settle."""
    path = reasons(gradients("pc", inference))[0]
    x, reward, chosen = (xp.asarray(np.array([each])) for each in ([1.0], [-1.0], [1.0, 0.0]))
    found = []
    for iteration in TRACED:
        w, *v = path[iteration]
        net = pairs.network([xp.asarray(np.array([[w]])), xp.asarray(np.array([v]))], "linear")
        state = State(net, x, gamma=inference.gamma, discount=inference.discount)
        trace = []
        for step in range(TRACE_STEPS + 1):
            output = infer(net, state, x, min(step, 1), lambda output: squared(output, reward, chosen))
            trace.append(xp.concatenate([state.x[0], output[0]]))
        found.append(xp.stack(trace))
    return xp.asnumpy(xp.stack(found))


def _line(name, options, found, k, b, sse):
    fitted = k * fits.mean(found) + b
    words = ", ".join(f"{group} {each:.3f}" for group, each in zip(GROUPS, fitted, strict=True))
    where = f"spread {options['spread']:g}, rate {options['rate']:g}"
    return f"{name.upper()}: {words} (squared error {sse:.2g}, k {k:.3g}, b {b:.3g}) at {where}"
