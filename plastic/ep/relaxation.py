"""Relaxation of a network on one batch: the state, the buffers of its steps, and the tape of its last ones."""

from plastic import xp

_LOOK_EVERY = 10  # steps between two looks at whether all replicas have come to rest: each look waits for the device


class Relaxation:
    """The state of a network on one batch, and what its steps write into.

    s: the state of all layers, flat (..., P); see `plastic.ep.networks.dense`.
    r: what the layers send, rho(s) or s itself.    a: what they receive.    drive: its constant part.
    rho, slope, g: rho and rho' where the dynamics take them, and the change of s.
    switches: those of max-pooling in the last step.
    output: the view (..., batch, n_L) of s that is the output layer.

    `begin` starts a batch; the result of a relaxation does not depend on what the buffers held before.
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

    def run(self, steps, beta=0.0, y=None, tolerance=0.0, tape=None):
        """Make so many steps of the network; with y, nudged towards y by beta. Fill `tape`, where given.

        beta: a number, or one per replica (..., 1, 1).
        tolerance: a replica comes to rest, and is left as it is, when its largest change in a step is not above it.
        """
        step, active = self.network.step, None
        for t in range(steps):
            if tape is not None:
                tape.s[..., t, :] = self.s
            before = self.s.copy() if tolerance else None
            step(self, beta, y)
            if tape is not None:
                tape.a[..., t, :] = self.a
                tape.keep_switches(t, self.switches)
            if tolerance:
                moving = xp.max(xp.abs(self.s - before), axis=-1, keepdims=True) > tolerance
                if active is not None:
                    self.s[...] = xp.where(active, self.s, before)
                active = moving if active is None else active & moving
                if t % _LOOK_EVERY == _LOOK_EVERY - 1 and tape is None and not bool(xp.asnumpy(active).any()):
                    return


class Tape:
    """The record of consecutive steps: s before each and a in it, flat histories (..., time, P), and its switches."""

    def __init__(self, relaxation, steps):
        shape = (*relaxation.s.shape[:-1], steps, relaxation.s.shape[-1])
        self.s, self.a = (xp.empty(shape, dtype=relaxation.s.dtype) for _ in range(2))
        self.switches = [xp.empty((steps, *each.shape), dtype=each.dtype) for each in relaxation.switches]

    def keep_switches(self, t, switches):
        """Write down the switches of step t."""
        for history, switch in zip(self.switches, switches, strict=True):
            history[t] = switch

    def recall_switches(self, t, switches):
        """Read the switches of step t into `switches`."""
        for history, switch in zip(self.switches, switches, strict=True):
            switch[...] = history[t]
