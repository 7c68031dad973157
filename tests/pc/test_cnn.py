"""Convolutional networks with several updates from a batch, against the rules taken one by one."""

import command_lines
import numpy as np
import pytest
from numpy.testing import assert_allclose

import plastic
from plastic import data, runs, xp
from plastic.functions import classification_error
from plastic.optimizers import Adam
from plastic.pc import State, convolutional, predict, repeated_bp, step
from plastic.pc.__main__ import COMMANDS
from plastic.pc.experiments import cnn, images
from plastic.pc.experiments.options import Inference


@pytest.fixture
def batch():
    xp.use("numpy", dtype="float64")
    rng = np.random.default_rng(0)
    return rng.random((5, 27)), np.eye(4)[rng.integers(0, 4, 5)]


def network():
    return convolutional((3, 2), (4,), np.random.default_rng(1), size=3)


@pytest.mark.parametrize("rule", ["ipc", "repeated_bp"])
def test_a_step_is_T_updates_with_the_published_constants_of_sums(rule, batch):
    net, by_hand = network(), network()
    adam = Adam(0.01, eps=1e-8 / 5, weight_decay=cnn.WEIGHT_DECAY / 5)
    moments, inference = adam.init(net.parameters), Inference(T=3, gamma=0.5)
    sign = cnn.step_of(net, rule, adam, moments, inference)(batch, 1)
    assert sign.shape == (1,) and np.isfinite(sign).all()
    of_sums = Adam(0.01, weight_decay=0.01)
    state, others = State(by_hand, *batch, gamma=0.5), of_sums.init(by_hand.parameters)
    for _ in range(3):
        grads, _ = (step if rule == "ipc" else repeated_bp)(by_hand, state, batch[0])
        for layer in grads["layers"]:
            layer.W[...] *= 5  # a sum over the batch
            if layer.b is not None:
                layer.b[...] *= 5
        of_sums.step(by_hand.parameters, grads, others)
    for one, other in zip(net.layers, by_hand.layers, strict=True):
        assert_allclose(one.W, other.W, rtol=1e-9)


def test_the_gradient_of_a_rectified_output_is_that_of_its_loss():
    rng = np.random.default_rng(2)
    output, y = rng.standard_normal((3, 4)), rng.random((3, 4))
    loss, err = cnn._rectified(output, y)
    assert_allclose(loss, 0.5 * np.sum((np.maximum(output, 0) - y) ** 2))
    numeric = np.zeros_like(output)
    for place in np.ndindex(*output.shape):
        shifted = output.copy()
        shifted[place] += 1e-6
        numeric[place] = (cnn._rectified(shifted, y)[0] - loss) / 1e-6
    assert_allclose(err, numeric, atol=1e-5)


def test_outputs_that_are_all_silent_count_as_errors_where_they_are_rectified(batch):
    net = network()
    net.layers[-1].W[...], net.layers[-1].b[...] = 0, [-1, -2, -3, -4]
    x, _ = batch
    y = np.tile([1.0, 0, 0, 0], (5, 1))
    assert np.all(predict(net, x) < 0)
    assert images.classified(cnn.output_of(net, "repeated_bp", x), y)["error"] == 0
    assert images.classified(cnn.output_of(net, "bp_published", x), y)["error"] == 1


def test_rates_and_epochs_are_judged_by_the_validation_set_and_the_test_is_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = {"train": np.repeat(np.arange(3), 8), "test": np.repeat(np.arange(3), 4)}
    prototypes = rng.random((3, 6, 6))
    x = {split: prototypes[each] + 0.6 * rng.random((len(each), 6, 6)) for split, each in y.items()}
    np.savez("maps.npz", **{f"x_{k}": v for k, v in x.items()}, **{f"y_{k}": v for k, v in y.items()})
    line = (
        "cnn --dataset=maps.npz --validation=0.25 --epochs=3 --batches=2 --batch_size=5 --channels=2 --hidden=4 --T=2"
    )
    words = f"{line} --rates=0.003,0.05 --seeds=1,2 --rules=ipc,bp_published --dtype=float64 --no_plot".split()
    *lines, folder = command_lines.printed(COMMANDS, words, "plastic.pc")
    run = runs.Run(folder.removeprefix("run folder "))
    table, arrays = {name: np.array(each) for name, each in run.metrics().items()}, run.arrays()
    assert "validation_error" in table and "test_error" not in table
    assert set(table["step"]) == {0, 2, 4, 6}
    sets, kept = data.load("maps.npz", dtype="float64", validation=0.25), {}
    for index, part in enumerate(run.config["parts"]):
        rows = np.all([table[column] == value for column, value in part.items()], axis=0)
        errors = table["validation_error"][rows]
        assert arrays[f"{index}/best_epoch"] == errors.argmin()
        outputs = plastic.load(run.folder, part=part).predict(sets.test[0])
        assert (outputs.min() < 0) == (part["rule"] == "ipc")  # the output of bp_published is rectified
        assert_allclose(arrays[f"{index}/test_error"], classification_error(outputs, np.eye(3)[sets.test[1]]))
        kept.setdefault((part["rule"], part["rate"]), []).append((errors[1:].min(), arrays[f"{index}/test_error"][0]))
    for rule, line in zip(("ipc", "bp_published"), lines, strict=True):
        rate = min((0.003, 0.05), key=lambda rate: np.mean([each for each, _ in kept[rule, rate]]))
        least, test = 100 * np.mean(kept[rule, rate], axis=0)
        assert f"least validation error {least:.2f} %" in line
        assert f"at rate {rate:g}; test error {test:.2f} % (" in line


def test_training_has_the_published_constants_of_sums(tmp_path, monkeypatch):
    """Eps and the decay of Adam are divided by the samples of a batch, over which gradients are means."""
    monkeypatch.chdir(tmp_path)
    given = []
    monkeypatch.setattr(
        cnn, "Adam", lambda rate, **constants: given.append((rate, constants)) or Adam(rate, **constants)
    )
    rng, y = np.random.default_rng(0), np.arange(12) % 3
    np.savez("maps.npz", **{f"x_{k}": rng.random((12, 3, 3)) for k in ("train", "test")}, y_train=y, y_test=y)
    line = "cnn --dataset=maps.npz --epochs=1 --batch_size=4 --channels=2 --hidden=3 --T=2 --rates=0.003 --seeds=1"
    command_lines.printed(COMMANDS, [*line.split(), "--rules=ipc", "--no_plot"], "plastic.pc")
    assert given == [(0.003, {"eps": 1e-8 / 4, "weight_decay": 0.01 / 4})]
