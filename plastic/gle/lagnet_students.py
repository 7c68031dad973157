"""The lag net: instantaneous and retarded neurons in every layer, by GLE and by the adjoint method (Fig. 6).

The hidden neurons have tau_m = 1 and tau_r = 1, the first half of a layer, which are instantaneous, or 0.1, the others,
which are retarded; the outputs are linear and instantaneous. The published net is 1-2-2-1, tanh, without bias. What
its students learn are the weights of the first layer; those of the other layers are the teacher's. One student learns
by GLE in every step, one by the adjoint method ("AM"), over windows.

Teacher, GLE student and AM student are three replicas, in this order, of one network.
"""

import math
from collections.abc import Sequence
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

TEACHER = [Affine(np.array(W)) for W in ([[-0.5, 1.0]], [[0.5, 0.0], [0.0, 1.0]], [[0.5], [1.0]])]
"""The layers of the published teacher."""
TAU_R = (1.0, 0.1)
"""Of instantaneous and of retarded neurons."""
GLE, AM = 1, 2


def published(W_0: Any) -> list[Affine]:
    """Return the layers of published students, which begin with the weights W_0 (..., 1, 2) in their first layer."""
    return [Affine(np.asarray(W_0, dtype=float)), *TEACHER[1:]]


def retarded(n: int) -> int:
    """Return which of the n neurons of a hidden layer is the first retarded one."""
    return (n + 1) // 2


def replicas(teacher: list[Affine], first: list[Affine], gamma: float, dt: float, phi: str = "tanh") -> Network:
    """Return the three replicas.

    teacher, first: the layers of the teacher, and of both students at first: host arrays (..., n_in, n), (..., 1, n).
    gamma: how strongly errors nudge the hidden neurons of teacher and GLE student.
    dt: the length of a step.    phi: the activation of hidden neurons.
    """
    layers = [
        parameters.map(lambda of_teacher, *of_students: _stacked(of_teacher, *of_students), known, new, new)
        for known, new in zip(teacher, first, strict=True)
    ]
    lead = np.broadcast_shapes(*(array.shape[:-3] for _, array in parameters.leaves(layers)))
    layers = parameters.map(lambda array: np.broadcast_to(array, (*lead, *array.shape[-3:])).copy(), layers)
    widths = [layer.W.shape[-1] for layer in layers]
    nudge = np.zeros((*lead, 3, 1, sum(widths)))
    nudge[..., :AM, :, : -widths[-1]] = gamma
    tau_r = [np.where(np.arange(n) < retarded(n), *TAU_R) for n in widths[:-1]]
    kinds = [phi] * len(tau_r) + ["linear"]
    return Network.from_layers(layers, kinds, 1.0, [*tau_r, np.ones(widths[-1])], dt, nudge, prospective=True)


def flat(layers: list[Affine], leading: int = 0) -> Array:
    """Return weights and biases as vectors (..., P), layer by layer, of arrays with so many leading axes."""
    leaves = [leaf for _, leaf in parameters.leaves(layers)]
    return xp.concatenate([xp.reshape(leaf, (*leaf.shape[:leading], -1)) for leaf in leaves], axis=-1)


def of_vector(vector: np.ndarray, like: list[Affine]) -> list[Affine]:
    """Return layers of the shapes of others from a vector (..., P), as `flat` gives it, host arrays."""
    place = 0

    def cut(leaf):
        nonlocal place
        shape = leaf.shape[-2:]
        start, place = place, place + math.prod(shape)
        return vector[..., start:place].reshape(*vector.shape[:-1], *shape)

    return parameters.map(cut, like)


def _stacked(*arrays: np.ndarray) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*arrays), axis=-3)


class Students:
    """Two students that learn from a teacher, step by step, and what the adjoint method needs of the past.

    first: the layers of the students at first, as `replicas` takes them.    steps: how many there are.
    start: GLE learns after this step, the adjoint method from it on.    every: steps between two of its updates, and
        of its windows; before, one window of `start` steps gives no update but says where the error is.
    dt, gamma: as for `replicas`.    lr_gle, lr_am, momentum: of gradient descent.
    textbook: see `plastic.gle.adjoint_dynamics`.    teacher, phi: as for `replicas`.
    layers: the numbers of the layers that the students learn.

    Attributes:
        learned, grads: {student: [Affine]} of these layers.
    """

    def __init__(
        self,
        first: list[Affine],
        steps: int,
        start: int,
        every: int,
        dt: float,
        gamma: float,
        lr_gle: float,
        lr_am: float,
        momentum: float,
        textbook: bool = False,
        teacher: Sequence[Affine] = TEACHER,
        phi: str = "tanh",
        layers: Sequence[int] = (0,),
    ) -> None:
        self.network = replicas(list(teacher), first, gamma, dt, phi)
        self.state, self._grads = State(self.network, 1), parameters.zeros_like(self.network.parameters)
        self.start, self.every, self.dt, self.textbook = start, every, dt, textbook
        self.optimizers = {GLE: SGD(lr_gle, momentum), AM: SGD(lr_am, momentum)}
        self.learned = {student: self._of(student, self.network.layers, layers) for student in (GLE, AM)}
        self.grads = {student: self._of(student, self._grads.layers, layers) for student in (GLE, AM)}
        self.moments = {student: self.optimizers[student].init(each) for student, each in self.learned.items()}
        self.am = self.network.replica(AM)
        self.layers, columns = tuple(layers), self.am.columns
        self._below = [slice(0, 1), *(slice(1 + each.start, 1 + each.stop) for each in columns[:-1])]
        n = columns[-1].stop
        shapes = {"m": (1, 1), "rho": (1, n), "q": (1, n), "lam": (1, n)}  # errors, rates below, slopes, lambda
        self.kept, self.past = histories(self.am, steps, shapes)

    @property
    def tree(self) -> Tree:
        """All that changes."""
        moments = {"gle": self.moments[GLE], "am": self.moments[AM]}
        return {"layers": self.network.layers, "state": self.state.tree, "moments": moments, "past": self.kept}

    @staticmethod
    def _of(student, layers, numbers):
        return [parameters.map(lambda array: array[..., student, :, :], layers[k]) for k in numbers]

    def step(self, s: int, x: Any) -> Array:
        """Take step number s with input x, a number, or (seeds, 1, 1, 1); return the outputs of all three before it."""
        state, past = self.state, self.past
        output = state.output.copy()
        error = output[..., :1, :, :] - output  # of the teacher: none
        x_of_all = xp.empty_like(output)
        x_of_all[...] = x
        if s > self.start:
            step(self.network, state, x_of_all, -error, out=self._grads)
        else:
            evolve(self.network, state, x_of_all, -error)
        past["m"][s], past["q"][s] = error[..., AM, :, :], state.q[..., AM, :, :]
        past["rho"][s, ..., :1], past["rho"][s, ..., 1:] = x_of_all[..., AM, :, :], state.r[..., AM, :, :-1]
        if s > self.start:
            self._learn(GLE)
        window = self.start if s <= self.start else self.every
        if s > 0 and s % window == 0:
            self._look_back(s, window)
        return output

    def _learn(self, student):
        self.optimizers[student].step(self.learned[student], self.grads[student], self.moments[student])

    def _look_back(self, s, window):
        """Update the student of the adjoint method from the window of steps that ends before step s."""
        past = {name: array[s - window : s] for name, array in self.past.items()}
        past["lam"][...] = adjoint_dynamics.errors(self.am, past["m"], past["q"], self.textbook)
        for k, grad in zip(self.layers, self.grads[AM], strict=True):
            lam, rho = past["lam"][..., self.am.columns[k]], past["rho"][..., self._below[k]]
            for part, below in ((grad.W, rho), (grad.b, xp.ones_like(rho[..., :1]))):  # a bias is from a rate of 1
                if part is not None:
                    part[...] = adjoint_dynamics.gradient(lam, below, self.dt) if s > self.start else 0
        self._learn(AM)
