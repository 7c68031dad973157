"""The whole task, training loop and checkpoints included, on every backend."""

import numpy as np
import pytest

from plastic import runs, xp
from plastic.gait import experiment


@pytest.fixture
def toy(tmp_path):
    rng = np.random.default_rng(0)
    sets = {name: rng.standard_normal((40, 12)) for name in ("x_train", "x_test")}
    np.savez(tmp_path / "toy.npz", **sets, y_train=np.arange(40) % 10, y_test=np.arange(40) % 10)
    return tmp_path / "toy.npz"


@pytest.mark.parametrize("seeds", [None, (1, 2)])
@pytest.mark.parametrize("algorithm", ["BP", "TP", "GAIT", "FA", "DFA"])
def test_a_run_on_each_backend(backend, toy, tmp_path, algorithm, seeds):
    """Training, evaluation, divergence watch, checkpoint and resumption give NumPy's numbers on each backend."""
    options = experiment.train.__kwdefaults__ | {
        "algorithm": algorithm,
        "dataset": str(toy),
        "seeds": seeds,
        "shuffle": True,
        "orthogonal_reg": 0.1,
        "nb_epochs": 2,
        "batch_size": 10,
        "dtype": "float64",
    }

    def weights(nb_epochs, run):
        task = experiment._Task(options | {"nb_epochs": nb_epochs})
        task.train(run)
        return [xp.asnumpy(layer.W) for layer in task.network.layers]

    with runs.Run.create(tmp_path, "gait", "train", options) as run:
        weights(1, run)
    with runs.Run.resume(run.folder) as run:
        found = weights(2, run)
    xp.use("numpy", dtype="float64")
    with runs.Run.create(tmp_path, "gait", "train", options) as run:
        expected = weights(2, run)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
