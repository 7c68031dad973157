"""A training step of a bidirectional layer of LIF and ALIF neurons in PyTorch, by automatic differentiation.

Both rules as the published code for speech has them: e-prop differentiates a simulation whose spikes, where they come
back to the neurons, are constants, and BPTT one where they are not.
"""

import timing
from torch_twins import Twin, adam

torch = timing.peer("torch")


def make(net, x, labels, rule, *, target, strength, device="cpu"):
    """Return a function without arguments that makes a step and returns the gradients, or None without PyTorch.

    net: a `BidirectionalNetwork` of one layer, whose readout filters frames. x: features (F, batch, n_in). labels: of
    the frames (F, batch). rule: "eprop" or "bptt". target, strength: of the regulariser of rates.
    """
    if torch is None:
        return None
    spikes, twin, K = _spikes(), Twin(net, device, adam(0.01)), net.steps
    for p in twin.p:
        p.requires_grad_()
    forward, backward, (W, b) = twin.p[:2], twin.p[2:4], twin.p[4:]
    x, labels = twin.tensor(x), twin.tensor(labels)

    def simulate(cells, x, W_in, W_rec):
        neurons, (batch, n) = cells.neurons, (x.shape[1], W_rec.shape[0])
        beta, one = twin.tensor(neurons.beta), torch.eye(n, device=device, dtype=x.dtype)
        current = (x @ W_in).repeat_interleave(K, dim=0)
        back = W_rec * (1 - one) - neurons.theta * one
        v, a, z, crossed, refractory = (torch.zeros(batch, n, device=device, dtype=x.dtype) for _ in range(5))
        sent = []
        for each in current:
            a = neurons.rho * a + crossed
            v = neurons.alpha * v + torch.addmm(each, z.detach() if rule == "eprop" else z, back)
            u = (v - neurons.theta - beta * a) / neurons.theta
            z, crossed = spikes.apply(u, refractory <= 0, neurons.gamma), spikes.apply(u, None, neurons.gamma)
            refractory = (refractory + neurons.n_ref * z.detach() - 1).clamp(min=0)
            sent.append(z)
        return torch.stack(sent)

    def step():
        (ahead, behind), penalty = net.layers[0], 0.0
        directions = simulate(ahead, x, *forward), simulate(behind, x.flip(0), *backward)
        for z in directions:
            penalty = penalty + strength * ((z.mean((0, 1)) - target) ** 2).sum()
        sent = torch.cat([directions[0], directions[1].flip(0)], -1)
        frames = sent.view(-1, K, *sent.shape[1:]).mean(1)
        seen, F = [], torch.zeros_like(frames[0])
        for each in frames:
            F = net.kappa * F + each
            seen.append(F)
        output = torch.stack(seen) @ W + b
        loss = torch.nn.functional.cross_entropy(output.flatten(0, 1), labels.flatten())
        return twin.update(list(torch.autograd.grad(loss + penalty, twin.p)))

    return step


def _spikes():
    """Return the function of u to spikes, with the pseudo-derivative gamma max(0, 1 - |u|), where neurons are free."""

    class Spikes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u, free, gamma):
            slope = gamma * (1 - u.abs()).clamp(min=0)
            ctx.save_for_backward(slope if free is None else slope * free)
            z = u > 0
            return (z if free is None else z & free).to(u.dtype)

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[0], None, None

    return Spikes
