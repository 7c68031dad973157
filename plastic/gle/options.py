"""Checks of options that the commands share beyond what all families do."""

from plastic.errors import PlasticError

_MOST = 10**8  # steps: their records still fit the memory


def check_steps(options, *names):
    """Raise PlasticError where times of the options are too many steps of dt."""
    for name in names:
        if options[name] / _MOST > options["dt"]:
            raise PlasticError(f"{name} is {options[name]}, more than {_MOST:,} steps of dt={options['dt']}")
