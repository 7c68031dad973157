"""What the commands share beyond what all families do."""

from plastic.eprop import figures
from plastic.errors import PlasticError
from plastic.runs.command import run_task


def run_spiking_task(name, options, readable, prepare, keep, report):
    """Train a task in a run folder, with the figures of this family where the options ask for them; see `run_task`."""
    return run_task(
        "eprop", name, options, readable, prepare, report, keep, figures.draw if options["do_plot"] else None
    )


def check_step(options):
    """Raise PlasticError for steps that are not of 1 ms."""
    if options["dt"] != 1:
        raise PlasticError(f"dt is {options['dt']}; the stimuli are made for steps of 1 ms")
