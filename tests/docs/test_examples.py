"""Every example of the README and of the documentation is run, and prints what is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.pages import ROOT, Block, Reader, blocks, pages

EXAMPLES = {str(page.relative_to(ROOT)): found for page in pages() if (found := blocks(page))}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A namespace that classes of the examples can be looked up in by their module's name."""
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in and to import from, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_do_what_the_page_says(name: str, folder: Path, module: ModuleType) -> None:
    if find_spec("trio_asyncio") is None and any("ExecutionMode.ASYNCIO" in block.text for block in EXAMPLES[name]):
        pytest.skip("trio-asyncio is not to be had here")
    Reader(ROOT / name, folder, module).follow(EXAMPLES[name])


def follow(folder: Path, module: ModuleType, *given: tuple[str, str]) -> None:
    """Follow a page with these blocks, each a language and a text."""
    page = [Block(language, text, 1) for language, text in given]
    Reader(Path("page.md"), folder, module).follow(page)


@pytest.mark.parametrize(
    "page",
    [
        [("python", "print(1)\n")],
        [("python", "print(1)\n"), ("text", "2\n")],
        [("python", "1 / 0\n")],
        [("python", "async with None: ...\n")],
        [("console", "$ echo a\nb\n")],
        [("console", "$ echo a\n$ exit 3 | grep b\nb\n")],
    ],
)
def test_a_page_that_does_not_say_what_happens_is_found(
    page: list[tuple[str, str]], folder: Path, module: ModuleType
) -> None:
    with pytest.raises(AssertionError, match="the page shows"):
        follow(folder, module, *page)


def test_blocks_share_a_namespace_and_files_a_folder(folder: Path, module: ModuleType) -> None:
    follow(
        folder, module,
        ("python", "x = 1\n"),
        ("python", "import trio\nawait trio.sleep(0)\nprint(x, 'long', 3)\nint('a')\n"),
        ("text", "1 … 3\nValueError: …\n"),
        ("python", "print('age   try')\nprint('20 s  1')\n"),
        ("text", "age  try\n…  1\n"),
        ("python", "# one.py\nprint('from', __file__)\n"),
        ("console", "$ python one.py\nfrom …one.py\n$ seq 5\n1\n…\n5\n$ kill -9 $$\nKilled\n"),
        ("sh", "not run\n"),
    )  # fmt: skip
