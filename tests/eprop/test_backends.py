"""The whole experiments, training loop, goal, checkpoints and figures' arrays included, on every backend."""

import numpy as np
import pytest
from command_lines import on_backend
from commands.eprop import TINY, command
from numpy.testing import assert_allclose, assert_array_equal

import plastic
from plastic import runs

LINES = {
    "pattern, random": ("pattern", "--n_out=2 --n_batch=2 --seq_len=200"),
    "pattern, checked": ("pattern", "--seq_len=20"),
    "pattern, BPTT": ("pattern", "--eprop_or_bptt=bptt --nostop_z_gradients --seq_len=200"),
    "evidence, BPTT": ("evidence", "--f_regularization_type=online"),
    "evidence, symmetric": ("evidence", "--eprop --stop_crit=0.8"),
    "evidence, adaptive": ("evidence", "--eprop --eprop_impl=hardcoded --feedback=adaptive"),
    "store_recall, ALIF": ("store_recall", "--n_regular=0 --stop_crit=0.8"),
    "store_recall, LIF": ("store_recall", "--n_adaptive=0 --f_regularization_type=online"),
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def everything(folder):
    """All arrays that a run leaves, by path."""
    run = runs.Run(folder)
    return run.read_checkpoint()[0] | run.arrays()


@pytest.mark.parametrize("seeds", ["", "--seeds=1,2"])
@pytest.mark.parametrize("name", LINES)
def test_a_run_on_each_backend(backend, monkeypatch, name, seeds):
    """Steps, validation, goal, checkpoint, extension and prediction give NumPy's numbers on each backend."""
    experiment, words = LINES[name]
    clock = "--print_every=2" if experiment == "pattern" else "--validate_every=2 --beta=30"

    def in_two_parts(results):
        folder, lines = command(TINY[experiment], words, clock, seeds, results, "--n_iter=2 --dtype=float64")
        first, stopped = everything(folder), runs.Run(folder).read_checkpoint()[1]["stopped"]
        if not stopped:
            _, lines = command(f"{experiment} --resume={folder} --n_iter=4")
        return folder, first, lines, stopped

    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        folder, first, lines, stopped = in_two_parts("--results=found")
    x = np.random.default_rng(0).random((30, 2, 10 if experiment == "pattern" else 8)) < 0.3
    outputs = plastic.load(folder).predict(x)
    other, _, expected_lines, stops = in_two_parts("--results=expected")
    found, expected = everything(folder), everything(other)
    assert found.keys() == expected.keys() and lines == expected_lines and stopped == stops
    for path, array in expected.items():
        assert_allclose(found[path], array, rtol=1e-9, atol=1e-12, err_msg=path)
    for path in ("x", "z"):
        assert_array_equal(found[path], expected[path])  # spikes are spikes
    assert np.abs(found["z"]).sum() > 0
    assert_allclose(outputs, plastic.load(other).predict(x), rtol=1e-9, atol=1e-12)
    assert type(outputs) is np.ndarray and np.abs(outputs).max() > 0
    metrics, wanted = runs.Run(folder).metrics(), runs.Run(other).metrics()
    assert metrics.keys() == wanted.keys()
    for column, values in wanted.items():
        assert_allclose(np.array(metrics[column], float), np.array(values, float), rtol=1e-9, err_msg=column)
    goal = np.array(wanted.get("reached", [-1.0]))
    if "stop_crit" in words:
        assert goal.max() > -1
    else:
        assert goal.max() == -1 and not stopped
        for path in first:
            if path.startswith("parameters/"):
                assert np.abs(found[path] - first[path]).max() > 0, path


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LINES)
def test_two_steps_in_each_precision(backend, monkeypatch, name, dtype):
    """No array is of another precision than the one in use, nor becomes so by learning."""
    experiment, words = LINES[name]
    with monkeypatch.context() as patch:
        on_backend(patch, backend)
        folder, _ = command(TINY[experiment], words, f"--n_iter=2 --seeds=1,2 --dtype={dtype}")
    for path, array in everything(folder).items():
        if path.startswith(("parameters/", "fixed/", "moments/", "synapse/e", "y", "L", "target", "probability")):
            assert array.dtype == dtype, path
