"""The kernel could be a package of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import actors.kernel

PROGRAM = """
import sys
import trio
from kernel import Actor, Ask, Child, supervise

class Echo(Ask[str]):
    pass

class Answering(Actor):
    async def receive(self, batch):
        for ask in batch:
            ask.answer("alone")

async def main():
    child = Child("answering", Answering)
    async with supervise([child]):
        print(await child.handle.ask(Echo()))

trio.run(main)
assert not any(name.partition(".")[0] in ("actors", "sqlalchemy", "orjson") for name in sys.modules)
"""


def test_the_kernel_runs_with_the_rest_of_the_package_out_of_reach(tmp_path: Path) -> None:
    assert actors.kernel.__file__ is not None
    shutil.copytree(Path(actors.kernel.__file__).parent, tmp_path / "kernel")
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PROGRAM}"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alone\n", "")
