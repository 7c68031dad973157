"""The commands of equilibrium propagation at a tiny size."""

import numpy as np
from commands.case import Line

from plastic import data


def images(folder, rows=10, columns=10, train_samples=60, test_samples=25, classes=4):
    """Make a data set that is easy to learn: each class has a pattern of pixels, with a little noise."""
    generator = np.random.default_rng(0)
    patterns = (generator.random((classes, rows, columns)) < 0.3).astype(float)
    arrays = {}
    for part, samples in (("train", train_samples), ("test", test_samples)):
        y = generator.permutation(np.arange(samples) % classes)
        x = patterns[y] + 0.1 * generator.normal(size=(samples, rows, columns))
        arrays |= {f"x_{part}": np.clip(x, 0, 1), f"y_{part}": y}
    path = folder / f"images{rows}x{columns}.npz"
    np.savez(path, **arrays)
    return path


def network(trained, run):
    """The predictions of every replica are those that the last rows of metrics.csv have measured."""
    x, labels = data.load(run.options["dataset"]).test
    outputs, measured = trained.predict(x), run.metrics()["test_error"][-2:]
    assert outputs.shape == (2, 25, 4)
    np.testing.assert_allclose(np.mean(outputs.argmax(axis=-1) != labels, axis=-1), measured, rtol=1e-5)


CONV = "--C_tab=3,1 --size_tab=4 --Fconv=3"
NETWORK = {
    "--size_tab=4,100": "hidden layer",
    "--size_tab=4": "hidden layer",
    "--size_tab=": "size_tab",
    "--size_tab=4,0,100": "size_tab",
    f"--size_tab=4,{'9' * 30},100": "size_tab",
    "--size_tab=4,8,99": "100",
    "--size_tab=3,8,100": "4 classes",
    "--size_tab=4,8.5,100": "size_tab",
    "--size_tab=none": "784",
    "--beta=0": "beta",
    "--beta=nan": "beta",
    "--T=2 --Kmax=3": "Kmax",
    "--T=0": "T is 0",
    f"--T={'9' * 30}": "T is",
    "--Kmax=0": "Kmax",
    "--dt=0": "dt",
    "--dt=1.5": "dt",
    "--dt=-0.1": "dt",
    "--tolerance=-1": "tolerance",
    "--tolerance=nan": "tolerance",
    "--tolerance=little": "tolerance",
    "--solver=newton": "anderson",
    "--solver=layerwise": "prototypical",
    "--activation_function=relu": "hardsigm",
    "--padding=2": "padding",
    "--padding=-1": "padding",
    "--C_tab=1 --size_tab=4": "C_tab",
    "--C_tab=3,0,1 --size_tab=4": "C_tab",
    f"{CONV} --dt=0.5": "dt",
    f"{CONV} --padding=2": "padding",
    "--Fconv=0": "Fconv",
    "--Fpool=0": "Fpool",
    "--Fpool=17": "Fpool",
    "--C_tab=3,1 --size_tab=4 --Fconv=4 --padding=1": "Fconv",
    "--batch_size=61": "61",
    "--batch_size=0": "batch_size",
    "--dataset=MINST": "MNIST",
    "--dataset=missing.npz": "missing.npz",
    "--device=tpu": "tpu",
    "--device_label=-1 --device=gpu": "device",
    "--device_label=0 --device=cpu": "device",
    "--device_label=1 --device=0": "device",
    "--clamp=maybe": "maybe",
    "--learning_rule=stdp": "vf",
    "--angle=20": "learning_rule=vf",
    "--learning_rule=vf --angle=181": "angle",
    "--learning_rule=vf --angle=nan": "angle",
    f"{CONV} --learning_rule=vf": "fully connected",
    "--learning_rule=vf --loss=cel": "needs two",
    "--loss=ce": "cel",
    "--bta=1": "beta",
    "--discrete --no-clamp": "clamp is False, but it is an option of energy-based networks",
    "--discrete --consistent": "consistent",
    "--padding=1": "padding is 1, but it is an option of convolutional networks",
    "--Fconv=3": "C_tab",
    "--Fpool=3": "Fpool",
    f"{CONV} --no-clamp": "clamp",
}
"""What is wrong for each of the three commands."""

MAPS = {
    "--C_tab=3,2 --size_tab=4 --Fconv=3": "C_tab ends in 2",
    "--C_tab=3,1 --size_tab=3 --Fconv=3": "4 classes",
    "--C_tab=3,1 --size_tab=4 --Fconv=11": "Fconv",
    f"{CONV} --Fpool=9": "Fpool",
    "--C_tab=3,2,1 --size_tab=4 --Fconv=5": "convolution 2",
}
"""What is wrong where there are no rates that have to fit first."""

RATES = {f"{words} --lr_tab={','.join(['0.1'] * (1 + words.split()[0].count(',')))}": MAPS[words] for words in MAPS}

SIZES = ("--dataset={data}", "--size_tab=4,8,100", "--batch_size=20", "--T=8", "--Kmax=3", "--beta=0.5")

LINES = [
    Line(
        "ep",
        "train",
        (*SIZES, "--benchmark", "--nudging=random-sign", "--eval_every=2", "--epochs=2"),
        data=images,
        figures=("errors", "confusion"),
        network=network,
        longer=(("--epochs=2",), ("--epochs=4",)),  # after whole intervals between evaluations
        seeds="--seeds",
        columns=("test_error", "train_error", "test_loss", "train_loss", "residual"),
        wrong=NETWORK
        | RATES
        | {
            "--lr_tab=0.1": "lr_tab",
            "--validation=1": "validation is 1; it must be at least 0 and below 1",
            "--validation=0.001": "would hold out 0 of the",
            "--lr_tab=0.1,0.1,0.1": "lr_tab",
            "--lr_tab=-0.1,0.1": "lr_tab",
            "--lr_tab=": "lr_tab",
            "--C_tab=3,1 --size_tab=4,8,100 --Fconv=3": "lr_tab",
            "--training_method=BTPP": "BPTT",
            "--optim=rmsprop": "adam",
            "--cep": "benchmark",
            "--cep --loss=cel": "mse",
            "--nudging=both": "one-sided",
            "--benchmark=false --training_method=BPTT --nudging=centered": "BPTT has no nudged phase",
            "--benchmark --training_method=BPTT": "training_method is BPTT, but --benchmark trains by EP too",
            "--toymodel --consistent --size_tab=4,8,100": "the toy model, which is consistent",
            "--toymodel --lr_tab=0.1,0.1": "3 connections",
            "--toymodel --size_tab=4,8,7,100": "toy model",
            "--test_batch_size=0": "test_batch_size",
            "--epochs=0": "epochs",
            "--eval_every=0": "eval_every",
            f"--epochs={'9' * 30}": "epochs",
        },
    ),
    Line(
        "ep",
        "plotcurves",
        SIZES,
        data=images,
        figures=("rmse", "neurons", "synapses"),
        trains=False,
        wrong=NETWORK
        | MAPS
        | {
            "--toymodel --discrete": "toymodel",
            f"--toymodel {CONV}": "toymodel",
            "--toymodel --size_tab=4,8,7,5": "toy model",
            "--toymodel --size_tab=4,5": "hidden layer",
            "--toymodel --size_tab=4,5,6 --batch_size=0": "batch_size",
            f"--toymodel --size_tab=4,5,6 --batch_size={'9' * 30}": "batch_size",
            "--nudging=centered": "nudging",
            "--toymodel --size_tab=4,5,6": "random inputs",
            "--loss=cel": "mse",
            "--save=some": "drawn",
            f"--save=all --T={10**9} --Kmax={10**9}": "GB",
            "--toymodel --size_tab=4,5,6 --loss=cel": "toy model",
            "--benchmark": "benchmark",
            "--seeds=1,2": "seeds",
            "--resume=FOLDER": "resume",
        },
    ),
    Line(
        "ep",
        "recipe",
        (*SIZES, "--nudging=random-sign"),
        data=images,
        figures=("signs",),
        trains=False,
        wrong=NETWORK
        | MAPS
        | {"--toymodel --discrete": "toymodel", "--nudging=both": "one-sided", "--seeds=1,2": "seeds"},
    ),
]
