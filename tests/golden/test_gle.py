"""GLE against numbers of the published code, in float64 (their format: README.md beside this file).

Weights in the files are (outputs, inputs), ours (inputs, outputs). Every size and constant that a file holds comes from
it. What the files of whole published runs hold is checked in test_gle_full.py and, here, for the first part of a run.
"""

from unittest import mock

import numpy as np
import pytest
import test_gle_data
import test_gle_full
from numpy.testing import assert_allclose, assert_array_equal

from plastic import functions, xp
from plastic.gle import inputs, lag_features, lagline_student, lagnet_students
from plastic.gle.dynamics import step, step_through_all_layers
from plastic.gle.experiments.sequence_classifier import SequenceClassifier
from plastic.gle.networks import Network
from plastic.gle.state import State
from plastic.optimizers import SGD, Adam, Plateau
from plastic.parameters import Affine

GOLDEN = "gle_*.npz"
PHI = {
    "relu": functions.relu,
    "sigmoid": functions.sigmoid,
    "hard_sigmoid": functions.hardsigm,
    "tanh": functions.tanh,
    "hard_tanh": functions.hard_tanh,
    "softplus": functions.softplus,
    "linear": functions.linear,
}
PLATEAUS = {"mnist1d": Plateau(patience=2, factor=0.5), "gsc": Plateau(patience=3, factor=0.9, eps=1e-20)}


def test_golden(golden):
    numbers = dict(np.load(golden, allow_pickle=False))
    if numbers.get("full_backward", False):
        pytest.skip("full_fwd_fullbwd: we leave out the deprecated second, downward sweep of a step, which has a bug")
    xp.use(dtype="float64")
    check(numbers | test_gle_full.shifts_beside(golden, numbers))


def check(numbers):
    """Run the checks of the kind of file that these numbers come from."""
    next(function for name, function in KINDS.items() if name in numbers)(numbers)


def check_net(numbers):
    """gle_net: every array of every step of a network of one to three layers, with its gradients and updates."""
    p, L, bias, learn_tau = constants(numbers), len(numbers["phi"]), numbers["bias"], bool(numbers["learn_tau"])
    assert not p["full_backward"]
    layers = [affine(numbers[f"W0_{k}"], numbers[f"b0_{k}"] if bias else None) for k in range(L)]
    phi, gamma = [PHI[name] for name in numbers["phi"].tolist()], numbers["gamma"].tolist()
    tau_m, tau_r = ([numbers[f"{name}_{k}"] for k in range(L)] for name in ("tau_m", "tau_r"))
    network = Network.from_layers(layers, phi, tau_m, tau_r, p["dt"], gamma, p["prospective"], learn_tau)
    assert network.sizes == tuple(numbers["sizes"].tolist())
    take = step_through_all_layers if p["full_forward"] else step
    optimizer = {"none": None, "sgd": SGD(p["lr"], p["momentum"]), "adam": Adam(p["lr"])}[p["opt"]]
    moments = optimizer and optimizer.init(network.parameters)
    state = State(network, numbers["B"][0].item())
    found = Found(numbers)
    for t, batch in enumerate(numbers["B"].tolist()):
        state = state.resized(batch)
        x, y = numbers["x"][t, :batch], numbers["y"][t, :batch]
        error = p["beta"] * delta(p["loss"], state.output, y) if numbers["has_target"][t] else 0 * state.output
        came = np.concatenate([state.E[:, : -error.shape[1]], error], axis=1) * state.q
        grads, out = take(network, state, x, -error if numbers["has_target"][t] else None)
        found.note(t, out=out)
        for k, part in enumerate(network.columns):
            arrays = {"u": state.u, "v": state.v, "r": state.r, "rp": state.q}
            arrays |= {"pu": state.u_ahead, "pv": state.e_ahead, "ie": came}
            found.note(t, **{f"{name}_{k}": array[:, part] for name, array in arrays.items()})
            down = state.E[:, network.columns[k - 1]] if k else state.e_ahead[:, part] @ network.layers[0].W.T
            found.note(t, **{f"eb_{k}": down, f"gW_{k}": grads.layers[k].W.T})
            if bias:
                found.note(t, **{f"gb_{k}": grads.layers[k].b[0]})
            if learn_tau:
                found.note(t, **{f"gtau_{k}": grads.tau_m[0, part]})
        if optimizer:
            optimizer.step(network.parameters, grads, moments)
            if learn_tau:
                np.maximum(network.tau_m, 10 * p["dt"], out=network.tau_m)
            for k, part in enumerate(network.columns):
                found.note(t, **{f"W_{k}": network.layers[k].W.T})
                if bias:
                    found.note(t, **{f"b_{k}": network.layers[k].b[0]})
                if learn_tau:
                    found.note(t, **{f"tau_{k}": network.tau_m[0, part]})
    given = {"x", "y", "B", "sizes", "phi", "gamma", "has_target", *p}
    given |= {f"{name}_{k}" for name in ("W0", "b0", "tau_m", "tau_r") for k in range(L)}
    assert found.compare() == numbers.keys() - given


def check_lag_line(numbers):
    """gle_lagline: a student on the lag line by GLE, instantaneous backpropagation, or truncated BPTT."""
    p, x = constants(numbers), numbers["x"]
    assert len(x) == int((p["T_init"] + p["T_train"]) / p["dt"])  # cut, as published
    assert p["truncation"] >= 1
    window = p["truncation"] if p["truncation"] > 1 else 0
    prospective = not np.array_equal(numbers["pv_0"], numbers["v_0"])
    begin, updates, found = round(p["T_init"] / p["dt"]), numbers["update_step"].tolist(), Found(numbers)
    with mock.patch.multiple(lagline_student, GAMMA=p["gamma"], TAU_R=p["tau_r"]):
        learner = lagline_student.Student(
            prospective, window, numbers["init"], begin, x.shape[1], p["dt"], p["beta"], p["lr"]
        )
    state, grads = learner.state, learner.grads
    for s in range(len(x)):
        before, out = tau_and_w(learner.student.parameters), state.output[:, 0].copy()
        y, d = learner.step(s, x[s][:, None])
        after = tau_and_w(learner.student.parameters)
        before = before if s > begin // 2 else after  # until then it is given its time constants at the start of a step
        found.note(s, y=y[:, 0], out=out, loss=np.mean(d**2), params_before=before)
        for k in range(2):
            arrays = {"u": state.u, "v": state.v, "r": state.r, "pu": state.u_ahead, "pv": state.e_ahead}
            found.note(s, **{f"{name}_{k}": array[:, k] for name, array in arrays.items()})
        if s in updates:
            found.note(updates.index(s), grad=tau_and_w(grads), params_after=after)
    assert found.compare() == numbers.keys() - {"x", "init", "update_step", *p}


def check_lag_line_input(numbers):
    """gle_lagline_seedinit: where the pulses of the published input begin, and what the shifts make of them."""
    n, width, starts = (numbers[name].tolist() for name in ("n_steps", "width", "pulse_start"))
    assert_array_equal(inputs.pulse_starts(n, width), starts)
    rises = [start for start in starts if start < n]
    shifts = numbers["shift"].astype(int)
    assert shifts.min() >= 0 and shifts.max() < width
    some = shifts[[0, np.argmax(shifts)]]
    x = inputs.step_function(n, 2 / width, some, smooth=0)
    for wave, shift in zip(x.T, some, strict=True):
        first = np.roll(wave, -shift)
        begins = np.flatnonzero((first == 1) & (np.roll(first, 1) == -1))
        assert_array_equal(begins, rises)
        assert_array_equal(np.flatnonzero((first == -1) & (np.roll(first, 1) == 1)), (begins + width) % n)
    lagline_student.Student(True, 0, numbers["init"], 1, 1, 0.01, 1e-2, 1e-4)  # time constants it can begin with


def check_lag_net(numbers):
    """gle_lagnet: students of the lag net by GLE and by the adjoint method, their errors and lambda."""
    p, x = constants(numbers), numbers["x"]
    N, found = len(x), Found(numbers)
    assert_close(inputs.times(N, p["T"]), numbers["time"])
    assert_close(inputs.sines(N, p["T"], numbers["freqs_hz"]), x)
    learner = lagnet_students.Students(
        lagnet_students.published(numbers["W0_init"].T),
        N,
        p["start"],
        p["update_every"],
        p["dt"],
        p["gamma_gle"],
        p["lr_gle"],
        p["lr_am"],
        p["momentum"],
    )
    network, state = learner.network, learner.state
    for k, layer in enumerate(network.layers):
        assert_close(layer.W[0].T, numbers[f"W_teacher_{k}"])
        for student in (lagnet_students.GLE, lagnet_students.AM) if k else ():
            assert_close(layer.W[student].T, numbers[f"W_student_{k}"])
    parts, updates = network.columns, []
    for s in range(N):
        E, q = state.E[1, 0].copy(), state.q[1, 0].copy()
        target, gle, am = learner.step(s, x[s].item())[:, 0, 0]
        came = np.append(E[:-1], target - gle) * q
        found.note(s, target=target, gle_out=gle, am_out=am, gle_loss=(gle - target) ** 2, am_loss=(am - target) ** 2)
        found.note(s, **{f"{name}_W0": learner.learned[k][0].W[0] for name, k in (("gle", 1), ("am", 2))})
        for k, part in enumerate(parts):
            below = x[s] if k == 0 else state.r[2, 0, parts[k - 1]]
            found.note(s, **{f"gle_pv_{k}": state.e_ahead[1, 0, part], f"gle_ie_{k}": came[part]})
            found.note(s, **{f"am_rp_{k}": learner.past["q"][s, 0, part], f"am_rpre_{k}": below})
        if s > 0 and s % (p["start"] if s <= p["start"] else p["update_every"]) == 0:
            found.note(len(updates), am_grad=learner.grads[lagnet_students.AM][0].W[0])
            updates.append(s)
    assert len(updates) == len(numbers["am_grad"])
    for k, part in enumerate(parts):
        assert len(numbers[f"am_lambda_{k}"]) == updates[-1]
        for s in range(updates[-1]):
            found.note(s, **{f"am_lambda_{k}": learner.past["lam"][s, 0, part]})
    weights = [f"W_{who}_{k}" for who in ("teacher", "student") for k in range(3)]
    assert found.compare() == numbers.keys() - {"time", "x", "W0_init", "freqs_hz", *weights, *p}


def check_sequences(numbers):
    """gle_mnist1d_e2e, gle_mnist1d_lagtdnn: two batches of sequences learned, others then classified."""
    for memoryless in (False, True):
        check_sequences_once(numbers, memoryless)


def check_sequences_once(numbers, memoryless):
    names = [key.split(".")[1] for key in numbers if key.startswith("init.") and key.endswith(".weight")]
    layers = [affine(numbers[f"init.{name}.weight"], numbers[f"init.{name}.bias"]) for name in sorted(names)]
    between, dt = [functions.tanh] * (len(layers) - 2), numbers["dt"].item()
    if "lag_out" in numbers:
        phi = [functions.tanh, *between, functions.linear]
        network = Network.from_layers(layers, phi, 2.0, 2.0, dt, prospective=False, memoryless=memoryless)
        check_lag_features(numbers)
    else:
        phi = [functions.linear, *between, functions.linear]
        tau_m, tau_r = ([numbers[name]] * (len(layers) - 1) + [1.2] for name in ("tau_m", "tau_r"))
        network = Network.from_layers(layers, phi, tau_m, tau_r, dt, memoryless=memoryless)

    def prepare(x):
        return np.swapaxes(lag_features.lag_features(x[..., None]) if "lag_out" in numbers else x[..., None], 0, 1)

    batches, _, batch, _ = numbers["out"].shape
    learner = SequenceClassifier(network, prepare, PLATEAUS["mnist1d"], numbers["lr"].item(), batch, chunk=1000)
    for k in range(batches):
        rows = slice(k * batch, (k + 1) * batch)
        x, labels = prepare(numbers["x"][rows]), numbers["y"][rows]
        out = np.stack([learner.learn(x[t : t + 1], labels) for t in range(len(x))])
        assert_close(out, numbers["out"][k])
        assert_close(functions.softmax_cross_entropy(out, labels)[0].sum(axis=-1), numbers["loss_sum"][k])
    for name, layer in zip(sorted(names), network.layers, strict=True):
        assert_close(layer.W.T, numbers[f"final.{name}.weight"])
        assert_close(layer.b[0], numbers[f"final.{name}.bias"])
    out = learner.present(prepare(numbers["eval_x"]))
    assert_close(out, numbers["eval_out"])
    assert_array_equal(out.sum(axis=0).argmax(axis=-1), numbers["eval_pred"])
    assert len(numbers["eval_y"]) == len(numbers["eval_x"])


def check_lag_features(numbers):
    """The constants of the fixed lag net, and its output for each batch from rest."""
    lags, dt = lag_features.lag_net(), numbers["dt"].item()
    for part in lags.columns:
        assert_close(lags.tau_m[0, part], numbers["lag_tau_m"])
        assert_close(lags.tau_r[0, part], numbers["lag_tau_r"])
    assert_close(lags.dt, dt)
    expected = np.moveaxis(numbers["lag_out"], 2, 1)  # batches, samples, steps
    assert_close(lag_features.lag_features(numbers["x"][..., None]), expected.reshape(-1, *expected.shape[2:]))


def check_functions(numbers):
    """gle_functions: activations and slopes, losses with what is injected at the output, schedules, the step input."""
    z = numbers["z"]
    for name in (key.removeprefix("phi_") for key in numbers if key.startswith("phi_")):
        if name != "hard_sigmoid_torch":  # no network uses it, and its slope is not that of its value
            rho = PHI[name].value(z)
            assert_close(rho, numbers[f"phi_{name}"])
            assert_close(PHI[name].slope(z, rho).astype(float), numbers[f"dphi_{name}"])
    check_losses(numbers)
    for name, schedule in PLATEAUS.items():
        state, rates = schedule.init(1e-3), []
        for loss in numbers[f"plateau_{name}_loss"]:
            schedule.step(state, loss)
            rates.append(state["lr"].item())
        assert_close(np.array(rates), numbers[f"plateau_{name}_lr"])
        assert len(set(rates)) > 2
    T, dt = numbers["step_T"].item(), numbers["step_dt"].item()
    n, shifts = int(T / dt), []
    assert_close(inputs.times(n, T), numbers["step_t"])
    for wave in numbers["step_x"]:
        (shift,) = (k for k in range(int(2 / dt)) if np.array_equal(inputs.step_function(n, dt, [k], 0)[:, 0], wave))
        shifts.append(shift)
    assert_close(inputs.step_function(n, dt, shifts).T, numbers["step_x_smooth"])


def check_losses(numbers):
    """Losses, and beta delta: for mean squared errors without the factor 2 / N of the gradient."""
    out, label, target = numbers["out"], numbers["label"], numbers["target"]
    onehot = functions.one_hot(label, out.shape[1])
    for name, wanted in (("mse", target), ("mse_onehot", onehot)):
        assert_close(functions.mean_squared_error(out, wanted), numbers[f"{name}_mean"])
    assert_close(functions.mean_squared_error(out, target) * out.size, numbers["mse_sum"])
    cross_entropy, gradient = functions.softmax_cross_entropy(out, label)
    assert_close(cross_entropy.mean(), numbers["ce_mean"])
    assert_close(cross_entropy.sum(), numbers["ce_sum"])
    assert_close(delta("mse", out, onehot), numbers["mse_onehot_err"])
    (mse,), (ce,) = ([key for key in numbers if key.startswith(f"{loss}_err_beta")] for loss in ("mse", "ce"))
    assert_close(float(mse.split("beta")[1]) * delta("mse", out, target), numbers[mse])
    assert_close(float(ce.split("beta")[1]) * delta("ce", out, label), numbers[ce])
    assert_close(-float(ce.split("beta")[1]) * gradient, numbers[ce])


KINDS = {
    "templates": test_gle_data.check,
    "gW_0": check_net,
    "loss_mean100rows": test_gle_full.check,
    "loss_gle_mean250": test_gle_full.check,
    "params_before": check_lag_line,
    "pulse_start": check_lag_line_input,
    "am_lambda_0": check_lag_net,
    "eval_out": check_sequences,
    "step_x_smooth": check_functions,
}


class Found:
    """What a run computed, in arrays of the shapes of a file; nan where nothing was."""

    def __init__(self, numbers):
        self.numbers, self.arrays = numbers, {}

    def note(self, t, **arrays):
        """Note arrays of step t; those of fewer samples than the file has room for leave its last rows."""
        for name, array in arrays.items():
            held = self.arrays.setdefault(name, np.full(self.numbers[name].shape, np.nan))
            if np.size(array) == held[t].size:
                held[t] = np.reshape(array, held[t].shape)
            else:
                held[t, : len(array)] = array

    def compare(self):
        """Compare all; return their names."""
        for name, array in self.arrays.items():
            assert_close(array, self.numbers[name], name)
        return self.arrays.keys()


def constants(numbers):
    """The numbers and words of a file that are no arrays."""
    return {name: array.item() for name, array in numbers.items() if array.ndim == 0}


def affine(W, b=None):
    return Affine(W.T.copy(), None if b is None else b[None].copy())


def delta(loss, output, y):
    """What is injected at the output for beta = 1."""
    functions_of = {
        "mse": lambda: y - output,
        "ce": lambda: functions.one_hot(y, output.shape[-1]) - functions.softmax(output),
    }
    return functions_of[loss]()


def tau_and_w(held):
    """tau_0, tau_1, w_0, w_1 of a chain."""
    return np.concatenate([held.tau_m[0], *(layer.W[0] for layer in held.layers)])


def assert_close(found, expected, name=""):
    assert np.shape(found) == np.shape(expected), name
    assert_allclose(found, expected, rtol=1e-9, atol=1e-10, err_msg=name)
