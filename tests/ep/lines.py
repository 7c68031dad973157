"""Lines of the commands of `plastic.ep`, run in this process."""

import pathlib

from command_lines import error_of, printed

from plastic import runs
from plastic.ep.__main__ import COMMANDS, PUBLISHED

HOW = {"default": "train", "by": "action", "spellings": PUBLISHED}
"""How `python -m plastic.ep` finds the command."""


def split(*words):
    """The words of some texts as a shell would hand them over."""
    return [each for word in words if word for each in str(word).split(" ")]


def command(*words, plot=False):
    """Run the command line in this process; return the folder of the run, and the other lines that were printed."""
    *lines, folder = printed(COMMANDS, split(*words, *([] if plot else ["--no_plot"])), "plastic.ep", **HOW)
    return pathlib.Path(folder.removeprefix("run folder ")), lines


def refused(*words, code=2):
    """Run a command line that fails; return the one line of its error."""
    error, shown = error_of(COMMANDS, split(*words), "plastic.ep", code, **HOW)
    assert shown == ""
    return error


def parameters_of(folder):
    """The trained parameters by path, without what else a checkpoint holds."""
    arrays, _ = runs.Run(folder).read_checkpoint()
    return {path: array for path, array in arrays.items() if path.startswith("parameters/")}
