"""Sweeps: a run made of parts, each with its own network, that are done one after the other.

What a part has found are rows of metrics.csv, and the checkpoint says which parts are done. A run that was killed
goes on with the part it was in, from its beginning, and so ends as an undisturbed one.
"""

import functools

import numpy as np

from plastic import data
from plastic.errors import PlasticError
from plastic.pc import supervised
from plastic.pc.figures import draw
from plastic.pc.selecting import best
from plastic.runs.command import run_task
from plastic.runs.options import check_above_zero, check_between, check_seeds

RULES = ("pc", "bp")


class Sweep:
    """parts: [part], each a dict of the values that set it apart.    work: work(part) -> rows of metrics.csv."""

    def __init__(self, parts, work):
        self.parts, self.work = parts, work

    def train(self, run):
        """Do the parts that are not done yet."""
        from tqdm import tqdm

        done = 0
        if (run.folder / "checkpoint.h5").exists():
            done = run.load_checkpoint({})["done"]
        else:
            (run.folder / "metrics.csv").unlink(missing_ok=True)  # of a run that was killed in its first part
        for part in tqdm(self.parts[done:], initial=done, total=len(self.parts), disable=None, unit="part"):
            with np.errstate(all="ignore"):  # where training diverges, the error is 1, as published
                run.log([part | row for row in self.work(part)])
            done += 1
            run.save_checkpoint({}, {"done": done})


def check(options):
    """Raise PlasticError for what all sweeps over images share: seeds, rates, inference, the name of the data set."""
    check_seeds(options | {"seed": None})
    check_above_zero(options, "gamma", "discount")
    check_between(options, "discount", 0, 1)
    data.require(options["dataset"])
    if options["rates"] is not None and not (options["rates"] and min(options["rates"]) > 0):
        raise PlasticError(f"rates are {options['rates']}; they must be above 0")


def run_sweep(name, options, parts, work, report):
    """Run work(options, images, part) for each part and rule in a run folder; report(metrics) prints what came of it.

    parts: [{axis: value}], [{}] for one part.
    """

    def prepare():
        sets = supervised.images(options["dataset"], options["dtype"])
        every = [{"rule": rule} | part for part in parts for rule in RULES]
        return Sweep(every, functools.partial(work, options, sets))

    readable = f"{options['grid']}-{options['dataset']}"
    return run_task("pc", name, options, readable, prepare, lambda run, _: report(run.metrics()), draw=draw)


def print_best(metrics, summary, rule, **where):
    """Print what a rule reaches at its best rate, chosen on the test set, and on its first half for the second."""
    chosen = best(metrics, summary, rule=rule, **where)
    held = best(metrics, summary, "validation_error", "held_out_error", rule=rule, **where)
    place = "".join(f"{axis} {value:g}, " for axis, value in where.items())
    error, other = (f"{np.mean(each['values']):.3f} (rate {each['rate']:g})" for each in (chosen, held))
    print(f"{place}{rule.upper()}: {summary} test error {error}; {other} if held out")
