"""The options of a command that makes runs: those every experiment has, and those of a run to resume."""

import math

from plastic.errors import PlasticError
from plastic.runs.folder import Run

_CHANGEABLE = ("device", "threads", "results", "resume")  # nothing of it changes what is computed


def resumed(function, options, family, experiment):
    """Return the options of the run to resume, `options["resume"]`, for a command that was called with `options`.

    function: the command; options at their defaults count as not given. Raises PlasticError where the run is of another
    family or experiment, or where a value was asked for that the run does not have.
    """
    run = Run(options["resume"])
    if (run.family, run.experiment) != (family, experiment):
        raise PlasticError(
            f"{run.folder} is a run of {run.family} {run.experiment}; plastic.{family} cannot resume it as {experiment}"
        )
    default = function.__kwdefaults__
    kept = default | run.options  # a run made before an option existed has its default
    for name, value in options.items():
        if name not in _CHANGEABLE and value != default[name] and _plain(value) != kept[name]:
            raise PlasticError(
                f"{name} is {value!r}, but the run to resume has {kept[name]!r}; a resumed run keeps its options"
            )
    return {name: options[name] if name in _CHANGEABLE else _tuples(kept[name]) for name in options}


def seeds_of(options):
    """Return the seeds of a run, a list: the option `seeds`, or else `seed` alone."""
    return [options["seed"]] if options["seeds"] is None else list(options["seeds"])


def seed_names(options):
    """Return the seeds of a run as text for the name of its folder."""
    return "seed" + "+".join(str(seed) for seed in seeds_of(options))


def check_seeds(options):
    """Raise PlasticError unless the seeds of a run are different and in range."""
    given = seeds_of(options)
    if not given or len(set(given)) < len(given) or min(given) < 0 or max(given) >= 2**31:
        raise PlasticError(f"seeds are {given}; they must be different whole numbers from 0 to {2**31 - 1}")


def check_at_least_one(options, *names):
    """Raise PlasticError where one of these options is given and below 1."""
    for name in names:
        if options[name] is not None and options[name] < 1:
            raise PlasticError(f"{name} is {options[name]}; it must be at least 1")


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


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _tuples(value):
    return tuple(value) if isinstance(value, list) else value
