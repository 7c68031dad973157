"""Speech recognition (Bellec, Scherr et al. 2020, Fig. 2): phones of TIMIT, or spoken digits."""

import dataclasses
from typing import Literal

import numpy as np

from plastic import runs, training, xp
from plastic.data import utterances
from plastic.data.sources import Drawn, Together
from plastic.data.utterances.batches import Shuffled
from plastic.data.utterances.frames import WIDTHS
from plastic.eprop import bidirectional
from plastic.eprop.experiments import timit_figures, timit_network
from plastic.eprop.experiments.timit_learner import Learner, Task
from plastic.eprop.experiments.timit_options import PREPROC, Cells, Learning, Readout, Speech, settled
from plastic.errors import PlasticError
from plastic.functions import softmax
from plastic.parameters import Affine
from plastic.runs import Spelling

_FRAMES = 400  # of a typical utterance
_SPELLINGS = {
    "n_lstm": Spelling("n_neuron", int | None, None, "LSTM cells."),
    "lstm": Spelling("model", bool, True, "lstm rather than rnn.", lambda value: "lstm" if value else "rnn"),
    "adam": Spelling("optimizer", bool, True, "adam rather than sgd.", lambda value: "adam" if value else "sgd"),
}


def restore(arrays, *, task, model, eprop, clean, **options):
    """Return (network, predict) from the `arrays` of a checkpoint and the options of its run; see `plastic.load`.

    predict(x) takes features (frames, batch, n) of the host, as training has them, and gives the logits of every frame.
    """
    records = [
        kind(**{field.name: options[field.name] for field in dataclasses.fields(kind)})
        for kind in (Cells, Readout, Learning)
    ]
    net = timit_network.network(_tree(arrays), Speech(task, model, eprop, clean, *records))
    return net, lambda x: xp.asnumpy(bidirectional.predict(net, xp.asarray(x)))


def _readable(*, dataset, task, model, eprop, preproc, seeds, **_):
    rule = "bptt" if eprop == "none" else f"eprop-{eprop}"
    return f"{dataset}-{task}-{model}-{rule}-{preproc}-{seeds}"


@runs.experiment(
    "eprop",
    draw=timit_figures.SPEECH,
    restore=restore,
    length="n_epochs",
    readable=_readable,
    seeds=False,
    spellings=_SPELLINGS,
)
def timit(
    run,
    *,
    task: Literal["framewise", "ctc"] = "framewise",
    model: Literal["lsnn", "lstm", "rnn"] | None = None,
    eprop: Literal["none", "symmetric", "random", "adaptive"] = "none",
    preproc: PREPROC = "htk",
    dataset: Literal["TIMIT", "FSDD"] | None = None,
    timit: str | None = None,
    reduced_phns: bool | None = None,
    clean: bool = False,
    cells: Cells,
    readout: Readout,
    learning: Learning,
):
    """Recognise speech by layers of spiking neurons, LSTM cells or tanh units (Bellec, Scherr et al. 2020, Fig. 2).

    The phone of every frame, or the sequence of phones by connectionist temporal classification (ctc), learned by BPTT
    unless --eprop says how the learning signals of e-prop come down. Without --timit the speech is that of the Free
    Spoken Digit Dataset: two to six digits in a row, of speakers who are held out. Defaults are those of the published
    script for the task and the model. The errors are fractions of frames, or the edits of a beam search for each
    phone, of the 39. The run folder, results/eprop/timit-..., gets config.json, metrics.csv, checkpoint.h5, arrays.h5
    and figures; it keeps the last network, and the report says the test error where that of validation was least.

    Published quirks, which --clean leaves out: the loss of lstm and rnn counts the padding, and l2 shrinks their random
    feedback; e-prop of ctc has peepholes, and in layers of spiking cells goes down through their inputs; frames of
    labels are 161 samples apart, and those of the features 160; the last phone of an utterance is not asked of ctc.

    Args:
        task: framewise or ctc.
        model: lsnn, lstm, or framewise rnn, tanh units without gates; by default lsnn, of ctc lstm.
        eprop: none (BPTT), or the feedback of e-prop: symmetric, random, or adaptive (random at first, then changed as
            the readout is).
        preproc: features: mfccs (13), fbank (41), or htk (logarithms of 41), with two derivatives each.
        dataset: TIMIT, or FSDD, spoken digits; TIMIT by default where its folder is given. Other files are not taken.
        timit: the folder of your licensed copy of TIMIT (needs the extra "audio").
        reduced_phns: whether the labels of TIMIT are the 39 phones rather than the 61; framewise, of lstm and rnn.
        clean: leave the published quirks out.
    """
    model = model or ("lstm" if task == "ctc" else "lsnn")
    dataset = dataset or ("TIMIT" if timit is not None else "FSDD")
    if reduced_phns is None:
        reduced_phns = dataset == "TIMIT" and task == "framewise" and model != "lsnn"
    if dataset == "FSDD" and timit is not None:
        raise PlasticError("timit is the folder of TIMIT, but --dataset=FSDD asks for spoken digits; leave one out")
    if dataset == "FSDD" and reduced_phns:
        raise PlasticError("reduced_phns is for --dataset=TIMIT: digits are not folded")
    told = settled(task, model, eprop, clean, cells, readout, learning)
    run.require_used(**told.without())
    run.fill(model=model, dataset=dataset, reduced_phns=reduced_phns)
    for record in (told.cells, told.readout, told.learning):
        run.fill(**dataclasses.asdict(record))
    _expect(run, told, 3 * WIDTHS[preproc])
    corpus = utterances.load(dataset, preproc, timit_folder=timit, exact=clean, fold=reduced_phns)
    return _train(run, corpus, told)


def _train(run, corpus, told):
    """Train a network on a corpus, as it is told; keep one utterance; return the lines of the report."""
    [generators], learning = run.generators(), told.learning
    spare = told.task == "ctc" or told.model == "lsnn"  # the blank; framewise a unit that is never right, as published
    n_in, n_out = corpus.train.features.shape[1], len(corpus.classes) + spare
    arrays = timit_network.drawn(generators.init, n_in, n_out, told)
    B = timit_network.feedback(generators.init, arrays["readout"].W.shape, told)
    source = Shuffled(corpus.train, learning.batch, generators.data, told.window)
    task = Task(told.task, corpus.scored, learning.beam_width, padding=told.quirky)
    learner = Learner(arrays, B, told, task, generators.noise, source.per_epoch)
    training.fit(
        run,
        learner.state,
        Together(training=source, noise=Drawn(lambda generator: None, [generators.noise])),
        learner.step,
        steps=learning.n_epochs * source.per_epoch,
        evaluate=lambda: _evaluated(learner, corpus),
        evaluate_every=source.per_epoch if learning.print_every == -1 else learning.print_every,
        advice="try a smaller lr_init, or a grad_clip",
    )
    run.save_arrays(_utterance(learner, corpus))
    return _report(run, corpus.name)


def _expect(run, told, n_in):
    """Refuse what cannot fit the memory: weights with gradient and moments, and what a batch leaves for the rule."""
    cells, batch, spiking = told.cells, told.learning.batch, told.model == "lsnn"
    n = cells.n
    weights = 2 * (n_in + n) * n + 2 * (cells.n_layer - 1) * 3 * n * n
    of_a_step = 2 * n * cells.n_layer * {"lsnn": 4, "lstm": 7, "rnn": 1}[told.model]
    needed = 4 * weights * (4 if told.model == "lstm" else 1) + _FRAMES * cells.n_repeat * batch * of_a_step
    sizes = {"n_regular": cells.n_regular, "n_adaptive": cells.n_adaptive} if spiking else {"n_neuron": n}
    run.expect(needed, batch=batch, n_layer=cells.n_layer, n_repeat=cells.n_repeat, **sizes)


def _evaluated(learner, corpus):
    """Return the metrics: of the last batch of training, and of validation and test."""
    found = {f"training_{name}": np.array([each]) for name, each in learner.last().items()}
    for split in ("validation", "test"):
        loss, error, rate = learner.measure(getattr(corpus, split))
        found |= {f"{split}_loss": np.array([loss]), f"{split}_error": np.array([error])}
    return found | {"rate": np.array([rate])}


def _utterance(learner, corpus):
    """Return what the figures show: the first utterance of the test, and what the network makes of it."""
    batch = corpus.test.batch([0])
    record = bidirectional.simulate(learner.network, xp.asarray(batch.x))
    found = {
        "x": batch.x[:, 0],
        "labels": batch.labels[:, 0],
        "probability": np.array(xp.asnumpy(softmax(record.output)))[:, 0],
        "classes": np.array([name.encode() for name in corpus.classes]),
        "steps": np.array(learner.network.steps),
    }
    if learner.told.model == "lsnn":
        found["z"] = np.array(xp.asnumpy(record.spikes[0][0]))[:, 0]
    return found


def _report(run, dataset):
    metrics = run.metrics()
    validation, test = (100 * np.array(metrics[f"{split}_error"], float) for split in ("validation", "test"))
    best = int(np.argmin(validation))
    return [
        f"{dataset}: validation error {validation[-1]:.2f} %, test error {test[-1]:.2f} %",
        f"least validation error {validation[best]:.2f} %, at step {metrics['step'][best]}; test error there "
        f"{test[best]:.2f} %",
    ]


def _tree(arrays):
    """Return the tree of `timit_network.drawn` that the arrays of a checkpoint hold."""
    tree = {}
    for path, array in arrays.items():
        first, *names = path.split("/")
        if first != "network":
            continue
        place = tree
        for name in names[:-1]:
            place = place.setdefault(name, {})
        place[names[-1]] = xp.asarray(array)
    return _records(tree)


def _records(tree):
    """Return a tree of dicts with lists in the place of numbered dicts, and `Affine` in that of W and b."""
    if not isinstance(tree, dict):
        return tree
    found = {name: _records(each) for name, each in tree.items()}
    if "0" in found:
        return [found[str(k)] for k in range(len(found))]
    return Affine(**found) if "W" in found else found
