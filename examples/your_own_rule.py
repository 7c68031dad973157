"""Add your own rule in 30 lines: sign-symmetry, which sends errors back through the signs of the weights.

Liao, Leibo and Poggio (2016): e_{l-1} = delta_l V_l^T with V_l = mean|W_l| sign(W_l), so that no synapse needs to know
how strong another one is, only whether it excites or inhibits.

    python examples/your_own_rule.py            # 300 steps, some seconds

`fit` trains in a run folder under results/, with checkpoints: `Run.resume(folder)` in the place of `Run.create` goes on
where a killed run stopped. examples/a_new_family.py makes a command of such a run.
"""

import sys

import numpy as np

from plastic import check, data, gait, optimizers, xp
from plastic.data.sources import Batches
from plastic.functions import accuracy, one_hot
from plastic.parameters import Affine
from plastic.runs import Run
from plastic.training import fit


def sign_symmetry(net, x, y):
    """Return (grads, output) as every rule does: grads is a tree like net.parameters, signed to be subtracted."""
    activities, grads = gait.forward(net, x), []
    e = activities[-1] - y
    for layer, a, below in zip(net.layers[::-1], activities[:0:-1], activities[-2::-1], strict=True):
        delta = gait.phi.slope(a, a) * e / len(x)
        read = below[:, : len(layer.W)]  # in a tower a layer reads the first units of the one below
        grads.append(Affine(read.T @ delta, delta.sum(axis=0, keepdims=True)))
        V = xp.abs(layer.W).mean() * xp.sign(layer.W)
        e = xp.zeros_like(below)
        e[:, : len(V)] = len(x) * delta @ V.T
    return {"layers": grads[::-1]}, activities[-1]


steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
glyphs = data.load("glyphs")
(x, labels), (x_test, labels_test) = glyphs.train, glyphs.test
x, x_test, y = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1), one_hot(labels, 10)
net = gait.tower((784, 784, 200, 10), np.random.default_rng(1))
adam = optimizers.Adam(lr=3e-4)
state = {"parameters": net.parameters, "moments": adam.init(net.parameters)}


def step(batch, number):
    grads, output = sign_symmetry(net, *batch)
    adam.step(net.parameters, grads, state["moments"])
    return output.sum()  # not finite once training has diverged


def evaluate():
    return {"test_accuracy": accuracy(gait.predict(net, x_test), labels_test)}


clock = {"steps": steps, "evaluate_every": 100, "checkpoint_every": 100}
with Run.create("results", "mine", "sign_symmetry", {"steps": steps}) as run:
    metrics = fit(run, state, Batches(x, y, 50), step, **clock, evaluate=evaluate, replicas=[{"seed": 1}])
print(f"test accuracy {100 * metrics['test_accuracy']:.2f} %, in {run.folder}")

(ours, _), (bp, _) = sign_symmetry(net, x[:50], y[:50]), gait.bp(net, x[:50], y[:50])
for path, value in check.cosine(ours, bp).items():
    print(f"{path}: cosine with BP {value:.2f}, signs that agree {check.sign_agreement(ours, bp)[path]:.2f}")

# Is the backpropagation that we compare with right? Differences of its loss say so, in float64.
xp.use(dtype="float64")
small = gait.tower((12, 12, 11, 10), np.random.default_rng(1))
x, y = x[:5, 300:312].astype("float64"), y[:5].astype("float64")
errors = check.gradient(
    lambda parameters: ((gait.predict(small, x) - y) ** 2).sum() / 10,
    small.parameters,
    gait.bp(small, x, y)[0],
)
print(f"BP against finite differences: largest relative error {max(errors.values()):.0e}")
