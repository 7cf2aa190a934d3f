"""``python -m bench [NAME …] [--smoke] [--json FILE]``"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import machine, report, runner

RESULTS = Path("bench-results.json")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what the task system costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(runner.WORKLOADS)}; default: all")
    parser.add_argument("--smoke", action="store_true", help="little work, no verdicts: only whether everything runs")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--inside", help=argparse.SUPPRESS)  # the workload to run in this very process
    parser.add_argument("--scale", type=float, default=1.0, help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 no workload failed, 1 one of them did, 2 wrong usage. A goal missed is shown, not punished."""
    options = parser().parse_args(arguments)
    if options.inside:
        print(json.dumps(runner.inside(options.inside, scale=options.scale)))
        return 0
    try:
        names = runner.chosen(options.names)
    except runner.UnknownWorkload as error:
        print(error, file=sys.stderr)
        return 2
    return run_all(names, smoke=options.smoke, file=options.json)


def run_all(names: Sequence[str], *, smoke: bool, file: Path) -> int:
    """Run the named workloads one after the other, print the table and write the JSON *file*."""
    scale = runner.SMOKE_SCALE if smoke else 1.0
    facts = machine.facts()
    print("  ".join(f"{name}: {value}" for name, value in facts.items()))
    results: list[runner.Result] = []
    failures: list[str] = []
    for name in names:
        print(f"{name} …", file=sys.stderr)
        try:
            results.append(runner.measure(name, scale=scale))
        except runner.Skipped as reason:
            print(reason, file=sys.stderr)
        except runner.WorkloadFailed as error:
            failures.append(str(error))
    print(report.table(results, judged=not smoke))
    file.write_text(json.dumps(report.document(results, machine=facts, scale=scale), indent=2) + "\n")
    print(f"written to {file}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
