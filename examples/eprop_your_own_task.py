"""A task and a loss of your own for e-prop: ALIF neurons that tell which of two tones came first.

python examples/eprop_your_own_task.py            # 200 steps of training, under a minute
python examples/eprop_your_own_task.py 20

A task is a function that draws x (T, batch, n_in) and what the loss needs; a loss is a function (output, y) to
(loss, err), err being dE/doutput. Nothing else is needed.
"""

import sys

import numpy as np

from plastic import eprop, xp
from plastic.optimizers import Adam

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
rng = np.random.default_rng(1)
T, n_in, n = 200, 20, 60


def tones(batch):
    """Low and high tones of 40 ms at 200 Hz, 40 ms apart; 60 ms later a "now", in which the answer counts."""
    first_is_high = rng.integers(0, 2, batch)
    rate = np.full((T, batch, 4), 0.005)  # spikes per ms of the populations low, high, now, and silence
    for place, start in enumerate((10, 90)):
        rate[start : start + 40, np.arange(batch), first_is_high ^ place] = 0.2
    rate[170:, :, 2] = 0.2
    return rng.random((T, batch, n_in)) < np.repeat(rate, n_in // 4, axis=-1), first_is_high


def hinge(output, y):
    """A margin of 1 in the last 30 ms: E = mean over batch and steps of max(0, 1 - s o), s = 1 or -1."""
    s = xp.asarray(2.0 * y - 1)[:, None]
    margin = 1 - s * output[-30:]
    err = xp.zeros_like(output)
    err[-30:] = -s * (margin > 0) / (30 * len(y))
    return float(xp.mean(xp.maximum(margin, xp.zeros_like(margin)))), err


net = eprop.lsnn((n_in, n, 1), rng, tau_a=200, beta=0.1, n_ref=3, surrogate="fast_sigmoid")  # half LIF, half ALIF
adam = Adam(0.01)
moments = adam.init(net.parameters)
for step in range(steps):
    x, y = tones(32)
    grads, output = eprop.eprop(net, x, y, loss=hinge)
    adam.step(net.parameters, grads, moments)
    if step % 50 == 0:
        print(f"step {step:4}  loss {hinge(output, y)[0]:.3f}")

x, y = tones(500)
answers = xp.asnumpy(eprop.predict(net, x)[-30:].mean(axis=0)[:, 0]) > 0
print(f"test accuracy {100 * np.mean(answers == y):.2f} %")
