"""What all experiments build from the options of the command: data in the shape a network takes, and the network."""

import dataclasses

import numpy as np

from plastic import data, parameters, xp
from plastic.ep import networks
from plastic.ep.rules import predict as outputs_of
from plastic.errors import PlasticError


def load_data(options):
    """Return the `plastic.data.Dataset` of the options, its x in the shape that the network takes: (N, n) or maps.

    Adds `input_shape`, that of one sample, to the options. Raises PlasticError where data and network do not fit.
    """
    dataset = data.load(options["dataset"], dtype=options["dtype"])
    x = dataset.train[0]
    if options["C_tab"]:
        shape = (*x.shape[1:], 1) if x.ndim == 3 else x.shape[1:]
        if len(shape) != 3 or shape[0] != shape[1] or shape[2] != options["C_tab"][-1]:
            raise PlasticError(
                f"C_tab ends in {options['C_tab'][-1]}, the channels of the input, and needs square images; "
                f"the samples of {dataset.name} have shape {x.shape[1:]}"
            )
    else:
        shape = (x[0].size,)
        if shape[0] != options["size_tab"][-1]:
            raise PlasticError(
                f"size_tab ends in {options['size_tab'][-1]}, the inputs, but {dataset.name} has {shape[0]}"
            )
    if dataset.classes > options["size_tab"][0]:
        raise PlasticError(
            f"size_tab begins with {options['size_tab'][0]}, the outputs; {dataset.name} has {dataset.classes} classes"
        )
    if options["batch_size"] > len(x):
        raise PlasticError(f"batch_size is {options['batch_size']}, but the training set has {len(x)} samples")
    options["input_shape"] = shape
    train, test = ((x.reshape(len(x), *shape), labels) for x, labels in (dataset.train, dataset.test))
    return dataclasses.replace(dataset, train=train, test=test)


def build(options, generator):
    """Return the network of the options with weights drawn from the generator."""
    phi, dt, clamp = options["activation_function"], options["dt"], options["clamp"]
    sizes = options["size_tab"][::-1]
    if options["C_tab"]:
        return networks.convolutional(
            options["C_tab"][::-1],
            sizes,
            generator,
            size=options["input_shape"][0],
            F=options["Fconv"],
            padding=(options["Fconv"] - 1) // 2 if options["padding"] else 0,
            pooling=options["Fpool"],
            phi=phi,
        )
    if options["toymodel"]:
        return networks.toy(sizes, generator, phi=phi, dt=dt, clamp=clamp)
    if options["discrete"]:
        return networks.prototypical(sizes, generator, phi=phi, dt=dt)
    return networks.energy(sizes, generator, phi=phi, dt=dt, clamp=clamp, consistent=options["consistent"])


def with_parameters(network, tree):
    """Return the network with the parameters of `tree` in the place of its own."""
    return dataclasses.replace(network, wiring=dataclasses.replace(network.wiring, **tree))


def truncation(options):
    """Return how many steps BPTT goes back by the options: Kmax + 1 if fully connected, else Kmax, as published."""
    return options["Kmax"] + (0 if options["C_tab"] or options["toymodel"] else 1)


def by_rate(options, network):
    """Return the rates in `options` as a tree for `network`: `lr_tab` counts connections from the output."""
    rates = list(options["lr_tab"])
    if not options["C_tab"]:
        return {"layers": rates[::-1]}
    classifier = len(network.wiring.classifier)
    return {"classifier": rates[:classifier][::-1], "convolutions": rates[classifier:][::-1]}


def connections(network):
    """Return [(label, path of the weights), ...] of a network, in the order of the paper, from the output on."""
    wiring = network.wiring
    if hasattr(wiring, "convolutions"):
        N, M = len(wiring.classifier), len(wiring.convolutions)
        fully = [("W^fc" if N == 1 else f"W^fc_{i}", f"classifier/{N - 1 - i}/W") for i in range(N)]
        return fully + [(f"W^conv_{m}", f"convolutions/{M - 1 - m}/W") for m in range(M)]
    if wiring.skip is not None:
        return [("W_01", "layers/1/W"), ("W_0x", "skip/W"), ("W_1x", "layers/0/W")]
    L = len(wiring.layers)
    return [(f"W_{k}{k + 1 if k + 1 < L else 'x'}", f"layers/{L - 1 - k}/W") for k in range(L)]


def restore(config, arrays):
    """Return the network of a training run; see `plastic.load`.

    Args:
        config: the config of the run.
        arrays: {path: host array}, those of its checkpoint.

    Returns:
        (network, predict): predict(x) takes samples (batch, ...) of the host, scaled as in training, to the outputs
        (..., batch, n_L) after T free steps, on the host. The parameters of several replicas (seeds; BPTT before EP)
        are stacked, as are their outputs.

    Raises:
        PlasticError: if the run has no trained network.
    """
    if config["experiment"] != "train":
        raise PlasticError(f"a run of ep {config['experiment']} has no trained network")
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in config["options"].items()}
    network = build(options, xp.generator(0).init)
    held = {path.removeprefix("parameters/"): xp.asarray(array) for path, array in arrays.items()}
    paths = iter([path for path, _ in parameters.leaves(network.parameters)])
    network = with_parameters(network, parameters.map(lambda _: held[next(paths)], network.parameters))

    def predict(x):
        if not np.ndim(x) or not len(x) or np.size(x[0]) != np.prod(options["input_shape"]):
            raise PlasticError(f"x has shape {np.shape(x)}; samples of shape {options['input_shape']} are needed")
        x = xp.asarray(np.reshape(x, (len(x), *options["input_shape"])))
        free = {"T": options["T"], "tolerance": options["tolerance"]}
        outputs = [outputs_of(each, x, **free) for each, _ in replicas(network)]
        return xp.asnumpy(outputs[0] if len(outputs) == 1 else xp.stack(outputs))

    return network, predict


def replicas(network):
    """Return [(network, index)] that a relaxation can take at once: all replicas of a dense net, each one of others."""
    tree = network.parameters
    if "convolutions" not in tree or tree["convolutions"][0].W.ndim == 4:
        return [(network, ...)]
    count = len(tree["convolutions"][0].W)
    return [(with_parameters(network, parameters.map(lambda p, i=i: p[i], tree)), i) for i in range(count)]
