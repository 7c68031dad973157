"""Equilibrium propagation meets backpropagation through time: the updates coincide as beta goes to 0, then one trains.

    python examples/ep_meets_bptt.py            # 1500 steps of training, ten seconds
    python examples/ep_meets_bptt.py 100

A network that follows the gradient of its energy, at rest: K nudged steps give the gradient of BPTT through K steps, up
to an error in proportion to beta, or to beta^2 with a second phase that is nudged the other way. The network of the
published code lacks rho' in its output dynamics, so its energy is none, and a difference stays.
"""

import sys

import numpy as np

from plastic import check, data, ep
from plastic.data import sources
from plastic.functions import accuracy, one_hot
from plastic.optimizers import SGD

dataset = data.load("glyphs")
(x, labels), (x_test, test_labels) = dataset.train, dataset.test
x, x_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
y = one_hot(labels, 10)

print(f"{'beta':>8}{'consistent':>12}{'centered':>12}{'as published':>14}   relative error of EP's update of W_1")
for beta in (0.5, 0.1, 0.02):
    errors = []
    for consistent, centered in ((True, False), (True, True), (False, False)):
        net = ep.energy((784, 64, 10), np.random.default_rng(1), clamp=False, consistent=consistent)
        exact, _ = ep.bptt(net, x[:20], y[:20], T=300, steps=20)
        update, _ = ep.eqprop(net, x[:20], y[:20], T=300, K=20, beta=beta, centered=centered)
        errors.append(float(check.relative_rmse(update, exact)["layers/0/W"]))
    print(f"{beta:8}{errors[0]:12.4f}{errors[1]:12.4f}{errors[2]:14.4f}")

net = ep.prototypical((784, 128, 10), np.random.default_rng(1))
optimizer, work = SGD({"layers": [0.08, 0.04]}), ep.Relaxation(net, x[:20])
batches = sources.Batches(x, y, 20, [np.random.default_rng(2)])
for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1500):
    grads, _ = ep.eqprop(net, *batches.next(), T=30, K=10, beta=0.5, work=work)
    optimizer.step(net.parameters, grads, {})

output = ep.predict(net, x_test, T=30)
print(f"test accuracy {100 * accuracy(output, test_labels):.2f} %")
