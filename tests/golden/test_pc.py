"""Predictive coding against numbers of the published code, in float64 (their format: README.md beside this file).

Every size, rate and number of steps comes from the files. There, weights are (outputs, inputs), and gradients are sums
over the batch: with means, a rate is that of the file times the batch size B, and Adam's eps and every weight decay is
that of the file over B.
"""

import numpy as np
import pc_convolutional
from numpy.testing import assert_allclose
from pc_schedules import when

from plastic import check as measures
from plastic import functions, parameters, xp
from plastic.optimizers import SGD, Adam
from plastic.parameters import Affine
from plastic.pc import Network, State, activities, bp, infer, pc, predict, step, tp

GOLDEN = "pc_*.npz"
RELATIVE, ABSOLUTE = 1e-9, 1e-12
AT_REST = 1e-8
"""Absolute, where rounding decides in the published code whether an energy still falls: there gamma shrinks, and states
stop about the root of a rounding, 1.5e-8, from rest."""
ACTIVATIONS = {name: getattr(functions, name) for name in ("linear", "sigmoid", "tanh", "relu", "leaky")}
AFTER = {"before": False, "after": True}


def test_golden(golden):
    numbers = dict(np.load(golden, allow_pickle=False))
    floats = {
        name: array for name, array in numbers.items() if array.dtype.kind == "f" and not name.startswith("rbp_lrx")
    }
    assert all(np.isfinite(array).all() for array in floats.values())
    xp.use(dtype="float64")
    check(numbers)


def check(numbers):
    """Run the checks of the kind of file that these numbers come from."""
    if "depths" in numbers:
        check_alignment(numbers)
    elif "Wc1" in numbers:
        pc_convolutional.check(numbers)
    elif "e122_v" in numbers:
        check_toys(numbers)
    else:
        check_training(numbers)


# one network, five batches, predictive coding and backpropagation


def check_training(numbers):
    """The first batch step by step, and the parameters after it and after all batches, by both rules."""
    for rule in (PredictiveCoding, Backpropagation):
        run = rule(numbers)
        assert list(numbers["sizes"]) == list(run.network.sizes)
        first_loss, last_energy = [], []
        for k, (x, y) in enumerate(zip(numbers["X"], numbers["Y"], strict=True)):
            before = predict(run.network, x)
            first_loss.append(half_square(y - before))
            last_energy.append(run.batch(x, y, watched=k == 0))
            if k == 0:
                after = predict(run.network, x)
                run.close(before, "out_before")
                run.close(after, "out_after")
                run.close(measures.target_alignment(before, after, y), "target_alignment")
                run.close_parameters(run.last["layers"], "g{}", scale=len(x))
                run.close_parameters(run.network.layers, "{}_it1")
        run.close_parameters(run.network.layers, "{}_it5")
        assert k == 4
        run.close(first_loss, "loss_first_it")
        run.close(last_energy, "overall_last_it")


class Run:
    """The network and the optimizer of a file, and comparisons with its numbers of one rule."""

    def __init__(self, numbers):
        self.numbers, self.T = numbers, int(numbers["T"])
        count = sum(name[1:].isdigit() for name in numbers if name[0] == "W")
        layers = [
            Affine(numbers[f"W{k}"].T.copy(), numbers[f"b{k}"][None].copy() if numbers["bias"] else None)
            for k in range(1, count + 1)
        ]
        self.network = Network(layers, ACTIVATIONS[str(numbers["act"])], AFTER[str(numbers["pc_layer_at"])])
        B, lr = numbers["X"].shape[1], numbers["lr_w"].item()
        decay = numbers.get("p_weight_decay", np.zeros(())).item() / B
        self.optimizer = {
            "SGD": SGD(lr * B, numbers.get("p_momentum", np.zeros(())).item(), decay),
            "Adam": Adam(lr, eps=1e-8 / B, weight_decay=decay),
        }[str(numbers["p_opt"])]
        self.moments = self.optimizer.init(self.network.parameters)

    def update(self, grads):
        self.last = parameters.copy(grads)
        self.optimizer.step(self.network.parameters, grads, self.moments)

    def close(self, found, name):
        """Compare; where inference has blown up on its way, to a part of the largest error met there."""
        energy, numbers = self.numbers["pc_overall_t"], self.numbers
        absolute = ABSOLUTE if numbers["pc_lrx_safe_steps"] == len(energy) else AT_REST
        if energy.max() > 10 * energy[0]:
            absolute *= np.sqrt(energy.max())
        expected = numbers[f"{self.name}_{name}"]
        assert np.shape(found) == expected.shape, name
        assert_allclose(found, expected, rtol=RELATIVE, atol=absolute, err_msg=name)

    def close_parameters(self, layers, pattern, scale=1):
        for k, layer in enumerate(layers, start=1):
            self.close(scale * layer.W.T, pattern.format(f"W{k}"))
            if layer.b is not None:
                self.close(scale * layer.b[0], pattern.format(f"b{k}"))


class PredictiveCoding(Run):
    name = "pc"

    def batch(self, x, y, watched):
        """Learn a batch; return the energy at the last step. watched: compare each step."""
        numbers = self.numbers
        names = {"gamma": "lr_x", "discount": "x_lr_discount", "amplifier": "x_lr_amplifier"}
        constants = {ours: numbers[name].item() for ours, name in names.items()}
        states = {"SGD": None, "Adam": Adam()}[str(numbers["x_opt"])]
        state = State(self.network, x, y, **constants, optimizer=states)
        path, record, gammas = [[each.copy() for each in state.x_layers]], [], []
        for t in range(self.T):
            gammas.append(np.reshape(state.gamma, ()))
            grads, _ = step(self.network, state, x)
            errors = [half_square(error) for error in state.eps_layers]
            record.append((half_square(state.eps_top), errors, float(state.F)))
            path.append([each.copy() for each in state.x_layers])
            if t in when(str(numbers["update_p_at"]), self.T):
                self.update(grads)
        loss, errors, energy = zip(*record, strict=True)
        if watched:
            for name, found in (("loss", loss), ("E", errors), ("overall", energy)):
                self.close(found, f"{name}_t")
            for k, states in enumerate(zip(*path, strict=True), start=1):
                self.close(states, f"x{k}")
            self.check_rates(energy, gammas)
        return energy[-1]

    def check_rates(self, energy, gammas):
        """Gamma at each step, as far as the energy changes by more than rounding: how far says the file too."""
        moving = np.abs(np.diff(energy)) / energy[1:] > 1e-9
        safe = len(energy) if moving.all() else 1 + int(np.argmin(moving))
        assert self.numbers["pc_lrx_safe_steps"] == safe
        assert len(gammas) == len(self.numbers["pc_lrx_t"])
        assert_allclose(gammas[:safe], self.numbers["pc_lrx_t"][:safe], rtol=1e-12)


class Backpropagation(Run):
    name = "bp"

    def batch(self, x, y, watched):
        """Take as many steps on a batch as the other rule takes of the weights; return the loss before the last."""
        schedule = str(self.numbers["update_p_at"])
        steps = 1 if schedule == "last" else self.T
        losses = []
        for t in range(steps):
            losses.append(half_square(y - predict(self.network, x)))
            grads, _ = bp(self.network, x, y)
            if t in when(schedule, steps):
                self.update(grads)
        if watched:
            self.close(losses, "loss_t")
        return losses[-1]


# alignment with the target, and the prospective index, by depth


def check_alignment(numbers):
    """One update of networks of each depth by each rule."""
    T, gamma, discount = (numbers[name].item() for name in ("T", "lr_x", "x_lr_discount"))
    rules = {"pc": lambda *batch: pc(*batch, T=T, gamma=gamma, discount=discount), "bp": bp, "tp": tp}
    width = numbers["width"]
    for act in numbers["acts"]:
        for depth in numbers["depths"]:
            key = f"{act}_L{depth}"
            assert numbers[f"{key}_W"].shape == (depth, width, width)
            x, y = numbers[f"{key}_X"], numbers[f"{key}_Y"]
            for rule in ("pc", "bp", "tp") if act == "linear" else ("pc", "bp"):
                layers = [Affine(W.T.copy()) for W in numbers[f"{key}_W"]]
                network = Network(layers, ACTIVATIONS[str(act)])
                state = State(network, x, y, gamma=gamma, discount=discount)
                infer(network, state, x, T)
                before = activities(network, x)
                SGD(numbers["lr_w"].item() * len(x)).step(network.parameters, rules[rule](network, x, y)[0], {})
                after = activities(network, x)
                found = measures.target_alignment(before[-1], after[-1], y)
                if rule == "tp":
                    if depth <= 5:  # deeper, what pseudo-inverses amplify is rounding
                        assert_allclose(found, numbers[f"{key}_tp_alignment"], rtol=1e-6)
                    continue
                close(found, numbers[f"{key}_{rule}_alignment"])
                close(before[-1], numbers[f"{key}_{rule}_out0"])
                close(after[-1], numbers[f"{key}_{rule}_out1"])
                if rule == "pc":
                    layers = zip(before, [*state.x_layers, y], after, strict=True)
                    index = [measures.prospective_index(*layer) for layer in layers]
                    close(index, numbers[f"{key}_prospective_index"])


# nets of four or five units; all rates, and all groups of animals, are replicas of one network


def check_toys(numbers):
    """Long inference: all of them come to rest."""
    for rule in ("pc", "bp"):
        check_two_outputs_in_a_row(numbers, rule)
        check_interference(numbers, rule)
        check_reversal(numbers, rule)
        check_fear(numbers, rule)


def toy_rule(numbers, toy, rule):
    T, gamma, discount = (numbers[f"{toy}_{name}"].item() for name in ("T", "lr_x", "x_lr_discount"))
    constants = {} if rule == "bp" else {"T": T, "gamma": gamma, "discount": discount}

    def gradients(network, x, y):  # of one sample, whose sum is its mean
        grads, _ = {"pc": pc, "bp": bp}[rule](network, x, y, **constants)
        return grads["layers"]

    return gradients


def linear_net(*weights, **options):
    return Network([Affine(np.array(W, float)) for W in weights], functions.linear, **options)


def check_two_outputs_in_a_row(numbers, rule):
    """1-2-2: the second layer is diagonal and stays; the first learns from 0."""
    network = linear_net(np.zeros((1, 2)), np.diag(numbers["e122_v"]))
    path = [network.layers[0].W[0].copy()]
    while len(path) < len(numbers[f"e122_{rule}_w"]):
        grads = toy_rule(numbers, "e122", rule)(network, np.ones((1, 1)), np.ones((1, 2)))
        network.layers[0].W -= numbers[f"e122_lr_{rule}"] * grads[0].W
        path.append(network.layers[0].W[0].copy())
    close(path, numbers[f"e122_{rule}_w"], AT_REST)


def learn_the_same_again(numbers, toy, rule, network, y):
    """Return the path of all weights, (rates, steps, 3), and of the predictions, for the input 1."""
    optimizer = SGD(numbers[f"{toy}_lr_w"][:, None, None])
    weights, predictions, x = [], [], np.ones((1, 1))
    for _ in range(numbers[f"{toy}_{rule}_w"].shape[1]):
        predictions.append(predict(network, x)[:, 0])
        optimizer.step(network.layers, toy_rule(numbers, toy, rule)(network, x, y), {})
        weights.append(np.concatenate([layer.W[:, 0] for layer in network.layers], axis=-1))
    return np.swapaxes(weights, 0, 1), np.swapaxes(predictions, 0, 1)


def check_interference(numbers, rule):
    """1-1-2, all weights 1: an output that is right already is disturbed while the other learns."""
    R = len(numbers["i112_lr_w"])
    network = linear_net(np.ones((R, 1, 1)), np.ones((R, 1, 2)))
    found = learn_the_same_again(numbers, "i112", rule, network, numbers["i112_target"][None])
    for path, name in zip(found, ("w", "pred"), strict=True):
        close(path, numbers[f"i112_{rule}_{name}"], AT_REST)


def check_reversal(numbers, rule):
    """1-1-2 of which the first output alone has an error."""
    w, R = numbers["rev_w0"], len(numbers["rev_lr_w"])
    weights = np.tile(w[:1, None], (R, 1, 1)), np.tile(w[None, 1:], (R, 1, 1))
    network = linear_net(*weights, counted=np.array([1.0, 0.0]))
    weights, _ = learn_the_same_again(numbers, "rev", rule, network, np.array([[-1.0, 0.0]]))
    close(weights, numbers[f"rev_{rule}_w"], AT_REST)


ACQUIRED = {"N+": (0, 1), "LN+": (1, 1), "LN+,L-": (1, 1)}  # light, noise
EXTINGUISHED = {"N+": (0, 0), "LN+": (0, 0), "LN+,L-": (1, 0)}


def check_fear(numbers, rule):
    """2-2-1 with a diagonal first layer: pairings with a shock, then without; the response to noise alone."""
    names, rates = [str(name) for name in numbers["fear_groups"]], numbers["fear_lrs"]
    shape = (len(rates), len(names))
    network = linear_net(np.tile(np.eye(2), (*shape, 1, 1)), np.tile(numbers["fear_mix_init"][:, None], (*shape, 1, 1)))
    responses = []
    for cues, shock in ((ACQUIRED, 1.0), (EXTINGUISHED, 0.0)):
        x = np.tile(np.array([cues[name] for name in names], float)[:, None], (shape[0], 1, 1, 1))
        for _ in range(numbers["fear_iters_per_phase"]):
            perception, mixing = toy_rule(numbers, "fear", rule)(network, x, np.array([[shock]]))
            network.layers[0].W -= rates[:, None, None, :1] * perception.W * np.eye(2)
            network.layers[1].W -= rates[:, None, 1:, None] * mixing.W
            responses.append(predict(network, np.array([[0.0, 1.0]]))[..., 0, 0])
    close(np.moveaxis(responses, 0, -1), numbers[f"fear_{rule}_resp_N"], AT_REST)
    final = np.diagonal(network.layers[0].W, axis1=-2, axis2=-1), network.layers[1].W[..., 0]
    close(np.concatenate(final, axis=-1), numbers[f"fear_{rule}_final_w"], AT_REST)


def half_square(error):
    return 0.5 * np.sum(error * error)


def close(found, expected, absolute=ABSOLUTE):
    assert np.shape(found) == expected.shape
    assert_allclose(found, expected, rtol=RELATIVE, atol=absolute)
