"""The lag net: what its runs record and learn. Whatever all commands share is tested by tests/test_commands.py."""

import numpy as np
import pytest
from command_lines import column, table
from gle import tiny
from gle.tiny import NET, assert_close, command, numbers

import plastic
from plastic import runs, xp
from plastic.gle import lagnet_students


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    tiny.place(tmp_path, monkeypatch)


def lag_net_by_hand(seed, small=False, textbook=False, start=200, every=60, total=600, dt=0.05, T=30, gamma=1e-3):
    if small:
        first = [[-0.07, 1.0]]
    else:
        first = [[0.6605, -0.7478]] if seed == 5 else xp.generator(seed).init.uniform(-1, 1, (1, 2))
    t = np.linspace(0, T, total)
    x = np.sin(0.49 * t) + np.sin(1.07 * t) + np.sin(1.98 * t)
    learner = lagnet_students.Students(first, total, start, every, dt, gamma, 0.2 * dt, 0.07, 0.9, textbook)
    shown = []
    for s in range(total):
        out = learner.step(s, x[s])[:, 0, 0]
        e = learner.state.e_ahead[1, 0, :2].copy()
        shown.append({"out": out, "e": e, "gle": learner.W[1][0].copy(), "am": learner.W[2][0].copy()})
    return t, x, {name: np.array([row[name] for row in shown]) for name in shown[0]}, learner.kept["lam"][:, 0, :2]


NETS = {"": {"seed": 5}, "--seed=1": {"seed": 1}, "--small_weights": {"seed": 5, "small": True},
        "--boundary=textbook": {"seed": 5, "textbook": True}, "--gamma=0.1": {"seed": 5, "gamma": 0.1}}  # fmt: skip


MEASURED = {"mean_error", "loss/time", "loss/gle", "loss/am", "spectrum/omega", "spectrum/gle", "spectrum/am"}
MEASURED |= {"spectrum/phase", "phase/gle", "phase/am"}
MEASURED |= {f"early/{name}" for name in MEASURED if name.startswith(("spectrum/", "phase/"))} - {
    "early/spectrum/omega"
}


def assert_measured(a, start=200, dt=0.05):
    """What the figures show of the records: running means, means of the loss, and sums of cosines and sines."""
    n = len(a["time"])
    for step in (0, 130, n - 1):
        around = a["error/gle"][max(step - 250, 0) : step + 250]
        np.testing.assert_allclose(a["mean_error"][step], around.sum(axis=0) / 500, atol=1e-12)
    np.testing.assert_allclose(a["loss/time"], a["time"].reshape(-1, 100).mean(axis=1))
    for name in ("gle", "am"):
        squares = (a[f"output/{name}"] - a["teacher"]) ** 2
        np.testing.assert_allclose(a[f"loss/{name}"], squares.reshape(-1, 100).mean(axis=1), rtol=1e-9, atol=1e-30)
    omega = 2 * np.pi * np.arange(30) / (start * dt)
    np.testing.assert_allclose(a["spectrum/omega"], omega)
    waves = np.exp(-1j * np.outer(omega, dt * np.arange(start)))
    e, lam = (waves @ a[f"error/{name}"][:start] for name in ("gle", "am"))
    for name, values in (("gle", e), ("am", lam)):
        np.testing.assert_allclose(a[f"spectrum/{name}"], 2 / start * np.abs(values), rtol=1e-9, atol=1e-14)
    turned = np.exp(1j * a["spectrum/phase"]) * lam / np.abs(lam)  # lambda, turned by the phase, points where e does
    there = np.abs(lam) > 1e-6 * np.abs(lam).max()
    np.testing.assert_allclose(turned[there], (e / np.abs(e))[there], atol=1e-6)
    for name, values in (("gle", e), ("am", lam)):
        top = waves @ (a["teacher"] - a[f"output/{name}"])[:start]
        turned = np.exp(1j * a[f"phase/{name}"]) * (top / np.abs(top))[:, None]
        there = (np.abs(values) > 1e-6 * np.abs(values).max()) & (np.abs(top) > 1e-6 * np.abs(top).max())[:, None]
        np.testing.assert_allclose(turned[there], (values / np.abs(values))[there], atol=1e-6)


def test_the_early_spectra_are_those_of_a_net_that_begins_with_the_weights_of_then():
    """GLE's weights at t = 120, or at the end of a shorter run, held over the steps before learning."""
    folder, _ = command(NET, "--dtype=float64")
    xp.use(dtype="float64")
    arrays = runs.Run(folder).arrays()
    first = np.array([arrays["w/gle"][-1]])
    still = lagnet_students.Students(first, 201, 200, 60, 0.05, 1e-3, 0.01, 0.07, 0.9)
    errors, tops = [], []
    for s in range(201):
        out = still.step(s, float(arrays["input"][s]))[:, 0, 0]
        errors.append(still.state.e_ahead[1, 0, :2].copy())
        tops.append(out[0] - out[1])
    e, top = (np.fft.rfft(np.array(each)[:200], axis=0)[:30] for each in (errors, tops))
    np.testing.assert_allclose(arrays["early/spectrum/gle"], np.abs(e) / 100, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(arrays["early/phase/gle"], np.angle(e * top.conj()[:, None]), atol=1e-6)


@pytest.mark.parametrize("words", NETS)
def test_the_lag_net_by_hand(words):
    """`Students` stepped here give the records of every step, the mean losses, and the weights."""
    folder, lines = command(NET, words, "--dtype=float64")
    xp.use(dtype="float64")
    t, x, expected, lam = lag_net_by_hand(**NETS[words])
    arrays, rows, out = runs.Run(folder).arrays(), table(folder), expected["out"]
    wanted = {"time": t, "input": x, "teacher": out[:, 0], "output/gle": out[:, 1], "output/am": out[:, 2]}
    wanted |= {"error/gle": expected["e"], "error/am": lam, "w/gle": expected["gle"], "w/am": expected["am"]}
    assert arrays.keys() == wanted.keys() | MEASURED
    assert_close(arrays, wanted)
    assert_measured(arrays)
    metrics = "loss_gle w0_gle w1_gle loss_am w0_am w1_am".split()
    assert list(rows[0]) == ["step", "epoch", "replica", "seed", *metrics]
    assert column(rows, "step") == [0, 20, 40, 60]  # blocks of ten Euler steps
    for k, name in enumerate(("gle", "am"), start=1):
        squares = ((out[:, k] - out[:, 0]) ** 2).reshape(3, 200)
        learned = np.concatenate([expected[name][:1], expected[name][199::200]])
        assert_close(numbers(rows[1:]), {f"loss_{name}": squares.mean(axis=1)})
        assert_close(numbers(rows), {f"w0_{name}": learned[:, 0], f"w1_{name}": learned[:, 1]})
        assert np.abs(learned[-1] - learned[0]).min() > 1e-3  # it learned
        w = f"{learned[-1][0]:.4f}, {learned[-1][1]:.4f}"
        loss = f"{squares[-1].mean():.3g}"
        assert lines[k - 1] == f"seed {NETS[words]['seed']}, {name}: loss {loss}, w {w}; the teacher has [-0.5, 1.0]"
    assert np.abs(arrays["error/am"][:540]).min(axis=0).max() > 0  # up to the last window, of 480 to 539


@pytest.mark.parametrize("word", ["--learning_rate_gle=0.1", "--learning_rate_am=0.1", "--momentum=0.5",
                                  "--momentum=0", "--gamma=0.01", "--update_every=50", "--start_learning_step=100",
                                  "--boundary=textbook", "--small_weights", "--seed=6", "--t=25"])  # fmt: skip
def test_every_option_of_the_lag_net_takes_effect(word):
    first, second = (table(command(NET, "--dtype=float64", each)[0]) for each in ("", word))
    assert first != second
    if "_gle" in word or "_am" in word:  # and the other student does not feel it
        other = "am" if "_gle" in word else "gle"
        for name in (f"w0_{other}", f"w1_{other}", f"loss_{other}"):
            assert column(first, name) == column(second, name)


@pytest.mark.parametrize("seeds", ["", "--seeds=5,6"])
def test_loaded_lag_nets_predict(seeds):
    """Teacher, GLE student and AM student in this order; tanh, tanh, linear, neuron by neuron."""
    folder, _ = command(NET, "--dtype=float64", seeds)
    xp.use(dtype="float64")
    x = np.random.default_rng(1).uniform(-1, 1, (40, 4))
    y, rows = plastic.load(folder).predict(x), table(folder)
    assert y.shape == ((2, 3, 40, 4) if seeds else (3, 40, 4))
    for replica in range(2 if seeds else 1):
        row = rows[replica - (2 if seeds else 1)]
        students = [[float(row[f"w{k}_{name}"]) for k in range(2)] for name in ("gle", "am")]
        for which, first in enumerate([[-0.5, 1.0], *students]):
            weights = [np.array([first]), np.diag([0.5, 1.0]), np.array([[0.5], [1.0]])]
            u, r = ([np.zeros((4, n)) for n in (2, 2, 1)] for _ in range(2))
            expected = []
            for value in x:
                expected.append(r[2][:, 0])
                below = [value[:, None], r[0], r[1]]
                difference = [below[k] @ weights[k] - u[k] for k in range(3)]
                tau_r = ([1, 0.1], [1, 0.1], [1])
                r = [f(u[k] + tau_r[k] * difference[k]) for k, f in enumerate((np.tanh, np.tanh, np.positive))]
                u = [u[k] + 0.05 * difference[k] for k in range(3)]
            found = y[replica, which] if seeds else y[which]
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
