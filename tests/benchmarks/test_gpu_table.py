"""The table of the GPU proved on a CPU: its steps cross to the host nowhere, its twins do the same work."""

import dataclasses
import re
import types

import gpu_table
import numpy as np
import pytest
import strict
import torch_twins

from plastic import parameters, xp
from plastic.errors import PlasticError

TOLERANCE = 1e-9  # of the largest entry of a gradient, in float64


def crossings(monkeypatch, function):
    """Return how often a function brings arrays from the device to the host."""
    count, asnumpy = [0], xp.asnumpy

    def counted(array):
        count[0] += 1
        return asnumpy(array)

    with monkeypatch.context() as patch:
        patch.setattr(xp, "asnumpy", counted)
        function()
    return count[0]


@pytest.mark.parametrize("name", gpu_table.CASES)
def test_a_step_stays_on_the_device(monkeypatch, name):
    """The strict stand-in refuses every conversion that is not asked for; none is asked for either."""
    xp.use(strict.backend, dtype="float32")
    work = gpu_table.CASES[name](True)
    before = [xp.asnumpy(leaf).copy() for _, leaf in parameters.leaves(work.net.parameters)]
    assert crossings(monkeypatch, work.step) == 0
    after = [xp.asnumpy(leaf) for _, leaf in parameters.leaves(work.net.parameters)]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_crossings_are_seen(monkeypatch):
    xp.use(strict.backend, dtype="float32")
    assert crossings(monkeypatch, lambda: xp.asnumpy(xp.ones(3))) == 1
    with pytest.raises(TypeError):
        float(xp.ones(()))


@pytest.fixture
def doubles():
    """Work in float64, PyTorch too."""
    if torch_twins.torch is None:
        pytest.skip("PyTorch is not installed")
    xp.use("numpy", dtype="float64")
    torch_twins.torch.set_default_dtype(torch_twins.torch.float64)
    yield
    torch_twins.torch.set_default_dtype(torch_twins.torch.float32)


@pytest.mark.parametrize("name", gpu_table.CASES)
def test_the_twin_finds_the_same_gradients(doubles, name):
    """In the first step and, after both have moved their parameters, in the second."""
    work = gpu_table.CASES[name](True)
    twin = work.twin("cpu")
    for _ in range(2):
        theirs = [each.numpy().copy() for each in twin()]
        ours = [leaf for _, leaf in parameters.leaves(work.step())]
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=TOLERANCE * np.abs(a).max())


def test_the_table_has_a_row_for_each_family(monkeypatch, capsys):
    monkeypatch.setenv("PLASTIC_DEVICE", "cpu")
    assert gpu_table.main(["--small"]) == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert {row.split("|")[1].split(",")[0].strip() for row in rows} == {"gait", "ep", "pc", "gle", "eprop"}
    assert all(float(row.split("|")[2]) > 0 and row.count("|") == 5 for row in rows)


def test_a_step_that_fails_is_a_row_and_an_exit_code(monkeypatch, capsys):
    monkeypatch.setenv("PLASTIC_DEVICE", "cpu")

    def broken(small):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(gpu_table, "CASES", {"broken": broken} | dict(list(gpu_table.CASES.items())[:1]))
    assert gpu_table.main(["--small"]) == 1
    shown = capsys.readouterr()
    assert "| broken | failed: RuntimeError |" in shown.out and "| gait, BP" in shown.out and "no kernel" in shown.err


def test_a_twin_that_fails_takes_no_row_away(monkeypatch, capsys):
    make = next(iter(gpu_table.CASES.values()))

    def broken(small):
        return dataclasses.replace(make(small), twin=lambda device: 1 / 0)

    monkeypatch.setenv("PLASTIC_DEVICE", "cpu")
    monkeypatch.setattr(gpu_table, "torch_device", lambda: "cpu")
    monkeypatch.setattr(torch_twins, "torch", types.SimpleNamespace(__version__="2"))
    monkeypatch.setattr(gpu_table, "CASES", {"a step": broken})
    assert gpu_table.main(["--small"]) == 1
    shown = capsys.readouterr()
    assert re.search(r"^\| a step \| [\d.e+-]+ \| failed \|  \|$", shown.out, re.MULTILINE)
    assert "ZeroDivisionError" in shown.err


def test_without_a_gpu_there_is_no_table(monkeypatch, capsys):
    try:
        xp.use("cupy")
    except PlasticError:
        monkeypatch.delenv("PLASTIC_DEVICE", raising=False)
        with pytest.raises(PlasticError, match=r"CuPy|GPU"):
            gpu_table.main([])
        assert capsys.readouterr().out == ""
