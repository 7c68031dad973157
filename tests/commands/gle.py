"""The commands of GLE at tiny sizes, and tiny data sets in the place of MNIST-1D and of spoken digits."""

import numpy as np
from command_lines import clusters
from commands.case import Line

from plastic.data import store
from plastic.data.mnist1d import generate
from plastic.data.speech import clips


def datasets(folder):
    """Make data sets in a folder: 40 and 10 curves of 20 steps as MNIST-1D-360, tones of 50 ms as FSDD; return it."""
    store.arrays_of(folder / "mnist-1d-360.h5", lambda: generate(num_samples=50, length=20))
    rng = np.random.default_rng(0)
    named = [(digit, f"recordings/{digit}_nobody_{n}.wav") for digit in range(3) for n in range(16)]
    t = np.arange(400) / 8000
    tones = [
        3000 * np.sin(2 * np.pi * 400 * (1 + digit) * t + rng.uniform(0, 6)) + 100 * rng.standard_normal(400)
        for digit, _ in named
    ]
    waves = [tone.astype("<i2") for tone in tones]
    names = [name for _, name in named]
    clips.write(folder / "fsdd.h5", 400, names, [clips.checksum(wave) for wave in waves], [], waves)
    return folder


def sequences(folder):
    """Make 50 and 20 sequences of 20 steps in ten classes, as an .npz file; return its path."""
    return clusters(folder, shape=(20,), samples=(50, 20))


def chain(trained, run):
    """A constant input w_0 x takes the chain to where r_1 = phi(w_1 phi(w_0 x)), whatever the time constants."""
    metrics = run.metrics()
    w_0, w_1 = (metrics[name][-1] for name in ("w_0", "w_1"))
    outputs = trained.predict(np.full((2000, 2), 0.5, trained.network.parameters.flat.dtype))
    expected = np.logaddexp(0, w_1 * np.logaddexp(0, w_0 * 0.5))
    assert outputs.shape == (2000, 2) and np.abs(outputs[-1] - expected).max() < 1e-4


def three_nets(trained, run):
    """Teacher and both students at rest under a constant input: tanh, tanh, linear, by the weights of the last row."""
    metrics = run.metrics()
    first = [[-0.5, 1.0], *([metrics[f"w{k}_{name}"][-1] for k in range(2)] for name in ("gle", "am"))]
    outputs = trained.predict(np.full((1000, 1), 0.5, trained.network.parameters.flat.dtype))
    for found, W in zip(outputs[:, -1, 0], first, strict=True):
        hidden = np.tanh(np.array([0.5, 1.0]) * np.tanh(0.5 * np.array(W)))
        assert abs(found - np.dot(hidden, [0.5, 1.0])) < 1e-4


def classifier(n_in, outputs):
    """A check that sequences that are not equal get outputs that are not."""

    def check(trained, run):
        x = np.random.default_rng(0).standard_normal((4, *n_in)).astype(trained.network.parameters.flat.dtype)
        found = trained.predict(x)
        assert found.shape == (4, outputs) and np.ptp(found, axis=0).min() > 0
        assert trained.network.sizes[-1] == outputs

    return check


ON_DATA = {"PLASTIC_DATASETS": "{data}"}
LONGER = (("--max_epochs=1",), ("--max_epochs=3",))
LINES = [
    Line(
        "gle",
        "neuron",
        ("--tau_m=0.5", "--tau_r=0.1,2", "--dt=0.025"),
        figures=("neuron",),
        trains=False,
        columns=("gain", "phase"),
        parts=("tau_r", "omega"),
        wrong={
            "--tau_m=0": "tau_m",
            "--tau_m=0.1": "dt is 0.025; it must be at most tau_m / 20, 0.005",
            "--tau_m=1e12": "tau_m 1000000000000.0 need",
            "--tau_m=1e308 --dt=1e-308 --tau_r=1": "tau_m 1e+308 need inf GB",
            "--dt=0": "dt",
            "--dt=0.03": "dt is 0.03; it must be at most tau_m / 20, 0.025",
            "--tau_r=0.01,1": "tau_r is (0.01, 1.0); it takes different time constants of at least dt=0.025",
            "--tau_r=1,1": "different",
            "--tau_r=": "tau_r",
            "--tau_r=inf": "tau_r",
            "--seed=1": "seed",
        },
    ),
    Line(
        "gle",
        "lagline",
        ("--t_init=2", "--t_train=10", "--dt=0.02", "--batch_size=3", "--learning_rate=1e-4"),
        figures=("lagline",),
        network=chain,
        seeds="--seeds",
        columns=("loss", "w_0", "w_1", "tau_0", "tau_1"),
        tolerance=1e-3,
        wrong={
            "--model=glee": "gle",
            "--model=bptt": "bptt_tw4",
            "--t_init=0": "t_init",
            "--t_init=-1": "t_init",
            "--t_train=0": "t_train",
            "--t_train=-5": "t_train",
            "--t_init=2 --t_train=2": "t_train 2.0",
            "--t_train=1e308": "t_train",
            "--model=bptt_tw4 --t_init=4.1 --t_train=3": "t_train is 3: after t_init=4.1, bptt_tw4 makes its first",
            "--learning_rate=0": "learning_rate",
            "--beta=0": "beta",
            "--beta=-0.1": "beta",
            "--batch_size=0": "batch_size",
            f"--batch_size={10**11}": "batch_size 100000000000 need",
            "--dt=0": "dt",
            "--dt=-0.01": "dt",
            "--dt=0.11": "dt is 0.11; it must be at most 0.1",
            "--dt=1e-320": "dt",
            "--dt=1e-300": "dt",
            "--start=0.001,1,1,1": "start is (0.001, 1.0, 1.0, 1.0)",
            "--start=1,0.001,1,1": "at least dt=0.02",
            "--start=-1,1,1,1": "start",
            "--start=1,1,1": "start",
            "--start=1,1,1,1,1": "start",
            "--start=": "start",
            "--start=1,2,a,1": "start",
            "--architecture=static_lagnet": "architecture",
        },
    ),
    Line(
        "gle",
        "lagnet",
        ("--t=30", "--dt=0.05", "--start_learning_step=200", "--update_every=60", "--learning_rate_gle=0.2"),
        figures=("traces", "spectra", "phases", "learning"),
        network=three_nets,
        seeds="--seeds",
        columns=("loss_gle", "w0_gle", "w1_gle", "loss_am", "w0_am", "w1_am"),
        tolerance=1e-3,
        wrong={
            "--boundary=text": "textbook",
            "--t=0": "t is 0",
            "--t=-1": "t is -1",
            "--t=1e308": "t is 1e+308",
            "--t=10": "t is 10.0, 200 steps of dt=0.05",
            "--start_learning_step=0": "start_learning_step",
            "--update_every=0": "update_every",
            "--start_learning_step=600": "start_learning_step=600",
            "--update_every=401": "update_every=401",
            "--start_learning_step=300 --update_every=300": "start_learning_step=300 and update_every=300 more",
            "--learning_rate_gle=0": "learning_rate_gle",
            "--learning_rate_am=-1": "learning_rate_am",
            "--momentum=-0.1": "momentum is -0.1; it must be at least 0 and below 1",
            "--momentum=1": "momentum",
            "--gamma=-1e-3": "gamma",
            "--dt=0": "dt",
            "--dt=1e-320": "dt",
            "--dt=0.2": "dt is 0.2; it must be at most 0.1",
            "--small_weights=maybe": "maybe",
            "--input=noise": "sines",
            "--widths=2 --learned=3": "learned is (3,); it must be different numbers of layers from 1 to 2",
            "--widths=1,2": "widths are (1, 2); a layer has an instantaneous and a retarded neuron at least",
            "--widths=2,0": "widths",
            "--widths=3,2 --small_weights": "small_weights are those of the published widths (2, 2)",
            "--small_weights --learned=2": "small_weights is True, which does nothing without 1, the first layer, a",
            "--activation=step": "tanh",
            "--bias=2": "bias",
            "--learned=0": "learned is (0,); it must be different numbers of layers from 1 to 3",
            "--learned=4": "learned is (4,)",
            "--learned=1,1": "learned is (1, 1)",
            "--learned=": "learned",
            "--learning_rate=1": "learning_rate_",
        },
    ),
    Line(
        "gle",
        "mnist1d",
        ("--dataset={data}", "--max_epochs=3", "--batch_size=10", "--validation=0.2", "--learning_rate=5e-4"),
        data=sequences,
        figures=("accuracy", "baselines", "confusion", "stream"),
        network=classifier((20,), 10),
        longer=LONGER,
        seeds="--seeds",
        columns=("validation_loss", "validation_accuracy", "train_accuracy", "learning_rate"),
        tolerance=1e-3,
        wrong={
            "--architecture=lagnet": "static_lagnet",
            "--max_epochs=0": "max_epochs",
            "--batch_size=0": "batch_size",
            "--batch_size=41": "batch_size 41 is not possible with a training set of 40",
            "--dataset=MNIST-1D-360 --batch_size=4001": "batch_size is 4001, but there are 4000 training samples",
            "--dataset=MINST": "MNIST",
            "--dataset=missing.npz": "missing.npz",
            "--num_samples=100": "num_samples is 100, which does nothing without --dataset=MNIST-1D-360",
            "--shear_scale=0": "shear_scale is 0.0, which does nothing without --dataset=MNIST-1D-360",
            "--classes=0,1": "classes is 0,1, which",
            "--dataset=MNIST-1D-360 --num_samples=15": "num_samples is 15; take a multiple of 10",
            "--dataset=MNIST-1D-360 --classes=1": "classes is (1,)",
            "--padding=60,36": "padding is (60, 36)",
            "--max_translation=0": "max_translation",
            "--iid_noise_scale=-1": "iid_noise_scale",
            "--loss=mse": "nll",
            "--validation=-1": "validation",
            "--validation=1": "validation is 1; it must be at least 0 and below 1",
            "--validation=0.01": "would hold out 0 of the",
            "--learning_rate=0": "learning_rate",
            "--learning_rate=-1": "learning_rate",
            "--hidden=10": "hidden",
        },
    ),
    Line(
        "gle",
        "gsc",
        ("--dataset=FSDD", "--max_epochs=3", "--batch_size=6", "--hidden=10", "--n_mels=6"),
        data=datasets,
        variables=ON_DATA,
        figures=("accuracy", "baselines", "confusion"),
        network=classifier((5, 6), 10),
        longer=LONGER,
        seeds="--seeds",
        columns=("validation_loss", "validation_accuracy", "train_accuracy", "learning_rate"),
        tolerance=1e-3,
        wrong={
            "--dataset=TIMIT": "FSDD",
            "--dataset=FSD": "did you mean FSDD?",
            "--max_epochs=0": "max_epochs",
            "--batch_size=0": "batch",
            "--batch_size=19": "batch_size",
            "--hidden=0": "hidden",
            "--hidden=10000000": "hidden 10000000",
            "--hidden=12": "hidden is 12; it must be a multiple of 5",
            "--tau_m=1,2,3 --tau_r=1,2,3": "hidden is 10; it must be a multiple of 3",
            "--tau_m=1,2": "tau_m has 2 time constants, tau_r 5",
            "--tau_m= --tau_r=": "tau_m",
            "--tau_m=0.01,1 --tau_r=1,1": "tau_m is 0.01; it must be at least 0.05",
            "--tau_r=0.01,1 --tau_m=1,1": "tau_r is 0.01; it must be at least 0.05",
            "--full": "full is for GSC; FSDD has its 10 classes only",
            "--features=mels": "mel",
            "--optim=adamw": "adam",
            "--lr_scheduler=cosine": "plateau",
            "--lr_scheduler_step_size=0": "lr_scheduler_step_size",
            "--sampling=weighted": "sequential",
            "--n_mels=0": "n_mels",
            "--n_mels=1000": "n_mels",
            "--learning_rate=0": "learning_rate",
            "--lr_scheduler_patience=-1": "lr_scheduler_patience",
            "--lr_scheduler_step_size=5": "lr_scheduler_step_size is 5, which does nothing without --lr_scheduler=step",
            "--lr_scheduler=step --lr_scheduler_patience=1": "which does nothing without --lr_scheduler=plateau",
            "--lr_scheduler_gamma=0": "lr_scheduler_gamma",
            "--lr_scheduler_gamma=1.1": "lr_scheduler_gamma is 1.1; it must be above 0 and at most 1",
        },
    ),
]
