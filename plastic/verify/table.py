"""All checks, family by family, and the table of what they find."""

from collections.abc import Iterator

from plastic.errors import PlasticError
from plastic.verify import ep, eprop, gait, gle, pc
from plastic.verify.checks import Check, Verdict

FAMILIES: dict[str, tuple[Check, ...]] = {
    module.__name__.rpartition(".")[2]: module.CHECKS for module in (gait, ep, eprop, gle, pc)
}


def verdicts(family: str | None = None) -> Iterator[Verdict]:
    """Yield the verdict of each check, in the precision and on the device that are in use.

    Args:
        family: gait, ep, eprop, gle or pc; None for all.

    Raises:
        PlasticError: if there is no such family.

    Example:
        >>> from plastic import verify
        >>> all(verdict.passed for verdict in verify.verdicts("gait"))
        True
    """
    if family is not None and family not in FAMILIES:
        raise PlasticError(f"family is {family!r}; it must be one of {', '.join(FAMILIES)}")
    for name in FAMILIES if family is None else (family,):
        for check in FAMILIES[name]:
            yield check.verdict(name)


def row(verdict: Verdict) -> str:
    """Return a verdict as a line of the table under `HEAD`."""
    raised = verdict.error.partition("\n")[0]
    said = "holds" if verdict.passed else f"FAILS, {raised}" if raised else "FAILS"
    return f"{verdict.family:6} {verdict.what:65} {verdict.difference:10.1e} {verdict.tolerance:10.0e}  {said}"


HEAD = f"{'':6} {'what theory says':65} {'difference':>10} {'tolerance':>10}"
