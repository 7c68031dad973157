"""The lag net: two neurons per layer, one instantaneous and one retarded, by GLE and by the adjoint method (Fig. 6).

The net is 1-2-2-1 without bias, tanh, tanh, linear. tau_m = 1 everywhere; in the hidden layers tau_r = (1, 0.1), so
that the first neuron is instantaneous and the second retarded. The teacher's weights are known but for the first layer,
which both students learn: one by GLE in every step, one by the adjoint method ("AM"), over windows.

Teacher, GLE student and AM student are three replicas, in this order, of one network.
"""

from typing import Any

import numpy as np

from plastic import parameters, xp
from plastic.gle import adjoint_dynamics
from plastic.gle.dynamics import evolve, step
from plastic.gle.networks import Network
from plastic.gle.state import State, histories
from plastic.optimizers import SGD
from plastic.parameters import Affine
from plastic.types import Array, Tree

SIZES = (1, 2, 2, 1)
TEACHER = ([[-0.5, 1.0]], [[0.5, 0.0], [0.0, 1.0]], [[0.5], [1.0]])  # W_0, W_1, W_2, inputs first
TAU_R = [[1.0, 0.1], [1.0, 0.1], [1.0]]
GLE, AM = 1, 2


def replicas(first: Any, gamma: float, dt: float) -> Network:
    """Return the three replicas.

    first: W_0 of both students at first, a host array (..., 1, 2).    dt: the length of a step.
    gamma: how strongly errors nudge the hidden neurons of teacher and GLE student.
    """
    first = np.asarray(first, dtype=float)
    lead = first.shape[:-2]
    layers = [Affine(np.broadcast_to(W, (*lead, 3, *np.shape(W))).copy()) for W in TEACHER]
    layers[0].W[..., GLE:, :, :] = first[..., None, :, :]
    nudge = np.zeros((*lead, 3, 1, 5))
    nudge[..., :AM, :, :4] = gamma
    phi = ["tanh", "tanh", "linear"]
    return Network.from_layers(layers, phi, 1.0, TAU_R, dt, nudge, prospective=True)


class Students:
    """Two students that learn from a teacher, step by step, and what the adjoint method needs of the past.

    first: W_0 of the students at first, (1, 2) or (seeds, 1, 2).    steps: how many there are.
    start: GLE learns after this step, the adjoint method from it on.    every: steps between two of its updates, and
        of its windows; before, one window of `start` steps gives no update but says where the error is.
    dt, gamma: as for `replicas`.    lr_gle, lr_am, momentum: of gradient descent.
    textbook: see `plastic.gle.adjoint_dynamics`.
    """

    def __init__(
        self,
        first: Any,
        steps: int,
        start: int,
        every: int,
        dt: float,
        gamma: float,
        lr_gle: float,
        lr_am: float,
        momentum: float,
        textbook: bool = False,
    ) -> None:
        self.network = replicas(first, gamma, dt)
        self.state, self.grads = State(self.network, 1), parameters.zeros_like(self.network.parameters)
        self.start, self.every, self.dt, self.textbook = start, every, dt, textbook
        self.optimizers = {GLE: SGD(lr_gle, momentum), AM: SGD(lr_am, momentum)}
        W, gradient = self.network.layers[0].W, self.grads.layers[0].W
        self.W = {student: W[..., student, :, :] for student in (GLE, AM)}
        self.gradient = {student: gradient[..., student, :, :] for student in (GLE, AM)}
        self.moments = {student: self.optimizers[student].init(W) for student, W in self.W.items()}
        shapes = {"m": (1, 1), "rho": (1, 1), "q": (1, 5), "lam": (1, 5)}  # errors, input, slopes, lambda
        self.am = self.network.replica(AM)
        self.kept, self.past = histories(self.am, steps, shapes)

    @property
    def tree(self) -> Tree:
        """All that changes."""
        moments = {"gle": self.moments[GLE], "am": self.moments[AM]}
        return {"layers": self.network.layers, "state": self.state.tree, "moments": moments, "past": self.kept}

    def step(self, s: int, x: float) -> Array:
        """Take step number s with input x, a number; return the outputs of all three before it."""
        state, past = self.state, self.past
        output = state.output.copy()
        error = output[..., :1, :, :] - output  # of the teacher: none
        x_of_all = xp.full_like(output, x)
        if s > self.start:
            step(self.network, state, x_of_all, -error, out=self.grads)
        else:
            evolve(self.network, state, x_of_all, -error)
        past["m"][s], past["rho"][s], past["q"][s] = error[..., AM, :, :], x, state.q[..., AM, :, :]
        if s > self.start:
            self._learn(GLE)
        window = self.start if s <= self.start else self.every
        if s > 0 and s % window == 0:
            self._look_back(s, window)
        return output

    def _learn(self, student):
        self.optimizers[student].step(self.W[student], self.gradient[student], self.moments[student])

    def _look_back(self, s, window):
        """Update the student of the adjoint method from the window of steps that ends before step s."""
        past = {name: array[s - window : s] for name, array in self.past.items()}
        past["lam"][...] = adjoint_dynamics.errors(self.am, past["m"], past["q"], self.textbook)
        gradient = adjoint_dynamics.gradient(past["lam"][..., :2], past["rho"], self.dt)
        self.gradient[AM][...] = gradient if s > self.start else 0
        self._learn(AM)
