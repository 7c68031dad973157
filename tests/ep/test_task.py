"""The whole task, training loop and checkpoints included, and the comparisons, on every backend."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import plastic
from plastic import data, parameters, runs, xp
from plastic.ep import Comparison, experiment, plotcurves, recipe, task, train
from plastic.functions import one_hot

NETWORKS = {
    "energy": {"size_tab": (5, 6, 36), "lr_tab": (0.1, 0.2), "dt": 0.3},
    "unclamped": {"size_tab": (5, 6, 7, 36), "lr_tab": (0.1, 0.2, 0.2), "clamp": False, "activation_function": "tanh"},
    "prototypical": {"size_tab": (5, 6, 36), "lr_tab": (0.1, 0.2), "discrete": True, "dt": 1.0},
    "leaky": {"size_tab": (5, 6, 36), "lr_tab": (0.1, 0.2), "discrete": True, "activation_function": "hardsigm"},
    "conv": {"C_tab": (3, 2, 1), "size_tab": (5,), "lr_tab": (0.1, 0.2, 0.2), "padding": 1, "dt": 1.0},
}
TOY = {"size_tab": (5, 6, 4), "toymodel": True}
METHODS = {
    "EP": {"nudging": "random-sign"},
    "BPTT": {"training_method": "BPTT", "tolerance": 1e-2},
    "both": {"benchmark": True, "nudging": "centered", "tolerance": 1e-2},
}


@pytest.fixture
def options(tmp_path):
    """The options of a tiny training run on random images."""
    rng = np.random.default_rng(0)
    sets = {name: rng.random((20, 6, 6)) for name in ("x_train", "x_test")}
    np.savez(tmp_path / "toy.npz", **sets, y_train=np.arange(20) % 5, y_test=np.arange(20) % 5)
    tiny = {"batch_size": 5, "test_batch_size": 8, "T": 6, "Kmax": 3, "epochs": 2, "Fconv": 3}
    return experiment.run.__kwdefaults__ | tiny | {"dt": 0.2, "dtype": "float64", "dataset": str(tmp_path / "toy.npz")}


def on_numpy():
    xp.use("numpy", dtype="float64")


def assert_equal(found, expected):
    """Two trees of host arrays are equal up to rounding."""
    found, expected = (dict(parameters.leaves(tree)) for tree in (found, expected))
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        assert_allclose(found[path], array, rtol=1e-9, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("seeds", [None, (1, 2)])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_on_each_backend(backend, options, tmp_path, network, method, seeds):
    """Training, evaluation, divergence watch, checkpoint and resumption give NumPy's numbers on each backend."""
    options = options | NETWORKS[network] | METHODS[method] | {"seeds": seeds}

    def weights(epochs, run):
        learner = train.Task(options | {"epochs": epochs})
        learner.train(run)
        return parameters.map(xp.asnumpy, learner.parameters)

    def predictions(run):
        return plastic.load(run.folder).predict(data.load(options["dataset"], dtype="float64").test[0])

    train.Task(options)  # notes the shape of an input, which `plastic.load` needs
    with runs.Run.create(tmp_path, "ep", "train", options) as run:
        first = weights(1, run)
    with runs.Run.resume(run.folder) as run:
        found, outputs = weights(2, run), predictions(run)
    on_numpy()
    with runs.Run.create(tmp_path, "ep", "train", options) as other:
        expected = weights(2, other)
    assert_equal(found, expected)
    assert_allclose(outputs, predictions(other), rtol=1e-9, atol=1e-12)
    assert run.metrics()["method"] == other.metrics()["method"]
    for name, column in other.metrics().items():
        if name != "method":
            assert_allclose(run.metrics()[name], column, rtol=1e-9, err_msg=name)
    moved = zip(parameters.leaves(found), parameters.leaves(first), strict=True)
    assert all(np.abs(after - before).max() > 0 for (_, after), (_, before) in moved)


@pytest.mark.parametrize("network", [*NETWORKS, "toy"])
def test_comparison_on_each_backend(backend, options, network):
    options = options | (TOY if network == "toy" else NETWORKS[network])

    def compared():
        generator = xp.generator(3)
        if options["toymodel"]:
            x, y = plotcurves.toy_batch(options, generator.task)
        else:
            x, labels = task.load_data(options).train
            x, y = xp.asarray(x[:4]), one_hot(xp.asarray(labels[:4]), 5)
        comparison = Comparison(task.build(options, generator.init), x, y, T=9, K=4, beta=0.1)
        n, d = comparison.neurons()
        steps = [parameters.map(lambda array: xp.asnumpy(array).copy(), pair) for pair in comparison.synapses()]
        curves = parameters.map(xp.asnumpy, [n, d, comparison.residual])
        return [curves, steps]

    found = compared()
    on_numpy()
    expected = compared()
    assert_equal(found, expected)
    assert len(expected[1]) == 4


@pytest.mark.parametrize("network", [*NETWORKS, "toy"])
def test_curves_on_each_backend(backend, options, network):
    options = options | (TOY if network == "toy" else NETWORKS[network]) | {"action": "plotcurves", "tolerance": 1e-4}
    found = plotcurves.measure(options)
    on_numpy()
    assert_equal(*map(numbers, (found, plotcurves.measure(options))))


@pytest.mark.parametrize("network", ["energy", "conv"])
@pytest.mark.parametrize("nudging", ["random-sign", "centered"])
def test_signs_on_each_backend(backend, options, monkeypatch, network, nudging):
    monkeypatch.setattr(recipe, "TRIALS", 3)
    options = options | NETWORKS[network] | {"action": "recipe", "nudging": nudging, "T": 12}
    found = recipe.measure(options)
    on_numpy()
    assert_equal(*map(numbers, (found, recipe.measure(options))))


def numbers(measured):
    """Rows and arrays as one tree of host arrays; what is not a device's business must be an array of the host."""
    rows, arrays = measured
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    cells = [{name: np.asarray(value) for name, value in row.items() if isinstance(value, float)} for row in rows]
    assert all(cells)
    return [cells, arrays]
