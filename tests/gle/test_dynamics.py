"""One Euler step of a network against its equations layer by layer, and what must hold of states and replicas."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from plastic import functions, parameters, xp
from plastic.errors import PlasticError
from plastic.gle.dynamics import advance, evolve, forget_errors, predict, step, step_through_all_layers
from plastic.gle.networks import Network, network, uniform_layers
from plastic.gle.parameters import Parameters
from plastic.gle.state import State, histories
from plastic.optimizers import Adam
from plastic.parameters import Affine

STEP = {False: step, True: step_through_all_layers}
PHI = [functions.tanh, functions.linear, functions.softplus, functions.sigmoid]
FORMULAS = {
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "linear": (lambda u: u, np.ones_like),
    "softplus": (lambda u: np.logaddexp(u, 0), expit),
    "sigmoid": (expit, lambda u: expit(u) * expit(-u)),
}
KEPT = ("u", "v", "r", "q", "E")
SEEN = (*KEPT, "u_ahead", "e_ahead")
OPTIONS = st.fixed_dictionaries({name: st.booleans() for name in ("bias", "gamma", "prospective", "learn_tau")})
RUNS = [[1, 1, 1], [1, 2, 2, 1], [3, 3, 3, 3], [2, 3, 3, 3, 1], [2, 2, 1, 1], [1, 1, 3, 3, 3]]  # layers of one shape
SIZES = st.one_of(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.sampled_from(RUNS))


def draw(rng, sizes=(2, 3, 4, 2), lead=(), bias=True, gamma=True, equal=False, phi=None, **options):
    """The arguments of `Network.from_layers`: weights of both signs, time constants of 2 to 10 steps.

    equal: whether tau_r is tau_m; with "leaky", it is so in some neurons, and dt in the others.
    """
    layers = [
        Affine(rng.standard_normal((*lead, a, b)), rng.standard_normal((*lead, 1, b)) if bias else None)
        for a, b in itertools.pairwise(sizes)
    ]
    shape = (*lead, 1, sum(sizes[1:]))
    tau_m, tau_r = rng.uniform(0.2, 1, shape), rng.uniform(0.2, 1, shape)
    if equal == "leaky":
        equal, tau_r = False, np.where(rng.random(shape) < 0.5, tau_m, 0.1)
    nudge = rng.uniform(0.1, 0.9, shape) if gamma else 0.0
    phi = phi or [PHI[k] for k in rng.integers(0, len(PHI), len(layers))]
    taus = {"tau_m": tau_m, "tau_r": tau_m.copy() if equal else tau_r}
    return {"layers": layers, "phi": phi, "dt": 0.1, "gamma": nudge} | taus | options


def one_of(host, index):
    """The arguments of one replica alone."""
    layers = [Affine(each.W[index], None if each.b is None else each.b[index]) for each in host["layers"]]
    arrays = {name: value[index] for name, value in host.items() if isinstance(value, np.ndarray)}
    return host | {"layers": layers} | arrays


def drawn(rng, sizes, T, batch, lead=()):
    """Inputs and errors of T steps, on the host; no error in every third step."""
    x, error = (rng.standard_normal((T, *lead, batch, n)) for n in (sizes[0], sizes[-1]))
    return [(x[t], None if t % 3 == 2 else error[t]) for t in range(T)]


def device(array):
    return None if array is None else xp.asarray(array.copy(), dtype=xp.float_dtype)


def take(net, state, given, step=step):
    """Take steps; return, for each, what it returned, left in the state, and gave as gradients, on the host."""
    grads, found = parameters.zeros_like(net.parameters), []
    for x, err in given:
        written, output = step(net, state, device(x), device(err), out=grads)
        assert written is grads
        arrays = [output, *(getattr(state, name) for name in SEEN), grads.flat]
        assert all(array.dtype == xp.float_dtype for array in arrays)
        found.append([xp.asnumpy(array).copy() for array in arrays])
    return found


def kept(state):
    return {name: xp.asnumpy(array).copy() for name, array in state.tree.items()}


def close(found, expected, tolerance=1e-10):
    """Compare lists of lists of arrays, each relative to its largest entry where that is above 1."""
    for a_step, b_step in zip(found, expected, strict=True):
        for a, b in zip(a_step, b_step, strict=True):
            assert a.shape == b.shape
            assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))


# one step


def literal(host, states, x, err):
    """One step by the equations, layer by layer and sample by sample; states: [{u, v, r, q, E}] of the layers."""
    layers, dt, new, grads = host["layers"], host["dt"], [], ([], [], [])
    ends = np.cumsum([0, *(layer.W.shape[1] for layer in layers)])
    for k, (layer, old) in enumerate(zip(layers, states, strict=True)):
        part = slice(ends[k], ends[k + 1])
        tau_m, tau_r, gamma = (
            np.broadcast_to(host[name], (1, ends[-1]))[:, part] for name in ("tau_m", "tau_r", "gamma")
        )
        E = old["E"] if k < len(layers) - 1 else 0 * old["u"] if err is None else -err
        e = E * old["q"]
        v_dot = (e - old["v"]) / tau_r
        v, e_ahead = (old["v"] + dt * v_dot, old["v"] + tau_m * v_dot) if host["prospective"] else (e, e)
        rho = x if k == 0 else states[k - 1]["r"]
        current = rho @ layer.W + (0 if layer.b is None else layer.b) + gamma * e_ahead
        u_dot = (current - old["u"]) / tau_m
        u_ahead = old["u"] + tau_r * u_dot
        value, slope = FORMULAS[host["phi"][k].name]
        new.append({"u": old["u"] + dt * u_dot, "v": v, "r": value(u_ahead), "q": slope(u_ahead), "E": E})
        new[k] |= {"u_ahead": u_ahead, "e_ahead": e_ahead}
        grads[0].append(-np.mean([np.outer(rho[b], e_ahead[b]) for b in range(len(x))], axis=0).ravel())
        grads[1].append(-e_ahead.mean(axis=0))
        grads[2].append((e_ahead * u_dot).mean(axis=0))
    for k in range(len(layers) - 1):
        new[k]["E"] = new[k + 1]["e_ahead"] @ layers[k + 1].W.T
    wanted = grads[0] + grads[1] * (layers[0].b is not None) + grads[2] * host["learn_tau"]
    return new, [states[-1]["r"], *(np.hstack([layer[name] for layer in new]) for name in SEEN), np.concatenate(wanted)]


@hypothesis.given(seed=st.integers(0, 10_000), sizes=SIZES, batch=st.integers(1, 4), options=OPTIONS)
def test_a_step_is_its_equations(precision, seed, sizes, batch, options):
    rng = np.random.default_rng(seed)
    host, given = draw(rng, sizes, **options), drawn(rng, sizes, 6, batch)
    network = Network.from_layers(**host)
    states, expected = [{name: np.zeros((batch, n)) for name in KEPT} for n in sizes[1:]], []
    for x, error in given:
        states, arrays = literal(host, states, x, error)
        expected.append(arrays)
    close(take(network, State(network, batch), given), expected, 1e-12 if precision == "float64" else 1e-4)


@pytest.mark.parametrize("through_all", [False, True])
@pytest.mark.parametrize("learn_tau", [False, True])
def test_a_step_changes_the_state_and_the_gradients_and_nothing_else(precision, learn_tau, through_all):
    rng = np.random.default_rng(0)
    network = Network.from_layers(**draw(rng, learn_tau=learn_tau))
    state, grads = State(network, 3), parameters.zeros_like(network.parameters)
    take_step = step_through_all_layers if through_all else step
    given = [tuple(map(device, pair)) for pair in drawn(rng, network.sizes, 5, 3)]
    for x, error in given:
        held = (network.parameters.flat, network.tau_m, network.tau_r, network.gamma, x, error)
        before = [xp.asnumpy(array).copy() for array in held]
        was = kept(state)
        _, output = take_step(network, state, x, error, out=grads)
        returned = xp.asnumpy(output).copy()
        for array, old in zip(held, before, strict=True):
            assert_array_equal(xp.asnumpy(array), old)
        now = kept(state)
        assert all((now[name] != was[name]).any() for name in ("u", "r", "q"))
    assert all((now[name] != was[name]).any() for name in KEPT)
    assert (xp.asnumpy(grads.flat) != 0).all()
    if not through_all:
        assert_array_equal(returned, was["r"][:, -2:])
        step(network, state, x, error)
        assert_array_equal(xp.asnumpy(output), returned)  # a copy, not a view of the state


def test_gradients_do_not_change_the_step_and_do_not_depend_on_what_was_there(backend):
    rng = np.random.default_rng(1)
    network = Network.from_layers(**draw(rng, learn_tau=True))
    a, b, c = (State(network, 3) for _ in range(3))
    full = parameters.zeros_like(network.parameters)
    full.flat[...] = 9.0
    for x, error in drawn(rng, network.sizes, 4, 3):
        output = evolve(network, a, device(x), device(error))
        grads, with_new = step(network, b, device(x), device(error))
        _, with_old = step(network, c, device(x), device(error), out=full)
        for name, array in kept(a).items():
            assert_array_equal(array, kept(b)[name])
        for other in (with_new, with_old):
            assert_array_equal(xp.asnumpy(output), xp.asnumpy(other))
        assert_array_equal(xp.asnumpy(grads.flat), xp.asnumpy(full.flat))


def test_the_first_step_sends_no_errors(backend):
    rng = np.random.default_rng(2)
    network = Network.from_layers(**draw(rng))
    ((x, err),) = drawn(rng, network.sizes, 1, 3)
    state = State(network, 3)
    grads, output = step(network, state, device(x), device(err))
    assert_array_equal(xp.asnumpy(output), 0)
    assert_array_equal(xp.asnumpy(grads.flat), 0)
    assert_array_equal(xp.asnumpy(state.E)[:, :-2], 0)


@pytest.mark.parametrize("through_all", [False, True])
def test_instantaneous_neurons_are_a_static_network_after_as_many_steps_as_layers(backend, through_all):
    """With tau_r = tau_m and without nudges, rates go up by a layer in each step, or by all at once."""
    rng = np.random.default_rng(3)
    host = draw(rng, equal=True, gamma=False, phi=[functions.tanh, functions.softplus, functions.sigmoid])
    network, x = Network.from_layers(**host), rng.standard_normal((5, 2))
    a = x
    for layer, phi in zip(host["layers"], host["phi"], strict=True):
        a = FORMULAS[phi.name][0](a @ layer.W + layer.b)
    state, outputs = State(network, 5), []
    for _ in range(5):
        outputs.append(xp.asnumpy(STEP[through_all](network, state, device(x))[1]).copy())
    first = 0 if through_all else 3
    for t, out in enumerate(outputs):
        assert np.allclose(out, a, rtol=0, atol=1e-13) == (t >= first)


def test_a_leaky_integrator_is_where_tau_r_is_dt(backend):
    """Then the prospective potential is the new membrane potential itself."""
    rng = np.random.default_rng(4)
    network = Network.from_layers(**draw(rng) | {"tau_r": 0.1})
    state = State(network, 3)
    take(network, state, drawn(rng, network.sizes, 5, 3))
    assert_allclose(xp.asnumpy(state.u_ahead), xp.asnumpy(state.u), rtol=0, atol=1e-14)


@pytest.mark.parametrize("through_all", [False, True])
def test_a_membrane_follows_a_constant_input_exponentially(backend, through_all):
    """u = I (1 - (1 - dt / tau_m)^t), and the prospective potential is ahead by tau_r du/dt."""
    layer = Affine(np.array([[2.0]]))
    network = Network.from_layers([layer], [functions.linear], 0.5, 0.2, 0.1)
    state, x = State(network, 1), device(np.array([[1.5]]))
    for t in range(1, 8):
        STEP[through_all](network, state, x)
        u = 3 * (1 - 0.8 ** np.array([t - 1, t]))
        assert_allclose(xp.asnumpy(state.u), u[1])
        assert_allclose(xp.asnumpy(state.r), u[0] + 0.2 * (3 - u[0]) / 0.5)


# replicas


@hypothesis.settings(max_examples=25)
@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=SIZES,
    lead=st.sampled_from([(3,), (1,), (2, 3)]),
    options=OPTIONS,
    through_all=st.booleans(),
)
def test_replicas_equal_separate_runs(backend, seed, sizes, lead, options, through_all):
    """Also with as many replicas as samples and units, where wrong broadcasting hides."""
    rng = np.random.default_rng(seed)
    host, given = draw(rng, sizes, lead, **options), drawn(rng, sizes, 10, 3, lead)
    network = Network.from_layers(**host)
    together = take(network, State(network, 3), given, STEP[through_all])
    for index in np.ndindex(lead):
        alone = Network.from_layers(**one_of(host, index))
        own = [(x[index], None if error is None else error[index]) for x, error in given]
        found = take(alone, State(alone, 3), own, STEP[through_all])
        close([[array[index] for array in arrays] for arrays in together], found)


def test_replicas_may_share_the_input(backend):
    rng = np.random.default_rng(5)
    host = draw(rng, lead=(3,))
    network = Network.from_layers(**host)
    shared = drawn(rng, network.sizes, 10, 3)
    together = take(network, State(network, 3), shared)
    for index in range(3):
        alone = Network.from_layers(**one_of(host, index))
        close([[array[index] for array in arrays] for arrays in together], take(alone, State(alone, 3), shared))


def test_replicas_that_share_their_constants_are_networks_with_these(backend):
    """The shared ones have replica axes of length 1; one array with replica axes may be among them."""
    rng = np.random.default_rng(10)
    host = draw(rng, lead=(2, 3)) | {"tau_m": [0.3, [0.4, 0.5, 0.6, 0.7], 0.8], "gamma": 0.5}
    network, given = Network.from_layers(**host), drawn(rng, (2, 2), 10, 3)
    assert network.replicas == (2, 3) and network.tau_m.shape == (1, 1, 1, 9) and network.tau_r.shape == (2, 3, 1, 9)
    together = take(network, State(network, 3), given)
    for index in np.ndindex(2, 3):
        alone = Network.from_layers(**one_of(host, index))
        expected = take(alone, State(alone, 3), given)
        close([[array[index] for array in arrays] for arrays in together], expected)
        one = Network.from_layers(**one_of(host, index[0])).replica(index[1])
        close(take(one, State(one, 3), given), expected)
    some = Network.from_layers(**one_of(host, 1)).replica(slice(1, 3))
    assert some.replicas == (2,)
    close([[array[1, 1:] for array in arrays] for arrays in together], take(some, State(some, 3), given))


@pytest.mark.parametrize("equal", [False, True, "leaky"])
@pytest.mark.parametrize("which", [0, 2, slice(1, 3)])
def test_a_replica_of_a_state_is_a_view_of_it(backend, equal, which):
    """Its steps are those of the replica in the whole, and change nothing of the others."""
    rng = np.random.default_rng(14)
    net = Network.from_layers(**draw(rng, [2, 3, 3, 2], lead=(3,), equal=equal, memoryless=bool(equal)))
    given = drawn(rng, net.sizes, 6, 3)
    whole, apart = State(net, 3), State(net, 3)
    take(net, whole, given[:3])
    take(net, apart, given[:3])
    before, others = kept(apart), np.delete(np.arange(3), which)
    one = apart.replica(which)
    assert one.net.replicas == (() if isinstance(which, int) else (2,)) and one.batch == 3
    together = take(net, whole, given[3:])
    close(take(one.net, one, given[3:]), [[array[which] for array in arrays] for arrays in together])
    for name, array in kept(apart).items():
        assert_array_equal(array[others], before[name][others])
        assert_allclose(array[which], kept(whole)[name][which], rtol=0, atol=1e-12)


@pytest.mark.parametrize("learn_tau", [False, True])
def test_a_replica_is_a_network_whose_parameters_are_views(backend, learn_tau):
    rng = np.random.default_rng(6)
    host = draw(rng, lead=(3,), learn_tau=learn_tau, equal=True, prospective=False)
    network, given = Network.from_layers(**host), drawn(rng, (2, 2), 4, 3)
    given = [(x, error) for x, error in given]
    for k in range(3):
        one, alone = network.replica(k), Network.from_layers(**one_of(host, k))
        close(take(one, State(one, 3), given), take(alone, State(alone, 3), given))
    one = network.replica(1)
    one.parameters.flat[...] = 0.5
    W = xp.asnumpy(network.layers[0].W)
    assert_array_equal(W[1], 0.5)
    assert (W[[0, 2]] != 0.5).all()
    assert (xp.asnumpy(one.tau_m) == 0.5).all() == learn_tau


# states


@pytest.mark.parametrize("equal", [False, "leaky"])
def test_a_state_may_go_on_with_another_network_of_its_sizes(backend, equal):
    """Nothing of the constants and activations of the network before is left in it."""
    rng = np.random.default_rng(15)
    nets = [Network.from_layers(**draw(rng, equal=equal, memoryless=bool(equal))) for _ in range(2)]
    given, state, fresh = drawn(rng, (2, 2), 6, 3), State(nets[0], 3), State(nets[1], 3)
    take(nets[0], state, given[:3])
    for name, array in state.tree.items():
        fresh.tree[name][...] = array
    close(take(nets[1], state, given[3:]), take(nets[1], fresh, given[3:]))


def test_a_state_of_another_kind_of_network_is_refused():
    """Of other sizes; of leaky integrators, whose u is u~, where others keep the two apart, and the other way round."""
    kinds = {"full": (3, 0.2), "leaky": (3, 0.1), "wide": (4, 0.2)}
    nets = {
        kind: network(
            (2, n, 2), np.random.default_rng(3), phi="tanh", tau_m=1.0, tau_r=tau_r, dt=0.1, memoryless=tau_r == 0.1
        )
        for kind, (n, tau_r) in kinds.items()
    }
    assert [net.memory for net in nets.values()] == ["full", "leaky", "full"]
    x = xp.ones((3, 2), dtype=xp.float_dtype)
    for net, mine in (("full", "leaky"), ("leaky", "full"), ("full", "wide")):
        for take_step in (step, evolve, step_through_all_layers):
            with pytest.raises(PlasticError, match=r"state belongs to another network; make one for Network 2-3-2, "):
                take_step(nets[net], State(nets[mine], 3), x)
        with pytest.raises(PlasticError, match="state "):
            predict(nets[net], x[None], state=State(nets[mine], 3))


@pytest.mark.parametrize(("batch", "rows"), [(5, [0, 1, 2, 0, 1]), (7, [0, 1, 2] * 2 + [0]), (2, [0, 1]), (1, [0])])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_a_resized_state_takes_rows_again_from_the_first_or_drops_the_last(backend, batch, rows, lead):
    rng = np.random.default_rng(7)
    network = Network.from_layers(**draw(rng, lead=lead))
    state = State(network, 3)
    take(network, state, drawn(rng, network.sizes, 4, 3, lead))
    before = kept(state)
    other = state.resized(batch)
    assert other.batch == batch and other.net is network
    for name, array in kept(other).items():
        assert_array_equal(array, before[name][..., rows, :])
    assert_array_equal(xp.asnumpy(other.output), before["r"][..., rows, -2:])
    take(network, other, drawn(rng, network.sizes, 2, batch, lead))
    for name, array in kept(state).items():
        assert_array_equal(array, before[name])  # the first is left as it was
    assert state.resized(3) is state


def test_a_resized_state_goes_on_as_the_rows_would_have(backend):
    rng = np.random.default_rng(8)
    network = Network.from_layers(**draw(rng))
    state = State(network, 2)
    take(network, state, drawn(rng, network.sizes, 4, 2))
    other, given = state.resized(4), drawn(rng, network.sizes, 3, 2)
    twice = [tuple(None if a is None else np.concatenate([a, a]) for a in pair) for pair in given]
    for (*few, _), (*many, _) in zip(take(network, state, given), take(network, other, twice), strict=True):
        close([[np.concatenate([a, a]) for a in few]], [many], 1e-14)


def test_a_reset_state_is_as_in_the_beginning(backend):
    rng = np.random.default_rng(9)
    network, given = Network.from_layers(**draw(rng)), drawn(rng, (2, 2), 4, 3)
    state = State(network, 3)
    first = take(network, state, given)
    arrays = state.tree
    state.reset()
    assert all(not array.any() for array in kept(state).values())
    assert all(state.tree[name] is array for name, array in arrays.items())
    close(take(network, state, given), first, 0)


@pytest.mark.parametrize("batch", [3, 5, 2])
def test_a_state_taken_from_another_one(backend, batch):
    rng = np.random.default_rng(10)
    network = Network.from_layers(**draw(rng))
    state, other = State(network, 3), State(network, batch)
    take(network, other, drawn(rng, network.sizes, 4, batch))
    arrays = state.tree
    state.take(other)
    assert all(state.tree[name] is array for name, array in arrays.items())
    for name, array in kept(state).items():
        assert_array_equal(array, kept(other)[name][np.arange(3) % batch])


# what is left out where it does not matter


@hypothesis.given(
    seed=st.integers(0, 10_000),
    sizes=SIZES,
    equal=st.sampled_from([True, "leaky"]),
    gamma=st.booleans(),
    prospective=st.booleans(),
    through_all=st.booleans(),
)
def test_memoryless_is_the_general_way_for_instantaneous_neurons_and_leaky_integrators(
    backend, seed, sizes, equal, gamma, prospective, through_all
):
    rng = np.random.default_rng(seed)
    host = draw(rng, sizes, gamma=gamma, equal=equal, prospective=prospective)
    general, short = (Network.from_layers(**host, memoryless=memoryless) for memoryless in (False, True))
    given, state = drawn(rng, sizes, 10, 3), State(short, 3)
    found = take(short, state, given, STEP[through_all])
    expected = take(general, State(general, 3), given, STEP[through_all])
    matters = [k for k, name in enumerate(("out", *SEEN, "grads")) if name not in ("u", "v")]
    close([[arrays[k] for k in matters] for arrays in found], [[arrays[k] for k in matters] for arrays in expected])
    instantaneous = host["tau_m"] == host["tau_r"]
    if instantaneous.all():
        assert short.memory == "none" and not kept(state)["u"].any() and not kept(state)["v"].any()
    else:  # u is that of the leaky integrators, and u~ in general
        assert short.memory == "leaky"
        _, *arrays, _ = found[-1]
        u, v, _, _, _, u_ahead, _ = (np.where(instantaneous, 0, array) for array in arrays)
        close([[u, v, u_ahead]], [[np.where(instantaneous, 0, expected[-1][k]) for k in (1, 2, 1)]])


@hypothesis.given(
    seed=st.integers(0, 10_000), sizes=SIZES, memoryless=st.sampled_from([False, True, "leaky"]), gamma=st.booleans()
)
def test_advance_is_a_step_without_errors(precision, seed, sizes, memoryless, gamma):
    rng = np.random.default_rng(seed)
    network = Network.from_layers(**draw(rng, sizes, gamma=gamma, equal=memoryless, memoryless=bool(memoryless)))
    a, b = State(network, 3), State(network, 3)
    for x, _ in drawn(rng, sizes, 10, 3):
        found, expected = advance(network, a, device(x)), step(network, b, device(x))[1]
        assert found.dtype == xp.float_dtype
        assert_array_equal(xp.asnumpy(found), xp.asnumpy(expected))
        for name in ("u", "r"):
            assert_array_equal(kept(a)[name], kept(b)[name])
    assert not kept(a)["q"].any()


@pytest.mark.parametrize("memoryless", [False, True, "leaky"])
def test_settled_is_what_many_steps_without_target_leave(backend, memoryless):
    rng = np.random.default_rng(11)
    network = Network.from_layers(**draw(rng, gamma=False, equal=memoryless, memoryless=bool(memoryless), bias=False))
    a = State(network, 3)
    take(network, a, drawn(rng, network.sizes, 5, 3))
    b = a.resized(6).resized(3)
    x = [device(x) for x, _ in drawn(rng, network.sizes, 300, 3)]
    for x_t in x:
        step(network, a, x_t)
        advance(network, b, x_t)
    forget_errors(network, b)
    for name, array in kept(a).items():
        assert_allclose(kept(b)[name], array, rtol=0, atol=1e-12)
    assert kept(a)["q"].all()


@pytest.mark.parametrize("memoryless", [False, True, "leaky"])
def test_predictions_are_the_outputs_of_steps_without_target(precision, memoryless):
    rng = np.random.default_rng(12)
    net = Network.from_layers(**draw(rng, lead=(2,), equal=memoryless, memoryless=bool(memoryless)))
    state = State(net, 3)
    x = device(rng.standard_normal((2, 4, 3, 2)))
    found = predict(net, x)
    assert found.shape == (2, 4, 3, 2) and found.dtype == precision
    for t in range(4):
        assert_array_equal(xp.asnumpy(found[:, t]), xp.asnumpy(step(net, state, x[:, t])[1]))


def test_predictions_go_on_from_a_state_whose_errors_they_forget(backend):
    """As many steps without target as inputs, begun without errors: the state is the same, and so what follows."""
    rng = np.random.default_rng(14)
    net = Network.from_layers(**draw(rng))
    a, b = State(net, 3), State(net, 3)
    given, x = drawn(rng, net.sizes, 5, 3), device(rng.standard_normal((4, 3, 2)))
    for state in (a, b):
        take(net, state, given)
    b.v[...], b.E[...] = 0, 0
    found = predict(net, x, state=a)
    expected = [step(net, b, x[t])[1] for t in range(4)]
    assert_array_equal(xp.asnumpy(found), np.stack([xp.asnumpy(each) for each in expected]))
    for name, array in kept(a).items():
        assert_array_equal(array, kept(b)[name])
    assert kept(a)["q"].all() and xp.asnumpy(found).all()


# parameters


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("learn_tau", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_parameters_are_views_of_one_vector(precision, lead, bias, learn_tau):
    """W_1, W_2 row by row, then all biases, then all time constants."""
    sizes = (2, 3, 1)
    length = 6 + 3 + 4 * (bias + learn_tau)
    numbers = np.arange(np.prod((*lead, length)), dtype=float).reshape(*lead, length)
    held = Parameters(device(numbers), sizes, bias, learn_tau)
    parts = np.split(numbers, [6, 9, 13], axis=-1)
    assert_array_equal(xp.asnumpy(held.layers[0].W), parts[0].reshape(*lead, 2, 3))
    assert_array_equal(xp.asnumpy(held.layers[1].W), parts[1].reshape(*lead, 3, 1))
    rest = [part[..., None, :] for part in parts[2:]]
    if bias:
        assert_array_equal(xp.asnumpy(held.b), rest[0])
        assert_array_equal(xp.asnumpy(held.layers[0].b), rest[0][..., :3])
        assert_array_equal(xp.asnumpy(held.layers[1].b), rest[0][..., 3:])
    else:
        assert held.b is None and held.layers[0].b is None
    if learn_tau:
        assert_array_equal(xp.asnumpy(held.tau_m), rest[1 if bias else 0])
    else:
        assert held.tau_m is None
    other, nothing = parameters.copy(held), parameters.zeros_like(held)
    held.flat[...] = 7.0
    assert (xp.asnumpy(held.layers[1].W) == 7).all() and (not bias or (xp.asnumpy(held.layers[1].b) == 7).all())
    assert_array_equal(xp.asnumpy(other.flat), numbers)
    assert_array_equal(xp.asnumpy(nothing.flat), 0)
    assert other.form == nothing.form == held.form and other.flat.dtype == nothing.flat.dtype == precision


@pytest.mark.parametrize("length", [10, 12])
def test_a_vector_of_another_length_is_refused(length):
    with pytest.raises(PlasticError, match=rf"the vector has {length} parameters; a network \(2, 3, 1\) has 13"):
        Parameters(xp.zeros(length), (2, 3, 1), True, False)


def test_learned_time_constants_are_those_of_the_network(backend):
    learned, fixed = (Network.from_layers(**draw(np.random.default_rng(13), learn_tau=each)) for each in (True, False))
    assert_allclose(xp.asnumpy(learned.tau_m), xp.asnumpy(fixed.tau_m))
    learned.parameters.tau_m[...] = 0.5
    assert_array_equal(xp.asnumpy(learned.tau_m), 0.5)
    for batch in (3, 2):
        neurons = State(learned, batch).units.neurons(learned)
        tau_r = xp.asnumpy(learned.tau_r).T
        for tau in (0.5, 0.25):
            learned.parameters.tau_m[...] = tau
            neurons.take_learned()
            rates = {"u_rate": 0.1 / tau, "u_ahead": tau_r / 0.1, "v_rate": 0.1 / tau_r, "v_ahead": tau / 0.1}
            for name, expected in rates.items():
                found = np.broadcast_to(xp.asnumpy(getattr(neurons, name)), (9, batch))
                assert_allclose(found, np.broadcast_to(expected, (9, batch)))


def test_time_constants_that_were_learned_count_in_the_next_step(backend):
    rng = np.random.default_rng(16)
    host = draw(rng, learn_tau=True)
    net, given = Network.from_layers(**host), drawn(rng, (2, 2), 6, 3)
    state = State(net, 3)
    take(net, state, given[:3])
    net.tau_m[...] = net.tau_m * 2
    other = Network.from_layers(**host | {"tau_m": 2 * host["tau_m"]})
    fresh = State(other, 3)
    fresh.take(state)
    close(take(net, state, given[3:]), take(other, fresh, given[3:]))


# making a network


def create(sizes=(2, 3, 1), bias=True, generator=None, **options):
    layers = uniform_layers(generator or np.random.default_rng(0), sizes, bias)
    given = {"phi": [functions.tanh] * (len(sizes) - 1), "tau_m": 1.0, "tau_r": 0.5, "dt": 0.1} | options
    return Network.from_layers(layers, **given)


def test_constants_are_given_for_all_by_layer_or_by_neuron(precision):
    of_layers = [[0.5, 0.6, 0.7], 0.8]
    each = np.array([[0.5, 0.6, 0.7, 0.8]])
    replicas = np.stack([each, 2 * each])
    for value, expected in (
        (0.3, [[0.3] * 4]),
        ([0.3, 0.4], [[0.3, 0.3, 0.3, 0.4]]),
        (of_layers, each),
        (each, each),
    ):
        network = create(tau_m=value, tau_r=value, gamma=value)
        for array in (network.tau_m, network.tau_r, network.gamma):
            assert array.dtype == precision and array.shape == (1, 4)
            assert_allclose(xp.asnumpy(array), expected, rtol=1e-6)
    layers = [Affine(np.zeros((2, 2, 3))), Affine(np.zeros((2, 3, 1)))]
    network = Network.from_layers(layers, [functions.tanh] * 2, replicas, [0.5, 0.6], 0.1, np.array([[[0.0]], [[1.0]]]))
    assert_allclose(xp.asnumpy(network.tau_m), replicas, rtol=1e-6)
    assert_allclose(xp.asnumpy(network.tau_r), [[[0.5, 0.5, 0.5, 0.6]]], rtol=1e-6)  # what all replicas share
    assert_array_equal(xp.asnumpy(network.gamma), np.repeat([0.0, 1.0], 4).reshape(2, 1, 4))
    assert create(gamma=0.0).gamma is None


def test_a_time_constant_as_long_as_a_step_is_possible(precision):
    network = create(tau_m=0.1, tau_r=0.1, dt=0.1)
    assert network.dt == 0.1
    assert create(tau_m=float(np.float32(0.1)), tau_r=float(np.float32(0.1))).dt == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau_m": 0.09}, r"tau_m is 0\.09 somewhere; no time constant can be below the step dt=0\.1"),
        ({"tau_m": 0.0999}, r"tau_m is 0\.0999 somewhere"),
        ({"tau_r": [0.5, 0.05]}, r"tau_r is 0\.05 somewhere"),
        ({"tau_m": float("nan")}, "tau_m is nan"),
        ({"phi": [functions.tanh]}, "phi has 1 activations; there are 2 layers"),
        ({"memoryless": True}, "memoryless is for networks whose tau_r is tau_m or dt in each neuron"),
        ({"memoryless": True, "tau_r": [0.1, 0.2]}, "memoryless is for networks"),
        ({"memoryless": True, "tau_r": 1.0, "learn_tau": True}, "memoryless is for networks"),
        ({"tau_m": [1.0]}, "tau_m has 1 entries; there are 2 layers"),
        ({"gamma": [1.0, 1.0, 1.0]}, "gamma has 3 entries; there are 2 layers"),
        ({"tau_r": [[1.0, 1.0], 1.0]}, r"tau_r of layer 0 has shape \(2,\); the layer has 3 neurons"),
        ({"tau_r": [[1.0, "a", 1.0], 1.0]}, "tau_r of layer 0 is a list"),
        ({"tau_m": "1"}, "tau_m is a str"),
        ({"tau_m": None}, "tau_m is a NoneType"),
        ({"tau_m": True}, "tau_m is True"),
        ({"tau_m": np.array([1.0, 1.0, 1.0, 1.0])}, r"tau_m has shape \(4,\); \(1, 4\) is needed, or a list"),
        ({"tau_m": np.ones((1, 3))}, r"tau_m has shape \(1, 3\)"),
        ({"tau_m": np.ones((2, 1, 4))}, r"tau_m has the replica axes \(2,\), but the layers have \(\)"),
        ({"tau_m": np.ones((1, 4), dtype=bool)}, "tau_m holds bool"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"gamma": [0.0, float("inf")]}, "gamma of layer 1 is inf"),
        ({"gamma": None}, "gamma is a NoneType"),
        ({"dt": 0.0}, "dt is 0; it must be above 0"),
        ({"dt": -0.1}, "dt is -0.1"),
        ({"dt": float("nan")}, "dt is nan"),
        ({"dt": "0.1"}, "dt is '0.1'"),
        ({"dt": np.array([0.1, 0.1])}, r"dt has shape \(2,\)"),
        ({"phi": "tan"}, "the activation is 'tan'"),
        ({"phi": None}, "the activation is None"),
        ({"phi": ["tanh", 3]}, "the activation is 3"),
        ({"prospective": "no"}, "prospective is 'no'"),
        ({"learn_tau": None}, "learn_tau is None"),
        ({"memoryless": 2}, "memoryless is 2"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(PlasticError, match=message):
        create(**options)


def test_layers_that_do_not_fit_together_are_refused():
    W, b = np.zeros((2, 3)), np.zeros((1, 3))
    phi = [functions.tanh] * 2
    with pytest.raises(PlasticError, match="layer 1 takes 2 inputs, but gets 3"):
        Network.from_layers([Affine(W), Affine(W)], phi, 1.0, 1.0, 0.1)
    for first, second in ((b, None), (None, b)):
        with pytest.raises(PlasticError, match="either all layers have a bias, or none"):
            Network.from_layers([Affine(W, first), Affine(np.zeros((3, 3)), second)], phi, 1.0, 1.0, 0.1)
    swapped = [Affine(W, np.zeros((1, 1))), Affine(np.zeros((3, 1)), b)]  # as many biases in all as are needed
    with pytest.raises(PlasticError, match=r"layers/0/b has shape \(1, 1\); \(1, 3\) is needed"):
        Network.from_layers(swapped, phi, 1.0, 1.0, 0.1)
    for layers, message in (
        ([], "layers is list"),
        ([W], "layers is list"),
        (Affine(W), "layers is Affine"),
        ([Affine(W.tolist())], "layers/0/W is list"),
        ([Affine(W, 0.0)], "layers/0/b is float"),
        ([Affine(None)], "layers/0/W is NoneType"),
        ([Affine(W[0])], r"layers/0/W is float64 of shape \(3,\)"),
        ([Affine(W > 0)], "layers/0/W is bool"),
        ([Affine(W), Affine(np.zeros((2, 3, 3)))], r"layer 1 has the replica axes \(2,\), but layer 0 has \(\)"),
    ):
        with pytest.raises(PlasticError, match=message):
            Network.from_layers(layers, "tanh", 1.0, 1.0, 0.1)


def test_a_network_is_drawn_as_its_layers_are(precision):
    """By a generator, or by one for each replica."""
    constants = {"phi": ["tanh", functions.linear], "tau_m": [1.0, 0.5], "tau_r": 0.5, "dt": 0.1, "learn_tau": True}
    nets = [network((2, 3, 1), np.random.default_rng(seed), **constants) for seed in (0, 1)]
    both = network((2, 3, 1), [np.random.default_rng(seed) for seed in (0, 1)], **constants)
    assert repr(nets[0]) == "Network 2-3-1, tanh linear, dt 0.1"
    assert repr(both) == "Network 2-3-1, tanh linear, dt 0.1, replicas (2,)"
    for k, net in enumerate(nets):
        by_hand = create((2, 3, 1), True, np.random.default_rng(k), **constants)
        assert_array_equal(xp.asnumpy(net.parameters.flat), xp.asnumpy(by_hand.parameters.flat))
        assert_array_equal(xp.asnumpy(both.parameters.flat)[k], xp.asnumpy(net.parameters.flat))
    assert [path for path, _ in parameters.leaves(both.parameters)] == [
        "layers/0/W",
        "layers/0/b",
        "layers/1/W",
        "layers/1/b",
        "tau_m",
    ]
    without = network((2, 3, 1), np.random.default_rng(0), **constants | {"learn_tau": False}, bias=False)
    assert [path for path, _ in parameters.leaves(without.parameters)] == ["layers/0/W", "layers/1/W"]
    with pytest.raises(PlasticError, match="bias is None"):
        network((2, 3, 1), np.random.default_rng(0), **constants, bias=None)
    long = network((1,) * 60, np.random.default_rng(0), **constants | {"phi": "tanh", "tau_m": 1.0})
    assert repr(long) == "Network 1-1-1-..-1-1, tanh, dt 0.1"


def test_misuse_of_states_and_steps_is_told():
    net = create()
    for batch in (0, -1, 2.0, True, None, "3"):
        with pytest.raises(PlasticError, match="batch is"):
            State(net, batch)
    with pytest.raises(PlasticError, match="net is a list"):
        State(net.layers, 3)
    with pytest.raises(PlasticError, match="net is a list"):
        predict(net.layers, xp.zeros((4, 3, 2)))
    state, x = State(net, 3), xp.zeros((3, 2), "float32")
    for err in (xp.zeros((1, 1), "float32"), xp.zeros((3,), "float32"), xp.zeros((3, 2), "float32")):
        with pytest.raises(PlasticError, match=r"err has shape .*; \(3, 1\) is needed"):
            step(net, state, x, err)
    for out in ({}, [], net.layers, create(bias=False).parameters, create(learn_tau=True).parameters, x):
        with pytest.raises(PlasticError, match="out is "):
            step(net, state, x, out=out)
    sequence = xp.zeros((4, 3, 2), "float32")
    with pytest.raises(PlasticError, match=r"state is a str; it must be a State, gle.State\(net, 3\)"):
        predict(net, sequence, state="rest")
    for other in (State(net, 2), State(create((2, 4, 1)), 3)):
        with pytest.raises(PlasticError, match="state is the State of"):
            predict(net, sequence, state=other)
    with pytest.raises(PlasticError, match=r"the replica axes of the network are \(\), but x has \(2,\)"):
        predict(net, xp.zeros((2, 4, 3, 2), "float32"))


@pytest.mark.parametrize("bias", [False, True])
def test_uniform_layers_are_as_wide_as_their_inputs_allow(bias):
    layers = uniform_layers(np.random.default_rng(0), (4, 400, 300), bias)
    assert [layer.W.shape for layer in layers] == [(4, 400), (400, 300)]
    for layer, bound in zip(layers, (1 / 2, 1 / 20), strict=True):
        for array in (layer.W, layer.b) if bias else (layer.W,):
            assert 0.95 * bound < np.abs(array).max() <= bound
            assert array.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
        assert bias or layer.b is None
    if bias:
        assert [layer.b.shape for layer in layers] == [(1, 400), (1, 300)]


def test_histories_are_kept_by_replica_and_seen_by_time(precision):
    network = Network.from_layers(**draw(np.random.default_rng(0), lead=(2,)))
    kept, by_time = histories(network, 5, {"u": (3, 4), "loss": ()})
    assert kept["loss"].shape == (2, 5) and by_time["loss"].shape == (5, 2)
    array, view = kept["u"], by_time["u"]
    assert array.shape == (2, 5, 3, 4) and view.shape == (5, 2, 3, 4)
    assert array.dtype == precision
    view[1] = 1.0
    assert_array_equal(xp.asnumpy(array)[:, 1], 1)
    assert xp.asnumpy(array).sum() == 2 * 12


def test_steps_raise_nothing_where_everything_underflows(precision):
    """Errors that die away, inputs of 0 and saturated rates are ordinary."""
    constants = {"phi": ["tanh", "softplus", "sigmoid"], "tau_m": 0.5, "tau_r": 0.2, "dt": 0.1, "learn_tau": True}
    with np.errstate(all="raise"):
        net = network((2, 3, 3, 2), np.random.default_rng(0), **constants, gamma=0.1)
        state, adam = State(net, 3), Adam(1e-3)
        moments = adam.init(net.parameters)
        for t in range(1000):
            x = xp.full((3, 2), (1.0, 1e-30, 0.0, 1e3)[t // 250], dtype=xp.float_dtype)
            err = functions.softmax(state.output) if t % 250 < 3 else None
            grads, output = step(net, state, x, err)
            adam.step(net.parameters, grads, moments)
            net.tau_m[...] = xp.maximum(net.tau_m, 0.1)
    assert np.isfinite(xp.asnumpy(net.parameters.flat)).all() and np.isfinite(xp.asnumpy(output)).all()
