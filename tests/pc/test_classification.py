"""The classification experiments of `plastic.pc`: sweeps, resumption, data, choice of rates, figures, bad lines."""

import itertools

import command_lines
import numpy as np
import pytest
from command_lines import in_an_empty_folder
from numpy.testing import assert_allclose, assert_array_equal

from plastic import functions, runs, xp
from plastic.initializers import xavier_uniform
from plastic.parameters import Affine
from plastic.pc import Network, changing, figures, predict, rules, selecting, supervised, sweep
from plastic.pc.__main__ import COMMANDS

TINY = "--epochs=2 --seeds=3,5 --rates=0.05,0.01 --T=5 --dtype=float64 --dataset=tiny.npz"
LINES = {
    "depth": f"depth --depths=1,3 {TINY}",
    "online": f"online --batch_sizes=1,7 --batches=3 {TINY}",
    "smalldata": f"smalldata --per_class=3,6 {TINY}",
    "forgetting": "forgetting --iterations=5 --per_class=6 --batch_size=8 --T=5 --seeds=3,5 --rates=0.05,0.01 "
    "--dataset=tiny.npz --dtype=float64",
    "drift": "drift --iterations=66 --per_class=3 --test_per_class=2 --batch_size=8 --pretraining_epochs=1 --T=5 "
    "--seeds=3,5 --rates=0.05,0.01 --dataset=tiny.npz --dtype=float64",
}
AXES = {"depth": ("depth", (1, 3)), "online": ("batch_size", (1, 7)), "smalldata": ("per_class", (3, 6))}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, request):
    in_an_empty_folder(tmp_path, monkeypatch, request, figures)
    if "figures_too" not in request.fixturenames:
        monkeypatch.setattr(sweep, "draw", lambda folder: None)
    rng = np.random.default_rng(0)
    prototypes = rng.random((10, 9))
    sets = {}
    for split, count in (("train", 12), ("test", 6)):
        y = rng.permutation(np.repeat(np.arange(10), count))
        sets |= {f"x_{split}": np.clip(prototypes[y] + 0.2 * rng.standard_normal((len(y), 9)), 0, 1), f"y_{split}": y}
    np.savez("tiny.npz", **sets)


def command(line):
    *lines, folder = command_lines.printed(COMMANDS, line.split(), "plastic.pc")
    return folder.removeprefix("run folder "), lines


def metrics(folder):
    return runs.Run(folder).metrics()


@pytest.mark.parametrize("name", AXES)
def test_a_sweep_has_every_rule_value_seed_and_rate_after_every_epoch(name):
    folder, lines = command(LINES[name])
    axis, values = AXES[name]
    found = metrics(folder)
    keys = list(zip(found["rule"], found[axis], found["epoch"], found["seed"], found["rate"], strict=True))
    expected = {
        (rule, value, epoch, seed, rate)
        for rule in ("pc", "bp")
        for value in values
        for epoch in range(3)
        for seed in (3, 5)
        for rate in (0.05, 0.01)
    }
    assert len(keys) == len(expected) and set(keys) == expected
    both = np.add(found["validation_error"], found["held_out_error"]) / 2
    assert_allclose(found["test_error"], both, atol=1e-12)  # the halves are equal here
    assert len(lines) == 4 * len(classification_summaries(name))
    assert lines[0].startswith(f"{axis} {values[0]}, PC: ")


def classification_summaries(name):
    return figures._AXES[name][2]


def test_the_numbers_are_those_of_the_rules_step_by_step():
    """One seed and one rate, with batches and weights drawn as the command draws them."""
    folder, _ = command("online --batch_sizes=7 --batches=3 --epochs=2 --seeds=4 --rates=0.03 --T=6 --discount=0.7 "
                        "--dtype=float64 --dataset=tiny.npz")  # fmt: skip
    found = metrics(folder)
    xp.use(dtype="float64")
    sets = supervised.images("tiny.npz", "float64")
    generator = xp.generator(4)
    sizes = (9, 32, 32, 10)
    W = [xavier_uniform(generator.init, a, b) for a, b in itertools.pairwise(sizes)]
    for rule in ("pc", "bp"):
        network = Network([Affine(each.copy()) for each in W], functions.sigmoid)
        shuffle, errors = xp.generator(4).shuffle, []
        x, y = sets["train"][0], np.eye(10)[sets["train"][1]]
        for epoch in range(3):
            if epoch > 0:
                order = shuffle.permutation(len(x))
                for start in (0, 7, 14):
                    some = order[start : start + 7]
                    if rule == "pc":
                        grads, _ = rules.pc(network, x[some], y[some], T=6, gamma=0.1, discount=0.7)
                    else:
                        grads, _ = rules.bp(network, x[some], y[some])
                    for layer, grad in zip(network.layers, grads["layers"], strict=True):
                        layer.W -= 0.03 * len(some) * grad.W  # rates belong to sums over the batch
            output = predict(network, sets["test"][0])
            errors.append(np.mean(output.argmax(-1) != sets["test"][1]))
        rows = [error for error, each in zip(found["test_error"], found["rule"], strict=True) if each == rule]
        assert_allclose(rows, errors, atol=1e-12)


@pytest.mark.parametrize("rule", ["pc", "bp"])
@pytest.mark.parametrize("batch", [7, 3])
def test_published_rates_are_of_sums_over_the_batch(rule, batch):
    """An update is the sum of those of each sample alone, times the rate of the replica; gamma does not adapt here."""
    xp.use(dtype="float64")
    rng, rates = np.random.default_rng(0), (0.5, 0.1)
    network = supervised.network((9, 4, 10), functions.sigmoid, (3, 5), rates, xavier_uniform)
    x, y = rng.random((2, 1, batch, 9)), rng.random((2, 1, batch, 10))
    before = [layer.W.copy() for layer in network.layers]
    supervised.Learner(network, rule, rates, T=6, gamma=0.1, discount=1.0).learn(x, y)
    constants = {"T": 6, "gamma": 0.1, "discount": 1.0} if rule == "pc" else {}
    for s, (r, rate) in itertools.product(range(2), enumerate(rates)):
        alone = Network([Affine(W[s, r]) for W in before], functions.sigmoid)
        each = [getattr(rules, rule)(alone, x[s, 0, k, None], y[s, 0, k, None], **constants)[0] for k in range(batch)]
        for k, layer in enumerate(network.layers):
            total = sum(grads["layers"][k].W for grads in each)
            assert_allclose(layer.W[s, r], before[k][s, r] - rate * total, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["depth", "forgetting", "drift"])
def test_rates_and_seeds_side_by_side_are_those_one_by_one(name):
    together = metrics(command(LINES[name])[0])
    line = LINES[name].replace("--seeds=3,5", "--seeds=5").replace("0.05,0.01", "0.01")
    if name == "drift":  # the pretrained weights are those of the first seed
        line = LINES[name].replace("0.05,0.01", "0.01")
    alone = metrics(command(line)[0])
    rows = [k for k in range(len(together["rate"])) if together["rate"][k] == 0.01 and together["seed"][k] == 5]
    others = [k for k in range(len(alone["rate"])) if alone["seed"][k] == 5]
    assert_allclose(np.array(together["test_error"])[rows], np.array(alone["test_error"])[others], atol=1e-12)


@pytest.mark.parametrize("name", LINES)
def test_a_sweep_that_was_killed_goes_on_to_the_same_end(name, monkeypatch):
    whole, _ = command(LINES[name])
    work = sweep.Sweep.train

    def killed(task, run):
        parts, count = task.work, []

        def dies(part):
            if count:
                raise KeyboardInterrupt
            count.append(part)
            return parts(part)

        task.work = dies
        work(task, run)

    monkeypatch.setattr(sweep.Sweep, "train", killed)
    with pytest.raises(SystemExit):
        command(LINES[name])
    monkeypatch.setattr(sweep.Sweep, "train", work)
    folder = f"{whole}-2"
    assert 0 < len(metrics(folder)["rule"]) < len(metrics(whole)["rule"])
    command(f"{name} --resume={folder}")
    with open(f"{folder}/metrics.csv", "rb") as a, open(f"{whole}/metrics.csv", "rb") as b:
        assert a.read() == b.read()


@pytest.mark.parametrize("name", LINES)
def test_the_figure_is_drawn(name, figures_too):
    folder, _ = command(LINES[name])
    with open(f"{folder}/{name}.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_some_of_each_class_in_the_order_of_the_set():
    labels = np.array([0, 1, 0, 1, 2, 0, 2, 1, 2, 0])
    chosen = supervised.some_of_each(np.random.default_rng(0), labels, 2)
    assert_array_equal(chosen, np.sort(chosen))
    assert_array_equal(np.bincount(labels[chosen]), [2, 2, 2])
    everything = supervised.some_of_each(np.random.default_rng(0), labels, 100)
    assert_array_equal(np.bincount(labels[everything]), [3, 2, 2])  # the published quirk: one less than there are
    only = supervised.some_of_each(np.random.default_rng(0), labels, 1, classes=(1,))
    assert_array_equal(labels[only], [1])


def test_a_rate_is_chosen_by_one_error_and_reported_by_another():
    rows = [
        {"rule": "pc", "rate": rate, "seed": seed, "epoch": epoch, "a": a, "b": b}
        for rate, a, b in ((0.1, 0.2, 0.9), (0.2, 0.3, 0.5))
        for seed in (1, 2)
        for epoch in (0, 1, 2)
    ]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    chosen = selecting.best(found, "mean", "a", "b", rule="pc")
    assert chosen["rate"] == 0.1
    assert_allclose(chosen["values"], [0.9, 0.9])
    assert chosen["curve"].shape == (2, 3)
    assert selecting.best(found, "min", "b", "a", rule="pc")["rate"] == 0.2


def test_the_first_half_of_a_set_is_for_choosing_and_the_second_for_reporting(capsys):
    class Knows:
        def errors(self, x, y):
            return np.mean(x, axis=-2)[..., 0]

    x = np.array([1.0, 0, 0, 0, 1])[:, None]
    found = supervised.halves(Knows(), x, x)
    assert_allclose([found["validation_error"], found["held_out_error"], found["test_error"]], [1 / 2, 1 / 3, 2 / 5])
    rows = [
        {"rule": "pc", "rate": rate, "seed": 1, "epoch": k, "test_error": a, "validation_error": b, "held_out_error": c}
        for rate, a, b, c in ((0.1, 0.3, 0.2, 0.4), (0.2, 0.25, 0.35, 0.15))
        for k in range(2)
    ]
    sweep.print_best({name: [row[name] for row in rows] for name in rows[0]}, "mean", "pc")
    assert capsys.readouterr().out == "PC: mean test error 0.250 (rate 0.2); 0.400 (rate 0.1) if held out\n"


@pytest.mark.parametrize(("option", "targets"), [("", {-1, 1}), ("--nosigned_targets", {0, 1})])
def test_the_targets_of_drift_before_and_after(option, targets, monkeypatch):
    seen = []
    learn = supervised.Learner.learn

    def spy(learner, x, y):
        seen.append((learner.network.layers[0].W.shape[:2], set(np.unique(y))))
        learn(learner, x, y)

    monkeypatch.setattr(supervised.Learner, "learn", spy)
    command(f"{LINES['drift']} {option}")
    assert {shape for shape, _ in seen} == {(1, 1), (2, 2)}  # the training before, and what follows
    assert all(values == targets for _, values in seen)


def test_the_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).standard_normal((400, 2))
    mean, low, high = selecting.interval(values)
    assert_allclose(mean, values.mean(axis=0))
    assert_allclose(high - mean, values.std(axis=0) / 20, rtol=0.15)  # 68 %: a standard error to either side
    assert_allclose(mean - low, values.std(axis=0) / 20, rtol=0.15)


def test_the_quirks_of_forgetting(monkeypatch):
    """The last output has no error unless asked for, and the two tasks are classes 0 to 4 and 5 to 9."""
    seen = []
    learner = supervised.Learner

    def spy(network, *rest):
        seen.append(network.counted)
        return learner(network, *rest)

    monkeypatch.setattr(supervised, "Learner", spy)
    command(LINES["forgetting"])
    assert_array_equal(seen[0], [1, 1, 1, 1, 0])
    command(f"{LINES['forgetting']} --last_output")
    assert seen[-1] is None
    sets = supervised.images("tiny.npz", "float64")
    for shared in (True, False):
        permutation = xp.generator(1).data.permutation(10)
        for task, (x, outputs) in enumerate(changing._tasks({"shared_outputs": shared}, sets, 1, "test")):
            of = [np.flatnonzero((sets["test"][0] == row).all(axis=1))[0] for row in x]
            labels = sets["test"][1][of]
            assert set(labels) == set(range(5 * task, 5 * task + 5))
            assert_array_equal(outputs, (permutation[labels] if shared else labels) % 5)


def test_only_the_last_five_classes_drift(monkeypatch):
    kept = []
    drifted = changing._drifted

    def spy(options, sets, generators, outputs):
        kept.append(np.array(outputs))
        return drifted(options, sets, generators, outputs)

    monkeypatch.setattr(changing, "_drifted", spy)
    command(LINES["drift"])
    assert len(kept) == 4  # at iterations 0 and 64, of each rule
    for outputs in kept:
        assert_array_equal(outputs[:, :5], [range(5)] * 2)
        assert_array_equal(np.sort(outputs[:, 5:]), [range(5, 10)] * 2)
    assert_array_equal(kept[0], kept[2])  # both rules see the same changes
    assert not np.array_equal(kept[0], kept[1])


def test_few_steps_of_inference_are_warned_about(capsys):
    command(f"{LINES['depth']} --depths=2 --T=1".replace("--T=5", "").replace("--depths=1,3", ""))
    warning = capsys.readouterr().err.splitlines()
    assert any("T is 1, but the deepest network has 2 layers" in line for line in warning)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("depth --rates=0.1,-1", "rates are (0.1, -1.0); they must be above 0"),
        ("depth --depths=0,2", "depths are (0, 2); they must be 1 or more"),
        ("depth --T=0", "T is 0; it must be at least 1"),
        ("depth --gamma=0", "gamma is 0.0; it must be above 0"),
        ("depth --discount=1.5", "discount is 1.5; it must be at least 0 and at most 1"),
        ("depth --dataset=MNOST", "did you mean MNIST?"),
        ("depth --seeds=1,1", "seeds are [1, 1]; they must be different"),
        ("online --batch_sizes=3", "others need --rates"),
        ("smalldata --per_class=0", "per_class is (0,); there must be 1 or more"),
        ("forgetting --iterations=0", "iterations is 0; it must be at least 1"),
        ("drift --pretraining_epochs=-1", "pretraining_epochs is -1"),
        ("depht", "depth"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(line, words, tmp_path):
    error, _ = command_lines.error_of(COMMANDS, line.split(), "plastic.pc")
    assert words in error
    assert not (tmp_path / "results").exists()
