from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from actors.demo.errors import OtherPlan
from actors.demo.plan import DEFAULT_SEED, EXAMPLE, Plan, Run, Wish, find_documents, new_run, resume_run, sources

ANYTHING = Wish(None, None, None)


def test_nothing_given_is_the_example(tmp_path: Path) -> None:
    assert new_run(tmp_path, ANYTHING).plan == Plan([str(EXAMPLE)], None, DEFAULT_SEED)


def test_a_folder_stands_for_the_documents_in_it_and_each_comes_once(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.json", "notes.md", "c.yml"):
        (tmp_path / name).touch()
    found = find_documents([tmp_path, tmp_path / "a.json", tmp_path / "missing.yaml"])
    assert [Path(path).name for path in found] == ["a.json", "b.yaml", "c.yml", "missing.yaml"]


def test_each_run_has_a_folder_of_its_own_and_the_newest_is_resumed(tmp_path: Path) -> None:
    new_run(tmp_path, ANYTHING)
    second = new_run(tmp_path, Wish(["/a.yaml"], None, 3))
    (tmp_path / "run-009").mkdir()  # of a process that was killed before it wrote its plan
    assert second.folder.name == "run-002"
    assert resume_run(tmp_path, ANYTHING) == attrs.evolve(second, resumed=True)
    assert resume_run(tmp_path, Wish(["/a.yaml"], None, 3)) == attrs.evolve(second, resumed=True)


def test_there_is_nothing_to_resume_at_first(tmp_path: Path) -> None:
    assert resume_run(tmp_path / "work", ANYTHING) is None


@pytest.mark.parametrize("wish", [Wish(["/b.yaml"], None, None), Wish(None, "http://a", None), Wish(None, None, 4)])
def test_a_run_is_not_resumed_with_other_choices(tmp_path: Path, wish: Wish) -> None:
    new_run(tmp_path, Wish(["/a.yaml"], None, 3))
    with pytest.raises(OtherPlan, match="run-001 has another choice of"):
        resume_run(tmp_path, wish)


def test_documents_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    run = Run(Plan(["/x/api.yaml", "/y/api.json", "/z/a b\x1b.yaml"], None, 1), tmp_path, resumed=False)
    assert [source.name for source in sources(run)] == ["api", "api.2", "a-b-"]


def test_a_step_keeps_its_id_until_the_document_or_the_plan_changes(tmp_path: Path) -> None:
    plan = Plan([str(EXAMPLE)], None, 1)
    (source,) = sources(Run(plan, tmp_path, resumed=False))
    others = {
        source.task_id(plan, b"x", "analysis"),
        source.task_id(plan, b"y", "analysis"),
        source.task_id(plan, b"x", "report"),
        source.task_id(plan, b"x", "analysis", 1),
        source.task_id(attrs.evolve(plan, seed=2), b"x", "analysis"),
        source.task_id(attrs.evolve(plan, target="http://a"), b"x", "analysis"),
    }
    assert len(others) == 6
    assert source.task_id(plan, b"x", "analysis") in others
