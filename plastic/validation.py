"""The best epoch by a validation set, and the test set measured once, at that epoch.

The published codes look at the test set after every epoch, and this is the default everywhere. Where a share of the
training samples is held out (`--validation=0.1`), epochs are judged by these, and the test set is measured once, after
training, with the parameters of the best epoch of each replica. An experiment does so in four places:

    samples = classifier.load(dataset, validation=validation)       # and measures samples.judged
    best = Best(net.parameters, net.replicas, samples, "error")
    training.fit(run, state | best.tree, .., evaluate=lambda: best.note(..))
    best.test(run, measure)
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from plastic import classifier, parameters, plotting, xp
from plastic.classifier import Samples
from plastic.runs.folder import Run
from plastic.types import Array, Tree


class Best:
    """The parameters with which each replica did best on the validation set; none are kept where there is none.

    Args:
        params: the tree of the parameters, those of the network.
        lead: the replica axes of its leaves.
        samples: whose validation set it is.
        measured: what they are judged by, "error" or "accuracy".

    Attributes:
        tree: what checkpoints are to keep.

    Example:
        >>> w, few = xp.asarray([0.0]), (xp.asarray([[1.0]]), xp.asarray([0]))
        >>> best = Best({"w": w}, (), Samples("mine", few, few, 2, validation=few), "error")
        >>> for w[...], error in ((3.0, 0.5), (2.0, 0.25), (1.0, 0.75)):
        ...     metrics = best.note({"validation_error": xp.asarray(error)})
        >>> best.recall()
        >>> w.tolist()
        [2.0]
    """

    def __init__(self, params: Tree, lead: tuple[int, ...], samples: Samples, measured: str) -> None:
        self.params, self.lead, self.samples = params, lead, samples
        self.column, self.tree = f"validation_{measured}", {}
        if samples.validation is not None:
            least = xp.full(lead, float(xp.finfo(xp.float_dtype).max), dtype=xp.float_dtype)
            self.tree = {"best": parameters.copy(params), "best_error": least}

    def __repr__(self) -> str:
        return f"Best by {self.column}" if self.tree else "Best of none, as there is no validation set"

    def note(self, metrics: dict[str, Array]) -> dict[str, Array]:
        """Keep the parameters of the replicas that do better than ever before.

        Args:
            metrics: of an evaluation, {column: values}, one for each replica; not a number is never the best.

        Returns:
            The metrics.
        """
        if self.tree:
            least = self.tree["best_error"]
            error = self._error(metrics[self.column]).reshape(self.lead).astype(least.dtype)
            better = error < least
            least[...] = xp.where(better, error, least)
            for kept, now in self._pairs():
                kept[...] = xp.where(better.reshape(*self.lead, *(1,) * (kept.ndim - len(self.lead))), now, kept)
        return metrics

    def recall(self) -> None:
        """Give the network its best parameters back; without a validation set it keeps those that it has."""
        for kept, now in self._pairs() if self.tree else ():
            now[...] = kept

    def test(self, run: Run, measure: Callable[..., dict[str, Array]], **options: Any) -> dict[str, np.ndarray]:
        """Recall the best parameters and measure them on the test set, once.

        Args:
            run: which has been trained. Its arrays.h5 gets what is measured, of all replicas.
            measure: measure(x, labels) -> {name: mean}, and its options, as for `classifier.means`.

        Returns:
            {"best_epoch", "test_<name>": one for each replica that has not diverged}; empty without a validation set.
        """
        if not self.tree:
            return {}
        self.recall()
        epochs, values = plotting.over_epochs(run.metrics(), {self.column: self.column})
        found = {"best_epoch": epochs[np.nanargmin(self._error(values[self.column]), axis=1)]}
        for name, value in classifier.means(measure, *self.samples.test, **options).items():
            found[f"test_{name}"] = xp.asnumpy(value).reshape(-1)
        run.save_arrays(found)
        return {name: np.delete(values, run.diverged) for name, values in found.items()}

    def _error(self, values):
        return 1 - values if self.column.endswith("accuracy") else values

    def _pairs(self):
        kept, now = (parameters.leaves(tree) for tree in (self.tree["best"], self.params))
        return [(a, b) for (_, a), (_, b) in zip(kept, now, strict=True)]


def best_of(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays of a checkpoint with the best parameters in the place of the last, where it has any.

    Args:
        arrays: {path: array}, as the `restore` of an experiment gets them.

    Example:
        >>> best_of({"layers/0/W": 1, "best/layers/0/W": 2})["layers/0/W"]
        2
    """
    return arrays | {path.removeprefix("best/"): each for path, each in arrays.items() if path.startswith("best/")}


def told(found: dict[str, np.ndarray]) -> str:
    """Return the words on which epoch `Best.test` has tested: ", tested once, after epoch 12, the best .."; or none."""
    if not found:
        return ""
    epochs = ", ".join(f"{each:g}" for each in found["best_epoch"])
    return f", tested once, at the best epoch by the validation set ({epochs})"
