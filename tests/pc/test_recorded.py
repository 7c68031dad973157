"""The tables of results against the recorded runs: what they say is what metrics.csv has."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from plastic import check, xp
from plastic.bootstrap import interval
from plastic.pc import equilibrium, predict
from plastic.pc.experiments import fear, pairs, reversal
from plastic.pc.experiments.chosen import gradients
from plastic.runs import metrics

RESULTS = Path(__file__).parents[2] / "results"
TEXT = (RESULTS / "tables" / "pc.md").read_text(encoding="utf-8")


def rows(name):
    with (RESULTS / "metrics" / f"pc_{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mean(name, column, **where):
    """The mean of a column over the rows with these values."""
    found = [float(row[column]) for row in rows(name) if all(row[key] == value for key, value in where.items())]
    return np.mean(found)


def line(start):
    """The line of the first table that begins so."""
    return next(each for each in TEXT.splitlines() if each.startswith(f"| {start}"))


def shown(value, digits=3):
    """A number as the tables have it, .932 for 0.932."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{round(value, digits) + 0.0:.{digits}f}")


def test_interference():
    dips = {
        rule: [shown(mean("interference", "dip", rule=rule, rate=rate)) for rate in ("0.2", "0.005")]
        for rule in ("pc", "bp")
    }
    (pc, small_pc), (bp, small_bp) = dips["pc"], dips["bp"]
    assert f"falls to {pc} with PC and {bp} with BP at rate .2" in line("`interference`")
    assert f"to {small_pc} and {small_bp} at small rates" in line("`interference`")


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_alignment(rule):
    depths = ("2", "5", "10", "15", "20", "25")
    means = ", ".join(shown(mean("alignment", "target_alignment", rule=rule, depth=depth)) for depth in depths)
    assert f"{rule.upper()} {means}" in line("`alignment`")


def test_alignment_of_128_steps():
    text = line("`alignment --T=128")
    deep = [shown(mean("alignment_T128", "target_alignment", rule=rule, depth="15")) for rule in ("pc", "bp")]
    assert "at 15 layers PC {}, BP {}".format(*deep) in text
    shallow = [
        float(row["target_alignment"])
        for row in rows("alignment_T128")
        if row["rule"] == "tp" and int(row["depth"]) <= 6
    ]
    assert min(shallow) > 0.9995 and "1 up to 6 layers" in text
    for rule, low, high in (("pc", ".73", ".84"), ("bp", ".50", ".57")):
        depths = {row["depth"] for row in rows("alignment_T128_tanh") if int(row["depth"]) >= 6}
        each = [mean("alignment_T128_tanh", "target_alignment", rule=rule, depth=depth) for depth in depths]
        assert (shown(min(each), 2), shown(max(each), 2)) == (low, high)
        assert f"{rule.upper()} {low} to {high}" in line("the same with `--activation=tanh`")
    assert min(float(row["target_alignment"]) for row in rows("alignment_T128_orthogonal")) > 0.9995


def test_the_prospective_index():
    text = line("`prospective_index`")
    for rate in ("0.001", "0.1"):
        layers = [
            mean(
                "prospective_index", "prospective_index", study="base", activation="linear", rate=rate, layer=str(layer)
            )
            for layer in range(1, 7)
        ]
        assert shown(min(layers[:-1])) in text and shown(layers[-1]) in text
    layered = [
        mean("prospective_index", "prospective_index", study="layered", update="w'", layer=str(k)) for k in range(1, 6)
    ]
    assert f"w' at least {shown(min(layered))}" in text


def test_the_trajectory():
    found = {row["rule"]: row for row in rows("trajectory") if row["kind"] == "matched"}
    assert f"overshoots to {float(found['bp']['out2_largest']):.2f}" in line("`trajectory`")
    ratios = {rule: float(row["path_length"]) / float(row["displacement"]) for rule, row in found.items()}
    assert f"{ratios['bp']:.1f} times its span" in line("`trajectory`")
    assert f"PC's to {float(found['pc']['out2_largest']):.2f}, {ratios['pc']:.2f} times" in line("`trajectory`")


def test_the_teacher():
    least = {
        rule: min(
            mean("teacher", "loss_min", rule=rule, rate=rate) for rate in {row["rate"] for row in rows("teacher")}
        )
        for rule in ("pc", "bp")
    }
    assert f"PC {least['pc']:.2f}, BP {shown(least['bp'], 2)}" in line("`teacher`")


def test_erratic():
    """PC and BP where each covers the least distance; GeneRec and Almeida-Pineda at the middle of what both cover."""
    found = {}
    for row in rows("erratic_by_rate"):
        found.setdefault(row["rule"], []).append((float(row["displacement"]), float(row["path_length"])))
    means = {rule: np.array(sorted(each)).T for rule, each in found.items()}
    (near, short), (far, long) = (means[rule][:, 0] for rule in ("pc", "bp"))
    assert f"path {short:.2f} at distance {near:.2f} with PC, {long:.2f} at {far:.2f} with BP" in line("`erratic`")
    low, high = max(means[rule][0, 0] for rule in ("gr", "ap")), min(means[rule][0, -1] for rule in ("gr", "ap"))
    paths = [np.interp((low + high) / 2, *means[rule]) for rule in ("gr", "ap")]
    middle = shown((low + high) / 2, 2)
    assert f"at distance {middle} GeneRec {paths[0]:.3f}, Almeida-Pineda {paths[1]:.3f}" in line("`erratic`")


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_fear(rule):
    _, fears, k, b, sse = fear.best(metrics.read(RESULTS / "metrics" / "pc_fear.csv"), rule)
    fitted = ", ".join(
        f"{group} {each:.1f}" for group, each in zip(fear.GROUPS, k * fears.mean(axis=0) + b, strict=True)
    )
    assert any(f"{rule.upper()} | {fitted} %" in each and f"| {sse:.3g} |" in each for each in TEXT.splitlines())


@pytest.mark.parametrize("rule", ["pc", "bp"])
@pytest.mark.parametrize("seeds", ["", "_400_seeds"])
def test_reversal(rule, seeds):
    _, found, k, b, sse = reversal.best(metrics.read(RESULTS / "metrics" / f"pc_reversal{seeds}.csv"), rule)
    values = np.nanmean(found, axis=0) * k + b
    assert any(
        each.startswith("|") and f"| {shown(sse)} |" in each and all(shown(v, 2) in each for v in values)
        for each in TEXT.splitlines()
    )


# images: each rate and seed, by what its epochs came to


def by_rate(name, column, **where):
    """{rate: values of the seeds} of a column, in the rows with these values."""
    found = {}
    for row in rows(name):
        if all(row[key] == value for key, value in where.items()):
            found.setdefault(float(row["rate"]), []).append(float(row[column]))
    return found


def at_best(name, column, **where):
    """The least mean over the seeds of a column, and its rate."""
    means = {rate: np.mean(values) for rate, values in by_rate(name, column, **where).items()}
    rate = min(means, key=means.get)
    return shown(means[rate]), np.format_float_positional(rate, trim="-").removeprefix("0")


def table_rows(start):
    """The cells of the rows of a table, from the one that begins so; an empty first cell is that of the row before."""
    lines = TEXT.splitlines()
    first = next(place for place, each in enumerate(lines) if each.startswith(f"| {start}"))
    found = itertools.takewhile(lambda each: each.startswith("|"), lines[first:])
    return [[cell.strip() for cell in each.strip("|").split("|")] for each in found]


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_depth(rule):
    best = [at_best("depth_by_rate", "mean_test_error", rule=rule, depth=depth) for depth in ("2", "6", "15")]
    _, _, said, *_ = next(row for row in table_rows("`depth --depths") if row[1].startswith(rule.upper()))
    assert said.startswith(", ".join(error for error, _ in best) + " (")
    for _, rate in best:
        assert rate in said.replace("5e-4", ".0005").partition("rates")[2]


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_drift_from_the_published_weights(rule):
    for rate, *cells in table_rows(".1 |"):
        where = {"rule": rule, "rate": f"0{rate}"}
        means = np.array([float(row["mean_test_error"]) for row in rows("drift_published") if fits(row, where)])
        last = [float(row["mean_of_last_300"]) for row in rows("drift_published") if fits(row, where)]
        text = f"{shown(means.mean())} ({shown(means.min())} to {shown(means.max())})"
        assert [text, shown(np.mean(last))] == (cells[:2] if rule == "pc" else cells[2:]), rate


def fits(row, where):
    return all(row[key] == value for key, value in where.items())


@pytest.mark.parametrize(("name", "dataset"), [("Fashion-MNIST", "FMNIST"), ("CIFAR-10", "CIFAR-10-JPEG")])
def test_convolutional_networks(name, dataset):
    """The rows of a data set, whose name stands in the first; two seeds in one cell where there are two."""
    table = table_rows("images | after batches")[2:]
    names = [row[0] for row in table]
    first = names.index(name)
    own = [
        row
        for place, row in enumerate(table)
        if place == first or (place > first and not any(names[first + 1 : place + 1]))
    ]
    assert len(own) >= 3
    for _, batches, *cells in own:
        after = batches.partition(" ")[0]
        for rule, cell in zip(("ipc", "repeated_bp", "bp_published"), cells, strict=True):
            where = {"dataset": dataset, "rule": rule, "batches": after}
            found = [float(row["test_error"]) for row in rows("cnn") if fits(row, where)]
            said = [float(each) for each in cell.split(", ") if each]
            assert not said or said == pytest.approx(found, abs=5.1e-4), (batches, rule)


@pytest.mark.parametrize("rule", ["pc", "bp"])
def test_coin(rule):
    """The configuration that the table says is chosen: its fit, its squared error, and that none has a lesser one."""
    (_, _, said, error, chosen), *_ = [row for row in table_rows("`coin` (24") if row[1] == rule.upper()]
    options = [float(each) for each in re.findall(r"[\d.][\d.e-]*", chosen.partition("(")[0].replace("rates", ""))]
    every = [row for row in rows("coin_by_configuration") if row["rule"] == rule and row["k"] != "nan"]
    (best,) = [row for row in every if [float(row[key]) for key in ("spread", "rate", "memory_rate")] == options]
    k, least = float(best["k"]), min(float(row["squared_error"]) for row in every)
    assert said == ", ".join(f"{group} {shown(k * float(best[f'mean {group}']))}" for group in ("1+", "2+", "1-", "2-"))
    assert float(best["squared_error"]) == pytest.approx(least, rel=1e-3)
    assert float(error.split()[0]) == pytest.approx(least, rel=0.05)


HALVES = {
    "mean": ("mean_test_error", "mean_of_first_half", "mean_of_second_half"),
    "least": ("least_test_error", "least_of_first_half", "second_half_at_least_of_first"),
}


def with_half(name, summary, **where):
    """The least mean of a summary, with its rate, and that of the second half at the rate chosen by the first."""
    whole, chosen_by, reported = (by_rate(name, column, **where) for column in HALVES[summary])
    rate = min(chosen_by, key=lambda rate: np.mean(chosen_by[rate]))
    error, best = at_best(name, HALVES[summary][0], **where)
    assert len(set(map(len, whole.values()))) == 1
    return f"{error} ({shown(np.mean(reported[rate]))}), rate {best}"


@pytest.mark.parametrize("rule", ["pc", "bp"])
@pytest.mark.parametrize(("row", "size"), [("single samples", "1"), ("batches of 64", "64")])
def test_online(rule, row, size):
    table = table_rows(f"`online --grid=quick`, {row}")
    said = next(cells[2] for cells in table if cells[1] == rule.upper())
    where = {"rule": rule, "batch_size": size}
    assert said == "; ".join(f"{each} {with_half('online_by_rate', each, **where)}" for each in ("mean", "least"))


@pytest.mark.parametrize("rule", ["pc", "bp"])
@pytest.mark.parametrize(
    ("row", "count"), [("`smalldata --per_class", "60"), ("300 images", "300"), ("600 images", "600")]
)
def test_little_data(rule, row, count):
    said = next(cells[2] for cells in table_rows(row) if cells[1] == rule.upper())
    assert said == with_half("smalldata_by_rate", "least", rule=rule, per_class=count)


def test_three_seeds_of_two_tasks_in_turn():
    found = [with_half("forgetting_by_rate", "mean", rule=rule).replace(".0005", "5e-4") for rule in ("pc", "bp")]
    pc, bp = (each.replace(".00075", "7.5e-4") for each in found)
    assert f"PC {pc}, BP {bp}." in " ".join(TEXT.split())


def test_the_teacher_with_sixty_seeds():
    """How much less the loss of BP is, by rate, with its standard error."""
    losses = {rule: by_rate("teacher_60_seeds", "loss_min", rule=rule) for rule in ("pc", "bp")}
    less = {rate: np.subtract(losses["pc"][rate], losses["bp"][rate]) for rate in losses["pc"]}
    said = {rate: (shown(each.mean(), 2), shown(each.std(ddof=1) / len(each) ** 0.5, 2)) for rate, each in less.items()}
    (low, low_error), (high, high_error) = said[min(said)], said[max(said)]
    assert all(len(each) == 60 for each in less.values())
    assert min(said.values())[0] == low and max(said.values())[0] == high
    words = " ".join(TEXT.split())
    assert (
        f"by {low} (standard error {low_error}) at the smallest rate to {high} ({high_error}) at the largest" in words
    )


def test_erratic_and_clean():
    means = {
        rule: np.array([[float(row[key]) for key in ("displacement", "path_length")] for row in found]).T
        for rule in ("gr", "ap")
        if (found := [row for row in rows("erratic_clean_by_rate") if row["rule"] == rule])
    }
    low, high = max(means[rule][0, 0] for rule in means), min(means[rule][0, -1] for rule in means)
    paths = [shown(np.interp((low + high) / 2, *means[rule])) for rule in ("gr", "ap")]
    said = (
        f"at a distance of {shown((low + high) / 2, 2)} the path is {paths[0]} with GeneRec and {paths[1]} with Almeida"
    )
    assert said in " ".join(TEXT.split())


def test_the_reasons_of_reversal():
    """What the table says of the weights while the first option is always punished: deterministic, and quick."""
    path = reversal.reasons(gradients("pc", reversal.INFERENCE))[0, -1]
    assert f"(W_1 to {shown(path[0])}, W_2 to {path[1]:.2f})" in " ".join(TEXT.split())


@pytest.mark.parametrize(("rule", "first"), [("pc", 2), ("bp", 5)])
@pytest.mark.parametrize("rate", ["0.005", "0.001", "0.0005", "0.0001"])
def test_cartpole(rule, first, rate):
    """After 2,000 and 10,000 episodes, with the range of the seeds, and over the curve."""
    found = [row for row in rows("rl_CartPole-v1") if (row["rule"], row["rate"]) == (rule, rate) and row["step"] != "0"]
    returns = {step: [float(row["mean_return"]) for row in found if row["step"] == step] for step in ("2000", "10000")}
    over = np.mean([float(row["mean_return"]) for row in found])
    name = {"0.005": ".005", "0.001": ".001", "0.0005": "5e-4", "0.0001": "1e-4"}[rate]
    table = TEXT.partition("## Reinforcement learning")[2].splitlines()
    told = next(each for each in table if each.startswith(f"| {name} | ")).replace("*", "")
    cells = [each.strip() for each in told.split("|")][first : first + 3]
    if np.isnan(over):
        assert sum(map(np.isnan, returns["2000"])) == 2
        assert cells == ["two of three diverged", "", ""]
        return
    last = returns["10000"]
    assert cells == [
        f"{np.mean(returns['2000']):.0f}",
        f"{np.mean(last):.0f} ({min(last):.0f} to {max(last):.0f})",
        f"{over:.0f}",
    ]


@pytest.mark.parametrize(("rule", "first"), [("pc", 2), ("bp", 4)])
@pytest.mark.parametrize("rate", ["0.05", "0.01", "0.005", "0.001", "0.0005", "0.0001"])
def test_acrobot(rule, first, rate):
    """After 2,000 episodes, with the range of the seeds, and over the curve."""
    found = [row for row in rows("rl_Acrobot-v1") if (row["rule"], row["rate"]) == (rule, rate) and row["step"] != "0"]
    last = [float(row["mean_return"]) for row in found if row["step"] == "2000"]
    name = {"0.0005": "5e-4", "0.0001": "1e-4"}.get(rate, rate.removeprefix("0"))
    table = TEXT.partition("`rl --env=Acrobot-v1")[2].splitlines()
    told = next(each for each in table if each.startswith(f"| {name} | ")).replace("*", "")
    cells = [each.strip() for each in told.split("|")][first : first + 2]
    if np.isnan(last).any():
        assert np.isnan(last).sum() == 1 and cells == ["one of three diverged", ""]
        return
    over = np.mean([float(row["mean_return"]) for row in found])
    assert cells == [f"{np.mean(last):.0f} ({min(last):.0f} to {max(last):.0f})", f"{over:.0f}"]


def test_mountain_car():
    last = {}
    for row in rows("rl_MountainCar-v0"):
        if row["step"] == "2000":
            last.setdefault((row["rule"].upper(), row["rate"]), []).append(float(row["mean_return"]))
    best = sorted(((value, *key) for key, values in last.items() for value in values if value == value), reverse=True)
    assert sum(map(len, last.values())) == 36
    told = [
        f"{value:.1f} ({rule}, {rate.replace('0.0005', '5e-4').removeprefix('0')})" for value, rule, rate in best[:3]
    ]
    assert f"are {told[0]}, {told[1]} and {told[2]}." in TEXT


def seed_by_seed(name, rule, rate):
    """The mean errors of a run of drift, by seed."""
    found = {int(row["seed"]): float(row["mean_test_error"]) for row in rows(name) if fits(row, {"rule": rule})
             and float(row["rate"]) == rate}  # fmt: skip
    return np.array([found[seed] for seed in sorted(found)])


def test_drift_from_both_starts():
    """Mean, interval and median of ten seeds."""
    for rate, *cells in table_rows("rate | PC, own start")[2:]:
        for cell, (name, rule) in zip(cells, itertools.product(("own", "published"), ("pc", "bp")), strict=True):
            values = seed_by_seed(f"drift_{name}", rule, float(rate))
            middle, low, high = map(shown, interval(values))
            assert len(values) == 10 and cell == f"{middle} ({low} to {high}), {shown(np.median(values))}", rate


def test_drift_seed_by_seed():
    words = " ".join(TEXT.split())
    less = {
        rate: seed_by_seed("drift_own", "bp", rate) - seed_by_seed("drift_own", "pc", rate)
        for rate in (0.05, 0.01, 0.005, 0.001)
    }
    said = {rate: [shown(each) for each in interval(values)] for rate, values in less.items()}
    (mean, low, high), ahead = said[0.01], np.sum(less[0.01] > 0)
    assert ahead == 7 and f"is {mean} at the rate .01 (68 % interval {low} to {high}; 7 of ten above 0)" in words
    assert "{} at .005 ({} to {})".format(*said[0.005]) in words
    assert "{} at .05, the best rate of both ({} to {})".format(*said[0.05]) in words
    assert "{} at .001 ({} to {})".format(*said[0.001]) in words
    before = [float(row["error_before"]) for row in rows("drift_own")]
    assert f"their errors go from {shown(min(before))} to {shown(max(before))}" in words


def test_what_the_lists_say_of_alignment_and_of_the_prospective_index():
    deep = [float(row["target_alignment"]) for row in rows("alignment") if fits(row, {"rule": "bp", "depth": "25"})]
    assert f"Single values of BP go from {shown(min(deep), 2)} to {shown(max(deep), 2)};" in TEXT
    tp = [mean("alignment_T128", "target_alignment", rule="tp", depth=str(k)) for k in (8, 10, 12, 14, 15)]
    assert f"then from {min(tp):.0f} to {shown(max(tp), 2)}" in line("`alignment --T=128")
    text, layers = line("`prospective_index`"), range(1, 6)
    sigmoid = [
        mean("prospective_index", "prospective_index", activation="sigmoid", rate=rate, layer=str(k))
        for rate in ("0.1", "0.001")
        for k in layers
    ]
    held = [mean("prospective_index", "prospective_index", update="w*", layer=str(k)) for k in layers]
    assert f"sigmoid at least {shown(min(sigmoid))}" in text and f"w* {min(held):.3f}" in text


def test_what_the_lists_say_of_cartpole_and_of_motor_learning():
    words = " ".join(TEXT.split())
    for rule, rate, said in (("pc", "0.005", "of {} (seeds {}, {}, {})"), ("bp", "0.0005", "of {} ({}, {}, {})")):
        late = [row for row in rows("rl_CartPole-v1") if fits(row, {"rule": rule, "rate": rate})]
        late = [row for row in late if int(row["step"]) > 6000]
        each = [np.mean([float(row["mean_return"]) for row in late if row["seed"] == seed]) for seed in "123"]
        assert said.format(*(f"{value:.0f}" for value in (np.mean(each), *each))) in words
    (best,) = [
        row
        for row in rows("coin_by_configuration")
        if fits(row, {"rule": "pc", "spread": "0.1", "rate": "0.0005", "memory_rate": "0.01"})
    ]
    errors = [float(best["k"]) * float(best[f"sem {group}"]) for group in ("1+", "2+", "1-", "2-")]
    assert (
        f"means are {', '.join(map(shown, errors))}, whose squares sum to {shown(np.sum(np.square(errors)))}" in words
    )


@pytest.mark.parametrize(("name", "first"), [("reversal", "`reversal` (22"), ("reversal_400_seeds", "`reversal --")])
def test_the_fits_of_reversal(name, first):
    table = table_rows(first)
    for (*_, chosen), rule in zip(table, ("pc", "bp"), strict=False):
        _, _, k, b, _ = reversal.best(metrics.read(RESULTS / "metrics" / f"pc_{name}.csv"), rule)
        k0, b0 = re.match(r"k ([\d.]+), b (-?[\d.]+)", chosen).groups()
        assert float(k0) == pytest.approx(k, abs=0.051) and float(b0) == pytest.approx(b, abs=0.0051)


@pytest.mark.parametrize(("rule", "place"), [("PC", 0), ("BP", 1)])
def test_the_rates_that_fear_chooses(rule, place):
    options, *_ = fear.best(metrics.read(RESULTS / "metrics" / "pc_fear.csv"), rule.lower())
    rates = ", ".join(shown(options[key], 3).rstrip("0").removesuffix(".") for key in fear._OPTIONS[1:])
    assert table_rows("`fear` (8")[place][-1] == f"rates {rates}"


def test_what_the_page_says_of_the_results():
    words = " ".join((RESULTS.parent / "docs" / "pc.md").read_text(encoding="utf-8").split())
    deep = [shown(mean("alignment", "target_alignment", rule=rule, depth="15"), 2) for rule in ("pc", "bp")]
    few = [at_best("smalldata_by_rate", "least_test_error", rule=rule, per_class="60")[0] for rule in ("pc", "bp")]
    drift = [
        [shown(np.mean(seed_by_seed(f"drift_{name}", rule, rate)), digits) for rule in rules]
        for name, rate, rules, digits in (("published", 0.01, ("bp", "pc"), 2), ("own", 0.05, ("pc", "bp"), 3))
    ]
    assert "15 layers is {} against {}".format(*deep) in words
    assert "the least test error is {} against {};".format(*few) in words
    assert "at the best rate of both ({}, {})".format(*drift[0]) in words
    assert "({}, {} at their best rate, .05)".format(*drift[1]) in words


def over(study, rule, value, activation=None, column="target_alignment"):
    """A mean of `alignment_over`, as the table has it."""
    where = {"study": study, "rule": rule} | ({} if activation is None else {"activation": activation})
    (found,) = [row for row in rows("alignment_over") if fits(row, where) and float(row["value"]) == value]
    return f"{float(found[column]):.3f}".removeprefix("0")


def test_alignment_over_what_else_is_varied():
    widths = {rule: ", ".join(over("base-width-linear", rule, n) for n in (1, 4, 16, 64, 256)) for rule in ("pc", "bp")}
    assert f"PC {widths['pc']}; BP {widths['bp']} |" in line("`alignment_over --over=width`")
    course = {rule: ", ".join(over("base-iteration", rule, n) for n in (1, 2, 4, 8, 16)) for rule in ("pc", "bp")}
    assert f"PC {course['pc']}; BP {course['bp']} |" in line("`alignment_over --over=iteration`")
    for rule in ("pc", "bp"):
        (same,) = {over("base", rule, rate) for rate in (0.05, 0.01, 0.005, 0.001, 0.0005)}
        assert f"{rule.upper()} {same}" in line("`alignment_over --over=rate`")
    text = line("`alignment_over --over=gain` (xavier-normal")
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky"):
        pc, bp = (over("base-acf-init", rule, 1, name) for rule in ("pc", "bp"))
        assert f"{name} {pc} and {bp}" in text
    ten = [over("base-acf-init", rule, 10, "linear") for rule in ("pc", "bp")]
    assert "ten times of it {} and {}".format(*ten) in text


def test_alignment_by_gain_in_batches_of_pairs():
    text = line("`alignment_over --over=gain --batch_size=64`")
    for name in ("linear", "relu", "sigmoid", "tanh"):
        pc, bp = (over("base-acf", rule, 1, name) for rule in ("pc", "bp"))
        assert f"{name} {pc} and {bp}" in text
        if name != "tanh":
            assert [pc, bp] == [over("base-depth-width", rule, 1, name) for rule in ("pc", "bp")]
    twice = [shown(float(over("base-acf", rule, 2, "linear"))) for rule in ("pc", "bp")]
    assert "twice the gain: {} and {})".format(*twice) in text


def test_the_consistency_of_directions():
    text = line("`consistency --samples=1`")
    ratios = {
        (row["study"].removeprefix("base-path-rand-"), row["rule"], row["rate"]): float(row["ratio"])
        for row in rows("consistency_by_rate")
    }
    one, four, fast = (
        [f"{ratios[study, rule, rate]:.3f}" for rule in ("pc", "bp")]
        for study, rate in (("one-data", "0.1"), ("data", "0.1"), ("data", "0.3"))
    )
    assert "one pair {} with PC, {} with BP;".format(*one) in text
    assert "in turn {} and {}, at rate .3 {} and {} |".format(*four, *fast) in text


def test_single_units_have_an_alignment_of_one_or_minus_one():
    where = {"study": "base-width-linear", "rule": "pc", "value": "1"}
    (found,) = [row for row in rows("alignment_over") if fits(row, where)]
    n = int(found["n"])
    wrong = (1 - float(found["target_alignment"])) * n / 2
    assert wrong == pytest.approx(round(wrong), abs=1e-3)
    assert f"the wrong way in {wrong:.0f} of {n} seeds" in TEXT


def test_at_rest_large_gains_cost_nothing():
    """The closed form of three linear layers, as the table has it."""
    xp.use("numpy", dtype="float64")
    said = []
    for gain in (5.0, 10.0):
        W, x, y = pairs.draw(range(27), 64, 3, "xavier-normal", gain)
        net = pairs.network(W, "linear")
        states, errors, _ = equilibrium(net, x, y)
        steps = [np.swapaxes(r, -1, -2) @ error for r, error in zip([x, *states], errors, strict=True)]
        after = pairs.network([a + 0.001 * b for a, b in zip(W, steps, strict=True)], "linear")
        said.append(shown(np.mean(check.target_alignment(predict(net, x), predict(after, x), y))))
    assert "five and at ten times the usual gain is {} and {}.".format(*said) in " ".join(TEXT.split())


def test_the_first_steps_of_interference():
    """Of one update in closed form: PC's are those at rest."""
    first = {
        (row["rule"], float(row["rate"])): np.array([float(row["out0"]), float(row["out1"])])
        for row in rows("interference_first")
    }
    text = line("`interference`, second")
    for rate in (0.005, 1.0, 3.0):
        assert first["bp", rate] == pytest.approx([(1 - rate) ** 2, 1 - rate], abs=1e-7)
        w, v = 1 - rate / 3, np.array([1 - rate * 4 / 9, 1 + rate * 2 / 9])
        assert first["pc", rate] == pytest.approx(w * v, abs=1e-7)
    straight = {key: float(step @ [-1, 0]) for key, out in first.items() for step in [(out - 1) / np.hypot(*(out - 1))]}
    assert "outputs are {} and {} with PC, 0 and 0 with BP".format(*map(shown, first["pc", 1.0])) in text
    cosines = [shown(straight[key]) for key in (("pc", 0.005), ("bp", 0.005), ("pc", 2.0), ("bp", 2.0))]
    assert "cosine of {} (PC) and {} (BP) at rate .005, {} and {} at rate 2".format(*cosines) in text


def test_paths_of_outputs_the_machine_and_batches_of_pairs():
    ratio = {
        (row["study"], row["rule"]): float(row["path_length"]) / float(row["displacement"])
        for row in rows("trajectory_outputs")
        if row["kind"] == "matched"
    }
    told = line("`trajectory --rate_pc=0.4` |")
    assert f"PC is {ratio['traj-output', 'pc']:.3f} times its span, that of BP {ratio['traj-output', 'bp']:.3f}" in told
    told = line("`trajectory --learn_last")
    assert f"PC {ratio['learn-last', 'pc']:.3f} times its span, BP {ratio['learn-last', 'bp']:.3f}" in told
    last = {phase: [row for row in rows("machine") if row["phase"] == phase][-1] for phase in "012"}
    held = [shown(float(last["1"][key])) for key in ("x_1a", "x_1b")]
    free = [shown(float(last["2"][key])) for key in ("x_2a", "x_2b")]
    assert "settle at {} and {} ".format(*held) in line("`machine` | machine")
    assert "go to {} and {} in 50 steps".format(*free) in line("`machine` | machine")
    told = line("`alignment --T=128 --batch_size=64")
    for rule in ("pc", "bp"):
        of = [
            mean("alignment_T128_batch64", "target_alignment", rule=rule, depth=depth)
            for depth in ("1", "4", "10", "15")
        ]
        assert f"{rule.upper()} {', '.join(map(shown, of))}" in told
