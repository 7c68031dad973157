"""One public face: every family, network and rule is walked through the same lines, and through the same misuse.

What sets the families apart is in tests/faces/<family>.py, as a list CASES.
"""

import copy
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import plastic
from plastic import check, parameters, require, xp
from plastic.errors import PlasticError
from plastic.optimizers import SGD, Adam

FACES = sorted(path.stem for path in (Path(__file__).parent / "faces").glob("*.py") if path.stem != "case")
CASES = [case for name in FACES for case in importlib.import_module(f"faces.{name}").CASES]
WITH_RULE = [(case, rule) for case in CASES for rule in case.rules]
cases = pytest.mark.parametrize("case", CASES, ids=str)
cases_and_rules = pytest.mark.parametrize(("case", "rule"), WITH_RULE, ids=lambda value: str(value))


def host(tree):
    return {path: xp.asnumpy(leaf) for path, leaf in parameters.leaves(tree)}


def batch_of(case, seed=1, lead=()):
    return tuple(xp.asarray(each) for each in case.batch(np.random.default_rng(seed), lead))


def called(case, rule, net, x, y, **more):
    constants = case.rules[rule]
    return case.family.RULES[rule](net, x, y, **(constants(net) if callable(constants) else constants), **more)


def assert_close(found, expected, tolerance):
    """Of two trees on the host: differences relative to the largest entry of each leaf."""
    assert found.keys() == expected.keys()
    for path, leaf in expected.items():
        np.testing.assert_allclose(found[path], leaf, rtol=0, atol=tolerance * max(np.abs(leaf).max(), 1e-12))


def test_every_family_has_a_face():
    assert FACES == sorted(plastic.FAMILIES)
    for name in FACES:
        family = getattr(plastic, name)
        walked = [case for case in CASES if case.family is family]
        assert {case.network for case in walked} == set(family.NETWORKS)
        assert {rule for case in walked for rule in case.rules} == set(family.RULES)
        assert {step for case in walked for step in case.steps} == set(family.STEPS)
        for table in (family.NETWORKS, family.RULES, family.STEPS):
            for key, function in table.items():
                assert inspect.isfunction(function) and key == key.lower()
                assert function.__name__ in family.__all__ or function.__name__ == key


@cases
def test_a_network_is_made_and_predicts(backend, case):
    net = case.make(np.random.default_rng(0))
    assert "\n" not in repr(net) and len(repr(net)) < 120 and "array" not in repr(net)
    assert all(leaf.dtype == xp.float_dtype for _, leaf in parameters.leaves(net.parameters))
    assert parameters.leaves(net.parameters)
    x, _ = batch_of(case)
    output = case.family.predict(net, x, **case.predict)
    assert output.shape == (*x.shape[:-1], case.outputs)
    again = case.family.predict(case.make(np.random.default_rng(0)), x, **case.predict)
    np.testing.assert_array_equal(xp.asnumpy(output), xp.asnumpy(again))  # the same seed, the same network


@cases_and_rules
def test_the_five_sentences(backend, case, rule):
    net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
    before = host(parameters.copy(net.parameters))
    x_before, y_before = xp.asnumpy(x).copy(), xp.asnumpy(y).copy()
    grads, output = called(case, rule, net, x, y)
    assert_close(host(net.parameters), before, 0)
    np.testing.assert_array_equal(xp.asnumpy(x), x_before)
    np.testing.assert_array_equal(xp.asnumpy(y), y_before)
    require.tree("grads", grads, net.parameters)
    assert any(np.any(leaf) for leaf in host(grads).values())
    assert all(np.all(np.isfinite(leaf)) for leaf in host(grads).values())
    assert output.shape[-1] <= case.outputs and output.shape[: x.ndim - 1] == x.shape[:-1]
    for other in case.rules:
        measured = check.cosine(grads, called(case, other, net, x, y)[0])
        assert measured.keys() == before.keys()
    for optimizer in (SGD(0.01), SGD(0.01, momentum=0.9), Adam(0.01)):
        fresh = case.make(np.random.default_rng(0))
        optimizer.step(fresh.parameters, grads, optimizer.init(fresh.parameters))
        moved = host(fresh.parameters)
        for path, gradient in host(grads).items():
            changed = moved[path] - before[path]
            assert np.all(changed * gradient <= 0) and (np.any(changed) or not np.any(gradient))
        predicted = xp.asnumpy(case.family.predict(fresh, x, **case.predict))
        assert np.all(np.isfinite(predicted))


@cases_and_rules
def test_gradients_are_means_over_the_batch(backend, case, rule):
    net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
    axis = 0 if case.labels else -2
    twice = xp.concatenate([x, x], axis=-2), xp.concatenate([y, y], axis=axis)
    once, both = (host(called(case, rule, net, *each)[0]) for each in ((x, y), twice))
    assert_close(both, once, 1e-9)


@cases_and_rules
def test_replicas_share_inputs_or_targets(backend, case, rule):
    if not case.replicas:
        return
    net = case.make([np.random.default_rng(seed) for seed in (0, 1)])
    x, y = batch_of(case, lead=(2,))
    x_of_both, y_of_both = (xp.stack([each[0], each[0]]) for each in (x, y))
    for shared, own in (((x[0], y), (x_of_both, y)), ((x, y[0]), (x, y_of_both))):
        found, expected = (host(called(case, rule, net, *each)[0]) for each in (shared, own))
        assert_close(found, expected, 1e-9)


@cases_and_rules
def test_a_replica_does_not_depend_on_who_runs_beside_it(backend, case, rule):
    generators = [np.random.default_rng(seed) for seed in (0, 1)]
    if not case.replicas:
        with pytest.raises(PlasticError):
            case.make(generators)
        return
    together = case.make(generators)
    assert together.replicas == (2,) and case.make(generators[0]).replicas == ()
    x, y = batch_of(case, lead=(2,))
    grads, output = called(case, rule, together, x, y)
    for replica in range(2):
        alone = case.make(np.random.default_rng(replica))
        grads_alone, output_alone = called(case, rule, alone, x[replica], y[replica])
        of_replica = {path: leaf[replica] for path, leaf in host(grads).items()}
        assert_close(of_replica, host(grads_alone), case.tolerance)
        assert_close({"": xp.asnumpy(output)[replica]}, {"": xp.asnumpy(output_alone)}, case.tolerance)


@cases_and_rules
def test_buffers_change_nothing(backend, case, rule):
    if "out" not in inspect.signature(case.family.RULES[rule]).parameters:
        return
    net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
    grads, _ = called(case, rule, net, x, y)
    buffer = parameters.zeros_like(net.parameters)
    for _, leaf in parameters.leaves(buffer):
        leaf[...] = float("nan")  # a result never depends on what a buffer held before
    written, _ = called(case, rule, net, x, y, out=buffer)
    assert written is buffer
    assert_close(host(buffer), host(grads), 1e-12)
    with pytest.raises(PlasticError):
        called(case, rule, net, x, y, out=[])


@cases_and_rules
def test_ordinary_input_raises_nothing_under_a_strict_errstate(precision, case, rule):
    net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
    with np.errstate(all="raise"):
        for scale in (1.0, 1e-3, 0.0):
            grads, _ = called(case, rule, net, x if x.dtype == bool else x * scale, y)
            optimizer = Adam(0.01)
            optimizer.step(parameters.copy(net.parameters), grads, optimizer.init(net.parameters))
        case.family.predict(net, x, **case.predict)


def _misused(case, x, y):
    """Yield (what, x, y) of calls that must be refused."""
    n, wide = x.shape[-1], xp.concatenate([x, x], axis=-1)
    yield "x wider than the network", wide, y
    yield "x a list", xp.asnumpy(x).tolist(), y
    yield "x None", None, y
    yield "x of another precision", x.astype("float32"), y
    yield "an empty batch", x[..., :0, :], (y[:0] if case.labels else y[..., :0, :])
    yield "one sample without a batch", x.reshape(-1, n)[0], y
    yield "complex x", x.astype("complex128"), y
    for kind in ("uint8", "int64") if case.spikes else ("uint8", "bool", "int64"):
        yield f"{kind} x", x.astype(kind), y
    if n % 2 == 0 and not case.time:
        yield "images not flattened", x.reshape(*x.shape[:-1], 2, n // 2), y
    if case.labels:
        yield "labels of another batch", x, xp.concatenate([y, y])
        if isinstance(y, np.ndarray):  # on a device they are not read
            yield "labels out of range", x, y + case.outputs
        yield "labels as a column", x, y[:, None]
        return
    labels = xp.argmax(y, axis=-1)
    yield "y of another precision", x, y.astype("float32")
    yield "y of one row", x, y[..., :1, :]
    yield "y of another batch", x, xp.concatenate([y, y], axis=-2)
    yield "labels", x, labels
    yield "a column of labels", x, labels[..., None]
    yield "a column of float labels", x, labels[..., None].astype(y.dtype)
    yield "integer y", x, y.astype("int64")
    yield "more columns than outputs", x, xp.concatenate([y, y], axis=-1)
    yield "y None", x, None
    if not case.few and case.outputs > 1:
        yield "too few columns", x, y[..., :-1]


@cases_and_rules
def test_misuse_is_told(backend, case, rule):
    net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
    before = host(parameters.copy(net.parameters))
    for what, bad_x, bad_y in _misused(case, x, y):
        with pytest.raises(PlasticError) as told:
            called(case, rule, net, bad_x, bad_y)
            pytest.fail(f"not refused: {what}")
        assert "\n" not in str(told.value), what
    constants = case.rules[rule](net) if callable(case.rules[rule]) else case.rules[rule]
    for bad in (None, net.parameters):
        with pytest.raises(PlasticError, match="net is a"):
            case.family.RULES[rule](bad, x, y, **constants)
    if case.replicas:
        with pytest.raises(PlasticError, match="replica"):
            called(case, rule, case.make([np.random.default_rng(seed) for seed in (0, 1)]), *batch_of(case, lead=(3,)))
    assert_close(host(net.parameters), before, 0)


@cases
def test_misuse_of_the_network_is_told(backend, case):
    net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
    for what, call in case.misuse.items():
        with pytest.raises(PlasticError) as told:
            call(net, x, y)
            pytest.fail(f"not refused: {what}")
        assert "\n" not in str(told.value), what
    make = case.family.NETWORKS[case.network]
    generator = np.random.default_rng(0)
    for sizes in ((), (3,), 5, (*case.sizes[:-1], 0), (*case.sizes[:-1], -2), (*case.sizes[:-1], 2.5), "784"):
        if sizes == (3,) and case.positional:
            continue  # sizes of what follows convolutions: one will do
        with pytest.raises(PlasticError):
            make(*case.positional, sizes, generator, **case.constants)
    for seed in (1, None, "1", [1, 2], []):
        with pytest.raises(PlasticError, match="generator"):
            make(*case.positional, case.sizes, seed, **case.constants)
    for bad in (None, [1.0], x.astype("int64"), x[..., :0, :], x.astype("float32")):
        with pytest.raises(PlasticError):
            case.family.predict(net, bad, **case.predict)
    with pytest.raises(PlasticError, match="net is a"):
        case.family.predict(net.parameters, x, **case.predict)


@cases
def test_a_step_gives_gradients_and_output(backend, case):
    for name, take in case.steps.items():
        net, (x, y) = case.make(np.random.default_rng(0)), batch_of(case)
        before = host(parameters.copy(net.parameters))
        grads, output = take(net, x, y)
        require.tree("grads", grads, net.parameters)
        assert output.shape[-1] == case.outputs, name
        assert_close(host(net.parameters), before, 0)


@cases
def test_a_deep_copy_learns_as_the_network_does_and_leaves_it_alone(case):
    """Where arrays of a network are views of others, those of the copy are views of its own."""
    xp.use(dtype="float64")
    net, again, (x, y) = (*(case.make(np.random.default_rng(0)) for _ in range(2)), batch_of(case))
    twin, before = copy.deepcopy(net), host(parameters.copy(net.parameters))
    assert repr(twin) == repr(net)
    for each in (twin, again):
        optimizer = Adam(0.01)
        moments = optimizer.init(each.parameters)
        for rule in case.rules:
            optimizer.step(each.parameters, called(case, rule, each, x, y)[0], moments)
    assert_close(host(twin.parameters), host(again.parameters), 1e-9)
    learned = [xp.asnumpy(case.family.predict(each, x, **case.predict)) for each in (twin, again)]
    np.testing.assert_allclose(*learned, rtol=1e-7, atol=1e-9)
    assert_close(host(net.parameters), before, 0)


@pytest.mark.parametrize("learn_tau", [False, True])
def test_a_copied_state_goes_on_by_itself(learn_tau):
    gle = plastic.gle
    constants = {"phi": "tanh", "tau_m": 1.0, "tau_r": 0.2, "dt": 0.1, "learn_tau": learn_tau}
    net = gle.network((3, 4, 4, 2), np.random.default_rng(0), **constants)
    x = xp.asarray(np.random.default_rng(1).standard_normal((9, 5, 3)))
    state = gle.State(net, 5)
    gle.predict(net, x[:4], state=state)
    found = copy.deepcopy({"net": net, "state": state})
    assert found["state"].net is found["net"]
    expected = gle.predict(net, x[4:], state=state)
    at_rest = gle.predict(net, x[4:])
    np.testing.assert_allclose(gle.predict(found["net"], x[4:], state=found["state"]), expected, rtol=1e-5)
    assert not np.allclose(expected, at_rest)


def test_states_that_cannot_be_copied_say_what_to_do_instead():
    pc, ep, rng = plastic.pc, plastic.ep, np.random.default_rng(0)
    x, y = xp.asarray(rng.random((4, 3))), xp.asarray(rng.random((4, 2)))
    net = pc.network((3, 5, 2), rng, phi="tanh")
    for kind in (pc.State, pc.FreeState):
        state, other = kind(net, x, y), kind(net, x, y)
        pc.infer(net, state, x, 3)
        with pytest.raises(PlasticError, match=r"cannot be copied.*other\.moving\[\.\.\.\] = state\.moving"):
            copy.deepcopy(state)
        other.moving[...] = state.moving
        expected = pc.infer(net, state, x, 2)
        np.testing.assert_allclose(pc.infer(net, other, x, 2), expected, rtol=1e-5)
    net = ep.prototypical((3, 5, 2), rng)
    state, other = ep.Relaxation(net, x), ep.Relaxation(net, x)
    state.run(3)
    with pytest.raises(PlasticError, match=r"cannot be copied.*other\.restore\(relaxation\.state\(\)\)"):
        copy.deepcopy(state)
    other.restore(state.state())
    for each in (state, other):
        each.run(2)
    np.testing.assert_allclose(other.output, state.output, rtol=1e-5)


@cases
def test_networks_are_equal_to_themselves_alone_and_may_be_keys(case):
    """To compare their arrays is what `check` is for: == would ask an array whether it is true."""
    net, twin = (case.make(np.random.default_rng(0)) for _ in range(2))
    assert net == net != twin and net in [twin, net] and {net: 1}[net] == 1
