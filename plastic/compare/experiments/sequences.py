"""Rules side by side on sequences."""

from typing import Literal

from plastic.compare import figures, in_time, samples
from plastic.compare.comparison import Budget
from plastic.compare.experiments import task
from plastic.runs import experiment

BUDGET = Budget(sizes=(64,), to=0.5)


@experiment("compare", draw={"comparison": figures.comparison}, seeds=(1, 2, 3), readable=task.readable)
def sequences(
    run,
    *,
    dataset: str = "MNIST-1D",
    rules: tuple[str, ...] | None = None,
    loss: Literal["squared", "ce"] = "squared",
    budget: Budget = BUDGET,
    per_class: int | None = None,
    validation: float = 0.2,
):
    """Compare rules that learn in time, with the same tuning budget for each: BPTT, e-prop, the adjoint method, GLE.

    As `classify` does for samples that are seen at once. e-prop and BPTT train a layer of LSTM cells; GLE, the adjoint
    method and BPTT layers of GLE neurons: each rule is compared with the exact gradient of its own network. A sequence
    has its target at every step, and its class is where the mean output is largest. The run folder,
    results/compare/sequences-..., gets the same files.

    Errors of GLE go down by one layer in a step, and look ahead by a derivative: it needs steps in which little
    changes, and several layers to remember by. Nearest to its published setting comes --dataset=MNIST-1D-360 --loss=ce
    --sizes=53,53,53,53,53,53, which no single layer of LSTM cells is.

    Args:
        dataset: MNIST-1D, MNIST-1D-360, another name of plastic.data, the rows of an image being steps, or an .npz file
            of sequences with x_train, y_train, x_test, y_test, x (N, T), or (N, T, n) for n inputs.
        rules: some of bptt, eprop (of LSTM cells), gle_bptt, adjoint, gle, by commas; by default all that fit.
        loss: of the output of each step: squared (half the squared error) or ce (cross-entropy of its softmax).
        per_class: training samples of each class, the first ones of the set, validation included; by default all.
        validation: the share of the training samples by which rates are chosen, of each class the last ones.
    """
    return task.compared(run, in_time.rules(loss), dataset, rules, budget, per_class, validation, samples.sequences)
