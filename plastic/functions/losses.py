"""Losses with their gradient, measures of outputs, and one-hot rows."""

from plastic import require, xp
from plastic.errors import PlasticError
from plastic.types import Array


def mean_squared_error(a: Array, y: Array) -> Array:
    """Return the mean over batch and units of (a - y)^2.

    Args:
        a, y: outputs and targets, both (..., batch, n).

    Returns:
        An array of the replica axes.

    Raises:
        PlasticError: if the two have different numbers of rows or columns.

    Example:
        >>> float(mean_squared_error(xp.asarray([[1.0, 2.0]]), xp.asarray([[1.0, 0.0]])))
        2.0
    """
    _require_pairs(a, y)
    return xp.mean((a - y) ** 2, axis=(-2, -1))


def softmax_cross_entropy(a: Array, labels: Array) -> tuple[Array, Array]:
    """Return the cross-entropy E of each softmax output, and dE/da, both per sample.

        E = -log pi_label,    dE/da_k = pi_k - [k = label],    pi_k = exp(a_k) / sum over l of exp(a_l)

    Args:
        a: logits (..., n), finite.
        labels: whole numbers from 0 to n - 1, of a shape that broadcasts to the leading axes of a.

    Returns:
        (E, dE/da), E of the leading axes of a, dE/da of the shape of a: for a mean or a weighted sum over samples,
        multiply both by the weights.

    Raises:
        PlasticError: if labels are something else.

    Example:
        >>> E, err = softmax_cross_entropy(xp.asarray([[0.0, 0.0]]), xp.asarray([1]))
        >>> err.tolist()
        [[0.5, -0.5]]
    """
    require.array("a", a)
    require.labels(labels, a.shape[-1])
    if labels.ndim > a.ndim - 1 or any(
        found not in (1, wanted) for found, wanted in zip(labels.shape[::-1], a.shape[-2::-1], strict=False)
    ):
        raise PlasticError(f"labels have shape {labels.shape}; one for each row of logits {a.shape} is needed")
    z = a - xp.max(a, axis=-1, keepdims=True)
    with xp.underflow_is_ordinary():
        e = xp.exp(z)
        total = xp.sum(e, axis=-1, keepdims=True)
        chosen = labels[..., None] == xp.arange(a.shape[-1])
        e /= total
    return xp.log(total[..., 0]) - xp.sum(z * chosen, axis=-1), e - chosen


@xp.underflow_is_ordinary()
def softmax(a: Array) -> Array:
    """Return pi_k = exp(a_k) / sum over l of exp(a_l), for a (..., n).

    Example:
        >>> softmax(xp.asarray([1000.0, 1000.0])).tolist()
        [0.5, 0.5]
    """
    e = xp.exp(a - a.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


@xp.underflow_is_ordinary()
def log_softmax(a: Array) -> Array:
    """Return log pi_k = a_k - log sum over l of exp(a_l), for a (..., n).

    Example:
        >>> [round(float(each), 4) for each in log_softmax(xp.asarray([1000.0, 1000.0]))]
        [-0.6931, -0.6931]
    """
    z = a - a.max(axis=-1, keepdims=True)
    return z - xp.log(xp.exp(z).sum(axis=-1, keepdims=True))


def accuracy(a: Array, labels: Array) -> Array:
    """Return the fraction of samples whose largest output is at their label.

    Args:
        a: outputs (..., batch, n).
        labels: whole numbers from 0 to n - 1, (batch,), or (..., batch) with replica axes.

    Returns:
        An array of the replica axes; 1 is all right.

    Raises:
        PlasticError: if labels are a column, one-hot rows, of another number, or out of range.

    Example:
        >>> float(accuracy(xp.asarray([[0.1, 0.9], [0.8, 0.2]]), xp.asarray([1, 1])))
        0.5
    """
    _require_of_samples(labels, a)
    return xp.mean(xp.argmax(a, axis=-1) == labels, axis=-1)


def confusion(a: Array, labels: Array) -> Array:
    """Return the share of samples of each class that has its largest output at each class: the confusion matrix.

    C_ij = the fraction of all samples that are of class i and have their largest output at j; its trace is `accuracy`.

    Args:
        a: outputs (..., batch, n).
        labels: whole numbers from 0 to n - 1, (batch,), or (..., batch) with replica axes.

    Returns:
        C (..., n, n), the class of the label first, in the working precision.

    Raises:
        PlasticError: if labels are not as for `accuracy`.

    Example:
        >>> confusion(xp.asarray([[0.1, 0.9], [0.8, 0.2]]), xp.asarray([1, 1])).tolist()
        [[0.0, 0.0], [0.5, 0.5]]
    """
    _require_of_samples(labels, a)
    true, said = one_hot(labels, a.shape[-1]), one_hot(xp.argmax(a, axis=-1), a.shape[-1])
    return xp.swapaxes(true, -1, -2) @ said / a.shape[-2]


def classification_error(a: Array, y: Array) -> Array:
    """Return the fraction of rows whose largest output is not where that of the one-hot target is.

    A tie for the largest output is an error, and so is an output that is not a number (as published by Song et al.
    2024).

    Args:
        a: outputs (..., batch, n).
        y: one-hot rows (..., batch, n).

    Returns:
        An array of the replica axes.

    Raises:
        PlasticError: if the two have different numbers of rows or columns.

    Example:
        >>> float(classification_error(xp.asarray([[0.1, 0.9], [0.5, 0.5]]), xp.asarray([[0.0, 1.0], [0.0, 1.0]])))
        0.5
    """
    _require_pairs(a, y)
    largest = a == xp.max(a, axis=-1, keepdims=True)
    return xp.mean(xp.any(largest != (y == xp.max(y, axis=-1, keepdims=True)), axis=-1), axis=-1)


def one_hot(labels: Array, classes: int) -> Array:
    """Return rows that are 1 at the label and 0 elsewhere, in the working precision.

    Args:
        labels: whole numbers from 0 to classes - 1, (batch,) or (..., batch).
        classes: how many there are.

    Returns:
        An array (..., batch, classes).

    Raises:
        PlasticError: if labels are not whole numbers, or are out of range.

    Example:
        >>> one_hot(xp.asarray([1, 0]), 2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    require.whole("classes", classes)
    require.labels(labels, classes)
    return (labels[..., None] == xp.arange(classes)).astype(xp.float_dtype)


def _require_pairs(a, y):
    require.array("a", a)
    require.array("y", y)
    if a.shape[-2:] != y.shape[-2:] or a.ndim < 2:
        raise PlasticError(f"outputs of shape {a.shape} and targets of shape {y.shape} do not belong together")


def _require_of_samples(labels, a):
    require.array("a", a)
    require.labels(labels, a.shape[-1])
    if labels.ndim == 0 or labels.ndim > a.ndim - 1 or labels.shape[-1] != a.shape[-2]:
        raise PlasticError(f"labels have shape {labels.shape}; outputs {a.shape} need ({a.shape[-2]},)")
