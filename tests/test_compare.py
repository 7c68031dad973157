"""`plastic.compare`: fair, right where theory says what is right, exact after a kill, and open to one's own rules."""

import csv
import dataclasses
import functools
import html.parser
import itertools
import json
import pathlib
import sys
import time

import numpy as np
import pytest
import threadpoolctl
from command_lines import clusters, on_backend, printed, refused
from numpy.testing import assert_allclose, assert_array_equal

from plastic import check, compare, eprop, files, functions, gait, gle, parameters, pc, runs, system, xp
from plastic.compare import feed_forward, figures, in_time, measures, rows, rules, summary
from plastic.compare.__main__ import COMMANDS
from plastic.compare.learners import Learners, require_updates
from plastic.errors import Diverged, PlasticError
from plastic.parameters import Affine

SIZES = (16, 12, 12, 10)
TINY = ("--sizes=12,12", "--rates=3", "--batch_size=30")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return clusters(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLASTIC_RESULTS", raising=False)
    monkeypatch.setattr(measures, "ROUNDS", 2)
    monkeypatch.setattr(measures, "LEAST", 0.0)
    monkeypatch.setattr(feed_forward, "STEPS", 8)


def run(*words, epochs=2, plot=False):
    """Run a line; return the run and what was printed before the folder."""
    more = [*([] if plot else ["--no_plot"]), f"--epochs={epochs}"] if "--resume" not in words[0] else []
    *shown, folder = printed(COMMANDS, [*words, *more], "plastic.compare", default="classify")
    return runs.Run(folder.removeprefix("run folder ")), shown


def batch(seed=0, samples=20):
    rng = np.random.default_rng(seed)
    return xp.asarray(rng.standard_normal((samples, SIZES[0]))), xp.asarray(np.eye(10)[rng.integers(0, 10, samples)])


def learners(name, seeds=(1,), sizes=SIZES):
    return Learners((compare.RULES | compare.IN_TIME)[name], sizes, [(seed, 1e-3) for seed in seeds])


def arrays(classes=3, samples=120, seed=0):
    """Clusters that are easily told apart; the last number of each sample is its own, over 1000."""
    rng = np.random.default_rng(seed)
    y = np.arange(2 * samples) % classes
    x = np.eye(6)[y] + 0.1 * rng.standard_normal((2 * samples, 6))
    x[:, -1] = np.arange(2 * samples) / 1000
    return {"x_train": x[:samples], "y_train": y[:samples], "x_test": x[samples:], "y_test": y[samples:]}


def sign_symmetry(net, x, y):
    """Errors come down by the signs of the weights (Liao, Leibo and Poggio 2016)."""
    a = pc.activities(net, x)
    sent = [x, *(phi.value(each) for phi, each in zip(net.phi, a[:-1], strict=True))]
    e, grads = (a[-1] - y) / len(x), []
    for k in reversed(range(len(net.layers))):
        grads.insert(0, Affine(sent[k].T @ e, e.sum(axis=0, keepdims=True)))
        if k > 0:
            e = net.phi[k - 1].slope(a[k - 1], sent[k]) * (e @ xp.sign(net.layers[k].W).T)
    return {"layers": grads}, a[-1]


# what theory says of the updates


def test_the_cosine_of_bp_and_of_z_il_with_the_exact_gradient_is_one(backend):
    for name in ("bp", "zil"):
        assert_allclose(measures.cosines(learners(name), 0, *batch()), 1, atol=1e-12)


def test_gait_follows_bp_from_orthogonal_weights(backend):
    assert_allclose(measures.cosines(learners("gait"), 0, *batch()), 1, atol=1e-3)


def test_the_output_layer_has_the_exact_gradient_whatever_brings_the_error_down():
    xp.use(dtype="float64")
    for name in ("fa", "dfa", "kp", "tp", "gait"):
        assert measures.cosines(learners(name), 0, *batch())[-1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["fa", "dfa"])
def test_random_feedback_points_nowhere_at_the_start(name):
    """Its sign is random: over seeds the cosine has the mean 0, within four standard errors."""
    xp.use(dtype="float64")
    every = learners(name, seeds=range(40), sizes=(16, 60, 60, 10))
    found = np.array([measures.cosines(every, k, *batch(k)) for k in range(40)])
    for layer in (0, 1):
        assert abs(found[:, layer].mean()) < 4 * found[:, layer].std(ddof=1) / np.sqrt(40)
        assert np.abs(found[:, layer]).max() < 0.9


def test_ep_and_pc_go_down_their_losses(backend):
    """EP follows BPTT but for what its logistic units bend; PC is BP with errors that a positive matrix has changed."""
    for name in ("ep", "pc", "ipc"):
        assert min(measures.cosines(learners(name), 0, *batch())) > 0.5


def test_the_update_of_a_rule_that_moves_weights_several_times_is_the_sum(backend):
    one, (x, y) = learners("ipc"), batch()
    total = sum(grads["layers"][0].W for grads, _ in one.rule.updates(one.nets[0], x, y, None))
    exact = pc.bp(one.nets[0], x, y)[0]["layers"][0].W
    expected = xp.sum(total * exact) / xp.sqrt(xp.sum(total**2) * xp.sum(exact**2))
    assert measures.cosines(one, 0, x, y)[0] == pytest.approx(float(xp.asnumpy(expected)), abs=1e-12)
    assert len(list(one.rule.updates(one.nets[0], x, y, None))) == feed_forward.STEPS


def test_forward_and_backward_weights_of_kolen_pollack_meet(backend):
    """Their difference shrinks by the decay, whatever is learned."""
    one = learners("kp", seeds=(1, 2))

    def differences():
        pairs = zip(one.parameters["layers"][1:], one.parameters["feedback"], strict=True)
        return [xp.asnumpy(layer.W - B) for layer, B in pairs]

    before, (x, y) = differences(), batch()
    for number in range(1, 8):
        one.step((xp.stack([x, x]), xp.stack([y, y])), number)
    for start, end in zip(before, differences(), strict=True):
        assert_allclose(end, start * (1 - feed_forward.DECAY) ** 7, atol=1e-13)
        assert np.abs(start).max() > 0.1


def test_all_rules_begin_alike(backend):
    """The same weights, orthogonal; the feed-forward ones compute the same."""
    every = {name: learners(name, seeds=(3,)) for name in compare.RULES}
    first, (x, _) = every["bp"], batch()
    for name, each in every.items():
        for (_, a), (_, b) in zip(*(parameters.leaves(one.parameters["layers"]) for one in (first, each)), strict=True):
            assert_array_equal(xp.asnumpy(a), xp.asnumpy(b))
        if name != "ep":
            assert_allclose(xp.asnumpy(each.outputs(0, x)), xp.asnumpy(first.outputs(0, x)))
    for layer in first.nets[0].layers:
        W = xp.asnumpy(layer.W)
        smaller = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
        assert_allclose(smaller, np.eye(len(smaller)), atol=1e-12)
        assert not xp.asnumpy(layer.b).any()


def test_the_columns_that_make_the_output_layer_square_are_orthogonal_to_it(backend):
    one = learners("tp")
    W = np.concatenate([xp.asnumpy(one.nets[0].layers[-1].W), xp.asnumpy(one.feedback[0])], axis=1)
    assert_allclose(W @ W.T, np.eye(12), atol=1e-12)
    before = one.feedback[0].copy()
    one.step(batch(), 1)
    assert_array_equal(xp.asnumpy(one.feedback[0]), xp.asnumpy(before))


@pytest.mark.parametrize("name", compare.RULES)
def test_learners_side_by_side_learn_as_they_would_alone(name, precision):
    both = Learners(compare.RULES[name], SIZES, [(1, 1e-3), (2, 3e-3)])
    alone = Learners(compare.RULES[name], SIZES, [(2, 3e-3)])
    x, y = (xp.asarray(each, dtype=xp.float_dtype) for each in batch())
    before = [leaf.copy() for _, leaf in parameters.leaves(alone.learned)]
    for number in (1, 2, 3):
        both.step((xp.stack([x, x]), xp.stack([y, y])), number)
        alone.step((x, y), number)
    tolerance = 1e-10 if precision == "float64" else 1e-3
    for (_, a), (path, b), start in zip(
        parameters.leaves(both.learned), parameters.leaves(alone.learned), before, strict=True
    ):
        assert_allclose(xp.asnumpy(a[1]), xp.asnumpy(b[0]), atol=tolerance, err_msg=path)
        assert (xp.asnumpy(b) != xp.asnumpy(start)).any(), path


# in time


IN_TIME = (3, 12, 10)


def sequences(steps=15, samples=20, constant=False):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, 1 if constant else steps, 3))
    y = np.eye(10)[rng.integers(0, 10, samples)]
    return xp.asarray(np.repeat(x, steps, axis=1) if constant else x), xp.asarray(y)


def half_squared(output, y):
    return np.sum((output - y) ** 2, axis=-1) / 2


def negative_log_likelihood(output, y):
    return np.log(np.exp(output).sum(axis=-1)) - np.sum(output * y, axis=-1)


@pytest.mark.parametrize(("loss_of", "each"), [("squared", half_squared), ("ce", negative_log_likelihood)])
def test_bptt_is_the_exact_gradient_of_what_is_said_to_be_the_loss(loss_of, each):
    """A mean over steps and samples, of both kinds of network; its cosine is 1."""
    xp.use(dtype="float64")
    x, y = sequences(steps=6)
    for name, outputs in (
        ("bptt", lambda net, x: eprop.predict(net, x)),
        ("gle_bptt", lambda layers, x: gle.predict(in_time.dynamics(layers), x)),
    ):
        one = Learners(in_time.rules(loss_of)[name], IN_TIME, [(1, 0.01)])
        assert_allclose(measures.cosines(one, 0, x, y), 1, atol=1e-12)
        grads, output = one.rule.gradients(one.nets[0], x, y, None)
        every = outputs(one.nets[0], np.swapaxes(x, 0, 1))
        assert_allclose(output, every.mean(axis=0), atol=1e-12)
        assert_allclose(one.outputs(0, x), output, atol=1e-12)

        def loss(_, one=one, outputs=outputs):
            return np.mean(each(outputs(one.nets[0], np.swapaxes(x, 0, 1)), y))

        check.gradient(loss, one.each[0]["layers"], grads["layers"], max_entries=40)


def test_e_prop_is_bptt_where_nothing_comes_back(backend):
    """In a single step; in several, still for the readout, but not for the cells."""
    one = learners("eprop", sizes=IN_TIME)
    assert_allclose(measures.cosines(one, 0, *sequences(steps=1)), 1, atol=1e-12)
    kernel, readout = measures.cosines(one, 0, *sequences())
    assert 0.3 < kernel < 0.99 and readout == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("loss", in_time.ERRORS)
@pytest.mark.parametrize("name", ["gle", "adjoint"])
def test_gle_and_the_adjoint_method_are_bptt_where_nothing_changes(name, loss):
    """Of constant inputs, but for the way to the fixed point, the longer the sequence the less of it."""
    xp.use(dtype="float64")
    one = Learners(in_time.rules(loss)[name], IN_TIME, [(1, 1e-3)])
    short, long = (measures.cosines(one, 0, *sequences(T, constant=True)) for T in (20, 800))
    assert min(long) > 0.98 and min(long) > min(short)
    assert measures.cosines(one, 0, *sequences())[0] < 0.95
    x, y = sequences(800, constant=True)
    found, exact = (rule(one.nets[0], x, y, None)[0]["layers"] for rule in (one.rule.gradients, one.rule.kind.bp))
    for a, b in zip(found, exact, strict=True):
        assert np.linalg.norm(a.W) == pytest.approx(np.linalg.norm(b.W), rel=0.3)


def test_the_neurons_of_gle_come_in_thirds():
    net = in_time.dynamics(learners("gle", sizes=(3, 8, 10)).nets[0])
    tau_m, tau_r = (np.broadcast_to(xp.asnumpy(each), (1, 18))[0] for each in (net.tau_m, net.tau_r))
    assert_allclose(tau_m, [1.2] * 4 + [0.6] * 2 + [1.2] * 12)
    assert_allclose(tau_r, [1.2] * 4 + [0.2] * 4 + [1.2] * 10)


def test_deep_nets_of_gle_are_as_published_but_for_their_first_weights():
    """The first layer is linear; the variance of weights is 1 / n, so that rates neither grow nor vanish."""
    layers = learners("gle", sizes=(3, 60, 60, 60, 10)).nets[0]
    assert [phi.name for phi in in_time.dynamics(layers).phi] == ["linear", "tanh", "tanh", "linear"]
    for layer in layers[1:]:
        assert float(xp.var(layer.W)) == pytest.approx(1 / 60, rel=0.15) and not xp.any(layer.b)
    assert float(xp.var(learners("gle", sizes=(3, 60, 10)).nets[0][1].W)) == pytest.approx(1 / 180, rel=0.15)


def curves(folder):
    """Sequences of three classes: bumps that come early, in the middle, or late."""
    rng, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 150), ("test", 60)):
        y = np.arange(count) % 3
        x = np.exp(-((np.arange(12) - 2 - 4 * y[:, None]) ** 2) / 2) + 0.05 * rng.standard_normal((count, 12))
        arrays |= {f"x_{split}": x, f"y_{split}": y}
    np.savez(folder / "curves.npz", **arrays)
    return arrays


def test_rules_in_time_are_compared(tmp_path):
    curves(tmp_path)
    words = ["--dataset=curves.npz", "--sizes=12", "--rates=3", "--batch_size=10"]
    found, shown = run("sequences", *words, epochs=6, plot=True)
    assert found.experiment == "sequences" and found.options["rules"] == list(compare.IN_TIME)
    for row in summary.of(found):
        assert row.accuracy["test"].mean > 0.6 and list(row.end) == [1, 2]
        assert (row.end[1].mean == pytest.approx(1, abs=1e-4)) == row.rule.endswith("bptt")
    assert (found.folder / "comparison.png").exists() and "e-prop, LSTM" in "".join(shown)
    assert_array_equal(found.arrays()["gle/input_noise"][:, 0], found.arrays()["gle/test_accuracy"])
    other, _ = run("sequences", *words, "--rules=bptt", "--loss=ce", epochs=6)
    assert other.folder.name.startswith("sequences-curves-ce-") and summary.of(other)[0].accuracy["test"].mean > 0.6


def test_a_layer_of_cells_is_one_layer(tmp_path):
    curves(tmp_path)
    words = ["sequences", "--dataset=curves.npz", "--sizes=8,8"]
    assert "eprop has one layer of cells" in refused(COMMANDS, [*words, "--rules=gle,eprop"], "plastic.compare")
    assert "fa" in refused(COMMANDS, [*words, "--rules=fa"], "plastic.compare")
    assert list(rules.chosen(None, (1, 8, 8, 3), compare.IN_TIME)) == ["gle_bptt", "adjoint", "gle"]


def test_own_sequences_and_an_own_rule_for_them(tmp_path):
    def truncated(net, x, y):
        """BPTT that sees the second half alone."""
        return compare.IN_TIME["bptt"].gradients(net, x[:, 6:], y, None)

    given = {"sizes": (8,), "rates": 3, "epochs": 4, "batch_size": 10, "results": tmp_path}
    found = compare.compare(curves(tmp_path), ["eprop", truncated], sequences=True, **given)
    assert [row.name for row in found.rows] == ["e-prop, LSTM", "truncated"]
    assert 0 < found.rows[1].start[1].mean < 1


# a fair comparison


def test_every_rule_gets_the_same_budget(toy):
    found, shown = run(f"--dataset={toy}", *TINY, plot=True)
    metrics = found.metrics()
    assert list(dict.fromkeys(metrics["rule"])) == list(compare.RULES) == found.options["rules"]
    budgets = set()
    for name in compare.RULES:
        search, training = (rows.table(metrics, name, stage) for stage in ("search", "training"))
        assert_allclose(np.unique(search["rate"]), [3e-5, 9.49e-4, 3e-2])
        assert len(np.unique(training["rate"])) == 1 and set(training["seed"]) == {1, 2, 3}
        assert set(search["seed"]) == {4, 5, 6}
        budgets.add((search["step"].max(), training["step"].max(), len(search["step"]), len(training["step"])))
        best, edge = rows.best_rate(metrics, name)
        assert set(training["rate"]) == {best} and edge == {3e-5: "least", 3e-2: "largest"}.get(best, "")
    assert len(budgets) == 1 and next(iter(budgets))[:2] == (2 * (240 // 30),) * 2
    assert {path.name for path in found.folder.iterdir()} >= {
        "config.json", "metrics.csv", "summary.md", "summary.csv", "page.html", "comparison.png"
    }  # fmt: skip
    assert all(any(line.startswith(compare.RULES[name].name) for line in shown) for name in compare.RULES)
    assert "kernels" in shown[-1] and system.processor() in shown[-1]


def test_z_il_trains_what_bp_trains(toy):
    metrics = run(f"--dataset={toy}", "--rules=bp,zil", *TINY, "--dtype=float64")[0].metrics()
    for name in ("validation_accuracy", "train_accuracy"):
        bp, zil = (rows.curves(metrics, rule, name)[1] for rule in ("bp", "zil"))
        assert_array_equal(bp, zil)


def seen_by(kind, log):
    """A kind of network whose predictions write down which samples they are of, by the number each has."""

    def predict(net, x):
        log.append(numbers(x))
        return kind.predict(net, x)

    return dataclasses.replace(kind, predict=predict)


def numbers(x):
    """The numbers of samples that are scaled and centred."""
    scale = np.abs(arrays()["x_train"]).max()
    return frozenset(np.round(1000 * scale * xp.asnumpy(x)[:, -1] + np.mean(sorted(TRAIN))).astype(int))


HELD = {number for label in range(3) for number in range(label, 120, 3) if number >= 96}
"""A fifth of each of three classes, the last ones."""
TRAIN = set(range(120)) - HELD


def test_validation_and_test_samples_never_train_and_the_test_set_comes_last(monkeypatch, tmp_path):
    learned, judged, order = [], [], []

    def watched(net, x, y, feedback):
        learned.append(numbers(x))
        order.append("update")
        return pc.bp(net, x, y)

    rule = compare.Rule("watched", seen_by(compare.FEED_FORWARD, judged), watched)
    on_the_test_set, times = measures.on_the_test_set, measures.times

    def once(of, x, labels):
        order.append("test")
        before = frozenset().union(*judged)
        assert not before & set(range(120, 240))
        return on_the_test_set(of, x, labels)

    monkeypatch.setattr(measures, "on_the_test_set", once)
    monkeypatch.setattr(measures, "times", lambda *given: (order.append("times"), times(*given))[1])
    found = compare.compare(arrays(), [rule], sizes=(8,), rates=3, epochs=2, batch_size=20, results=tmp_path)
    assert frozenset().union(*learned) == TRAIN
    assert HELD in judged and TRAIN in judged and order.count("test") == 1
    assert "update" not in order[order.index("test") : order.index("times")]
    clean = [each for each in judged if each == set(range(120, 240))]
    per_seed = 1 + measures.DRAWS * (len(measures.SIGMAS) - 1)  # noisy weights see clean inputs
    assert len(clean) == 3 * per_seed and found.rows[0].accuracy["test"].n == 3


def test_the_rate_is_that_with_the_highest_validation_accuracy_and_edges_are_told():
    def made(accuracies, steps=(0, 40)):
        every = [(step, rate, a if step else 0.99) for step in steps for rate, a in accuracies.items()]
        columns = {"rule": ["fa"] * len(every), "stage": ["search"] * len(every)}
        names = ("step", "rate", "validation_accuracy")
        return columns | dict(zip(names, map(list, zip(*every, strict=True)), strict=True))

    assert rows.best_rate(made({0.1: 0.5, 0.2: 0.7, 0.3: 0.6}), "fa") == (0.2, "")
    assert rows.best_rate(made({0.3: 0.7, 0.1: 0.7, 0.2: 0.7, 0.4: 0.6}), "fa") == (0.2, "")
    assert rows.best_rate(made({0.1: 0.8, 0.2: 0.7, 0.3: np.nan}), "fa") == (0.1, "least")
    assert rows.best_rate(made({0.1: 0.5, 0.2: 0.7, 0.3: 0.9}), "fa") == (0.3, "largest")
    assert rows.best_rate(made(dict.fromkeys((0.1, 0.2), np.nan)), "fa") == (None, "")


@pytest.mark.parametrize("second", [0.1, np.nan])
def test_a_rate_that_one_seed_cannot_bear_is_not_the_best(second):
    rate, accuracy = [0.1, 0.2, 0.3, 0.1, 0.2, 0.3], [0.6, 0.7, 0.8, 0.6, 0.7, second]
    metrics = {"rule": ["fa"] * 6, "stage": ["search"] * 6, "step": [40] * 6, "rate": rate}
    assert rows.best_rate(metrics | {"validation_accuracy": accuracy}, "fa") == (0.2, "")


# measures


def test_no_noise_gives_the_clean_accuracy_and_much_of_it_chance(toy):
    found, _ = run(f"--dataset={toy}", "--rules=bp,ep", *TINY, epochs=12)
    for name in ("bp", "ep"):
        kept = found.arrays()
        for kind in ("input", "weight"):
            assert_array_equal(kept[f"{name}/{kind}_noise"][:, 0], kept[f"{name}/test_accuracy"])
    assert kept["bp/test_accuracy"].min() > 0.8
    assert (kept["bp/input_noise"][:, -1] < kept["bp/test_accuracy"]).all()


def test_noise_has_the_deviation_it_says(backend):
    rng = np.random.default_rng(0)
    x = xp.asarray(rng.standard_normal((200, 50)))
    difference = xp.asnumpy(measures._noisy(x, 0.3, np.random.default_rng(1)) - x)
    assert difference.std() == pytest.approx(0.3, rel=0.03) and abs(difference.mean()) < 0.01
    layer = Affine(xp.asarray(5 * rng.standard_normal((200, 50))), xp.asarray(rng.standard_normal((1, 50))))
    shaken = measures._shaken(layer, 0.3, np.random.default_rng(1))
    assert xp.asnumpy(shaken.W - layer.W).std() == pytest.approx(1.5, rel=0.03)
    assert_array_equal(xp.asnumpy(shaken.b), xp.asnumpy(layer.b))


def test_all_rules_see_the_same_noise(toy, monkeypatch):
    drawn = []
    noisy = measures._noisy

    def kept(x, sigma, generator):
        found = noisy(x, sigma, generator)
        drawn.append(found.sum())
        return found

    monkeypatch.setattr(measures, "_noisy", kept)
    run(f"--dataset={toy}", "--rules=bp,fa", *TINY)
    assert drawn[: len(drawn) // 2] == drawn[len(drawn) // 2 :] and len(set(drawn)) == len(drawn) // 2


def test_samples_are_counted_to_the_first_evaluation_with_the_accuracy():
    assert measures.samples_to(0.8, [0, 10, 20, 30], [0.1, 0.79, 0.8, 0.7], 50) == 1000
    assert np.isnan(measures.samples_to(0.8, [0, 10], [0.1, 0.79], 50))
    assert np.isnan(measures.samples_to(0.8, [0, 10], [0.1, np.nan], 50))


def test_a_spread_leaves_out_what_has_no_value():
    spread = summary.Spread(np.array([0.5, np.nan, 0.7, 0.9]))
    assert (spread.n, spread.mean, spread.deviation) == (3, pytest.approx(0.7), pytest.approx(0.2))
    assert 0.5 < spread.interval[0] < 0.7 < spread.interval[1] < 0.9
    assert np.isnan(summary.Spread(np.array([np.nan])).mean)


def test_the_cells_say_what_is_missing():
    """A seed that has not reached the accuracy, one that diverged, a rate at the edge."""

    def row(samples, test, edge=""):
        spread = summary.Spread(np.array([0.5, 0.5, 0.5]))
        return summary.Row(
            "fa", "FA", 0.003, edge, 3, 0.123,
            {"test": summary.Spread(np.array(test)), "validation": spread, "train": spread},
            summary.Spread(np.array(samples)), {1: spread}, {1: spread},
            {(kind, summary.SHOWN_SIGMA): spread for kind in ("input", "weight")},
        )  # fmt: skip

    cells = summary.cells(row([1000.0, np.nan, 1500.0], [0.5, 0.6, np.nan], "largest"))
    assert cells[:6] == ["FA", "0.003 (largest tried), 1 of 3 seeds diverged", "55.0 ± 7.1", "50.0 ± 0.0",
                         "1,250 (not reached by 1 of 3)", "0.12"]  # fmt: skip
    assert summary.cells(row([np.nan] * 3, [0.5] * 3))[1:5:3] == ["0.003", "not reached"]
    assert summary.cells(row([1000.0] * 3, [0.5] * 3))[4] == "1,000"


def test_the_summary_holds_what_the_run_measured(toy):
    found, shown = run(f"--dataset={toy}", "--rules=fa,bp", *TINY, "--to=0.5", epochs=12)
    with open(found.folder / "summary.csv", newline="") as file:
        lines = {(line["rule"], line["measure"]): line for line in csv.DictReader(file)}
    test = found.arrays()["bp/test_accuracy"]
    line = lines["bp", "test_accuracy"]
    assert float(line["mean"]) == pytest.approx(test.mean(), rel=1e-5) and line["n"] == "3"
    assert float(line["sd"]) == pytest.approx(test.std(ddof=1), rel=1e-5)
    assert float(line["low"]) <= float(line["mean"]) <= float(line["high"])
    steps, curves = rows.curves(found.metrics(), "bp", "validation_accuracy")
    counts = [steps[np.flatnonzero(curve >= 0.5)[0]] * 30 for curve in curves]
    assert float(lines["bp", "samples_to_0.5"]["mean"]) == pytest.approx(np.mean(counts), rel=1e-5)
    assert float(lines["bp", "cosine_1_end"]["mean"]) == pytest.approx(1, abs=1e-5)
    assert float(lines["fa", "milliseconds"]["mean"]) > 0
    table = (found.folder / "summary.md").read_text(encoding="utf-8")
    cell = f"{100 * test.mean():.1f} ± {100 * test.std(ddof=1):.1f}"
    assert cell in table and any(cell in text for text in shown)
    assert table.splitlines()[2].startswith("| FA |") and table.splitlines()[3].startswith("| BP |")


# what goes wrong


def after(steps, net, x, y, feedback):
    """BP, whose gradients are not finite once the first bias is not 0 any more, where the feedback says so."""
    grads, output = pc.bp(net, x, y)
    if feedback is not None and feedback[0] > 0 and xp.any(net.layers[0].b != 0):
        grads = parameters.map(lambda leaf: leaf * np.nan, grads)
    return grads, output


def test_a_rule_that_diverges_has_an_entry_and_stops_nobody(tmp_path):
    def never(net, x, y):
        return after(1, net, x, y, [1])

    def of_the_seed(net, generator):
        return xp.asarray([1.0 if generator.bit_generator.seed_seq.entropy == 2 else -1.0], dtype=xp.float_dtype)

    once = compare.Rule("with seed 2", compare.FEED_FORWARD, lambda *given: after(1, *given), of_the_seed)
    small = {"sizes": (8,), "rates": 3, "epochs": 5, "batch_size": 8, "results": tmp_path}
    found = compare.compare(arrays(), [never, once, "bp"], **small)
    lost, some, whole = found.rows
    assert lost.rate is None and "| never | diverged at every rate |" in found.table
    assert some.accuracy["test"].n == 2 and np.isnan(some.accuracy["test"].values[1])
    assert "1 of 3 seeds diverged" in found.table
    assert whole.accuracy["test"].n == 3 and whole.accuracy["test"].mean > 0.9
    figures.comparison([found.run])
    with pytest.raises(Diverged, match="every rule"):
        compare.compare(arrays(), [never], **small)


def adding(net, x, y, _):
    x += 1
    return pc.bp(net, x, y)


def transposed(grads):
    return {"layers": [Affine(layer.W.T, layer.b) for layer in grads["layers"]]}


def moved(changed, grads):
    """What a rule does that works on what it is given."""
    changed += 1
    return grads


REFUSED = {
    "--rules=bp,bptt": "bptt",
    "--rules=bp,bp": "different ones",
    "--rules=": "rules takes words",
    "--rules=bp,gait --sizes=12,11": "gait needs hidden layers of one width",
    "--rules=tp --sizes=4,4": "at least the 10 outputs",
    "--rates=1": "rates is 1; it must be from 2 to 100",
    "--rates=0.1": "rates",
    "--sizes=0": "sizes",
    "--sizes=": "sizes",
    "--seeds=1,2": "three or more",
    "--seeds=1,1,2": "different",
    "--epochs=0": "epochs is 0",
    "--batch_size=0": "batch_size is 0",
    "--batch_size=241": "batch_size 241",
    "--to=1": "to is 1",
    "--validation=0": "validation is 0",
    "--validation=0.001": "hold out 0",
    "--per_class=31": "a class of 30 training samples",
    "--per_class=0": "per_class is 0",
    "--dataset=missing.npz": "missing.npz",
    "--rule=bp": "rules",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_is_refused_before_any_work(words, toy, tmp_path):
    data = () if "--dataset" in words else (f"--dataset={toy}",)
    assert REFUSED[words] in refused(COMMANDS, ["classify", *data, *words.split()], "plastic.compare")
    assert list(tmp_path.iterdir()) == []


def test_a_known_data_set_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("plastic.data.load", lambda *given: pytest.fail("data were read"))
    words = ["classify", "--dataset=MNIST", "--rules=tp", "--sizes=9,9"]
    assert "at least the 10 outputs" in refused(COMMANDS, words, "plastic.compare")


def test_rules_that_do_not_fit_are_left_out_unless_asked_for():
    assert set(compare.RULES) - set(rules.chosen(None, (16, 12, 11, 10), compare.RULES)) == {"tp", "gait"}
    assert list(rules.chosen(None, SIZES, compare.RULES)) == list(compare.RULES)


def of_bp(change):
    """Return a rule of one's own: BP, whose gradients and output, a pair, are changed into something else."""

    def own(net, x, y):
        return change(net, x, *pc.bp(net, x, y))

    return [own]


def of_kind(**changes):
    """Return a rule of one's own, BP, for a kind of network of one's own."""
    kind = dataclasses.replace(compare.FEED_FORWARD, **changes)
    return [compare.Rule("own", kind, lambda net, x, y, feedback: pc.bp(net, x, y))]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"rules": [3]}, "a rule is 3"),
        ({"rules": "bp"}, r"rules is 'bp'; it must be a list"),
        *(
            ({"rules": [compare.Rule(name, compare.FEED_FORWARD, sign_symmetry)]}, "its name must be words")
            for name in ("nan", "1e5", "", " ", ".", "a/./b", "a//b", "a|b", "a\nb")
        ),
        ({"rules": [sign_symmetry], "sequences": True, "sizes": (4, 4)}, "sign_symmetry has one layer of cells"),
        ({"rules": [sign_symmetry, functools.partial(sign_symmetry), functools.partial(pc.pc)]}, "two rules are call"),
        ({"rules": of_bp(lambda net, x, grads, output: grads)}, r"rule own returned a dict; it must return \(grads"),
        ({"rules": of_bp(lambda net, x, *pair: list(pair))}, "rule own returned a list"),
        ({"rules": of_bp(lambda *given: None)}, "rule own returned a NoneType"),
        ({"rules": of_bp(lambda *given: iter(()))}, "one at least"),
        ({"rules": of_bp(lambda net, x, grads, output: (grads["layers"], output))}, "grads without 'layers'"),
        ({"rules": of_bp(lambda net, x, grads, output: ({"layers": grads["layers"][1:]}, output))}, "2/W.*one side"),
        ({"rules": of_bp(lambda net, x, grads, output: (transposed(grads), output))}, r"0/W has shape \(64, 6\)"),
        ({"rules": of_bp(lambda net, x, grads, output: ({"layers": grads["layers"] * 2}, output))}, "3/W.*one side"),
        (
            {"rules": of_bp(lambda net, x, grads, output: (grads | {"feedback": grads["layers"]}, output))},
            "grads with 'feedback', which does not learn; a Rule by which it learns has learns_feedback=True",
        ),
        (
            {"rules": of_bp(lambda net, x, grads, output: (parameters.map(lambda leaf: leaf * np.nan, grads), output))},
            r"grads\['layers'\] of rule own at 0/W are not finite",
        ),
        ({"rules": of_bp(lambda net, x, grads, output: (grads, None))}, "output of rule own is"),
        (
            {"rules": of_bp(lambda net, x, grads, output: (grads, output[:, 1:]))},
            r"output of rule own has shape \(50, 2",
        ),
        ({"rules": of_bp(lambda net, x, grads, output: (grads, output[0]))}, r"output of rule own has shape \(3,\)"),
        ({"rules": of_bp(lambda net, x, grads, output: (grads, output / 0))}, "output of rule own is not finite"),
        ({"rules": of_bp(lambda net, x, grads, output: (grads, functions.softmax(output)))}, "without a softmax"),
        ({"rules": of_bp(lambda net, x, grads, output: (grads, output * 1.02))}, "apart from that of the network"),
        (
            {"rules": of_kind(predict=lambda net, x: pc.predict(net, x)[:, 1:])},
            r"output of predict of .* shape \(50, 2",
        ),
        ({"rules": of_kind(bp=lambda net, x, y: ({"W": 1}, None))}, "bp of .* returned grads without 'layers'"),
        (
            {"rules": of_bp(lambda net, x, grads, output: (moved(net.layers[0].b, grads), output))},
            "changed layers/0/b",
        ),
        ({"rules": of_bp(lambda net, x, grads, output: (moved(x, grads), output))}, "changed x"),
        ({"rules": ["bp"], "batch_size": 97}, "batch_size 97 is not possible with a training set of 96"),
        ({"rules": []}, "at least one"),
        ({"rules": [sign_symmetry, sign_symmetry]}, "different ones"),
        ({"rules": [compare.Rule("bp", compare.FEED_FORWARD, sign_symmetry)]}, "is called bp"),
        ({"seeds": (1, 2)}, "three or more"),
        ({"seeds": (1, 2, 2)}, "different"),
        ({"seeds": 3}, "seeds is 3; it must hold the seeds"),
        ({"seeds": (1, 2, 3.0)}, "one of seeds is 3.0; it must be a whole number"),
        ({"seeds": "123"}, "one of seeds is '1'; it must be a whole number"),
        ({"arrays": arrays() | {"x_train": np.ma.masked_less(arrays()["x_train"], 0)}}, "x_train is masked"),
        ({"sizes": ()}, "the widths of the hidden layers"),
        ({"arrays": {"x_train": [[1.0]]}}, "x_train is no array"),
        ({"arrays": {"x_train": np.ones((3, 2))}}, "y_train"),
        ({"arrays": arrays() | {"y_test": np.full(120, "a")}}, "y_test has type"),
        ({"arrays": arrays() | {"x_test": np.full((120, 6), np.nan)}}, "not finite"),
        ({"validation": 0}, "validation is 0"),
        ({"rate": 3}, "no argument rate"),
        ({"sizes": 8}, "sizes is 8"),
    ],
)
def test_a_call_that_cannot_be_is_refused(change, said, tmp_path):
    given = {"arrays": arrays(), "rules": ["bp"], "results": tmp_path} | change
    with pytest.raises(PlasticError, match=said):
        compare.compare(**given)
    assert list(tmp_path.iterdir()) == []


# one's own rule


def test_ones_own_rule_learns(tmp_path):
    found = compare.compare(arrays(), ["bp", sign_symmetry], sizes=(8, 8), epochs=5, batch_size=8, results=tmp_path)
    assert repr(found) == f"Comparison of BP, sign_symmetry, in {found.run.folder}"
    bp, own = found.rows
    assert own.name == "sign_symmetry" and own.accuracy["test"].mean > 0.9 < bp.accuracy["test"].mean
    assert own.end[3].mean == pytest.approx(1, abs=1e-5) and 0 < own.end[1].mean < 0.999
    assert found.run.config["status"] == "finished"


def test_outputs_that_are_nearly_those_of_the_network_will_do(tmp_path):
    """A relaxation may end a step earlier, and what is computed in another order rounds."""
    rule = of_bp(lambda net, x, grads, output: (grads, output * 1.002))
    assert compare.compare(arrays(), rule, sizes=(8,), rates=2, epochs=1, results=tmp_path).rows[0].accuracy["test"].n


@pytest.mark.parametrize("name", [*compare.RULES, *in_time.RULES])
def test_the_rules_do_what_is_asked_of_ones_own(name, backend):
    if name in compare.RULES:
        require_updates(compare.RULES[name], SIZES, *batch(), batch_size=10)
    else:
        require_updates(in_time.RULES[name], IN_TIME, *sequences(), batch_size=10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"make": lambda layers: pc.Network(parameters.copy(layers), "tanh")}, "make must hold the arrays given"),
        ({"bp": lambda net, x, y: pc.bp(net, x, y)[0]}, r"bp of .* returned a dict; it must return \(grads, output\)"),
        ({"predict": lambda net, x: pc.predict(net, x)[:1]}, "predict of a network of the kind"),
    ],
)
def test_a_kind_of_ones_own_that_is_wrong_is_told(wrong, said):
    kind = dataclasses.replace(compare.FEED_FORWARD, make=lambda layers: pc.Network(layers, "tanh"))
    rule = compare.Rule("own", kind, lambda net, x, y, _: pc.bp(net, x, y))
    require_updates(rule, SIZES, *batch(), batch_size=10)
    with pytest.raises(PlasticError, match=said):
        require_updates(
            dataclasses.replace(rule, kind=dataclasses.replace(kind, **wrong)), SIZES, *batch(), batch_size=10
        )


def test_a_rule_has_a_kind_and_a_share_that_goes():
    with pytest.raises(PlasticError, match=r"kind of rule own is .*it must be a Kind"):
        compare.Rule("own", pc.network, sign_symmetry)
    with pytest.raises(PlasticError, match="decay is 2"):
        compare.Rule("own", compare.FEED_FORWARD, sign_symmetry, decay=2)


def test_a_comparison_that_an_error_ends_says_so(tmp_path):
    """As a command does: its run is no longer running."""

    def own(net, x, y):
        if xp.any(net.layers[0].b != 0):
            raise ZeroDivisionError("of ones own")
        return pc.bp(net, x, y)

    with pytest.raises(ZeroDivisionError):
        compare.compare(arrays(), [own], sizes=(8,), rates=2, epochs=1, results=tmp_path)
    (folder,) = (tmp_path / "compare").iterdir()
    config = runs.Run(folder).config
    assert config["status"] == "failed" and config["details"]["error"] == "ZeroDivisionError: of ones own"


def test_ones_own_rule_is_tried_on_every_backend(backend):
    """The batch it is tried on and the weights are arrays of the backend, and are as they were, afterwards."""
    one, (x, y) = compare.Rule("own", compare.FEED_FORWARD, lambda net, x, y, _: sign_symmetry(net, x, y)), batch()
    require_updates(one, SIZES, x, y, batch_size=10)
    with pytest.raises(PlasticError, match="rule own changed x"):
        require_updates(dataclasses.replace(one, gradients=adding), SIZES, x, y, batch_size=10)


def test_the_figure_of_ones_own_comparison_is_drawn_and_drawn_again(tmp_path, capsys):
    """As those of the commands are; the run keeps no network, and says so."""
    folder = compare.compare(arrays(), ["bp"], sizes=(8,), rates=2, epochs=1, results=tmp_path).run.folder
    image = (folder / "comparison.png").read_bytes()
    (folder / "comparison.png").unlink()
    assert printed(COMMANDS, ["figure", str(folder)], "plastic.compare") == [str(folder / "comparison.png")]
    assert (folder / "comparison.png").read_bytes() == image
    with pytest.raises(PlasticError, match="keeps no trained network"):
        runs.load(folder)


def test_a_comparison_of_ones_own_lies_where_other_runs_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PLASTIC_RESULTS", str(tmp_path / "elsewhere"))
    found = compare.compare(arrays(), ["bp"], sizes=(8,), rates=2, epochs=1)
    assert found.run.folder.parent == tmp_path / "elsewhere" / "compare"


def test_arrays_may_be_those_of_an_open_file(toy, tmp_path):
    with np.load(toy) as arrays:
        found = compare.compare(arrays, ["bp"], sizes=(8,), rates=2, epochs=1, results=tmp_path)
        again = compare.compare(dict(arrays), ["bp"], sizes=(8,), rates=2, epochs=1, resume=found.run.folder)
    assert again.run.folder == found.run.folder


def test_blas_computes_with_one_thread_as_in_commands(tmp_path):
    threads = set()

    def own(net, x, y):
        threads.update(info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas")
        return pc.bp(net, x, y)

    with threadpoolctl.threadpool_limits(2):
        compare.compare(arrays(), [own], sizes=(8,), rates=2, epochs=1, results=tmp_path)
        assert any(info["num_threads"] > 1 for info in threadpoolctl.threadpool_info())
    assert threads == {1}


def test_steps_are_timed_by_a_clock_with_coarse_ticks(monkeypatch):
    """Of 0.016 s, as some have: a step of 1 ms takes 1 ms, not 0 and not 16."""
    step, taken = Learners.step, []
    monkeypatch.setattr(Learners, "step", lambda *given: (taken.append(1), step(*given))[1])
    monkeypatch.setattr(measures, "LEAST", 0.05)
    monkeypatch.setattr(time, "process_time", lambda: 0.016 * (len(taken) // 16))
    x, y = batch()
    found = measures.times({"bp": compare.RULES["bp"]}, SIZES, (x, y), seed=1)
    assert found["bp"] == pytest.approx(1, rel=0.25)


def test_the_search_measures_accuracies_alone(tmp_path, monkeypatch):
    """Cosines are for those who look at training; the search would spend time on them."""
    measured, cosines = [], measures.cosines
    monkeypatch.setattr(measures, "cosines", lambda *given: measured.append(given) or cosines(*given))
    metrics = compare.compare(arrays(), ["bp"], sizes=(8,), rates=2, epochs=1, results=tmp_path).run.metrics()
    search, training = (rows.table(metrics, "bp", stage) for stage in ("search", "training"))
    assert np.isnan(search["cosine_1"]).all() and np.isfinite(search["validation_accuracy"]).all()
    assert np.isfinite(training["cosine_2"]).all() and len(measured) == len(training["step"])


def test_ones_own_rule_may_have_feedback_that_learns(tmp_path):
    """Kolen-Pollack, by hand, is the rule of this name."""

    def gradients(net, x, y, B):
        given = gait.InvertibleNetwork(net.layers, net.sizes[0], linear_output=True)
        grads, output = gait.fa(given, x, y, feedback=[net.layers[0].W, *B])
        return grads | {"feedback": [each.W for each in grads["layers"][1:]]}, output

    draw, more = compare.RULES["kp"].feedback, {"learns_feedback": True, "decay": feed_forward.DECAY}
    own = compare.Rule("by hand", compare.FEED_FORWARD, gradients, draw, **more)
    found = compare.compare(arrays(), ["kp", own], sizes=(8, 8), rates=3, epochs=2, results=tmp_path)
    first, second = (rows.table(found.run.metrics(), name, "training") for name in ("kp", "by hand"))
    assert_array_equal(first["validation_accuracy"], second["validation_accuracy"])
    assert_array_equal(first["cosine_1"], second["cosine_1"])


def test_the_words_on_ones_own_rule_have_no_markup(tmp_path):
    rule = compare.Rule("<script>x</script>", compare.FEED_FORWARD, lambda net, x, y, feedback: pc.bp(net, x, y))
    found = compare.compare(arrays(), [rule], sizes=(8,), rates=2, epochs=1, results=tmp_path, name="a&b")
    text = (found.run.folder / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text and "a&amp;b" in text
    loads = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            loads.extend(value for name, value in attributes if name in ("src", "href"))

    Reader().feed(text)
    assert len(loads) == 1 and loads[0].startswith("data:image/png;base64,")
    assert "default-src 'none'" in html.unescape(text) and "±" in text


@pytest.mark.parametrize("other", ["strict", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("command", ["classify", "sequences"])
def test_another_backend_computes_the_same(command, other, tmp_path, monkeypatch):
    """All rules, from the data to the page, without a crossing that nobody asked for."""
    curves(tmp_path)
    words = [command, "--dataset=curves.npz", "--sizes=12", "--rates=2", "--batch_size=30", "--dtype=float64"]
    on_numpy, _ = run(*words, epochs=1)
    on_backend(monkeypatch, other)
    on_other, _ = run(*words, epochs=1)
    first, second = on_numpy.metrics(), on_other.metrics()
    assert list(first) == list(second) and first["rule"] == second["rule"]
    for name in ("rate", "validation_accuracy", "cosine_1", "cosine_2"):
        assert_allclose(first[name], second[name], atol=1e-6)
    for name, value in on_numpy.arrays().items():
        if not name.endswith("milliseconds"):
            assert_allclose(on_other.arrays()[name], value, atol=1e-6)


# killed, and drawn again


class Killed(BaseException):
    """What a kill is to the code."""


@pytest.mark.parametrize("at", [3, 41, 60])
def test_a_killed_run_goes_on_to_the_same_numbers(toy, tmp_path, monkeypatch, at):
    line = [f"--dataset={toy}", "--rules=kp,ipc", *TINY]
    whole, _ = run(*line)
    step, count = Learners.step, itertools.count(1)

    def fatal(self, batch, number):
        if next(count) == at:
            raise Killed
        return step(self, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(Learners, "step", fatal)
        with pytest.raises(Killed):
            run(*line, "--results=killed")
    (folder,) = (tmp_path / "killed" / "compare").iterdir()
    again, _ = run(f"--resume={folder}")
    assert again.config["status"] == "finished"
    assert (again.folder / "metrics.csv").read_bytes() == (whole.folder / "metrics.csv").read_bytes()
    for name, value in whole.arrays().items():
        if not name.endswith("milliseconds"):
            assert_array_equal(again.arrays()[name], value)
    for path in whole.folder.glob("checkpoint*.h5"):
        for name, value in files.read_hdf5(path)[0].items():
            assert_array_equal(files.read_hdf5(folder / path.name)[0][name], value)


def test_a_killed_call_goes_on_by_the_same_call(tmp_path, monkeypatch):
    given = {"arrays": arrays(), "rules": ["bp"], "sizes": (8,), "rates": 3, "epochs": 2}
    whole = compare.compare(**given, results=tmp_path / "whole")
    on_the_test_set = measures.on_the_test_set
    monkeypatch.setattr(measures, "on_the_test_set", lambda *given: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        compare.compare(**given, results=tmp_path / "killed")
    monkeypatch.setattr(measures, "on_the_test_set", on_the_test_set)
    (folder,) = (tmp_path / "killed" / "compare").iterdir()
    with pytest.raises(PlasticError, match="epochs is 3, but the comparison to resume has 2"):
        compare.compare(**given | {"epochs": 3}, resume=folder)
    again = compare.compare(**given, resume=folder)
    np.testing.assert_equal(again.run.metrics(), whole.run.metrics())
    assert again.run.folder == folder
    assert_array_equal(again.rows[0].accuracy["test"].values, whole.rows[0].accuracy["test"].values)


def test_the_looks_of_all_rules_differ():
    looks = [figures._look(place) for place in range(len(compare.RULES))]
    assert len({(look["color"], look["marker"]) for look in looks}) == len(looks)
    hollow = [look.get("markerfacecolor") for look in looks]
    assert hollow == [None] * 8 + ["white"] * 2


def test_the_figure_draws_what_was_measured(toy):
    found, _ = run(f"--dataset={toy}", "--rules=bp,fa", *TINY, plot=True)
    fig = figures.comparison([found])
    learning, *_ = fig.axes
    titles = [axis.get_title() for axis in fig.axes]
    assert titles[:7] == ["Learning", "Updates of layer 1", "Updates of layer 2", "Updates of layer 3, the output",
                          "Noise of inputs", "Noise of weights", "Time and accuracy"]  # fmt: skip
    steps, values = rows.curves(found.metrics(), "bp", "validation_accuracy")
    assert_allclose(learning.lines[0].get_xdata(), 30 * steps)
    assert_allclose(learning.lines[0].get_ydata(), 100 * values.mean(axis=0))
    noise = found.arrays()["fa/input_noise"].mean(axis=0)
    assert_allclose(fig.axes[4].lines[1].get_ydata(), 100 * noise)
    for axis in fig.axes[1:4]:
        low, high = axis.get_ylim()
        assert low <= 0.9 and 1 < high < 1.1 and all(low <= min(line.get_ydata()) for line in axis.lines)
    image = (found.folder / "comparison.png").read_bytes()
    (found.folder / "comparison.png").unlink()
    printed(COMMANDS, ["figure", str(found.folder)], "plastic.compare")
    assert (found.folder / "comparison.png").read_bytes() == image
    twice = ["figure", f"{found.folder},{found.folder}", "--out=a.png"]
    assert "one at a time" in refused(COMMANDS, twice, "plastic.compare")


def test_the_command_says_what_it_would_do(toy, tmp_path):
    shown = printed(COMMANDS, [f"--dataset={toy}", *TINY, "--dry_run"], "plastic.compare", default="classify")
    assert any(line.startswith("20 parts of about 40 steps") for line in shown)
    assert list(tmp_path.iterdir()) == []


def test_it_runs_as_a_module(toy, tmp_path, monkeypatch):
    """The rate is chosen in the process, and its options are in config.json."""
    import subprocess

    words = [f"--dataset={toy}", "--rules=bp", "--per_class=20", *TINY, "--epochs=2", "--no_plot"]
    done = subprocess.run(
        [sys.executable, "-m", "plastic.compare", *words], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    folder = pathlib.Path(done.stdout.splitlines()[-1].removeprefix("run folder "))
    options = json.loads((tmp_path / folder / "config.json").read_text())["options"]
    assert options["rules"] == ["bp"] and options["per_class"] == 20 and options["seeds"] == [1, 2, 3]
    training = rows.table(runs.Run(tmp_path / folder).metrics(), "bp", "training")
    assert training["step"].max() == 2 * (160 // 30)
