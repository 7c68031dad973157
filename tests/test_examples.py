"""Every example, and the Python in the README, runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PRINTS = {"gle_in_time": "GLE                    loss", "prospective_configuration": "predictive coding  1.00"}
"""What an example prints, if not a test accuracy."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, tmp_path):
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, example, "3"], capture_output=True, text=True, env=variables, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert PRINTS.get(example.stem, "test accuracy") in done.stdout
    assert not list(tmp_path.iterdir())


def test_python_in_the_readme():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    of_gait, of_ep, of_eprop, of_gle, of_pc = blocks
    names = {}
    exec(of_gait, names)
    assert [grad.W.shape for grad in names["grads"]] == [(784, 784)] * 5
    np.testing.assert_allclose(names["below"], names["activities"][4], atol=1e-4)
    names = {}
    exec(of_ep, names)
    for layer, grad in zip(names["net"].wiring.layers, names["grads"]["layers"], strict=True):
        assert layer.W.shape == grad.W.shape
    assert names["output"].shape == (20, 10)
    assert [layer.shape for layer in names["comparison"].neurons()[0]] == [(80, 10), (80, 512)]
    names = {}
    exec(of_eprop, names)
    for name, leaf in names["net"].parameters.items():
        assert leaf is None or names["grads"][name].shape == leaf.shape
    assert names["output"].shape == (2250, 4, 2) and names["before"] > 0
    assert names["similarity"].keys() == {"W_in", "W_rec", "W_out"}
    np.testing.assert_allclose(names["similarity"]["W_out"], 1, rtol=1e-6)
    assert 0 < names["similarity"]["W_rec"] < 1
    names = {}
    exec(of_gle, names)
    for layer, grad in zip(names["net"].layers, names["grads"].layers, strict=True):
        assert layer.W.shape == grad.W.shape and np.any(grad.W)
    assert names["output"].shape == (100, 10) and np.all(np.isfinite(names["output"]))
    names = {}
    exec(of_pc, names)
    assert [grad.W.shape for grad in names["grads"]] == [(784, 64), (64, 64), (64, 10)]
    assert 0 < names["straight"] < 1
