"""Optimizers against their update equations in plain NumPy, and against what theory says of single steps."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.optimizers import SGD, Adam, Plateau, RMSprop, Stairs, clipped
from plastic.parameters import Affine

STEPS = 10
OPTIMIZERS = {
    "sgd": SGD,
    "momentum": lambda lr: SGD(lr, momentum=0.9),
    "adam": lambda lr: Adam(lr, beta1=0.8, beta2=0.95, eps=1e-3),
    "adam_plain": lambda lr: Adam(lr, beta1=0.8, beta2=0.95, eps=1e-3, bias_correction=False),
    "adam_default": Adam,
    "adam_published": Adam.without_correction,
    "rmsprop": lambda lr: RMSprop(lr, decay=0.8, eps=1e-3),
    "rmsprop_momentum": lambda lr: RMSprop(lr, decay=0.8, momentum=0.5, eps=1e-3),
}


def trajectory(name, p, gradients, lr):
    """One leaf after the steps along `gradients`, by the equations in the docstrings, in float64."""
    m, v, t = np.zeros_like(p), np.zeros_like(p), 0
    beta1, beta2, eps = {"adam_default": (0.9, 0.999, 1e-8), "adam_published": (0.9, 0.99, 1e-8)}.get(
        name, (0.8, 0.95, 1e-3)
    )
    for g in gradients:
        if name == "sgd":
            p = p - lr * g
        elif name == "momentum":
            m = 0.9 * m + g
            p = p - lr * m
        elif name.startswith("rmsprop"):
            v = 0.8 * v + 0.2 * g**2
            m = (0.5 if "momentum" in name else 0) * m + g / np.sqrt(v + 1e-3)
            p = p - lr * m
        else:
            t = t + 1
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            corrected = name in ("adam", "adam_default")
            m_hat, v_hat = (m / (1 - beta1**t), v / (1 - beta2**t)) if corrected else (m, v)
            p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p


def trees(shapes, seed=0, scale=1.0):
    """Host trees, rounded to the working precision: parameters and `STEPS` gradients; None is an absent bias."""
    rng = np.random.default_rng(seed)

    def draw(scale):
        return [
            Affine(*(None if s is None else scale * rng.standard_normal(s).astype(xp.float_dtype) for s in layer))
            for layer in shapes
        ]

    return draw(1.0), [draw(scale) for _ in range(STEPS)]


def device(tree):
    return parameters.map(lambda leaf: xp.asarray(leaf.copy()), tree)


def train(optimizer, params, gradients, **override):
    """Return the leaves after steps along `gradients`, on the host, by path."""
    params = device(params)
    state = optimizer.init(params)
    for grads in gradients:
        optimizer.step(params, device(grads), state, **override)
    return {path: xp.asnumpy(leaf) for path, leaf in parameters.leaves(params)}


def expected(name, params, gradients, rates):
    """The same by the equations; rates: one per path, or one for all."""
    result = {}
    for path, leaf in parameters.leaves(params):
        along = [dict(parameters.leaves(grads))[path].astype(np.float64) for grads in gradients]
        rate = rates[path] if isinstance(rates, dict) else rates
        result[path] = trajectory(name, leaf.astype(np.float64), along, rate)
    return result


def assert_close(found, reference, start):
    """Compare how far each leaf went; float32 resolves a parameter to 6e-8 and 1 - beta2 = 1e-3 to 6e-5."""
    assert list(found) == list(reference)
    start = dict(parameters.leaves(start))
    for path, value in found.items():
        single = xp.float_dtype == np.float32
        way = np.abs(reference[path] - start[path]).max()
        assert value.dtype == xp.float_dtype, path
        atol = (1e-4 if single else 1e-12) * way + (3e-6 if single else 1e-14)
        assert_allclose(value, reference[path], rtol=0, atol=atol, err_msg=path)


LAYERS = [((3, 4), (1, 4)), ((4, 2), None), ((2, 2), (1, 2))]
PATHS = ["0/W", "0/b", "1/W", "2/W", "2/b"]


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_follow_the_equations(precision, name, scale):
    params, gradients = trees(LAYERS, scale=scale)
    found = train(OPTIMIZERS[name](0.03), params, gradients)
    assert list(found) == PATHS
    assert_close(found, expected(name, params, gradients, 0.03), params)


def rates_of(kind, replicas, shapes, rng):
    """A learning rate of one kind, and what it means for each path."""

    def draw():
        return float(rng.uniform(0.01, 0.3))

    def per_replica():
        return rng.uniform(0.01, 0.3, (*replicas, 1, 1)).astype(xp.float_dtype)

    names = [("W",) if layer[1] is None else ("W", "b") for layer in shapes]
    paths = [f"{place}/{name}" for place, layer in enumerate(names) for name in layer]
    if kind == "number":
        rate = draw()
        return rate, dict.fromkeys(paths, rate)
    if kind == "array":
        rate = per_replica()
        return xp.asarray(rate), dict.fromkeys(paths, rate)
    if kind == "numbers and arrays by layer":
        rates = [per_replica() if place % 2 else draw() for place in range(len(shapes))]
        lr = [xp.asarray(rate) if place % 2 else rate for place, rate in enumerate(rates)]
        return lr, {path: rates[int(path[0])] for path in paths}
    rates = {path: per_replica() if kind == "array by leaf" else draw() for path in paths}
    values = {path: xp.asarray(rate) if kind == "array by leaf" else rate for path, rate in rates.items()}
    trees = [{name: values[f"{place}/{name}"] for name in layer} for place, layer in enumerate(names)]
    return [tree if kind == "dict by leaf" else Affine(**tree) for tree in trees], rates


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    kind=st.sampled_from(
        ["number", "array", "numbers and arrays by layer", "number by leaf", "dict by leaf", "array by leaf"]
    ),
    replicas=st.sampled_from([(), (1,), (2,), (3,), (2, 3), (1, 2)]),
    fans=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.booleans()), min_size=1, max_size=3),
    seed=st.integers(0, 100),
)
def test_rates_of_every_kind_at_every_shape(precision, name, kind, replicas, fans, seed):
    shapes = [((*replicas, n, m), (*replicas, 1, m) if bias else None) for n, m, bias in fans]
    params, gradients = trees(shapes, seed)
    lr, rates = rates_of(kind, replicas, shapes, np.random.default_rng(seed))
    reference = expected(name, params, gradients, rates)
    assert_close(train(OPTIMIZERS[name](lr), params, gradients), reference, params)
    assert_close(train(OPTIMIZERS[name](7.0), params, gradients, lr=lr), reference, params)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replicas_are_separate_runs_each_at_its_rate(backend, name):
    """With as many replicas as units, a rate along the wrong axis has the right shape."""
    params, gradients = trees([((3, 3, 3), (3, 1, 3))])
    rates = np.array([0.01, 0.1, 0.4])
    together = train(OPTIMIZERS[name](xp.asarray(rates.reshape(3, 1, 1))), params, gradients)
    for replica, rate in enumerate(rates):
        own = [parameters.map(lambda leaf, replica=replica: leaf[replica], tree) for tree in (params, *gradients)]
        alone = train(OPTIMIZERS[name](float(rate)), own[0], own[1:])
        for path, leaf in alone.items():
            assert_allclose(together[path][replica], leaf, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arrays_larger_than_a_block_and_not_contiguous(precision, name):
    params, gradients = trees([((300, 301), None)])
    gradients = gradients[:2]
    assert_close(train(OPTIMIZERS[name](0.1), params, gradients), expected(name, params, gradients, 0.1), params)
    W = xp.swapaxes(xp.asarray(params[0].W), 0, 1)
    state = OPTIMIZERS[name](0.1).init([W])
    for grads in gradients:
        OPTIMIZERS[name](0.1).step([W], [xp.asarray(grads[0].W.T)], state)
    assert_close({"0/W": xp.asnumpy(W).T}, expected(name, trees([((300, 301), None)])[0], gradients, 0.1), params)


def one_step(optimizer, g):
    """Return p - p' of the first step from p = 0."""
    p = [xp.zeros(len(g), dtype=xp.float_dtype)]
    optimizer.step(p, [xp.asarray(np.array(g))], optimizer.init(p))
    return -xp.asnumpy(p[0])


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(precision):
    found = one_step(Adam(0.02), [1e-3, -1.0, 1e4, 0.0])
    assert_allclose(found, [0.02, -0.02, 0.02, 0.0], rtol=1e-4)


def test_the_first_step_without_correction(precision):
    """lr (1 - beta1) / sqrt(1 - beta2); for beta2 = 0.99, by chance, lr itself."""
    found = one_step(Adam(0.02, bias_correction=False), [2.0, -30.0])
    assert_allclose(found, np.array([1, -1]) * 0.02 * 0.1 / np.sqrt(1e-3), rtol=1e-5)
    assert_allclose(one_step(Adam.without_correction(0.02), [2.0, -30.0]), [0.02, -0.02], rtol=1e-5)


def test_eps_halves_the_first_step_where_it_equals_the_root(precision):
    """With correction the root is |g|; without, it is sqrt(1 - beta2) |g|."""
    assert_allclose(one_step(Adam(0.02, eps=1e-2), [1e-2]), 0.01, rtol=1e-4)
    optimizer = Adam(0.02, beta1=0.9, beta2=0.99, eps=1e-2, bias_correction=False)
    assert_allclose(one_step(optimizer, [1e-1]), 0.01, rtol=1e-5)


def test_constants_unless_given():
    assert Adam.without_correction(0.3) == Adam(lr=0.3, beta1=0.9, beta2=0.99, eps=1e-8, bias_correction=False)
    assert Adam() == Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8, bias_correction=True)
    assert SGD() == SGD(lr=0.01, momentum=0.0)


def test_a_constant_gradient_with_correction_is_followed_at_the_rate(precision):
    params = [xp.zeros(3, dtype=xp.float_dtype)]
    optimizer = Adam(0.01)
    state = optimizer.init(params)
    for _ in range(20):
        optimizer.step(params, [xp.asarray(np.array([0.5, -2.0, 7.0]))], state)
    assert_allclose(xp.asnumpy(params[0]), [-0.2, 0.2, -0.2], rtol=1e-4 if precision == "float32" else 1e-6)


def test_a_constant_gradient_with_momentum_is_a_geometric_sum(precision):
    """v_t = g (1 - mu^t) / (1 - mu); its sum over t = 1..T is g (T - mu (1 - mu^T) / (1 - mu)) / (1 - mu)."""
    params, mu, T = [xp.zeros(1, dtype=xp.float_dtype)], 0.5, 6
    optimizer = SGD(0.1, momentum=mu)
    state = optimizer.init(params)
    for _ in range(T):
        optimizer.step(params, [xp.asarray(np.array([3.0]))], state)
    distance = 0.1 * 3 * (T - mu * (1 - mu**T) / (1 - mu)) / (1 - mu)
    assert_allclose(xp.asnumpy(params[0]), -distance, rtol=1e-6)


def test_the_state_is_a_tree_of_zeros_like_the_parameters(precision):
    params = device(trees(LAYERS)[0])
    shapes = {path: leaf.shape for path, leaf in parameters.leaves(params)}
    assert SGD(0.1).init(params) == {}
    for optimizer, names, scalars in ((SGD(0.1, momentum=0.9), ["m"], {}), (Adam(), ["M", "V"], {"t": ()})):
        state = optimizer.init(params)
        found = dict(parameters.leaves(state))
        expected_shapes = {f"{name}/{path}": shape for name in names for path, shape in shapes.items()}
        assert {path: leaf.shape for path, leaf in found.items()} == scalars | expected_shapes
        assert all(leaf.dtype == precision and not xp.asnumpy(leaf).any() for leaf in found.values())
        assert len({id(leaf) for leaf in found.values()}) == len(found)


@pytest.mark.parametrize("lr", ["number", "array"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_changes_parameters_and_state_in_place_and_nothing_else(precision, name, lr):
    params, gradients = trees([((2, 3, 2), (2, 1, 2)), ((2, 2, 2), None)])
    rates = 0.1 if lr == "number" else xp.asarray(np.array([0.1, 0.2]).reshape(2, 1, 1))
    optimizer, tree, grads = OPTIMIZERS[name](rates), device(params), device(gradients[0])
    state = optimizer.init(tree)
    leaves, moments = parameters.leaves(tree), parameters.leaves(state)
    before = [xp.asnumpy(leaf).copy() for _, leaf in leaves]
    for step in (1, 2):
        assert optimizer.step(tree, grads, state) is None
        if "t" in state:
            assert_array_equal(xp.asnumpy(state["t"]), step)
    assert all(a is b for (_, a), (_, b) in zip(parameters.leaves(tree), leaves, strict=True))
    assert all(a is b for (_, a), (_, b) in zip(parameters.leaves(state), moments, strict=True))
    assert all((xp.asnumpy(leaf) != old).all() for (_, leaf), old in zip(leaves, before, strict=True))
    assert all(xp.asnumpy(leaf).any() and leaf.dtype == precision for _, leaf in moments)
    for (path, leaf), (_, old) in zip(parameters.leaves(grads), parameters.leaves(gradients[0]), strict=True):
        assert_array_equal(xp.asnumpy(leaf), old, err_msg=path)
    if lr == "array":
        assert_array_equal(xp.asnumpy(rates).ravel(), np.array([0.1, 0.2], precision))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_of_zero_overrides_and_only_the_state_moves(backend, name):
    params, gradients = trees(LAYERS)
    tree, optimizer = device(params), OPTIMIZERS[name](0.5)
    state = optimizer.init(tree)
    optimizer.step(tree, device(gradients[0]), state, lr=0.0)
    for (_, leaf), (_, old) in zip(parameters.leaves(tree), parameters.leaves(params), strict=True):
        assert_array_equal(xp.asnumpy(leaf), old)
    assert all(xp.asnumpy(leaf).any() for _, leaf in parameters.leaves(state))


def test_the_moments_are_scaled_sums(backend):
    """M = m / (1 - beta1) and V = v / (1 - beta2): after two gradients g, h they are beta1 g + h, beta2 g^2 + h^2."""
    p, optimizer = [xp.zeros(2)], Adam(0.1, beta1=0.5, beta2=0.25)
    state = optimizer.init(p)
    for g in ([1.0, -2.0], [3.0, 4.0]):
        optimizer.step(p, [xp.asarray(np.array(g))], state)
    assert_allclose(xp.asnumpy(state["M"][0]), [3.5, 3.0])
    assert_allclose(xp.asnumpy(state["V"][0]), [9.25, 17.0])


@pytest.mark.parametrize("lr", [[0.1, 0.2], [0.1, 0.2, 0.3, 0.4]])
def test_a_list_of_rates_of_another_length_is_refused_and_changes_no_parameter(lr):
    params, gradients = trees(LAYERS)
    tree = device(params)
    optimizer = SGD(lr)
    with pytest.raises(PlasticError, match="do not fit"):
        optimizer.step(tree, gradients[0], optimizer.init(tree))
    for (_, leaf), (_, old) in zip(parameters.leaves(tree), parameters.leaves(params), strict=True):
        assert_array_equal(leaf, old)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_that_lack_a_leaf_are_refused(name):
    params, gradients = trees(LAYERS)
    gradients[0][-1].b = None
    optimizer, tree = OPTIMIZERS[name](0.1), device(params)
    state = optimizer.init(tree)
    with pytest.raises(PlasticError, match="the trees differ"):
        optimizer.step(tree, gradients[0], state)
    for (_, leaf), (_, old) in zip(parameters.leaves(tree), parameters.leaves(params), strict=True):
        assert_array_equal(leaf, old)
    assert not any(leaf.any() for _, leaf in parameters.leaves(state))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_leaves_are_matched_by_path_not_by_order(backend, name):
    optimizer = OPTIMIZERS[name]({"b": 0.1, "a": 0.2})
    p = {"a": xp.zeros(2), "b": xp.zeros(2)}
    optimizer.step(
        p, {"b": xp.asarray(np.array([-1.0, -1.0])), "a": xp.asarray(np.array([1.0, 1.0]))}, optimizer.init(p)
    )
    a, b = (xp.asnumpy(p[key]) for key in "ab")
    assert (a < 0).all() and (b > 0).all()
    assert_allclose(a, -2 * b, rtol=1e-12)


def tree_of(*values):
    return {"layers": [Affine(xp.asarray(np.array([[each]]))) for each in values]}


def numbers_of(tree):
    return [xp.asnumpy(leaf).item() for _, leaf in parameters.leaves(tree)]


def test_arrays_put_into_a_tree_between_steps_are_those_that_learn(backend):
    """What belongs together is kept from step to step, but only as long as it does."""
    optimizer, p, grads = SGD(0.5, momentum=0.5), tree_of(1.0, 2.0), tree_of(1.0, 1.0)
    state = optimizer.init(p)
    optimizer.step(p, grads, state)
    p["layers"][1].W = xp.asarray(np.array([[10.0]]))
    grads["layers"][0].W = xp.asarray(np.array([[4.0]]))
    optimizer.step(p, grads, state)
    assert numbers_of(p) == [0.5 - 0.5 * 4.5, 10 - 0.5 * 1.5]
    assert numbers_of(state) == [4.5, 1.5]
    other = tree_of(3.0, 3.0)
    optimizer.step(other, tree_of(0.0, 0.0), state)
    assert numbers_of(other) == [3 - 0.5 * 2.25, 3 - 0.5 * 0.75] and numbers_of(p)[1] == 10 - 0.5 * 1.5


def test_moments_put_into_a_state_between_steps_are_those_that_count(backend):
    optimizer, p = SGD(1.0, momentum=0.5), tree_of(0.0)
    state = optimizer.init(p)
    optimizer.step(p, tree_of(1.0), state)
    state["m"] = tree_of(8.0)
    optimizer.step(p, tree_of(1.0), state)
    assert numbers_of(p) == [-1.0 - 5.0] and numbers_of(state) == [5.0]
    apart = parameters.copy(state)  # a dict like any other
    optimizer.step(p, tree_of(0.0), apart)
    assert numbers_of(p) == [-6.0 - 2.5] and numbers_of(state) == [5.0]


def test_rates_may_change_between_steps_in_number_and_in_kind(backend):
    rates = [0.5, 0.25]
    optimizer, p, grads = SGD(rates), tree_of(0.0, 0.0)["layers"], tree_of(1.0, 1.0)["layers"]
    state = optimizer.init(p)
    optimizer.step(p, grads, state)
    rates[1] = 1.0
    optimizer.step(p, grads, state)
    assert numbers_of(p) == [-1.0, -1.25]
    optimizer.step(p, grads, state, lr=2.0)
    optimizer.step(p, grads, state, lr={"1": 1.0, "0": 0.5})
    assert numbers_of(p) == [-3.5, -4.25]
    for lr in ([0.5], [0.5, 0.5, 0.5], {"0": 0.5, "2": 0.5}, xp.ones((2,), dtype="float64")):
        with pytest.raises(PlasticError, match=r"do not fit|lr has shape"):
            optimizer.step(p, grads, state, lr=lr)
    assert numbers_of(p) == [-3.5, -4.25]
    for shape in ((), (1,), (1, 1), (1, 1, 1)):  # one number
        optimizer.step(p, grads, state, lr=xp.ones(shape, dtype="float64"))
    assert numbers_of(p) == [-7.5, -8.25]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trees_that_cease_to_fit_are_refused_in_later_steps_too(backend, name):
    optimizer, p = OPTIMIZERS[name](0.1), {"a": xp.zeros((1, 2)), "b": xp.zeros((1, 2))}
    state = optimizer.init(p)
    ones = {key: xp.ones((1, 2)) for key in "ab"}
    optimizer.step(p, ones, state)
    before = numbers_of({"a": xp.sum(p["a"]), "b": xp.sum(p["b"])})
    for bad in ({"a": ones["a"]}, {**ones, "c": ones["a"]}, {"a": ones["a"], "b": None}, list(ones.values())):
        with pytest.raises(PlasticError, match="the trees differ"):
            optimizer.step(p, bad, state)
    with pytest.raises(PlasticError, match="at b, the gradient"):
        optimizer.step(p, {"a": ones["a"], "b": xp.ones((2,))}, state)
    if state:
        with pytest.raises(PlasticError, match="the trees differ"):
            optimizer.step({"a": p["a"]}, {"a": ones["a"]}, state)
        with pytest.raises(PlasticError, match="the gradient or its moments"):
            optimizer.step({"a": xp.zeros((1, 1)), "b": p["b"]}, {"a": xp.ones((1, 1)), "b": ones["b"]}, state)
    assert numbers_of({"a": xp.sum(p["a"]), "b": xp.sum(p["b"])}) == before
    apart = {"b": xp.zeros((1, 2)), "a": xp.zeros((1, 2))}
    optimizer.step(apart, {"b": 0 * ones["b"], "a": ones["a"]}, optimizer.init(p))
    assert (xp.asnumpy(apart["b"]) == 0).all() and (xp.asnumpy(apart["a"]) < 0).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_without_axes(backend, name):
    optimizer = OPTIMIZERS[name](0.1)
    p, expected = [xp.asarray(np.array(0.5))], trajectory(name, np.array(0.5), [np.array(2.0)], 0.1)
    optimizer.step(p, [xp.asarray(np.array(2.0))], optimizer.init(p))
    assert_allclose(xp.asnumpy(p[0]), expected, rtol=1e-12)


def rates(schedule, losses, lr=1.0):
    """The rate after each loss, on the host; losses: one row per step."""
    losses = np.array(losses, float)
    state, found = schedule.init(lr, losses.shape[1:]), []
    for loss in losses:
        assert schedule.step(state, xp.asarray(loss, dtype=xp.float_dtype)) is None
        found.append(xp.asnumpy(state["lr"]).copy())
    assert all(array.dtype == xp.float_dtype and array.shape == losses.shape[1:] for array in state.values())
    return np.array(found)


@pytest.mark.parametrize(
    ("patience", "losses", "expected"),
    [
        (0, [3, 2, 2, 1, 2, 2], [1, 1, 0.5, 0.5, 0.25, 0.125]),
        (1, [3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25]),
        (2, [3, 3, 3, 3, 3, 3, 3], [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        (2, [3, 4, 5, 2, 3, 4, 5], [1, 1, 1, 1, 1, 1, 0.5]),  # a better loss begins the count anew
        (1, [1, 2, 2, 1.5, 0.5, 1, 1], [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]),  # the best of all, not of the last few
    ],
)
def test_a_plateau_by_hand(precision, patience, losses, expected):
    assert_allclose(rates(Plateau(patience, 0.5), losses), expected)


def test_better_is_better_by_a_part_of_the_best(precision):
    """With a threshold of 10 %, 100 -> 91 is not better, 100 -> 89 is; so it is at 1 and 0.01."""
    for scale in (100, 1, 0.01):
        assert_allclose(rates(Plateau(0, 0.5, threshold=0.1), scale * np.array([1, 0.91])), [1, 0.5])
        assert_allclose(rates(Plateau(0, 0.5, threshold=0.1), scale * np.array([1, 0.89])), [1, 1])
    assert_allclose(rates(Plateau(0, 0.5), [1, 1 - 0.9e-4, 1 - 1.2e-4]), [1, 0.5, 0.5])
    assert_allclose(rates(Plateau(0, 0.5, threshold=0.5), [2, 1, 0.75]), [1, 0.5, 0.5])  # by that part is not enough
    assert_allclose(rates(Plateau(0, 0.5), [0, 0]), [1, 0.5])


def test_a_rate_that_would_hardly_change_stays(precision):
    """At 0.04 and below, half of it is not more than eps = 0.02 away; the count begins anew all the same."""
    falling = Plateau(0, 0.5, eps=0.02)
    assert_allclose(rates(falling, [1, 1, 1, 1], lr=0.1), [0.1, 0.05, 0.025, 0.025])
    assert_allclose(rates(Plateau(0, 0.5, eps=0.25), [1, 1]), [1, 0.5])
    assert_allclose(rates(Plateau(0, 0.5, eps=0.5), [1, 1]), [1, 1])
    schedule = Plateau(1, 0.5, eps=1.0)
    state = schedule.init(1.0)
    for _ in range(3):
        schedule.step(state, xp.asarray(np.array(1.0), dtype=xp.float_dtype))
    assert_array_equal(xp.asnumpy(state["bad"]), 0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Plateau(-1, 0.5), "patience is -1"),
        (lambda: Plateau(1.5, 0.5), "patience is 1.5"),
        (lambda: Plateau(1, 0.0), "factor is 0"),
        (lambda: Plateau(1, 1.5), "factor is 1.5"),
        (lambda: Plateau(1, 0.5, threshold=1.0), "threshold is 1"),
        (lambda: Plateau(1, 0.5, threshold=-0.1), "threshold is -0.1"),
        (lambda: Plateau(1, 0.5, eps=-1e-9), "eps is -1e-09"),
        (lambda: Stairs(0, 0.5), "size is 0"),
        (lambda: Stairs(2, 0.0), "factor is 0"),
        (lambda: Stairs(2, 2.0), "factor is 2"),
    ],
)
def test_a_schedule_refuses_constants_out_of_range(make, name):
    with pytest.raises(PlasticError, match=name):
        make()


def test_constants_of_a_plateau_unless_given():
    assert Plateau(2, 0.5) == Plateau(patience=2, factor=0.5, threshold=1e-4, eps=1e-8)


def test_rates_of_the_start_and_a_state_that_is_finite(precision):
    state = Plateau(2, 0.5).init(1e-3, (3, 1))
    assert sorted(state) == ["bad", "best", "lr"]
    assert all(array.shape == (3, 1) and array.dtype == precision for array in state.values())
    assert all(np.isfinite(xp.asnumpy(array)).all() for array in state.values())
    assert_allclose(xp.asnumpy(state["lr"]), 1e-3, rtol=1e-6)


@hypothesis.given(
    losses=st.lists(st.tuples(*[st.sampled_from([0.5, 1.0, 1.5, 2.0])] * 3), min_size=1, max_size=12),
    patience=st.integers(0, 3),
)
def test_each_replica_has_its_own_plateau(precision, losses, patience):
    schedule = Plateau(patience, 0.5)
    together = rates(schedule, np.array(losses)[..., None])
    for replica, own in enumerate(np.transpose(losses)):
        assert_array_equal(together[:, replica, 0], rates(schedule, own))


def test_a_replica_whose_loss_is_not_a_number_leaves_the_others_alone(backend):
    found = rates(Plateau(0, 0.5), [[2, 2], [np.nan, 1], [np.nan, 0.5]])
    assert_allclose(found, [[1, 1], [0.5, 1], [0.25, 1]])


DECAYING = {
    "sgd": SGD(0.1, weight_decay=0.3),
    "momentum": SGD(0.1, momentum=0.9, weight_decay=0.3),
    "adam": Adam(0.03, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.3),
}


@pytest.mark.parametrize("name", DECAYING)
def test_weights_decay_by_what_is_added_to_the_gradient(precision, name):
    """Ten steps, the gradient of each being that of the loss plus weight_decay times the parameter as it then is."""
    params, gradients = trees(LAYERS)
    found = train(DECAYING[name], params, gradients)
    for path, leaf in parameters.leaves(params):
        p, along = leaf.astype(np.float64), []
        for grads in gradients:
            along.append(dict(parameters.leaves(grads))[path] + 0.3 * p)
            p = trajectory(name, leaf.astype(np.float64), along, DECAYING[name].lr)
        assert found[path].dtype == precision
        eps = 1e-5 if precision == "float32" else 1e-12
        assert_allclose(found[path], p, rtol=eps, atol=eps, err_msg=path)


@pytest.mark.parametrize("name", DECAYING)
def test_decay_changes_no_gradient_and_none_is_the_default(backend, name):
    params, gradients = trees(LAYERS)
    tree, grads = device(params), device(gradients[0])
    DECAYING[name].step(tree, grads, DECAYING[name].init(tree))
    for (path, grad), (_, before) in zip(parameters.leaves(grads), parameters.leaves(gradients[0]), strict=True):
        assert_array_equal(xp.asnumpy(grad), before, err_msg=path)
    assert SGD().weight_decay == Adam().weight_decay == 0


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_without_a_gradient_weights_decay(precision, momentum):
    """By a factor 1 - rate weight_decay = 0.9 in the first step; the first step of Adam is its rate."""
    start = np.array([4.0, -0.5])
    for optimizer, expected in (
        (SGD(0.2, momentum=momentum, weight_decay=0.5), 0.9 * start),
        (Adam(0.01, weight_decay=0.5), start - [0.01, -0.01]),
    ):
        p = [xp.asarray(start.copy(), dtype=precision)]
        optimizer.step(p, [xp.zeros_like(p[0])], optimizer.init(p))
        assert_allclose(xp.asnumpy(p[0]), expected, rtol=1e-5)


# misuse


def test_what_would_broadcast_is_refused_before_anything_moves(backend):
    def parameters_of(*shapes):
        return {"layers": [xp.ones(shape, dtype="float64") for shape in shapes]}

    params = parameters_of((3, 4), (1, 4), (4, 4))
    for optimizer in (SGD(0.1), SGD(0.1, momentum=0.9), Adam(0.1)):
        state = optimizer.init(params)
        for shapes in (((3, 4), (1, 4), (1, 4)), ((3, 4), (4,), (4, 4)), ((1, 1), (1, 4), (4, 4))):
            with pytest.raises(PlasticError, match=r"at layers/\d, the gradient"):
                optimizer.step(params, parameters_of(*shapes), state)
        for shape in ((4,), (3, 1), (1, 4), (2, 1, 1)):
            with pytest.raises(PlasticError, match=r"lr has shape"):
                optimizer.step(params, params, state, lr=xp.ones(shape, dtype="float64"))
    for leaf in params["layers"]:
        assert np.all(xp.asnumpy(leaf) == 1)


def test_a_rate_for_each_replica_is_a_number_for_its_matrices(backend):
    W, b = (xp.asarray(np.zeros(shape)) for shape in ((4, 3, 4), (4, 1, 4)))
    grads = [xp.asarray(np.ones(each.shape)) for each in (W, b)]
    rates = np.array([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(PlasticError, match=r"lr has shape \(4,\).*\(4, 1, 1\), one for each replica"):
        SGD(xp.asarray(rates)).step([W, b], grads, {})
    SGD(xp.asarray(rates[:, None, None])).step([W, b], grads, {})
    for each in (W, b):
        np.testing.assert_array_equal(xp.asnumpy(each), -np.broadcast_to(rates[:, None, None], each.shape))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(float("nan")), "lr is nan"),
        (lambda: SGD("0.1"), "lr is '0.1'"),
        (lambda: SGD(0.1, momentum=1.0), "momentum is 1"),
        (lambda: SGD(0.1, weight_decay=-1.0), "weight_decay is -1"),
        (lambda: Adam(0.1, beta1=1.0), "beta1 is 1"),
        (lambda: Adam(0.1, beta2=-0.1), "beta2 is -0.1"),
        (lambda: Adam(0.1, eps=0.0), "eps is 0"),
        (lambda: Adam([0.1, None, "x"]), "lr is 'x'"),
    ],
)
def test_constants_out_of_range_are_refused(make, message):
    with pytest.raises(PlasticError, match=message):
        make()


class Pair(parameters.Flat):
    """W (2, 2) and b (1, 2) of one vector."""

    def __init__(self, flat):
        self.flat, self.form = flat, (2, 2)
        lead = flat.shape[:-1]
        self.tree = {"W": flat[..., :4].reshape(*lead, 2, 2), "b": flat[..., 4:].reshape(*lead, 1, 2)}

    def like(self, flat):
        return Pair(flat)


@pytest.mark.parametrize(
    "optimizer", [SGD(0.1), SGD(0.1, momentum=0.9), Adam(0.1), Adam.without_correction(0.1)], ids=str
)
@pytest.mark.parametrize("lead", [(), (3,)])
def test_a_flat_tree_learns_as_its_leaves_do(backend, optimizer, lead):
    rng = np.random.default_rng(0)
    flat = Pair(xp.asarray(rng.standard_normal((*lead, 6))))
    apart = parameters.map(lambda leaf: leaf.copy(), flat)
    assert isinstance(apart, dict) and [path for path, _ in parameters.leaves(flat)] == ["W", "b"]
    states = [optimizer.init(tree) for tree in (flat, apart)]
    rates = [0.2] if not lead else [0.2, xp.asarray(np.array([0.1, 0.2, 0.3])[:, None, None])]
    for lr in [None, *rates, {"W": 0.5, "b": 0.1}]:
        grads = Pair(xp.asarray(rng.standard_normal((*lead, 6))))
        optimizer.step(flat, grads, states[0], lr=lr)
        optimizer.step(apart, parameters.map(lambda leaf: leaf.copy(), grads), states[1], lr=lr)
    for path, leaf in parameters.leaves(flat):
        np.testing.assert_allclose(xp.asnumpy(leaf), xp.asnumpy(apart[path]), rtol=1e-12)
    with pytest.raises(PlasticError, match="differ"):
        optimizer.step(flat, Pair(xp.asarray(np.zeros((2, 6)))), states[0])


def test_adam_survives_gradients_that_underflow(precision):
    w = xp.asarray(np.ones(3))
    optimizer = Adam(0.1)
    with np.errstate(all="raise"):
        optimizer.step(w, xp.asarray(np.array([1e-30, 0.0, -1e-38])), optimizer.init(w))
    assert np.all(np.isfinite(xp.asnumpy(w)))


def test_clipping_bounds_the_norm_of_the_whole_tree(backend):
    tree = {"W": xp.asarray([[3.0, 0.0], [0.0, 4.0]]), "rest": [xp.asarray([12.0]), None]}
    norm = lambda tree: np.sqrt(sum(np.sum(xp.asnumpy(leaf) ** 2) for _, leaf in parameters.leaves(tree)))  # noqa: E731
    for largest in (0.1, 13.0, 20.0):
        found = clipped(tree, largest)
        assert_allclose(norm(found), min(largest, 13), rtol=1e-6)
        assert_allclose(xp.asnumpy(found["rest"][0]) / norm(found), [12 / 13], rtol=1e-6)
    assert not xp.asnumpy(clipped({"W": xp.zeros((2, 2))}, 1.0)["W"]).any()
    with pytest.raises(PlasticError, match="largest"):
        clipped(tree, 0.0)


@pytest.mark.parametrize("rate", [-0.1, np.nan, {"w": -1.0}, [np.array([[[0.1]], [[-0.1]]])]])
@pytest.mark.parametrize("optimizer", [SGD, Adam, RMSprop])
def test_a_rate_that_leads_uphill_is_refused(optimizer, rate):
    with pytest.raises(PlasticError, match="at least 0"):
        optimizer(rate)


@pytest.mark.parametrize("state", [{}, None, {"m": None}])
def test_a_state_that_was_not_made_by_init_is_told(state):
    w = {"w": xp.asarray([1.0, 2.0])}
    for optimizer in (Adam(0.1), RMSprop(0.1)):
        with pytest.raises(PlasticError, match=r"make it once, by optimizer\.init\(parameters\)"):
            optimizer.step(w, w, state)


def test_stairs_are_as_long_as_each_other(backend):
    """The rate is lowered after every third loss, of each replica alike, and counts from there anew."""
    stairs = Stairs(size=3, factor=0.5)
    state, rates = stairs.init(0.8, (2,)), []
    for loss in range(8):
        stairs.step(state, xp.full((2,), float(loss), dtype=xp.float_dtype))
        rates.append(xp.asnumpy(state["lr"]).copy())
    expected = 0.8 * 0.5 ** np.array([0, 0, 1, 1, 1, 2, 2, 2])
    assert_allclose(rates, np.stack([expected, expected], axis=1), rtol=1e-6)
