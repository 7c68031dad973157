"""Before any work, some points are taken to where their work would begin: what a command refuses is told at once.

Each value of an option is tried, of numbers the least and the largest, in the first point that has it; where that is
refused, in the next ones, since a combination may be to blame. Then combinations are tried, in an order at random, for
some seconds: where making networks and data takes milliseconds, a thousand of them. A point that only a combination
makes impossible is told, and fails alone. No data set is fetched or made for it: where one is not on the disk, a point
is taken to where it would be.
"""

import time
from typing import Any

import numpy as np

from plastic.data import store
from plastic.errors import PlasticError
from plastic.runs.decorator import rehearse
from plastic.runs.given import canonical
from plastic.runs.record import Experiment
from plastic.runs.surroundings import environment
from plastic.sweep.plan import Plan, record_of, shown

_MOST = 5  # points that are tried for a value
_SECONDS = 5.0  # that combinations are tried for


def require_possible(plan: Plan, results: str, here: bool) -> dict[int, PlasticError]:
    """Require that the command of a sweep takes each value in some point, as far as points are tried; write nothing.

    Args:
        plan: the sweep.
        results: the folder that will hold its run folders.
        here: whether they are run on this machine, which then must have the device.

    Returns:
        {point: why it is refused}, of those that a combination of values makes impossible.

    Raises:
        PlasticError: where all points that are tried for a value are refused.
    """
    record = record_of(plan.family, plan.command)
    if here:
        with environment(canonical(record, plan.fixed).get("device"), "float32", 1):
            pass
    refusals: dict[int, PlasticError | None] = {}

    def refused(index: int) -> PlasticError | None:
        if index not in refusals:
            refusals[index] = _refusal(record, plan.fixed | plan.points[index] | {"results": results})
        return refusals[index]

    for points in tried(plan):
        if all(map(refused, points)):
            raise PlasticError(f"{shown(plan.points[points[0]])}: {refusals[points[0]]}")
    impossible: dict[int, PlasticError] = {}
    until = time.monotonic() + _SECONDS
    for points in combinations(plan):
        known = [index for index in points if index in refusals]
        if not known and time.monotonic() > until:
            continue
        if why := refused((known or points)[0]):
            impossible |= dict.fromkeys(points, why)
    return impossible


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
        numbers = list(filter(_is_number, points))
        ends = (min(numbers), max(numbers)) if numbers else ()
        found += [some[:_MOST] for value, some in points.items() if value in ends or not _is_number(value)]
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def combinations(plan: Plan) -> list[list[int]]:
    """Return lists of the points that differ in their seed alone, in an order at random, the same at each call."""
    alike: dict[str, list[int]] = {}
    for index, point in enumerate(plan.points):
        alike.setdefault(repr(point | {"seed": None}), []).append(index)
    found = list(alike.values())
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]
