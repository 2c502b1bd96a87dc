"""`__all__` of every room is true: each name is there, and the package's lazy table leads to it."""

from importlib import import_module
from pathlib import Path

import pytest

import collegium

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_that_a_room_promises_is_there(room: str) -> None:
    module = import_module(f"collegium.{room}")

    promised = module.__all__
    assert list(promised) == sorted(set(promised), key=list(promised).index), "a name stands twice"
    assert [name for name in promised if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", collegium.__all__)
def test_every_name_of_the_package_is_there_and_listed(name: str) -> None:
    assert getattr(collegium, name) is not None
    assert name in dir(collegium)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Grahp'"):
        _ = collegium.Grahp


@pytest.mark.parametrize("room", ROOMS)
def test_the_face_of_a_room_holds_no_logic(room: str) -> None:
    import ast

    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign, ast.If, ast.FunctionDef)
    tree = ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))

    assert ast.get_docstring(tree)
    assert [type(node).__name__ for node in tree.body if not isinstance(node, allowed)] == []
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions <= {"__getattr__", "__dir__"}
