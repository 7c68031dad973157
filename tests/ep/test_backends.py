"""Training, checkpoints included, and the comparisons, on every backend."""

import numpy as np
import pytest
from command_lines import on_backend
from ep.lines import command, parameters_of
from numpy.testing import assert_allclose

import plastic
from plastic import data, parameters, runs, xp
from plastic.ep import Comparison
from plastic.ep.experiments import recipe
from plastic.ep.experiments.options import NetworkOptions
from plastic.functions import one_hot

NETWORKS = {
    "energy": "--size_tab=5,6,36 --dt=0.3",
    "unclamped": "--size_tab=5,6,7,36 --no_clamp --activation_function=tanh",
    "prototypical": "--size_tab=5,6,36 --discrete",
    "leaky": "--size_tab=5,6,36 --discrete --activation_function=hardsigm --dt=0.2",
    "conv": "--C_tab=3,2,1 --size_tab=5 --padding=1 --Fconv=3",
}
RATES = {"unclamped": "--lr_tab=0.1,0.2,0.2", "conv": "--lr_tab=0.1,0.2,0.2"}
TOY = "--size_tab=5,6,4 --toymodel"
METHODS = {
    "EP": "--nudging=random-sign",
    "BPTT": "--training_method=BPTT --tolerance=1e-2",
    "both": "--benchmark --nudging=centered --tolerance=1e-2 --solver=anderson",
}
TINY = "--batch_size=5 --T=6 --Kmax=3 --dtype=float64"


@pytest.fixture
def images(tmp_path, monkeypatch):
    """The path of a few random images."""
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(0)
    sets = {name: rng.random((20, 6, 6)) for name in ("x_train", "x_test")}
    np.savez(tmp_path / "toy.npz", **sets, y_train=np.arange(20) % 5, y_test=np.arange(20) % 5)
    return tmp_path / "toy.npz"


def assert_equal(found, expected):
    """Two trees of host arrays are equal up to rounding."""
    found, expected = (dict(parameters.leaves(tree)) for tree in (found, expected))
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        assert_allclose(found[path], array, rtol=1e-9, atol=1e-12, err_msg=path)


def assert_same_numbers(found, expected):
    """Two runs hold the same numbers, up to rounding, in the same columns."""
    found, expected = runs.Run(found), runs.Run(expected)
    assert found.metrics().keys() == expected.metrics().keys()
    for name, column in expected.metrics().items():
        if isinstance(column[0], str):
            assert found.metrics()[name] == column
        else:
            one, other = (np.array(run.metrics()[name], dtype=float) for run in (found, expected))
            assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)
    assert_equal(found.arrays(), expected.arrays())


@pytest.mark.parametrize("seeds", ["", "--seeds=1,2"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_on_each_backend(backend, images, monkeypatch, network, method, seeds):
    """Training, evaluation, divergence watch, checkpoint and extension give NumPy's numbers on each backend."""
    rates = RATES.get(network, "--lr_tab=0.1,0.2")
    words = (f"--dataset={images}", TINY, NETWORKS[network], rates, METHODS[method], seeds, "--test_batch_size=8")
    x = data.load(str(images), dtype="float64").test[0]
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        found, _ = command(*words, "--epochs=1")
        first = parameters_of(found)
        command(f"--resume={found}", "--epochs=2")
        outputs = plastic.load(found).predict(x)
    xp.use("numpy", dtype="float64")
    expected, _ = command(*words, "--epochs=2")
    assert_equal(parameters_of(found), parameters_of(expected))
    assert_same_numbers(found, expected)
    assert_allclose(outputs, plastic.load(expected).predict(x), rtol=1e-9, atol=1e-12)
    for path, before in first.items():
        assert np.abs(parameters_of(found)[path] - before).max() > 0


@pytest.mark.parametrize("network", [*NETWORKS, "toy"])
def test_comparison_on_each_backend(backend, network):
    kinds = {
        "energy": NetworkOptions(size_tab=(5, 6, 36), dt=0.3),
        "unclamped": NetworkOptions(size_tab=(5, 6, 7, 36), clamp=False, activation_function="tanh"),
        "prototypical": NetworkOptions(size_tab=(5, 6, 36), discrete=True),
        "leaky": NetworkOptions(size_tab=(5, 6, 36), discrete=True, dt=0.2, activation_function="hardsigm"),
        "conv": NetworkOptions(C_tab=(3, 2, 1), size_tab=(5,), padding=1, Fconv=3),
        "toy": NetworkOptions(size_tab=(5, 6, 4), toymodel=True),
    }
    options = kinds[network].complete()
    shape = (4,) if options.toymodel else options.input_shape((6, 6), 5, "random")

    def compared():
        generator = xp.generator(3)
        x, y = xp.asarray(generator.task.random((4, *shape))), one_hot(xp.asarray(np.arange(4) % 5), 5)
        comparison = Comparison(options.build(generator.init, shape), x, y, T=9, K=4, beta=0.1)
        n, d = comparison.neurons()
        steps = [parameters.map(lambda array: xp.asnumpy(array).copy(), pair) for pair in comparison.synapses()]
        curves = parameters.map(xp.asnumpy, [n, d, comparison.residual])
        return [curves, steps]

    found = compared()
    xp.use("numpy", dtype="float64")
    expected = compared()
    assert_equal(found, expected)
    assert len(expected[1]) == 4


@pytest.mark.parametrize("network", [*NETWORKS, "toy"])
def test_curves_on_each_backend(backend, images, monkeypatch, network):
    what = f"{NETWORKS[network]} --dataset={images}" if network in NETWORKS else TOY
    words = ("--action=plotcurves --tolerance=1e-4", TINY, what)
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        found, _ = command(*words)
    assert_same_numbers(found, command(*words)[0])


@pytest.mark.parametrize("network", ["energy", "conv"])
@pytest.mark.parametrize("nudging", ["random-sign", "centered"])
def test_signs_on_each_backend(backend, images, monkeypatch, network, nudging):
    monkeypatch.setattr(recipe, "TRIALS", 3)
    words = (f"--action=recipe --nudging={nudging} --dataset={images}", TINY, NETWORKS[network], "--T=12")
    words = [word.replace("--T=6 ", "") for word in words]
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        found, _ = command(*words)
    assert_same_numbers(found, command(*words)[0])
