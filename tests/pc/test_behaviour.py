"""The fits to behaviour: protocols by their description, fits by normal equations, paths by the golden numbers."""

import collections
import functools
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import runs, xp
from plastic.pc import bp, pc
from plastic.pc.experiments import coin, coin_session, fear, fits, reversal
from plastic.pc.experiments.options import Inference

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "pc_toys.npz")


@pytest.fixture(autouse=True)
def float64():
    xp.use("numpy", dtype="float64")


def test_scaled_fit_leaves_a_residual_orthogonal_to_the_model():
    rng = np.random.default_rng(0)
    model, data = rng.standard_normal((5, 4)), rng.standard_normal(4)
    k, sse = fits.scaled(model, data)
    rest = data - k[:, None] * model
    assert_allclose(np.sum(rest * model, axis=-1), 0, atol=1e-12)
    assert_allclose(sse, np.sum(rest**2, axis=-1))
    assert [float(each) for each in fits.scaled(np.zeros(4), data)] == [0, np.sum(data**2)]


def test_affine_fit_is_that_of_polyfit():
    rng = np.random.default_rng(1)
    model, data = rng.standard_normal((5, 4)), rng.standard_normal(4)
    for m, k, b, sse in zip(model, *fits.affine(model, data), strict=True):
        (k0, b0), residual, *_ = np.polyfit(m, data, 1, full=True)
        assert_allclose([k, b, sse], [k0, b0, residual[0]], rtol=1e-9)
    k, b, sse = fits.affine(np.full(4, 3.0), data)
    assert_allclose([k, b, sse], [0, data.mean(), np.sum((data - data.mean()) ** 2)], atol=1e-12)


def test_least_takes_the_smaller_spread_of_equal_errors_and_nothing_that_diverged():
    assert fits.least(np.array([2.0, 1.0, 1.0 + 1e-13, np.nan]), np.array([0.0, 2.0, 1.0, 0.0])) == 2
    assert fits.least(np.array([2.0, 1.0]), np.array([0.0, 2.0])) == 1


def test_standard_error_leaves_out_what_is_not_finite():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    assert_allclose(fits.sem(values), values.std(ddof=1) / 2)
    assert_allclose(fits.sem(np.array([1.0, np.nan, 2.0, 4.0, 9.0])), values.std(ddof=1) / 2)


def test_the_tables_are_those_of_the_papers():
    means = {
        name: {group: v.mean() for group, v in fits.observed(name).items()} for name in ("coin", "fear", "reversal")
    }
    assert means["coin"] == {"1+": 0.2272, "2+": 0.1803, "1-": 0.0995, "2-": 0.0566}
    assert list(means["fear"]) == list(fear.GROUPS) and set(means["reversal"]) == set(reversal.GROUPS)
    assert_allclose([means["fear"][group] for group in fear.GROUPS], [44.34, 25.86, 43.12])


def test_a_session_has_the_blocks_of_its_description():
    trials, starts = coin_session.session(np.random.default_rng(3))
    counts = collections.Counter(trials)
    assert {len(each) for each in starts.values()} == {8} and set(starts) == set(coin_session.GROUPS)
    # 16 in each block of training, one in a triplet of each block, and one in each triplet of the test
    assert counts["1+"] == 24 * 17 + 8 and counts["2-"] == 24 * 17 + 8 and counts["1-"] == counts["2+"] == 8
    for group, places in starts.items():
        assert all(trials[place : place + 3] == ["10", group, "10"] for place in places)
    first = min(min(places) for places in starts.values())
    training = trials[: 24 * (2 + 32 + 2 + 16 + 3 + 8 + 3)]  # washouts are 16 and 8 trials long on average
    assert first - len(training) in (2, 4, 6) and training[-1] == training[-3] == "10"
    assert sorted(trials[:2]) == ["10", "20"] and collections.Counter(trials[2:10]) == {"1+": 4, "2-": 4}


def test_washouts_are_drawn_without_replacement_and_balanced():
    lengths = coin_session._without_replacement(np.random.default_rng(0), 18)
    for _ in range(5):
        assert sorted(next(lengths) for _ in range(3)) == [14, 16, 18]
    assert collections.Counter(coin_session._washout(np.random.default_rng(0), 6)) == {"10": 3, "20": 3}


def test_cues_and_forces_have_columns_of_their_own():
    cues, forces = coin_session.inputs(["1+", "2-", "10", "20"])
    assert cues.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]] and forces.tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]


def test_adaptation_is_the_signed_change_over_a_triplet():
    starts = {"1+": [0], "2+": [3], "1-": [6], "2-": [9]}
    force = np.array(
        [0, 9, 2, 1, 9, 1.5, 0, 9, -3, 1, 9, 1.25]
    )  # before each trial; that before the second is not used
    found = force @ coin_session.weights_of_probes(starts, 12)
    assert_allclose(found, [2, 0.5, 3, -0.25])


def told(folder, **where):
    """Return the rows of metrics.csv with these values."""
    columns = runs.Run(folder).metrics()
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [row for row in rows if all(row[key] == value for key, value in where.items())]


@pytest.mark.parametrize("full", [False, True])
def test_motor_learning_is_that_of_its_description_trial_by_trial(tmp_path, full):
    """BP of a linear net 2-2-2, W_1 diagonal: a session written out for each seed and configuration alone.

    y^ = x W_1 W_2,  W_2 -= memory_rate (x W_1)^T (y^ - y),  W_1 -= rate x^T (y^ - y) W_2^T  on the diagonal (or all)
    """
    options = {"spreads": (1.0, 0.5), "rates": (0.2, 0.1), "memory_rates": (0.05,), "seeds": (3, 4, 5)}
    folder = coin.coin(**options, blocks=1, tests=2, T=2, full=full, plot=False, results=str(tmp_path))
    lengths = set()
    for seed in options["seeds"]:
        trials, starts = coin_session.session(xp.generator(seed).task, 1, 2)
        normal = xp.generator(seed).init.standard_normal((2, 2, 2))
        lengths.add(len(trials))
        for spread in options["spreads"]:
            for rate in options["rates"]:
                first, second = spread * normal
                mask = np.ones((2, 2)) if full else np.eye(2)
                first, net_force = first * mask, []
                for x, y in zip(*coin_session.inputs(trials), strict=True):
                    hidden = x @ first
                    error = hidden @ second - y
                    net_force.append((hidden @ second)[0] - (hidden @ second)[1])
                    first, second = (
                        first - rate * mask * np.outer(x, second @ error),
                        second - 0.05 * np.outer(hidden, error),
                    )
                where = {"seed": seed, "rule": "bp", "spread": spread, "rate": rate, "memory_rate": 0.05}
                *_, last = told(folder, **where)
                for group, places in starts.items():
                    change = np.mean([net_force[place + 2] - net_force[place] for place in places])
                    assert last[group] == pytest.approx(change if group[1] == "+" else -change, rel=1e-9, abs=1e-12)
    assert len(lengths) > 1  # so that a session ends before the longest


def test_fear_is_what_is_left_at_the_end_of_each_configuration_and_group(tmp_path):
    folder = fear.fear(
        rates=(0.5, 0.1), spreads=(0.1, 0.2), seeds=(3, 5), iterations=3, T=20, plot=False, results=str(tmp_path)
    )
    arrays = runs.Run(folder).arrays()
    moving = arrays["responses/pc"][:, :, list(fear.GROUPS).index("LN+,L-")]
    assert (moving[..., -1] != moving[..., -2]).any()  # so that the last update can be told from the one before
    for rule in ("pc", "bp"):
        rows = iter(told(folder, rule=rule))
        for of_seed, seed in zip(arrays[f"responses/{rule}"], (3, 5), strict=True):
            for options, of_groups in zip(arrays["configurations"], of_seed, strict=True):
                for group, course in zip(fear.GROUPS, of_groups, strict=True):
                    row, names = next(rows), ("spread", "rate_first", "rate_light", "rate_noise")
                    assert [row[name] for name in names] == options.tolist()
                    assert (row["seed"], row["group"], row["fear"]) == (seed, group, course[-1])


def test_what_is_printed_of_a_fit_is_the_fitted_mean_of_the_seeds():
    """Means of two seeds times k = 10, in `fear` plus b = 1."""
    fears = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.5]])
    options = {"spread": 0.1, "rate_first": 1.0, "rate_light": 0.5, "rate_noise": 0.25}
    assert fear._line("pc", options, fears, 10.0, 1.0, 5.0).startswith("PC: N+ 21.0 %, LN+ 21.0 %, LN+,L- 23.5 % (")
    adaptation = np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.2]])
    said = coin._line("bp", {"spread": 0.1, "rate": 1.0, "memory_rate": 0.5}, adaptation, 10.0, 0.5)
    assert said.startswith("BP: 1+ 2.000, 2+ 2.000, 1- 2.000, 2- 3.000 (")


def test_fear_begins_with_weights_of_one_sign():
    """|N(.1, spread^2)|, the same draws for all spreads of a seed."""
    seeds, spreads = (1, 2, 3, 4), (0.0, 0.5)
    found = fear.initial(seeds, spreads)
    for row, seed in zip(found, seeds, strict=True):
        normal = xp.generator(seed).init.standard_normal(2)
        assert_allclose(row, [[0.1, 0.1], np.abs(0.1 + 0.5 * normal)])
    signs = [np.sign(0.1 + 0.5 * xp.generator(seed).init.standard_normal(2)) for seed in seeds]
    assert np.min(signs) < 0 < np.min(found)


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_fear_follows_the_golden_path(rule):
    inference = Inference(
        T=int(GOLDEN["fear_T"]), gamma=float(GOLDEN["fear_lr_x"]), discount=float(GOLDEN["fear_x_lr_discount"])
    )
    assert fear.INFERENCE == inference and list(fear.GROUPS) == [str(each) for each in GOLDEN["fear_groups"]]
    mix = np.tile(GOLDEN["fear_mix_init"], (1, len(GOLDEN["fear_lrs"]), 1))
    found = fear.conditioned(mix, GOLDEN["fear_lrs"], inference.rules()[rule], int(GOLDEN["fear_iters_per_phase"]))
    assert_allclose(found[0], GOLDEN[f"fear_{rule}_resp_N"], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_reasons_follow_the_golden_path(rule):
    assert tuple(GOLDEN["rev_lr_w"]) == reversal.REASON_RATES
    path = reversal.reasons(reversal.gradients(rule, reversal.INFERENCE))
    assert path[:, 0].tolist() == [GOLDEN["rev_w0"].tolist()] * 3
    assert_allclose(path[:, 1:], GOLDEN[f"rev_{rule}_w"], rtol=1e-7, atol=1e-9)


def test_inference_moves_the_hidden_unit_to_the_energy_minimum():
    traces = reversal.inference_traces(Inference(T=256, discount=0.9))
    path = reversal.reasons(reversal.gradients("pc", reversal.INFERENCE))[0]
    for place, update in enumerate(reversal.TRACED):
        w, v, _ = path[update]
        assert_allclose(traces[place, 0, 0], w)  # it begins at the prediction
        rest = (w - v) / (1 + v * v)  # where (h - w) + v (v h + 1) = 0
        assert abs(traces[place, -1, 0] - rest) < 0.02 * abs(w - rest)


def test_expectations_are_split_by_what_is_chosen_next():
    trials = reversal.LATE + 4
    chosen, value, reward = (np.zeros((1, 1, trials)) for _ in range(3))
    chosen[0, 0, -4:], value[0, 0, -4:], reward[0, 0, -4:] = [0, 1, 1, 1], [0.1, 0.2, 0.3, 0.4], [-1, 1, -1, -1]
    found = dict(zip(reversal.GROUPS, reversal.expectations(chosen, value, reward)[0, 0], strict=True))
    # trial -4 is punished and the next choice is another; -2 is punished and kept; the last one has no next
    assert found == {"punished switch": 0.1, "next switch": 0.2, "punished stay": 0.3, "next stay": 0.4}
    assert np.isnan(reversal.expectations(chosen, value, np.ones_like(reward))).all()


def test_options_of_a_seed_play_the_world_of_that_seed():
    gradients = reversal.gradients("bp", reversal.INFERENCE)
    both = reversal.played([1, 2], [(0.05, 0.1), (0.1, 0.1)], gradients, 70)
    alone = reversal.played([2], [(0.1, 0.1)], gradients, 70)
    for name, values in both.items():
        assert_allclose(values[1, 1], alone[name][0, 0], rtol=1e-12)


def test_the_world_rewards_and_reverses_as_described():
    """With weights that hardly move, choices are fair coins: half of them correct."""
    history = reversal.played(range(300), [(1e-9, 1e-9)], reversal.gradients("bp", reversal.INFERENCE), 100)
    rewarded = np.mean(history["reward"] > 0)
    assert abs(rewarded - 0.55) < 5 * np.sqrt(0.25 / history["reward"].size)  # (.7 + .4) / 2
    assert abs(history["chosen"].mean() - 0.5) < 5 * np.sqrt(0.25 / history["reward"].size)
    first = history["chosen"][:, 0, 0] == 0  # option 0 is the correct one at first
    assert abs(np.mean(history["reward"][:, 0, 0][first] > 0) - 0.7) < 0.15


def test_the_game_is_that_of_its_description_trial_by_trial():
    """By backpropagation, one seed after another: the better option changes after four right choices or more."""
    spread, rate, trials, changes = 0.5, 0.2, 200, []
    history = reversal.played([3, 4, 5], [(spread, rate)], reversal.gradients("bp", reversal.INFERENCE), trials)
    for place, seed in enumerate([3, 4, 5]):
        generators = xp.generator(seed)
        w, *v = (spread * generators.init.standard_normal(3)).tolist()
        better, in_a_row = 0, 0
        for trial, (choice, outcome, change) in enumerate(generators.task.random((trials, 3)).tolist()):
            values = w * v[0], w * v[1]
            chosen = int(choice < 1 / (1 + np.exp(values[0] - values[1])))
            reward = 1 if outcome < (0.7 if chosen == better else 0.4) else -1
            found = [history[name][place, 0, trial] for name in ("chosen", "reward", "value")]
            assert found[:2] == [chosen, reward] and found[2] == pytest.approx(values[chosen], rel=1e-9)
            error = reward - values[chosen]
            w, v[chosen] = w + rate * error * v[chosen], v[chosen] + rate * error * w
            in_a_row = in_a_row + 1 if chosen == better else 0
            if in_a_row >= 4 and change < 0.25:
                better, in_a_row = 1 - better, 0
                changes.append(trial)
    assert len(changes) >= 6


def test_a_choice_is_softmax_of_the_values():
    """Weights of a rate of 0 keep their values: the option of value v more is chosen with 1 / (1 + e^-v)."""
    history = reversal.played(range(60), [(1.5, 1e-12)], reversal.gradients("bp", reversal.INFERENCE), 400)
    for seed in range(60):
        chosen, value = history["chosen"][seed, 0], history["value"][seed, 0]
        if len(set(chosen)) == 2:
            gap = value[chosen == 0][0] - value[chosen == 1][0]
            p = 1 / (1 + np.exp(-gap))
            assert abs(np.mean(chosen == 0) - p) < 5 * np.sqrt(p * (1 - p) / 400) + 1 / 400


def test_only_the_chosen_output_teaches():
    net = functools.partial(reversal.pairs.network, phi="linear")
    W = [np.array([[[0.5]]]), np.array([[[0.3, -0.2]]])]
    x, reward, chosen = np.ones((1, 1, 1)), np.array([[[1.0]]]), np.array([[[0.0, 1.0]]])
    for rule in ("pc", "bp"):
        grads = reversal.gradients(rule, reversal.INFERENCE)(net([each.copy() for each in W]), x, reward, chosen)
        assert grads["layers"][1].W[0, 0, 0] == 0 and grads["layers"][1].W[0, 0, 1] < 0
    # one option alone: the same gradients as of the net that has no other
    alone = net([W[0], W[1][..., 1:]])
    of_one = pc(alone, x, reward, T=256, gamma=0.1, discount=0.9)[0]["layers"]
    of_two = reversal.gradients("pc", reversal.INFERENCE)(net(W), x, reward, chosen)["layers"]
    assert_allclose(of_two[0].W, of_one[0].W, rtol=1e-9)
    assert_allclose(of_two[1].W[..., 1:], of_one[1].W, rtol=1e-9)
    by_bp = reversal.gradients("bp", reversal.INFERENCE)(net(W), x, reward, chosen)["layers"]
    assert_allclose(by_bp[0].W, bp(alone, x, reward)[0]["layers"][0].W, rtol=1e-12)
