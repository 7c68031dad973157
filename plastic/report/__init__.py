"""One page for all runs below a folder: a table, curves, figures, and any of them side by side.

    python -m plastic.report results --out=report.html    a file that needs nothing else, to look at or to send
    python -m plastic.report results --watch              the same at an address of this machine, following the runs

Jinja2 is needed (extra `report`). From Python:

    from plastic import report

    html = report.page("results")
"""

from plastic import system

__all__ = ["page"]


def page(folder: system.Path) -> str:
    """Return the page that shows all runs below a folder, as HTML.

    Folders that cannot be read are listed with what is wrong with them.

    Args:
        folder: the folder; runs are found at any depth.

    Returns:
        The HTML, complete: it needs no other file and no network.

    Raises:
        PlasticError: if there is no such folder, or Jinja2 is not installed.

    Example:
        html = report.page("results")
        pathlib.Path("report.html").write_text(html, encoding="utf-8")
    """
    from plastic.report.document import Report

    report = Report(folder)
    report.look()
    return report.page()
