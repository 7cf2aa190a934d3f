"""The first step, which runs in processes. They import this module, and so do not pay for what the other steps need."""

from __future__ import annotations

from pathlib import Path

from actors import TaskContext
from actors.demo.analyse import analyse
from actors.demo.artifacts import save
from actors.demo.document import load


def analyse_document(ctx: TaskContext, document: str, folder: str) -> dict[str, int]:
    """Read *document*; leave `analysis.json` in *folder*."""
    ctx.progress(0.1, "reading")
    contract = analyse(load(Path(document)))
    save(Path(folder) / "analysis.json", contract)
    return {"operations": len(contract.operations), "faults": len(contract.faults)}
