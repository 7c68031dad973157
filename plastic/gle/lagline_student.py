"""The lag line: a chain of two neurons that learns from another one (Ellenberger et al. 2024, Fig. 5).

The net is 1-1-1 without bias, softplus in both layers, tau_r = 0.1, gamma = 1. The teacher has w = (1, 2) and tau_m =
(1, 2). The student learns its weights and membrane time constants from the teacher's output in every step, by GLE
("gle"), by instantaneous backpropagation ("bp"), or by truncated backpropagation through time over a window of length
4, 2 or 1 ("bptt_tw4", "bptt_tw2", "bptt_tw1"; see `plastic.gle.lagline_bptt`).

Teacher and student are two replicas, in this order, of one network. What a step costs is that of about fifty array
operations on two neurons, whose arithmetic costs little: several seeds share it.
"""

from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.gle import lagline_bptt
from plastic.gle.dynamics import evolve, step
from plastic.gle.networks import Network
from plastic.gle.state import State
from plastic.optimizers import Adam
from plastic.parameters import Affine
from plastic.types import Array, Tree

WEIGHTS, TAU_M, TAU_R, GAMMA = (1.0, 2.0), (1.0, 2.0), 0.1, 1.0
WINDOWS = {"bptt_tw4": 4.0, "bptt_tw2": 2.0, "bptt_tw1": 1.0}
LEAST = 10  # steps: no membrane time constant goes below
TEACHER, STUDENT = 0, 1


def chain(tau_m: Any, w: Any, dt: float, prospective: bool = False, learn_tau: bool = False) -> Network:
    """Return the net with tau_m (..., 2) and w (..., 2), host arrays; their leading axis is that of seeds.

    dt, prospective, learn_tau: as for `plastic.gle.network`.
    """
    tau_m, w = np.asarray(tau_m, dtype=float), np.asarray(w, dtype=float)
    layers = [Affine(w[..., k, None, None]) for k in range(2)]
    return Network.from_layers(layers, "softplus", tau_m[..., None, :], TAU_R, dt, GAMMA, prospective, learn_tau)


class Student:
    """A student that learns from its teacher, step by step.

    prospective: whether the errors of the student are, as with gle.
    window: 0 for gle and bp, else the steps of a window of BPTT.
    start: tau_0, tau_1, w_0, w_1 of the student at first, a host array (4,) or (seeds, 4).
    begin: learning begins after this step. With gle and bp the student has the teacher's tau_m in the first half of
        the time before, which shows what wrong weights alone do. As published, its tau_m may start below LEAST steps,
        and is held there from the end of this step on.
    batch, dt: samples, and the length of a step.
    lr: of Adam.    beta: of the nudge.
    """

    def __init__(
        self,
        prospective: bool,
        window: int,
        start: Any,
        begin: int,
        batch: int,
        dt: float,
        beta: float,
        lr: float,
    ) -> None:
        self.window, self.begin, self.beta = window, begin, beta
        start = np.asarray(start, dtype=float)
        both = np.stack([np.broadcast_to([*TAU_M, *WEIGHTS], start.shape), start], axis=-2)
        self.pair = chain(both[..., :2], both[..., 2:], dt, prospective, learn_tau=True)
        self.pair_state, self.pair_grads = State(self.pair, batch), parameters.zeros_like(self.pair.parameters)
        self.err = xp.zeros((*self.pair.replicas, batch, 1), dtype=xp.float_dtype)  # of the teacher 0 throughout
        self.teacher_state, self.state = (self.pair_state.replica(k) for k in (TEACHER, STUDENT))
        self.teacher, self.student = self.teacher_state.net, self.state.net
        self.start = xp.asarray(start[..., None, :2])
        self.grads, self.optimizer = self.pair_grads.like(self.pair_grads.flat[..., STUDENT, :]), Adam(lr)
        self.moments = self.optimizer.init(self.student.parameters)
        self.tape = lagline_bptt.Tape(self.student, window + 1, batch) if window else None

    @property
    def tree(self) -> Tree:
        """All that changes."""
        tape = {"tape": self.tape.tree} if self.tape else {}
        states = {"teacher": self.teacher_state.tree, "student": self.state.tree}
        return {"parameters": self.student.parameters.flat, "moments": self.moments} | states | tape

    def step(self, s: int, x: Array) -> tuple[Array, Array]:
        """Take step number s with input x (..., batch, 1); return the teacher's output y, and y minus the student's."""
        student, state, pair, learns = self.student, self.state, self.pair, s >= self.begin
        if not self.window and s in (0, self.begin // 2):
            student.tau_m[...] = self.teacher.tau_m if s == 0 and self.begin > 1 else self.start
        d = self.teacher_state.output - state.output
        xp.multiply(d, -self.beta, out=self.err[..., STUDENT, :, :])
        x_of_both = x[..., None, :, :]
        if self.tape and learns:
            position = s - self._first_of_window(s)
            self.tape.before(position, state, x, d)
        if learns and not self.window:
            output = step(pair, self.pair_state, x_of_both, self.err, out=self.pair_grads)[1]
        else:
            output = evolve(pair, self.pair_state, x_of_both, self.err)
        if self.tape and learns:
            self.tape.after(position, state)
        if s > self.begin:
            self._learn(s, position + 1 if self.window else 1)
        if learns:
            xp.maximum(student.tau_m, LEAST * student.dt, out=student.tau_m)
        return output[..., TEACHER, :, :], d

    def _first_of_window(self, s):
        """The step with which the window of step s begins: the first window is that of `begin`, whole or in part."""
        if s <= (self.begin // self.window + 1) * self.window:
            return self.begin
        return (s - 1) // self.window * self.window + 1

    def _learn(self, s, count):
        student = self.student
        if self.window and s % self.window == 0:
            lagline_bptt.gradient(student, self.tape, count, self.beta, self.grads)
        if not self.window or s % self.window == 0:
            self.optimizer.step(student.parameters, self.grads, self.moments)
