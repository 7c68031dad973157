"""What is published and which command runs it: `python -m plastic.pc list`; the published seeds."""

from plastic import require, terminal
from plastic.pc.experiments.configurations import ROWS, SEEDS


def list_published():
    """List the published configurations: their figures, the commands that run them, and what these cost on a CPU."""
    for row in ROWS:
        figure = f"Fig. {row.figure}" if row.figure else "-"
        command = f"python -m plastic.pc {row.command}" if row.command else "not here"
        notes = "; ".join(note for note in (row.cost, row.about) if note)
        terminal.say(f"{row.folder}: {row.configurations} ({figure})")
        terminal.say(f"    {command}" + (f"  [{notes}]" if notes else ""))


def list_seeds(count: int = 3):
    """Print the published seeds, as an option takes them: --seeds=$(python -m plastic.pc seeds 21).

    Args:
        count: how many; 3, 21, 27, 31, 55 and 99 are published.
    """
    require.whole("count", count, least=1, most=len(SEEDS))
    terminal.say(",".join(map(str, SEEDS[:count])))


def table():
    """Return the same as a table in Markdown."""
    lines = ["| configurations | figure | command | time on one core, notes |", "|---|---|---|---|"]
    for row in ROWS:
        command = f"`{row.command}`" if row.command else "not here"
        notes = "; ".join(note for note in (row.cost, row.about) if note)
        lines.append(f"| {row.folder}: {row.configurations} | {row.figure} | {command} | {notes} |")
    return "\n".join(lines)
