"""GLE learns the weights and the time constants of a chain of two lagged neurons, forward in time.

A teacher turns a square wave into its own answer; a student with other weights and time constants gets the teacher's
output as its target in every step. Its errors look ahead by what the membranes lag behind, so that each weight meets
the error that belongs to it. With instantaneous errors (backpropagation without time) the same student goes wrong.

    python examples/gle_in_time.py [time units, 1000 by default; about 10 s]
"""

import sys

import numpy as np

from plastic import gle, optimizers
from plastic.gle import inputs
from plastic.parameters import Affine

DT, BATCH, BEGIN, BETA = 0.01, 20, 500, 0.01


def chain(w, tau_m, **options):
    """Return a chain of two softplus neurons that look ahead by 0.1; errors nudge their membranes."""
    layers = [Affine(np.array([[each]])) for each in w]
    return gle.Network.from_layers(layers, "softplus", list(tau_m), tau_r=0.1, dt=DT, gamma=1.0, **options)


def learn(prospective, duration):
    """Return (loss over the last tenth, w, tau_m) of a student after some time units."""
    teacher, net = chain((1.0, 2.0), (1.0, 2.0)), chain((0.5, 0.9), (0.3, 0.6), prospective=prospective, learn_tau=True)
    optimizer = optimizers.Adam(1e-4)
    moments, state = optimizer.init(net.parameters), gle.State(net, BATCH)
    steps = BEGIN + round(duration / DT)
    x = inputs.step_function(steps, DT, np.arange(BATCH) * 10).astype(np.float32)[..., None]
    y, loss = gle.predict(teacher, x), []
    for s in range(steps):
        grads, output = gle.step(net, state, x[s], BETA * (state.output - y[s]))
        if s > BEGIN:
            optimizer.step(net.parameters, grads, moments)
            np.maximum(net.tau_m, 10 * DT, out=net.tau_m)
        loss.append(np.mean((output - y[s]) ** 2))
    return np.mean(loss[-steps // 10 :]), [layer.W.item() for layer in net.layers], net.tau_m.ravel()


duration = float(sys.argv[1]) if len(sys.argv) > 1 else 1000.0
print("teacher                      w 1 2, tau_m 1 2")
for name, prospective in (("GLE", True), ("instantaneous errors", False)):
    loss, w, tau = learn(prospective, duration)
    print(f"{name:22} loss {loss:7.1e}, w {w[0]:.2f} {w[1]:.2f}, tau_m {tau[0]:.2f} {tau[1]:.2f}")
