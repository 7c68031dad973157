"""Relaxation of a network on one batch: the state, the buffers of its steps, and the tape of its last ones."""

from plastic import xp

_LOOK_EVERY = 10  # steps between two looks at whether all replicas have come to rest: each look waits for the device


class Relaxation:
    """The state of a network on one batch, and what its steps write into.

    s: the state of all layers, flat (..., P); see `plastic.ep.networks.dense`.
    r: what the layers send, rho(s) or s itself.    a: what they receive.    drive: the constant part of a.
    slope, g: rho' and the change of s, buffers of the dynamics.
    switches: those of max-pooling in the last step, none in dense nets.
    output: the view (..., batch, n_L) of s that is the output layer.

    `begin` starts a batch of the shape of x; what comes then does not depend on what the buffers held before.
    """

    def __init__(self, network, x):
        wiring = network.wiring
        self.network = network
        self.s = wiring.zeros(x)
        self.a, self.drive, self.g = (xp.empty_like(self.s) for _ in range(3))
        self.r = network.sent(self.s)
        self.slope = network.activation.slope(self.s, self.s)
        self.switches = wiring.switches(x.shape[0])
        self.couple = wiring.coupling(self.r, self.a, self.switches)
        self.output, self.a_output, self.g_output = (wiring.split(each)[-1] for each in (self.s, self.a, self.g))

    def begin(self, x):
        """Set the state to zero and the drive to that of a batch x; return what the input sends."""
        r_0 = self.network.sent(x)
        self.s[...] = 0
        self.network.wiring.drive(r_0, self.drive, self.switches)
        return r_0

    def run(self, steps, beta=0.0, y=None, tolerance=0.0):
        """Make so many steps of the network; with y, nudged towards y by beta.

        beta: a number, or one per replica (..., 1, 1).
        tolerance: a replica whose largest change in a step is not above it has come to rest, and is left as it is.
        """
        if not tolerance:
            for _ in range(steps):
                self.network.step(self, beta, y)
            return
        moving = xp.ones((*self.s.shape[:-1], 1), dtype=bool)
        for t in range(1, steps + 1):
            before = self.s.copy()
            self.network.step(self, beta, y)
            self.s[...] = xp.where(moving, self.s, before)
            moving &= xp.max(xp.abs(self.s - before), axis=-1, keepdims=True) > tolerance
            if t % _LOOK_EVERY == 0 and not xp.asnumpy(moving).any():
                return

    def record(self, steps, beta=0.0, y=None):
        """Make so many steps and return their `Tape`."""
        tape = Tape(self, steps)
        for t in range(steps):
            tape.s[..., t, :] = self.s
            self.network.step(self, beta, y)
            tape.a[..., t, :] = self.a
            for history, switch in zip(tape.switches, self.switches, strict=True):
                history[t] = switch
        return tape


class Tape:
    """The record of consecutive steps: s before and a in each, flat histories (..., time, P), and their switches."""

    def __init__(self, relaxation, steps):
        shape = (*relaxation.s.shape[:-1], steps, relaxation.s.shape[-1])
        self.s, self.a = (xp.empty(shape, dtype=relaxation.s.dtype) for _ in range(2))
        self.switches = [xp.empty((steps, *each.shape), dtype=each.dtype) for each in relaxation.switches]

    def recall_switches(self, t, switches):
        """Read the switches of step t into `switches`."""
        for history, switch in zip(self.switches, switches, strict=True):
            switch[...] = history[t]
