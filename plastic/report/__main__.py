"""`python -m plastic.report FOLDER`: one page for all runs below a folder."""

import os
import pathlib

from plastic import cli, files, system, terminal
from plastic.errors import PlasticError
from plastic.report.document import Report
from plastic.report.server import serve
from plastic.runs import results_folder

PORT = 8765


def report(folder: str | None = None, *, out: str | None = None, watch: bool = False, port: int | None = None) -> None:
    """Show all runs below a folder in one page of HTML: a table, curves, figures, and runs side by side.

    The page is one file that needs no network. Folders that cannot be read are listed with what is wrong with them.

    Args:
        folder: the folder, in which runs are found at any depth; by default PLASTIC_RESULTS or ./results.
        out: the .html file to write; by default report.html in the folder. A file that exists is left as it is.
        watch: write nothing, but show the page to browsers on this machine and follow the runs, until Ctrl-C.
        port: of the address to watch at, 0 for any that is free; by default 8765.
    """
    root = system.expanded(folder, "folder") if folder else results_folder()
    if watch:
        if out is not None:
            raise PlasticError(f"out is {out}, but --watch writes no file; leave one of the two out")
        return serve(Report(root), PORT if port is None else port)
    if port is not None:
        raise PlasticError(f"port is {port}, but nothing is served without --watch")
    path = system.expanded(out, "out") if out else root / "report.html"
    found = Report(root)
    _require_new(path)
    found.look()
    if not found.items():
        raise PlasticError(f"folder is {root}; there is no run in it, nor below it")
    files.write(path, found.page().encode())
    terminal.say(str(path))


def _require_new(path: pathlib.Path) -> None:
    if path.suffix.lower() != ".html":
        raise PlasticError(f"out is {path}; it must end in .html")
    if os.path.lexists(path):
        raise PlasticError(
            f"{path} exists and is left as it is: look at it, delete it, or give another --out=FILE.html"
        )
    if not path.parent.is_dir():
        raise PlasticError(f"out is {path}; there is no folder {path.parent}")


if __name__ == "__main__":
    cli.run(report, prog="plastic.report")
