"""The lag line: what its runs record and learn. Whatever all commands share is tested by tests/test_commands.py."""

import re

import numpy as np
import pytest
from command_lines import column, table
from gle import tiny
from gle.tiny import LINE, MODELS, assert_close, command, numbers

import plastic
from plastic import runs, xp
from plastic.gle import lagline_student
from plastic.gle.lagline_student import Student


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    tiny.place(tmp_path, monkeypatch)


def square_waves(n, dt, shifts, total):
    """-1, and +1 over pulses of 2 time units as far apart, shifted around the end, and smoothed over 5 steps."""
    width = int(2 / dt)
    starts = np.linspace(0, total, int(total / width / 2) + 1).astype(int)
    wave = np.full(total, -1.0)
    for start in starts:
        wave[start : start + width] = 1
    waves = np.stack([np.roll(wave, shift) for shift in shifts], axis=1)
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / 5) ** 2)
    padded = np.pad(waves, ((20, 20), (0, 0)), mode="symmetric")
    return np.stack([np.convolve(each, kernel / kernel.sum(), mode="valid") for each in padded.T], axis=1)[:n]


def lag_line_by_hand(model, seed, lr=1e-4, start=None, total=600, begin=100, dt=0.02, batch=3, beta=0.01):
    """What every step shows, of a `Student` taken step by step: {name: (steps, ...)}, float64."""
    generator = xp.generator(seed)
    shifts = generator.data.integers(int(2 / dt), size=batch)
    if start is None:
        start = (0.30742282, 0.63407868, 0.49009341, 0.89644474)  # of the published run
        start = start if seed == 0 else np.maximum(generator.init.uniform(size=4), [dt, dt, 0, 0])
    window = {"gle": 0, "bp": 0}.get(model, round({"4": 4, "2": 2, "1": 1}.get(model[-1], 0) / dt))
    learner = lagline_student.Student(model == "gle", window, start, begin, batch, dt, beta, lr / beta * (window or 1))
    shown = []
    for s, x in enumerate(square_waves(total, dt, shifts, total)[..., None]):
        row = {"vector": learner.student.parameters.flat.copy(), "output": learner.state.output[0, 0]}
        y, d = learner.step(s, x)
        row |= {"input": x[0, 0], "target": y[0, 0], "loss": np.mean(d**2)}
        for name in ("u", "v", "u_ahead", "r", "e_ahead"):
            row |= {f"{name}_{k}": getattr(learner.state, name)[0, k] for k in range(2)}
        shown.append(row)
    return {name: np.array([row[name] for row in shown]) for name in shown[0]} | {
        "end": learner.student.parameters.flat.copy()
    }


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("model", MODELS)
def test_the_lag_line_by_hand(model, seed):
    """A `Student` stepped here gives the records of every tenth step, the mean losses, and what was learned."""
    folder, _ = command(LINE, f"--model={model} --dtype=float64 --seed={seed}")
    xp.use(dtype="float64")
    expected, arrays, rows = lag_line_by_hand(model, seed), runs.Run(folder).arrays(), table(folder)
    traces = [name for name in expected if name not in ("vector", "loss", "end")]
    assert arrays.keys() == {"w", "tau_m", "loss", "time", *(f"trace/{name}" for name in traces)}
    assert_close(arrays, {f"trace/{name}": expected[name][::10] for name in traces} | {"loss": expected["loss"][::10]})
    vector = expected["vector"][::10]
    assert_close(arrays, {"w": vector[:, :2], "tau_m": vector[:, 2:], "time": 0.2 * np.arange(60)})
    assert all(len(array) == 60 and array.std() > 0 for array in arrays.values())
    assert list(rows[0]) == ["step", "epoch", "replica", "seed", "loss", "w_0", "w_1", "tau_0", "tau_1"]
    assert column(rows, "step") == [0, 50, 60]  # blocks of ten Euler steps
    # the mean over the steps since the last evaluation, not since the beginning
    loss = [np.nan, expected["loss"][:500].mean(), expected["loss"][500:].mean()]
    assert_close(numbers(rows), {"loss": loss})
    at_the_end = dict(zip(("w_0", "w_1", "tau_0", "tau_1"), expected["end"], strict=True))
    assert_close(numbers(rows[-1:]), {name: [value] for name, value in at_the_end.items()})
    assert np.abs(expected["end"] - expected["vector"][100]).max() > 1e-3  # it learned


@pytest.mark.parametrize("model", MODELS)
def test_the_lag_line_learns(model):
    """The loss falls to less than half, by GLE and by BPTT; instantaneous BP moves its weights."""
    folder, (line,) = command(
        "lagline --t_init=8 --t_train=60 --dt=0.05 --batch_size=10 --learning_rate=5e-5", f"--model={model}"
    )
    arrays = runs.Run(folder).arrays()
    before, after = arrays["loss"][8:16].mean(), arrays["loss"][-16:].mean()
    if model != "bp":
        assert after < 0.5 * before
    final = [float(value) for value in re.findall(r"-?\d+\.\d+", line.partition("w ")[2])]
    rows = numbers(table(folder))
    np.testing.assert_allclose(final, [rows[k][-1] for k in ("w_0", "w_1", "tau_0", "tau_1")], atol=6e-5)
    assert line.startswith(f"seed 0: loss {rows['loss'][-1]:.3g}, w ")
    assert line.endswith("; the teacher has w 1 2, tau_m 1 2")
    assert ("(held at its least)" in line) == (min(rows["tau_0"][-1], rows["tau_1"][-1]) < 0.5005)  # ten steps


def test_a_time_constant_at_its_least_is_named():
    """No time constant goes below ten steps; one that starts there is held."""
    _, (line,) = command(LINE, "--start=0.02,0.9,1,2 --learning_rate=1e-9")
    assert "tau_m 0.2000 0.9000 (held at its least)" in line
    _, (line,) = command(LINE, "--start=0.3,0.9,-1,-0.5 --learning_rate=1e-12")
    assert "w -1.0000 -0.5000, tau_m 0.3000 0.9000; the teacher" in line


@pytest.mark.parametrize("prospective, window", [(True, 0), (False, 0), (False, 3), (False, 20)])
def test_time_constants_are_held_from_the_end_of_the_step_with_which_learning_begins(prospective, window):
    """As published: that step is taken with those at the start, the next, the first that learns, with the least."""
    xp.use(dtype="float64")
    begin, least = 8, 10 * 0.02
    learner = Student(prospective, window, (0.05, 0.9, 0.5, 0.9), begin, 2, 0.02, 0.5, 0.0)
    seen = []
    for s, x in enumerate(np.random.default_rng(3).uniform(-1, 1, (begin + 5, 2, 1))):
        learner.step(s, x)
        seen.append(learner.student.tau_m[0].tolist())
    assert seen[begin - 1] == [0.05, 0.9]
    assert seen[begin:] == [[least, 0.9]] * 5


def test_a_chain_that_starts_as_the_teacher_stays_there():
    for model in MODELS:
        _, (line,) = command(LINE, f"--model={model} --start=1,2,1,2 --dtype=float64")
        assert line == "seed 0: loss 0, w 1.0000 2.0000, tau_m 1.0000 2.0000; the teacher has w 1 2, tau_m 1 2"


@pytest.mark.parametrize("model", MODELS)
def test_the_student_has_the_teachers_time_constants_in_the_first_half_of_the_time_before_learning(model):
    """With gle and bp, which the figure shows; BPTT has its own from the first step on."""
    folder, _ = command(LINE, f"--model={model} --start=0.5,0.25,0.75,1.5 --dtype=float64")
    tau = runs.Run(folder).arrays()["tau_m"]
    half = [[1, 2]] * 5 if "bptt" not in model else [[0.5, 0.25]] * 5
    np.testing.assert_array_equal(tau[1:6], half)  # the records note what a step begins with
    np.testing.assert_array_equal(tau[6:11], [[0.5, 0.25]] * 5)
    assert np.abs(tau[-1] - [0.5, 0.25]).min() > 1e-3


@pytest.mark.parametrize("begin, first", [(30, 40), (40, 60)])
def test_the_first_window_of_bptt_is_all_from_the_step_where_learning_begins(begin, first):
    """The gradient there is that of the loss of the steps `begin` to `first`, both included, as published."""
    xp.use(dtype="float64")
    x = np.random.default_rng(2).uniform(-1, 1, (first + 1, 3, 1))
    vector, given = np.array([0.6, 0.9, 0.4, 0.7]), []

    def learner_before():
        learner = lagline_student.Student(False, 20, (0.4, 0.7, 0.6, 0.9), begin, 3, 0.02, 0.5, 0.0)
        for s in range(begin):
            learner.step(s, x[s])
        return learner

    def loss(parameters):
        learner = learner_before()
        learner._learn = lambda *_: None
        learner.student.parameters.flat[...] = parameters
        return sum(np.mean(learner.step(s, x[s])[1] ** 2) for s in range(begin, first + 1))

    learner = learner_before()
    learner.optimizer = Recorder(given)
    for s in range(begin, first + 1):
        learner.step(s, x[s])
    differences = [(loss(vector + step) - loss(vector - step)) / 2e-6 for step in 1e-6 * np.eye(4)]
    (gradient,) = given
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-8)


class Recorder:
    """An optimizer that only notes the gradients."""

    def __init__(self, given):
        self.given = given

    def step(self, _, grads, moments):
        self.given.append(grads.flat.copy())


@pytest.mark.parametrize("word", ["--t_init=1", "--t_train=12", "--start=0.5,0.5,0.5,0.5", "--learning_rate=1e-3",
                                  "--batch_size=4", "--beta=0.02", "--dt=0.03", "--seed=1", "--model=bp"])  # fmt: skip
def test_every_option_of_the_lag_line_takes_effect(word):
    first, second = (table(command(LINE, "--dtype=float64", each)[0]) for each in ("", word))
    assert column(first, "loss")[-1] != column(second, "loss")[-1]


def test_a_time_constant_that_is_drawn_below_the_step_is_the_step():
    drawn = {seed: xp.generator(seed).init.uniform(size=4)[:2] for seed in range(1, 60)}
    seed = next(seed for seed, tau in drawn.items() if tau.min() < 0.08 < tau.max())
    folder, _ = command("lagline --model=bptt_tw1 --t_init=5 --t_train=5 --dt=0.08 --dtype=float64", f"--seed={seed}")
    np.testing.assert_array_equal(runs.Run(folder).arrays()["tau_m"][1], np.maximum(drawn[seed], 0.08))


@pytest.mark.parametrize("seeds", ["", "--seeds=0,5"])
def test_loaded_chains_predict(seeds):
    """u <- u + (dt / tau) (w r - u), r = softplus(u + (tau_r / tau) (w r - u)), of what the run has learned."""
    folder, _ = command(LINE, "--dtype=float64 --learning_rate=1e-3", seeds)
    xp.use(dtype="float64")
    x = np.random.default_rng(1).uniform(-1, 1, (50, 4))
    y, rows = plastic.load(folder).predict(x), table(folder)
    assert y.shape == ((2, 50, 4) if seeds else (50, 4))
    for replica in range(2 if seeds else 1):
        row = rows[replica - (2 if seeds else 1)]
        w, tau = ([float(row[f"{name}_{k}"]) for k in range(2)] for name in ("w", "tau"))
        u, r, expected = np.zeros((2, 4)), np.zeros((2, 4)), []
        for value in x:
            expected.append(r[1].copy())
            for k, below in ((1, r[0].copy()), (0, value)):
                difference = w[k] * below - u[k]
                r[k] = np.logaddexp(0, u[k] + 0.1 / tau[k] * difference)
                u[k] += 0.02 / tau[k] * difference
        np.testing.assert_allclose(y[replica] if seeds else y, expected, rtol=1e-9, atol=1e-12)
