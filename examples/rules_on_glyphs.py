"""Five learning rules on one network, in a few lines: digits drawn from fonts, no download.

python examples/rules_on_glyphs.py          # 200 steps per rule, about a minute
python examples/rules_on_glyphs.py 20
"""

import functools
import sys

import numpy as np

from plastic import check, data, gait, optimizers
from plastic.functions import accuracy, one_hot

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
glyphs = data.load("glyphs")
(x, labels), (x_test, labels_test) = glyphs.train, glyphs.test
x, x_test, y = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1), one_hot(labels, 10)

for name in ("BP", "TP", "GAIT", "FA", "DFA"):
    net = gait.SquareNetwork.create(784, hidden=1, seed=1)
    rng = np.random.default_rng(1)
    rule = {
        "BP": gait.bp,
        "TP": gait.tp,
        "GAIT": gait.gait,
        "FA": functools.partial(gait.fa, feedback=gait.fa_feedback(net, rng)),
        "DFA": functools.partial(gait.dfa, feedback=gait.dfa_feedback(net, 10, rng)),
    }[name]
    adam = optimizers.Adam.without_correction(1e-4)
    moments = adam.init(net.layers)
    for step in range(steps):
        batch = slice(50 * step % len(x), 50 * step % len(x) + 50)
        adam.step(net.layers, rule(net, x[batch], y[batch]), moments)
    angle = check.cosine(rule(net, x[:50], y[:50]), gait.bp(net, x[:50], y[:50]))["0/W"]
    test = accuracy(gait.forward(net, x_test, classes=10)[-1], labels_test)
    print(f"{name:4}  test accuracy {100 * test:5.2f} %   first layer's cosine with BP {angle:5.2f}")
