"""The one exception that is a message to the user, and the text that a message may hold."""


class PlasticError(Exception):
    """Something the user can put right: an option, a file, a device, a diverged run.

    The message names the option or file, the value found, and what would be right. The command line prints it as one
    line, `error: ...`, without a traceback, and exits with code 2. Messages quote files, servers and names that may
    come from anywhere; what does not print stands in them as `printable` writes it.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def told(error: Exception) -> str:
    """Return what an exception of any kind says, in one line that is not long."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def printable(text: str) -> str:
    """Return a text on one line, with an escape in place of each character that does not print.

    Control characters, escape codes of a terminal, marks that reverse the direction of writing, and bytes of a file
    name that are no text are such characters.

    Args:
        text: what may come from a file, a server or the command line.

    Returns:
        The text; a space stands for the end of a line.

    Example:
        >>> print(printable("404 not\\x1b[31m found"))
        404 not\\x1b[31m found
    """
    if text.isprintable():
        return text
    text = " ".join(text.splitlines())
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
