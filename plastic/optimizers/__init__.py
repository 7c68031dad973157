r"""Optimizers: from gradients to parameters, in place.

An optimizer holds its constants only. Its state is a tree made by `init(parameters)`, kept by the caller (and in the
checkpoint), and `step(parameters, gradients, state)` changes parameters and state in place. Gradients are signed to
be subtracted.

The learning rate `lr` is a number, an array with one number for each replica, (R, 1, 1), or a tree of these that
follows the parameters, where a rate holds for all that lies under it: {"layers": [0.1, 0.2]} has one rate per layer.
`step(..., lr=...)` overrides it, for schedules. Trees, shapes and rates that do not fit raise PlasticError before
anything is changed.

What belongs together, parameter, rate and moments, is found out in the first step with a state and kept beside it, as
long as the same arrays are given; a later step only walks the gradients.
"""

from plastic.optimizers.clipping import clipped
from plastic.optimizers.descent import SGD, Adam, RMSprop
from plastic.optimizers.schedules import Plateau, Stairs

__all__ = ["SGD", "Adam", "Plateau", "RMSprop", "Stairs", "clipped"]


def __dir__() -> list[str]:
    return __all__
