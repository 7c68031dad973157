"""What the experiments on images compare: rules by name, and the updates that each makes from a batch."""

import dataclasses
import functools

from plastic import xp
from plastic.errors import PlasticError
from plastic.pc import RULES
from plastic.pc.experiments.options import Inference, require_some_of
from plastic.pc.inference import infer, step
from plastic.pc.networks import predict
from plastic.pc.reach import warn_of_reach
from plastic.pc.rules import repeated_bp
from plastic.pc.states import State

NAMES = {
    "pc": "PC",
    "ipc": "iPC",
    "fixed_prediction": "fixed prediction",
    "zil": "Z-IL",
    "bp": "BP",
    "repeated_bp": "repeated BP",
    "bp_published": "repeated BP, rectified output",
    "tp": "TP",
}
"""What the rules are called."""
MANY = {"ipc": step, "repeated_bp": repeated_bp}
"""Those by which weights move at every one of T steps, rather than once for each batch."""
CONSTANTS = {
    "pc": ("T", "gamma", "discount", "tolerance", "solver"),
    "ipc": ("T", "gamma", "discount"),
    "fixed_prediction": ("T", "gamma", "tolerance"),
    "repeated_bp": ("T",),
    "bp_published": ("T",),
}
"""The constants of inference that rules take."""
_USUAL = Inference()
ON_IMAGES = ("pc", "ipc", "fixed_prediction", "zil", "bp", "repeated_bp", "tp")


def require_rules(rules, inference, usual=_USUAL, phi="sigmoid", known=ON_IMAGES, loss=None):
    """Require different rules among those that are known, which fit the activation, the way of inference, the loss.

    usual: inference as it is where nothing is said about it; what differs must be of one of the rules.
    """
    require_some_of("rules", rules, known)
    if "tp" in rules and phi != "linear":
        raise PlasticError(f"rules are {', '.join(rules)}, but tp is for linear networks, and activation is {phi}")
    for name, value in dataclasses.asdict(inference).items():
        takers = [rule for rule in known if name in CONSTANTS.get(rule, ())]
        if value != getattr(usual, name) and not set(takers) & set(rules):
            whose = f"for {', '.join(takers)}" if takers else "of no rule of this experiment"
            raise PlasticError(f"{name} is {value}, which is {whose}, but rules are {', '.join(rules)}")
    if inference.solver == "layerwise" and loss is not None:
        raise PlasticError(
            "solver is layerwise, which is for half the squared error of all outputs, but another is asked"
        )


def squared(coefficient):
    """Return the loss that is the squared error times a coefficient; None where it is 1/2, as rules have it anyway."""

    def loss(output, y):
        err = output - y
        return coefficient * xp.sum(err * err, axis=(-2, -1)), 2 * coefficient * err

    return None if coefficient == 0.5 else loss


def updates_of(rule, inference, loss=None):
    """Return updates(net, x, y, out), an iterator that writes the gradients of the next update into `out` each time.

    Weights may be moved between two of them. loss: loss(output, y) -> (L, err) in place of half the squared error, L
    summed over the batch, of the replica shape, and err = dL/doutput.
    """
    if rule in MANY:
        return functools.partial(_many, MANY[rule], inference, loss)
    if loss is None:
        constants = {name: getattr(inference, name) for name in CONSTANTS.get(rule, ())}
        return functools.partial(_once, functools.partial(RULES[rule], **constants))
    if rule == "pc":
        return functools.partial(_once, functools.partial(_pc, inference, loss))
    return functools.partial(_once, functools.partial(_linear_in_the_error, updates_of(rule, inference), loss))


def _once(gradients, net, x, y, out):
    gradients(net, x, y, out=out)
    yield


def _many(gradients, inference, loss, net, x, y, out):
    state = State(net, x, y, gamma=inference.gamma, discount=inference.discount)
    of_output = None if loss is None else lambda output: loss(output, y)
    for _ in range(inference.T):
        gradients(net, state, x, of_output, out=out)
        yield


def _pc(inference, loss, net, x, y, out):
    by_loss(net, x, lambda output: loss(output, y), inference, out)


def by_loss(net, x, loss, inference, out=None):
    """Return the gradients of predictive coding by a loss of the output, loss(output) -> (L, err); see `pc.pc`."""
    warn_of_reach(net, inference.T, inference.gamma, inference.solver)
    state = State(net, x, gamma=inference.gamma, discount=inference.discount)
    how = {"tolerance": inference.tolerance, "solver": inference.solver}
    infer(net, state, x, inference.T - 1, loss, **how)
    return state.weight_gradients(out)


def _linear_in_the_error(updates, loss, net, x, y, out):
    """Write the gradients of a rule into `out` that carries the error of the prediction down, of whatever loss."""
    output = predict(net, x)
    for _ in updates(net, x, output - loss(output, y)[1], out):
        pass
