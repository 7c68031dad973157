"""The page of `plastic.report` in a real browser: a headless Chromium on the PATH, or that of Playwright."""

import os
import re
import subprocess
import threading
import urllib.parse

import browsers
import pytest
from browsers import CHROMIUM, FLAGS
from run_folders import PNG, learning, made

from plastic import report
from plastic.report import document, server
from plastic.report.document import Report

pytest.importorskip("jinja2")
pytestmark = pytest.mark.browser


@pytest.fixture
def address(tmp_path):
    """The address of a report on four runs, two of which differ in the seed alone."""
    place = tmp_path / "results"
    first = made(place, learning([0.9, 0.3]), name="slow", rate=0.1, seed=1, seeds=None)
    made(place, learning([0.9, 0.5], seeds=(2,)), name="slow", rate=0.1, seed=2, seeds=None)
    made(place, learning([0.9, 0.2]), name="fast", rate=0.5, seed=1, seeds=None)
    rows = [{"step": k, "<img src=x onerror=alert(1)>": k} for k in (0, 1)]
    made(
        place,
        rows,
        name="odd",
        status="failed",
        details={"error": "<script>alert(2)</script>"},
        bad="<img src=x onerror=alert(3)>",
    )
    (first / "<b onclick=alert(4)>.png").write_bytes(PNG)
    out = tmp_path / "page.html"
    out.write_text(report.page(place), encoding="utf-8")
    return out.as_uri()


def shown(address, state=()):
    """The page as the browser makes it, with a state of the table in the address."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on the PATH")
    url = f"{address}#{urllib.parse.urlencode(state)}"
    words = [CHROMIUM, "--headless", "--disable-gpu", *FLAGS, "--virtual-time-budget=3000", "--dump-dom", url]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout


def rows_of(page):
    """The names in the rows that are shown, in their order."""
    rows = re.findall(r"<tr data-item[^>]*>.*?</tr>", page.split("<tbody>")[1].split("</tbody>")[0], re.DOTALL)
    names = [re.search(r'class="open">descent-(\w+)', row) for row in rows if " hidden" not in row.split(">")[0]]
    return [name[1] for name in names]


def test_the_table_sorts_and_filters(address):
    assert rows_of(shown(address, [("sort", "final"), ("down", ""), ("metric", "test_error")])) == [
        "fast",
        "slow",
        "slow",
        "odd",
    ]
    page = shown(address, [("sort", "final"), ("down", "1"), ("q", "RATE=0.1 slow")])
    assert rows_of(page) == ["slow", "slow"] and "2 of 4 runs" in page
    assert re.search(r'data-key="final" aria-sort="descending"', page)
    assert rows_of(shown(address, [("status", "failed")])) == ["odd"]
    assert sorted(rows_of(shown(address, [("view", "groups")]))) == ["fast", "odd", "slow"]


def test_two_runs_side_by_side(address):
    paths = sorted(f"toy/{name}" for name in os.listdir(address[7:-9] + "results/toy") if "odd" not in name)
    page = shown(address, [("open", path) for path in paths])
    detail = page.split('id="detail"')[1].split("</section>")[0]
    assert "3 runs side by side" in detail and detail.count('class="curve c') == 3 + 3  # in the chart and its legend
    options = detail.split('aria-label="Options that differ"')[1].split("</table>")[0]
    assert re.findall(r'<th scope="row"[^>]*>(\w+)', options) == ["rate", "seed"]
    assert "rate=0.5<" in options.split("</thead>")[0] and "rate=0.1<" in options.split("</thead>")[0]
    assert "test_error (%)" in detail and "20.00 %" in detail


def test_hostile_names_are_text(address):
    (path,) = [f"toy/{name}" for name in os.listdir(address[7:-9] + "results/toy") if "odd" in name]
    page = shown(address, [("open", path)])
    detail = page.split('id="detail"')[1].split("</section>")[0]
    assert "&lt;img src=x onerror=alert(1)&gt;" in detail and "&lt;img src=x onerror=alert(3)&gt;" in detail
    assert "<img" not in page.split("<script")[0] and "<path" in detail


@pytest.fixture
def view(address):
    """A page of Playwright at the address, which complains of nothing and opens no dialogue."""
    with browsers.opened(address) as page:
        yield page


def test_a_page_that_is_served_follows_the_runs(view, tmp_path):
    place = tmp_path / "results"
    with server.server(Report(place), 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            view.goto(f"http://127.0.0.1:{listening.server_port}/#q=new")
            assert view.locator("#count").inner_text() == "0 of 4 runs"
            made(place, learning([0.9]), name="new", rate=2.0)
            view.locator("#count", has_text="1 of 5 runs").wait_for(timeout=30_000)
            view.locator("#follow").uncheck()
            made(place, learning([0.9]), name="new", rate=3.0)
            view.locator("#live", has_text="There is news").wait_for(timeout=30_000)
            assert view.locator("#count").inner_text() == "1 of 5 runs"
        finally:
            listening.shutdown()
            thread.join()


def test_all_of_it_by_keyboard_on_a_phone(view):
    def text(selector):
        return view.locator(selector).inner_text()

    view.locator("th.final .sort").focus()
    view.keyboard.press("Enter")
    assert view.locator("th.final").get_attribute("aria-sort") == "ascending"
    view.keyboard.press("Enter")
    assert view.locator("th.final").get_attribute("aria-sort") == "descending"
    for place in (0, 1):
        view.locator("tbody input:visible").nth(place).focus()
        view.keyboard.press("Space")
    view.locator("#compare").focus()
    view.keyboard.press("Enter")
    assert text("#title") == "2 runs side by side" and view.evaluate("document.activeElement.id") == "title"
    before = text("table td:last-child >> nth=0")
    view.locator("#mark").focus()
    view.keyboard.press("Home")
    assert "0" in text("output") and text("#detail tbody tr:first-child td:last-child >> nth=0") != before
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    view.keyboard.press("Escape")
    assert view.locator("#list").is_visible() and view.evaluate("document.activeElement.id") == "table"
    view.go_back()
    assert text("#title") == "2 runs side by side"
    view.reload()
    assert text("#title") == "2 runs side by side"


def test_many_runs_side_by_side(tmp_path):
    """Those past the first have one look, and runs are rows of the table of their options."""
    place = tmp_path / "results"
    for k in range(40):
        made(place, learning([0.9, 0.3 + k / 100]), name="run", rate=k / 10, depth=k % 3, width=5)
    out = tmp_path / "page.html"
    out.write_text(report.page(place), encoding="utf-8")
    with browsers.opened(out.as_uri(), width=1200) as page:
        page.locator("#q").fill("depth=1")
        page.locator("#all").click()
        assert page.locator("#compare").inner_text() == "Compare the 13 chosen" and page.locator("#all").is_disabled()
        page.locator("#q").fill("")
        page.locator("#all").click()
        page.locator("#compare").click()
        assert page.locator("#title").inner_text() == "40 runs side by side"
        assert page.locator("svg .curve").count() == 24 * 2 and page.locator("svg .other").count() == 16
        assert "The first 24 of 40 curves" in page.locator("#detail .note").first.inner_text()
        heads = page.locator("[aria-label='Options that differ'] thead th").all_inner_texts()
        assert heads == ["Run", "rate", "depth"]
        assert page.locator("[aria-label='Options that differ'] tbody tr").count() == 40
        page.locator("summary", has_text="1 other options").click()
        assert page.locator("[aria-label='Other options'] tbody").inner_text().split() == ["width", "5"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200
        page.keyboard.press("Escape")
        page.locator("#clear").click()
        assert page.locator("#compare").is_disabled() and page.locator("#all").is_enabled()


def test_of_many_rows_some_are_shown_until_all_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "_ROWS", 5)
    place = tmp_path / "results"
    for k in range(12):
        made(place, learning([0.9, 0.3 + k / 100]), name="run", rate=k / 10)
    out = tmp_path / "page.html"
    out.write_text(report.page(place), encoding="utf-8")
    with browsers.opened(out.as_uri(), width=1200) as page:
        shown = page.locator("tbody tr:visible td.final")
        page.locator("th.final .sort").click()
        assert shown.all_inner_texts() == [f"{30 + k}.00 %\ntest_error" for k in range(5)]  # of all, not of those shown
        assert page.locator("#count").inner_text() == "12 of 12 runs, of which the first 5 are shown"
        page.locator("#q").fill("rate=0.1")
        assert shown.count() == 1 and page.locator("#more").is_hidden()
        page.locator("#q").fill("")
        assert page.locator("#more").inner_text() == "Show the other 7"
        page.locator("#more").click()
        assert shown.count() == 12 and page.locator("#more").is_hidden()
        page.reload()
        assert shown.count() == 12
        page.locator("#all").click()
        assert page.locator("#compare").inner_text() == "Compare the 12 chosen"
    with browsers.opened(out.as_uri(), javascript=False) as page:
        assert page.locator("tbody tr:visible").count() == 12


def test_the_word_of_a_status_is_whole(address, tmp_path):
    made(tmp_path / "results", learning([0.9]), name="left", status="interrupted")
    (tmp_path / "page.html").write_text(report.page(tmp_path / "results"), encoding="utf-8")
    with browsers.opened(address) as page:
        page.evaluate("document.querySelector('#table').style.width = '1px'")  # as narrow as it gets
        status = page.locator("td.status .unfinished:visible")
        assert status.evaluate("each => each.getClientRects().length") == 1  # of one line


def test_figures_are_made_when_they_are_opened(view):
    for name in view.locator(".open:visible").all_inner_texts():
        view.locator(".open:visible", has_text=name).first.click()
        assert view.locator("#detail img").count() == 0
        for summary in view.locator("summary").all():
            summary.click()
        for image in view.locator("#detail img").all():
            assert image.get_attribute("src").startswith("data:image/png;base64,")
            assert "<b onclick=alert(4)>.png" in image.get_attribute("alt")
        view.keyboard.press("Escape")
