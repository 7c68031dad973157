"""Predictive coding by the equations of `plastic.pc`, written for JAX, pcx and PyTorch as one would there.

Fully connected networks of logistic units without biases, the states before the activation; in float32. All take
weights W_1 .. W_L and a batch, make T - 1 steps of inference and return the gradients of the weights, means over the
batch. A rate is halved where the energy has risen by more than its rounding, but for pcx, which has no such rule.
"""

import importlib

import numpy as np

DISCOUNT, ROUNDINGS = 0.5, 16
EPS = float(np.finfo(np.float32).eps)


def in_jax(jax, W, x, y, T, gamma=0.1):
    """Return a compiled function without arguments: the loop over the steps is one XLA program."""
    jnp, W, x, y = jax.numpy, [jax.numpy.asarray(each) for each in W], jax.numpy.asarray(x), jax.numpy.asarray(y)

    def look(states, drive, W, y):
        r = [jax.nn.sigmoid(each) for each in states]
        mu = [drive, *(send @ weights for send, weights in zip(r, W[1:], strict=True))]
        eps = [state - each for state, each in zip([*states, y], mu, strict=True)]
        return r, eps, 0.5 * sum(jnp.sum(each * each) for each in eps)

    @jax.jit
    def run(W, x, y):
        drive = x @ W[0]
        states = [drive]
        for weights in W[1:-1]:
            states.append(jax.nn.sigmoid(states[-1]) @ weights)
        size = jnp.sqrt(sum(jnp.sum(each * each) for each in [*states, y]) / sum(each.size for each in [*states, y]))

        def step(carry, _):
            states, gamma, before = carry
            r, eps, F = look(states, drive, W, y)
            back = [send * (1 - send) * (e @ weights.T) for send, e, weights in zip(r, eps[1:], W[1:], strict=True)]
            states = [state - gamma * (e - b) for state, e, b in zip(states, eps, back, strict=False)]
            margin = ROUNDINGS * EPS * (F + size * jnp.sqrt(F))
            return (states, jnp.where(F - margin < before, gamma, DISCOUNT * gamma), F), None

        begin = states, jnp.float32(gamma), jnp.float32(jnp.inf)
        (states, _, _), _ = jax.lax.scan(step, begin, None, length=T - 1)
        r, eps, _ = look(states, drive, W, y)
        return [-(send.T @ e) / len(x) for send, e in zip([x, *r], eps, strict=True)]

    return lambda: jax.block_until_ready(run(W, x, y))


def in_pcx(jax, W, x, y, T, gamma=0.1):
    """Return a function without arguments: a network of pcx, whose steps are one compiled scan, as in `in_jax`."""
    coding, nn, functional, utils = (
        importlib.import_module(f"pcx.{name}") for name in ("predictive_coding", "nn", "functional", "utils")
    )
    Cache = coding.VodeParam.Cache
    one_a_sample = utils.M(coding.VodeParam | Cache).to((None, 0))

    class Network(coding.EnergyModule):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(*weights.shape, bias=False) for weights in W]
            for layer, weights in zip(self.layers, W, strict=True):
                layer.nn.weight.set(jax.numpy.asarray(weights.T))
            self.vodes = [coding.Vode() for _ in W]
            self.vodes[-1].h.frozen = True

        def __call__(self, x, y):
            for layer, vode in zip(self.layers, self.vodes, strict=True):
                x = vode(layer(x if layer is self.layers[0] else jax.nn.sigmoid(x)))
            if y is not None:
                self.vodes[-1].set("h", y)

    @functional.vmap(one_a_sample, in_axes=(0, 0), out_axes=0)
    def forward(x, y, *, net):
        net(x, y)

    @functional.vmap(one_a_sample, in_axes=(0,), out_axes=(None, None), axis_name="batch")
    def energy(x, *, net):
        net(x, None)
        return jax.lax.psum(net.energy(), "batch"), None

    def slopes(kind, x, net):
        of_energy = functional.value_and_grad(utils.M_hasnot(kind, frozen=True).to([False, True]), has_aux=True)(energy)
        with utils.step(net, clear_params=Cache):
            return of_energy(x, net=net)[1]["net"]

    def step(_, *, net):
        for vode, slope in zip(net.vodes[:-1], slopes(coding.VodeParam, x, net).vodes, strict=False):
            vode.h.set(vode.h.get() - gamma * slope.h.get())
        return (), None

    @functional.jit()
    def run(x, y, *, net):
        with utils.step(net, coding.STATUS.INIT, clear_params=Cache):
            forward(x, y, net=net)
        with utils.step(net):  # ends the beginning, since a scan must leave the status as it was
            functional.scan(step, length=T - 1, xs=None)(net=net)
        return [layer.nn.weight.get().T / len(x) for layer in slopes(nn.LayerParam, x, net).layers]

    x, y, net = jax.numpy.asarray(x), jax.numpy.asarray(y), Network()
    return lambda: jax.block_until_ready(run(x, y, net=net))


def in_torch(torch, W, x, y, T, gamma=0.1):
    """Return a function without arguments, whose loop PyTorch runs operation by operation."""
    W, x, y = [torch.asarray(each) for each in W], torch.asarray(x), torch.asarray(y)
    drive = x @ W[0]

    def look(states):
        r = [torch.sigmoid(each) for each in states]
        mu = [drive, *(send @ weights for send, weights in zip(r, W[1:], strict=True))]
        eps = [state - each for state, each in zip([*states, y], mu, strict=True)]
        return r, eps, 0.5 * sum(torch.sum(each * each) for each in eps)

    def run():
        rate, before, states = gamma, np.inf, [x @ W[0]]
        for weights in W[1:-1]:
            states.append(torch.sigmoid(states[-1]) @ weights)
        size = float(sum(torch.sum(each * each) for each in [*states, y]) / sum(each.numel() for each in [*states, y]))
        for _ in range(T - 1):
            r, eps, F = look(states)
            for k in range(len(states)):
                states[k] = states[k] - rate * (eps[k] - r[k] * (1 - r[k]) * (eps[k + 1] @ W[k + 1].T))
            F = float(F)
            rate *= 1 if F - ROUNDINGS * EPS * (F + (size * F) ** 0.5) < before else DISCOUNT
            before = F
        r, eps, _ = look(states)
        return [-(send.T @ e) / len(x) for send, e in zip([x, *r], eps, strict=True)]

    @torch.inference_mode()
    def quietly():
        return run()

    return quietly
