"""Training on images by EP, by BPTT, or by both from the same initial weights on the same batches."""

import dataclasses
from typing import Any

import numpy as np

from plastic import parameters, training, xp
from plastic.ep import rules, task
from plastic.ep.figures import error_curves
from plastic.ep.relaxation import Relaxation
from plastic.functions import one_hot
from plastic.optimizers import SGD
from plastic.runs.options import seeds_of


class Batches:
    """Shuffled batches (x, y, signs): the sign of the nudge for each seed, +1, or drawn anew for each batch."""

    def __init__(self, batches, noise):
        self.batches, self.noise, self.per_epoch = batches, noise, batches.per_epoch

    def next(self):
        """Return the next batch."""
        return *self.batches.next(), [1 - 2 * int(generator.integers(2)) for generator in self.noise]

    def state(self):
        """Return the position in the epoch and the state of the generators of signs."""
        return {"batches": self.batches.state(), "noise": [each.bit_generator.state for each in self.noise]}

    def restore(self, state):
        """Go back to a position that `state` gave."""
        self.batches.restore(state["batches"])
        for generator, bits in zip(self.noise, state["noise"], strict=True):
            generator.bit_generator.state = bits


@dataclasses.dataclass
class _Group:
    """Replicas that one call of a rule trains: all seeds of a dense net, one replica of a convolutional one.

    place: where they are among the replicas. seed: the one seed they share, or ... for all seeds.
    network, grads: views of the parameters and gradients.
    """

    method: str
    place: slice
    seed: Any
    network: Any
    grads: Any
    work: Any = None


class Task:
    """Data, network, rules and optimizer of one run. The replicas are the seeds, with BPTT first and then with EP."""

    def __init__(self, options):
        self.options, self.seeds = options, seeds_of(options)
        self.methods = ["BPTT", "EP"] if options["benchmark"] else [options["training_method"]]
        self.count = len(self.seeds) * len(self.methods)
        generators = [xp.generator(seed) for seed in self.seeds]
        dataset = task.load_data(options)
        self.test = [xp.asarray(array) for array in dataset.test]
        x, labels = (xp.asarray(array) for array in dataset.train)
        y = one_hot(labels, options["size_tab"][0])
        batches = training.Batches(x, y, options["batch_size"], [each.shuffle for each in generators])
        self.random = options["nudging"] == "random-sign"
        self.source = Batches(batches, [each.noise for each in generators] if self.random else [])
        self.every = options["eval_every"] or self.source.per_epoch

        networks = [task.build(options, each.init) for each in generators]
        trees = [each.parameters for each in networks] * len(self.methods)
        self.parameters = parameters.stack_replicas(trees)
        self.network = task.with_parameters(networks[0], self.parameters)
        self.grads = parameters.zeros_like(self.parameters)
        self.optimizer = SGD(task.by_rate(options, self.network))
        online = {name: xp.zeros(self.count, dtype=xp.float_dtype) for name in ("errors", "loss")}
        online["samples"] = xp.zeros((), dtype=xp.float_dtype)
        self.state = {"parameters": self.parameters, "online": online}
        self.groups = self._groups()

    def train(self, run):
        """Train as the options say, or go on from the checkpoint of the run."""
        per_epoch = self.source.per_epoch
        columns = [{"seed": seed, "method": method} for method in self.methods for seed in self.seeds]
        training.fit(
            run,
            self.state,
            self.source,
            self.step,
            steps=self.options["epochs"] * per_epoch,
            evaluate=self.evaluate,
            evaluate_every=self.every,
            checkpoint_every=per_epoch,
            replicas=[{"replica": replica} | each for replica, each in enumerate(columns)],
            advice="try smaller rates in lr_tab",
        )

    def step(self, batch, number):
        """Make update `number` (1, 2, ..) on a batch; return the loss of each replica on it, before the update."""
        x, y, signs = batch
        online, losses = self.state["online"], []
        if (number - 1) % self.every == 0:
            for array in online.values():
                array[...] = 0
        for group in self.groups:
            target = y[group.seed]
            output = self._learn(group, x[group.seed], target, signs)
            losses.append(xp.sum((output - target) ** 2, axis=(-2, -1)).reshape(-1) / (2 * y.shape[-2]))
            wrong = xp.sum(xp.argmax(output, axis=-1) != xp.argmax(target, axis=-1), axis=-1)
            online["errors"][group.place] += wrong.astype(output.dtype)
        loss = xp.concatenate(losses)
        online["loss"] += loss * y.shape[-2]
        online["samples"] += y.shape[-2]
        self.optimizer.step(self.parameters, self.grads, {})
        return loss

    def evaluate(self):
        """Return error (in per cent) and loss per sample: on the test set, and of training since the last evaluation.

        The training error is that of each batch before its update, as published.
        """
        options, (x, labels) = self.options, self.test
        wrong, squares = (xp.zeros(self.count, dtype=xp.float_dtype) for _ in range(2))
        size = options["test_batch_size"]
        for start in range(0, len(x), size):
            some, classes = x[start : start + size], labels[start : start + size]
            y = one_hot(classes, options["size_tab"][0])
            for network, place in task.replicas(self.network):
                output = rules.predict(network, some, T=options["T"], tolerance=options["tolerance"])
                wrong[place] += xp.sum(xp.argmax(output, axis=-1) != classes, axis=-1).astype(wrong.dtype)
                squares[place] += xp.sum((output - y) ** 2, axis=(-2, -1))
        online = self.state["online"]
        return {
            "test_error": 100 * wrong / len(x),
            "train_error": 100 * online["errors"] / online["samples"],
            "test_loss": squares / (2 * len(x)),
            "train_loss": online["loss"] / online["samples"],
        }

    def _learn(self, group, x, y, signs):
        """Write the gradients of a group; return the outputs at the end of the free phase."""
        options = self.options
        if group.work is None:
            group.work = Relaxation(group.network, x)
        common = {"T": options["T"], "tolerance": options["tolerance"], "work": group.work, "out": group.grads}
        if group.method == "BPTT":
            return rules.bptt(group.network, x, y, steps=task.truncation(options), **common)[1]
        beta = options["beta"]
        if self.random and group.seed is ... and len(self.seeds) > 1:
            beta = xp.asarray(beta * np.reshape(signs, (-1, 1, 1)))
        elif self.random:
            beta *= signs[0 if group.seed is ... else group.seed]
        centered = options["nudging"] == "centered"
        return rules.eqprop(group.network, x, y, K=options["Kmax"], beta=beta, centered=centered, **common)[1]

    def _groups(self):
        seeds = len(self.seeds)
        groups = []
        for number, method in enumerate(self.methods):
            for some in range(seeds) if self.options["C_tab"] else [slice(0, seeds)]:
                apart = isinstance(some, int)
                start, stop = (some, some + 1) if apart else (0, seeds)
                place = slice(number * seeds + start, number * seeds + stop)
                index = ... if self.count == 1 else place.start if stop - start == 1 else place
                network, grads = (
                    parameters.map(lambda leaf, index=index: leaf[index], tree)
                    for tree in (self.parameters, self.grads)
                )
                seed = some if apart and seeds > 1 else ...
                groups.append(_Group(method, place, seed, task.with_parameters(self.network, network), grads))
        return groups


def arrays(metrics):
    """Return {path in arrays.h5: curve} of the errors in `metrics`.

    epochs/EP (epochs,), train_error/EP and test_error/EP (seeds, epochs), and the same for BPTT.
    """
    found = {}
    for method, (epochs, values) in error_curves(metrics).items():
        found |= {f"epochs/{method}": epochs} | {f"{name}/{method}": each for name, each in values.items()}
    return found


def report(run):
    """Print the last and the best test error of a run by every method, means over the replicas that are left."""
    metrics = run.metrics()
    methods, steps = np.array(metrics["method"]), np.array(metrics["step"])
    for method in dict.fromkeys(metrics["method"]):
        test, train = (
            [
                np.mean(np.array(metrics[name])[(methods == method) & (steps == step)])
                for step in np.unique(steps[methods == method])
            ]
            for name in ("test_error", "train_error")
        )
        print(f"{method}: test error {test[-1]:.2f} % (best {min(test):.2f} %), training error {train[-1]:.2f} %")
