"""e-prop two ways, online and by one sweep back in time, and then a spiking network that learns to remember a bit.

python examples/eprop_two_ways.py            # 150 steps of training, a few seconds
python examples/eprop_two_ways.py 20
"""

import functools
import sys
import time

import numpy as np

from plastic import check, eprop, xp
from plastic.eprop import inputs, signals
from plastic.optimizers import Adam

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150
rng = np.random.default_rng(1)
n_in, n, window = 20, 40, 50


def trials(batch):
    return inputs.store_recall(rng, batch, n_in, cue_length=50, delay=150, recall_length=window, f0=100)


net = eprop.lsnn((n_in, n, 2), rng, tau_a=200, beta=0.05, n_ref=3)  # half LIF, half ALIF
feedback = xp.asarray(rng.standard_normal((n, 2)) / np.sqrt(n))  # learning signals come down by random weights
loss = functools.partial(signals.classification, window=window)
regulariser = functools.partial(signals.rate_penalty, target=0.02, strength=0.1)

some, found = trials(16), {}
record = eprop.simulate(net, some.x)
_, err = loss(record.output, some.labels)
for name, gradients in (("online", eprop.online_gradients), ("sweep", eprop.eprop_gradients)):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        found[name] = gradients(net, record, err, feedback=feedback)
        times.append(time.perf_counter() - start)
    print(f"{name:7} {1e3 * min(times):6.1f} ms")
difference = check.relative_rmse(found["online"], found["sweep"])["W_rec"]
print(f"relative difference of the two gradients {difference:.1e}")

adam = Adam(0.01)
moments = adam.init(net.parameters)
for _ in range(steps):
    batch = trials(16)
    grads, _ = eprop.eprop(net, batch.x, batch.labels, loss=loss, regulariser=regulariser, feedback=feedback)
    adam.step(net.parameters, grads, moments)

test = trials(200)
right = signals.decisions(eprop.predict(net, test.x), window) == test.labels
print(f"test accuracy {100 * np.mean(right):.2f} %")
