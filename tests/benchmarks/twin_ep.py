"""The training step of EP by hand in JAX (dense networks) and in PyTorch (maps): the same work on the same numbers.

`make` returns a function without arguments that makes one step of training by one-sided EP and returns the gradients as
a list of NumPy arrays, W and b of each connection, the input side first; or None where the library is not installed.
"""

import functools

import numpy as np
import timing

from plastic import ep


def make(network, x, y, *, T, K, beta, lr):
    """Return the twin of a network with its parameters, on a batch (x, y) of NumPy arrays."""
    dense = isinstance(network.wiring, ep.FullyConnected)
    if dense:
        return in_jax(network, x, y, T=T, K=K, beta=beta, lr=lr)
    return in_torch(network, x, y, T=T, K=K, beta=beta, lr=lr)


def in_jax(network, x, y, *, T, K, beta, lr):
    """Loops compiled as a whole; the drive and the transposes are computed once per batch."""
    if (jax := timing.peer("jax")) is None:
        return None
    np_, is_energy, dt = jax.numpy, isinstance(network, ep.EnergyNetwork), network.dt

    def rho(v):
        return jax.nn.sigmoid(4 * (v - 0.5))

    def relax(weights, drive, s, steps, beta, y):
        transposes = [W.T for W in weights]

        def step(_, s):
            r = [rho(each) for each in s] if is_energy else s
            a = list(drive)
            for k, (W, transpose) in enumerate(zip(weights, transposes, strict=True)):
                a[k + 1] = a[k + 1] + r[k] @ W
                a[k] = a[k] + r[k + 1] @ transpose
            if is_energy:
                g = [4 * each * (1 - each) * received for each, received in zip(r[:-1], a[:-1], strict=True)] + [a[-1]]
            else:
                g = [rho(each) for each in a]
            g = [each - state for each, state in zip(g, s, strict=True)]
            g[-1] = g[-1] + beta * (y - s[-1])
            s = [state + dt * each for state, each in zip(s, g, strict=True)]
            return [np_.clip(each, 0, 1) for each in s] if is_energy and network.clamp else s

        return jax.lax.fori_loop(0, steps, step, s)

    @functools.partial(jax.jit, donate_argnums=0)
    def train(parameters, x, y):
        W, b = zip(*parameters, strict=True)
        r_0 = rho(x) if is_energy else x
        drive = [r_0 @ W[0] + b[0]] + [np_.broadcast_to(each, (len(x), each.shape[1])) for each in b[1:]]
        free = relax(W[1:], drive, [np_.zeros_like(each) for each in drive], T, 0.0, y)
        ends = free, relax(W[1:], drive, free, K, beta, y)
        low, high = ([r_0, *(map(rho, each) if is_energy else each)] for each in ends)
        scale = -1 / (beta * len(x))
        grads = [(scale * (r_0.T @ (high[1] - low[1])), scale * np_.sum(high[1] - low[1], axis=0, keepdims=True))]
        for k in range(1, len(W)):
            change = high[k].T @ high[k + 1] - low[k].T @ low[k + 1]
            grads.append((scale * change, scale * np_.sum(high[k + 1] - low[k + 1], axis=0, keepdims=True)))
        updated = [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(parameters, grads, strict=True)]
        return updated, grads

    held = [[(np_.array(layer.W), np_.array(layer.b)) for layer in network.wiring.layers]]
    x, y = np_.array(x), np_.array(y)

    def step():
        held[0], grads = train(held[0], x, y)
        return [np.asarray(each) for pair in jax.block_until_ready(grads) for each in pair]

    return step


def in_torch(network, x, y, *, T, K, beta, lr):
    """Convolutions, pooling and unpooling of the library, channels first; without its gradients."""
    if (torch := timing.peer("torch")) is None:
        return None
    F, wiring = torch.nn.functional, network.wiring
    kernels = [torch.tensor(layer.W).permute(3, 2, 0, 1).contiguous() for layer in wiring.convolutions]
    e = [torch.tensor(layer.b)[0] for layer in wiring.convolutions]
    C, z = kernels[-1].shape[0], wiring.map_sizes[-1][1][0]
    D = (
        torch.tensor(wiring.classifier[0].W)
        .reshape(z, z, C, -1)
        .permute(2, 0, 1, 3)
        .reshape(z * z * C, -1)
        .contiguous()
    )
    d, P = torch.tensor(wiring.classifier[0].b), wiring.pooling
    x, y = torch.tensor(x).permute(0, 3, 1, 2).contiguous(), torch.tensor(y)

    def up(number, below):
        return F.max_pool2d(F.conv2d(below, kernels[number], e[number]), P, return_indices=True)

    def relax(drive, s, steps, beta):
        low, high, out = s
        for _ in range(steps):
            received, indices = up(1, low)
            size = [length - kernels[1].shape[-1] + 1 for length in low.shape[2:]]
            down = F.conv_transpose2d(F.max_unpool2d(high, indices, P, output_size=size), kernels[1])
            new_low = (drive + down).clamp_(0, 1)
            new_high = (received + (out @ D.T).reshape(high.shape)).clamp_(0, 1)
            out = (high.flatten(1) @ D + d).clamp_(0, 1) + (beta * (y - out) if beta else 0)
            low, high = new_low, new_high
        return (low, high, out), indices

    def kernel_gradient(below, above, indices, size):
        error = F.max_unpool2d(above, indices, P, output_size=size)
        return torch.nn.grad.conv2d_weight(below, kernel_shape, error)

    kernel_shape = kernels[1].shape

    @torch.no_grad()
    def step():
        drive, first = up(0, x)
        zero = (torch.zeros_like(drive), torch.zeros(len(x), C, z, z), torch.zeros(len(x), d.shape[1]))
        free, free_indices = relax(drive, zero, T, 0.0)
        end, indices = relax(drive, free, K, beta)
        scale = -1 / (beta * len(x))
        sizes = [
            [length - kernel.shape[-1] + 1 for length in below.shape[2:]]
            for kernel, below in zip(kernels, (x, drive), strict=True)
        ]
        error = F.max_unpool2d(end[0] - free[0], first, P, output_size=sizes[0])
        grads = [torch.nn.grad.conv2d_weight(x, kernels[0].shape, error), (end[0] - free[0]).sum((0, 2, 3))]
        grads.append(kernel_gradient(*end[:2], indices, sizes[1]) - kernel_gradient(*free[:2], free_indices, sizes[1]))
        grads.append((end[1] - free[1]).sum((0, 2, 3)))
        grads.append(end[1].flatten(1).T @ end[2] - free[1].flatten(1).T @ free[2])
        grads.append((end[2] - free[2]).sum(0))
        grads = [scale * each for each in grads]
        for parameter, grad in zip((kernels[0], e[0], kernels[1], e[1], D, d[0]), grads, strict=True):
            parameter -= lr * grad
        K_1, e_1, K_2, e_2, D_1, d_1 = grads
        D_1 = D_1.reshape(C, z, z, -1).permute(1, 2, 0, 3).reshape(z * z * C, -1)
        ours = (K_1.permute(2, 3, 1, 0), e_1[None], K_2.permute(2, 3, 1, 0), e_2[None], D_1, d_1[None])
        return [each.numpy() for each in ours]

    return step
