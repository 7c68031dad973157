"""What a command that trains does around its task: environment, run folder, arrays, figures, report."""

import functools

from plastic.runs.folder import Run, results_folder
from plastic.runs.surroundings import environment


def run_task(family, name, options, readable, prepare, report, keep=None, draw=None):
    """Train a task in a run folder, new or to be resumed; draw its figures and print what came of it.

    prepare() -> task, in the environment of the options; task.train(run) -> outcome; keep(task) -> arrays for
    arrays.h5; draw(folder) draws the figures; report(run, outcome) prints. Returns the folder.
    """
    with environment(options["device"], options["dtype"], options["threads"]):
        task = prepare()
        resume = options["resume"]
        new = functools.partial(Run.create, results_folder(options["results"]), family, name)
        with Run.resume(resume) if resume else new(options, readable) as run:
            outcome = task.train(run)
            if keep is not None:
                run.save_arrays(keep(task))
            if draw is not None:
                draw(run.folder)
            run.status("finished", **run.config.get("details", {}))
    report(run, outcome)
    print(f"run folder {run.folder}")
    return run.folder
