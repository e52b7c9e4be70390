"""Print how many tests passed, failed and were skipped, by the reports of pytest: ``test_totals.py FOLDER NAME...``.

Fails where a report is missing or empty: a run that ended early is not a run that passed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def main(folder: str, names: list[str]) -> int:
    """Add up the reports *names* in *folder*."""
    passed = failed = skipped = 0
    complete = True
    for name in names:
        path = Path(folder) / f"{name}.xml"
        counts = count(path) if path.exists() else (0, 0, 0)
        if not sum(counts):
            print(f"{path}: no test was run")
            complete = False
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if complete and not failed else 1


def count(path: Path) -> tuple[int, int, int]:
    """Return the tests passed, failed (or broken) and skipped in one report."""
    # Written by our own pytest a moment ago: trusted input.
    suites = ElementTree.parse(path).getroot().iter("testsuite")  # noqa: S314
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return tests - failed - skipped, failed, skipped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
