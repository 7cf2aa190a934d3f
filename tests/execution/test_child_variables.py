"""Where context variables are found that travel to child processes."""

from __future__ import annotations

import importlib.util
import sys
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from actors.core.errors import HandlerNotImportable, InvalidOption
from actors.execution.carried import Carried
from actors.execution.process.child_variables import locate_variables
from actors.execution.process.location import Location
from actors.execution.process.outfit import Outfit
from tests.execution import belongings
from tests.execution.processes import in_process, processes


def carrying(*variables: ContextVar[Any]) -> Carried:
    """A system's variables."""
    carried = Carried()
    carried.add(variables)
    return carried


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes modules that are loaded as long as the test runs."""

    def make(name: str, *, found: bool = True, **names: Any) -> ModuleType:
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None) if found else None
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return make


def test_a_variable_is_found_in_the_module_that_has_it() -> None:
    (way,) = locate_variables(carrying(belongings.tenant), ())
    assert way == Location(belongings.__name__, "tenant", 0)
    assert way.find() is belongings.tenant


def test_of_several_modules_that_have_it_those_are_taken_that_children_import_anyway_then_the_small_ones(
    modules: Any,
) -> None:
    variable: ContextVar[int] = ContextVar("variable")
    modules("large", **{f"name_{number}": number for number in range(50)}, variable=variable)
    modules("small", variable=variable)
    modules("handlers", **{f"name_{number}": number for number in range(90)}, renamed=variable)
    carried = carrying(variable)
    assert locate_variables(carried, ["handlers", "elsewhere"]) == [Location("handlers", "renamed", 0)]
    assert locate_variables(carried, []) == [Location("small", "variable", 0)]


def test_the_script_is_the_last_resort(modules: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    variable: ContextVar[int] = ContextVar("variable")
    script = modules("__main__", found=False, __file__="script.py", variable=variable)
    modules("__mp_main__", variable=variable)
    assert locate_variables(carrying(variable), []) == [Location("__main__", "variable", 0)]
    monkeypatch.delattr(script, "__file__")
    with pytest.raises(InvalidOption):
        locate_variables(carrying(variable), [])
    modules("larger", **{f"name_{number}": number for number in range(50)}, variable=variable)
    assert locate_variables(carrying(variable), []) == [Location("larger", "variable", 0)]


def test_what_no_other_process_could_import_is_refused_with_its_name_and_the_cure(modules: Any) -> None:
    variable = belongings.nested["variable"]
    modules("made_by_hand", found=False, variable=variable)
    with pytest.raises(InvalidOption) as caught:
        locate_variables(carrying(belongings.tenant, variable), [])
    assert str(caught.value) == (
        "the context variable 'nested' travels with tasks, and mode 'process' imports it by name, but no module that"
        " another process could import has it; keep it in a global of one"
    )


def test_a_module_that_loads_lazily_is_not_loaded_by_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lazy.py"
    path.write_text("raise AssertionError('it was loaded')")
    spec = importlib.util.spec_from_file_location("lazy", path)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy", module)
    spec.loader.exec_module(module)
    assert len(locate_variables(carrying(belongings.tenant), ())) == 1


async def test_a_variable_that_has_moved_since_the_node_looked_is_an_error_of_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: ContextVar[int] = ContextVar("moved")
    monkeypatch.setattr(belongings, "moved", moved, raising=False)
    outfit = Outfit.of({}, carrying(moved), ())
    with pytest.raises(HandlerNotImportable, match=r"cannot import 'tests.execution.belongings': .* attribute 'moved'"):
        async with processes({"pid": in_process(belongings.pid)}, outfit=outfit):
            pytest.fail("it runs")
