"""Run a classifier backwards: predictive coding infers the image that belongs to a label, or its missing half.

The network has learned labels from images. With the label held at its output and the image free, inference finds the
likeliest image, given what images look like beforehand: here a prior of three lines, normal with the mean and the
covariance of the training images. With noise, it finds others that fit; with half of the pixels held, the rest. A
second network, trained by backpropagation on the same images, says which digits it sees.

    python examples/digits_from_labels.py                        # 300 steps of training, ten seconds
    python examples/digits_from_labels.py 300 digits.png         # with a picture
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
y = one_hot(labels, 10)


def trained(rule, seed, **constants):
    """Return a network that has learned the digits."""
    rng = np.random.default_rng(seed)
    net, adam = pc.network((784, 128, 10), rng, phi="tanh", bias=True), Adam(2e-3)
    moments = adam.init(net.parameters)
    for _ in range(steps):
        some = rng.integers(0, len(x), 64)
        grads, _ = rule(net, x[some], y[some], **constants)
        adam.step(net.parameters, grads, moments)
    return net


net, other = trained(pc.pc, 1, T=4, solver="errors"), trained(pc.bp, 2)
print(f"test accuracy {100 * accuracy(pc.predict(net, x_test), test_labels):.2f} %")

mean, covariance = x.mean(axis=0, keepdims=True), np.cov(x.T)
P = (0.003 * np.linalg.inv(covariance + 0.01 * np.eye(784))).astype(x.dtype)


def looks(image):
    """The prior: (E, dE/dx) of images (batch, 784), E = (x - mean) P (x - mean)^T / 2."""
    slope = (image - mean) @ P
    return 0.5 * np.sum(slope * (image - mean)), slope


def inferred(images, digits, free):
    """Return the state at rest with the labels given and some of the pixels held."""
    state = pc.FreeState(net, images, one_hot(digits, 10), free=free, priors={0: looks}, gamma=0.3)
    pc.infer(net, state, images, 1000, tolerance=1e-3)
    return state


def seen(images, digits):
    return f"{100 * accuracy(pc.predict(other, images), digits):.0f} % seen as their label by another network"


digits = np.repeat(np.arange(10), 10)
begin = np.repeat(mean, 100, axis=0)
state = inferred(begin, digits, free=True)
likeliest = state.x_0.copy()
print(f"likeliest images: {seen(likeliest[::10], digits[::10])}")
pc.langevin(net, state, begin, 300, np.random.default_rng(3), temperature=2e-4)
print(f"samples: {seen(state.x_0, digits)}")

whole = x_test[[np.flatnonzero(test_labels == digit)[3] for digit in range(10)]]
missing = np.arange(784) >= 392  # the lower half
halves = np.where(missing, mean, whole)
filled = inferred(halves, np.arange(10), free=missing).x_0


def error(images):
    return np.sqrt(np.mean((images - whole)[:, missing] ** 2))


print(f"lower halves: error {error(filled):.3f}, of the mean image {error(halves):.3f}")

if len(sys.argv) > 2:
    rows = {
        "likeliest": likeliest[::10],
        "sampled": state.x_0[::10],
        "half held": np.where(missing, 0, whole),
        "filled in": filled,
    }
    fig, axes = plotting.figure(rows=4, width=9, height=1)
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        ax.imshow(np.concatenate(images.reshape(10, 28, 28), axis=1), cmap="gray", vmin=0, vmax=0.9)
        ax.set(ylabel=name, xticks=[], yticks=[])
        ax.grid(False)
    axes[0].set_title("Images inferred from the labels 0 to 9")
    plotting.save(fig, sys.argv[2])
