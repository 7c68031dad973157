"""The whole tasks, training loop, checkpoints and records included, on every backend and in both precisions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import plastic
from plastic import data, parameters, runs, xp
from plastic.data.mnist1d import generate
from plastic.data.speech.recordings import Speech
from plastic.gle import gsc, lagline, lagnet, mnist1d

CHAIN = {"t_init": 2.0, "t_train": 3.0, "dt": 0.05, "batch_size": 3, "learning_rate": 1e-4}  # 40 and 60 steps
NET = {"t": 6.0, "dt": 0.05, "start_learning_step": 50, "update_every": 30}  # 120 steps
CURVES = {"max_epochs": 2, "batch_size": 5, "validation": 6}
WORDS = {"max_epochs": 2, "batch_size": 4, "hidden": 5, "n_mels": 5, "dataset": "FSDD", "lr_scheduler_patience": 0}
TASKS = {
    "lagline, GLE": (lagline.lagline, CHAIN),
    "lagline, BP": (lagline.lagline, CHAIN | {"model": "bp", "start": (0.3, 0.2, 1.5, 0.5)}),
    "lagline, BPTT": (lagline.lagline, CHAIN | {"model": "bptt_tw1"}),
    "lagnet": (lagnet.lagnet, NET),
    "lagnet, textbook": (lagnet.lagnet, NET | {"boundary": "textbook", "small_weights": True, "momentum": 0.0}),
    "mnist1d, end to end": (mnist1d.mnist1d, CURVES),
    "mnist1d, 42k": (mnist1d.mnist1d, CURVES | {"architecture": "plastic_e2e_42k"}),
    "mnist1d, lag net": (mnist1d.mnist1d, CURVES | {"architecture": "static_lagnet", "validation": 0}),
    "gsc": (gsc.gsc, WORDS),
}
MAKE = {
    lagline.lagline: lagline.Task,
    lagnet.lagnet: lagnet.Task,
    mnist1d.mnist1d: mnist1d.task,
    gsc.gsc: gsc.Task,
}


class Tones:
    """Recordings in memory, a twentieth of a second each."""

    def __init__(self, rng, n):
        self.labels = np.arange(n) % 3
        t = np.arange(400) / 8000
        self.samples = np.sin(900 * (1 + self.labels[:, None]) * (2 + rng.random((n, 1))) * t).astype(np.float32)

    def __len__(self):
        return len(self.labels)

    def waves(self, indices):
        return self.samples[np.asarray(indices)].copy()


def tiny_words(name, seed=0):
    rng = np.random.default_rng(seed)
    sets = {split: Tones(rng, n) for split, n in {"train": 8, "validation": 6, "test": 5}.items()}
    return Speech(name=name, rate=8000, classes=("a", "b", "c"), noise=[rng.random(500).astype("f4")], **sets)


def tiny_curves(name, dtype="float32", validation=0):
    arrays = generate(samples=20, length=12)
    x, y, kept = arrays["x_train"].astype(dtype), arrays["y_train"], 16 - validation
    test = arrays["x_test"].astype(dtype), arrays["y_test"]
    held = (x[kept:], y[kept:]) if validation else None
    return data.Dataset(name=name, train=(x[:kept], y[:kept]), test=test, validation=held, classes=10)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(lagline, "BLOCK", 20)
    monkeypatch.setattr(lagnet, "BLOCK", 20)
    monkeypatch.setattr(mnist1d.data, "load", tiny_curves)
    monkeypatch.setattr(gsc.speech, "load", tiny_words)


def options_of(name, seeds, dtype="float64"):
    """The options of a tiny run, as its command makes them."""
    command, tiny = TASKS[name]
    return command.__kwdefaults__ | tiny | {"seeds": seeds, "dtype": dtype}


def shorter(name, options):
    """The options of a run that ends earlier, between two updates of a window, say."""
    part = {"lagline": {"t_train": 2.0}, "lagnet": {"t": 5.0}}.get(name.partition(",")[0], {"max_epochs": 1})
    return options | part


def make(name, options):
    return MAKE[TASKS[name][0]](options)


def trained(name, options, run):
    """Train in a run folder; return everything that came of it, as host arrays by path."""
    task = make(name, options)
    outcome = task.train(run)
    found = {path: xp.asnumpy(array) for path, array in parameters.leaves(task.state)}
    if hasattr(task, "arrays"):
        run.save_arrays(task.arrays())
        found |= run.arrays()
    return found | ({} if outcome is None else {"outcome": outcome})


def example(name, dtype):
    """An input for `predict`."""
    rng, experiment = np.random.default_rng(0), name.partition(",")[0]
    shape = {"lagline": (20, 2), "lagnet": (20, 2), "mnist1d": (3, 12), "gsc": (3, 3, 5)}[experiment]
    return rng.uniform(-1, 1, shape).astype(dtype)


@pytest.mark.parametrize("seeds", [None, (1, 2)])
@pytest.mark.parametrize("name", TASKS)
def test_a_run_on_each_backend(backend, tmp_path, name, seeds):
    """Steps, evaluation, checkpoint, resumption, records and prediction give NumPy's numbers on each backend."""
    options, experiment = options_of(name, seeds), TASKS[name][0].__name__
    x = example(name, "float64")

    def whole():
        with runs.Run.create(tmp_path, "gle", experiment, options) as run:
            return run, trained(name, options, run)

    run, found = whole()
    outputs = plastic.load(run.folder).predict(x)
    xp.use("numpy", dtype="float64")
    other, expected = whole()
    assert found.keys() == expected.keys()
    assert_close(found, expected)
    assert all(isinstance(array, np.ndarray) for array in found.values())
    assert_allclose(outputs, plastic.load(other.folder).predict(x), rtol=1e-8, atol=1e-12)
    assert type(outputs) is np.ndarray and np.abs(outputs).max() > 0
    assert_close({k: np.array(v, float) for k, v in run.metrics().items()},
                 {k: np.array(v, float) for k, v in other.metrics().items()})  # fmt: skip
    first = {path: array for path, array in make_first(name, options).items() if path in LEARNED}
    assert first and all(np.abs(found[path] - array).max() > 0 for path, array in first.items())


LEARNED = ("parameters", "layers/0/W")


def make_first(name, options):
    """All arrays before training."""
    return {path: xp.asnumpy(array).copy() for path, array in parameters.leaves(make(name, options).state)}


def assert_close(found, expected):
    for path, array in expected.items():
        assert_allclose(found[path], array, rtol=1e-8, atol=1e-11, err_msg=path)


@pytest.mark.parametrize("name", ["lagline, GLE", "lagline, BPTT", "lagnet", "mnist1d, end to end", "gsc"])
def test_a_checkpoint_is_all_that_there_is(backend, tmp_path, name):
    """A new task that takes it goes on to the bit, on each backend: records, means and windows too."""
    options, experiment = options_of(name, (1, 2)), TASKS[name][0].__name__

    def stopped(at):
        with runs.Run.create(tmp_path, "gle", experiment, options) as run:
            task = make(name, options)
            step = task.step

            def interrupted(batch, number):
                if number == at:
                    raise KeyboardInterrupt
                return step(batch, number)

            task.step = interrupted
            if at is not None:
                with pytest.raises(KeyboardInterrupt):
                    task.train(run)
            else:
                task.train(run)
        with runs.Run.resume(run.folder) as run:
            return run, trained(name, options, run)

    last = {"lagline": 5, "lagnet": 6}.get(experiment, 3)
    (_, expected), (run, found) = stopped(None), stopped(last)
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        assert_array_equal(found[path], array, err_msg=path)
    arrays, _ = run.read_checkpoint()
    assert arrays.keys() == {path for path, _ in parameters.leaves(make(name, options).state)}


@pytest.mark.parametrize("name", TASKS)
def test_a_run_in_each_precision(precision, tmp_path, name):
    """No array is of another precision than the one in use, nor becomes so by learning; both give the same run."""
    seeds = (1, 2)
    options = options_of(name, seeds, precision)
    with runs.Run.create(tmp_path, "gle", TASKS[name][0].__name__, options) as run:
        found = trained(name, options, run)
    on_the_host = ("time", "input", "outcome")
    for path, array in found.items():
        assert array.dtype == ("float64" if path in on_the_host else precision), path
    x = example(name, precision)
    assert plastic.load(run.folder).predict(x).dtype == precision
    if precision == "float32":
        xp.use("numpy", dtype="float64")
        exact = options | {"dtype": "float64"}
        with runs.Run.create(tmp_path, "gle", TASKS[name][0].__name__, exact) as run:
            expected = trained(name, exact, run)
        for path in ("w", "tau_m", "w/gle", "w/am", "output/am", "layers/2/W"):
            if path in found:
                assert_allclose(found[path], expected[path], atol=2e-3, err_msg=path)


@pytest.mark.parametrize("name", TASKS)
def test_seeds_lead_all_that_changes(name):
    """As the training loop needs it, to take one seed out; a network without seeds has no axis for them."""
    one, two = (make(name, options_of(name, seeds)) for seeds in (None, (1, 2)))
    alone = dict(parameters.leaves(one.state))
    for path, array in parameters.leaves(two.state):
        if array.size > 1:
            assert array.shape[0] == 2, path
            assert array[0].size == alone[path].size, path
