"""What the script of a page is given: runs and groups with their numbers, as JSON can hold it."""

from typing import Any

from plastic.report import curves, measures
from plastic.report.items import Item
from plastic.report.pictures import pictures
from plastic.report.series import Series


def content(found: list[Item]) -> tuple[dict[str, Any], list[str]]:
    """Return what the script is given: the runs and groups, and the figures as base64."""
    metrics = list(dict.fromkeys(name for item in found for name in sorted(item.metrics)))
    places = {name: place for place, name in enumerate(metrics)}
    most = curves.points(
        [curves.length(s, name) for item in found if item.clock for s in item.series for name in s.metrics]
    )
    listed, figures = pictures(found)
    return {
        "metrics": metrics,
        "items": [_of(item, places, most) | {"figures": listed.get(id(item), [])} for item in found],
    }, figures


def _of(item: Item, places: dict[str, int], most: int) -> dict[str, Any]:
    percent = {name: measures.is_fraction(name, item.series) for name in item.metrics}
    main = measures.main_metric(item.metrics)
    numbers = {
        name: [
            (measures.best(each, name, percent[name]), measures.final(each, name, percent[name]), each)
            for each in item.series
            if name in each.metrics
        ]
        for name in item.metrics
    }
    series = [_series(each, item.clock, numbers, places, most) for each in item.series]
    return {
        "key": f"{item.path} and others" if item.members else item.path,
        "path": item.path,
        "name": item.name,
        "family": item.family,
        "experiment": item.experiment,
        "status": item.status,
        "note": item.note,
        "started": item.started.removesuffix("+00:00").replace("T", " "),
        "seeds": len(item.seeds),
        "group": bool(item.members),
        "members": len(item.members),
        "grouped": item.grouped,
        "options": [[each.name, each.text, each.differs] for each in item.options],
        "facts": item.facts,
        "clock": item.clock,
        "main": main,
        "metric": places.get(main),
        "percent": [places[name] for name, fraction in percent.items() if fraction],
        "summary": [[places[name], *measures.summary(name, numbers[name])] for name in item.metrics],
        "series": series,
    }


def _series(
    each: Series, clock: str, numbers: dict[str, list[Any]], places: dict[str, int], most: int
) -> dict[str, Any]:
    own = [(name, best, final) for name, every in numbers.items() for best, final, of in every if of is each]
    plot = [curves.plotted(each, name, most) if clock else None for name, _, _ in own]
    times = next(({"x": curve["x"]} for curve in plot if curve), {})
    for curve in plot:
        if curve and curve["x"] == times["x"]:
            del curve["x"]  # most metrics have the times of the first one
    return times | {
        "where": each.where,
        "seeds": len(each.replicas),
        "metrics": [[places[n], b.text, f.text, c] for (n, b, f), c in zip(own, plot, strict=True)],
    }
