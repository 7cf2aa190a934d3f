"""What a user gets by installing the distribution."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

import actors
from tests.environment import untraced

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def modules_after(statement: str) -> set[str]:
    """The modules that a new interpreter has loaded after *statement*."""
    program = f"{statement}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    finished = subprocess.run(
        [sys.executable, "-c", program], env=untraced(), capture_output=True, text=True, check=True
    )
    return set(json.loads(finished.stdout))


def test_the_version_is_the_one_of_the_distribution() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["version"]
    assert actors.__version__ == declared == version("trio-actors")


def test_the_package_says_that_it_is_typed() -> None:
    assert files(actors).joinpath("py.typed").is_file()


@pytest.mark.parametrize("library", ["trio", "sqlalchemy", "asyncio", "psutil", "click"])
def test_importing_the_package_does_not_import(library: str) -> None:
    assert library not in modules_after("import actors")


@pytest.mark.parametrize("database", ["new", "current"])
def test_a_start_that_has_nothing_to_migrate_does_not_import_alembic(database: str, tmp_path: Path) -> None:
    start = f"""import actors, trio
async def main(app):
    async with app.running():
        await app.count()
trio.run(main, actors.TaskSystem("sqlite:///{tmp_path / "tasks.db"}"))"""
    for _ in range(1 if database == "new" else 2):
        loaded = modules_after(start + "\nNone")
    assert "sqlalchemy" in loaded
    assert not {"alembic", "mako", "actors.store.migrate"} & loaded


def test_the_migrations_come_with_the_package() -> None:
    folder = files(actors) / "store" / "migrate"
    assert (folder / "env.py").is_file()
    assert (folder / "versions" / "0001_first.py").is_file()


def test_every_public_name_can_be_had() -> None:
    for name in actors.__all__:
        assert getattr(actors, name) is not None


def test_a_public_name_that_does_not_exist_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(actors, name)
