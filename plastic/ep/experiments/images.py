"""The images that all experiments share, in the shape that a network takes."""

import dataclasses

import numpy as np

from plastic import classifier, data, require, xp
from plastic.classifier import Samples
from plastic.data.catalogue import SOURCES
from plastic.ep.experiments.options import NetworkOptions
from plastic.errors import PlasticError
from plastic.functions import one_hot
from plastic.types import Array


@dataclasses.dataclass(frozen=True)
class Images:
    """A data set, and how it is taken apart.

    Args:
        dataset: MNIST, FMNIST, KMNIST, glyphs (needs no download), another name that `plastic.data list` shows, speech
            apart, or an .npz file with x_train, y_train, x_test, y_test: images (samples, rows, columns) or, in colour,
            (samples, rows, columns, channels), which are divided by the largest number, and labels 0, 1, 2, ..
        batch_size: samples per batch.
    """

    dataset: str = "MNIST"
    batch_size: int = 20

    def require(self) -> None:
        """Raise PlasticError unless there is a batch."""
        require.whole("batch_size", self.batch_size, most=10**6)

    def load(self, network: NetworkOptions, validation: float = 0.0) -> Samples:
        """Return the samples, x as the network takes it; what does not fit is refused before anything is fetched.

        `validation` is the share of the training samples that is held out.
        """
        self.require()
        if (known := SOURCES.get(data.require(self.dataset))) is not None:
            self._taken_shape(network, known.train, known.shape, len(known.labels), self.dataset)
        samples = classifier.load(self.dataset, flat=False, validation=validation)
        x, _ = samples.train
        shape = self._taken_shape(network, len(x), x.shape[1:], samples.classes, samples.name)

        def shaped(part):
            return part and (part[0].reshape(len(part[0]), *shape), part[1])

        parts = {"train": samples.train, "test": samples.test, "validation": samples.validation}
        return dataclasses.replace(samples, **{name: shaped(part) for name, part in parts.items()})

    def _taken_shape(self, network, count, shape, classes, name):
        if self.batch_size > count:
            raise PlasticError(f"batch_size is {self.batch_size}, but the training set has {count} samples")
        return network.input_shape(shape, classes, name)

    def first_batch(self, samples: Samples, outputs: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Return the first batch (x, y) of the training set in an order that the generator draws."""
        x, labels = samples.train
        chosen = xp.asarray(generator.permutation(len(x))[: self.batch_size])
        return x[chosen], one_hot(labels[chosen], outputs)
