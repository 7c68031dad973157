"""The page: everything in one file of HTML, with its own style and script, in which nothing of a run is ever markup.

Texts of a run reach the page escaped, by Jinja in the table and as JSON for the script, which puts them in as text.
A policy in the page (Content-Security-Policy) lets the browser run no script and no style but the two whose hashes it
has, load nothing, and make no markup from text.
"""

import base64
import hashlib
import importlib.resources
import math
import os
import pathlib
from typing import Any

import numpy as np

import plastic
from plastic import require, system
from plastic.errors import PlasticError, printable
from plastic.report import folders, items
from plastic.report.content import content
from plastic.report.items import Item
from plastic.runs.surroundings import now

_LONGEST = 2000  # characters of a text
_CHIPS = 8  # options of a run in the table
_ROWS = 200  # that are shown at first: a browser takes seconds to lay out thousands
_CHOICES = ("family", "experiment", "status")
_STATUSES = ("finished", "unfinished", "failed", "diverged", "unreadable")
_COLUMNS = {
    "name": "Run",
    "best": "Best",
    "final": "Final",
    "seeds": "Seeds",
    "status": "Status",
    "experiment": "Experiment",
    "options": "Options that differ from the defaults",
    "started": "Started (UTC)",
}


class Report:
    """The report on a folder. What has not changed on the disk since it was last read is not read again.

    Args:
        folder: the folder.

    Raises:
        PlasticError: if there is no such folder, or Jinja2 is not installed.
    """

    def __init__(self, folder: system.Path) -> None:
        self.folder = pathlib.Path(folder)
        if not os.path.isdir(self.folder):
            raise PlasticError(f"folder is {self.folder}; there is no such folder")
        require.package("jinja2", "report", "report")
        self._read: dict[str, tuple[folders.Place, Item]] = {}

    def look(self) -> str:
        """Look at the folder, and return what is another text once something has changed."""
        self._places = folders.places(self.folder)
        seen = repr([(place.name, place.stamp, place.error) for place in self._places])
        return hashlib.sha256(seen.encode()).hexdigest()[:16]

    def items(self) -> list[Item]:
        """Return the runs of the last look, by path, and after them the groups over seeds."""
        known = self._read
        self._read = {}
        for place in self._places:
            before, item = known.get(place.name, (None, None))
            self._read[place.name] = place, (item if item and before == place else items.of(place))
        found = [item for _, item in self._read.values()]
        return found + items.groups(found)

    def page(self, version: str = "") -> str:
        """Return the page of the last look.

        Args:
            version: where it is served, what `look` returned: the page asks for it, and loads itself again.
        """
        import jinja2
        import markupsafe

        with np.errstate(all="ignore"):  # numbers of a run may be anything
            found = self.items()
            data, figures = content(found)
        style, script = template("report.css"), template("chart.js") + template("report.js")
        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, finalize=_final
        )
        environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
        runs = [item for item in found if not item.members]
        counts = {status: sum(item.status == status for item in runs) for status in _STATUSES}
        named = [f"{len(runs)} run{'s' * (len(runs) != 1)}", *(f"{n} {status}" for status, n in counts.items() if n)]
        return environment.from_string(template("report.html")).render(
            version=version,
            policy=policy(style, script, served=bool(version)),
            plastic=plastic.__version__,
            folder=os.fspath(self.folder),
            counts=", ".join(named),
            made=now().removesuffix("+00:00").replace("T", " "),
            choices=[(name, sorted({getattr(item, name) for item in runs} - {""})) for name in _CHOICES],
            metrics=data["metrics"],
            runs=len(runs),
            most=_ROWS,
            columns=list(_COLUMNS.items()),
            items=[_row(item, own) for item, own in zip(found, data["items"], strict=True)],
            style=markupsafe.Markup(style),
            script=markupsafe.Markup(script),
            data=_clean(data),
            figures=figures,
        )


def policy(style: str, script: str, served: bool) -> str:
    """Return the Content-Security-Policy of a page.

    Args:
        style, script: what stands in its style and script.
        served: whether it may ask the server that it is from.
    """
    asked = "'self'" if served else "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "img-src data:",
            f"connect-src {asked}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hash(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def template(name: str) -> str:
    """Return the text of a file of templates/."""
    return importlib.resources.files("plastic.report").joinpath("templates", name).read_text(encoding="utf-8")


def _final(value):
    """Return a text without characters that do not print; what is markup already stays."""
    return printable(value) if type(value) is str else value


def _clean(value: Any) -> Any:
    """Return a value as JSON can hold it: texts that print and are not endless, and null for what is no number."""
    if isinstance(value, str):
        return printable(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _clean(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value


def _row(item: Item, own: dict[str, Any]) -> dict[str, Any]:
    """Return what stands in the row of the table, before the script has sorted and chosen."""
    changed = [
        f"{name}={_short(text)}" for name, text, differs in own["options"] if differs and name not in items.SEEDS
    ]
    changed = changed[:_CHIPS] + [f"{len(changed) - _CHIPS} more"] * (len(changed) > _CHIPS)
    best, final = next(((b, f) for m, _, b, _, f in own["summary"] if m == own["metric"]), ("", ""))
    return {name: own[name] for name in ("name", "family", "experiment", "status", "note", "started")} | {
        "path": "" if item.members or item.path == f"{item.family}/{item.path.rpartition('/')[2]}" else item.path,
        "seeds": _few(item.seeds),
        "members": bool(item.members),
        "changed": changed,
        "best": best,
        "final": final,
        "main": own["main"],
    }


def _few(seeds):
    return ", ".join(seeds) if len(seeds) <= 6 else f"{', '.join(seeds[:3])}, .. ({len(seeds)})"


def _short(text, most=60):
    return text if len(text) <= most else f"{text[: most - 2]}.."
