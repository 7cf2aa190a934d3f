"""The documentation leaves nothing out, and names nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

import actors
from actors import Settings, TaskSystem, errors, testing
from actors.settings import variable
from tests.docs.pages import ROOT, pages

DOCS = ROOT / "docs"
FOR_THE_PACKAGE_ITSELF = {"declared", "decode_result", "running_node", "submit_plain", "may_take", "take", "wall"}
"""Methods of TaskSystem that have no underscore, since other modules of the package call them."""


def reference() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))


def documented(module: str) -> set[str]:
    """The names of *module* that the reference documents."""
    return set(
        re.findall(rf"^\.\. (?:auto\w+|py:data):: {re.escape(module)}\.(\w+)\b(?!\.)", reference(), re.MULTILINE)
    )


def test_every_error_has_a_section_with_its_cause_and_cure_and_each_section_is_of_an_error() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    assert set(sections) == set(errors.__all__)
    for name, text in sections.items():
        assert "**Cause.**" in text or name == "ActorsError", name
        assert "**Cure.**" in text or name == "ActorsError", name


def test_every_public_name_is_in_the_reference() -> None:
    assert documented("actors") - {"errors"} == set(actors.__all__) - {"errors"}


def test_every_name_of_the_testing_kit_is_in_the_reference() -> None:
    assert documented("actors.testing") == set(testing.__all__)


def test_every_public_method_of_the_task_system_is_in_the_reference() -> None:
    public = {name for name in dir(TaskSystem) if not name.startswith("_")}
    assert documented("actors.TaskSystem") == public - FOR_THE_PACKAGE_ITSELF


@pytest.mark.parametrize("field", attrs.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_in_the_table_with_its_variable_and_default(field: attrs.Attribute[object]) -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{field.name}` \| `(\w+)` \| (.+?) \|", page, re.MULTILINE)
    assert row is not None
    assert row[1] == variable(field.name)
    if isinstance(field.default, int | float | str):
        assert row[2] == f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_managers_of_the_deploying_guide_wait_longer_than_a_stop_may_take() -> None:
    page = (DOCS / "guides" / "deploying.md").read_text(encoding="utf-8")
    waits = re.findall(r"(?:TimeoutStopSec=|terminationGracePeriodSeconds: |--stop-timeout )(\d+)", page)
    assert len(waits) == 3
    assert min(map(float, waits)) >= Settings().grace_seconds + 5
