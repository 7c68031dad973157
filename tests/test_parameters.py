"""Trees of arrays: paths, maps, copies, assignment."""

import collections
import dataclasses

import numpy as np
import pytest

from plastic import parameters, xp
from plastic.errors import PlasticError
from plastic.parameters import Affine


@dataclasses.dataclass
class Cell:
    layers: list
    tau: object
    extra: dict


def make(seed=0):
    draw = np.random.default_rng(seed).normal
    layers = [
        Affine(xp.asarray(draw(size=(2, 3))), xp.asarray(draw(size=(1, 3)))),
        Affine(xp.asarray(draw(size=(3, 3)))),
    ]
    return Cell(layers, xp.asarray(np.array(0.5)), {"mask": (xp.asarray(draw(size=3)), None)})


PATHS = ["layers/0/W", "layers/0/b", "layers/1/W", "tau", "extra/mask/0"]


def host(tree):
    return {path: xp.asnumpy(leaf) for path, leaf in parameters.leaves(tree)}


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for path in expected:
        np.testing.assert_array_equal(found[path], expected[path])


def test_leaves_have_paths_in_the_order_of_the_tree(backend):
    tree = make()
    found = parameters.leaves(tree)
    assert [path for path, _ in found] == PATHS
    assert found[0][1] is tree.layers[0].W
    assert found[-1][1] is tree.extra["mask"][0]


def test_an_array_is_a_tree_and_none_is_an_empty_one(backend):
    x = xp.ones(3)
    (leaf,) = parameters.leaves(x)
    assert leaf == ("", x) or (leaf[0] == "" and leaf[1] is x)
    assert parameters.leaves(None) == parameters.leaves([]) == parameters.leaves({"a": None}) == []
    assert parameters.map(lambda leaf: leaf, None) is None
    assert parameters.map(lambda leaf: 2 * leaf, x).shape == (3,)


def test_map_keeps_the_shape_of_the_tree(precision):
    tree = make()
    doubled = parameters.map(lambda a: 2 * a, tree)
    assert isinstance(doubled, Cell) and isinstance(doubled.layers[0], Affine)
    assert isinstance(doubled.layers, list) and isinstance(doubled.extra["mask"], tuple)
    assert doubled.layers[1].b is None and doubled.extra["mask"][1] is None
    assert_equal(host(doubled), {path: 2 * leaf for path, leaf in host(tree).items()})
    assert all(leaf.dtype == precision for _, leaf in parameters.leaves(doubled))


def test_named_tuples_are_trees():
    Pair = collections.namedtuple("Pair", "W b")
    found = parameters.map(lambda a, b: a - b, Pair(3.0, [1.0]), Pair(1.0, [1.0]))
    assert found == Pair(2.0, [0.0]) and isinstance(found, Pair)


def test_map_over_several_trees_meets_leaves_of_the_same_path(backend):
    a, b, c = make(0), make(1), make(2)
    result = host(parameters.map(lambda a, b, c: a * b - c, a, b, c))
    a, b, c = host(a), host(b), host(c)
    assert_equal(result, {path: a[path] * b[path] - c[path] for path in PATHS})


W, b = np.ones((2, 2)), np.ones((1, 2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Affine(W, b), Affine(W)),
        (Affine(W), Affine(W, b)),
        ([W, b], [W]),
        ([W], [W, b]),
        ({"a": W}, {"b": W}),
        ({"a": W}, {"a": W, "b": W}),
        ([W], W),
        (W, [W]),
        (W, None),
        (None, W),
        (W, Affine(W)),
    ],
)
def test_map_over_trees_that_differ(one, other):
    with pytest.raises(PlasticError, match="the trees differ"):
        parameters.map(lambda x, y: x, one, other)
    with pytest.raises(PlasticError, match="the trees differ"):
        parameters.map(lambda x, y, z: x, one, one, other)


def test_a_copy_is_independent(precision):
    tree = make()
    before = host(parameters.copy(tree))
    copied = parameters.copy(tree)
    for _, leaf in parameters.leaves(copied):
        leaf[...] = 7.0
    assert_equal(host(tree), before)
    assert all((leaf == 7.0).all() for leaf in host(copied).values())
    assert all(leaf.dtype == precision for _, leaf in parameters.leaves(copied))


def test_zeros_like(precision):
    tree = make()
    zeros = parameters.zeros_like(tree)
    assert [path for path, _ in parameters.leaves(zeros)] == PATHS
    for (_, zero), (_, leaf) in zip(parameters.leaves(zeros), parameters.leaves(tree), strict=True):
        assert (zero.shape, zero.dtype) == (leaf.shape, leaf.dtype)
        assert not xp.asnumpy(zero).any()


def test_assign_writes_in_place_from_host_or_device(precision):
    tree, other = make(0), make(1)
    held = dict(parameters.leaves(tree))
    parameters.assign(tree, dict(parameters.leaves(other)))
    assert_equal(host(tree), host(other))
    arrays = {path: np.full(leaf.shape, 0.25, dtype="float64") for path, leaf in held.items()}
    parameters.assign(tree, arrays)
    assert_equal(host(tree), arrays)
    assert all(leaf is held[path] and leaf.dtype == precision for path, leaf in parameters.leaves(tree))


@pytest.mark.parametrize("spoil", ["missing", "left over", "shape"])
def test_assign_complains_before_it_writes(backend, spoil):
    tree = make()
    before = host(parameters.copy(tree))
    arrays = {path: np.zeros(leaf.shape) for path, leaf in parameters.leaves(tree)}
    if spoil == "missing":
        named = "extra/mask/0"
        del arrays[named]
    elif spoil == "left over":
        named = "layers/2/W"
        arrays[named] = np.zeros(3)
    else:
        named = "extra/mask/0"  # the last one: an earlier leaf must not have been written
        arrays[named] = np.zeros((1, 3))
    with pytest.raises(PlasticError, match=named):
        parameters.assign(tree, arrays)
    assert_equal(host(tree), before)


def test_stack_adds_a_replica_axis(precision):
    trees = [make(seed) for seed in range(3)]
    stacked = parameters.stack(trees)
    assert isinstance(stacked, Cell) and stacked.layers[1].b is None
    assert_equal(host(stacked), {path: np.stack([host(tree)[path] for tree in trees]) for path in PATHS})
    assert all(leaf.dtype == precision for _, leaf in parameters.leaves(stacked))
    trees[1].layers[0].b = None
    with pytest.raises(PlasticError, match="the trees differ"):
        parameters.stack(trees)


def test_one_replica_has_no_axis_and_several_are_stacked(precision):
    trees = [make(seed) for seed in range(3)]
    assert parameters.stack_replicas(trees[:1]) is trees[0]
    assert_equal(host(parameters.stack_replicas(trees)), host(parameters.stack(trees)))
    assert_equal(host(parameters.stack_replicas(trees[:2])), host(parameters.stack(trees[:2])))


def test_pairs_are_leaves_side_by_side_and_nothing_of_trees_that_differ():
    a = {"layers": [Affine(1.0, None), Affine(2.0, 3.0)], "tau": (4.0,)}
    twin = parameters.map(lambda leaf: -leaf, a)
    assert parameters.pairs(a, twin) == [(1.0, -1.0), (2.0, -2.0), (3.0, -3.0), (4.0, -4.0)]
    assert parameters.pairs(5.0, 6.0) == [(5.0, 6.0)] and parameters.pairs([], []) == []
    assert parameters.pairs({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}) is None
    layers = a["layers"]
    for other in (
        {"layers": layers},
        {"layers": layers, "tau": (4.0, 5.0)},
        {"layers": layers, "tau": 4.0},
        {"layers": layers, "tau": None},
        {"layers": [Affine(1.0, 1.0), layers[1]], "tau": (4.0,)},
        {"layers": [layers[0], Affine(2.0, None)], "tau": (4.0,)},
        {"layers": layers, "tau_m": (4.0,)},
        1.0,
    ):
        assert parameters.pairs(a, other) is None and parameters.pairs(other, a) is None


def test_a_replica_of_a_tree_is_one_of_views(backend):
    tree = {"layers": [Affine(xp.zeros((3, 2, 4)), None)], "t": xp.zeros(())}
    one, some = parameters.replica(tree, 1), parameters.replica(tree, slice(1, 3))
    assert one["layers"][0].W.shape == (2, 4) and some["layers"][0].W.shape == (2, 2, 4)
    assert one["layers"][0].b is None and one["t"] is some["t"] is tree["t"]
    some["layers"][0].W[1] = xp.asarray(np.array(5.0), dtype=one["layers"][0].W.dtype)
    W = xp.asnumpy(tree["layers"][0].W)
    assert (W[2] == 5).all() and (W[:2] == 0).all()
