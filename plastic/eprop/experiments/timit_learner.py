"""Learning from utterances: what a step of the published scripts for speech does, and how they measure errors."""

import dataclasses

import numpy as np

from plastic import optimizers, parameters, xp
from plastic.data.utterances.batches import in_order
from plastic.eprop import bidirectional, ctc, signals, transcripts
from plastic.eprop.experiments import timit_network


@dataclasses.dataclass(frozen=True)
class Task:
    """What is asked of the outputs.

    name: "framewise" or "ctc". scored: what labels count as in transcripts, int64 (classes,). width: of the beam.
    padding: whether the loss of training counts the frames beyond the end of an utterance.
    """

    name: str
    scored: np.ndarray
    width: int
    padding: bool

    def loss(self, output, batch, padding=False):
        """Return (loss, err) of the `output` for a `Batch`; `padding`: of frames beyond the end, too."""
        if self.name == "ctc":
            return ctc.loss(output, batch.transcripts, batch.lengths)
        return signals.framewise(output, xp.asarray(batch.labels), batch.lengths, padding=padding)

    def error(self, output, batch, width=None):
        """Return the mean error of the utterances of a `Batch`: of frames, or of edits for each label.

        width: of the beam, that of the task by default.
        """
        if self.name == "framewise":
            return signals.framewise_error(output, xp.asarray(batch.labels), batch.lengths)
        width = width or self.width
        found = (
            transcripts.greedy(output, batch.lengths)
            if width == 1
            else transcripts.beam_search(output, batch.lengths, width)
        )
        pairs = zip(found, batch.transcripts, strict=True)
        wrong = [transcripts.edit_distance(self.scored[a], self.scored[b]) / max(1, len(b)) for a, b in pairs]
        return np.mean(wrong)


class Learner:
    """A network for speech, and the rule that changes it.

    state: the tree of all arrays, for a checkpoint: those of the network, "B", and the moments.
    """

    def __init__(self, arrays, B, told, task, noise, per_epoch):
        """Begin with the `arrays` of `timit_network.drawn`, and feedback `B` or None.

        told: what the run is told, a `Speech`. task: a `Task`. noise: the generator of dropout and noise. per_epoch:
        iterations of an epoch.
        """
        self.told, self.task, self.noise, self.per_epoch, self.B = told, task, noise, per_epoch, B
        self.network = timit_network.network(arrays, told)
        self.parameters = timit_network.learned(self.network.parameters, told)
        if told.eprop == "adaptive" or (told.eprop == "random" and told.quirky):
            self.parameters["B"] = B
        self.optimizer = told.optimizer()
        fixed = {"tau_v": arrays["tau_v"], "tau_a": arrays["tau_a"]} if told.model == "lsnn" else {}
        whole = self.network.parameters | {"B": B} | fixed
        self.state = {"network": whole, "moments": self.optimizer.init(self.parameters)}
        self._last = None  # what the last step has seen: (loss, output, batch)

    def step(self, batch, number):
        """Learn from a `Batch` in the iteration `number`; return the loss."""
        told, learning, noisy = self.told, self.told.learning, self.told.is_noisy(number, self.per_epoch)
        x = xp.asarray(batch.x)
        if noisy and learning.input_noise:
            x = x + self._normal(x, learning.input_noise)
        undo = self._disturb(learning.w_noise) if noisy and learning.w_noise else {}
        record = bidirectional.simulate(self.network, x, self._masks(*batch.x.shape[:2]))
        loss, err = self.task.loss(record.output, batch, self.task.padding)
        grads = self._gradients(record, err)
        for path, leaf in parameters.leaves(self.parameters):
            if path in undo:
                leaf[...] = undo[path]
        if learning.l2:
            grads = parameters.map(lambda g, p: g + 2 * learning.l2 * p, grads, self.parameters)
        if noisy and learning.gd_noise:
            grads = parameters.map(lambda g: g + self._normal(g, learning.gd_noise), grads)
        if learning.grad_clip:
            grads = optimizers.clipped(grads, learning.grad_clip)
        rate = told.rate(number, self.per_epoch)
        self.optimizer.step(self.parameters, grads, self.state["moments"], lr=rate)
        if told.eprop == "adaptive":  # readout and feedback get the same changes, and decay until they agree
            for W in (self.network.readout.W, self.B):
                W *= 1 - told.readout.readout_decay
        self._last = loss, record.output, batch
        return loss

    def last(self):
        """Return {"loss", "error"} of the last batch, before the step that it led to; NaN where there is none."""
        if self._last is None:
            return {"loss": np.nan, "error": np.nan}
        loss, output, batch = self._last
        return {"loss": number(loss), "error": number(self.task.error(output, batch, width=1))}

    def _gradients(self, record, err):
        """Return the gradients of all that learns, without l2."""
        told, learning, R = self.told, self.told.learning, None
        if learning.reg:
            target = learning.reg_rate / 1000
            R = [tuple(signals.rate_penalty(z, target, learning.reg)[1] for z in pair) for pair in record.spikes]
        if told.eprop == "none":
            found = bidirectional.bptt(self.network, record, err, R)
        else:
            down = False if told.clean else None  # None is as published
            found = bidirectional.eprop(self.network, record, err, R, feedback=self.B, downwards=down)
        grads = timit_network.learned(found, told)
        if "B" in self.parameters:  # of random feedback, which the published code of LSTM cells lets l2 change
            grads["B"] = grads["readout"].W.copy() if told.eprop == "adaptive" else xp.zeros_like(self.B)
        return grads

    def measure(self, utterances):
        """Return (loss, error, rate in Hz or NaN), means over all `Utterances`, none of whose padding counts."""
        sums, size = np.zeros(3), self.told.learning.test_batch
        for batch in in_order(utterances, size):
            record = bidirectional.simulate(self.network, xp.asarray(batch.x))
            found = [self.task.loss(record.output, batch)[0], self.task.error(record.output, batch), self._rate(record)]
            sums += len(batch.lengths) * np.array([number(each) for each in found])
        return sums / len(utterances)

    def _rate(self, record):
        if self.told.model != "lsnn":
            return np.nan
        rates = [xp.mean(signals.rates(z)) for pair in record.spikes for z in pair]
        return 1000 * xp.mean(xp.stack(rates))

    def _masks(self, frames, batch):
        keep = self.told.learning.drop_out_probability
        return None if keep in (-1, 1) else bidirectional.dropout(self.network, frames, batch, keep, self.noise)

    def _disturb(self, deviation):
        """Add noise to all that learns; return what it was, by path."""
        undo = {path: leaf.copy() for path, leaf in parameters.leaves(self.parameters)}
        for _, leaf in parameters.leaves(self.parameters):
            leaf += self._normal(leaf, deviation)
        return undo

    def _normal(self, like, deviation):
        return xp.asarray(deviation * self.noise.standard_normal(like.shape), dtype=like.dtype)


def number(value):
    """Return a number, or an array of no axes of the backend, as a number of Python."""
    return float(value if isinstance(value, float) else xp.asnumpy(value))
