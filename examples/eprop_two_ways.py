"""e-prop two ways, online and by one sweep back in time, and then a spiking network that learns to remember a bit.

python examples/eprop_two_ways.py            # 150 steps of training, half a minute
python examples/eprop_two_ways.py 20
"""

import sys
import time

import numpy as np

from plastic import eprop, xp
from plastic.eprop import inputs, rules, signals
from plastic.optimizers import Adam

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150
rng = np.random.default_rng(1)
n_in, n, window = 20, 40, 50


def normal(*shape):
    return xp.asarray(rng.standard_normal(shape) / np.sqrt(shape[0]))


def trials(batch):
    return inputs.store_recall(rng, batch, n_in, cue_length=50, delay=150, recall_length=window, f0=100)


beta = xp.asarray(np.repeat([0.0, 0.05], n // 2)[None])  # half LIF, half ALIF
neurons = eprop.Neurons(alpha=eprop.decay(20), theta=0.6, rho=eprop.decay(200), beta=beta, n_ref=3)
net = eprop.SpikingNetwork(
    normal(n_in, n), normal(n, n), normal(n, 2), neurons, eprop.decay(20), 1 - eprop.decay(20), B=normal(n, 2)
)

some = trials(16)
record = eprop.simulate(net, some.x)
_, err = signals.classification(record.y, some.labels, window)
found = {}
for name, rule in (("online", rules.online.eprop), ("sweep", rules.eprop)):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        found[name] = rule(net, some.x, record, err)["W_rec"]
        times.append(time.perf_counter() - start)
    print(f"{name:7} {1e3 * min(times):6.1f} ms")
difference = np.abs(found["online"] - found["sweep"]).max() / np.abs(found["sweep"]).max()
print(f"relative difference of the two gradients {difference:.1e}")

weights = {"W_in": net.W_in, "W_rec": net.W_rec, "W_out": net.W_out}
adam = Adam(0.01)
moments = adam.init(weights)
for _ in range(steps):
    batch = trials(16)
    record = eprop.simulate(net, batch.x)
    _, err = signals.classification(record.y, batch.labels, window)
    _, R = signals.rate_penalty(record.z, target=0.02, strength=0.1)
    grads = rules.eprop(net, batch.x, record, err, R)
    adam.step(weights, {name: grads[name] for name in weights}, moments)

test = trials(200)
right = signals.decisions(eprop.simulate(net, test.x).y, window) == test.labels
print(f"test accuracy {100 * np.mean(right):.2f} %")
