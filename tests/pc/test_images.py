"""The grids on images: what they log, train, resume, extend and load; data, quirks, and the choice of rates."""

import itertools
import os
import signal
import types
from pathlib import Path

import command_lines
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import plastic
from plastic import classifier, data, functions, runs, system, training, xp
from plastic.errors import Diverged, PlasticError
from plastic.initializers import xavier_normal, xavier_uniform
from plastic.parameters import Affine
from plastic.pc import Network, predict, reach, rules
from plastic.pc.__main__ import COMMANDS
from plastic.pc.experiments import best_rate, drift, figures, forgetting, images, learning, options, replicas
from plastic.pc.experiments.passes import Passes

TINY = "--epochs=2 --seeds=3,5 --rates=0.05,0.01 --T=5 --dtype=float64 --dataset=tiny.npz"
LINES = {
    "depth": f"depth --depths=1,3 --per_class=11 {TINY}",
    "online": f"online --batch_sizes=1,7 --batches=3 {TINY}",
    "smalldata": f"smalldata --per_class=3,6 {TINY}",
    "forgetting": "forgetting --iterations=5 --per_class=6 --batch_size=8 --T=5 --seeds=3,5 --rates=0.05,0.01 "
    "--dataset=tiny.npz --dtype=float64",
    "drift": "drift --iterations=66 --per_class=3 --test_per_class=2 --batch_size=8 --pretraining_epochs=1 --T=5 "
    "--seeds=3,5 --rates=0.05,0.01 --dataset=tiny.npz --dtype=float64",
}
AXES = {"depth": ("depth", (1, 3)), "online": ("batch_size", (1, 7)), "smalldata": ("per_class", (3, 6))}
SUMMARIES = {"depth": 1, "online": 2, "smalldata": 1}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(0)
    prototypes = rng.random((10, 9))
    sets = {}
    for split, count in (("train", 12), ("test", 6)):
        y = rng.permutation(np.repeat(np.arange(10), count))
        sets |= {f"x_{split}": np.clip(prototypes[y] + 0.2 * rng.standard_normal((len(y), 9)), 0, 1), f"y_{split}": y}
    np.savez("tiny.npz", **sets)


def command(line):
    """Run a line without its figure; return the folder and what it printed before."""
    *lines, folder = command_lines.printed(COMMANDS, [*line.split(), "--no_plot"], "plastic.pc")
    return Path(folder.removeprefix("run folder ")), lines


def metrics(folder):
    return runs.Run(folder).metrics()


def samples():
    xp.use(dtype="float64")
    return images.load("tiny.npz")


@pytest.mark.parametrize("name", AXES)
def test_a_grid_has_every_rule_value_seed_and_rate_after_every_epoch(name):
    folder, lines = command(LINES[name])
    axis, values = AXES[name]
    found = metrics(folder)
    keys = list(zip(found["rule"], found[axis], found["epoch"], found["seed"], found["rate"], strict=True))
    expected = set(itertools.product(("pc", "bp"), values, range(3), (3, 5), (0.05, 0.01)))
    assert len(keys) == len(expected) and set(keys) == expected
    both = np.add(found["validation_error"], found["held_out_error"]) / 2
    assert_allclose(found["test_error"], both, atol=1e-12)  # the halves are equal here
    assert len(lines) == 4 * SUMMARIES[name]
    assert lines[0].startswith(f"{axis} {values[0]}, PC: ")
    assert folder.name.startswith(f"{name}-paper-tiny-")


@pytest.mark.parametrize(
    ("options", "constants"),
    [
        ("--T=6 --discount=0.7", {"T": 6, "discount": 0.7}),
        ("--T=20 --tolerance=1e9", {"T": 11}),  # it is at rest at the first look
        ("--T=5 --solver=layerwise", {"T": 5, "solver": "layerwise"}),
        ("--T=5 --solver=anderson --gamma=0.3", {"T": 5, "solver": "anderson", "gamma": 0.3}),
    ],
)
def test_the_numbers_are_those_of_the_rules_step_by_step(options, constants):
    """One seed and one rate, with batches and weights drawn as the command draws them."""
    folder, _ = command(f"online --batch_sizes=7 --batches=3 --epochs=2 --seeds=4 --rates=0.03 {options} "
                        "--dtype=float64 --dataset=tiny.npz")  # fmt: skip
    found = metrics(folder)
    sets, generator = data.load("tiny.npz", dtype="float64"), xp.generator(4)
    xp.use(dtype="float64")
    W = [xavier_uniform(generator.init, a, b) for a, b in itertools.pairwise((9, 32, 32, 10))]
    for rule in ("pc", "bp"):
        network = Network([Affine(each.copy()) for each in W], functions.sigmoid)
        shuffle, errors = xp.generator(4).shuffle, []
        x, y = sets.train[0], np.eye(10)[sets.train[1]]
        for epoch in range(3):
            if epoch > 0:
                order = shuffle.permutation(len(x))
                for start in (0, 7, 14):
                    some = order[start : start + 7]
                    if rule == "pc":
                        grads, _ = rules.pc(network, x[some], y[some], **constants)
                    else:
                        grads, _ = rules.bp(network, x[some], y[some])
                    for layer, grad in zip(network.layers, grads["layers"], strict=True):
                        layer.W -= 0.03 * len(some) * grad.W  # rates belong to sums over the batch
            output = predict(network, sets.test[0])
            errors.append(np.mean(output.argmax(-1) != sets.test[1]))
        rows = [error for error, each in zip(found["test_error"], found["rule"], strict=True) if each == rule]
        assert_allclose(rows, errors, atol=1e-12)
        trained = plastic.load(folder, part={"rule": rule}).network
        for layer, expected in zip(trained.layers, network.layers, strict=True):
            assert_allclose(layer.W[0, 0], expected.W, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("rule", ["pc", "bp"])
@pytest.mark.parametrize("batch", [7, 3])
def test_published_rates_are_of_sums_over_the_batch(rule, batch):
    """An update is the sum of those of each sample alone, times the rate of the replica; gamma does not adapt here."""
    xp.use(dtype="float64")
    rng, rates = np.random.default_rng(0), (0.5, 0.1)
    network = replicas.networks((9, 4, 10), functions.sigmoid, (3, 5), rates, xavier_uniform)
    x, y = rng.random((2, 1, batch, 9)), rng.random((2, 1, batch, 10))
    before = [layer.W.copy() for layer in network.layers]
    vital = replicas.step_of(network, learning.updates_of(rule, options.Inference(6, 0.1, 1.0)), rates)((x, y), 1)
    assert_array_equal(vital, np.abs(network.layers[-1].W).max(axis=(-2, -1)))
    constants = {"T": 6, "gamma": 0.1, "discount": 1.0} if rule == "pc" else {}
    for s, (r, rate) in itertools.product(range(2), enumerate(rates)):
        alone = Network([Affine(W[s, r]) for W in before], functions.sigmoid)
        each = [getattr(rules, rule)(alone, x[s, 0, k, None], y[s, 0, k, None], **constants)[0] for k in range(batch)]
        for k, layer in enumerate(network.layers):
            total = sum(grads["layers"][k].W for grads in each)
            assert_allclose(layer.W[s, r], before[k][s, r] - rate * total, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["depth", "smalldata", "forgetting", "drift"])
def test_rates_and_seeds_side_by_side_are_those_one_by_one(name):
    together = metrics(command(LINES[name])[0])
    line = LINES[name].replace("--seeds=3,5", "--seeds=5").replace("0.05,0.01", "0.01")
    alone = metrics(command(line)[0])
    rows = [k for k in range(len(together["rate"])) if together["rate"][k] == 0.01 and together["seed"][k] == 5]
    others = [k for k in range(len(alone["rate"])) if alone["seed"][k] == 5]
    assert_allclose(np.array(together["test_error"])[rows], np.array(alone["test_error"])[others], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "part", "sizes", "phi", "draw"),
    [
        ("depth", {"depth": 3}, (9, 64, 64, 10), "leaky", lambda *n: xavier_normal(*n, gain=0.9999000099990001)),
        ("online", {"batch_size": 7}, (9, 32, 32, 10), "sigmoid", xavier_uniform),
        ("smalldata", {"per_class": 6}, (9, 32, 32, 10), "sigmoid", xavier_uniform),
        ("forgetting", {}, (9, 32, 32, 32, 5), "sigmoid", xavier_normal),
        ("drift", {}, (9, 32, 32, 10), "sigmoid", xavier_uniform),
    ],
)
def test_networks_begin_as_published(name, part, sizes, phi, draw):
    """With steps that are too small to move a weight."""
    line = LINES[name].replace("=0.05,0.01", "=1e-30").replace("pretraining_epochs=1", "pretraining_epochs=0")
    network = plastic.load(command(line)[0], part={"rule": "bp"} | part).network
    assert network.sizes == sizes and {each.name for each in network.phi} == {phi}
    for s, seed in enumerate((3, 5)):
        generator = xp.generator(seed).init
        for layer, pair in zip(network.layers, itertools.pairwise(sizes), strict=True):
            assert_allclose(layer.W[s, 0], draw(generator, *pair), rtol=1e-6)


# runs that are cut, diverge, are loaded


def content(folder):
    return (folder / "metrics.csv").read_bytes(), [path.read_bytes() for path in sorted(folder.glob("*.h5"))]


@pytest.mark.parametrize("name", LINES)
def test_a_grid_that_is_interrupted_at_any_step_goes_on_to_the_bit(name, monkeypatch):
    """In the middle of passes, in every part, again and again."""
    whole, _ = command(LINES[name])
    steps = max(runs.Run(whole).metrics()["step"])
    parts = len(runs.Run(whole).config["parts"])
    stops = sorted({3, steps // 2, steps + 1, steps * parts - 2})
    watch, count = training._Health.watch, [0]

    def interrupting(self, step, vital):
        watch(self, step, vital)
        count[0] += 1
        if count[0] in stops:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training._Health, "watch", interrupting)
    line = LINES[name]
    for _ in stops:
        with pytest.raises(SystemExit) as leave:
            command(line)
        assert leave.value.code == 130
        (cut,) = set(whole.parent.iterdir()) - {whole}
        assert runs.Run(cut).config["status"] == "interrupted"
        line = f"{name} --resume={cut}"
    command(line)
    assert content(cut) == content(whole)


def test_a_rate_that_diverges_has_the_published_error_and_the_others_go_on(tmp_path):
    folder, lines = command(LINES["depth"].replace("0.05,0.01", "50,0.01"))
    found = runs.Run(folder)
    table = found.metrics()
    last = {
        (rule, rate): [
            (table["test_error"][k], table["held_out_error"][k])
            for k in range(len(table["rule"]))
            if (table["rule"][k], table["depth"][k], table["rate"][k], table["epoch"][k]) == (rule, 3, rate, 2)
        ]
        for rule in ("pc", "bp")
        for rate in (50.0, 0.01)
    }
    assert last["bp", 50.0] == [(1.0, 1.0)] * 2 and max(last["bp", 0.01])[0] < 1
    assert found.config["details"]["diverged"].keys() == {"0", "2"} and found.config["status"] == "finished"
    assert all("(rate 0.01, the smallest tried)" in line for line in lines)
    network = plastic.load(folder, part={"rule": "bp", "depth": 3}).network
    assert all(np.isfinite(layer.W).all() for layer in network.layers)
    alone = metrics(command(LINES["depth"].replace("0.05,0.01", "0.01"))[0])
    keep = [k for k in range(len(table["rate"])) if table["rate"][k] == 0.01]
    assert [table["test_error"][k] for k in keep] == alone["test_error"]


def test_load_lists_the_parts_and_gives_every_seed_and_rate():
    folder, _ = command(LINES["smalldata"])
    with pytest.raises(PlasticError, match=r"4 parts.*'rule': 'pc', 'per_class': 3.*'rule': 'bp', 'per_class': 6"):
        plastic.load(folder)
    with pytest.raises(PlasticError, match="2 of them are"):
        plastic.load(folder, part={"rule": "bp"})
    trained = plastic.load(folder, part={"rule": "bp", "per_class": 6})
    assert trained.network.sizes == (9, 32, 32, 10) and trained.network.replicas == (2, 2)
    assert trained.predict(np.zeros((4, 3, 3))).shape == (2, 2, 4, 10)  # images in any shape


def test_a_grid_fills_what_is_not_given_and_it_belongs_to_the_run():
    folder, _ = command("forgetting --grid=quick --iterations=1 --per_class=2 --T=3 --dataset=tiny.npz")
    run = runs.Run(folder)
    assert run.options["seeds"] == [1, 2, 3] and run.options["rates"] == [0.001, 7.5e-4, 5e-4]
    given = "--rates=0.001,0.00075,0.0005 --seeds=1,2,3"
    again, _ = command(f"forgetting --grid=quick --iterations=1 --per_class=2 --T=3 --dataset=tiny.npz {given}")
    assert again.name == f"{folder.name}-2"


# what is trained on


def test_passes_are_drawn_anew_for_each_seed_and_go_back():
    xp.use(dtype="float64")
    x = np.arange(5.0)[None, None, :, None]
    source = Passes(lambda number: (x + 10 * number, x), 2, [np.random.default_rng(seed) for seed in (1, 2)])
    assert source.per_epoch == 3
    orders = [np.random.default_rng(seed) for seed in (1, 2)]
    drawn = [[each.permutation(5) for each in orders] for _ in range(2)]
    seen, states = [], []
    for step in range(6):
        states.append(source.state())
        seen.append(source.next())
        first, order = (step % 3) * 2, drawn[step // 3]
        expected = np.stack([each[first : first + 2] for each in order])[:, None, :, None]
        assert_array_equal(seen[-1][0], expected + 10 * (step // 3))
        assert_array_equal(seen[-1][1], expected)
    assert seen[2][0].shape == (2, 1, 1, 1)  # the last batch of a pass is what is left
    for step in (4, 1, 3):
        source.restore(states[step])
        for again in range(step, 6):
            assert_array_equal(source.next()[0], seen[again][0])
    most = Passes(lambda number: (x, x), 2, [np.random.default_rng(1)], most=1)
    assert most.per_epoch == 1 and "1 batches of 2, 1 seeds" in repr(most)


def test_some_of_each_class_in_the_order_of_the_set():
    labels = np.array([0, 1, 0, 1, 2, 0, 2, 1, 2, 0])
    chosen = images.some_of_each(np.random.default_rng(0), labels, 2)
    assert_array_equal(chosen, np.sort(chosen))
    assert_array_equal(np.bincount(labels[chosen]), [2, 2, 2])
    everything = images.some_of_each(np.random.default_rng(0), labels, 100)
    assert_array_equal(np.bincount(labels[everything]), [3, 2, 2])  # the published quirk: one less than there are
    only = images.some_of_each(np.random.default_rng(0), labels, 1, classes=(1,))
    assert_array_equal(labels[only], [1])


def test_the_first_half_of_a_set_is_for_choosing_and_the_second_for_reporting():
    x = np.array([1.0, 0, 0, 0, 1])[:, None]
    found = images.halves(lambda x, y: {"error": np.mean(x, axis=-2)[..., 0]}, x, x)
    assert_allclose([found["validation_error"], found["held_out_error"], found["test_error"]], [1 / 2, 1 / 3, 2 / 5])


def test_errors_are_means_over_chunks(monkeypatch):
    monkeypatch.setattr(classifier, "CHUNK", 7)
    found = samples()
    net = replicas.networks((9, 4, 10), functions.sigmoid, (3, 5), (0.1, 0.2, 0.3), xavier_uniform)
    x, labels = found.test
    y = images.targets(labels[None])
    expected = np.mean(predict(net, x).argmax(axis=-1) != labels, axis=-1)
    assert_allclose(images.errors(net, x[None, None], y)["error"], expected, rtol=1e-12)


def test_a_set_of_other_than_ten_classes_is_refused(tmp_path):
    kept = np.load("tiny.npz")
    np.savez("three.npz", **{name: array % 3 if name.startswith("y") else array for name, array in kept.items()})
    for name in LINES:
        line = [name, "--dataset=three.npz", "--T=3"]
        assert "has 3 classes" in command_lines.error_of(COMMANDS, line, "plastic.pc")[0]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--rules=ipc --T=1", "T is 1, but the deepest network has 2 layers"),
        ("--rules=pc --T=2 --solver=anderson --depths=3", "an error gets to the top 2 of 3 layers"),
        ("--rules=pc,bp --T=1", "an error gets to the top 1 of 2 layers"),
        ("--rules=pc --T=2 --solver=layerwise --depths=3", ""),  # one sweep reaches three layers
        ("--rules=bp,zil", ""),
    ],
)
def test_few_steps_of_inference_are_warned_about_once(options, told, capsys):
    reach._warn.cache_clear()
    depths = "" if "--depths" in options else "--depths=2"
    command(f"{LINES['depth'].replace('--T=5', '').replace('--depths=1,3', depths)} {options}")
    warnings = [line for line in capsys.readouterr().err.splitlines() if " layers" in line]
    assert len(warnings) == bool(told) and all(told in line for line in warnings)


def test_a_batch_size_without_published_rates_needs_them():
    error, _ = command_lines.error_of(COMMANDS, ["online", "--batch_sizes=3"], "plastic.pc")
    assert "others need --rates" in error


# forgetting


def test_the_quirks_of_forgetting():
    """The last output has no error unless asked for, and the two tasks are classes 0 to 4 and 5 to 9."""
    for more, counted in (("", [1, 1, 1, 1, 0]), ("--last_output", None)):
        folder, _ = command(f"{LINES['forgetting']} {more}")
        start = xp.generator(3).init  # the last output's weights never move where it has no error
        first = [xavier_normal(start, a, b) for a, b in itertools.pairwise((9, 32, 32, 32, 5))][-1][:, 4]
        trained = plastic.load(folder, part={"rule": "bp"}).network
        assert (trained.counted is None) == (counted is None)
        assert np.allclose(trained.layers[-1].W[0, 0, :, 4], first) == (counted is not None)
    found = samples()
    for shared in (True, False):
        permutation = xp.generator(1).data.permutation(10)
        tasks = forgetting.tasks_of(1, found, "test", 100, shared, False)
        for task, (chosen, outputs) in enumerate(tasks):
            labels = found.test[1][chosen]
            assert set(labels) == set(range(5 * task, 5 * task + 5)) and len(labels) == 25
            assert_array_equal(outputs, (permutation[labels] if shared else labels) % 5)


@pytest.mark.parametrize("interval", [4, 2])
def test_the_tasks_take_turns(interval, monkeypatch):
    seen = []

    def train(part, net, rule, source, evaluate, **_):
        seen.append(source)
        part.begin()

    monkeypatch.setattr(replicas, "train", train)
    monkeypatch.setattr(best_rate, "report", lambda *_, **__: [])
    command(f"{LINES['forgetting']} --interval={interval}")
    source, tasks = seen[0], []
    for _ in range(9):
        batches = [source.next()[0] for _ in range(source.per_epoch)]
        tasks.append(np.concatenate(batches, axis=2)[0, 0])
    sets = [{row.tobytes() for row in each} for each in tasks]
    assert all(each == sets[(k // interval % 2) * interval] for k, each in enumerate(sets))
    assert not sets[0] & sets[interval] and [batch.shape[2] for batch in batches] == [8, 8, 8, 6]


def test_tasks_of_different_length_are_refused():
    kept = dict(np.load("tiny.npz"))
    few = np.flatnonzero(kept["y_train"] != 9)
    rest = np.flatnonzero(kept["y_train"] == 9)[:4]
    chosen = np.sort(np.concatenate([few, rest]))
    np.savez("uneven.npz", **kept | {"x_train": kept["x_train"][chosen], "y_train": kept["y_train"][chosen]})
    line = LINES["forgetting"].replace("tiny", "uneven")
    for asked, message in (
        ("--per_class=11 --batch_size=8", "per_class is 11, but uneven.npz has 4 training samples of class 9"),
        ("--per_class=4 --batch_size=1", "the tasks have 20 and 19 training images; a smaller per_class"),
    ):
        words = line.replace("--per_class=6 --batch_size=8", asked).split()
        assert message in command_lines.error_of(COMMANDS, words, "plastic.pc")[0]
    command(line.replace("--per_class=6", "--per_class=3"))


# drift


@pytest.mark.parametrize(("option", "targets"), [("", {-1, 1}), ("--nosigned_targets", {0, 1})])
def test_the_targets_of_drift_before_and_after(option, targets, monkeypatch):
    seen = []
    step_of = replicas.step_of

    def spying(net, rule, rates):
        step = step_of(net, rule, rates)

        def spy(batch, number):
            seen.append((net.replicas, set(np.unique(batch[1]))))
            return step(batch, number)

        return spy

    monkeypatch.setattr(replicas, "step_of", spying)
    command(f"{LINES['drift']} {option}")
    assert {shape for shape, _ in seen} == {(2, 1), (2, 2)}  # the training before, and what follows
    assert all(values == targets for _, values in seen)


def test_only_the_last_five_classes_drift_and_they_go_back():
    found = samples()

    def new():
        return drift.DriftingClasses(found, (3, 5), 3, 2, signed_targets=False, interval=64)

    classes = new()
    outputs = []
    for iteration in (0, 63, 64, 127, 128):
        x, y = classes.of(iteration)
        assert x.shape == (2, 1, 30, 9) and classes.test[0].shape == (2, 1, 20, 9)
        outputs.append([mapping(found.train, x[s, 0], y[s, 0]) for s in range(2)])
        assert outputs[-1] == [mapping(found.test, classes.test[0][s, 0], classes.test[1][s, 0]) for s in range(2)]
    for each in itertools.chain(*outputs):
        assert [each[label] for label in range(5)] == list(range(5))
        assert sorted(each[label] for label in range(5, 10)) == list(range(5, 10))
    assert outputs[0] == outputs[1] != outputs[2] == outputs[3] != outputs[4] and outputs[0][0] != outputs[0][1]
    last, again = classes.of(128)[0], new()
    assert_array_equal(again.of(127)[0], classes.of(64)[0])
    assert_array_equal(again.of(128)[0], last)


def mapping(split, x, y):
    """Return {label: output} of samples of a split."""
    rows = {row.tobytes(): label for row, label in zip(*split, strict=True)}
    return {int(rows[row.tobytes()]): int(out.argmax()) for row, out in zip(np.ascontiguousarray(x), y, strict=True)}


def test_both_rules_of_drift_begin_from_what_backpropagation_has_learned():
    folder, _ = command(f"{LINES['drift']} --pretraining_epochs=40".replace("--pretraining_epochs=1 ", ""))
    found = metrics(folder)
    first = {
        rule: [found["test_error"][k] for k in range(len(found["rule"]))
               if (found["rule"][k], found["epoch"][k]) == (rule, 0)]
        for rule in ("pc", "bp")
    }  # fmt: skip
    assert first["pc"] == first["bp"] and first["pc"][0] == first["pc"][1]
    trained = drift.pretrained(samples(), (3, 5), 0.01, 2, True)
    start = [each.W for each in replicas.networks((9, 32, 32, 10), "sigmoid", (3, 5), (0.01,), xavier_uniform).layers]
    y = 2 * np.eye(10)[samples().train[1]] - 1

    def losses(weights):
        net = Network([Affine(W[:, 0]) for W in weights], functions.sigmoid)
        return np.mean((predict(net, samples().train[0]) - y) ** 2, axis=(-2, -1))

    assert np.all(losses(trained) < losses(start))
    alone = drift.pretrained(samples(), (5,), 0.01, 2, True)  # each seed has a training of its own
    assert_allclose(trained[0][1], alone[0][0], rtol=1e-9)
    with pytest.raises(PlasticError, match=r"pretraining_rate is 1e\+300"):
        drift.pretrained(samples(), (3,), 1e300, 2, True)


def test_drift_begins_with_the_weights_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    weights = {f"W_{k + 1}": rng.standard_normal(pair) for k, pair in enumerate(itertools.pairwise((9, 32, 32, 10)))}
    np.savez(tmp_path / "start.npz", **weights)
    found = drift.before(str(tmp_path / "start.npz"), samples(), (3, 5), 0.01, 2, True)
    for W, expected in zip(found, weights.values(), strict=True):
        assert_allclose(W, expected, rtol=1e-6)
    np.savez(tmp_path / "other.npz", **{name: W[:8] for name, W in weights.items()})
    with pytest.raises(PlasticError, match=r"W_1, W_2, W_3 have shapes"):
        drift.before(str(tmp_path / "other.npz"), samples(), (3, 5), 0.01, 2, True)
    np.savez(tmp_path / "wide.npz", W_1=np.ones((784, 32)), W_2=np.ones((32, 32)), W_3=np.ones((32, 10)))
    with pytest.raises(PlasticError, match=r"a network \(784, 32, 32, 10\), but .* needs \(9, 32, 32, 10\): take --st"):
        drift.before(str(tmp_path / "wide.npz"), samples(), (3, 5), 0.01, 2, True)


def test_drift_changes_after_every_interval():
    classes = drift.DriftingClasses(samples(), (3,), 3, 2, signed_targets=False, interval=2)
    sets = [classes.of(iteration)[0].copy() for iteration in range(4)]
    assert_array_equal(sets[0], sets[1])
    assert_array_equal(sets[2], sets[3])
    assert np.any(sets[1] != sets[2])


# the choice of rates


def test_a_rate_is_chosen_by_one_error_and_reported_by_another():
    rows = [
        {"rule": "pc", "rate": rate, "seed": seed, "epoch": epoch, "a": a, "b": b}
        for rate, a, b in ((0.1, 0.2, 0.9), (0.2, 0.3, 0.5), (0.3, np.nan, 0.1))
        for seed in (1, 2)
        for epoch in (0, 1, 2)
    ]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    chosen = best_rate.best(found, "mean", "a", "b", rule="pc")
    assert chosen["rate"] == 0.1
    assert_allclose(chosen["values"], [0.9, 0.9])
    assert chosen["curve"].shape == (2, 3)
    assert best_rate.best(found, "min", "b", "b", rule="pc")["rate"] == 0.3
    with pytest.raises(PlasticError, match="no rows of rule bp: the run is not finished"):
        best_rate.best(found, "min", "a", "a", rule="bp")


def test_what_is_reported():
    rows = [
        {"rule": rule, "rate": rate, "seed": 1, "epoch": k, "test_error": a, "validation_error": b, "held_out_error": c}
        for rule in ("pc", "bp")
        for rate, a, b, c in ((0.1, 0.3, 0.2, 0.4), (0.2, 0.25, 0.35, 0.15))
        for k in range(2)
    ]
    lost = {"pc": {}, "bp": {"0": 3}}

    def part(rule):
        metrics = {"test_error": [[0.25, 0.5]]}
        return types.SimpleNamespace(read_checkpoint=lambda: ({}, {"diverged": lost[rule], "metrics": metrics}))

    run = types.SimpleNamespace(
        metrics=lambda: {name: [row[name] for row in rows] for name in rows[0]},
        config={"parts": [{"rule": "pc"}, {"rule": "bp"}]},
        parts=lambda every: [part(**columns) for columns in every],
    )
    lines = best_rate.report(run, ("mean",))
    tried = "25.0 % (rate 0.2, the largest tried); 40.0 % (rate 0.1, the smallest tried) if held out"
    reached = f"mean test error {tried}"
    assert lines == [f"PC: {reached}", f"BP: {reached}"]
    lost["bp"] = {"0": 3, "1": 1}
    assert best_rate.report(run, ("mean",)) == [f"PC: {reached}", "BP: diverged at every rate"]
    lost["pc"] = {"0": 3, "1": 1}
    with pytest.raises(Diverged, match="training diverged at every rate: try smaller rates"):
        best_rate.report(run, ("mean",))


def test_a_grid_of_which_nothing_is_left_ends_as_diverged():
    words = LINES["depth"].replace("0.05,0.01", "1e200,1e250").split()
    error, _ = command_lines.error_of(COMMANDS, words, "plastic.pc")
    assert "training diverged at every rate" in error
    (folder,) = Path("results/pc").iterdir()
    assert runs.Run(folder).config["status"] == "diverged"
    assert set(metrics(folder)["test_error"][-4:]) == {1.0}  # as published
    _, lines = command(f"{LINES['depth']} --gamma=1e250")
    assert lines[2] == "depth 3, PC: diverged at every rate" and "test error" in lines[3]


def test_batches_that_the_set_cannot_fill_are_refused():
    words = LINES["online"].replace("1,7", "1,121").split()
    error, _ = command_lines.error_of(COMMANDS, words, "plastic.pc")
    assert (
        "batch_sizes are (1, 121), but tiny.npz has 120 training samples" in error and not os.listdir("results")
        if Path("results").exists()
        else True
    )


def test_the_epoch_of_the_least_error_is_not_chosen_on_what_is_reported():
    a, b = (9, 0.3, 0.2, 0.4), (9, 0.1, 0.5, 0.6)
    rows = [{"rule": "pc", "rate": 0.1, "seed": 1, "epoch": k, "a": a[k], "b": b[k]} for k in range(4)]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    assert best_rate.best(found, "min", "a", "b", rule="pc")["values"].tolist() == [0.5]
    assert best_rate.best(found, "min", "a", "a", rule="pc")["values"].tolist() == [0.2]


def test_a_rate_at_the_edge_of_the_grid_is_told():
    def edge(*errors):
        rows = [{"rule": "pc", "rate": k, "seed": 1, "epoch": e, "a": x} for k, x in enumerate(errors) for e in (0, 1)]
        return best_rate.best({name: [row[name] for row in rows] for name in rows[0]}, "mean", "a", "a")["edge"]

    assert [edge(1, 2, 3), edge(2, 1, 3), edge(3, 2, 1), edge(1)] == ["smallest", "", "largest", ""]


# rules


def test_every_rule_trains_on_images_and_some_are_equal():
    """Z-IL gives the gradients of BP, and so do fixed predictions with gamma = 1 and enough steps."""
    line = LINES["smalldata"].replace("--T=5", "--T=3 --gamma=1").replace("--per_class=3,6", "--per_class=6")
    folder, lines = command(f"{line} --rules=pc,ipc,fixed_prediction,zil,bp,repeated_bp")
    assert [text.split(", ", 1)[1].split(":")[0] for text in lines[:6]] == [
        "PC", "iPC", "fixed prediction", "Z-IL", "BP", "repeated BP"
    ]  # fmt: skip
    weights = {
        rule: plastic.load(folder, part={"rule": rule}).network.layers
        for rule in ("pc", "ipc", "fixed_prediction", "zil", "bp", "repeated_bp")
    }
    for rule in ("fixed_prediction", "zil"):
        for one, other in zip(weights[rule], weights["bp"], strict=True):
            assert_allclose(one.W, other.W, rtol=1e-8, atol=1e-12)
    for rule in ("pc", "ipc", "repeated_bp"):
        assert not np.allclose(weights[rule][0].W, weights["bp"][0].W, atol=1e-6)


# variants


@pytest.mark.parametrize(
    ("option", "phi", "draw"),
    [
        ("--activation=tanh", "tanh", lambda *n: xavier_normal(*n, gain=5 / 3)),
        ("--activation=relu --init=xavier-uniform", "relu", lambda *n: xavier_uniform(*n, gain=2**0.5)),
        ("--activation=linear --rules=bp,tp,pc", "linear", xavier_normal),
    ],
)
def test_depth_with_other_activations_and_initial_weights(option, phi, draw):
    line = LINES["depth"].replace("=0.05,0.01", "=1e-30")
    network = plastic.load(command(f"{line} {option}")[0], part={"rule": "bp", "depth": 3}).network
    assert {each.name for each in network.phi} == {phi}
    generator = xp.generator(5).init
    for layer, pair in zip(network.layers, itertools.pairwise((9, 64, 64, 10)), strict=True):
        assert_allclose(layer.W[1, 0], draw(generator, *pair), rtol=1e-6)


def test_regression_returns_the_images_themselves():
    """One hidden layer, one update of the last layer by hand; what diverges is not a number and is never the best."""
    line = LINES["depth"].replace("--depths=1,3", "--depths=1").replace("0.05,0.01", "1e200,0.01")
    folder, lines = command(f"{line} --task=regression")
    found, network = metrics(folder), plastic.load(folder, part={"rule": "pc"}).network
    assert network.sizes == (9, 9) and "test_error" not in found
    x = data.load("tiny.npz").test[0]
    with np.errstate(all="ignore"):  # of the replica that has diverged
        losses = 0.5 * np.sum((predict(network, x) - x) ** 2, axis=-1).mean(axis=-1)
    last = [k for k in range(len(found["rule"])) if (found["rule"][k], found["epoch"][k]) == ("pc", 2)]
    values = [found["test_loss"][k] for k in last]
    assert_allclose(values[1::2], losses[:, 1], rtol=1e-5)
    assert np.all(np.isnan(values[::2])) and [found["rate"][k] for k in last[:2]] == [1e200, 0.01]
    assert all("mean test loss" in text and "rate 0.01" in text for text in lines)


def test_regression_learns():
    folder, _ = command(LINES["depth"].replace("--depths=1,3", "--depths=2") + " --task=regression")
    found = metrics(folder)
    for rule in ("pc", "bp"):
        curve = best_rate.best(found, "mean", "test_loss", "test_loss", rule=rule, depth=2)["curve"]
        assert np.all(curve[:, -1] < curve[:, 0])


@pytest.mark.parametrize("name", ["depth", "forgetting"])
def test_colours_become_grey(name, tmp_path):
    rng, sets = np.random.default_rng(3), {}
    for split, count in (("train", 120), ("test", 60)):
        sets |= {f"x_{split}": rng.random((count, 3, 3, 3)), f"y_{split}": np.arange(count) % 10}
    sets["x_train"][0] = 1  # white: x is divided by the largest
    np.savez("colour.npz", **sets)
    grey = {key: value @ np.array([0.299, 0.587, 0.114]) if key[0] == "x" else value for key, value in sets.items()}
    np.savez("grey.npz", **grey)
    folders = [command(LINES[name].replace("tiny", kind))[0] for kind in ("colour", "grey")]
    errors = [metrics(folder)["test_error"] for folder in folders]
    assert_allclose(*errors, atol=1e-12)
    part = {"rule": "pc"} | ({"depth": 3} if name == "depth" else {})
    outputs = [plastic.load(folder, part=part).predict(some["x_test"]) for folder, some in zip(folders, (sets, grey),
                                                                                              strict=True)]  # fmt: skip
    assert_allclose(*outputs, atol=1e-5)


def test_small_data_with_other_widths_and_coefficients_of_the_loss():
    line = LINES["smalldata"].replace("--per_class=3,6", "--per_class=6").replace("--epochs=2", "--epochs=1")
    plain, doubled, faster = (
        {rule: plastic.load(folder, part={"rule": rule}).network for rule in ("pc", "bp")}
        for folder in (
            command(f"{line} --width=8")[0],
            command(f"{line} --width=8 --loss_coefficient=1")[0],
            command(f"{line} --width=8".replace("0.05,0.01", "0.1,0.02"))[0],
        )
    )
    assert plain["pc"].sizes == (9, 8, 8, 10)
    for one, other, twice in zip(plain["bp"].layers, doubled["bp"].layers, faster["bp"].layers, strict=True):
        assert not np.allclose(one.W, other.W)
        assert_allclose(other.W, twice.W, rtol=1e-9)  # a factor of the loss is one of BP's rate
    pairs = zip(doubled["pc"].layers, faster["pc"].layers, strict=True)
    assert not any(np.allclose(other.W, twice.W, rtol=1e-4) for other, twice in pairs)


def test_tasks_with_outputs_of_their_own():
    folder, _ = command(f"{LINES['forgetting']} --separate_outputs --last_output --width=6")
    network = plastic.load(folder, part={"rule": "pc"}).network
    assert network.sizes == (9, 6, 6, 6, 10) and network.counted is None
    without = plastic.load(command(f"{LINES['forgetting']} --separate_outputs")[0], part={"rule": "pc"}).network
    assert without.counted.tolist() == [1] * 9 + [0]
    found = samples()
    for task, (chosen, outputs) in enumerate(forgetting.tasks_of(1, found, "test", 100, True, True)):
        assert_array_equal(outputs, found.test[1][chosen])
        assert set(outputs) == set(range(5 * task, 5 * task + 5))


def test_blocked_errors_are_those_of_the_task_that_is_learned():
    """With one task alone (an interval as long as training), the outputs of the other never move."""
    line = f"{LINES['forgetting']} --separate_outputs --interval=9"
    first = [xavier_normal(xp.generator(3).init, 9, 32)]  # the first draw, to see that others did move
    for rule in ("pc", "bp"):
        blocked = plastic.load(command(f"{line} --blocked_errors")[0], part={"rule": rule}).network.layers
        free = plastic.load(command(f"{line} --last_output")[0], part={"rule": rule}).network.layers
        generator = xp.generator(3).init
        start = [xavier_normal(generator, *pair) for pair in itertools.pairwise((9, 32, 32, 32, 10))][-1]
        assert_allclose(blocked[-1].W[0, 0, :, 5:], start[:, 5:], rtol=1e-6)
        assert not np.allclose(blocked[-1].W[0, 0, :, :5], start[:, :5])
        assert not np.allclose(free[-1].W[0, 0, :, 5:], start[:, 5:])
        assert not np.allclose(blocked[0].W[0, 0], first[0])


def test_tasks_that_do_not_fit_the_memory_are_refused(monkeypatch):
    loaded = samples()
    monkeypatch.setattr(images, "load", lambda *_: loaded)
    monkeypatch.setattr(system, "free_memory", lambda: 2 * 60 * 9 * 8 - 1)  # two seeds, 60 images of 9 pixels
    error, _ = command_lines.error_of(COMMANDS, LINES["forgetting"].split(), "plastic.pc")
    assert "seeds 3,5, per_class 6 need" in error and "are free" in error


def test_the_gradient_of_blocked_errors_is_that_of_their_loss():
    rng = np.random.default_rng(0)
    output, y = rng.random((2, 3, 10)), np.eye(10)[np.array([[0, 4, 2], [7, 9, 5]])]
    loss, err = forgetting.of_the_task(output, y)
    expected = (output - y) * np.repeat(np.array([[1, 0], [0, 1]]), 5, axis=-1)[:, None]
    assert_allclose(err, expected)
    assert_allclose(loss, 0.5 * np.sum(expected**2, axis=(-2, -1)))


def test_the_interval_between_tasks_and_the_split_of_their_errors():
    rows = [
        {"rule": "pc", "rate": 0.1, "seed": 1, "epoch": k, "task0_error": k / 100, "task1_error": k / 10}
        for k in range(7)
    ]
    found = {name: [row[name] for row in rows] for name in rows[0]}
    rates, errors = forgetting.split(found, "pc", 2)  # tasks 0, 0, 1, 1, 0, 0
    assert rates.tolist() == [0.1]
    assert_allclose(errors["resuming"][0, 0], [0.01, 0.02, 0.3, 0.4, 0.05, 0.06])
    assert_allclose(errors["forgetting"][0, 0], [0.1, 0.2, 0.03, 0.04, 0.5, 0.6])


def test_a_regression_has_no_confusion_and_says_nothing_of_it(capsys):
    words = LINES["depth"].replace("--depths=1,3", "--depths=2") + " --task=regression --rules=pc"
    *_, folder = command_lines.printed(COMMANDS, words.split(), "plastic.pc")
    assert "not drawn" not in capsys.readouterr().err
    folder = Path(folder.removeprefix("run folder "))
    assert {path.name for path in folder.glob("*.png")} == {"depth.png", "depth_curves.png"}
    again = command_lines.printed(COMMANDS, ["figure", str(folder)], "plastic.pc")
    assert again == [str(folder / "depth.png"), str(folder / "depth_curves.png")]


# --validation

_SEARCH = "--seeds=3,5 --T=9 --gamma=0.3 --dataset=tiny.npz --dtype=float64 --validation=0.25"
JUDGED = {
    "smalldata": f"smalldata --per_class=6 --epochs=120 --rates=0.007,0.01 --no_same_test {_SEARCH}",
    "depth": f"depth --depths=1,2 --per_class=6 --epochs=40 --rates=0.01,0.02 {_SEARCH}",
    "online": f"online --batch_sizes=1,2 --batches=80 --epochs=12 --rates=0.1,0.2 {_SEARCH}",
}


@pytest.mark.parametrize("name", JUDGED)
def test_rates_and_epochs_are_judged_by_the_validation_set_and_the_test_is_once(name):
    folder, lines = command(JUDGED[name])
    run, sets = runs.Run(folder), data.load("tiny.npz", dtype="float64", validation=0.25)
    table = {column: np.array(values) for column, values in run.metrics().items()}
    assert "validation_error" in table and not {"test_error", "held_out_error"} & set(table)
    arrays, summary = run.arrays(), "mean" if name == "depth" else "min"
    earlier = 0
    for index, part in enumerate(run.config["parts"]):
        rows = np.all([table[column] == value for column, value in part.items()], axis=0)
        errors = table["validation_error"][rows].reshape(-1, 2, 2)  # epochs, seeds, rates
        best = errors.reshape(-1, 4).argmin(axis=0)
        earlier += np.sum(best < len(errors) - 1)
        assert_array_equal(arrays[f"{index}/best_epoch"], best)
        trained = plastic.load(folder, part=part)
        for split, expected in (("validation", errors.min(axis=0)), ("test", arrays[f"{index}/test_error"])):
            x, labels = getattr(sets, split)
            assert_allclose(np.mean(trained.predict(x).argmax(-1) != labels, axis=-1), np.reshape(expected, (2, -1)))
        shares = np.trace(arrays[f"{index}/test_confusion"], axis1=1, axis2=2)
        assert_allclose(1 - shares, arrays[f"{index}/test_error"], atol=1e-12)
        scores = getattr(np, summary)(errors[1:], axis=0).mean(axis=0)
        rate = table["rate"][rows][: len(scores)][scores.argmin()]
        tested = arrays[f"{index}/test_error"].reshape(2, -1)[:, scores.argmin()].mean()
        (line,) = [each for each in lines if f"{each.split(':')[0]}:" == f"{_name(part)}:" and f": {summary} " in each]
        assert f"{summary} validation error {100 * scores.min():.1f} % (rate {rate:g}" in line
        assert line.endswith(f"; test error {100 * tested:.1f} % once, at the best epochs")
        assert scores.min() < 0.89  # it learns
    assert earlier  # the last epoch is not always the best


def _name(part):
    axes = "".join(f"{axis} {value:g}, " for axis, value in part.items() if axis != "rule")
    return axes + learning.NAMES[part["rule"]]


def test_what_is_held_out_is_not_trained_on():
    line = JUDGED["smalldata"]
    first, _ = command(line)
    arrays = dict(np.load("tiny.npz"))
    for label in range(10):
        arrays["x_train"][np.flatnonzero(arrays["y_train"] == label)[-3:]] *= 0.5
    np.savez("tiny.npz", **arrays)
    second, _ = command(f"{line} --name=other")
    for one, other in zip(*(runs.Run(folder).parts(runs.Run(folder).config["parts"]) for folder in (first, second)),
                          strict=True):  # fmt: skip
        kept, others = one.read_checkpoint()[0], other.read_checkpoint()[0]
        assert_array_equal(kept["layers/0/W"], others["layers/0/W"])
    assert metrics(first)["validation_error"] != metrics(second)["validation_error"]


def test_the_best_epochs_survive_a_resume_and_an_extension():
    whole, said = command(JUDGED["smalldata"])
    short, _ = command(JUDGED["smalldata"].replace("--epochs=120", "--epochs=60"))
    again, lines = command(f"smalldata --resume={short} --epochs=120")
    assert again == short and lines == said
    kept, others = (runs.Run(folder).arrays() for folder in (whole, short))
    assert kept.keys() == others.keys() and all(np.array_equal(kept[name], others[name]) for name in kept)
    written = (whole / "arrays.h5").stat().st_mtime_ns
    assert command(f"smalldata --resume={whole}")[1] == said
    assert (whole / "arrays.h5").stat().st_mtime_ns == written  # nothing new is written of parts that were finished


@pytest.mark.parametrize("how", ["", " --validation=0.25"])
def test_the_confusion_is_that_of_the_best_rate(how):
    """In the figure: a panel for each rule, of the last evaluation or of the test at the best epochs; 100 % a row."""
    folder, _ = command(LINES["smalldata"].replace("--per_class=3,6", "--per_class=6") + how)
    run = runs.Run(folder)
    figure = figures.confusion([run])
    panels = [axis for axis in figure.axes if axis.get_images() and axis.get_title()]
    assert [axis.get_title().split(",")[0] for axis in panels] == ["PC", "BP"]
    measure = "validation_error" if how else "test_error"
    for index, (axis, part) in enumerate(zip(panels, run.config["parts"], strict=True)):
        rate = best_rate.best(run.metrics(), "min", measure, measure, **part)["rate"]
        assert axis.get_title().endswith(f"rate {rate:g}")
        if how:
            stored = run.arrays()[f"{index}/test_confusion"]
        else:
            stored = list(run.parts(run.config["parts"]))[index].read_checkpoint()[0]["confusion"]
        mean = stored.reshape(2, 2, 10, 10)[:, (0.05, 0.01).index(rate)].mean(axis=0)
        shown = np.asarray(axis.get_images()[0].get_array())
        assert_allclose(shown, 100 * mean / mean.sum(axis=1, keepdims=True))


# what stays at chance


def test_what_is_no_better_than_chance_is_told_with_what_to_try(capsys):
    """Rates too small to move a weight: PC and BP; and iPC, whose weights move with the states."""
    line = LINES["smalldata"].replace("=0.05,0.01", "=1e-30,1e-29").replace("--per_class=3,6", "--per_class=6")
    command(f"{line} --rules=pc,ipc")
    told = [each for each in capsys.readouterr().err.splitlines() if "chance" in each]
    assert told[0] == (
        "warning: per_class 6, PC is no better than chance at any of its rates; try other rates, or longer training"
    )
    assert told[1].startswith(
        "warning: per_class 6, iPC is no better than chance at any of its rates; try smaller rates: "
    )
    assert "each of T = 5 steps" in told[1] and len(told) == 2
    command(JUDGED["online"].replace("--validation=0.25", "").replace("--batch_sizes=1,2", "--batch_sizes=1"))
    assert "chance" not in capsys.readouterr().err


@pytest.mark.parametrize(("error", "classes", "is_told"), [(0.85, 10, False), (0.86, 10, True), (0.78, 5, True)])
def test_chance_is_that_of_so_many_classes(error, classes, is_told, capsys):
    """Guesses err in 1 - 1/n of the cases."""
    best_rate.warn_of_chance(None, "PC", "pc", np.full(3, error), classes)
    assert ("no better than chance" in capsys.readouterr().err) == is_told
