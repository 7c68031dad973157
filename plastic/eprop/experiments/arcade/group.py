"""Episodes side by side: what they see, how they act, and what they leave for learning."""

import numpy as np

from plastic import xp
from plastic.eprop import convolutional
from plastic.eprop.experiments.arcade.agent import Unroll, counted
from plastic.functions import softmax


class Group:
    """Episodes side by side, from the first screen until all have ended.

    ended, score, length: (count,), of the first episode of each environment: whether it has ended, what the game gave,
    and how many actions it has lasted. played: actions of all environments.
    """

    def __init__(self, net, number, count, generator, work):
        """Of a network; the `number` of the group in the pool; actions are drawn with the generator."""
        self.net, self.number, self.count, self.generator, self.work = net, number, count, generator, work
        self.state, self.starts, self.played = None, np.ones(count), 0
        self.ended, self.score, self.length = (np.zeros(count) for _ in range(3))
        self.before = self.ended  # as it was when the unroll began
        self.records, self.actions, self.rewards, self.done = [], [], [], []

    def move(self, pool):
        """See what the last action has led to, and act; return the record of the screen."""
        seen = pool.receive(self.number)
        if self.actions:
            self.rewards.append(seen.rewards)
            self.done.append(seen.done)
            self.score = self.score + seen.scores * (1 - self.ended)
            self.length = self.length + (1 - self.ended)
            self.ended = np.maximum(self.ended, seen.done)
            self.starts = seen.done
        screens, starts = (xp.asarray(each, dtype=self.net.dtype)[None] for each in (seen.screens, self.starts))
        record = convolutional.simulate(self.net, screens, self.state, starts, self.work)
        self.state = record.state
        pi = xp.asnumpy(softmax(record.output[-1, :, :-1]))
        actions = (self.generator.random((self.count, 1)) > np.cumsum(pi[:, :-1], axis=1)).sum(axis=1)
        pool.step(self.number, actions)
        self.records.append(record)
        self.actions.append(actions)
        self.played += self.count
        return record

    def unroll(self, published):
        """Return the `Unroll` of all actions whose rewards are known, and begin the next one.

        published: the masks; see `counted`.
        """
        S, done = len(self.rewards), np.stack(self.done)
        found = Unroll(
            convolutional.joined(self.records[:S]),
            np.stack(self.actions[:S]),
            np.stack(self.rewards),
            done,
            counted(done, self.before, published),
            xp.asnumpy(self.records[S].output[-1, :, -1]),
        )
        self.before = self.ended
        self.forget()
        return found

    def forget(self):
        """Keep nothing but the record of the last screen, and the action that followed."""
        self.records, self.actions, self.rewards, self.done = self.records[-1:], self.actions[-1:], [], []

    def first(self, record):
        """Return what the first environment has seen and done at the `record` of a screen, on the host."""
        z, output = (xp.asnumpy(each)[:, 0] for each in (record.cells.z, record.output))
        counts = [xp.asnumpy(convolutional.spikes(self.net, v)[:, 0].sum(axis=(0, -1))) for v in record.v[0]]
        screen = np.round(255 * xp.asnumpy(record.screens[0, 0])).astype(np.uint8)
        return {"screen": screen, "z": z.copy(), "output": output.copy(), "maps": counts, "action": self.actions[-1][0]}

    def outcome(self):
        """Return the last reward of the first environment, clipped."""
        return {"reward": float(self.rewards[-1][0])}
