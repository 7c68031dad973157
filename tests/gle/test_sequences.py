"""MNIST-1D and spoken words: what their runs record and learn; tests/test_commands.py tests what all commands share."""

import dataclasses
import os

import numpy as np
import pytest
from command_lines import column, table
from gle import tiny
from gle.tiny import ARCHITECTURES, CURVES, LOAD, WORDS, command, stretched, tiny_curves, tiny_words

import plastic
from plastic import functions, gle, parameters, runs, xp
from plastic.data.mnist1d import Deformation, generate
from plastic.data.speech.batches import Balanced, Batches
from plastic.data.speech.features import log_mel, mfcc, standardise
from plastic.evaluations import best_of
from plastic.gle.experiments import gsc, mnist1d
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.networks import uniform_layers
from plastic.optimizers import SGD, Adam, Plateau


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    tiny.place(tmp_path, monkeypatch)


def softmax(z):
    each = np.exp(z - z.max(axis=-1, keepdims=True))
    return each / each.sum(axis=-1, keepdims=True)


class ByHand:
    """A network that learns from sequences (batch, T, n), one Euler step and one step of Adam after the other.

    State, once begun, goes on from sequence to sequence; the first rows are taken again where a batch is larger.
    """

    def __init__(self, network, lr, patience, factor, optimizer=Adam, read=lambda outputs: outputs):
        self.read = read
        self.network, self.lr, self.patience, self.factor = network, lr, patience, factor
        self.state, self.grads, self.optimizer = None, parameters.zeros_like(network.parameters), optimizer(lr)
        self.moments = self.optimizer.init(network.parameters)
        self.best, self.bad = np.inf, 0

    def learn(self, x, labels):
        """Return the accuracy of the summed outputs while learning."""
        self._of_size(len(x))
        total = 0
        for t in range(x.shape[1]):
            err = softmax(self.state.output) - np.eye(self.network.sizes[-1])[labels]
            total = total + self.read(gle.step(self.network, self.state, x[:, t], err, out=self.grads)[1])
            self.optimizer.step(self.network.parameters, self.grads, self.moments, lr=self.lr)
        return np.mean(total.argmax(axis=-1) == labels)

    def score(self, x, labels, chunk):
        """Return the mean cross-entropy of all steps, and the part of the sequences that is right."""
        losses, right, size = [], [], self.state.batch
        for start in range(0, len(x), chunk):
            some, its = x[start : start + chunk], labels[start : start + chunk]
            self._of_size(len(some))
            out = np.stack([gle.evolve(self.network, self.state, some[:, t]) for t in range(x.shape[1])])
            losses.append(-np.log(softmax(out)[:, np.arange(len(some)), its]))
            right.append(self.read(out).sum(axis=0).argmax(axis=-1) == its)
            self.state.v[...] = self.state.E[...] = 0  # many steps without a target leave nothing of the errors
            self._of_size(size)
        return np.concatenate(losses, axis=1).mean(), np.concatenate(right).mean()

    def plateau(self, loss):
        """Lower the rate where the loss has not fallen for more than `patience` epochs."""
        better = loss < self.best * (1 - 1e-4)
        self.best, self.bad = (loss, 0) if better else (self.best, self.bad + 1)
        if self.bad > self.patience:
            self.lr, self.bad = self.lr * self.factor, 0

    def _of_size(self, batch):
        if self.state is None:
            self.state = gle.State(self.network, batch)
        self.state = self.state.resized(batch)


def assert_metrics(folder, expected):
    """metrics.csv has the columns of `expected`, a list of dicts, one for each epoch, and their values."""
    rows = table(folder)
    assert list(rows[0]) == ["step", "epoch", "replica", "seed", *expected[0]]
    assert column(rows, "epoch") == list(range(len(expected)))
    for row, wanted in zip(rows, expected, strict=True):
        for name, value in wanted.items():
            assert float(row[name]) == pytest.approx(value, rel=1e-7, nan_ok=True), (row["epoch"], name)


def curve_network(architecture, layers):
    """The networks for MNIST-1D as they are published; the sizes of the larger one are inferred.

    In each of six hidden layers: lagged neurons with tau_r = 0.2, tau_m = 0.6 and then 1.2; others with both 1.2.
    """
    linear, tanh = functions.linear, functions.tanh
    if architecture == "static_lagnet":
        return gle.Network.from_layers(layers, [tanh, tanh, linear], 2.0, 2.0, 0.2, prospective=False)
    half, rest = {"plastic_e2e": (18, 17), "plastic_e2e_42k": (30, 30)}[architecture]
    tau_m = np.array([0.6] * half + [1.2] * half + [1.2] * rest)
    tau_r = np.array([0.2] * half + [0.2] * half + [1.2] * rest)
    phi = [linear, tanh, tanh, tanh, tanh, tanh, linear]
    return gle.Network.from_layers(layers, phi, [tau_m] * 6 + [1.2], [tau_r] * 6 + [1.2], 0.2)


PUBLISHED = [2.4, 0.6, 1.2, 1.8, 2.4], [2.4, 0.1, 0.1, 0.1, 0.1]


def word_network(layers, constants=PUBLISHED, prospective=True):
    """The network for spoken words as it is published: five groups of neurons in each of three hidden layers."""
    n = layers[0].W.shape[-1] // len(constants[0])
    tau_m, tau_r = (np.repeat(tau, n) for tau in constants)
    phi = [functions.linear, functions.tanh, functions.tanh, functions.linear]
    outer = [[each[0]] for each in constants]
    every = [tau_m] * 3 + outer[0], [tau_r] * 3 + outer[1]
    return gle.Network.from_layers(layers, phi, *every, 0.05, prospective=prospective)


def lagged(x):
    """The fixed lag net: four stages of ten leaky integrators in a row, from rest, a stage a step after the last."""
    share = 0.2 / np.array([0.2, 0.38, 0.56, 0.73, 0.91, 1.09, 1.27, 1.44, 1.62, 1.8])
    u, out = np.zeros((4, len(x), 10)), np.zeros((*x.shape, 10))
    for t in range(x.shape[1]):
        out[:, t] = u[-1]
        u += share * (np.concatenate([np.repeat(x[None, :, t, None], 10, axis=-1), u[:-1]]) - u)
    return out


@pytest.mark.parametrize(
    "words, rate", [("", None), ("--learning_rate=0.0016 --validation=0.2", 0.0016), ("--loss=nll", None)]
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_mnist1d_by_hand(architecture, words, rate):
    """A loop over epochs, batches and steps gives metrics.csv and the weights."""
    folder, (line,) = command(CURVES, f"--validation=0 --architecture={architecture} --dtype=float64 --seed=4", words)
    xp.use(dtype="float64")
    generator = xp.generator(4)
    sizes = {"plastic_e2e": [1] + [53] * 6, "plastic_e2e_42k": [1] + [90] * 6, "static_lagnet": [10, 60, 60]}
    layers = uniform_layers(generator.init, (*sizes[architecture], 10))
    default = 2.5e-3 if "42k" in architecture else 5e-3
    read = {"read": lambda outputs: np.log(softmax(outputs))} if "nll" in words else {}
    hand = ByHand(curve_network(architecture, layers), (rate or default) / 5 * 12, 2, 0.5, **read)
    sets = tiny_curves("MNIST-1D-360", "float64", 0.2 if rate else 0)
    see = lagged if architecture == "static_lagnet" else lambda x: x[..., None]
    name, (x, labels) = ("validation", sets.validation) if rate else ("test", sets.test)
    expected, accuracy, best = [], np.nan, (-1, None)  # nothing was trained at the beginning
    hand.state = gle.State(hand.network, 10)
    for epoch in range(4):
        if epoch > 0:
            order = generator.shuffle.permutation(len(sets.train[0]))[:30].reshape(3, 10)
            accuracy = np.mean([hand.learn(see(sets.train[0][chosen]), sets.train[1][chosen]) for chosen in order])
        loss, part = hand.score(see(x), labels, 1000)
        row = {f"{name}_loss": loss, f"{name}_accuracy": part}
        expected.append(row | {"train_accuracy": accuracy, "learning_rate": hand.lr})
        if part > best[0]:
            best = part, epoch, hand.network.parameters.flat.copy()
        if epoch > 0:
            hand.plateau(loss)
    assert_metrics(folder, expected)
    last, said = hand.network.parameters.flat.copy(), "(seeds: 1, standard deviation 0.00)"
    if rate:
        hand.network.parameters.flat[...] = best[2]
        loss, part = hand.score(see(sets.test[0]), sets.test[1], 1000)
        found = runs.Run(folder).arrays()
        np.testing.assert_allclose(np.ravel([found["test_loss"], found["test_accuracy"]]), [loss, part], rtol=1e-7)
        np.testing.assert_allclose(plastic.load(folder).network.parameters.flat, best[2], rtol=0, atol=1e-6)
        said += f", tested once, at the best epoch by the validation set ({best[1]})"
        hand.network.parameters.flat[...] = last
    assert line == f"test accuracy {100 * part:.2f} % {said}"
    arrays, _ = runs.Run(folder).read_checkpoint()
    for k, layer in enumerate(hand.network.layers):
        np.testing.assert_allclose(arrays[f"layers/{k}/W"], layer.W, rtol=0, atol=1e-6)
        np.testing.assert_allclose(arrays[f"layers/{k}/b"], layer.b, rtol=0, atol=1e-6)
    assert sum(array.size for path, array in arrays.items() if path.startswith("layers/")) == PARAMETERS[architecture]


PARAMETERS = {"plastic_e2e": 14956, "plastic_e2e_42k": 42040, "static_lagnet": 4930}  # as published


OTHER = "--optim=sgd --lr-scheduler=step --lr-scheduler-step-size=2 --features=mfcc --no-prospective_errors"
PLATEAU = "--lr_scheduler_patience=0"
GROUPS = f"{PLATEAU} --tau_m=0.6,1.2 --tau_r=0.2,0.05 --sampling=random"


@pytest.mark.parametrize("words", [PLATEAU, OTHER, GROUPS])
def test_gsc_by_hand(words):
    """A loop over epochs, batches and steps gives metrics.csv, the weights, and accuracy and matrix of the test set."""
    common = "--dtype=float64 --seed=4 --learning_rate=0.1 --lr_scheduler_gamma=0.1"
    folder, (line,) = command(WORDS, common, words)
    xp.use(dtype="float64")
    generator, speech = xp.generator(4), tiny_words("FSDD", seed=4)
    layers = uniform_layers(generator.init, (6, 10, 10, 10, 3))
    other, groups = words == OTHER, ([0.6, 1.2], [0.2, 0.05]) if words == GROUPS else PUBLISHED
    hand = ByHand(word_network(layers, groups, not other), 0.1 * 0.05 * 625 / 800, 0, 0.1, SGD if other else Adam)
    hand.state = gle.State(hand.network, 6)
    kind = "mfcc" if other else "mel"
    source = Batches(speech.train, 8000, 6, 6, [generator.data], speech.noise, kind)

    def heard(recordings):
        x = standardise((mfcc if other else log_mel)(recordings.samples, 8000, 6)).astype(float)
        chosen = np.arange(len(x))
        if words == GROUPS:
            chosen = Balanced(recordings.labels).draw(generator.task, len(x))
        return stretched(x[chosen]), recordings.labels[chosen], 6

    validation, test = heard(speech.validation), heard(speech.test)
    expected, accuracy = [], np.nan
    for epoch in range(4):
        if epoch > 0:
            batches = [source.next() for _ in range(3)]
            accuracy = np.mean([hand.learn(stretched(x), labels) for x, labels in batches])
        loss, part = hand.score(*validation)
        row = {"validation_loss": loss, "validation_accuracy": part}
        expected.append(row | {"train_accuracy": accuracy, "learning_rate": hand.lr})
        if epoch > 0 and other:
            hand.lr *= 0.1 if epoch % 2 == 0 else 1
        elif epoch > 0:
            hand.plateau(loss)
    assert_metrics(folder, expected)
    if words != GROUPS:  # these learned by a lowered rate
        assert expected[-1]["learning_rate"] < expected[0]["learning_rate"]
    _, on_test = hand.score(*test)
    assert line == f"test accuracy {100 * on_test:.2f} % (seeds: 1, standard deviation 0.00)"
    arrays = runs.Run(folder).arrays()
    np.testing.assert_allclose([arrays["test_accuracy"], np.trace(arrays["test_confusion"])], on_test)
    np.testing.assert_allclose(arrays["test_confusion"].sum(axis=1), np.bincount(test[1], minlength=3) / len(test[1]))
    found = plastic.load(folder).network.parameters.flat
    np.testing.assert_allclose(found, hand.network.parameters.flat, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "line, watched, patience, factor",
    [(f"{CURVES} --validation=0 --learning_rate=1", "test", 2, 0.5),
     (f"{CURVES} --learning_rate=1", "validation", 2, 0.5),
     (f"{WORDS} --learning_rate=9 --lr_scheduler_patience=1 --lr_scheduler_gamma=0.6", "validation", 1, 0.6)],
)  # fmt: skip
def test_the_rate_is_lowered_where_the_loss_of_the_right_set_has_stopped_falling(line, watched, patience, factor):
    """For each seed by its own loss, and not by the loss before training."""
    folder, _ = command(line, "--max_epochs=12 --dtype=float64 --seeds=3,4,5,6,7,8")
    lowered = set()
    for seed in range(3, 9):
        rates, losses = (column(table(folder), name, seed=seed) for name in ("learning_rate", f"{watched}_loss"))
        best, bad, rate = np.inf, 0, rates[0]
        for epoch, (found, loss) in enumerate(zip(rates, losses, strict=True)):
            assert found == pytest.approx(rate)
            if epoch > 0:
                best, bad = (loss, 0) if loss < best * (1 - 1e-4) else (best, bad + 1)
                if bad > patience:
                    rate, bad = rate * factor, 0
        lowered.add(tuple(rates))
    assert len(lowered) > 1  # each seed is judged by its own loss


def test_the_smallest_rates_are_lowered_for_words():
    """As published, where the change must be above 1e-20 rather than the usual 1e-8."""
    folder, _ = command(WORDS, "--learning_rate=1e-9 --max_epochs=6 --lr_scheduler_patience=0")
    rates = column(table(folder), "learning_rate")
    assert rates[-1] < 0.95 * rates[0]


def test_a_batch_larger_than_the_set_is_refused_before_the_set_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist1d.data, "load", LOAD)
    monkeypatch.setenv("PLASTIC_DATASETS", str(tmp_path / "datasets"))
    assert "batch_size" in tiny.refused("mnist1d --batch_size=4001")
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_data_set_is_taken_in_any_case():
    folder, _ = command(WORDS, "--dataset=fsdd --max_epochs=1")
    assert folder.name == command(WORDS, "--max_epochs=1 --results=other")[0].name
    assert runs.Run(folder).options["dataset"] == "FSDD"


def test_the_validation_set_takes_the_place_of_the_test_set(monkeypatch):
    asked = []
    monkeypatch.setattr(mnist1d.data, "load", lambda *a, **k: (asked.append((a, k)), tiny_curves(*a, **k))[1])
    command(CURVES, "--max_epochs=1 --dtype=float64")
    assert asked == [(("MNIST-1D-360",), {"dtype": "float64", "validation": 0.2})]
    for words, name in (("", "validation"), ("--validation=0", "test")):
        columns = [each for each in table(command(CURVES, "--max_epochs=1", words)[0])[0] if each.endswith("_loss")]
        assert columns == [f"{name}_loss"]


def test_sequences_of_ones_own(tmp_path, monkeypatch):
    """Several inputs, another number of steps and of classes; the rate is for 72 steps."""
    monkeypatch.setattr(mnist1d.data, "load", LOAD)
    rng = np.random.default_rng(0)
    arrays = {f"x_{split}": rng.standard_normal((12, 9, 4)) for split in ("train", "test")}
    np.savez(tmp_path / "mine.npz", **arrays, y_train=np.arange(12) % 3, y_test=np.arange(12) % 3)
    words = "mnist1d --dataset=mine.npz --max_epochs=1 --batch_size=4"
    folder, _ = command(words)
    trained = plastic.load(folder)
    assert trained.network.sizes == (4, *[53] * 6, 3) and folder.name.startswith("mnist1d-plastic_e2e-mine-seed42-")
    assert column(table(folder), "learning_rate") == [pytest.approx(5e-3 * 72 / 9)] * 2
    assert trained.predict(arrays["x_test"].astype(np.float32)).shape == (12, 3)
    assert runs.Run(folder).arrays()["stream/outputs"].shape == (3 * 9, 3)
    message = tiny.refused(words, "--architecture=static_lagnet")
    assert "has samples of shape (9, 4); static_lagnet takes sequences (T,)" in message


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sequences_that_end_before_their_input_is_at_the_outputs_are_refused(architecture, tmp_path, monkeypatch):
    """An input needs a step for each layer; of the eighth element of a sequence the first one has its say."""
    for length, changed in ((7, False), (8, True)):
        net = curve_network(architecture, uniform_layers(np.random.default_rng(0), mnist1d.sizes(architecture)))
        x = np.random.default_rng(1).standard_normal((2, length)).astype(np.float32)
        other = np.concatenate([x[:, :1] + 1, x[:, 1:]], axis=1)
        outputs, others = (
            gle.predict(net, mnist1d.steps_first(mnist1d.features(architecture, each))) for each in (x, other)
        )
        assert (np.abs(others - outputs).max() > 1e-6) == changed
    monkeypatch.setattr(mnist1d.data, "load", LOAD)
    arrays = {f"x_{split}": np.ones((4, 7)) for split in ("train", "test")}
    np.savez(tmp_path / "short.npz", **arrays, y_train=[0, 1, 0, 1], y_test=[0, 1, 0, 1])
    for name, steps in (("short.npz", 7), ("XOR", 2), ("YinYang", 4)):
        message = tiny.refused(f"mnist1d --dataset={name} --batch_size=2 --architecture={architecture}")
        assert f"{name} has sequences of {steps} steps, but an input needs 7 steps to the outputs" in message


def test_what_is_no_sequence_is_refused_before_it_is_fetched(monkeypatch):
    monkeypatch.setattr(mnist1d.data, "load", None)
    assert "CIFAR-10 has samples of shape (32, 32, 3)" in tiny.refused("mnist1d --dataset=CIFAR-10")
    message = tiny.refused("mnist1d --dataset=KMNIST --architecture=static_lagnet")
    assert "KMNIST has samples of shape (28, 28); static_lagnet takes sequences (T,)" in message


def test_generated_curves_are_what_the_generator_gives(monkeypatch):
    """Of classes and deformations that are asked for, without the stored ones."""
    monkeypatch.setattr(mnist1d.data, "load", None)
    words = "--num_samples=20 --classes=3,5 --scale_coeff=0 --batch_size=8 --max_epochs=1 --validation=0"
    folder, _ = command(CURVES, words)
    made = generate(20, 360, classes=(3, 5), deformation=Deformation(scale_coeff=0.0))
    arrays = runs.Run(folder).arrays()
    firsts = [np.flatnonzero(made["y_test"] == label)[0] for label in (0, 1)]
    np.testing.assert_allclose(arrays["stream/x"], made["x_test"][firsts], rtol=1e-6)
    assert plastic.load(folder).network.sizes[-1] == 2


def test_the_stream_is_what_the_network_says_from_rest():
    for architecture in ("plastic_e2e", "static_lagnet"):
        folder, _ = command(CURVES, f"--architecture={architecture} --dtype=float64 --validation=0")
        xp.use(dtype="float64")
        arrays = runs.Run(folder).arrays()
        x = arrays["stream/x"]
        seen = lagged(x) if architecture == "static_lagnet" else x[..., None]
        net = plastic.load(folder).network
        state = gle.State(net, 1)
        expected = [gle.evolve(net, state, row[None]) for row in seen.reshape(-1, seen.shape[-1])]
        found = arrays["stream/outputs"]
        np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-9, atol=1e-12)


def test_the_first_seed_splits_the_recordings(monkeypatch):
    asked = []

    def load(name, seed, full):
        asked.append((name, seed, full))
        return tiny_words(name, seed)

    monkeypatch.setattr(gsc.speech, "load", load)
    for words in ("", "--dataset=GSC --seed=7", "--seeds=9,2", "--dataset=GSC --full"):
        command(WORDS, words, "--max_epochs=1")
    assert asked == [("FSDD", 115, False), ("GSC", 7, False), ("FSDD", 9, False), ("GSC", 115, True)]


TURNS = {"one": [slice(0, 3)], "two": [slice(0, 1), slice(1, 3)], "three": [slice(k, k + 1) for k in range(3)]}


@pytest.mark.parametrize("architecture", ["plastic_e2e", "static_lagnet"])
def test_seeds_that_take_turns_learn_what_they_learn_side_by_side_and_alone(backend, monkeypatch, architecture):
    """Two batches learned, with a rate for each seed, and sequences presented between them."""
    rng, sizes = np.random.default_rng(0), mnist1d.sizes(architecture)
    drawn = [uniform_layers(np.random.default_rng(seed), sizes) for seed in range(3)]
    x, labels = rng.standard_normal((3, 12, 4, sizes[0])), rng.integers(10, size=(3, 4))
    rates = np.array([1e-3, 2e-3, 5e-3])

    def learned(layers, rate, x, labels):
        net = mnist1d.network(architecture, layers)
        learner = SequenceClassifier(net, lambda x: x, Plateau(2, 0.5), 1e-3, batch=4, chunk=1000)
        learner.rates["lr"][...] = xp.asarray(rate[..., None])
        x, labels = xp.asarray(x), xp.asarray(labels)
        outputs = [learner.learn(x, labels), learner.present(x[..., :5, :3, :]), learner.learn(x, labels)]
        arrays = outputs + [array for _, array in parameters.leaves(learner.tree)]
        return len(learner.turns), [xp.asnumpy(array) for array in arrays]

    stacked = parameters.map(lambda *arrays: np.stack(arrays), *drawn)
    expected = None
    for count, turns in enumerate(TURNS.values(), start=1):
        monkeypatch.setattr(xp, "turns", lambda replicas, nbytes, turns=turns: turns)
        found, arrays = learned(stacked, rates, x, labels)
        assert found == count
        expected = expected or arrays
        for a, b in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    for seed in range(3):
        found, arrays = learned(drawn[seed], rates[seed], x[seed], labels[seed])
        assert found == 1
        for a, b in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(a, b[seed] if b.ndim else b, rtol=0, atol=1e-11)


def test_blocks_of_seeds_are_sized_by_what_a_seed_works_on(monkeypatch):
    """Rows of all units, and the parameters with their gradient and two moments; one network alone takes no turns."""
    asked = []
    monkeypatch.setattr(xp, "turns", lambda replicas, nbytes: asked.append((replicas, nbytes)) or [slice(0, replicas)])
    for seeds in (1, 3):
        drawn = uniform_layers([np.random.default_rng(0)] * seeds if seeds > 1 else np.random.default_rng(0), (2, 3, 4))
        net = gle.Network.from_layers(drawn, "tanh", 1.0, 0.5, 0.1)
        SequenceClassifier(net, None, Plateau(2, 0.5), 1e-3, batch=5, chunk=1000)
    assert asked == [(3, 4 * (8 * 7 * 5 + 4 * (2 * 3 + 3 * 4 + 7)))]


def test_words_are_learned():
    """Tones that were not heard before are told apart."""
    folder, (shown,) = command(WORDS, "--max_epochs=25 --learning_rate=0.05 --hidden=20")
    rows = table(folder)
    accuracy = column(rows, "train_accuracy")
    assert np.isnan(accuracy[0]) and np.mean(accuracy[-3:]) > 0.8
    assert float(shown.split()[2]) > 55 and column(rows, "validation_accuracy")[-1] > 0.55  # chance is a third


@pytest.fixture(scope="session")
def datasets(tmp_path_factory):
    """A folder in which the real MNIST-1D is made once."""
    return tmp_path_factory.mktemp("datasets")


def test_mnist1d_on_the_real_curves(datasets, monkeypatch):
    """An epoch on all 4,000, of the smallest network; the accuracy printed is what `predict` gives from rest."""
    monkeypatch.setattr(mnist1d.data, "load", LOAD)
    monkeypatch.setenv("PLASTIC_DATASETS", str(datasets))
    folder, (line,) = command("mnist1d --architecture=static_lagnet --max_epochs=1 --batch_size=200 --validation=0.1")
    assert [path.name for path in datasets.glob("*.h5")] == ["mnist-1d-360.h5"]
    x, labels = LOAD("MNIST-1D-360", folder=datasets).test
    outputs = plastic.load(folder).predict(x)
    assert outputs.shape == (1000, 10)
    accuracy = np.mean(outputs.argmax(axis=-1) == labels)
    assert float(line.split()[2]) == pytest.approx(100 * accuracy, abs=0.5)  # the first steps of 360 differ
    assert accuracy > 0.15


@pytest.mark.skipif("PLASTIC_MIRROR" not in os.environ, reason="FSDD comes from PLASTIC_MIRROR only")
def test_gsc_on_real_recordings(monkeypatch, datasets, request):
    """Six epochs on the digits of one speaker: an accuracy that chance does not give, on recordings of others too."""
    monkeypatch.undo()
    monkeypatch.chdir(datasets)
    monkeypatch.setenv("PLASTIC_DATASETS", str(datasets))
    real = gsc.speech.load("FSDD")

    def part(recordings, keep):
        rows = np.flatnonzero(recordings.labels < 3)[::keep]
        return dataclasses.replace(recordings, labels=recordings.labels[rows], rows=recordings.rows[rows])

    sets = {name: part(getattr(real, name), keep) for name, keep in (("train", 6), ("validation", 3), ("test", 3))}
    monkeypatch.setattr(gsc.speech, "load", lambda name, **_: dataclasses.replace(real, **sets))
    words = "gsc --dataset=FSDD --hidden=40 --max_epochs=6 --batch_size=20 --learning_rate=0.02 --results=results"
    _, (line,) = command(words)
    assert float(line.split()[2]) > 20  # of ten outputs, three of them used


@pytest.mark.parametrize("seeds", ["", "--seeds=3,1"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loaded_networks_of_mnist1d_predict(architecture, seeds):
    """As a network made here of the checkpoint's weights does, from rest; each seed by its own."""
    folder, _ = command(CURVES, f"--architecture={architecture} --dtype=float64", seeds)
    xp.use(dtype="float64")
    trained, (arrays, _) = plastic.load(folder), runs.Run(folder).read_checkpoint()
    x, _ = tiny_curves("MNIST-1D-360", "float64").test
    assert_predicts(trained, best_of(arrays), bool(seeds), x, lagged(x) if "lag" in architecture else x[..., None],
                    lambda layers: curve_network(architecture, layers))  # fmt: skip
    assert trained.config == runs.Run(folder).config


@pytest.mark.parametrize("seeds", ["", "--seeds=3,1"])
def test_loaded_networks_of_gsc_predict(seeds):
    folder, _ = command(WORDS, "--dtype=float64", seeds)
    xp.use(dtype="float64")
    trained, (arrays, _) = plastic.load(folder), runs.Run(folder).read_checkpoint()
    speech = tiny_words("FSDD", seed=3 if seeds else 115)
    x = standardise(log_mel(speech.test.samples, 8000, 6)).astype(float)
    assert_predicts(trained, arrays, bool(seeds), x, stretched(x), word_network)


def assert_predicts(trained, arrays, several, x, seen, network):
    y = trained.predict(x)
    count = sum(path.startswith("layers/") and path.endswith("W") for path in arrays)
    assert type(y) is np.ndarray and y.dtype == np.float64
    for replica in range(1 + several):
        layers = [
            parameters.Affine(*(arrays[f"layers/{k}/{name}"][(replica,) * several] for name in "Wb"))
            for k in range(count)
        ]
        alone = network(layers)
        state, total = gle.State(alone, len(x)), 0
        for t in range(seen.shape[1]):
            total = total + gle.evolve(alone, state, seen[:, t])
        np.testing.assert_allclose(y[replica] if several else y, total, rtol=1e-9, atol=1e-12)
    assert np.ptp(y) > 0 and y.shape == ((2,) if several else ()) + total.shape
