"""The options of the published code for games: what is played, the network, and how it learns."""

import dataclasses

import numpy as np

from plastic import require, xp
from plastic.eprop.experiments.arcade.screens import SIZE
from plastic.eprop.spiking import Neurons, decay
from plastic.errors import PlasticError

_GAMMA = 0.3  # height of the pseudo-derivative of the cells; that of the maps is 1


@dataclasses.dataclass(frozen=True)
class Play:
    """What is played.

    Args:
        total_environment_frames: frames to train, of all episodes; the run ends with the update in which they are full.
        parallel_episodes: episodes side by side; when all have ended, the weights change once.
        unroll_length: actions, after which gradients are taken, and beyond which no trace goes.
        num_action_repeats: frames of an action.
        max_episode_len: actions of an episode at most, at first.
        max_episode_len_jitter: how far that varies from episode to episode, uniformly.
        increase_episode_len_every: frames after which episodes may last longer.
        increase_episode_len_by: by how much: the cube root grows by it.
        use_cubic_schedule: --no_use_cubic_schedule adds it to the length itself.
        log_every: frames between two evaluations; whole blocks of unroll_length actions of all episodes.
        save_every: frames between two checkpoints.
        eval_length: actions of each episode of an evaluation, and of the one in figures and animation, at most.
    """

    total_environment_frames: float = 1e9
    parallel_episodes: int = 32
    unroll_length: int = 100
    num_action_repeats: int = 4
    max_episode_len: int = 200
    max_episode_len_jitter: int = 25
    increase_episode_len_every: float = 7e7
    increase_episode_len_by: float = 1.0
    use_cubic_schedule: bool = True
    log_every: float = 5e6
    save_every: float = 1e7
    eval_length: int = 200

    def __post_init__(self) -> None:
        names = ("parallel_episodes", "unroll_length", "num_action_repeats", "max_episode_len", "eval_length")
        require.counts(**{name: getattr(self, name) for name in names})
        require.whole("max_episode_len_jitter", self.max_episode_len_jitter, 0)
        for name in ("total_environment_frames", "increase_episode_len_every", "log_every", "save_every"):
            require.number(name, getattr(self, name), least=1)
        require.number("increase_episode_len_by", self.increase_episode_len_by, least=0)
        if self.max_episode_len_jitter >= self.max_episode_len:
            raise PlasticError(
                f"max_episode_len_jitter is {self.max_episode_len_jitter}; it must be below max_episode_len, "
                f"{self.max_episode_len}"
            )

    @property
    def block(self):
        """Frames that count as a step of training."""
        return self.parallel_episodes * self.unroll_length * self.num_action_repeats

    @property
    def groups(self):
        """How many episodes play while the network sees the others."""
        half = self.parallel_episodes // 2
        return [self.parallel_episodes - half, half] if half else [1]

    def blocks(self, frames):
        """Return how many blocks so many frames are, one at least."""
        return max(1, int(np.ceil(frames / self.block)))

    def longer(self, length, frames):
        """Return what an episode's `length` at the beginning has become after so many frames."""
        for _ in range(int(frames // self.increase_episode_len_every)):
            by = self.increase_episode_len_by
            grown = (length ** (1 / 3) + by) ** 3 if self.use_cubic_schedule else length + by
            length = int(round(grown, 6))  # (64^(1/3) + 1)^3 is 124.99999999999997
        return length


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The network: two layers of spiking maps, then LIF and ALIF neurons.

    Args:
        n_rec: LIF and ALIF neurons.
        fraction_adaptive: how many of them are ALIF.
        n_rnn_step_factor: steps of 1 ms of a screen.
        n_filters_1: channels of the first layer's kernel.
        n_kernel_1: its rows, and columns.
        stride_1: its stride.
        n_filters_2: channels of the second layer's kernel.
        n_kernel_2: its rows, and columns.
        stride_2: its stride.
        avg_pool_1: rows, and columns, of the windows of the first layer over which the readout sees averages.
        avg_pool_stride_1: from one window to the next.
        avg_pool_2: those of the second layer.
        avg_pool_stride_2: from one window to the next.
        avg_ba_cnn: whether the readout sees the maps; without it these learn from the penalty of potentials alone.
        tau: membrane time constant of the cells in ms.
        thr: their threshold.
        beta: strength of the adaptation of ALIF neurons.
        tau_adaptation: its time constant in ms.
        n_refractory: refractory period in ms, the step of the spike counted; 1 for none.
        tau_scnn: membrane time constant of the maps in ms.
        thr_scnn: their threshold.
        tau_readout: time constant of the readout in ms.
    """

    n_rec: int = 400
    fraction_adaptive: float = 0.4
    n_rnn_step_factor: int = 5
    n_filters_1: int = 16
    n_kernel_1: int = 8
    stride_1: int = 4
    n_filters_2: int = 8
    n_kernel_2: int = 4
    stride_2: int = 1
    avg_pool_1: int = 8
    avg_pool_stride_1: int = 4
    avg_pool_2: int = 4
    avg_pool_stride_2: int = 2
    avg_ba_cnn: bool = True
    tau: float = 15.0
    thr: float = 1.0
    beta: float = 0.1
    tau_adaptation: float = 70.0
    n_refractory: int = 5
    tau_scnn: float = 1.0
    thr_scnn: float = 0.1
    tau_readout: float = 2.0

    def __post_init__(self) -> None:
        counted = [field.name for field in dataclasses.fields(self) if field.type is int]
        require.counts(**{name: getattr(self, name) for name in counted})
        for name in ("tau", "tau_adaptation", "tau_scnn", "tau_readout"):
            require.number(name, getattr(self, name), above=0, below=1e12)
        for name in ("thr", "thr_scnn"):
            require.number(name, getattr(self, name), above=0)
        require.number("beta", self.beta, least=0)
        require.number("fraction_adaptive", self.fraction_adaptive, least=0, most=1)
        size = SIZE[0]
        for k in (1, 2):
            kernel, stride = getattr(self, f"n_kernel_{k}"), getattr(self, f"stride_{k}")
            if kernel > size:
                raise PlasticError(f"n_kernel_{k} is {kernel}; what it sees has {size} rows")
            size = (size - kernel) // stride + 1
            if getattr(self, f"avg_pool_{k}") > size:
                raise PlasticError(f"avg_pool_{k} is {getattr(self, f'avg_pool_{k}')}; the maps have {size} rows")

    def cells(self):
        """Return the constants of the LIF and ALIF neurons."""
        beta = np.zeros((1, self.n_rec))
        beta[0, self.n_rec - round(self.fraction_adaptive * self.n_rec) :] = self.beta
        alpha, rho = decay(self.tau), decay(self.tau_adaptation)
        return Neurons(alpha, self.thr, rho, xp.asarray(beta), _GAMMA, n_ref=self.n_refractory)

    def maps(self):
        """Return the constants of the maps."""
        return Neurons(decay(self.tau_scnn), self.thr_scnn, gamma=1.0)


@dataclasses.dataclass(frozen=True)
class Learning:
    """How the weights change.

    Args:
        use_eprop: learn by e-prop; --no_use_eprop learns by BPTT within an unroll.
        learning_rate: of Adam.
        epsilon: of Adam, added to the root of the uncorrected moment, as in TensorFlow.
        learning_rate_decay: what the rate is multiplied by every decay_every frames.
        decay_every: frames.
        discounting: what a reward counts one action later.
        entropy_cost: strength of the reward for policies that explore.
        baseline_cost: strength of the critic's loss.
        rate_cost: strength of the regulariser of the cells' rates, towards 20 Hz.
        voltage_cost_rnn: strength of the penalty of the cells' potentials.
        voltage_cost_cnn: strength of the penalty of the maps' potentials.
        reg_factor_cnn: what the losses of actor and critic are divided by for the maps' kernels.
        published_masks: mask the losses as the published code does, one action before an episode's end, and with
            negative weights after a second end in an unroll.
    """

    use_eprop: bool = True
    learning_rate: float = 1e-3
    epsilon: float = 1.0
    learning_rate_decay: float = 1.0
    decay_every: float = 1e8
    discounting: float = 0.99
    entropy_cost: float = 0.0025
    baseline_cost: float = 1.0
    rate_cost: float = 50.0
    voltage_cost_rnn: float = 1e-4
    voltage_cost_cnn: float = 0.5
    reg_factor_cnn: float = 1e8
    published_masks: bool = False

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon", "learning_rate_decay", "reg_factor_cnn"):
            require.number(name, getattr(self, name), above=0)
        require.number("decay_every", self.decay_every, least=1)
        require.number("discounting", self.discounting, least=0, most=1)
        costs = ("entropy_cost", "baseline_cost", "rate_cost", "voltage_cost_rnn", "voltage_cost_cnn")
        for name in costs:
            require.number(name, getattr(self, name), least=0)

    def rate(self, frames):
        """Return the learning rate after so many frames."""
        return self.learning_rate * self.learning_rate_decay ** (frames // self.decay_every)
