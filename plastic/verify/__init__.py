"""Does it compute right here? Every rule against what theory says of it, on this machine, device and precision.

    python -m plastic.verify                    all families, in seconds
    python -m plastic.verify ep --device=gpu    one of them, on a GPU

A rule is compared with finite differences of its loss, with another route to the same gradient, or with the limit where
theory says that two rules meet. What is expected is always computed in float64, from the same weights and data; the
difference is relative to the largest entry of each leaf.

    from plastic import verify

    for verdict in verify.verdicts("pc"):
        print(verdict.what, verdict.difference, verdict.passed)
"""

from plastic.verify.checks import Check, Verdict
from plastic.verify.table import FAMILIES, verdicts

__all__ = ["FAMILIES", "Check", "Verdict", "verdicts"]
