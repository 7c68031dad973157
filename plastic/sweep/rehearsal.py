"""Before any work, some points are taken to where their work would begin: what a command refuses is told at once.

They are the first point with each value of an option, of numbers with the least and the largest. A point that only a
combination of values makes impossible may not be among them, and then fails alone.
"""

from typing import Any

from plastic.errors import PlasticError
from plastic.runs.decorator import rehearse
from plastic.runs.given import canonical
from plastic.runs.surroundings import environment
from plastic.sweep.plan import Plan, record_of, shown


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
    for index in tried(plan):
        try:
            rehearse(record, plan.fixed | plan.points[index] | {"results": results})
        except PlasticError as error:
            raise PlasticError(f"{shown(plan.points[index])}: {error}") from None


def tried(plan: Plan) -> list[int]:
    """Return the points that are tried."""
    found: set[int] = set()
    for name in plan.varied:
        first: dict[Any, int] = {}
        for index, point in enumerate(plan.points):
            first.setdefault(point[name], index)
        numbers = [value for value in first if isinstance(value, int | float) and not isinstance(value, bool)]
        ends = (min(numbers), max(numbers)) if numbers else ()
        found |= {index for value, index in first.items() if value not in numbers or value in ends}
    return sorted(found)
