"""Predictive coding at a hundred layers: errors that arrive, and weights that learn.

Steps of inference carry an error one layer at a time, and it fades on the way: after 120 of them the gradients of most
of a hundred layers are exactly 0. Steps of the errors in place of the states reach all layers at once
(solver="errors"), and skip connections with the scalings of muPC (Innocenti, Achour and Buckley 2025) keep what arrives
of one size, so that the network learns.

    python examples/a_hundred_layers.py                       # 300 steps of training, ten seconds
    python examples/a_hundred_layers.py 100 depth.png         # with a picture
"""

import sys

import numpy as np

from plastic import data, pc, plotting
from plastic.functions import accuracy, one_hot
from plastic.optimizers import Adam

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
glyphs = data.load("glyphs")
(x, labels), (x_test, test_labels) = glyphs.train, glyphs.test
x, x_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
y, sizes = one_hot(labels, 10), (784, *[64] * 99, 10)


def sizes_of_gradients(net, **constants):
    """Return the root mean square of the gradient of each layer."""
    grads, _ = pc.pc(net, x[:64], y[:64], **constants)
    return [float(np.sqrt(np.mean(layer.W**2))) for layer in grads["layers"]]


plain = pc.network(sizes, np.random.default_rng(1), phi="tanh")
net = pc.residual(sizes, np.random.default_rng(1), phi="tanh")
gradients = {
    "plain, steps of the states": sizes_of_gradients(plain, T=120),
    "skips, steps of the states": sizes_of_gradients(net, T=120),
    "skips, steps of the errors": sizes_of_gradients(net, T=4, solver="errors"),
}
for name, found in gradients.items():
    print(f"{name}: {found.count(0.0):3} of 100 gradients are 0, that of the first layer is {found[0]:.1e}")

adam, rng, losses = Adam(0.01), np.random.default_rng(2), []
moments = adam.init(net.parameters)
for step in range(steps):
    some = rng.integers(0, len(x), 64)
    grads, output = pc.pc(net, x[some], y[some], T=4, solver="errors")
    adam.step(net.parameters, grads, moments)
    losses.append(float(0.5 * np.mean(np.sum((output - y[some]) ** 2, axis=-1))))
    if step % 50 == 0 or step == steps - 1:
        print(f"step {step:4}  loss {losses[-1]:.3f}")
print(f"test accuracy {100 * accuracy(pc.predict(net, x_test), test_labels):.2f} %")

if len(sys.argv) > 2:
    fig, (left, right) = plotting.figure(columns=2)
    for (name, found), colour in zip(gradients.items(), plotting.COLOURS, strict=False):
        left.semilogy(range(1, 101), np.where(np.array(found) > 0, found, np.nan), color=colour, label=name)
    left.set(xlabel="layer of weights", ylabel="root mean square of the gradient", title="Gradients before training")
    left.legend(fontsize="small")
    right.plot(losses, color=plotting.COLOURS[2])
    right.set(xlabel="step", ylabel="loss (half the squared error)", title="100 layers learn", ylim=(0, None))
    plotting.save(fig, sys.argv[2])
