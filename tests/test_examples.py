"""Every example, and the Python in the README, runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plastic import parameters, require

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
    assert [grad.W.shape for grad in names["grads"]["layers"]] == [(784, 784)] * 5
    assert names["output"].shape == (50, 10)
    assert all(abs(names["cosine"][f"layers/{place}/W"] - 1) < 1e-3 for place in range(5))
    np.testing.assert_allclose(names["below"], names["activities"][4], atol=1e-4)
    names = {}
    exec(of_ep, names)
    require.tree("grads", names["grads"], names["net"].parameters)
    assert names["output"].shape == (20, 10)
    assert all(0 < cosine <= 1 for cosine in names["cosine"].values())
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
    require.tree("grads", names["grads"], names["net"].parameters)
    assert all(np.any(leaf) for _, leaf in parameters.leaves(names["grads"]))
    assert names["output"].shape == (100, 10) and np.all(np.isfinite(names["output"]))
    assert names["outputs"].shape == (40, 100, 10) and all(value > 0.5 for value in names["cosines"].values())
    names = {}
    exec(of_pc, names)
    assert [grad.W.shape for grad in names["grads"]["layers"]] == [(784, 64), (64, 64), (64, 10)]
    assert 0 < names["straight"] < 1
    assert all(0 < cosine < 1 for cosine in names["cosines"].values()) and len(names["cosines"]) == 3
    assert names["output"].shape == (64, 10) and np.abs(names["output"] - names["y"]).mean() < 0.2
