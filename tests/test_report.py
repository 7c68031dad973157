"""`plastic.report`: what is read of run folders, and a page in which nothing of a run is markup."""

import base64
import hashlib
import html.parser
import importlib
import json
import os
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
from command_lines import error_of, printed
from numpy.testing import assert_allclose
from run_folders import PNG, learning, made

from plastic import bootstrap, files, report, runs
from plastic.errors import PlasticError
from plastic.report import curves, folders, items, measures
from plastic.report.__main__ import report as command
from plastic.report.series import Curve, Series, split

pytest.importorskip("jinja2")


class Page(html.parser.HTMLParser):
    """The elements of a page, as a browser that runs no script has them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.texts.append("")
        if tag not in ("meta", "input"):
            self.open.append(len(self.texts) - 1)

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        for place in self.open:
            self.texts[place] += data

    def all(self, tag, **attributes):
        """The texts of the elements of this kind."""
        return [
            text
            for (name, given), text in zip(self.elements, self.texts, strict=True)
            if name == tag and attributes.items() <= given.items()
        ]

    @property
    def data(self):
        """What the script is given."""
        (text,) = self.all("script", id="data")
        return json.loads(text)

    def run(self, **wanted):
        """The one item of the data with these values."""
        (item,) = [item for item in self.data["items"] if wanted.items() <= item.items()]
        return item


def page(folder):
    return Page(report.page(folder))


# ---- what is found and read


def test_runs_are_found_at_any_depth_and_nothing_else_is(tmp_path):
    deep = made(tmp_path / "sweep" / "a" / "b", learning([1.0, 0.5]))
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "notes.csv").write_text("a\n")
    (tmp_path / "sweep" / ".lock").touch()  # a sweep has one, and each of its points
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "sweep")
    (place,) = folders.places(tmp_path)
    assert place.path == deep and place.name == "sweep/a/b/toy/" + deep.name


def test_a_place_changes_with_the_files_that_are_read(tmp_path):
    folder = made(tmp_path, learning([1.0]), status="running")
    stamps = [folders.places(tmp_path)[0].stamp]
    with open(folder / "metrics.csv", "a") as file:
        file.write("20,2.0,0,1,0.25\n")
    stamps.append(folders.places(tmp_path)[0].stamp)
    (folder / "a.png").write_bytes(PNG)
    stamps.append(folders.places(tmp_path)[0].stamp)
    assert len(set(stamps)) == 3


def test_columns_that_tell_rows_apart_and_metrics():
    rows = [
        {
            "step": step,
            "replica": replica,
            "seed": seed,
            "rule": rule,
            "rate": rate,
            "loss": step + rate + seed,
            "rate_2": 1,
        }
        for rule in ("pc", "bp")
        for replica, (seed, rate) in enumerate([(1, 0.1), (1, 0.2), (2, 0.1), (2, 0.2)])
        for step in (0, 5)
    ]
    table = {name: [row[name] for row in rows] for name in rows[0]}
    clock, series = split(table, [{"rule": "pc"}, {"rule": "bp"}], {"rates": [0.1, 0.2]})
    assert clock == "step"
    assert [dict(each.where) for each in series] == [
        {"rule": rule, "rate": rate} for rule in ("pc", "bp") for rate in ("0.1", "0.2")
    ]
    for each in series:
        assert each.metrics == ["loss", "rate_2"]  # after the first metric a number is a metric, whatever its name
        assert [seed for seed, _ in each.replicas] == [1, 2]
        for (seed, _), of_seed in each.replicas.items():
            assert_allclose(of_seed["loss"].y, [0 + float(each.where[1][1]) + seed, 5 + float(each.where[1][1]) + seed])


def test_what_is_measured_once_is_a_point_at_the_end():
    table = {"step": [0, 0, 5, 5], "replica": [0, 1] * 2, "seed": [7, 8] * 2, "rule": ["pc"] * 4, "loss": [1.0] * 4}

    def tested(replica, columns):
        assert columns == {"rule": "pc"}
        return {"test_error": (0.5, 0.25)[replica]}

    _, (series,) = split(table, [{"rule": "pc"}], {}, tested)
    points = [of_seed["test_error"] for of_seed in series.replicas.values()]
    assert [(*each.x, *each.y) for each in points] == [(5, 0.5), (5, 0.25)]


def test_a_rate_that_changes_is_a_metric():
    table = {"step": [0, 1], "learning_rate": [0.1, 0.05], "loss": [1.0, 2.0]}
    _, (series,) = split(table, [], {})
    assert series.where == () and series.metrics == ["learning_rate", "loss"]
    table["learning_rate"] = [0.1, 0.1]
    assert split(table, [], {})[1][0].where == (("learning_rate", "0.1"),)


def test_what_is_not_finite_is_left_out_and_the_last_row_of_a_time_counts():
    table = {"step": [0, 1, 1, 2, 3], "loss": [None, 1.0, 2.0, float("nan"), 10**400], "other": [float("inf")] * 5}
    _, (series,) = split(table, [], {})
    (of_seed,) = series.replicas.values()
    assert set(of_seed) == {"loss"} and of_seed["loss"].x.tolist() == [1] and of_seed["loss"].y.tolist() == [2]


def one(values, metric="m"):
    """A series of seeds: (seeds, times)."""
    return Series((), {(seed, 0): {metric: curve(y)} for seed, y in enumerate(values)})


def curve(y):
    return Curve(np.arange(len(y), dtype=float), np.array(y, dtype=float))


def test_best_is_each_seeds_own_and_towards_what_is_better():
    values = [[0.5, 0.1, 0.3], [0.4, 0.6, 0.2]]
    for metric, best in (("test_error", 0.15), ("test_accuracy", 0.55), ("train_loss", 0.15), ("cosine_1", 0.55)):
        assert measures.best(one(values, metric), metric, False).value == pytest.approx(best), metric
    assert measures.best(one(values, "w_1"), "w_1", False) == measures.NONE
    assert measures.final(one(values, "w_1"), "w_1", False).value == pytest.approx(0.25)


def test_several_seeds_are_a_mean_with_its_interval():
    mean, low, high = bootstrap.interval([0.9, 0.8, 0.7])
    assert measures.over_seeds([0.9, 0.8, 0.7], False).text == f"{mean:.4g} [{low:.4g}, {high:.4g}]"
    assert measures.over_seeds([0.9], True).text == "90.00 %"


def test_a_fraction_is_one_by_name_and_range():
    assert measures.is_fraction("test_error", [one([[0.0, 1.0]], "test_error")])
    assert not measures.is_fraction("test_error", [one([[76.0, 0.5]], "test_error")])
    assert not measures.is_fraction("test_error", [one([[-0.1, 0.5]], "test_error")])
    assert not measures.is_fraction("loss", [one([[0.5]], "loss")])


def test_of_several_series_the_best_one_is_named():
    good, bad = one([[0.5, 0.1]], "test_error"), one([[0.5, 0.4]], "test_error")
    numbers = [
        (measures.best(each, "test_error", True), measures.final(each, "test_error", True), Series((("rule", n),), {}))
        for n, each in (("bp", bad), ("pc", good))
    ]
    assert measures.summary("test_error", numbers) == [0.1, "10.00 % (pc)", 0.1, "10.00 % (pc)"]


def test_curves_are_thinned_to_their_extremes():
    y = np.zeros(10_000)
    y[[1234, 8765]] = 5, -3
    low, high = np.minimum(y, 0), np.maximum(y, 0)
    kept = curves.thinned(np.arange(10_000), low, high, 100)
    assert len(kept) <= 100 and {0, 1234, 8765, 9999} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    assert curves.thinned(np.arange(5), y[:5], y[:5], 10).tolist() == [0, 1, 2, 3, 4]


def test_a_page_has_some_hundred_thousand_points_at_most():
    assert curves.points([]) == curves.points([10**6]) == curves.points([10] * 40_000) == 400
    for lengths in ([10**5] * 3000, [51] * 10_000, [3, 10**4] * 3000):
        most = curves.points(lengths)
        assert sum(n if n <= most else 2 * most for n in lengths) <= 400_000 and 10 <= most < 400
    assert curves.points([10**5] * 10**6) == 10


def test_the_band_is_over_the_seeds_that_are_there():
    series = one([[1, 2, 3], [3, 6]])
    x, mean, low, high = curves.band(series, "m")
    assert x.tolist() == [0, 1, 2] and mean.tolist() == [2, 4, 3]
    assert low.tolist() == [1, 2, 3] and high.tolist() == [3, 6, 3]
    assert curves.plotted(series, "m", 400) == {"x": [0, 1, 2], "y": [2, 4, 3], "low": [1, 2, 3], "high": [3, 6, 3]}
    assert curves.plotted(one([[1, 2]]), "m", 400) == {"x": [0, 1], "y": [1, 2]}


# ---- the page


def test_statuses_and_their_notes(tmp_path):
    for status in ("running", "finished", "interrupted", "diverged", "failed"):
        made(tmp_path, learning([1.0, 0.5]), status=status, name=status, rate=0.1)
    found = {item["name"].split("-")[1]: item for item in page(tmp_path).data["items"]}
    assert {name: item["status"] for name, item in found.items()} == {
        "running": "unfinished",
        "interrupted": "unfinished",
        "finished": "finished",
        "diverged": "diverged",
        "failed": "failed",
    }
    assert re.fullmatch(r"running, or killed: last written \d{4}-\d\d-\d\d \d\d:\d\d UTC", found["running"]["note"])


def test_options_that_differ_from_the_defaults_come_first(tmp_path):
    record = importlib.import_module("plastic.gait.experiments.train").train.experiment
    options = record.defaults | {"nb_layers": 2, "learning_rate": 0.5, "device": "cpu"}
    options = {name: value for name, value in options.items() if name not in ("dry_run", "name")}
    made(tmp_path, family="gait", experiment="train", **options)
    found = page(tmp_path)
    (item,) = found.data["items"]
    named = [(name, differs) for name, _, differs in item["options"]]
    assert {name for name, _ in named[:2]} == {"nb_layers", "learning_rate"}
    assert [differs for _, differs in named] == [True, True] + [False] * (len(named) - 2)
    assert "device" not in dict(named) and ["device", "cpu"] in item["facts"]
    assert sorted(found.all("li")) == ["learning_rate=0.5", "nb_layers=2"]


def test_options_of_an_unknown_experiment_are_all_shown(tmp_path):
    made(tmp_path, family="unheard", rate=0.5, sizes=[1, 2], flag=True, nothing=None, none=[], deep={"a": [1]})
    (item,) = page(tmp_path).data["items"]
    assert item["options"] == [
        ["rate", "0.5", None],
        ["sizes", "1,2", None],
        ["flag", "true", None],
        ["nothing", "none", None],
        ["none", "()", None],
        ["deep", '{"a": [1]}', None],
    ]


def test_runs_that_differ_in_the_seed_are_a_group(tmp_path):
    made(tmp_path, learning([[0.9, 0.9], [0.1, 0.2]], seeds=(1, 2)), name="x-seed1+2", rate=0.1, seeds=[1, 2], seed=1)
    made(tmp_path, learning([0.9, 0.6], seeds=(3,)), name="x-seed3", rate=0.1, seed=3, seeds=None)
    made(tmp_path, learning([0.9, 0.8], seeds=(4,)), name="x-seed4", rate=0.2, seed=4, seeds=None)
    made(tmp_path, learning([0.9, 0.7], seeds=(5,)), status="interrupted", rate=0.1, seed=5, seeds=None)
    found = page(tmp_path)
    group = found.run(group=True)
    assert group["name"] == "descent-x" and group["members"] == 2 and group["status"] == "finished"
    (series,) = group["series"]
    assert series["seeds"] == 3
    ((_, _, _, value, text),) = group["summary"]
    mean, low, high = bootstrap.interval([0.1, 0.2, 0.6])
    assert value == pytest.approx(mean) and text == f"{100 * mean:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"
    assert [item["grouped"] for item in found.data["items"] if not item["group"]].count(True) == 2


def test_a_seed_that_was_run_twice_counts_once(tmp_path):
    for error in (0.5, 0.5):
        made(tmp_path, learning([0.9, error], seeds=(1,)), rate=0.1, seed=1, seeds=None)
    assert not any(item["group"] for item in page(tmp_path).data["items"])
    made(tmp_path, learning([0.9, 0.1], seeds=(2,)), rate=0.1, seed=2, seeds=None)
    assert page(tmp_path).run(group=True)["series"][0]["seeds"] == 2


def test_folders_that_cannot_be_read_are_listed_with_their_error(tmp_path):
    whole = made(tmp_path, learning([1.0, 0.5]), rate=1.0)
    for name, spoil in {
        "no_config": lambda folder: (folder / "config.json").unlink(),
        "edited": lambda folder: (folder / "config.json").write_text("{}"),
        "cut": lambda folder: (folder / "metrics.csv").write_bytes(b"step\n"),
        "linked": lambda folder: (
            os.replace(folder / "metrics.csv", tmp_path / "away"),
            (folder / "metrics.csv").symlink_to(tmp_path / "away"),
        ),
    }.items():
        shutil.copytree(whole, tmp_path / name)
        spoil(tmp_path / name)
    found = page(tmp_path)
    said = {item["path"]: item["note"] for item in found.data["items"]}
    assert "it has no config.json" in said["no_config"]
    assert "edited" in said["edited"] and "shorter" in said["cut"] and "symbolic link" in said["linked"]
    assert found.run(path="edited")["status"] == "unreadable" and found.run(path="cut")["status"] == "finished"
    assert found.run(path=f"toy/{whole.name}")["note"] == ""
    assert "edited" in "".join(found.all("td", **{"class": "status"}))


def test_one_folder_that_nobody_has_thought_of_does_not_stop_the_page(tmp_path, monkeypatch):
    made(tmp_path, learning([1.0]), name="a")
    monkeypatch.setattr(items, "_read", lambda item, place: 1 / 0)
    assert page(tmp_path).data["items"][0]["note"] == "ZeroDivisionError: division by zero"


def test_figures_are_inlined_within_limits(tmp_path, monkeypatch):
    pictures = importlib.import_module("plastic.report.pictures")
    monkeypatch.setattr(pictures, "_PICTURE", 100)
    monkeypatch.setattr(pictures, "_PICTURES", 110)
    folder = made(tmp_path, learning([1.0]))
    secret = tmp_path / "secret"
    secret.write_bytes(PNG + b"of somebody")
    (folder / "a.png").write_bytes(PNG.ljust(60, b"a"))
    (folder / "b.png").write_bytes(b"<svg onload='alert(1)'>")
    (folder / "c.png").write_bytes(PNG.ljust(101, b"c"))
    (folder / "d.png").write_bytes(PNG.ljust(60, b"d"))
    (folder / "e.png").symlink_to(secret)
    found = page(tmp_path)
    listed = {name: (place, why) for name, place, why in found.data["items"][0]["figures"]}
    assert listed["a.png"] == (0, "")
    assert {name: place for name, (place, _) in listed.items() if name != "a.png"} == dict.fromkeys(
        ("b.png", "c.png", "d.png", "e.png")
    )
    for name, why in {"b": "no PNG file", "c": "larger than", "d": "no room", "e": "symbolic link"}.items():
        assert why in listed[f"{name}.png"][1]
    (text,) = found.all("script", id="figures")
    assert [base64.b64decode(each) for each in json.loads(text)] == [PNG.ljust(60, b"a")]


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'>&amp;{{ 1234*5678 }}\u202e\x1b[31m\n"


def test_nothing_of_a_run_is_markup(tmp_path):
    plain = made(tmp_path / "plain", learning([0.9, 0.5]), rate=0.5, seeds=[1], seed=1)
    (plain / "a.png").write_bytes(PNG)
    wanted = Page(report.page(tmp_path / "plain"))
    rows = [{"step": k, "rule": HOSTILE, HOSTILE: 0.5, "__proto__": 1.0, "constructor": 2.0, "loss": k} for k in (0, 1)]
    name = "<img src=x onerror=alert(3)>&\"'\u202e"
    folder = made(
        tmp_path / "hostile" / name,
        rows,
        status="failed",
        details={"error": HOSTILE, HOSTILE: HOSTILE},
        **{HOSTILE: HOSTILE, "__proto__": "x", "seeds": [HOSTILE]},
    )
    family, experiment = HOSTILE.replace("/", "|"), "<b>x"  # which nothing of ours would have written
    config = files.read_json(folder / "config.json") | {"family": family, "experiment": experiment}
    files.write_json(folder / "config.json", config | {"tested": {f"tested {family}": [0.5]}})
    (folder.parents[1] / family).mkdir()
    folder = folder.rename(folder.parents[1] / family / f"{experiment}-0")
    (folder / "<script>alert(4)<|script>.png").write_bytes(PNG)
    text = report.page(tmp_path / "hostile")
    found = Page(text)
    allowed = {tag for tag, _ in wanted.elements} | {"li", "ul"}
    assert {tag for tag, _ in found.elements} <= allowed
    assert [tag for tag, _ in found.elements if tag == "script"] == ["script"] * 3
    assert not any(
        name.startswith("on") or (name in ("style", "src", "href") and value != "#table")
        for _, given in found.elements
        for name, value in given.items()
    )
    assert "\u202e" not in text and "\x1b" not in text and "7006652" not in "".join(found.all("td"))
    (item,) = found.data["items"]
    said = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\n", "\\n")
    assert [said, said, None] in item["options"] and [said, said] in item["facts"] and item["note"] == said
    assert {said, f"tested {said.replace('/', '|')}"} <= {*found.data["metrics"]} and item["series"][0]["where"] == [
        ["rule", said]
    ]
    assert said in found.all("option") and f"{said} {said}" not in found.all("option")


def test_the_policy_lets_run_what_the_page_brings_and_nothing_else(tmp_path):
    made(tmp_path, learning([1.0]))
    found = page(tmp_path)
    (policy,) = [
        given["content"] for tag, given in found.elements if given.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def hashed(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    (script,) = [
        text for (tag, given), text in zip(found.elements, found.texts, strict=True) if tag == "script" and not given
    ]
    assert rules["script-src"] == hashed(script) and rules["style-src"] == hashed(*found.all("style"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'none'" and rules["img-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == rules["trusted-types"] == "'none'"
    assert not re.search("innerHTML|insertAdjacent|document.write|eval\\(", script)


def test_numbers_that_are_none_do_not_spoil_the_data(tmp_path):
    rows = [{"step": k, "loss": value, "huge": 1e308, "err": -1e308} for k, value in enumerate([1e308, float("nan")])]
    made(tmp_path, [*rows, {"step": 2, "loss": 1e308, "huge": -1e308}], rate=float("inf"), other=[float("nan")])
    data = Page(report.page(tmp_path)).all("script", id="data")[0]
    json.loads(data, parse_constant=lambda name: pytest.fail(name))


def contrast(a, b):
    """The ratio of contrast of two colours, by the Web Content Accessibility Guidelines."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_contrast_enough(scheme):
    style = pathlib.Path(report.__file__).with_name("templates").joinpath("report.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#\w{6})", style.split(":root {")[1 + scheme].split("}")[0]))
    assert len(colours) == 19
    for name, colour in colours.items():
        if name in ("text", "muted", "accent", "good", "open", "bad", "odd"):
            assert contrast(colour, colours["back"]) >= 4.5 and contrast(colour, colours["raised"]) >= 4.5, name
        elif name == "line" or re.fullmatch(r"c\d", name):
            assert contrast(colour, colours["back"]) >= 3, name


def test_the_table_is_one_for_every_reader(tmp_path):
    made(tmp_path, learning([1.0]))
    found = page(tmp_path)
    heads = [given.get("scope") for tag, given in found.elements if tag == "th"]
    assert heads and set(heads) == {"col", "row"} and found.all("caption")
    for tag, given in found.elements:
        if tag == "input" and given["type"] == "checkbox":
            assert given["aria-label"].startswith("choose ")
    fields = [given["id"] for tag, given in found.elements if tag in ("select", "input") and "id" in given]
    assert fields == ["q", "view", "family", "experiment", "status", "metric"] and len(found.all("label")) == len(
        fields
    )
    assert ("html", "en") in [(tag, given.get("lang")) for tag, given in found.elements]


# ---- the command


def test_the_command_writes_a_file_and_leaves_one_that_exists(tmp_path, monkeypatch):
    made(tmp_path / "results", learning([1.0, 0.5]))
    out = tmp_path / "page.html"
    assert printed(command, [str(tmp_path / "results"), f"--out={out}"], "plastic.report") == [str(out)]
    assert out.read_text().startswith("<!doctype html>") and not list(tmp_path.glob(".*.part"))
    before = out.read_bytes()
    error, _ = error_of(command, [str(tmp_path / "results"), f"--out={out}"], "plastic.report")
    assert "exists and is left as it is" in error and out.read_bytes() == before
    monkeypatch.setenv("PLASTIC_RESULTS", str(tmp_path / "results"))
    assert printed(command, [], "plastic.report") == [str(tmp_path / "results" / "report.html")]


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere"], "folder is nowhere; there is no such folder"),
        (["empty"], "folder is empty; there is no run in it, nor below it"),
        (["empty", "--out=page.txt"], "out is page.txt; it must end in .html"),
        (["empty", "--out=away/page.html"], "there is no folder away"),
        (["empty", "--watch", "--out=a.html"], "--watch writes no file"),
        (["empty", "--port=1"], "nothing is served without --watch"),
        (["empty", "--watch", "--port=65536"], "port is 65536; it must be from 0 to 65535"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_and_nothing_is_written(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    error, shown = error_of(command, words, "plastic.report")
    assert said in error and shown == ""
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


def test_without_jinja_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(PlasticError, match=r"report needs jinja2: pip install 'plastic-learning\[report\]'"):
        report.page(tmp_path)


def test_reading_writes_nothing(tmp_path):
    folder = made(tmp_path, learning([1.0]), status="running")
    before = {each: each.stat().st_mtime_ns for each in [folder, *folder.iterdir()]}
    report.page(tmp_path)
    assert {each: each.stat().st_mtime_ns for each in [folder, *folder.iterdir()]} == before
    runs.Run.resume(folder).close()  # its lock is free
