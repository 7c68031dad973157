"""Learning rules side by side: one task, one network, the same tuning budget for each.

    python -m plastic.compare --dataset=glyphs                     all rules, with a table, a figure and a page
    python -m plastic.compare sequences --dataset=MNIST-1D         those that learn in time

    from plastic import compare

    found = compare.compare(arrays, ["bp", "fa", my_rule], sizes=(64, 64), seeds=(1, 2, 3))
    print(found.table)

A rule of one's own is a function (net, x, y) -> (grads, output), as those of `plastic.pc`; one that has more than the
weights, fixed random feedback for instance, is a `Rule`. Each is tried at the same learning rates, which are chosen on
validation data, and then trained with every seed; the test set is measured once, after training.
"""

from plastic.compare.comparison import Budget
from plastic.compare.feed_forward import FEED_FORWARD, RELAXING, RULES
from plastic.compare.in_time import LSTM, NEURONS
from plastic.compare.in_time import RULES as IN_TIME
from plastic.compare.library import Comparison, compare
from plastic.compare.rules import Kind, Rule

__all__ = [
    "FEED_FORWARD",
    "IN_TIME",
    "LSTM",
    "NEURONS",
    "RELAXING",
    "RULES",
    "Budget",
    "Comparison",
    "Kind",
    "Rule",
    "compare",
]


def __dir__() -> list[str]:
    return __all__
