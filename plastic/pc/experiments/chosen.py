"""Outputs that are values of actions, of which only the chosen one is taught (Song et al. 2024, Fig. 4k and 6c)."""

from plastic import xp
from plastic.pc.experiments.learning import by_loss
from plastic.pc.networks import predict
from plastic.pc.rules import bp


def gradients(rule, inference):
    """Return gradients(net, x, target, chosen) -> grads by a rule, "pc" or "bp", means over the batch.

    The loss is half the squared error of the chosen output; the others have none, and stay free during inference.

    target: (..., batch, 1). chosen: (..., batch, n_L), 1 for the chosen output and 0 for the others.
    """

    def by_pc(net, x, target, chosen):
        return by_loss(net, x, lambda output: squared(output, target, chosen), inference)

    def by_bp(net, x, target, chosen):
        output = predict(net, x)
        return bp(net, x, output + chosen * (target - output))[0]

    return {"pc": by_pc, "bp": by_bp}[rule]


def squared(output, target, chosen):
    """Return half the squared error of the chosen outputs, a sum over the batch, and its gradient."""
    err = chosen * (output - target)
    return 0.5 * xp.sum(err * err, axis=(-2, -1)), err
