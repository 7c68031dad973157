"""The one exception that is a message to the user."""


class PlasticError(Exception):
    """Something the user can put right: an option, a file, a device, a diverged run.

    The message names the option or file, the value found, and what would be right. The command line prints it as one
    line, `error: ...`, without a traceback, and exits with code 2.
    """
