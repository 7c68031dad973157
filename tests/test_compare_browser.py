"""The page of `plastic.compare` in a real browser."""

import browsers
import numpy as np
import pytest

from plastic import compare, pc
from plastic.compare import measures

pytest.importorskip("jinja2")
pytestmark = pytest.mark.browser

NAME = "<b onclick=alert(1)>x</b>"


@pytest.fixture
def address(tmp_path, monkeypatch):
    """The address of the page of a comparison, of BP and of a rule whose name is markup."""
    monkeypatch.setattr(measures, "ROUNDS", 1)
    y = np.arange(60) % 3
    x = np.eye(4)[y] + 0.1 * np.random.default_rng(0).standard_normal((60, 4))
    arrays = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
    own = compare.Rule(NAME, compare.FEED_FORWARD, lambda net, x, y, feedback: pc.bp(net, x, y))
    small = {"sizes": (6, 6), "rates": 2, "epochs": 1, "batch_size": 10}
    found = compare.compare(arrays, ["bp", own], results=tmp_path, name="<i>mine</i>", **small)
    return (found.run.folder / "page.html").as_uri()


@pytest.mark.parametrize("width, scheme", [(390, "dark"), (1280, "light")])
def test_the_page_fits_its_screen_and_loads_nothing(address, width, scheme):
    with browsers.opened(address, width=width, scheme=scheme) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        assert [url for url in asked if not url.startswith("data:image/png")] == [address]
        assert page.title() == page.locator("h1").inner_text() == "Learning rules on <i>mine</i>"
        assert page.locator("b, i").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("tbody th").all_inner_texts() == ["BP", NAME]
        assert page.locator("img").evaluate("image => image.naturalWidth") > 960
        options = dict(zip(page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts(), strict=True))
        assert options["rules"] == f"bp,{NAME}" and options["sizes"] == "6,6" and options["seeds"] == "1,2,3"


def test_on_a_phone_numbers_stand_in_one_line_beside_the_name_of_their_rule(address):
    with browsers.opened(address) as page:
        heights = page.locator("tbody tr:first-child > *").evaluate_all("every => every.map(e => e.scrollHeight)")
        line = page.locator("tbody td").first.evaluate("e => parseFloat(getComputedStyle(e).lineHeight)")
        assert max(heights) < 2 * line + 1  # one line, and the padding
        table = page.locator(".scroll").first
        table.evaluate("each => each.scrollTo(each.scrollWidth, 0)")
        assert table.evaluate("each => each.scrollLeft") > 0
        name = page.locator("tbody th").first.bounding_box()
        assert name["x"] == table.bounding_box()["x"]
