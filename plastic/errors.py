"""The exceptions that are messages to the user, and the text that a message may hold."""


class PlasticError(Exception):
    """Something the user can put right: an option, a file, a device, a diverged run.

    The message names the option or file, the value found, and what would be right. The command line prints it as one
    line, `error: ...`, without a traceback, and exits with code 2. Messages quote files, servers and names that may
    come from anywhere; what does not print stands in them as `printable` writes it, but a space for the end of a line.
    """

    def __str__(self) -> str:
        return printable(" ".join(super().__str__().splitlines()))


class Diverged(PlasticError):
    """Work that led to numbers that are not finite; the message names what diverged and the options at fault.

    Unlike a refusal it comes after work has begun: the run folder stays, with the status "diverged".
    """


def told(error: Exception) -> str:
    """Return what an exception of any kind says, in one line that is not long."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def printable(text: str) -> str:
    """Return a text on one line, with an escape in place of each character that does not print.

    Control characters, ends of lines, escape codes of a terminal, marks that reverse the direction of writing, and
    bytes of a file name that are no text are such characters.

    Args:
        text: what may come from a file, a server or the command line.

    Returns:
        The text.

    Example:
        >>> print(printable("404 not\\x1b[31m found\\n"))
        404 not\\x1b[31m found\\n
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
