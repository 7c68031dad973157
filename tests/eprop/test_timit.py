"""Speech recognition: the published networks, schedules and quirks; steps that do what their options say; learning."""

import dataclasses
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from plastic import parameters, xp
from plastic.data.utterances import Utterances
from plastic.data.utterances.batches import Shuffled
from plastic.eprop import bidirectional, ctc, signals
from plastic.eprop.experiments import timit_network
from plastic.eprop.experiments.timit_learner import Learner, Task
from plastic.eprop.experiments.timit_options import DEFAULTS, Cells, Learning, Readout, settled
from plastic.errors import PlasticError

N_IN, N_OUT = 3, 5
SMALL = {"lsnn": {"n_regular": 4, "n_adaptive": 3}, "lstm": {"n_neuron": 6}, "rnn": {"n_neuron": 6}}


def told(task="framewise", model="lsnn", eprop="none", clean=False, **given):
    """What a run with a few cells is told."""
    given = SMALL[model] | given
    records = [
        kind(**{f.name: given[f.name] for f in dataclasses.fields(kind) if f.name in given})
        for kind in (Cells, Readout, Learning)
    ]
    return settled(task, model, eprop, clean, *records)


def spoken(count=12, frames=8, seed=0):
    """Utterances of three labels, each of which has a direction of the features of its own; some are shorter."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(frames // 2, frames + 1, count)
    labels = np.concatenate([np.repeat(rng.permutation([1, 2, 3])[:2], [n // 2, n - n // 2]) for n in lengths])
    x = 2 * np.eye(4)[labels][:, 1:] + 0.1 * rng.standard_normal((len(labels), N_IN))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    transcripts = [[int(labels[a]), int(labels[b - 1])] for a, b in itertools.pairwise(starts)]
    return Utterances(x.astype("f4"), starts, labels, transcripts)


def make(task="framewise", model="lsnn", eprop="none", clean=False, width=1, **given):
    """A learner, its utterances and their source."""
    run, rng = told(task, model, eprop, clean, **given), np.random.default_rng(1)
    arrays = timit_network.drawn(rng, N_IN, N_OUT, run)
    B = timit_network.feedback(rng, arrays["readout"].W.shape, run)
    utterances = spoken()
    source = Shuffled(utterances, 6, np.random.default_rng(2))
    asked = Task(task, np.arange(N_OUT - 1), width, run.quirky)
    return Learner(arrays, B, run, asked, np.random.default_rng(3), source.per_epoch), utterances, source


def copied(tree):
    return {path: leaf.copy() for path, leaf in parameters.leaves(tree)}


# the published networks


def test_the_neurons_have_the_published_constants_in_our_units():
    """theta = thr / (1 - alpha), beta = beta_old (1 - rho) / (1 - alpha); numbers of the specification."""
    xp.use(dtype="float64")
    for task, beta in (("framewise", 0.18407692263756983), ("ctc", 0.07374123356106614)):
        run = told(task, "lsnn", n_layer=1)
        neurons = (
            timit_network.network(timit_network.drawn(np.random.default_rng(0), 3, 5, run), run).layers[0][0].neurons
        )
        assert_allclose(neurons.theta, 0.20504166493065892, rtol=1e-12)
        assert_allclose(neurons.beta[0], [0, 0, 0, 0, beta, beta, beta], rtol=1e-10)
        assert (neurons.n_ref, neurons.unmasked, neurons.gamma, neurons.gain) == (2, True, 0.3, 1)


@pytest.mark.parametrize(
    ("task", "model", "shown", "readout"),
    [
        ("framewise", "lsnn", "123-(400+400)-62, SpikingNetwork, 5 steps a frame", (800, True, False)),
        ("framewise", "lstm", "123-(200+200)-62, LSTMNetwork", (400, True, False)),
        ("framewise", "rnn", "123-(200+200)-62, RNNNetwork", (400, True, False)),
        ("ctc", "lsnn", "123-(800+800)-(800+800)-(800+800)-62, SpikingNetwork, 5 steps a frame", (1600, False, True)),
        ("ctc", "lstm", "123-(250+250)-(250+250)-(250+250)-62, LSTMNetwork", (500, False, True)),
    ],
)
def test_the_defaults_are_the_published_networks(task, model, shown, readout):
    run = settled(task, model, "none", False, Cells(), Readout(), Learning())
    net = timit_network.network(timit_network.drawn(np.random.default_rng(0), 123, 62, run), run)
    assert repr(net) == f"BidirectionalNetwork {shown}"
    assert (net.readout.W.shape[0], net.all_layers, net.filter_first) == readout
    assert net.readout.b.shape == (1, 62)
    cells = net.layers[0][0]
    if model == "lsnn":
        assert_allclose(net.kappa, np.exp(-1 / 3))
        assert_allclose(xp.asnumpy(cells.W_in).std(), 123**-0.5, rtol=0.02)
        assert_allclose(xp.asnumpy(cells.W_rec).std(), cells.sizes[1] ** -0.5, rtol=0.02)
    else:
        assert net.kappa == 0 and (getattr(cells, "w_i", None) is not None) == (task == "ctc")
        largest = 0.1 if task == "ctc" else np.sqrt(6 / (123 + {"lstm": 5, "rnn": 2}[model] * 200))
        assert 0.99 * largest < np.abs(xp.asnumpy(cells.kernel.W)).max() <= largest and not cells.kernel.b.any()
    assert_allclose(xp.asnumpy(net.readout.W).std(), readout[0] ** -0.5, rtol=0.02)


@pytest.mark.parametrize(("task", "model"), DEFAULTS)
def test_eprop_reads_all_layers_and_its_feedback_is_the_published(task, model):
    for eprop, scale in (("random", 1.0), ("adaptive", None)):
        run = told(task, model, eprop, n_layer=2, **({"n_regular": 40} if model == "lsnn" else {"n_neuron": 40}))
        assert run.readout.loss_from_all_layers
        arrays = timit_network.drawn(np.random.default_rng(0), 3, 62, run)
        B = xp.asnumpy(timit_network.feedback(np.random.default_rng(1), arrays["readout"].W.shape, run))
        assert len(B) == 4 * run.cells.n and B.shape == arrays["readout"].W.shape
        assert_allclose(B.std(), scale or len(B) ** -0.5, rtol=0.05)
    everywhere = timit_network.feedback(np.random.default_rng(1), (16, 2), told(task, model, "random", BAglobal=True))
    assert_array_equal(everywhere, 0.25)
    assert timit_network.feedback(None, (16, 2), told(task, model, "symmetric")) is None


def test_time_constants_may_be_spread_and_recurrent_synapses_absent():
    run = told(
        tau_v_spread=True, tau_a_spread=True, n_regular=40, n_layer=2, rec=False, readout_bias=False, psp_out=False
    )
    arrays = timit_network.drawn(np.random.default_rng(0), 3, 5, run)
    assert set(arrays["tau_v"].ravel().tolist()) == {10, 20} and set(arrays["tau_a"].ravel().tolist()) == {100, 200}
    net = timit_network.network(arrays, run)
    assert_allclose(net.layers[1][1].neurons.alpha, np.exp(-1 / arrays["tau_v"][1, 1]), rtol=1e-6)
    assert not net.layers[0][0].W_rec.any() and net.readout.b is None and net.kappa == 0
    learned = [path for path, _ in parameters.leaves(timit_network.learned(net.parameters, run))]
    assert learned == [f"layers/{k}/{d}/W_in" for k in range(2) for d in ("forward", "backward")] + ["readout/W"]
    frozen = told(cell_train=False)
    assert [p for p, _ in parameters.leaves(timit_network.learned(net.parameters, frozen))] == ["readout/W"]


# rates


def test_rates_rise_and_fall_as_published():
    """In the published form of Adam eps is outside the correction of the bias, which is a factor of the rate here."""
    adam = lambda k: np.sqrt(1 - 0.999**k) / (1 - 0.9**k)  # noqa: E731
    lsnn, lstm, of_ctc = told(), told(model="lstm"), told("ctc", "lstm")
    for number, expected in ((1, 0.0), (2, 0.01 / 99), (100, 0.01), (5000, 0.01)):
        assert_allclose(lsnn.rate(number, 10), expected * adam(number), rtol=1e-12)
    for number, expected in ((1, 0.01), (500, 0.01), (501, 0.003), (1001, 0.0009)):
        assert_allclose(lstm.rate(number, 10), expected * adam(number), rtol=1e-12)
    for number, expected in ((1, 1e-3), (150, 1e-3), (151, 3e-4), (301, 9e-5)):
        assert_allclose(of_ctc.rate(number, 10), expected * adam(number), rtol=1e-12)
    assert told(optimizer="sgd", ramping_learning_rate=False).rate(1, 10) == 0.01


def test_adam_is_that_of_the_published_code():
    """p - lr_t m / (sqrt(v) + eps), lr_t = lr sqrt(1 - b2^t) / (1 - b1^t)."""
    xp.use(dtype="float64")
    run = told(model="lstm")
    optimizer, p, m, v = run.optimizer(), np.array([1.0, -2.0]), 0.0, 0.0
    w = xp.asarray(p.copy())
    state = optimizer.init(w)
    for t in range(1, 6):
        g = np.array([1e-5 * t, -3e-4])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        p = p - 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-5)
        optimizer.step(w, xp.asarray(g), state, lr=run.rate(t, 10))
        assert_allclose(w, p, rtol=1e-12)


def test_noise_begins_when_it_is_told_to():
    assert not told().is_noisy(10**6, 10)
    assert [told(noise_step_start=2).is_noisy(k, 10) for k in (1, 2, 3)] == [False, False, True]
    assert [told("ctc", noise_epoch_start=1).is_noisy(k, 10) for k in (1, 10, 11)] == [False, False, True]
    assert told("ctc").is_noisy(1, 10)


# a step


@pytest.mark.parametrize("eprop", ["none", "symmetric", "random", "adaptive"])
@pytest.mark.parametrize("model", ["lsnn", "lstm", "rnn"])
def test_a_step_goes_down_the_gradient_of_loss_rates_and_weights(model, eprop):
    """With plain gradient descent the change is -lr (g + 2 l2 p), and then, if adaptive, the decay of W and B."""
    xp.use(dtype="float64")
    more = {"reg": 5.0, "reg_rate": 20.0} if model == "lsnn" else {}
    decay = {"readout_decay": 0.2} if eprop == "adaptive" else {}
    learner, _, source = make(
        model=model, eprop=eprop, optimizer="sgd", momentum=0.0, l2=0.01, n_layer=2, lr_init=0.1,
        ramping_learning_rate=False, **decay, **more,
    )  # fmt: skip
    batch, before = source.next(), copied(learner.parameters)
    record = bidirectional.simulate(learner.network, xp.asarray(batch.x))
    padding = model != "lsnn"
    loss, err = signals.framewise(record.output, xp.asarray(batch.labels), batch.lengths, padding=padding)
    R = [tuple(signals.rate_penalty(z, 0.02, 5.0)[1] for z in pair) for pair in record.spikes] if more else None
    if eprop == "none":
        grads = bidirectional.bptt(learner.network, record, err, R)
    else:
        grads = bidirectional.eprop(learner.network, record, err, R, feedback=learner.B)
    grads = dict(parameters.leaves(grads))
    if eprop == "adaptive":
        grads["B"] = grads["readout/W"]
    if eprop == "random" and model != "lsnn":
        grads["B"] = np.zeros_like(before["B"])  # the quirk: l2 alone changes it
    assert learner.step(batch, 1) == loss
    assert before.keys() <= grads.keys()
    for path, leaf in parameters.leaves(learner.parameters):
        expected = before[path] - 0.1 * (grads[path] + 0.02 * before[path])
        if eprop == "adaptive" and path in ("B", "readout/W"):
            expected = expected * 0.8
        assert_allclose(leaf, expected, rtol=1e-10, atol=1e-14, err_msg=path)
    assert ("B" in before) == (eprop == "adaptive" or (eprop == "random" and model != "lsnn"))
    assert_allclose(learner.last()["loss"], loss)


def test_clean_leaves_the_quirks_out():
    quirky, clean = (told(model="lstm", eprop="random", clean=clean) for clean in (False, True))
    assert quirky.quirky and not clean.quirky and not told().quirky
    assert told("ctc", "lstm", "random").peephole and not told("ctc", "lstm", "random", True).peephole
    assert told("ctc", "lstm", "none", True).peephole and not quirky.peephole
    assert not told("ctc", "lstm", peephole=False).peephole and told("ctc", "lstm", "random", peephole=False).peephole
    learner, _, source = make(model="lstm", eprop="random", clean=True)
    B, batch = learner.B.copy(), source.next()
    loss = learner.step(batch, 1)
    assert_array_equal(learner.B, B)
    assert "B" not in learner.parameters
    other, _, _ = make(model="lstm", eprop="random")
    assert (batch.lengths < len(batch.x)).any() and other.step(batch, 1) != loss
    assert (other.B != B).any()


def test_spiking_layers_go_down_through_their_inputs_unless_clean():
    changes = []
    for clean in (False, True):
        learner, _, source = make(
            eprop="symmetric", clean=clean, n_layer=2, optimizer="sgd", momentum=0.0, l2=0.0, reg=0.0
        )
        before = copied(learner.parameters)
        learner.step(source.next(), 100)
        after = copied(learner.parameters)
        changes.append({path: after[path] - before[path] for path in before})
    differs = {path for path in changes[0] if np.abs(changes[0][path] - changes[1][path]).max() > 1e-7}
    assert differs and all(path.startswith("layers/0/") for path in differs)


def test_the_gradient_is_clipped_by_its_global_norm():
    small = {"optimizer": "sgd", "momentum": 0.0, "ramping_learning_rate": False, "reg": 0.0, "l2": 0.0}
    norms = []
    for clip in (0.0, 1e-3):
        learner, _, source = make(grad_clip=clip, **small)
        before = copied(learner.parameters)
        learner.step(source.next(), 1)
        after = copied(learner.parameters)
        norms.append(np.sqrt(sum(np.sum((after[p] - before[p]) ** 2) for p in before)) / 0.01)
    assert norms[0] > 1e-2
    assert_allclose(norms[1], 1e-3, rtol=1e-2)


@pytest.mark.parametrize("noise", ["input_noise", "w_noise", "gd_noise", "drop_out_probability"])
def test_noise_changes_a_step_and_leaves_no_trace(noise):
    """The same noise at every step of the same generator; without its start there is none; weights come back."""
    value = 0.5 if noise == "drop_out_probability" else 0.3
    small = {"optimizer": "sgd", "momentum": 0.0, "ramping_learning_rate": False, "lr_init": 1e-6, "gd_noise": 0.0}
    found = []
    for more in ({}, {noise: value}, {noise: value}):
        learner, _, source = make(model="lstm", **(small | {"noise_step_start": 0} | more))
        before = copied(learner.parameters)
        learner.step(source.next(), 1)
        found.append(copied(learner.parameters))
        assert all(np.abs(found[-1][path] - before[path]).max() < 1e-4 for path in before)
    assert any((found[1][path] != found[0][path]).any() for path in found[0])
    for path in found[0]:
        assert_array_equal(found[1][path], found[2][path])


# what is measured


def test_the_measures_are_means_over_utterances_and_count_no_padding():
    xp.use(dtype="float64")
    learner, utterances, _ = make(test_batch=5)
    loss, error, rate = learner.measure(utterances)
    alone = []
    for k in range(len(utterances)):
        batch = utterances.batch([k])
        output = bidirectional.predict(learner.network, xp.asarray(batch.x))
        wanted = signals.framewise(output, batch.labels)[0], signals.framewise_error(output, batch.labels)
        alone.append(wanted)
    # the backward network sees the padding first, as published: errors of utterances alone are near those, not equal
    assert 0 <= error <= 1 and loss > 0 and 0 < rate < 1000
    whole, _, _ = make(test_batch=1)
    assert_allclose(whole.measure(utterances)[:2], np.mean(alone, axis=0), rtol=1e-10)


def test_transcripts_are_compared_as_the_scored_labels():
    scored = np.array([0, 1, 1, 2])
    task = Task("ctc", scored, 1, False)
    batch = spoken(2).batch([0, 1])
    batch.transcripts[:] = [[1, 3], [2]]
    path = np.array([[1, 1], [4, 4], [2, 4]])  # (T, batch): [1, 2] and [1]
    output = xp.asarray(9.0 * (path[..., None] == np.arange(5)))
    batch.lengths[:] = 3
    # as scored [1, 1] for [1, 2], one of two labels is wrong; and [1] for [1]
    assert task.error(output, batch) == (1 / 2 + 0) / 2
    assert task.loss(output, batch)[0] == ctc.loss(output, batch.transcripts, batch.lengths)[0]


@pytest.mark.parametrize(("task", "model"), DEFAULTS)
def test_every_model_learns_what_is_easy(task, model):
    for eprop in ("none", "random") if task == "framewise" else ("none",):
        more = {"lr_init": 0.02, "n_layer": 1, "drop_out_probability": -1.0} | (
            {"n_regular": 12, "n_adaptive": 4} if model == "lsnn" else {"n_neuron": 12}
        )
        learner, utterances, source = make(task, model, eprop, width=5, **more)
        before = learner.measure(utterances)
        for number in range(1, 121):
            learner.step(source.next(), number)
        after = learner.measure(utterances)
        assert after[0] < 0.7 * before[0] and after[1] < 0.5 < before[1], (eprop, before, after)


def test_options_of_another_model_or_task_are_refused():
    for given, named in (
        (("framewise", "lstm", "none", False, Cells(tau_a=3.0)), "tau_a is 3.0"),
        (("framewise", "rnn", "none", False, Cells(peephole=True)), "peephole is True"),
        (("framewise", "lsnn", "none", False, Cells(n_neuron=3)), "n_neuron is 3"),
        (("ctc", "lsnn", "none", False, Learning(truncT=3)), "truncT is 3"),
        (("framewise", "lsnn", "none", False, Learning(noise_epoch_start=3)), "noise_epoch_start is 3"),
    ):
        with pytest.raises(PlasticError, match=f"{named}.* has no such option"):
            settled(*given, *[kind() for kind in (Cells, Readout, Learning) if not isinstance(given[4], kind)])


def test_a_model_that_a_task_has_not_is_refused():
    with pytest.raises(PlasticError, match="model is rnn, but --task=ctc takes lsnn or lstm"):
        settled("ctc", "rnn", "none", False, Cells(), Readout(), Learning())
