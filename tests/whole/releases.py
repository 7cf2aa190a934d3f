"""Two releases as users get them: wheels, of this tree and of one whose tables have one more version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import attrs

import actors
from actors.store import schema
from tests.cli.world import Ended
from tests.environment import untraced
from tests.migrations import CURRENT, HERE, NEXT
from tests.whole.process import ROOT

VERSION, NEXT_VERSION = actors.__version__, "99.0.0"
ADDITIONS = """

task.append_column(Column("remark", Text))
Index(f"{task.name}_remark", task.c.remark)
node.append_column(Column("weight", BigInteger, nullable=False, server_default=literal_column("1")))
"""
"""What the migration in `tests/migrations/release` adds, as the schema says it."""


@attrs.frozen
class Release:
    """An installed wheel.

    Attributes:
        version: of the distribution.
        tables: the version of the tables that it needs.
        packages: the folder in which it lies alone; all that it depends on comes from this environment.
    """

    version: str
    tables: int
    packages: Path

    def actors(self, *arguments: object, folder: Path, database: str) -> Ended:
        """Run a command of its own in *folder*; by default it is about *database*."""
        ended = subprocess.run(
            [self.packages / "bin" / "actors", *map(str, arguments)],
            cwd=folder,
            env=untraced(PYTHONPATH=str(self.packages), DATABASE_URL=database),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)


def this_release(folder: Path) -> Release:
    """This tree, built and installed in the empty *folder*."""
    return Release(VERSION, CURRENT, _installed(ROOT, folder))


def next_release(folder: Path) -> Release:
    """What this tree may become: a migration adds columns and an index, which its code knows."""
    tree = folder / "tree"
    shutil.copytree(ROOT / "actors", tree / "actors", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    _replace(tree / "pyproject.toml", f'version = "{VERSION}"', f'version = "{NEXT_VERSION}"')
    _replace(tree / "actors" / "__init__.py", f'__version__ = "{VERSION}"', f'__version__ = "{NEXT_VERSION}"')
    store = tree / "actors" / "store"
    _replace(store / "schema.py", f"VERSION: Final = {CURRENT}\n", f"VERSION: Final = {NEXT}\n")
    with (store / "schema.py").open("a") as code:
        code.write(ADDITIONS)
    migration = HERE / "release" / "next_release.py"
    shutil.copy(migration, store / "migrate" / "versions" / f"{schema.revision(NEXT)}_{migration.name}")
    return Release(NEXT_VERSION, NEXT, _installed(tree, folder))


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file.name} should have {old!r} once"
    file.write_text(text.replace(old, new))


def _installed(tree: Path, folder: Path) -> Path:
    """The folder with the packages of *tree*'s wheel."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "wheels", tree)
    (wheel,) = (folder / "wheels").glob("*.whl")
    _pip("install", "--no-deps", "--target", folder / "packages", wheel)
    return folder / "packages"


def _pip(command: str, *arguments: object) -> None:
    """Run pip without an index, whatever the machine's own configuration says."""
    pip = [sys.executable, "-m", "pip", "--isolated", "--no-input", "--disable-pip-version-check"]
    ended = subprocess.run(
        [*pip, command, "--no-index", *map(str, arguments)],
        env=untraced(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
    )
    assert ended.returncode == 0, ended.stdout
