"""Learn one thing without spoiling another: the net 1-1-2 of Song et al. 2024, Fig. 3a.

One input drives one hidden unit, which drives two outputs, all weights 1. The second output is right; the first should
be 0. Backpropagation lowers the hidden unit for the sake of the first and takes the second down with it. Predictive
coding infers first what the hidden unit will have to be after learning, and raises the second weight at the same time.

    python examples/prospective_configuration.py [iterations, 24 by default]
"""

import sys

import numpy as np

from plastic import pc, xp
from plastic.optimizers import SGD
from plastic.parameters import Affine

ITERATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 24
xp.use(dtype="float64")
x, y = np.ones((1, 1)), np.array([[0.0, 1.0]])
print(f"{'':18} second output, right from the start, after 0, 2, 4, .. iterations")
for name, rule in {"predictive coding": pc.pc, "backpropagation": pc.bp}.items():
    net = pc.Network([Affine(np.ones((1, 1))), Affine(np.ones((1, 2)))], "linear")
    outputs = [pc.predict(net, x)[0]]
    for _ in range(ITERATIONS):
        grads, output = rule(net, x, y)
        SGD(0.2).step(net.parameters, grads, {})
        outputs.append(pc.predict(net, x)[0])
    print(
        f"{name:18}",
        " ".join(f"{output[1]:.2f}" for output in outputs[::2]),
        f"(least {min(o[1] for o in outputs):.3f})",
    )
