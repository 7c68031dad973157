"""The curves of EP and BPTT, the count of their signs, and the figures, tested by the data they draw."""

import pathlib

import numpy as np
import pytest
from command_lines import column, table
from commands.ep import images
from ep.lines import command, refused

from plastic import data, runs, xp
from plastic.ep import curves
from plastic.ep.experiments import figures, plotcurves

N_TRAIN = 60


def on(dataset, words):
    """The words with those of a data set, which the toy model does not take."""
    return (words,) if "toymodel" in words else (f"--dataset={dataset}", words)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The path of a data set of four classes of 10 x 10 images."""
    return images(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


# curves

CURVES = "--action=plotcurves --T=30 --Kmax=6 --beta=0.01 --batch_size=5"
SHAPES = {
    "--size_tab 4 8 100": ([4, 8], {"W_01": (8, 4), "W_1x": (100, 8)}),
    "--size_tab 4 7 6 100 --discrete": ([4, 7, 6], {"W_01": (7, 4), "W_12": (6, 7), "W_2x": (100, 6)}),
    "--size_tab 4 7 6 100 --learning-rule vf --angle 20": (
        [4, 7, 6],
        {"W_01": (7, 4), "W_12": (6, 7), "W_2x": (100, 6), "W_10": (4, 7), "W_21": (7, 6)},
    ),
    "--size_tab 10 9 5 --toymodel": ([10, 9], {"W_01": (9, 10), "W_0x": (5, 10), "W_1x": (5, 9)}),
    "--C_tab 3 1 --size_tab 4 --Fconv 3": ([4, (4, 4, 3)], {"W^fc": (48, 4), "W^conv_0": (3, 3, 1, 3)}),
    "--C_tab 3 2 1 --size_tab 4 6 --Fconv 3 --activation-function hardsigm": (
        [4, 6, (1, 1, 3), (4, 4, 2)],
        {"W^fc_0": (6, 4), "W^fc_1": (3, 6), "W^conv_0": (3, 3, 2, 3), "W^conv_1": (3, 3, 1, 2)},
    ),
}


@pytest.mark.parametrize("words", SHAPES)
def test_the_folder_of_curves(toy, words):
    layers, connections = SHAPES[words]
    layers = [layer if isinstance(layer, tuple) else (layer,) for layer in layers]
    folder, lines = command(*on(toy, words), CURVES, plot=True)
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "arrays.h5", "rmse.png", "neurons.png", "synapses.png"}
    run, rows = runs.Run(folder), table(folder)
    assert run.config["status"] == "finished" and run.experiment == "plotcurves" and run.options["dtype"] == "float64"
    assert list(rows[0]) == ["array", "rmse_mean", "rmse_std", "residual"]
    assert [row["array"] for row in rows] == [f"s^{k}" for k in range(len(layers))] + list(connections)
    assert len(lines) == 1 + len(rows)
    for line, row in zip(lines[1:], rows, strict=True):
        name, mean, std, *residual = line.split()
        assert (name, mean, std) == (row["array"], f"{float(row['rmse_mean']):.4f}", f"{float(row['rmse_std']):.4f}")
        assert residual == ([f"{float(row['residual']):.1e}"] if name.startswith("s^") else [])
    arrays = run.arrays()
    kinds = {f"{kind}/{k}" for kind in ("nS", "dS", "units") for k in range(len(layers))}
    kinds |= {f"{k}/{name}" for k in ("NT", "DT", "synapses", "NT_last", "DT_last") for name in connections}
    assert arrays.keys() == kinds
    chosen = {"toymodel": (5, 5), "C_tab": (8, 5)}.get(words.split("--")[-1].split()[0], (5, 10))
    chosen = (8, 5) if "C_tab" in words else chosen
    for k, shape in enumerate(layers):
        n, d, units = (arrays[f"{kind}/{k}"] for kind in ("nS", "dS", "units"))
        assert n.shape == d.shape == (6, *shape) and n.dtype == d.dtype == np.float64
        assert list(units) == sorted(set(units)) and units.max() < np.prod(shape)
        assert len(units) == min(chosen[0], np.prod(shape)) and (k > 0 or list(units) == list(range(len(units))))
        assert_distance(rows[k], n, d)
        assert float(rows[k]["residual"]) >= 0
    for place, (name, shape) in enumerate(connections.items(), len(layers)):
        n, d, entries = (arrays[f"{kind}/{name}"] for kind in ("NT", "DT", "synapses"))
        assert n.shape == d.shape == (6, len(entries)) and len(entries) == min(chosen[1], np.prod(shape))
        assert len(set(entries)) == len(entries)
        for curve, kind in ((n, "NT"), (d, "DT")):
            last = arrays[f"{kind}_last/{name}"]
            assert last.shape == shape and np.array_equal(last.reshape(-1)[entries], curve[-1])
        assert rows[place]["residual"] == "" and 0 <= float(rows[place]["rmse_mean"]) <= 2


@pytest.mark.parametrize(
    "words",
    [
        "--size_tab 4 5 3 --toymodel",
        "--size_tab 4 7 6 100 --discrete --learning-rule vf",
        "--size_tab 4 --C_tab 3 2 1 --Fconv 3",
    ],
)
def test_whole_tensors_are_saved_on_request(toy, words):
    """Their entries are those that are drawn, and their distances those of metrics.csv."""
    few, _ = command(*on(toy, words), CURVES)
    folder, _ = command(*on(toy, words), CURVES, "--save=all")
    arrays, drawn = runs.Run(folder).arrays(), runs.Run(few).arrays()
    assert table(folder) == table(few)
    labels = [name.removeprefix("NT/") for name in drawn if name.startswith("NT/")]
    assert arrays.keys() - drawn.keys() == {f"{kind}_all/{label}" for kind in ("NT", "DT") for label in labels}
    for name, array in drawn.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    rows = {row["array"]: row for row in table(folder)}
    for label in labels:
        n, d = (arrays[f"{kind}_all/{label}"] for kind in ("NT", "DT"))
        assert_distance(rows[label], n, d)
        for whole, kind in ((n, "NT"), (d, "DT")):
            np.testing.assert_array_equal(
                whole.reshape(len(whole), -1)[:, drawn[f"synapses/{label}"]], drawn[f"{kind}/{label}"]
            )
            np.testing.assert_array_equal(whole[-1], drawn[f"{kind}_last/{label}"])


@pytest.mark.parametrize("words", ["--size_tab 1 3 2 --toymodel", "--size_tab 4 --C_tab 1 1 --Fconv 1"])
def test_a_layer_or_connection_of_one_entry(toy, words):
    """There is no unbiased deviation of one distance."""
    folder, _ = command(*on(toy, words), CURVES, plot=True)
    assert (folder / "synapses.png").exists()
    (row,) = (row for row in table(folder) if row["array"] == ("s^0" if "toymodel" in words else "W^conv_0"))
    assert float(row["rmse_mean"]) >= 0 and row["rmse_std"] in ("", "nan", "0.0")


def assert_distance(row, n, d):
    """The distance of two curves as the published code defines it, and its unbiased standard deviation."""
    largest = np.maximum(np.sum(n**2, axis=0), np.sum(d**2, axis=0))
    entries = np.sqrt(np.sum((n - d) ** 2, axis=0) / np.where(largest > 0, largest, 1)).ravel()
    assert float(row["rmse_mean"]) == pytest.approx(np.mean(entries), rel=1e-9)
    assert float(row["rmse_std"]) == pytest.approx(np.std(entries, ddof=1), rel=1e-9)


@pytest.mark.parametrize(
    "words",
    [
        "--size_tab 4 8 100 --no-clamp --consistent --activation-function tanh --dt 0.2",
        "--size_tab 10 9 5 --toymodel --no-clamp --activation-function tanh --dt 0.2",
    ],
)
def test_curves_of_the_gradient_of_an_energy_match(toy, words):
    """Where the field is the gradient of one energy and the free phase has converged, EP follows BPTT to order beta."""
    folder, _ = command(*on(toy, words), "--action=plotcurves --T=1500 --Kmax=10 --beta=1e-4")
    rows = table(folder)
    assert max(column(rows, "rmse_mean")) < 1e-2
    assert max(float(row["residual"] or 0) for row in rows) < 1e-8
    arrays = runs.Run(folder).arrays()
    np.testing.assert_allclose(arrays["nS/0"][0], arrays["dS/0"][0], atol=1e-4)  # sum over the batch of (s_0 - y) / B
    assert np.abs(arrays["nS/0"][0]).max() > 0.1


def test_the_batch_of_curves(toy, monkeypatch):
    """The first one of a shuffled epoch; that of the toy model is uniform and shares one class."""
    batches, comparison = [], plotcurves.Comparison

    def spy(network, x, y, **more):
        batches.append((x, y))
        return comparison(network, x, y, **more)

    monkeypatch.setattr(plotcurves, "Comparison", spy)
    for words, shape in (("--size_tab 4 8 100", (5, 100)), ("--C_tab 3 1 --size_tab 4 --Fconv 3", (5, 10, 10, 1)),
                         ("--size_tab 10 9 5 --toymodel", (5, 5))):  # fmt: skip
        for seed in (1, 2):
            command(*on(toy, words), CURVES, f"--seed={seed}")
        (x, y), (other, _) = batches[-2:]
        assert x.shape == shape and np.abs(x - other).max() > 0.1
        assert (y.sum(axis=1) == 1).all() and set(np.unique(y)) == {0, 1}
    (x, y), (known, labels) = batches[0], data.load(toy, dtype="float64").train
    for sample, target in zip(x, y, strict=True):
        (place,) = np.flatnonzero((known.reshape(N_TRAIN, -1) == sample).all(axis=1))
        assert target.argmax() == labels[place]
    toys = batches[-2:]
    assert all(np.unique(y.argmax(axis=1)).size == 1 and 0 <= x.min() and x.max() <= 1 for x, y in toys)


def test_curves_that_are_not_finite_say_what_to_change(toy):
    message = refused(
        f"--dataset={toy}", CURVES.replace("--beta=0.01", "--beta=1e300"), "--size_tab 4 8 100 --no-clamp"
    )
    assert "diverged with beta 1e+300 and dt 0.2" in message
    (folder,) = pathlib.Path("results/ep").iterdir()
    run = runs.Run(folder)
    assert run.config["status"] == "diverged" and run.arrays() == {} and not list(folder.glob("*.csv"))


def test_signs_of_what_is_not_finite_are_not_compared(toy):
    words = "--action=recipe --T=20 --Kmax=5 --batch_size=10 --beta=1e300 --size_tab 4 8 100 --no-clamp"
    assert "trial 1 diverged with beta 1e+300 and dt 0.2" in refused(f"--dataset={toy}", words)
    (folder,) = pathlib.Path("results/ep").iterdir()
    run = runs.Run(folder)
    assert run.config["status"] == "diverged" and run.arrays() == {} and not list(folder.glob("*.csv"))


def test_curves_are_the_same_in_float32_up_to_rounding(toy):
    rows = [table(command(f"--dataset={toy}", "--action=plotcurves --T=30 --Kmax=6 --beta=0.5 --size_tab 4 8 100",
                          f"--dtype={dtype}")[0]) for dtype in ("float32", "float64")]  # fmt: skip
    for row, other in zip(*rows, strict=True):
        assert float(row["rmse_mean"]) == pytest.approx(float(other["rmse_mean"]), rel=1e-2, abs=1e-3)


# signs


@pytest.mark.parametrize("words", [words for words in SHAPES if "toymodel" not in words])
def test_the_folder_of_a_recipe(toy, words):
    connections = SHAPES[words][1]
    folder, lines = command(f"--dataset={toy} --action=receipe --T=20 --Kmax=5 --batch_size=10", words, plot=True)
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {"config.json", "metrics.csv", "arrays.h5", "signs.png"}
    run, rows = runs.Run(folder), table(folder)
    assert run.config["status"] == "finished" and run.experiment == "recipe"
    assert list(rows[0]) == ["trial", "array", "total", "same_sign", "both_zero"]
    assert [(int(row["trial"]), row["array"]) for row in rows] == [
        (trial, name) for trial in range(1, 21) for name in connections
    ]
    for row in rows:
        total, same, zero = (float(row[name]) for name in ("total", "same_sign", "both_zero"))
        assert min(same, zero) >= 0 and total == pytest.approx(same + zero) and total <= 100 + 1e-9
    for name, kind in ((name, kind) for name in connections for kind in ("total", "same_sign", "both_zero")):
        np.testing.assert_array_equal(run.arrays()[f"{kind}/{name}"], column(rows, kind, array=name))
    assert len(lines) == 1 + 20 + len(connections)
    for line, name in zip(lines[21:], connections, strict=True):
        for kind in ("total", "same_sign", "both_zero"):
            values = column(rows, kind, array=name)
            assert f"{kind.replace('_', ' ')} {np.mean(values):.1f} +- {np.std(values):.1f}" in line
        assert line.startswith(f"{name}: ")
    first = next(iter(connections))
    assert len(set(column(rows, "total", array=first)) | set(column(rows, "same_sign", array=first))) > 1
    other, _ = command(f"--dataset={toy} --action=recipe --T=20 --Kmax=5 --batch_size=10", words, "--results=other")
    assert other.name == folder.name and table(other) == rows


def test_signs_agree_where_ep_follows_the_gradient(toy):
    words = f"--dataset={toy} --action=recipe --size_tab 4 8 100 --no-clamp --consistent --activation-function tanh"
    rows = table(command(words, "--T=200 --Kmax=100 --beta=1e-3")[0])
    assert np.mean(column(rows, "total")) > 97
    opposite = table(command(words, "--T=200 --Kmax=100 --beta=1e-3 --nudging=random-sign")[0])
    assert np.mean(column(opposite, "total")) > 97  # beta and -beta estimate one gradient


def test_what_counts_as_agreement():
    xp.use(dtype="float64")
    n, d = np.array([1.0, -2.0, 0.0, 0.0, 3.0]), np.array([2.0, -1.0, 0.0, 1.0, -1.0])
    assert curves.sign_agreement(n, d) == pytest.approx((40, 20))


# figures


def runs_of(toy, action, *lines):
    return [
        runs.Run(command(f"--dataset={toy} --action={action} --batch_size=5 --T=30 --Kmax=6", each)[0])
        for each in lines
    ]


def shown(axis):
    return [line.get_ydata() for line in axis.get_lines()]


def described(axes):
    return all(axis.get_xlabel() and axis.get_ylabel() and axis.get_title() and axis.get_legend() for axis in axes)


def test_errors_are_drawn_as_they_were_measured(toy):
    """In per cent, a panel for each method; of two runs, curves for each, that of two seeds with its mean."""
    lines = ("--size_tab=4,8,100 --benchmark --seeds=1,2", "--size_tab=4,7,100 --discrete --epochs=3")
    found = runs_of(toy, "train", *lines)
    for some in (found[:1], found):
        axes = figures.errors(some).axes
        assert [axis.get_title() for axis in axes] == ["EP", "BPTT"] and described(axes)
        for axis, method, expected in ((axes[0], "EP", some), (axes[1], "BPTT", some[:1])):
            curves = shown(axis)
            assert len(curves) == 2 * len(expected)
            for number, run in enumerate(expected):
                rows = table(run.folder)
                for k, name in enumerate(("train_error", "test_error")):
                    seeds = sorted({row["seed"] for row in rows})
                    mean = np.mean([column(rows, name, method=method, seed=seed) for seed in seeds], axis=0)
                    np.testing.assert_allclose(np.ma.filled(curves[2 * number + k], np.nan), 100 * mean)
        looks = [(line.get_color(), line.get_linestyle()) for line in axes[0].get_lines()]
        labels = [line.get_label() for line in axes[0].get_lines()]
        assert len(set(looks)) == len(set(labels)) == 2 * len(some)
    assert labels == [
        f"{kind}, {name}" for kind in ("cont-1hidden", "disc-1hidden") for name in ("training (running)", "test")
    ]


def test_distances_are_bars(toy):
    found = runs_of(toy, "plotcurves", "--size_tab=4,8,100", "--size_tab=4,7,6,100 --discrete")
    for some in (found[:1], found):
        axis = figures.rmse(some).axes[0]
        heights = [bar.get_height() for container in axis.containers for bar in container]
        np.testing.assert_allclose(heights, [value for run in some for value in run.metrics()["rmse_mean"]])
        labels = [text.get_text() for text in axis.get_xticklabels()]
        assert axis.get_ylabel() and axis.get_title()
        residual = f"{max(value for value in some[0].metrics()['residual'] if value is not None):.1e}"
        told = axis.get_title() if len(some) == 1 else axis.get_legend().get_texts()[0].get_text()
        assert residual in told
        centres = [bar.get_x() + bar.get_width() / 2 for container in axis.containers for bar in container]
        assert len(set(np.round(centres, 6))) == len(centres)  # no bar hides another
    assert labels == ["$s^{0}$", "$s^{1}$", "$s^{2}$", "$W_{01}$", "$W_{12}$", "$W_{1x}$", "$W_{2x}$"]


def test_updates_are_drawn_step_by_step(toy):
    """BPTT solid and EP dashed in one colour; of two runs a column of panels each."""
    found = runs_of(toy, "plotcurves", "--size_tab=4,8,100", "--C_tab=3,1 --size_tab=4 --Fconv=3")
    names = (["W_01", "W_1x"], ["W^fc", "W^conv_0"])
    for some in (found[:1], found):
        neurons, synapses = figures.neurons(some).axes, figures.synapses(some).axes
        assert len(neurons) == len(synapses) == 2 * len(some)
        for number, run in enumerate(some):
            arrays = run.arrays()
            for layer in (0, 1):
                units = arrays[f"units/{layer}"]
                pairs = [arrays[f"{kind}/{layer}"].reshape(6, -1)[:, units] for kind in ("nS", "dS")]
                assert_pairs(neurons[len(some) * layer + number], *pairs)
            for place, label in enumerate(names[number]):
                n, d = (arrays[f"{kind}/{label}"] for kind in ("NT", "DT"))
                steps = [np.concatenate([0 * each[:1], each[1:] - each[:-1]]) for each in (n, d)]
                assert_pairs(synapses[len(some) * place + number], *steps)
        for axes in (neurons, synapses):
            assert all(axis.get_ylabel() and axis.get_title() and axis.get_legend() for axis in axes)
            assert all(axis.get_xlabel() for axis in axes[-len(some) :])
    assert neurons[0].get_title().startswith("cont-1hidden: ") and neurons[1].get_title().startswith("conv-1layers: ")


def assert_pairs(axis, n, d):
    lines = axis.get_lines()
    assert len(lines) == 2 * n.shape[1]
    for trace in range(n.shape[1]):
        bptt, ep = lines[2 * trace : 2 * trace + 2]
        np.testing.assert_allclose(bptt.get_ydata(), -n[:, trace])
        np.testing.assert_allclose(ep.get_ydata(), -d[:, trace])
        assert (bptt.get_linestyle(), ep.get_linestyle()) == ("-", "--") and bptt.get_color() == ep.get_color()


def test_runs_of_different_depth_have_panels_of_their_own(toy):
    found = runs_of(toy, "plotcurves", "--size_tab=4,8,100", "--size_tab=4,7,6,100")
    axes = figures.neurons(found).axes
    assert [axis.get_visible() for axis in axes] == [True, True, True, True, False, True]
    assert axes[2].get_xlabel() and axes[5].get_xlabel() and not axes[3].get_xlabel()


def test_shares_of_signs_are_stacked_bars(toy):
    found = runs_of(toy, "recipe", "--size_tab=4,8,100", "--size_tab=4,8,100 --seed=2")
    for some in (found[:1], found):
        axis = figures.signs(some).axes[0]
        bars = [container.patches for container in axis.containers]
        assert len(bars) == 2 * len(some) and described([axis])
        for number, run in enumerate(some):
            rows = table(run.folder)
            for place, label in enumerate(("W_01", "W_1x")):
                same, zero = bars[2 * number][place], bars[2 * number + 1][place]
                assert same.get_height() == pytest.approx(np.mean(column(rows, "same_sign", array=label)))
                assert zero.get_height() == pytest.approx(np.mean(column(rows, "both_zero", array=label)))
                assert zero.get_y() == pytest.approx(same.get_height())
        texts = [text.get_text() for text in axis.get_legend().get_texts()]
        assert len(set(texts)) == 2 * len(some)
    ends = [run.folder.name.rpartition("-")[2] for run in found]
    assert texts[0] == f"cont-1hidden ({ends[0]}), same sign" and ends[1] in texts[2]
