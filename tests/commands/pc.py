"""The commands of predictive coding at a tiny size."""

import numpy as np
from command_lines import clusters
from commands.case import Line

from plastic import data

SHARED = ("--dataset={data}", "--seeds=2,5", "--rates=0.05,0.01", "--T=4")


def tiny(folder):
    """A class has 12 images for training and 6 for testing, of nine pixels."""
    return clusters(folder, shape=(9,), samples=(120, 60))


def tiny_maps(folder):
    """30 colour images of 6 x 6 pixels for training and 20 for testing, in ten classes."""
    return clusters(folder, shape=(6, 6, 3), samples=(30, 20))


def convolutions(trained, run):
    """Ten outputs of one network, whose input has the shape of the images."""
    dataset = data.load(run.options["dataset"])
    outputs = trained.predict(dataset.test[0])
    assert outputs.shape == (20, 10) and trained.network.shape == (6, 6, 3)
    rows = zip(*(run.metrics()[name] for name in ("rule", "seed", "epoch", "test_error")), strict=True)
    (error,) = [error for rule, seed, epoch, error in rows if (rule, seed, epoch) == ("ipc", 2, 2)]
    np.testing.assert_allclose(np.mean(outputs.argmax(axis=-1) != dataset.test[1]), error, atol=1e-6)


def network(trained, run):
    """The predictions of every seed and rate are those that the last rows of metrics.csv have measured."""
    dataset, metrics = data.load(run.options["dataset"]), run.metrics()
    x, labels = dataset.test
    outputs = trained.predict(x)
    assert outputs.shape[:3] == (2, 2, len(x)) and trained.network.replicas == (2, 2)
    own = np.all([np.array(metrics[name]) == value for name, value in run.config["parts"][0].items()], axis=0)
    last = np.flatnonzero(own & (np.array(metrics["step"]) == max(np.compress(own, metrics["step"]))))
    assert [(metrics["seed"][k], metrics["rate"][k]) for k in last] == [(2, 0.05), (2, 0.01), (5, 0.05), (5, 0.01)]
    found = np.mean(outputs.argmax(axis=-1) != labels, axis=-1)
    np.testing.assert_allclose(found.ravel(), [metrics["test_error"][k] for k in last], atol=1e-6)


def tasks(trained, run):
    """Five outputs, the last of which has no error."""
    x, _ = data.load(run.options["dataset"]).test
    assert trained.predict(x).shape == (2, 2, len(x), 5) and trained.network.sizes == (9, 32, 32, 32, 5)
    assert trained.network.counted.tolist() == [1, 1, 1, 1, 0]


def drifting(trained, run):
    """Ten outputs of every seed and rate."""
    x, _ = data.load(run.options["dataset"]).test
    assert trained.predict(x).shape == (2, 2, len(x), 10) and trained.network.sizes == (9, 32, 32, 10)


def values(trained, run):
    """Two actions of every seed and rate."""
    assert trained.network.replicas == (4,) and trained.network.sizes == (4, 6, 5, 2)
    outputs = trained.predict(np.zeros((3, 4)))
    assert outputs.shape == (4, 3, 2) and np.all(np.isfinite(outputs))


def forces(trained, run):
    """Two forces of every seed and configuration, by cue."""
    assert trained.network.replicas == (4,) and trained.network.sizes == (2, 2, 2)
    outputs, both = trained.predict([[1, 0], [0, 1]]), [layer.W for layer in trained.network.layers]
    np.testing.assert_allclose(outputs, both[0] @ both[1])
    assert not np.any(both[0] * (1 - np.eye(2)))


INFERENCE = {
    "--T=0": "T is 0; it must be at least 1",
    f"--T={10**12}": "T is 1000000000000",
    "--gamma=0": "gamma is 0; it must be above 0",
    "--discount=1.5": "discount is 1.5; it must be above 0 and at most 1",
    "--discount=0": "discount is 0",
    "--tolerance=-1": "tolerance is -1; it must be at least 0",
    "--solver=newton": "solver",
    "--grid=large": "grid",
}
IMAGES = INFERENCE | {
    "--rules=pc,hebb": "rules is ('pc', 'hebb'); it must hold different ones of ",
    "--rules=bp,bp": "rules is ('bp', 'bp')",
    "--rates=0.1,-1": "rates is (0.1, -1.0); it must hold different numbers above 0",
    "--rates=()": "rates is ()",
    "--dataset=MNOST": "did you mean MNIST?",
    "--seeds=1,1": "seeds are [1, 1]; they must be different",
    "--resume=nowhere": "nowhere",
}
SIGMOID = {"--rules=pc,tp": "rules are pc, tp, but tp is for linear networks, and activation is sigmoid"}
EPOCHS = IMAGES | {f"--epochs={10**11}": "never end", "--epochs=0": "epochs is 0; it must be at least 1"}
JUDGING = {
    "--validation=1": "validation is 1; it must be at least 0 and below 1",
    "--validation=0.01": "would hold out 0 of the",
}
ERRORS = ("test_error", "validation_error", "held_out_error")


def _grid(command, words, part, wrong, **more):
    """A grid over seeds and rates on the tiny images."""
    figures = more.pop("figures", (command,))
    return Line(
        "pc",
        command,
        (*SHARED, *words),
        data=tiny,
        figures=figures,
        arrays=False,
        part=part,
        parts=tuple(part),
        columns=more.pop("columns", ERRORS),
        wrong=wrong,
        **more,
    )


def _small(command, words, wrong, **more):
    """A small experiment, which measures and is not resumed."""
    figures = more.pop("figures", (command,))
    return Line("pc", command, words, figures=figures, trains=False, wrong=INFERENCE | wrong, **more)


LONGER = (("--epochs=1",), ("--epochs=3",))

LINES = [
    _grid(
        "depth",
        ("--depths=1,3", "--epochs=2", "--per_class=11"),
        {"rule": "pc", "depth": 1},
        EPOCHS
        | JUDGING
        | {
            "--task=regression --validation=0.2": "validation is for classification, but task is regression",
            "--depths=0,2": "depths is (0, 2)",
            "--depths=2,2": "depths is (2, 2)",
            "--rules=pc,tp": "rules are pc, tp, but tp is for linear networks, and activation is leaky",
            "--rules=bp": "T is 4, which is for pc, ipc, fixed_prediction, repeated_bp, but rules are bp",
            "--task=generation": "--task takes classification | regression",
            "--init=orthogonal": "--init takes xavier-uniform | xavier-normal",
            f"--depths={10**11}": "are free",
        },
        figures=("depth", "depth_curves", "confusion"),
        network=network,
        longer=LONGER,
        seeds="--seeds",
    ),
    _grid(
        "online",
        ("--batch_sizes=1,7", "--batches=3", "--epochs=2"),
        {"rule": "pc", "batch_size": 1},
        EPOCHS | SIGMOID | JUDGING | {"--batches=0": "batches is 0", "--batch_sizes=0,1": "batch_sizes is (0, 1)"},
        figures=("online", "confusion"),
        network=network,
        longer=LONGER,
        seeds="--seeds",
    ),
    _grid(
        "smalldata",
        ("--per_class=3,6", "--epochs=2", "--no_same_test"),
        {"rule": "pc", "per_class": 3},
        EPOCHS
        | SIGMOID
        | JUDGING
        | {
            "--per_class=0": "per_class is (0,)",
            "--per_class=13": "toy.npz has 12 training samples of class",
            "--width=0": "width is 0; it must be at least 1",
            "--loss_coefficient=0": "loss_coefficient is 0; it must be above 0",
            "--loss_coefficient=1 --solver=layerwise": "solver is layerwise, which is for half the squared error",
        },
        figures=("smalldata", "confusion"),
        network=network,
        longer=LONGER,
        seeds="--seeds",
    ),
    _grid(
        "forgetting",
        ("--iterations=6", "--per_class=6", "--batch_size=8"),
        {"rule": "pc"},
        IMAGES
        | SIGMOID
        | {"--iterations=0": "iterations is 0", "--per_class=0": "per_class is 0", "--batch_size=0": "batch_size"}
        | {
            "--interval=0": "interval is 0; it must be at least 1",
            "--width=0": "width is 0",
            "--blocked_errors": "blocked_errors is for outputs of each task's own; give --separate_outputs too",
            "--blocked_errors --separate_outputs --solver=layerwise": "solver is layerwise, which is for half the",
        },
        figures=("forgetting", "forgetting_split"),
        network=tasks,
        longer=(("--iterations=3",), ("--iterations=6",)),
        seeds="--seeds",
        columns=(*ERRORS, "task0_error", "task1_error"),
    ),
    _grid(
        "drift",
        ("--iterations=66", "--per_class=1", "--test_per_class=2", "--batch_size=8", "--pretraining_epochs=1"),
        {"rule": "pc"},
        IMAGES
        | SIGMOID
        | {
            "--iterations=0": "iterations is 0",
            "--pretraining_epochs=-1": "pretraining_epochs is -1",
            "--pretraining_rate=0": "pretraining_rate is 0",
            "--test_per_class=0": "test_per_class is 0",
            "--interval=0": "interval is 0; it must be at least 1",
            "--start=theirs": "start is theirs; it must be published, own, or the path of an .npz file",
            "--start=nowhere.npz": "start is nowhere.npz, which is trained already: leave them out, or",
            "--start=nowhere.npz --pretraining_epochs=64": "nowhere.npz cannot be read",
        },
        network=drifting,
        longer=(("--iterations=63",), ("--iterations=66",)),
    ),
    _small(
        "interference",
        ("--grid=quick", "--iterations=5", "--T=6"),
        {"--rates=0.1,0": "rates is (0.1, 0.0)", "--rates=0.1,0.1": "must hold different", "--resume=x": "resume"},
        figures=("interference", "interference_first"),
    ),
    _small(
        "alignment",
        ("--depths=1,3", "--width=4", "--T=6", "--seeds=3,4", "--tp"),
        {
            "--depths=0,1": "depths is (0, 1)",
            "--activation=tanh": "tp is for linear nets, but activation is tanh",
            "--rate=-1": "rate is -1; it must be above 0",
            "--gain=0": "gain is 0; it must be above 0",
            "--seeds=1,1": "seeds are [1, 1]",
            "--width=0": "width is 0; it must be at least 1",
            "--batch_size=0": "batch_size is 0; it must be at least 1",
        },
        seeds="--seeds",
        columns=("target_alignment", "angle"),
    ),
    _small(
        "alignment_over",
        ("--values=3,5", "--activations=linear,tanh", "--layers=3", "--T=6", "--seeds=3,4"),
        {
            "--values=3,3": "values is (3.0, 3.0); it must hold different numbers above 0",
            "--values=2.5": "values is (2.5,); each width is a whole number",
            "--over=iteration --values=1e13": "each iteration is a whole number below 1,000,000",
            "--activations=cosine": "activations is ('cosine',); it must hold different ones of linear, sigmoid",
            "--width=32": "width is 32, but over is width: give what is tried by --values",
            "--over=rate --rate=0.5": "rate is 0.5, but over is rate: give what is tried by --values",
            "--over=batch_size --batch_size=3": "batch_size is 3, but over is batch_size",
            "--inits=zero": "inits is ('zero',); it must hold different ones of xavier-uniform",
            "--layers=0": "layers is 0",
            "--over=depth": "--over takes width | gain | rate | batch_size | iteration",
            f"--values={10**9}": "are free",
        },
        seeds="--seeds",
        columns=("target_alignment", "spread"),
    ),
    _small(
        "prospective_index",
        ("--layers=3", "--width=4", "--T=6", "--seeds=3,4"),
        {
            "--layers=1": "layers is 1; it must be from 2 to",
            "--activations=linear,cosine": "linear, sigmoid, tanh, relu, leaky",
        },
        seeds="--seeds",
        columns=("prospective_index",),
    ),
    _small(
        "trajectory",
        ("--iterations=3", "--small_iterations=2", "--T=6"),
        {
            "--rate_pc=0": "rate_pc is 0; it must be above 0",
            "--small_iterations=0": "small_iterations is 0; it must be at least 1",
        },
    ),
    _small(
        "teacher",
        ("--rates=0.1,0.01", "--iterations=2", "--points=8", "--T=6", "--seeds=3,4"),
        {"--batch_size=9": "batch_size is 9, but there are 8 points", f"--points={10**11}": "are free"},
        figures=("teacher", "teacher_curves"),
        seeds="--seeds",
        columns=("loss_min", "loss_last"),
    ),
    Line(
        "pc",
        "machine",
        ("--steps=6",),
        figures=("machine",),
        trains=False,
        wrong={
            "--steps=0": "steps is 0; it must be at least 1",
            "--rate=0": "rate is 0; it must be above 0",
            "--learning_gamma=-1": "learning_gamma is -1; it must be above 0",
            "--seeds=1": "seeds",
        },
    ),
    _small(
        "consistency",
        ("--rates=0.1,0.01", "--samples=2", "--iterations=3", "--T=6", "--seeds=3,4"),
        {
            "--rates=0.1,0": "rates is (0.1, 0.0)",
            "--samples=0": "samples is 0; it must be at least 1",
            "--iterations=0": "iterations is 0",
            f"--samples={10**11}": "are free",
            "--T=2": "T is 2, but an error needs 3 steps",
            "--dataset=MNOST --samples=4": "did you mean MNIST?",
            "--dataset=glyphs": "samples is 2, for random pairs, but dataset is glyphs: leave one of them out",
        },
        figures=("directions",),
        seeds="--seeds",
        columns=("path_length", "displacement", "ratio", "step_cosine", "way_cosine"),
    ),
    _small(
        "erratic",
        (
            "--rates_pc=0.4,0.5",
            "--rates_bp=0.3,0.4",
            "--rates_gr=0.002,0.003",
            "--rates_ap=0.001,0.002",
            "--iterations=3",
            "--T=6",
            "--steps_gr=5",
            "--steps_ap=5",
            "--width=4",
            "--seeds=3,4",
            "--few_seeds=2",
        ),
        {
            "--rates_ap=-1": "rates_ap is (-1.0,)",
            "--steps_gr=0": "steps_gr is 0; it must be at least 1",
            "--few_seeds=0": "few_seeds is 0; it must be at least 1",
            "--gamma_ap=0": "gamma_ap is 0",
            "--device=tpu": "tpu",
        },
        figures=("erratic", "directions"),
        seeds="--seeds",
        columns=("path_length", "displacement", "ratio", "step_cosine", "way_cosine"),
    ),
    _small(
        "fear",
        ("--grid=quick", "--rates=0.1,0.5", "--iterations=2", "--T=6", "--seeds=3,4"),
        {
            "--rates=0.1,0": "rates is (0.1, 0.0)",
            "--spreads=-1": "spreads is (-1.0,); it must hold different numbers, at least 0",
            "--spreads=()": "spreads is ()",
            "--iterations=0": "iterations is 0; it must be at least 1",
            "--resume=x": "resume",
        },
        seeds="--seeds",
        columns=("fear",),
    ),
    Line(
        "pc",
        "coin",
        (
            "--grid=quick",
            "--spreads=0.1",
            "--rates=0.1,0.01",
            "--memory_rates=0.01",
            "--blocks=1",
            "--tests=1",
            "--T=6",
            "--seeds=3,4",
        ),
        figures=("coin",),
        arrays=False,
        network=forces,
        part={"rule": "pc"},
        parts=("rule", "rate"),
        seeds="--seeds",
        columns=("1+", "2+", "1-", "2-"),
        wrong=INFERENCE
        | {
            "--blocks=0": "blocks is 0; it must be at least 1",
            "--tests=0": "tests is 0",
            "--memory_rates=0": "memory_rates is (0.0,)",
            "--spreads=1,1": "spreads is (1.0, 1.0); it must hold different numbers above 0",
        },
    ),
    _small(
        "reversal",
        ("--seeds_pc=2", "--seeds_bp=2", "--trials=80", "--T=6"),
        {
            "--trials=65": "trials is 65; it must be at least 66",
            "--seeds_pc=0": "seeds_pc is 0; it must be at least 1",
            "--seed=4294967295": "seed is 4294967295, and 2 seeds are counted from there",
            "--solver=layerwise": "solver is layerwise, which is for half the squared error of all outputs",
            "--spreads_bp=0": "spreads_bp is (0.0,)",
            "--rates=()": "rates is ()",
        },
        figures=("reversal", "reasons"),
    ),
    Line(
        "pc",
        "rl",
        (
            "--rates=0.01,0.001",
            "--seeds=2,5",
            "--episodes=12",
            "--start=40",
            "--batch_size=8",
            "--updates=2",
            "--hidden=6,5",
            "--memory=120",
            "--T=4",
        ),
        figures=("rl",),
        arrays=False,
        network=values,
        part={"rule": "pc"},
        parts=("rule", "rate"),
        longer=(("--episodes=10",), ("--episodes=20",)),
        seeds="--seeds",
        columns=("mean_return",),
        wrong=INFERENCE
        | {
            "--solver=layerwise": "solver is layerwise, which is for half the squared error of all outputs",
            "--env=Pong": "--env takes CartPole-v1 | Acrobot-v1 | MountainCar-v0",
            "--start=120": "start is 120, but memory is 120: learning would never begin",
            "--batch_size=41": "batch_size is 41, but start is 40",
            "--reward_discount=1.1": "reward_discount is 1.1; it must be at least 0 and at most 1",
            "--hidden=0": "hidden is (0,); it must hold widths of at least 1",
            f"--memory={10**11}": "are free",
            "--episodes=0": "episodes is 0",
        },
    ),
    Line(
        "pc",
        "cnn",
        (
            "--dataset={data}",
            "--seeds=2,5",
            "--rates=0.01",
            "--rules=ipc,bp_published",
            "--epochs=2",
            "--batch_size=15",
            "--channels=2,3",
            "--hidden=4",
            "--T=3",
        ),
        data=tiny_maps,
        figures=("cnn", "confusion"),
        arrays=False,
        network=convolutions,
        part={"rule": "ipc", "rate": 0.01, "seed": 2},
        parts=("rule", "rate", "seed"),
        longer=(("--epochs=1",), ("--epochs=3",)),
        columns=ERRORS,
        wrong=EPOCHS
        | JUDGING
        | {
            "--batches=0": "batches is 0; it must be at least 1",
            "--rules=ipc,pc": "rules is ('ipc', 'pc'); it must hold different ones of ipc, repeated_bp, bp_published",
            "--solver=anderson": "solver is anderson, which is of no rule of this experiment, but rules are ipc",
            "--channels=0": "channels is (0,)",
            "--hidden=0": "hidden is 0",
            "--batch_size=31": "batch_size is 31, but there are 30 training images",
            f"--hidden={10**11}": "are free",
        },
    ),
]
