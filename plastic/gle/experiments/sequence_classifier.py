"""Learning to classify sequences while they come in: one Euler step and one update for each element.

The class is where the outputs, summed over the whole sequence, are largest. The state of the network is never reset:
a sequence begins in what the one before left, as published.
"""

import numpy as np

from plastic import affine, classifier, parameters, training, xp
from plastic.functions import accuracy, confusion, softmax, softmax_cross_entropy
from plastic.gle.dynamics import predict, step
from plastic.gle.state import State
from plastic.optimizers import Adam
from plastic.parameters import Affine


class SequenceClassifier:
    """A network that learns from batches of sequences, by an optimizer whose rate is lowered by a schedule.

    network: a `Network`, with a leading replica axis where there are several seeds.
    prepare: prepare(x) gives the input of all steps, (..., T, batch, n_0).
    schedule: a `Plateau`, or `Stairs`.    learning_rate: at first.    optimizer: `Adam` or `SGD`.
    batch, chunk: sequences in a batch of training and of evaluation.
    read: read(outputs) gives what is summed over the steps, to find the class; by default the outputs themselves.
    """

    def __init__(self, network, prepare, schedule, learning_rate, batch, chunk, optimizer=Adam, read=None):
        self.read = read or (lambda outputs: outputs)
        self.network, self.prepare, self.schedule, self.chunk = network, prepare, schedule, chunk
        self.dynamics, self.grads = State(network, batch), parameters.zeros_like(network.parameters)
        self.optimizer, lead = optimizer(learning_rate), (*network.replicas, 1)
        self.moments, self.rates = self.optimizer.init(network.parameters), schedule.init(learning_rate, lead)
        self.tally = classifier.Tally(network.replicas, "accuracy")
        self.turns = [Turn(self, which) for which in self._blocks()]

    @property
    def tree(self):
        """All that changes."""
        of_training = {"moments": self.moments, "schedule": self.rates, "train": self.tally.totals}
        return {"layers": self.network.layers, "dynamics": self.dynamics.tree} | of_training

    def learn(self, x, labels):
        """Present sequences x (..., T, batch, n_0) with their labels (..., batch); return the summed outputs."""
        total, lr = xp.zeros_like(self.dynamics.output), self.rates["lr"][..., None]
        clock = {name: self.moments[name].copy() for name in ("t",) if name in self.moments}
        for turn in self.turns:
            for name, steps in clock.items():
                self.moments[name][...] = steps  # of Adam, which all replicas count
            turn.learn(*(turn.of(each) for each in (x, labels, total, lr)))
        return total

    def take(self, batch, anew):
        """Learn from a batch (x, labels) in every step of its sequences; return a vital sign.

        anew: whether the accuracy while learning begins anew.
        """
        x, labels = batch
        total = self.learn(self.prepare(x), labels)
        if anew:
            self.tally.forget()
        batch = labels.shape[-1]
        self.tally.add({"accuracy": accuracy(total, labels).astype(xp.float_dtype) * batch}, batch)
        return xp.sum(total, axis=(-2, -1))

    def present(self, x):
        """Present sequences x (..., T, batch, n_0) without target; return the outputs (..., T, batch, n_L)."""
        state, lead = self.dynamics.resized(x.shape[-2]), self.network.replicas
        outputs = xp.empty((*lead, *x.shape[-3:-1], self.network.sizes[-1]), dtype=xp.float_dtype)
        for turn in self.turns:
            of_turn = state if turn.which is None else state.replica(turn.which)
            turn.of(outputs)[...] = predict(turn.network, turn.of(x) if x.ndim > 3 else x, state=of_turn)
        self.dynamics.take(state)
        return outputs

    def measure(self, x, labels):
        """Return what sequences x (N, ..) give: {"loss": mean cross-entropy of all steps, "accuracy", "confusion"}."""
        outputs = self.read(self.present(self.prepare(x)))
        loss, total = xp.mean(softmax_cross_entropy(outputs, labels)[0], axis=(-2, -1)), xp.sum(outputs, axis=-3)
        return {"loss": loss, "accuracy": accuracy(total, labels), "confusion": confusion(total, labels)}

    def score(self, x, labels):
        """Return what `measure` gives, a chunk of the sequences at a time."""
        return classifier.means(self.measure, x, labels, chunk=self.chunk)

    def _blocks(self):
        """Blocks of the replicas that take turns, each learning from all steps of a batch; [None] where there are none.

        What a replica works on are its rows, the constants of three, and parameters, gradients and two moments.
        """
        if not self.network.replicas:
            return [None]
        rows, vector = self.dynamics.units.arrays.values(), self.network.parameters.flat
        nbytes = sum(each.nbytes for each in rows) + 4 * vector.nbytes
        return xp.turns(*self.network.replicas, nbytes // self.network.replicas[0])


class Turn:
    """Some replicas of a `SequenceClassifier`: what they learn with are views of what is its.

    which: a slice of its replicas, or None where there is one network alone.
    """

    def __init__(self, whole, which):
        self.which, self.optimizer, self.read = which, whole.optimizer, whole.read
        self.network, self.state, self.grads, self.moments = whole.network, whole.dynamics, whole.grads, whole.moments
        if which is not None:
            self.state = whole.dynamics.replica(which)
            self.network = self.state.net
            self.grads, self.moments = (parameters.replica(each, which) for each in (whole.grads, whole.moments))

    def of(self, array):
        """Return what belongs to these replicas of an array with replica axes."""
        return array if self.which is None else array[self.which]

    def learn(self, x, labels, total, lr):
        """Present sequences x (..., T, batch, n_0) with their labels (..., batch); add what is read to `total`."""
        network, state, grads = self.network, self.state, self.grads
        classes = xp.arange(network.sizes[-1])[:, None]
        y = affine.transposed((labels[..., None, :] == classes).astype(xp.float_dtype))  # in memory as the outputs are
        for t in range(x.shape[-3]):
            total += self.read(step(network, state, x[..., t, :, :], softmax(state.output) - y, out=grads)[1])
            self.optimizer.step(network.parameters, grads, self.moments, lr)


def train(run, learner, source, judged, evaluations, epochs):
    """Train a `SequenceClassifier` on a source of batches (x, labels), and evaluate it after each epoch.

    The metrics are loss and accuracy on the set `judged`, ("test", (x, labels)) for instance, the accuracy while
    learning, and the learning rate, which that loss lowers. x is as `prepare` takes it. evaluations: what they leave.
    """
    trained, (name, (x, labels)) = False, judged

    def step(batch, number):
        nonlocal trained
        trained = True
        return learner.take(batch, anew=(number - 1) % source.per_epoch == 0)

    def evaluate():
        score, rates = learner.score(x, labels), learner.rates
        metrics = {f"{name}_{what}": value for what, value in score.items()}
        metrics["train_accuracy"] = learner.tally.means()["accuracy"]
        metrics["learning_rate"] = rates["lr"][..., 0].copy()
        if trained:
            learner.schedule.step(rates, score["loss"][..., None])
        return evaluations.note(metrics)

    state, steps = learner.tree | evaluations.tree, epochs * source.per_epoch
    training.fit(run, state, source, step, steps=steps, evaluate=evaluate, advice="try a smaller learning_rate")


def layers_of(arrays):
    """Return the layers [Affine] that the arrays of a checkpoint hold."""
    count = sum(path.startswith("layers/") and path.endswith("/W") for path in arrays)
    return [Affine(arrays[f"layers/{k}/W"], arrays[f"layers/{k}/b"]) for k in range(count)]


def summed(network, x, read=lambda outputs: outputs):
    """Return what is read, summed over the steps of sequences x (..., T, batch, n_0) from rest, a host array."""
    return xp.asnumpy(xp.sum(read(predict(network, x)), axis=-3))


def stream(network, x, labels, seen, count=4):
    """Return what a network says in each step of a few sequences that come one after the other, from rest.

    They are the first sequence of each of the first `count` classes.
    x (N, T, ..), labels (N,): sequences of the host.    seen: those that the network sees, (N, T, n_0).
    Returns {"stream/x" (count, T, ..), "stream/labels" (count,), "stream/outputs" (..., count T, n_L)}.
    """
    found = [np.flatnonzero(labels == label)[:1] for label in np.unique(labels)[:count]]
    chosen = np.concatenate(found)
    one = xp.reshape(seen[xp.asarray(chosen)], (-1, 1, seen.shape[-1]))
    outputs = xp.asnumpy(predict(network, one)[..., 0, :])
    return {"stream/x": x[chosen], "stream/labels": labels[chosen], "stream/outputs": outputs}


def spread(accuracies):
    """Return the line that reports test accuracies, fractions, of several seeds."""
    percent = 100 * np.asarray(accuracies)
    return f"test accuracy {percent.mean():.2f} % (seeds: {len(percent)}, standard deviation {percent.std():.2f})"
