"""The options of the three published scripts for speech, and their defaults for each task and model.

An option that is None has the default of the task and the model; one that the model does not have is refused.
"""

import dataclasses
from typing import Any, Literal

from plastic import optimizers, require
from plastic.errors import PlasticError

PREPROC = Literal["mfccs", "fbank", "htk"]


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells, in each direction of each layer.

    Args:
        n_layer: layers, one upon the other; 1, and of ctc 3.
        n_repeat: steps of 1 ms in which a frame is presented; 5, of LSTM cells 1.
        n_regular: LIF neurons; 300, of ctc 80.
        n_adaptive: ALIF neurons; 100, of ctc 720.
        thr: threshold of the neurons, in the units of the published code; .01.
        tau_v: time constant of the membrane in ms; 20.
        tau_a: time constant of the adaptation in ms; 200, of ctc 500.
        tau_v_spread: whether that of the membrane is halved in every other neuron, at random.
        tau_a_spread: whether that of the adaptation is.
        beta: strength of the adaptation, in the units of the published code; 1.8.
        n_ref: refractory period in ms, the step of the spike counted; 2.
        dampening_factor: gamma, the height of the pseudo-derivative; .3.
        rec: whether neurons have recurrent synapses; true.
        n_neuron: LSTM cells, or tanh units; 200, of ctc 250.
        peephole: whether the gates of LSTM cells see the hidden states; of ctc true. By e-prop ctc has peepholes in any
            case, as published, and none with --clean.
        init_scale: of the uniform first weights of lstm and rnn, 0 for those of Glorot; 0, of ctc .1.
    """

    n_layer: int | None = None
    n_repeat: int | None = None
    n_regular: int | None = None
    n_adaptive: int | None = None
    thr: float | None = None
    tau_v: float | None = None
    tau_a: float | None = None
    tau_v_spread: bool | None = None
    tau_a_spread: bool | None = None
    beta: float | None = None
    n_ref: int | None = None
    dampening_factor: float | None = None
    rec: bool | None = None
    n_neuron: int | None = None
    peephole: bool | None = None
    init_scale: float | None = None

    def __post_init__(self) -> None:
        _require(self, counts=("n_layer", "n_repeat", "n_ref", "n_neuron"), above=("thr", "dampening_factor"))
        _require(self, least=("beta", "init_scale"), whole=("n_regular", "n_adaptive"))
        _require(self, times=("tau_v", "tau_a"))
        if self.n_regular == self.n_adaptive == 0:
            raise PlasticError("n_regular and n_adaptive are 0; there must be one neuron or more in all")

    @property
    def n(self) -> int:
        """How many cells there are in each direction of a layer."""
        return self.n_neuron or (self.n_regular or 0) + (self.n_adaptive or 0)


@dataclasses.dataclass(frozen=True)
class Readout:
    """What the cells are read by, and learning signals come down by.

    Args:
        tau_out: time constant of the readout of spikes: framewise, in frames, and of ctc in ms; 3.
        psp_out: whether the readout of spikes has a memory, of tau_out; true.
        readout_bias: whether the readout has a bias; true.
        loss_from_all_layers: whether the readout sees all layers, or the last; of ctc it sees the last if --eprop=none.
        cell_train: whether the cells learn, or the readout alone; true.
        BAglobal: whether all weights of the feedback are 1 / sqrt(n), n the cells that the readout sees.
        readout_decay: of adaptive feedback, the decay of feedback and readout weights in an iteration; 1e-2, of LSTM
            cells and tanh units 1e-3, of ctc 1e-4.
    """

    tau_out: float | None = None
    psp_out: bool | None = None
    readout_bias: bool = True
    loss_from_all_layers: bool | None = None
    cell_train: bool = True
    BAglobal: bool = False
    readout_decay: float | None = None

    def __post_init__(self) -> None:
        _require(self, times=("tau_out",))
        if self.readout_decay is not None:
            require.number("readout_decay", self.readout_decay, least=0, most=1)


@dataclasses.dataclass(frozen=True)
class Learning:
    """How it learns.

    Args:
        n_epochs: passes over the training set; 80, of lstm and rnn 30, of ctc 60.
        batch: utterances of a batch of training; 32, of ctc 8.
        test_batch: utterances that are measured at once; 32, of ctc 64.
        print_every: iterations between two evaluations; 100, of ctc -1, an epoch.
        beam_width: prefixes that the beam search of ctc keeps; 1 takes the most probable path.
        optimizer: adam, sgd (with momentum) or rmsprop (with momentum).
        momentum: of sgd and rmsprop.
        adam_epsilon: eps of adam, outside the correction of its bias, as published.
        lr_init: learning rate; .01, of ctc 1e-3.
        lr_decay: what it is multiplied by, every lr_decay_every.
        lr_decay_every: iterations, of ctc epochs, -1 for never; of lstm and rnn 500, of ctc 15, else -1.
        ramping_learning_rate: whether the rate rises from 0 in the first 100 iterations; framewise, of spiking cells.
        l2: strength of the sum of squares of all that learns; 1e-5, of ctc 0.
        reg: strength of the regulariser of rates; 50, of ctc 0.
        reg_rate: target rate in Hz; 10.
        grad_clip: the largest norm of the gradient, 0 for any; 0, of ctc 1.
        drop_out_probability: that an input of a layer or of the readout is kept, -1 for all; -1, of ctc .7.
        truncT: framewise, frames of a random window that training sees of a batch, -1 for all.
        input_noise: deviation of noise on the input in training.
        w_noise: deviation of noise on the weights in training.
        gd_noise: deviation of noise on the gradient; .036, of ctc 0.
        noise_step_start: iterations before there is any noise, -1 for never; framewise, -1.
        noise_epoch_start: of ctc, epochs before there is any noise; 0.
    """

    n_epochs: int | None = None
    batch: int | None = None
    test_batch: int | None = None
    print_every: int | None = None
    beam_width: int = 100
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    momentum: float = 0.9
    adam_epsilon: float = 1e-5
    lr_init: float | None = None
    lr_decay: float = 0.3
    lr_decay_every: int | None = None
    ramping_learning_rate: bool | None = None
    l2: float | None = None
    reg: float | None = None
    reg_rate: float | None = None
    grad_clip: float | None = None
    drop_out_probability: float | None = None
    truncT: int | None = None
    input_noise: float = 0.0
    w_noise: float = 0.0
    gd_noise: float | None = None
    noise_step_start: int | None = None
    noise_epoch_start: int | None = None

    def __post_init__(self) -> None:
        _require(self, counts=("n_epochs", "batch", "test_batch", "beam_width"), above=("lr_init", "adam_epsilon"))
        _require(self, least=("l2", "reg", "grad_clip", "input_noise", "w_noise", "gd_noise"))
        _require(self, whole=("noise_epoch_start",))
        for name in ("print_every", "lr_decay_every", "truncT"):
            if getattr(self, name) not in (None, -1):
                require.whole(name, getattr(self, name))
        if self.noise_step_start is not None:
            require.whole("noise_step_start", self.noise_step_start, -1)
        if self.drop_out_probability not in (None, -1):
            require.number("drop_out_probability", self.drop_out_probability, above=0, most=1)
        if self.reg_rate is not None:
            require.number("reg_rate", self.reg_rate, least=0, most=1000)
        require.number("momentum", self.momentum, least=0, below=1)
        require.number("lr_decay", self.lr_decay, above=0)


_LSNN = {
    "n_repeat": 5, "thr": 0.01, "tau_v": 20.0, "tau_v_spread": False, "tau_a_spread": False, "beta": 1.8, "n_ref": 2,
    "dampening_factor": 0.3, "rec": True, "tau_out": 3.0, "psp_out": True, "reg_rate": 10.0,
}  # fmt: skip
_LSTM = {"n_repeat": 1}
_FRAMEWISE = {
    "n_layer": 1, "loss_from_all_layers": True, "batch": 32, "test_batch": 32, "print_every": 100, "lr_init": 0.01,
    "l2": 1e-5, "grad_clip": 0.0, "drop_out_probability": -1.0, "truncT": -1, "gd_noise": 0.036, "noise_step_start": -1,
}  # fmt: skip
_FRAMEWISE_LSTM = {
    "n_neuron": 200, "init_scale": 0.0, "readout_decay": 1e-3, "n_epochs": 30, "lr_decay_every": 500,
    "ramping_learning_rate": False,
}  # fmt: skip
_CTC = {
    "n_layer": 3, "loss_from_all_layers": False, "batch": 8, "test_batch": 64, "print_every": -1, "lr_init": 1e-3,
    "l2": 0.0, "grad_clip": 1.0, "drop_out_probability": 0.7, "gd_noise": 0.0, "noise_epoch_start": 0,
    "readout_decay": 1e-4, "n_epochs": 60, "lr_decay_every": 15, "ramping_learning_rate": False,
}  # fmt: skip
DEFAULTS: dict[tuple[str, str], dict[str, Any]] = {
    ("framewise", "lsnn"): _LSNN | _FRAMEWISE | {
        "n_regular": 300, "n_adaptive": 100, "tau_a": 200.0, "readout_decay": 1e-2, "n_epochs": 80,
        "lr_decay_every": -1, "ramping_learning_rate": True, "reg": 50.0,
    },
    ("framewise", "lstm"): _LSTM | _FRAMEWISE | _FRAMEWISE_LSTM | {"peephole": False},
    ("framewise", "rnn"): _LSTM | _FRAMEWISE | _FRAMEWISE_LSTM,
    ("ctc", "lsnn"): _LSNN | _CTC | {"n_regular": 80, "n_adaptive": 720, "tau_a": 500.0, "reg": 0.0},
    ("ctc", "lstm"): _LSTM | _CTC | {"n_neuron": 250, "peephole": True, "init_scale": 0.1},
}  # fmt: skip
"""What an option is that is left out, by (task, model)."""


@dataclasses.dataclass(frozen=True)
class Speech:
    """All that a run is told, without an option left to its default.

    task: "framewise" or "ctc". model: "lsnn", "lstm" or "rnn". eprop: "none", "symmetric", "random" or "adaptive".
    clean: whether the published quirks are left out. cells, readout, learning: the records of options.
    """

    task: str
    model: str
    eprop: str
    clean: bool
    cells: Any
    readout: Any
    learning: Any

    @property
    def quirky(self):
        """Whether padding counts in the loss and l2 shrinks random feedback, as in the published code of LSTM cells."""
        return not self.clean and self.task == "framewise" and self.model != "lsnn"

    def without(self):
        """Return what options do nothing without, as `run.require_used` takes it; of none that has its default."""
        learning, framewise = self.learning, self.task == "framewise"
        noises = ("input_noise", "w_noise", "gd_noise")
        noise = not any(getattr(learning, name) for name in noises) and "--input_noise, --w_noise or --gd_noise"
        never = framewise and learning.noise_step_start == -1 and "--noise_step_start"
        found = {
            "peephole": not framewise and self.eprop != "none" and "--eprop=none",
            "readout_decay": self.eprop != "adaptive" and "--eprop=adaptive",
            "BAglobal": self.eprop not in ("random", "adaptive") and "--eprop=random or adaptive",
            "tau_out": self.readout.psp_out is False and "--psp_out",
            "beam_width": framewise and "--task=ctc",
            "momentum": learning.optimizer == "adam" and "--optimizer=sgd or rmsprop",
            "adam_epsilon": learning.optimizer != "adam" and "--optimizer=adam",
            "lr_decay": learning.lr_decay_every == -1 and "--lr_decay_every",
            "reg_rate": learning.reg == 0 and "--reg",
            **dict.fromkeys(noises, never),
            **dict.fromkeys(("noise_step_start", "noise_epoch_start"), noise),
        }
        told = {name: value for each in (self.cells, self.readout, learning) for name, value in vars(each).items()}
        defaults = DEFAULTS[self.task, self.model]
        return {name: needed for name, needed in found.items() if told[name] != defaults.get(name)}

    @property
    def peephole(self):
        """Whether LSTM cells have peepholes; the published class for e-prop of ctc has them, whatever it is told."""
        return not self.clean if self.task == "ctc" and self.eprop != "none" else self.cells.peephole

    @property
    def window(self):
        """Frames of a batch of training, None for all."""
        return None if self.learning.truncT in (None, -1) else self.learning.truncT

    def optimizer(self):
        """Return the optimizer."""
        learning = self.learning
        if learning.optimizer == "adam":
            return optimizers.Adam(learning.lr_init, eps=learning.adam_epsilon, bias_correction=False)
        if learning.optimizer == "sgd":
            return optimizers.SGD(learning.lr_init, momentum=learning.momentum)
        return optimizers.RMSprop(learning.lr_init, momentum=learning.momentum)

    def rate(self, number, per_epoch):
        """Return the learning rate of the iteration `number`, of which an epoch has `per_epoch`.

        For adam, whose published form has eps outside the correction of its bias, the correction is a factor of it.
        """
        learning, passed = self.learning, number - 1
        rate = learning.lr_init
        if learning.lr_decay_every != -1:
            clock = passed // per_epoch if self.task == "ctc" else passed
            rate *= learning.lr_decay ** (clock // learning.lr_decay_every)
        if learning.ramping_learning_rate:
            rate *= min(1.0, passed / 99)
        if learning.optimizer == "adam":
            rate *= (1 - 0.999**number) ** 0.5 / (1 - 0.9**number)
        return rate

    def is_noisy(self, number, per_epoch):
        """Return whether there is noise in the iteration `number`, of which an epoch has `per_epoch`."""
        if self.task == "ctc":
            return (number - 1) // per_epoch >= self.learning.noise_epoch_start
        start = self.learning.noise_step_start
        return start != -1 and number > start


def settled(task: str, model: str, eprop: str, clean: bool, *records: Any) -> Speech:
    """Return what a run is told, with the defaults of its task and model in the place of None.

    Raises PlasticError for a model that the task has not, an option that these have not, and for a layer that would not
    learn.
    """
    if (task, model) not in DEFAULTS:
        models = " or ".join(one for of, one in DEFAULTS if of == task)
        raise PlasticError(f"model is {model}, but --task={task} takes {models}")
    defaults, found = DEFAULTS[task, model], []
    for record in records:
        values = dataclasses.asdict(record)
        for field in dataclasses.fields(record):
            if field.default is None and values[field.name] is not None and field.name not in defaults:
                given = f"{field.name} is {values[field.name]}"
                raise PlasticError(f"{given}, but --task={task} --model={model} has no such option")
        found.append(dataclasses.replace(record, **{n: defaults.get(n) for n, v in values.items() if v is None}))
    cells, readout, learning = found
    if eprop != "none" and not readout.loss_from_all_layers:
        if records[1].loss_from_all_layers is False and cells.n_layer > 1:
            raise PlasticError("loss_from_all_layers is False: e-prop has no learning signals for layers unread")
        readout = dataclasses.replace(readout, loss_from_all_layers=True)
    return Speech(task, model, eprop, clean, cells, readout, learning)


def _require(record: Any, counts: Any = (), whole: Any = (), above: Any = (), least: Any = (), times: Any = ()) -> None:
    """Require numbers of those fields of a record that are given."""
    for names, check in (
        (counts, lambda name, value: require.whole(name, value)),
        (whole, lambda name, value: require.whole(name, value, 0)),
        (above, lambda name, value: require.number(name, value, above=0)),
        (least, lambda name, value: require.number(name, value, least=0)),
        (times, lambda name, value: require.number(name, value, above=0, below=1e12)),
    ):
        for name in names:
            if getattr(record, name) is not None:
                check(name, getattr(record, name))
