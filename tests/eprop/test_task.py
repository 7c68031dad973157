"""The whole tasks, training loop, goal, checkpoints and figures' arrays included, on every backend."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import plastic
from plastic import parameters, runs, xp
from plastic.eprop import decisions, figures, inputs
from plastic.eprop import pattern as pattern_module
from plastic.eprop.evidence import evidence
from plastic.eprop.pattern import pattern
from plastic.eprop.store_recall import store_recall
from plastic.eprop.verification import SETTINGS, differences

PATTERN = {"n_in": 6, "n_rec": 5, "n_out": 2, "n_batch": 2, "seq_len": 200, "f0": 200.0, "learning_rate": 1e-3}
DECISIONS = {"n_in": 8, "n_regular": 3, "n_adaptive": 3, "n_batch": 4, "input_f0": 300.0, "tau_a": 50.0, "beta": 30.0}
EVIDENCE = {"n_cues": 3, "t_cue": 15, "t_cue_spacing": 20, "t_delay": 5, "t_recall": 10}
RECALL = {"t_cue": 15, "t_delay": 10, "t_recall": 15}

TASKS = {
    "pattern, random": (pattern, {"rule": "eprop", "learning_signals": "random"}),
    "pattern, BPTT": (pattern, {"rule": "bptt", "learning_signals": "symmetric"}),
    "evidence, BPTT": (evidence, {"rule": "bptt", "learning_signals": "symmetric", "f_regularization_type": "online"}),
    "evidence, symmetric": (evidence, {"rule": "eprop", "learning_signals": "symmetric", "stop_crit": 0.8}),
    "evidence, adaptive": (evidence, {"rule": "online", "learning_signals": "adaptive"}),
    "store_recall, ALIF": (
        store_recall,
        {"rule": "eprop", "learning_signals": "random", "n_regular": 0, "stop_crit": 0.8},
    ),
    "store_recall, LIF": (
        store_recall,
        {"rule": "eprop", "learning_signals": "random", "n_adaptive": 0, "f_regularization_type": "online"},
    ),
}


def options_of(name, seeds):
    """The options of a tiny run, as its command makes them."""
    command, more = TASKS[name]
    tiny = {"dtype": "float64", "n_iter": 3, "seeds": seeds}
    if command is pattern:
        tiny |= PATTERN | {"n_regular": 5, "n_adaptive": 0, "print_every": 2}
    else:
        tiny |= DECISIONS | (EVIDENCE if command is evidence else RECALL) | {"validate_every": 2}
    return command.__kwdefaults__ | tiny | more


def make(name, options):
    """The task of a run, and the arrays of its figures as a function of it."""
    command, _ = TASKS[name]
    if command is pattern:
        return pattern_module.Task(options), figures.keep_pattern
    if command is evidence:
        draw = functools.partial(inputs.evidence, batch=4, n_in=8, n_cues=3, cue_length=15, cue_spacing=20, delay=5,
                                 recall_length=10, f0=300.0)  # fmt: skip
    else:
        draw = functools.partial(inputs.store_recall, batch=4, n_in=8, cue_length=15, delay=10, recall_length=15,
                                 f0=300.0)  # fmt: skip
    return decisions.Task(options, draw), figures.keep_decisions


def trained(name, options, run):
    """Train in a run folder; return everything that came of it, as host arrays by path."""
    task, keep = make(name, options)
    errors = task.train(run)
    tree = {"parameters": task.parameters, "fixed": task.state["fixed"], "moments": task.state["moments"]}
    tree |= {"reached": task.state["reached"]} if "reached" in task.state else {}
    arrays = {path: xp.asnumpy(array) for path, array in parameters.leaves(tree)}
    kept = keep(task)
    assert all(isinstance(array, np.ndarray) for array in kept.values())  # HDF5 takes no arrays of a device
    return arrays | {"errors": np.array(errors or [])} | kept


@pytest.mark.parametrize("seeds", [None, (1, 2)])
@pytest.mark.parametrize("name", TASKS)
def test_a_run_on_each_backend(backend, tmp_path, name, seeds):
    """Steps, validation, goal, checkpoint, resumption, and prediction give NumPy's numbers on each backend."""
    options = options_of(name, seeds)
    family = "eprop", TASKS[name][0].__name__

    def in_two_parts():
        with runs.Run.create(tmp_path, *family, options) as run:
            first = trained(name, options | {"n_iter": 2}, run)
        with runs.Run.resume(run.folder) as run:
            return run, first, trained(name, options, run)

    run, first, found = in_two_parts()
    x = np.random.default_rng(0).random((30, 2, options["n_in"])) < 0.3
    outputs = plastic.load(run.folder).predict(x)
    xp.use("numpy", dtype="float64")
    other, _, expected = in_two_parts()
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        assert_allclose(found[path], array, rtol=1e-9, atol=1e-12, err_msg=path)
    for path in ("x", "z"):
        assert_array_equal(found[path], expected[path])  # spikes are spikes
    assert np.abs(found["z"]).sum() > 0
    assert_allclose(outputs, plastic.load(other.folder).predict(x), rtol=1e-9, atol=1e-12)
    assert type(outputs) is np.ndarray and np.abs(outputs).max() > 0
    metrics, wanted = run.metrics(), other.metrics()
    assert metrics.keys() == wanted.keys()
    for column, values in wanted.items():
        assert_allclose(np.array(metrics[column], float), np.array(values, float), rtol=1e-9, err_msg=column)
    goal = np.array(wanted.get("reached", [-1.0]))
    if options.get("stop_crit", 0) > 0.1:
        assert goal.max() > -1
    else:
        assert goal.max() == -1
        for path in first:
            if path.startswith("parameters/"):
                assert np.abs(found[path] - first[path]).max() > 0, path


@pytest.mark.parametrize("seeds", [None, (1, 2)])
def test_the_gradient_check_on_each_backend(backend, seeds):
    for name in ("pattern, random", "pattern, BPTT"):
        task, _ = make(name, options_of(name, seeds) | {"seq_len": 20})
        task.check_gradient()


@pytest.mark.parametrize("which", SETTINGS)
def test_verification_on_each_backend(backend, which):
    found = differences(which, 3)
    xp.use("numpy", dtype="float64")
    expected = differences(which, 3)
    assert found.keys() == expected.keys() == {"W_in", "W_rec"}
    assert all(0 <= value < 1e-12 for value in (*found.values(), *expected.values()))


@pytest.mark.parametrize("name", TASKS)
def test_two_steps_in_each_precision(precision, tmp_path, name):
    """No array is of another precision than the one in use, nor becomes so by learning."""
    options = options_of(name, (1, 2)) | {"n_iter": 2, "dtype": precision}
    options |= {"seq_len": 40} if "seq_len" in options else {}
    with runs.Run.create(tmp_path, "eprop", TASKS[name][0].__name__, options) as run:
        found = trained(name, options, run)
    for path, array in found.items():
        if path.startswith(("parameters/", "fixed/", "moments/", "synapse/e", "y", "L", "target", "probability")):
            assert array.dtype == precision, path
