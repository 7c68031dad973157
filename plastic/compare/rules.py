"""What is compared: learning rules, with what each needs beside the weights, and the networks that they train."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from plastic import require
from plastic.errors import PlasticError
from plastic.types import Array, Tree


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes:
        about: what it is, in words.
        draw: draw(sizes, generator) -> its initial weights, a tree of `Affine`s, which all rules for it share.
        make: make(weights) -> net, which holds these arrays and no copies.
        predict: predict(net, x) -> output (batch, classes).
        bp: bp(net, x, y) -> (grads, output), the exact gradient of the loss, to which updates are compared; grads is
            {"layers": a tree like the weights}.
        fits: fits(sizes) -> why there is no such network of these sizes, "" where there is.
    """

    about: str
    draw: Callable[[tuple[int, ...], np.random.Generator], Tree]
    make: Callable[[Tree], Any]
    predict: Callable[[Any, Array], Array]
    bp: Callable[[Any, Array, Array], tuple[Tree, Array]]
    fits: Callable[[tuple[int, ...]], str] = lambda sizes: ""


def nothing(net: Any, generator: np.random.Generator) -> None:
    """Draw what a rule has beside the weights: nothing."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A learning rule to be compared.

    Attributes:
        name: in tables and figures.
        kind: the network that it trains.
        gradients: gradients(net, x, y, feedback) -> (grads, output) on a batch x (batch, n_0), or sequences (batch, T,
            n_0), and y (batch, classes) of one-hot rows. grads is {"layers": a tree like the weights}, signed to be
            subtracted. It changes nothing. Where weights move several times for a batch it returns an iterator of such
            pairs, between two of which weights move.
        feedback: feedback(net, generator) draws the tree of arrays that the rule has beside the weights, as fixed
            random feedback; None for nothing.
        learns_feedback: whether grads hold "feedback" too, a tree like it, by which it learns.
        decay: the share of all that learns which goes after each step.
        fits: fits(sizes) -> why the rule is not for such a network of its kind, "" where it is.

    Raises:
        PlasticError: if `kind` is no `Kind`, or the decay is out of range.
    """

    name: str
    kind: Kind
    gradients: Callable[..., Any]
    feedback: Callable[[Any, np.random.Generator], Tree] = nothing
    learns_feedback: bool = False
    decay: float = 0.0
    fits: Callable[[tuple[int, ...]], str] = lambda sizes: ""

    def __post_init__(self) -> None:
        if not isinstance(self.kind, Kind):
            raise PlasticError(f"kind of rule {self.name} is {self.kind!r}; it must be a Kind, compare.FEED_FORWARD")
        require.number("decay", self.decay, least=0, below=1)

    def misfit(self, sizes: tuple[int, ...]) -> str:
        """Return why the rule, or its kind of network, is not for these sizes, "" where it is."""
        return self.kind.fits(sizes) or self.fits(sizes)

    def updates(self, net: Any, x: Array, y: Array, feedback: Tree) -> Iterator[tuple[Tree, Array]]:
        """Return an iterator of (grads, output), one for each time that weights move for this batch."""
        found = self.gradients(net, x, y, feedback)
        return iter([found] if isinstance(found, tuple) else found)


def of(rule: Any, known: dict[str, Rule]) -> Rule:
    """Return a rule, given its name, a `Rule`, or a function (net, x, y) -> (grads, output) of the user's.

    Args:
        rule: which.
        known: rules by name; a function trains the network of the first of them.

    Raises:
        PlasticError: if it is something else.
    """
    if isinstance(rule, Rule):
        return rule
    if callable(rule):
        name = getattr(rule, "__name__", type(rule).__name__)
        return Rule(name, next(iter(known.values())).kind, lambda net, x, y, feedback: rule(net, x, y))
    require.choice("a rule", rule, known)
    return known[rule]


def _is_name(name):
    """Tell whether files give a name back as it is: metrics.csv, where "nan" is a number, arrays.h5, summary.md."""
    try:
        float(name)
    except ValueError:
        parts = name.split("/")
        return name.isprintable() and "|" not in name and not any(part.strip() in ("", ".") for part in parts)
    return False


def chosen(names: Iterable[Any] | None, sizes: tuple[int, ...], known: dict[str, Rule]) -> dict[str, Rule]:
    """Return {name: rule} of those that are asked for; by default all that fit the network.

    Args:
        names: as for `of`, or None.
        sizes: (n_0, .., n_L).
        known: rules by name.

    Raises:
        PlasticError: if one is unknown, named twice or by what is no word, or not for such a network.
    """
    if names is None:
        return {name: rule for name, rule in known.items() if not rule.misfit(sizes)}
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise PlasticError(f"rules is {names!r}; it must be a list, as ['bp', my_rule]")
    found: dict[str, Rule] = {}
    for each in names:
        rule = of(each, known)
        name = each if isinstance(each, str) else rule.name
        if name in found:
            raise PlasticError(f"two rules are called {name}; different ones are needed, or a Rule with another name")
        found[name] = rule
    if not found:
        raise PlasticError("rules has none; at least one is needed")
    for name, rule in found.items():
        if rule is not known.get(name, rule):
            raise PlasticError(f"a rule of yours is called {name}, as one of plastic.compare is; give it another name")
        if not _is_name(name):
            raise PlasticError(f"a rule is called {name!r}; its name must be words: no number, nothing like | or ./")
    for name, rule in found.items():
        if why := rule.misfit(sizes):
            raise PlasticError(f"rules are {', '.join(found)}, but {name} {why}")
    return found
