"""Before any work, some points are taken to where their work would begin: what a command refuses is told at once.

Each value of an option is tried, of numbers the least and the largest, in the first point that has it; where that is
refused, in the next ones, since a combination may be to blame. A point that only a combination makes impossible fails
alone. No data set is fetched or made for it: where one is not on the disk, a point is taken to where it would be.
"""

from typing import Any

from plastic.data import store
from plastic.errors import PlasticError
from plastic.runs.decorator import Experiment, rehearse
from plastic.runs.given import canonical
from plastic.runs.surroundings import environment
from plastic.sweep.plan import Plan, record_of, shown

_MOST = 5  # points that are tried for a value


def require_possible(plan: Plan, results: str, here: bool) -> None:
    """Raise PlasticError where the command of a sweep refuses one of the points that are tried; nothing is written.

    Args:
        plan: the sweep.
        results: the folder that will hold its run folders.
        here: whether they are run on this machine, which then must have the device.
    """
    record = record_of(plan.family, plan.command)
    if here:
        with environment(canonical(record, plan.fixed).get("device"), "float32", 1):
            pass
    refusals: dict[int, PlasticError | None] = {}
    for points in tried(plan):
        for index in points:
            if index not in refusals:
                refusals[index] = _refusal(record, plan.fixed | plan.points[index] | {"results": results})
            if refusals[index] is None:
                break
        else:
            raise PlasticError(f"{shown(plan.points[points[0]])}: {refusals[points[0]]}")


def _refusal(record: Experiment, options: dict[str, Any]) -> PlasticError | None:
    try:
        with store.only_read():
            rehearse(record, options)
    except store.NotAtHandError:
        return None
    except PlasticError as error:
        return error
    return None


def tried(plan: Plan) -> list[list[int]]:
    """Return the first points with each value that is tried, of which one has to be possible."""
    found = []
    for name in plan.varied:
        points: dict[Any, list[int]] = {}
        for index, point in enumerate(plan.points):
            points.setdefault(point[name], []).append(index)
        numbers = [value for value in points if isinstance(value, int | float) and not isinstance(value, bool)]
        ends = (min(numbers), max(numbers)) if numbers else ()
        found += [some[:_MOST] for value, some in points.items() if value not in numbers or value in ends]
    return found
