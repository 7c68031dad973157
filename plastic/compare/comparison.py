"""The comparison: for each rule a search for its learning rate, then training at that rate with every seed."""

import dataclasses

import numpy as np

from plastic import classifier, functions, require, training
from plastic.compare import measures
from plastic.compare.learners import Learners
from plastic.compare.rows import best_rate, last
from plastic.compare.rules import Rule
from plastic.compare.samples import centred
from plastic.errors import Diverged, PlasticError
from plastic.runs.folder import Run
from plastic.runs.new_run import check_seeds

RANGE = (3e-5, 3e-2)
"""The least and the largest learning rate that is tried."""
SEARCHES = 3
"""Seeds, none of them one of training, with which each learning rate is tried."""
EVALUATIONS, CHECKPOINTS = 20, 4
"""Evaluations, and checkpoints, in training."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every rule gets, all of them the same.

    Args:
        sizes: widths of the hidden layers.
        rates: how many learning rates are tried, from 3e-5 to 3e-2, evenly on a logarithmic scale; each in three
            trainings with seeds that are not among the seeds. The best is that with the highest mean validation
            accuracy at the end.
        epochs: of each training.
        batch_size: samples of a batch.
        to: the validation accuracy to which samples are counted, between 0 and 1.
    """

    sizes: tuple[int, ...] = (64, 64)
    rates: int = 7
    epochs: int = 5
    batch_size: int = 50
    to: float = 0.8

    def __post_init__(self) -> None:
        if not isinstance(self.sizes, list | tuple) or not self.sizes:
            raise PlasticError(f"sizes is {self.sizes!r}; it must hold the widths of the hidden layers: 64,64")
        require.sizes(tuple(self.sizes), least=1)
        require.whole("rates", self.rates, least=2, most=100)
        require.counts(epochs=self.epochs, batch_size=self.batch_size)
        require.number("to", self.to, above=0, below=1)

    @property
    def candidates(self) -> list[float]:
        """The learning rates that are tried."""
        return [float(f"{rate:.3g}") for rate in np.geomspace(*RANGE, self.rates)]


def require_seeds(seeds: tuple[int, ...]) -> None:
    """Require three different seeds or more: fewer have no spread to speak of."""
    for seed in seeds:
        require.whole("one of seeds", seed, least=0)
    check_seeds(seeds)
    if len(seeds) < 3:
        raise PlasticError(f"seeds are {', '.join(map(str, seeds))}; a comparison takes three or more")


def trained(run: Run, rules: dict[str, Rule], samples: classifier.Samples, budget: Budget) -> None:
    """Search and train by every rule in the folder of a run: rows of metrics.csv, checkpoints, arrays.

    A rule that diverges at all rates is left out from there on, one that diverges with a seed goes on with the others.

    Args:
        run: the run; its seeds are those of training.
        rules: the rules by name.
        samples: the data, with a validation set.
        budget: what every rule gets.

    Raises:
        PlasticError: if the batches are larger than the training set.
        Diverged: if no rule is left.
    """
    samples = centred(samples)
    sizes = (samples.train[0].shape[-1], *budget.sizes, samples.classes)
    parts = [{"rule": name, "stage": stage} for name in rules for stage in ("search", "training")]
    found: dict[str, np.ndarray] = {}
    for part in run.parts(parts):
        name = part.columns["rule"]
        if part.columns["stage"] == "search":
            pairs = [(max(run.seeds) + k, rate) for rate in budget.candidates for k in range(1, 1 + SEARCHES)]
        else:
            rate, _ = best_rate(run.metrics(), name)
            if rate is None:
                continue
            pairs = [(seed, rate) for seed in run.seeds]
        learners = Learners(rules[name], sizes, pairs)
        _fit(part, learners, samples, budget)
        if part.columns["stage"] == "training":
            measured = measures.on_the_test_set(learners, *samples.test)
            lost = np.isnan(last(run.metrics(), name, "validation_accuracy"))
            for each in measured.values():
                each[lost] = np.nan
            found |= {f"{name}/{what}": values for what, values in measured.items()}
    if not found:
        raise Diverged("training diverged by every rule at every rate: scale the data")
    batch = samples.train[0][: budget.batch_size], _targets(samples)[: budget.batch_size]
    taken = measures.times(rules, sizes, batch, run.seeds[0])
    run.save_arrays(found | {f"{name}/milliseconds": np.array(value) for name, value in taken.items()})


def _targets(samples):
    return functions.one_hot(samples.train[1], samples.classes)


def _fit(part, learners, samples, budget):
    source = learners.batches(samples.train[0], _targets(samples), budget.batch_size)
    steps, searching = budget.epochs * source.per_epoch, part.columns["stage"] == "search"
    evaluate = measures.Evaluation(learners, samples.train, samples.validation, samples.classes, not searching)
    columns = [*("train_accuracy", "validation_accuracy"), *(f"cosine_{k}" for k in range(1, len(budget.sizes) + 2))]
    training.fit(
        part,
        learners.state,
        source,
        learners.step,
        steps=steps,
        evaluate=evaluate,
        evaluate_every=steps if searching else max(1, steps // EVALUATIONS),
        checkpoint_every=max(1, steps // CHECKPOINTS),
        replicas=[{"replica": k, "seed": seed, "rate": rate} for k, (seed, rate) in enumerate(learners.pairs)],
        when_diverged=dict.fromkeys(columns, np.nan),
    )
