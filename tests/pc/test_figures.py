"""The figures by the data they draw, from the files of one run and of two."""

import pathlib

import command_lines
import numpy as np
import pytest
from numpy.testing import assert_allclose

from plastic import runs
from plastic.errors import PlasticError
from plastic.pc.__main__ import COMMANDS
from plastic.pc.experiments import best_rate, figures

GRID = "--seeds=3,5 --rates=0.05,0.01 --T=4 --dataset={data} --dtype=float64"
LINES = {
    "depth": f"depth --depths=1,3 --epochs=3 --per_class=11 {GRID}",
    "online": f"online --batch_sizes=1,7 --batches=3 --epochs=3 {GRID}",
    "smalldata": f"smalldata --per_class=3,6 --epochs=3 {GRID}",
    "forgetting": f"forgetting --iterations=5 --per_class=6 {GRID}",
    "drift": f"drift --iterations=5 --per_class=3 --test_per_class=2 --pretraining_epochs=1 {GRID}",
    "interference": "interference --grid=quick --iterations=5 --T=6",
    "alignment": "alignment --depths=1,3 --width=4 --T=6 --seeds=3,4 --tp",
    "prospective_index": "prospective_index --layers=3 --width=4 --T=6 --seeds=3,4",
    "trajectory": "trajectory --iterations=3 --small_iterations=2 --T=6",
    "teacher": "teacher --rates=0.01,0.1 --iterations=2 --points=8 --T=6 --seeds=3,4",
    "alignment_over": "alignment_over --values=3,5 --activations=linear,tanh --layers=3 --T=6 --seeds=3,4",
    "machine": "machine --steps=6",
    "consistency": "consistency --rates=0.1,0.01 --samples=2 --iterations=3 --T=6 --seeds=3,4",
    "erratic": "erratic --grid=quick --iterations=3 --T=6 --steps_gr=5 --steps_ap=5 --width=4 --seeds=3,4",
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PLASTIC_RESULTS", "PLASTIC_DEVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A function of the name of an experiment: two of its runs, the second at another T, made once."""
    folder, made = tmp_path_factory.mktemp("runs"), {}
    data = command_lines.clusters(folder, shape=(9,), samples=(120, 60))

    def of(name):
        if name not in made:
            line = LINES[name].format(data=data)
            lines = [line, line.replace("--T=", "--T=1").replace("--steps=", "--rate=0.5 --steps=")]
            made[name] = [one_run(line, folder) for line in lines]
        return made[name]

    return of


def one_run(line, folder):
    words = [*line.split(), "--no_plot", f"--results={folder}"]
    return runs.Run(pathlib.Path(command_lines.printed(COMMANDS, words, "plastic.pc")[-1].removeprefix("run folder ")))


def curves(axis):
    """{label: (x, y)} of the lines with a label, means of error bars too."""
    found = {line.get_label(): line.get_xydata().T for line in axis.get_lines() if line.get_label()[0] != "_"}
    for bars in axis.containers:
        found[bars.get_label()] = bars.lines[0].get_xydata().T
    return found


BY_RATE = ("interference", "interference_first", "depth_curves", "teacher_curves", "machine")
"""Figures in which colours are those of rates or units, and not of rules."""
FIGURES = {name: COMMANDS[name].experiment.draw for name in LINES}


@pytest.mark.parametrize(("name", "figure"), [(name, figure) for name in LINES for figure in FIGURES[name]])
def test_every_axis_says_what_it_shows(name, figure, pair):
    for some in (pair(name)[:1], pair(name)):
        fig = FIGURES[name][figure](some)
        axes = [axis for axis in fig.axes if axis.get_label() != "<colorbar>"]
        assert figure == "confusion" or any(axis.get_legend() for axis in axes)
        for axis in axes:
            shared = name == "prospective_index" or figure.endswith(("_curves", "_split", "_over")) or name == "machine"
            assert (axis.get_xlabel() and axis.get_ylabel()) or shared
            assert axis.get_title() or name == "trajectory"
            if axis.get_xlabel() in ("epoch", "iteration") and name in ("depth", "online", "smalldata", "forgetting"):
                assert all(tick == round(tick) for tick in axis.get_xticks())
            if "test error" in axis.get_ylabel():  # of fractions, which the ticks show in per cent
                assert "test error (%)" in axis.get_ylabel()
                assert axis.yaxis.get_major_formatter().format_pct(0.25, 0.5) == "25"
        if len(some) == 2 and figure not in (*BY_RATE, "confusion"):
            first, *_ = [axis for axis in axes if axis.get_legend()]
            labels = [text.get_text() for text in first.get_legend().get_texts()]
            assert len(set(labels)) == len(labels) >= 4
            assert sum(label.startswith(("paper (", "quick (")) for label in labels) >= 4


@pytest.mark.parametrize(
    ("name", "column", "summaries"),
    [("depth", "depth", ("mean",)), ("online", "batch_size", ("mean", "min")), ("smalldata", "per_class", ("min",))],
)
def test_grids_show_the_best_rate_and_its_curves(name, column, summaries, pair):
    run = pair(name)[0]
    metrics = run.metrics()
    values = sorted(set(metrics[column]))
    *summed, by_rate, learning = getattr(figures, name)([run]).axes
    place = values[-1] if name == "depth" else values[0]
    for rule, label in (("pc", "predictive coding"), ("bp", "backpropagation")):
        rates, errors = best_rate.curves(metrics, "test_error", rule=rule, **{column: place})
        x, y = curves(by_rate)[label]
        assert_allclose(x, rates)
        reduced = errors[..., 1:].mean(axis=-1) if summaries[-1] == "mean" else errors[..., 1:].min(axis=-1)
        assert_allclose(y, reduced.mean(axis=-1))
    for axis, summary in zip(summed, summaries, strict=True):
        for rule, label in (("pc", "predictive coding"), ("bp", "backpropagation")):
            x, y = curves(axis)[label]
            chosen = [best_rate.best(metrics, summary, rule=rule, **{column: value}) for value in values]
            assert_allclose(x, values)
            assert_allclose(y, [each["values"].mean() for each in chosen])
        named = [float(each.get_text()) for each in axis.texts]
        assert set(named) <= {0.05, 0.01} and len(named) == 2 * len(values)
    shown = curves(learning)
    assert len(shown) == 4
    for rule in ("pc", "bp"):
        for value in values:
            rate = best_rate.best(metrics, summaries[0], rule=rule, **{column: value})["rate"]
            rows = [
                k
                for k in range(len(metrics["rule"]))
                if (metrics["rule"][k], metrics[column][k], metrics["rate"][k]) == (rule, value, rate)
            ]
            expected = [np.mean([metrics["test_error"][k] for k in rows if metrics["epoch"][k] == e]) for e in range(4)]
            _, y = shown[f"{rule.upper()}, {column.replace('_', ' ')} {value}"]
            assert_allclose(y, expected)


@pytest.mark.parametrize(
    ("name", "columns"), [("forgetting", ("task0_error", "task1_error")), ("drift", ("test_error",))]
)
def test_changing_worlds_show_all_rates_and_the_best_over_time(name, columns, pair):
    run = pair(name)[0]
    metrics = run.metrics()
    first, *rest = getattr(figures, name)([run]).axes
    for rule, label in (("pc", "predictive coding"), ("bp", "backpropagation")):
        rates, values = best_rate.curves(metrics, "test_error", rule=rule)
        x, y = curves(first)[label]
        assert_allclose(x, rates)
        assert_allclose(y, values.mean(axis=(1, 2)))
        chosen = best_rate.best(metrics, "mean", rule=rule)["rate"]
        for axis, column in zip(rest, columns, strict=True):
            _, errors = best_rate.curves(metrics, column, rule=rule)
            _, y = curves(axis)[f"{label}, rate {chosen:g}"]
            assert_allclose(y, errors[list(rates).index(chosen)].mean(axis=0))


def test_depth_shows_the_curves_of_all_rates(pair):
    run = pair("depth")[0]
    for axis, (rule, label) in zip(
        figures.depth_curves([run]).axes, (("pc", "predictive coding"), ("bp", "backpropagation")), strict=True
    ):
        assert axis.get_title() == f"{label}, 3 layers" and axis.get_xlabel() == "epoch"
        rates, values = best_rate.curves(run.metrics(), "test_error", rule=rule, depth=3)
        shown = curves(axis)
        assert len(shown) == 2
        for rate, each in zip(rates, values, strict=True):
            assert_allclose(shown[f"$\\eta$ = {rate:g}"][1], each.mean(axis=0))


def test_forgetting_shows_the_task_just_learned_and_the_other(pair):
    run = pair("forgetting")[0]
    metrics = run.metrics()
    axes = figures.forgetting_split([run]).axes
    for rule, label in (("pc", "predictive coding"), ("bp", "backpropagation")):
        rates, first = best_rate.curves(metrics, "task0_error", rule=rule)
        _, second = best_rate.curves(metrics, "task1_error", rule=rule)
        learned = np.concatenate(
            [first[..., 1:5], second[..., 5:]], axis=-1
        )  # four iterations of one, one of the other
        other = np.concatenate([second[..., 1:5], first[..., 5:]], axis=-1)
        for axis, expected in zip(axes, (learned, other), strict=True):
            assert_allclose(curves(axis)[label], [rates, expected.mean(axis=(1, 2))])


def test_runs_of_different_tasks_are_drawn_apart(pair, tmp_path):
    run = pair("depth")[0]
    line = LINES["depth"].format(data=run.option("dataset")) + " --task=regression"
    other = one_run(line, tmp_path)
    assert "half the squared error" in figures.depth([other]).axes[0].get_ylabel()
    with pytest.raises(PlasticError, match="draw them apart"):
        figures.depth([run, other])


def test_interference_shows_the_paths_of_both_outputs(pair):
    run = pair("interference")[0]
    arrays = run.arrays()
    left, right = figures.interference([run]).axes
    for rule, label in (("pc", "PC"), ("bp", "BP")):
        assert_allclose(np.array(curves(left)[label]).T, arrays[f"outputs/{rule}"][0, :25])
    for k, rate in enumerate(arrays["rates"]):
        assert_allclose(np.array(curves(right)[f"$\\eta$ = {rate:g}"]).T, arrays["outputs/pc"][k])


def test_alignment_shows_means_over_the_seeds_and_their_angles(pair):
    run = pair("alignment")[0]
    left, right = figures.alignment([run]).axes
    assert left.get_title() == "linear, xavier-uniform, T = 6"
    for rule in ("pc", "bp", "tp"):
        values = run.arrays()[f"alignment/{rule}"]
        assert_allclose(curves(left)[rule.upper()], [[1, 3], values.mean(axis=0)])
        assert_allclose(curves(right)[rule.upper()][1], np.degrees(np.arccos(np.clip(values, -1, 1))).mean(axis=0))


def test_the_prospective_index_has_a_panel_for_each_study(pair):
    run = pair("prospective_index")[0]
    axes = figures.prospective_index([run]).axes
    assert [axis.get_title() for axis in axes] == ["linear", "sigmoid", "states held, linear"]
    arrays = run.arrays()
    for axis, kind in zip(axes, ("linear", "sigmoid"), strict=False):
        for rate in ("0.1", "0.001"):
            assert_allclose(curves(axis)[f"$\\eta$ = {rate}"][1], arrays[f"base/{kind}/{rate}"].mean(axis=0))
    assert_allclose(curves(axes[2])["one update (w')"][1], arrays["layered/w'"].mean(axis=0))
    assert_allclose(curves(axes[2])["100 updates (w*)"][1], arrays["layered/w*"].mean(axis=0))


def test_trajectories_are_the_paths_of_the_arrays(pair):
    run = pair("trajectory")[0]
    axes = np.reshape(figures.trajectory([run]).axes, (2, 2))
    for row, kind in zip(axes, ("w", "outputs"), strict=True):
        for axis, rates in zip(row, ("matched", "small"), strict=True):
            for rule in ("pc", "bp"):
                assert_allclose(np.array(curves(axis)[rule.upper()]).T, run.arrays()[f"{kind}/{rule}/{rates}"])
    assert axes[0, 0].get_title().endswith("PC 1.4, BP 0.4") and axes[0, 1].get_title().endswith("0.05")


def test_the_teacher_s_students_by_rate_and_over_time(pair):
    run = pair("teacher")[0]
    left, right = figures.teacher([run]).axes
    for rule in ("pc", "bp"):
        loss = run.arrays()[f"loss/{rule}"]
        least = loss.min(axis=-1).mean(axis=0)
        assert_allclose(curves(left)[rule.upper()], [[0.01, 0.1], least])
        best = int(np.argmin(least))
        label = f"{rule.upper()}, $\\eta$ = {(0.01, 0.1)[best]:g}"
        assert_allclose(curves(right)[label], [[1, 2], loss[:, best].mean(axis=0)])


def test_erratic_paths_against_distances(pair):
    run = pair("erratic")[0]
    arrays, labels = run.arrays(), {"pc": "PC", "bp": "BP", "gr": "GeneRec", "ap": "Almeida-Pineda"}
    left, right = figures.erratic([run]).axes
    for rule, label in labels.items():
        found = curves(left if rule in ("pc", "bp") else right)[label]
        assert_allclose(found, [arrays[f"{name}/{rule}"].mean(axis=0) for name in ("distance", "path")])


def test_first_steps_are_on_the_map(pair):
    run = pair("interference")[0]
    arrays = run.arrays()
    left, right, *_ = figures.interference_first([run]).axes
    for rule, label in (("pc", "PC"), ("bp", "BP")):
        assert_allclose(np.array(curves(left)[f"{label}, $\\eta$ = 0.2"]).T, arrays[f"outputs/{rule}"][0])
        found = np.array(curves(right)[label]).T
        assert_allclose(found[0], [1, 1])
        assert_allclose(found[1:], arrays[f"first/{rule}"][np.argsort(arrays["first_rates"])])
    (image,) = right.get_images()
    assert_allclose(image.get_array().min(), 0, atol=1e-3)


def test_alignments_stand_side_by_side_by_activation(pair):
    run = pair("alignment_over")[0]
    axes = np.reshape(figures.alignment_over([run]).axes, (2, 2))
    for column, activation in zip(axes.T, ("linear", "tanh"), strict=True):
        for axis, which in zip(column, (0, 1), strict=True):
            assert axis.get_title().startswith(activation)
            for rule in ("pc", "bp"):
                expected = run.arrays()[f"{rule}/{activation}/xavier-uniform"][which].mean(axis=0)
                assert_allclose(curves(axis)[f"{rule.upper()}, xavier-uniform"], [[3, 5], expected])


def test_rules_have_the_looks_that_they_have_everywhere(pair):
    looks = []
    for name in ("alignment_over", "alignment"):
        lines = getattr(figures, name)([pair(name)[0]]).axes[0].get_lines()
        names = {line: line.get_label().split(",")[0] for line in lines}
        looks.append({name: line.get_color() for line, name in names.items() if name in ("PC", "BP")})
    assert len(looks[0]) == 2 and looks[0] == looks[1]


def test_a_legend_among_curves_everywhere_lies_beside_the_last_axis(pair):
    fig = figures.teacher_curves([pair("teacher")[0]])
    fig.draw_without_rendering()
    legends = [axis for axis in fig.axes[:2] if axis.get_legend()]
    assert legends == [fig.axes[1]]
    assert legends[0].get_legend().get_window_extent().x0 > legends[0].get_window_extent().x1 - 1


def test_the_curves_of_students_at_all_rates(pair):
    run = pair("teacher")[0]
    for axis, rule in zip(figures.teacher_curves([run]).axes, ("pc", "bp"), strict=True):
        loss = run.arrays()[f"loss/{rule}"]
        for k, rate in enumerate((0.01, 0.1)):
            assert_allclose(curves(axis)[f"$\\eta$ = {rate:g}"][1], loss[:, k].mean(axis=0))


@pytest.mark.parametrize("name", ["erratic", "consistency"])
def test_directions_are_shown_by_rate(name, pair):
    run = pair(name)[0]
    arrays = run.arrays()
    for axis, measure in zip(figures.directions([run]).axes, ("ratio", "step_cosine", "way_cosine"), strict=True):
        x, y = curves(axis)["PC"]
        order = np.argsort(arrays["rates/pc"])
        assert_allclose([x, y], [arrays["rates/pc"][order], arrays[f"{measure}/pc"].mean(axis=0)[order]])


def test_a_path_of_weights_is_not_drawn_on_the_levels_of_others(pair, tmp_path):
    run = one_run("trajectory --iterations=3 --small_iterations=2 --T=6 --learn_last", tmp_path)
    fig = figures.trajectory([run])
    assert [axis.get_xlabel() for axis in fig.axes] == ["output 1"] * 2 and "v learns" in fig.axes[0].get_title()


def test_the_machine_is_drawn_as_it_is(pair):
    arrays = pair("machine")[0].arrays()
    top, bottom = figures.machine(pair("machine")[:1]).axes
    assert_allclose(curves(top)["hidden 2"][1], arrays["states"][:, 2])
    assert_allclose(bottom.get_lines()[0].get_ydata(), arrays["energy"])


def test_an_unfinished_run_says_how_to_go_on(pair):
    run = pair("depth")[0]
    rows = run.metrics()
    keep = [k for k in range(len(rows["rule"])) if (rows["rule"][k], rows["depth"][k]) != ("bp", 3)]
    run.metrics = lambda: {name: [column[k] for k in keep] for name, column in rows.items()}
    with pytest.raises(PlasticError, match="no rows of rule bp, depth 3: the run is not finished"):
        figures.depth([run])
    del run.metrics


def test_runs_are_told_apart_by_what_they_differ_in(pair):
    """The machine by its rate, worlds by their names, trajectories by whether both layers learn."""
    titles = [axis.get_title() for axis in figures.machine(pair("machine")).axes]
    assert any(title.startswith("rate ") for title in titles) and not any("$" in title for title in titles)
    first, second = pair("trajectory")
    second.options["learn_last"] = True
    title = figures.trajectory([first, second]).axes[0].get_title()
    assert [line.split(":")[0] for line in title.splitlines()] == ["equal first steps", "v learns, too"]
