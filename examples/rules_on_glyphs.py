"""Five learning rules on one network, in a few lines: digits drawn from fonts, no download.

python examples/rules_on_glyphs.py          # 200 steps per rule, about a minute
python examples/rules_on_glyphs.py 20
"""

import sys

import numpy as np

from plastic import check, data, gait, optimizers
from plastic.functions import accuracy, one_hot

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
glyphs = data.load("glyphs")
(x, labels), (x_test, labels_test) = glyphs.train, glyphs.test
x, x_test, y = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1), one_hot(labels, 10)

for name, rule in gait.RULES.items():
    generator = np.random.default_rng(1)
    net = gait.square((784, 784, 784), generator)
    constants = {
        "fa": {"feedback": gait.fa_feedback(net, generator)},
        "dfa": {"feedback": gait.dfa_feedback(net, 10, generator)},
    }.get(name, {})
    adam = optimizers.Adam.without_correction(1e-4)
    state = adam.init(net.parameters)
    for step in range(steps):
        batch = slice(50 * step % len(x), 50 * step % len(x) + 50)
        grads, _ = rule(net, x[batch], y[batch], **constants)
        adam.step(net.parameters, grads, state)
    grads, _ = rule(net, x[:50], y[:50], **constants)
    cosine = check.cosine(grads, gait.bp(net, x[:50], y[:50])[0])["layers/0/W"]
    test = accuracy(gait.predict(net, x_test, classes=10), labels_test)
    print(f"{name:4}  test accuracy {100 * test:5.2f} %   first layer's cosine with BP {cosine:5.2f}")
