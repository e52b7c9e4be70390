"""Ask whether what the locks name is known to be vulnerable, or was withdrawn by its authors: ``make audit``.

Exit status: 0 nothing is known, 1 something is, 75 nobody could be asked. Silence is no yes: a service must first
know of a version that has been vulnerable for years. A mirror without advisories answers like one that has none.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
#: What we replace is installed to be compared with, never served.
LOCKS: Final = sorted(lock for lock in (ROOT / "requirements").glob("*.txt") if lock.stem != "peer")
SERVICES: Final = ("pypi", "osv")
KNOWN_BAD: Final = "jinja2==2.4.1\n"
NOBODY: Final = 75  # as sendmail says "try again later"


def main() -> int:
    """Tell what is known of the locked versions."""
    withdrawn = [line for lock in LOCKS for line in yanked(lock)]
    for line in dict.fromkeys(withdrawn):
        print(f"withdrawn: {line}")
    service = next(filter(answers, SERVICES), None)
    if service is None:
        print(
            "NOT AUDITED: no advisory service can be reached, or none knows what it should"
            f" ({', '.join(SERVICES)}). Nothing is known of the vulnerabilities of the locked versions."
        )
        return 1 if withdrawn else NOBODY
    found = [line for lock in LOCKS for line in problems(audited(lock, service))]
    for line in dict.fromkeys(found):
        print(line)
    print(f"audited by {service}: {len(LOCKS)} locks, {len(set(found))} problems, {len(set(withdrawn))} withdrawn")
    return 1 if found or withdrawn else 0


def yanked(lock: Path) -> list[str]:
    """Return what the index says of versions that their authors have withdrawn."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    command = [uv, "pip", "install", "--dry-run", "--no-deps", "--require-hashes", "--python", sys.executable]
    done = subprocess.run([*command, "--requirement", str(lock)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{lock.name} cannot be resolved:\n{done.stderr.strip()}")
    return re.findall(r"^warning: (`\S+` is yanked.*)$", done.stderr, re.MULTILINE)


def answers(service: str) -> bool:
    """Say whether a service knows what everybody knows."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(KNOWN_BAD, encoding="utf-8")
        found = audited(canary, service, "--no-deps")
    return any(each.get("vulns") for each in found)


def audited(lock: Path, service: str, *options: str) -> list[dict[str, Any]]:
    """Return what a service says of each package of a lock; nothing where it does not answer."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--requirement", str(lock)]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "20"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        if options:
            return []
        raise SystemExit(f"{lock.name} was not audited: {done.stderr.strip()[-500:]}") from None


def problems(found: list[dict[str, Any]]) -> list[str]:
    """Return a line for each advisory, and for each package that was passed over: it is not known to be good."""
    lines = [f"NOT AUDITED: {each['name']}: {each['skip_reason']}" for each in found if "skip_reason" in each]
    for each in found:
        for known in each.get("vulns", []):
            mended = ", ".join(known.get("fix_versions", [])) or "no version yet"
            lines.append(f"vulnerable: {each['name']} {each['version']}: {known['id']}; mended in {mended}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
