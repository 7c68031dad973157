"""The lag net: what its runs record and learn. Whatever all commands share is tested by tests/test_commands.py."""

import itertools

import numpy as np
import pytest
from command_lines import column, table
from gle import tiny
from gle.tiny import NET, assert_close, command, numbers

import plastic
from plastic import parameters, runs, xp
from plastic.gle import lagnet_students
from plastic.parameters import Affine


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
    learner = lagnet_students.Students(
        lagnet_students.published(first), total, start, every, dt, gamma, 0.2 * dt, 0.07, 0.9, textbook
    )
    shown = []
    for s in range(total):
        out = learner.step(s, x[s])[:, 0, 0]
        e = learner.state.e_ahead[1, 0, :2].copy()
        shown.append(
            {"out": out, "e": e, "gle": learner.learned[1][0].W[0].copy(), "am": learner.learned[2][0].W[0].copy()}
        )
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
    still = lagnet_students.Students(lagnet_students.published(first), 201, 200, 60, 0.05, 1e-3, 0.01, 0.07, 0.9)
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
    wanted["w/teacher"] = np.array([-0.5, 1.0])
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


def test_when_the_students_begin_to_learn():
    """GLE after the step with which learning begins; the adjoint method at the end of its first window after it."""
    arrays = runs.Run(command(NET, "--update_every=70")[0]).arrays()  # learning begins with step 200
    for name, steps in (("gle", range(201, 600)), ("am", range(210, 600, 70))):
        changed = np.flatnonzero(np.abs(np.diff(arrays[f"w/{name}"], axis=0)).max(axis=1)) + 1
        assert changed.tolist() == list(steps)


@pytest.mark.parametrize("word", ["--learning_rate_gle=0.1", "--learning_rate_am=0.1", "--momentum=0.5",
                                  "--momentum=0", "--gamma=0.01", "--update_every=50", "--start_learning_step=100",
                                  "--boundary=textbook", "--small_weights", "--seed=6", "--t=25",
                                  "--input=ou", "--input=steps", "--activation=sigmoid"])  # fmt: skip
def test_every_option_of_the_lag_net_takes_effect(word):
    first, second = (table(command(NET, "--dtype=float64", each)[0]) for each in ("", word))
    assert first != second
    if "_gle" in word or "_am" in word:  # and the other student does not feel it
        other = "am" if "_gle" in word else "gle"
        for name in (f"w0_{other}", f"w1_{other}", f"loss_{other}"):
            np.testing.assert_array_equal(column(first, name), column(second, name))


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


# nets of other widths, with biases, of which more is learned


def drawn(rng, sizes, lead=()):
    """Layers of a net without and with weights that differ, and biases."""
    shapes = list(itertools.pairwise(sizes))
    return [Affine(rng.uniform(-1, 1, (*lead, *shape)), rng.uniform(-1, 1, (*lead, 1, shape[1]))) for shape in shapes]


def other_net(lead=(), layers=(0, 2), seed=0, steps=40, **words):
    xp.use(dtype="float64")
    rng = np.random.default_rng(seed)
    teacher, first = (drawn(rng, (1, 5, 3, 1), lead) for _ in range(2))
    first = [mine if k in layers else known for k, (mine, known) in enumerate(zip(first, teacher, strict=True))]
    options = {"textbook": True, "teacher": teacher, "layers": layers} | words
    net = lagnet_students.Students(first, steps, 20, 10, 0.02, 1e-3, 0.01, 0.07, 0.0, **options)
    return teacher, first, net


def test_the_kinds_of_neurons():
    network = other_net()[2].network
    assert network.tau_r.reshape(-1).tolist() == [1, 1, 1, 0.1, 0.1, 1, 1, 0.1, 1] and np.all(network.tau_m == 1)
    assert network.gamma[..., 0, :].tolist() == [[1e-3] * 8 + [0]] * 2 + [[0] * 9]


@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("layers", [(0,), (1,), (0, 2), (0, 1, 2)])
def test_what_is_learned_by_hand(lead, layers):
    """The adjoint method: dW = -dt sum of rho^T lambda over the window; GLE: that of `gle.step`; the rest is kept."""
    teacher, first, net = other_net(lead, layers)
    rates, x = [], np.sin(0.3 * np.arange(40))
    for s in range(30):
        before = [parameters.map(np.copy, each) for each in net.learned[lagnet_students.GLE]]
        net.step(s, float(x[s]))
        rates.append(
            [np.full((*lead, 1), x[s]), *np.split(net.state.r[..., lagnet_students.AM, 0, :8].copy(), [5], axis=-1)]
        )
        if s == 25:  # GLE learns since step 20, the adjoint method not yet
            for was, now, grad in zip(
                before, *(each[lagnet_students.GLE] for each in (net.learned, net.grads)), strict=True
            ):
                np.testing.assert_allclose(now.W, was.W - 0.01 * grad.W, rtol=1e-12)
                np.testing.assert_allclose(now.b, was.b - 0.01 * grad.b, rtol=1e-12)
                assert np.all(grad.b != 0)
            for k, mine in zip(layers, net.learned[lagnet_students.AM], strict=True):
                np.testing.assert_array_equal(mine.W, first[k].W)
    net.step(30, float(x[30]))
    lam = np.moveaxis(net.past["lam"][20:30][..., 0, :], 0, -2)
    columns = np.split(lam, [5, 8], axis=-1)
    for k, mine, grad in zip(layers, net.learned[lagnet_students.AM], net.grads[lagnet_students.AM], strict=True):
        rho = np.stack([rates[s][k] for s in range(20, 30)], axis=-2)
        np.testing.assert_allclose(grad.W, -0.02 * np.swapaxes(rho, -1, -2) @ columns[k], rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(grad.b, -0.02 * columns[k].sum(axis=-2, keepdims=True), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(mine.W, first[k].W - 0.07 * grad.W, rtol=1e-12)
        np.testing.assert_allclose(mine.b, first[k].b - 0.07 * grad.b, rtol=1e-12)
    for k, layer in enumerate(net.network.layers):
        for array, known in zip((layer.W, layer.b), (teacher[k].W, teacher[k].b), strict=True):
            np.testing.assert_array_equal(array[..., 0, :, :], known)
            for student in () if k in layers else (1, 2):
                np.testing.assert_array_equal(array[..., student, :, :], known)


def test_students_that_are_the_teacher_stay_it():
    teacher, _, _ = other_net()
    net = lagnet_students.Students(teacher, 60, 20, 10, 0.02, 1e-3, 0.01, 0.07, 0.9, teacher=teacher, layers=(0, 1, 2))
    for s in range(60):
        outputs = net.step(s, np.sin(0.3 * s))
        np.testing.assert_array_equal(outputs[1:], outputs[:1].repeat(2, axis=0))
    goal = lagnet_students.flat(teacher)
    for student in (lagnet_students.GLE, lagnet_students.AM):
        np.testing.assert_array_equal(lagnet_students.flat(net.learned[student]), goal)
    for mine, known in zip(lagnet_students.of_vector(goal, teacher), teacher, strict=True):
        np.testing.assert_array_equal(mine.W, known.W)
        np.testing.assert_array_equal(mine.b, known.b)


OTHER = ("--widths=4,3", "--bias", "--learned=1,3", "--input=ou", "--dtype=float64", "--seed=1")


@pytest.mark.parametrize("seeds", ["", "--seeds=1,2"])
def test_runs_of_other_nets(seeds):
    """Loss and distance fall; the records are of what is learned; the trained nets have the teacher's frozen layer."""
    folder, lines = command(NET, *OTHER, "--learning_rate_gle=1", "--learning_rate_am=0.3", seeds)
    arrays, rows, count = runs.Run(folder).arrays(), table(folder), 2 if seeds else 1
    w = 4 + 4 + 3 + 1
    lead = (2,) if seeds else ()
    shapes = {"w/gle": (600, w), "w/am": (600, w), "w/teacher": (w,), "error/gle": (600, 4), "error/am": (600, 4)}
    assert {name: arrays[name].shape for name in shapes} == {name: (*lead, *shape) for name, shape in shapes.items()}
    assert arrays["input"].shape == (*lead, 600) and (not seeds or not np.array_equal(*arrays["input"]))
    assert list(rows[0])[4:] == ["loss_gle", "distance_gle", "loss_am", "distance_am"]
    for name in ("gle", "am"):
        distance = np.sqrt(np.mean((arrays[f"w/{name}"] - arrays["w/teacher"][..., None, :]) ** 2, axis=-1))
        last = [float(row[f"distance_{name}"]) for row in rows[-count:]]
        np.testing.assert_allclose(last, np.atleast_1d(distance[..., -1]), rtol=1e-9)
        assert np.all(np.abs(distance[..., -1] - distance[..., 0]) > 1e-4)
    assert lines[0].startswith("seed 1, gle: loss ") and "distance from the teacher" in lines[0]
    xp.use(dtype="float64")
    trained = plastic.load(folder)
    tree = trained.network.layers
    np.testing.assert_array_equal(tree[1].W[..., 1, :, :], tree[1].W[..., 0, :, :])
    assert np.all(tree[2].b[..., 1, :, :] != tree[2].b[..., 0, :, :])
    out = trained.predict(np.full((1000, 1), 0.5))[..., -1, 0]
    rest = np.full((*lead, 3, 1, 1), 0.5)
    for k, layer in enumerate(tree):  # at rest under a constant input
        rest = rest @ layer.W + layer.b
        rest = np.tanh(rest) if k < 2 else rest
    np.testing.assert_allclose(out, rest[..., 0, 0], atol=1e-6)


def test_inputs_of_the_lag_net():
    """Pulses of length 2, smoothed over five steps; a process with standard deviation 0.5 that forgets within 1."""
    wave = runs.Run(command(NET, "--input=steps")[0]).arrays()["input"]
    assert np.abs(wave).max() <= 1 and np.mean(np.abs(wave) > 0.9) > 0.5
    noise = runs.Run(command(NET, "--input=ou", "--t=300", "--dtype=float64")[0]).arrays()["input"]
    assert abs(noise.std() - 0.5) < 0.2 and abs(noise.mean()) < 0.2
    correlation = np.mean((noise[:-20] - noise.mean()) * (noise[20:] - noise.mean())) / noise.var()
    assert abs(correlation - np.exp(-1)) < 0.25
