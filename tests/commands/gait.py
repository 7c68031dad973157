"""The command of GAIT-prop at a tiny size."""

import numpy as np
from command_lines import clusters
from commands.case import Line

from plastic import data


def network(trained, run):
    """The predictions are those that the last row of metrics.csv has measured."""
    dataset, metrics = data.load(run.options["dataset"]), run.metrics()
    x, labels = dataset.test
    found = np.mean(trained.predict(x).argmax(axis=-1) == labels)
    assert abs(found - metrics["test_accuracy"][-1]) < 1e-6 and trained.network.sizes == (16, 16, 16)


LINES = [
    Line(
        "gait",
        "train",
        (
            "--dataset={data}",
            "--algorithm=GAIT",
            "--shuffle",
            "--batch_size=60",
            "--nb_epochs=3",
            "--learning_rate=0.003",
        ),
        data=clusters,
        figures=("learning_curves", "confusion", "cosines", "singular_values"),
        network=network,
        longer=(("--nb_epochs=1",), ("--nb_epochs=3",)),
        seeds="--seeds",
        columns=("train_accuracy", "test_mse", "cosine_1"),
        wrong={
            "--nb_epochs=1.5": "nb_epochs",
            "--nb_epochs=0": "nb_epochs",
            "--nb_layers=0": "nb_layers",
            "--eval_every=0": "eval_every",
            "--batch_size=-1": "batch_size",
            "--batch_size=301": "301",
            "--algorithm=GIAT": "GAIT",
            "--learning-rte=0.1": "learning_rate",
            "--dataset=MINST": "MNIST",
            "--dataset=missing.npz": "missing.npz",
            "--tower --widths=10,16": "16",
            "--tower --widths=0": "widths",
            "--tower --widths=16,9": "10 classes",
            "--tower --widths=17,10": "17",
            "--tower": "784",
            "--widths=16,10": "--tower",
            "--gamma=0": "gamma",
            "--validation=1": "validation is 1; it must be at least 0 and below 1",
            "--validation=-0.1": "validation",
            "--validation=0.01": "hold out 0 of the 30 training samples of class 0",
            "--validation=0.5 --batch_size=151": "150",
            "--gamma=1.5": "gamma",
            "--algorithm=TP --gamma=0.01": "gamma is 0.01, but it is a constant of GAIT, not of TP",
            "--gamma=nan": "gamma",
            "--learning_rate=-0.1": "learning_rate",
            "--learning_rate=0": "learning_rate",
            "--orthogonal_reg=-1": "orthogonal_reg",
            "--load=missing": "missing",
            "--shuffle=maybe": "maybe",
            "--shuffle --shuffle": "twice",
            f"--load={'x' * 300}": "load",
            f"--dataset={'x' * 300}.npz": "x.npz",
        },
    )
]
