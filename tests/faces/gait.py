"""What the walk over all families has to be told of `plastic.gait`."""

import numpy as np
from faces.case import Case

from plastic import gait, xp
from plastic.parameters import Affine

CLASSES = 4


def batch(widths, columns):
    def draw(rng, lead):
        x = rng.standard_normal((*lead, 5, widths[0]))
        return x, np.eye(columns)[rng.integers(0, columns, (*lead, 5))]

    return draw


def random_feedback(net):
    """The same matrices for every replica."""
    return {"feedback": gait.fa_feedback(net, np.random.default_rng(3))}


def random_direct_feedback(columns):
    return lambda net: {"feedback": gait.dfa_feedback(net, columns, np.random.default_rng(3))}


def number(net, value):
    return xp.asarray(np.full((2, 1, 1), value))


GAMMAS = (0, -0.1, 1.5, float("nan"), float("inf"), True, "0.1", None, [0.1])
MISUSE = {f"gamma {gamma!r}": lambda net, x, y, gamma=gamma: gait.gait(net, x, y, gamma=gamma) for gamma in GAMMAS} | {
    "gamma for replicas that are not there": lambda net, x, y: gait.gait(net, x, y, gamma=number(net, 0.1)),
    "gamma for units": lambda net, x, y: gait.gait(net, x, y, gamma=xp.asarray(np.full(net.sizes[-1], 0.1))),
    "no feedback": lambda net, x, y: gait.dfa(net, x, y),
    "feedback for other columns of y": lambda net, x, y: gait.dfa(
        net, x, y, feedback=gait.dfa_feedback(net, y.shape[-1] - 1, np.random.default_rng(0))
    ),
    "direct feedback as feedback": lambda net, x, y: gait.fa(net, x, y, **random_direct_feedback(y.shape[-1])(net)),
    "a matrix of feedback": lambda net, x, y: gait.fa(net, x, y, feedback=net.layers[0].W),
    "layers as feedback": lambda net, x, y: gait.fa(net, x, y, feedback=net.layers),
    "transposed feedback": lambda net, x, y: gait.dfa(
        net, x, y, feedback=[xp.swapaxes(B, 0, 1) for B in random_direct_feedback(y.shape[-1])(net)["feedback"]]
    ),
    "feedback of another precision": lambda net, x, y: gait.fa(
        net, x, y, feedback=[B.astype("float32") for B in random_feedback(net)["feedback"]]
    ),
    "feedback for replicas that are not there": lambda net, x, y: gait.fa(
        net, x, y, feedback=gait.fa_feedback(net, [np.random.default_rng(seed) for seed in (0, 1)])
    ),
    "a seed for feedback": lambda net, x, y: gait.fa_feedback(net, 1),
    "a seed for direct feedback": lambda net, x, y: gait.dfa_feedback(net, 2, 1),
    "feedback from more columns than outputs": lambda net, x, y: gait.dfa_feedback(
        net, net.sizes[-1] + 1, np.random.default_rng(0)
    ),
    "classes 0": lambda net, x, y: gait.predict(net, x, classes=0),
    "classes 2.0": lambda net, x, y: gait.predict(net, x, classes=2.0),
    "more classes than outputs": lambda net, x, y: gait.predict(net, x, classes=net.sizes[-1] + 1),
    "x for replicas that are not there": lambda net, x, y: gait.bp(net, xp.stack([x, x]), xp.stack([y, y])),
    "out of another precision": lambda net, x, y: gait.bp(
        net, x, y, out={"layers": [Affine(la.W.astype("float32"), la.b.astype("float32")) for la in net.layers]}
    ),
    "an inverse of no layer": lambda net, x, y: gait.inverse(net, len(net.layers), y, x),
    "an inverse of an output of few units": lambda net, x, y: gait.inverse(net, 0, x[:, :2], x),
    "an inverse without auxiliary units": lambda net, x, y: gait.inverse(net, 0, gait.forward(net, x)[1], x[:, :2]),
    "division by rows": lambda net, x, y: gait.divide(x, x),
    "a negative strength": lambda net, x, y: gait.regulariser.add_gradient(net.parameters, gait.bp(net, x, y)[0], -0.1),
    "a strength for each unit": lambda net, x, y: gait.regulariser.add_gradient(
        net.parameters, gait.bp(net, x, y)[0], xp.asarray(np.ones(3))
    ),
    "a regulariser on a list of gradients": lambda net, x, y: gait.regulariser.add_gradient(
        net.parameters, gait.bp(net, x, y)[0]["layers"], 0.1
    ),
}


def rules(columns):
    return {"bp": {}, "tp": {}, "gait": {"gamma": 0.3}, "fa": random_feedback, "dfa": random_direct_feedback(columns)}


def case(network, sizes, columns, **constants):
    return Case(
        gait,
        network,
        sizes,
        batch(sizes, columns),
        rules(columns),
        outputs=sizes[-1],
        constants=constants,
        misuse=MISUSE,
        few=True,
    )


CASES = [
    case("square", (6, 6, 6, 6), CLASSES),
    case("tower", (8, 7, 5, 4), CLASSES, orthogonal=False),
    case("tower", (8, 8, 6), CLASSES, linear=True),
]
