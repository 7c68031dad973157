"""What a comparison that is finished leaves: tables, and one page."""

from plastic import files, system
from plastic.compare import summary
from plastic.compare.page import page
from plastic.runs.folder import Run
from plastic.runs.surroundings import in_words


def write(run: Run) -> list[str]:
    """Write summary.md, summary.csv and page.html into the folder of a run; return the table as lines to print."""
    words = "; ".join(filter(None, [system.processor(), in_words()]))
    for name, text in {
        "summary.md": f"{summary.markdown(run)}\n{words}\n",
        "summary.csv": summary.comma_separated(run),
        "page.html": page(run, words),
    }.items():
        files.write(run.folder / name, text.encode())
    return [*summary.printed(run), summary.note(run), words]
