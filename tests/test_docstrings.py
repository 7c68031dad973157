"""The public functions explain themselves: hints, a docstring that names every argument, examples that run."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest

import plastic
import plastic.data
from plastic import xp

FACES = [f"plastic.{family}" for family in plastic.FAMILIES]
ROOMS = [
    "plastic",
    "plastic.affine",
    "plastic.bootstrap",
    "plastic.check",
    "plastic.classifier",
    "plastic.cli",
    "plastic.convolution",
    "plastic.files",
    "plastic.functions",
    "plastic.initializers",
    "plastic.optimizers",
    "plastic.parameters",
    "plastic.plotting",
    "plastic.report",
    "plastic.require",
    "plastic.runs",
    "plastic.training",
    "plastic.xp",
    "plastic.data",
]
ROOMS += [
    module.name
    for module in pkgutil.walk_packages(plastic.data.__path__, "plastic.data.")
    if not module.name.endswith("__main__")
]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(plastic.__path__, "plastic.")
    if not module.name.endswith("__main__")
]


def public(names):
    """Return {qualified name: function} of the public functions of modules, and of what their `__all__` names."""
    found = {}
    for name in names:
        module = importlib.import_module(name)
        listed = getattr(module, "__all__", None) or [each for each in vars(module) if not each.startswith("_")]
        for each in listed:
            thing = getattr(module, each)
            if inspect.isfunction(thing) and thing.__module__.startswith("plastic"):
                found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return found


functions = pytest.mark.parametrize("function", [pytest.param(f, id=n) for n, f in public([*FACES, *ROOMS]).items()])


def refuses(function):
    """Whether the body of a function raises PlasticError or requires something of its arguments."""
    tree = ast.parse(_source(function))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and "PlasticError" in ast.unparse(node):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("require."):
            return True
    return False


def _source(function):
    lines, _ = inspect.getsourcelines(inspect.unwrap(function))
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "".join(line[indent:] if line.strip() else line for line in lines)


@functions
def test_it_has_hints_and_names_its_arguments(function):
    signature, doc = inspect.signature(function), inspect.getdoc(function) or ""
    assert doc and doc.splitlines()[0].endswith((".", ":"))
    assert signature.return_annotation is not signature.empty
    for name, parameter in signature.parameters.items():
        assert parameter.annotation is not parameter.empty, name
        if len(signature.parameters) > 1:
            assert re.search(rf"\b{re.escape(name)}\b", doc), f"{name} is not explained"
    if refuses(function):
        assert "Raises" in doc


@pytest.mark.parametrize("function", [pytest.param(f, id=n) for n, f in public(ROOMS[1:]).items()])
def test_a_function_of_a_shared_room_has_the_sections_of_its_signature(function):
    signature, doc = inspect.signature(function), inspect.getdoc(function)
    if len(signature.parameters) > 1:
        assert "Args:" in doc
        if signature.return_annotation not in (None, "None"):
            assert re.search("Returns:|Yields:", doc)
    assert "Raises PlasticError" not in doc  # a section of its own


@pytest.mark.parametrize("function", [pytest.param(f, id=n) for n, f in public(FACES).items()])
def test_a_function_of_a_family_stands_alone(function):
    doc = inspect.getdoc(function)
    for section in ("Args:", "Returns:", "Example:"):
        assert section in doc, section
    if {"net", "network"} & set(inspect.signature(function).parameters):
        assert re.search(r"\(\.\.\.|\(batch|\(n_|\bnumber\b", doc), "no shapes"


@pytest.mark.parametrize("name", ["plastic", *MODULES])
def test_its_examples_run(name):
    xp.use("numpy", dtype="float32")
    with np.printoptions(legacy=False):
        assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
