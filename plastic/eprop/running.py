"""What the commands share: checks of options, and training in a run folder."""

import functools
import math

from plastic import runs
from plastic.eprop import figures
from plastic.errors import PlasticError


def run_task(name, options, readable, prepare, keep, report):
    """Train a task in a run folder, new or to be resumed; draw its figures and print what came of it."""
    with runs.environment(options["device"], options["dtype"], options["threads"]):
        task = prepare()
        resume = options["resume"]
        new = functools.partial(runs.Run.create, runs.results_folder(options["results"]), "eprop", name)
        with runs.Run.resume(resume) if resume else new(options, readable) as folder:
            outcome = task.train(folder)
            folder.save_arrays(keep(task))
            if options["do_plot"]:
                figures.draw(folder.folder)
            folder.status("finished", **folder.config.get("details", {}))
    report(folder, outcome)
    print(f"run folder {folder.folder}")
    return folder.folder


def check_above_zero(options, *names):
    """Raise PlasticError where one of these options is not above 0."""
    for name in names:
        if not options[name] > 0:
            raise PlasticError(f"{name} is {options[name]}; it must be above 0")


def check_between(options, name, lowest, highest=math.inf):
    """Raise PlasticError where an option is outside a range, its ends included."""
    if not lowest <= options[name] <= highest:
        most = f" and at most {highest}" if highest < math.inf else ""
        raise PlasticError(f"{name} is {options[name]}; it must be at least {lowest}{most}")


def check_step(options):
    """Raise PlasticError for steps that are not of 1 ms."""
    if options["dt"] != 1:
        raise PlasticError(f"dt is {options['dt']}; the stimuli are made for steps of 1 ms")
