"""Learning to act by rewards, with reward-based e-prop (Bellec, Scherr et al. 2020, Fig. 4, 5, on small games)."""

import dataclasses
import functools
from typing import Literal

import numpy as np

from plastic import require, runs, training, xp
from plastic.data.sources import Drawn, Together
from plastic.eprop import rewards, signals
from plastic.eprop.experiments import agents, figures, one_trial
from plastic.eprop.experiments.games import GAMES, Walk
from plastic.eprop.experiments.options import AdaptiveNeurons
from plastic.eprop.experiments.plastic_network import PlasticNetwork, entries, published_weights, restored
from plastic.errors import PlasticError
from plastic.functions import softmax
from plastic.optimizers import Adam

TEST = 1024  # episodes, at least, that are tested at the end
_NEURONS = AdaptiveNeurons(n_regular=20, n_adaptive=20, tau_a=800.0)


@dataclasses.dataclass(frozen=True)
class Learning:
    """How rewards change the weights.

    Args:
        n_batch: episodes per batch.
        n_iter: batches at most.
        learning_rate: of Adam.
        discount: what a reward counts one action later.
        baseline_cost: strength of the critic's loss.
        entropy_cost: strength of the reward for policies that explore.
        reg_f: strength of the regulariser of rates.
        reg_rate: target rate in Hz.
        readout_decay: of adaptive feedback, the decay of feedback and readout weights in an iteration.
        validate_every: iterations between two validations.
        stop_crit: the mean reward of a validation that ends training, as a fraction of the largest.
    """

    n_batch: int = 32
    n_iter: int = 600
    learning_rate: float = 0.01
    discount: float = 0.99
    baseline_cost: float = 1.0
    entropy_cost: float = 0.0
    reg_f: float = 0.1
    reg_rate: float = 10.0
    readout_decay: float = 1e-3
    validate_every: int = 10
    stop_crit: float = 0.95

    def __post_init__(self) -> None:
        require.counts(n_batch=self.n_batch, n_iter=self.n_iter, validate_every=self.validate_every)
        require.number("learning_rate", self.learning_rate, above=0)
        for name in ("discount", "readout_decay"):
            require.number(name, getattr(self, name), least=0, most=1)
        for name in ("baseline_cost", "entropy_cost", "reg_f"):
            require.number(name, getattr(self, name), least=0)
        require.number("reg_rate", self.reg_rate, least=0, most=1000)
        require.number("stop_crit", self.stop_crit)

    def penalty(self, z):
        """Return (penalty, R) of the spikes `z`."""
        return signals.rate_penalty(z, self.reg_rate / 1000, self.reg_f)

    def costs(self):
        """Return what `rewards.actor_critic` takes beside the episodes."""
        return {"baseline": self.baseline_cost, "entropy": self.entropy_cost}


def restore(arrays, **options):
    """Return (network, predict) from the `arrays` of a checkpoint and the `options` of its run; see `plastic.load`.

    predict(x) takes spikes (T, batch, n_in) of the host to the logits of the policy and, last, the value, in every
    step (T, batch, n_actions + 1), from rest.
    """
    neurons = AdaptiveNeurons(**{field.name: options[field.name] for field in dataclasses.fields(AdaptiveNeurons)})
    return restored(arrays, neurons.constants(), neurons.kappa)


@runs.experiment(
    "eprop",
    draw=figures.REWARD,
    restore=restore,
    length="n_iter",
    readable="{game}-{rule}-{feedback}-{seeds}",
    seeds=False,
)
def reward(
    run,
    *,
    game: Literal["delayed", "cartpole"] = "delayed",
    rule: Literal["eprop", "no_traces", "bptt"] = "eprop",
    feedback: Literal["symmetric", "random", "adaptive"] = "symmetric",
    t_action: int = 10,
    learning: Learning,
    neurons: AdaptiveNeurons = _NEURONS,
    walk: Walk,
):
    """Learn to act by rewards: an actor and a critic read LIF and ALIF neurons, which learn by reward-based e-prop.

    delayed, a task of our own: a cue on the left or right, a delay, then a walk of n_moves to the left or right that
    is rewarded once, at its end, with 1 if it ends on the side of the cue. cartpole, of gymnasium
    (pip install 'plastic-learning[rl]'): a pole is balanced for 500 steps at most. Actions are drawn by the policy.

    The learning signals are those of the policy's and the value's errors, known at the end of an episode. Training
    ends at the first validation of 256 new episodes (cartpole: n_batch) whose mean reward is stop_crit; 1,024 or more
    are tested then (test_reward in arrays.h5). The run folder, results/eprop/reward-..., gets config.json, metrics.csv,
    checkpoint.h5, arrays.h5 and figures.

    Args:
        game: what is played.
        rule: e-prop; no_traces, e-prop of the same network whose neurons' synapses have no eligibility traces, so that
            only inputs of the present step learn; or BPTT.
        feedback: how learning signals come down: symmetric (the readout weights), random, or adaptive (random at
            first, then changed as the readout weights are).
        t_action: from one action to the next in ms.
    """
    _require(game, rule, feedback, t_action, walk)
    run.require_used(
        readout_decay=feedback != "adaptive" and "--feedback=adaptive",
        reg_rate=learning.reg_f == 0 and "--reg_f",
        **{field.name: game == "cartpole" and "--game=delayed" for field in dataclasses.fields(walk)},
    )
    table = GAMES[game](walk, t_action, learning.n_batch)
    validation = GAMES[game](walk, t_action, 256 if game == "delayed" else learning.n_batch)
    sizes = table.n_in, neurons.n, table.n_actions + 1
    longest = table.first + (table.steps - 1) * t_action
    run.expect(entries(sizes, longest, learning.n_batch), n_batch=learning.n_batch, steps=longest)
    generators = run.generators()[0]
    network = PlasticNetwork(
        [published_weights(generators.init, sizes, feedback, False)],
        neurons.constants(),
        neurons.kappa,
        Adam(learning.learning_rate),
        rule=rule,
        learning_signals=feedback,
        readout_decay=learning.readout_decay,
    )
    draws = {"training": Drawn(_seed, [generators.data]), "validation": Drawn(_seed, [generators.task])}
    player = Player(network, table, (validation, draws["validation"]), learning)
    training.fit(
        run,
        network.state,
        Together(**draws),
        player.step,
        steps=learning.n_iter,
        evaluate=player.evaluate,
        evaluate_every=learning.validate_every,
        stop=lambda metrics: bool(metrics["reward"][0] >= learning.stop_crit * table.best),
        advice="try a smaller learning_rate or reg_f",
    )
    batches = -(-TEST // learning.n_batch)
    tested = [player.reward_of(table, generators.noise) for _ in range(batches)]
    run.save_tested({"test_reward": np.mean(tested)})
    run.save_arrays(player.trial(generators.noise) | {"goal": np.array(learning.stop_crit * table.best)})
    return [
        f"mean reward {np.mean(tested):.4g} of at most {table.best:g} in {batches * learning.n_batch} new episodes, "
        f"after {run.metrics()['step'][-1]} batches of {learning.n_batch}"
    ]


class Player:
    """What `fit` calls: a step, which plays a batch of episodes and learns from them, and an evaluation."""

    def __init__(self, network, table, validation, learning):
        """Begin with a `PlasticNetwork`, the game, that of validation with its source of seeds, and the options."""
        self.network, self.table, self.validation, self.learning = network, table, validation, learning
        self.last = {name: float("nan") for name in ("loss", "rate_penalty", "training_reward", "rate_mean")}

    def step(self, seed, number):
        """Play a batch of episodes with the draws of a `seed` and learn from them; return the loss."""
        episodes = agents.play(self.network.network, self.table, np.random.default_rng(seed))
        learning = self.learning
        costs = learning.costs()
        loss, extra = agents.learn(
            self.network, episodes, discount=learning.discount, penalty=learning.penalty, **costs
        )
        rate = 1000 * xp.mean(signals.rates(episodes.record.z))
        self.last = {"loss": loss, "rate_penalty": extra, "rate_mean": rate}
        self.last["training_reward"] = agents.total_reward(episodes)
        return loss

    def evaluate(self):
        """Return the metrics of the last step, and the mean reward of new episodes."""
        game, seeds = self.validation
        found = self.reward_of(game, np.random.default_rng(seeds.draw(seeds.generators[0])))
        return {name: np.reshape(xp.asnumpy(value), 1) for name, value in (self.last | {"reward": found}).items()}

    def reward_of(self, game, generator):
        """Return the mean reward of a batch of new episodes of a `game`, drawn by a generator."""
        return agents.total_reward(agents.play(self.network.network, game, generator))

    def trial(self, generator):
        """Return what the figures show: one episode, its policy, value and learning signals."""
        network, episodes = self.network.network, agents.play(self.network.network, self.table, generator)
        length = int(episodes.weights[:, 0].sum())
        until = self.table.first + (length - 1) * self.table.move
        R = rewards.returns(xp.asarray(episodes.rewards), self.learning.discount)[:length, :1]
        loss = functools.partial(
            rewards.actor_critic,
            steps=episodes.steps,
            actions=xp.asarray(episodes.actions, dtype=xp.int64)[:length, :1],
            R=R,
            **self.learning.costs(),
        )
        arrays = one_trial.arrays(network, self.network.feedback, episodes.record.x[:until], loss)
        steps = np.arange(self.table.first - 1, until, self.table.move)
        return arrays | {
            "probability": np.array(xp.asnumpy(softmax(xp.asarray(arrays["y"][:, :-1])))),
            "value": arrays["y"][:, -1],
            "steps": steps,
            "actions": episodes.actions[:length, 0],
        }


def _seed(generator):
    return int(generator.integers(2**63))


def _require(game, rule, feedback, t_action, walk):
    if rule == "bptt" and feedback != "symmetric":
        raise PlasticError(f"feedback is {feedback}, but the learning signals of BPTT come down by the readout weights")
    require.counts(t_action=t_action, t_cue=walk.t_cue, n_moves=walk.n_moves)
    require.whole("t_delay", walk.t_delay, 0)
    require.number("input_f0", walk.input_f0, least=0, most=1000)
    if walk.n_moves % 2 == 0:
        raise PlasticError(f"n_moves is {walk.n_moves}: an even walk may end where it began; take an odd number")
