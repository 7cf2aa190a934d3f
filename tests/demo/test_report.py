from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from actors.demo.analyse import analyse
from actors.demo.artifacts import read, save, write
from actors.demo.document import load
from actors.demo.generate import generate
from actors.demo.model import CaseSet, Contract, Fault, Operation, Result, ResultSet
from actors.demo.report import Report, build, write_report

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Counts elements by tag and by class, and collects the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.classes.update((dict(attrs).get("class") or "").split())

    def handle_data(self, data: str) -> None:
        self.words += data


def results_for(cases: CaseSet) -> ResultSet:
    results = [
        Result(case.name, case.valid, bool(number % 3), 200, 0.01, "" if number % 3 else "no good", case.path)
        for number, case in enumerate(cases.cases)
    ]
    return ResultSet(cases.operation, 2, results)


def report_on(contract: Contract) -> tuple[Report, list[CaseSet]]:
    cases = [generate(contract, index, 1) for index in range(len(contract.operations))]
    return build("it.yaml", "a mock", contract, cases, [results_for(found) for found in cases], {}), cases


@pytest.mark.parametrize("name", ["box-v2025.json", "petstore.yaml", "tictactoe.yaml", "uspto.yaml"])
def test_both_reports_agree_with_the_document(real_documents: Path, tmp_path: Path, name: str) -> None:
    contract = analyse(load(real_documents / name))
    report, cases = report_on(contract)
    page = Page(write_report(report, tmp_path).read_text("utf-8"))
    data = json.loads((tmp_path / "report.json").read_text("utf-8"))
    made = sum(len(found.cases) for found in cases)
    omitted = sum(len(found.omitted) for found in cases)
    assert page.tags["details"] == len(data["operations"]) == len(contract.operations)
    assert page.tags["li"] == len(data["faults"]) == len(contract.faults)
    assert page.classes["case"] == made + omitted
    assert data["cases"] == data["passed"] + data["failed"] == made
    assert data["failed"] == sum(
        not result["passed"] for operation in data["operations"] for result in operation["results"]
    )
    assert read(tmp_path / "report.json", Report) == report


def test_text_of_a_document_is_only_text_in_the_page(tmp_path: Path) -> None:
    operation = Operation("get", f"/{EVIL}", EVIL, EVIL, [], None, [])
    contract = Contract(EVIL, EVIL, "3.1.0", [operation], {}, [Fault(EVIL, EVIL, EVIL)], {"operations": 1, EVIL: 1})
    results = ResultSet(0, 1, [Result(EVIL, True, False, 200, 0.1, EVIL, EVIL)])
    report = build(EVIL, EVIL, contract, [CaseSet(0, [], [EVIL])], [results], {})
    page = Page(write_report(report, tmp_path).read_text("utf-8"))
    assert page.tags["script"] == page.tags["img"] == 0
    assert page.words.count(EVIL) >= 10


def test_the_page_loads_nothing(tmp_path: Path, real_documents: Path) -> None:
    report, _ = report_on(analyse(load(real_documents / "tictactoe.yaml")))
    page = Page(write_report(report, tmp_path).read_text("utf-8"))
    assert page.tags["link"] == page.tags["script"] == page.tags["img"] == 0


def test_text_that_is_no_unicode_does_not_stop_the_report(tmp_path: Path) -> None:
    write(tmp_path / "it.html", "half a pair: \ud800")
    assert (tmp_path / "it.html").read_text("utf-8") == "half a pair: \\ud800"


def test_a_contract_comes_back_from_its_file(real_documents: Path, tmp_path: Path) -> None:
    contract = analyse(load(real_documents / "box-v2025.json"))
    save(tmp_path / "analysis.json", contract)
    assert read(tmp_path / "analysis.json", Contract) == contract


def test_a_file_that_can_not_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    write(tmp_path / "it.txt", "old")
    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "it.txt", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"it.txt": "old"}
