"""What is published and which command runs it: `python -m plastic.pc list`; the published seeds."""

import csv
import functools
import importlib.resources
from typing import NamedTuple

from plastic import require, terminal

# fmt: off
SEEDS = (
    1482555873, 698841058, 2283198659, 1855152618, 2444264003, 4191194675, 2563230118, 2508066235, 690101352,
    1489128536, 193493729, 3247095100, 2569134589, 3859394752, 3982413761, 2889788203, 3507183834, 1288605031,
    1603403502, 4110491292, 3228301166, 1625209643, 3229422879, 4117841395, 383017664, 369370935, 2278516753,
    2326123831, 3558864999, 281470168, 3965936537, 1095454788, 4151697083, 3549593167, 3621705125, 2951949230,
    2942809220, 1412354999, 3653984540, 38155820, 452984486, 2219886835, 1824037622, 1223472929, 375839252,
    2597045926, 187775831, 2291831353, 3551958879, 760971382, 1019978323, 3385238229, 2124033150, 2909826692,
    3761144171, 2586511809, 2821469938, 3244598120, 1195937429, 3800305993, 1106674707, 1922347502, 2999545244,
    1650175939, 3200709490, 1947803234, 301456582, 1611073380, 3238577641, 1446155378, 1705511488, 2777770570,
    3913116301, 1525032703, 3260116528, 3235491768, 2021899074, 550305527, 2227549273, 3227763636, 4034863635,
    2984716302, 822586165, 2244632731, 2578193189, 2806006426, 364049366, 2580805533, 1471857781, 636897984,
    3061662337, 3640170982, 3927284778, 3117797531, 1117650596, 223429686, 651134664, 955904314, 1703657804,
    2162018890,
)
# fmt: on
"""The published seeds, of which each configuration takes the first ones. Here they give other draws than there."""
TABLES = {"whole": "its results are recorded", "part": "a part of its results is recorded"}
"""Whether results/tables/pc.md has results of a configuration, and how many of them."""


class Published(NamedTuple):
    """Configurations of one folder of the published code, and the command that runs them.

    figure: which they belong to; "" for none. command: "" for none, and `about` says why. cost: the time it takes.
    table: one of `TABLES`, or "".
    """

    folder: str
    configurations: str
    figure: str
    command: str
    cost: str
    about: str
    table: str


@functools.cache
def configurations():
    """Return a tuple of `Published`: all configurations of the published code, as configurations.csv has them."""
    text = (importlib.resources.files("plastic.pc.experiments") / "configurations.csv").read_text("utf-8")
    return tuple(Published(**row) for row in csv.DictReader(text.splitlines()))


def list_published():
    """List the published configurations: figures, commands, what these cost on a CPU, whether results are recorded."""
    for row in configurations():
        figure = f"Fig. {row.figure}" if row.figure else "-"
        command = f"python -m plastic.pc {row.command}" if row.command else "not here"
        recorded = TABLES.get(row.table, "no results are recorded" if row.command else "")
        notes = "; ".join(note for note in (row.cost, row.about, recorded) if note)
        terminal.say(f"{row.folder}: {row.configurations} ({figure})")
        terminal.say(f"    {command}  [{notes}]")
    terminal.say("recorded results are in results/tables/pc.md")


def list_seeds(count: int = 3):
    """Print the published seeds, as an option takes them: --seeds=$(python -m plastic.pc seeds 21).

    Args:
        count: how many; 3, 21, 27, 31, 55 and 99 are published.
    """
    require.whole("count", count, least=1, most=len(SEEDS))
    terminal.say(",".join(map(str, SEEDS[:count])))


def table():
    """Return the same as a table in Markdown."""
    lines = ["| configurations | figure | command | time on one core, notes | recorded |", "|---|---|---|---|---|"]
    for row in configurations():
        command = f"`{row.command}`" if row.command else "not here"
        notes = "; ".join(note for note in (row.cost, row.about) if note)
        recorded = {"whole": "yes", "part": "in part"}.get(row.table, "no")
        lines.append(f"| {row.folder}: {row.configurations} | {row.figure} | {command} | {notes} | {recorded} |")
    return "\n".join(lines)
