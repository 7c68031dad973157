"""The page of a comparison: its table, its figure and how it was made, in one file of HTML that needs no other."""

import base64
import html

from plastic import plotting
from plastic.compare import figures, summary
from plastic.report.document import policy, template
from plastic.runs.folder import Run
from plastic.runs.new_run import shown


def page(run: Run, in_words: str) -> str:
    """Return the page of a comparison that is finished, as HTML, with the style of `plastic.report`.

    Nothing of the run is ever markup in it, and the page runs no script and loads nothing.

    Args:
        run: the run.
        in_words: what it was computed on.
    """
    style = template("report.css")
    drawn = plotting.image(figures.comparison([run])) if run.options.get("plot", True) else b""
    image = base64.b64encode(drawn).decode()
    heads = "".join(f'<th scope="col">{_text(text)}</th>' for text in summary.head(run))
    options = [f"<dt>{_text(name)}</dt><dd>{_text(shown(value))}</dd>" for name, value in run.options.items()]
    title = f"Learning rules on {_text(run.options.get('dataset', run.experiment))}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy(style, "", served=False))}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{style}</style></head><body>",
            f"<header><h1>{title}</h1><p>{_text(in_words)}</p></header><main>",
            '<div class="scroll" role="region" aria-label="Table of rules, scrollable" tabindex="0">',
            f'<table class="rules"><caption class="hidden">Rules</caption><thead><tr>{heads}</tr></thead>',
            f"<tbody>{''.join(_line(*summary.cells(row)) for row in summary.of(run))}</tbody></table></div>",
            f'<p class="note">{_text(summary.note(run))}</p>',
            '<div class="scroll" role="region" aria-label="Figure, scrollable" tabindex="0">'
            '<img class="wide" alt="Learning curves, cosines, robustness, time and accuracy" '
            f'src="data:image/png;base64,{image}"></div>' * bool(image),
            f"<h2>Options</h2><dl>{''.join(options)}</dl>",
            "</main></body></html>",
            "",
        ]
    )


def _text(value):
    return html.escape(str(value))


def _line(rule, *texts):
    return f'<tr><th scope="row">{_text(rule)}</th>{"".join(f"<td>{_text(text)}</td>" for text in texts)}</tr>'
