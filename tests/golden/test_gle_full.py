"""The published runs of the lag line and the lag net, which were made in float32: their statistics.

Our float64 and their float32 part ways by rounding alone: by 1e-5 while the loss falls, by 1e-3 once it has reached the
noise of float32. The files hold some numbers of every run, by which it is known to be the same run.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import xp
from plastic.gle import inputs, lagline_student, lagnet_students

GOLDEN = "gle_*fullrun*.npz"
BEGIN = 5000  # step after which the lag line learns


@pytest.mark.slow
def test_the_whole_run(golden):
    xp.use(dtype="float64")
    numbers = dict(np.load(golden, allow_pickle=False))
    check(numbers | shifts_beside(golden, numbers), steps=None)


def shifts_beside(golden, numbers):
    """Return the shifts of the input of a run of the lag line, where a file beside it holds them."""
    beside = golden.with_name("gle_lagline_seedinit.npz")
    if "loss_mean100rows" in numbers and beside.is_file():
        start = dict(np.load(beside, allow_pickle=False))
        if start["seed"] == numbers["seed"]:
            return {name: start[name] for name in ("shift", "n_steps", "init")}
    return {}


def check(numbers, steps=12_000):
    """Run `steps` steps, or all, of the run that the file is of."""
    (check_lag_line if "loss_mean100rows" in numbers else check_lag_net)(numbers, steps)


def check_lag_line(numbers, steps):
    """Parameters every so many steps; mean losses between; target and output of the first sample every tenth step."""
    at, every = rows_of(numbers)
    N = numbers["n_steps"] if "n_steps" in numbers else len(at) * every
    steps = min(steps or N, at[-1] + every)
    rows = -(-steps // every)
    shifts = numbers.get("shift", np.random.default_rng(0).integers(0, 200, 100)).astype(int)
    same = "shift" in numbers
    x = inputs.moved(inputs.square_wave(int(N), 0.01), shifts, 5, 0, steps)[..., None]
    learned = ("tau_m_0", "tau_m_1", "w_0", "w_1")
    expected = np.stack([numbers[name] for name in learned], axis=1)
    start = expected[np.argmax(at >= BEGIN)].astype(float)  # the row just before it learns
    if same:
        assert_allclose(start, numbers["init"], rtol=1e-6)
    learner = lagline_student.Student(str(numbers["model"]) == "gle", 0, start, BEGIN, len(shifts), 0.01, 1e-2, 1e-4)
    found, loss, seen = [], [], []
    for s in range(steps):
        before, output = _parameters(learner), learner.state.output[0, 0]
        y, d = learner.step(s, x[s])
        if s % every == 0:
            found.append(before if s > BEGIN else _parameters(learner))
        if s % 10 == 0:
            loss.append(np.mean(d**2))
            seen.append((y[0, 0], output))
    early = at[:rows] < 100_000
    for rows_too, atol in ((early, 1e-3 if same else 0.05), (slice(None), 5e-3 if same else 0.1)):
        assert_allclose(np.array(found)[rows_too], expected[:rows][rows_too], rtol=0, atol=atol)
    loss, theirs = np.mean(np.reshape(loss, (rows, -1)), axis=1), numbers["loss_mean100rows"][:rows]
    least, rtol = (1e-5, 2e-3) if same else (1e-2, 0.2)  # with other shifts of the samples it is much the same run
    assert_allclose(loss[theirs > least], theirs[theirs > least], rtol=rtol)
    assert np.all(loss[theirs < 1e-5] < 1e-4)
    assert 0.1 < np.median(loss[-100:]) / np.median(theirs[-100:]) < 10
    if same:
        seen = np.array(seen).T[:, : len(numbers["target0"])]
        for mine, name in zip(seen, ("target0", "output0"), strict=True):
            assert_allclose(mine, numbers[name][: len(mine)], rtol=0, atol=3e-6)


def check_lag_net(numbers, steps):
    """First weights of both students every so many steps, mean losses between, the target every tenth step."""
    (at, every), T, dt, beta = rows_of(numbers), 1001, 0.01, 1.0
    N = round(T / dt)
    steps = min(steps or N, at[-1] + every, N)
    x = inputs.sines(N, T, np.array([0.49, 1.07, 1.98]) / (2 * np.pi))
    first = numbers["gle_W0"][:1].astype(float)
    assert_array_equal(numbers["am_W0"][:1], first)
    learner = lagnet_students.Students(
        lagnet_students.published(first), steps, 8000, 300, dt, 1e-3, 0.02 * dt / beta, 0.07, 0.9
    )
    found, losses, target = [], [], []
    for s in range(steps):
        out = learner.step(s, x[s].item())[:, 0, 0]
        losses.append((out[1:] - out[0]) ** 2)
        if s % 10 == 0:
            target.append(out[0])
        if s % every == 0:
            found.append([learner.learned[k][0].W[0].copy() for k in (lagnet_students.GLE, lagnet_students.AM)])
    found, rows = np.array(found), len(found)
    losses = np.array(losses)[2:]  # the first two are not in the files
    means = len(losses) // every
    losses = losses[: means * every].reshape(means, every, 2).mean(axis=1)
    for k, name in enumerate(("gle", "am")):
        assert_allclose(found[:, k], numbers[f"{name}_W0"][:rows], rtol=0, atol=5e-5 if steps <= 12_000 else 3e-4)
        theirs = numbers[f"loss_{name}_mean250"][:means]
        assert_allclose(losses[: len(theirs), k], theirs, rtol=5e-3 if steps <= 12_000 else 1e-2, atol=1e-9)
    first = numbers["target_first"][: len(target)]
    assert_allclose(target[: len(first)], first, rtol=0, atol=3e-6)


def rows_of(numbers):
    """Return the steps at which there are numbers, and how far apart they are."""
    at, every = numbers["step"], numbers["step"][1]
    assert_array_equal(at, np.arange(len(at)) * every)
    return at, every


def _parameters(learner):
    student = learner.student
    return np.concatenate([student.tau_m[0], *(layer.W[0] for layer in student.layers)])
