"""Packages that one experiment needs and most people do not."""

import importlib
from types import ModuleType

from plastic.errors import PlasticError


def package(name: str, extra: str, what: str) -> ModuleType:
    """Return the module of a package that is not always installed.

    Args:
        name: of the package to import.
        extra: the extra of plastic-learning that installs it.
        what: what needs it, for the message.

    Returns:
        The module.

    Raises:
        PlasticError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise PlasticError(f"{what} needs {name}: pip install 'plastic-learning[{extra}]'") from None
