"""The figures of the experiments, by the data they draw."""

import pathlib
import types

import matplotlib.image
import numpy as np
import pytest
from command_lines import table
from gle import tiny
from gle.tiny import ARCHITECTURES, CURVES, LINE, MODELS, NET, TASKS, WORDS, command, numbers, printed, refused

from plastic import runs, training
from plastic.errors import PlasticError
from plastic.gle.__main__ import COMMANDS
from plastic.gle.experiments import sequence_figures


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    tiny.place(tmp_path, monkeypatch)


def assert_picture(path):
    image = matplotlib.image.imread(path)
    assert min(image.shape[:2]) > 200 and image.min() < 0.5 < image.max(), path  # not one colour


PICTURES = {
    "lagline": ["lagline"],
    "lagnet": ["learning", "phases", "spectra", "traces"],
    "mnist1d": ["accuracy", "baselines", "confusion", "stream"],
    "gsc": ["accuracy", "baselines", "confusion"],
}


@pytest.mark.parametrize("words", ["", "--seeds=5,1"])
@pytest.mark.parametrize("line", [*TASKS.values(), f"{LINE} --model=bptt_tw4", f"{CURVES} --validation=0"])
def test_the_figures_of_a_run(line, words):
    folder, _ = command(line, words)
    printed("figure", folder)
    assert sorted(path.stem for path in folder.glob("*.png")) == PICTURES[line.split()[0]]
    for path in folder.glob("*.png"):
        assert_picture(path)


@pytest.mark.parametrize(
    "line",
    ["lagline --t_init=1e-9 --t_train=4.1 --batch_size=1", "lagline --t_init=4.1 --t_train=1e-9 --batch_size=1",
     f"{LINE} --beta=1e-9 --learning_rate=1e-30", f"{NET} --learning_rate_am=1e-30", f"{CURVES} --max_epochs=1",
     f"{CURVES} --max_epochs=40", f"{WORDS} --batch_size=18 --max_epochs=1",
     "lagline --t_init=3 --t_train=3 --dt=0.02", "lagline --t_init=3 --t_train=30 --dt=0.1",
     "lagnet --t=2 --dt=0.1 --start_learning_step=1 --update_every=1",
     "lagnet --t=1 --dt=0.1 --start_learning_step=3 --update_every=1",
     "lagnet --t=10 --dt=0.1 --start_learning_step=60 --update_every=30"],
)  # fmt: skip
def test_runs_at_the_edge_are_drawn(line):
    """The shortest ones, coarse steps, nothing learned, one step of learning."""
    folder, _ = command(line)
    for path in printed("figure", folder):
        assert_picture(path)


def drawn(*folders):
    """The figures of runs, {name: figure}, as objects."""
    found = [runs.Run(folder) for folder in folders]
    draw = COMMANDS[found[0].experiment].experiment.draw
    figures = {name: function(found) for name, function in draw.items()}
    for axis in (axis for figure in figures.values() for axis in figure.axes):
        if (place := axis.get_subplotspec()) is None:
            continue  # a bar of colours
        assert axis.get_title() or not place.is_first_row()
        assert axis.get_xlabel() or not place.is_last_row()
        assert axis.get_xlabel() != "time"  # without its unit
        assert axis.get_ylabel() or not place.is_first_col()
    return figures


def curves_of(axis):
    return {
        line.get_label(): np.ma.filled(np.ma.stack(line.get_data()).astype(float), np.nan) for line in axis.get_lines()
    }


def test_several_models_of_the_lag_line_in_one_figure():
    """Their traces, weights, time constants and mean losses: the first seed of each."""
    folders = [command(LINE, f"--model={model}", "--seeds=4,0" if model == "bp" else "")[0] for model in MODELS]
    assert printed("figure", ",".join(map(str, folders)), "--out=fig5.png") == ["fig5.png"]
    assert_picture("fig5.png")
    figure = drawn(*folders)["lagline"]
    axes = np.array(figure.axes).reshape(6, 3)
    names = ["GLE", "BP", "BPTT, window 4", "BPTT, window 2", "BPTT, window 1"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["target", *names]
    titles = ["true time constants (BPTT: its own), wrong weights", "true time constants, wrong weights"]
    assert [axes[0, 0].get_title(), drawn(*folders[:2])["lagline"].axes[0].get_title()] == titles
    arrays = [runs.Run(folder).arrays() for folder in folders]
    arrays[1] = {name: each if name == "time" else each[0] for name, each in arrays[1].items()}
    rows = {"output": 0, "r_0": 1, "e_ahead_1": 3, "e_ahead_0": 4}
    for label, each in zip(names, arrays, strict=True):
        time = each["time"]
        # t_init = 2, t_train = 10: with the teacher's time constants, with its own, and after learning
        for place, start in enumerate((0.48, 1.28, 6.0)):
            part = (time >= start) & (time <= start + 6)
            for name, row in rows.items():
                expected = np.stack([time[part], each[f"trace/{name}"][part]])
                np.testing.assert_array_equal(curves_of(axes[row, place])[label], expected)
        mean = np.stack([time[:40].mean(keepdims=True), each["loss"][:40].mean(keepdims=True)])
        lines = [line.get_data() for line in axes[5, 2].get_lines()]
        np.testing.assert_allclose(lines[names.index(label)], mean, rtol=1e-6)
        for axis, name in ((axes[5, 0], "w"), (axes[5, 1], "tau_m")):
            found = [line.get_data() for line in axis.get_lines()][2:]  # behind the teacher's
            for k in range(2):
                x, y = found[2 * names.index(label) + k]
                np.testing.assert_array_equal(x, time[1:])
                np.testing.assert_array_equal(y, each[name][1:, k])
    for place, start in enumerate((0.48, 1.28, 6.0)):
        part = (arrays[0]["time"] >= start) & (arrays[0]["time"] <= start + 6)
        for row, label in ((0, "trace/target"), (2, "trace/input")):
            first = axes[row, place].get_lines()[0].get_ydata()
            np.testing.assert_array_equal(first, arrays[0][label][part])


def test_lag_lines_that_begin_to_learn_at_other_times_are_not_drawn_together():
    """What one shows before it learns, another would show after."""
    folders = [command(LINE, f"--t_init={t}")[0] for t in (2, 3)]
    assert "these runs have t_init 2.0, 3.0; those of one" in refused(
        f"figure {','.join(map(str, folders))}", "--out=a.png"
    )


def test_lag_nets_with_other_inputs_have_teachers_of_their_own():
    folders = [command(NET, f"--input={name}")[0] for name in ("sines", "steps", "sines")]
    traces = drawn(*folders)["traces"]
    lines = curves_of(traces.axes[0])
    teachers = [label for label in lines if label.endswith("teacher")]
    assert len(teachers) == 2
    for label, folder in zip(teachers, folders, strict=False):
        arrays = runs.Run(folder).arrays()
        time, values = lines[label]
        np.testing.assert_array_equal(values, arrays["teacher"][np.isin(arrays["time"], time)])


COMMON = ("time", "input", "loss/time", "spectrum/omega")


def test_what_the_figures_of_the_lag_net_show():
    """Of the first seed: outputs, errors, their spectra before learning, weights, and means of the loss."""
    folder, _ = command(NET, "--t=60 --seeds=6,5 --dtype=float64")
    a = {name: each if name in COMMON else each[0] for name, each in runs.Run(folder).arrays().items()}
    traces, spectra, phases, learning = drawn(folder).values()
    axes = np.array(traces.axes).reshape(4, 2)
    # half of the 200 steps before learning, in their middle; as many at the end but for a hundred, of 1,200
    for place, part in enumerate((slice(50, 150), slice(1000, 1100))):
        top, middle, *errors = (curves_of(axis) for axis in axes[:, place])
        assert [top[name][1].tolist() for name in ("teacher", "GLE", "adjoint method")] == [
            a[name][part].tolist() for name in ("teacher", "output/gle", "output/am")
        ]
        assert all(each[0].tolist() == a["time"][part].tolist() for each in top.values())
        assert next(iter(middle.values()))[1].tolist() == a["input"][part].tolist()
        for k, each in enumerate(errors):
            e, lam, mean = (line[1] for line in each.values())
            assert e.tolist() == a["error/gle"][part, k].tolist() and lam.tolist() == a["error/am"][part, k].tolist()
            for step in (0, 99):
                centre = part.start + step
                around = a["error/gle"][max(centre - 250, 0) : centre + 250, k]
                assert mean[step] == pytest.approx(around.sum() / 500, abs=1e-12)
    axes = np.array(spectra.axes).reshape(2, 2)
    omega = 2 * np.pi * np.arange(30) / (200 * 0.05)
    for k in range(2):
        e, lam = (np.fft.rfft(a[name][:200, k])[:30] for name in ("error/gle", "error/am"))
        for line, values in zip(axes[0, k].get_lines()[:2], (e, lam), strict=True):
            np.testing.assert_allclose(line.get_data(), [omega[1:], np.abs(values[1:]) / 100], rtol=1e-9, atol=1e-15)
        there = (omega > 0) & (np.abs(lam) > 0.1 * np.abs(lam[1:]).max())
        phase = np.angle(e) - np.angle(lam)
        phase = (phase + np.pi) % (2 * np.pi) - np.pi
        np.testing.assert_allclose(axes[1, k].get_lines()[0].get_data(), [omega[there], phase[there]], atol=1e-9)
    for axis, (before, column) in zip(phases.axes, [(b, k) for b in ("", "early/") for k in range(2)], strict=True):
        for line, name in zip(axis.get_lines(), ("gle", "am"), strict=False):
            amplitudes = a[f"{before}spectrum/{name}"][:, column]
            there = (omega > 0) & (amplitudes > 0.1 * amplitudes[1:].max())
            np.testing.assert_allclose(line.get_data(), [omega[there], a[f"{before}phase/{name}"][there, column]])
        assert ("t = 60" if before else "before learning") in phases.axes[2 * bool(before)].get_ylabel()
        marks = [line.get_xdata()[0] for line in axis.get_lines() if line.get_linestyle() == ":"]
        assert marks == [0.49, 1.07, 1.98] and axis.get_xscale() == "log"
    left, right = learning.axes
    assert [line.get_ydata()[0] for line in left.get_lines()[:2]] == [-0.5, 1.0]
    for index, name in enumerate(("gle", "am")):
        for k in range(2):
            found = left.get_lines()[2 + 2 * index + k].get_data()
            np.testing.assert_array_equal(found, [a["time"][::20], a[f"w/{name}"][::20, k]])
        squares = (a[f"output/{name}"] - a["teacher"]) ** 2
        means = [each.reshape(12, 100).mean(axis=1) for each in (a["time"], squares)]
        np.testing.assert_allclose(right.get_lines()[index].get_data(), means)


def test_of_much_that_is_learned_the_distance_is_drawn():
    """And what the theory of two chains says, and the frequencies of sines, are left out where they do not hold."""
    folder, _ = command(NET, "--widths=5,2 --learned=1,2 --input=ou --dtype=float64")
    arrays, (traces, _, phases, learning) = runs.Run(folder).arrays(), drawn(folder).values()
    lines = learning.axes[0].get_lines()
    for line, name in zip(lines, ("gle", "am"), strict=True):
        distance = np.sqrt(np.mean((arrays[f"w/{name}"] - arrays["w/teacher"]) ** 2, axis=1))
        np.testing.assert_allclose(line.get_ydata(), distance[::20])
    assert "distance" in learning.axes[0].get_ylabel()
    assert all(len(axis.get_lines()) == 2 for axis in phases.axes)
    retarded = next(iter(curves_of(np.array(traces.axes).reshape(4, 2)[3, 0]).values()))[1]
    assert retarded.tolist() == arrays["error/gle"][50:150, 3].tolist()


def test_several_lag_nets_are_curves_of_their_own():
    """Each with its own labels and looks, beside one teacher and one input."""
    words = ("", "--boundary=textbook", "--small_weights", "--small_weights --seed=1")
    folders = [command(NET, "--t=60", each)[0] for each in words]
    firsts = ["published", "textbook", *(f"published, small weights ({folder.name[-8:]})" for folder in folders[2:])]
    traces, spectra, _, learning = drawn(*folders).values()
    arrays = [runs.Run(folder).arrays() for folder in folders]
    outputs, errors = curves_of(traces.axes[0]), curves_of(traces.axes[4])
    amplitudes, phases = curves_of(spectra.axes[0]), curves_of(spectra.axes[2])
    losses = curves_of(learning.axes[1])
    assert list(outputs) == ["teacher", *(f"{each}: {name}" for each in firsts for name in ("GLE", "adjoint method"))]
    for first, a in zip(firsts, arrays, strict=True):
        np.testing.assert_array_equal(outputs[f"{first}: GLE"][1], a["output/gle"][50:150])
        np.testing.assert_array_equal(errors[first + r": $\lambda$ (adjoint)"][1], a["error/am"][50:150, 0])
        np.testing.assert_array_equal(amplitudes[first + r": $\tilde{e}$ (GLE)"][1], a["spectrum/gle"][1:, 0])
        np.testing.assert_array_equal(losses[f"{first}: adjoint method"][1], a["loss/am"])
        assert set(phases[first][1]) <= set(a["spectrum/phase"][:, 0])
    looks = [(line.get_color(), line.get_linestyle()) for line in traces.axes[4].get_lines()]
    assert len(looks) == 12 and len(set(looks[:9])) == 9  # a tenth shares what matplotlib tells of its dashes


@pytest.mark.parametrize("line, name", [(CURVES, "mnist1d"), (f"{CURVES} --validation=0", "mnist1d"), (WORDS, "gsc")])
def test_what_the_figure_of_sequences_shows(line, name):
    """Accuracy and loss over the epochs, means of the seeds, in a band of a standard deviation."""
    folder, _ = command(line, "--seeds=1,2,3")
    figure, rows = drawn(folder)["accuracy"], numbers(table(folder))
    sets = ("validation",) if "--validation=0" not in line.split() else ("test",)
    left, right = (curves_of(axis) for axis in figure.axes)
    assert left.keys() == {*sets, "training (running)"} and right.keys() == set(sets)
    for each, label in ((sets[0], sets[0]), ("train", "training (running)")):
        mean = 100 * rows[f"{each}_accuracy"].reshape(4, 3).mean(axis=1)
        start = each == "train"  # nothing was trained at the beginning
        np.testing.assert_allclose(left[label][1][start:], mean[start:])
        assert left[label][0].tolist() == [0, 1, 2, 3] and np.isnan(left[label][1][0]) == start
    for each in sets:
        np.testing.assert_allclose(right[each][1], rows[f"{each}_loss"].reshape(4, 3).mean(axis=1))
    band = figure.axes[1].collections[0].get_paths()[0].vertices[:, 1]
    std = rows[f"{sets[0]}_loss"].reshape(4, 3).std(axis=1)
    assert band.max() == pytest.approx((right[sets[0]][1] + std).max())


def test_several_architectures_in_one_figure():
    """On the test set; a run that is shorter ends earlier."""
    lines = [f"--architecture={each} --max_epochs={2 + place}" for place, each in enumerate(ARCHITECTURES)]
    folders = [command(CURVES, each, "--seeds=1,2 --validation=0")[0] for each in lines]
    shown = printed("figure", *folders, "--out=fig8.png")  # words, as a b c
    assert shown == [f"fig8-{name}.png" for name in ("accuracy", "baselines", "confusion", "stream")]
    for path in shown:
        assert_picture(path)
    for axis, what, scale in zip(drawn(*folders)["accuracy"].axes, ("accuracy", "loss"), (100, 1), strict=True):
        found = curves_of(axis)
        assert list(found) == list(ARCHITECTURES) and "test set" in axis.get_ylabel()
        for name, folder, band in zip(ARCHITECTURES, folders, axis.collections, strict=True):
            values = scale * numbers(table(folder))[f"test_{what}"].reshape(-1, 2)
            mean, std = values.mean(axis=1), values.std(axis=1)
            np.testing.assert_allclose(found[name], [np.arange(len(mean)), mean])
            edge = band.get_paths()[0].vertices[:, 1]
            np.testing.assert_allclose([edge.min(), edge.max()], [(mean - std).min(), (mean + std).max()])


def test_two_folders_of_one_name_are_two_curves():
    folders = [command(CURVES, f"--max_epochs=1 --results={place}")[0] for place in ("here", "there")]
    assert folders[0].name == folders[1].name
    assert len(curves_of(drawn(*folders)["accuracy"].axes[0])) == 2
    folders = [command(LINE, f"--results={place}")[0] for place in ("here", "there")]
    axis = drawn(*folders)["lagline"].axes[0]
    assert len(axis.get_lines()) == len(curves_of(axis)) == 3


def test_a_seed_that_diverged_is_left_out_of_the_mean():
    """It has no rows any more; the curve of the others goes on."""
    rows = {"step": [0, 0, 1, 1, 2], "epoch": [0.0, 0.0, 1.0, 1.0, 2.0], "replica": [0, 1, 0, 1, 1]}
    rows |= {"test_accuracy": [0.1, 0.2, 0.3, 0.4, 0.5], "test_loss": [5.0, 4.0, 3.0, 2.0, 1.0]}
    rows["train_accuracy"] = rows["test_accuracy"]
    run = types.SimpleNamespace(experiment="mnist1d", option={"architecture": "x"}.get, metrics=lambda: rows)
    accuracy, loss = sequence_figures.accuracy([run]).axes
    np.testing.assert_allclose(curves_of(accuracy)["test"][1], [15, 35, 50])
    np.testing.assert_allclose(curves_of(loss)["test"][1], [4.5, 2.5, 1])


def test_runs_without_an_accuracy_in_common_are_not_drawn_together():
    rows = {"step": [0], "epoch": [0.0], "replica": [0]}
    kinds = [{"test_accuracy": [0.1]}, {"validation_accuracy": [0.1]}]
    found = [types.SimpleNamespace(experiment="gsc", metrics=lambda kind=kind: rows | kind) for kind in kinds]
    with pytest.raises(PlasticError, match="no accuracy in common"):
        sequence_figures.accuracy(found)


def test_a_figure_of_runs_that_do_not_belong_together_is_refused():
    line, net, curves, words = (command(TASKS[name])[0] for name in TASKS)
    with runs.Run.create("results", "gait", "lagline", {"seed": 1}) as foreign:
        pass
    for folders in ((line, curves), (curves, words), (net, line), (line, foreign.folder)):
        message = refused("figure", ",".join(map(str, folders)), "--out=x.png")
        assert "must all be of one experiment" in message
        assert all(f"{runs.Run(each).family} {runs.Run(each).experiment}" in message for each in folders)
    assert not pathlib.Path("x.png").exists()


def test_a_figure_overwrites_nothing_and_needs_folders_of_runs(tmp_path):
    folder, _ = command(LINE, "--results=elsewhere")
    taken = tmp_path / "taken.png"
    taken.write_text("mine")
    assert str(taken) in refused(f"figure {folder} --out={taken}")
    assert taken.read_text() == "mine"
    assert "missing" in refused("figure missing --out=x.png")
    assert "FOLDERS" in refused("figure --out=x.png")
    (tmp_path / "empty").mkdir()
    assert "empty" in refused("figure empty --out=x.png")
    assert "nowhere" in refused(f"figure {folder} --out=nowhere/x.png")
    assert "folders" in refused("figure () --out=x.png").lower()
    assert {path.name for path in tmp_path.iterdir()} == {"taken.png", "empty", "elsewhere"}


@pytest.mark.parametrize("line", [LINE, NET])
def test_a_figure_of_a_run_that_is_not_finished_is_refused(monkeypatch, line):
    """It has no records yet."""

    def stopped(run, *_, **options):
        run.begin(options["steps"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", stopped)
        refused(line, code=130)
    (folder,) = pathlib.Path("results/gle").iterdir()
    assert str(folder) in refused(f"figure {folder} --out=x.png")


def test_the_published_accuracies_are_drawn_beside_ours():
    """Of the published data alone; the last rows, or what was tested once; the table is read as it stands."""
    rows = sequence_figures.published("mnist1d")
    assert ("TCN, supersampled", 96.66, 0.92, 10) in [tuple(row.values()) for row in rows] and len(rows) == 9
    assert [row["mean"] for row in sequence_figures.published("gsc")] == [91.44]
    for words, count in (("--validation=0", 9), ("", 9), ("--num_samples=50 --validation=0", 0)):
        folder, _ = command(CURVES, "--seeds=1,2 --max_epochs=1", words)
        (axis,) = drawn(folder)["baselines"].axes
        assert len(axis.get_yticks()) == 1 + count
        names = [text.get_text() for text in axis.get_yticklabels()]
        assert names[0] == "plastic_e2e, here (2 seeds)" and all("published (10 seeds)" in each for each in names[1:])
        means = [line[0].get_xdata()[0] for line in axis.containers]
        run = runs.Run(folder)
        ours = run.arrays().get("test_accuracy", run.metrics().get("test_accuracy", [0])[-2:])
        np.testing.assert_allclose(means, [100 * np.mean(ours)] + [row["mean"] for row in rows][:count])
    folder, _ = command(WORDS, "--max_epochs=1")  # FSDD, not GSC
    (text,) = drawn(folder)["baselines"].axes[0].get_yticklabels()
    assert text.get_text() == "FSDD, here (1 seed)"
    run = runs.Run(folder)
    assert run.tested()["test_accuracy"] == pytest.approx(float(np.mean(run.arrays()["test_accuracy"])))


def test_what_the_stream_shows():
    """Input, outputs and their softmax of the sequences one after the other, of the first seed."""
    folder, _ = command(CURVES, "--seeds=1,2")
    arrays = runs.Run(folder).arrays()
    above, middle, below = drawn(folder)["stream"].axes
    np.testing.assert_array_equal(above.get_lines()[0].get_ydata(), np.ravel(arrays["stream/x"]))
    outputs = arrays["stream/outputs"][0]
    assert outputs.shape == (4 * 30, 10)
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    for axis, expected in ((middle, outputs), (below, shares)):
        found = np.stack([line.get_ydata() for line in axis.get_lines()[:10]], axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert [line.get_xdata()[0] for line in axis.get_lines()[10:]] == [30, 60, 90]
    assert [text.get_text() for text in above.texts] == [f"class {label}" for label in arrays["stream/labels"]]
