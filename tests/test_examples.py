"""Every example, and the Python in the README and in docs/, runs."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_lines import clusters, printed, refused

import plastic
from plastic import check, parameters, require, xp
from plastic.errors import PlasticError

ROOT = Path(__file__).resolve().parents[1]
FAMILY = ROOT / "examples" / "a_new_family.py"
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - {FAMILY})
PRINTS = {
    "gle_in_time": "GLE                    loss",
    "prospective_configuration": "predictive coding  1.00",
    "sparse_coding": "Laplace  prior:",
}
"""What an example prints, if not a test accuracy."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, tmp_path):
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, example, "3"], capture_output=True, text=True, env=variables, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert PRINTS.get(example.stem, "test accuracy") in done.stdout
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*/*")]
    if example.stem == "your_own_rule":
        (folder,) = left
        assert folder.startswith("results/mine/sign_symmetry-")
        assert plastic.runs.Run(tmp_path / folder).config["status"] == "finished"
        with pytest.raises(PlasticError, match="import the module in which @experiment"):
            plastic.load(tmp_path / folder)
    else:
        assert not left and not list(tmp_path.iterdir())


def numbers_of(example, steps, folder, picture="picture.png"):
    """Run an example with a picture; return {line up to its first number: [numbers]} of what it prints."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, ROOT / "examples" / f"{example}.py", str(steps), picture]
    done = subprocess.run(words, capture_output=True, text=True, env=variables, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / picture).read_bytes().startswith(b"\x89PNG") and len(list(folder.iterdir())) == 1
    number, found = r"[-+]?\d+\.?\d*(?:e[-+]\d+)?", {}
    for line in done.stdout.splitlines():
        found[re.split(number, line)[0].strip()] = [float(each) for each in re.findall(number, line)]
    return found


def test_digits_are_inferred_from_labels(tmp_path):
    """Another network sees the label in most, where one of ten would be chance; halves are better than a mean."""
    found = numbers_of("digits_from_labels", 200, tmp_path)
    assert found["likeliest images:"][0] >= 50 and found["samples:"][0] >= 50
    filled, mean = found["lower halves: error"]
    assert filled < 0.95 * mean


def test_codes_are_sparse_and_reconstruct(tmp_path):
    found = numbers_of("sparse_coding", 40, tmp_path)
    (dense, _), (active, left) = found["normal   prior:"], found["Laplace  prior:"]
    assert active < 35 and dense > 90 and left < 20


def test_a_hundred_layers_learn(tmp_path):
    """The loss falls, and the gradient of the first layer is there, where steps of the states leave it 0."""
    found = numbers_of("a_hundred_layers", 101, tmp_path)
    for name in ("plain", "skips"):
        zeros, *_, first = found[f"{name}, steps of the states:"]
        assert zeros > 50 and first == 0
    zeros, *_, first = found["skips, steps of the errors:"]
    assert zeros == 0 and first > 1e-7
    assert found["step"][1] < 0.35 and found["test accuracy"][0] > 30


@pytest.fixture(scope="module")
def family():
    """The module of the family that a user would write."""
    spec = importlib.util.spec_from_file_location("a_new_family", FAMILY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rule_of_a_new_family(family):
    """Backpropagation by finite differences; where targets begin, DTP is eta times it; an exact inverse is at rest."""
    xp.use(dtype="float64")
    rng = np.random.default_rng(0)
    net = family.network((5, 4, 4, 3), rng)
    x, y = rng.standard_normal((6, 5)), rng.standard_normal((6, 3))
    grads, output = family.bp(net, x, y)
    loss = 0.5 * np.sum((family.predict(net, x) - y) ** 2) / 6
    assert loss == 0.5 * np.sum((output - y) ** 2) / 6
    check.gradient(lambda _: 0.5 * np.sum((family.predict(net, x) - y) ** 2) / 6, net.layers, grads["layers"])
    found, _ = family.dtp(net, x, y, eta=0.25)
    for k, factor in ((1, 0.25), (2, 1.0)):
        np.testing.assert_allclose(found["layers"][k].W, factor * grads["layers"][k].W, rtol=1e-12)

    def inverse_loss(_):
        h = family.activities(net, x)
        g = net.inverses[0]
        return 0.5 * np.sum((np.tanh(h[2] @ g.W + g.b) - h[1]) ** 2) / 6

    check.gradient(inverse_loss, net.inverses, found["inverses"])
    with pytest.raises(PlasticError, match="eta"):
        family.dtp(net, x, y, eta=0)


def test_a_new_family_takes_less_than_200_lines_and_has_all_that_families_have(family, tmp_path, monkeypatch):
    assert len(FAMILY.read_text().splitlines()) < 200
    monkeypatch.chdir(tmp_path)
    npz = clusters(tmp_path)
    words = ["train", f"--dataset={npz}", "--batch_size=30", "--seeds=1,2", "--hidden=8,8", "--name=clusters"]
    *_, folder = printed(family.COMMANDS, [*words, "--nb_epochs=2"], "family")
    *_, short = printed(family.COMMANDS, [*words, "--nb_epochs=1"], "family")
    folder, short = (Path(each.removeprefix("run folder ")) for each in (folder, short))
    printed(family.COMMANDS, ["train", f"--resume={short}", "--nb_epochs=2"], "family")
    assert (short / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()
    assert printed(family.COMMANDS, ["figure", str(folder), str(short), "--out=both.png"], "family") == ["both.png"]
    assert (folder / "curves.png").exists() and Path("both.png").exists()
    trained = plastic.load(folder)
    x, labels = plastic.data.load(npz).test
    accuracies = np.mean(trained.predict(x).argmax(axis=-1) == labels, axis=-1)
    np.testing.assert_allclose(accuracies, plastic.runs.Run(folder).metrics()["test_accuracy"][-2:], rtol=1e-6)
    assert "error: " in refused(family.COMMANDS, ["train", "--noise=-1"], "family")
    for axis in family.curves([plastic.runs.Run(folder), plastic.runs.Run(short)]).axes:
        looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axis.lines]
        assert len(set(looks)) == len(looks) >= 2


def names_of(page):
    """Run the Python of a page, one block after the other, and return its names."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(block, names)
    return names


def test_python_in_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = names_of("README.md")
    require.tree("grads", names["grads"], names["net"].parameters)
    assert names["outputs"].shape == (2000, 10)
    first, last = names["curve"]
    assert first < 0.3 < 0.8 < last == np.mean(names["outputs"].argmax(axis=1) == names["labels"])


def test_python_in_the_page_of_gait():
    names = names_of("docs/gait.md")
    assert [grad.W.shape for grad in names["grads"]["layers"]] == [(784, 784)] * 5
    assert names["output"].shape == (50, 10)
    assert all(abs(names["cosine"][f"layers/{place}/W"] - 1) < 1e-3 for place in range(5))
    np.testing.assert_allclose(names["below"], names["activities"][4], atol=1e-4)


def test_python_in_the_page_of_ep():
    names = names_of("docs/ep.md")
    require.tree("grads", names["grads"], names["net"].parameters)
    assert names["output"].shape == (20, 10)
    assert all(0 < cosine <= 1 for cosine in names["cosine"].values())
    assert [layer.shape for layer in names["comparison"].neurons()[0]] == [(80, 10), (80, 512)]


def test_python_in_the_page_of_eprop():
    names = names_of("docs/eprop.md")
    for name, leaf in names["net"].parameters.items():
        assert leaf is None or names["grads"][name].shape == leaf.shape
    assert names["output"].shape == (2250, 4, 2) and names["before"] > 0
    assert names["similarity"].keys() == {"W_in", "W_rec", "W_out"}
    np.testing.assert_allclose(names["similarity"]["W_out"], 1, rtol=1e-6)
    assert 0 < names["similarity"]["W_rec"] < 1


def test_python_in_the_page_of_gle():
    names = names_of("docs/gle.md")
    require.tree("grads", names["grads"], names["net"].parameters)
    assert all(np.any(leaf) for _, leaf in parameters.leaves(names["grads"]))
    assert names["output"].shape == (100, 10) and np.all(np.isfinite(names["output"]))
    assert names["outputs"].shape == (40, 100, 10) and all(value > 0.5 for value in names["cosines"].values())


def test_python_in_the_page_of_pc():
    names = names_of("docs/pc.md")
    assert [grad.W.shape for grad in names["grads"]["layers"]] == [(784, 64), (64, 64), (64, 10)]
    assert 0 < names["straight"] < 1
    assert all(0 < cosine < 1 for cosine in names["cosines"].values()) and len(names["cosines"]) == 3
    assert names["output"].shape == (64, 10) and np.abs(names["output"] - names["y"]).mean() < 0.2
    changed = names["state"].x_0 != names["x"]
    assert np.any(changed) and not np.any(changed & (names["x"] != 0))


def test_python_in_the_page_of_ones_own(tmp_path, monkeypatch, capsys):
    """The last gradient is that of BP, from which the feedback of the signs leads away below; and what is printed."""
    monkeypatch.chdir(tmp_path)
    names = names_of("docs/your_own.md")
    first, second, last = (names["cosines"][f"layers/{place}/W"] for place in range(3))
    assert last == pytest.approx(1, abs=1e-6) and 0.2 < first < 0.99 and 0.2 < second < 0.99
    assert [row.name for row in names["found"].rows] == ["BP", "FA", "concordant"]
    assert (names["found"].run.folder / "comparison.png").exists()
    assert names["net"].replicas == (2,)
    assert np.all(np.mean((names["output"] - names["y"]) ** 2, axis=(-2, -1)) < 0.1)  # what zeros would have
    said = capsys.readouterr().out
    assert "Dataset mine.npz: 1,000 training, 2,000 test samples of shape (28, 28), 10 classes" in said


def test_python_in_the_page_of_many_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    from plastic.gait.experiments.train import train

    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        train(dataset=clusters(tmp_path), batch_size=30, nb_epochs=1, seed=seed, plot=False)
    rows = names_of("docs/many_runs.md")["rows"]
    assert len(rows) == 4 and set(rows.algorithm) == {"BP"} and "count" in capsys.readouterr().out
