"""A new family in one file: difference target propagation (Lee, Zhang, Fischer and Bengio 2015), with its command.

The network is h_l = tanh(h_{l-1} W_l + b_l), h_0 = x, with a linear output. Each hidden layer l >= 2 has a learned
inverse g_l(h) = tanh(h V_l + c_l) that guesses h_{l-1}. A target is sent down instead of a gradient,

    t_{L-1} = h_{L-1} - eta dE/dh_{L-1}                   the top hidden layer, E = 1/2 |h_L - y|^2
    t_{l-1} = h_{l-1} + g_l(t_l) - g_l(h_l)               below: the difference corrects what g_l gets wrong

and each layer moves towards its target, by the gradient of |h_l - t_l|^2 / 2, t_l held; the output by that of E. An
inverse learns to give back what noise has disturbed, |g_l(f_l(h')) - h'|^2 / 2 with h' = h_{l-1} + noise.

    python examples/a_new_family.py train --dataset=glyphs
    python examples/a_new_family.py train --resume=FOLDER --nb_epochs=8
    python examples/a_new_family.py figure FOLDER
"""

import dataclasses
import itertools
import pathlib

import numpy as np

from plastic import affine, check, classifier, cli, initializers, parameters, plotting, require, training, xp
from plastic.data.sources import Batches, Drawn, Together
from plastic.functions import accuracy, one_hot, tanh
from plastic.optimizers import Adam
from plastic.parameters import Affine
from plastic.runs import experiment
from plastic.runs.figure import figure


@dataclasses.dataclass
class Network:
    """layers: W_l, b_l of all layers. inverses: V_l, c_l of the hidden layers but the first."""

    layers: list[Affine]
    inverses: list[Affine]

    @property
    def parameters(self):
        """The tree of what is learned."""
        return {"layers": self.layers, "inverses": self.inverses}


def network(sizes, generator):
    """Return a network of widths `sizes`, the input first, Xavier weights and zero biases."""
    require.sizes(sizes, least=3)

    def layer(each, n_in, n_out):
        W = xp.asarray(initializers.xavier_uniform(each, n_in, n_out))
        return Affine(W, xp.zeros((1, n_out), dtype=xp.float_dtype))

    def drawn(each):
        up, down = itertools.pairwise(sizes), itertools.pairwise(sizes[1:-1])
        return [layer(each, *pair) for pair in up], [layer(each, b, a) for a, b in down]

    return Network(*initializers.replicas(drawn, generator))


def activities(net, x):
    """Return [h_0, .., h_L]."""
    h = [x]
    for place, layer in enumerate(net.layers):
        u = h[-1] @ layer.W + layer.b
        h.append(tanh.value(u) if place < len(net.layers) - 1 else u)
    return h


def predict(net, x):
    """Return the outputs (..., batch, n_L) for inputs (..., batch, n_0)."""
    require.rows("x", x, net.layers[0].W.shape[-2], net.layers[0].W.dtype)
    return activities(net, x)[-1]


def local(below, error, h=None):
    """Return the gradient of an affine map from its error, through tanh where its output h is given."""
    delta = (error if h is None else error * tanh.slope(h, h)) / below.shape[-2]
    return Affine(affine.weight_gradient(below, delta), affine.bias_gradient(delta))


def dtp(net, x, y, *, eta=0.1, noise=()):
    """Return (grads, output) of difference target propagation; noise: one array for each inverse, or none."""
    require.rows("x", x, net.layers[0].W.shape[-2], net.layers[0].W.dtype)
    require.targets(y, x, net.layers[-1].W.shape[-1], net.layers[0].W.dtype)
    require.number("eta", eta, above=0)
    h = activities(net, x)
    error, inverses = h[-1] - y, []
    t, layers = h[-2] - eta * error @ affine.transposed(net.layers[-1].W), [local(h[-2], error)]
    for k in reversed(range(1, len(net.layers))):  # the hidden layers from the top
        below, above = h[k - 1], h[k]
        layers.insert(0, local(below, above - t, above))
        if k > 1:
            g = net.inverses[k - 2]
            inverses.insert(0, _inverse_gradient(net.layers[k - 1], g, below + (noise[k - 2] if noise else 0.0)))
            t = below + tanh.value(t @ g.W + g.b) - tanh.value(above @ g.W + g.b)
    return {"layers": layers, "inverses": inverses}, h[-1]


def _inverse_gradient(layer, g, disturbed):
    above = tanh.value(disturbed @ layer.W + layer.b)
    guess = tanh.value(above @ g.W + g.b)
    return local(above, guess - disturbed, guess)


def bp(net, x, y):
    """Return (grads, output) of backpropagation, which teaches the inverses nothing: what updates are compared with."""
    h = activities(net, x)
    error, layers = h[-1] - y, []
    for place in reversed(range(len(net.layers))):
        hidden = place < len(net.layers) - 1
        layers.insert(0, local(h[place], error, h[place + 1] if hidden else None))
        delta = error * tanh.slope(h[place + 1], h[place + 1]) if hidden else error
        error = delta @ affine.transposed(net.layers[place].W)
    return {"layers": layers, "inverses": parameters.zeros_like(net.inverses)}, h[-1]


def curves(runs):
    """Test accuracy over the epochs, and the cosine of each layer's update with that of backpropagation."""
    fig, (left, right) = plotting.figure(columns=2)
    names = plotting.labels(runs, [f"rate {run.option('learning_rate'):g}, eta {run.option('eta'):g}" for run in runs])
    for run, name in zip(runs, names, strict=True):  # start: the looks of the curves before are not taken again
        plotting.curves(left, *plotting.over_epochs(run.metrics(), {"test_accuracy": name}), start=len(left.lines))
        cosines = {key: f"{name}, layer {key[7:]}" for key in run.metrics() if key.startswith("cosine_")}
        plotting.curves(right, *plotting.over_epochs(run.metrics(), cosines), start=len(right.lines))
    left.set(xlabel="epoch", ylabel="test accuracy (fraction)", title="Difference target propagation")
    right.set(xlabel="epoch", ylabel="cosine with backpropagation", title="Direction of the updates")
    return fig


def restore(arrays, **_):
    """Return (network, predict) from a checkpoint."""

    def held(part):
        count = sum(path.startswith(f"{part}/") and path.endswith("/W") for path in arrays)
        return [Affine(*(xp.asarray(arrays[f"{part}/{k}/{leaf}"]) for leaf in ("W", "b"))) for k in range(count)]

    net = Network(held("layers"), held("inverses"))
    return net, lambda x: xp.asnumpy(predict(net, classifier.given(x).reshape(len(x), -1)))


@experiment("dtp", draw={"curves": curves}, restore=restore, length="nb_epochs", readable="{dataset}-{seeds}")
def train(
    run,
    *,
    dataset: str = "glyphs",
    hidden: tuple[int, ...] = (128, 128),
    nb_epochs: int = 4,
    batch_size: int = 50,
    learning_rate: float = 1e-3,
    eta: float = 0.1,
    noise: float = 0.1,
):
    """Train a network to classify images by difference target propagation.

    Args:
        dataset: a name, or an .npz file.
        hidden: widths of the hidden layers.
        nb_epochs: epochs to train.
        batch_size: samples per batch.
        learning_rate: of Adam.
        eta: how far the top hidden layer's target lies from its activity.
        noise: standard deviation of what disturbs the input of an inverse.
    """
    require.whole("nb_epochs", nb_epochs)
    require.number("noise", noise, least=0)
    samples = classifier.load(dataset)
    (x, labels), generators = samples.train, run.generators()
    net = network((x.shape[1], *hidden, samples.classes), [each.init for each in generators])
    disturbances = Drawn(
        lambda each: [noise * each.standard_normal((batch_size, n)) for n in hidden[:-1]],
        [each.noise for each in generators],
        lambda drawn: [np.stack(layer) for layer in zip(*drawn, strict=True)],
    )
    batches = Batches(x, one_hot(labels, samples.classes), batch_size, [each.shuffle for each in generators])
    source, optimizer = Together(batches=batches, noise=disturbances), Adam(learning_rate)
    state = net.parameters | {"moments": optimizer.init(net.parameters)}

    def step(batch, number):
        grads, output = dtp(net, *batch, eta=eta, noise=[xp.asarray(each) for each in disturbances.next()])
        optimizer.step(net.parameters, grads, state["moments"])
        return xp.sum(output, axis=(-2, -1))

    def evaluate():
        some = x[:batch_size], batches.y[:batch_size]
        cosines = check.cosine(dtp(net, *some, eta=eta)[0], bp(net, *some)[0])
        found = classifier.means(lambda x, t: {"test_accuracy": accuracy(predict(net, x), t)}, *samples.test)
        return found | {f"cosine_{k + 1}": cosines[f"layers/{k}/W"] for k in range(len(net.layers))}

    every, replicas = source.per_epoch, [{"replica": replica, "seed": seed} for replica, seed in enumerate(run.seeds)]
    clock = {"steps": nb_epochs * every, "evaluate_every": every, "checkpoint_every": every}
    metrics = training.fit(run, state, source, step, **clock, evaluate=evaluate, replicas=replicas)
    return [f"test accuracy {100 * np.mean(metrics['test_accuracy']):.2f} %"]


COMMANDS = {"train": train, "figure": figure}

if __name__ == "__main__":
    cli.run(COMMANDS, prog=pathlib.Path(__file__).name, default="train")
