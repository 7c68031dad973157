"""Learning to classify sequences while they come in: one Euler step and one update for each element.

The class is where the outputs, summed over the whole sequence, are largest. The state of the network is never reset:
a sequence begins in what the one before left, as published.
"""

from plastic import parameters, training, xp
from plastic.functions import accuracy, softmax, softmax_cross_entropy
from plastic.gle.dynamics import predict, step
from plastic.gle.state import State
from plastic.optimizers import Adam
from plastic.runs.options import seeds_of


class SequenceTask:
    """A network that learns from batches of sequences, by Adam with a rate that is lowered on a plateau.

    options: with seed, seeds, max_epochs.
    network: a `Network`, with a leading replica axis where there are several seeds.
    source: next() gives (x, labels), x as `prepare` takes it, labels (..., batch).
    prepare: prepare(x) gives the input of all steps, (..., T, batch, n_0).
    sets: {"test": (x, labels)}, evaluated after each epoch; labels (N,).    watched: whose loss lowers the rate.
    schedule: a `Plateau`.    learning_rate: at first.
    batch, chunk: sequences in a batch of training and of evaluation.
    """

    def __init__(self, options, network, source, prepare, sets, watched, schedule, learning_rate, batch, chunk):
        self.options, self.seeds, self.network, self.source = options, seeds_of(options), network, source
        self.prepare, self.sets, self.watched, self.schedule = prepare, sets, watched, schedule
        self.lead = network.lead
        self.dynamics, self.grads = State(network, batch), parameters.zeros_like(network.parameters)
        self.optimizer, self.chunk, self.number = Adam(learning_rate), chunk, 0
        self.state = {
            "layers": network.layers,
            "moments": self.optimizer.init(network.parameters),
            "dynamics": self.dynamics.tree,
            "schedule": schedule.init(learning_rate, (*self.lead, 1)),
            "train": {name: xp.zeros((*self.lead, 1), dtype=xp.float_dtype) for name in ("right", "seen")},
        }

    def train(self, run):
        """Train in a folder `run` as the options say, or go on from its checkpoint."""
        per_epoch = self.source.per_epoch
        training.fit(
            run,
            self.state,
            self.source,
            self.step,
            steps=self.options["max_epochs"] * per_epoch,
            evaluate=self.evaluate,
            evaluate_every=per_epoch,
            checkpoint_every=per_epoch,
            replicas=[{"replica": replica, "seed": seed} for replica, seed in enumerate(self.seeds)],
            advice="try a smaller learning_rate",
        )

    def step(self, batch, number):
        """Learn from a batch of sequences, the `number`-th, in every step of them; return a vital sign."""
        self.number = number
        x, labels = batch
        total = self.learn(self.prepare(x), labels)
        counts, right = self.state["train"], accuracy(total, labels)[..., None].astype(xp.float_dtype)
        if (number - 1) % self.source.per_epoch == 0:
            for each in counts.values():
                each[...] = 0
        counts["right"] += right
        counts["seen"] += 1
        return xp.sum(total, axis=(-2, -1))

    def learn(self, x, labels):
        """Present sequences x (..., T, batch, n_0) with their labels (..., batch); return the summed outputs."""
        network, state, grads, optimizer = self.network, self.dynamics, self.grads, self.optimizer
        moments, lr = self.state["moments"], self.state["schedule"]["lr"][..., None]
        y = (labels[..., None] == xp.arange(network.sizes[-1])).astype(xp.float_dtype)
        total = xp.zeros_like(state.output)
        for t in range(x.shape[-3]):
            total += step(network, state, x[..., t, :, :], softmax(state.output) - y, out=grads)[1]
            optimizer.step(network.parameters, grads, moments, lr)
        return total

    def present(self, x):
        """Present sequences x (..., T, batch, n_0) without target; return the outputs (..., T, batch, n_L)."""
        state = self.dynamics.resized(x.shape[-2])
        outputs = predict(self.network, x, state=state)
        self.dynamics.take(state)
        return outputs

    def score(self, x, labels):
        """Return (loss, accuracy) on sequences x with labels: mean cross-entropy of all steps, and fraction right."""
        loss = right = 0
        for start in range(0, len(x), self.chunk):
            some = labels[start : start + self.chunk]
            outputs = self.present(self.prepare(x[start : start + self.chunk]))
            loss = loss + xp.sum(softmax_cross_entropy(outputs, some)[0], axis=-1)
            right = right + accuracy(xp.sum(outputs, axis=-3), some) * len(some)
        return xp.mean(loss, axis=-1) / len(x), right / len(x)

    def evaluate(self):
        """Return loss and accuracy of the sets, the accuracy while training, the rate; lower it where that is due."""
        metrics = {}
        for name, (x, labels) in self.sets.items():
            metrics[f"{name}_loss"], metrics[f"{name}_accuracy"] = self.score(x, labels)
        counts, schedule = self.state["train"], self.state["schedule"]
        metrics["train_accuracy"] = (counts["right"] / xp.maximum(counts["seen"], 1))[..., 0]
        metrics["learning_rate"] = schedule["lr"][..., 0].copy()
        if self.number > 0:
            self.schedule.step(schedule, metrics[f"{self.watched}_loss"][..., None])
        return metrics
