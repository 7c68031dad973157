"""GLE learns the weights and the time constants of a chain of two lagged neurons, forward in time.

A teacher turns a square wave into its own answer; a student with other weights and time constants gets the teacher's
output as its target in every step. Its errors look ahead by what the membranes lag behind, so that each weight meets
the error that belongs to it. With instantaneous errors (backpropagation without time) the same student goes wrong.

    python examples/gle_in_time.py [time units, 1000 by default; about 10 s]
"""

import sys

import numpy as np

from plastic.gle import chain, inputs

DT, BATCH, BEGIN = 0.01, 20, 500


def learn(prospective, duration):
    """Return (loss over the last tenth, w, tau_m) of a student after some time units."""
    steps = BEGIN + round(duration / DT)
    x = inputs.step_function(steps, DT, np.arange(BATCH) * 10).astype(np.float32)[..., None]
    start = (0.3, 0.6, 0.5, 0.9)  # tau_0, tau_1, w_0, w_1; the teacher has 1, 2, 1, 2
    lesson = chain.Lesson(prospective, 0, start, BEGIN, BATCH, DT, beta=0.01, lr=1e-4)
    loss = [np.mean(lesson.step(s, x_s)[1] ** 2) for s, x_s in enumerate(x)]
    w = [float(layer.W.item()) for layer in lesson.student.layers]
    return np.mean(loss[-steps // 10 :]), w, lesson.student.tau_m.ravel()


duration = float(sys.argv[1]) if len(sys.argv) > 1 else 1000.0
print("teacher                      w 1 2, tau_m 1 2")
for name, prospective in (("GLE", True), ("instantaneous errors", False)):
    loss, w, tau = learn(prospective, duration)
    print(f"{name:22} loss {loss:7.1e}, w {w[0]:.2f} {w[1]:.2f}, tau_m {tau[0]:.2f} {tau[1]:.2f}")
