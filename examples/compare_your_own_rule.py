"""Compare a rule of your own with others: the same network, learning rates and seeds for each.

Sign-symmetry sends errors back through the signs of the weights (Liao, Leibo and Poggio 2016). Feedback alignment here
has feedback that is sparse: `compare.Rule` is for rules that have more than the weights.

    python examples/compare_your_own_rule.py            # a minute or two; 20 epochs, or as many as are given
"""

import sys
import tempfile

from plastic import compare, data, pc, xp
from plastic.parameters import Affine


def down(net, x, y, send):
    """Return (grads, output): backpropagation, but that send(k, e) brings errors e from layer k + 1 to layer k."""
    a = pc.activities(net, x)  # before the activation; of the last layer the output
    sent = [x, *(phi.value(each) for phi, each in zip(net.phi, a[:-1], strict=True))]
    e, grads = (a[-1] - y) / len(x), []
    for k in reversed(range(len(net.layers))):
        grads.insert(0, Affine(sent[k].T @ e, e.sum(axis=0, keepdims=True)))
        if k > 0:
            e = net.phi[k - 1].slope(a[k - 1], sent[k]) * send(k, e)
    return {"layers": grads}, a[-1]


def sign_symmetry(net, x, y):
    return down(net, x, y, lambda k, e: e @ xp.sign(net.layers[k].W).T)


def sparse_fa(net, x, y, B):
    return down(net, x, y, lambda k, e: e @ B[k - 1].T)


def draw(net, generator):
    """Draw the feedback of sparse_fa: one weight in four is there."""
    shapes = [layer.W.shape for layer in net.layers[1:]]
    drawn = [generator.standard_normal(shape) * (generator.random(shape) < 0.25) for shape in shapes]
    return [xp.asarray(B, dtype=net.dtype) for B in drawn]


epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
glyphs = data.load("glyphs")
arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*glyphs.train, *glyphs.test), strict=True))
arrays |= {name: arrays[name][:2000] for name in ("x_train", "y_train")}
rules = ["bp", "fa", sign_symmetry, compare.Rule("sparse FA", compare.FEED_FORWARD, sparse_fa, draw)]
with tempfile.TemporaryDirectory() as folder:  # give it another folder to keep tables, figure and page
    found = compare.compare(arrays, rules, sizes=(64, 64), rates=5, epochs=epochs, results=folder)
print(found.table)
for row in found.rows:
    print(f"{row.name}: test accuracy {100 * row.accuracy['test'].mean:.1f} %")
