"""A trained network from the folder of its run."""

import numpy as np

from plastic import xp
from plastic.gle import dynamics, gsc, lagline_student, lagnet_students, mnist1d
from plastic.parameters import Affine


def restore(config, arrays):
    """Return (network, predict) from the config of a run and the arrays of its checkpoint; see `plastic.load`.

    predict(x) begins at rest. Of mnist1d, x are samples (batch, 360) of the host, of gsc spectrograms (batch, frames,
    n_mels), as training has them; it returns the outputs summed over the steps (..., batch, classes). Of lagline and
    lagnet, x is an input over time (T, batch); it returns the outputs over time (..., T, batch), of lagnet those of
    teacher, GLE student and AM student. Replicas (seeds) come in front.
    """
    network, prepare = _KINDS[config["experiment"]](config["options"], arrays)

    def predict(x):
        outputs = dynamics.predict(network, prepare(xp.asarray(x)))
        sequences = config["experiment"] in ("mnist1d", "gsc")
        return xp.asnumpy(xp.sum(outputs, axis=-3) if sequences else outputs[..., 0])

    return network, predict


def _mnist1d(options, arrays):
    architecture = options["architecture"]
    features = mnist1d.features
    return mnist1d.network(architecture, _layers(arrays)), lambda x: mnist1d.steps_first(features(architecture, x))


def _gsc(options, arrays):
    return gsc.network(_layers(arrays)), gsc.prepare


def _lagline(options, arrays):
    vector = np.asarray(arrays["parameters"])
    return lagline_student.chain(vector[..., 2:], vector[..., :2], options["dt"]), lambda x: x[..., None]


def _lagnet(options, arrays):
    first = np.asarray(arrays["layers/0/W"])[..., lagnet_students.GLE, :, :]
    network = lagnet_students.replicas(first, options["gamma"], options["dt"])
    network.layers[0].W[...] = xp.asarray(arrays["layers/0/W"])
    return network, lambda x: x[..., None]


def _layers(arrays):
    count = sum(path.startswith("layers/") and path.endswith("/W") for path in arrays)
    return [Affine(arrays[f"layers/{k}/W"], arrays[f"layers/{k}/b"]) for k in range(count)]


_KINDS = {"mnist1d": _mnist1d, "gsc": _gsc, "lagline": _lagline, "lagnet": _lagnet}
