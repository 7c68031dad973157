"""Spiking maps and the cells that see them: gradients by finite differences and explicit traces, resets, chunks."""

import dataclasses

import numpy as np
import pytest

from plastic import check, convolution, xp
from plastic.eprop import bidirectional, convolutional, rewards, spiking
from plastic.eprop.convolutional import ConvolutionalNetwork, Maps, rules, simulation
from plastic.eprop.convolutional.network import averages
from plastic.errors import PlasticError
from plastic.functions import softmax
from plastic.parameters import Affine

K, N, BATCH, SIZE = 3, 5, 2, (9, 8)


@pytest.fixture(autouse=True)
def precise():
    xp.use(dtype="float64")


def make(seed=0, reads_maps=True, **changed):
    """Two layers of maps, 4 x 3 x 2 and 3 x 2 x 3, and two LIF and three ALIF neurons, all of which fire."""
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=1.0):
        return xp.asarray(scale * rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1])))

    layers = [Maps(normal(3, 3, 1, 2), 2, 2, 1), Maps(normal(2, 2, 2, 3), 1, 2, 1)]
    beta = xp.asarray([[0.0, 0.0, 0.2, 0.3, 0.1]])
    neurons = spiking.Neurons(0.8, 0.4, 0.9, beta, n_ref=2)
    cells = bidirectional.cells(neurons, W_in=normal(18, N, scale=2.0), W_rec=normal(N, N))
    maps = spiking.Neurons(0.4, 0.1, gamma=0.9)
    m = N + (3 * 2 * 2 + 2 * 1 * 3 if reads_maps else 0)
    readout = Affine(normal(m, 4), normal(1, 4))
    return dataclasses.replace(ConvolutionalNetwork(layers, maps, cells, readout, SIZE, K, 0.6), **changed)


def shown(S=4, seed=1, ends=()):
    """Screens, and done: at the first screen, and at `ends`, (screen, episode) each."""
    screens = np.random.default_rng(seed).random((S, BATCH, *SIZE))
    done = np.zeros((S, BATCH))
    done[0] = 1
    for end in ends:
        done[end] = 1
    return xp.asarray(screens), xp.asarray(done)


ENDS = ((2, 0), (3, 1))


# what is simulated


def test_averages_are_means_over_windows():
    maps = np.random.default_rng(0).random((7, 6))
    Q = averages((7, 6), 3, 2, np.float64)
    expected = [maps[r : r + 3, c : c + 3].mean() for r in (0, 2, 4) for c in (0, 2)]
    np.testing.assert_allclose(Q @ maps.reshape(-1), expected, rtol=1e-12)


def test_a_simulation_is_what_the_equations_say():
    """Step by step, with loops, from the module's equations."""
    net, (screens, done) = make(), shown(ends=ENDS)
    record = convolutional.simulate(net, screens, done=done)
    v = [np.zeros((BATCH, *shape)) for shape in net.shapes]
    a, u, y = np.zeros((BATCH, N)), np.zeros((BATCH, N)), np.zeros((BATCH, 4))
    z, free_at = np.zeros((BATCH, N)), np.zeros((BATCH, N))
    neurons, W_rec = net.cells.neurons, net.cells.W_rec * (1 - np.eye(N))
    for t in range(4 * K):
        s = t // K
        if t % K == 0:
            for b in np.flatnonzero(done[s]):
                for each in (*v, a, u, y, z, free_at):
                    each[b] = 0
        below, seen = screens[s][..., None], []
        for k, layer in enumerate(net.layers):
            fired = (v[k] > 0.1).astype(float)
            v[k] = 0.4 * v[k] + convolution.conv(below, layer.K, stride=layer.stride) - 0.1 * fired
            np.testing.assert_allclose(record.v[s][k][t % K], v[k], rtol=1e-12, atol=1e-12)
            below = (v[k] > 0.1).astype(float)
            rows, columns, channels = below.shape[1:]
            for r in range(rows - 1):
                for c in range(columns - 1):
                    seen += [below[:, r : r + 2, c : c + 2, channel].mean(axis=(1, 2)) for channel in range(channels)]
        a = 0.9 * a + z
        u = 0.8 * u + below.reshape(BATCH, -1) @ net.cells.W_in + z @ W_rec - 0.4 * z
        z = ((u - neurons.beta * a > 0.4) & (free_at <= t)).astype(float)
        free_at = np.where(z > 0, t + 2, free_at)
        np.testing.assert_array_equal(record.cells.z[t], z)
        everything = np.concatenate([z, np.stack(seen, axis=1)], axis=1)
        y = 0.6 * y + 0.4 * everything @ net.readout.W
        np.testing.assert_allclose(record.output[t], y + net.readout.b, rtol=1e-10)
    assert 0.05 < record.cells.z.mean() < 0.6


def test_the_state_goes_on_and_an_episode_carries_nothing_over():
    net, (screens, done) = make(), shown(ends=((2, 0), (2, 1)))
    whole = convolutional.simulate(net, screens, done=done)
    parts, state = [], None
    for s in range(4):
        parts.append(convolutional.simulate(net, screens[s : s + 1], state, done[s : s + 1]))
        state = parts[-1].state
    joined = convolutional.joined(parts)
    second = convolutional.simulate(net, screens[2:])  # from rest
    for found, expected in ((joined.output, whole.output), (second.output, whole.output[2 * K :])):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(joined.cells.z, whole.cells.z)
    np.testing.assert_allclose(state.y, whole.state.y, rtol=1e-12)
    late = convolutional.simulate(net, screens[2:], whole.state, done[2:])  # whatever the state is
    np.testing.assert_allclose(late.output, second.output, rtol=1e-12)
    assert not np.allclose(convolutional.simulate(net, screens[2:], whole.state).output, second.output)


# gradients


def test_gradients_of_chunks_are_that_of_the_whole_across_episodes():
    """Where a chunk ends with the episodes; and the rest of a batch has no share in what another's end resets."""
    net, (screens, done) = make(), shown(ends=((2, 0), (2, 1)))
    whole = convolutional.simulate(net, screens, done=done)
    err = np.random.default_rng(3).standard_normal(whole.output.shape)
    R = np.random.default_rng(4).standard_normal(whole.cells.z.shape)
    for rule in (convolutional.eprop, convolutional.bptt):
        expected, state, parts = rule(net, whole, err, R), None, []
        for screen, chunk in ((slice(0, 2), slice(0, 2 * K)), (slice(2, 4), slice(2 * K, 4 * K))):
            record = convolutional.simulate(net, screens[screen], state, done[screen])
            state = record.state
            parts.append(rule(net, record, err[chunk], R[chunk]))
        for a, b, c in zip(*(leaves(each) for each in (*parts, expected)), strict=True):
            np.testing.assert_allclose(a + b, c, rtol=1e-10, atol=1e-12)


def leaves(grads):
    return [*grads["kernels"], *grads["cells"].values(), grads["readout"].W, grads["readout"].b]


def ramp(net, v):
    """The smooth function whose slope is the pseudo-derivative of maps."""
    theta, gamma = net.neurons.theta, net.neurons.gamma
    x = np.clip((v - theta) / theta, -1, 1)
    return gamma * np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)


@pytest.mark.parametrize("layer", [0, 1])
def test_kernels_learn_along_the_gradient_of_a_smoothed_network(monkeypatch, layer):
    """Actor and critic, and the penalty of potentials, through maps whose spikes are a smooth function of v.

    What sees the maps of the layer is cut off, since nothing is sent down from there.
    """
    for module in (simulation, rules):
        monkeypatch.setattr(module, "spikes", ramp)
    net, (screens, done) = make(), shown(ends=ENDS)
    if layer == 0:
        net.layers[1].K[...] = 0
    net.cells.W_in[...] = 0
    rng = np.random.default_rng(5)
    actions, R, weights = rng.integers(0, 3, (4, BATCH)), rng.standard_normal((4, BATCH)), rng.random((4, BATCH))
    costs = {"baseline": 0.7, "entropy": 0.2}
    steps = slice(K - 1, None, K)
    record = convolutional.simulate(net, screens, done=done)
    held = R - record.output[steps][..., -1]
    _, err = rewards.actor_critic(record.output, steps, actions, R, weights=weights, **costs)
    _, potentials = convolutional.potentials_penalty(net, record, 0.0, 0.8)
    grads = convolutional.eprop(net, record, err, potentials=potentials)

    def loss(kernel):
        net.layers[layer].K = kernel
        moved = convolutional.simulate(net, screens, done=done)
        penalty, _ = convolutional.potentials_penalty(net, moved, 0.0, 0.8)
        total, pi = penalty, softmax(moved.output[steps][..., :-1])
        for s in range(4):
            for b in range(BATCH):
                H = -np.sum(pi[s, b] * np.log(pi[s, b]))
                error = R[s, b] - moved.output[steps][s, b, -1]
                each = -held[s, b] * np.log(pi[s, b, actions[s, b]]) + 0.7 / 2 * error**2 - 0.2 * H
                total += weights[s, b] * each / BATCH
        return total

    before = loss(net.layers[layer].K)
    check.gradient(loss, net.layers[layer].K, grads["kernels"][layer])
    assert before == loss(net.layers[layer].K)


def test_what_the_kernels_take_may_be_another_error():
    net, (screens, done) = make(), shown(ends=ENDS)
    record = convolutional.simulate(net, screens, done=done)
    err, other = np.random.default_rng(3).standard_normal((2, *record.output.shape))
    mixed = convolutional.eprop(net, record, err, of_maps=other)
    plain, of_other = convolutional.eprop(net, record, err), convolutional.eprop(net, record, other)
    for a, b in zip(leaves(mixed), [*leaves(of_other)[:2], *leaves(plain)[2:]], strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_maps_in_the_readout_kernels_learn_from_the_penalty_alone():
    net, (screens, done) = make(reads_maps=False), shown()
    record = convolutional.simulate(net, screens, done=done)
    err = np.ones_like(record.output)
    assert not any(each.any() for each in convolutional.eprop(net, record, err)["kernels"])
    _, potentials = convolutional.potentials_penalty(net, record, 0.0, 1.0)
    assert all(each.any() for each in convolutional.eprop(net, record, err, potentials=potentials)["kernels"])


def test_cells_learn_along_explicit_traces_with_penalties_and_resets():
    """Traces carried forward for every synapse, of which nothing is left when an episode begins."""
    net, (screens, done) = make(), shown(ends=ENDS)
    record = convolutional.simulate(net, screens, done=done)
    rng = np.random.default_rng(6)
    err, R = rng.standard_normal(record.output.shape), rng.standard_normal((1, 1, N))
    penalty, potentials = convolutional.potentials_penalty(net, record, 0.3, 0.0)
    assert penalty > 0
    found = convolutional.eprop(net, record, err, R, potentials=potentials)["cells"]
    neurons, cells = net.cells.neurons, record.cells
    dv, da = potentials.cells
    for b in range(BATCH):
        eps_v, eps_a, ebar = np.zeros((3, 18 + N, N))
        total = np.zeros((18 + N, N))
        for t in range(4 * K):
            before = cells.z[t - 1, b] if t else np.zeros(N)
            if t % K == 0 and done[t // K, b]:
                eps_v, eps_a, ebar, before = 0 * eps_v, 0 * eps_a, 0 * ebar, 0 * before
            p = np.concatenate([cells.x[t, b], before])[:, None]
            eps_v = 0.8 * eps_v + p
            e = cells.psi[t, b] * (eps_v - neurons.beta[0] * eps_a)
            ebar = 0.6 * ebar + 0.4 * e
            L = net.readout.W[:N] @ err[t, b]
            total += L * ebar + R[0] * e + dv[t, b] * eps_v + da[t, b] * eps_a
            eps_a = 0.9 * eps_a + e
        for name, rows in (("W_in", slice(0, 18)), ("W_rec", slice(18, None))):
            found[name] = found[name] - total[rows]
    assert np.abs(found["W_in"]).max() < 1e-10
    assert np.abs(found["W_rec"] * (1 - np.eye(N))).max() < 1e-10
    assert not np.diag(convolutional.eprop(net, record, err, R, potentials=potentials)["cells"]["W_rec"]).any()


def test_the_penalty_is_what_the_equations_say():
    net, (screens, done) = make(), shown()
    record = convolutional.simulate(net, screens, done=done)
    found, _ = convolutional.potentials_penalty(net, record, 0.3, 0.7)
    expected = 0.0
    for b in range(BATCH):
        for t in range(4 * K):
            v, A = record.cells.kept["v"][t, b], 0.4 + net.cells.neurons.beta[0] * record.cells.kept["a"][t, b]
            for beyond in (v - A, -v - A):
                expected += 0.3 / BATCH * np.sum(np.maximum(beyond, 0) ** 2)
        for layer in range(2):
            v = np.concatenate([each[layer][:, b] for each in record.v])
            for beyond in (v - 0.1, -v - 0.1):
                expected += 0.7 / BATCH * np.sum(np.maximum(beyond, 0).mean(axis=0) ** 2)
    assert found == pytest.approx(expected, rel=1e-10)


def test_the_penalty_has_these_derivatives():
    net, (screens, done) = make(), shown()
    record = convolutional.simulate(net, screens, done=done)
    _, potentials = convolutional.potentials_penalty(net, record, 0.3, 0.7)
    for name, found in zip("va", potentials.cells, strict=True):

        def penalty(moved, name=name):
            cells = dataclasses.replace(record.cells, kept=record.cells.kept | {name: moved})
            return convolutional.potentials_penalty(net, dataclasses.replace(record, cells=cells), 0.3, 0.7)[0]

        check.gradient(penalty, record.cells.kept[name].copy(), found)
    for layer, (over, under) in enumerate(potentials.maps):
        v = record.v[1][layer][2].copy()

        def of_maps(moved, layer=layer):
            frames = [list(each) for each in record.v]
            frames[1][layer] = frames[1][layer].copy()
            frames[1][layer][2] = moved
            return convolutional.potentials_penalty(net, dataclasses.replace(record, v=frames), 0.3, 0.7)[0]

        check.gradient(of_maps, v, over * (v > 0.1) - under * (v < -0.1))


def test_the_readout_learns_along_its_gradient():
    net, (screens, done) = make(), shown(ends=ENDS)
    record = convolutional.simulate(net, screens, done=done)
    err = np.random.default_rng(3).standard_normal(record.output.shape)
    found = convolutional.eprop(net, record, err)["readout"]

    def loss(readout):
        moved = dataclasses.replace(net, readout=readout)
        return np.sum(err * convolutional.simulate(moved, screens, done=done).output)

    check.gradient(loss, net.readout, found)


def test_bptt_has_the_total_derivatives_of_the_cells():
    """Of one episode from rest: the sweep of `plastic.eprop.spiking`, with the readout of the cells alone."""
    net, (screens, _) = make(reads_maps=False), shown()
    record = convolutional.simulate(net, screens)
    err = np.random.default_rng(3).standard_normal(record.output.shape)
    found = convolutional.bptt(net, record, err)["cells"]
    plain = dataclasses.replace(net.cells, W_out=net.readout.W, kappa=0.6, g_out=0.4)
    simulated = spiking.simulate(plain, record.cells.x, None, None, (), None)
    expected = spiking.bptt(plain, simulated, err, None)
    for name in ("W_in", "W_rec"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-12)


def test_memory_that_is_kept_changes_nothing():
    net, (screens, done) = make(), shown(ends=ENDS)
    plain, work = convolutional.simulate(net, screens, done=done), {}
    for _ in range(2):
        record = convolutional.simulate(net, screens, done=done, work=work)
        np.testing.assert_array_equal(record.output, plain.output)
        grads = convolutional.eprop(net, record, record.output, work=work)
        for a, b in zip(leaves(grads), leaves(convolutional.eprop(net, plain, plain.output)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert work


def test_on_each_backend(backend):
    net, (screens, done) = make(), shown(ends=ENDS)
    record = convolutional.simulate(net, screens, done=done)
    _, potentials = convolutional.potentials_penalty(net, record, 0.3, 0.7)
    found = [
        xp.asnumpy(each) for each in leaves(convolutional.eprop(net, record, record.output, potentials=potentials))
    ]
    output = xp.asnumpy(record.output)
    xp.use("numpy", dtype="float64")
    net, (screens, done) = make(), shown(ends=ENDS)
    record = convolutional.simulate(net, screens, done=done)
    np.testing.assert_allclose(output, record.output, rtol=1e-10)
    _, potentials = convolutional.potentials_penalty(net, record, 0.3, 0.7)
    for a, b in zip(found, leaves(convolutional.eprop(net, record, record.output, potentials=potentials)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"kappa": 1.0}, "kappa"),
        ({"layers": []}, "layers"),
        ({"size": (9, 9)}, "cells are"),
        ({"size": (2, 9)}, "a kernel of 3 x 3"),
        ({"size": (5, 3)}, "a window of 2"),
        ({"neurons": spiking.Neurons(0.4, 0.1, n_ref=2)}, "neurons of maps"),
        ({"readout": Affine(np.zeros((6, 2)), np.zeros((1, 2)))}, "it sees 5 cells"),
        ({"readout": Affine(np.zeros((5, 2)))}, "readout.b"),
        ({"layers": [Maps(np.zeros((3, 3, 2, 2)))]}, "2 channels in"),
    ],
    ids=str,
)
def test_networks_that_do_not_fit_are_refused(change, message):
    with pytest.raises(PlasticError, match=message):
        make(**change)


def test_what_does_not_fit_a_network_is_refused():
    net, (screens, done) = make(), shown()
    record = convolutional.simulate(net, screens, done=done)
    for message, wrong in {
        "screens are": lambda: convolutional.simulate(net, screens[..., 1:]),
        "float32": lambda: convolutional.simulate(net, screens.astype(np.float32)),
        "done is": lambda: convolutional.simulate(net, screens, done=done[1:]),
        "a batch of 2": lambda: convolutional.simulate(net, screens[:, :1], record.state),
        "convolutional networks": lambda: convolutional.simulate(net.cells, screens),
        "err": lambda: convolutional.eprop(net, record, record.output[1:]),
        "of_maps": lambda: convolutional.eprop(net, record, record.output, of_maps=record.output[1:]),
        "R": lambda: convolutional.eprop(net, record, record.output, record.output),
        "maps": lambda: convolutional.potentials_penalty(net, record, 0.0, -1.0),
        "K is no kernel": lambda: Maps(np.zeros((3, 2, 1, 1))),
    }.items():
        with pytest.raises(PlasticError, match=message):
            wrong()


def test_they_say_what_they_are():
    net, (screens, done) = make(), shown()
    record = convolutional.simulate(net, screens, done=done)
    assert repr(net) == "ConvolutionalNetwork 9 x 8, maps 4 x 3 x 2, 3 x 2 x 3, 5 cells, 4 outputs, 3 steps a screen"
    assert repr(record) == "ConvolutionalRecord of 4 screens, 12 steps, batch 2"
    assert repr(record.state) == "ConvolutionalState of 2 layers, batch 2"


@pytest.mark.parametrize("reads_maps", [True, False])
def test_a_screen_that_is_no_number_is_seen_in_the_output_of_its_trial(reads_maps):
    net, (screens, _) = make(reads_maps=reads_maps), shown()
    screens[1, 0, 2, 2] = np.nan
    output = xp.asnumpy(convolutional.simulate(net, screens).output)
    assert np.isnan(output).any(axis=(0, 2)).tolist() == [True] + [False] * (screens.shape[1] - 1)
