"""What one run of the demo does, and the folder in which it does it; both outlive the process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID, uuid5

import attrs

from actors.demo.artifacts import read, save
from actors.demo.document import SUFFIXES, fingerprint, read_bytes
from actors.demo.errors import OtherPlan

DEFAULT_SEED = 1
EXAMPLE = Path(__file__).with_name("example.yaml")

_NAMESPACE = UUID("6f1d7a8e-5d0b-4a55-9d3c-0c2b6a7f4e11")  # any fixed one: it makes the ids those of this demo


@attrs.frozen
class Plan:
    """The choices that decide what is done; the same plan on the same documents is the same work."""

    documents: list[str]
    target: str | None
    seed: int


@attrs.frozen
class Wish:
    """What a user asks of a plan; None leaves it open."""

    documents: list[str] | None
    target: str | None
    seed: int | None


@attrs.frozen
class Run:
    """A plan and its folder. `resumed`: an earlier process began it."""

    plan: Plan
    folder: Path
    resumed: bool

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'demo.db'}"


@attrs.frozen
class Source:
    """One document of a run: where it is, and the name of its folder, which no other document of the run has."""

    path: Path
    name: str
    folder: Path

    def task_id(self, plan: Plan, content: bytes, step: str, index: int = 0) -> str:
        """The id of one step: the same again in a later process, unless the document or the plan has changed."""
        parts = (str(self.path), fingerprint(content), str(plan.seed), str(plan.target), step, str(index))
        return str(uuid5(_NAMESPACE, "\n".join(parts)))

    def content(self) -> bytes:
        """The document's bytes.

        Raises:
            DocumentError: it can't be read.
        """
        return read_bytes(self.path)


def find_documents(given: Sequence[Path]) -> list[str]:
    """The files that *given* names: those in a folder, in order, for a folder; the demo's example for nothing."""
    found: list[Path] = []
    for path in given or [EXAMPLE]:
        inside = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else []
        found += inside or [path]
    return list(dict.fromkeys(str(path.absolute()) for path in found))


def new_run(work: Path, wish: Wish) -> Run:
    """Begin a run in a new folder, beside those of earlier runs in *work*."""
    plan = Plan(wish.documents or find_documents([]), wish.target, DEFAULT_SEED if wish.seed is None else wish.seed)
    folder = _folder(work, _newest(work) + 1)
    save(folder / "run.json", plan)
    return Run(plan, folder, resumed=False)


def resume_run(work: Path, wish: Wish) -> Run | None:
    """The newest run in *work*, to go on with; None if there is none.

    Raises:
        OtherPlan: it was begun with other choices than *wish* names.
    """
    newest = _newest(work)
    if not newest:
        return None
    folder = _folder(work, newest)
    plan = read(folder / "run.json", Plan)
    for field in attrs.fields(Wish):
        wanted, had = getattr(wish, field.name), getattr(plan, field.name)
        if wanted is not None and wanted != had:
            raise OtherPlan(f"the run in {folder} has another choice of {field.name}; leave that out, or --resume")
    return Run(plan, folder, resumed=True)


def sources(run: Run) -> list[Source]:
    """The documents of *run*, each with a folder of its own."""
    paths = [Path(path) for path in run.plan.documents]
    return [Source(path, name, run.folder / name) for path, name in zip(paths, _names(paths), strict=True)]


def _names(paths: Iterable[Path]) -> list[str]:
    names: list[str] = []
    for path in paths:
        plain = re.sub(r"[^A-Za-z0-9_-]", "-", path.stem)[:60] or "document"
        same = sum(name == plain or name.startswith(f"{plain}.") for name in names)
        names.append(f"{plain}.{same + 1}" if same else plain)
    return names


def _folder(work: Path, number: int) -> Path:
    return (work / f"run-{number:03}").absolute()


def _newest(work: Path) -> int:
    return max((int(path.name.removeprefix("run-")) for path in work.glob("run-*") if _is_run(path)), default=0)


def _is_run(path: Path) -> bool:
    return re.fullmatch(r"run-[0-9]{3,9}", path.name) is not None and (path / "run.json").is_file()
