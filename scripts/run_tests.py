"""Run every suite of tests, and print what they add up to: ``run_tests.py FOLDER NAME [option or path of pytest]...``.

There are two, because a process has one set of settings: what runs anywhere, and what runs inside an LMS. Each leaves
its report in the folder. Of paths, which begin with ``tests/``, each suite runs its own, and none if it has none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import test_totals

ROOT = Path(__file__).resolve().parent.parent
LMS = ROOT / "tests" / "platforms" / "openedx"
NOTHING_COLLECTED = 5


def main(folder: str, name: str, options: list[str]) -> int:
    """Run the suites that the options leave; fail if one of them does, or if no test was run."""
    reports = Path(folder)
    reports.mkdir(parents=True, exist_ok=True)
    paths = [option for option in options if option.startswith("tests/") and located(option).exists()]
    rest = [option for option in options if option not in paths]
    in_lms = [path for path in paths if LMS in (located(path), *located(path).parents)]
    elsewhere = [path for path in paths if path not in in_lms]
    failed = False
    ran: list[str] = []
    if elsewhere or not in_lms:
        failed |= suite(reports, name, [*rest, *elsewhere], ran)
    if in_lms or not elsewhere:
        failed |= suite(reports, f"{name}-lms", ["--ds=test_settings_lms", *rest, *(in_lms or [str(LMS)])], ran)
    return test_totals.main(folder, ran) or int(failed or not ran)


def suite(reports: Path, name: str, options: list[str], ran: list[str]) -> bool:
    """Run one suite, add its name to *ran* if it had any test, and return whether it failed."""
    report = reports / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *options]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status == NOTHING_COLLECTED:
        return False
    ran.append(name)
    return status != 0


def located(option: str) -> Path:
    """Return the file or folder that an option of pytest names, test or not: ``FILE::test``."""
    return (ROOT / option.partition("::")[0]).resolve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
