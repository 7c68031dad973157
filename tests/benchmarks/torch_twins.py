"""A training step of each family in PyTorch: the same equations on the same numbers, on any device, in a few lines.

Each function takes the network and the batch of ours, and the name of a device, and returns a function that makes one
step and returns its gradients in the order and the layout of `parameters.leaves(net.parameters)`. Rules that have
equations of their own are written by them, backpropagation by automatic differentiation; updates are PyTorch's fused
ones.

tests/benchmarks/test_gpu_table.py compares their gradients with ours.
"""

import itertools

import timing

from plastic import ep, parameters, xp

torch = timing.peer("torch")

LEAK = 0.1  # of GAIT's rectifier
BRANCH = 1 / LEAK - 1


class Twin:
    """Parameters of a network on a device, and the optimizer that moves them."""

    def __init__(self, net, device, optimizer):
        self.device = device
        self.p = [self.tensor(leaf) for _, leaf in parameters.leaves(net.parameters)]
        self.optimizer = optimizer(self.p)

    def tensor(self, array):
        return torch.as_tensor(xp.asnumpy(array).copy(), device=self.device)

    def update(self, gradients):
        for p, gradient in zip(self.p, gradients, strict=True):
            p.grad = gradient.contiguous()  # a fused update takes memory as it lies
        self.optimizer.step()
        return gradients


def adam(lr, beta2=0.999):
    """Return what makes an Adam of parameters."""
    return lambda p: torch.optim.Adam(p, lr, betas=(0.9, beta2), fused=True)


def sgd(lr):
    """Return what makes a gradient descent of parameters."""
    return lambda p: torch.optim.SGD(p, lr, fused=True)


def gait(net, x, y, device, rule):
    """Backpropagation by automatic differentiation; TP and GAIT-prop in their difference form."""
    twin = Twin(net, device, adam(1e-5, beta2=0.99))
    x, y, m = twin.tensor(x), twin.tensor(y), y.shape[-1]
    layers = list(zip(twin.p[::2], twin.p[1::2], strict=True))

    def forward():
        a = [x]
        for W, b in [*layers[:-1], (layers[-1][0][:, :m], layers[-1][1][:, :m])]:
            a.append(torch.nn.functional.leaky_relu(torch.addmm(b, a[-1], W), LEAK))
        return a

    def automatic():
        output = forward()[-1]
        gradients = torch.autograd.grad(((output - y) ** 2).sum() / (2 * len(y)), twin.p)
        return twin.update(list(gradients))

    def send(k, W, a, d, e):
        sigma = torch.where(a >= 0, 1.0, -1.0)
        if rule == "tp":
            g = e / d + BRANCH * torch.clamp(sigma * (e - a), min=0)
        else:
            g = d * e + BRANCH * torch.clamp(sigma * d * d * e - a.abs() / 1e-3 ** (k + 1), min=0)
        g = torch.nn.functional.pad(g, (0, W.shape[1] - g.shape[1]))
        return torch.linalg.solve(W.T, g.T).T

    @torch.no_grad()
    def by_hand():
        a, gradients = forward(), []
        e = a[-1] - y
        for k, (W, _) in enumerate(reversed(layers)):
            above, below = a[-1 - k], a[-2 - k]
            d = torch.where(above >= 0, 1.0, LEAK)
            delta = d * e / len(y)
            pad = (0, W.shape[1] - delta.shape[1])
            gradients[:0] = [torch.nn.functional.pad(each, pad) for each in (below.T @ delta, delta.sum(0)[None])]
            if k < len(layers) - 1:
                e = send(k, W, above, d, e)
        return twin.update(gradients)

    if rule != "bp":
        return by_hand
    for p in twin.p:
        p.requires_grad_()
    return automatic


def ep_dense(net, x, y, device, T, K, beta):
    """Equilibrium propagation in energy-based and prototypical networks."""
    twin, energy, dt = Twin(net, device, sgd(1e-4)), isinstance(net, ep.EnergyNetwork), net.dt
    x, y = twin.tensor(x), twin.tensor(y)
    W, b = twin.p[::2], twin.p[1::2]

    def rho(v):
        return 0.5 * (1 + torch.tanh(2 * v - 1))

    def move(s, drive, nudge):
        r = [rho(each) for each in s] if energy else s
        a = list(drive)
        for k in range(1, len(W)):
            a[k] = torch.addmm(a[k], r[k - 1], W[k])
            a[k - 1] = torch.addmm(a[k - 1], r[k], W[k].T)
        if not energy:
            new = [rho(each) for each in a]
        else:
            g = [4 * q * (1 - q) * c - v for q, c, v in zip(r[:-1], a[:-1], s[:-1], strict=True)] + [a[-1] - s[-1]]
            new = [v + dt * change for v, change in zip(s, g, strict=True)]
        if nudge:
            new[-1] = new[-1] + dt * beta * (y - s[-1])
        return [each.clamp(0, 1) for each in new] if energy else new

    @torch.no_grad()
    def step():
        first = rho(x) if energy else x
        drive = [torch.addmm(b[0], first, W[0]), *(each.expand(len(x), -1) for each in b[1:])]
        s = [torch.zeros_like(drive[0]), *(torch.zeros(len(x), each.shape[1], device=device) for each in b[1:])]
        ends = []
        for steps, nudge in ((T, False), (K, True)):
            for _ in range(steps):
                s = move(s, drive, nudge)
            ends.append([first, *(rho(each) if energy else each for each in s)])
        free, nudged = ends
        scale, gradients = -1 / (beta * len(x)), []
        for k in range(len(W)):
            contrast = nudged[k].T @ nudged[k + 1] - free[k].T @ free[k + 1]
            gradients += [scale * contrast, scale * (nudged[k + 1] - free[k + 1]).sum(0)[None]]
        return twin.update(gradients)

    return step


def ep_convolutional(net, x, y, device, T, K, beta):
    """Equilibrium propagation with two convolutions and one layer of a classifier; its maps have channels first."""
    twin = Twin(net, device, sgd(1e-4))
    functional = torch.nn.functional
    x, y = twin.tensor(x).permute(0, 3, 1, 2).contiguous(), twin.tensor(y)
    (rows, _, channels), outputs = net.wiring.shapes[1], y.shape[1]
    for k in (0, 2):
        twin.p[k] = twin.p[k].permute(3, 2, 0, 1).contiguous()
    twin.p[4] = twin.p[4].reshape(rows, rows, channels, outputs).permute(2, 0, 1, 3).reshape(-1, outputs).contiguous()
    K1, e1, K2, e2, D, d = twin.p
    twin.optimizer = sgd(1e-4)(twin.p)  # of the tensors as they are laid out now

    def unpooled(s, places, size):
        return functional.max_unpool2d(s, places, 2, output_size=size)

    def move(s, drive, nudge):
        convolved = functional.conv2d(s[0], K2)
        up, places = functional.max_pool2d(convolved, 2, return_indices=True)
        down = functional.conv_transpose2d(unpooled(s[1], places, convolved.shape[2:]), K2)
        a = [drive + down, up + e2.view(1, -1, 1, 1) + (s[2] @ D.T).view_as(s[1]), torch.addmm(d, s[1].flatten(1), D)]
        new = [each.clamp(0, 1) for each in a]
        if nudge:
            new[2] = new[2] + beta * (y - s[2])
        return new, (places, convolved.shape[2:])

    def kernel(below, s, switches, K):
        return torch.nn.grad.conv2d_weight(below, K.shape, unpooled(s, *switches))

    @torch.no_grad()
    def step():
        convolved = functional.conv2d(x, K1)
        pooled, places = functional.max_pool2d(convolved, 2, return_indices=True)
        drive = pooled + e1.view(1, -1, 1, 1)
        s = [
            torch.zeros(len(x), *shape, device=device)
            for shape in (drive.shape[1:], (channels, rows, rows), d.shape[1:])
        ]
        ends = []
        for steps, nudge in ((T, False), (K, True)):
            for _ in range(steps):
                s, switches = move(s, drive, nudge)
            ends.append((s, switches))
        (free, at_free), (nudged, at_nudged) = ends
        difference = [a - b for a, b in zip(nudged, free, strict=True)]
        gradients = [
            kernel(x, difference[0], (places, convolved.shape[2:]), K1),
            difference[0].sum((0, 2, 3))[None],
            kernel(nudged[0], nudged[1], at_nudged, K2) - kernel(free[0], free[1], at_free, K2),
            difference[1].sum((0, 2, 3))[None],
            nudged[1].flatten(1).T @ nudged[2] - free[1].flatten(1).T @ free[2],
            difference[2].sum(0)[None],
        ]
        found = twin.update([each * (-1 / (beta * len(x))) for each in gradients])
        kernels = [each.permute(2, 3, 1, 0) for each in (found[0], found[2])]
        last = found[4].reshape(channels, rows, rows, outputs).permute(1, 2, 0, 3).reshape(-1, outputs)
        return [kernels[0], found[1], kernels[1], found[3], last, found[5]]

    return step


def pc(net, x, y, device, T, gamma=0.1, discount=0.5):
    """Predictive coding in sigmoid networks: T - 1 steps of inference, then the gradients."""
    twin = Twin(net, device, sgd(1e-3))
    x, y, W = twin.tensor(x), twin.tensor(y), twin.p

    def errors(states):
        r = [torch.sigmoid(each) for each in states]
        mu = [sent @ weights for sent, weights in zip([x, *r], W, strict=True)]
        return r, [a - b for a, b in zip([*states, y], mu, strict=True)]

    @torch.no_grad()
    def step():
        states = [x @ W[0]]
        for weights in W[1:-1]:
            states.append(torch.sigmoid(states[-1]) @ weights)
        rate, before = torch.full((), gamma, device=device), None
        r, eps = errors(states)
        for _ in range(T - 1):
            F = sum((each * each).sum() for each in eps)
            states = [s - rate * (eps[k] - r[k] * (1 - r[k]) * (eps[k + 1] @ W[k + 1].T)) for k, s in enumerate(states)]
            if before is not None:
                rate = torch.where(F < before, rate, rate * discount)
            before = F
            r, eps = errors(states)
        return twin.update([sent.T @ e / -len(x) for sent, e in zip([x, *r], eps, strict=True)])

    return step


def gle(net, x, y, device):
    """Generalized latent equilibrium: an Euler step and an update of Adam for each step of the sequences."""
    twin = Twin(net, device, adam(1e-3))
    x, y, tau_m, tau_r = (twin.tensor(each) for each in (x, y, net.tau_m, net.tau_r))
    L = len(net.layers)
    W, b = twin.p[::2], twin.p[1::2]
    columns = [slice(*pair) for pair in itertools.pairwise(itertools.accumulate(net.sizes[1:], initial=0))]
    linear = torch.cat(
        [torch.full((1, n), phi.name == "linear") for phi, n in zip(net.phi, net.sizes[1:], strict=True)], 1
    )
    linear = linear.to(device)
    u, v, r, q, E = (torch.zeros(y.shape[0], tau_m.shape[1], device=device) for _ in range(5))

    def one(x_t):
        E[:, columns[-1]] = y - torch.softmax(r[:, columns[-1]], 1)
        low = E * q - v
        e = v + (tau_m / tau_r) * low
        v.add_(net.dt / tau_r * low)
        for k in range(1, L):
            E[:, columns[k - 1]] = e[:, columns[k]] @ W[k].T
        rho = [x_t, *(r[:, each] for each in columns[:-1])]
        drive = torch.cat([torch.addmm(b[k], rho[k], W[k]) for k in range(L)], 1) - u
        ahead = u + (tau_r / tau_m) * drive
        u.add_(net.dt / tau_m * drive)
        scaled = e / -len(y)
        gradients = []
        for k in range(L):
            gradients += [rho[k].T @ scaled[:, columns[k]], scaled[:, columns[k]].sum(0)[None]]
        tanh = torch.tanh(ahead)
        r.copy_(torch.where(linear, ahead, tanh))
        q.copy_(torch.where(linear, 1.0, 1 - tanh * tanh))
        return twin.update(gradients)

    @torch.no_grad()
    def step():
        for x_t in x:
            gradients = one(x_t)
        return gradients

    return step


def eprop(net, x, labels, device, window, target, strength):
    """e-prop in networks of LIF and ALIF neurons: the simulation, and the sweep back in time."""
    twin = Twin(net, device, adam(0.005))
    W_in, W_rec, W_out = twin.p
    neurons, kappa, g = net.neurons, net.kappa, net.g_out
    x, labels, beta = twin.tensor(x).to(W_in.dtype), twin.tensor(labels), twin.tensor(neurons.beta)
    (T, batch, _), n = x.shape, W_rec.shape[0]
    off_diagonal = 1 - torch.eye(n, device=device)
    alpha, theta, rho = neurons.alpha, neurons.theta, neurons.rho

    def simulate():
        current, W = x @ W_in, W_rec * off_diagonal - theta * torch.eye(n, device=device)
        v, a, z, refractory = (torch.zeros(batch, n, device=device) for _ in range(4))
        zs, psis = torch.empty_like(current), torch.empty_like(current)
        for t in range(T):
            a = rho * a + z
            v = alpha * v + torch.addmm(current[t], z, W)
            u = (v - theta - beta * a) / theta
            free = refractory <= 0
            z = ((u > 0) & free).to(v.dtype)
            refractory = (refractory + neurons.n_ref * z - 1).clamp(min=0)
            zs[t], psis[t] = z, neurons.gamma / theta * (1 - u.abs()).clamp(min=0) * free
        outputs, y = zs @ W_out * g, 0.0
        for t in range(T):
            outputs[t] += kappa * y
            y = outputs[t]
        return zs, psis, outputs

    @torch.no_grad()
    def step():
        zs, psis, outputs = simulate()
        lam = torch.zeros_like(outputs)
        chosen = torch.nn.functional.one_hot(labels, outputs.shape[-1])
        lam[-window:] = (torch.softmax(outputs[-window:], -1) - chosen) * (g / (window * batch))
        for t in reversed(range(T - 1)):
            lam[t] += kappa * lam[t + 1]
        R = (zs.mean((0, 1)) - target) * (2 * strength / (T * batch))
        mus, mu, P = torch.empty_like(psis), torch.zeros(batch, n, device=device), torch.zeros(batch, n, device=device)
        for t in reversed(range(T)):
            q = psis[t] * (torch.addmm(R, lam[t], W_out.T) + P)
            P = rho * P - beta * q
            mu = alpha * mu + q
            mus[t] = mu
        rows = mus.view(-1, n)
        before = torch.cat([torch.zeros_like(zs[:1]), zs[:-1]])
        gradients = [x.view(-1, x.shape[-1]).T @ rows, before.view(-1, n).T @ rows * off_diagonal]
        return twin.update([*gradients, zs.view(-1, n).T @ lam.view(-1, lam.shape[-1])])

    return step
